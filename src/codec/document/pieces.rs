//! Reading a file's document piece by piece, where the whole of it would take too much memory.
//!
//! Owns the way that holds one message or action at a time: each is cut out of what goes by and read by itself, and a
//! `0` takes its place in the rest, which is read like a small document. Only for what is laid out as a sound file is;
//! whatever else goes by, the answer is that the file has to be read as a whole, which says what is wrong and where.

use super::item::{rewrite_action, rewrite_message};
use super::item_head::ItemHead;
use super::{CONVERSATION_FIELDS, Document, Head, Item, fast_path};
use crate::codec::document::DocumentWriter;
use crate::codec::fields::FieldsBuilder;
use crate::codec::json::{JsonError, Reader, string_run};

/// What stands where an item was.
const PLACEHOLDER: &[u8] = b"0";

/// Where in a document the bytes that come next stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// Outside of the two lists and of every string.
    Between,
    /// In a string outside of the two lists.
    Word,
    /// In one of the two lists, between its items.
    List,
    /// In an item, outside of every string.
    Item,
    /// In a string of an item.
    Text,
}

/// One of the two lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum List {
    Messages,
    Actions,
}

/// A document of which the pieces are being read.
pub(crate) struct Pieces {
    at: At,
    list: List,
    /// How many arrays and objects are open around what comes next: all of them outside of an item, or those within it.
    depth: usize,
    /// Whether the byte before was a backslash that takes the next one for itself.
    is_escaped: bool,
    /// How many bytes went by.
    offset: u64,
    /// Everything but the items.
    frame: Vec<u8>,
    /// The item that is going by.
    item: Vec<u8>,
    rewritten: Vec<u8>,
    messages: Vec<Item>,
    actions: Vec<Item>,
    are_canonical: bool,
    /// Whether all is as it should be so far.
    is_sound: bool,
}

impl Pieces {
    pub(crate) fn new() -> Self {
        Self {
            at: At::Between,
            list: List::Messages,
            depth: 0,
            is_escaped: false,
            offset: 0,
            frame: Vec::new(),
            item: Vec::new(),
            rewritten: Vec::new(),
            messages: Vec::new(),
            actions: Vec::new(),
            are_canonical: true,
            is_sound: true,
        }
    }

    /// Takes the bytes that come next.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        while self.is_sound && !bytes.is_empty() {
            let used = match self.at {
                At::Word | At::Text => self.in_string(bytes),
                At::Between | At::List | At::Item => self.outside(bytes),
            };
            self.offset += u64::try_from(used).unwrap_or(u64::MAX);
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// What the file holds; `None` if it has to be read as a whole.
    pub(crate) fn finish(self) -> Option<Document> {
        if !self.is_sound || self.at != At::Between || self.depth != 0 {
            return None;
        }
        let mut document = self.read_frame().ok().flatten()?;
        document.is_canonical = self.are_canonical && self.frame_is_canonical(&document).is_some();
        (document.messages, document.actions) = (self.messages, self.actions);
        Some(document)
    }

    /// Steps through a string, and says how far.
    fn in_string(&mut self, bytes: &[u8]) -> usize {
        let run = if self.is_escaped { 0 } else { string_run(bytes) };
        let used = match bytes.get(run) {
            None => run,
            Some(byte) => {
                let is_end = *byte == b'"' && !self.is_escaped;
                // A control character is for the other way to complain of.
                self.is_sound &= *byte >= b' ';
                self.is_escaped = *byte == b'\\' && !self.is_escaped;
                if is_end {
                    self.at = if self.at == At::Word { At::Between } else { At::Item };
                }
                run + 1
            }
        };
        let own = bytes.get(..used).unwrap_or_default();
        if matches!(self.at, At::Text | At::Item) {
            push(&mut self.item, own)
        } else {
            push(&mut self.frame, own)
        }
        .unwrap_or_else(|NoRoom| self.is_sound = false);
        used
    }

    /// Takes one byte outside of strings.
    fn outside(&mut self, bytes: &[u8]) -> usize {
        let byte = bytes.first().copied().unwrap_or_default();
        match (self.at, byte) {
            (At::Between, b'"') => self.at = At::Word,
            (At::Between, b'[') if self.depth == 1 => {
                if let Some(list) = self.list_that_begins() {
                    (self.at, self.list) = (At::List, list);
                }
                self.depth += 1;
            }
            (At::List, b'{') => {
                (self.at, self.depth) = (At::Item, 1);
                self.item.clear();
            }
            (At::List, b']') => (self.at, self.depth) = (At::Between, 1),
            (At::List, b' ' | b'\t' | b'\n' | b'\r' | b',') => {}
            // An item that is no object.
            (At::List, _) => self.is_sound = false,
            (At::Item, b'"') => self.at = At::Text,
            (At::Between | At::Item, b'{' | b'[') => self.depth += 1,
            (At::Between | At::Item, b'}' | b']') => self.close(),
            (At::Between | At::Item | At::Word | At::Text, _) => {}
        }
        let own = bytes.get(..1).unwrap_or_default();
        let is_in_item = matches!(self.at, At::Item | At::Text);
        let pushed = if is_in_item { push(&mut self.item, own) } else { push(&mut self.frame, own) };
        self.is_sound &= pushed.is_ok();
        if self.at == At::Item && self.depth == 0 {
            self.is_sound &= self.end_item().is_some();
            (self.at, self.depth) = (At::List, 2);
        }
        1
    }

