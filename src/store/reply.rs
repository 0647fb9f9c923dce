//! Replies that are written piece by piece.
//!
//! Owns what is gathered before it becomes an event, and how the writing goes on, ends and is given up. Whether a piece is
//! possible is for the rules to say.

use std::time::Duration;

use super::handle::MessageStore;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{JsonObject, Mutation, NewMessage, OpenReply, Operation, Receipt, Text, UniqueIds};

/// A message that is being written, piece by piece; from [`MessageStore::begin_message`].
///
/// Each piece becomes an event when it is [appended](Self::append), or with others, if they are to be [gathered](Self::gather).
/// What has become an event is as durable as every other one: a crash, a signal or an error leaves the text up to there, marked as
/// [partial](crate::Message::is_partial), and [`resume_message`](MessageStore::resume_message) goes on with it, here or in another process.
/// A reply that is dropped writes what it has gathered, and stays partial.
#[derive(Debug)]
pub struct Reply {
    store: MessageStore,
    conversation_id: String,
    message_id: Text,
    /// How many bytes of text are events.
    length: u64,
    /// What is not yet.
    gathered: Text,
    pace: Pace,
    /// When the last event was written, by a clock that nobody can set.
    written_at: i64,
}

/// How much is gathered before it becomes an event.
#[derive(Clone, Copy, Debug)]
struct Pace {
    bytes: usize,
    every: Duration,
}

impl MessageStore {
    /// Begins a message that is written piece by piece: what has been appended to it can be read at once, by everybody, and is marked as
    /// [partial](crate::Message::is_partial) until it is [finished](Reply::finish).
    ///
    /// What `message` has as its content is the first piece, and may be empty. Its metadata get the member `"partial": true`.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if its id is in the conversation already; `InvalidInput` if its metadata have a member `partial`; those of
    /// [`append`](Self::append).
    ///
    /// ```
    /// use aral_store::{JsonObject, MessageStore, NewMessage};
    /// let store = MessageStore::in_memory();
    /// let mut reply = store.begin_message("c1", NewMessage::new("").role("assistant"))?;
    /// for piece in ["Hello", ", ", "world!"] {
    ///     reply.append(piece)?;
    /// }
    /// let receipt = reply.finish_with(JsonObject::parse(r#"{"stop_reason":"end_turn"}"#)?)?;
    /// let message = store.message("c1", &receipt.id)?.unwrap();
    /// assert_eq!(message.content, "Hello, world!");
    /// assert_eq!(message.metadata.as_json(), r#"{"stop_reason":"end_turn"}"#);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn begin_message(&self, conversation_id: &str, message: impl Into<NewMessage>) -> Result<Reply> {
        let mut message = message.into();
        message.metadata = message.metadata.with_mark()?;
        let length = to_u64(message.content.len());
        let mutation = Mutation::add_message(conversation_id, message).unique_ids(UniqueIds::Refuse);
        let begun = self.append(mutation)?;
        Ok(Reply::new(self.clone(), begun.conversation_id, (begun.id, length)))
    }

    /// Goes on with a message that was begun by [`begin_message`](Self::begin_message) and that nobody has finished: in another process, after a
    /// crash, or to finish or abandon it.
    ///
    /// Whoever goes on with a reply that somebody else still writes takes it over: the other one's next piece is refused with a conflict.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such conversation or message; `Conflict` if the message is not partial; `Corrupt`.
    ///
    /// ```
    /// use aral_store::{MessageStore, NewMessage};
    /// let store = MessageStore::in_memory();
    /// let mut reply = store.begin_message("c1", NewMessage::new("").id("m1"))?;
    /// reply.append("Hel")?;
    /// drop(reply);
    /// let mut reply = store.resume_message("c1", "m1")?;
    /// reply.append("lo.")?;
    /// reply.finish()?;
    /// assert_eq!(store.message("c1", "m1")?.unwrap().content, "Hello.");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn resume_message(&self, conversation_id: &str, message_id: impl Into<Text>) -> Result<Reply> {
        let message_id = message_id.into();
        let Some(message) = self.message(conversation_id, &message_id)? else {
            let what = match self.summary(conversation_id)? {
                Some(_) => {
                    format!("message {:?} in conversation {conversation_id:?}", message_id.to_string_lossy())
                }
                None => format!("conversation {conversation_id:?}"),
            };
            return Err(Error::new(ErrorKind::NotFound, format!("there is no {what}")));
        };
        if !message.is_partial() {
            let reason = format!(
                "message {:?} is no reply that is being written: it is finished, or was not begun as one",
                message_id.to_string_lossy()
            );
            return Err(Error::new(ErrorKind::Conflict, reason));
        }
        let length = to_u64(message.content.len());
        Ok(Reply::new(self.clone(), conversation_id.to_owned(), (message_id, length)))
    }

    /// The replies that are begun and neither finished nor abandoned, in the order of their conversations: those that are being written, and
    /// those that a crash, a kill or an error has left.
    ///
    /// That a reply is open is said in its metadata alone, so every message is looked at: it takes as long as a search does.
    ///
    /// # Errors
    ///
    /// `Corrupt` if a conversation cannot be read.
    ///
    /// ```
    /// use aral_store::{MessageStore, NewMessage};
    /// let store = MessageStore::in_memory();
    /// let mut reply = store.begin_message("c1", NewMessage::new("").id("m1"))?;
    /// reply.append("Hel")?;
    /// drop(reply);
    /// let open = store.open_replies()?;
    /// assert_eq!((open[0].message_id.as_str(), open[0].bytes), (Some("m1"), 3));
    /// store.resume_message("c1", "m1")?.finish()?;
    /// assert!(store.open_replies()?.is_empty());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn open_replies(&self) -> Result<Vec<OpenReply>> {
        self.backend().open_replies(None)
    }

    /// The same of one conversation; none if there is no such conversation.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it cannot be read.
    pub fn open_replies_in(&self, conversation_id: &str) -> Result<Vec<OpenReply>> {
        self.backend().open_replies(Some(conversation_id))
    }
}

