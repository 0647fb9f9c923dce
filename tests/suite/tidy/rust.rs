//! The rules of a Rust file.

use super::source::{Comments, blanked, lines_with_word};
use super::{Finding, is_rust};

/// The most lines of a file of the product, its tests included.
const MAX_FILE: usize = 400;

/// The most lines of a function of the product.
const MAX_FUNCTION: usize = 70;

/// Files of the product that may be longer, or have longer functions, each with the reason.
const LONG: [(&str, &str); 1] =
    [("src/store/handle.rs", "the public methods are short, their documentation is not")];

/// The files that may have code that the compiler cannot check, each with the reason.
const UNCHECKED: [(&str, &str); 2] = [
    ("src/vfs/os.rs", "a memory map cannot be had without it"),
    ("benches/peers/src/contenders/lmdb.rs", "nor can LMDB, which is one"),
];

const NAMES_OF_DRAWERS: [&str; 6] = ["util", "utils", "common", "helpers", "helper", "types"];

fn found(path: &str, lines: impl IntoIterator<Item = usize>, what: &str) -> Vec<Finding> {
    lines.into_iter().map(|line| Finding::new(path, line, what)).collect()
}

pub(super) fn begins_with_a_doc(path: &str, text: &str) -> Vec<Finding> {
    let missing = is_rust(path) && !text.starts_with("//! ");
    found(path, missing.then_some(1), "a file begins with what it is, in `//!`")
}

pub(super) fn is_short(path: &str, text: &str) -> Vec<Finding> {
    if !is_rust(path) || !path.starts_with("src/") || LONG.iter().any(|(long, _)| *long == path) {
        return Vec::new();
    }
    let lines = text.lines().count();
    let mut findings = found(path, (lines > MAX_FILE).then_some(lines), "the file is too long");
    let code = blanked(text, Comments::Blanked);
    for (start, length) in functions(&code) {
        let too_long = (length > MAX_FUNCTION).then_some(start);
        findings.extend(found(path, too_long, "the function is too long"));
    }
    findings
}

/// The functions of formatted code: the first line and the count of lines of each.
fn functions(code: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut functions = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_head = |word: &&str| {
            word.starts_with("pub") || ["const", "async", "extern", "\"C\"", "unsafe"].contains(word)
        };
        let head = words.iter().take_while(|word| is_head(word)).count();
        if words.get(head) != Some(&"fn") {
            continue;
        }
        let indentation = &line[..line.len() - line.trim_start().len()];
        let ends = |line: &&str| {
            line.strip_prefix(indentation)
                .is_some_and(|rest| rest == "}" || (!rest.starts_with(' ') && rest.ends_with(['}', ';'])))
        };
        let length = lines[at..].iter().position(ends).map_or(lines.len() - at, |last| last + 1);
        functions.push((at + 1, length));
    }
    functions
}

/// A `matches!` that stands alone asserts nothing.
pub(super) fn has_no_bare_matches(path: &str, text: &str) -> Vec<Finding> {
    if !is_rust(path) {
        return Vec::new();
    }
    let code = blanked(text, Comments::Blanked);
    let mut bare = Vec::new();
    let mut previous = "";
    for (number, line) in (1..).zip(code.lines()) {
        let trimmed = line.trim();
        let begins_statement = previous.is_empty() || previous.ends_with([';', '{', '}']);
        if begins_statement && trimmed.starts_with("matches!(") && ends_as_statement(&code, number) {
            bare.push(number);
        }
        if !trimmed.is_empty() {
            previous = trimmed;
        }
    }
    found(path, bare, "a bare `matches!` asserts nothing")
}

/// Whether the first bracket on this line closes just before a semicolon.
fn ends_as_statement(code: &str, line: usize) -> bool {
    let rest = code.lines().skip(line - 1).collect::<Vec<_>>().join("\n");
    let mut depth = 0_u32;
    let mut chars = rest.chars();
    for c in chars.by_ref() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => break,
            ')' => depth -= 1,
            _ => {}
        }
    }
    chars.next() == Some(';')
}

pub(super) fn leaves_nothing_to_do(path: &str, text: &str) -> Vec<Finding> {
    if !is_rust(path) {
        return Vec::new();
    }
    let with_comments = blanked(text, Comments::Kept);
    let code = blanked(text, Comments::Blanked);
    let mut findings = Vec::new();
    // In pieces, so that a search for them does not find this file.
    for mark in [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")] {
        findings.extend(found(path, lines_with_word(&with_comments, mark), mark));
    }
    for call in ["dbg", "todo", "unimplemented"] {
        let lines = lines_with_word(&code, call).into_iter().filter(|number| {
            code.lines().nth(number - 1).is_some_and(|line| line.contains(&format!("{call}!")))
        });
        findings.extend(found(path, lines, call));
    }
    findings
}

pub(super) fn has_a_name_of_its_own(path: &str, _: &str) -> Vec<Finding> {
    let is_drawer = is_rust(path)
        && path.split('/').any(|part| NAMES_OF_DRAWERS.contains(&part.strip_suffix(".rs").unwrap_or(part)));
    found(path, is_drawer.then_some(1), "a module is named after what it is for")
}

