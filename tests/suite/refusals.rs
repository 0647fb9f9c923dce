//! What a real PostgreSQL server refuses, and what becomes of a store that is open then: each has its kind of error, which names
//! the remedy and neither the user nor the password.

#![expect(clippy::disallowed_methods, reason = "a server takes real time")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use aral_store::{Error, ErrorKind, MessageStore, Messages, Order};

use crate::support::server::{self, Server};

const PASSWORD: &str = "hunter2";

/// Holds what an error is, that it says this, and that it keeps the password to itself.
#[track_caller]
fn is(error: &Error, kind: ErrorKind, parts: &[&str]) {
    let shown = format!("{error} {error:?}");
    assert_eq!(error.kind(), kind, "{shown}");
    for part in parts {
        assert!(shown.contains(part), "{part:?} is not in: {shown}");
    }
    assert!(!shown.contains(PASSWORD) && !shown.contains("keeper_of"), "{shown}");
}

fn refused(url: &str) -> Error {
    MessageStore::connect(url).expect_err("it is to be refused")
}

/// Runs openssl in a directory; false where there is none.
fn openssl(dir: &Path, args: &str) -> bool {
    let run = Command::new("openssl").args(args.split(' ')).current_dir(dir).output();
    match run {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            true
        }
        Err(error) => {
            writeln!(std::io::stderr(), "SKIPPED: no openssl to make certificates with: {error}").ok();
            false
        }
    }
}

/// A certificate for `localhost`, by an authority of its own, and one of another authority.
fn certificates(dir: &Path) -> bool {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    ["ca", "other"].iter().all(|name| {
        openssl(dir, &format!("req -x509 {key} -keyout {name}.key -out {name}.pem -subj /CN={name} -days 2"))
    }) && openssl(dir, &format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"))
        && openssl(
            dir,
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names",
        )
}

#[test]
fn each_mode_of_tls_proves_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = server::start() else { return };
    // Without TLS.
    let plain = server.url("plain");
    is(&refused(&format!("{plain}&sslmode=require")), ErrorKind::InvalidInput, &["TLS", "sslmode"]);
    MessageStore::connect(format!("{plain}&sslmode=prefer")).unwrap();
    if !certificates(dir.path()) {
        return;
    }
    for name in ["server.key", "server.crt"] {
        server.put(name, &std::fs::read(dir.path().join(name)).unwrap());
    }
    server.sql("ALTER SYSTEM SET ssl = on");
    server.restart("fast");
    let root = |name: &str| format!("sslrootcert={}", dir.path().join(name).display());
    let by_name = plain.replace("127.0.0.1", "localhost");
    for url in
        [format!("{plain}&sslmode=require"), format!("{by_name}&sslmode=verify-full&{}", root("ca.pem"))]
    {
        let store = MessageStore::connect(&url).unwrap();
        store.add_message("c1", "encrypted").unwrap();
        let is_encrypted = "SELECT COUNT(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                            WHERE ssl AND application_name = 'aral-store'";
        assert_eq!(server.sql(is_encrypted), "t");
        drop(store);
    }
    let wrong_authority = format!("{by_name}&sslmode=verify-full&{}", root("other.pem"));
    let wrong_name = format!("{plain}&sslmode=verify-full&{}", root("ca.pem"));
    let require_with_root = format!("{by_name}&sslmode=require&{}", root("other.pem"));
    for url in [wrong_authority, wrong_name, require_with_root] {
        is(&refused(&url), ErrorKind::InvalidInput, &["certificate", "sslrootcert"]);
    }
    let absent = format!("{by_name}&sslmode=verify-full&{}", root("nowhere.pem"));
    is(&refused(&absent), ErrorKind::InvalidInput, &["sslrootcert", "nowhere.pem"]);
}

#[test]
fn a_password_that_is_wrong_or_missing_is_told_at_once_and_not_shown() {
    let Some(server) = server::start() else { return };
    server.sql(&format!(
        "CREATE ROLE keeper_of_chats LOGIN PASSWORD '{PASSWORD}'; CREATE SCHEMA locked AUTHORIZATION keeper_of_chats"
    ));
    server.put(
        "pg_hba.conf",
        b"host all keeper_of_chats 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n",
    );
    server.sql("SELECT pg_reload_conf()");
    let url = |login: &str| server.url("locked").replace("app@", login);
    server::wait_until("the new rules", || MessageStore::connect(url("keeper_of_chats:wrong@")).is_err());
    is(&refused(&url("keeper_of_chats:wrong@")), ErrorKind::InvalidInput, &["the password"]);
    is(&refused(&url("keeper_of_chats@")), ErrorKind::InvalidInput, &["password", "PGPASSWORD"]);
    is(&refused(&url("keeper_of_nothing:hunter2@")), ErrorKind::InvalidInput, &["pg_hba.conf"]);
    let store = MessageStore::connect(url(&format!("keeper_of_chats:{PASSWORD}@"))).unwrap();
    store.add_message("c1", "let in").unwrap();
}

