//! JSON taken apart without being changed.
//!
//! Owns lists and objects whose values keep the text they have in the file, and the times that chat programs
//! write.

use aral_store::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// The value of a member; of several with one name, the last, which is the one that counts in Python.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, raw)| *raw)
    }

    /// The same, and the member is gone.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let found = self.get(name);
        self.0.retain(|(key, _)| key != name);
        found
    }

    /// The same for a member that is there, has a simple value and is not null; another is left.
    pub(crate) fn take_if_set(&mut self, name: &str) -> Option<&'a RawValue> {
        let is_set = |raw: &&RawValue| !raw.get().starts_with(['n', '{', '[']) && raw.get() != "\"\"";
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
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The members in order, each name once and with the value that counts.
    pub(crate) fn into_list(self) -> Vec<(String, &'a RawValue)> {
        let mut list: Vec<(String, &RawValue)> = Vec::with_capacity(self.0.len());
        for (name, raw) in self.0 {
            match list.iter_mut().find(|(other, _)| *other == name) {
                Some(known) => known.1 = raw,
                None => list.push((name, raw)),
            }
        }
        list
    }

    /// The values of all members.
    pub(crate) fn into_values(self) -> Vec<&'a RawValue> {
        self.0.into_iter().map(|(_, raw)| raw).collect()
    }

    /// The object with other JSON as the value of a member that it has.
    pub(crate) fn printed_with(&self, name: &str, json: &str) -> String {
        let member = |(key, raw): (String, &RawValue)| {
            let json = if key == name { json } else { raw.get() };
            format!("{}:{json}", serde_json::Value::from(key))
        };
        let members: Vec<String> = self.clone().into_list().into_iter().map(member).collect();
        format!("{{{}}}", members.join(","))
    }

    /// What is left, as a JSON object: the members of `metadata` and, where those have no such name, the others.
    pub(crate) fn into_metadata(mut self) -> String {
        let own = self.get("metadata").and_then(|raw| Members::read(raw.get().as_bytes()).ok());
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
                key.push('_');
            }
            members.push((key, raw));
        }
        let print = |(key, raw): &(String, &RawValue)| {
            format!("{}:{}", serde_json::Value::from(key.as_str()), raw.get())
        };
        format!("{{{}}}", members.iter().map(print).collect::<Vec<_>>().join(","))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Members)
    }
}

/// The elements of a list with where each begins, as far as they can be read, and why the rest cannot be.
pub(crate) fn list(bytes: &[u8]) -> (Vec<(usize, &RawValue)>, Option<String>) {
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
    let mut elements = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = (&mut reader).deserialize_seq(List(&mut elements)).and_then(|()| reader.end());
    let start = bytes.as_ptr().addr();
    let placed =
        elements.into_iter().map(|raw| (raw.get().as_ptr().addr().saturating_sub(start), raw)).collect();
    (placed, read.err().map(|error| error.to_string()))
}

/// The text of a JSON string.
pub(crate) fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// A time as text in one of the usual forms, or as seconds or milliseconds from 1970.
pub(crate) fn time(raw: &RawValue) -> Option<Timestamp> {
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
        let text = br#"{"role":"user","n":10000000000000000000001,"metadata":{"n":1.50,"a":[ ]},"name":"x"}"#;
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
            let raw: &RawValue = serde_json::from_str(given).unwrap();
            assert_eq!(time(raw).unwrap().to_string(), read, "{given}");
        }
        for given in ["\"yesterday\"", "1e9", "null", "true", "[]"] {
            assert!(time(serde_json::from_str(given).unwrap()).is_none(), "{given}");
        }
    }
}
