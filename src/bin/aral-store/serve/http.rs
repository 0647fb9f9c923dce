//! Requests and answers of HTTP/1.1, as much of it as a viewer needs.
//!
//! Owns every bound on what comes over a connection: how long the head of a request is, how long it may take to come, and how
//! long an answer may take to be read. A connection carries one request, so that nothing of one can be taken for a part of the next.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The longest head of a request. Two ids of the longest kind, each byte of them as three, take less than half.
const MAX_HEAD: usize = 16 << 10;

/// The longest form. The longest title that a page puts into one, of letters of four bytes, each byte as three, takes less than half.
const MAX_FORM: usize = 32 << 10;

const MAX_HEADERS: usize = 64;

/// How long a request may take to come.
const COMING: Duration = Duration::from_secs(10);

/// How long nothing of an answer may be taken.
const STALLED: Duration = Duration::from_secs(10);

/// How long an answer may take as a whole, unless it goes on for ever.
const GOING: Duration = Duration::from_secs(120);

/// How much of an answer is handed over at once.
const PORTION: usize = 64 << 10;

/// What is asked for. Names of headers are in small letters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Request {
    pub(super) is_head: bool,
    /// What stands before the question mark, as it came.
    pub(super) path: String,
    /// What stands behind it, as it came.
    pub(super) query: String,
    headers: Vec<(String, String)>,
    /// What a form says, if one was sent.
    pub(super) form: Option<Vec<u8>>,
}

/// Why there is no request: what to answer, and with which number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str);

impl Request {
    /// The value of a header; `Err` if it came more than once, of which nobody can say which one counts.
    pub(super) fn header(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut found =
            self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = found.next();
        if found.next().is_some() {
            return Err(Refusal(400, "a header came twice that may come once"));
        }
        Ok(first)
    }

    /// Reads a request; `None` if nobody asks anything. Forms are taken or refused.
    pub(super) fn read(
        stream: &mut TcpStream,
        takes_forms: bool,
    ) -> io::Result<Option<Result<Self, Refusal>>> {
        let end = now() + COMING;
        let mut bytes = Vec::new();
        let mut portion = [0; 4096];
        // The request that a form belongs to which is still coming, and where that ends.
        let mut awaited: Option<(Self, usize, usize)> = None;
        loop {
            let Some(left) = end.checked_duration_since(now()).filter(|left| !left.is_zero()) else {
                return Ok(Some(Err(Refusal(408, "the request took too long to come"))));
            };
            stream.set_read_timeout(Some(left))?;
            let read = match stream.read(&mut portion) {
                Ok(0) if bytes.is_empty() => return Ok(None),
                Ok(0) => return Ok(Some(Err(Refusal(400, "the request is not complete")))),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_timeout(&error) => continue,
                Err(error) => return Err(error),
            };
            bytes.extend_from_slice(portion.get(..read).unwrap_or_default());
            if awaited.is_none() {
                match parsed(&bytes, takes_forms) {
                    None => {}
                    Some(Err(refusal)) => return Ok(Some(Err(refusal))),
                    Some(Ok((request, _, None))) => return Ok(Some(Ok(request))),
                    Some(Ok((request, head, Some(length)))) => {
                        awaited = Some((request, head, head.saturating_add(length)));
                    }
                }
            }
            if let Some((request, begin, end)) = &mut awaited {
                if let Some(form) = bytes.get(*begin..*end) {
                    request.form = Some(form.to_owned());
                    return Ok(awaited.map(|(request, ..)| Ok(request)));
                }
            } else if bytes.len() >= MAX_HEAD {
                return Ok(Some(Err(Refusal(431, "the head of the request is too long"))));
            }
        }
    }
}

/// A request without the form that may come behind it, how long its head is, and how long that form.
type Head = (Request, usize, Option<usize>);

