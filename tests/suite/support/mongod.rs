//! MongoDB servers of the tests' own, where the program is installed.
//!
//! Owns their lives: each ends with this process, because a shell beside it waits for the end of a pipe that only this process holds.
//! Knows three: a replica set of one member, a server that stands alone, and one that asks who somebody is.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;

use super::installed::program;

/// Starts the server, and ends it and removes its files when the pipe does. A line on the pipe kills it or starts it again; each is
/// answered by a line.
const KEEPER: &str = r#"
home=$1; shift
trap '' INT TERM HUP
start() { "$@" >>"$home/log" 2>&1 & server=$!; echo started; }
start "$@"
while read -r order; do
    case $order in
        start) start "$@" ;;
        *) kill -9 "$server"; wait "$server" 2>/dev/null; echo killed ;;
    esac
done
kill -9 "$server" 2>/dev/null; wait "$server" 2>/dev/null
cd / && rm -rf "$home/data" "$home/log" && rmdir "$home"
"#;

/// A server that runs for as long as this is there, or the process.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    is_set: bool,
    keeper: Mutex<(Child, Option<ChildStdin>, BufReader<ChildStdout>)>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap();
        keeper.1 = None;
        keeper.0.wait().ok();
    }
}

/// Carries a future out.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The replica set and the server that stands alone which the tests of a run share; none, once said, where there is no program.
pub(crate) fn shared() -> &'static [Server] {
    static SHARED: OnceLock<Vec<Server>> = OnceLock::new();
    SHARED.get_or_init(|| {
        let started = [start(true, &[]), start(false, &[])];
        if started.iter().any(Option::is_none) {
            let reason = "no MongoDB here (mongod on the path, or its place in MONGOD)";
            writeln!(std::io::stderr(), "SKIPPED: {reason}").ok();
        }
        started.into_iter().flatten().collect()
    })
}

/// A server of one's own.
pub(crate) fn start(is_set: bool, with: &[&str]) -> Option<Server> {
    let server = launch(is_set, with)?;
    if is_set {
        let member = doc! { "_id": 0, "host": format!("127.0.0.1:{}", server.port) };
        server.eventually(doc! { "replSetInitiate": { "_id": "rs0", "members": [member] } });
    }
    server.await_ready();
    Some(server)
}

/// Three servers of one's own that are one replica set, and its URL without a database.
pub(crate) fn start_three() -> Option<(Vec<Server>, String)> {
    let servers: Vec<Server> = (0..3).map(|_| launch(true, &[])).collect::<Option<_>>()?;
    let hosts: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    let members: Vec<Document> =
        (0..).zip(&hosts).map(|(n, host): (i32, _)| doc! { "_id": n, "host": host }).collect();
    let settings = doc! { "electionTimeoutMillis": 2000 };
    servers[0]
        .eventually(doc! { "replSetInitiate": { "_id": "rs0", "members": members, "settings": settings } });
    servers[0].await_ready();
    Some((servers, format!("mongodb://{}/DATABASE?replicaSet=rs0", hosts.join(","))))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server lives on the real file system, and takes time to start"
)]
fn launch(is_set: bool, with: &[&str]) -> Option<Server> {
    let mongod = program("MONGOD", "mongod")?;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home: PathBuf = std::env::temp_dir().join(format!("aral-mongod-{}-{port}", std::process::id()));
    std::fs::create_dir_all(home.join("data")).unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", KEEPER, "keeper"]).arg(&home).arg(mongod).arg("--dbpath").arg(home.join("data"));
    command.args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet", "--wiredTigerCacheSizeGB", "0.25"]);
    command.args(["--oplogSize", "64", "--setParameter", "diagnosticDataCollectionEnabled=false"]);
    command.args(["--port", &port.to_string()]).args(with);
    if is_set {
        command.args(["--replSet", "rs0"]);
    }
    let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (stdin, stdout) = (keeper.stdin.take(), BufReader::new(keeper.stdout.take().unwrap()));
    let server = Server { port, is_set, keeper: Mutex::new((keeper, stdin, stdout)) };
    server.hear("started");
    Some(server)
}

impl Server {
    fn hear(&self, word: &str) {
        let mut said = String::new();
        self.keeper.lock().unwrap().2.read_line(&mut said).unwrap();
        assert_eq!(said.trim(), word);
    }

    fn say(&self, word: &str) {
        writeln!(self.keeper.lock().unwrap().1.as_mut().unwrap(), "{word}").unwrap();
    }

    /// Kills it as a power cut would, but for what the system has not written yet.
    pub(crate) fn kill(&self) {
        self.say("kill");
        self.hear("killed");
    }

    /// Starts it again.
    pub(crate) fn start_again(&self) {
        self.say("start");
        self.hear("started");
        self.await_ready();
    }

    async fn client(&self) -> Client {
        let uri =
            format!("mongodb://127.0.0.1:{}/?directConnection=true&serverSelectionTimeoutMS=1000", self.port);
        Client::with_options(ClientOptions::parse(&uri).await.unwrap()).unwrap()
    }

    /// Has a command carried out by the server, as whoever it lets in without a word.
    pub(crate) fn command(&self, database: &str, command: Document) -> mongodb::error::Result<Document> {
        wait(async { self.client().await.database(database).run_command(command).await })
    }

    /// The same until it succeeds.
    #[expect(clippy::disallowed_methods, reason = "a server takes real time")]
    fn eventually(&self, command: Document) -> Document {
        for _ in 0..300 {
            if let Ok(said) = self.command("admin", command.clone()) {
                return said;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server on port {} does not do {command:?}", self.port)
    }

    /// Waits until it can be written to.
    #[expect(clippy::disallowed_methods, reason = "a server takes real time")]
    fn await_ready(&self) {
        for _ in 0..300 {
            let hello = self.command("admin", doc! { "hello": 1 });
            if hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or_default()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server on port {} does not start", self.port)
    }

    /// Gives documents of a collection that a query finds.
    pub(crate) fn find(&self, database: &str, command: Document) -> Vec<Document> {
        let said = self.command(database, command).unwrap();
        let batch = said.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
        batch.iter().map(|document| document.as_document().unwrap().clone()).collect()
    }

    /// The URL of a store in a database of it.
    pub(crate) fn url(&self, database: &str) -> String {
        let port = self.port;
        if self.is_set {
            format!("mongodb://127.0.0.1:{port}/{database}?replicaSet=rs0")
        } else {
            format!("mongodb://127.0.0.1:{port}/{database}")
        }
    }
}
