//! Blocks that are zeroed, overwritten, misplaced or of yesterday, and files that grow.

use std::path::Path;

use super::damage::{Bytes, Damage, SECTOR, sector};
use super::{Rest, Store, step, sweep_all};

fn sectors(length: u64) -> std::ops::Range<u64> {
    0..length.div_ceil(SECTOR)
}

#[test]
fn zeros_in_a_file_are_never_believed() {
    let zeros = |_: &Store, _: &Path, length: u64| -> Vec<Damage> {
        let blocks =
            |size: u64| (0..length).step_by(usize::try_from(size).unwrap()).map(move |at| (at, size));
        let small = (0..length).step_by(8 * step()).map(|at| (at, 64));
        let odd = (0..length).step_by(61 * step()).map(|at| (at, 1 + at % 777));
        let all = blocks(512).chain(blocks(4096)).chain(small).chain(odd);
        all.map(|(at, size)| Damage::Zero(at, size)).collect()
    };
    sweep_all("zeros", &Rest::ALL, &zeros);
}

#[test]
fn nonsense_in_a_file_is_never_believed() {
    let nonsense = |_: &Store, _: &Path, length: u64| -> Vec<Damage> {
        let blocks =
            |size: u64| (0..length).step_by(usize::try_from(size).unwrap()).map(move |at| (at, size));
        let odd = (0..length).step_by(97 * step()).map(|at| (at, 1 + at % 555));
        blocks(512).chain(blocks(4096)).chain(odd).map(|(at, size)| Damage::Garbage(at, size)).collect()
    };
    sweep_all("nonsense", &Rest::ALL, &nonsense);
}

#[test]
fn a_file_that_has_grown_is_never_believed() {
    let grown = |_: &Store, _: &Path, _: u64| -> Vec<Damage> {
        let counts = [1, 31, 32, 64, 512, 4096, 9000];
        counts
            .into_iter()
            .flat_map(|count| [0, 0x89, b' ', b'}'].map(|value| Damage::Grow(count, value)))
            .collect()
    };
    sweep_all("files that have grown", &Rest::ALL, &grown);
}

#[test]
fn sectors_that_change_places_are_never_believed() {
    let swaps = |store: &Store, path: &Path, length: u64| -> Vec<Damage> {
        let within = sectors(length)
            .flat_map(|one| (one + 1..length.div_ceil(SECTOR)).map(move |other| Damage::Swap(one, other)));
        let others =
            store.fs.files().into_iter().filter(|(other, length)| other.as_path() > path && *length > 0);
        let across = others.flat_map(|(other, other_length)| {
            sectors(length).flat_map(move |one| {
                let other = other.clone();
                sectors(other_length).map(move |at| Damage::SwapAcross(one, other.clone(), at))
            })
        });
        // Those of the first sectors all; of the many pairs of files every so many-th.
        within.chain(across.step_by(5)).step_by(step()).collect()
    };
    sweep_all("sectors that change places", &Rest::ALL, &swaps);
}

#[test]
fn a_write_that_went_astray_is_never_believed() {
    let astray = |store: &Store, path: &Path, length: u64| -> Vec<Damage> {
        let within = sectors(length).flat_map(|from| {
            sectors(length).filter(move |to| from != *to).map(move |to| Damage::Misdirect(from, to))
        });
        let others = store.fs.files().into_iter().filter(|(other, _)| other.as_path() != path);
        let across = others.flat_map(|(other, other_length)| {
            sectors(length).flat_map(move |to| {
                let other = other.clone();
                sectors(other_length).map(move |from| Damage::MisdirectAcross(to, other.clone(), from))
            })
        });
        within.chain(across.step_by(5)).step_by(step()).collect()
    };
    sweep_all("writes that went astray", &Rest::ALL, &astray);
}

#[test]
fn a_block_of_yesterday_is_never_believed() {
    let stale = |store: &Store, path: &Path, length: u64| -> Vec<Damage> {
        let Some(old) = store.older.read(path) else { return Vec::new() };
        let single = sectors(length).map(|number| (number * SECTOR, sector(&store.older, path, number)));
        let pages =
            old.chunks(4096).enumerate().map(|(n, page)| (u64::try_from(n).unwrap() * 4096, page.to_vec()));
        single
            .chain(pages)
            .map(|(offset, bytes)| Damage::Stale(offset, Bytes { whose: "yesterday", bytes: bytes.into() }))
            .collect()
    };
    let rests = [Rest::Killed, Rest::Closed, Rest::Publishing(0), Rest::Publishing(2), Rest::Publishing(6)];
    sweep_all("blocks of yesterday", &rests, &stale);
}
