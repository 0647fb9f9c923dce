//! Servers of the tests' own that speak as clouds do, where the programs are installed.
//!
//! Owns their lives: each ends with this process, because a shell beside it waits for the end of a pipe that only this process holds.
//! For S3 two of different makers, since neither does everything as the service that both imitate; for Azure its maker's own; for
//! Google Cloud Storage the one in `google.rs`, since no other that can be had keeps to conditions where the client asks for them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use aral_store::StoreUrl;

use super::azurite::SIGNED;
#[cfg(feature = "cloud")]
use super::azurite::TOKEN;
use super::driver::Home;
#[cfg(feature = "cloud")]
use super::google::Google;
use super::installed::program;

/// The account of Azure's emulator, whose key everybody knows.
const EMULATOR: &str = "devstoreaccount1";

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

/// How an object is altered beside the store.
#[derive(Debug)]
enum Hand {
    /// By a request without a signature, which the server takes.
    Plain,
    /// By one that this program signs.
    Signed(PathBuf),
    #[cfg(feature = "cloud")]
    Within(std::sync::Arc<Google>),
    /// Not at all; buckets are made by a request with JSON.
    #[cfg(feature = "cloud")]
    Json,
    /// Not at all.
    #[cfg(feature = "cloud")]
    Shut,
}

/// A server that runs for as long as this process.
#[derive(Debug)]
pub(crate) struct Server {
    scheme: &'static str,
    port: u16,
    /// What the URL says beside.
    with: &'static str,
    hand: Hand,
    _keeper: Option<(Child, ChildStdin)>,
}

/// A place in a bucket of one.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) server: &'static Server,
    prefix: String,
}

impl Place {
    pub(crate) fn url(&self) -> String {
        self.server.url("aral", &self.prefix)
    }

    /// The same in another bucket.
    pub(crate) fn url_in(&self, bucket: &str) -> String {
        self.server.url(bucket, &self.prefix)
    }

    /// A token of Azure's emulator with these rights until then.
    #[cfg(feature = "cloud")]
    pub(crate) fn token(&self, rights: &str, until: &str) -> Option<String> {
        let Hand::Signed(node) = &self.server.hand else { return None };
        let output = Command::new(node).args(["-e", TOKEN, rights, until]).output().unwrap();
        Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    /// Buckets of S3 that keep what was there before, one of which lets nobody remove it.
    #[cfg(feature = "cloud")]
    pub(crate) fn with_versions(&self) -> Vec<String> {
        let (kept, locked) = (format!("{}-kept", self.prefix), format!("{}-locked", self.prefix));
        let plain = |method, path: &str, body| assert!(self.server.plain(method, path, body), "{path}");
        plain("PUT", &format!("/{kept}"), "");
        let body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        plain("PUT", &format!("/{kept}?versioning"), body);
        // Moto wants headers there that the service does not, and that the client does not send.
        if self.server.with.is_empty() {
            return vec![kept];
        }
        // The header stands where the path ends.
        let lock = "HTTP/1.1\r\nx-amz-bucket-object-lock-enabled: true\r\nX-Rest:";
        plain("PUT", &format!("/{locked} {lock}"), "");
        let body = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                    <Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        plain("PUT", &format!("/{locked}?object-lock"), body);
        vec![kept, locked]
    }

    /// Puts an object there as somebody with other tools does, or removes it.
    #[cfg(feature = "cloud")]
    pub(crate) fn by_hand(&self, name: &str, text: Option<&str>) {
        let name = format!("{}/{name}", self.prefix);
        let method = if text.is_some() { "PUT" } else { "DELETE" };
        let done = match &self.server.hand {
            Hand::Plain => self.server.plain(method, &format!("/aral/{name}"), text.unwrap_or_default()),
            Hand::Signed(node) => self.server.signed(node, method, &format!("aral/{name}"), text),
            #[cfg(feature = "cloud")]
            Hand::Within(google) => {
                google.by_hand(&name, text.map(str::as_bytes));
                true
            }
            #[cfg(feature = "cloud")]
            Hand::Json | Hand::Shut => false,
        };
        assert!(done, "{method} {name}");
    }
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

/// The servers that the tests of a run share; none, once said, where there are none, and none where no engine could use them.
fn servers() -> &'static [Server] {
    static SERVERS: OnceLock<Vec<Server>> = OnceLock::new();
    SERVERS.get_or_init(|| {
        if StoreUrl::of("s3://bucket").is_err() {
            return Vec::new();
        }
        [seaweed(), moto(), azurite(), google()].into_iter().flatten().collect()
    })
}

#[cfg(feature = "cloud")]
#[expect(clippy::unnecessary_wraps, reason = "as of servers that are not everywhere")]
fn google() -> Option<Server> {
    let google = Google::start();
    let port = google.port;
    Some(Server { scheme: "gs", port, with: "&anonymous=true", hand: Hand::Within(google), _keeper: None })
}

#[cfg(not(feature = "cloud"))]
fn google() -> Option<Server> {
    None
}

/// A server of others that speaks as Google's does, and does not know a condition where the client puts it.
#[cfg(feature = "cloud")]
pub(crate) fn another_google() -> Option<Server> {
    let Some(program) = program("FAKE_GCS", "fake-gcs-server") else {
        writeln!(
            std::io::stderr(),
            "SKIPPED: no fake-gcs-server here (on the path, or its place in FAKE_GCS)"
        )
        .ok();
        return None;
    };
    let port = port();
    Some(Server::start(("gs", port, "&anonymous=true", Hand::Json), move |_, command| {
        command.arg(program).args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string()]);
        // By this it tells the two ways of speaking to it apart.
        let (host, url) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
        command.args(["-backend", "memory", "-public-host", &host, "-external-url", &url]);
    }))
}

