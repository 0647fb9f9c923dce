//! Repairing, and verifying what cannot be opened, by the command line.

use std::fs;

use super::{Room, files};

fn damaged() -> Room {
    let room = Room::new();
    for text in ["one", "two"] {
        room.run(&["add", "c", text]).fine();
    }
    let log = room.store().join("log");
    let all = files(&log);
    let first = all.iter().find(|path| path.extension().is_some_and(|e| e == "seg")).unwrap();
    let mut bytes = fs::read(log.join(first)).unwrap();
    bytes[4096 + 40] ^= 1;
    fs::write(log.join(first), bytes).unwrap();
    room
}

#[test]
fn a_damaged_store_is_repaired_and_its_losses_are_listed() {
    let room = damaged();
    assert_eq!(room.run(&["show", "c"]).code, Some(5));
    let run = room.run(&["repair", "--to", "new", "--json"]);
    assert_eq!((run.code, &*run.err), (Some(5), ""), "{run:?}");
    let lines: Vec<serde_json::Value> =
        run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["type"], &lines[0]["first_seq"]), (&"lost".into(), &1.into()), "{lines:?}");
    assert!(lines[0]["path"].as_str().unwrap().ends_with(".seg") && lines[0]["offset"] == 4096);
    let sum = lines.last().unwrap();
    assert_eq!((&sum["complete"], &sum["messages"], &sum["lost"]), (&false.into(), &1.into(), &1.into()));
    assert!(room.run(&["-d", "new", "show", "c"]).fine().contains("two"));
    room.run(&["-d", "new", "verify"]).fine();
    let again = room.run(&["repair", "--to", "new"]).fails(2);
    assert!(again.contains("not empty"), "{again}");
    let plain = room.run(&["repair", "store", "--to", "other"]);
    assert!(plain.code == Some(5) && plain.out.starts_with("lost: event 1:"), "{plain:?}");
}

#[test]
fn a_sound_store_is_repaired_without_a_loss() {
    let room = Room::new();
    room.run(&["add", "c", "one"]).fine();
    let said = room.run(&["repair", "--to", "new"]).fine();
    assert_eq!(
        said,
        "complete: 1 conversation, 1 message, 0 actions, 1 event carried out again, nothing lost\n"
    );
    assert_eq!(room.run(&["-d", "none", "repair", "--to", "x"]).code, Some(3));
    assert_eq!(room.run(&["repair"]).code, Some(2));
}

#[test]
fn verify_lists_what_is_wrong_with_a_store_that_cannot_be_opened() {
    let room = damaged();
    let log = room.store().join("log");
    let checkpoint = files(&log).into_iter().find(|path| path.to_string_lossy().contains("CHECKPOINT"));
    fs::write(log.join(checkpoint.unwrap()), b"no checkpoint").unwrap();
    let run = room.run(&["verify"]);
    assert_eq!(run.code, Some(5), "{run:?}");
    for part in ["CHECKPOINT", ".seg at byte 4096", "damaged: "] {
        assert!(run.out.contains(part), "{part}: {run:?}");
    }
    assert!(run.err.contains("cannot be opened"), "{run:?}");
}

#[test]
fn a_damaged_store_is_read_as_far_as_it_proves_itself() {
    let room = damaged();
    let everything = || {
        let bytes = |path| fs::read(room.store().join(&path)).map(|bytes| (path, bytes)).unwrap();
        files(&room.store()).into_iter().map(bytes).collect::<Vec<_>>()
    };
    let before = everything();
    for (args, shows) in [
        (&["ls"][..], "\t1\t0\t"),
        (&["show", "c"], "two"),
        (&["log", "--from", "1"], "2\tc\tadd_message\t"),
        (&["export", "--to", "openai"], "two"),
        (&["stats"], "messages\t1"),
    ] {
        let refused = room.run(args);
        assert_eq!((refused.code, &*refused.out), (Some(5), ""), "{refused:?}");
        let run = room.run(&[&["--salvage"], args].concat());
        assert_eq!(run.code, Some(5), "{run:?}");
        assert!(run.out.contains(shows) && !run.out.contains("one"), "{run:?}");
        for part in ["lost: event 1: ", ".seg at byte 4096", "name \"c\"", "the store is damaged"] {
            assert!(run.err.contains(part), "{part}: {run:?}");
        }
    }
    assert_eq!(everything(), before, "nothing is written");
    for args in [&["--salvage", "add", "c", "x"][..], &["--salvage", "verify"], &["--salvage", "log", "-f"]] {
        assert!(room.run(args).fails(2).contains("--salvage") || args.contains(&"verify"), "{args:?}");
    }
    let sound = Room::new();
    sound.run(&["add", "c", "one"]);
    assert_eq!(sound.run(&["--salvage", "ls"]).fine(), sound.run(&["ls"]).fine());
}

