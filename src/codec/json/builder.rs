//! Building an object member by member.
//!
//! Owns a way to the canonical form that has no JSON text before it: what is put in is brought into that form at once, and not
//! read again.

use super::canonical::canonical;
use super::compact::{write_compact, write_quoted};
use super::object::{layout_fits, within_limit};
use super::reader::{JsonError, Reader};
use crate::error::{Error, Result};
use crate::model::{JsonObject, MAX_JSON_DEPTH, Text};

/// Builds a [`JsonObject`] member by member, in their order.
///
/// It takes less time than to print JSON and to have that [parsed](JsonObject::parse): a long string is gone over once. It is meant
/// for objects with a few members; each name is looked for among those that are there.
///
/// ```
/// use aral_store::JsonObjectBuilder;
/// let mut object = JsonObjectBuilder::new();
/// object.nested("source", |source| {
///     source.string("tool", "loom").integer("line", 7);
/// });
/// object.json("usage", r#"{ "tokens": 12 }"#)?;
/// assert_eq!(object.build()?.as_json(), r#"{"source":{"tool":"loom","line":7},"usage":{"tokens":12}}"#);
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Debug)]
pub struct JsonObjectBuilder {
    /// What there is of it, without the bracket at its end.
    text: String,
    /// Where in it the names stand, with their quotes.
    names: Vec<(usize, usize)>,
    /// How many objects it is in, itself included.
    depth: usize,
    /// What cannot be built, by the first reason.
    refused: Option<String>,
}

impl Default for JsonObjectBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl JsonObjectBuilder {
    /// An object without members.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// The same, with room for so many bytes of JSON.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes.saturating_add(2));
        text.push('{');
        Self { text, names: Vec::new(), depth: 1, refused: None }
    }

    /// Adds a string.
    pub fn string(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        write_quoted(value, &mut self.text);
        self
    }

    /// Adds an integer.
    pub fn integer(&mut self, name: &str, value: impl Into<i128>) -> &mut Self {
        self.name(name);
        self.text.push_str(&value.into().to_string());
        self
    }

    /// Adds `true` or `false`.
    pub fn boolean(&mut self, name: &str, value: bool) -> &mut Self {
        self.name(name);
        self.text.push_str(if value { "true" } else { "false" });
        self
    }

    /// Adds an object, which `fill` gives its members.
    pub fn nested(&mut self, name: &str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.name(name);
        let mut inner = Self {
            text: std::mem::take(&mut self.text),
            names: Vec::new(),
            depth: self.depth + 1,
            refused: self.refused.take(),
        };
        inner.text.push('{');
        fill(&mut inner);
        inner.text.push('}');
        if inner.depth > MAX_JSON_DEPTH {
            inner.refuse(|| format!("nested more than {MAX_JSON_DEPTH} deep"));
        }
        (self.text, self.refused) = (inner.text, inner.refused);
        self
    }

    /// Adds a value that is JSON, as [`JsonObject::parse_strict`] reads it: of any kind, and without a key twice.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), naming the byte of `json`, if it is not JSON or repeats a key, and if it
    /// nests more deeply than an object may that it is in. Nothing is added then.
    pub fn json(&mut self, name: &str, json: &str) -> Result<&mut Self> {
        let depth = MAX_JSON_DEPTH.saturating_sub(self.depth);
        if let Some(same) = canonical(json, depth) {
            self.name(name);
            self.text.push_str(&same);
            return Ok(self);
        }
        let read = || {
            let mut reader = Reader::new(json.as_bytes())?.strict();
            let value = reader.value(depth)?;
            reader.end().map(|()| value)
        };
        let value = read().map_err(JsonError::into_invalid)?;
        self.name(name);
        write_compact(&value, &mut self.text);
        Ok(self)
    }

    /// How many bytes of JSON it has so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len() + 1
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The object.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if a name was given twice, or if it nests more deeply than
    /// [`MAX_JSON_DEPTH`] or is longer than [`MAX_JSON_BYTES`](crate::MAX_JSON_BYTES).
    pub fn build(mut self) -> Result<JsonObject> {
        if let Some(reason) = self.refused {
            return Err(Error::invalid(reason));
        }
        self.text.push('}');
        layout_fits(&self.text).map_err(Error::invalid)?;
        within_limit(JsonObject::from_canonical(&self.text))
    }

    /// Adds a name, with what stands before and behind it.
    fn name(&mut self, name: &str) {
        if !self.names.is_empty() {
            self.text.push(',');
        }
        let start = self.text.len();
        write_quoted(name, &mut self.text);
        let place = (start, self.text.len());
        let at = |place: &(usize, usize)| self.text.get(place.0..place.1);
        if self.names.iter().any(|other| at(other) == at(&place)) {
            self.refuse(|| format!("the key {name:.60?} is there twice"));
        }
        self.names.push(place);
        self.text.push(':');
    }

    fn refuse(&mut self, reason: impl FnOnce() -> String) {
        self.refused.get_or_insert_with(reason);
    }
}

