//! The order of the layers: a module names only what is to its left.
//!
//! Owns the table of edges, which is the same as in ARCHITECTURE.md; a new edge is a decision, not a detail.

use super::source::{Comments, blanked, is_word};
use super::{Finding, is_rust};

/// Every layer of `src` with the layers that it may name.
const LAYERS: [(&str, &[&str]); 14] = [
    ("model", &[]),
    ("error", &["model"]),
    ("codec", &["model", "error"]),
    ("search", &["model", "error", "codec"]),
    ("vfs", &[]),
    ("clock", &[]),
    ("sealed", &["error", "vfs", "clock"]),
    ("rules", &["model", "error", "codec", "clock"]),
    ("log", &["model", "error", "codec", "vfs"]),
    ("index", &["model", "error", "codec", "vfs", "log", "rules"]),
    ("snapshot", &["model", "error", "codec", "vfs", "log", "index"]),
    (
        "backend",
        &["model", "error", "codec", "vfs", "clock", "sealed", "rules", "search", "log", "index", "snapshot"],
    ),
    // It opens backends, and knows nothing of what they are made of.
    ("store", &["model", "error", "vfs", "clock", "sealed", "backend"]),
    // Beside the store: it looks into the pure layers, and nothing may name it.
    ("fuzzing", &["model", "codec", "log"]),
];

/// Where the library's own modules end: the programs see only its public side.
const PROGRAMS: &str = "src/bin/";

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let Some(inside) = path.strip_prefix("src/").filter(|_| is_rust(path)) else { return Vec::new() };
    if path.starts_with(PROGRAMS) {
        return reaches_in(path, text);
    }
    if inside == "lib.rs" {
        return Vec::new();
    }
    let own = inside.split(['/', '.']).next().unwrap_or_default();
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == own) else {
        return vec![Finding::new(path, 1, format!("`{own}` is not in the table of layers"))];
    };
    let mut findings = Vec::new();
    for (line, name) in named_from_root(inside, text) {
        let starts_upper = name.chars().next().is_some_and(char::is_uppercase);
        if name.is_empty() || starts_upper {
            findings.push(Finding::new(path, line, "import from the owning module, not from the crate root"));
        } else if name != own && !allowed.contains(&name.as_str()) {
            findings.push(Finding::new(path, line, format!("`{own}` must not name `{name}`")));
        }
    }
    findings
}

/// A program that takes a file of the library by its path goes round the public side.
fn reaches_in(path: &str, text: &str) -> Vec<Finding> {
    let code = blanked(text, Comments::Blanked);
    let lines = (1..).zip(code.lines()).filter(|(_, line)| line.trim().starts_with("#[path"));
    lines
        .map(|(line, _)| Finding::new(path, line, "a program uses only the public side of the crate"))
        .collect()
}

/// Every name that the code takes from the crate root, with its line; empty for a list of names or a star.
fn named_from_root(inside: &str, text: &str) -> Vec<(usize, String)> {
    let code = blanked(text, Comments::Blanked);
    let depth = depth_of_file(inside);
    // The inline modules that are open, by their indentation.
    let mut open: Vec<usize> = Vec::new();
    let mut found = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let indentation = line.len() - line.trim_start().len();
        if line.trim() == "}" && open.last() == Some(&indentation) {
            open.pop();
        }
        found.extend(after_root(line, depth + open.len()).into_iter().map(|name| (number, name)));
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.ends_with('{') && words.contains(&"mod") {
            open.push(indentation);
        }
    }
    found
}

/// How many modules a file is below the crate root: how many times `super` leads there.
fn depth_of_file(inside: &str) -> usize {
    let folders = inside.matches('/').count();
    if inside.ends_with("/mod.rs") { folders } else { folders + 1 }
}

/// What follows `crate::`, or a chain of `super::` as long as the module is deep.
fn after_root(line: &str, depth: usize) -> Vec<String> {
    let mut names = Vec::new();
    let to_root = "super::".repeat(depth);
    for start in ["crate::", to_root.as_str()] {
        for (at, _) in line.match_indices(start) {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| is_word(c) || c == ':' || c == '$') {
                continue;
            }
            let rest = &line[at + start.len()..];
            names.push(rest.chars().take_while(|c| is_word(*c)).collect());
        }
    }
    names
}

#[test]
fn a_layer_that_names_what_is_right_of_it_is_found() {
    let bad = [
        ("src/codec/frame.rs", "use crate::vfs::Vfs;"),
        ("src/vfs/os.rs", "fn f() { crate::codec::f() }"),
        ("src/log/scan.rs", "use crate::store::Options;"),
        ("src/log/scan.rs", "use super::super::index::Index;"),
        ("src/log/mod.rs", "use super::store::Store;"),
        ("src/model/a.rs", "mod tests {\n    use super::super::super::codec::x;\n}"),
        ("src/store/mod.rs", "use crate::fuzzing::json;"),
        ("src/rules/state.rs", "use crate::index::Index;"),
        ("src/store/options.rs", "use crate::log::Log;"),
        ("src/fuzzing/mod.rs", "use crate::store::Options;"),
        ("src/log/mod.rs", "use crate::Error;"),
        ("src/log/mod.rs", "use crate::{error, model};"),
        ("src/extras/mod.rs", ""),
        ("src/bin/aral-store/main.rs", "#[path = \"../../log/mod.rs\"]\nmod log;"),
    ];
    for (path, text) in bad {
        assert_eq!(check(path, text).len(), 1, "{path}: {text}");
    }
}

#[test]
fn a_layer_may_name_itself_and_what_is_left_of_it() {
    let good = [
        ("src/codec/frame.rs", "use crate::model::Seq;\nuse super::cursor;\n// as crate::store does"),
        ("src/log/scan.rs", "use super::super::codec::decode;\nuse crate::log::Position;"),
        ("src/model/a.rs", "mod tests {\n    use super::super::Seq;\n}\nuse super::Text;"),
        ("src/lib.rs", "pub use crate::model::Seq;"),
        ("src/bin/aral-store/main.rs", "use crate::args::Args;"),
        ("tests/suite/main.rs", "use crate::support::simfs;"),
    ];
    for (path, text) in good {
        assert_eq!(check(path, text), [], "{path}: {text}");
    }
}
