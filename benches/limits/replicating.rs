//! What a replication costs the writer beside which it runs.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aral_store::{MessageStore, SyncPolicy};

/// How long one store is appended to before the other one's turn.
const SLICE: Duration = Duration::from_secs(1);
/// How often both have had theirs.
const ROUNDS: usize = 24;
/// Twice in each second, as `replicate --every 1` looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Appends messages of 200 bytes for a while, and says how many a second.
fn rate(store: &MessageStore) -> Result<f64, Box<dyn Error>> {
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < SLICE {
        drop(store.add_message("c1", "x".repeat(200))?);
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

/// Two stores of a kind, appended to in turn; one of them is replicated while it is. Gives the rates of each round, alone and
/// replicated.
pub(crate) fn rates(home: &Path, sync: SyncPolicy) -> Result<Vec<(f64, f64)>, Box<dyn Error>> {
    let open = |name: &str| MessageStore::options().sync(sync).compact_manually().open(home.join(name));
    let (alone, replicated) = (open("alone")?, open("replicated")?);
    let mut replica = MessageStore::options().replica(home.join("replicated"), home.join("backup"))?;
    let (is_on, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let rates = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                if is_on.load(Ordering::SeqCst) && replica.pass().is_err() {
                    return;
                }
                std::thread::sleep(PAUSE);
            }
        });
        let measured = (0..ROUNDS).map(|round| {
            let mut pair = (0.0, 0.0);
            // Who is first changes from round to round.
            for is_replicated in [round % 2 == 0, round % 2 != 0] {
                is_on.store(is_replicated, Ordering::SeqCst);
                let rate = rate(if is_replicated { &replicated } else { &alone })?;
                *(if is_replicated { &mut pair.1 } else { &mut pair.0 }) = rate;
            }
            Ok(pair)
        });
        let measured: Result<Vec<_>, Box<dyn Error>> = measured.collect();
        is_over.store(true, Ordering::SeqCst);
        measured
    })?;
    // What was measured must have been a replication.
    let last = replica.pass()?.last_seq;
    assert_eq!(last, replicated.stats()?.last_seq, "the backup has everything");
    Ok(rates)
}
