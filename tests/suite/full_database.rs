//! Databases whose disk is really full: what was acknowledged is there and can be read, what is refused is refused as `NoSpace`,
//! and once there is room all goes on. Needs the right to mount; where there is none, each test says that it is skipped.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use aral_store::{ErrorKind, MessageStore, Messages};
use tempfile::TempDir;

/// A small file system, for as long as this lives.
struct Small(TempDir);

impl Small {
    fn mount(size: &str) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=755");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(home.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(home)),
            other => {
                writeln!(std::io::stderr(), "SKIPPED: no small file system could be mounted: {other:?}").ok();
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn grow(&self, size: &str) {
        let options = format!("remount,size={size}");
        let grown = Command::new("mount").args(["-o", &options]).arg(self.path()).status().unwrap();
        assert!(grown.success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.path()).status().ok();
    }
}

fn text(number: usize) -> String {
    format!("{number} {}", "x".repeat(number * 997 % 20_000))
}

/// Appends until the disk is full, finds everything there, makes room, and goes on.
fn hold(url: &str, make_room: impl FnOnce()) {
    let store = MessageStore::connect(url).unwrap();
    let mut count = 0;
    let full = loop {
        match store.add_message("c", text(count)) {
            Ok(receipt) => assert!(receipt.is_durable()),
            Err(error) => break error,
        }
        count += 1;
        assert!(count < 20_000, "the disk was never full");
    };
    assert_eq!(full.kind(), ErrorKind::NoSpace, "{full}");
    assert!(count > 10, "{count} messages fill the disk");
    let has_all = |count: usize| {
        let messages = store.messages("c", Messages::all()).unwrap();
        assert_eq!(messages.len(), count);
        assert!(
            messages.iter().enumerate().all(|(number, message)| message.content == text(number).as_str())
        );
        assert_eq!(store.verify().unwrap().damaged, []);
    };
    has_all(count);
    for _ in 0..3 {
        let error = store.add_message("c", "x".repeat(500_000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    }
    has_all(count);
    make_room();
    for number in count..count + 20 {
        store.add_message("c", text(number)).unwrap();
    }
    has_all(count + 20);
    store.close().unwrap();
}

#[cfg(feature = "sqlite")]
#[test]
fn a_database_file_on_a_full_disk_loses_nothing_and_goes_on_when_there_is_room() {
    let Some(small) = Small::mount("3m") else { return };
    hold(&format!("sqlite:{}", small.path().join("store.db").display()), || small.grow("64m"));
}

#[cfg(feature = "postgres")]
#[test]
fn a_server_whose_disk_is_full_loses_nothing_and_goes_on_when_there_is_room() {
    let Some(server) = crate::support::server::start() else { return };
    // A new database takes about 8 MiB.
    let Some(small) = Small::mount("12m") else { return };
    server.give(small.path());
    std::fs::set_permissions(small.0.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    server.sql(&format!("CREATE TABLESPACE small LOCATION '{}'", small.path().display()));
    server.sql("CREATE DATABASE tiny TABLESPACE small");
    // What does not fit there while it sorts, a server writes to the disk that is full.
    server.sql("ALTER DATABASE tiny SET work_mem = '256MB'");
    hold(&server.url("full").replace("/postgres?", "/tiny?"), || small.grow("128m"));
}
