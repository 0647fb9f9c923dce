//! The same commands on a store in a database.

use super::{Room, Said, message_line};
use crate::support::{databases, server};

/// The URLs of a fresh database of each engine.
pub(super) fn urls(room: &Room) -> Vec<String> {
    databases::urls(&room.path("databases"))
}

fn on(room: &Room, url: &str, args: &[&str]) -> Said {
    room.run(&[&["-d", url], args].concat())
}

#[test]
fn every_command_does_on_a_database_what_it_does_on_a_directory() {
    for which in 0..urls(&Room::new()).len() {
        let room = Room::new();
        let url = urls(&room).swap_remove(which);
        let lines = message_line("c2", "from a file") + &message_line("c2", "and more");
        std::fs::write(room.path("in.jsonl"), lines).unwrap();
        let changes: [&[&str]; 9] = [
            &["new", "--id", "c1", "--title", "T", "--metadata", "{\"n\":1.0}"],
            &["add", "c1", "one", "--key", "k1"],
            &["add", "c1", "two", "-r", "assistant"],
            &["act", "c1", "call", "{\"a\":[1.0,10000000000000000000000]}"],
            &["append", "in.jsonl"],
            &["rename", "c2", "Another"],
            &["new", "--id", "c3"],
            &["rm", "c3", "--yes"],
            &["add", "c1", "one", "--key", "k1"],
        ];
        for change in changes {
            // Ids are made up; that they are printed is enough.
            let (one, other) = (on(&room, &url, change), room.run(change));
            assert_eq!((one.code, one.err), (other.code, other.err_without_past()), "{change:?}");
        }
        // Times and the ids that were made up differ between the two; those of the directory are taken over.
        on(&room, &url, &["rm", "c1", "--yes"]).fine();
        on(&room, &url, &["rm", "c2", "--yes"]).fine();
        assert_eq!(room.run(&["export", "--to", "jsonl", "-o", "all.jsonl"]).code, Some(0));
        on(&room, &url, &["import", "all.jsonl", "--revive"]).fine();
        let reads: [&[&str]; 5] = [
            &["show", "c1", "--json"],
            &["show", "c2", "-n", "1"],
            &["export", "--to", "jsonl"],
            &["export", "--to", "markdown"],
            &["export", "c1", "--to", "html"],
        ];
        for read in reads {
            assert_eq!(on(&room, &url, read).fine(), room.run(read).fine(), "{read:?}");
        }
        assert_eq!(on(&room, &url, &["ls", "--json"]).json().len(), 2);
        assert_eq!(on(&room, &url, &["export", "--to", "aral", "-o", "from-database"]).code, Some(0));
        assert_eq!(room.run(&["export", "--to", "aral", "-o", "from-directory"]).code, Some(0));
        let (one, other) = (room.path("from-database"), room.path("from-directory"));
        for file in super::files(&other) {
            assert_eq!(
                std::fs::read(one.join(&file)).unwrap(),
                std::fs::read(other.join(&file)).unwrap(),
                "{file:?}"
            );
        }
        std::fs::remove_dir_all(&one).unwrap();
        std::fs::remove_dir_all(&other).unwrap();
        let events = on(&room, &url, &["log", "--json"]).json();
        assert!(events.iter().zip(1..).all(|(event, seq)| event["seq"] == seq), "{events:?}");
        assert_eq!(on(&room, &url, &["stats", "--json"]).json()[0]["last_seq"], events.len());
        assert!(on(&room, &url, &["verify"]).fine().starts_with("sound"));
    }
}

#[test]
fn what_makes_no_sense_on_a_database_says_why() {
    let room = Room::new();
    for url in urls(&room) {
        let absent = on(&room, &url, &["ls"]).fails(3);
        assert!(
            absent.contains("no such database") || absent.contains("no store in this database"),
            "{absent}"
        );
        on(&room, &url, &["add", "c1", "x", "--no-create"]).fails(3);
        on(&room, &url, &["ls"]).fails(3);
        if url.starts_with("sqlite:") {
            assert_eq!(std::fs::read_dir(room.path("databases")).unwrap().count(), 0, "nothing was made");
        }
        let made = on(&room, &url, &["add", "c1", "x"]);
        assert!(made.made.is_some(), "{made:?}");
        let compacted = on(&room, &url, &["compact"]).fails(1);
        assert!(compacted.contains("nothing to compact"), "{compacted}");
        for args in [&["accept", "--all"][..], &["accept", "c1"], &["ls", "--salvage"]] {
            let said = on(&room, &url, args).fails(1);
            assert!(said.contains("verify") && said.contains("repair --in-place"), "{args:?}: {said}");
        }
        let repaired = on(&room, &url, &["repair", "--in-place"]).fine();
        assert!(repaired.starts_with("complete: 1 conversation, 1 message"), "{repaired}");
        assert_eq!(on(&room, &url, &["show", "c1", "--json"]).json().len(), 1);
    }
}

