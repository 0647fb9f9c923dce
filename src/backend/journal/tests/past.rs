//! What a bucket keeps of what was.

use std::sync::{Arc, Mutex};

use super::backups::Killed;
use super::sim::{Bucket, Client, Interruption, Shared};
use super::world::{engine, message};
use crate::backend::Backend;
use crate::backend::journal::Engine;
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::error::ErrorKind;
use crate::model::{Edit, History, Keep, Mutation, Operation};
use crate::rules::Walk;

fn bucket() -> Shared {
    Arc::new(Mutex::new(Bucket::default()))
}

#[test]
fn where_nothing_is_kept_what_was_since_the_newest_compaction_is_known_and_what_was_before_is_said_to_be_gone()
 {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    assert_eq!(store.keep_history(Keep::Nothing).unwrap().keep, Keep::Nothing);
    let edit = |text: &str| {
        let edit = Operation::EditMessage { message_id: "1".into(), edit: Edit::content(text) };
        drop(store.append(vec![Mutation::new("a", edit)]).unwrap());
    };
    drop(store.append(vec![message("a", "1")]).unwrap());
    drop(store.append(vec![message("b", "2")]).unwrap());
    edit("second");
    assert_eq!(store.history("a").unwrap().whole_from, 0);
    store.compact().unwrap();
    let history = store.history("a").unwrap();
    assert_eq!((history.whole_from, history.events.len()), (3, 0));
    edit("third");
    drop(store.append(vec![Mutation::new("b", Operation::RemoveConversation)]).unwrap());
    let history = store.history("a").unwrap();
    assert_eq!((history.base.unwrap().last_seq, history.events[0].seq), (3, 4));
    let history = store.history("a").unwrap();
    let then = Walk::begin(&history).steps(&history.events).unwrap().state.unwrap();
    assert_eq!(then.conversation, store.conversation("a").unwrap().unwrap());
    assert_eq!(store.history("b").unwrap().base.unwrap().conversation.messages.len(), 1);
    store.compact().unwrap();
    let history = store.history("b").unwrap();
    assert!(history.is_empty() && history.whole_from == 5, "{history:?}");
    assert_eq!(store.kept_history().unwrap().from, 6);
    assert_eq!(chapters(&bucket), Vec::<String>::new());
}

/// The names of the chapters that there are.
fn chapters(bucket: &Shared) -> Vec<String> {
    let bucket = locked(bucket);
    let names = bucket.objects.keys().filter(|name| name.ends_with(".chapter"));
    names.map(|name| name.strip_prefix("archive/").unwrap().to_owned()).collect()
}

fn edit(store: &Engine, conversation: &str, text: &str) {
    let edit = Operation::EditMessage { message_id: "1".into(), edit: Edit::content(text) };
    drop(store.append(vec![Mutation::new(conversation, edit)]).unwrap());
}

/// Holds that a conversation's past is whole, leads to what it is, and says after which events it had how many messages.
fn must_be_whole(store: &Engine, id: &str) -> History {
    let history = store.history(id).unwrap();
    assert_eq!((history.whole_from, &history.damage), (0, &None), "{history:?}");
    let now = Walk::begin(&history).steps(&history.events).unwrap().state.map(|state| state.conversation);
    assert_eq!(now, store.conversation(id).unwrap());
    history
}

