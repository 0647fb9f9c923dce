//! Files that their owner takes as they are, and what must not be lost with that.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use aral_store::{
    ActionEdit, Edit, ErrorKind, JsonObject, MAX_BATCH_EVENTS, MessageStore, Messages, Mutation, NewAction,
    NewMessage, Options,
};

use crate::support::driver::{self, DIR};
use crate::support::faultfs::Call;
use crate::support::hooks::Hooked;
use crate::support::simfs::{self, SimFs};

fn on(fs: &SimFs) -> Options {
    MessageStore::options().compact_manually().first_segment_bytes(8 << 10).vfs(Arc::new(fs.clone()))
}

fn file() -> PathBuf {
    PathBuf::from(format!("{DIR}/conversations/b.json"))
}

/// A store with a conversation in its file, closed.
fn compacted() -> SimFs {
    let fs = driver::fresh(simfs::Settings::default());
    let store = on(&fs).open(DIR).unwrap();
    drop(store.add_message("b", NewMessage::new("said").id("m1")).unwrap());
    drop(store.compact().unwrap());
    store.close().unwrap();
    fs
}

/// What is in quarantine, as texts.
fn set_aside(fs: &SimFs) -> Vec<(PathBuf, String)> {
    let files = fs.files().into_iter().map(|(path, _)| path);
    let copies = files.filter(|path| path.to_string_lossy().contains("quarantine/"));
    copies.map(|path| (path.clone(), String::from_utf8(fs.read(&path).unwrap()).unwrap())).collect()
}

