//! First mistakes: each gets one line that says what to do next, the right code, and changes nothing.

use std::fs;

use super::{Room, files};

/// What somebody types, what it ends with, and what the line says.
type Row<'a> = (&'a [&'a str], i32, &'a [&'a str]);

/// Holds the rows against the program; nothing may be on standard output and no file may change.
#[track_caller]
fn hold(room: &Room, rows: &[Row<'_>]) {
    let contents = || -> Vec<_> {
        // Whoever opens the store for writing says so in the lock's file, whatever comes of it.
        let all = files(room.0.path()).into_iter().filter(|file| !file.ends_with("log/LOCK"));
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

/// `-d postgres://app@db/x add c hi` made a directory `postgres:` and ended with 0.
#[test]
fn a_url_is_no_directory_and_what_it_holds_is_not_repeated() {
    let room = Room::new();
    room.run(&["add", "c1", "x"]).fine();
    fs::write(room.path("in.jsonl"), super::message_line("c1", "y")).unwrap();
    let urls = [
        ("postgres://app:secret@db/x", "a PostgreSQL database"),
        ("mongodb://secret@db/x", "a MongoDB database"),
        ("s3://secret/x", "an S3 bucket"),
        ("gs://secret/x", "a Google Cloud Storage bucket"),
        ("az://secret/x", "an Azure container"),
        ("firestore://secret/x", "a Firestore database"),
        ("sqlite:secret.db", "an SQLite file"),
        ("memory:", "memory"),
        ("file:///secret", "by its path alone"),
        ("frobnicate://secret/x", "frobnicate: is not the scheme of any engine"),
    ];
    let calls: [&[&str]; 17] = [
        &["-d", "URL", "add", "c", "hi"],
        &["-d", "URL", "new"],
        &["-d", "URL", "append", "in.jsonl"],
        &["-d", "URL", "import", "in.jsonl"],
        &["-d", "URL", "import", "in.jsonl", "--dry-run"],
        &["-d", "URL", "ls"],
        &["-d", "URL", "show", "c"],
        &["-d", "URL", "compact"],
        &["-d", "URL", "verify"],
        &["-d", "URL", "repair", "--to", "new"],
        &["repair", "URL", "--to", "new"],
        &["repair", "--to", "URL"],
        &["export", "--to", "aral", "-o", "URL"],
        &["export", "-o", "URL"],
        &["import", "URL"],
        &["import", "--from", "aral", "URL"],
        &["append", "URL"],
    ];
    // Where an engine is built in, its URL is the name of a store, and of nothing else.
    let buckets: &[&str] = if cfg!(feature = "cloud") { &["s3:", "gs:", "az:"] } else { &[] };
    let is_a_store = |url: &str| {
        let schemes = ["sqlite:", "postgres:", "postgresql:"];
        let firestore: &[&str] = if cfg!(feature = "firestore") { &["firestore:"] } else { &[] };
        schemes.iter().chain(buckets).chain(firestore).any(|scheme| url.starts_with(scheme))
    };
    for (url, part) in urls {
        for call in calls {
            if is_a_store(url) && (call.starts_with(&["-d"]) || call.starts_with(&["repair", "URL"])) {
                continue;
            }
            let call: Vec<&str> = call.iter().map(|word| if *word == "URL" { url } else { word }).collect();
            let before = files(room.0.path());
            let run = room.run(&call);
            assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{call:?}: {}", run.err);
            let error = run.fails(2);
            assert!(error.contains(part) && error.contains("./"), "{call:?}: {error}");
            assert!(!error.contains("secret"), "{call:?}: {error}");
            assert_eq!(files(room.0.path()), before, "{call:?}");
            assert_eq!(fs::read_dir(room.0.path()).unwrap().count(), 2, "{call:?}");
        }
    }
}

// Where there is an engine for it, such a URL is opened.
#[cfg(not(feature = "mongodb"))]
#[test]
fn a_url_in_the_environment_is_refused_like_one_in_the_arguments() {
    let room = Room::new();
    // As files of settings have it, with what they leave around it.
    for around in ["URL", "\"URL\"", " URL", "'URL' ", "DATABASE=URL"] {
        let url = around.replace("URL", "mongodb://app:secret@db/x");
        let mut command = std::process::Command::new(super::BINARY);
        command.current_dir(room.0.path()).env("ARAL_STORE_DIR", &url);
        let error = super::said(super::piped(command.args(["add", "c", "hi"]))).fails(2);
        assert!(error.contains("a MongoDB database") && !error.contains("secret"), "{url}: {error}");
        assert!(error.contains("the cargo feature mongodb"), "{error}");
        assert_eq!(fs::read_dir(room.0.path()).unwrap().count(), 0, "{url}");
    }
}

#[test]
fn a_directory_with_a_colon_is_reached_with_a_dot_before_it() {
    let room = Room::new();
    let error = room.run(&["-d", "a:b", "add", "c", "hi"]).fails(2);
    assert!(error.contains("./"), "{error}");
    room.run(&["-d", "./a:b", "add", "c", "hi"]);
    assert!(room.path("a:b/log").is_dir());
}

/// `-d` with a mistyped directory made a store there without a word.
#[test]
fn a_new_store_is_told_once_and_not_made_where_that_is_refused() {
    let room = Room::new();
    fs::write(room.path("in.jsonl"), super::message_line("c1", "y")).unwrap();
    fs::write(room.path("chat.json"), r#"[{"role":"user","content":"Hi"}]"#).unwrap();
    let makers: [&[&str]; 5] = [
        &["new"],
        &["add", "c", "x"],
        &["act", "c", "t", "{}"],
        &["append", "in.jsonl"],
        &["import", "chat.json"],
    ];
    for (number, maker) in makers.iter().enumerate() {
        let dir = format!("dtaa{number}");
        let call = |more: &[&str]| {
            let args: Vec<&str> =
                ["-d", dir.as_str(), "--json"].iter().chain(more).chain(*maker).copied().collect();
            room.run(&args)
        };
        let error = call(&["--no-create"]).fails(3);
        assert!(error.contains("there is no store") && error.contains(&dir), "{error}");
        assert!(!room.path(&dir).exists());
        let made = call(&[]);
        let note = format!("aral-store: note: made a new store in {dir}; --no-create refuses that\n");
        assert_eq!((made.err.as_str(), made.made.as_ref()), ("", Some(&note)));
        assert_eq!(made.out.lines().count(), 1, "{made:?}");
        assert!(made.out.starts_with('{'), "{made:?}");
        drop(call(&[]));
        assert_eq!(call(&["--no-create"]).made, None, "it is there by now");
    }
}

/// `asistant` was taken without a word, and refused by the model that was given the history.
#[test]
fn a_role_near_a_usual_one_is_kept_and_told() {
    let room = Room::new();
    room.run(&["add", "c1", "x"]).fine();
    let said = "aral-store: note: the role \"asistant\" is kept; the usual one is \"assistant\"\n";
    let added = room.run(&["add", "c1", "-r", "asistant", "x", "--json"]);
    assert_eq!((added.err.as_str(), added.out.lines().count()), (said, 1));
    let line = super::message_line("c1", "y").replace("\"content\"", "\"role\":\"asistant\",\"content\"");
    let appended = room.run_with(&["append"], line.repeat(3).as_bytes());
    assert_eq!((appended.err.as_str(), appended.out.lines().count()), (said, 3));
    room.run(&["add", "c1", "-r", "critic", "x"]).fine();
    let shown = room.run(&["show", "c1", "--json"]).json();
    let roles: Vec<_> =
        shown[0]["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "asistant", "asistant", "asistant", "asistant", "critic"]);
    // An import tells of it once, however many messages have it, and in whatever form they come.
    let lines = room.run(&["export", "--to", "jsonl"]).fine();
    let chats = r#"{"messages":[{"role":"user","content":"x"},{"role":"asistant","content":"y"},{"role":"asistant","content":"z"}]}"#;
    for (to, given) in [("lines", lines.as_str()), ("chats", chats)] {
        let imported = room.run_with(&["-d", to, "import", "-", "--json"], given.as_bytes());
        assert_eq!(imported.err.lines().filter(|line| line.contains("asistant")).count(), 1, "{imported:?}");
        assert!(imported.err.contains(said), "{imported:?}");
        let again = room.run_with(&["-d", to, "import", "-", "--json"], given.as_bytes());
        assert!(!again.err.contains("asistant"), "nothing is added: {again:?}");
    }
}

/// The answer was `"content" is missing at byte 0`.
#[test]
fn a_mistyped_field_is_named_with_the_one_that_is_meant() {
    let room = Room::new();
    room.run(&["add", "c1", "x"]).fine();
    let refused = |line: &str| room.run_with(&["append"], line.as_bytes()).fails(1);
    let error = refused(r#"{"type":"add_message","conversation_id":"c1","contnt":"x"}"#);
    assert!(error.contains("\"contnt\" is not a field") && error.contains("perhaps \"content\""), "{error}");
    let error = refused(r#"{"type":"add_message","conversation_id":"c1","content":"x","tokens":5}"#);
    assert!(
        error.contains("\"tokens\" is not a field") && error.contains("goes into \"metadata\""),
        "{error}"
    );
}
