//! A session of Microsoft's Agent Framework with its history in it, as version 1.23.0 writes it.
//!
//! Owns where the messages lie in the state: of each provider that keeps them there, a conversation.

use super::{Talk, Talks, listed, object};
use crate::transcripts::agent_messages::line;
use crate::transcripts::entry::{About, inner, quoted, text};

pub(super) fn read(document: &str) -> Talks<'_> {
    let whole = object(document)?;
    let session = text(&whole, "session_id");
    let state = inner(&whole, "state");
    let mut talks = Vec::new();
    for (provider, raw) in state.into_list() {
        let Ok(kept) = crate::chat::json::Members::read(raw.get()) else { continue };
        if kept.get("messages").is_none() {
            continue;
        }
        let mut about = About::default();
        about.learn_json("session_id", session.as_deref().map(quoted));
        about.learn_json("provider", Some(quoted(&provider)));
        talks.push(Talk { name: None, about, parts: listed(kept.get("messages")) });
    }
    // A session whose history is in a file of its own has none here, and is kept as it is.
    if talks.is_empty() {
        talks.push(Talk::default());
    }
    Ok((talks, line))
}
