//! Chapters without what was erased from them.
//!
//! Owns what stands in the place of it: an event of no conversation, so that every other event keeps its number. The event that
//! erased it stays, so that looking back says so. Replaces a chapter as a whole, with every record that has nothing of it byte for
//! byte, and leaves a chapter as it is that has none.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::chapter::{Chapter, Part as Record};
use super::chapter_list::Named;
use super::chapter_writer::{Copied, Writer};
use super::layout::Layout;
use crate::codec::chapter::{ChapterEntry, decode_base, decode_batch, encode_base, encode_batch};
use crate::codec::payload::{BadPayload, EventView, encode_event, for_each_event};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Change, Event, HistoryBase, JsonObject, Message, PastEvent, RemovalReason, Seq, Text};
use crate::vfs::Vfs;

/// What is erased: everything of a conversation up to an event, or what it says in messages with an id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Erased {
    pub(crate) conversation: String,
    pub(crate) message: Option<Text>,
    pub(crate) through: Seq,
}

impl Erased {
    /// Whether an event is about it.
    pub(crate) fn is_of(&self, seq: Seq, conversation: &str, change: &Change) -> bool {
        let is_meant = match (&self.message, change) {
            (None, _) => true,
            (Some(id), Change::AddMessage(message) | Change::EditMessage(message)) => message.id == *id,
            (Some(id), Change::AppendText { message_id, .. }) => message_id == id,
            (Some(_), _) => false,
        };
        seq <= self.through && conversation == self.conversation && is_meant
    }

    /// Whether an event says that it was erased, which is all that stays of a conversation.
    pub(crate) fn is_told_by(&self, seq: Seq, change: &Change) -> bool {
        let is_erasure = matches!(change, Change::Remove { reason: RemovalReason::Erasure, .. });
        self.message.is_none() && seq == self.through && is_erasure
    }

    /// Whether a message of a base is.
    pub(crate) fn is_message(&self, last_seq: Seq, conversation: &str, message: &Message) -> bool {
        last_seq <= self.through
            && conversation == self.conversation
            && self.message.as_ref().is_none_or(|id| message.id == *id)
    }
}

/// What stands for an event that was erased.
pub(crate) fn nothing() -> Event {
    Event::new("", Change::Clear)
}

