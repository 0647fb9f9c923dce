//! What somebody looks for in the messages, and what was found.
//!
//! Owns the question and its answers as values; what matches is decided in `search/`.

use std::ops::Range;

use super::{Seq, Text, Timestamp};

/// A search for messages by words. Hits come newest first, unless [`order`](Search::order) says otherwise.
///
/// Every part of the query must occur in a message: a `word`, a `"phrase in quotes"`, whose words must stand next to each other,
/// or the beginning of a word, `begin*`. Capital and small letters are the same, and so are two ways of writing one character; accents count. Words
/// are runs of letters and digits, so `example.com` is a phrase of two; a script that puts no spaces between words, such as
/// Chinese, Japanese or Thai, is searched character by character.
///
/// `role:user` leaves only messages of that role, and `tool:grep` only those that call a tool of that name or have what it gave back, as their
/// metadata say in the formats of the usual providers. Such a name is compared as it is written; one with blanks stands in quotes, `tool:"read file"`.
/// Of several of one kind one has to hold. A query needs a word besides. In quotes it is a phrase as any other, `"role:user"`, and so is every
/// other word with a colon: `std::fs`, `http://x`.
///
/// ```
/// use aral_store::Search;
/// let anywhere = Search::new("rain umbrella");
/// let said_by_the_model = Search::new("\"will it rain\" tomorr*").role("assistant").limit(20);
/// let the_same = Search::new("role:assistant \"will it rain\" tomorr*").limit(20);
/// # let _ = (anywhere, said_by_the_model, the_same);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Search {
    /// The words, phrases and beginnings of words.
    pub query: String,
    /// Only in the conversation with this id; in all of them if absent.
    pub conversation: Option<String>,
    /// Only messages of this role.
    pub role: Option<Text>,
    /// Only messages of this time or later, as [`Messages::since`](super::Messages::since) has it.
    pub since: Option<Timestamp>,
    /// Only messages of an earlier time than this.
    pub until: Option<Timestamp>,
    /// Which hits come first, and are kept by a limit.
    pub order: SearchOrder,
    /// The most hits to return, the first ones; all if absent. One whose time may or may not be meant counts for no limit.
    pub limit: Option<usize>,
}

/// In which order hits come.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum SearchOrder {
    /// By their times, the newest first.
    #[default]
    Newest,
    /// By their [`score`](Found::score), the highest first, and of one score the newest first.
    Best,
}

impl Search {
    /// A search for what a query says.
    #[must_use]
    pub fn new(query: impl Into<String>) -> Self {
        let query = query.into();
        let order = SearchOrder::Newest;
        Self { query, conversation: None, role: None, since: None, until: None, order, limit: None }
    }

    /// Only in the conversation with this id.
    #[must_use]
    pub fn conversation(mut self, id: impl Into<String>) -> Self {
        self.conversation = Some(id.into());
        self
    }

    /// Only messages of this role.
    #[must_use]
    pub fn role(mut self, role: impl Into<Text>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// Only messages of this time or later.
    #[must_use]
    pub fn since(mut self, time: Timestamp) -> Self {
        self.since = Some(time);
        self
    }

    /// Only messages of an earlier time than this.
    #[must_use]
    pub fn until(mut self, time: Timestamp) -> Self {
        self.until = Some(time);
        self
    }

    /// In this order.
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// use aral_store::{Search, SearchOrder};
    /// store.add_message("c1", "Rain, and more rain.")?;
    /// store.add_message("c1", "It might rain, or it might not: who can say so early in the year?")?;
    /// let found = store.search(Search::new("rain").order(SearchOrder::Best))?;
    /// assert_eq!((found[0].place, found[1].place), (0, 1));
    /// assert!(found[0].score > found[1].score);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn order(mut self, order: SearchOrder) -> Self {
        self.order = order;
        self
    }

    /// The first `count` hits.
    #[must_use]
    pub fn limit(mut self, count: usize) -> Self {
        self.limit = Some(count);
        self
    }
}

impl<T: Into<String>> From<T> for Search {
    fn from(query: T) -> Self {
        Self::new(query)
    }
}

/// A message that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Found {
    /// The conversation's id.
    pub conversation_id: String,
    /// Where the message stands in it, counted from 0.
    pub place: u64,
    /// The message's id.
    pub id: Text,
    /// Who said it.
    pub role: Text,
    /// When.
    pub created_at: Timestamp,
    /// How well it answers the search, in millionths: of each phrase of the query what BM25 gives for how often it occurs in a text of
    /// so many words, where 100 are an average text's, and the phrases count the same. It depends on the message and the query alone.
    pub score: u64,
    /// The part of its text that answers the search best.
    pub snippet: Snippet,
}

/// The index for searching of a store in a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SearchIndex {
    /// The newest event that is in it. What has changed since, searches read themselves.
    pub last_seq: Seq,
    /// How large its file is.
    pub bytes: u64,
}

/// A part of a text, with what was found in it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Snippet {
    /// The part. Half of a surrogate pair stands in it as U+FFFD.
    pub text: String,
    /// What was found, in bytes of `text`, in order and apart from each other.
    pub hits: Vec<Range<usize>>,
    /// Whether the text begins before it.
    pub is_cut_before: bool,
    /// Whether the text goes on behind it.
    pub is_cut_behind: bool,
}

impl Found {
    pub(crate) fn new(
        conversation_id: &str,
        place: u64,
        message: &super::MessageRef<'_>,
        (score, snippet): (u64, Snippet),
    ) -> Self {
        Self {
            conversation_id: conversation_id.to_owned(),
            place,
            id: message.id.to_text(),
            role: message.role.to_text(),
            created_at: message.created_at,
            score,
            snippet,
        }
    }
}
