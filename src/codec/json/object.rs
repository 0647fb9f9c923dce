//! The constructors of [`JsonObject`], and its exchange with `serde_json`.
//!
//! Owns the limits of an object: its bytes, its depth, and its bytes in the indented layout, which can be a
//! thousand times as many when it nests deeply.

use super::canonical::canonical;
use super::compact::write_members;
use super::layout::python_len;
use super::reader::{JsonError, Reader};
use super::value::{Members, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{JsonObject, MAX_JSON_BYTES, MAX_JSON_DEPTH, Message, MessageRef, Text};

/// The most bytes that an object may take in the indented layout: 1 GiB, sixteen times its compact limit.
const MAX_LAYOUT_BYTES: usize = 1 << 30;

/// The most bytes of layout that one byte of compact text can give: a line break and the deepest indentation.
const MAX_GROWTH: usize = 2 * (MAX_JSON_DEPTH + 8);

/// The level at which an object stands in a conversation's file, at most.
const DEEPEST_LEVEL: usize = 3;

impl JsonObject {
    /// Reads an object from JSON text, as Python's `json.loads` does.
    ///
    /// `NaN`, `Infinity`, integers of any size and escaped lone surrogates are read and kept. Of a repeated
    /// key the last value counts, at the place of the first; lines of [`Mutation`](crate::Mutation) and
    /// [`ExportLine`](crate::ExportLine) that repeat one are refused.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), naming the byte, if the text is not JSON, is not an
    /// object, nests deeper than [`MAX_JSON_DEPTH`](crate::model::MAX_JSON_DEPTH), or is longer than
    /// [`MAX_JSON_BYTES`](crate::model::MAX_JSON_BYTES).
    ///
    /// ```
    /// use aral_store::{ErrorKind, JsonObject};
    /// let object = JsonObject::parse(r#"{ "a": [1, 1.50], "b": "\u00e9", "a": NaN }"#)?;
    /// assert_eq!(object.as_json(), r#"{"a":NaN,"b":"é"}"#);
    /// assert_eq!(JsonObject::parse("[1]").unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_with(text, |reader| reader)
    }

    /// The same of a text that a person has written: one that repeats a key is refused, as one of the two values would be lost without
    /// a word.
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse), and [`InvalidInput`](crate::ErrorKind::InvalidInput) that names the key.
    ///
    /// ```
    /// use aral_store::JsonObject;
    /// assert!(JsonObject::parse_strict(r#"{"a": 1, "a": 2}"#).is_err());
    /// assert_eq!(JsonObject::parse_strict(r#"{"a": 1}"#)?, JsonObject::parse(r#"{"a": 1}"#)?);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn parse_strict(text: &str) -> Result<Self> {
        Self::parse_with(text, Reader::strict)
    }

    fn parse_with<'t>(text: &'t str, set: impl Fn(Reader<'t>) -> Reader<'t>) -> Result<Self> {
        if text.len() > MAX_JSON_BYTES {
            return Err(too_long(text.len()));
        }
        // What is plainly good need not be taken apart.
        if text.trim_ascii_start().starts_with('{')
            && let Some(text) = canonical(text, MAX_JSON_DEPTH)
        {
            layout_fits(&text).map_err(Error::invalid)?;
            return within_limit(Self::from_canonical(&text));
        }
        let read = || {
            let mut reader = set(Reader::new(text.as_bytes())?);
            reader.peek();
            let start = reader.fail("");
            let value = reader.value(MAX_JSON_DEPTH)?;
            reader.end().map(|()| (start.offset, value))
        };
        let (start, value) = read().map_err(JsonError::into_invalid)?;
        let object =
            object_from(value).map_err(|reason| Error::invalid(format!("{reason} at byte {start}")))?;
        within_limit(object)
    }

    /// Takes an object from `serde_json`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the value is not an object or is over the limits
    /// that [`parse`](Self::parse) has.
    ///
    /// ```
    /// use aral_store::JsonObject;
    /// let object = JsonObject::from_value(&serde_json::json!({"tokens": 12, "cost": 1e-7}))?;
    /// assert_eq!(object.as_json(), r#"{"tokens":12,"cost":1e-07}"#);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn from_value(value: &serde_json::Value) -> Result<Self> {
        within_limit(object_from(from_serde(value, MAX_JSON_DEPTH)?).map_err(Error::invalid)?)
    }

    /// Gives the object to `serde_json`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the object holds what a `serde_json::Value`
    /// cannot: `NaN` or an infinity, a lone surrogate, or an integer below -2^63 or above 2^64 - 1. The
    /// text from [`as_json`](Self::as_json) has them all. [`Corrupt`](crate::ErrorKind::Corrupt) if the object
    /// comes from a log that was forged with right checksums, and is none.
    ///
    /// ```
    /// use aral_store::JsonObject;
    /// let object = JsonObject::parse(r#"{"a": [1, null]}"#)?;
    /// assert_eq!(object.to_value()?, serde_json::json!({"a": [1, null]}));
    /// assert!(JsonObject::parse(r#"{"a": NaN}"#)?.to_value().is_err());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn to_value(&self) -> Result<serde_json::Value> {
        let forged = |bad: JsonError| Error::new(ErrorKind::Corrupt, format!("not an object: {bad}"));
        to_serde(&self.read().map_err(forged)?)
    }

    /// The value of the member with this name, for `serde_json`; nothing if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`to_value`](Self::to_value), of this member alone.
    ///
    /// ```
    /// use aral_store::JsonObject;
    /// let object = JsonObject::parse(r#"{"tokens": 12, "cost": NaN}"#)?;
    /// assert_eq!(object.get("tokens")?, Some(12.into()));
    /// assert_eq!(object.get("model")?, None);
    /// assert!(object.get("cost").is_err());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Result<Option<serde_json::Value>> {
        let members = self.members();
        members.iter().find(|(key, _)| key == name).map(|(_, value)| to_serde(value)).transpose()
    }

    /// The object with these members, whose keys differ.
    pub(crate) fn from_members(members: &[(Text, Value)]) -> Self {
        let mut text = String::new();
        write_members(members, &mut text);
        Self::from_canonical(&text)
    }

    /// The members in order, of an object that was read or built here and not taken from a record.
    pub(crate) fn members(&self) -> Vec<(Text, Value)> {
        if let Ok(Value::Object(members)) = self.read() { members } else { Vec::new() }
    }

    /// The object as a value. Reading canonical text cannot fail; a record is only believed to hold such.
    fn read(&self) -> std::result::Result<Value, JsonError> {
        let mut reader = Reader::new(self.as_json().as_bytes())?;
        // An `extra` may nest one deeper than what `parse` accepts, as its members stood beside fields that
        // have a name.
        let value = reader.value(MAX_JSON_DEPTH)?;
        reader.end()?;
        Ok(value)
    }
}

