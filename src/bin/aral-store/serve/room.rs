//! Room for so many at once.
//!
//! Owns the counting of whoever is inside, and the waiting for a place.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long somebody waits for a place.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) struct Room(Arc<Inside>);

struct Inside {
    most: usize,
    taken: Mutex<usize>,
    left: Condvar,
}

/// A place, which is free again when this goes.
pub(super) struct Seat(Arc<Inside>);

impl Room {
    pub(super) fn of(most: usize) -> Self {
        Self(Arc::new(Inside { most, taken: Mutex::new(0), left: Condvar::new() }))
    }

    /// A place, if there is one now.
    pub(super) fn enter_now(&self) -> Option<Seat> {
        self.enter_within(Duration::ZERO)
    }

    /// A place, if one is free before long.
    pub(super) fn enter(&self) -> Option<Seat> {
        self.enter_within(PATIENCE)
    }

    fn enter_within(&self, patience: Duration) -> Option<Seat> {
        let inside = &self.0;
        let waited = inside.left.wait_timeout_while(inside.taken(), patience, |taken| *taken >= inside.most);
        let (mut taken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() && *taken >= inside.most {
            return None;
        }
        *taken += 1;
        Some(Seat(Arc::clone(inside)))
    }

    /// Waits until nobody is inside, for so long at most.
    pub(super) fn wait_until_empty(&self, patience: Duration) {
        let waited = self.0.left.wait_timeout_while(self.0.taken(), patience, |taken| *taken > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Inside {
    fn taken(&self) -> MutexGuard<'_, usize> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *self.0.taken() -= 1;
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_again_when_one_has_left() {
        let room = Room::of(2);
        let [one, other] = [(); 2].map(|()| room.enter_now());
        assert!(one.is_some() && other.is_some() && room.enter_now().is_none());
        drop(one);
        assert!(room.enter_now().is_some());
        room.wait_until_empty(Duration::from_millis(1));
        drop(other);
        room.wait_until_empty(PATIENCE);
    }
}
