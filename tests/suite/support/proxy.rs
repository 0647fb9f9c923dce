//! A way to a server that ends in the middle of commits.

#![expect(clippy::disallowed_methods, reason = "a network takes real time")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::server::Server;

/// How much later the server hears of a commit whose caller is gone.
const LATE: Duration = Duration::from_millis(200);

/// A way to a server that cuts the connection of every so many-th commit: by turns before anybody hears the answer, before the
/// server hears of it, and a while before the server hears of it after all. With 0 it cuts nothing.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    commits: AtomicU64,
    cuts: AtomicU64,
}

impl Proxy {
    pub(crate) fn before(server: &Server, cut_every: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, to) = (listener.local_addr().unwrap().port(), server.port);
        let counts = Arc::<Counts>::default();
        let proxy = Self { port, counts: Arc::clone(&counts) };
        // It ends with the process; who accepts keeps nothing from ending.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client of a server that is away is let down, as by the server.
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                pass(&client, &server, &counts, cut_every);
            }
        });
        proxy
    }

    /// How many commits there were.
    pub(crate) fn commits(&self) -> u64 {
        self.counts.commits.load(Ordering::SeqCst)
    }

    /// How many of them were cut off.
    pub(crate) fn cuts(&self) -> u64 {
        self.counts.cuts.load(Ordering::SeqCst)
    }
}

/// Passes on what both sides say, in two threads.
fn pass(client: &TcpStream, server: &TcpStream, counts: &Arc<Counts>, cut_every: u64) {
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (Ok(from), Ok(into)) = (server.try_clone(), client.try_clone()) else { return };
    let (Ok(caller), Ok(client), Ok(server)) = (client.try_clone(), client.try_clone(), server.try_clone())
    else {
        return;
    };
    let is_cut = Arc::<AtomicBool>::default();
    let (answers_are_cut, counts) = (Arc::clone(&is_cut), Arc::clone(counts));
    thread::spawn(move || copy(from, into, |_| !answers_are_cut.load(Ordering::SeqCst)));
    thread::spawn(move || {
        let mut speech = Speech::default();
        copy(client, server, |sent| {
            if !speech.commits(sent) {
                return true;
            }
            let number = counts.commits.fetch_add(1, Ordering::SeqCst);
            if cut_every == 0 || number % cut_every != 0 {
                return true;
            }
            counts.cuts.fetch_add(1, Ordering::SeqCst);
            is_cut.store(true, Ordering::SeqCst);
            let turn = number / cut_every % 3;
            if turn == 2 {
                caller.shutdown(Shutdown::Both).ok();
                thread::sleep(LATE);
            }
            turn != 1
        });
    });
}

/// What a client says, message by message.
#[derive(Default)]
struct Speech {
    /// What has come of a message that is not there as a whole.
    rest: Vec<u8>,
    has_started: bool,
    /// Whether it has locked the row that writers lock.
    writes: bool,
    /// The names of prepared statements that are transactions by themselves.
    transactions: BTreeSet<Vec<u8>>,
}

impl Speech {
    /// Whether there is a writer's commit in what it says next: the statement `COMMIT`, or one that takes numbers and writes at once.
    fn commits(&mut self, sent: &[u8]) -> bool {
        self.rest.extend_from_slice(sent);
        let mut commits = false;
        while let Some((kind, body)) = self.next() {
            match kind {
                b'Q' => {
                    self.writes |= contains(&body, b"FOR UPDATE");
                    commits |= self.writes && contains(&body, b"COMMIT\0");
                }
                b'P' if contains(&body, b"SET next_seq = CASE") => {
                    self.transactions.insert(word(&body, 0));
                }
                b'B' => commits |= self.transactions.contains(&word(&body, 1)),
                _ => {}
            }
        }
        commits
    }

    /// The next message: its kind, which those that begin a connection do not have, and what is in it.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = usize::from(self.has_started);
        let length: [u8; 4] = self.rest.get(head..head + 4)?.try_into().unwrap();
        let end = head + usize::try_from(u32::from_be_bytes(length)).unwrap();
        let kind = if self.has_started { self.rest[0] } else { 0 };
        let body = self.rest.get(head + 4..end)?.to_vec();
        self.rest.drain(..end);
        // The question for TLS stands before the beginning itself.
        self.has_started |= body.get(..4) != Some(&80_877_103_u32.to_be_bytes());
        Some((kind, body))
    }
}

/// One of the texts at the beginning of a message.
fn word(body: &[u8], at: usize) -> Vec<u8> {
    body.split(|byte| *byte == 0).nth(at).unwrap_or_default().to_vec()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Copies what comes for as long as `goes_on` says of it, and ends both ways then.
fn copy(mut from: TcpStream, mut into: TcpStream, mut goes_on: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !goes_on(&buffer[..length]) || into.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    into.shutdown(Shutdown::Both).ok();
}
