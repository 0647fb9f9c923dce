//! Building one line.
//!
//! Owns the commas, the quotes and the order: members stand as they were added. Knows no type of line.

use crate::codec::bytes::has_room;
use crate::codec::json::write_text;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{JsonObject, Text, Timestamp};

/// Holds that there is memory for what is read from a line: its values, and once more as long as they are put together.
pub(super) fn room_for(line: &[u8]) -> Result<()> {
    if has_room(line.len().saturating_mul(2)) {
        return Ok(());
    }
    let reason = format!("there is no memory for what a line of {} bytes holds", line.len());
    Err(Error::new(ErrorKind::OutOfMemory, reason))
}

/// One JSON object under construction, without white space.
pub(super) struct Line(String);

impl Line {
    /// An object without members.
    pub(super) fn new() -> Self {
        Self(String::from("{"))
    }

    /// The line of a value of this type.
    pub(super) fn of_type(name: &str) -> Self {
        Self::new().string("type", name)
    }

    /// Adds a string.
    pub(super) fn text(mut self, key: &str, text: &Text) -> Self {
        self.key(key);
        write_text(text, &mut self.0);
        self
    }

    /// Adds a string.
    pub(super) fn string(self, key: &str, text: &str) -> Self {
        self.text(key, &Text::from(text))
    }

    /// Adds an integer.
    pub(super) fn number(self, key: &str, number: u64) -> Self {
        self.raw(key, &number.to_string())
    }

    /// Adds a time.
    pub(super) fn time(self, key: &str, time: Timestamp) -> Self {
        self.raw(key, &format!("\"{time}\""))
    }

    /// Adds an object.
    pub(super) fn object(self, key: &str, object: &JsonObject) -> Self {
        self.raw(key, object.as_json())
    }

    /// Adds an object unless it is empty.
    pub(super) fn extra(self, object: &JsonObject) -> Self {
        if object.is_empty() { self } else { self.object("extra", object) }
    }

    /// Adds the members of an object.
    pub(super) fn members(mut self, object: &JsonObject) -> Self {
        if !object.is_empty() {
            let inside = object.as_json().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
            self.comma();
            self.0.push_str(inside.unwrap_or_default());
        }
        self
    }

    /// Adds an array of values that are JSON already.
    pub(super) fn array(self, key: &str, items: impl Iterator<Item = String>) -> Self {
        let items: Vec<_> = items.collect();
        self.raw(key, &format!("[{}]", items.join(",")))
    }

    /// Adds a value that is JSON already.
    pub(super) fn raw(mut self, key: &str, json: &str) -> Self {
        self.key(key);
        self.0.push_str(json);
        self
    }

    /// The whole line, without a line break.
    pub(super) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn key(&mut self, key: &str) {
        self.comma();
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    fn comma(&mut self) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
    }
}
