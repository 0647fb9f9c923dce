//! All of a message or an action, as text.
//!
//! Owns that a browser only shows it: as plain text, which it neither runs nor guesses at, one at a time.

use std::io::{self, Write};
use std::net::TcpStream;

use aral_store::{Conversation, Error, ErrorKind, MessageStore, Messages};

use super::address::Query;
use super::http::Answer;
use super::reader::no_conversation;
use crate::exit::Failure;

const PLAIN: &str = "text/plain; charset=utf-8";

/// Sends a text without a copy of its own, or says why there is none.
pub(super) fn send(
    store: &MessageStore,
    query: &Query,
    stream: &mut TcpStream,
    is_head: bool,
) -> Result<io::Result<()>, Failure> {
    let id = query.text("id").ok_or_else(no_conversation)?;
    let none = || Failure::from(Error::new(ErrorKind::NotFound, "there is nothing of this id any more"));
    if let Some(action) = query.id("action") {
        let actions = store.actions(id)?;
        let action = actions.iter().rev().find(|found| found.id == action).ok_or_else(none)?;
        return Ok(Answer::new(200, PLAIN, action.to_json_line(Some(id)) + "\n").send(stream, is_head));
    }
    let message = query.id("message").ok_or_else(none)?;
    let is_json = query.text("form") == Some("json");
    let mut sent = None;
    let Some(place) = query.number("place") else {
        let found = store.message(id, &message)?.ok_or_else(none)?;
        let text = if is_json { found.to_json_line(Some(id)) } else { String::new() };
        return Ok(whole(if is_json { text.as_bytes() } else { found.content.as_wtf8() }, stream, is_head));
    };
    store.for_each_message(id, Messages::first(1).from_place(place), |found| {
        if found.id.as_wtf8() == message.as_wtf8() {
            let text = if is_json { found.to_message().to_json_line(Some(id)) } else { String::new() };
            sent =
                Some(whole(if is_json { text.as_bytes() } else { found.content.as_wtf8() }, stream, is_head));
        }
    })?;
    sent.ok_or_else(none)
}

/// The same of the past.
pub(super) fn of_the_past(conversation: &Conversation, query: &Query) -> Option<Answer> {
    let id = Some(conversation.id.as_str());
    if let Some(action) = query.id("action") {
        let action = conversation.actions.iter().rev().find(|found| found.id == action)?;
        return Some(Answer::new(200, PLAIN, action.to_json_line(id) + "\n"));
    }
    let message = query.id("message")?;
    let at_place = query.number("place").and_then(|place| usize::try_from(place).ok());
    let at_place =
        at_place.and_then(|place| conversation.messages.get(place)).filter(|found| found.id == message);
    let found = at_place.or_else(|| conversation.messages.iter().rev().find(|found| found.id == message))?;
    if query.text("form") == Some("json") {
        return Some(Answer::new(200, PLAIN, found.to_json_line(id)));
    }
    Some(Answer::new(200, PLAIN, found.content.as_wtf8()))
}

fn whole(text: &[u8], stream: &mut TcpStream, is_head: bool) -> io::Result<()> {
    let mut sink = Answer::new(200, PLAIN, "").begin(stream, Some(text.len()))?;
    if !is_head {
        sink.write_all(text)?;
    }
    sink.end();
    Ok(())
}
