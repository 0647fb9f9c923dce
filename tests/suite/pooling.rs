//! `PgBouncer` between a store and its server: a store works through one that pools by session, and says why
//! it does not through others.
//!
//! Runs where the program is installed, and prints SKIPPED where it is not.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aral_store::{ErrorKind, MessageStore};

use crate::support::server::{self, Server};

/// Runs the proxy until the pipe ends, which it does with this process, however that ends.
const KEEPER: &str = r#"
trap '' INT TERM HUP
"$1" -q "$2" >/dev/null 2>&1 &
read -r _
kill $!
"#;

/// A `PgBouncer` before a server.
struct PgBouncer {
    port: u16,
    keeper: Child,
    _dir: tempfile::TempDir,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().ok();
    }
}

/// Where the program is; `None`, once said, if it is nowhere.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = dirs.find_map(|dir| Some(dir.join("pgbouncer")).filter(|program| program.is_file()));
    if found.is_none() {
        // Not by `println`, which shows only what belongs to a test that failed.
        writeln!(std::io::stderr(), "SKIPPED: no PgBouncer here").ok();
    }
    found
}

impl PgBouncer {
    #[expect(clippy::disallowed_methods, reason = "a proxy has its settings in a real file")]
    fn start(program: &Path, server: &Server, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = dir.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} user=app\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n{settings}\n",
            server.port
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("/bin/sh");
        if let Some(owner) = server.owner {
            // Like the server, it refuses root.
            command.uid(owner).gid(owner);
            for path in [dir.path(), &file] {
                std::os::unix::fs::chown(path, Some(owner), Some(owner)).unwrap();
            }
        }
        command.args(["-c", KEEPER, "keeper"]).args([program, &file]).stdin(Stdio::piped()).process_group(0);
        let keeper = command.current_dir("/").spawn().unwrap();
        server::wait_until("the proxy", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { port, keeper, _dir: dir }
    }

    fn url(&self, schema: &str) -> String {
        server::url_by(self.port, schema)
    }
}

#[test]
fn a_proxy_that_pools_by_transaction_or_by_statement_is_named_at_the_opening() {
    let (Some(server), Some(program)) = (server::shared(), program()) else { return };
    let settings = [
        "pool_mode = transaction",
        "pool_mode = transaction\ndefault_pool_size = 1",
        // Has it take what it does not carry out.
        "pool_mode = transaction\nignore_startup_parameters = options",
        "pool_mode = statement",
    ];
    for (number, settings) in settings.into_iter().enumerate() {
        let proxy = PgBouncer::start(&program, server, settings);
        let schema = format!("pooled{number}");
        let reading = MessageStore::options().read_only();
        for opened in [MessageStore::connect(proxy.url(&schema)), reading.connect(proxy.url(&schema))] {
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{settings}: {error}");
            assert!(error.message().contains("pool_mode = session"), "{error}");
        }
        let made = server.sql(&format!("SELECT COUNT(*) FROM pg_namespace WHERE nspname = '{schema}'"));
        assert_eq!(made, "0", "{settings}");
        assert_eq!(server.sql_by(proxy.port, "SHOW search_path"), "\"$user\", public", "{settings}");
    }
}

#[test]
fn a_store_works_through_a_proxy_that_pools_by_session() {
    let (Some(server), Some(program)) = (server::shared(), program()) else { return };
    for (number, settings) in ["", "ignore_startup_parameters = options"].into_iter().enumerate() {
        let proxy = PgBouncer::start(&program, server, &format!("pool_mode = session\n{settings}"));
        let schema = format!("session{number}");
        let stores = [(); 3].map(|()| MessageStore::connect(proxy.url(&schema)).unwrap());
        for (store, number) in stores.iter().cycle().take(9).zip(1..) {
            assert_eq!(store.add_message("c1", "x").unwrap().seq, number);
        }
        assert_eq!(stores[0].verify().unwrap().events, 9);
        assert_eq!(MessageStore::connect(server.url(&schema)).unwrap().stats().unwrap().last_seq, 9);
    }
}
