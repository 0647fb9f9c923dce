//! A reader beside a writer shows what came since once it is told to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aral_store::vfs::{OpenMode, Vfs, read_all};
use aral_store::{
    Batch, Edit, ErrorKind, ExportReport, JsonObject, MessageStore, Messages, Mutation, NewAction,
    NewConversation, NewMessage, Operation, Order,
};

use crate::support::driver::{self, DIR};
use crate::support::faultfs::Call;
use crate::support::hooks::Hooked;
use crate::support::simfs::{self, Choose, SimFs, SplitMix};

fn on(fs: &SimFs) -> aral_store::Options {
    MessageStore::options().vfs(Arc::new(fs.clone())).first_segment_bytes(8 << 10)
}

fn count(store: &MessageStore) -> usize {
    store.messages("c1", Messages::all()).map_or(0, |found| found.len())
}

#[test]
fn a_refresh_shows_what_came_since_through_segments_compactions_and_openings() {
    let fs = driver::fresh(simfs::Settings::default());
    let mut writer = on(&fs).open(DIR).unwrap();
    let reader = on(&fs).read_only().open(DIR).unwrap();
    assert_eq!(reader.refresh().unwrap(), 0);
    for n in 1..=40 {
        let seq = writer.add_message("c1", "x".repeat(700)).unwrap().seq;
        match n % 10 {
            3 => drop(writer.compact().unwrap()),
            6 => {
                writer.close().unwrap();
                writer = on(&fs).open(DIR).unwrap();
            }
            _ => {}
        }
        assert_eq!((count(&reader), reader.refresh().unwrap(), count(&reader)), (n - 1, seq, n));
        assert_eq!(reader.refresh().unwrap(), seq);
    }
    assert_eq!(writer.refresh().unwrap(), 40);
    writer.remove_conversation("c1").unwrap();
    reader.refresh().unwrap();
    assert!(reader.conversation("c1").unwrap().is_none());
}

#[test]
fn a_directory_of_the_original_becomes_a_store_before_a_readers_eyes() {
    let home = tempfile::tempdir().unwrap();
    let memory = MessageStore::in_memory();
    memory.add_message("c1", "from before").unwrap();
    memory.export_aral(home.path().join("data"), None).unwrap();
    let reader = MessageStore::options().read_only().open(home.path().join("data")).unwrap();
    assert_eq!((count(&reader), reader.refresh().unwrap()), (1, 0));
    let writer = MessageStore::open(home.path().join("data")).unwrap();
    writer.add_message("c1", "and more").unwrap();
    assert_eq!((reader.refresh().unwrap(), count(&reader)), (1, 2));
}

/// The only segment of the log, with its bytes.
fn segment(fs: &SimFs) -> (PathBuf, Vec<u8>) {
    let log = Path::new(DIR).join("log");
    let names = fs.read_dir(&log).unwrap().into_iter().map(|entry| entry.name);
    let segments: Vec<_> = names.filter(|name| name.ends_with(".seg")).collect();
    assert_eq!(segments.len(), 1);
    let path = log.join(&segments[0]);
    let bytes = read_all(&*fs.open(&path, OpenMode::Read).unwrap(), 1 << 20).unwrap();
    (path, bytes)
}

#[test]
fn of_rot_behind_its_place_a_refresh_says_what_an_opening_says() {
    for rotten in 2..=4 {
        let fs = driver::fresh(simfs::Settings::default());
        let writer = on(&fs).open(DIR).unwrap();
        writer.add_message("c1", "x").unwrap();
        let reader = on(&fs).read_only().open(DIR).unwrap();
        for n in 2..=4 {
            writer.add_message("c1", format!("the text {n}")).unwrap();
        }
        let (path, bytes) = segment(&fs);
        let text = format!("the text {rotten}");
        let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
        fs.flip_bit(&path, u64::try_from(at).unwrap(), 0);
        // The end of the last frame alone is no proof: it may not have been durable.
        let opened = on(&fs).read_only().open(DIR);
        match reader.refresh() {
            Ok(seq) => assert_eq!((seq, opened.unwrap().recovery().last_seq), (3, 3)),
            Err(error) => {
                let opened = opened.unwrap_err();
                assert_eq!((opened.kind(), opened.place()), (ErrorKind::Corrupt, error.place()));
            }
        }
        assert_eq!(count(&reader), rotten - 1);
    }
}

