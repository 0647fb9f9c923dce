//! What each command says of each kind of damage, as the table in docs/durability.md has it.
//!
//! Owns the inflicting of the damage. The table is read from the document, so that neither can change without the
//! other: each cell is a run on a fresh copy of a store whose conversation `b` is damaged, or whose log is.

use std::fs;
use std::path::{Path, PathBuf};

use super::Room;

/// The commands, in the order of the table's columns.
const COMMANDS: [&[&str]; 11] = [
    &["ls"],
    &["show", "a"],
    &["show", "b"],
    &["export"],
    &["log"],
    &["stats"],
    &["verify"],
    &["repair", "--to", "repaired"],
    &["add", "a", "x"],
    &["add", "b", "x"],
    &["compact"],
];

/// A store with `a` and `b` in their files and newer events in three segments.
fn store() -> Room {
    let room = Room::new();
    for id in ["a", "b"] {
        room.run(&["add", id, "one"]).fine();
    }
    room.run(&["compact"]).fine();
    fs::copy(room.store().join("conversations/b.json"), room.path("older.json")).unwrap();
    room.run(&["add", "b", "two"]).fine();
    room.run(&["compact"]).fine();
    for text in ["three", "four", "five"] {
        room.run(&["add", "a", text]).fine();
    }
    room
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copied(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// The segments that hold events, oldest first.
fn segments(store: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(store.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> =
        names.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
    segments.sort();
    segments
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Damages a copy of the store as a row of the table says.
fn inflict(damage: &str, room: &Room, store: &Path) {
    let file = store.join("conversations/b.json");
    let last = segments(store).pop().unwrap();
    match damage {
        "none" => {}
        "a bit of b's file is flipped" => change(&file, |bytes| bytes[60] ^= 1),
        "b's file is edited" => {
            fs::write(&file, fs::read_to_string(&file).unwrap().replace("one", "two and more")).unwrap();
        }
        "b's file is an older one of its own" => drop(fs::copy(room.path("older.json"), &file).unwrap()),
        "b's file is cut" => change(&file, |bytes| bytes.truncate(40)),
        "b's file is missing" => fs::remove_file(&file).unwrap(),
        "the list of conversations is cut" => {
            change(&store.join("message_store.json"), |bytes| bytes.truncate(9));
        }
        "a bit of an event is flipped" => change(&segments(store)[1], |bytes| bytes[4096 + 40] ^= 1),
        "a segment in the middle is missing" => fs::remove_file(&segments(store)[1]).unwrap(),
        "a copy lacks the newest segment" => fs::remove_file(last).unwrap(),
        "the checkpoint is missing" => {
            let names = fs::read_dir(store.join("log")).unwrap().map(|entry| entry.unwrap().path());
            for path in names.filter(|path| path.to_string_lossy().contains("CHECKPOINT-")) {
                fs::remove_file(path).unwrap();
            }
        }
        "log/ is missing" => fs::remove_dir_all(store.join("log")).unwrap(),
        "log/ is another store's" => {
            let other = Room::new();
            other.run(&["add", "a", "of another store"]).fine();
            fs::remove_dir_all(store.join("log")).unwrap();
            copied(&other.store().join("log"), &store.join("log"));
        }
        other => panic!("the table has a damage that is not known: {other}"),
    }
}

/// The rows of the table: the damage, a code for each command, and what is said where it is not 0.
fn table() -> Vec<(String, Vec<i32>, String)> {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/durability.md");
    let document = fs::read_to_string(document).unwrap();
    let rows = document.lines().skip_while(|line| !line.starts_with("| damage | `ls`")).skip(2);
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let row = |line: &str| {
        let cells = cells(line);
        assert_eq!(cells.len(), COMMANDS.len() + 2, "{line}");
        let codes = cells[1..=COMMANDS.len()].iter().map(|code| code.parse().unwrap()).collect();
        (cells[0].clone(), codes, cells[COMMANDS.len() + 1].trim_matches('`').to_owned())
    };
    rows.take_while(|line| line.starts_with('|')).map(row).collect()
}

#[test]
fn every_command_says_of_every_damage_what_the_table_has() {
    let room = store();
    let table = table();
    assert!(table.len() >= 13, "{} rows", table.len());
    let mut wrong = Vec::new();
    for (damage, codes, words) in &table {
        for (command, code) in COMMANDS.iter().zip(codes) {
            let copy = Room::new();
            copied(&room.store(), &copy.store());
            inflict(damage, &room, &copy.store());
            let said = copy.run(command);
            let everything = format!("{}{}", said.out, said.err);
            if said.code != Some(*code) || (*code != 0 && !everything.contains(words.as_str())) {
                wrong.push(format!(
                    "{damage}: {command:?} ended with {:?}, not {code}: {everything}",
                    said.code
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
