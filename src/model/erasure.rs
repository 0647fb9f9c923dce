//! What is to be erased, and what came of it.

use std::path::PathBuf;

use super::{DamagedFile, Seq, Text, Timestamp};

/// What is to be erased: a conversation, or the messages of one that have an id.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// use aral_store::{Erasure, MessageStore};
/// let store = MessageStore::open(dir.path())?;
/// store.add_message("c1", "nobody is to read this any more")?;
/// let done = store.erase(&Erasure::conversation("c1"))?;
/// assert_eq!((done.messages, store.conversation("c1")?), (1, None));
/// assert!(store.remnants(&done.receipt, &[])?.is_empty());
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Erasure {
    /// The conversation, or the one that the message is in.
    pub conversation_id: String,
    /// The id of the message; all of the conversation if absent.
    pub message_id: Option<Text>,
}

impl Erasure {
    /// A conversation with all that is or was in it.
    #[must_use]
    pub fn conversation(id: impl Into<String>) -> Self {
        Self { conversation_id: id.into(), message_id: None }
    }

    /// Every message of a conversation that has or had this id.
    #[must_use]
    pub fn message(conversation_id: impl Into<String>, id: impl Into<Text>) -> Self {
        Self { conversation_id: conversation_id.into(), message_id: Some(id.into()) }
    }
}

/// What an erasure takes, or took.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ErasureReport {
    /// How many messages are there by now, or were.
    pub messages: u64,
    /// How many actions.
    pub actions: u64,
    /// The events that are about it and that the log and the history have, as ranges.
    pub events: Vec<(Seq, Seq)>,
    /// The files that are rewritten or removed.
    pub files: Vec<PathBuf>,
    /// Files and directories that hold something of it and are not the store's own, such as what a repair has left beside it: not erased.
    pub not_erased: Vec<PathBuf>,
    /// What may have something of it and cannot be reached from here, in words: of a server its logs, replicas and backups.
    pub beyond: Vec<String>,
    /// Conversations that have taken messages over from it, as their metadata say, and those that have from them: each is one of its own, and
    /// not erased.
    pub forks: Vec<String>,
    /// How much of it [`MessageStore::remnants`](crate::MessageStore::remnants) cannot look for: texts that are too short to be told from others,
    /// and files that could not be read for them.
    pub untold: u64,
    /// The receipt, a line of JSON that names nothing of it; empty before it is done.
    pub receipt: String,
}

/// What meets conditions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Matched {
    /// Conversations whose metadata say so now, or said so last before they were removed, and in other conversations messages, in the same way.
    pub found: Vec<Erasure>,
    /// What is known to have said so before, and has said something else since, such as what has begun again under the id of what was
    /// removed. It is not among those.
    pub only_before: Vec<Erasure>,
    /// What could not be read, so that nobody knows whether it does.
    pub unread: Vec<DamagedFile>,
}

/// A receipt that a store keeps of an erasure: what it says, and not the pieces that a check looks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct KeptReceipt {
    /// The file that it is in, or the database and the row.
    pub path: PathBuf,
    /// What is wrong with it; all but the path is empty then.
    pub damage: Option<String>,
    /// When it was done.
    pub time: Option<Timestamp>,
    /// The identity of the store that it was erased from.
    pub store: String,
    /// The salted digest of the conversation's id.
    pub conversation: String,
    /// That of the message's; absent where all of the conversation was erased.
    pub message: Option<String>,
    /// How many messages there were.
    pub messages: u64,
    /// How many actions.
    pub actions: u64,
    /// The events that were about it, as ranges.
    pub events: Vec<(Seq, Seq)>,
    /// The event by which it was removed, or the newest one before.
    pub through: Seq,
    /// What was written anew or removed.
    pub files: Vec<String>,
    /// What had something of it and was not the store's own, and what was out of reach.
    pub not_erased: Vec<String>,
    /// How many texts are too short to be searched for, or could not be read.
    pub untold: u64,
    /// The SHA-256 of the receipt without this, by which a changed one is known.
    pub checksum: String,
    /// The receipt itself, as [`MessageStore::remnants`](crate::MessageStore::remnants) takes it.
    pub receipt: String,
}
