//! What each command says of each kind of damage, as the table in docs/durability.md has it.
//!
//! Owns the inflicting of the damage. The table is read from the document, so that neither can change without the
//! other: each cell is a run on a fresh copy of a store whose conversation `b` is damaged, or whose log is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Room, Said, files, said};

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
        "b's file may not be read" => lock_out(&file),
        "a segment may not be read" => lock_out(&segments(store)[1]),
        "b's file has another name" => fs::rename(&file, store.join("conversations/b (1).json")).unwrap(),
        "a second file of b lies beside its own" => {
            fs::copy(room.path("older.json"), store.join("conversations/b (1).json")).unwrap();
        }
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

fn lock_out(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
}

/// Gives a room to somebody for whom rights count, if this user reads everything, and runs a command as that user; `None`
/// if nobody is locked out here.
pub(super) fn run_unprivileged(room: &Room, args: &[&str]) -> Option<Said> {
    use std::os::unix::fs::{MetadataExt, chown};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    if fs::metadata(room.0.path()).unwrap().uid() != 0 {
        return Some(room.run(args));
    }
    let program = room.path("program");
    if !program.exists() {
        fs::copy(super::BINARY, &program).unwrap();
    }
    let mut waiting = vec![room.0.path().to_owned()];
    while let Some(path) = waiting.pop() {
        chown(&path, Some(NOBODY), Some(NOBODY)).ok()?;
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    let mut command = Command::new(&program);
    command.current_dir(room.0.path()).env_remove("ARAL_STORE_DIR").args(["-d", "store"]).args(args);
    command.uid(NOBODY).gid(NOBODY).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().ok().map(said)
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
fn a_second_file_of_a_conversation_is_no_damage_to_it() {
    let room = store();
    inflict("a second file of b lies beside its own", &room, &room.store());
    for command in [&["ls"][..], &["verify"], &["stats"], &["export"], &["repair", "--to", "repaired"]] {
        let said = room.run(command);
        let everything = format!("{}{}", said.out, said.err);
        let told: Vec<&str> = everything.lines().filter(|line| line.contains("b (1).json")).collect();
        assert!(!told.is_empty() && everything.contains("move this file away"), "{command:?}: {everything}");
        assert!(!everything.contains("damaged conversation \"b\""), "{command:?}: {everything}");
    }
    let quarantine = room.path("repaired/log/quarantine");
    let [kept] = &files(&quarantine)[..] else { panic!("one file is kept") };
    assert_eq!(fs::read(quarantine.join(kept)).unwrap(), fs::read(room.path("older.json")).unwrap());
    let before = room.run(&["log"]).out;
    let accepted = room.run(&["accept", "b"]);
    assert!(accepted.code == Some(0) && accepted.err.contains("nothing to accept"), "{}", accepted.err);
    assert_eq!(room.run(&["log"]).out, before, "a sound conversation is left alone");
    assert_eq!(room.run(&["accept", "--all"]).code, Some(5));
    fs::remove_file(room.store().join("conversations/b (1).json")).unwrap();
    room.run(&["verify"]).fine();
}

#[test]
fn a_file_that_got_another_name_is_one_damage_that_names_it() {
    let room = store();
    inflict("b's file has another name", &room, &room.store());
    for command in ["ls", "verify"] {
        let said = room.run(&[command]);
        let everything = format!("{}{}", said.out, said.err);
        let told: Vec<&str> =
            everything.lines().filter(|line| line.contains("damaged conversation")).collect();
        assert_eq!(told.len(), 1, "{everything}");
        assert!(
            told[0].contains("b (1).json holds the conversation: give that file the name b.json"),
            "{told:?}"
        );
        assert!(!everything.contains("second file"), "{everything}");
    }
    fs::rename(room.store().join("conversations/b (1).json"), room.store().join("conversations/b.json"))
        .unwrap();
    room.run(&["verify"]).fine();
}

#[test]
fn what_is_said_of_a_list_of_conversations_puts_it_right() {
    for damage in ["is missing", "is cut", "names another", "has a flipped bit"] {
        let room = store();
        let list = room.store().join("message_store.json");
        match damage {
            "is missing" => fs::remove_file(&list).unwrap(),
            "is cut" => change(&list, |bytes| bytes.truncate(9)),
            "has a flipped bit" => change(&list, |bytes| bytes[20] ^= 1),
            _ => fs::write(&list, fs::read_to_string(&list).unwrap().replace("\"b\"", "\"bee\"")).unwrap(),
        }
        let said = room.run(&["verify"]);
        assert!(
            said.code == Some(5) && said.out.contains("`aral-store compact` writes it anew"),
            "{}",
            said.out
        );
        assert!(!said.out.contains("accept"), "{}", said.out);
        if damage != "is missing" {
            assert!(said.out.contains("move this file away"), "{}", said.out);
            fs::remove_file(&list).unwrap();
        }
        room.run(&["compact"]).fine();
        room.run(&["verify"]).fine();
    }
    // A list that was edited and taken in as it is names a conversation that nobody has: that is said, and how it ends.
    let room = store();
    let list = room.store().join("message_store.json");
    fs::write(&list, fs::read_to_string(&list).unwrap().replace("\"b\"", "\"bee\"")).unwrap();
    room.run(&["compact"]);
    let said = room.run(&["verify"]);
    assert!(said.out.contains("take the conversation away with `aral-store rm`"), "{}", said.out);
    room.run(&["rm", "bee", "--yes"]);
    // Its opening still finds the list that was edited, and says so.
    assert_eq!(room.run(&["compact"]).code, Some(0));
    room.run(&["verify"]).fine();
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
            let said = if damage.contains("may not be read") {
                let Some(said) = run_unprivileged(&copy, command) else { continue };
                said
            } else {
                copy.run(command)
            };
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

/// A repair only reads the store, and was refused where this user may not lock it.
#[test]
fn a_store_that_may_only_be_read_is_repaired_and_that_nobody_was_kept_away_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let room = store();
    let lock = room.store().join("log/LOCK");
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o444)).unwrap();
    let Some(said) = run_unprivileged(&room, &["repair", "--to", "saved"]) else { return };
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("may read the store and not lock it") && said.out.contains("nothing lost"),
        "{said:?}"
    );
    let both = run_unprivileged(&room, &["verify", "--json"]).unwrap();
    assert!(both.code == Some(0) && both.out.contains(r#""sound":true"#), "{both:?}");
}

#[test]
fn what_may_not_be_read_is_no_damage_and_hides_none() {
    let room = store();
    lock_out(&room.store().join("conversations/b.json"));
    let Some(said) = run_unprivileged(&room, &["verify", "--json"]) else { return };
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains(r#""type":"forbidden""#) && said.out.contains(r#""sound":false"#), "{said:?}");
    assert!(said.out.contains(r#""damaged":0"#), "{said:?}");
    change(&room.store().join("conversations/a.json"), |bytes| bytes[60] ^= 1);
    let said = run_unprivileged(&room, &["verify", "--json"]).unwrap();
    assert!(said.code == Some(5) && said.out.contains(r#""damaged":1"#), "{said:?}");
}
