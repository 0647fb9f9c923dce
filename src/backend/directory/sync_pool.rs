//! Threads that sync files while others are being written.
//!
//! Owns the threads of one compaction or export, which end with it. A sync mostly waits for the device, and what
//! several wait for at once costs the device little more than one: journals and flushes are shared. A few
//! files are synced one after the other by whoever wrote them; threads would take longer to begin.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::backend::locked::locked;
use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::sink::{Syncs, Unsynced};

/// From how many files on threads are worth it.
const MANY: usize = 64;
/// How many syncs are under way at most. More of them gain nothing, and take descriptors.
const HANDS: usize = 4;
/// How many files may wait for one, so that the descriptors of a large compaction are few.
const WAITING: usize = 2 * HANDS;

/// Who syncs.
#[derive(Debug, Default)]
pub(super) struct SyncPool {
    work: Mutex<Work>,
    has_changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    waiting: VecDeque<Unsynced>,
    under_way: usize,
    hands: usize,
    has_ended: bool,
    failure: Option<Error>,
}

/// Runs what writes about this many files with a pool that syncs them. All threads have ended when it returns.
pub(super) fn with_sync_pool<T>(files: usize, run: impl FnOnce(&SyncPool) -> Result<T>) -> Result<T> {
    let pool = SyncPool::default();
    std::thread::scope(|scope| {
        // However the work ends, the threads are told, so that nobody waits for them for ever.
        let ending = Ending(&pool);
        let mut hands = Vec::new();
        for _ in 0..if files < MANY { 0 } else { HANDS } {
            // A system that gives no more threads makes a compaction slower, and nothing else.
            hands.extend(std::thread::Builder::new().spawn_scoped(scope, || pool.lend_a_hand()));
        }
        locked(&pool.work).hands = hands.len();
        let result = run(&pool).and_then(|result| pool.wait().map(|()| result));
        drop(ending);
        for hand in hands {
            // A panic is the pool's failure by now, after which the caller clears away as after any other.
            hand.join().ok();
        }
        result
    })
}

struct Ending<'c>(&'c SyncPool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        locked(&self.0.work).has_ended = true;
        self.0.has_changed.notify_all();
    }
}

/// Held while a file is being synced; whatever way that ends, those who wait hear of it.
struct UnderWay<'c> {
    pool: &'c SyncPool,
    /// How it ended; nothing while it goes on, and if it ends in a panic.
    ended: Option<Result<()>>,
}

impl<'c> UnderWay<'c> {
    fn begin(pool: &'c SyncPool, work: &mut Work) -> Self {
        work.under_way += 1;
        Self { pool, ended: None }
    }

    fn end(mut self, synced: Result<()>) {
        self.ended = Some(synced);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let panicked = || Err(Error::new(ErrorKind::Failed, "a thread that synced files panicked"));
        let ended = self.ended.take().unwrap_or_else(panicked);
        let mut work = locked(&self.pool.work);
        work.under_way -= 1;
        work.failure = work.failure.take().or(ended.err());
        self.pool.has_changed.notify_all();
    }
}

impl SyncPool {
    fn lend_a_hand(&self) {
        let mut work = locked(&self.work);
        loop {
            if let Some(unsynced) = work.waiting.pop_front() {
                let under_way = UnderWay::begin(self, &mut work);
                drop(work);
                under_way.end(unsynced.sync());
                work = locked(&self.work);
            } else if work.has_ended {
                return;
            } else {
                work = self.has_changed.wait(work).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Syncs for SyncPool {
    fn sync(&self, unsynced: Unsynced) -> Result<()> {
        let mut work = locked(&self.work);
        if work.hands == 0 {
            drop(work);
            return unsynced.sync();
        }
        while work.waiting.len() >= WAITING && work.failure.is_none() {
            work = self.has_changed.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(failure) = &work.failure {
            return Err(failure.clone());
        }
        work.waiting.push_back(unsynced);
        self.has_changed.notify_all();
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        let mut work = locked(&self.work);
        // After a failure there may be no thread left for what waits.
        while work.failure.is_none() && (work.under_way > 0 || !work.waiting.is_empty()) {
            work = self.has_changed.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
        work.failure.clone().map_or(Ok(()), Err)
    }
}
