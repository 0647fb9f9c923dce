//! What is asked of every contender.
//!
//! Owns the trait and the names of what it does not offer. An adapter does what a careful application would do with that
//! library, and no more: every answer of a reading is owned data, as an application would hold it.

use crate::Outcome;
use crate::wire::Owned;
use crate::workload::{Digest, Row, Talk};

/// When what was appended is on the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Syncs {
    /// Before the call returns.
    Each,
    /// When the operating system likes.
    Never,
}

/// What a reading gave: `None` if the contender has no way to answer.
pub(crate) type Answer = Outcome<Option<Box<dyn Held>>>;

/// A store, a log, or a bare file.
pub(crate) trait Peer: Send + Sync {
    fn append(&self, row: &Row) -> Outcome<()>;

    /// All of them or none, with one sync.
    fn append_batch(&self, rows: &[Row]) -> Outcome<()>;

    /// Everything that is there, as far as the contender can tell: the check of every measure.
    fn digest(&self) -> Outcome<Digest>;

    /// All messages of a conversation.
    fn conversation(&self, _talk: &Talk) -> Answer {
        Ok(None)
    }

    /// The last messages of a conversation, oldest first.
    fn last(&self, _talk: &Talk, _count: usize) -> Answer {
        Ok(None)
    }

    /// The one message that has this id; the contender may use that it is in this conversation.
    fn by_id(&self, _talk: &Talk, _id: &str) -> Answer {
        Ok(None)
    }

    /// The conversations that were written to last.
    fn recent(&self, _count: usize) -> Answer {
        Ok(None)
    }

    /// Goes over all messages of a conversation without owning them; `None` if it cannot.
    fn borrowed(&self, _talk: &Talk, _each: &mut dyn FnMut(&str)) -> Outcome<Option<()>> {
        Ok(None)
    }

    /// Goes over everything, making every message an owned one; how many there were.
    fn scan(&self, _each: &mut dyn FnMut(&str)) -> Outcome<Option<u64>> {
        Ok(None)
    }

    /// What it knows of itself, as figures.
    fn facts(&self) -> Outcome<Vec<(&'static str, f64)>> {
        Ok(Vec::new())
    }
}

/// Owned data that was read, with a look inside for checks.
pub(crate) trait Held {
    fn count(&self) -> usize;

    /// A message's content, or a conversation's id.
    fn text(&self, at: usize) -> Option<&str>;

    /// The messages as a JSON document, from those who have no export of their own.
    fn document(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Held for Vec<Owned> {
    fn count(&self) -> usize {
        self.len()
    }

    fn text(&self, at: usize) -> Option<&str> {
        self.get(at).map(|message| message.content.as_str())
    }

    fn document(&self) -> Option<Vec<u8>> {
        serde_json::to_vec_pretty(self).ok()
    }
}

/// What a list shows of a conversation.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) messages: u32,
    pub(crate) updated_at: i64,
}

impl Held for Vec<Listed> {
    fn count(&self) -> usize {
        self.len()
    }

    fn text(&self, at: usize) -> Option<&str> {
        self.get(at).map(|listed| {
            std::hint::black_box((&listed.title, listed.messages, listed.updated_at));
            listed.id.as_str()
        })
    }
}

/// The answer that a list of messages or conversations is.
#[expect(clippy::unnecessary_wraps, reason = "it is what adapters return")]
pub(crate) fn held(list: impl Held + 'static) -> Answer {
    Ok(Some(Box::new(list)))
}
