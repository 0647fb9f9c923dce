//! The members of an object that has a known shape, taken out one by one with their types checked.
//!
//! Owns the words of the errors about a member: which, what was expected, what was found. What is left over
//! is either `extra` or an error; that is the caller's to say.

use super::datetime::{timestamp_from_epoch_float, timestamp_from_epoch_int, timestamp_from_text};
use super::json::{JsonError, Members, Reader, Value, object_from};
use crate::model::{JsonObject, MAX_JSON_DEPTH, Text, Timestamp, near_miss};

/// An object's members that have not been taken yet.
pub(crate) struct Fields {
    /// The byte at which the object begins.
    start: usize,
    left: Vec<Option<Field>>,
}

struct Field {
    key: Text,
    offset: usize,
    value: Value,
}

/// The members of an object being read, each with the byte at which its value begins.
pub(crate) struct FieldsBuilder {
    start: usize,
    members: Members<(usize, Value)>,
}

impl FieldsBuilder {
    /// Begins an object at this byte.
    pub(crate) fn new(start: usize) -> Self {
        Self { start, members: Members::new() }
    }

    /// Reads the value of a member. A member without a name in `known` may nest one less deep, because it
    /// becomes a member of `extra`, which as a whole must stay within the limit.
    pub(crate) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        key: Text,
        known: &[&str],
    ) -> Result<(), JsonError> {
        reader.peek();
        let offset = reader.offset();
        reader.once(&self.members, &key)?;
        let is_known = known.iter().any(|name| key == *name);
        let value = reader.value(MAX_JSON_DEPTH - usize::from(!is_known))?;
        self.members.insert(key, (offset, value));
        Ok(())
    }

    /// Whether a member with this key was read.
    pub(crate) fn contains(&self, key: &Text) -> bool {
        self.members.find(key).is_some()
    }

    /// The object as it was read.
    pub(crate) fn finish(self) -> Fields {
        let field = |(key, (offset, value))| Some(Field { key, offset, value });
        Fields { start: self.start, left: self.members.into_list().into_iter().map(field).collect() }
    }
}

impl Fields {
    /// Reads an object.
    pub(crate) fn read(reader: &mut Reader<'_>, known: &[&str]) -> Result<Self, JsonError> {
        reader.peek();
        let mut builder = FieldsBuilder::new(reader.offset());
        reader.members(|reader, key| builder.read(reader, key, known))?;
        Ok(builder.finish())
    }

    /// Takes a string.
    pub(crate) fn text(&mut self, key: &str) -> Result<Option<Text>, JsonError> {
        self.typed(key, "a string", text)
    }

    /// Takes a string that holds no lone surrogate.
    pub(crate) fn unicode(&mut self, key: &str) -> Result<Option<String>, JsonError> {
        let offset = self.offset(key);
        let Some(text) = self.text(key)? else { return Ok(None) };
        match text.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(JsonError::new(offset, format!("{key:?}: a lone surrogate is not allowed here"))),
        }
    }

    /// Takes an object.
    pub(crate) fn object(&mut self, key: &str) -> Result<Option<JsonObject>, JsonError> {
        let Some(field) = self.take(key) else { return Ok(None) };
        let refuse = |reason| JsonError::new(field.offset, format!("{key:?}: {reason}"));
        object_from(field.value).map(Some).map_err(refuse)
    }

    /// Takes an integer of 64 bits from 0 up.
    pub(crate) fn unsigned(&mut self, key: &str) -> Result<Option<u64>, JsonError> {
        self.typed(key, "an integer from 0 to 2^64 - 1", |value| {
            let Value::Int(digits) = value else { return Err(value) };
            digits.parse().map_err(|_| Value::Int(digits))
        })
    }

    /// Takes a time given as a string.
    pub(crate) fn time(&mut self, key: &str) -> Result<Option<Timestamp>, JsonError> {
        self.typed(key, "a time in ISO 8601", |value| {
            let Value::Str(text) = &value else { return Err(value) };
            timestamp_from_text(text).ok_or(value)
        })
    }

    /// Takes a time as a file may have it: a string, or a number that counts from the epoch.
    pub(crate) fn time_or_epoch(&mut self, key: &str) -> Result<Option<Timestamp>, JsonError> {
        self.typed(key, "a time in ISO 8601 or since the epoch", |value| {
            let time = match &value {
                Value::Str(text) => timestamp_from_text(text),
                Value::Int(digits) => timestamp_from_epoch_int(digits),
                Value::Float(count) => timestamp_from_epoch_float(*count),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            };
            time.ok_or(value)
        })
    }

    /// Takes a string; what Python takes for false counts as absent.
    pub(crate) fn truthy_text(&mut self, key: &str) -> Result<Option<Text>, JsonError> {
        if let Some(field) = self.find(key).filter(|field| field.value.is_falsy()) {
            field.value = Value::Str(Text::default());
        }
        Ok(self.text(key)?.filter(|text| !text.is_empty()))
    }

    /// Takes an array of strings.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Option<Vec<Text>>, JsonError> {
        self.typed(key, "an array of strings", |value| {
            let Value::Array(items) = value else { return Err(value) };
            items.into_iter().map(text).collect()
        })
    }

    /// The byte at which a member's value begins, or the object if there is no such member.
    pub(crate) fn offset(&mut self, key: &str) -> usize {
        let start = self.start;
        self.find(key).map_or(start, |field| field.offset)
    }

    /// The error of a member that must be there and was not.
    pub(crate) fn missing(&self, key: &str) -> JsonError {
        let names: Vec<_> = self.left().map(|(name, _)| name.to_string_lossy()).collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let near = near_miss(key, &names).map(|name| format!("; perhaps {name:?} is meant for it"));
        JsonError::new(self.start, format!("{key:?} is missing{}", near.unwrap_or_default()))
    }

    /// The names that were not taken, in order, each with the byte at which its value begins.
    pub(crate) fn left(&self) -> impl Iterator<Item = (&Text, usize)> {
        self.left.iter().flatten().map(|field| (&field.key, field.offset))
    }

    /// Holds that every member was taken.
    pub(crate) fn none_left(&self) -> Result<(), JsonError> {
        match self.left.iter().flatten().next() {
            None => Ok(()),
            Some(field) => Err(JsonError::new(field.offset, format!("{:?} is not a known field", field.key))),
        }
    }

    /// What was not taken, in order.
    pub(crate) fn into_extra(self) -> Result<JsonObject, JsonError> {
        let start = self.start;
        let left: Vec<_> = self.left.into_iter().flatten().map(|field| (field.key, field.value)).collect();
        object_from(Value::Object(left)).map_err(|reason| JsonError::new(start, reason))
    }

    fn typed<T>(
        &mut self,
        key: &str,
        expected: &str,
        convert: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Result<Option<T>, JsonError> {
        let Some(field) = self.take(key) else { return Ok(None) };
        convert(field.value).map(Some).map_err(|found| {
            let found = match &found {
                Value::Str(text) => format!("{:.60?}", text.to_string_lossy()),
                Value::Int(digits) => format!("{digits:.60}"),
                Value::Null | Value::Bool(_) | Value::Float(_) | Value::Array(_) | Value::Object(_) => {
                    found.kind().to_owned()
                }
            };
            JsonError::new(field.offset, format!("{key:?}: expected {expected}, found {found}"))
        })
    }

    fn take(&mut self, key: &str) -> Option<Field> {
        self.left.iter_mut().find(|field| field.as_ref().is_some_and(|field| field.key == key))?.take()
    }

    fn find(&mut self, key: &str) -> Option<&mut Field> {
        self.left.iter_mut().flatten().find(|field| field.key == key)
    }
}

