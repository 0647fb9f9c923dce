//! Reads all files below a directory line by line and parses each line into a `serde_json::Value`: what `importing.py` holds imports
//! against.

#![expect(clippy::expect_used, clippy::disallowed_methods, reason = "a measurement outside of the library")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

fn main() {
    let mut folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let (mut lines, mut members) = (0_u64, 0_usize);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the directory can be read") {
            let path = entry.expect("the directory can be read").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut reader = BufReader::new(std::fs::File::open(path).expect("the file can be read"));
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).expect("the file can be read") > 0 {
                let value: serde_json::Value = serde_json::from_slice(&line).expect("each line is JSON");
                members += value.as_object().map_or(0, serde_json::Map::len);
                lines += 1;
                line.clear();
            }
        }
    }
    // So that nothing of it can be left out.
    assert!(members > 0, "{lines} lines were parsed");
}
