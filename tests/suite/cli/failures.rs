//! Every way to fail has its code and one line.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Room, piped, said};

#[test]
fn wrong_arguments_are_usage_errors_and_make_no_store() {
    let room = Room::new();
    for args in [
        &[][..],
        &["frobnicate"],
        &["add", "c"],
        &["add", "c", "x", "--frobnicate"],
        &["add", "c", "x", "--expect", "minus"],
        &["add", "c", "x", "--metadata", "[1]"],
        &["add", "c", "x", "--metadata", "{"],
        &["act", "c", "t", "not json"],
        &["new", "--id", ""],
        &["new", "--metadata", "1"],
        &["ls", "--by", "colour"],
        &["rm", "c"],
        &["export", "--to", "aral"],
    ] {
        room.run(args).fails(2);
        assert!(!room.store().exists(), "{args:?}");
    }
}

#[test]
fn what_the_store_refuses_of_an_argument_is_a_usage_error() {
    let room = Room::new();
    let long = "x".repeat(2000);
    for args in [&["add", "", "x"][..], &["add", &long, "x"], &["add", "c", "x", "--key", ""]] {
        room.run(args).fails(2);
    }
}

#[test]
fn a_store_that_is_not_there_is_said_to_be_missing_and_not_made() {
    let room = Room::new();
    for args in [
        &["ls"][..],
        &["show", "c"],
        &["stats"],
        &["verify"],
        &["export", "--to", "jsonl"],
        &["compact"],
        &["rename", "c", "t"],
        &["rm", "c", "--yes"],
    ] {
        let error = room.run(args).fails(3);
        assert!(error.contains("store") && error.contains("-d DIR"), "{error}");
        assert!(!room.store().exists(), "{args:?}");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let room = Room::new();
    room.run(&["add", "c", "x"]).fine();
    for args in [
        &["show", "nobody"][..],
        &["rename", "nobody", "t"],
        &["rm", "nobody", "--yes"],
        &["rm", "c/nothing", "--yes"],
        &["export", "c", "nobody", "--to", "jsonl"],
        &["import", "nowhere"],
        &["import", "nowhere", "--from", "aral"],
        &["import", "nowhere", "--from", "jsonl"],
    ] {
        let run = room.run(args);
        assert_eq!(run.out, "", "{args:?}");
        run.fails(3);
    }
}

#[test]
fn conflicts_have_their_code() {
    let room = Room::new();
    room.run(&["new", "--id", "c"]).fine();
    room.run(&["new", "--id", "c"]).fails(4);
    room.run(&["add", "c", "x", "--expect", "7"]).fails(4);
    room.run(&["add", "c", "x", "--expect", "1"]).fine();
}

#[test]
fn a_file_in_place_of_the_directory_is_refused_and_kept() {
    let room = Room::new();
    fs::write(room.store(), "mine").unwrap();
    for args in [&["ls"][..], &["add", "c", "x"], &["compact"], &["verify"]] {
        let error = room.run(args).fails(2);
        assert!(error.contains("directory"), "{error}");
    }
    assert_eq!(fs::read(room.store()).unwrap(), b"mine");
}

#[test]
#[cfg(unix)]
fn a_directory_that_may_not_be_entered_is_an_error_with_its_path() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    room.run(&["add", "c", "x"]).fine();
    fs::set_permissions(room.store(), fs::Permissions::from_mode(0o0)).unwrap();
    let may_enter = fs::read_dir(room.store()).is_ok();
    let runs = [room.run(&["ls"]), room.run(&["add", "c", "y"])];
    fs::set_permissions(room.store(), fs::Permissions::from_mode(0o700)).unwrap();
    if may_enter {
        println!("skipped: this user may enter every directory");
        return;
    }
    for run in runs {
        let error = run.fails(1);
        assert!(error.contains("store"), "{error}");
    }
}

#[test]
fn a_damaged_conversation_hides_no_other_and_is_named_everywhere() {
    let room = Room::new();
    for id in ["bad", "good"] {
        room.run(&["add", id, "text"]).fine();
    }
    room.run(&["compact"]).fine();
    let file = room.store().join("conversations/bad.json");
    fs::write(&file, b"{\"id\": \"bad\", \"ti").unwrap();
    for args in [&["ls"][..], &["verify"], &["export", "--to", "jsonl"]] {
        let run = room.run(args);
        assert_eq!(run.code, Some(5), "{args:?} {run:?}");
        assert!(run.err.contains("bad.json") || run.out.contains("bad.json"), "{args:?} {run:?}");
        assert!(args[0] == "verify" || run.out.contains("good"), "{args:?} {run:?}");
    }
    let verify = room.run(&["verify", "--json"]);
    let found: serde_json::Value = serde_json::from_str(verify.out.lines().next().unwrap()).unwrap();
    assert_eq!((&found["type"], &found["conversation_id"]), (&"damaged".into(), &"bad".into()));
    assert!(found["path"].as_str().unwrap().ends_with("bad.json") && found["reason"].is_string());
    assert_eq!(room.run(&["show", "bad"]).code, Some(5));
    assert_eq!(room.run(&["show", "good"]).code, Some(0));
    assert_eq!(room.run(&["add", "good", "more"]).code, Some(0));
    assert_eq!(fs::read(&file).unwrap(), b"{\"id\": \"bad\", \"ti", "it is kept as it is");
}

