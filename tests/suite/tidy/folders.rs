//! Within a folder, data flows one way: no two files of a folder import each other, at once or round about.
//!
//! Owns the finding of such circles. A folder below counts as one with the file that it belongs to; a `mod.rs` only
//! hands names on, and tests may look at anything.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Comments, blanked, is_word};
use super::{Finding, is_rust};

/// Which files there are, by their modules' paths.
type Modules<'m> = BTreeMap<Vec<String>, &'m str>;

/// Of each file or folder, by its path, which of its siblings it names.
type Edges = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(files: &BTreeMap<String, String>) -> Vec<Finding> {
    let ours = files.iter().filter(|(path, _)| path.starts_with("src/") && is_rust(path) && !is_test(path));
    let modules: Modules<'_> = ours.clone().map(|(path, _)| (module_of(path), path.as_str())).collect();
    let mut edges = Edges::new();
    for (path, text) in ours {
        for named in named_modules(path, text, &modules) {
            if let Some((from, to)) = siblings(path, named) {
                edges.entry(from).or_default().insert(to);
            }
        }
    }
    let circles = edges.keys().filter_map(|start| circle(&edges, start));
    let mut told = BTreeSet::new();
    circles
        .filter(|circle| told.insert(circle.iter().cloned().collect::<BTreeSet<_>>()))
        .map(|circle| Finding::new(&circle[0], 1, format!("imports itself: {}", circle.join(" -> "))))
        .collect()
}

/// Whether a file holds tests and nothing else.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The path of a file's module from the root of its crate; the program is a crate of its own.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    let parts = inside.split('/').map(str::to_owned);
    parts.filter(|part| !["mod", "lib", "main"].contains(&part.as_str())).collect()
}

fn is_program(path: &str) -> bool {
    path.starts_with("src/bin/")
}

/// The files whose modules the code names, its own tests aside.
fn named_modules<'m>(path: &str, text: &str, modules: &Modules<'m>) -> BTreeSet<&'m str> {
    let code = blanked(text, Comments::Blanked);
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let own = module_of(path);
    let root = if is_program(path) { 2 } else { 0 };
    let mut found = BTreeSet::new();
    for named in paths_in(code) {
        let mut at = own.clone();
        let mut rest = named.as_slice();
        match rest.first().map(String::as_str) {
            Some("crate") => {
                at.truncate(root);
                rest = &rest[1..];
            }
            Some("super" | "self") => {
                while let Some(step) = rest.first().filter(|step| ["super", "self"].contains(&step.as_str()))
                {
                    if step == "super" {
                        at.pop();
                    }
                    rest = &rest[1..];
                }
            }
            _ => {}
        }
        at.extend(rest.iter().cloned());
        let longest = (root + 1..=at.len()).rev().find_map(|len| modules.get(&at[..len]));
        found.extend(longest.copied());
    }
    found.remove(path);
    found
}

/// Every path of the code, those in the braces of a `use` put together.
fn paths_in(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let is_start = at == 0 || !rest[..at].ends_with(is_word);
        let (end, line) =
            rest[at + 4..].split_once(';').map_or((rest.len(), ""), |(l, _)| (at + 4 + l.len(), l));
        if is_start {
            expand(&[], line, &mut found);
        }
        rest = &rest[end.min(rest.len())..];
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in code.chars().chain([' ']) {
        if is_word(c) || c == ':' {
            word.push(c);
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    let is_path = |word: &&String| word.contains("::") && !word.starts_with(':');
    found.extend(words.iter().filter(is_path).map(|word| steps(word)));
    found
}

fn steps(path: &str) -> Vec<String> {
    path.split("::").map(|step| step.trim().to_owned()).filter(|step| !step.is_empty()).collect()
}

/// The paths that a tree of a `use` stands for.
fn expand(before: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let Some((head, list)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        found.push(before.iter().cloned().chain(steps(path)).collect());
        return;
    };
    let before: Vec<String> = before.iter().cloned().chain(steps(head)).collect();
    let list = list.rsplit_once('}').map_or(list, |(list, _)| list);
    let mut depth = 0_u32;
    let parts = list.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.filter(|part| !part.trim().is_empty()).for_each(|part| expand(&before, part, found));
}

/// The two children of the folder in which the ways to two files part; none where one of them stands for the folder.
fn siblings(one: &str, other: &str) -> Option<(String, String)> {
    let (a, b): (Vec<&str>, Vec<&str>) = (one.split('/').collect(), other.split('/').collect());
    let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let child = |parts: &[&str]| parts[..=common].join("/").trim_end_matches(".rs").to_owned();
    let (from, to) = (child(&a), child(&b));
    let hands_on = |path: &str| ["mod", "lib", "main"].iter().any(|name| path.ends_with(&format!("/{name}")));
    (from != to && !hands_on(&from) && !hands_on(&to)).then_some((from, to))
}

/// A way from a file back to itself.
fn circle(edges: &Edges, start: &String) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in way.last().and_then(|last| edges.get(last)).into_iter().flatten() {
            if next == start {
                return Some(way);
            }
            if seen.insert(next.clone()) {
                ways.push(way.iter().cloned().chain([next.clone()]).collect());
            }
        }
    }
    None
}

fn of(files: &[(&str, &str)]) -> Vec<Finding> {
    check(&files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
}

#[test]
fn two_files_that_import_each_other_are_found() {
    let pairs: [&[(&str, &str)]; 5] = [
        &[("src/log/a.rs", "use super::b::B;"), ("src/log/b.rs", "use crate::log::a::{A, C};")],
        &[("src/log/a.rs", "use super::{x::X, b::B};"), ("src/log/b.rs", "fn f() { super::a::f() }")],
        &[
            ("src/log/a.rs", "use super::b;"),
            ("src/log/b.rs", "use super::c;"),
            ("src/log/c.rs", "use super::a;"),
        ],
        &[
            ("src/log/a.rs", "use super::b;"),
            ("src/log/b/mod.rs", ""),
            ("src/log/b/c.rs", "use crate::log::a::A;"),
        ],
        &[("src/bin/aral-store/a.rs", "use crate::b::B;"), ("src/bin/aral-store/b.rs", "use crate::a;")],
    ];
    for files in pairs {
        assert_eq!(of(files).len(), 1, "{files:?}");
    }
}

#[test]
fn what_flows_one_way_is_left_alone() {
    let good: [&[(&str, &str)]; 4] = [
        &[("src/log/a.rs", "use super::b::B;"), ("src/log/b.rs", "// super::a\nuse crate::model::a;")],
        &[
            ("src/log/a.rs", "use super::b;"),
            ("src/log/b.rs", "#[cfg(test)]\nmod tests {\n    use super::super::a;\n}"),
        ],
        &[("src/log/mod.rs", "mod a;\npub use a::A;"), ("src/log/a.rs", "use super::B;")],
        &[("src/log/a.rs", "mod b;\nuse b::B;"), ("src/log/a/b.rs", "use super::A;")],
    ];
    for files in good {
        assert_eq!(of(files), [], "{files:?}");
    }
}