/// A file may hold more than a batch of a caller's takes. It is taken as a whole or not at all, wherever it is cut.
#[test]
fn a_file_of_more_items_than_a_batch_takes_is_accepted_whole_or_not_at_all() {
    let fs = compacted();
    let count = MAX_BATCH_EVENTS + 1;
    let mut text =
        String::from(r#"{"id": "b", "title": "Long", "created_at": "2024-05-01T10:00:00", "messages": ["#);
    for n in 0..count {
        let comma = if n == 0 { "" } else { ", " };
        write!(text, r#"{comma}{{"id": "n{n}", "content": "{n}", "role": "user", "created_at": "2024-05-01T10:00:00", "metadata": {{}}}}"#).unwrap();
    }
    text.push_str(r#"], "actions": [], "metadata": {}}"#);
    fs.put(file(), text.as_bytes());
    let store = on(&fs).open(DIR).unwrap();
    let mut receipt = None;
    let history = fs.record(|_| receipt = store.accept("b").unwrap());
    assert!(receipt.unwrap().is_durable());
    let is_whole = |store: &MessageStore| {
        assert_eq!(store.summary("b").unwrap().unwrap().messages, u64::try_from(count).unwrap());
        let last = store.messages("b", Messages::last(2)).unwrap();
        assert_eq!(
            last.iter().map(|m| m.content.to_string_lossy().into_owned()).collect::<Vec<_>>(),
            [(count - 2).to_string(), (count - 1).to_string()]
        );
    };
    is_whole(&store);
    let mut whole = 0;
    assert!(history.len() > 2);
    for (op, state) in history.iter().map(|(op, state)| (Some(op), state)).chain([(None, &fs)]) {
        let fs = state.kill();
        let store = on(&fs).open(DIR).unwrap();
        match store.messages("b", Messages::last(1)) {
            Ok(_) => whole += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{op:?}: {error}");
                assert!(store.accept("b").unwrap().is_some(), "{op:?}");
            }
        }
        is_whole(&store);
        assert_eq!(store.accept("b").unwrap(), None, "{op:?}");
    }
    assert!(whole > 0);
    let store = on(&fs.kill()).open(DIR).unwrap();
    drop(store.compact().unwrap());
    is_whole(&store);
}

/// What the log has under an id that the file has for something else does not come to the file, and is kept.
#[test]
fn what_an_accepted_file_takes_the_place_of_is_set_aside() {
    for is_held in [false, true] {
        let fs = compacted();
        let store = on(&fs).open(DIR).unwrap();
        for (id, text) in [("m2", "acknowledged"), ("m3", "the same")] {
            drop(store.append(Mutation::add_message("b", NewMessage::new(text).id(id))).unwrap());
        }
        drop(store.add_action("b", NewAction::new("clicked", JsonObject::EMPTY).id("a1")).unwrap());
        drop(store.set_title("b", "Renamed").unwrap());
        store.close().unwrap();
        let recorded = fs.read(file()).unwrap();
        let whole = {
            let store = on(&fs.snapshot()).open(DIR).unwrap();
            drop(store.compact().unwrap());
            store.conversation("b").unwrap().unwrap()
        };
        let item = |id: &str, text: &str| {
            let at = whole.messages.iter().find(|message| message.id == id).unwrap().created_at;
            format!(
                r#"{{"id": "{id}", "content": "{text}", "role": "user", "created_at": "{at}", "metadata": {{}}}}"#
            )
        };
        let messages = [item("m1", "said"), item("m2", "by hand"), item("m3", "the same")].join(", ");
        let action = r#"{"id": "a1", "action_type": "typed", "data": {}, "created_at": "2024-05-01T10:00:00", "metadata": {}}"#;
        let edited = format!(
            r#"{{"id": "b", "title": "T", "created_at": "{}", "messages": [{messages}], "actions": [{action}], "metadata": {{}}}}"#,
            whole.created_at
        );
        assert_ne!(recorded, edited.as_bytes());
        fs.put(file(), edited.as_bytes());
        let store = on(&fs).open(DIR).unwrap();
        if is_held {
            drop(store.add_message("other", "o").unwrap());
            assert_eq!(store.compact().unwrap().held.len(), 1);
        }
        let mut receipt = None;
        let history = fs.record(|_| receipt = store.accept("b").unwrap());
        assert!(receipt.is_some());
        let quarantined = store.recovery().quarantined;
        let [(path, kept)] = set_aside(&fs).try_into().unwrap();
        assert_eq!(quarantined, [path]);
        let lines: Vec<&str> = kept.lines().collect();
        assert_eq!(lines.len(), 2, "{kept}");
        assert!(
            lines[0].starts_with(r#"{"seq":2,"type":"add_message""#) && lines[0].contains("acknowledged")
        );
        assert!(lines[1].starts_with(r#"{"seq":4,"type":"add_action""#) && lines[1].contains("clicked"));
        assert!(Mutation::from_json_line(lines[0].as_bytes()).is_ok(), "it can be carried out again");
        let conversation = store.conversation("b").unwrap().unwrap();
        assert_eq!(
            (conversation.messages[1].content.clone(), conversation.title),
            ("by hand".into(), "Renamed".into())
        );
        // Order: it is kept before the file counts.
        for (op, state) in history {
            let fs = state.kill();
            let counts = on(&fs).open(DIR).unwrap().messages("b", Messages::all()).is_ok();
            assert!(!counts || set_aside(&fs).len() == 1, "{op:?}");
            let store = on(&fs).open(DIR).unwrap();
            assert_eq!(store.accept("b").unwrap().is_some(), !counts, "{op:?}");
            assert_eq!(set_aside(&fs).first().map(|(_, text)| text), Some(&kept), "{op:?}");
        }
    }
}

fn texts(store: &MessageStore) -> Vec<String> {
    let messages = store.messages("b", Messages::all()).unwrap();
    messages.iter().map(|message| message.content.to_string_lossy().into_owned()).collect()
}

/// What another thread does to the conversation while its file is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meanwhile {
    Removed,
    /// Removed, and begun anew.
    Anew,
    /// The recorded file is put back, and the conversation goes on.
    PutBack,
}

/// The reset took the place of whatever had been said since the log was read.
#[test]
fn an_acceptance_undoes_nothing_that_was_acknowledged_meanwhile() {
    // Before the file is read, and between the log's being read and the reset.
    for (call, part) in [(Call::Open, "conversations/b.json"), (Call::Create, "quarantine/")] {
        for meanwhile in [Meanwhile::Removed, Meanwhile::Anew, Meanwhile::PutBack] {
            for is_held in [false, true] {
                meanwhile_at((call, part), meanwhile, is_held);
            }
        }
    }
}

fn meanwhile_at((call, part): (Call, &str), meanwhile: Meanwhile, is_held: bool) {
    let case = format!("{part}: {meanwhile:?}, held: {is_held}");
    let fs = compacted();
    let store = on(&fs).open(DIR).unwrap();
    drop(store.add_message("b", NewMessage::new("in the log").id("m2")).unwrap());
    store.close().unwrap();
    let recorded = fs.read(file()).unwrap();
    fs.put(
        file(),
        br#"{"id": "b", "title": "T", "messages": [{"id": "m2", "content": "by hand"}], "actions": []}"#,
    );
    let hooked = Hooked::over(fs.clone());
    let options = || MessageStore::options().compact_manually().vfs(Arc::<Hooked>::clone(&hooked));
    let store = options().open(DIR).unwrap();
    assert_eq!(store.recovery().damaged.len(), 1, "{case}");
    if is_held {
        drop(store.add_message("other", "o").unwrap());
        assert_eq!(store.compact().unwrap().held.len(), 1, "{case}");
    }
    let (other, disk) = (store.clone(), fs.clone());
    hooked.before(call, part, move || {
        if meanwhile == Meanwhile::PutBack {
            disk.put(file(), &recorded);
        } else {
            assert!(other.remove_conversation("b").unwrap().is_durable());
        }
        if meanwhile != Meanwhile::Removed {
            let said = other.add_message("b", NewMessage::new("acknowledged").id("m3")).unwrap();
            assert!(said.is_durable());
        }
    });
    let accepted = store.accept("b");
    assert!(hooked.has_begun(), "{case}");
    let check = |store: &MessageStore| match meanwhile {
        Meanwhile::Removed => {
            assert_eq!(store.conversation("b").unwrap(), None, "{case}");
            assert!(store.removed("b").unwrap().is_some(), "{case}");
        }
        Meanwhile::Anew => assert_eq!(texts(store), ["acknowledged"], "{case}"),
        Meanwhile::PutBack => assert_eq!(texts(store), ["said", "in the log", "acknowledged"], "{case}"),
    };
    if meanwhile == Meanwhile::Removed {
        assert_eq!(accepted.unwrap_err().kind(), ErrorKind::NotFound, "{case}");
    } else {
        assert_eq!(accepted.unwrap(), None, "{case}");
    }
    check(&store);
    assert_eq!((set_aside(&fs), store.recovery().quarantined), (Vec::new(), Vec::new()), "{case}");
    check(&on(&fs.snapshot().kill()).open(DIR).unwrap());
    drop(store.compact().unwrap());
    check(&store);
    assert!(store.verify().unwrap().is_sound(), "{case}");
}

/// A conversation that no event has touched yet has no number that a removal could change.
#[test]
fn an_acceptance_brings_nothing_back_that_was_removed_before_any_event() {
    let fs = driver::fresh(simfs::Settings::default());
    fs.put(file(), br#"{"id": "b", "messages": [{"id": "m1", "content": "found"}], "actions": []}"#);
    let store = on(&fs).open(DIR).unwrap();
    drop(store.compact().unwrap());
    assert_eq!(texts(&store), ["found"]);
    store.close().unwrap();
    fs.put(file(), br#"{"id": "b", "messages": [{"id": "m1", "content": "by hand"}], "actions": []}"#);
    let hooked = Hooked::over(fs.clone());
    let options = MessageStore::options().compact_manually().vfs(Arc::<Hooked>::clone(&hooked));
    let store = options.open(DIR).unwrap();
    assert_eq!(store.recovery().damaged.len(), 1);
    let other = store.clone();
    hooked.before(Call::Open, "conversations/b.json", move || drop(other.remove_conversation("b").unwrap()));
    assert_eq!(store.accept("b").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(hooked.has_begun());
    assert_eq!(store.conversation("b").unwrap(), None);
}

/// An edit in the log took the place of what the file said.
#[test]
fn what_an_accepted_file_says_counts_over_an_edit_in_the_log() {
    for is_held in [false, true] {
        let fs = driver::fresh(simfs::Settings::default());
        let store = on(&fs).open(DIR).unwrap();
        for (id, text) in [("m1", "one"), ("m2", "two")] {
            drop(store.add_message("b", NewMessage::new(text).id(id)).unwrap());
        }
        drop(store.add_action("b", NewAction::new("clicked", JsonObject::EMPTY).id("a1")).unwrap());
        drop(store.compact().unwrap());
        drop(store.edit_message("b", "m1", Edit::content("edited in the log")).unwrap());
        drop(store.edit_message("b", "m2", Edit::content("the same")).unwrap());
        drop(store.edit_action("b", "a1", ActionEdit::new().action_type("typed")).unwrap());
        // What the file does not have is the log's alone, with whatever it became.
        drop(store.add_message("b", NewMessage::new("new").id("m3")).unwrap());
        drop(store.edit_message("b", "m3", Edit::content("newer")).unwrap());
        // Of what is kept apart, nothing comes to the file's item under that id.
        drop(store.add_message("b", NewMessage::new("passing").id("m4")).unwrap());
        drop(store.remove_message("b", "m4").unwrap());
        store.close().unwrap();
        let text = String::from_utf8(fs.read(file()).unwrap()).unwrap();
        let by_hand = r#""messages": [{"id": "m4", "content": "by hand"},"#;
        let edited = text
            .replace(r#""messages": ["#, by_hand)
            .replace(r#""one""#, r#""edited in the file""#)
            .replace(r#""two""#, r#""the same""#);
        assert_ne!(text, edited);
        fs.put(file(), edited.as_bytes());
        let store = on(&fs).open(DIR).unwrap();
        if is_held {
            drop(store.add_message("other", "o").unwrap());
            assert_eq!(store.compact().unwrap().held.len(), 1);
        }
        assert!(store.accept("b").unwrap().is_some());
        assert_eq!(texts(&store), ["by hand", "edited in the file", "the same", "newer"]);
        assert_eq!(store.actions("b").unwrap()[0].action_type, "clicked");
        let [(path, kept)] = set_aside(&fs).try_into().unwrap();
        assert_eq!(store.recovery().quarantined, [path]);
        let lines: Vec<&str> = kept.lines().collect();
        let ought = [
            (r#"{"seq":4,"type":"edit_message""#, "edited in the log"),
            (r#"{"seq":6,"type":"edit_action""#, "typed"),
            (r#"{"seq":9,"type":"add_message""#, "passing"),
            (r#"{"seq":10,"type":"remove_message""#, "m4"),
        ];
        assert_eq!(lines.len(), ought.len(), "{kept}");
        for (line, (start, text)) in lines.iter().zip(ought) {
            assert!(line.starts_with(start) && line.contains(text), "{line}");
        }
        drop(store.batch(Mutation::from_json_line(lines[0].as_bytes()).unwrap()).unwrap());
        assert_eq!(texts(&store)[1], "edited in the log", "it can be carried out after all");
        drop(store.compact().unwrap());
        assert!(store.verify().unwrap().is_sound());
    }
}