#[test]
fn an_output_that_is_full_is_no_success() {
    let room = Room::new();
    room.run(&["add", "c", "x"]).fine();
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full here");
        return;
    }
    let full = fs::File::create("/dev/full").unwrap();
    let child = room.command(&["ls"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let error = said(child).fails(7);
    assert!(error.contains("standard output"), "{error}");
}

#[test]
fn readers_end_quietly_when_the_pipe_is_closed() {
    let room = Room::new();
    let text = "long ".repeat(100_000);
    room.run_with(&["add", "c", "-"], text.as_bytes()).fine();
    for args in [
        &["show", "c"][..],
        &["show", "c", "--json"],
        &["ls"],
        &["log"],
        &["log", "-f"],
        &["export", "--to", "jsonl"],
        &["--help"],
        &["man"],
        &["completions", "bash"],
    ] {
        let mut child = piped(&mut room.command(args));
        drop(child.stdout.take());
        let run = said(child);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn readers_change_nothing() {
    let room = Room::new();
    room.run(&["add", "c", "x"]).fine();
    room.run(&["compact"]).fine();
    room.run(&["add", "c", "y"]).fine();
    let contents = || -> Vec<_> {
        let files = super::files(&room.store());
        files.iter().map(|file| (file.clone(), fs::read(room.store().join(file)).unwrap())).collect()
    };
    let before = contents();
    fs::write(room.path("chat.json"), "[]").unwrap();
    for args in [
        &["ls"][..],
        &["show", "c"],
        &["stats"],
        &["verify"],
        &["log", "--from", "2"],
        &["export", "--to", "jsonl"],
        &["rm", "c", "--dry-run"],
        &["import", "chat.json", "--dry-run"],
    ] {
        room.run(args).fine();
        assert_eq!(contents(), before, "{args:?}");
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_with_its_place() {
    let room = Room::new();
    let error = room.run_with(&["add", "c", "-"], b"ab\xff").fails(1);
    assert!(error.contains("byte 2"), "{error}");
    assert!(!room.store().exists());
}

#[test]
fn a_removal_that_nobody_can_confirm_needs_yes() {
    let room = Room::new();
    room.run(&["add", "c", "x"]).fine();
    let mut child = piped(&mut room.command(&["rm", "c"]));
    drop(child.stdin.take().unwrap().write_all(b"y\n"));
    assert!(said(child).fails(2).contains("--yes"));
    assert_eq!(room.texts("c"), ["x"]);
    let closed = Command::new(super::BINARY).args(["rm", "c"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(closed.status.code(), Some(2));
}

/// A conversation's file that the system would not read ended a whole export, and an import of its directory,
/// with the conversations that could be read left out. It is named now, and the rest goes on.
#[test]
#[cfg(unix)]
fn a_file_that_cannot_be_read_keeps_no_other_conversation_out() {
    let room = Room::new();
    for id in ["bad", "good"] {
        room.run(&["add", id, "text"]).fine();
    }
    room.run(&["compact"]).fine();
    let file = room.store().join("conversations/bad.json");
    fs::rename(&file, room.path("elsewhere.json")).unwrap();
    std::os::unix::fs::symlink(room.path("elsewhere.json"), &file).unwrap();
    for form in ["jsonl", "html", "markdown", "openai"] {
        for named in [&[][..], &["bad", "good"]] {
            let run = room.run(&[&["export", "--to", form][..], named].concat());
            assert_eq!(run.code, Some(5), "{form} {run:?}");
            assert!(run.err.contains("bad") && run.out.contains("text"), "{form} {run:?}");
        }
    }
    let run = room.run(&["export", "--to", "aral", "-o", room.path("copy").to_str().unwrap()]);
    assert!(run.code == Some(5) && run.err.contains("bad.json"), "{run:?}");
    assert!(room.path("copy/conversations/good.json").exists());
    let other = room.path("other");
    let run = room.run(&["-d", other.to_str().unwrap(), "import", room.store().to_str().unwrap(), "--json"]);
    assert!(run.code == Some(5) && run.out.contains("\"conversations\":1"), "{run:?}");
}
