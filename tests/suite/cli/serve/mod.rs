//! The viewer, asked over plain sockets.
//!
//! Owns the running of it and the reading of its answers. Every test has a server of its own, at a port that was free.

mod browser;
mod changing;
mod doors;
mod limits;
mod live;
mod looking_back;
mod pages;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use super::Room;

/// A viewer that runs until it is dropped.
struct Viewer {
    child: Child,
    out: BufReader<ChildStdout>,
    /// The address that it printed.
    url: String,
    port: u16,
    cookie: String,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body of a page that must be there.
    #[track_caller]
    fn fine(self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }
}

impl Viewer {
    fn of(room: &Room) -> Self {
        Self::with(room, &[])
    }

    fn with(room: &Room, args: &[&str]) -> Self {
        let mut command = room.command(&[&["serve"], args].concat());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        out.read_line(&mut url).unwrap();
        let url = url.trim_end().to_owned();
        let (before, _) = url.split_once("/?token=").unwrap_or_else(|| panic!("no address: {url:?}"));
        let port = before.rsplit(':').next().unwrap().parse().unwrap();
        let mut viewer = Self { child, out, url, port, cookie: String::new() };
        let opened =
            viewer.ask(&format!("GET /?token={} HTTP/1.1\r\nHost: localhost\r\n\r\n", viewer.token()));
        assert_eq!((opened.status, opened.header("location")), (303, Some("/")), "{opened:?}");
        let cookie = opened.header("set-cookie").unwrap();
        viewer.cookie = cookie.split(';').next().unwrap().to_owned();
        viewer
    }

    fn token(&self) -> &str {
        self.url.split_once("token=").unwrap().1
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends bytes and reads what comes until the viewer closes the connection.
    fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        // It may have answered, and closed, before it has read everything.
        drop(stream.write_all(request.as_bytes()));
        read(stream)
    }

    /// What a browser that has been let in gets.
    fn get(&self, address: &str) -> Answer {
        self.get_with(address, "")
    }

    fn get_with(&self, address: &str, headers: &str) -> Answer {
        let Self { port, cookie, .. } = self;
        self.ask(&format!(
            "GET {address} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: other=1; {cookie}\r\n{headers}\r\n"
        ))
    }
}

fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
