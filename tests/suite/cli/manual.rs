//! Completions and the manual say what the program's own help says.

use std::fs;
use std::process::Command;

use super::{Room, files};

/// The commands that the help lists.
fn commands(room: &Room) -> Vec<String> {
    let help = room.run(&["--help"]).fine();
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let is_head = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let names = list.lines().filter(is_head).map(|line| line.split_whitespace().next().unwrap().to_owned());
    names.filter(|name| name != "help").collect()
}

#[test]
fn help_is_wrapped_where_no_terminal_says_how_wide_it_is() {
    let room = Room::new();
    for command in commands(&room) {
        let help = room.run(&[&command, "--help"]).fine();
        let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(long.is_empty(), "{command}: {long:#?}");
    }
}

#[test]
fn every_shell_gets_completions_that_know_every_command() {
    let room = Room::new();
    let commands = commands(&room);
    assert!(commands.len() > 14, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = room.run(&["completions", shell]).fine();
        for command in &commands {
            assert!(script.contains(command.as_str()), "{command} for {shell}");
        }
    }
    room.run(&["completions", "tcsh"]).fails(2);
    room.run(&["completions"]).fails(2);
    assert!(!room.store().exists());
}

#[test]
fn the_completions_of_bash_complete() {
    let room = Room::new();
    let script = room.run(&["completions", "bash"]).fine();
    let function = script.split("()").next().unwrap().to_owned();
    fs::write(room.path("script"), script).unwrap();
    let try_it = format!(
        "source ./script && COMP_WORDS=(aral-store comp) COMP_CWORD=1 && \
         {function} aral-store comp aral-store && echo \"${{COMPREPLY[*]}}\""
    );
    let output = Command::new("bash").current_dir(room.0.path()).args(["-c", &try_it]).output();
    let Ok(output) = output else {
        println!("skipped: there is no bash here");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "compact completions", "{output:?}");
}

#[test]
fn the_manual_has_a_page_for_the_program_and_for_every_command() {
    let room = Room::new();
    let page = room.run(&["man"]).fine();
    assert!(page.contains(".TH ARAL-STORE 1"), "{page}");
    for command in commands(&room) {
        assert!(page.contains(&command.replace('-', "\\-")), "{command}");
        let page = room.run(&["man", &command]).fine();
        assert!(page.contains(&format!("aral\\-store\\-{command}")), "{page}");
        assert!(page.contains("Example: "), "{page}");
    }
    room.run(&["man", "nothing"]).fails(3);
    let run = room.run(&["man", "-o", "man/man1"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let written = files(&room.path("man/man1"));
    assert_eq!(written.len(), commands(&room).len() + 1);
    assert_eq!(fs::read_to_string(room.path("man/man1/aral-store.1")).unwrap(), room.run(&["man"]).fine());
    assert!(!room.store().exists());
}
