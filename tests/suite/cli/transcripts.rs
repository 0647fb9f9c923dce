//! What docs/cli.md shows is what happens.
//!
//! Every block of `console` in it is run, all of them in order and in one directory. A line that begins with
//! a dollar is given to the shell; the lines behind it are what must come, from both streams. `…` in a line
//! stands for anything, and a line of nothing else for any lines.

use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Room;

/// A command of the document and what it says comes of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Shown {
    line: usize,
    command: String,
    output: Vec<String>,
}

fn read(document: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut is_inside = false;
    for (number, line) in (1..).zip(document.lines()) {
        if line.starts_with("```") {
            is_inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| is_inside) {
            shown.push(Shown { line: number, command: command.to_owned(), output: Vec::new() });
        } else if is_inside {
            shown.last_mut().expect("a block begins with a command").output.push(line.to_owned());
        }
    }
    shown
}

/// Whether a line is what a pattern with `…` says.
fn fits(pattern: &str, line: &str) -> bool {
    let mut pieces = pattern.split('…');
    let first = pieces.next().unwrap();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some((_, behind)) = rest.split_once(piece) else { return false };
        rest = behind;
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// The same for lines.
fn all_fit(patterns: &[String], lines: &[&str]) -> bool {
    match (patterns.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((pattern, rest)), _) if pattern == "…" => {
            all_fit(rest, lines) || !lines.is_empty() && all_fit(patterns, &lines[1..])
        }
        (Some((pattern, patterns)), Some((line, lines))) => fits(pattern, line) && all_fit(patterns, lines),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn run(room: &Room, command: &str) -> String {
    let own = Path::new(super::BINARY).parent().unwrap().to_owned();
    let inherited = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([own].into_iter().chain(env::split_paths(&inherited))).unwrap();
    let script = format!("exec 2>&1; {command}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(room.0.path())
        .env("PATH", path)
        .env_remove("ARAL_STORE_DIR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn document() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).unwrap()
}

#[test]
fn what_the_document_shows_happens() {
    let room = Room::new();
    let all = read(&document());
    assert!(all.len() > 20, "the blocks were found");
    for Shown { line, command, output } in all {
        let came = run(&room, &command);
        let lines: Vec<&str> = came.lines().collect();
        assert!(
            all_fit(&output, &lines),
            "docs/cli.md:{line}: $ {command}\nshown:\n{}\ncame:\n{came}",
            output.join("\n")
        );
    }
}

#[test]
fn every_command_is_shown() {
    let room = Room::new();
    let help = room.run(&["--help"]).fine();
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let is_head = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let names = list.lines().filter(is_head).filter_map(|line| line.split_whitespace().next());
    let names: BTreeSet<&str> = names.filter(|name| *name != "help").collect();
    let all = read(&document());
    let is_shown = |name: &str| all.iter().any(|shown| shown.command.contains(&format!("aral-store {name}")));
    let missing: Vec<&str> = names.into_iter().filter(|name| !is_shown(name)).collect();
    assert!(missing.is_empty(), "without a transcript: {missing:?}");
}

#[test]
fn a_pattern_fits_what_it_says_and_nothing_else() {
    for (pattern, line) in
        [("a…b", "axxb"), ("a…b", "ab"), ("…", ""), ("a", "a"), ("…b…", "abc"), ("a…a", "aa")]
    {
        assert!(fits(pattern, line), "{pattern} {line}");
    }
    for (pattern, line) in [("a…b", "axxbc"), ("a", "ab"), ("a…a", "a"), ("x…", "ax"), ("…x…y", "yx")]
    {
        assert!(!fits(pattern, line), "{pattern} {line}");
    }
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    assert!(all_fit(&lines("a\n…\nz"), &["a", "b", "c", "z"]) && all_fit(&lines("a\n…"), &["a"]));
    assert!(!all_fit(&lines("a\nb"), &["a"]) && !all_fit(&lines("a"), &["a", "b"]));
}