#[test]
fn a_file_that_is_no_database_is_told_so_and_left_as_it_is() {
    let room = Room::new();
    let text = b"these are my notes, and no database at all; they are longer than a header\n".repeat(20);
    std::fs::write(room.path("notes.txt"), &text).unwrap();
    for args in [&["ls"][..], &["add", "c1", "x"], &["verify"]] {
        let said = on(&room, "sqlite:notes.txt", args).fails(5);
        assert!(said.contains("not a database"), "{said}");
    }
    assert_eq!(std::fs::read(room.path("notes.txt")).unwrap(), text);
    let said = on(&room, "sqlite:nowhere/x.db", &["add", "c1", "x"]).fails(3);
    assert!(said.contains("nowhere/x.db"), "{said}");
    std::fs::create_dir(room.path("folder")).unwrap();
    for args in [&["ls"][..], &["add", "c1", "x"], &["verify"]] {
        let said = on(&room, "sqlite:folder", args).fails(2);
        assert!(said.contains("this is a directory"), "{said}");
    }
    assert_eq!(std::fs::read_dir(room.path("folder")).unwrap().count(), 0);
}

/// A database of another program's got the store's tables without a word, and a store's file that was named without its scheme
/// was only said to be no directory.
#[test]
fn a_database_that_is_another_programs_is_told_of() {
    let room = Room::new();
    on(&room, "sqlite:a.db", &["add", "c1", "x"]);
    for args in [&["ls"][..], &["add", "c1", "x"]] {
        let said = room.run(&[&["-d", "a.db"], args].concat()).fails(2);
        assert!(said.contains("write sqlite: before its name"), "{said}");
    }
    // An empty database of somebody's: a header, and no tables.
    let other = database_of_others(&room);
    let said = on(&room, &other, &["ls"]).fails(3);
    assert!(said.contains("no store in this database"), "{said}");
    let made = on(&room, &other, &["add", "c1", "x"]);
    assert_eq!(made.code, Some(0));
    assert!(made.err.contains("holds other things"), "{made:?}");
    on(&room, &other, &["add", "c1", "y"]).fine();
}

/// A database of SQLite's that is not the store's: a page with a header and no tables.
fn database_of_others(room: &Room) -> String {
    let mut page = b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20".to_vec();
    for number in [1_u32, 1, 0, 0, 0, 0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0, 1, 3_040_001] {
        page.extend(number.to_be_bytes());
    }
    page.extend([0x0d, 0, 0, 0, 0, 0x10, 0, 0]);
    page.resize(4096, 0);
    std::fs::write(room.path("other.db"), page).unwrap();
    "sqlite:other.db".to_owned()
}

#[test]
fn what_can_be_read_of_a_damaged_database_goes_into_a_new_store() {
    for which in 0..urls(&Room::new()).len() {
        let room = Room::new();
        let url = urls(&room).swap_remove(which);
        for text in ["one", "two", "three"] {
            on(&room, &url, &["add", "c1", text, "--key", text]).fine();
        }
        on(&room, &url, &["add", "c2", "apart"]).fine();
        let sound = on(&room, &url, &["repair", "--to", "sound"]).fine();
        assert!(sound.ends_with(
            "complete: 2 conversations, 4 messages, 0 actions, 4 events carried out again, nothing lost\n"
        ));
        alter(&url, "UPDATE aral_events SET crc = 7 WHERE seq IN (2, 3)");
        alter(&url, "UPDATE aral_message_rows SET created_at = 'yesterday' WHERE seq = 3");
        let verified = on(&room, &url, &["verify"]).out;
        let run = on(&room, &url, &["repair", "--to", "new", "--json"]);
        assert_eq!(run.code, Some(5), "{run:?}");
        let lines: Vec<serde_json::Value> =
            run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let lost: Vec<_> = lines.iter().filter(|line| line["type"] == "lost").collect();
        assert_eq!(lost.len(), 3, "{lines:#?}");
        for (line, seq) in lost.iter().zip([2, 3]) {
            assert_eq!((&line["first_seq"], &line["conversation_id"]), (&seq.into(), &"c1".into()));
            let ought = format!("aral_events: event {seq} does not have its checksum");
            assert_eq!(line["reason"], ought.as_str());
        }
        let row = lost[2]["reason"].as_str().unwrap();
        assert!(row.starts_with("aral_message_rows, seq 3: ") && row.contains("is no time"), "{row}");
        assert_eq!(lost[2]["conversation_id"], "c1");
        let shown = room.run(&["-d", "new", "show", "c1", "--json"]).json();
        let messages = shown[0]["messages"].as_array().unwrap();
        let texts: Vec<_> = messages.iter().map(|message| message["content"].as_str().unwrap()).collect();
        assert_eq!(texts, ["one", "two"]);
        assert_eq!(room.run(&["-d", "new", "show", "c2", "--json"]).json().len(), 1);
        assert!(room.run(&["-d", "new", "verify"]).fine().starts_with("sound"));
        // The source is as it was, and what is there is not written over.
        assert_eq!(on(&room, &url, &["verify"]).out, verified);
        let again = on(&room, &url, &["repair", "--to", "new"]).fails(2);
        assert!(again.contains("not empty"), "{again}");
        let itself = on(&room, &url, &["repair", "--to", &url]).fails(2);
        assert!(itself.contains("another one than the damaged one"), "{itself}");
        // Into another database, too.
        let other = Room::new();
        for to in urls(&other) {
            let run = on(&room, &url, &["repair", "--to", &to]);
            assert_eq!(run.code, Some(5), "{run:?}");
            assert_eq!(on(&room, &to, &["show", "c1", "--json"]).json(), shown);
            assert!(on(&room, &to, &["verify"]).fine().starts_with("sound"));
            let again = on(&room, &url, &["repair", "--to", &to]).fails(2);
            assert!(again.contains("not empty"), "{again}");
        }
    }
}

