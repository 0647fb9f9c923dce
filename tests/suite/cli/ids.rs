//! Ids by their beginnings, and removing what was meant and nothing else.

use super::{Room, at_a_terminal};

/// Some conversations; `conv-1` holds message `msg-a1`, `msg-b1` and action `act-a1`.
fn room() -> Room {
    let room = Room::new();
    let mut lines = Vec::new();
    for id in ["conv-1", "conv-10", "lonesome"] {
        for message in ["msg-a1", "msg-b1"] {
            lines.push(format!(
                r#"{{"type":"add_message","conversation_id":"{id}","id":"{message}","content":"x"}}"#
            ));
        }
        lines.push(format!(
            r#"{{"type":"add_action","conversation_id":"{id}","id":"act-a1","action_type":"t","data":{{}}}}"#
        ));
    }
    let input = lines.join("\n");
    assert_eq!(room.run_with(&["append"], input.as_bytes()).json().len(), 9);
    room
}

fn ids(room: &Room) -> Vec<String> {
    let listed = room.run(&["ls", "--json"]).json();
    listed.iter().map(|summary| summary["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_beginning_that_fits_one_id_reads_and_renames_it() {
    let room = room();
    assert_eq!(room.run(&["show", "lone", "--json"]).json()[0]["id"], "lonesome");
    assert_eq!(room.run(&["show", "conv-1", "--json"]).json()[0]["id"], "conv-1", "a whole id wins");
    let exported = room.run(&["export", "lone"]).fine();
    assert!(exported.starts_with(r#"{"type":"conversation","id":"lonesome""#), "{exported}");
    let renamed = room.run(&["rename", "lone", "T", "--json"]);
    assert_eq!(renamed.code, Some(0));
    assert!(renamed.err.contains(r#""lone" is taken for "lonesome""#), "{}", renamed.err);
    assert!(renamed.out.contains(r#""conversation_id":"lonesome""#), "{}", renamed.out);
}

#[test]
fn a_beginning_that_fits_more_than_one_or_is_too_short_is_refused() {
    let room = room();
    for args in [&["show", "conv"][..], &["export", "conv"], &["rename", "conv", "T"]] {
        let error = room.run(args).fails(2);
        assert!(error.contains(r#""conv-1", "conv-10""#), "{error}");
    }
    for args in [&["show", "lon"][..], &["show", ""], &["show", "lonesome2"]] {
        room.run(args).fails(3);
    }
}

#[test]
fn what_is_added_goes_to_the_id_in_full_and_nowhere_else() {
    let room = room();
    let run = room.run(&["add", "lone", "y"]);
    assert_eq!(run.code, Some(0));
    assert!(run.err.contains(r#""lone""#) && run.err.contains(r#""lonesome""#), "{}", run.err);
    assert_eq!(room.texts("lone"), ["y"]);
    assert_eq!(room.texts("lonesome"), ["x", "x"]);
    room.run(&["add", "lone", "z"]).fine();
    room.run(&["add", "unheard-of", "z"]).fine();
}

#[test]
fn nothing_is_removed_by_a_beginning_where_nobody_is_asked() {
    let room = room();
    room.run(&["rm", "conv-1", "--yes"]).fine();
    // A script that runs a second time.
    let error = room.run(&["rm", "conv-1", "--yes"]).fails(3);
    assert!(error.contains(r#"conversation "conv-10""#), "{error}");
    room.run(&["rm", "lonesome/msg-a", "--yes"]).fails(3);
    assert_eq!(ids(&room), ["conv-10", "lonesome"]);
    assert_eq!(room.texts("lonesome").len(), 2);
}

#[test]
fn messages_and_actions_are_removed_by_their_ids() {
    let room = room();
    room.run(&["rm", "conv-1/msg-a1", "-y"]).fine();
    room.run(&["rm", "conv-1/act-a1", "-y"]).fine();
    let shown = room.run(&["show", "conv-1", "--json"]).json().remove(0);
    assert_eq!((shown["messages"].as_array().unwrap().len(), &shown["actions"]), (1, &serde_json::json!([])));
    assert_eq!(shown["messages"][0]["id"], "msg-b1");
}

#[test]
fn a_dry_run_says_what_would_go_and_removes_nothing() {
    let room = room();
    for (target, text, line) in [
        (
            "lone",
            "conversation \"lonesome\" with 2 messages and 1 action",
            r#"{"type":"remove_conversation","conversation_id":"lonesome"}"#,
        ),
        (
            "conv-10/msg-b",
            "message \"msg-b1\" of conversation \"conv-10\"",
            r#"{"type":"remove_message","conversation_id":"conv-10","message_id":"msg-b1"}"#,
        ),
        (
            "conv-1/act-",
            "action \"act-a1\" of conversation \"conv-1\"",
            r#"{"type":"remove_action","conversation_id":"conv-1","action_id":"act-a1"}"#,
        ),
    ] {
        assert_eq!(room.run(&["rm", "--dry-run", target]).fine(), format!("would remove {text}\n"));
        assert_eq!(room.run(&["rm", "--dry-run", "--json", target]).fine(), format!("{line}\n"));
    }
    room.run(&["rm", "--dry-run", "conv"]).fails(2);
    room.run(&["rm", "--dry-run", "conv-1/msg-"]).fails(2);
    room.run(&["rm", "--dry-run", "nobody"]).fails(3);
    assert_eq!(room.run(&["stats", "--json"]).json()[0]["last_seq"], 9);
}

#[test]
fn at_a_terminal_it_asks_with_the_id_in_full() {
    let room = room();
    let Some(refused) = at_a_terminal(&room, "rm lone", "n\n") else {
        println!("skipped: nothing here makes a terminal");
        return;
    };
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.out.contains("remove conversation \"lonesome\" with 2 messages"), "{refused:?}");
    assert!(refused.out.contains("nothing was removed"), "{refused:?}");
    assert_eq!(ids(&room).len(), 3);
    assert_eq!(at_a_terminal(&room, "rm lone", "y\n").unwrap().code, Some(0));
    assert_eq!(ids(&room), ["conv-1", "conv-10"]);
}
