//! `consume` gives each event to a command until that has succeeded with it, and says which one it did not succeed with.

use std::fs;
use std::process::Command;

use super::{BINARY, Room, piped, said};

fn with_events(count: u32) -> Room {
    let room = Room::new();
    for n in 1..=count {
        room.run(&["add", "c1", &format!("message {n}"), "--id", &format!("m{n}")]);
    }
    room
}

fn lines(room: &Room, name: &str) -> Vec<String> {
    let text = fs::read_to_string(room.path(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_command_gets_the_lines_of_the_log_and_none_that_it_has_succeeded_with_again() {
    let room = with_events(3);
    let logged: Vec<String> = room.run(&["log", "--json"]).fine().lines().map(str::to_owned).collect();
    let exec = ["consume", "indexer", "--exec", "cat >> got; echo $ARAL_STORE_CONSUMER >> names"];
    assert_eq!(room.run(&exec).fine(), "");
    assert_eq!((lines(&room, "got"), lines(&room, "names")), (logged, vec!["indexer".to_owned(); 3]));
    assert_eq!(room.run(&exec).fine(), "");
    assert_eq!(lines(&room, "got").len(), 3);
    // What a compaction covers is not lost on it.
    room.run(&["add", "c1", "message 4"]).fine();
    room.run(&["compact"]).fine();
    let stats = room.run(&["stats", "--json"]).json().remove(0);
    assert_eq!(
        (&stats["consumers"][0]["name"], &stats["consumers"][0]["lag"]),
        (&"indexer".into(), &1.into())
    );
    room.run(&exec).fine();
    assert_eq!(lines(&room, "got").len(), 4);
}

#[test]
fn a_command_that_fails_ends_it_with_the_event_and_is_given_that_again() {
    let room = with_events(3);
    let at_two =
        "read line; echo \"$line\" >> got; case \"$line\" in *'\"seq\":2,'*) test -e fixed || exit 3;; esac";
    let told = room.run(&["consume", "indexer", "--exec", at_two]).fails(1);
    for part in ["event 2 (add_message in \"c1\")", "ended with code 3", "the next run begins with it"] {
        assert!(told.contains(part), "{told}");
    }
    let listed = || room.run(&["consumers", "--json"]).json().remove(0);
    assert_eq!((&listed()["acknowledged"], &listed()["lag"]), (&1.into(), &2.into()));
    let told = room.run(&["consume", "indexer", "--max", "2", "--exec", "kill -9 $$"]).fails(1);
    assert!(told.contains("events 2 to 3: the command was ended by signal 9"), "{told}");
    assert_eq!(listed()["acknowledged"], 1);
    fs::write(room.path("fixed"), "").unwrap();
    room.run(&["consume", "indexer", "--exec", at_two]).fine();
    assert_eq!(listed()["acknowledged"], 3);
    let seqs: Vec<_> =
        lines(&room, "got").iter().map(|line| line.chars().take(8).collect::<String>()).collect();
    assert_eq!(seqs, ["{\"seq\":1", "{\"seq\":2", "{\"seq\":2", "{\"seq\":3"]);
}

#[test]
fn two_do_not_consume_under_one_name_and_the_store_is_written_to_beside_one() {
    let room = with_events(1);
    let nested = format!(
        "{BINARY} -d store add c2 beside && {BINARY} -d store consume indexer 2> told; echo $? > code"
    );
    room.run(&["consume", "indexer", "--exec", &nested, "--kind", "add_message", "--conversation", "c1"])
        .fine();
    assert_eq!(lines(&room, "code"), ["6"]);
    let told = lines(&room, "told").concat();
    assert!(told.contains("consumer \"indexer\" is read by process "), "{told}");
    // What was added meanwhile is of another conversation, and was passed over.
    assert_eq!(room.run(&["consumers"]).fine(), "indexer\t2\t0\t-\n");
}

#[test]
fn consumers_are_listed_moved_and_removed() {
    let room = with_events(2);
    assert_eq!(room.run(&["consumers"]).fine(), "");
    assert_eq!(room.run(&["consume", "mailer", "--from", "now", "--json"]).fine(), "");
    room.run(&["add", "c1", "message 3"]).fine();
    assert_eq!(room.run(&["consume", "mailer", "--json"]).json()[0]["seq"], 3);
    let again = room.run(&["consume", "mailer", "--from", "start"]);
    assert!(again.code == Some(0) && again.err.contains("goes on behind event 3"), "{again:?}");
    assert_eq!(
        room.run(&["consumers", "--reset", "mailer", "--from", "2"]).fine(),
        "mailer goes on with event 2\n"
    );
    let printed = room.run(&["consume", "mailer"]).fine();
    assert_eq!(printed.lines().next(), Some("2\tc1\tadd_message\tm2\tuser: message 2"));
    room.run(&["consumers", "--reset", "mailer", "--from", "9"]).fails(2);
    room.run(&["consumers", "--remove", "mailer"]).fine();
    room.run(&["consumers", "--remove", "mailer"]).fails(3);
    room.run(&["consume", "Mailer"]).fails(2);
    room.run(&["consume", "mailer", "--kind", "speak"]).fails(2);
    assert_eq!(room.run(&["consumers"]).fine(), "", "what was refused has begun nothing");
}

#[test]
fn a_consumer_whose_events_are_not_there_is_told_so_and_goes_on_where_it_is_put() {
    let room = with_events(2);
    room.run(&["consume", "indexer"]).fine();
    // An older state of the store is put back, and the cursors stay.
    let kept = room.store().join("log/consumers");
    fs::rename(&kept, room.path("kept")).unwrap();
    fs::remove_dir_all(room.store()).unwrap();
    room.run(&["add", "c1", "message 1"]);
    fs::rename(room.path("kept"), &kept).unwrap();
    let told = room.run(&["consume", "indexer"]).fails(4);
    assert!(told.contains("of another store") && told.contains("consumers --reset"), "{told}");
    room.run(&["consumers", "--reset", "indexer", "--from", "start"]).fine();
    assert_eq!(room.run(&["consume", "indexer", "--json"]).json().len(), 1);
}

#[test]
fn a_repair_says_which_consumers_stay_with_the_old_store() {
    let room = with_events(2);
    room.run(&["consume", "indexer"]).fine();
    let told = room.run(&["repair", "--to", "saved"]).fine();
    assert!(told.contains("consumer \"indexer\" stays with the old store"), "{told}");
}

#[test]
fn one_that_is_killed_is_given_the_event_again_and_leaves_no_lock() {
    let room = with_events(2);
    let killed = room.run(&["consume", "indexer", "--exec", "kill -9 $PPID"]);
    assert_eq!(killed.code, None, "{killed:?}");
    assert_eq!(room.run(&["consumers"]).fine(), "indexer\t0\t2\t-\n");
    room.run(&["consume", "indexer", "--exec", "cat >> got"]).fine();
    assert_eq!(lines(&room, "got").len(), 2);
}

#[test]
fn one_that_goes_on_gives_what_comes_and_ends_in_order_when_it_is_asked_to() {
    let room = with_events(1);
    let mut command = room.command(&["consume", "indexer", "-f", "--exec", "cat >> got"]);
    let child = piped(&mut command);
    let wait_for = |seq: u32| {
        let has_come = |_: &u32| room.run(&["consumers"]).out.starts_with(&format!("indexer\t{seq}\t"));
        assert!((0..5_000).any(|n| has_come(&n)), "event {seq} is acknowledged");
    };
    wait_for(1);
    room.run(&["add", "c1", "message 2"]).fine();
    wait_for(2);
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let said = said(child);
    assert!(said.code == Some(143), "{said:?}");
    room.run(&["consume", "indexer", "--exec", "cat >> got"]).fine();
    assert_eq!(lines(&room, "got").len(), 2);
    assert_eq!(room.run(&["consumers"]).fine(), "indexer\t2\t0\t-\n");
}

/// What a filter leaves out counts as done with: a wrong name would use up all that is unread.
#[test]
fn a_conversation_is_named_as_elsewhere_and_a_wrong_name_acknowledges_nothing() {
    let room = Room::new();
    room.run(&["add", "conv1long", "hello"]).fine();
    let told = room.run(&["consume", "a", "--conversation", "nope"]).fails(3);
    assert!(told.contains("nope"), "{told}");
    assert_eq!(room.run(&["consumers"]).fine(), "");
    assert_eq!(room.run(&["consume", "a", "--conversation", "conv1", "--json"]).json().len(), 1);
    room.run(&["rm", "conv1long", "--yes"]).fine();
    assert_eq!(room.run(&["consume", "a", "--conversation", "conv1long", "--json"]).json().len(), 1);
}

/// What stands in the place of a standard output that is closed takes everything.
#[test]
fn with_its_output_closed_it_acknowledges_nothing() {
    let room = with_events(2);
    let run = |closed: &str| {
        let line = format!("{BINARY} -d store consume indexer {closed} 2> told");
        let mut command = Command::new("sh");
        let code = command.current_dir(room.0.path()).args(["-c", &line]).status().unwrap().code();
        (code, lines(&room, "told").concat())
    };
    let (code, told) = run(">&-");
    assert!(code == Some(2) && told.contains("standard output is closed"), "{code:?} {told}");
    assert_eq!(room.run(&["consumers"]).fine(), "");
    assert_eq!(run("> /dev/null"), (Some(0), String::new()));
    assert_eq!(room.run(&["consumers"]).fine(), "indexer\t2\t0\t-\n");
}

#[test]
fn a_new_one_says_where_it_begins() {
    let room = with_events(3);
    room.run(&["compact"]).fine();
    room.run(&["add", "c1", "message 4"]).fine();
    let said = room.run(&["consume", "n1", "--json"]);
    assert!(said.code == Some(0) && said.err.contains("begins with event 4"), "{said:?}");
    let told = room.run(&["consume", "n2", "--from", "1"]).fails(1);
    assert!(told.contains("the oldest that the log has is 4"), "{told}");
}