/// Has somebody else carry a statement out.
fn alter(url: &str, sql: &str) {
    match url.strip_prefix("sqlite:") {
        #[cfg(feature = "sqlite")]
        Some(path) => drop(rusqlite::Connection::open(path).unwrap().execute(sql, []).unwrap()),
        _ => {
            let schema = url.split_once("schema=").unwrap().1;
            server::shared().unwrap().sql(&format!("SET search_path = {schema}; {sql}"));
        }
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn what_stands_beside_a_damaged_event_can_be_taken_into_a_new_store() {
    let room = Room::new();
    let url = urls(&room).swap_remove(0);
    on(&room, &url, &["add", "c1", "one"]).fine();
    on(&room, &url, &["add", "c1", "two"]).fine();
    let path = url.strip_prefix("sqlite:").unwrap();
    rusqlite::Connection::open(path)
        .unwrap()
        .execute("UPDATE aral_events SET crc = 7 WHERE seq = 1", [])
        .unwrap();
    let verified = on(&room, &url, &["verify"]);
    assert_eq!(verified.code, Some(5));
    assert!(verified.out.contains("they can still be read"), "{verified:?}");
    let refused = on(&room, &url, &["repair", "--in-place"]).fails(5);
    assert!(refused.contains("event 1") && refused.contains("repair --to NEW"), "{refused}");
    assert_eq!(on(&room, &url, &["export", "-o", "all.jsonl"]).code, Some(0));
    room.run(&["import", "all.jsonl"]).fine();
    assert_eq!(room.run(&["show", "c1", "--json"]).fine(), on(&room, &url, &["show", "c1", "--json"]).fine());
}

fn copied(room: &Room, from: &str, to: &str) -> Said {
    let mut command = std::process::Command::new(super::BINARY);
    super::said(super::piped(command.current_dir(room.path("")).args(["copy", from, to])))
}

/// Who may only read gets every answer that takes no writing, and of everything else an error that says which right is missing.
#[test]
fn a_user_who_may_only_read_reads_with_every_command_and_writes_with_none() {
    let Some(server) = server::shared() else { return };
    let room = Room::new();
    let owned = server.url("told");
    std::fs::write(room.path("in.jsonl"), message_line("c2", "from a file")).unwrap();
    on(&room, &owned, &["add", "c1", "one of them"]).fine();
    on(&room, &owned, &["add", "c1", "another"]).fine();
    on(&room, &owned, &["export", "--to", "jsonl", "-o", "out.jsonl"]).fine();
    server.sql(
        "CREATE ROLE onlooker LOGIN; GRANT USAGE ON SCHEMA told TO onlooker; GRANT SELECT ON ALL TABLES IN SCHEMA told TO onlooker",
    );
    let url = owned.replace("app@", "onlooker@");
    let reads: [&[&str]; 10] = [
        &["ls"],
        &["show", "c1"],
        &["log", "--json"],
        &["export", "--to", "html"],
        &["export", "--to", "jsonl"],
        &["search", "another"],
        &["stats", "--json"],
        &["verify"],
        &["rm", "c1", "--dry-run"],
        &["import", "out.jsonl", "--dry-run"],
    ];
    for read in reads {
        assert_eq!(on(&room, &url, read).fine(), on(&room, &owned, read).fine(), "{read:?}");
    }
    let writes: [&[&str]; 8] = [
        &["new", "--id", "c3"],
        &["add", "c1", "x"],
        &["act", "c1", "call", "{}"],
        &["append", "in.jsonl"],
        &["rename", "c1", "Another"],
        &["rm", "c1", "--yes"],
        &["import", "out.jsonl"],
        &["repair", "--in-place"],
    ];
    room.run(&["-d", "out", "add", "c9", "x"]).fine();
    let before = on(&room, &owned, &["log", "--json"]).fine();
    let refusals = writes.map(|write| (write, on(&room, &url, write)));
    let copy = (&["copy"][..], copied(&room, "out", &url));
    for (write, said) in refusals.into_iter().chain([copy]) {
        let refused = said.fails(1);
        assert!(
            refused.contains("permission denied") && refused.contains("a user who may write"),
            "{write:?}: {refused}"
        );
    }
    assert_eq!(on(&room, &owned, &["log", "--json"]).fine(), before);
    assert_eq!(copied(&room, &url, "copied").code, Some(0));
    assert_eq!(room.run(&["-d", "copied", "show", "c1", "--json"]).json().len(), 1);
}