/// Does one of all the things that change a store, to one of three conversations and their first few messages.
fn change(writer: &MessageStore, n: usize, pick: &mut dyn FnMut(usize) -> usize) {
    let (id, of) = (format!("c{}", pick(3)), format!("m{}", pick(8)));
    let id = id.as_str();
    let text = format!("{n}{}", "x".repeat(pick(3) * 500));
    let result = match pick(16) {
        0..6 => writer.add_message(id, NewMessage::new(text).id(of.as_str())),
        6 => writer.edit_message(id, &of, Edit::content(text)),
        7 => writer.remove_message(id, &of),
        8 => writer.add_action(id, NewAction::new("call", JsonObject::EMPTY)),
        9 => writer.set_title(id, &text),
        10 => writer.append(Mutation::new(id, Operation::Clear)),
        11 => writer.remove_conversation(id),
        12 => {
            let anew = Batch::new().reset_conversation(id, NewConversation::new()).add_message(id, text);
            writer.batch(anew).map(|mut receipts| receipts.remove(0))
        }
        _ => {
            let batch =
                (0..3).fold(Batch::new(), |batch, at| batch.add_message(format!("c{at}"), n.to_string()));
            writer.batch(batch).map(|mut receipts| receipts.remove(0))
        }
    };
    // What is not there cannot be changed.
    assert!(result.map_or_else(|error| error.kind() == ErrorKind::NotFound, |receipt| receipt.seq > 0));
}

#[test]
fn beside_random_work_a_refreshed_reader_shows_what_its_writer_shows() {
    for seed in 0..40 {
        let mut random = SplitMix::new(seed);
        let mut pick = |count: usize| random.pick(count);
        let fs = driver::fresh(simfs::Settings::default());
        let mut writer = on(&fs).open(DIR).unwrap();
        let reader = on(&fs).read_only().open(DIR).unwrap();
        for n in 0..60 {
            for _ in 0..pick(4) {
                change(&writer, n, &mut pick);
            }
            match pick(12) {
                0 => drop(writer.compact().unwrap()),
                1 => {
                    writer.close().unwrap();
                    writer = on(&fs).open(DIR).unwrap();
                }
                _ => {}
            }
            assert_eq!(reader.refresh().unwrap(), writer.stats().unwrap().last_seq, "{seed}: {n}");
            for order in [Order::Created, Order::Activity] {
                assert_eq!(reader.conversations(order).unwrap(), writer.conversations(order).unwrap());
            }
            for id in ["c0", "c1", "c2"] {
                assert_eq!(reader.conversation(id).unwrap(), writer.conversation(id).unwrap(), "{seed}: {n}");
            }
            assert!(reader.verify().unwrap().is_sound());
        }
    }
}

#[test]
fn whatever_a_writer_does_between_two_calls_of_a_refresh_the_next_one_shows_all() {
    // A refresh that finds frames alone looks at the names and no more; after a compaction it opens files too.
    for (call, part, reads_anew) in
        [(Call::ReadDir, "log", false), (Call::Open, "CHECKPOINT", true), (Call::Open, ".seg", true)]
    {
        for compacts in [false, true] {
            let fs = driver::fresh(simfs::Settings::default());
            let writer = on(&fs).open(DIR).unwrap();
            drop(writer.add_message("c1", "one").unwrap());
            let hooked = Hooked::over(fs.clone());
            let vfs = Arc::<Hooked>::clone(&hooked);
            let reader = MessageStore::options().vfs(vfs).read_only().open(DIR).unwrap();
            if reads_anew {
                drop(writer.compact().unwrap());
            }
            drop(writer.add_message("c1", "two").unwrap());
            let beside = writer.clone();
            hooked.before(call, part, move || {
                drop(beside.add_message("c1", "three").unwrap());
                if compacts {
                    drop(beside.compact().unwrap());
                }
                drop(beside.add_message("c1", "four").unwrap());
            });
            assert!(reader.refresh().unwrap() >= 2, "before {call:?} on {part}");
            assert!(hooked.has_begun(), "before {call:?} on {part}");
            assert_eq!(reader.refresh().unwrap(), 4, "before {call:?} on {part}");
            assert_eq!(reader.conversation("c1").unwrap(), writer.conversation("c1").unwrap());
        }
    }
}

