//! JSON taken apart without being changed.
//!
//! Owns lists and objects whose values keep the text they have in the file, and the times that chat programs
//! write.

use std::borrow::Cow;

use aral_store::Timestamp;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::skip;

/// A JSON value as it stands in its text, without white space around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// The value that a text is, if it is one.
    pub(crate) fn of(text: &'a str) -> Option<Self> {
        serde_json::from_str::<&RawValue>(text).ok().map(Self::from)
    }

    pub(crate) fn get(self) -> &'a str {
        self.0
    }
}

impl<'a> From<&'a RawValue> for Raw<'a> {
    fn from(value: &'a RawValue) -> Self {
        Self(value.get())
    }
}

/// The members of an object, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'a> Members<'a> {
    /// Reads an object in bytes that may be no text.
    pub(crate) fn of_bytes(bytes: &'a [u8]) -> serde_json::Result<Self> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::read(text),
            Err(_) => Self::slowly(serde_json::Deserializer::from_slice(bytes)),
        }
    }

    pub(crate) fn read(text: &'a str) -> serde_json::Result<Self> {
        match plainly_good(text) {
            Some(members) => Ok(Self(members)),
            None => Self::slowly(serde_json::Deserializer::from_str(text)),
        }
    }

    /// The same of whatever is not plainly good, with what is wrong with it.
    fn slowly<R: serde_json::de::Read<'a>>(
        mut reader: serde_json::Deserializer<R>,
    ) -> serde_json::Result<Self> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(Cow<'de, str>, Raw<'de>)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                    members.push((Cow::Owned(name), Raw::from(raw)));
                }
                Ok(members)
            }
        }
        let members = reader.deserialize_map(Object)?;
        reader.end().map(|()| Self(members))
    }

    /// The value of a member; of several with one name, the last, which is the one that counts in Python.
    pub(crate) fn get(&self, name: &str) -> Option<Raw<'a>> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, raw)| *raw)
    }

    /// The same, and the member is gone.
    pub(crate) fn take(&mut self, name: &str) -> Option<Raw<'a>> {
        let found = self.get(name);
        self.0.retain(|(key, _)| key != name);
        found
    }

    /// The same for a member that is there, has a simple value and is not null; another is left.
    pub(crate) fn take_if_set(&mut self, name: &str) -> Option<Raw<'a>> {
        let is_set = |raw: &Raw<'_>| !raw.get().starts_with(['n', '{', '[']) && raw.get() != "\"\"";
        self.get(name).filter(is_set)?;
        self.take(name)
    }

    /// The time, under any of its usual names; one that cannot be read is left.
    pub(crate) fn take_time(&mut self) -> Option<Timestamp> {
        for name in super::TIMES {
            if let Some(time) = self.get(name).and_then(time) {
                self.take(name);
                return Some(time);
            }
        }
        None
    }

    /// A name that more than one of them has.
    pub(crate) fn repeated(&self) -> Option<&str> {
        let mut seen = std::collections::HashSet::new();
        self.names().find(|name| !seen.insert(*name))
    }

    /// The names of all members.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// The members in order, each name once and with the value that counts.
    pub(crate) fn into_list(self) -> Vec<(String, Raw<'a>)> {
        let mut list: Vec<(String, Raw<'_>)> = Vec::with_capacity(self.0.len());
        for (name, raw) in self.0 {
            match list.iter_mut().find(|(other, _)| *other == name) {
                Some(known) => known.1 = raw,
                None => list.push((name.into_owned(), raw)),
            }
        }
        list
    }

    /// The values of all members.
    pub(crate) fn into_values(self) -> Vec<Raw<'a>> {
        self.0.into_iter().map(|(_, raw)| raw).collect()
    }

    /// The object with other JSON as the value of a member that it has.
    pub(crate) fn printed_with(&self, name: &str, json: &str) -> String {
        let member = |(key, raw): (String, Raw<'_>)| {
            let json = if key == name { json } else { raw.get() };
            format!("{}:{json}", serde_json::Value::from(key))
        };
        let members: Vec<String> = self.clone().into_list().into_iter().map(member).collect();
        format!("{{{}}}", members.join(","))
    }

    /// What is left, as a JSON object: the members of `metadata` and, where those have no such name, the others.
    pub(crate) fn into_metadata(mut self) -> String {
        let own = self.get("metadata").and_then(|raw| Members::read(raw.get()).ok());
        let mut members = match own {
            Some(own) => {
                self.take("metadata");
                own.0
            }
            None => Vec::new(),
        };
        for (mut key, raw) in self.0 {
            // What has the name of something else gets another one rather than being lost.
            while members.iter().any(|(other, _)| *other == key) {
                key.to_mut().push('_');
            }
            members.push((key, raw));
        }
        let print = |(key, raw): &(Cow<'_, str>, Raw<'_>)| {
            format!("{}:{}", serde_json::Value::from(&**key), raw.get())
        };
        format!("{{{}}}", members.iter().map(print).collect::<Vec<_>>().join(","))
    }
}

/// How many members there is room for at once: most objects of lines have no more.
const MANY: usize = 12;

/// The members of an object, if a text is plainly one and nothing else.
fn plainly_good(text: &str) -> Option<Vec<(Cow<'_, str>, Raw<'_>)>> {
    let bytes = text.as_bytes();
    let mut members = Vec::with_capacity(MANY);
    plain_parts(bytes, (b'{', b'}'), |at| {
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        let (end, is_escaped) = skip::string(bytes, at)?;
        let name = if is_escaped {
            Cow::Owned(serde_json::from_str(text.get(at..end)?).ok()?)
        } else {
            Cow::Borrowed(text.get(at + 1..end - 1)?)
        };
        let colon = skip::space(bytes, end);
        if bytes.get(colon) != Some(&b':') {
            return None;
        }
        let start = skip::space(bytes, colon + 1);
        let end = skip::value(bytes, start)?;
        members.push((name, Raw(text.get(start..end)?)));
        Some(end)
    })?;
    Some(members)
}

