//! First mistakes: each gets one line that says what to do next, the right code, and changes nothing.

use std::fs;

use super::{Room, files};

/// What somebody types, what it ends with, and what the line says.
type Row<'a> = (&'a [&'a str], i32, &'a [&'a str]);

/// Holds the rows against the program; nothing may be on standard output and no file may change.
#[track_caller]
fn hold(room: &Room, rows: &[Row<'_>]) {
    let contents = || -> Vec<_> {
        let all = files(room.0.path()).into_iter();
        all.map(|file| (fs::read(room.path(file.to_str().unwrap())).ok(), file)).collect()
    };
    let before = contents();
    for (args, code, parts) in rows {
        let run = room.run(args);
        assert_eq!(run.out, "", "{args:?}");
        let error = run.fails(*code);
        for part in *parts {
            assert!(error.contains(part), "{args:?}: {error}");
        }
        assert_eq!(contents(), before, "{args:?}");
    }
}

#[test]
fn without_a_store() {
    let room = Room::new();
    fs::write(room.path("file"), "mine").unwrap();
    fs::create_dir(room.path("other")).unwrap();
    fs::write(room.path("other/notes.txt"), "mine").unwrap();
    fs::create_dir(room.path("empty")).unwrap();
    let next = &["-d DIR", "ARAL_STORE_DIR"];
    hold(
        &room,
        &[
            (&["ls"], 3, next),
            (&["show", "c1"], 3, next),
            (&["log"], 3, next),
            (&["rm", "c1", "--yes"], 3, next),
            (&["ls", "-d", "other"], 3, next),
            (&["ls", "-d", "empty"], 3, next),
            (&["compact", "-d", "other"], 3, next),
            (&["rename", "c", "t", "-d", "empty"], 3, next),
            (&["verify", "-d", "other"], 3, next),
            (&["repair", "other", "--to", "new"], 3, next),
            (&["repair", "empty", "--to", "new"], 3, next),
            (&["ls", "-d", "file"], 2, &["a directory", "file"]),
            (&["add", "c", "x", "-d", "file"], 2, &["a directory", "file"]),
            (&["add", "c", "x", "-d", "file/below"], 1, &["file"]),
            (&["import", "other"], 3, &["no conversations", "message_store.json"]),
            (&["import", "nowhere"], 3, &["check the name", "nowhere"]),
            (&["append", "nowhere"], 3, &["check the name", "nowhere"]),
            (&["append", "other"], 1, &["name a file", "other"]),
        ],
    );
}

#[test]
fn in_the_words() {
    let room = Room::new();
    room.run(&["add", "c1", "x"]).fine();
    let usage = |command: &'static str| -> String { format!("see aral-store{command} --help") };
    let (add, act, show, none) = (usage(" add"), usage(" act"), usage(" show"), usage(""));
    hold(
        &room,
        &[
            (&[], 2, &["a command is needed", &none]),
            (&["shwo", "c1"], 2, &["'show'", &none]),
            (&["frobnicate"], 2, &[&none]),
            (&["add", "c1", "two", "words"], 2, &["quotes", &add]),
            (&["add", "c1"], 2, &["<TEXT>", "standard input", &add]),
            (&["add", "c1", "x", "--meta", "{}"], 2, &["'--metadata'", &add]),
            (&["rename", "c1", "two", "words"], 2, &["quotes"]),
            (&["act", "c1", "t"], 2, &["<JSON>", &act]),
            (&["act", "c1", "t", "{bad"], 2, &["byte 1", "single quotes"]),
            (&["act", "c1", "t", "[1]"], 2, &["an object", "single quotes"]),
            (&["add", "c1", "x", "--metadata", "a=b"], 2, &["--metadata", "single quotes"]),
            (&["show"], 2, &["<CONV>", &show]),
            (&["export", "--to", "word"], 2, &["jsonl"]),
            (&["export", "--to", "aral"], 2, &["-o PATH"]),
            (&["ls", "--by", "colour"], 2, &["activity"]),
            (&["rm", "c1"], 2, &["--yes", "nothing was removed"]),
        ],
    );
}

#[test]
fn in_the_names() {
    let room = Room::new();
    room.run(&["add", "c1", "x"]).fine();
    room.run(&["add", "c1", "x", "--key", "k"]).fine();
    fs::write(room.path("out"), "mine").unwrap();
    fs::write(room.path("bad.jsonl"), "{\"a\":1}\n").unwrap();
    hold(
        &room,
        &[
            (&["show", "c2"], 3, &["\"c2\"", "aral-store ls"]),
            (&["rename", "c2", "T"], 3, &["\"c2\"", "aral-store ls"]),
            (&["export", "c2"], 3, &["\"c2\"", "aral-store ls"]),
            (&["rm", "c1/nothing", "--yes"], 3, &["\"c1/nothing\"", "show"]),
            (&["new", "--id", "c1"], 4, &["exists", "another --id"]),
            (&["add", "c1", "x", "--expect", "9"], 4, &["version 2, not 9", "ls --json"]),
            (&["add", "c1", "other", "--key", "k"], 4, &["key"]),
            (&["export", "-o", "out"], 2, &["not overwritten", "out"]),
            (&["append", "bad.jsonl"], 1, &["line 1", "\"type\"", "bad.jsonl"]),
        ],
    );
}

#[test]
#[cfg(unix)]
fn in_the_rights() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    room.run(&["add", "c1", "x"]).fine();
    let set = |mode| fs::set_permissions(room.store(), fs::Permissions::from_mode(mode)).unwrap();
    set(0o0);
    let may_enter = fs::read_dir(room.store()).is_ok();
    let runs = [room.run(&["ls"]), room.run(&["add", "c1", "y"])];
    set(0o700);
    if may_enter {
        println!("skipped: this user may enter every directory");
        return;
    }
    for run in runs {
        let error = run.fails(1);
        assert!(error.contains("ls -ld") && error.contains("store"), "{error}");
    }
}

#[test]
fn a_store_made_among_other_things_is_told() {
    let room = Room::new();
    fs::create_dir(room.store()).unwrap();
    room.run(&["add", "c1", "x"]).fine();
    fs::create_dir(room.path("other")).unwrap();
    fs::write(room.path("other/notes.txt"), "mine").unwrap();
    let run = room.run(&["add", "c1", "x", "-d", "other"]);
    assert_eq!((run.code, run.out.len()), (Some(0), 37));
    assert!(run.err.contains("holds other things"), "{}", run.err);
    room.run(&["add", "c1", "x", "-d", "other"]).fine();
}

/// Under another name, a link's say, the program told what to do next without the hint, because it looked for its
/// own name in the line about the right use.
#[cfg(unix)]
#[test]
fn another_name_of_the_program_does_not_take_the_hint_away() {
    let room = Room::new();
    std::os::unix::fs::symlink(super::BINARY, room.path("chats")).unwrap();
    let mut command = std::process::Command::new(room.path("chats"));
    let said = super::said(super::piped(command.args(["add", "c1", "two", "words"])));
    let error = said.fails(2);
    assert!(error.contains("quotes around") && error.contains("see aral-store add --help"), "{error}");
}
