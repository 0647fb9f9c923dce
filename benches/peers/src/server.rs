//! A PostgreSQL server of the benchmark's own, where the programs are installed.
//!
//! Owns its life: it is made in a sample's directory and ends with the sample. It syncs as a server does that nobody has set up otherwise.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::Outcome;

/// A server that runs for as long as this is there.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    bin: PathBuf,
    home: PathBuf,
    owner: Option<u32>,
}

/// Where the server's programs are; the newest, if there are several.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut installed: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    installed.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let mut all = installed.into_iter().rev().chain(env::split_paths(&path));
    all.find(|bin| ["initdb", "postgres", "pg_ctl"].iter().all(|name| bin.join(name).is_file()))
}

/// Why there can be no server here.
pub(crate) fn missing() -> Option<&'static str> {
    programs().is_none().then_some("PostgreSQL is not installed here")
}

/// The address of the database on the server at this port.
pub(crate) fn url(port: u16) -> String {
    format!("postgres://app@127.0.0.1:{port}/postgres")
}

/// Whom the server runs as: it refuses root.
fn owner(home: &Path) -> Outcome<Option<u32>> {
    if home.metadata()?.uid() != 0 {
        return Ok(None);
    }
    let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let postgres =
        known.lines().find_map(|line| line.strip_prefix("postgres:")?.split(':').nth(1)?.parse().ok());
    Ok(Some(postgres.unwrap_or(65_534)))
}

impl Server {
    /// Makes one in this directory and starts it.
    pub(crate) fn start(dir: &Path) -> Outcome<Self> {
        let bin = programs().ok_or("PostgreSQL is not installed here")?;
        let home = dir.join("server");
        fs::create_dir(&home)?;
        let owner = owner(&home)?;
        if let Some(owner) = owner {
            chown(&home, Some(owner), Some(owner))?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self { port, bin, home, owner };
        let data = server.home.join("data");
        let data = data.to_str().ok_or("a path that is no Unicode")?;
        let made = ["-A", "trust", "-U", "app", "--no-sync", "--locale=C.UTF-8", "-E", "UTF8", "-D", data];
        server.run("initdb", &made)?;
        let settings = format!("-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''");
        let log = server.home.join("log");
        let log = log.to_str().ok_or("a path that is no Unicode")?;
        server.run("pg_ctl", &["-D", data, "-w", "-s", "-l", log, "-o", &settings, "start"])?;
        Ok(server)
    }

    fn run(&self, program: &str, words: &[&str]) -> Outcome<()> {
        let mut command = Command::new(self.bin.join(program));
        command.args(words).current_dir(&self.home).env("LC_ALL", "C.UTF-8");
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        if let Some(owner) = self.owner {
            command.uid(owner).gid(owner);
        }
        let status = command.status()?;
        if status.success() { Ok(()) } else { Err(format!("{program}: {status}").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.home.join("data");
        let stopped = self.run("pg_ctl", &["-D", &data.to_string_lossy(), "-m", "fast", "-w", "-s", "stop"]);
        if let Err(error) = stopped {
            eprintln!("a server was not stopped: {error}");
        }
    }
}
