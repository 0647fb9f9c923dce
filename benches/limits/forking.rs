//! What a fork costs, by how much is taken over.
//!
//! Owns the stores and the lengths: each is forked several times, and its median is the figure.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use aral_store::{Fork, MessageStore, Mutation, NewMessage};

/// The lengths in messages of 200 bytes, the longest being the most that a fork takes, and how often each is forked.
const LENGTHS: [(usize, usize); 3] = [(10, 41), (1_000, 21), (99_999, 5)];

/// The milliseconds of the median fork, for each kind of store and length.
pub(crate) fn medians(home: &Path) -> Result<Vec<(String, f64)>, Box<dyn Error>> {
    let mut found = Vec::new();
    let sqlite = format!("sqlite:{}", home.join("forks.db").display());
    for (name, url) in [
        ("memory", "memory:".to_owned()),
        ("a directory", home.join("forks").display().to_string()),
        ("SQLite", sqlite),
    ] {
        let store = MessageStore::options().compact_manually().connect(&url)?;
        for (length, times) in LENGTHS {
            let id = format!("of {length}");
            fill(&store, &id, length)?;
            let from = if name == "a directory" { ", from its log" } else { "" };
            found.push((format!("{name}{from}, {length} messages"), median(&store, &id, times)?));
            if name == "a directory" {
                drop(store.compact()?);
                found.push((
                    format!("{name}, from its files, {length} messages"),
                    median(&store, &id, times)?,
                ));
            }
        }
        store.close()?;
    }
    Ok(found)
}

fn fill(store: &MessageStore, id: &str, length: usize) -> Result<(), Box<dyn Error>> {
    let text = "x".repeat(200);
    let mut left = length;
    while left > 0 {
        let count = left.min(10_000);
        drop(store.batch(vec![Mutation::add_message(id, NewMessage::new(text.as_str())); count])?);
        left -= count;
    }
    Ok(())
}

fn median(store: &MessageStore, id: &str, times: usize) -> Result<f64, Box<dyn Error>> {
    let mut taken = Vec::new();
    for _ in 0..times {
        let begun = Instant::now();
        drop(store.fork(id, Fork::new())?);
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    Ok(taken.get(times / 2).copied().unwrap_or_default())
}
