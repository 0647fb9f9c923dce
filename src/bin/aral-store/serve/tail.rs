//! A conversation as it goes on, by server-sent events.
//!
//! Owns what a page is told. Each event has its number in the log, so that whoever was away gets what came behind the last one
//! that arrived: nothing is missed, and nothing comes twice.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use aral_store::{Change, Event, Follower, Logged, MessageStore, Seq};

use super::cut::Cut;
use super::http::{Answer, Sink, now};
use super::piece::Writer;
use crate::exit::Failure;
use crate::export::html::escape;
use crate::signals::Stop;

/// How long a look at the log waits for more.
const PAUSE: Duration = Duration::from_millis(200);

/// After how long something is said although nothing happens, so that both sides know of each other.
const BEAT: Duration = Duration::from_secs(10);

/// Follows a conversation behind an event, until the page or the viewer ends.
pub(super) struct Tail<'i> {
    id: &'i str,
    /// The newest event that the page has seen.
    seen: Seq,
    /// The newest event that there was, of any conversation.
    passed: Seq,
    follower: Follower,
}

impl<'i> Tail<'i> {
    pub(super) fn of(store: &MessageStore, id: &'i str, seen: Seq) -> Result<Self, Failure> {
        let follower = store.follow(seen.saturating_add(1))?;
        Ok(Self { id, seen, passed: seen, follower })
    }

    /// Sends what comes. What goes wrong with the store is told to the page, which begins anew.
    pub(super) fn send(mut self, stop: &Stop, stream: &mut TcpStream) -> io::Result<()> {
        let head = Answer::new(200, "text/event-stream", "").with("X-Accel-Buffering", "no");
        let mut sink = head.begin(stream, None)?;
        sink.write_all(b"retry: 1000\n\n")?;
        let (mut beat, mut told) = (now(), self.seen);
        while !stop.is_wanted() && !sink.is_left() {
            loop {
                match self.follower.next_logged() {
                    Ok(Some(logged)) => self.told(&logged, &mut sink)?,
                    Ok(None) => break,
                    Err(error) => {
                        // The place in the log is kept; a page that asks again looks again.
                        let text = escape::text(&error.to_string());
                        return sink.write_all(event(None, "broken", &text).as_bytes());
                    }
                }
            }
            if now().duration_since(beat) >= BEAT {
                beat = now();
                // Whoever comes again begins here, and not where this conversation was last changed.
                let at =
                    if self.passed > told { format!("id: {}\n\n", self.passed) } else { ":\n\n".to_owned() };
                told = self.passed;
                sink.write_all(at.as_bytes())?;
            }
            self.follower.wait(PAUSE);
        }
        Ok(())
    }

    fn told(&mut self, logged: &Logged, sink: &mut Sink<'_>) -> io::Result<()> {
        match logged {
            Logged::Batch { seq, events } => {
                for (seq, event) in (*seq..).zip(events) {
                    if seq > self.seen && event.conversation_id == self.id {
                        sink.write_all(self.change(seq, event)?.as_bytes())?;
                    }
                    self.passed = self.passed.max(seq);
                }
            }
            Logged::Compacted { last, .. } if *last > self.seen => {
                // What of these was of this conversation nobody can say here.
                sink.write_all(event(Some(*last), "stale", "").as_bytes())?;
                self.passed = self.passed.max(*last);
            }
            // What this version does not know may have changed what is shown.
            Logged::Compacted { .. } => {}
            _ => sink.write_all(event(None, "stale", "").as_bytes())?,
        }
        Ok(())
    }

    /// A change as the page is told of it.
    fn change(&self, seq: Seq, changed: &Event) -> io::Result<String> {
        let mut writer = Writer::new(self.id, None);
        #[expect(clippy::wildcard_enum_match_arm, reason = "for all others the page is asked for anew")]
        let kind = match &changed.change {
            Change::AddMessage(message) => {
                writer.message(&Cut::of_owned(message), None)?;
                "item"
            }
            Change::EditMessage(message) => {
                writer.message(&Cut::of_owned(message), None)?;
                "edited"
            }
            Change::AddAction(action) => {
                writer.action(action)?;
                "item"
            }
            Change::EditAction(action) => {
                writer.action(action)?;
                "edited"
            }
            _ => "stale",
        };
        Ok(event(Some(seq), kind, &String::from_utf8_lossy(&writer.html)))
    }
}

/// An event as it is sent: a line of it is a line of data.
fn event(seq: Option<Seq>, kind: &str, data: &str) -> String {
    let mut out = seq.map(|seq| format!("id: {seq}\n")).unwrap_or_default();
    out.extend(["event: ", kind, "\n"]);
    for line in data.split(['\n', '\r']) {
        out.extend(["data: ", line, "\n"]);
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_its_event() {
        let sent = event(Some(7), "item", "a\n\nevent: stale\r\ndata");
        assert_eq!(sent, "id: 7\nevent: item\ndata: a\ndata: \ndata: event: stale\ndata: \ndata: data\n\n");
    }
}
