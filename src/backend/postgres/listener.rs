//! Being told by a server that something was written.
//!
//! Owns the session that listens. It holds a lock that writers try to take behind their commits: only if they fail, so that somebody
//! listens, do they notify. A notification takes a lock of the whole server until its transaction has ended, which all others who
//! notify wait for; so it has a transaction of its own, which nobody waits for, instead of a part in one that waits for the disk.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Client, Connection};

use super::calls::Calls;
use super::errors;
use crate::backend::sql::connection::Wake;
use crate::error::{Error, ErrorKind, Result};

/// How long the server may take to let a session listen. Whoever asks for it waits for those who just ring.
const SET_UP: Duration = Duration::from_secs(10);

/// What the session has heard.
#[derive(Default)]
pub(super) struct Heard {
    rings: AtomicBool,
    is_lost: AtomicBool,
    waker: AtomicWaker,
}

/// A session that listens.
pub(super) struct Listener {
    heard: Arc<Heard>,
    place: PathBuf,
    /// As long as it is there, the session is.
    _client: Client,
    calls: Calls,
}

/// The names of a schema's lock, and its channel.
struct Names {
    lock: String,
    channel: String,
}

fn names(schema: &str) -> Names {
    let hash = crc32fast::hash(schema.as_bytes());
    let which = i32::from_be_bytes(hash.to_be_bytes());
    let listens = i32::from_be_bytes(*b"arls");
    Names { lock: format!("{listens}, {which}"), channel: format!("aral_events_{hash:08x}") }
}

/// What is sent behind a commit. It is a transaction of its own, which writes nothing and waits for no disk.
pub(super) fn rings(schema: &str) -> String {
    format!("SELECT pg_notify('{}', '') WHERE {}", names(schema).channel, is_heard(schema))
}

/// Whether somebody listens. Who is told that nobody does keeps everybody from beginning to until the transaction has ended: whoever listens then sees
/// what it wrote.
pub(super) fn is_heard(schema: &str) -> String {
    format!("NOT pg_try_advisory_xact_lock({})", names(schema).lock)
}

/// Works for a session, and takes note of what it is told.
pub(super) async fn drive<S, T>(mut connection: Connection<S, T>, heard: Arc<Heard>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(_))) => heard.rings.store(true, Ordering::SeqCst),
            Some(Ok(_)) => continue,
            Some(Err(_)) | None => heard.is_lost.store(true, Ordering::SeqCst),
        }
        heard.waker.wake();
        if heard.is_lost.load(Ordering::SeqCst) {
            return;
        }
    }
}

impl Listener {
    /// Lets a session listen.
    pub(super) fn begin(
        (client, calls): (Client, Calls),
        heard: Arc<Heard>,
        (place, schema): (&Path, &str),
    ) -> Result<Self> {
        let Names { lock, channel } = names(schema);
        let limit = SET_UP.as_millis();
        // Order: it listens before it has the lock. Reversed, what is written between would ring for nobody.
        for sql in [
            format!("SET lock_timeout = {limit}; LISTEN {channel}"),
            format!("SELECT pg_advisory_lock_shared({lock})"),
        ] {
            match calls.wait(SET_UP * 2, client.batch_execute(&sql)) {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(errors::of("listen", place, &error)),
                None => return Err(lost(place)),
            }
        }
        Ok(Self { heard, place: place.to_owned(), _client: client, calls })
    }
}

fn lost(place: &Path) -> Error {
    Error::new(ErrorKind::Io, "the server says nothing any more").at(place, None)
}

impl Wake for Listener {
    fn wait(&mut self, limit: Duration) -> Result<bool> {
        let heard = Arc::clone(&self.heard);
        let rings = self.calls.wait(
            limit,
            poll_fn(move |context| {
                heard.waker.register(context.waker());
                // Order: the ring before the loss, so that what came last is looked at.
                if heard.rings.swap(false, Ordering::SeqCst) {
                    Poll::Ready(Ok(()))
                } else if heard.is_lost.load(Ordering::SeqCst) {
                    Poll::Ready(Err(()))
                } else {
                    Poll::Pending
                }
            }),
        );
        match rings {
            Some(Ok(())) => Ok(true),
            Some(Err(())) => Err(lost(&self.place)),
            None => Ok(false),
        }
    }
}