fn azurite() -> Option<Server> {
    let (Some(azurite), Some(node)) = (program("AZURITE", "azurite-blob"), program("NODE", "node")) else {
        writeln!(
            std::io::stderr(),
            "SKIPPED: no Azurite here (node, and azurite-blob on the path, or its place in AZURITE)"
        )
        .ok();
        return None;
    };
    let port = port();
    let hand = Hand::Signed(node.clone());
    Some(Server::start(("az", port, "&account=devstoreaccount1", hand), move |home, command| {
        command.arg(node).arg(azurite).args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
        command.arg("--location").arg(home.join("data"));
        command.args(["--silent", "--disableTelemetry", "--skipApiVersionCheck"]);
    }))
}

fn seaweed() -> Option<Server> {
    weed(("&anonymous=true", Hand::Plain), None)
}

/// One that asks for a signature with this key and this secret.
#[cfg(feature = "cloud")]
pub(crate) fn guarded(key: &str, secret: &str) -> Option<Server> {
    weed(("", Hand::Shut), Some((key, secret)))
}

fn weed((with, hand): (&'static str, Hand), keys: Option<(&str, &str)>) -> Option<Server> {
    let Some(weed) = program("SEAWEED", "weed") else {
        writeln!(std::io::stderr(), "SKIPPED: no SeaweedFS here (weed on the path, or its place in SEAWEED)")
            .ok();
        return None;
    };
    let (master, volume, filer, s3) = (port(), port(), port(), port());
    Some(Server::start(("s3", s3, with, hand), move |home, command| {
        let data = home.join("data");
        let ports = [("master", master), ("volume", volume), ("filer", filer), ("s3", s3)];
        command.arg(weed).arg("mini").arg(format!("-dir={}", data.display()));
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false", "-admin.ui=false"]);
        // It would ask for signatures by these.
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        if let Some((key, secret)) = keys {
            command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
        }
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
    Some(Server::start(("s3", port, "", Hand::Plain), move |_, command| {
        command.arg(moto).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    }))
}

impl Server {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server lives on the real file system, and takes time to start"
    )]
    fn start(
        (scheme, port, with, hand): (&'static str, u16, &'static str, Hand),
        set_up: impl FnOnce(&std::path::Path, &mut Command),
    ) -> Self {
        let home = std::env::temp_dir().join(format!("aral-{scheme}-{}-{port}", std::process::id()));
        std::fs::create_dir_all(home.join("data")).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "keeper"]).arg(&home).current_dir(&home).stdin(Stdio::piped());
        set_up(&home, &mut command);
        let mut keeper = command.spawn().unwrap();
        let pipe = keeper.stdin.take().unwrap();
        let server = Self { scheme, port, with, hand, _keeper: Some((keeper, pipe)) };
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
        match &self.hand {
            Hand::Plain => self.plain("PUT", &format!("/{name}"), ""),
            Hand::Signed(node) => self.signed(node, "PUT", &format!("{name}?restype=container"), None),
            #[cfg(feature = "cloud")]
            Hand::Within(_) => true,
            #[cfg(feature = "cloud")]
            Hand::Shut => self.answers("GET", "/", "").is_some(),
            #[cfg(feature = "cloud")]
            Hand::Json => self.plain("POST", "/storage/v1/b", &format!("{{\"name\":\"{name}\"}}")),
        }
    }

    /// Sends a request; whether it was carried out.
    fn plain(&self, method: &str, path: &str, body: &str) -> bool {
        let answer = self.answers(method, path, body);
        answer.is_some_and(|answer| answer.get(9..11).is_some_and(|status| status == "20"))
    }

    /// The answer to a request, if there is one.
    fn answers(&self, method: &str, path: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // Moto wants a signature, and does not look at it.
        let signature = "Authorization: AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, \
                         SignedHeaders=host, Signature=any\r\n";
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{}Host: 127.0.0.1:{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            if self.with.is_empty() { signature } else { "" },
            self.port,
            body.len()
        );
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).ok()?;
        (!answer.is_empty()).then_some(answer)
    }

    /// The same of Azure's emulator.
    fn signed(&self, node: &PathBuf, method: &str, path: &str, body: Option<&str>) -> bool {
        let path = format!("/{EMULATOR}/{path}");
        let mut command = Command::new(node);
        command.args(["-e", SIGNED, &self.port.to_string(), method, &path, body.unwrap_or_default()]);
        let output = command.output().unwrap();
        output.stdout.starts_with(b"20")
    }

    pub(crate) fn url(&self, bucket: &str, prefix: &str) -> String {
        let Self { scheme, port, with, .. } = self;
        format!("{scheme}://{bucket}/{prefix}?endpoint=http://127.0.0.1:{port}{with}")
    }
}

