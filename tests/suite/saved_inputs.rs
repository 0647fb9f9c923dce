//! The inputs that fuzzing saved, and the ones that it starts from, held to the laws without a fuzzer.
//!
//! Every file in `tests/corpus` is one input of the target that its folder is named after. What a fuzzer found
//! is put there under a name that says what it is, and stays.

#![expect(clippy::disallowed_methods, reason = "the inputs are on the real file system")]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use aral_store::fuzzing;

use crate::support::program;

/// Runs every input of a target; the failures are told together, by the names of their files.
fn hold(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 3, "the inputs of {target} are there");
    let fails = |path: &Path| {
        let data = fs::read(path).unwrap();
        catch_unwind(|| body(&data)).is_err()
    };
    let failed: Vec<_> = paths.iter().filter(|path| fails(path)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn saved_frames_are_valid_in_one_place_only() {
    hold("frame_decode", fuzzing::frame);
}

#[test]
fn saved_segments_are_judged_by_what_was_synced() {
    hold("segment_scan", fuzzing::segment);
}

#[test]
fn saved_json_is_read_as_python_reads_it() {
    hold("json_reader", fuzzing::json);
}

#[test]
fn saved_documents_are_rewritten_in_one_form() {
    hold("document", fuzzing::document);
}

#[test]
fn saved_lines_are_printed_as_they_were_read() {
    hold("import_line", fuzzing::line);
}

#[test]
fn saved_checkpoints_are_gone_through() {
    hold("checkpoint", fuzzing::checkpoint);
}

#[test]
fn saved_payloads_are_read_as_they_were_written() {
    hold("payload", fuzzing::payload);
}

#[test]
fn saved_runs_do_what_the_oracle_says() {
    hold("whole_store", |data| {
        if let Err(wrong) = program::run(data) {
            panic!("{wrong}");
        }
    });
}

/// The corpora stay small enough to read through, and every folder has a test: above, or among the program's own, whose readers
/// those of archives and of the lines of tools are.
#[test]
fn every_saved_input_is_run_and_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut names = Vec::new();
    let mut total = 0;
    for entry in fs::read_dir(root).unwrap() {
        let folder = entry.unwrap();
        for input in fs::read_dir(folder.path()).unwrap() {
            total += input.unwrap().metadata().unwrap().len();
        }
        names.push(folder.file_name().into_string().unwrap());
    }
    names.sort();
    let targets = "archive checkpoint claude_code codex document frame_decode gemini_cli import_line json_reader payload segment_scan whole_store";
    assert_eq!(names.join(" "), targets);
    assert!(total < 500_000, "{total} bytes");
}
