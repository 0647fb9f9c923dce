//! Servers of the tests' own that speak S3, where the programs are installed.
//!
//! Owns their lives: each ends with this process, because a shell beside it waits for the end of a pipe that only this process holds.
//! Two of different makers, since neither does everything as the service that both imitate.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use aral_store::StoreUrl;

use super::driver::Home;

/// Runs a server until the pipe ends, and removes its files.
const KEEPER: &str = r#"
home=$1; shift
trap '' INT TERM HUP
"$@" >"$home/log" 2>&1 &
server=$!
cat >/dev/null
kill "$server"; wait "$server" 2>/dev/null
cd / && rm -rf "$home/data" "$home/log" && rmdir "$home"
"#;

/// A server that runs for as long as this process.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    /// What the URL says beside.
    with: &'static str,
    _keeper: (Child, ChildStdin),
}

/// A free port, and one for what goes with it, where a server takes both.
fn port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 50_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

/// Where a program is, by this variable or on the path.
fn program(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}

/// The servers that the tests of a run share; none, once said, where there are none, and none where no engine could use them.
fn servers() -> &'static [Server] {
    static SERVERS: OnceLock<Vec<Server>> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let started = if StoreUrl::of("s3://bucket").is_ok() { [seaweed(), moto()] } else { [None, None] };
        started.into_iter().flatten().collect()
    })
}

fn seaweed() -> Option<Server> {
    let Some(weed) = program("SEAWEED", "weed") else {
        writeln!(std::io::stderr(), "SKIPPED: no SeaweedFS here (weed on the path, or its place in SEAWEED)")
            .ok();
        return None;
    };
    let (master, volume, filer, s3) = (port(), port(), port(), port());
    Some(Server::start(s3, "&anonymous=true", move |home, command| {
        let data = home.join("data");
        let ports = [("master", master), ("volume", volume), ("filer", filer), ("s3", s3)];
        command.arg(weed).arg("mini").arg(format!("-dir={}", data.display()));
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false", "-admin.ui=false"]);
        // It would ask for signatures by these.
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.args(ports.map(|(name, port)| format!("-{name}.port={port}")));
    }))
}

fn moto() -> Option<Server> {
    let Some(moto) = program("MOTO_SERVER", "moto_server") else {
        writeln!(
            std::io::stderr(),
            "SKIPPED: no moto here (moto_server on the path, or its place in MOTO_SERVER)"
        )
        .ok();
        return None;
    };
    if std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
        writeln!(std::io::stderr(), "SKIPPED: moto asks for a signature, and AWS_ACCESS_KEY_ID is not set")
            .ok();
        return None;
    }
    let port = port();
    Some(Server::start(port, "", move |_, command| {
        command.arg(moto).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    }))
}

impl Server {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server lives on the real file system, and takes time to start"
    )]
    fn start(port: u16, with: &'static str, set_up: impl FnOnce(&std::path::Path, &mut Command)) -> Self {
        let home = std::env::temp_dir().join(format!("aral-s3-{}-{port}", std::process::id()));
        std::fs::create_dir_all(home.join("data")).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "keeper"]).arg(&home).current_dir(&home).stdin(Stdio::piped());
        set_up(&home, &mut command);
        let mut keeper = command.spawn().unwrap();
        let pipe = keeper.stdin.take().unwrap();
        let server = Self { port, with, _keeper: (keeper, pipe) };
        for _ in 0..600 {
            if server.make_bucket("aral") {
                return server;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server on port {port} does not start; see {}", home.join("log").display());
    }

    /// Makes a bucket; false if the server is not there yet.
    fn make_bucket(&self, name: &str) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = format!(
            "PUT /{name} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.port
        );
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).is_ok()
            && (answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200"))
    }

    /// The URL of a store in it.
    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("s3://aral/{prefix}?endpoint=http://127.0.0.1:{}{}", self.port, self.with)
    }
}

/// A home in a fresh place of each server.
pub(crate) fn of(name: &str) -> Vec<Home> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    servers().iter().map(|server| Home::Bucket(server.url(&format!("{name}-{number}")))).collect()
}