#[test]
fn a_server_that_only_reads_says_so_and_goes_on_when_it_writes_again() {
    let Some(server) = server::start() else { return };
    let url = server.url("replica");
    let store = MessageStore::connect(&url).unwrap();
    store.add_message("c1", "before").unwrap();
    server.sql("ALTER ROLE app SET default_transaction_read_only = on");
    is(
        &MessageStore::connect(&url).and_then(|store| store.add_message("c1", "x")).unwrap_err(),
        ErrorKind::ReadOnly,
        &["for reading"],
    );
    server.sql("SET TRANSACTION READ WRITE; ALTER ROLE app RESET default_transaction_read_only");
    // As a standby that nothing is sent to.
    server.put("standby.signal", b"");
    server.restart("fast");
    assert_eq!(server.sql("SELECT pg_is_in_recovery()"), "t");
    is(&store.add_message("c1", "x").unwrap_err(), ErrorKind::ReadOnly, &["for reading"]);
    is(
        &MessageStore::connect(&url).and_then(|store| store.add_message("c1", "x")).unwrap_err(),
        ErrorKind::ReadOnly,
        &["for reading"],
    );
    let reader = MessageStore::options().read_only().connect(&url).unwrap();
    assert_eq!(reader.messages("c1", Messages::all()).unwrap().len(), 1);
    assert_eq!(reader.conversations(Order::Created).unwrap().len(), 1);
    assert_eq!(reader.events(1).unwrap().len(), 1);
    assert_eq!(reader.verify().unwrap().damaged, []);
    server.take_away("standby.signal");
    server.restart("fast");
    assert_eq!(store.add_message("c1", "after").unwrap().seq, 2);
}

#[test]
fn a_user_without_a_connection_left_is_told_what_to_raise() {
    let Some(server) = server::shared() else { return };
    let made = MessageStore::connect(server.url("crowded")).unwrap();
    made.add_message("c1", "x").unwrap();
    server.sql(
        "CREATE ROLE narrow LOGIN CONNECTION LIMIT 1; GRANT USAGE ON SCHEMA crowded TO narrow; \
         GRANT SELECT ON ALL TABLES IN SCHEMA crowded TO narrow",
    );
    let url = server.url("crowded").replace("app@", "narrow@");
    let first = MessageStore::options().read_only().connect(&url).unwrap();
    // It is waited for: once the other one is gone there is a connection.
    thread::scope(|scope| {
        let second = scope.spawn(|| MessageStore::options().read_only().connect(&url));
        thread::sleep(std::time::Duration::from_millis(500));
        drop(first);
        let second = second.join().unwrap().unwrap();
        assert_eq!(second.messages("c1", Messages::all()).unwrap().len(), 1);
    });
    server.sql("ALTER ROLE narrow CONNECTION LIMIT 0");
    let error = MessageStore::options().read_only().connect(&url).unwrap_err();
    is(&error, ErrorKind::Locked, &["max_connections", "53300"]);
}

#[test]
fn a_statement_that_somebody_cancels_is_told_as_that_and_nothing_is_lost() {
    let Some(server) = server::shared() else { return };
    let url = server.url("cancelled");
    let store = MessageStore::connect(&url).unwrap();
    store.add_message("c1", "before").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            server.sql("BEGIN; SELECT 1 FROM cancelled.aral_meta FOR UPDATE; SELECT pg_sleep(3); COMMIT");
        });
        let waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'aral-store' \
                       AND query LIKE '%aral_meta%'";
        server::wait_until("the lock", || {
            server.sql(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3)%' AND state = 'active'",
            ) != "1"
        });
        let caller = scope.spawn(|| store.add_message("c1", "cancelled"));
        server::wait_until("the wait", || !server.sql(waiting).is_empty());
        server.sql(&format!("SELECT pg_cancel_backend(pid) FROM ({waiting}) AS w"));
        let error = caller.join().unwrap().unwrap_err();
        is(&error, ErrorKind::Locked, &["cancel", "try again"]);
        // A statement that is a transaction by itself may have been cancelled behind its commit.
        assert!(!error.message().contains("nothing of it happened"), "{error}");
    });
    assert_eq!(store.add_message("c1", "after").unwrap().seq, 2);
    assert_eq!(store.messages("c1", Messages::all()).unwrap().len(), 2);
}

#[test]
fn a_database_that_is_dropped_or_of_another_encoding_is_told_as_that() {
    let Some(server) = server::shared() else { return };
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let name = encoding.to_lowercase();
        server.sql(&format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        ));
        let url = server.url("x").replace("/postgres?", &format!("/{name}?"));
        is(&refused(&url), ErrorKind::Unsupported, &[encoding, "UTF8"]);
    }
    server.sql("CREATE DATABASE passing");
    let store = MessageStore::connect(server.url("x").replace("/postgres?", "/passing?")).unwrap();
    store.add_message("c1", "x").unwrap();
    server.sql("DROP DATABASE passing WITH (FORCE)");
    is(&store.add_message("c1", "y").unwrap_err(), ErrorKind::NotFound, &["CREATE DATABASE"]);
    is(&store.messages("c1", Messages::all()).unwrap_err(), ErrorKind::NotFound, &["CREATE DATABASE"]);
}

/// A way to a server that tells its version as another one.
fn as_version(server: &Server, told: &'static str) -> u16 {
    let is = server.sql("SHOW server_version_num").into_bytes();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, to) = (listener.local_addr().unwrap().port(), server.port);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
            let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut into));
            let is = is.clone();
            thread::spawn(move || {
                let (mut from, mut into, mut buffer) = (server, client, vec![0; 1 << 16]);
                while let Ok(length @ 1..) = from.read(&mut buffer) {
                    let said = &mut buffer[..length];
                    for at in 0..length.saturating_sub(is.len() - 1) {
                        if said[at..].starts_with(&is) {
                            said[at..at + told.len()].copy_from_slice(told.as_bytes());
                        }
                    }
                    if into.write_all(said).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_server_of_an_older_version_is_refused_with_both_versions() {
    let Some(server) = server::shared() else { return };
    let old = server::url_by(as_version(server, "120022"), "old");
    is(&refused(&old), ErrorKind::Unsupported, &["PostgreSQL 12", "13 or newer"]);
    assert_eq!(server.sql("SELECT COUNT(*) FROM pg_namespace WHERE nspname = 'old'"), "0");
    let oldest = server::url_by(as_version(server, "130000"), "oldest");
    MessageStore::connect(oldest).unwrap().add_message("c1", "x").unwrap();
}