impl Reply {
    fn new(store: MessageStore, conversation_id: String, (message_id, length): (Text, u64)) -> Self {
        let pace = Pace { bytes: 1, every: Duration::ZERO };
        let (gathered, written_at) = (Text::default(), SystemClock.elapsed_micros());
        Self { store, conversation_id, message_id, length, gathered, pace, written_at }
    }

    /// Gathers pieces, so that they become one event: as soon as they have this many bytes together, or the last event is this long ago.
    /// Each is an event of its own unless this is asked for.
    ///
    /// The time is looked at when a piece is appended; while none comes, [`flush`](Self::flush) writes what there is. What is gathered
    /// is in the memory of this process alone: nobody reads it, and a crash loses it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use aral_store::{MessageStore, NewMessage};
    /// let store = MessageStore::in_memory();
    /// let reply = store.begin_message("c1", NewMessage::new("").id("m1"))?;
    /// let mut reply = reply.gather(8, Duration::from_secs(3600));
    /// assert!(reply.append("four")?.is_none());
    /// assert!(reply.append("more")?.is_some());
    /// assert_eq!(store.message("c1", "m1")?.unwrap().content, "fourmore");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn gather(mut self, bytes: usize, every: Duration) -> Self {
        self.pace = Pace { bytes, every };
        self
    }

    /// The message's id.
    #[must_use]
    pub fn id(&self) -> &Text {
        &self.message_id
    }

    /// The conversation's id.
    #[must_use]
    pub fn conversation_id(&self) -> &str {
        &self.conversation_id
    }

    /// How many bytes of text everybody can read by now.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.length
    }

    /// Puts a piece of text behind what there is. The receipt is of the event that it became, as durable as the receipt of any other
    /// mutation; there is none if it is [gathered](Self::gather), or if it is empty or half a character, whose other half is waited for.
    ///
    /// What this costs does not grow with what came before, where [the backend](crate::StoreUrl) is not a database.
    ///
    /// # Errors
    ///
    /// `Conflict` if the message is finished, or has been edited or gone on with by somebody else; `NotFound` if it or its conversation has
    /// been removed or cleared; `InvalidInput` beyond [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES), and for a piece that begins with the second half of
    /// a character; those of [`MessageStore::append`]. The piece stays with the reply then, and [`flush`](Self::flush) tries again.
    pub fn append(&mut self, piece: impl Into<Text>) -> Result<Option<Receipt>> {
        let piece = piece.into();
        self.gather_piece(&piece)?;
        let waited = SystemClock.elapsed_micros().saturating_sub(self.written_at);
        let is_due = Duration::from_micros(u64::try_from(waited).unwrap_or_default()) >= self.pace.every;
        if self.gathered.len() >= self.pace.bytes || (is_due && !self.pace.every.is_zero()) {
            return self.flush();
        }
        Ok(None)
    }

    /// Writes what is gathered, and gives the receipt if that was anything.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    pub fn flush(&mut self) -> Result<Option<Receipt>> {
        let whole = self.gathered.half_at_end().unwrap_or(self.gathered.len());
        self.write(whole)
    }

    /// Ends it: what is gathered is written, and the mark goes. From then on it is a message like any other.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append). It stays partial then, with what was written.
    pub fn finish(self) -> Result<Receipt> {
        self.finish_with(JsonObject::EMPTY)
    }

    /// The same, and puts more into its metadata, such as what it has used and why it ended. Each member takes the place of
    /// the one with its name.
    ///
    /// # Errors
    ///
    /// Those of [`finish`](Self::finish); `InvalidInput` for a member `partial`.
    pub fn finish_with(mut self, metadata: JsonObject) -> Result<Receipt> {
        self.write(self.gathered.len())?;
        let (message_id, length) = (self.message_id.clone(), Some(self.length));
        let operation = Operation::FinishMessage { message_id, length, metadata };
        self.store.append(Mutation::new(&self.conversation_id, operation))
    }

    /// Takes the message away again, with all that was written of it. Where history is kept, it can be brought back.
    ///
    /// # Errors
    ///
    /// Those of [`MessageStore::remove_message`].
    pub fn abandon(mut self) -> Result<Receipt> {
        self.gathered = Text::default();
        self.store.remove_message(&self.conversation_id, self.message_id.clone())
    }

    /// Puts a piece behind what is gathered, where two halves become one character.
    fn gather_piece(&mut self, piece: &Text) -> Result<()> {
        if !piece.begins_with_a_half() {
            self.gathered.push(piece);
            return Ok(());
        }
        let joined = self.gathered.joined(piece).ok_or_else(|| {
            Error::invalid(
                "a piece of text begins with the second half of a character, and the first is not before it",
            )
        })?;
        self.gathered = joined;
        Ok(())
    }

    /// Writes this much of what is gathered.
    fn write(&mut self, bytes: usize) -> Result<Option<Receipt>> {
        if bytes == 0 {
            return Ok(None);
        }
        let (text, rest) = self.gathered.split(bytes);
        let (message_id, offset) = (self.message_id.clone(), Some(self.length));
        let operation = Operation::AppendText { message_id, offset, text };
        let receipt = self.store.append(Mutation::new(&self.conversation_id, operation))?;
        self.length += to_u64(bytes);
        self.gathered = rest;
        self.written_at = SystemClock.elapsed_micros();
        Ok(Some(receipt))
    }
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl Drop for Reply {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; what was acknowledged is there.
        self.write(self.gathered.len()).ok();
    }
}