fn text(value: Value) -> Result<Text, Value> {
    let Value::Str(text) = value else { return Err(value) };
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::read(&mut Reader::new(text.as_bytes()).unwrap(), &["m"]).unwrap()
    }

    #[test]
    fn a_wrong_type_is_named_with_its_field_and_byte() {
        let error = fields(r#"{"a": 1, "b": [2]}"#).text("b").unwrap_err();
        assert_eq!((error.offset, error.reason.as_str()), (14, "\"b\": expected a string, found an array"));
        for wrong in ["-1", "1.0", "18446744073709551616", "\"1\"", "true"] {
            assert!(fields(&format!("{{\"n\":{wrong}}}")).unsigned("n").is_err(), "{wrong}");
        }
        assert!(fields(r#"{"a":["x",1]}"#).texts("a").is_err());
        assert!(fields(r#"{"a":"\ud800"}"#).unicode("a").is_err());
        assert!(fields(r#"{"a":true}"#).time_or_epoch("a").is_err());
        assert!(fields(r#"{"a":0}"#).time("a").is_err());
    }

    #[test]
    fn what_python_takes_for_false_is_no_text() {
        for falsy in ["null", "false", "0", "-0", "0.0", "-0.0", "\"\"", "[]", "{}"] {
            assert_eq!(fields(&format!("{{\"t\":{falsy}}}")).truthy_text("t"), Ok(None), "{falsy}");
        }
        assert_eq!(fields(r#"{"t":" "}"#).truthy_text("t"), Ok(Some(Text::from(" "))));
        assert!(fields(r#"{"t":1}"#).truthy_text("t").is_err());
        assert!(fields(r#"{"t":NaN}"#).truthy_text("t").is_err());
    }

    #[test]
    fn what_is_left_keeps_its_order_and_stays_within_the_depth() {
        let mut some = fields(r#"{"z":1,"a":"x","y":{"k":2}}"#);
        assert!(some.none_left().is_err());
        assert_eq!(some.text("a"), Ok(Some(Text::from("x"))));
        assert_eq!(some.into_extra().unwrap().as_json(), r#"{"z":1,"y":{"k":2}}"#);
        let nested = |key, depth| format!("{{\"{key}\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let read = |text: &str| Fields::read(&mut Reader::new(text.as_bytes()).unwrap(), &["m"]).map(drop);
        assert!(read(&nested("m", MAX_JSON_DEPTH)).is_ok());
        assert!(read(&nested("m", MAX_JSON_DEPTH + 1)).is_err());
        assert!(read(&nested("x", MAX_JSON_DEPTH - 1)).is_ok());
        assert!(read(&nested("x", MAX_JSON_DEPTH)).is_err());
    }
}
