//! The texts of what is erased.
//!
//! Owns which parts of a conversation and of an event are looked for later, and in which bytes: as the log has them, and as JSON files do.

use std::collections::BTreeSet;

use crate::codec::json::{Value, python_text};
use crate::model::{Action, Change, Conversation, Event, JsonObject, Message, Seq, Text};

/// Names that the store's own files have, and that metadata may have, too, as those of a fork do.
pub(crate) const OWN_WORDS: &[u8] = b"\"conversation_id\": \"conversations\": \"conversation\":\"not_erased\":\"created_at\": \"action_type\": \"forked_from\": ";

/// Numbers, as ranges.
pub(crate) fn ranges(seqs: &BTreeSet<Seq>) -> Vec<(Seq, Seq)> {
    let mut ranges: Vec<(Seq, Seq)> = Vec::new();
    for seq in seqs {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *seq => *last = *seq,
            _ => ranges.push((*seq, *seq)),
        }
    }
    ranges
}

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
pub(crate) fn of_conversation(
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
pub(crate) fn of_event(event: &Event, with_ids: bool, each: &mut dyn FnMut(&[u8])) {
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
