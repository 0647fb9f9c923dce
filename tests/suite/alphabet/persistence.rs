//! Kinds 1 to 17: what a kill and a cut of power leave of what was not synced.
//!
//! A workload is recorded, and states that a cut can leave are searched for ones in which the fault has taken
//! place, judged by the bytes alone; each of those is then held to the law of crashes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aral_store::{ErrorKind, Messages, Mutation, NewConversation, Operation, SyncPolicy};

use super::Seen;
use crate::support::crashes::{self, End, Recording, Tally};
use crate::support::driver::{self, DIR, Home};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::ops::{Op, Settings as StoreSettings, Step};
use crate::support::simfs::{OpKind, Settings, SimFs, SplitMix, Tear, Unwritten};
use crate::support::sources::Sources;

const STORE: StoreSettings =
    StoreSettings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// After so many states with a fault in them a search ends.
const ENOUGH: u64 = 12;

fn recording(settings: Settings) -> Recording {
    let say =
        |id: &str, length: usize| Op::Append(Step::of(Mutation::add_message(id, "long ".repeat(length))));
    let remove = Op::Append(Step::of(Mutation::new("c2", Operation::RemoveConversation)));
    let program = [
        say("c1", 3),
        say("c1", 2000),
        say("c2", 100),
        say("c1", 3000),
        Op::Reopen,
        say("c1", 1700),
        say("c3", 2),
        Op::Compact,
        remove,
        Op::Batch(vec![
            Step::of(Mutation::reset_conversation("c3", NewConversation::new())),
            Step::of(Mutation::add_message("c3", "instead")),
        ]),
        say("c1", 400),
        Op::Compact,
        Op::Reopen,
    ];
    crashes::record(&driver::fresh(settings), STORE, &program).unwrap()
}

/// Searches the states after a cut of power for a fault, and lets the store answer to each.
fn hunt(settings: Settings, has_it: impl Fn(&Recording, usize, &SimFs) -> bool) -> Seen {
    let recording = recording(settings);
    let mut fired = 0;
    for seed in 0..60 {
        for at in 0..recording.points.len() {
            let image = recording.points[at].fs.crash(&mut SplitMix::new(seed));
            if fired < ENOUGH && has_it(&recording, at, &image) {
                recording.end(at, End::PowerCut, seed, &mut Tally::default()).unwrap();
                fired += 1;
            }
        }
    }
    Seen { fired, answer: "everything acknowledged, nothing else".to_owned() }
}

/// How many blocks that were not synced a cut has kept, lost, or left as something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Blocks {
    kept: usize,
    lost: usize,
    torn: usize,
}

/// The blocks of the segments, whose names never come to mean another file.
fn blocks(before: &SimFs, image: &SimFs, size: usize) -> Blocks {
    let mut blocks = Blocks::default();
    for (path, _) in before.files().iter().filter(|(path, _)| ends_in(path, "seg")) {
        let sides = [before.read(path), before.read_durable(path), image.read(path)];
        let [Some(mut live), Some(mut durable), Some(mut is)] = sides else { continue };
        for side in [&mut live, &mut durable, &mut is] {
            side.resize(1 << 17, 0);
        }
        let sides = live.chunks(size).zip(durable.chunks(size)).zip(is.chunks(size));
        for ((live, durable), is) in sides.filter(|((live, durable), _)| live != durable) {
            blocks.kept += usize::from(is == live);
            blocks.lost += usize::from(is == durable);
            blocks.torn += usize::from(is != live && is != durable);
        }
    }
    blocks
}

fn ends_in(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension == ending)
}

fn is_unfinished(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".tmp") || name.contains("/.staged-")
}

fn before(recording: &Recording, at: usize) -> &SimFs {
    &recording.points[at].fs
}

pub(super) fn kill() -> Seen {
    let recording = recording(Settings::default());
    let mut fired = 0;
    for at in 0..recording.points.len() {
        let fs = before(&recording, at);
        let is_unsynced = |(path, _): &(PathBuf, u64)| fs.read(path) != fs.read_durable(path);
        recording.end(at, End::Kill, 0, &mut Tally::default()).unwrap();
        fired += u64::from(fs.files().iter().any(is_unsynced));
    }
    Seen { fired, answer: "everything accepted, nothing else".to_owned() }
}

