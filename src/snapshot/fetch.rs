//! Getting at what positions point to.
//!
//! Owns the way from a position to a message, whether it lies in a segment or in a file of the snapshot.
//! Whatever is read is checked against the position's checksum first.

use super::conversation_file::ConversationFile;
use super::load::{ItemKind, fallback};
use super::segment_cache::{RUN, SegmentCache};
use crate::codec::bytes::to_usize;
use crate::codec::document::{lend_message, read_action, read_message};
use crate::codec::json::JsonError;
use crate::codec::payload::{BadPayload, ChangeView, EventView, decode_event, decode_message};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Entry, Grown, Position};
use crate::model::{Action, JsonObject, Message, MessageRef, Text, Timestamp};
use crate::vfs;

/// Up to how many messages the room for their list is taken without asking.
const FEW_MESSAGES: usize = 1024;

/// Where the bodies of one conversation are read from.
#[derive(Debug)]
pub(crate) struct Fetcher<'b> {
    pub(crate) conversation_id: &'b str,
    /// When the conversation was created, as its file has it: what stands for a time that the file leaves out.
    /// The conversation's own time may have been changed since, and that is no change of its messages.
    pub(crate) file_time: Timestamp,
    /// The segments that there are.
    pub(crate) segment_cache: SegmentCache<'b>,
    /// The conversation's file, if it has one.
    pub(crate) file: Option<&'b ConversationFile<'b>>,
    /// Those of its messages that text was put behind.
    pub(crate) grown: &'b [Grown],
}

