//! What there is of something that is to be erased.
//!
//! Owns the finding of its texts and events: in the present state, in the log and in every chapter. A text is noted as the log has
//! it and as the JSON files do.

use std::collections::BTreeSet;

use crate::backend::directory::history::history;
use crate::backend::directory::reads::{Need, ReadState};
use crate::codec::bytes::to_u64;
use crate::codec::erasure::{Salt, Traces};
use crate::codec::json::{Value, python_text};
use crate::error::{ErrorKind, Result};
use crate::model::{
    Action, Change, Conversation, Erasure, Event, HistoryBase, JsonObject, Message, Order, PastEvent, Seq,
    Text,
};
use crate::snapshot::chapter::Chapter;
use crate::snapshot::chapter_list;
use crate::snapshot::rewrite::{Erased, Part, parts};

/// Calls with the bytes of a text as the log has it, and as JSON files do.
fn text(text: &Text, each: &mut dyn FnMut(&[u8])) {
    each(text.as_wtf8());
    let mut quoted = Vec::new();
    python_text(text, &mut quoted);
    let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if inside != text.as_wtf8() {
        each(inside);
    }
}

fn value(of: &Value, each: &mut dyn FnMut(&[u8])) {
    match of {
        Value::Str(string) => text(string, each),
        Value::Array(items) => items.iter().for_each(|item| value(item, each)),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            text(name, each);
            value(member, each);
        }),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
    }
}

fn object(object: &JsonObject, each: &mut dyn FnMut(&[u8])) {
    for (name, member) in object.members() {
        text(&name, each);
        value(&member, each);
    }
}

fn message(message: &Message, each: &mut dyn FnMut(&[u8])) {
    text(&message.content, each);
    object(&message.metadata, each);
    object(&message.extra, each);
}

fn action(action: &Action, each: &mut dyn FnMut(&[u8])) {
    text(&action.id, each);
    text(&action.action_type, each);
    for part in [&action.data, &action.metadata, &action.extra] {
        object(part, each);
    }
}

/// Calls with the texts of a conversation that an erasure means, or with all others.
pub(super) fn of_conversation(
    conversation: &Conversation,
    means: &dyn Fn(Option<&Message>) -> bool,
    each: &mut dyn FnMut(&[u8]),
) {
    if means(None) {
        text(&conversation.title, each);
        object(&conversation.metadata, each);
        object(&conversation.extra, each);
        conversation.actions.iter().for_each(|of| action(of, each));
    }
    for of in conversation.messages.iter().filter(|of| means(Some(of))) {
        if means(None) {
            text(&of.id, each);
        }
        message(of, each);
    }
}

/// Calls with the texts of an event.
pub(super) fn of_event(event: &Event, with_ids: bool, each: &mut dyn FnMut(&[u8])) {
    if let Some(key) = &event.key {
        each(key.as_bytes());
    }
    match &event.change {
        Change::Create { title, metadata, extra, .. } | Change::Reset { title, metadata, extra, .. } => {
            text(title, each);
            object(metadata, each);
            object(extra, each);
        }
        Change::SetTitle(title) => text(title, each),
        Change::SetMetadata(of) | Change::SetExtra(of) => object(of, each),
        Change::AddMessage(of) | Change::EditMessage(of) => {
            if with_ids {
                text(&of.id, each);
            }
            message(of, each);
        }
        Change::AddAction(of) | Change::EditAction(of) => action(of, each),
        Change::AppendText { message_id, text: piece, .. } => {
            if with_ids {
                text(message_id, each);
            }
            text(piece, each);
        }
        Change::RemoveMessage(id) | Change::RemoveAction(id) if with_ids => text(id, each),
        Change::RemoveMessage(_)
        | Change::RemoveAction(_)
        | Change::Clear
        | Change::Remove { .. }
        | Change::SetCreatedAt(_)
        | Change::SetVersion(_) => {}
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) traces: Traces,
    pub(super) untold: u64,
    pub(super) messages: u64,
    pub(super) actions: u64,
    seqs: BTreeSet<Seq>,
    /// Whether anything of it was found at all.
    pub(super) is_known: bool,
}

impl Gathered {
    fn note(&mut self, salt: &Salt, bytes: &[u8]) {
        if !bytes.is_empty() && !self.traces.note(salt, bytes) {
            self.untold += 1;
        }
    }

    /// The numbers of its events, as ranges.
    pub(super) fn ranges(&self) -> Vec<(Seq, Seq)> {
        let mut ranges: Vec<(Seq, Seq)> = Vec::new();
        for seq in &self.seqs {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *seq => *last = *seq,
                _ => ranges.push((*seq, *seq)),
            }
        }
        ranges
    }

    fn event(&mut self, salt: &Salt, seq: Seq, event: &Event, what: &Erasure) {
        let erased = erased(what, Seq::MAX);
        if !erased.is_of(seq, &event.conversation_id, &event.change) {
            return;
        }
        self.is_known = true;
        self.seqs.insert(seq);
        of_event(event, what.message_id.is_none(), &mut |bytes| self.note(salt, bytes));
    }

    fn base(&mut self, salt: &Salt, base: &HistoryBase, what: &Erasure) {
        if base.conversation.id == what.conversation_id {
            self.conversation(salt, &base.conversation, what);
        }
    }

    fn conversation(&mut self, salt: &Salt, conversation: &Conversation, what: &Erasure) {
        let means = |message: Option<&Message>| match (&what.message_id, message) {
            (None, _) => true,
            (Some(id), Some(message)) => message.id == *id,
            (Some(_), None) => false,
        };
        self.is_known |= what.message_id.is_none() || conversation.messages.iter().any(|of| means(Some(of)));
        of_conversation(conversation, &means, &mut |bytes| self.note(salt, bytes));
    }
}

