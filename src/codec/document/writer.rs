//! Writing a conversation's file piece by piece.
//!
//! Owns the order of the fields and where each piece stands. Keeps what was written in a buffer that its
//! caller drains as it likes, so that a conversation of any size needs the memory of one message.

use std::io::Write;

use crate::codec::json::{python_from_compact, python_text};
use crate::model::{Action, Conversation, JsonObject, Message, Text, Timestamp};

/// Where a written message or action lies in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    /// Its first byte.
    pub(crate) offset: u64,
    /// How many bytes it has.
    pub(crate) len: u64,
}

/// The file of a conversation that is held as a whole.
pub(crate) fn write_document(conversation: &Conversation) -> Vec<u8> {
    let Conversation { id, title, created_at, metadata, extra, messages, actions, .. } = conversation;
    let mut writer = DocumentWriter::new(&Text::from(id), title, *created_at, metadata, extra);
    for message in messages {
        writer.message(message);
    }
    for action in actions {
        writer.action(action);
    }
    writer.finish();
    writer.take()
}

/// A conversation's file under construction: its messages first, then its actions, then `finish`.
#[derive(Debug)]
pub(crate) struct DocumentWriter {
    buffer: Vec<u8>,
    /// How many bytes the caller has taken away from the front.
    drained: u64,
    list: List,
    is_list_empty: bool,
    extra: JsonObject,
}

/// The list that is being written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum List {
    Messages,
    Actions,
    Done,
}

impl DocumentWriter {
    /// Begins a file with what stands before the messages.
    pub(crate) fn new(
        id: &Text,
        title: &Text,
        created_at: Timestamp,
        metadata: &JsonObject,
        extra: &JsonObject,
    ) -> Self {
        let mut buffer = Vec::new();
        open(&mut buffer, 1, "id");
        python_text(id, &mut buffer);
        next(&mut buffer, 1, "title");
        python_text(title, &mut buffer);
        next(&mut buffer, 1, "created_at");
        time(created_at, &mut buffer);
        next(&mut buffer, 1, "metadata");
        python_from_compact(metadata.as_json(), 1, &mut buffer);
        next(&mut buffer, 1, "messages");
        buffer.push(b'[');
        Self { buffer, drained: 0, list: List::Messages, is_list_empty: true, extra: extra.clone() }
    }

    /// Writes the next message.
    pub(crate) fn message(&mut self, message: &Message) -> Span {
        self.item(List::Messages, |buffer| write_message(message, buffer))
    }

    /// Writes the next message from bytes that this writer made.
    pub(crate) fn raw_message(&mut self, bytes: &[u8]) -> Span {
        self.item(List::Messages, |buffer| buffer.extend_from_slice(bytes))
    }

    /// Writes the next action. No message may follow it.
    pub(crate) fn action(&mut self, action: &Action) -> Span {
        self.item(List::Actions, |buffer| write_action(action, buffer))
    }

    /// Writes the next action from bytes that this writer made. No message may follow it.
    pub(crate) fn raw_action(&mut self, bytes: &[u8]) -> Span {
        self.item(List::Actions, |buffer| buffer.extend_from_slice(bytes))
    }

    /// Writes what stands after the last message and action.
    pub(crate) fn finish(&mut self) {
        self.reach(List::Done);
        list_members(&self.extra, 1, &mut self.buffer);
        self.buffer.extend_from_slice(b"\n}");
    }

    /// What was written and not yet taken away.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets what [`buffered`](Self::buffered) shows, keeping the room for what comes.
    pub(crate) fn clear(&mut self) {
        self.drained += length(&self.buffer);
        self.buffer.clear();
    }

    /// Takes away what was written.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.drained += length(&self.buffer);
        std::mem::take(&mut self.buffer)
    }

    fn item(&mut self, list: List, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        self.reach(list);
        let separator: &[u8] = if self.is_list_empty { b"\n    " } else { b",\n    " };
        self.is_list_empty = false;
        self.buffer.extend_from_slice(separator);
        let start = self.buffer.len();
        write(&mut self.buffer);
        let written = self.buffer.get(start..).unwrap_or_default();
        let before = length(&self.buffer) - length(written);
        Span { offset: self.drained + before, len: length(written) }
    }

    /// Ends the lists that stand before this one.
    fn reach(&mut self, list: List) {
        debug_assert!(
            self.list == list || self.list != List::Done && list != List::Messages,
            "{list:?} after {:?}",
            self.list
        );
        while self.list != list && self.list != List::Done {
            self.buffer.extend_from_slice(if self.is_list_empty { b"]" } else { b"\n  ]" });
            self.is_list_empty = true;
            self.list = match self.list {
                List::Messages => {
                    next(&mut self.buffer, 1, "actions");
                    self.buffer.push(b'[');
                    List::Actions
                }
                List::Actions | List::Done => List::Done,
            };
        }
    }
}

/// Appends a message as it stands in a file, from `{` to `}`.
pub(super) fn write_message(message: &Message, out: &mut Vec<u8>) {
    open(out, 3, "id");
    python_text(&message.id, out);
    next(out, 3, "content");
    python_text(&message.content, out);
    next(out, 3, "role");
    python_text(&message.role, out);
    next(out, 3, "created_at");
    time(message.created_at, out);
    next(out, 3, "metadata");
    python_from_compact(message.metadata.as_json(), 3, out);
    list_members(&message.extra, 3, out);
    out.extend_from_slice(b"\n    }");
}

/// Appends an action as it stands in a file, from `{` to `}`.
pub(super) fn write_action(action: &Action, out: &mut Vec<u8>) {
    open(out, 3, "id");
    python_text(&action.id, out);
    next(out, 3, "action_type");
    python_text(&action.action_type, out);
    next(out, 3, "data");
    python_from_compact(action.data.as_json(), 3, out);
    next(out, 3, "created_at");
    time(action.created_at, out);
    next(out, 3, "metadata");
    python_from_compact(action.metadata.as_json(), 3, out);
    list_members(&action.extra, 3, out);
    out.extend_from_slice(b"\n    }");
}

/// Begins an object whose members stand at this depth with its first key.
fn open(out: &mut Vec<u8>, depth: usize, key: &str) {
    out.push(b'{');
    key_on_new_line(out, depth, key);
}

/// Goes on with another key.
fn next(out: &mut Vec<u8>, depth: usize, key: &str) {
    out.push(b',');
    key_on_new_line(out, depth, key);
}

fn key_on_new_line(out: &mut Vec<u8>, depth: usize, key: &str) {
    let written = write!(out, "\n{:1$}\"{key}\": ", "", depth * 2);
    debug_assert!(written.is_ok(), "a vector takes everything");
}

/// Goes on with the members of an object.
fn list_members(object: &JsonObject, depth: usize, out: &mut Vec<u8>) {
    if object.is_empty() {
        return;
    }
    let text = object.as_json();
    let members = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default();
    let written = write!(out, ",\n{:1$}", "", depth * 2);
    debug_assert!(written.is_ok(), "a vector takes everything");
    python_from_compact(members, depth, out);
}

fn time(time: Timestamp, out: &mut Vec<u8>) {
    let written = write!(out, "\"{time}\"");
    debug_assert!(written.is_ok(), "a vector takes everything, and every time prints");
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
