//! Kinds 38 to 45: a medium that does not give back what it was given.
//!
//! The suite of corruption goes through all of them; here each is done to a few stores, and counted where the bytes
//! are not what they were.

use std::path::Path;

use super::Seen;
use crate::corruption::damage::{Bytes, Damage, SECTOR, sector};
use crate::corruption::{Rest, Store, Tally, store_at_rest, sweep};

fn happens(damage: &dyn Fn(&Store, &Path, u64) -> Vec<Damage>) -> Seen {
    let mut tally = Tally::default();
    for rest in [Rest::Killed, Rest::Sealed, Rest::Publishing(2), Rest::Compacted] {
        tally.extend(sweep(&store_at_rest(rest, ""), damage));
    }
    assert!(tally.failures.is_empty(), "{:#?}", tally.failures);
    assert!(tally.told > 0, "nobody has seen it");
    let answer =
        format!("Corrupt or reported, with the file ({}), or the right data ({})", tally.told, tally.right);
    Seen { fired: tally.fired, answer }
}

pub(super) fn flip() -> Seen {
    happens(&|_, _, length| (0..length).step_by(41).map(|at| Damage::Flip(at, 3)).collect())
}

pub(super) fn block() -> Seen {
    happens(&|_, _, length| {
        let blocks = (0..length.div_ceil(SECTOR)).map(|number| number * SECTOR);
        blocks.flat_map(|at| [Damage::Zero(at, SECTOR), Damage::Garbage(at, SECTOR)]).collect()
    })
}

pub(super) fn misdirected() -> Seen {
    happens(&|store, path, length| {
        let others = store.fs.files().into_iter().filter(|(other, length)| other != path && *length > 0);
        let last = length.div_ceil(SECTOR);
        let astray = others
            .flat_map(|(other, _)| (0..last).map(move |to| Damage::MisdirectAcross(to, other.clone(), 0)));
        astray.collect()
    })
}

pub(super) fn lost_write() -> Seen {
    happens(&|store, path, length| {
        if store.older.read(path).is_none() {
            return Vec::new();
        }
        let old = |number| Bytes { whose: "yesterday", bytes: sector(&store.older, path, number).into() };
        (0..length.div_ceil(SECTOR)).map(|number| Damage::Stale(number * SECTOR, old(number))).collect()
    })
}

pub(super) fn foreign_file() -> Seen {
    happens(&|store, path, _| {
        let stranger = store_at_rest(store.rest, "another's ");
        let files = [("an older copy", store.older.read(path)), ("another store", stranger.fs.read(path))];
        let files = files.into_iter().filter_map(|(whose, bytes)| Some((whose, bytes?)));
        files.map(|(whose, bytes)| Damage::Replace(Bytes { whose, bytes: bytes.into() })).collect()
    })
}

pub(super) fn swapped() -> Seen {
    happens(&|_, _, length| {
        let last = length.div_ceil(SECTOR);
        let pairs = (0..last).flat_map(|one| (one + 1..last).map(move |other| (one, other)));
        pairs.flat_map(|(one, other)| [Damage::Swap(one, other), Damage::Misdirect(one, other)]).collect()
    })
}

pub(super) fn length() -> Seen {
    happens(&|_, _, length| {
        let cut = (0..length).step_by(97).map(Damage::Truncate);
        cut.chain([1, 32, 512, 5000].map(|count| Damage::Grow(count, 0x55))).collect()
    })
}

pub(super) fn missing() -> Seen {
    happens(&|_, _, _| vec![Damage::Delete])
}
