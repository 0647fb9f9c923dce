//! The rules of the documents.

use std::path::{Component, Path, PathBuf};

use super::Finding;

/// Relative links lead to something that is there. Links to other sites, and places inside the same file,
/// are not followed, nor is what looks like a link inside code.
pub(super) fn links_resolve(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    if Path::new(path).extension().is_none_or(|extension| extension != "md") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(&without_code(line)) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let resolved = Path::new(path).parent().map(|dir| normal(&dir.join(file)));
            match resolved.flatten() {
                Some(found) if exists(&found) => {}
                Some(_) | None => findings.push(Finding::new(path, number, format!("no `{target}`"))),
            }
        }
    }
    findings
}

/// The path without its dots; `None` if it leads out of the repository.
fn normal(path: &Path) -> Option<String> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                if !clean.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean.to_string_lossy().into_owned())
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// What the links and reference definitions of a line point at.
fn targets(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("](") {
        let rest = &line[at + 2..];
        let end = rest.find([')', ' ']).unwrap_or(rest.len());
        found.push(rest[..end].trim_matches(['<', '>']).to_owned());
    }
    if let Some((label, target)) = line.split_once("]: ")
        && label.starts_with('[')
        && !label.starts_with("[^")
    {
        found.extend(target.split_whitespace().next().map(str::to_owned));
    }
    found
}

/// A link to a place in a file of tests names a test that is there, and each item of a document's claims has such a link,
/// or one to a document.
pub(super) fn claims_are_shown(claims: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut missing = Vec::new();
    for claim in claims.split("\n- ").skip(1) {
        let links = claim.lines().flat_map(|line| targets(&without_code(line)));
        let links: Vec<_> = links.filter(|link| !link.contains("://")).collect();
        if links.is_empty() {
            missing.push(claim.lines().next().unwrap_or_default().to_owned());
        }
        for link in links {
            let (file, place) = link.split_once('#').unwrap_or((&link, ""));
            let text = read(file).unwrap_or_default();
            let is_there = match Path::new(file).extension().and_then(|extension| extension.to_str()) {
                Some("rs") => text.contains(&format!("#[test]\nfn {place}() {{")),
                Some("py") => text.contains(&format!("\ndef {place}(")),
                _ => !text.is_empty(),
            };
            if !is_there {
                missing.push(link);
            }
        }
    }
    missing
}

/// The figures in a document's tables are cells of another document's tables, from which they were taken.
pub(super) fn figures_stand_in(document: &str, source: &str) -> Vec<String> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let sources: Vec<String> = source.lines().filter(|line| line.starts_with('|')).flat_map(cells).collect();
    let mut missing = Vec::new();
    for row in document.lines().filter(|line| line.starts_with('|')).map(cells) {
        // The first column says what is measured.
        for word in row.iter().skip(2).flat_map(|cell| cell.split_whitespace()) {
            let figure = word.trim_end_matches(',');
            if figure.starts_with(|first: char| first.is_ascii_digit())
                && !sources.iter().any(|cell| cell == figure)
            {
                missing.push(figure.to_owned());
            }
        }
    }
    missing
}

#[test]
fn a_figure_that_stands_nowhere_else_is_found() {
    let source = "7\n| a | 1,204 | 7.1 |\n";
    let check = |row: &str| figures_stand_in(row, source);
    assert_eq!(check("| of 64 | 1,204 µs | a 7.1, b 7.1 |"), Vec::<String>::new());
    assert_eq!(check("| of 64 | 1,205 µs | a 7, b 7.1 |"), ["1,205", "7"]);
}

#[test]
fn a_claim_that_nothing_shows_is_found() {
    let read = |path: &str| match path {
        "a.rs" => Some("#[test]\nfn it_holds() {\n}\nfn helper() {\n}".to_owned()),
        "a.py" => Some("\ndef test_it(x):".to_owned()),
        "a.md" => Some("because".to_owned()),
        _ => None,
    };
    let check = |text: &str| claims_are_shown(text, read);
    assert_eq!(
        check("\n- one ([t](a.rs#it_holds))\n- two\n  [t](a.py#test_it), [w](a.md#there)"),
        Vec::<String>::new()
    );
    for bad in ["a.rs", "a.rs#gone", "a.rs#helper", "a.py#test_other", "b.rs#it_holds", "b.md"] {
        assert_eq!(check(&format!("\n- one ([t]({bad}))")), [bad]);
    }
    assert_eq!(
        check("\n- one `[t](a.md)`, [t](https://x.y/a.md)\n- two [w](a.md)"),
        ["one `[t](a.md)`, [t](https://x.y/a.md)"]
    );
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let exists = |path: &str| path == "docs/format.md" || path == "README.md";
    let check = |text: &str| links_resolve("docs/a.md", text, exists).len();
    for good in [
        "[a](format.md)",
        "[a](format.md#x \"title\")",
        "[a](../README.md)",
        "[a](#here)",
        "[a](https://x.y/z)",
        "`[a](gone.md)`",
        "```\n[a](gone.md)\n```",
        "[a]: format.md",
        "[^1]: a footnote",
    ] {
        assert_eq!(check(good), 0, "{good}");
    }
    for bad in ["[a](gone.md)", "![a](gone.png)", "[a](../../README.md)", "[a]: gone.md", "[a](/format.md)"] {
        assert_eq!(check(bad), 1, "{bad}");
    }
}