pub(super) fn all_lost() -> Seen {
    hunt(Settings::default(), |recording, at, image| {
        let blocks = blocks(before(recording, at), image, 512);
        (blocks.kept, blocks.torn) == (0, 0) && blocks.lost > 0
    })
}

pub(super) fn some_sectors() -> Seen {
    hunt(Settings::default(), |recording, at, image| {
        let blocks = blocks(before(recording, at), image, 512);
        blocks.kept > 0 && blocks.lost > 0
    })
}

pub(super) fn some_pages() -> Seen {
    hunt(Settings::default(), |recording, at, image| {
        let blocks = blocks(before(recording, at), image, 4096);
        blocks.kept > 0 && blocks.lost > 0 && blocks.torn == 0
    })
}

pub(super) fn torn_sector() -> Seen {
    let settings = Settings { tear: Tear::Sometimes, ..Settings::default() };
    hunt(settings, |recording, at, image| blocks(before(recording, at), image, 512).torn > 0)
}

/// What the image of an unfinished file has behind its durable end, beside what was written there.
fn behind_the_end(before: &SimFs, image: &SimFs) -> Vec<(Vec<u8>, Vec<u8>)> {
    let files = before.files().into_iter().map(|(path, _)| path).filter(|path| is_unfinished(path));
    let ends = files.filter_map(|path| {
        let (live, is) = (before.read(&path)?, image.read(&path)?);
        let durable = before.read_durable(&path)?.len();
        (is.len() > durable && live.len() >= is.len())
            .then(|| (is[durable..].to_vec(), live[durable..is.len()].to_vec()))
    });
    ends.collect()
}

pub(super) fn zeros_at_the_end() -> Seen {
    hunt(Settings::default(), |recording, at, image| {
        let ends = behind_the_end(before(recording, at), image);
        ends.iter().any(|(is, live)| is != live && is.iter().all(|byte| *byte == 0))
    })
}

pub(super) fn garbage_at_the_end() -> Seen {
    let settings = Settings { unwritten: Unwritten::Garbage, ..Settings::default() };
    hunt(settings, |recording, at, image| {
        let is_garbage = |(is, live): &(u8, u8)| is != live && *is != 0;
        let ends = behind_the_end(before(recording, at), image);
        ends.into_iter().any(|(is, live)| is.into_iter().zip(live).any(|pair| is_garbage(&pair)))
    })
}

pub(super) fn lost_length() -> Seen {
    hunt(Settings::default(), |recording, at, image| {
        let fs = before(recording, at);
        let mut files = fs.files().into_iter().filter(|(path, _)| is_unfinished(path));
        files.any(|(path, length)| {
            image.read(&path).is_some_and(|bytes| u64::try_from(bytes.len()).unwrap() < length)
        })
    })
}

pub(super) fn lost_creation() -> Seen {
    hunt(Settings::default(), |recording, at, image| {
        let mut files = before(recording, at).files().into_iter();
        files.any(|(path, _)| is_unfinished(&path) && image.read(&path).is_none())
    })
}

pub(super) fn lost_rename() -> Seen {
    hunt(Settings::default(), |recording, at, image| {
        let fs = before(recording, at);
        let renames = recording.points[..at].iter().filter(|point| point.op.kind == OpKind::Rename);
        renames.filter_map(|point| Some((&point.op.path, point.op.to.as_ref()?))).any(|(from, to)| {
            let was_done = fs.read(from).is_none() && fs.read(to).is_some();
            was_done && image.read(from).is_some() && image.read(to) != fs.read(to)
        })
    })
}

