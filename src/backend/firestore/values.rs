//! Documents as the API has them in JSON.
//!
//! Owns the values that this engine uses, there and back, and the parts of requests. Knows no objects.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// A field with bytes.
pub(super) fn bytes(bytes: &[u8]) -> Value {
    json!({ "bytesValue": STANDARD.encode(bytes) })
}

/// A field with a number.
pub(super) fn number(number: usize) -> Value {
    // In JSON a 64-bit integer is a string.
    json!({ "integerValue": number.to_string() })
}

/// A field with a text.
pub(super) fn text(text: &str) -> Value {
    json!({ "stringValue": text })
}

/// On which condition a document is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Condition<'t> {
    /// There is none.
    Absent,
    /// It was written last at this time.
    WrittenAt(&'t str),
}

impl Condition<'_> {
    fn to_value(self) -> Value {
        match self {
            Self::Absent => json!({ "exists": false }),
            Self::WrittenAt(time) => json!({ "updateTime": time }),
        }
    }
}

/// The writing of a document.
pub(super) fn update(name: &str, fields: Map<String, Value>, condition: Condition<'_>) -> Value {
    json!({ "update": { "name": name, "fields": fields }, "currentDocument": condition.to_value() })
}

/// The writing of a document, whatever is there.
pub(super) fn write(name: &str, fields: Map<String, Value>) -> Value {
    json!({ "update": { "name": name, "fields": fields } })
}

/// The removal of a document, on a condition if there is one.
pub(super) fn delete(name: &str, condition: Option<Condition<'_>>) -> Value {
    match condition {
        Some(condition) => json!({ "delete": name, "currentDocument": condition.to_value() }),
        None => json!({ "delete": name }),
    }
}

/// A document as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Document<'v>(pub(super) &'v Value);

impl<'v> Document<'v> {
    /// Its path.
    pub(super) fn name(self) -> Option<&'v str> {
        self.0.get("name")?.as_str()
    }

    /// When it was written last.
    pub(super) fn written_at(self) -> Option<&'v str> {
        self.0.get("updateTime")?.as_str()
    }

    fn field(self, name: &str, kind: &str) -> Option<&'v str> {
        self.0.get("fields")?.get(name)?.get(kind)?.as_str()
    }

    pub(super) fn bytes(self, name: &str) -> Option<Vec<u8>> {
        STANDARD.decode(self.field(name, "bytesValue")?).ok()
    }

    pub(super) fn number(self, name: &str) -> Option<usize> {
        self.field(name, "integerValue")?.parse().ok()
    }

    pub(super) fn text(self, name: &str) -> Option<&'v str> {
        self.field(name, "stringValue")
    }
}