#[test]
fn memory_has_nothing_to_refresh_and_a_closed_store_refuses() {
    let store = MessageStore::in_memory();
    store.add_message("c1", "Hi!").unwrap();
    assert_eq!(store.refresh().unwrap(), 1);
    store.clone().close().unwrap();
    assert_eq!(store.refresh().unwrap_err().kind(), ErrorKind::Closed);
}

/// What an export holds of some conversations: their texts in one list, or nothing for one that is not there.
fn exported(fs: &SimFs, to: &str, ids: &[&str]) -> Vec<Option<Vec<String>>> {
    let store = on(fs).read_only().open(to).unwrap();
    let texts = |id: &&str| -> Option<Vec<String>> {
        let found = store.conversation(id).unwrap()?;
        Some(found.messages.iter().map(|message| message.content.to_string_lossy().into_owned()).collect())
    };
    ids.iter().map(texts).collect()
}

/// Says one thing in each of two conversations, in one batch.
fn say_in_both(writer: &MessageStore, text: &str) {
    drop(writer.batch(Batch::new().add_message("a", text).add_message("b", text)).unwrap());
}

/// Who exports: a reader that is refreshed meanwhile, or the writer itself; and whether a compaction comes as well.
const EXPORTS: [(bool, bool); 4] = [(true, false), (true, true), (false, false), (false, true)];

/// Exports two conversations, between the files of which something happens to them; gives what was written of each.
fn export_while(
    (reads, compacts): (bool, bool),
    happens: fn(&MessageStore),
) -> (ExportReport, Vec<Option<Vec<String>>>) {
    let fs = driver::fresh(simfs::Settings::default());
    let hooked = Hooked::over(fs.clone());
    let through = || MessageStore::options().vfs(Arc::<Hooked>::clone(&hooked)).compact_manually();
    let writer = through().open(DIR).unwrap();
    say_in_both(&writer, "one");
    drop(writer.compact().unwrap());
    say_in_both(&writer, "two");
    let exports = if reads { through().read_only().open(DIR).unwrap() } else { writer.clone() };
    let refreshed = exports.clone();
    hooked.before(Call::Create, "out/conversations/a.json", move || {
        happens(&writer);
        if compacts {
            drop(writer.compact().unwrap());
        }
        refreshed.refresh().unwrap();
    });
    let report = exports.export_aral("/home/out", None).unwrap();
    assert!(hooked.has_begun() && report.damaged.is_empty(), "{report:?}");
    (report, exported(&fs, "/home/out", &["a", "b"]))
}

#[test]
fn an_export_has_one_state_whatever_comes_while_it_is_written() {
    for way in EXPORTS {
        let (report, found) = export_while(way, |writer| say_in_both(writer, "three"));
        assert_eq!(report.conversations, 2, "{way:?}");
        let [a, b] = &found[..] else { panic!() };
        assert!(a == b && a.as_ref().is_some_and(|texts| texts.len() >= 2), "{way:?}: {a:?} {b:?}");
    }
}

#[test]
fn what_is_removed_while_an_export_is_written_ends_no_export() {
    for (reads, compacts) in EXPORTS {
        let removes = |writer: &MessageStore| drop(writer.remove_conversation("b").unwrap());
        let (report, found) = export_while((reads, compacts), removes);
        // Without a compaction all of the state is there to be read; with one, what is removed is left out.
        let texts = Some(vec!["one".to_owned(), "two".to_owned()]);
        assert_eq!(found, [texts.clone(), texts.filter(|_| !compacts)], "{reads} {compacts}");
        let count = u64::try_from(found.iter().flatten().count()).unwrap();
        assert_eq!(report.conversations, count);
    }
}
