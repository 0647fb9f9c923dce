//! Databases that other software has written, or is about to.

use super::super::schema::VERSION;
use super::{add, hold, open, stranger, try_open};
use crate::backend::Backend;
use crate::backend::settings::Settings;
use crate::error::ErrorKind;

#[test]
fn a_newer_schema_is_refused_at_every_door() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = open(dir.path());
    add(&engine, "by this version").unwrap();
    let set = |version| {
        let sql = "UPDATE aral_meta SET schema_version = ?1";
        assert_eq!(stranger(dir.path()).execute(sql, [version]).unwrap(), 1);
    };
    set(VERSION + 1);
    // Who has it open already is not asked again at an opening.
    assert_eq!(add(&engine, "misplaced").unwrap_err().kind(), ErrorKind::UnsupportedFormat);
    for is_read_only in [false, true] {
        let refused = try_open(dir.path(), Settings { is_read_only, ..Settings::default() }).0;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::UnsupportedFormat);
    }
    set(VERSION);
    assert_eq!(add(&engine, "again").unwrap().seq, 2);
    hold(&engine);
}

#[test]
fn of_many_who_make_a_store_at_once_one_does_it() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let seqs = std::thread::scope(|scope| {
            let openers: Vec<_> =
                (0..6).map(|_| scope.spawn(|| add(&open(dir.path()).0, "mine").unwrap().seq)).collect();
            let mut seqs: Vec<_> = openers.into_iter().map(|opener| opener.join().unwrap()).collect();
            seqs.sort_unstable();
            seqs
        });
        assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
        let count = |sql| stranger(dir.path()).query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT COUNT(*) FROM aral_meta"), 1);
        hold(&open(dir.path()).0);
    }
}

#[test]
fn a_store_that_is_half_made_is_not_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    // A table of somebody else's is in the way of the last but one.
    stranger(dir.path()).execute_batch("CREATE TABLE aral_tombstones (mine)").unwrap();
    let (refused, _) = try_open(dir.path(), Settings::default());
    assert!(refused.is_err());
    let tables = "SELECT COUNT(*) FROM sqlite_master WHERE name LIKE 'aral%'";
    assert_eq!(stranger(dir.path()).query_row(tables, (), |row| row.get::<_, i64>(0)).unwrap(), 1);
    stranger(dir.path()).execute_batch("DROP TABLE aral_tombstones").unwrap();
    add(&open(dir.path()).0, "made at last").unwrap();
}

#[test]
fn a_reader_makes_nothing_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let reading = || try_open(dir.path(), Settings { is_read_only: true, ..Settings::default() }).0;
    assert_eq!(reading().unwrap_err().kind(), ErrorKind::NotFound);
    stranger(dir.path()).execute_batch("CREATE TABLE somebody_elses (x)").unwrap();
    assert_eq!(reading().unwrap_err().kind(), ErrorKind::NotFound);
    let (writer, _) = open(dir.path());
    add(&writer, "one").unwrap();
    let reader = reading().unwrap();
    assert_eq!(
        reader.append_one(crate::model::Mutation::add_message("c1", "no")).unwrap_err().kind(),
        ErrorKind::ReadOnly
    );
    add(&writer, "two").unwrap();
    assert_eq!(reader.refresh().unwrap(), 2);
}

#[test]
fn what_somebody_changed_in_the_tables_is_found() {
    let changes = [
        "UPDATE aral_message_rows SET content = 'forged' WHERE place = 0",
        "UPDATE aral_message_rows SET place = 7 WHERE place = 1",
        "DELETE FROM aral_message_rows WHERE place = 1",
        "UPDATE aral_conversation_rows SET title = 'forged'",
        "UPDATE aral_conversation_rows SET version = 9",
        "DELETE FROM aral_conversation_rows",
        "DELETE FROM aral_keys",
        "UPDATE aral_keys SET seq = 1",
        "UPDATE aral_events SET payload = x'00' WHERE seq = 1",
        "UPDATE aral_events SET first_seq = 2, last_seq = 2 WHERE seq = 1",
        "DELETE FROM aral_events WHERE seq = 2",
        "DELETE FROM aral_events WHERE seq = 3",
        "UPDATE aral_meta SET next_seq = 9",
        "INSERT INTO aral_tombstones (seq, id_key, id) VALUES (1, x'63', 'c')",
    ];
    for change in changes {
        let dir = tempfile::tempdir().unwrap();
        let (engine, _) = open(dir.path());
        add(&engine, "one").unwrap();
        add(&engine, "two").unwrap();
        engine.append_one(crate::model::Mutation::add_message("c1", "three").key("k")).unwrap();
        hold(&engine);
        stranger(dir.path()).execute_batch(change).unwrap();
        assert!(!engine.verify().unwrap().is_sound(), "{change}");
    }
}

#[test]
fn a_past_of_which_an_event_is_missing_is_refused_and_the_present_is_read() {
    for seq in 1..=3 {
        let dir = tempfile::tempdir().unwrap();
        let (engine, _) = open(dir.path());
        for text in ["one", "two", "three"] {
            add(&engine, text).unwrap();
        }
        assert_eq!(engine.history("c1").unwrap().events.len(), 3);
        stranger(dir.path()).execute_batch(&format!("DELETE FROM aral_events WHERE seq = {seq}")).unwrap();
        for id in ["c1", "c2"] {
            let error = engine.history(id).unwrap_err();
            assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("`verify`"), "{error}");
        }
        assert_eq!(engine.conversation("c1").unwrap().map(|found| found.messages.len()), Some(3));
    }
}
