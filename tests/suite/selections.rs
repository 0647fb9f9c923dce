//! Selections of messages mean the same in every backend: in memory, in the log, in the JSON files, to a reader
//! beside the writer, owned or lent.

use std::sync::Arc;

use aral_store::{
    ErrorKind, JsonObject, MessageRef, MessageStore, Messages, NewMessage, Options, Text, Timestamp,
};

use crate::support::databases;
use crate::support::driver::{self, DIR};
use crate::support::simfs::{self, SimFs};

/// A conversation of two turns with calls, each message an hour after the one before it.
fn fill(store: &MessageStore) {
    let lines = [
        ("system", "Be brief.", "{}"),
        ("user", "Hello!", "{}"),
        ("assistant", "Hello.", "{}"),
        ("user", "Will it rain, and snow?", "{}"),
        ("assistant", "", r#"{"tool_calls":[{"id":"r"},{"id":"s"}]}"#),
        ("tool", "rain", r#"{"tool_call_id":"r"}"#),
        ("tool", "no snow", r#"{"tool_call_id":"s"}"#),
        ("assistant", "Rain.", "{}"),
    ];
    for (hour, (role, content, metadata)) in lines.into_iter().enumerate() {
        let metadata = JsonObject::parse(metadata).unwrap();
        let mut message = NewMessage::new(content).role(role).id(format!("m{hour}")).metadata(metadata);
        message.created_at = Some(at(hour));
        store.add_message("c1", message).unwrap();
    }
}

fn at(hour: usize) -> Timestamp {
    format!("2025-03-13T{hour:02}:00:00Z").parse().unwrap()
}

fn options(fs: &SimFs) -> Options {
    MessageStore::options().vfs(Arc::new(fs.clone()))
}

/// The same conversation, some of whose times do not say where.
fn fill_in_doubt(store: &MessageStore) {
    for (number, time) in TIMES.into_iter().enumerate() {
        let mut message = NewMessage::new("").id(format!("m{number}"));
        message.created_at = Some(time.parse().unwrap());
        store.add_message("c1", message).unwrap();
    }
}

const TIMES: [&str; 7] = [
    "2025-03-11T12:00:00",
    "2025-03-12T23:00:00",
    "2025-03-13T05:00:00Z",
    "2025-03-13T11:00:00",
    "2025-03-13T13:00:00+02:00",
    "2025-03-13T22:00:00",
    "2025-03-15T00:00:00",
];

/// Asks everywhere, and gives the one answer.
fn everywhere(selection: &Messages) -> Result<Vec<usize>, ErrorKind> {
    everywhere_of(fill, selection)
}

fn everywhere_of(fill: fn(&MessageStore), selection: &Messages) -> Result<Vec<usize>, ErrorKind> {
    let (in_log, in_files) =
        (driver::fresh(simfs::Settings::default()), driver::fresh(simfs::Settings::default()));
    let mut stores = vec![
        MessageStore::in_memory(),
        options(&in_log).open(DIR).unwrap(),
        options(&in_files).open(DIR).unwrap(),
    ];
    let dir = tempfile::tempdir().unwrap();
    let urls = databases::urls(dir.path()).into_iter();
    stores.extend(urls.map(|url| MessageStore::connect(url).unwrap()));
    stores.iter().for_each(fill);
    stores[2].compact().unwrap();
    let readers = [&in_log, &in_files].map(|fs| options(fs).read_only().open(DIR).unwrap());
    let mut answers: Vec<Result<Vec<Text>, ErrorKind>> = Vec::new();
    for store in stores.iter().chain(&readers) {
        let owned = store.messages("c1", selection.clone());
        answers.push(owned.map(|found| found.into_iter().map(|m| m.id).collect()).map_err(|e| e.kind()));
        let mut lent = Vec::new();
        let lending =
            store.for_each_message("c1", selection.clone(), |m: MessageRef<'_>| lent.push(m.id.to_text()));
        answers.push(lending.map(|()| lent).map_err(|error| error.kind()));
    }
    let first = answers[0].clone();
    assert!(answers.iter().all(|answer| *answer == first), "{selection:?}: {answers:?}");
    first.map(|ids| ids.iter().map(|id| id.to_string().trim_start_matches('m').parse().unwrap()).collect())
}

#[test]
fn whole_turns_are_whole_in_every_backend() {
    for (selection, found) in [
        (Messages::all().whole_turns(), vec![1, 2, 3, 4, 5, 6, 7]),
        (Messages::last(2).whole_turns(), vec![3, 4, 5, 6, 7]),
        (Messages::last(6).whole_turns(), vec![3, 4, 5, 6, 7]),
        (Messages::last(7).whole_turns(), vec![1, 2, 3, 4, 5, 6, 7]),
        (Messages::last(1).whole_turns().before("m6"), vec![3]),
        (Messages::first(1).whole_turns(), vec![1, 2]),
        (Messages::last(9).whole_turns().since(at(2)), vec![3, 4, 5, 6, 7]),
        (Messages::last(0).whole_turns(), vec![]),
    ] {
        assert_eq!(everywhere(&selection).unwrap(), found, "{selection:?}");
    }
    assert_eq!(everywhere(&Messages::last(2).whole_turns().role("user")), Err(ErrorKind::InvalidInput));
}

#[test]
fn a_span_of_time_is_the_same_in_every_backend() {
    for (selection, found) in [
        (Messages::all().since(at(2)).until(at(4)), vec![2, 3]),
        (Messages::last(2).until(at(4)), vec![2, 3]),
        (Messages::first(2).since(at(2)), vec![2, 3]),
        (Messages::all().since(at(2)).role("tool"), vec![5, 6]),
        (Messages::last(9).since(at(2)).before("m4"), vec![2, 3]),
        (Messages::first(1).until(at(7)).from_place(5), vec![5]),
        (Messages::all().since("2025-03-13T06:30:00".parse().unwrap()), vec![7]),
        (Messages::all().until("2025-03-13T02:30:00+02:00".parse().unwrap()), vec![0]),
        (Messages::all().since(at(3)).until(at(3)), vec![]),
    ] {
        assert_eq!(everywhere(&selection).unwrap(), found, "{selection:?}");
    }
    assert_eq!(everywhere(&Messages::all().since(at(0)).after("nobody")), Err(ErrorKind::NotFound));
}

#[test]
fn times_in_doubt_are_given_in_every_backend_and_count_for_no_limit() {
    let noon: Timestamp = "2025-03-13T12:00:00Z".parse().unwrap();
    let naive_noon: Timestamp = "2025-03-13T12:00:00".parse().unwrap();
    for (selection, found) in [
        (Messages::all().since(noon), vec![3, 5, 6]),
        (Messages::all().until(noon), vec![0, 1, 2, 3, 4, 5]),
        (Messages::all().since(naive_noon), vec![5, 6]),
        (Messages::last(1).since(noon), vec![6]),
        (Messages::first(1).since(noon), vec![3, 5, 6]),
        (Messages::first(1).until(noon), vec![0]),
        (Messages::last(1).until(noon), vec![4, 5]),
        (Messages::last(2).until(noon), vec![2, 3, 4, 5]),
        (Messages::last(2).until(noon).role("user"), vec![2, 3, 4, 5]),
        (Messages::first(3).until(noon).after("m0"), vec![1, 2, 3, 4]),
    ] {
        assert_eq!(everywhere_of(fill_in_doubt, &selection).unwrap(), found, "{selection:?}");
    }
}
