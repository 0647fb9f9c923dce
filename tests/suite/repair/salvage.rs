//! Reading a damaged store as far as it proves itself: nothing is written, what is shown is what a repair saves, and
//! what is not shown is told.

use std::path::Path;
use std::sync::Arc;

use aral_store::{ErrorKind, Logged, MessageStore, Order};

use super::{ALL, Damage, NEW, Rest, Sample, contents, options, repair, sample, segment};
use crate::regressions::inside;
use crate::support::driver::DIR;
use crate::support::oracle::count;
use crate::support::simfs::SimFs;

fn salvage(fs: &SimFs) -> aral_store::Result<MessageStore> {
    MessageStore::options().vfs(Arc::new(fs.clone())).salvage().open(DIR)
}

/// Every conversation, as it is read.
fn shown(store: &MessageStore) -> Vec<String> {
    let summaries = store.conversations(Order::Created).unwrap();
    summaries.iter().map(|s| format!("{s:?} {:?}", store.conversation(&s.id).unwrap())).collect()
}

/// Holds what a salvage shows against what a repair of the same store saves.
fn agree(fs: &SimFs) -> Result<bool, String> {
    let before = contents(fs, "/home");
    let salvaged = salvage(fs).map_err(|error| format!("not opened: {error}"))?;
    let (shown_now, recovery) = (shown(&salvaged), salvaged.recovery());
    let refused = salvaged.add_message("c1", "no").unwrap_err().kind();
    if contents(fs, "/home") != before || refused != ErrorKind::ReadOnly {
        return Err(format!("something was written, or {refused:?}"));
    }
    let copy = fs.snapshot();
    let report = repair(&copy).map_err(|error| format!("no repair: {error}"))?;
    let repaired = shown(&options(&copy).read_only().open(NEW).unwrap());
    if shown_now != repaired {
        return Err(format!("{shown_now:#?} is shown, and {repaired:#?} is saved"));
    }
    let Some(told) = recovery.salvage else {
        let is_whole = report.is_complete() && recovery.damaged.is_empty();
        return if is_whole { Ok(false) } else { Err(format!("not told: {report:?}")) };
    };
    let (told, saved) = ((told.lost, told.notes, told.torn), (report.lost, report.notes, report.torn));
    if told == saved { Ok(true) } else { Err(format!("{told:?} is told, and {saved:?} by a repair")) }
}

fn sweep(damages: &dyn Fn(u64) -> Vec<Damage>) {
    let (mut damaged, mut wrong) = (0, Vec::new());
    for rest in ALL {
        let Sample { fs, .. } = sample(rest);
        for (path, length) in fs.files() {
            for damage in damages(length) {
                let copy = fs.snapshot();
                damage.inflict(&copy, &path);
                match agree(&copy) {
                    Ok(is_damaged) => damaged += usize::from(is_damaged),
                    Err(reason) => wrong.push(format!("{rest:?} {} {damage:?}: {reason}", path.display())),
                }
            }
        }
    }
    let few = wrong.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} wrong\n{few}", wrong.len());
    assert!(damaged > 20, "{damaged}");
}

#[test]
fn what_is_shown_of_a_store_with_a_flipped_bit_is_what_a_repair_saves() {
    let step = super::step() * 11;
    sweep(&|length| {
        let bits = (0..length * 8).step_by(step);
        bits.map(|bit| Damage::Flip(bit / 8, u8::try_from(bit % 8).unwrap())).collect()
    });
}

#[test]
fn what_is_shown_of_a_store_with_a_cut_or_missing_file_is_what_a_repair_saves() {
    sweep(&|length| {
        (0..length).step_by(super::step() * 7).map(Damage::Truncate).chain([Damage::Delete]).collect()
    });
}

#[test]
fn a_sound_store_is_shown_as_it_is() {
    for rest in ALL {
        let sample = sample(rest);
        let store = salvage(&sample.fs).unwrap();
        assert_eq!(store.recovery().salvage, None, "{rest:?}");
        assert_eq!(store.stats().unwrap().last_seq, sample.oracle.last_seq, "{rest:?}");
    }
    let error = MessageStore::options().vfs(Arc::new(sample(Rest::Closed).fs)).salvage().open("/home/none");
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn the_log_of_a_damaged_store_keeps_its_numbers() {
    let sample = sample(Rest::Compacted);
    let path = segment(&sample.fs, 0);
    let bytes = sample.fs.read(&path).unwrap();
    let second = 4096 + 32 + usize::from(bytes[4096 + 4]).div_ceil(32) * 32;
    let sound = options(&sample.fs).read_only().open(DIR).unwrap();
    let all = sound.events(1).unwrap();
    sample.fs.flip_bit(&path, count(second) + 40, 3);
    let store = salvage(&sample.fs).unwrap();
    let kept: Vec<_> = [&all[..1], &all[2..]].concat();
    assert_eq!(store.events(1).unwrap(), kept);
    assert_eq!(store.recovery().last_seq, sample.oracle.last_seq);
    let mut follower = store.follow(1).unwrap();
    let mut followed = Vec::new();
    while let Some(logged) = follower.next_logged().unwrap() {
        match logged {
            Logged::Batch { seq, events } => followed.push((seq, events)),
            Logged::Compacted { first, last } => assert_eq!((first, last + 1), (1, all[0].0)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(followed, kept);
    let verdict = store.verify().unwrap();
    assert!(verdict.damaged.iter().any(|file| file.path == path), "{verdict:?}");
}

#[test]
fn what_is_saved_in_memory_can_be_exported() {
    let sample = sample(Rest::Compacted);
    let path = inside("conversations/c2.json");
    sample.fs.zero_range(&path, 10, 30);
    let report = salvage(&sample.fs).unwrap().export_aral("/home/export", None).unwrap();
    assert!(report.damaged.is_empty(), "{report:?}");
    let file = sample.fs.read("/home/export/conversations/c2.json").unwrap();
    assert!(String::from_utf8(file).unwrap().contains("renamed"));
    assert!(sample.fs.files().iter().all(|(file, _)| !file.starts_with(Path::new("/home/data.salvaged"))));
}

#[test]
fn the_error_of_a_damaged_log_says_what_can_be_done() {
    let sample = sample(Rest::Closed);
    sample.fs.flip_bit(segment(&sample.fs, 0), 4140, 1);
    for error in [options(&sample.fs).open(DIR), options(&sample.fs).read_only().open(DIR)] {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        for remedy in ["aral-store repair", "--salvage"] {
            assert!(error.to_string().contains(remedy), "{error}");
        }
    }
}
