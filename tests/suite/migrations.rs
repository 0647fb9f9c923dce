//! Databases that older versions of the schema wrote: read as they are by readers, brought up to date by whoever writes first.
//!
//! The fixtures were made by the software of their time. They are never regenerated.

#![expect(clippy::disallowed_methods, reason = "the fixtures are on the real file system")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aral_store::{MessageStore, StoreUrl};

/// How many processes come at once.
const AT_ONCE: usize = 5;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A database of each older version and each engine that there is, and what an export of it says.
fn old(dir: &Path, schema: &str) -> Vec<(String, String)> {
    let of = |version: u32| {
        let path = dir.join(format!("old{version}.db"));
        fs::copy(fixture(&format!("sqlite/schema{version}.db")), &path).unwrap();
        let lines = |engine: &str| {
            fs::read_to_string(fixture(engine).join(format!("schema{version}.jsonl"))).unwrap()
        };
        let sqlite = (format!("sqlite:{}", path.display()), lines("sqlite"));
        let postgres = on_a_server(&format!("{schema}{version}"), version);
        std::iter::once(sqlite).chain(postgres.map(|url| (url, lines("postgres"))))
    };
    (1..=2).flat_map(of).filter(|(url, _)| StoreUrl::of(url).is_ok()).collect()
}

#[cfg(feature = "postgres")]
fn on_a_server(schema: &str, version: u32) -> Option<String> {
    let server = crate::support::server::shared()?;
    let statements = fs::read_to_string(fixture(&format!("postgres/schema{version}.sql"))).unwrap();
    let named = statements
        .replace("chat.", &format!("{schema}."))
        .replace("SCHEMA chat;", &format!("SCHEMA {schema};"));
    server.sql(&named);
    Some(server.url(schema))
}

#[cfg(not(feature = "postgres"))]
fn on_a_server(_: &str, _: u32) -> Option<String> {
    None
}

fn command(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aral-store"));
    command.args(["-d", url]).args(args);
    command
}

fn exported(url: &str) -> String {
    let said = command(url, &["export", "--to", "jsonl"]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    String::from_utf8(said.stdout).unwrap()
}

#[test]
fn what_older_versions_wrote_is_read_and_brought_up_to_date_with_nothing_lost() {
    let dir = tempfile::tempdir().unwrap();
    for (url, lines) in old(dir.path(), "first") {
        let reader = MessageStore::options().read_only().connect(&url).unwrap();
        assert_eq!(reader.verify().unwrap().damaged, [], "{url}");
        let id = "twice";
        assert_eq!(reader.message("greetings", id).unwrap().unwrap().content, "the second with this id");
        assert_eq!(exported(&url), lines, "{url}");
        // Without an index, which version 1 has not, and version 2 has not made.
        assert_eq!(reader.search("with this id").unwrap().len(), 2, "{url}");
        let writer = MessageStore::connect(&url).unwrap();
        assert_eq!(writer.message("greetings", id).unwrap().unwrap().content, "the second with this id");
        assert_eq!(writer.verify().unwrap().damaged, [], "{url}");
        assert_eq!(exported(&url), lines, "{url}");
        let next = writer.stats().unwrap().last_seq + 1;
        assert_eq!(writer.add_message("greetings", "and it goes on").unwrap().seq, next);
        assert_eq!(writer.search("京都").unwrap().len(), 1, "{url}");
        // Who opened it before goes on to read.
        assert_eq!(reader.stats().unwrap().last_seq, next);
    }
}

#[test]
fn processes_that_migrate_at_once_do_it_once() {
    let dir = tempfile::tempdir().unwrap();
    for (url, _) in old(dir.path(), "at_once") {
        let before = MessageStore::options().read_only().connect(&url).unwrap().stats().unwrap().last_seq;
        let add = |_| command(&url, &["add", "c1", "mine"]).stdout(Stdio::null()).spawn().unwrap();
        let processes: Vec<_> = (0..AT_ONCE).map(add).collect();
        for mut process in processes {
            assert!(process.wait().unwrap().success(), "{url}");
        }
        let store = MessageStore::connect(&url).unwrap();
        assert_eq!(store.verify().unwrap().damaged, [], "{url}");
        assert_eq!(store.stats().unwrap().last_seq, before + u64::try_from(AT_ONCE).unwrap());
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_server_that_may_not_migrate_says_so_and_keeps_version_1() {
    let Some(server) = crate::support::server::shared() else { return };
    let url = on_a_server("fenced", 1).unwrap();
    server.sql(
        "CREATE ROLE fenced_writer LOGIN; GRANT USAGE ON SCHEMA fenced TO fenced_writer; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA fenced TO fenced_writer",
    );
    let error = MessageStore::connect(url.replace("app@", "fenced_writer@")).unwrap_err();
    assert_eq!(error.kind(), aral_store::ErrorKind::ReadOnly, "{error}");
    assert_eq!(server.sql("SELECT schema_version FROM fenced.aral_meta"), "1");
    // Whoever owns the tables may.
    assert_eq!(MessageStore::connect(&url).unwrap().verify().unwrap().damaged, []);
}

#[cfg(feature = "postgres")]
#[test]
fn a_server_ends_with_the_same_tables_whether_they_were_migrated_or_made() {
    let Some(server) = crate::support::server::shared() else { return };
    for version in 1..=2 {
        let migrated = on_a_server(&format!("migrated{version}"), version).unwrap();
        drop(MessageStore::connect(migrated).unwrap());
    }
    drop(MessageStore::connect(server.url("made")).unwrap());
    let shape = |schema: &str| {
        let columns = format!(
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns \
             WHERE table_schema = '{schema}' ORDER BY 1, 2; \
             SELECT replace(indexdef, '{schema}.', '') FROM pg_indexes WHERE schemaname = '{schema}' ORDER BY 1"
        );
        server.sql(&columns)
    };
    for migrated in ["migrated1", "migrated2"] {
        assert_eq!(shape(migrated), shape("made"));
        assert_eq!(server.sql(&format!("SELECT schema_version FROM {migrated}.aral_meta")), "3");
    }
}
