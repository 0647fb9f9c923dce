//! The source as source: the rules of the house that no compiler checks.
//!
//! Every rule is a pure function of a path and a text, and has a test of its own that plants a violation.

#![expect(clippy::disallowed_methods, reason = "the source is read from the real file system")]
#![expect(clippy::string_slice, reason = "a place where a word was found is the boundary of a character")]

mod folders;
mod layers;
mod prose;
mod rust;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// One place where a rule is broken.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Finding(String);

impl Finding {
    fn new(path: &str, line: usize, what: impl AsRef<str>) -> Self {
        Self(format!("{path}:{line}: {}", what.as_ref()))
    }
}

/// Folders of the repository whose text is not ours to keep tidy, or is no text.
const NOT_OURS: [&str; 6] =
    ["data", "fuzz/corpus", "fuzz/artifacts", "fuzz/coverage", "tests/golden", "tests/fixtures"];

/// Whether a folder's text is ours: builds and hidden folders are not, wherever they are.
fn is_ours(folder: &str) -> bool {
    let name = folder.rsplit('/').next().unwrap_or_default();
    !NOT_OURS.contains(&folder) && name != "target" && !name.starts_with('.')
}

/// Every Rust and Markdown file of the repository, with its text.
fn repository() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !path.is_symlink() {
                if is_ours(&name) {
                    waiting.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

fn assert_tidy(check: impl Fn(&str, &str) -> Vec<Finding>) {
    let files = repository();
    assert!(files.contains_key("src/lib.rs"), "the source was found");
    let findings: Vec<String> =
        files.iter().flat_map(|(path, text)| check(path, text)).map(|finding| finding.0).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn layers_name_only_what_is_left_of_them() {
    assert_tidy(layers::check);
}

#[test]
fn no_two_files_of_a_folder_import_each_other() {
    let findings: Vec<String> = folders::check(&repository()).into_iter().map(|finding| finding.0).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    assert_tidy(rust::begins_with_a_doc);
}

#[test]
fn files_and_functions_are_short() {
    assert_tidy(rust::is_short);
}

#[test]
fn every_matches_is_asserted() {
    assert_tidy(rust::has_no_bare_matches);
}

#[test]
fn nothing_is_left_to_do() {
    assert_tidy(rust::leaves_nothing_to_do);
}

#[test]
fn no_file_is_a_drawer_for_odds_and_ends() {
    assert_tidy(rust::has_a_name_of_its_own);
}

#[test]
fn lints_are_expected_and_never_allowed() {
    assert_tidy(rust::allows_nothing);
}

#[test]
fn white_space_is_tidy() {
    assert_tidy(rust::has_tidy_white_space);
}

#[test]
fn unsafe_code_is_in_one_place() {
    assert_tidy(rust::is_safe);
}

#[test]
fn the_speed_in_the_readme_is_the_measured_one() {
    let files = repository();
    let (_, section) = files["README.md"].split_once("## How fast it is").unwrap();
    let section = section.split("\n## ").next().unwrap();
    assert!(section.contains("| durable append"), "the table has moved");
    let missing = prose::figures_stand_in(section, &files["docs/performance.md"]);
    assert!(missing.is_empty(), "not in docs/performance.md: {missing:?}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let exists = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists();
    assert_tidy(|path, text| prose::links_resolve(path, text, exists));
}