/// One file that cannot be read keeps no other from being compacted, and is named by everything that looks.
#[test]
fn a_compaction_names_what_it_could_not_write_and_writes_the_rest() {
    let room = Room::new();
    for id in ["a", "b"] {
        room.run(&["add", id, "one"]).fine();
    }
    room.run(&["compact"]).fine();
    for id in ["a", "b"] {
        room.run(&["add", id, "two"]).fine();
    }
    let file = |id: &str| room.store().join(format!("conversations/{id}.json"));
    let whole = fs::read(file("b")).unwrap();
    fs::write(file("b"), &whole[..40]).unwrap();
    for written in ["1", "0"] {
        let run = room.run(&["compact"]);
        assert_eq!(run.code, Some(5), "{run:?}");
        assert!(run.err.contains("\"b\"") && run.err.contains("kept in the log"), "{run:?}");
        assert!(run.out.contains(&format!("written\t{written}\n")), "{run:?}");
        assert!(run.out.contains("held\t1\n"), "{run:?}");
        assert!(fs::read_to_string(file("a")).unwrap().contains("two"));
    }
    let run = room.run(&["stats"]);
    assert!(run.out.contains("held\t1\n") && run.err.contains("the log holds 1 event since then"), "{run:?}");
    let run = room.run(&["verify"]);
    assert!(run.code == Some(5) && run.out.contains("1 event of conversation \"b\""), "{run:?}");
    assert_eq!(room.run(&["add", "b", "three"]).code, Some(5));
    assert_eq!(room.run(&["add", "a", "three"]).code, Some(0));
    fs::write(file("b"), &whole).unwrap();
    room.run(&["add", "b", "three"]).fine();
    assert!(room.run(&["compact"]).fine().contains("held\t0\n"));
    let shown = room.run(&["show", "b"]).fine();
    assert!(["one", "two", "three"].iter().all(|text| shown.contains(text)), "{shown}");
    room.run(&["verify"]).fine();
}

#[test]
fn a_repair_in_place_prints_where_the_damaged_store_is_kept() {
    use std::os::unix::fs::symlink;
    for dir in ["store", "./store/../store", "link", "."] {
        let room = damaged();
        symlink("store", room.path("link")).unwrap();
        let mut command = room.command(&["-d", dir, "repair", "--in-place", "--json"]);
        if dir == "." {
            command.current_dir(room.store());
        }
        let run = super::said(super::piped(&mut command));
        assert_eq!((run.code, &*run.err), (Some(5), ""), "{run:?}");
        let lines: Vec<serde_json::Value> =
            run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kept = lines.iter().find(|line| line["type"] == "kept").unwrap()["path"].as_str().unwrap();
        let real = room.0.path().canonicalize().unwrap();
        assert!(kept.starts_with(&format!("{}/store.damaged-20", real.display())), "{kept}");
        assert!(lines[0]["path"].as_str().unwrap().starts_with(kept), "{lines:?}");
        assert!(room.path("link").is_symlink());
        assert_eq!(room.run(&["show", "c"]).fine(), room.run(&["-d", "link", "show", "c"]).fine());
        assert_eq!(room.run(&["-d", kept, "verify"]).code, Some(5), "the damaged one is as it was");
        let names = fs::read_dir(room.0.path()).unwrap().count();
        assert_eq!(names, 3, "the store, the link and the damaged store");
    }
    let room = damaged();
    assert_eq!(room.run(&["repair", "--in-place", "--to", "new"]).code, Some(2));
    let said = room.run(&["repair", "--in-place"]);
    assert!(said.out.contains("the damaged store is kept in "), "{said:?}");
}

#[test]
fn a_store_whose_repair_was_stopped_between_two_renames_is_not_made_anew() {
    let room = damaged();
    room.run(&["repair", "--to", "store.repaired"]);
    fs::rename(room.store(), room.path("store.damaged-20260101")).unwrap();
    for args in [&["ls"][..], &["show", "c"], &["add", "c", "x"], &["verify"], &["repair", "--in-place"]] {
        let said = room.run(args).fails(3);
        for part in ["store.repaired", "store.damaged-20260101", "rename"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!room.store().exists());
    }
    fs::rename(room.path("store.repaired"), room.store()).unwrap();
    assert!(room.run(&["show", "c"]).fine().contains("two"));
}
