//! A server of the tests' own that answers as Google Cloud Storage does where clients speak XML.
//!
//! Owns what the public documentation says of that: conditions on generations, lists in pages, caches of what everybody may read, and the codes of
//! refusals. Stricter than the service: it takes no write without a condition, and nothing that it does not know. Fails now and
//! then as the service may: it is busy, or carries a write out and does not answer.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How many names a page of a list has.
const PAGE: usize = 3;

/// The buckets that there are: one to write to; the same for who may read only; one that keeps what is in it from being replaced; and
/// one as of a server that does not look at conditions.
const BUCKETS: [&str; 4] = ["aral", "reading", "kept", "lax"];

#[derive(Debug)]
struct Object {
    bytes: Vec<u8>,
    generation: u64,
    cache_control: String,
}

#[derive(Debug, Default)]
struct State {
    /// By bucket and name.
    objects: BTreeMap<(String, String), Object>,
    /// What those in between keep of what everybody may read, and has no word on caches.
    cached: HashMap<(String, String), (Vec<u8>, u64)>,
    generation: u64,
    requests: u64,
}

/// The server; it ends with the process.
#[derive(Debug)]
pub(crate) struct Google {
    state: Mutex<State>,
    pub(crate) port: u16,
}

struct Request {
    method: String,
    bucket: String,
    name: String,
    query: Vec<(String, String)>,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn answer(status: &'static str, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into() }
}

fn refused(status: &'static str, code: &str) -> Answer {
    answer(
        status,
        format!("<?xml version='1.0'?><Error><Code>{code}</Code><Message>of the tests</Message></Error>"),
    )
}

impl Google {
    #[expect(clippy::disallowed_methods, reason = "a server answers beside the test")]
    pub(crate) fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Arc::new(Self { state: Mutex::default(), port });
        let own = Arc::clone(&server);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = Arc::clone(&own);
                std::thread::spawn(move || own.serve(&stream));
            }
        });
        server
    }

    fn serve(&self, stream: &TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let (mut reader, mut writer) = (BufReader::new(stream), stream);
        loop {
            let request = read(&mut reader)?;
            let mut state = self.state.lock().unwrap();
            state.requests += 1;
            let number = state.requests;
            let is_write = request.method != "GET";
            let answer = if number.is_multiple_of(29) {
                refused("503 Service Unavailable", "ServiceUnavailable")
            } else {
                state.answer(&request)
            };
            drop(state);
            if is_write && number.is_multiple_of(31) {
                return None;
            }
            let mut head = format!("HTTP/1.1 {}\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
            for (name, value) in &answer.headers {
                write!(head, "{name}: {value}\r\n").unwrap();
            }
            let mut bytes = format!("{head}\r\n").into_bytes();
            bytes.extend_from_slice(&answer.body);
            writer.write_all(&bytes).ok()?;
        }
    }

    /// Puts an object there as somebody with other tools does, or removes it.
    pub(crate) fn by_hand(&self, name: &str, bytes: Option<&[u8]>) {
        let mut state = self.state.lock().unwrap();
        let place = ("aral".to_owned(), name.to_owned());
        match bytes {
            Some(bytes) => state.put(place, bytes.to_vec(), "no-store".to_owned()),
            None => drop(state.objects.remove(&place)),
        }
    }
}

impl State {
    fn put(&mut self, place: (String, String), bytes: Vec<u8>, cache_control: String) {
        self.generation += 1;
        let generation = self.generation;
        self.objects.insert(place, Object { bytes, generation, cache_control });
    }

    fn answer(&mut self, request: &Request) -> Answer {
        if !BUCKETS.contains(&&*request.bucket) {
            return refused("404 Not Found", "NoSuchBucket");
        }
        if request.headers.get("authorization").is_some_and(|value| value.contains("wrong")) {
            return refused("401 Unauthorized", "AuthenticationRequired");
        }
        // Both are the same bucket.
        let bucket = if request.bucket == "reading" { "aral" } else { &request.bucket };
        let place = (bucket.to_owned(), request.name.clone());
        if request.bucket == "reading" && request.method != "GET" {
            return refused("403 Forbidden", "AccessDenied");
        }
        match (&*request.method, &*request.name) {
            ("GET", "") => self.list(bucket, &request.query),
            ("GET", _) if request.query.is_empty() => self.get(&place, request),
            ("PUT", _) if request.query.is_empty() && !request.name.is_empty() => self.create(place, request),
            ("DELETE", _) if request.query.is_empty() => match self.objects.contains_key(&place) {
                false => refused("404 Not Found", "NoSuchKey"),
                true if bucket == "kept" => refused("403 Forbidden", "RetentionPolicyNotMet"),
                true => {
                    self.objects.remove(&place);
                    answer("204 No Content", "")
                }
            },
            _ => refused("400 Bad Request", "InvalidArgument"),
        }
    }

