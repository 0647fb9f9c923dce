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
use super::databases::urls;

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

/// Gives a line to the shell, with a store for the commands that name none, and says what came and with which code it ended.
fn run(room: &Room, store: Option<&str>, command: &str) -> (String, Option<i32>) {
    let own = Path::new(super::BINARY).parent().unwrap().to_owned();
    let inherited = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([own].into_iter().chain(env::split_paths(&inherited))).unwrap();
    let script = format!("exec 2>&1; {command}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(room.0.path()).env("PATH", path).stdin(Stdio::null());
    match store {
        Some(store) => shell.env("ARAL_STORE_DIR", store),
        None => shell.env_remove("ARAL_STORE_DIR"),
    };
    let output = shell.output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

fn document() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).unwrap()
}

#[track_caller]
fn comes(shown: &Shown, output: &[String], came: &str) {
    let lines: Vec<&str> = came.lines().collect();
    assert!(
        all_fit(output, &lines),
        "docs/cli.md:{}: $ {}\nshown:\n{}\ncame:\n{came}",
        shown.line,
        shown.command,
        output.join("\n")
    );
}

/// What is of a directory's files alone, by how the command begins, and what comes instead on a database; nothing where the
/// command is not for it at all.
const OF_FILES: [(&str, Option<&str>); 16] = [
    ("aral-store index", Some("aral-store: …have one of their own…\naral-store: …have one of their own…")),
    ("aral-store compact", Some("aral-store: …nothing to compact…")),
    (
        "aral-store stats --json",
        Some("{\"conversations\":2,\"messages\":3,\"actions\":1,\"damaged\":0,\"last_seq\":9,…}"),
    ),
    ("aral-store verify", Some("sound: read …")),
    (
        "aral-store repair --to",
        Some(
            "note: the history …\ncomplete: 2 conversations, 3 messages, 1 action, 9 events carried out again, nothing lost",
        ),
    ),
    ("aral-store accept", Some("aral-store: …\nsound: read …")),
    ("mkdir full", Some("aral-store: backups are of …\naral-store: backups are of …\n2")),
    ("cp -r data live", None),
    ("export ARAL_STORE_DIR=live", None),
    ("aral-store restore kept", None),
    ("aral-store -d back ", None),
    ("cat data/", None),
    ("sed -i", None),
    // What a compaction leaves of the log, and what was accepted.
    ("aral-store log\n", Some("1\tplans\tcreate_conversation\t\tPlans for spring\n…\n9\tc1\tadd_message\t…")),
    ("aral-store show chat -n 1 | tail", Some("    Hello.")),
    ("aral-store rename chat 'Ours'", Some("aral-store: …nothing was written: name an empty store\n4")),
];

/// What the document shows, on a database in the directory's place.
fn shown_on_a_database(shown: &Shown, has_accepted: bool) -> Option<Vec<String>> {
    let command = format!("{}\n", shown.command);
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    if let Some((_, instead)) = OF_FILES.iter().find(|(beginning, _)| command.starts_with(beginning)) {
        return instead.map(lines);
    }
    // The three events of what was accepted are not there.
    let number = if has_accepted { "15" } else { "18" };
    let line = |line: &String| line.replace("./data", "…").replace("18", number);
    // A database keeps all of the past, and does not say until when.
    let is_until = |line: &str| {
        line.contains("unremove brings it back until") && command.starts_with("aral-store rm chat")
    };
    Some(shown.output.iter().filter(|shown| !is_until(shown)).map(line).collect())
}

#[test]
fn what_the_document_shows_happens() {
    let room = Room::new();
    let all = read(&document());
    assert!(all.len() > 20, "the blocks were found");
    for shown in all {
        comes(&shown, &shown.output, &run(&room, None, &shown.command).0);
    }
}

#[test]
fn what_the_document_shows_happens_on_databases_too() {
    for which in 0..urls(&Room::new()).len() {
        let room = Room::new();
        let url = urls(&room).swap_remove(which);
        let mut has_accepted = false;
        for shown in read(&document()) {
            let Some(output) = shown_on_a_database(&shown, has_accepted) else { continue };
            has_accepted |= shown.command.starts_with("aral-store accept");
            let command = shown.command.replace("copy data ", "copy \"$ARAL_STORE_DIR\" ");
            comes(&shown, &output, &run(&room, Some(&url), &command).0);
        }
        assert!(!room.path("data").exists(), "{url}");
    }
}

/// The README's commands do on a database what they do on a directory; those that cannot say so.
#[test]
fn what_the_readme_says_works_on_databases_too() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let session = readme.split("```sh\n").find(|block| block.starts_with("cargo install")).unwrap();
    let commands: Vec<&str> = session.split("```").next().unwrap().lines().skip(1).collect();
    for which in 0..urls(&Room::new()).len() {
        let room = Room::new();
        let url = urls(&room).swap_remove(which);
        for command in &commands {
            let command = command.replace("copy data ", "copy \"$ARAL_STORE_DIR\" ");
            let (said, code) = run(&room, Some(&url), &command);
            // What a repair in place does is done to a database's tables, too.
            let is_of_files = ["compact", "--salvage"]
                .iter()
                .any(|word| command.starts_with(&format!("aral-store {word}")));
            assert_eq!(code == Some(0), !is_of_files, "{url}: {command}\n{said}");
            assert!(!is_of_files || said.contains("database"), "{url}: {command}\n{said}");
        }
        assert!(!room.path("data").exists(), "{url}");
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