/// What stands for a message of which only the place is left.
fn emptied(message: &Message) -> Message {
    Message {
        content: Text::default(),
        metadata: JsonObject::from_canonical(r#"{"erased":true}"#),
        extra: JsonObject::EMPTY,
        ..message.clone()
    }
}

/// An event of which is left what others rely on.
pub(crate) fn emptied_event(event: &Event) -> Event {
    let mut change = event.change.clone();
    if let Change::AddMessage(message) | Change::EditMessage(message) = &mut change {
        *message = emptied(message);
    }
    if let Change::AppendText { offset, text, .. } = &mut change {
        (*offset, *text) = (0, Text::default());
    }
    Event::new(event.conversation_id.as_str(), change)
}

/// A part of a chapter.
pub(crate) enum Part {
    /// What a conversation was.
    Base(Box<HistoryBase>),
    /// The events of a batch.
    Batch(Vec<PastEvent>),
}

/// Goes over all that a chapter has, in order.
///
/// # Errors
///
/// Those of [`Chapter::read_through`].
pub(crate) fn parts(chapter: &Chapter, mut each: impl FnMut(Part) -> Result<()>) -> Result<()> {
    let read = chapter.read_through(|at, record| match record {
        Record::Base(body) => each(Part::Base(Box::new(base(chapter, at, body)?))),
        Record::Batch(body) => each(Part::Batch(chapter.all_events(at, body)?)),
    });
    read.map(drop)
}

fn base(chapter: &Chapter, at: u64, body: &[u8]) -> Result<HistoryBase> {
    decode_base(body).map_err(|damage| chapter.bad(at, &damage.0))
}

/// Whether a chapter has anything of what is erased.
pub(crate) fn has(chapter: &Chapter, erased: &Erased) -> Result<bool> {
    let Some(entry) = chapter.entry(&erased.conversation)? else { return Ok(false) };
    let of_base = |base: &HistoryBase| match &erased.message {
        None => base.last_seq <= erased.through,
        Some(_) => {
            let is = |message: &Message| erased.is_message(base.last_seq, &erased.conversation, message);
            base.conversation.messages.iter().any(|message| is(message) && *message != emptied(message))
        }
    };
    if let Some(offset) = entry.base
        && of_base(&chapter.base(offset)?)
    {
        return Ok(true);
    }
    let events = chapter.events(&entry)?;
    let is_left = |past: &PastEvent| match &erased.message {
        None => !erased.is_told_by(past.seq, &past.event.change),
        Some(_) => emptied_event(&past.event) != past.event,
    };
    let of =
        |past: &PastEvent| erased.is_of(past.seq, &erased.conversation, &past.event.change) && is_left(past);
    Ok(events.iter().any(of)
        || entry.is_lost && erased.message.is_none() && chapter.head.first <= erased.through)
}

/// Writes a chapter anew without what is erased. When this returns, it is durable in the old one's place.
///
/// # Errors
///
/// Those of [`Chapter::read_through`], and those of the system.
pub(crate) fn rewrite(vfs: &dyn Vfs, layout: &Layout, named: &Named, erased: &Erased) -> Result<()> {
    let chapter = Chapter::open(vfs, named)?;
    let Some(entry) = chapter.entry(&erased.conversation)? else { return Ok(()) };
    let mut writer = Writer::begin(vfs, layout, &chapter.head)?;
    let (mut keeps_base, mut batches) = (entry.base.is_some(), BTreeMap::new());
    let mut copied = writer.copy(&chapter, |at, record| match record {
        Record::Base(body) if entry.base == Some(at) => {
            let left = rewrite_base(base(&chapter, at, body)?, erased)?;
            keeps_base = left.is_some();
            Ok(left.map(Cow::Owned))
        }
        Record::Batch(body) if entry.batches.contains(&at) => {
            let (left, batch) = rewrite_batch(&chapter, (at, body), erased)?;
            batches.insert(at, batch);
            Ok(Some(Cow::Owned(left)))
        }
        Record::Base(body) | Record::Batch(body) => Ok(Some(Cow::Borrowed(*body))),
    })?;
    let is_lost = entry.is_lost && (erased.message.is_some() || chapter.head.first > erased.through);
    let left = ChapterEntry { base: entry.base.filter(|_| keeps_base), is_lost, ..entry };
    note_entries(&mut copied, left, &batches);
    writer.link(copied);
    writer.finish(vfs, layout)
}

/// What is left in a batch that had something of what is erased.
struct Left {
    /// Whether there are still events of the conversation.
    of_it: bool,
    /// Whether there are events of no conversation.
    of_none: bool,
}

/// Leads from the conversation to what is left of it, and from no conversation to what stands in the place of the rest: every batch is in an
/// entry, also one of which nothing is left.
fn note_entries(copied: &mut Copied, mut entry: ChapterEntry, batches: &BTreeMap<u64, Left>) {
    entry.batches.retain(|batch| batches.get(batch).is_none_or(|left| left.of_it));
    let is_none = |entry: &ChapterEntry| entry.id.is_empty();
    let none = copied.entries.iter().find(|other| is_none(other)).cloned();
    let mut none = none.unwrap_or_default();
    none.batches.extend(batches.iter().filter(|(_, left)| left.of_none).map(|(at, _)| *at));
    none.batches.sort_unstable();
    none.batches.dedup();
    copied.entries.retain(|other| !is_none(other) && other.id != entry.id);
    let is_left = |entry: &ChapterEntry| entry.base.is_some() || entry.is_lost || !entry.batches.is_empty();
    copied.entries.extend([none, entry].into_iter().filter(is_left));
}

/// What is left of what a conversation was; nothing if that was erased.
fn rewrite_base(mut base: HistoryBase, erased: &Erased) -> Result<Option<Vec<u8>>> {
    let (id, last_seq) = (base.conversation.id.clone(), base.last_seq);
    if erased.message.is_none() && last_seq <= erased.through {
        return Ok(None);
    }
    for message in &mut base.conversation.messages {
        if erased.message.is_some() && erased.is_message(last_seq, &id, message) {
            *message = emptied(message);
        }
    }
    encode_base(&base).map(Some).ok_or_else(no_memory)
}

fn rewrite_batch(chapter: &Chapter, (at, body): (u64, &[u8]), erased: &Erased) -> Result<(Vec<u8>, Left)> {
    let bad = |reason: &str| chapter.bad(at, reason);
    let (first, count, schema, events) = decode_batch(body).ok_or_else(|| bad("a batch is cut short"))?;
    let (mut payload, mut left) = (Vec::with_capacity(events.len()), Left { of_it: false, of_none: false });
    let (mut seq, mut failed) = (first, false);
    let read = for_each_event::<BadPayload>(events, count, |view, range| {
        let of_it = view.conversation.with_bytes(|bytes| bytes == erased.conversation.as_bytes());
        let event = if of_it { Some(view.to_event()?) } else { None };
        let meant = event.filter(|event| {
            erased.is_of(seq, &event.conversation_id, &event.change) && !erased.is_told_by(seq, &event.change)
        });
        let is_gone = meant.is_some() && erased.message.is_none();
        left.of_it |= of_it && !is_gone;
        left.of_none |= is_gone;
        let encoded = match meant {
            // As it stood there, byte for byte.
            None => events.get(range).map(|bytes| payload.extend(bytes)),
            Some(_) if is_gone => encode_event(&EventView::of(&nothing(), 0), &mut payload).map(drop),
            Some(event) => {
                let emptied = emptied_event(&event);
                encode_event(&EventView::of(&emptied, view.change.place()), &mut payload).map(drop)
            }
        };
        failed |= encoded.is_none();
        seq += 1;
        Ok(())
    });
    read.map_err(|damage| bad(&damage.0))?;
    if failed {
        return Err(no_memory());
    }
    Ok((encode_batch(first, count, schema, &payload), left))
}

fn no_memory() -> Error {
    Error::new(ErrorKind::OutOfMemory, "there is no memory to write a chapter anew")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::chapter::ChapterHead;
    use crate::model::{Conversation, Timestamp};
    use crate::snapshot::{chapter_list, layout};
    use crate::vfs::{OpenMode, OsVfs, read_all};

    fn payload(id: &str, change: Change) -> Vec<u8> {
        let mut payload = Vec::new();
        encode_event(&EventView::of(&Event::new(id, change), 0), &mut payload).unwrap();
        payload
    }

    /// Writes a chapter of two batches, the second of which begins with this event, without one of two conversations.
    fn rewritten(second: Seq, last: Seq) -> (Result<()>, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let (vfs, layout) = (OsVfs, Layout::new(dir.path()));
        for dir in [layout.log(), layout.archive()] {
            assert!(layout::ensure_dir(&vfs, &dir).unwrap());
        }
        let head = ChapterHead { store_id: [7; 16], first: 3, last, created_unix_micros: 0 };
        let mut writer = Writer::begin(&vfs, &layout, &head).unwrap();
        let mut other = Conversation::new("other", Timestamp::EPOCH);
        other.title = "a title that stays".into();
        let base = encode_base(&HistoryBase::new(other, 2, Timestamp::EPOCH)).unwrap();
        writer.base("other", |add| add(&base).map(Some)).unwrap();
        let gone = payload("gone", Change::SetTitle("a title that goes".into()));
        writer.batch((3, 1, 1), &gone, &["gone".to_owned()]).unwrap();
        let mut both = payload("other", Change::SetTitle("another that stays".into()));
        both.extend(payload("gone", Change::SetTitle("another that goes".into())));
        writer.batch((second, 2, 1), &both, &["other".to_owned(), "gone".to_owned()]).unwrap();
        writer.finish(&vfs, &layout).unwrap();
        let named = chapter_list::list(&vfs, &layout).unwrap().remove(0);
        let erased = Erased { conversation: "gone".to_owned(), message: None, through: 99 };
        let done = rewrite(&vfs, &layout, &named, &erased);
        let file = vfs.open(&named.path, OpenMode::Read).unwrap();
        if done.is_ok() {
            let chapter = Chapter::open(&vfs, &named).unwrap();
            assert!(!has(&chapter, &erased).unwrap() && chapter.check().unwrap().is_empty());
            let entry = |id| chapter.entry(id).unwrap();
            assert_eq!((entry("gone"), entry("").unwrap().batches.len()), (None, 2));
            assert!(chapter.base(entry("other").unwrap().base.unwrap()).is_ok());
        }
        (done, read_all(&*file, 1 << 20).unwrap())
    }

    fn holds(bytes: &[u8], text: &[u8]) -> bool {
        bytes.windows(text.len()).any(|window| window == text)
    }

    #[test]
    fn what_is_of_others_stays_byte_for_byte() {
        let (done, bytes) = rewritten(4, 5);
        done.unwrap();
        assert!(!holds(&bytes, b"that goes"));
        assert!(holds(&bytes, &payload("other", Change::SetTitle("another that stays".into()))));
    }

    #[test]
    fn a_chapter_in_which_events_are_missing_is_not_written_anew_as_if_none_were() {
        for (second, last) in [(5, 6), (4, 6)] {
            let (done, bytes) = rewritten(second, last);
            assert_eq!(done.unwrap_err().kind(), ErrorKind::Corrupt);
            assert!(holds(&bytes, b"that goes"));
        }
    }
}
