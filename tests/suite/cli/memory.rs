//! Little memory: what cannot be had is an error and no abort.

use super::{BINARY, Room, message_line, piped, said};

/// It ended with 134, by the signal of an abort.
#[test]
fn memory_that_cannot_be_had_ends_the_program_with_an_error() {
    let room = Room::new();
    let lines: String = (0..30).map(|_| message_line("h", &"x".repeat(2_000_000))).collect();
    assert_eq!(room.run_with(&["append"], lines.as_bytes()).fine().lines().count(), 30);
    let mut command = std::process::Command::new("/bin/sh");
    // The standard library may wait for itself for ever when it is short of memory for a backtrace.
    command.env_remove("RUST_BACKTRACE").current_dir(room.0.path());
    command.args(["-c", "ulimit -d 58000; exec \"$0\" -d store show h --json", BINARY]);
    let run = said(piped(&mut command));
    assert_eq!((run.code, run.out.as_str()), (Some(1), ""), "{}", run.err);
    assert!(run.err.contains("memory"), "{}", run.err);
}