impl Message {
    /// The value of a field of the metadata; nothing if there is none. A [`MessageRef`] has the same.
    ///
    /// # Errors
    ///
    /// Those of [`JsonObject::get`].
    ///
    /// ```
    /// use aral_store::{JsonObject, MessageStore, Messages, NewMessage};
    /// let store = MessageStore::in_memory();
    /// let metadata = JsonObject::parse(r#"{"tokens": 12}"#)?;
    /// store.add_message("c1", NewMessage::new("Hello.").role("assistant").metadata(metadata))?;
    /// let message = store.messages("c1", Messages::last(1))?.remove(0);
    /// assert_eq!(message.metadata_field("tokens")?, Some(12.into()));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn metadata_field(&self, name: &str) -> Result<Option<serde_json::Value>> {
        self.metadata.get(name)
    }
}

impl MessageRef<'_> {
    /// The value of a field of the metadata; nothing if there is none. A [`Message`] has the same.
    ///
    /// # Errors
    ///
    /// Those of [`JsonObject::get`].
    ///
    /// ```
    /// use aral_store::{JsonObject, MessageStore, Messages, NewMessage};
    /// let store = MessageStore::in_memory();
    /// let metadata = JsonObject::parse(r#"{"tokens": 12}"#)?;
    /// store.add_message("c1", NewMessage::new("Hello.").role("assistant").metadata(metadata))?;
    /// let mut tokens = 0;
    /// store.for_each_message("c1", Messages::all(), |message| {
    ///     let field = message.metadata_field("tokens").ok().flatten();
    ///     tokens += field.and_then(|tokens| tokens.as_u64()).unwrap_or(0);
    /// })?;
    /// assert_eq!(tokens, 12);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn metadata_field(&self, name: &str) -> Result<Option<serde_json::Value>> {
        JsonObject::from_canonical(self.metadata).get(name)
    }
}

impl TryFrom<serde_json::Value> for JsonObject {
    type Error = Error;

    /// As [`JsonObject::from_value`].
    fn try_from(value: serde_json::Value) -> Result<Self> {
        Self::from_value(&value)
    }
}

