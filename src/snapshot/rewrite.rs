//! Chapters without what was erased from them.
//!
//! Owns what stands in the place of it: an event of no conversation, so that every other event keeps its number. Replaces a chapter
//! as a whole, and leaves one as it is that has nothing of it.

use std::collections::BTreeMap;

use super::chapter::Chapter;
use super::chapter_list::Named;
use super::chapter_writer::Writer;
use super::layout::Layout;
use crate::codec::bytes::to_u64;
use crate::codec::chapter::{ChapterEntry, HEAD_LEN, decode_base, decode_batch};
use crate::codec::payload::{BadPayload, EventView, encode_event, for_each_event};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Change, Event, HistoryBase, JsonObject, Message, Seq, Text};
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
            (Some(_), _) => false,
        };
        seq <= self.through && conversation == self.conversation && is_meant
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
fn emptied_event(event: &Event) -> Event {
    let mut change = event.change.clone();
    if let Change::AddMessage(message) | Change::EditMessage(message) = &mut change {
        *message = emptied(message);
    }
    Event::new(event.conversation_id.as_str(), change)
}

/// A part of a chapter.
pub(crate) enum Part {
    /// What a conversation was.
    Base(Box<HistoryBase>),
    /// A batch: the number of its first event, and the events.
    Batch(Seq, Vec<Event>),
}

/// Goes over all that a chapter has, in order.
pub(crate) fn parts(chapter: &Chapter, mut each: impl FnMut(Part) -> Result<()>) -> Result<()> {
    let (table, kinds, _) = contents(chapter)?;
    let mut at = to_u64(HEAD_LEN);
    while at < table {
        let (body, behind) = chapter.record(at)?;
        match kinds.get(&at) {
            Some(true) => {
                let base = decode_base(&body).map_err(|damage| chapter.bad(at, &damage.0))?;
                each(Part::Base(Box::new(base)))?;
            }
            Some(false) => {
                let mut events = Vec::new();
                let (first, ..) = batch(chapter, at, &body, |_, event, _| events.push(event))?;
                each(Part::Batch(first, events))?;
            }
            None => {}
        }
        at = behind;
    }
    Ok(())
}

type Contents = (u64, BTreeMap<u64, bool>, Vec<ChapterEntry>);

/// Where the table is, which records are bases and which batches, and the entries.
fn contents(chapter: &Chapter) -> Result<Contents> {
    let (table, rows) = chapter.table()?;
    let (mut kinds, mut entries) = (BTreeMap::new(), Vec::new());
    for row in rows.chunks_exact(12) {
        let offset = row.get(4..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let entry = ChapterEntry::decode(&chapter.record(offset)?.0);
        let entry = entry.ok_or_else(|| chapter.bad(offset, "an entry of the table is cut short"))?;
        kinds.extend(entry.base.map(|base| (base, true)));
        kinds.extend(entry.batches.iter().map(|batch| (*batch, false)));
        entries.push(entry);
    }
    Ok((table, kinds, entries))
}

/// Calls with the events of a batch, and gives its first number, how many there are, and their encoding's version.
fn batch<'b>(
    chapter: &Chapter,
    at: u64,
    body: &'b [u8],
    mut each: impl FnMut(Seq, Event, &EventView<'b>),
) -> Result<(Seq, u32, u16)> {
    let bad = |reason: &str| chapter.bad(at, reason);
    let (first, count, schema, payload) = decode_batch(body).ok_or_else(|| bad("a batch is cut short"))?;
    let mut seq = first;
    let read = for_each_event::<BadPayload>(payload, count, |view, _| {
        each(seq, view.to_event()?, view);
        seq += 1;
        Ok(())
    });
    read.map_err(|damage| bad(&damage.0))?;
    Ok((first, count, schema))
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
    let is_left = |event: &Event| erased.message.is_none() || emptied_event(event) != *event;
    let of = |past: &crate::model::PastEvent| {
        erased.is_of(past.seq, &erased.conversation, &past.event.change) && is_left(&past.event)
    };
    Ok(events.iter().any(of)
        || entry.is_lost && erased.message.is_none() && chapter.head.first <= erased.through)
}

/// Writes a chapter anew without what is erased. When this returns, it is durable in the old one's place.
pub(crate) fn rewrite(vfs: &dyn Vfs, layout: &Layout, named: &Named, erased: &Erased) -> Result<()> {
    let chapter = Chapter::open(vfs, named)?;
    let (table, kinds, entries) = contents(&chapter)?;
    let mut writer = Writer::begin(vfs, layout, &chapter.head)?;
    for entry in entries.iter().filter(|entry| entry.base.is_none() && entry.is_lost) {
        let is_erased = erased.message.is_none() && entry.id == erased.conversation;
        if !is_erased || chapter.head.first > erased.through {
            writer.whole_base(&entry.id, None)?;
        }
    }
    let mut at = to_u64(HEAD_LEN);
    while at < table {
        let (body, behind) = chapter.record(at)?;
        match kinds.get(&at) {
            Some(true) => {
                let base = decode_base(&body).map_err(|damage| chapter.bad(at, &damage.0))?;
                rewrite_base(&mut writer, base, erased)?;
            }
            Some(false) => rewrite_batch(&mut writer, &chapter, (at, &body), erased)?,
            None => {}
        }
        at = behind;
    }
    writer.finish(vfs, layout)
}

fn rewrite_base(writer: &mut Writer, mut base: HistoryBase, erased: &Erased) -> Result<()> {
    let id = base.conversation.id.clone();
    if erased.message.is_none() && id == erased.conversation && base.last_seq <= erased.through {
        return Ok(());
    }
    let last_seq = base.last_seq;
    for message in &mut base.conversation.messages {
        if erased.message.is_some() && erased.is_message(last_seq, &id, message) {
            *message = emptied(message);
        }
    }
    writer.whole_base(&id, Some(&base)).map(drop)
}

fn rewrite_batch(
    writer: &mut Writer,
    chapter: &Chapter,
    (at, body): (u64, &[u8]),
    erased: &Erased,
) -> Result<()> {
    let (mut payload, mut ids, mut failed) = (Vec::new(), Vec::<String>::new(), false);
    let (first, count, schema) = batch(chapter, at, body, |seq, event, view| {
        let is_erased = erased.is_of(seq, &event.conversation_id, &event.change);
        let encoded = match (&erased.message, is_erased) {
            (_, false) => encode_event(view, &mut payload),
            (None, true) => encode_event(&EventView::of(&nothing(), 0), &mut payload),
            (Some(_), true) => {
                encode_event(&EventView::of(&emptied_event(&event), view.change.place()), &mut payload)
            }
        };
        failed |= encoded.is_none();
        // Every batch is in an entry, also one of which nothing is left.
        let is_gone = is_erased && erased.message.is_none();
        let id = if is_gone { String::new() } else { event.conversation_id };
        if !ids.contains(&id) {
            ids.push(id);
        }
    })?;
    if failed {
        return Err(Error::new(ErrorKind::OutOfMemory, "there is no memory to write a chapter anew"));
    }
    writer.batch((first, count, schema), &payload, &ids)
}
