//! A terminal gets colours, tables and times as a person says them; nothing else does.

use super::{Room, at_a_terminal};

const ESCAPE: char = '\u{1b}';

fn room() -> Room {
    let room = Room::new();
    for (id, title) in [("c1", "Plans"), ("会话", "T")] {
        room.run(&["new", "--id", id, "--title", title]).fine();
        room.run(&["add", id, "x"]).fine();
    }
    room
}

#[test]
fn colours_are_for_terminals_and_for_whoever_asks() {
    let room = room();
    for args in [&["show", "c1"][..], &["ls"], &["log"], &["show", "c1", "--color", "never"]] {
        assert!(!room.run(args).fine().contains(ESCAPE), "{args:?}");
    }
    assert!(room.run(&["show", "c1", "--color", "always"]).fine().contains(ESCAPE));
    for args in [["show", "c1"], ["ls", "-n9"], ["log", "--from=1"]] {
        let args = [&args[..], &["--color", "always", "--json"]].concat();
        assert!(!room.run(&args).fine().contains(ESCAPE), "{args:?}");
    }
    let Some(shown) = at_a_terminal(&room, "show c1", "") else {
        println!("skipped: nothing here makes a terminal");
        return;
    };
    assert!(shown.out.contains(ESCAPE), "{shown:?}");
    assert!(!at_a_terminal(&room, "show c1 --color never", "").unwrap().out.contains(ESCAPE));
    let mut command = room.command(&["show", "c1"]);
    let plain = super::said(super::piped(command.env("NO_COLOR", "1").env("CLICOLOR_FORCE", "0")));
    assert!(!plain.fine().contains(ESCAPE));
}

#[test]
fn a_list_at_a_terminal_is_aligned_and_says_how_long_ago() {
    let room = room();
    let Some(listed) = at_a_terminal(&room, "ls --color never", "") else {
        println!("skipped: nothing here makes a terminal");
        return;
    };
    let lines: Vec<&str> = listed.out.lines().map(str::trim_end).collect();
    assert_eq!(lines[0], "ID    CREATED   ACTIVITY  MESSAGES  ACTIONS  TITLE");
    assert_eq!(lines[1], "c1    just now  just now  1         0        Plans");
    assert_eq!(lines[2], "会话  just now  just now  1         0        T", "wide letters take two places");
    let plain = room.run(&["ls"]).fine();
    assert!(plain.contains("+00:00\t") && !plain.contains("now"), "{plain}");
}

#[test]
fn what_is_quick_shows_no_bar() {
    let room = room();
    let Some(run) = at_a_terminal(&room, "verify --color never", "") else {
        println!("skipped: nothing here makes a terminal");
        return;
    };
    assert!(run.out.starts_with("sound: "), "{run:?}");
}