/// A store that syncs before it renames loses no bytes so; only a medium that lies about a sync can do it.
pub(super) fn renamed_without_data() -> Seen {
    let (mut fired, mut told) = (0, 0);
    for seed in 0..60 {
        let sim = driver::fresh(Settings::default());
        let rules =
            [".tmp", ".staged"].map(|part| Rule::new(Call::Sync, 1, Fault::SyncPretends).for_ever().on(part));
        let fs = FaultFs::over_sim(&sim, rules.to_vec());
        let options = driver::options(&Home::Memory, STORE, &Sources::default());
        let store = options.vfs(std::sync::Arc::new(fs)).open(DIR).unwrap();
        drop(store.add_message("c1", "long ".repeat(900)).unwrap());
        drop(store.compact().unwrap());
        let cut = sim.crash(&mut SplitMix::new(seed));
        let is_empty_of = |(path, _): &(PathBuf, u64)| {
            !is_unfinished(path) && cut.read(path).is_some_and(|is| Some(is) != sim.read(path))
        };
        if !sim.files().iter().any(is_empty_of) {
            continue;
        }
        fired += 1;
        sim.kill();
        drop(store);
        match driver::open(&Home::Sim(cut), STORE, &Sources::default()) {
            Ok(store) => match store.messages("c1", Messages::all()) {
                Ok(all) => assert_eq!(all[0].content, *"long ".repeat(900), "seed {seed}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "seed {seed}: {error:?}");
                    told += 1;
                }
            },
            Err(error) => {
                let place = error.place().unwrap();
                assert!(error.kind() == ErrorKind::Corrupt && place.path.starts_with(DIR), "{error:?}");
                told += 1;
            }
        }
    }
    Seen { fired, answer: format!("Corrupt naming the file ({told}), or the right data") }
}

pub(super) fn undone_removal() -> Seen {
    hunt(Settings::default(), |recording, at, image| {
        let gone = removed(recording, at);
        gone.iter().any(|path| image.read(path).is_some())
    })
}

/// The segments that were removed before a point, in that order.
fn removed(recording: &Recording, at: usize) -> Vec<PathBuf> {
    let removals = recording.points[..at].iter().filter(|point| point.op.kind == OpKind::Remove);
    let segments = removals.map(|point| point.op.path.clone()).filter(|path| ends_in(path, "seg"));
    segments.filter(|path| before(recording, at).read(path).is_none()).collect()
}

pub(super) fn unordered_removals() -> Seen {
    hunt(Settings::default(), |recording, at, image| {
        let is_there: Vec<bool> =
            removed(recording, at).iter().map(|path| image.read(path).is_some()).collect();
        // The earlier one is still there and a later one is gone.
        is_there.iter().position(|is| *is).is_some_and(|first| is_there[first..].contains(&false))
    })
}

pub(super) fn lost_directory() -> Seen {
    let paths = |fs: &SimFs| fs.paths_outside("/nowhere").into_iter().collect::<BTreeSet<_>>();
    hunt(Settings::default(), |recording, at, image| {
        let fs = before(recording, at);
        let there = paths(image);
        let is_dir = |path: &PathBuf| fs.read(path).is_none();
        paths(fs).iter().any(|path| is_dir(path) && !there.contains(path))
    })
}

pub(super) fn undone_truncation() -> Seen {
    hunt(Settings::default(), |recording, at, image| {
        let fs = before(recording, at);
        let mut cut = recording.points[..at].iter().filter(|point| point.op.kind == OpKind::SetLen);
        cut.any(|point| {
            let lengths = [fs, image].map(|fs| {
                let name = point.op.path.with_extension("");
                let finished = if is_unfinished(&point.op.path) { name } else { point.op.path.clone() };
                fs.read(finished).map(|bytes| bytes.len())
            });
            lengths[0].is_some() && lengths[1] > lengths[0]
        })
    })
}

pub(super) fn cuts_in_recovery() -> Seen {
    let recording = recording(Settings::default());
    let mut fired = 0;
    for at in (0..recording.points.len()).step_by(3) {
        for seed in 0..4 {
            fired += u64::from(recording.end_in_recovery(at, 3, seed, &mut Tally::default()).unwrap() >= 2);
        }
    }
    Seen { fired, answer: "everything acknowledged, nothing else".to_owned() }
}

pub(super) fn kill_then_cut() -> Seen {
    let recording = recording(Settings::default());
    let mut fired = 0;
    for at in 0..recording.points.len() {
        recording.end(at, End::KillThenCut, 7, &mut Tally::default()).unwrap();
        fired += 1;
    }
    Seen { fired, answer: "what was shown after the kill, and the new message".to_owned() }
}
