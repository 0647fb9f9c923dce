//! What documents that people query look like.
//!
//! Owns their fields, which have the names of the columns of a database's views where there are such. Specified in docs/mongodb.md. A document
//! stays well below what a database holds: what does not fit is cut, and named in `truncated`.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};

use super::values;
use crate::backend::journal::projection::{Head, beginning};
use crate::model::{Action, JsonObject, Message, Seq, Text, Timestamp};

/// How many bytes of a text, and how many of one that is a name rather, a document holds.
const LONGEST: usize = 2 << 20;
const LONGEST_NAME: usize = 64 << 10;

/// A document under construction.
struct Shape {
    document: Document,
    exact: Document,
    truncated: Vec<&'static str>,
}

fn int(n: u64) -> Bson {
    Bson::Int64(i64::try_from(n).unwrap_or(i64::MAX))
}

impl Shape {
    fn new(document: Document) -> Self {
        Self { document, exact: Document::new(), truncated: Vec::new() }
    }

    fn text(&mut self, name: &'static str, text: &Text, most: usize) {
        let shown = text.to_string_lossy();
        let begins = beginning(&shown, most);
        if begins.len() < shown.len() {
            self.truncated.push(name);
        } else if text.as_str().is_none() {
            let bytes = text.as_wtf8().to_vec();
            self.exact.insert(name, Binary { subtype: BinarySubtype::Generic, bytes });
        }
        self.document.insert(name, begins);
    }

    fn time(&mut self, name: &'static str, as_date: &'static str, time: Timestamp) {
        self.document.insert(name, time.to_string());
        let millis = time.approximate_unix_micros().div_euclid(1000);
        self.document.insert(as_date, DateTime::from_millis(millis));
    }

    /// Metadata and data: as values where they can be, and as text.
    fn json(&mut self, name: &'static str, as_text: &'static str, json: &JsonObject) {
        if let Some(values) = values::object(json) {
            self.document.insert(name, values);
        }
        self.json_text(as_text, json);
    }

    fn json_text(&mut self, name: &'static str, json: &JsonObject) {
        if json.as_json().len() <= LONGEST {
            self.document.insert(name, json.as_json());
        } else {
            self.truncated.push(name);
        }
    }

    fn extra(&mut self, extra: &JsonObject) {
        if !extra.is_empty() {
            self.json_text("extra_json", extra);
        }
    }

    fn finish(mut self) -> Document {
        if !self.exact.is_empty() {
            self.document.insert("exact", self.exact);
        }
        if !self.truncated.is_empty() {
            self.document.insert("truncated", self.truncated);
        }
        self.document
    }
}

/// A conversation.
pub(super) fn conversation(head: &Head) -> Document {
    let summary = &head.summary;
    let mut shape = Shape::new(doc! { "_id": &summary.id });
    shape.text("title", &summary.title, LONGEST_NAME);
    shape.time("created_at", "created_date", summary.created_at);
    shape.json("metadata", "metadata_json", &head.metadata);
    shape.extra(&head.extra);
    for (name, n) in [
        ("messages", summary.messages),
        ("actions", summary.actions),
        ("version", summary.version),
        ("last_seq", summary.last_seq),
        ("as_of", summary.last_seq),
    ] {
        shape.document.insert(name, int(n));
    }
    shape.time("last_activity", "last_activity_date", summary.last_activity);
    shape.finish()
}

/// What tells a message, or an action, from all others.
pub(super) fn item_id(conversation: &str, place: u64) -> Bson {
    Bson::Document(doc! { "c": conversation, "p": int(place) })
}

fn item(conversation: &str, place: u64, as_of: Seq) -> Shape {
    Shape::new(doc! {
        "_id": item_id(conversation, place), "conversation_id": conversation, "place": int(place), "as_of": int(as_of),
    })
}

/// A message at its place.
pub(super) fn message(conversation: &str, place: u64, message: &Message, as_of: Seq) -> Document {
    let mut shape = item(conversation, place, as_of);
    shape.text("id", &message.id, LONGEST_NAME);
    shape.text("role", &message.role, LONGEST_NAME);
    shape.text("content", &message.content, LONGEST);
    shape.time("created_at", "created_date", message.created_at);
    shape.json("metadata", "metadata_json", &message.metadata);
    shape.extra(&message.extra);
    shape.finish()
}

/// An action at its place.
pub(super) fn action(conversation: &str, place: u64, action: &Action, as_of: Seq) -> Document {
    let mut shape = item(conversation, place, as_of);
    shape.text("id", &action.id, LONGEST_NAME);
    shape.text("action_type", &action.action_type, LONGEST_NAME);
    shape.json("data", "data_json", &action.data);
    shape.time("created_at", "created_date", action.created_at);
    shape.json("metadata", "metadata_json", &action.metadata);
    shape.extra(&action.extra);
    shape.finish()
}
