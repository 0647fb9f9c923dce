//! One conversation's file in the layout of the original.
//!
//! Owns which fields a file has, which types they may have, where each message and action lies in it, and
//! whether writing it anew would give the same bytes. Knows no file names and makes up no ids or times: what
//! a file leaves out, its reader is told.

mod item_head;

mod item;

mod pieces;

mod fast_path;

mod writer;

pub(crate) use item::{ACTION_FIELDS, Fallback, MESSAGE_FIELDS, lend_message, read_action, read_message};
pub(crate) use pieces::Pieces;
pub(crate) use writer::{DocumentWriter, write_document};

use self::item::{rewrite_action, rewrite_message};
use self::item_head::ItemHead;
use super::fields::{Fields, FieldsBuilder};
use super::json::{JsonError, Reader};
use crate::model::{JsonObject, Text, Timestamp};

/// The fields of a conversation, by their names in the file.
pub(crate) const CONVERSATION_FIELDS: [&str; 6] =
    ["id", "title", "created_at", "metadata", "messages", "actions"];

/// A conversation's file, without its messages and actions themselves.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Document {
    /// What stands outside of the two lists.
    pub(crate) head: Head,
    /// Where the messages lie.
    pub(crate) messages: Vec<Item>,
    /// Where the actions lie.
    pub(crate) actions: Vec<Item>,
    /// Whether writing the conversation would give exactly the bytes that were read.
    pub(crate) is_canonical: bool,
}

/// What a file says about the conversation itself.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Head {
    /// Its id, which is not bound to be the one in the file's name.
    pub(crate) id: Option<Text>,
    /// Its title, unless that is absent or Python takes it for false.
    pub(crate) title: Option<Text>,
    /// When it was created.
    pub(crate) created_at: Option<Timestamp>,
    /// Whatever else is kept with it.
    pub(crate) metadata: JsonObject,
    /// The fields without a name here, in order.
    pub(crate) extra: JsonObject,
}

/// Where one message or action lies in the file, from `{` to `}`, and what an index wants of it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Item {
    /// Its first byte.
    pub(crate) offset: u64,
    /// How many bytes it has.
    pub(crate) len: u32,
    /// The CRC-32 of its bytes.
    pub(crate) crc: u32,
    /// Its id, if it has one.
    pub(crate) id: Option<Text>,
    /// Its time, if it has one.
    pub(crate) created_at: Option<Timestamp>,
    /// A message's role; nothing for an action.
    pub(crate) role: Option<Text>,
}

/// Reads a file through, and holds every field to the type that the original asks for.
pub(crate) fn scan_document(bytes: &[u8]) -> Result<Document, JsonError> {
    let mut reader = Reader::new(bytes)?;
    reader.peek();
    let mut head = FieldsBuilder::new(reader.offset());
    let mut messages = Items::default();
    let mut actions = Items::default();
    reader.members(|reader, key| {
        if key == "messages" {
            messages = Items::read(reader, bytes, fast_path::canonical_message, rewrite_message)?;
        } else if key == "actions" {
            actions = Items::read(reader, bytes, |_| None, rewrite_action)?;
        } else {
            head.read(reader, key, &CONVERSATION_FIELDS)?;
        }
        Ok(())
    })?;
    reader.end()?;
    let mut document = Document {
        head: Head::take(head.finish())?,
        messages: messages.items,
        actions: actions.items,
        is_canonical: messages.are_canonical && actions.are_canonical,
    };
    document.is_canonical = document.is_canonical && frame_is_canonical(bytes, &document).is_some();
    Ok(document)
}

/// Holds that an `extra` names no field of the model: in a file the two would be one.
pub(crate) fn check_extra(extra: &JsonObject, named: &[&str]) -> Result<(), String> {
    if extra.is_empty() {
        return Ok(());
    }
    match extra.members().iter().find(|(key, _)| named.iter().any(|name| key == *name)) {
        None => Ok(()),
        Some((key, _)) => Err(format!("\"extra\": {key:?} is a field of its own")),
    }
}

impl Head {
    fn take(mut fields: Fields) -> Result<Self, JsonError> {
        Ok(Self {
            id: fields.text("id")?,
            title: fields.truthy_text("title")?,
            created_at: fields.time_or_epoch("created_at")?,
            metadata: fields.object("metadata")?.unwrap_or_default(),
            extra: fields.into_extra()?,
        })
    }
}

/// One of the two lists.
struct Items {
    items: Vec<Item>,
    are_canonical: bool,
}

impl Default for Items {
    fn default() -> Self {
        Self { items: Vec::new(), are_canonical: true }
    }
}

impl Items {
    fn read(
        reader: &mut Reader<'_>,
        bytes: &[u8],
        head: impl Fn(&mut Reader<'_>) -> Option<ItemHead>,
        rewrite: impl Fn(&mut Reader<'_>, &mut Vec<u8>) -> Result<ItemHead, JsonError>,
    ) -> Result<Self, JsonError> {
        let mut list = Self::default();
        let mut rewritten = Vec::new();
        reader.elements(|reader| {
            reader.peek();
            let start = reader.offset();
            let plain = head(reader);
            let is_plain = plain.is_some();
            rewritten.clear();
            let head = plain.map_or_else(|| rewrite(reader, &mut rewritten), Ok)?;
            let span = bytes.get(start..reader.offset()).unwrap_or_default();
            let too_long = |_| JsonError::new(start, "a message or action of more than 4 GiB");
            list.are_canonical &= is_plain || rewritten == span;
            list.items.push(Item {
                offset: u64::try_from(start).map_err(too_long)?,
                len: u32::try_from(span.len()).map_err(too_long)?,
                crc: crc32fast::hash(span),
                id: head.id,
                created_at: head.created_at,
                role: head.role,
            });
            Ok(())
        })?;
        Ok(list)
    }
}

/// Whether everything around the messages and actions is as it would be written.
fn frame_is_canonical(bytes: &[u8], document: &Document) -> Option<()> {
    let head = &document.head;
    let (id, title, created_at) = (head.id.as_ref()?, head.title.as_ref()?, head.created_at?);
    let mut writer = DocumentWriter::new(id, title, created_at, &head.metadata, &head.extra);
    // What has been written is compared and dropped piece by piece, so that this needs little memory.
    let mut rest = bytes;
    let mut compare = |writer: &mut DocumentWriter| {
        rest = rest.strip_prefix(writer.buffered())?;
        writer.clear();
        Some(rest.is_empty())
    };
    let span = |item: &Item| {
        let start = usize::try_from(item.offset).ok()?;
        bytes.get(start..start.checked_add(usize::try_from(item.len).ok()?)?)
    };
    for item in &document.messages {
        writer.raw_message(span(item)?);
        compare(&mut writer)?;
    }
    for item in &document.actions {
        writer.raw_action(span(item)?);
        compare(&mut writer)?;
    }
    writer.finish();
    compare(&mut writer)?.then_some(())
}

#[cfg(test)]
mod tests;
