//! The thread that Chainlit's data layers give, as JSON, by version 2.12.0.
//!
//! Owns where its steps lie.

use super::{Talk, Talks, listed, object};
use crate::chat::json::{Members, time};
use crate::transcripts::chainlit;
use crate::transcripts::entry::{About, Line, text};

pub(super) fn read(document: &str) -> Talks<'_> {
    let whole = object(document)?;
    let mut about = About { title: text(&whole, "name"), ..About::default() };
    about.created = whole.get("createdAt").and_then(time);
    about.learn("user", whole.get("userIdentifier"));
    // Behind it, so that it is none of those that a database of the same thread becomes.
    let name = text(&whole, "id").map(|id| format!("{id}/thread"));
    Ok((vec![Talk { name, about, parts: listed(whole.get("steps")) }], step))
}

fn step(step: &Members<'_>, about: &mut About) -> Line {
    let column = |name: &str| step.get(name).map(|raw| raw.get().to_owned());
    let entries = chainlit::entries(&column, about);
    Line { id: text(step, "id"), time: step.get("createdAt").and_then(time), entries }
}