pub(super) fn allows_nothing(path: &str, text: &str) -> Vec<Finding> {
    if !is_rust(path) {
        return Vec::new();
    }
    let code = blanked(text, Comments::Blanked);
    let lines = (1..).zip(code.lines());
    let allows = lines.filter(|(_, line)| line.contains("#[allow(") || line.contains("#![allow("));
    found(path, allows.map(|(number, _)| number), "expect a lint, with a reason, instead of allowing it")
}

pub(super) fn has_tidy_white_space(path: &str, text: &str) -> Vec<Finding> {
    let is_untidy = |line: &str| line.ends_with([' ', '\t', '\r']) || (is_rust(path) && line.contains('\t'));
    let untidy = (1..).zip(text.split('\n')).filter(|(_, line)| is_untidy(line)).map(|(number, _)| number);
    let mut findings = found(path, untidy, "white space at the end, or a tab");
    let ends_well = text.ends_with('\n') && !text.ends_with("\n\n");
    let last = text.lines().count().max(1);
    findings.extend(found(path, (!ends_well).then_some(last), "a file ends with one newline"));
    findings
}

pub(super) fn is_safe(path: &str, text: &str) -> Vec<Finding> {
    if !is_rust(path) || UNCHECKED.iter().any(|(unchecked, _)| *unchecked == path) {
        return Vec::new();
    }
    let code = blanked(text, Comments::Blanked);
    found(path, lines_with_word(&code, "unsafe"), "code that the compiler cannot check")
}

#[test]
fn a_file_without_a_doc_is_found() {
    assert_eq!(begins_with_a_doc("src/a.rs", "use std::io;\n").len(), 1);
    assert_eq!(begins_with_a_doc("src/a.rs", "//! What it is.\n"), []);
}

#[test]
fn a_long_file_and_a_long_function_are_found() {
    let lines = |count| "    x();\n".repeat(count);
    assert_eq!(is_short("src/a.rs", &lines(401)).len(), 1);
    assert_eq!(is_short("tests/a.rs", &lines(401)), []);
    let body = |count| "        x();\n".repeat(count);
    let function = |count| format!("impl A {{\n    pub(crate) fn f(\n    ) {{\n{}    }}\n}}\n", body(count));
    assert_eq!(is_short("src/a.rs", &function(67)), []);
    assert_eq!(
        is_short("src/a.rs", &function(68)),
        [Finding::new("src/a.rs", 2, "the function is too long")]
    );
    // A declaration without a body ends where it stands.
    let declarations = "trait T {\n    fn f(&self);\n".to_owned() + &lines(80) + "}\n";
    assert_eq!(is_short("src/a.rs", &declarations), []);
}

#[test]
fn a_bare_matches_is_found() {
    let check = |text: &str| has_no_bare_matches("tests/a.rs", text).len();
    assert_eq!(check("fn f() {\n    matches!(a, B(_));\n}"), 1);
    assert_eq!(check("    f();\n    matches!(\n        a,\n        B(_)\n    );\n"), 1);
    assert_eq!(check("    assert!(matches!(a, B));\n    let b =\n        matches!(a, B);\n"), 0);
    assert_eq!(check("fn f() -> bool {\n    matches!(a, B)\n}"), 0);
}

#[test]
fn what_is_left_to_do_is_found() {
    let check = |text: &str| leaves_nothing_to_do("src/a.rs", text).len();
    for mark in [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")] {
        assert_eq!(check(&format!("// {mark}: later\n")), 1);
        assert_eq!(check(&format!("let a = \"{mark}\";\n")), 0);
    }
    for call in ["dbg!(a)", "todo!()", "unimplemented!()"] {
        assert_eq!(check(call), 1);
    }
    assert_eq!(check("let todo = 1;"), 0);
}

#[test]
fn a_drawer_is_found() {
    for path in ["src/util.rs", "src/log/helpers/mod.rs", "tests/common/mod.rs", "src/log/types.rs"] {
        assert_eq!(has_a_name_of_its_own(path, "").len(), 1, "{path}");
    }
    assert_eq!(has_a_name_of_its_own("src/log/scan.rs", ""), []);
}

#[test]
fn an_allowed_lint_is_found() {
    assert_eq!(allows_nothing("src/a.rs", "#[allow(dead_code)]\nfn f() {}").len(), 1);
    assert_eq!(allows_nothing("src/a.rs", "#![allow(dead_code)]").len(), 1);
    assert_eq!(allows_nothing("src/a.rs", "#[expect(dead_code, reason = \"r\")]"), []);
}

#[test]
fn untidy_white_space_is_found() {
    for text in ["a \n", "a\t\n", "a", "a\n\n", "a\r\n", "\ta\n", ""] {
        assert_eq!(has_tidy_white_space("src/a.rs", text).len(), 1, "{text:?}");
    }
    assert_eq!(has_tidy_white_space("src/a.rs", "a\n\nb\n"), []);
}

#[test]
fn unchecked_code_elsewhere_is_found() {
    assert_eq!(is_safe("src/log/a.rs", "unsafe { f() }").len(), 1);
    assert_eq!(is_safe("src/log/a.rs", "#![forbid(unsafe_code)] // unsafe"), []);
    assert_eq!(is_safe("src/vfs/os.rs", "unsafe { f() }"), []);
}
