//! A piece of a conversation, as HTML.
//!
//! Owns where a piece ends: after so many items or so many bytes, whichever comes first, and where the next one goes on. Messages
//! and actions stand in the order in which an export has them.

use std::io;

use aral_store::{Action, Conversation, Error, MessageStore, Messages, Seq};

use super::address;
use super::calls;
use super::cut::{self, Cut};
use crate::export::html::Anchors;
use crate::export::html::items::{Framed, done, said};
use crate::export::timeline::is_before;

/// The most items of a piece.
pub(super) const MOST_ITEMS: usize = 100;

/// From so many bytes on a piece takes no further item.
const MOST_BYTES: usize = 1 << 20;

/// How many messages are read at once. One that is long is read for nothing if it gets no place any more.
const STEP: usize = 10;

/// A conversation that is shown, now or in its past.
pub(super) struct Told<'s> {
    pub(super) store: &'s MessageStore,
    /// All of it for the past; without its messages for now.
    pub(super) conversation: Conversation,
    pub(super) messages: u64,
    /// The event behind which it is shown; nothing for now.
    pub(super) at: Option<Seq>,
}

/// Where a piece begins: with a message, and with an action if it is known which one comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Start {
    pub(super) place: u64,
    pub(super) action: Option<usize>,
}

/// A piece.
pub(super) struct Piece {
    pub(super) html: Vec<u8>,
    /// How many items it holds.
    pub(super) items: usize,
    /// The place behind its last message.
    pub(super) behind: u64,
    /// Where the next one begins, if there is one.
    pub(super) next: Option<Start>,
}

impl Told<'_> {
    /// So many messages from a place on, each cut to what a page shows.
    pub(super) fn messages(&self, from: u64, most: usize) -> Result<Vec<Cut>, Error> {
        let mut found = Vec::new();
        if self.at.is_none() {
            let selection = Messages::first(most).from_place(from);
            self.store.for_each_message(&self.conversation.id, selection, |message| {
                found.push(Cut::of(&message));
            })?;
        } else {
            let skipped = usize::try_from(from).unwrap_or(usize::MAX);
            found.extend(self.conversation.messages.iter().skip(skipped).take(most).map(Cut::of_owned));
        }
        Ok(found)
    }

    /// The piece that begins there.
    pub(super) fn piece(&self, start: Start) -> Result<Piece, Error> {
        let mut writer = Writer::new(&self.conversation.id, self.at);
        let actions = &self.conversation.actions;
        let mut at = Start { place: start.place, action: start.action.or((start.place == 0).then_some(0)) };
        let mut is_full = false;
        'reading: while at.place < self.messages && !is_full {
            let step = self.messages(at.place, STEP)?;
            if step.is_empty() {
                break;
            }
            for message in step {
                // Whoever comes from elsewhere has not seen what came before this message, and did not ask for it.
                let before =
                    || actions.iter().take_while(|action| is_before(action, &message.message)).count();
                let mut due = at.action.unwrap_or_else(before);
                while let Some(action) = actions.get(due).filter(|action| is_before(action, &message.message))
                {
                    at.action = Some(due);
                    if writer.is_full() {
                        is_full = true;
                        break 'reading;
                    }
                    writer.action(action).map_err(unwritten)?;
                    due += 1;
                }
                at.action = Some(due);
                if writer.is_full() {
                    is_full = true;
                    break 'reading;
                }
                writer.message(&message, Some(at.place)).map_err(unwritten)?;
                at.place += 1;
            }
        }
        if !is_full {
            let due = at.action.unwrap_or_default();
            for action in actions.iter().skip(due) {
                if writer.is_full() {
                    is_full = true;
                    break;
                }
                writer.action(action).map_err(unwritten)?;
                at.action = Some(at.action.unwrap_or_default() + 1);
            }
        }
        let Writer { html, items, .. } = writer;
        Ok(Piece { html, items, behind: at.place, next: is_full.then_some(at) })
    }
}

/// Nothing is written elsewhere than into memory.
fn unwritten(error: io::Error) -> Error {
    Error::io("put the page together", std::path::Path::new("memory"), error)
}

/// Items one after the other.
pub(super) struct Writer<'i> {
    id: &'i str,
    at: Option<Seq>,
    anchors: Anchors,
    pub(super) html: Vec<u8>,
    items: usize,
    bytes: usize,
}

impl<'i> Writer<'i> {
    pub(super) fn new(id: &'i str, at: Option<Seq>) -> Self {
        Self { id, at, anchors: Anchors::of(""), html: Vec::new(), items: 0, bytes: 0 }
    }

    /// Whether the next item is for the next piece.
    fn is_full(&self) -> bool {
        self.items >= MOST_ITEMS || self.bytes >= MOST_BYTES
    }

    fn took(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes += bytes;
    }

    /// The address of an item, or of all that it holds.
    fn link(&self, path: &str, named: (&str, &[u8]), place: Option<u64>) -> String {
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let (place, at) = (number(place), number(self.at));
        let parameters =
            [("id", self.id.as_bytes()), named, ("place", place.as_bytes()), ("at", at.as_bytes())];
        address::attribute(path, &parameters)
    }

    pub(super) fn message(&mut self, cut: &Cut, place: Option<u64>) -> io::Result<()> {
        let message = &cut.message;
        let anchor = self.anchors.next('/', &message.id);
        let named = ("message", message.id.as_wtf8());
        let href = format!("{}#{anchor}", self.link("/c", named, place));
        let after = calls::folded(message) + &notes(&cut.notes, &self.link("/raw", named, place));
        let fold = calls::fold(message);
        let framed = Framed { anchor: &anchor, href: &href, fold: fold.as_deref(), after: &after };
        said(message, framed, &mut self.html)?;
        self.took(cut.bytes);
        Ok(())
    }

    pub(super) fn action(&mut self, action: &Action) -> io::Result<()> {
        let (cut, left_out, bytes) = cut::action(action);
        let anchor = self.anchors.next(':', &cut.id);
        let raw = self.link("/raw", ("action", action.id.as_wtf8()), None);
        // A link in what unfolds it would be one control within another.
        let link = format!("<p class=\"facts\"><a href=\"#{anchor}\">Link to this</a></p>\n");
        let after = link + &notes(&left_out, &raw);
        done(&cut, Framed { anchor: &anchor, href: "", fold: None, after: &after }, &mut self.html)?;
        self.took(bytes);
        Ok(())
    }
}

/// What was cut off, with the way to it.
fn notes(notes: &[String], raw: &str) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let json = if raw.contains("message=") {
        format!(" · <a href=\"{raw}&amp;form=json\">with all fields</a>")
    } else {
        String::new()
    };
    format!(
        "<p class=\"cut\">Too long to show here: {}. <a href=\"{raw}\">All of it</a>{json}</p>\n",
        notes.join("; ")
    )
}