impl Text {
    /// Reads a text from a JSON string, with its quotes. Escaped lone surrogates are read and kept.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), naming the byte, if it is no JSON string.
    ///
    /// ```
    /// use aral_store::Text;
    /// assert_eq!(Text::from_json(r#""a\n\u00e9""#)?, "a\né");
    /// assert!(Text::from_json("a").is_err());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn from_json(json: &str) -> Result<Self> {
        let read = || {
            let mut reader = Reader::new(json.as_bytes())?;
            reader.peek();
            let start = reader.offset();
            let text = reader.text();
            let text = text.ok_or_else(|| JsonError::new(start, "expected a string"))?;
            reader.end().map(|()| text)
        };
        read().map_err(JsonError::into_invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_what_is_read_of_its_text() {
        let mut builder = JsonObjectBuilder::with_capacity(10);
        builder
            .string("a\"b", "x\n\u{1}é😀\\")
            .integer("n", u64::MAX)
            .integer("i", i64::MIN)
            .boolean("t", true);
        builder.nested("in", |inner| {
            inner.string("a", "").nested("e", |_| {});
        });
        builder.json("l", " [1.50, \"\\u00e9\"]").unwrap().json("o", r#"{"k":{"k":1}}"#).unwrap();
        let length = builder.len();
        let built = builder.build().unwrap();
        assert_eq!(built, JsonObject::parse(built.as_json()).unwrap());
        assert_eq!(built.as_json().len(), length);
        assert!(built.as_json().ends_with(r#""in":{"a":"","e":{}},"l":[1.5,"é"],"o":{"k":{"k":1}}}"#));
        assert_eq!(JsonObjectBuilder::new().build().unwrap(), JsonObject::EMPTY);
    }

    #[test]
    fn what_no_object_is_is_refused() {
        let mut twice = JsonObjectBuilder::new();
        twice.integer("a", 1).nested("b", |inner| {
            inner.integer("a", 1);
        });
        assert!(!twice.is_empty());
        assert!(!twice.integer("a", 2).is_empty() && twice.build().is_err());
        let mut inside = JsonObjectBuilder::new();
        inside.nested("b", |inner| {
            inner.integer("a", 1).integer("a", 1);
        });
        assert!(inside.build().is_err());
        for wrong in ["", "[", "{\"a\":1,\"a\":2}", "1 2", "{\"a\":tru}"] {
            let mut builder = JsonObjectBuilder::new();
            assert!(builder.json("x", wrong).is_err(), "{wrong}");
            assert!(builder.is_empty());
        }
    }

    #[test]
    fn it_nests_as_deeply_as_what_is_parsed() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        for depth in [MAX_JSON_DEPTH - 2, MAX_JSON_DEPTH - 1, MAX_JSON_DEPTH] {
            let mut builder = JsonObjectBuilder::new();
            let text = nested(depth);
            let is_good = JsonObject::parse(&format!("{{\"x\":{text}}}")).is_ok();
            assert_eq!(builder.json("x", &text).is_ok(), is_good, "{depth}");
            let list = text.get(5..text.len() - 1).unwrap();
            assert_eq!(JsonObjectBuilder::new().json("a", list).is_ok(), JsonObject::parse(&text).is_ok());
        }
    }

    #[test]
    fn a_string_of_json_is_read_as_a_member_is() {
        for (json, ought) in [(" \"a\" ", "a"), (r#""\ud83d\ude00""#, "😀"), (r#""""#, "")] {
            assert_eq!(Text::from_json(json).unwrap(), ought);
        }
        assert_eq!(Text::from_json(r#""\ud800""#).unwrap().code_points().collect::<Vec<_>>(), [0xd800]);
        for wrong in ["", "\"", "\"a", "1", "\"a\"b", "\"\n\"", "\"\\x\""] {
            assert!(Text::from_json(wrong).is_err(), "{wrong}");
        }
    }
}
