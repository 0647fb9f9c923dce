//! Damaged databases saved into a new store: whichever page is overwritten, wherever the file is cut off, and whatever somebody altered.

use std::path::Path;
use std::sync::Arc;

use super::altered::{alter, lines, made};
use super::{Engine, open, stranger};
use crate::backend::copy::copy;
use crate::backend::memory::Memory;
use crate::backend::settings::Settings;
use crate::backend::sql::Salvaged;
use crate::backend::sqlite::SqliteConnector;
use crate::backend::{Backend, sqlite};
use crate::error::{ErrorKind, Result};
use crate::model::{Conversation, Mutation, NewMessage, Order, RepairReport, Text};

const PAGE: usize = 4096;

/// Every conversation of a store, in the order of creation.
fn all(store: &dyn Backend) -> Vec<Conversation> {
    let listed = store.conversations(Order::Created, None).unwrap();
    listed.iter().map(|summary| store.conversation(&summary.id).unwrap().unwrap()).collect()
}

/// What is saved of the database in a directory, and what is said of the rest.
fn save(dir: &Path) -> Result<(Vec<Conversation>, RepairReport)> {
    let settings = Settings { is_read_only: true, ..Settings::default() };
    let salvaged = Salvaged::open(&SqliteConnector::new(&dir.join("store.db"), &settings))?;
    let new = Memory::new(Settings::default());
    copy(&salvaged, &new, &mut |_| {})?;
    Ok((all(&new), salvaged.report()))
}

/// A database of many pages, in one file.
fn large(dir: &Path) -> Vec<Conversation> {
    let (engine, _) = open(dir);
    for number in 0..150 {
        let id = format!("c{}", number % 12);
        let text = format!("{number} {}", "words ".repeat(20));
        let message = NewMessage::new(text).id(format!("m{number}"));
        engine.append_one(Mutation::add_message(&id, message)).unwrap();
    }
    engine.append_one(Mutation::add_message("c3", "long ".repeat(3000))).unwrap();
    for line in [
        r#"{"type":"set_title","conversation_id":"c4","title":"Another"}"#,
        r#"{"type":"remove_message","conversation_id":"c5","message_id":"m5"}"#,
    ] {
        engine.append(Mutation::from_json_line(line.as_bytes()).unwrap()).unwrap();
    }
    let whole = all(&*engine);
    in_one_file(engine, dir);
    whole
}

/// Closes a store, and has everything in the file itself.
fn in_one_file(engine: Arc<Engine>, dir: &Path) {
    engine.close().unwrap();
    drop(engine);
    let mode: String = stranger(dir).query_row("PRAGMA journal_mode = DELETE", (), |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
}

#[expect(clippy::disallowed_methods, reason = "SQLite keeps its file in the real file system")]
fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "SQLite keeps its file in the real file system")]
fn write(file: &Path, bytes: &[u8]) {
    std::fs::write(file, bytes).unwrap();
}

/// Bytes that are no page.
fn garbage(seed: usize) -> Vec<u8> {
    let mut state = u64::try_from(seed).unwrap() | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).unwrap()
    };
    (0..PAGE).map(|_| next()).collect()
}

fn without_versions(mut all: Vec<Conversation>) -> Vec<Conversation> {
    for conversation in &mut all {
        conversation.version = 0;
    }
    all
}

#[test]
fn whichever_page_is_overwritten_no_message_is_lost_and_nothing_is_made_up() {
    let dir = tempfile::tempdir().unwrap();
    let whole = without_versions(large(dir.path()));
    let file = dir.path().join("store.db");
    let sound = read(&file);
    let pages = sound.len() / PAGE;
    assert!(pages > 40, "{pages} pages");
    let (mut unreadable, mut incomplete) = (0, 0);
    for page in 0..pages {
        let mut bytes = sound.clone();
        bytes[page * PAGE..(page + 1) * PAGE].copy_from_slice(&garbage(page));
        write(&file, &bytes);
        match save(dir.path()) {
            // The list of tables.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "page {page}: {error}");
                unreadable += 1;
            }
            Ok((saved, report)) => {
                assert!(without_versions(saved) == whole, "page {page}: {report:#?}");
                incomplete += usize::from(!report.is_complete());
                let names_rows = |text: &str| text.starts_with("aral_events: event");
                assert!(report.lost.iter().all(|loss| names_rows(&loss.reason) || loss.first_seq.is_none()));
            }
        }
        assert_eq!(read(&file), bytes, "page {page}: the source was changed");
    }
    assert!(unreadable <= 6, "{unreadable} pages have the list of tables");
    assert!(incomplete > 10, "{incomplete} pages have events");
}

#[test]
fn a_file_that_is_cut_off_gives_what_is_left_and_names_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let whole = large(dir.path());
    let file = dir.path().join("store.db");
    let sound = read(&file);
    let pages = sound.len() / PAGE;
    let (mut partial, mut most) = (0, 0);
    for kept in (10..pages).step_by(2) {
        let bytes = &sound[..kept * PAGE];
        write(&file, bytes);
        let Ok((saved, report)) = save(dir.path()) else { continue };
        let texts = |all: &[Conversation]| -> Vec<Text> {
            all.iter().flat_map(|one| &one.messages).map(|message| message.content.clone()).collect()
        };
        let (had, has) = (texts(&whole), texts(&saved));
        assert!(has.iter().all(|text| had.contains(text) || text.as_str().unwrap().starts_with("5 ")));
        // The last pages may be of an index alone.
        assert!(!report.is_complete() || saved == whole, "{kept} of {pages} pages: {report:#?}");
        for (text, conversation) in whole.iter().flat_map(|one| one.messages.iter().map(move |m| (m, one))) {
            let id = &conversation.id;
            let is_named = |loss: &crate::model::Loss| {
                loss.conversation_id.as_ref() == Some(id) || loss.reason.starts_with("aral_message_rows, seq")
            };
            assert!(
                has.contains(&text.content) || report.lost.iter().any(is_named),
                "{kept} of {pages} pages: {id}, {:?}: {report:#?}",
                text.id
            );
        }
        partial += usize::from(!report.is_complete());
        most = most.max(has.len());
        assert_eq!(read(&file), bytes);
    }
    assert!(partial > 4 && most > 140, "{partial} times, {most} messages");
}

