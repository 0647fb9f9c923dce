//! An erasure that is stopped before any of its statements is finished by the next opening, or has not begun.

use std::path::Path;

use super::faulty::Statements;
use super::{open, try_open_with};
use crate::backend::erasing::Erasing;
use crate::backend::{Backend, sql::Engine};
use crate::model::{Erasure, Mutation, NewConversation, NewMessage, Operation};

const SECRET: &str = "SECRET7f3a9c";

fn has_secret(dir: &Path) -> bool {
    #[expect(clippy::disallowed_methods, reason = "databases live on the real file system")]
    let files = std::fs::read_dir(dir).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()))
}

fn live(engine: &Engine) {
    let title = NewConversation::new().title(SECRET);
    drop(engine.append(vec![Mutation::new("gone", Operation::CreateConversation(title))]).unwrap());
    for (id, text) in [("gone", SECRET), ("stays", "harmless"), ("gone", SECRET)] {
        let message = Mutation::add_message(id, NewMessage::new(text))
            .key(format!("{text} {}", engine.stats().unwrap().last_seq));
        drop(engine.append(vec![message]).unwrap());
    }
}

#[test]
fn an_erasure_from_a_database_that_is_stopped_before_any_statement_is_finished_by_the_next_opening() {
    let (mut at, mut erased, mut kept) = (0, 0, 0);
    loop {
        let dir = tempfile::tempdir().unwrap();
        let (engine, _) = open(dir.path());
        live(&engine);
        engine.close().unwrap();
        drop(engine);
        assert!(has_secret(dir.path()));
        let engine = try_open_with(dir.path(), |faults| faults.writes = Statements::fail_at(at)).unwrap();
        let done = engine.erase(&Erasure::conversation("gone"));
        drop(engine);
        let (engine, _) = open(dir.path());
        let told = format!("stopped before statement {at}: {done:?}");
        assert_eq!(engine.stats().unwrap().compaction_error, None, "{told}");
        assert_eq!(engine.messages("stays", &crate::model::Messages::all()).unwrap().len(), 1, "{told}");
        match engine.conversation("gone").unwrap() {
            None => {
                erased += 1;
                assert!(!has_secret(dir.path()), "{told}");
            }
            Some(there) => {
                kept += 1;
                assert!(done.is_err() && there.messages.len() == 2, "{told}");
            }
        }
        let report = engine.verify().unwrap();
        assert!(report.is_sound() && report.notes.is_empty(), "{told}: {report:?}");
        drop(engine.erase(&Erasure::conversation("gone")).unwrap());
        assert!(!has_secret(dir.path()) && engine.verify().unwrap().is_sound(), "{told}");
        if done.is_ok() {
            break;
        }
        at += 1;
    }
    assert!(at > 15 && erased > 10 && kept > 2, "{at} {erased} {kept}");
}
