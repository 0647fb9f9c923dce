//! What names no directory makes none, whichever call it is given to.

use std::sync::Arc;

use aral_store::{Error, ErrorKind, MessageStore, Options};

use crate::support::databases;
use crate::support::simfs::SimFs;

const URL: &str = "postgres://app:secret@db/x";

/// A call that is given the URL.
type Call = fn(Options) -> Error;

#[test]
fn a_url_is_refused_by_every_call_before_the_file_system_is_asked() {
    let fs = SimFs::new();
    let options = || MessageStore::options().vfs(Arc::new(fs.clone()));
    let refused: [(&str, Call); 5] = [
        ("open", |options| options.open(URL).unwrap_err()),
        ("open for reading", |options| options.read_only().open(URL).unwrap_err()),
        ("verify", |options| options.verify(URL).unwrap_err()),
        ("repair to", |options| options.repair("/old", URL).unwrap_err()),
        ("export", |options| options.in_memory().export_aral(URL, None).unwrap_err()),
    ];
    for (name, call) in refused {
        let error = call(options());
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {error}");
        assert!(error.to_string().contains("postgres") && !format!("{error:?}").contains("secret"), "{name}");
        assert_eq!(fs.op_count(), 0, "{name}");
    }
}

#[test]
fn an_opening_says_whether_it_has_made_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let made = |place: &str| MessageStore::connect(place).unwrap().recovery().made;
    let mut places = databases::urls(&dir.path().join("databases"));
    places.push(dir.path().join("data").to_str().unwrap().to_owned());
    for place in places {
        assert!(made(&place), "{place}");
        assert!(!made(&place), "{place}, again");
        let read = MessageStore::options().read_only().connect(&place).unwrap();
        assert!(!read.recovery().made, "{place}, for reading");
    }
    let original = dir.path().join("original");
    MessageStore::in_memory().export_aral(&original, None).unwrap();
    assert!(!made(original.to_str().unwrap()), "what the original keeps is a store");
    assert!(!MessageStore::in_memory().recovery().made);
}
