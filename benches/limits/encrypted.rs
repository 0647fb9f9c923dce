//! What encryption costs.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use aral_store::{Key, MessageStore, Messages, SyncPolicy};

/// How long one store is appended to before the other one's turn.
const SLICE: Duration = Duration::from_millis(500);
/// How often both have had theirs.
const ROUNDS: usize = 24;

fn rate(store: &MessageStore) -> Result<f64, Box<dyn Error>> {
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < SLICE {
        drop(store.add_message("c1", "x".repeat(200))?);
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

fn reads(store: &MessageStore) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let count = store.messages("c1", Messages::all())?.len();
    Ok(f64::from(u32::try_from(count)?) / begun.elapsed().as_secs_f64())
}

/// Messages of 200 bytes in two stores, one of them encrypted, appended to in turn. Gives the rates of each round, plain and
/// encrypted; those of reading all of them back are the last.
pub(crate) fn rates(home: &Path, sync: SyncPolicy) -> Result<Vec<(f64, f64)>, Box<dyn Error>> {
    let options = || MessageStore::options().sync(sync).compact_manually();
    let plain = options().open(home.join("plain"))?;
    let encrypted = options().key(Key::generate()?).open(home.join("encrypted"))?;
    let pair = |round: usize, of: fn(&MessageStore) -> Result<f64, Box<dyn Error>>| {
        let mut pair = (0.0, 0.0);
        // Who is first changes from round to round.
        for is_encrypted in [round % 2 == 0, round % 2 != 0] {
            let rate = of(if is_encrypted { &encrypted } else { &plain })?;
            *(if is_encrypted { &mut pair.1 } else { &mut pair.0 }) = rate;
        }
        Ok(pair)
    };
    let mut rates: Vec<(f64, f64)> =
        (0..ROUNDS).map(|round| pair(round, rate)).collect::<Result<_, Box<dyn Error>>>()?;
    rates.push(pair(0, reads)?);
    Ok(rates)
}
