//! A database file that a user may only read, in a directory where he may make nothing.

#![expect(clippy::disallowed_methods, reason = "rights are those of the real file system")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use aral_store::MessageStore;

/// Somebody for whom rights count.
const NOBODY: u32 = 65_534;

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Lets everybody read what is in a directory, and nobody write.
fn lock(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        allow(&entry.unwrap().path(), 0o444);
    }
    allow(dir, 0o555);
}

/// What a reader is told of the database in a directory, and whether it went well.
fn read(room: &Path, dir: &Path, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(room.join("program"));
    command.args(["-d", &format!("sqlite:{}/agents.db", dir.display())]).args(args).current_dir(room);
    if fs::metadata(room).unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    // Another test that starts a program at this moment may hold the copy open for writing until that has begun.
    let is_busy = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ExecutableFileBusy;
    let mut output = command.output();
    while output.as_ref().is_err_and(is_busy) {
        std::thread::sleep(std::time::Duration::from_millis(10));
        output = command.output();
    }
    let output = output.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn a_database_is_read_where_nothing_can_be_made_beside_it_unless_that_would_hide_something() {
    let room = tempfile::tempdir().unwrap();
    let room = room.path();
    allow(room, 0o755);
    fs::copy(env!("CARGO_BIN_EXE_aral-store"), room.join("program")).unwrap();
    let [closed, left, used] = ["closed", "left", "used"].map(|name| {
        let dir = room.join(name);
        fs::create_dir(&dir).unwrap();
        dir
    });
    let url = |dir: &Path| format!("sqlite:{}/agents.db", dir.display());
    let store = MessageStore::connect(url(&used)).unwrap();
    store.add_message("c1", "a first rainy day").unwrap();
    let copied = |name: &str| fs::copy(used.join(name), left.join(name)).unwrap();
    assert!(copied("agents.db-wal") > 0);
    copied("agents.db");

    // Somebody has it open, so that what he has made can be used.
    lock(&used);
    let (went_well, said) = read(room, &used, &["show", "c1"]);
    assert!(went_well && said.contains("rainy"), "{said}");
    allow(&used, 0o755);
    for entry in fs::read_dir(&used).unwrap() {
        allow(&entry.unwrap().path(), 0o644);
    }
    drop(store);

    // Nobody has, and the file is all there is.
    fs::copy(used.join("agents.db"), closed.join("agents.db")).unwrap();
    lock(&closed);
    for args in [&["show", "c1"][..], &["search", "rainy"], &["ls"], &["verify"], &["stats"]] {
        let (went_well, said) = read(room, &closed, args);
        assert!(went_well && !said.contains("cannot"), "{args:?}: {said}");
        assert!(args[0] != "show" || said.contains("rainy"), "{said}");
    }
    let names: Vec<_> = fs::read_dir(&closed).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["agents.db"]);

    // Whoever wrote was killed, and what he wrote is in the log alone.
    lock(&left);
    let (went_well, said) = read(room, &left, &["show", "c1"]);
    assert!(!went_well && said.contains("agents.db-wal") && said.contains("copy both files"), "{said}");
    allow(&left, 0o777);
    for name in ["agents.db", "agents.db-wal"] {
        allow(&left.join(name), 0o666);
    }
    let (went_well, said) = read(room, &left, &["show", "c1"]);
    assert!(went_well && said.contains("rainy"), "{said}");
    allow(&closed, 0o755);
}