/// Goes over what stands in brackets and between commas, if that is all there is; each part says where it ends.
fn plain_parts(
    bytes: &[u8],
    (opening, closing): (u8, u8),
    mut part: impl FnMut(usize) -> Option<usize>,
) -> Option<()> {
    let mut at = skip::space(bytes, 0);
    if bytes.get(at) != Some(&opening) {
        return None;
    }
    at = skip::space(bytes, at + 1);
    let mut is_more = bytes.get(at) != Some(&closing);
    while is_more {
        at = skip::space(bytes, part(at)?);
        is_more = bytes.get(at) == Some(&b',');
        if is_more {
            at = skip::space(bytes, at + 1);
        }
    }
    (bytes.get(at) == Some(&closing) && skip::space(bytes, at + 1) == bytes.len()).then_some(())
}

/// The elements of a list with where each begins, as far as they can be read, and why the rest cannot be.
pub(crate) fn list(bytes: &[u8]) -> (Vec<(usize, Raw<'_>)>, Option<String>) {
    struct List<'v, 'a>(&'v mut Vec<&'a RawValue>);
    impl<'de> Visitor<'de> for List<'_, 'de> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            while let Some(element) = seq.next_element()? {
                self.0.push(element);
            }
            Ok(())
        }
    }
    if let Some(elements) = std::str::from_utf8(bytes).ok().and_then(plain_list) {
        return (elements, None);
    }
    let mut elements = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = (&mut reader).deserialize_seq(List(&mut elements)).and_then(|()| reader.end());
    let start = bytes.as_ptr().addr();
    let placed = elements
        .into_iter()
        .map(|raw| (raw.get().as_ptr().addr().saturating_sub(start), raw.into()))
        .collect();
    (placed, read.err().map(|error| error.to_string()))
}

/// The elements of a list with where each begins, if a text is plainly one and nothing else.
fn plain_list(text: &str) -> Option<Vec<(usize, Raw<'_>)>> {
    let bytes = text.as_bytes();
    let mut elements = Vec::new();
    plain_parts(bytes, (b'[', b']'), |at| {
        let end = skip::value(bytes, at)?;
        elements.push((at, Raw(text.get(at..end)?)));
        Some(end)
    })?;
    Some(elements)
}

/// The text of a JSON string.
pub(crate) fn string(raw: Raw<'_>) -> Option<String> {
    let inside = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') { serde_json::from_str(raw.get()).ok() } else { Some(inside.to_owned()) }
}

/// A time as text in one of the usual forms, or as seconds or milliseconds from 1970.
pub(crate) fn time(raw: Raw<'_>) -> Option<Timestamp> {
    /// No number of seconds that anybody means is so large, and no number of milliseconds so small.
    const LEAST_MILLIS: i64 = 100_000_000_000;
    if let Some(text) = string(raw) {
        return text.parse().ok();
    }
    let (whole, fraction) = raw.get().split_once('.').unwrap_or((raw.get(), ""));
    let whole: i64 = whole.parse().ok()?;
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    if whole.abs() >= LEAST_MILLIS {
        return Timestamp::from_unix_micros(whole.checked_mul(1_000)?.checked_add(micros / 1_000)?);
    }
    let sign = if raw.get().starts_with('-') { -1 } else { 1 };
    Timestamp::from_unix_micros(whole.checked_mul(1_000_000)?.checked_add(sign * micros)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_goes_into_the_metadata_and_loses_no_digit() {
        let text = r#"{"role":"user","n":10000000000000000000001,"metadata":{"n":1.50,"a":[ ]},"name":"x"}"#;
        let mut members = Members::read(text).unwrap();
        assert_eq!(members.take("role").unwrap().get(), "\"user\"");
        assert_eq!(members.into_metadata(), r#"{"n":1.50,"a":[ ],"n_":10000000000000000000001,"name":"x"}"#);
    }

    #[test]
    fn a_list_that_breaks_off_gives_what_came_before() {
        let (elements, broken) = list(br#" [{"a":1}, 2, {"b"#);
        let texts: Vec<(usize, &str)> = elements.iter().map(|(at, raw)| (*at, raw.get())).collect();
        assert_eq!(texts, [(2, r#"{"a":1}"#), (11, "2")]);
        assert!(broken.is_some());
        assert!(list(b"[1] x").1.is_some() && list(b"[]").1.is_none() && list(b"{}").1.is_some());
    }

    #[test]
    fn times_are_read_in_their_usual_forms() {
        for (given, read) in [
            (r#""2025-03-13T15:11:33Z""#, "2025-03-13T15:11:33+00:00"),
            ("1741878693", "2025-03-13T15:11:33+00:00"),
            ("1741878693.5", "2025-03-13T15:11:33.500000+00:00"),
            ("1741878693500", "2025-03-13T15:11:33.500000+00:00"),
            ("-0.5", "1969-12-31T23:59:59.500000+00:00"),
        ] {
            let raw = Raw::of(given).unwrap();
            assert_eq!(time(raw).unwrap().to_string(), read, "{given}");
        }
        for given in ["\"yesterday\"", "1e9", "null", "true", "[]"] {
            assert!(time(Raw::of(given).unwrap()).is_none(), "{given}");
        }
    }
}
