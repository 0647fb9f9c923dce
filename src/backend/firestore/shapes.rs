//! What documents that people query look like.
//!
//! Owns their fields, which have the names of the columns of a database's views where there are such. Specified in docs/firestore.md. A
//! document stays below what the service holds: what does not fit is cut, and named in `truncated`.

use serde_json::{Map, Value, json};

use super::json;
use super::values;
use crate::backend::journal::projection::{Head, beginning};
use crate::codec::bytes::to_usize;
use crate::model::{Action, JsonObject, Message, Text, Timestamp};

/// How many bytes there are at most of a text, of metadata and fields without a name, and of a text that is a name rather. A document that
/// has the longest of all, each text with its exact bytes, is below 1 MiB.
const LONGEST: usize = 384 << 10;
const LONGEST_METADATA: usize = 96 << 10;
const LONGEST_EXTRA: usize = 32 << 10;
const LONGEST_NAME: usize = 16 << 10;

/// A document's fields under construction.
#[derive(Default)]
struct Shape {
    fields: Map<String, Value>,
    exact: Map<String, Value>,
    truncated: Vec<Value>,
}

impl Shape {
    fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    fn number(&mut self, name: &str, number: u64) {
        self.set(name, values::number(to_usize(number)));
    }

    fn text(&mut self, name: &str, text: &Text, most: usize) {
        let shown = text.to_string_lossy();
        let begins = beginning(&shown, most);
        if begins.len() < shown.len() {
            self.truncated.push(values::text(name));
        } else if text.as_str().is_none() {
            self.exact.insert(name.to_owned(), values::bytes(text.as_wtf8()));
        }
        self.set(name, values::text(begins));
    }

    fn time(&mut self, name: &str, as_date: &str, time: Timestamp) {
        self.set(name, values::text(&time.to_string()));
        // The service has the years from 1 to 9999, as has whoever writes this.
        if let Ok(date) = jiff::Timestamp::from_microsecond(time.approximate_unix_micros()) {
            self.set(as_date, json!({ "timestampValue": date.to_string() }));
        }
    }

    /// Metadata and data: as fields where they can be, and as text.
    fn json(&mut self, name: &str, as_text: &str, json: &JsonObject, most: usize) {
        if let Some(fields) = json::fields(json) {
            self.set(name, fields);
        }
        if json.as_json().len() <= most {
            self.set(as_text, values::text(json.as_json()));
        } else {
            self.truncated.push(values::text(as_text));
        }
    }

    fn extra(&mut self, extra: &JsonObject) {
        if extra.is_empty() {
            return;
        }
        if extra.as_json().len() <= LONGEST_EXTRA {
            self.set("extra_json", values::text(extra.as_json()));
        } else {
            self.truncated.push(values::text("extra_json"));
        }
    }

    fn finish(mut self) -> Map<String, Value> {
        if !self.exact.is_empty() {
            let exact = std::mem::take(&mut self.exact);
            self.set("exact", json!({ "mapValue": { "fields": exact } }));
        }
        if !self.truncated.is_empty() {
            let truncated = std::mem::take(&mut self.truncated);
            self.set("truncated", json!({ "arrayValue": { "values": truncated } }));
        }
        self.fields
    }
}

/// A conversation.
pub(super) fn conversation(head: &Head) -> Map<String, Value> {
    let summary = &head.summary;
    let mut shape = Shape::default();
    shape.set("id", values::text(&summary.id));
    shape.text("title", &summary.title, LONGEST_NAME);
    shape.time("created_at", "created_date", summary.created_at);
    shape.json("metadata", "metadata_json", &head.metadata, LONGEST_METADATA);
    shape.extra(&head.extra);
    shape.number("messages", summary.messages);
    shape.number("actions", summary.actions);
    shape.number("version", summary.version);
    shape.number("last_seq", summary.last_seq);
    shape.time("last_activity", "last_activity_date", summary.last_activity);
    shape.finish()
}

fn item(conversation: &str, place: u64) -> Shape {
    let mut shape = Shape::default();
    shape.set("conversation_id", values::text(conversation));
    shape.number("place", place);
    shape
}

/// A message at its place.
pub(super) fn message(conversation: &str, place: u64, message: &Message) -> Map<String, Value> {
    let mut shape = item(conversation, place);
    shape.text("id", &message.id, LONGEST_NAME);
    shape.text("role", &message.role, LONGEST_NAME);
    shape.text("content", &message.content, LONGEST);
    shape.time("created_at", "created_date", message.created_at);
    shape.json("metadata", "metadata_json", &message.metadata, LONGEST_METADATA);
    shape.extra(&message.extra);
    shape.finish()
}

/// An action at its place.
pub(super) fn action(conversation: &str, place: u64, action: &Action) -> Map<String, Value> {
    let mut shape = item(conversation, place);
    shape.text("id", &action.id, LONGEST_NAME);
    shape.text("action_type", &action.action_type, LONGEST_NAME);
    shape.json("data", "data_json", &action.data, LONGEST);
    shape.time("created_at", "created_date", action.created_at);
    shape.json("metadata", "metadata_json", &action.metadata, LONGEST_METADATA);
    shape.extra(&action.extra);
    shape.finish()
}
