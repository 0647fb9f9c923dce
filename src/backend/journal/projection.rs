//! What the journal asks of documents that people query: conversations as their events left them, beside the log.
//!
//! Owns the seam to whatever keeps such documents, and what it is told. They are derived: the log is the truth, an append does not
//! wait for them, and what is missing is made up for later. Knows no database.

use std::fmt;

use super::objects::{Answer, Version};
use crate::codec::segment::StoreId;
use crate::model::{Action, JsonObject, Message, Seq, Summary};
use crate::rules::Folded;

/// How far the documents have come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    /// Of which store they are.
    pub(crate) store_id: StoreId,
    /// Every event up to this one is in them. What came later may be, too.
    pub(crate) seq: Seq,
    /// What tells this mark from the one that replaces it.
    pub(crate) version: Version,
}

/// A conversation, or a piece of one, as it is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Changed {
    pub(crate) id: String,
    /// The newest event of the conversation. What is there as of a later one stays as it is.
    pub(crate) as_of: Seq,
    /// What it is but for what it holds; `None` if it is there no more, and everything of it has to go.
    pub(crate) head: Option<Head>,
    /// Messages to be written, each with its place in the conversation. Those that are not named stay as they are.
    pub(crate) messages: Vec<(u64, Message)>,
    pub(crate) actions: Vec<(u64, Action)>,
    /// Whether there may be more than the conversation holds: what stands at its end and behind has to go.
    pub(crate) is_cut: bool,
}

/// A conversation without what it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) summary: Summary,
    pub(crate) metadata: JsonObject,
    pub(crate) extra: JsonObject,
}

impl Head {
    pub(crate) fn of(folded: &Folded) -> Self {
        let conversation = &folded.conversation;
        let (metadata, extra) = (conversation.metadata.clone(), conversation.extra.clone());
        Self { summary: folded.summary(), metadata, extra }
    }
}

/// Documents of a store's conversations, that any number of processes write.
///
/// Whoever writes has read the mark and knows every event behind it. Two may do so at once, and one of them may be late: a document is
/// never replaced by one of an earlier event, and nothing is removed that a later event made. An implementation that can write only
/// where the mark is as it was read does that; the others need not, since whoever loses the race for the mark writes once more what it wrote,
/// as it is by then.
pub(crate) trait Projection: Send + Sync + fmt::Debug {
    /// The mark; `None` if there is none.
    fn mark(&self) -> Answer<Option<Mark>>;

    /// Puts a mark in the place of the one that was read, or where none was; `None` if another is there by now.
    fn set_mark(&self, read: Option<&Mark>, store_id: StoreId, seq: Seq) -> Answer<Option<Mark>>;

    /// Brings conversations to what they are to be; the mark stays where it is. Gives the mark that is there now, or `None`
    /// if another one was there: a part may have been written then, and whoever called begins again.
    fn put(&self, mark: &Mark, changes: &[Changed]) -> Answer<Option<Mark>>;

    /// The ids of conversations of which there is any document, in an order of its own: some of those that come behind another, none at the end.
    fn ids(&self, behind: Option<&str>) -> Answer<Vec<String>>;

    /// In what a conversation that is told as a whole is not as it is to be; nothing if it is.
    fn differences(&self, whole: &Changed) -> Answer<Vec<String>>;

    /// Removes everything of a conversation, of whatever event.
    fn forget(&self, id: &str) -> Answer<()>;
}

/// The beginning of a text, at most so many bytes of it: documents have limits.
#[cfg(any(feature = "mongodb", feature = "firestore"))]
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
