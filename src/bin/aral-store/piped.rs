//! Standard input that hears when an end is wanted.
//!
//! Owns a thread that reads, because a read waits for whoever writes, and a signal does not end it.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::signals::Stop;

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// How long a signal may go unheard.
const PAUSE: Duration = Duration::from_millis(100);

/// Standard input by way of a thread.
pub(crate) struct Piped {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    used: usize,
    stop: Stop,
    /// Why there is no thread.
    refused: Option<io::Error>,
}

impl Piped {
    pub(crate) fn stdin(stop: Stop) -> Self {
        Self::reading(io::stdin(), stop)
    }

    fn reading(mut input: impl Read + Send + 'static, stop: Stop) -> Self {
        let (sender, chunks) = sync_channel(1);
        let read = move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = match input.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Ok(count) => {
                        chunk.truncate(count);
                        Ok(chunk)
                    }
                    Err(error) => Err(error),
                };
                let is_last = read.as_ref().map_or(true, Vec::is_empty);
                if sender.send(read).is_err() || is_last {
                    return;
                }
            }
        };
        // A signal must be heard while a read waits. Without a thread the first read says what was refused.
        let refused = std::thread::Builder::new().spawn(read).err();
        Self { chunks, chunk: Vec::new(), used: 0, stop, refused }
    }
}

impl BufRead for Piped {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        while self.used >= self.chunk.len() {
            match self.chunks.recv_timeout(PAUSE) {
                Ok(chunk) => {
                    (self.chunk, self.used) = (chunk?, 0);
                    if self.chunk.is_empty() {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) if self.stop.signal().is_some() => {
                    return Err(io::Error::other("an end was asked for"));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(self.chunk.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl Read for Piped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_what_comes_and_ends_where_that_ends() {
        let text: Vec<u8> = (0..=255).cycle().take(3 * CHUNK + 7).collect();
        let mut piped = Piped::reading(io::Cursor::new(text.clone()), Stop::default());
        let mut read = Vec::new();
        piped.read_to_end(&mut read).unwrap();
        assert_eq!(read, text);
        assert_eq!(piped.read(&mut [0; 4]).unwrap(), 0, "the end stays the end");
    }

    /// A read that failed before it was known which signal had come passed for a failure of the input, and the
    /// program ended with 1 instead of the signal's code.
    #[test]
    fn a_read_waits_until_it_is_known_which_signal_came() {
        let (pipe, writer) = io::pipe().unwrap();
        let stop = Stop::caught();
        let mut piped = Piped::reading(pipe, stop.clone());
        let named = std::thread::scope(|scope| {
            let read = scope.spawn(|| piped.read(&mut [0; 4]).is_err());
            let (_sender, nothing) = sync_channel::<()>(0);
            nothing.recv_timeout(3 * PAUSE).unwrap_err();
            let is_early = read.is_finished();
            stop.name(15);
            (is_early, read.join().unwrap())
        });
        assert_eq!((named, stop.signal()), ((false, true), Some(15)));
        drop(writer);
    }
}
