//! A PostgreSQL server of the tests' own, where the programs are installed.
//!
//! Owns its life: it ends with this process, however that ends, because a shell beside it waits for the end of a pipe that
//! only this process holds. Nobody else's server is used or touched.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use aral_store::StoreUrl;

/// Starts the server, and ends it and removes its files when the pipe does. A line on the pipe stops it in the given mode, the next
/// line starts it again; each is answered by a line.
const KEEPER: &str = r#"
bin=$1 home=$2 port=$3
start() {
    "$bin/pg_ctl" -D "$home/data" -w -s -t 60 -l "$home/log" \
        -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=200" start \
        >/dev/null 2>&1 && echo started || echo "failed: $(tail -n 3 "$home/log")"
}
trap '' INT TERM HUP
start
while read -r mode; do
    case $mode in
        start) start ;;
        *) "$bin/pg_ctl" -D "$home/data" -m "$mode" -w -s stop >/dev/null 2>&1; echo stopped ;;
    esac
done
"$bin/pg_ctl" -D "$home/data" -m immediate -w -s stop >/dev/null 2>&1
cd /
rm -rf "$home/data" "$home/log"
rmdir "$home"
"#;

/// A server that runs for as long as this is there, or the process.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    bin: PathBuf,
    pub(crate) owner: Option<u32>,
    keeper: Mutex<(Child, Option<ChildStdin>, BufReader<std::process::ChildStdout>)>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut keeper = self.keeper.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        keeper.1 = None;
        keeper.0.wait().ok();
    }
}

/// The server that the tests of a run share; `None`, once said, where there is none.
pub(crate) fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(start).as_ref()
}

/// A server of one's own.
pub(crate) fn start() -> Option<Server> {
    if StoreUrl::of("postgres://host/database").is_err() {
        return None;
    }
    let Some(bin) = programs() else {
        // Not by `println`, which shows only what belongs to a test that failed.
        let reason = "no initdb, postgres, pg_ctl and psql in /usr/lib/postgresql/*/bin or on PATH";
        writeln!(std::io::stderr(), "SKIPPED: the tests on PostgreSQL: {reason}").ok();
        return None;
    };
    Some(Server::start(bin))
}

/// Where the server's programs are.
#[expect(clippy::disallowed_methods, reason = "what is installed stands on the real file system")]
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut installed: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    installed.sort();
    // The newest first. What is on the path may be links to a part of the programs.
    let mut all = installed.into_iter().rev().chain(std::env::split_paths(&path));
    all.find(|bin| ["initdb", "postgres", "pg_ctl", "psql"].iter().all(|name| bin.join(name).is_file()))
}

/// Whom the server runs as: it refuses root.
#[expect(clippy::disallowed_methods, reason = "who there is stands on the real file system")]
fn owner(home: &Path) -> Option<u32> {
    if home.metadata().unwrap().uid() != 0 {
        return None;
    }
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let postgres =
        known.lines().find_map(|line| line.strip_prefix("postgres:")?.split(':').nth(1)?.parse().ok());
    Some(postgres.unwrap_or(65_534))
}

/// A directory of nobody else's, which the keeper removes.
#[expect(clippy::disallowed_methods, reason = "a server lives on the real file system")]
fn new_directory() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let home = std::env::temp_dir().join(format!("aral-postgres-{}-{number}", std::process::id()));
    std::fs::create_dir(&home).unwrap();
    home
}

impl Server {
    fn start(bin: PathBuf) -> Self {
        let home = new_directory();
        let owner = owner(&home);
        if let Some(owner) = owner {
            chown(&home, Some(owner), Some(owner)).unwrap();
        }
        let run = |program: &Path| {
            let mut command = Command::new(program);
            command.current_dir(&home).env("LC_ALL", "C.UTF-8");
            if let Some(owner) = owner {
                command.uid(owner).gid(owner);
            }
            command
        };
        let made = run(&bin.join("initdb"))
            .args(["-A", "trust", "-U", "app", "--no-sync", "--locale=C.UTF-8", "-E", "UTF8", "-D"])
            .arg(home.join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut keeper = run(Path::new("/bin/sh"))
            .args(["-c", KEEPER, "keeper"])
            .args([&bin, &home])
            .arg(port.to_string())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (keeper.stdin.take(), BufReader::new(keeper.stdout.take().unwrap()));
        let server = Self { port, bin, owner, keeper: Mutex::new((keeper, stdin, stdout)) };
        assert_eq!(server.hear(), "started\n");
        server
    }

    fn hear(&self) -> String {
        let mut said = String::new();
        self.keeper.lock().unwrap().2.read_line(&mut said).unwrap();
        said
    }

    fn say(&self, word: &str) -> String {
        writeln!(self.keeper.lock().unwrap().1.as_mut().unwrap(), "{word}").unwrap();
        self.hear()
    }

    /// Stops it as it would stop for a new version (`fast`) or without a word to anybody (`immediate`), and starts it again.
    pub(crate) fn restart(&self, mode: &str) {
        assert_eq!(self.say(mode), "stopped\n");
        assert_eq!(self.say("start"), "started\n");
    }

    /// The URL of a store in a schema of this server.
    pub(crate) fn url(&self, schema: &str) -> String {
        url_by(self.port, schema)
    }

    /// Carries SQL out as somebody else, and gives what it answers.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.sql_by(self.port, sql)
    }

    /// The same by another port.
    pub(crate) fn sql_by(&self, port: u16, sql: &str) -> String {
        let mut command = Command::new(self.bin.join("psql"));
        if let Some(owner) = self.owner {
            command.uid(owner).gid(owner);
        }
        let said = command
            .args([
                "-X",
                "-q",
                "-t",
                "-A",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-U",
                "app",
                "-d",
                "postgres",
            ])
            .args(["-p", &port.to_string(), "-c", sql])
            .current_dir("/")
            .output()
            .unwrap();
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }
}

/// The URL of a store in a schema, on a server that is reached by this port.
pub(crate) fn url_by(port: u16, schema: &str) -> String {
    format!("postgres://app@127.0.0.1:{port}/postgres?schema={schema}")
}

/// Waits until something holds; a test that waits in vain fails.
#[expect(clippy::disallowed_methods, reason = "a server takes real time")]
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Server {
    /// Puts a file into the server's data directory, which only it may read.
    #[expect(clippy::disallowed_methods, reason = "a server lives on the real file system")]
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        use std::os::unix::fs::PermissionsExt;
        let path = PathBuf::from(self.sql("SHOW data_directory")).join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(owner) = self.owner {
            chown(&path, Some(owner), Some(owner)).unwrap();
        }
    }

    /// Takes a file of the data directory away again.
    #[expect(clippy::disallowed_methods, reason = "a server lives on the real file system")]
    pub(crate) fn take_away(&self, name: &str) {
        std::fs::remove_file(PathBuf::from(self.sql("SHOW data_directory")).join(name)).unwrap();
    }

    /// Gives a directory to whoever the server runs as.
    pub(crate) fn give(&self, path: &Path) {
        if let Some(owner) = self.owner {
            chown(path, Some(owner), Some(owner)).unwrap();
        }
    }
}