/// What is erased, up to an event.
pub(super) fn erased(what: &Erasure, through: Seq) -> Erased {
    Erased { conversation: what.conversation_id.clone(), message: what.message_id.clone(), through }
}

/// Finds all that there is. What cannot be read is passed over: it goes all the same, and its texts are not among the traces.
pub(super) fn gather(reads: &ReadState, what: &Erasure, salt: &Salt) -> Result<Gathered> {
    let (id, mut found) = (&what.conversation_id, Gathered::default());
    match reads.conversation(id) {
        Ok(Some(now)) => {
            let meant =
                now.messages.iter().filter(|of| what.message_id.as_ref().is_none_or(|id| of.id == *id));
            found.messages = to_u64(meant.count());
            found.actions = if what.message_id.is_none() { to_u64(now.actions.len()) } else { 0 };
            found.conversation(salt, &now, what);
        }
        Ok(None) => {}
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            found.is_known = true;
            found.untold += 1;
        }
        Err(error) => return Err(error),
    }
    match history(reads, id) {
        Ok(past) => {
            past.base.iter().for_each(|base| found.base(salt, base, what));
            past.events.iter().for_each(|past| found.event(salt, past.seq, &past.event, what));
            found.is_known |= what.message_id.is_none() && past.removed.is_some();
        }
        Err(error) if error.kind() == ErrorKind::Corrupt => found.untold += 1,
        Err(error) => return Err(error),
    }
    for named in chapter_list::list(&*reads.vfs, &reads.layout)? {
        let read = Chapter::open(&*reads.vfs, &named).and_then(|chapter| {
            let Some(entry) = chapter.entry(id)? else { return Ok(()) };
            found.is_known |= what.message_id.is_none();
            if let Some(offset) = entry.base {
                found.base(salt, &chapter.base(offset)?, what);
            }
            chapter.events(&entry)?.iter().for_each(|past| found.event(salt, past.seq, &past.event, what));
            Ok(())
        });
        match read {
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnsupportedFormat) => {
                found.untold += 1;
            }
            read => read?,
        }
    }
    Ok(found)
}

/// The forks of a conversation, and their forks.
pub(super) fn forks(reads: &ReadState, id: &str) -> Result<Vec<String>> {
    let mut from = Vec::new();
    // Not within the loop's head: the index would be held while conversations are read, which may have to change it.
    let listed = reads.index().summaries(Order::Created, None);
    for summary in listed {
        let head = match reads.conversation_with(&summary.id, Need::Actions) {
            Err(error) if error.kind() == ErrorKind::Corrupt => continue,
            read => read?,
        };
        from.extend(head.and_then(|head| Some((head.forked_from()?.conversation_id, summary.id))));
    }
    let mut found = vec![id.to_owned()];
    let mut at = 0;
    while let Some(parent) = found.get(at).cloned() {
        let of = from.iter().filter(|(of, _)| *of == parent).map(|(_, fork)| fork.clone());
        let new: Vec<String> = of.filter(|fork| !found.contains(fork)).collect();
        found.extend(new);
        at += 1;
    }
    Ok(found.split_off(1))
}

/// Names that the store's own files have, and that metadata may have, too, as those of a fork do.
const OWN_WORDS: &[u8] = b"\"conversation_id\": \"conversations\": \"conversation\":\"not_erased\":\"created_at\": \"action_type\": \"forked_from\": ";

/// Forgets the traces of what is in others too, which nobody asked to erase: they would be found there.
pub(super) fn forget_others(
    reads: &ReadState,
    what: &Erased,
    traces: &mut Traces,
    salt: &Salt,
) -> Result<()> {
    let mut forget = |bytes: &[u8]| traces.forget(salt, bytes);
    forget(OWN_WORDS);
    let is_erased = |last_seq: Seq, id: &str, of: Option<&Message>| match of {
        Some(message) => what.is_message(last_seq, id, message),
        None => what.message.is_none() && id == what.conversation && last_seq <= what.through,
    };
    let listed = reads.index().summaries(Order::Created, None);
    for summary in listed {
        let now = match reads.conversation(&summary.id) {
            Err(error) if error.kind() == ErrorKind::Corrupt => continue,
            read => read?,
        };
        if let Some(now) = now {
            // What is there now was not erased.
            of_conversation(&now, &|_| true, &mut forget);
        }
    }
    for named in chapter_list::list(&*reads.vfs, &reads.layout)? {
        let read = Chapter::open(&*reads.vfs, &named).and_then(|chapter| {
            parts(&chapter, |part| {
                match part {
                    Part::Base(base) => {
                        let (id, last_seq) = (base.conversation.id.as_str(), base.last_seq);
                        of_conversation(&base.conversation, &|of| !is_erased(last_seq, id, of), &mut forget);
                    }
                    Part::Batch(events) => {
                        for PastEvent { seq, event, .. } in &events {
                            if !what.is_of(*seq, &event.conversation_id, &event.change) {
                                of_event(event, true, &mut forget);
                            }
                        }
                    }
                }
                Ok(())
            })
        });
        match read {
            // What cannot be read is of others, and was told as damage: a check finds in it at most too much.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnsupportedFormat) => {}
            read => read?,
        }
    }
    Ok(())
}
