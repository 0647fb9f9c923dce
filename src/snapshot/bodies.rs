//! Getting at what positions point to.
//!
//! Owns the way from a position to a message, whether it lies in a segment or in a file of the snapshot.
//! Whatever is read is checked against the position's checksum first.

use std::sync::Arc;

use super::load::{ItemKind, fallback};
use super::open_file::OpenFile;
use crate::codec::document::{read_action, read_message};
use crate::codec::payload::{BadPayload, EventView, decode_event};
use crate::error::{Error, Result};
use crate::index::Position;
use crate::log::segment::Segment;
use crate::model::{Action, JsonObject, Message, Timestamp};

/// Where the bodies of one conversation are read from.
#[derive(Debug)]
pub(crate) struct Bodies<'b> {
    pub(crate) conversation_id: &'b str,
    pub(crate) created_at: Timestamp,
    /// The segments that there are, oldest first.
    pub(crate) segments: &'b [Arc<Segment>],
    /// The conversation's file, if it has one.
    pub(crate) file: Option<&'b OpenFile<'b>>,
}

impl Bodies<'_> {
    /// The message at a position.
    pub(crate) fn message(&self, position: Position) -> Result<Message> {
        if position.segment().is_none() {
            let fallback = fallback(self.conversation_id, self.created_at, ItemKind::Message, position);
            return self
                .with_file_bytes(position, |bytes| read_message(bytes, &fallback))?
                .map_err(|bad| self.misread(position, &bad.reason));
        }
        self.with_event(position, |view| {
            let none = || BadPayload("the record holds no message".to_owned());
            view.change.message().ok_or_else(none)?.to_message()
        })
    }

    /// The action at a position.
    pub(crate) fn action(&self, position: Position) -> Result<Action> {
        if position.segment().is_none() {
            let fallback = fallback(self.conversation_id, self.created_at, ItemKind::Action, position);
            return self
                .with_file_bytes(position, |bytes| read_action(bytes, &fallback))?
                .map_err(|bad| self.misread(position, &bad.reason));
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
        match self.file {
            Some(file) => file.with(position, take),
            None => Err(Error::new(crate::error::ErrorKind::Failed, "a position in a file that is not open")),
        }
    }

    fn with_event<T>(
        &self,
        position: Position,
        take: impl FnOnce(EventView<'_>) -> Result<T, BadPayload>,
    ) -> Result<T> {
        let number = position.segment().unwrap_or_default();
        let at = self.segments.binary_search_by_key(&number, |segment| segment.header.number).ok();
        let segment = at.and_then(|at| self.segments.get(at)).ok_or_else(|| {
            Error::new(
                crate::error::ErrorKind::Failed,
                format!("segment {number} is gone from under a position"),
            )
        })?;
        segment.with_bytes(position.offset(), position.len(), |bytes| {
            let corrupt = |reason: &str| Error::corrupt(&segment.path, position.offset(), reason);
            if !position.proves(bytes) {
                return Err(corrupt("the record has changed since it was written"));
            }
            let (view, _) = decode_event(bytes).map_err(|bad| corrupt(&bad.0))?;
            take(view).map_err(|bad| corrupt(&bad.0))
        })
    }

    fn misread(&self, position: Position, reason: &str) -> Error {
        let error = Error::new(crate::error::ErrorKind::Corrupt, reason);
        match self.file {
            Some(file) => error.at(file.path(), Some(position.offset())),
            None => error,
        }
    }
}
