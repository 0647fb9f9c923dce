//! What proves itself is taken over and what does not is named: frames whose padding alone is damaged, files that
//! are not as recorded, and the conversations around what is lost.

use std::path::PathBuf;

use aral_store::{Mutation, NewMessage};

use super::{Rest, judge, options, sample, segment};
use crate::regressions::{add, fresh, inside, on, open};
use crate::support::driver::DIR;
use crate::support::oracle::count;
use crate::support::simfs::SimFs;

/// Where the first frame of a segment is.
const FRAME: usize = 4096;

fn field(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap()
}

/// The place of each frame of a segment, and of the end of its payload.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut found) = (FRAME, Vec::new());
    while bytes.get(at..at + 32).is_some_and(|header| header.iter().any(|byte| *byte != 0)) {
        let end = at + 32 + field(bytes, at + 4);
        found.push((at, end));
        at = end.next_multiple_of(32);
    }
    found
}

fn segments(fs: &SimFs) -> Vec<PathBuf> {
    let files = fs.files().into_iter().map(|(path, _)| path);
    files.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect()
}

#[test]
fn an_event_whose_padding_alone_is_damaged_is_kept_and_told() {
    for rest in [Rest::Killed, Rest::Closed, Rest::Compacted] {
        let sample = sample(rest);
        let mut padded = 0;
        for path in segments(&sample.fs) {
            let bytes = sample.fs.read(&path).unwrap();
            for (at, end) in frames(&bytes) {
                for place in end..end.next_multiple_of(32) {
                    padded += 1;
                    let copy = sample.fs.snapshot();
                    copy.flip_bit(&path, count(place), u8::try_from(place % 8).unwrap());
                    let verdict = options(&copy).verify(DIR).unwrap();
                    assert!(!verdict.is_sound() || verdict.torn.is_some(), "{rest:?} {place}: {verdict:?}");
                    let report = judge(&sample, &copy).unwrap();
                    assert!(report.is_complete(), "{rest:?} byte {place}: {report:?}");
                    let store = options(&copy).read_only().open(super::NEW).unwrap();
                    assert_eq!(store.stats().unwrap().last_seq, sample.oracle.last_seq, "{rest:?} {place}");
                    let told = format!("{} at byte {at}", path.display());
                    let is_told = |note: &String| note.contains("padding") && note.contains(&told);
                    assert!(report.notes.iter().any(is_told) || report.torn.is_some(), "{report:?}");
                }
            }
        }
        assert!(padded > 40, "{rest:?}: {padded} bytes of padding");
    }
}

/// Nothing says that the last record of a copied log was durable; it proves itself all the same.
#[test]
fn a_copied_log_keeps_a_last_event_whose_padding_is_damaged() {
    let fs = fresh();
    let store = open(on(fs.clone()));
    add(&store, "c1", 0..3);
    let copy = fs.kill();
    drop(store);
    copy.delete(inside("log/CONTROL"));
    let path = segment(&copy, 0);
    let (_, end) = *frames(&copy.read(&path).unwrap()).last().unwrap();
    copy.flip_bit(&path, count(end), 1);
    let report = options(&copy).repair(DIR, super::NEW).unwrap();
    assert!(report.is_complete() && report.torn.is_none(), "{report:?}");
    assert_eq!((report.messages, report.notes.len()), (3, 1), "{report:?}");
}

#[test]
fn a_file_that_is_not_as_recorded_is_not_believed_and_a_copy_is_kept() {
    let sample = sample(Rest::Compacted);
    let path = inside("conversations/c1.json");
    let text = String::from_utf8(sample.fs.read(&path).unwrap()).unwrap();
    let edited = text.replace("the first, edited", "put there by hand");
    assert_ne!(edited, text);
    sample.fs.put(&path, edited.as_bytes());
    let report = judge(&sample, &sample.fs).unwrap();
    let losses: Vec<_> = report.lost.iter().filter(|loss| loss.path == path).collect();
    let [loss] = &losses[..] else { panic!("{report:?}") };
    assert_eq!(loss.conversation_id.as_deref(), Some("c1"));
    let store = options(&sample.fs).open(super::NEW).unwrap();
    let found = store.conversation("c1").unwrap().unwrap();
    assert_eq!(found.title, "first");
    assert_eq!(found.messages.iter().map(|m| m.content.to_string()).collect::<Vec<_>>(), ["since then"]);
    let [copy] = &report.quarantined[..] else { panic!("{report:?}") };
    assert_eq!(sample.fs.read(copy).as_deref(), Some(edited.as_bytes()));
}

#[test]
fn a_lost_event_is_told_with_the_conversations_that_it_may_concern() {
    let fs = fresh();
    let store = open(on(fs.clone()));
    for id in ["before", "lost", "behind"] {
        drop(store.append(Mutation::add_message(id, NewMessage::new("a text that is long enough"))).unwrap());
    }
    store.close().unwrap();
    let path = segment(&fs, 0);
    let frames = frames(&fs.read(&path).unwrap());
    let (at, end) = frames[1];
    let near = |copy: &SimFs| {
        let report = options(copy).repair(DIR, super::NEW).unwrap();
        let [loss] = <[_; 1]>::try_from(report.lost).unwrap();
        assert_eq!((loss.first_seq, loss.last_seq, loss.conversation_id), (Some(2), Some(2), None));
        (loss.named, loss.near)
    };
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    // In the payload, whose beginning still names its conversation.
    let copy = fs.snapshot();
    copy.flip_bit(&path, count(end) - 8, 6);
    assert_eq!(near(&copy), (names(&["lost"]), names(&["before", "behind"])));
    // In the header, which leaves the neighbours.
    let copy = fs.snapshot();
    copy.flip_bit(&path, count(at), 0);
    assert_eq!(near(&copy), (names(&[]), names(&["before", "behind"])));
}

#[test]
fn the_events_of_a_missing_segment_are_lost_with_its_number() {
    let fs = fresh();
    for n in 0..3 {
        let store = open(on(fs.clone()));
        add(&store, &format!("c{n}"), 0..2);
        store.close().unwrap();
    }
    fs.delete(segment(&fs, 1));
    let report = options(&fs).repair(DIR, super::NEW).unwrap();
    let [loss] = &report.lost[..] else { panic!("{report:?}") };
    assert_eq!((loss.first_seq, loss.last_seq, &*loss.path), (Some(3), Some(4), &*inside("log")));
    assert!(loss.reason.contains("segment 2"), "{loss:?}");
    assert_eq!(loss.near, ["c0", "c2"]);
    assert_eq!(report.notes, Vec::<String>::new());
}
