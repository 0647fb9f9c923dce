//! Where times and ids come from.
//!
//! Owns the only calls of the system's clock and random source. Tests put their own in their place.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Microseconds from the Unix epoch.
    fn now_micros(&self) -> i64;

    /// Microseconds from any moment on that go on as time does, whatever is done to the clock meanwhile.
    fn elapsed_micros(&self) -> i64 {
        elapsed_micros()
    }
}

/// Makes ids up.
pub trait IdSource: Send + Sync + fmt::Debug {
    /// An id that no other conversation, message or action has.
    fn new_id(&self) -> String;
}

/// Which UUIDs the store makes up. A process that was forked off makes up other ones than its parent, from the first store on that it
/// opens or, in memory, adds to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum IdVersion {
    /// Random ones, as the original's.
    #[default]
    V4,
    /// Ones that sort by time.
    V7,
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now_micros(&self) -> i64 {
        now_micros()
    }
}

impl IdSource for IdVersion {
    #[expect(clippy::disallowed_methods, reason = "this module is the way to the random source")]
    fn new_id(&self) -> String {
        let id = match self {
            Self::V4 => drawn(),
            Self::V7 => uuid::Uuid::now_v7(),
        };
        id.as_hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
    }
}

/// The process whose stores are being used, as far as anybody has said so.
static PROCESS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// What this thread draws ids from, and the process that seeded it.
    static GENERATOR: RefCell<Option<(u32, StdRng)>> = const { RefCell::new(None) };
}

/// Says that this process begins to use a store. If it was forked off, it has its parent's generators as they were, and so have
/// the others that were forked off: from here on they are seeded anew. To ask at each draw would cost ten times as much as to draw.
pub(crate) fn enter_process() {
    PROCESS.store(std::process::id(), Ordering::Relaxed);
}

/// A random UUID, from a generator that was seeded in this process.
#[expect(clippy::disallowed_methods, reason = "this module is the way to the random source")]
fn drawn() -> uuid::Uuid {
    let process = PROCESS.load(Ordering::Relaxed);
    GENERATOR.with_borrow_mut(|kept| {
        if kept.as_ref().is_none_or(|(seeded_in, _)| *seeded_in != process) {
            *kept = StdRng::try_from_rng(&mut SysRng).ok().map(|generator| (process, generator));
        }
        // Of a system without randomness this one says so.
        let Some((_, generator)) = kept else { return uuid::Uuid::new_v4() };
        let mut bytes = [0; 16];
        generator.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    })
}

/// Microseconds from the Unix epoch by the system's clock; 0 for a clock set before it.
#[expect(clippy::disallowed_methods, reason = "this module is the way to the clock")]
pub(crate) fn now_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or_default()
}

/// Microseconds since this was first asked for, by a clock that nobody can set.
#[expect(clippy::disallowed_methods, reason = "this module is the way to the clock")]
fn elapsed_micros() -> i64 {
    static BEGINNING: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let since = BEGINNING.get_or_init(std::time::Instant::now).elapsed();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Sixteen random bytes that nobody else has: straight from the system, as what says whose a claim or a lock is has to be in
/// every process.
#[expect(clippy::disallowed_methods, reason = "this module is the way to the random source")]
pub(crate) fn random_id() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

/// A random number other than 0.
pub(crate) fn random_salt() -> u32 {
    let [a, b, c, d, ..] = random_id();
    u32::from_le_bytes([a, b, c, d]).max(1)
}

/// Random bytes that keys and nonces are made of: straight from the system, since what a process keeps for itself to
/// draw from is the same in one that was forked off.
///
/// # Errors
///
/// Those of the system.
#[cfg(feature = "encryption")]
pub(crate) fn random_bytes<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn_from(seeded_in: u32) -> uuid::Uuid {
        GENERATOR.set(Some((seeded_in, StdRng::seed_from_u64(7))));
        drawn()
    }

    #[test]
    fn a_process_that_was_forked_off_does_not_draw_what_its_parent_draws() {
        enter_process();
        let parent = drawn_from(std::process::id());
        assert_eq!(drawn_from(std::process::id()), parent, "one generator draws the same ids each time");
        let (one, other) = (drawn_from(0), drawn_from(0));
        assert!(
            one != parent && other != parent && one != other,
            "it is seeded anew where another process has seeded it"
        );
        assert_eq!(one.get_version_num(), 4);
    }
}
