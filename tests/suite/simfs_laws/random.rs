//! The laws under random operations, against an oracle that keeps every version of every sector.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aral_store::vfs::{OpenMode, Vfs, write_all_at};

use super::{prepared, read_all};
use crate::support::simfs::{Choose, Exhaustive, Order, Settings, SimFs, SplitMix};

const SECTORS: usize = 24;

/// What each sector may be after a crash: what was durable first, then what was written over it.
type Versions = Vec<Vec<Vec<u8>>>;

fn sectors_of(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    bytes.chunks(512).map(<[u8]>::to_vec)
}

#[test]
fn every_sector_is_one_that_was_there_since_the_last_sync() {
    let mut mixed = 0;
    for seed in 0..300 {
        let mut choice = SplitMix::new(seed);
        let order = if seed % 2 == 0 { Order::Strict } else { Order::Journal };
        let (mut fs, mut file) = prepared(Settings { order, ..Settings::default() }, 512 * SECTORS);
        let mut versions: Versions = vec![vec![vec![0; 512]]; SECTORS];
        for step in 1..=40 {
            match choice.pick(12) {
                0 => {
                    file.sync().unwrap();
                    let live = read_all(&*file, 1 << 20).unwrap();
                    versions = sectors_of(&live).map(|sector| vec![sector]).collect();
                }
                1 => {
                    fs = fs.kill();
                    file = fs.open(Path::new("/f"), OpenMode::ReadWrite).unwrap();
                }
                _ => {
                    let offset = choice.pick(512 * SECTORS - 1);
                    let len = 1 + choice.pick((512 * SECTORS - offset).min(1500));
                    write_all_at(&*file, &vec![step; len], u64::try_from(offset).unwrap()).unwrap();
                    let live = read_all(&*file, 1 << 20).unwrap();
                    for (versions, sector) in versions.iter_mut().zip(sectors_of(&live)) {
                        if versions.last() != Some(&sector) {
                            versions.push(sector);
                        }
                    }
                }
            }
            let after = fs.crash(&mut choice);
            let bytes = after.read("/f").unwrap();
            let mut picked = BTreeSet::new();
            for (versions, sector) in versions.iter().zip(sectors_of(&bytes)) {
                let at = versions.iter().position(|version| *version == sector);
                picked.insert(at.expect("a crash invents no bytes") + 1 == versions.len());
            }
            mixed += u32::from(picked.len() == 2);
            assert_eq!(after.crash(&mut choice).read("/f").unwrap(), bytes, "after a crash all is at rest");
        }
    }
    assert!(mixed > 3000, "most crashes keep some and lose some: {mixed}");
}

const PATHS: [&str; 4] = ["/a", "/b", "/d/a", "/d/b"];

/// One random operation; what fails changes nothing.
fn step(fs: &SimFs, choice: &mut SplitMix, value: u8) {
    let path = Path::new(PATHS[choice.pick(PATHS.len())]);
    let other = Path::new(PATHS[choice.pick(PATHS.len())]);
    match choice.pick(8) {
        0 => drop(fs.open(path, OpenMode::CreateNew)),
        1 => drop(fs.rename(path, other)),
        2 => drop(fs.remove_file(path)),
        3 => fs.sync_dir(path.parent().unwrap()).unwrap(),
        kind => {
            let Ok(file) = fs.open(path, OpenMode::ReadWrite) else { return };
            let len = u64::try_from(choice.pick(1200)).unwrap();
            match kind {
                4 | 5 => write_all_at(&*file, &[value; 300], len).unwrap(),
                6 => file.set_len(len).unwrap(),
                _ => file.sync().unwrap(),
            }
        }
    }
}

type Picture = BTreeMap<PathBuf, Vec<u8>>;

fn picture(fs: &SimFs) -> Picture {
    fs.files().into_iter().map(|(path, _)| (path.clone(), fs.read(path).unwrap())).collect()
}

/// Every state that a crash can leave; `None` if they are too many to go through.
fn every_picture(fs: &SimFs) -> Option<BTreeSet<Picture>> {
    let mut pictures = BTreeSet::new();
    let mut all = Exhaustive::new();
    while all.next_round() {
        if all.rounds() > 20_000 {
            return None;
        }
        pictures.insert(picture(&fs.crash(&mut all)));
    }
    Some(pictures)
}

#[test]
fn all_states_include_the_journal_s_and_the_sampled_ones() {
    let (mut compared, mut larger) = (0, 0);
    for seed in 0..150 {
        let fs = SimFs::new();
        fs.put("/a", &[100; 700]);
        fs.put("/d/a", &[101; 100]);
        let mut choice = SplitMix::new(seed);
        for value in 0..6 {
            step(&fs, &mut choice, value);
        }
        let Some(strict) = every_picture(&fs) else { continue };
        assert!(strict.contains(&picture(&fs)), "seed {seed}: nothing need be lost");
        for order in [Order::Strict, Order::Journal] {
            fs.set(Settings { order, ..Settings::default() });
            for _ in 0..100 {
                assert!(strict.contains(&picture(&fs.crash(&mut choice))), "seed {seed}, {order:?}");
            }
        }
        let journal = every_picture(&fs).unwrap();
        assert!(journal.is_subset(&strict) && journal.contains(&picture(&fs)), "seed {seed}");
        compared += 1;
        larger += u32::from(strict.len() > journal.len());
    }
    assert!(compared > 100 && larger > 50, "{compared} compared, {larger} with more states");
}