#[test]
fn compactions_by_anybody_leave_the_past_whole_and_readable_by_everybody() {
    let bucket = bucket();
    let (one, other) = (engine(Client::sound(&bucket)), engine(Client::sound(&bucket)));
    let reading = Settings { is_read_only: true, ..Settings::default() };
    let reader = Engine::open(Arc::new(Client::sound(&bucket)), reading).unwrap();
    let mut texts = Vec::new();
    for n in 0..6 {
        let store = if n % 2 == 0 { &one } else { &other };
        if n == 0 {
            store.append(vec![message("a", "1"), message("b", "1")]).unwrap();
        }
        edit(store, "a", &format!("text {n}"));
        texts.push(format!("text {n}"));
        if n == 2 {
            store.append(vec![Mutation::new("b", Operation::RemoveConversation)]).unwrap();
        }
        store.compact().unwrap();
        let history = must_be_whole(&reader, "a");
        let told: Vec<String> =
            history.events[1..].iter().map(|past| format!("{:?}", past.event.change)).collect();
        assert!(told.iter().zip(&texts).all(|(told, text)| told.contains(text)), "{told:?}");
        assert_eq!(told.len(), texts.len());
        must_be_whole(&reader, "b");
    }
    assert_eq!(must_be_whole(&one, "b").events.len(), 2);
    // Each has gone on with the one before.
    assert_eq!(chapters(&bucket).len(), 1, "{:?}", chapters(&bucket));
    let kept = reader.kept_history().unwrap();
    let length = locked(&bucket).objects.iter().find(|(name, _)| name.ends_with(".chapter")).unwrap().1.len();
    assert_eq!((kept.keep, kept.from, kept.missing), (Keep::DEFAULT, 1, None));
    assert_eq!(kept.bytes, u64::try_from(length).unwrap());
    assert!(reader.verify().unwrap().is_sound());
    assert_eq!(reader.keep_history(Keep::Nothing).unwrap_err().kind(), ErrorKind::ReadOnly);
    let dropped = other.keep_history(Keep::Nothing).unwrap();
    assert_eq!((dropped.dropped, dropped.bytes, dropped.from), (Some((1, 9)), 0, 10));
    let history = reader.history("a").unwrap();
    assert_eq!((history.whole_from, history.damage, history.events.len()), (9, None, 0));
}

/// A store of which a conversation is in a document, with something behind it, and a reading of its past, during which it is compacted once this is asked for.
fn read_while_compacted(keep: Keep, part: &'static str) -> (Shared, History) {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    store.keep_history(keep).unwrap();
    store.append(vec![message("a", "1")]).unwrap();
    store.compact().unwrap();
    store.append(vec![message("a", "2"), message("b", "3")]).unwrap();
    let act = move || drop(store.compact().unwrap());
    let client = Client::interrupted(&bucket, Interruption { verb: "get", part, act: Box::new(act) });
    let late = engine(Client::sound(&bucket)).like(Arc::new(client));
    let history = late.history("a").unwrap();
    assert!(locked(&bucket).objects.contains_key("states/0000000000000002.json"), "it has been compacted");
    (bucket, history)
}

#[test]
fn a_compaction_while_the_past_is_read_is_a_reason_to_begin_again() {
    let (_, history) = read_while_compacted(Keep::Nothing, "states/0000000000000001.json");
    assert_eq!(history.base.map(|base| base.conversation.messages.len()), Some(2));
    assert!(history.whole_from == 2 && history.events.is_empty());
    // Of which nothing is there any more that was listed.
    for part in ["archive/0000000000000001-0000000000000001.chapter", "log/0000000000000003"] {
        let (bucket, history) = read_while_compacted(Keep::Everything, part);
        assert_eq!((history.whole_from, history.damage, history.events.len()), (0, None, 2), "{part}");
        assert_eq!(chapters(&bucket), ["0000000000000001-0000000000000003.chapter"]);
    }
}

/// A store with a chapter, and two conversations that have changed since, one of which is gone.
fn before_a_compaction() -> (Shared, Engine) {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    store.append(vec![message("a", "1"), message("b", "1")]).unwrap();
    store.compact().unwrap();
    edit(&store, "a", "second");
    store.append(vec![Mutation::new("b", Operation::RemoveConversation), message("c", "1")]).unwrap();
    (bucket, store)
}

#[test]
fn a_compaction_that_is_killed_at_any_request_leaves_the_past_whole_and_the_next_one_no_trace_of_it() {
    let (whole, opened) = before_a_compaction();
    let mut killed = 0;
    for (at, is_after) in (1..).flat_map(|at| [(at, false), (at, true)]) {
        let bucket: Shared = Arc::new(Mutex::new(Bucket::of(locked(&whole).objects.clone())));
        let client = Arc::new(Killed::new(Client::sound(&bucket), at, is_after));
        let done = opened.like(Arc::<Killed>::clone(&client)).compact();
        if client.lives() {
            done.unwrap();
            break;
        }
        killed += 1;
        let told = format!("killed at request {at}, {}", if is_after { "after" } else { "before" });
        let other = engine(Client::sound(&bucket));
        for id in ["a", "b", "c"] {
            must_be_whole(&other, id);
        }
        edit(&other, "a", "third");
        other.compact().unwrap();
        assert_eq!(["a", "b", "c"].map(|id| must_be_whole(&other, id).events.len()), [3, 2, 1], "{told}");
        assert_eq!(chapters(&bucket).len(), 1, "{told}: {:?}", chapters(&bucket));
        let report = other.verify().unwrap();
        assert!(report.is_sound() && report.notes.is_empty(), "{told}: {report:?}");
    }
    assert!(killed > 60, "{killed}");
}

