//! A server that gives one answer to everything, or none.
//!
//! Owns the answers of services that cannot be had here, as their documentation prints them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The server; it ends with the process.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) port: u16,
    requests: Arc<AtomicU64>,
}

impl Recorded {
    /// One that answers each request with this, or never if there is none.
    #[expect(clippy::disallowed_methods, reason = "a server answers beside the test")]
    pub(crate) fn start(answer: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming().flatten() {
                match &answer {
                    Some(answer) => drop(reply(&stream, answer, &counted)),
                    None => {
                        counted.fetch_add(1, Ordering::SeqCst);
                        silent.push(stream);
                    }
                }
            }
        });
        Self { port, requests }
    }

    /// An answer in the form that all three clouds have for what they refuse.
    pub(crate) fn refusal(status: &str, code: &str) -> String {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>HIDDEN</Message><AWSAccessKeyId>HIDDEN</AWSAccessKeyId></Error>"
        );
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

fn reply(mut stream: &TcpStream, answer: &str, counted: &AtomicU64) -> std::io::Result<()> {
    // What is asked makes no difference, but it is read to its end: none of it has a body.
    let (mut asked, mut part) = (Vec::new(), [0; 4096]);
    while !asked.ends_with(b"\r\n\r\n") {
        let length = stream.read(&mut part)?;
        if length == 0 {
            return Ok(());
        }
        asked.extend_from_slice(&part[..length]);
    }
    counted.fetch_add(1, Ordering::SeqCst);
    stream.write_all(answer.as_bytes())
}