    fn create(&mut self, place: (String, String), request: &Request) -> Answer {
        let wanted =
            request.headers.get("x-goog-if-generation-match").and_then(|value| value.parse::<u64>().ok());
        let has_others = ["if-match", "if-none-match"].iter().any(|name| request.headers.contains_key(*name));
        let (Some(wanted), false) = (wanted, has_others) else {
            return refused("400 Bad Request", "InvalidArgument");
        };
        let there = self.objects.get(&place).map_or(0, |object| object.generation);
        if there != wanted && place.0 != "lax" {
            return refused("412 Precondition Failed", "PreconditionFailed");
        }
        if there != 0 && place.0 == "kept" {
            return refused("403 Forbidden", "RetentionPolicyNotMet");
        }
        let cache_control = request.headers.get("cache-control").cloned().unwrap_or_default();
        self.put(place, request.body.clone(), cache_control);
        let mut answer = answer("200 OK", "");
        answer.headers = vec![
            ("x-goog-generation", self.generation.to_string()),
            ("ETag", format!("\"{:08x}\"", crc32fast::hash(&request.body))),
        ];
        answer
    }

    fn get(&mut self, place: &(String, String), request: &Request) -> Answer {
        let is_signed = request.headers.contains_key("authorization");
        if let (false, Some((bytes, generation))) = (is_signed, self.cached.get(place)) {
            return found(bytes, *generation);
        }
        let Some(object) = self.objects.get(place) else { return refused("404 Not Found", "NoSuchKey") };
        if !is_signed && !object.cache_control.contains("no-store") {
            self.cached.insert(place.clone(), (object.bytes.clone(), object.generation));
        }
        found(&object.bytes, object.generation)
    }

    fn list(&self, bucket: &str, query: &[(String, String)]) -> Answer {
        let (mut prefix, mut behind) = ("", "");
        for (name, value) in query {
            match &**name {
                "list-type" if value == "2" => {}
                "prefix" => prefix = value,
                "start-after" | "continuation-token" => behind = behind.max(value),
                _ => return refused("400 Bad Request", "InvalidArgument"),
            }
        }
        let names = self.objects.keys().filter(|(home, _)| home == bucket).map(|(_, name)| name.as_str());
        let mut names = names.filter(|name| name.starts_with(prefix) && *name > behind);
        let page: Vec<&str> = names.by_ref().take(PAGE).collect();
        let mut body = "<?xml version='1.0'?><ListBucketResult>".to_owned();
        for name in &page {
            let object = &self.objects[&(bucket.to_owned(), (*name).to_owned())];
            let (generation, size) = (object.generation, object.bytes.len());
            write!(
                body,
                "<Contents><Key>{name}</Key><Generation>{generation}</Generation><LastModified>2026-01-01T00:00:00Z</LastModified>\
                 <ETag>\"{generation}\"</ETag><Size>{size}</Size></Contents>"
            )
            .unwrap();
        }
        if let (Some(last), Some(_)) = (page.last(), names.next()) {
            write!(
                body,
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>"
            )
            .unwrap();
        }
        answer("200 OK", body + "</ListBucketResult>")
    }
}

fn found(bytes: &[u8], generation: u64) -> Answer {
    let mut answer = answer("200 OK", bytes);
    answer.headers = vec![
        ("x-goog-generation", generation.to_string()),
        // Of the content, so that who takes it for a version is found out.
        ("ETag", format!("\"{:08x}\"", crc32fast::hash(bytes))),
        ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT".to_owned()),
    ];
    answer
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix('/')?;
    let (bucket, name) = path.split_once('/').unwrap_or((path, ""));
    let (bucket, name) = (decoded(bucket), decoded(name));
    let query = query.split('&').filter_map(|part| part.split_once('='));
    let query = query.map(|(name, value)| (decoded(name), decoded(value))).collect();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, bucket, name, query, headers, body })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        match byte {
            b'%' => {
                let (high, low) = (digit().unwrap(), digit().unwrap());
                bytes.push(u8::try_from(high * 16 + low).unwrap());
            }
            b'+' => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}