#[test]
fn a_chapter_that_is_damaged_is_named_and_costs_what_is_before_it_and_no_compaction() {
    let (bucket, store) = before_a_compaction();
    let name = format!("archive/{}", chapters(&bucket)[0]);
    let length = locked(&bucket).objects[&name].len();
    for at in [0, 20, 70, length / 2, length - 40, length - 1] {
        let bucket: Shared = Arc::new(Mutex::new(Bucket::of(locked(&bucket).objects.clone())));
        locked(&bucket).objects.get_mut(&name).unwrap()[at] ^= 4;
        let store = store.like(Arc::new(Client::sound(&bucket)));
        let told = store.verify().unwrap().damaged;
        assert!(told.len() == 1 && told[0].reason.contains("history of events 1 to 2"), "{at}: {told:?}");
        store.compact().unwrap();
        let history = store.history("a").unwrap();
        let now = Walk::begin(&history).steps(&history.events).unwrap().state.unwrap();
        assert_eq!(now.conversation, store.conversation("a").unwrap().unwrap());
        assert!(history.whole_from == 0 || history.damage.is_some(), "{at}: {history:?}");
        assert_eq!(chapters(&bucket).len(), 2, "it stays, and a new one begins");
        assert_eq!(store.verify().unwrap().damaged.len(), 1);
    }
    // One that is not there at all.
    locked(&bucket).objects.remove(&name);
    store.compact().unwrap();
    let history = store.history("a").unwrap();
    assert_eq!((history.whole_from, history.damage, history.events.len()), (1, None, 1));
}

#[test]
fn a_choice_that_cannot_be_read_drops_nothing_and_is_told_until_it_is_made_anew() {
    let (bucket, store) = before_a_compaction();
    store.keep_history(Keep::Nothing).unwrap();
    store.keep_history(Keep::Bytes(1)).unwrap();
    locked(&bucket).objects.get_mut("archive/KEEP").unwrap()[20] ^= 1;
    assert_eq!(store.kept_history().unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(store.verify().unwrap().damaged[0].reason.contains("how much of the history"));
    assert_eq!(store.compact().unwrap().dropped_history, None);
    assert_eq!(chapters(&bucket).len(), 1);
    let kept = store.keep_history(Keep::Bytes(1)).unwrap();
    assert_eq!((kept.dropped, kept.bytes, chapters(&bucket).len()), (Some((3, 5)), 0, 0));
    edit(&store, "a", "third");
    assert_eq!(store.compact().unwrap().dropped_history, Some((6, 6)));
}

#[test]
fn a_conversation_whose_document_is_gone_and_not_needed_is_told_by_the_compaction_that_cannot_keep_it() {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    store.keep_history(Keep::Nothing).unwrap();
    store.append(vec![message("a", "1"), message("b", "1")]).unwrap();
    store.compact().unwrap();
    store.keep_history(Keep::Everything).unwrap();
    let remove = |id: &str| Mutation::new(id, Operation::RemoveConversation);
    store.append(vec![remove("a"), remove("b"), message("a", "2")]).unwrap();
    for name in ["states/0000000000000001.json", "conversations/a.json"] {
        locked(&bucket).objects.remove(name).unwrap();
    }
    let store = engine(Client::sound(&bucket));
    let report = store.compact().unwrap();
    let unkept: Vec<_> = report.unkept.iter().map(|lost| lost.conversation_id.as_deref()).collect();
    assert_eq!(unkept, [Some("a")], "{report:?}");
    let lost = store.history("a").unwrap();
    assert!(lost.whole_from == 5 && lost.damage.unwrap().contains("could not be read"));
    assert_eq!(store.history("b").unwrap().base.unwrap().conversation.messages.len(), 1);
    assert!(store.verify().unwrap().notes[0].contains("\"a\""));
}