/// Takes a value that must be an object within the limits; the error says what it is instead.
pub(crate) fn object_from(value: Value) -> std::result::Result<JsonObject, String> {
    let Value::Object(members) = value else {
        return Err(format!("expected an object, found {}", value.kind()));
    };
    let object = JsonObject::from_members(&members);
    layout_fits(object.as_json()).map(|()| object)
}

/// Holds the text of an object to the limit that it has in the indented layout.
pub(super) fn layout_fits(text: &str) -> std::result::Result<(), String> {
    // Counting is only worth its time where the layout could be too long at all.
    if text.len() > MAX_LAYOUT_BYTES / MAX_GROWTH && python_len(text, DEEPEST_LEVEL) > MAX_LAYOUT_BYTES {
        return Err(format!("an object of more than {MAX_LAYOUT_BYTES} bytes when indented"));
    }
    Ok(())
}

/// Holds an object to the limit that its text has in the canonical form too, which can be the longer one.
pub(super) fn within_limit(object: JsonObject) -> Result<JsonObject> {
    match object.as_json().len() {
        length if length > MAX_JSON_BYTES => Err(too_long(length)),
        _ => Ok(object),
    }
}

fn too_long(length: usize) -> Error {
    Error::invalid(format!("an object of {length} bytes of JSON, more than {MAX_JSON_BYTES}"))
}

// A level of nesting takes the stack of one function that holds little, in a build without optimisation too: whoever develops a
// program with this library reads the deepest object that there is on a thread of the usual size. So no iterator stands between two
// levels, and what only a number needs is elsewhere.
fn from_serde(value: &serde_json::Value, depth: usize) -> Result<Value> {
    match value {
        serde_json::Value::Null => Ok(Value::Null),
        serde_json::Value::Bool(value) => Ok(Value::Bool(*value)),
        serde_json::Value::Number(number) => number_from_serde(number),
        serde_json::Value::String(text) => Ok(Value::Str(Text::from(text))),
        serde_json::Value::Array(items) => {
            let depth = deeper(depth)?;
            let mut values = Vec::with_capacity(items.len());
            for item in items {
                values.push(from_serde(item, depth)?);
            }
            Ok(Value::Array(values))
        }
        serde_json::Value::Object(map) => {
            let depth = deeper(depth)?;
            let mut members = Members::new();
            for (key, value) in map {
                members.insert(Text::from(key), from_serde(value, depth)?);
            }
            Ok(Value::Object(members.into_list()))
        }
    }
}

fn deeper(depth: usize) -> Result<usize> {
    let too_deep = || Error::invalid(format!("a value nested more than {MAX_JSON_DEPTH} deep"));
    depth.checked_sub(1).ok_or_else(too_deep)
}

// Through the text, because another crate of the build may have chosen numbers of any precision.
fn number_from_serde(number: &serde_json::Number) -> Result<Value> {
    let text = number.to_string();
    Reader::new(text.as_bytes()).and_then(|mut reader| reader.value(0)).map_err(JsonError::into_invalid)
}

// As above, of the stack.
fn to_serde(value: &Value) -> Result<serde_json::Value> {
    match value {
        Value::Null => Ok(serde_json::Value::Null),
        Value::Bool(value) => Ok(serde_json::Value::Bool(*value)),
        Value::Int(digits) => int_to_serde(digits),
        Value::Float(number) => float_to_serde(*number),
        Value::Str(value) => text_to_serde(value).map(serde_json::Value::String),
        Value::Array(items) => {
            let mut values = Vec::with_capacity(items.len());
            for item in items {
                values.push(to_serde(item)?);
            }
            Ok(serde_json::Value::Array(values))
        }
        Value::Object(members) => {
            let mut map = serde_json::Map::new();
            for (key, value) in members {
                map.insert(text_to_serde(key)?, to_serde(value)?);
            }
            Ok(serde_json::Value::Object(map))
        }
    }
}

fn text_to_serde(text: &Text) -> Result<String> {
    match text.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::invalid("a lone surrogate, which serde_json cannot hold")),
    }
}

fn int_to_serde(digits: &str) -> Result<serde_json::Value> {
    match (digits.parse::<i64>(), digits.parse::<u64>()) {
        (Ok(number), _) => Ok(number.into()),
        (_, Ok(number)) => Ok(number.into()),
        _ => Err(Error::invalid("an integer of more than 64 bits, which serde_json cannot hold")),
    }
}

fn float_to_serde(number: f64) -> Result<serde_json::Value> {
    match serde_json::Number::from_f64(number) {
        Some(number) => Ok(serde_json::Value::Number(number)),
        None => Err(Error::invalid(format!("{number}, which serde_json cannot hold"))),
    }
}

#[cfg(test)]
mod tests;
