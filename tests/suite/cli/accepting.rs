//! Files are taken as they are where they can be, and named where they cannot.

use std::fs;

use super::Room;

/// A store with conversations that are in their files alone.
fn store(ids: &[&str]) -> Room {
    let room = Room::new();
    for id in ids {
        room.run(&["add", id, "one"]).fine();
    }
    room.run(&["compact"]).fine();
    room
}

/// Files that cannot be read, or were away, passed for what the store had written.
#[test]
fn what_cannot_be_accepted_is_named_and_the_rest_is_accepted() {
    let room = store(&["cut", "edited", "missing", "sound"]);
    let file = |id: &str| room.store().join(format!("conversations/{id}.json"));
    fs::write(file("cut"), "junk").unwrap();
    fs::remove_file(file("missing")).unwrap();
    let edited = fs::read_to_string(file("edited")).unwrap().replace("one", "two");
    fs::write(file("edited"), edited).unwrap();
    for (accepted, number) in [("edited\n", 1), ("", 2)] {
        let run = room.run(&["accept", "--all"]);
        assert_eq!((run.code, run.out.as_str()), (Some(5), accepted), "{number}: {run:?}");
        for id in ["cut", "missing"] {
            let line = run.err.lines().find(|line| line.contains(&format!("{id}.json")));
            assert!(line.is_some_and(|line| line.contains("cannot be accepted")), "{number}: {run:?}");
        }
        assert!(!run.err.contains("as the store wrote"), "{number}: {run:?}");
    }
    for id in ["cut", "missing"] {
        assert_eq!(room.run(&["rm", id, "--yes"]).code, Some(0));
    }
    assert_eq!((room.texts("edited"), room.texts("sound")), (vec!["two".to_owned()], vec!["one".to_owned()]));
    let run = room.run(&["accept", "--all"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""), "{run:?}");
}

/// What was advised was then refused.
#[test]
fn a_file_in_the_place_of_another_is_not_said_to_be_acceptable() {
    let room = store(&["a", "b"]);
    let file = |id: &str| room.store().join(format!("conversations/{id}.json"));
    fs::copy(file("a"), file("b")).unwrap();
    for args in [&["show", "b"][..], &["ls"], &["stats"]] {
        let run = room.run(args);
        assert_eq!(run.code, Some(5), "{args:?}: {run:?}");
        assert!(!run.err.contains("aral-store accept"), "{args:?}: {run:?}");
        let helps =
            r#"the file holds another conversation, "a"; put the own file back, or remove the conversation"#;
        assert!(run.err.contains(helps), "{args:?}: {run:?}");
    }
    assert_eq!(room.run(&["accept", "b"]).code, Some(5));
}