/// A fresh place on each server.
pub(crate) fn places(name: &str) -> Vec<Place> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let prefix = format!("{name}-{number}");
    servers().iter().map(|server| Place { server, prefix: prefix.clone() }).collect()
}

/// The same as homes of stores.
pub(crate) fn of(name: &str) -> Vec<Home> {
    let on_servers = places(name).into_iter().map(|place| Home::Bucket(place.url()));
    on_servers.chain(in_firestore(name)).chain(in_mongodb(name)).collect()
}

/// A fresh place in the fake of Firestore.
#[cfg(feature = "firestore")]
fn in_firestore(name: &str) -> Vec<Home> {
    vec![Home::Bucket(super::firestore::shared(name))]
}

#[cfg(not(feature = "firestore"))]
fn in_firestore(_: &str) -> Vec<Home> {
    Vec::new()
}

/// A fresh database on each MongoDB server.
#[cfg(feature = "mongodb")]
fn in_mongodb(name: &str) -> Vec<Home> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let database = format!("{name}-{}", COUNT.fetch_add(1, Ordering::SeqCst));
    super::mongod::shared().iter().map(|server| Home::Bucket(server.url(&database))).collect()
}

#[cfg(not(feature = "mongodb"))]
fn in_mongodb(_: &str) -> Vec<Home> {
    Vec::new()
}