    fn close(&mut self) {
        match self.depth.checked_sub(1) {
            Some(depth) => self.depth = depth,
            None => self.is_sound = false,
        }
    }

    /// Which of the two lists begins here, by its key; one that comes a second time is for the other way.
    fn list_that_begins(&mut self) -> Option<List> {
        let before = self.frame.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
        let list = match before {
            _ if before.ends_with(b"\"messages\"") => List::Messages,
            _ if before.ends_with(b"\"actions\"") => List::Actions,
            _ => return None,
        };
        Some(list)
    }

    /// Reads the item that has just ended.
    fn end_item(&mut self) -> Option<()> {
        let mut reader = Reader::new(&self.item).ok()?;
        let (read, is_plain) = match self.list {
            List::Messages => match fast_path::canonical_message(&mut reader) {
                Some(head) => (Ok(head), true),
                None => (anew(rewrite_message, &mut reader, &mut self.rewritten), false),
            },
            List::Actions => (anew(rewrite_action, &mut reader, &mut self.rewritten), false),
        };
        let head = read.ok()?;
        reader.end().ok()?;
        self.are_canonical &= is_plain || self.rewritten == self.item;
        // Its last byte is counted by whoever took it.
        let before = u64::try_from(self.item.len()).ok()?.checked_sub(1)?;
        let items = match self.list {
            List::Messages => &mut self.messages,
            List::Actions => &mut self.actions,
        };
        items.try_reserve(1).ok()?;
        items.push(Item {
            offset: self.offset.checked_sub(before)?,
            len: u32::try_from(self.item.len()).ok()?,
            crc: crc32fast::hash(&self.item),
            id: head.id,
            created_at: head.created_at,
            role: head.role,
        });
        push(&mut self.frame, PLACEHOLDER).ok()
    }

    /// Reads what stands around the items; nothing if a list is there twice, or has not as many items as went by.
    fn read_frame(&self) -> Result<Option<Document>, JsonError> {
        let mut reader = Reader::new(&self.frame)?;
        reader.peek();
        let mut head = FieldsBuilder::new(reader.offset());
        let (mut messages, mut actions) = (None, None);
        let mut is_twice = false;
        reader.members(|reader, key| {
            let list = match key.as_str() {
                Some("messages") => &mut messages,
                Some("actions") => &mut actions,
                _ => return head.read(reader, key, &CONVERSATION_FIELDS),
            };
            let mut count = 0;
            reader.elements(|reader| {
                reader.peek();
                count += 1;
                if reader.literal(PLACEHOLDER) { Ok(()) } else { Err(reader.fail("not an item")) }
            })?;
            is_twice |= list.replace(count).is_some();
            Ok(())
        })?;
        reader.end()?;
        let is_whole = |count: Option<usize>, items: &[Item]| count.unwrap_or_default() == items.len();
        if is_twice || !is_whole(messages, &self.messages) || !is_whole(actions, &self.actions) {
            return Ok(None);
        }
        let head = Head::take(head.finish())?;
        Ok(Some(Document { head, messages: Vec::new(), actions: Vec::new(), is_canonical: false }))
    }

    /// Whether everything around the items is as it would be written.
    fn frame_is_canonical(&self, document: &Document) -> Option<()> {
        let head = &document.head;
        let (id, title, created_at) = (head.id.as_ref()?, head.title.as_ref()?, head.created_at?);
        let mut writer = DocumentWriter::new(id, title, created_at, &head.metadata, &head.extra);
        let mut rest = self.frame.as_slice();
        let mut compare = |writer: &mut DocumentWriter| {
            rest = rest.strip_prefix(writer.buffered())?;
            writer.clear();
            Some(rest.is_empty())
        };
        for _ in &self.messages {
            writer.raw_message(PLACEHOLDER);
            compare(&mut writer)?;
        }
        for _ in &self.actions {
            writer.raw_action(PLACEHOLDER);
            compare(&mut writer)?;
        }
        writer.finish();
        compare(&mut writer)?.then_some(())
    }
}

/// Reads an item of any layout, and writes it anew.
fn anew(
    rewrite: impl Fn(&mut Reader<'_>, &mut Vec<u8>) -> Result<ItemHead, JsonError>,
    reader: &mut Reader<'_>,
    rewritten: &mut Vec<u8>,
) -> Result<ItemHead, JsonError> {
    rewritten.clear();
    rewrite(reader, rewritten)
}

/// There is no memory for more.
struct NoRoom;

fn push(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), NoRoom> {
    to.try_reserve(bytes.len()).map_err(|_| NoRoom)?;
    to.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests;