/// The head of a request, or what is wrong with it; `None` while there is more to come.
fn parsed(bytes: &[u8], takes_forms: bool) -> Option<Result<Head, Refusal>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let end = match head.parse(bytes) {
        Ok(httparse::Status::Partial) => return None,
        Ok(httparse::Status::Complete(end)) => end,
        Err(httparse::Error::TooManyHeaders) => return Some(Err(Refusal(431, "there are too many headers"))),
        Err(_) => return Some(Err(Refusal(400, "this is no request of HTTP/1.1"))),
    };
    let (is_head, is_form) = match head.method {
        Some("GET") => (false, false),
        Some("HEAD") => (true, false),
        Some("POST") if takes_forms => (false, true),
        _ => {
            return Some(Err(Refusal(
                405,
                "GET and HEAD are all that is answered, and forms where changes are allowed",
            )));
        }
    };
    let target = head.path.unwrap_or_default();
    if !target.starts_with('/') {
        return Some(Err(Refusal(400, "the address must begin with a slash")));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request =
        Request { is_head, path: path.to_owned(), query: query.to_owned(), ..Request::default() };
    for header in head.headers.iter() {
        let Ok(value) = std::str::from_utf8(header.value) else {
            return Some(Err(Refusal(400, "a header is no text")));
        };
        let name = header.name.to_ascii_lowercase();
        let is_body = name == "content-length" && value.trim() != "0" && !is_form;
        if name == "transfer-encoding" || is_body {
            return Some(Err(Refusal(413, "a request has no body here")));
        }
        request.headers.push((name, value.trim().to_owned()));
    }
    let length = is_form.then(|| form_length(&request)).transpose();
    Some(length.map(|length| (request, end, length)))
}

/// How long the form is that is coming.
fn form_length(request: &Request) -> Result<usize, Refusal> {
    let kind = request.header("content-type")?.unwrap_or_default();
    if kind.split(';').next().is_none_or(|kind| kind.trim() != "application/x-www-form-urlencoded") {
        return Err(Refusal(415, "a change is sent as a form"));
    }
    let length = request.header("content-length")?.filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    match length.and_then(|text| text.parse().ok()) {
        None => Err(Refusal(411, "the request does not say how long it is")),
        Some(length) if length > MAX_FORM => Err(Refusal(413, "the form is too long")),
        Some(length) => Ok(length),
    }
}

/// An answer that is put together before any of it is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, kind, headers: Vec::new(), body: body.into() }
    }

    /// A line of text.
    pub(super) fn plain(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{text}\n"))
    }

    /// Sends the browser elsewhere on this server.
    pub(super) fn elsewhere(address: &str) -> Self {
        Self::plain(303, "see there").with("Location", address)
    }

    /// With a header. What could end one does not get in.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value: String = value.into().chars().filter(|c| !c.is_control()).collect();
        self.headers.push((name, value));
        self
    }

    /// Whether something else has said how long it may be kept.
    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| *known == name)
    }

    fn head(&self, length: Option<usize>) -> String {
        let mut head =
            format!("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n", self.status, words(self.status), self.kind);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if let Some(length) = length {
            head.extend([format!("Content-Length: {length}\r\n")]);
        }
        for (name, value) in ALWAYS {
            if !self.has(name) {
                head.extend([name, ": ", value, "\r\n"]);
            }
        }
        head + "\r\n"
    }

    /// Sends it all.
    pub(super) fn send(&self, stream: &mut TcpStream, is_head: bool) -> io::Result<()> {
        let mut sink = Sink::new(stream, Some(GOING))?;
        sink.write_all(self.head(Some(self.body.len())).as_bytes())?;
        if !is_head {
            sink.write_all(&self.body)?;
        }
        sink.end();
        Ok(())
    }

    /// Sends it as far as the system takes it at once.
    pub(super) fn send_now(&self, stream: &mut TcpStream) -> io::Result<usize> {
        stream.write(&[self.head(Some(self.body.len())).as_bytes(), &self.body].concat())
    }

    /// Sends what stands before a body that is written as it comes, and gives what takes the body.
    pub(super) fn begin<'s>(&self, stream: &'s mut TcpStream, length: Option<usize>) -> io::Result<Sink<'s>> {
        let mut sink = Sink::new(stream, length.map(|_| GOING))?;
        sink.write_all(self.head(length).as_bytes())?;
        Ok(sink)
    }
}

/// What every answer says unless it says it otherwise: that nobody else may use it, and that it runs nothing.
const ALWAYS: [(&str, &str); 9] = [
    ("Connection", "close"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Vary", "Cookie"),
];

/// A connection that an answer is written to, as long as somebody takes it.
pub(super) struct Sink<'s> {
    stream: &'s mut TcpStream,
    end: Option<Instant>,
}

