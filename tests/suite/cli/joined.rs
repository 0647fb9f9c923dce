//! Several exports in one file are imported one after the other.

use super::Room;

/// What had been added between two exports was lost: the second one counted as a conflict with the first.
#[test]
fn a_second_export_in_the_same_file_is_like_a_second_import() {
    let room = Room::new();
    room.run(&["add", "c", "one"]).fine();
    let first = room.run(&["export"]).fine();
    room.run(&["add", "c", "two"]).fine();
    room.run(&["add", "new", "three"]).fine();
    let joined = first.clone() + &room.run(&["export"]).fine();
    let other = Room::new();
    let counts = other.run_with(&["import", "-", "--json"], joined.as_bytes()).json();
    assert_eq!(
        (&counts[0]["messages"], &counts[0]["conflicts"]),
        (&serde_json::Value::from(3), &serde_json::Value::from(0))
    );
    assert_eq!(
        (other.texts("c"), other.texts("new")),
        (vec!["one".into(), "two".into()], vec!["three".into()])
    );
    let again = other.run_with(&["import", "-", "--json"], joined.as_bytes());
    assert!(again.code == Some(0) && again.out.contains(r#""messages":0"#), "{again:?}");
    // A dry run has nothing to hold the second one against, and says so.
    let tried = Room::new().run_with(&["import", "-", "--dry-run"], joined.as_bytes());
    assert!(tried.code == Some(0) && tried.err.contains("1 conversation came again"), "{tried:?}");
    // Within one export a conversation still begins once.
    let lines: Vec<&str> = first.lines().collect();
    let twice = format!("{}\n{}\n", lines[0], first.trim_end());
    let run = Room::new().run_with(&["import", "-"], twice.as_bytes());
    assert!(run.err.contains("a second time in the same input"), "{run:?}");
}