#[test]
fn events_that_somebody_altered_are_named_and_what_they_led_to_is_saved_from_the_tables() {
    const EVENTS: &str = include_str!("../../../../tests/altered/events.txt");
    for line in lines(EVENTS) {
        let (numbers, change) = line.split_once(" ~ ").unwrap();
        let change = change.split_once(" ~ ").unwrap().1;
        let dir = tempfile::tempdir().unwrap();
        let engine = made(dir.path());
        let whole = without_versions(all(&*engine));
        in_one_file(engine, dir.path());
        alter(dir.path(), change);
        let (saved, report) = save(dir.path()).unwrap();
        assert_eq!(without_versions(saved), whole, "{change}: {report:#?}");
        for number in numbers.split_whitespace().map(|number| number.parse().unwrap()) {
            let is_of = |loss: &crate::model::Loss| {
                loss.reason.starts_with("aral_events: ")
                    && (loss.first_seq..=loss.last_seq).contains(&Some(number))
            };
            assert!(report.lost.iter().any(is_of), "{change}: {report:#?}");
        }
    }
}

#[test]
fn rows_that_somebody_altered_are_as_their_events_say() {
    const TABLES: &str = include_str!("../../../../tests/altered/tables.txt");
    for (said, change) in lines(TABLES).map(|line| line.split_once(" ~ ").unwrap()) {
        let dir = tempfile::tempdir().unwrap();
        let engine = made(dir.path());
        let whole = all(&*engine);
        in_one_file(engine, dir.path());
        alter(dir.path(), change);
        let (saved, report) = save(dir.path()).unwrap();
        assert_eq!(saved, whole, "{change}: {report:#?}");
        assert!(report.is_complete(), "{change}: {report:#?}");
        assert!(report.notes.iter().any(|note| note.contains(said)), "{change}: {:#?}", report.notes);
    }
}

#[test]
fn a_row_and_its_event_that_are_both_gone_are_named_and_nothing_else_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let engine = made(dir.path());
    let mut whole = without_versions(all(&*engine));
    in_one_file(engine, dir.path());
    alter(dir.path(), "UPDATE aral_events SET crc = 1 WHERE seq = 8");
    alter(dir.path(), "UPDATE aral_message_rows SET created_at = 'yesterday' WHERE seq = 8");
    let (saved, report) = save(dir.path()).unwrap();
    let lost: Vec<&str> = report.lost.iter().map(|loss| loss.reason.as_str()).collect();
    assert!(lost.iter().any(|text| text.starts_with("aral_events: event 8 ")), "{lost:#?}");
    assert!(lost.iter().any(|text| text.starts_with("aral_message_rows, seq 8: ")), "{lost:#?}");
    assert!(report.lost.iter().all(|loss| loss.conversation_id.as_deref() == Some("c1")), "{report:#?}");
    whole[0].messages.retain(|message| message.id != "m4");
    assert_eq!(without_versions(saved), whole);
    // A key whose event is left is used in the new store, too.
    let settings = Settings { is_read_only: true, ..Settings::default() };
    let salvaged = sqlite::salvage(&dir.path().join("store.db"), &settings).unwrap();
    let new = Memory::new(Settings::default());
    copy(&salvaged, &new, &mut |_| {}).unwrap();
    let again = Mutation::add_message("c2", "another one").key("k2");
    assert_eq!(new.append_one(again).unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn what_stays_with_the_old_database_is_named_or_said_to_be_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let engine = made(dir.path());
    in_one_file(engine, dir.path());
    alter(dir.path(), "CREATE TABLE aral_erasures (number INTEGER PRIMARY KEY, receipt TEXT NOT NULL)");
    alter(dir.path(), "INSERT INTO aral_erasures VALUES (1, 'one'), (2, 'another')");
    let of = |what: &str| -> Vec<String> {
        let notes = save(dir.path()).unwrap().1.notes;
        notes.into_iter().filter(|note| note.contains(what)).collect()
    };
    assert_eq!(of("receipts").len(), 1);
    let file = dir.path().join("store.db");
    let sql = "SELECT rootpage FROM sqlite_master WHERE name = 'aral_erasures'";
    let page: u32 = stranger(dir.path()).query_row(sql, (), |row| row.get(0)).unwrap();
    let page = usize::try_from(page).unwrap();
    let mut bytes = read(&file);
    bytes[(page - 1) * PAGE..page * PAGE].copy_from_slice(&garbage(page));
    write(&file, &bytes);
    let told = of("receipts");
    assert!(told.len() == 1 && told[0].starts_with("aral_erasures: "), "{told:?}");
    assert!(told[0].ends_with("whether it has receipts of what was erased is not known"), "{told:?}");
}