impl<'s> Sink<'s> {
    fn new(stream: &'s mut TcpStream, limit: Option<Duration>) -> io::Result<Self> {
        stream.set_write_timeout(Some(STALLED))?;
        Ok(Self { stream, end: limit.map(|limit| now() + limit) })
    }

    /// Whether whoever reads has left. Nothing is expected to come, so that what comes is the end.
    pub(super) fn is_left(&self) -> bool {
        let mut watched = [PollFd::new(&*self.stream, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut watched, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Says that this was all, and takes what may still come for a moment: a connection that is closed over something unread
    /// takes the answer with it.
    pub(super) fn end(self) {
        let stream = self.stream;
        if stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let (mut portion, end) = ([0; 4096], now() + Duration::from_millis(500));
        while let Some(left) = end.checked_duration_since(now()).filter(|left| !left.is_zero()) {
            if stream.set_read_timeout(Some(left)).is_err()
                || !stream.read(&mut portion).is_ok_and(|read| read > 0)
            {
                return;
            }
        }
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.end.is_some_and(|end| now() >= end) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is taken too slowly"));
        }
        self.stream.write(bytes.get(..PORTION).unwrap_or(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn words(status: u16) -> &'static str {
    match status {
        200 => "OK",
        303 => "See Other",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// The time by which what takes too long is told.
#[expect(
    clippy::disallowed_methods,
    reason = "connections end by the clock; nothing of the store hangs on it"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Result<Head, Refusal>> {
        parsed(bytes, false)
    }

    #[test]
    fn a_form_says_what_it_is_and_how_long_and_is_short() {
        let form =
            |headers: &str| parsed(format!("POST / HTTP/1.1\r\n{headers}\r\na=b").as_bytes(), true).unwrap();
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let (_, head, length) = form(&format!("{kind}; charset=utf-8\r\nContent-Length: 3\r\n")).unwrap();
        let before = format!("POST / HTTP/1.1\r\n{kind}; charset=utf-8\r\nContent-Length: 3\r\n\r\n");
        assert_eq!((head, length), (before.len(), Some(3)));
        for (headers, status) in [
            ("Content-Length: 3\r\n", 415),
            ("Content-Type: text/plain\r\nContent-Length: 3\r\n", 415),
            (&format!("{kind}\r\n"), 411),
            (&format!("{kind}\r\nContent-Length: +3\r\n"), 411),
            (&format!("{kind}\r\nContent-Length: 99999999999999999999\r\n"), 411),
            (&format!("{kind}\r\nContent-Length: 32769\r\n"), 413),
            (&format!("{kind}\r\nContent-Length: 3\r\nContent-Length: 4\r\n"), 400),
            (&format!("{kind}\r\nTransfer-Encoding: chunked\r\n"), 413),
        ] {
            assert_eq!(form(headers).unwrap_err().0, status, "{headers}");
        }
    }

    #[test]
    fn a_request_is_read_once_its_head_is_complete_and_what_is_none_is_refused() {
        let request = read(b"GET /c?id=a%2Fb HTTP/1.1\r\nHost: localhost:1\r\n\r\n").unwrap().unwrap().0;
        assert_eq!((request.path.as_str(), request.query.as_str()), ("/c", "id=a%2Fb"));
        assert_eq!(request.header("host"), Ok(Some("localhost:1")));
        assert_eq!(read(b"GET / HTTP/1.1\r\nHost: x\r\n"), None);
        for (bytes, status) in [
            (&b"POST / HTTP/1.1\r\n\r\n"[..], 405),
            (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 413),
            (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 413),
            (b"GET / HTTP/1.1\r\nA: \xff\r\n\r\n", 400),
            (b"\x16\x03\x01\x00", 400),
        ] {
            assert_eq!(read(bytes).unwrap().unwrap_err().0, status, "{}", bytes.escape_ascii());
        }
        let twice = read(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").unwrap().unwrap().0;
        assert_eq!(twice.header("host").unwrap_err().0, 400);
    }

    #[test]
    fn nothing_that_ends_a_header_gets_into_one() {
        let answer = Answer::elsewhere("/c?id=a\r\nSet-Cookie: x=y");
        assert!(!answer.head(None).contains("\nSet-Cookie"));
    }
}