impl Fetcher<'_> {
    /// The message at a position.
    pub(crate) fn message(&self, position: Position) -> Result<Message> {
        // Order: asked for before, so that a message need not be moved to find out.
        match self.grown(position) {
            Some(grown) => self.with_pieces(self.written_message(position)?, grown),
            None => self.written_message(position),
        }
    }

    /// The message at a position as it was written as a whole.
    #[inline]
    fn written_message(&self, position: Position) -> Result<Message> {
        if position.segment().is_none() {
            let fallback = fallback(self.conversation_id, self.file_time, ItemKind::Message, position);
            return self.with_item(position, |bytes| read_message(bytes, &fallback));
        }
        self.with_record(position, |bytes| decode_message(bytes)?.to_message())
    }

    /// What was put behind the message at a position.
    #[inline]
    pub(crate) fn grown(&self, position: Position) -> Option<&Grown> {
        if self.grown.is_empty() { None } else { self.grown.iter().find(|grown| grown.base == position) }
    }

    /// A message with the pieces that were put behind its text.
    #[cold]
    fn with_pieces(&self, mut message: Message, grown: &Grown) -> Result<Message> {
        let length = to_usize(grown.length);
        vfs::room_for(length).map_err(|_| self.no_room(1, length))?;
        let mut text = Vec::with_capacity(length);
        text.extend_from_slice(message.content.as_wtf8());
        for run in grown.pieces.chunks(RUN) {
            self.segment_cache.fetch(run);
            for piece in run {
                self.with_event(piece.position(), |view| {
                    let ChangeView::AppendText { text: piece, .. } = view.change else {
                        return Err(BadPayload("the record holds no piece of text".to_owned()));
                    };
                    text.extend_from_slice(piece);
                    Ok(())
                })?;
            }
        }
        let id = self.conversation_id;
        let found = text.len();
        message.content = Text::from_wtf8(text).ok().filter(|_| found == length).ok_or_else(|| {
            let reason =
                format!("conversation {id:?}: the pieces of a message are {found} bytes, and not {length}");
            Error::new(ErrorKind::Corrupt, reason)
        })?;
        Ok(message)
    }

    /// The messages of these entries.
    pub(crate) fn messages(&self, entries: &[Entry]) -> Result<Vec<Message>> {
        let mut messages = self.room_for_messages(entries)?;
        self.one_by_one(entries, |position| {
            if let Some(grown) = self.grown(position) {
                messages.push(self.with_pieces(self.written_message(position)?, grown)?);
                return Ok(());
            }
            // Straight to its place: a message is long enough for each hand that it goes through to be felt.
            if position.segment().is_none() {
                let fallback = fallback(self.conversation_id, self.file_time, ItemKind::Message, position);
                return self.with_item(position, |bytes| {
                    messages.push(read_message(bytes, &fallback)?);
                    Ok(())
                });
            }
            self.with_record(position, |bytes| {
                messages.push(decode_message(bytes)?.to_message()?);
                Ok(())
            })
        })?;
        Ok(messages)
    }

    /// Room for these messages, if there is memory for what they hold as well.
    fn room_for_messages(&self, entries: &[Entry]) -> Result<Vec<Message>> {
        let bytes = entries.iter().map(|entry| entry.position().len()).fold(0, usize::saturating_add);
        // The list of a few takes less than what they hold, for which there is room or not.
        if entries.len() <= FEW_MESSAGES && vfs::room_for(bytes).is_ok() {
            return Ok(Vec::with_capacity(entries.len()));
        }
        let mut messages = Vec::new();
        if messages.try_reserve_exact(entries.len()).is_ok() && vfs::room_for(bytes).is_ok() {
            return Ok(messages);
        }
        Err(self.no_room(entries.len(), bytes))
    }

    #[cold]
    fn no_room(&self, count: usize, bytes: usize) -> Error {
        let id = self.conversation_id;
        let reason = format!("there is no memory for {count} messages of conversation {id:?}, {bytes} bytes");
        Error::new(ErrorKind::OutOfMemory, reason)
    }

    /// Calls with the position of each of these messages, which is to be read at once.
    pub(crate) fn one_by_one(
        &self,
        entries: &[Entry],
        mut take: impl FnMut(Position) -> Result<()>,
    ) -> Result<()> {
        if let Some(file) = self.file {
            file.expect(entries.iter().map(Entry::position));
        }
        for run in entries.chunks(RUN) {
            // What lies in the file mostly comes before what lies in the log; a hint may miss what was edited since.
            if run.len() > 1 && run.last().is_some_and(|last| last.position().segment().is_some()) {
                self.segment_cache.fetch(run);
            }
            run.iter().try_for_each(|entry| take(entry.position()))?;
        }
        Ok(())
    }

    /// Calls with the message at a position, which is borrowed from where it lies.
    pub(crate) fn lend<T>(&self, position: Position, take: impl FnOnce(MessageRef<'_>) -> T) -> Result<T> {
        if self.grown(position).is_some() {
            return self.message(position).map(|message| take(MessageRef::from(&message)));
        }
        if position.segment().is_none() {
            let fallback = fallback(self.conversation_id, self.file_time, ItemKind::Message, position);
            return self.with_item(position, |bytes| lend_message(bytes, &fallback, take));
        }
        self.with_record(position, |bytes| decode_message(bytes)?.lend(take))
    }

    /// The action at a position.
    pub(crate) fn action(&self, position: Position) -> Result<Action> {
        if position.segment().is_none() {
            let fallback = fallback(self.conversation_id, self.file_time, ItemKind::Action, position);
            return self.with_item(position, |bytes| read_action(bytes, &fallback));
        }
        self.with_event(position, |view| {
            let none = || BadPayload("the record holds no action".to_owned());
            view.change.action().ok_or_else(none)?.to_action()
        })
    }

    /// The metadata and the unknown fields that the event at a position gives a conversation.
    pub(crate) fn head(&self, position: Position) -> Result<(JsonObject, JsonObject)> {
        self.with_event(position, |view| view.change.head())
    }

    /// Calls with the bytes of an item in the conversation's file.
    pub(crate) fn with_file_bytes<T>(&self, position: Position, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
        self.open_file()?.with(position, take)
    }

    fn open_file(&self) -> Result<&ConversationFile<'_>> {
        self.file.ok_or_else(|| Error::new(ErrorKind::Failed, "a position in a file that is not open"))
    }

    fn with_item<T>(
        &self,
        position: Position,
        take: impl FnOnce(&[u8]) -> Result<T, JsonError>,
    ) -> Result<T> {
        let file = self.open_file()?;
        file.with(position, take)?
            .map_err(|bad| Error::corrupt(&file.path(), position.offset() + bad.offset, bad.reason))
    }

    fn with_event<T>(
        &self,
        position: Position,
        take: impl FnOnce(EventView<'_>) -> Result<T, BadPayload>,
    ) -> Result<T> {
        self.with_record(position, |bytes| take(decode_event(bytes)?.0))
    }

    /// Calls with the bytes of an event in the log.
    fn with_record<T>(
        &self,
        position: Position,
        take: impl FnOnce(&[u8]) -> Result<T, BadPayload>,
    ) -> Result<T> {
        self.segment_cache.with_bytes(position, |bytes, segment| {
            let corrupt = |reason: &str| Error::corrupt(&segment.path, position.offset(), reason);
            // What was sealed has been held against its position before it was opened.
            if !position.proves(bytes) && segment.seal().is_none() {
                return Err(corrupt("the record has changed since it was written"));
            }
            take(bytes).map_err(|bad| corrupt(&bad.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Place;
    use crate::snapshot::file_cache::FileName;
    use crate::snapshot::layout::{Layout, write_file};
    use crate::vfs::{OsVfs, Vfs};

    fn fetcher<'a>(file: Option<&'a ConversationFile<'a>>) -> Fetcher<'a> {
        Fetcher {
            conversation_id: "c",
            file_time: Timestamp::EPOCH,
            segment_cache: SegmentCache::new(&[]),
            file,
            grown: &[],
        }
    }

    #[test]
    fn a_position_that_leads_nowhere_is_an_error() {
        let fetcher = fetcher(None);
        for position in [Position::in_snapshot(0, 2, 3), Position::in_segment(7, 4096, b"{}")] {
            assert_eq!(fetcher.message(position).unwrap_err().kind(), ErrorKind::Failed);
            assert_eq!(fetcher.action(position).unwrap_err().kind(), ErrorKind::Failed);
        }
        assert!(fetcher.head(Position::in_segment(7, 4096, b"{}")).unwrap_err().message().contains('7'));
    }

    #[test]
    fn an_item_whose_checksum_is_right_and_that_is_none_is_corrupt_where_it_is_wrong() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path());
        OsVfs.create_dir(&layout.conversations()).unwrap();
        let (path, item) = (layout.conversation("c.json"), b"{\"id\": \"m\", \"content\": 7}");
        write_file(&OsVfs, &path, &[b"[", &item[..], b"]"].concat()).unwrap();
        let file = ConversationFile::open(&OsVfs, &layout, FileName { name: "c.json", epoch: 1, ordinal: 0 })
            .unwrap();
        let length = u32::try_from(item.len()).unwrap();
        let position = Position::in_snapshot(1, length, crc32fast::hash(item));
        for error in [
            fetcher(Some(&file)).message(position).unwrap_err(),
            fetcher(Some(&file)).action(position).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            let Some(Place { path: told, offset: Some(offset) }) = error.place() else { panic!("{error}") };
            assert!(told == &path && (1..=u64::from(length)).contains(offset), "{error}");
        }
    }
}
