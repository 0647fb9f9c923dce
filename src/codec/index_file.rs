//! The index of the original's layout, `message_store.json`: the order of the conversations.
//!
//! Owns the file's one known key and the place of all others, which are kept. Knows nothing of which
//! conversations exist.

use super::fields::FieldsBuilder;
use super::json::{JsonError, Reader, python_from_compact, python_text};
use crate::model::{JsonObject, Text};

/// The key of the list.
const IDS: &str = "conversation_ids";

/// The index file's content.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct IndexFile {
    /// The ids of the conversations, in order.
    pub(crate) ids: Vec<Text>,
    /// Whether the list was there to be read. Writing always writes it.
    pub(crate) has_ids: bool,
    /// The members before the list, or all where there is none.
    before: JsonObject,
    /// The members after it.
    after: JsonObject,
}

/// Reads an index file.
pub(crate) fn read_index(bytes: &[u8]) -> Result<IndexFile, JsonError> {
    let mut reader = Reader::new(bytes)?;
    reader.peek();
    let mut before = FieldsBuilder::new(reader.offset());
    // Once the list has been seen, members go here, the list among them.
    let mut after: Option<FieldsBuilder> = None;
    reader.members(|reader, key| {
        if after.is_none() && key == IDS {
            after = Some(FieldsBuilder::new(reader.offset()));
        }
        match &mut after {
            // A repeated key keeps its first place and takes its last value.
            Some(_) if key != IDS && before.contains(&key) => before.read(reader, key, &[IDS]),
            Some(after) => after.read(reader, key, &[IDS]),
            None => before.read(reader, key, &[IDS]),
        }
    })?;
    reader.end()?;
    let mut index = IndexFile { before: before.finish().into_extra()?, ..IndexFile::default() };
    if let Some(after) = after {
        let mut after = after.finish();
        index.ids = after.texts(IDS)?.unwrap_or_default();
        index.has_ids = true;
        index.after = after.into_extra()?;
    }
    Ok(index)
}

impl IndexFile {
    /// The same file with these ids.
    pub(crate) fn with_ids(mut self, ids: Vec<Text>) -> Self {
        self.ids = ids;
        self.has_ids = true;
        self
    }

    /// The bytes of the file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = b"{\n  ".to_vec();
        if let Some(members) = inside(&self.before) {
            python_from_compact(members, 1, &mut out);
            out.extend_from_slice(b",\n  ");
        }
        out.extend_from_slice(b"\"conversation_ids\": [");
        let mut separator: &[u8] = b"\n    ";
        for id in &self.ids {
            out.extend_from_slice(separator);
            python_text(id, &mut out);
            separator = b",\n    ";
        }
        out.extend_from_slice(if self.ids.is_empty() { b"]" } else { b"\n  ]" });
        if let Some(members) = inside(&self.after) {
            out.extend_from_slice(b",\n  ");
            python_from_compact(members, 1, &mut out);
        }
        out.extend_from_slice(b"\n}");
        out
    }
}

/// The members of an object without its braces, if it has any.
fn inside(object: &JsonObject) -> Option<&str> {
    if object.is_empty() {
        return None;
    }
    object.as_json().strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &[&str]) -> Vec<Text> {
        list.iter().map(|id| Text::from(*id)).collect()
    }

    #[test]
    fn the_golden_indexes_are_read_and_written_as_they_were() {
        for (bytes, list) in [
            (&include_bytes!("../../tests/golden/python/docs/index_empty.json")[..], ids(&[])),
            (include_bytes!("../../tests/golden/python/docs/index_two.json"), ids(&["a", "é\""])),
        ] {
            let index = read_index(bytes).unwrap();
            assert_eq!(index.ids, list);
            assert!(index.has_ids && index.write() == bytes);
        }
    }

    #[test]
    fn unknown_keys_keep_their_place() {
        let text = br#"{"v":1,"x":{"y":[]},"conversation_ids":["a"],"z":"\ud800","v":2,"z":null}"#;
        let index = read_index(text).unwrap();
        assert!(index.write() != text);
        let expected = "{\n  \"v\": 2,\n  \"x\": {\n    \"y\": []\n  },\n  \"conversation_ids\": [\n    \"b\",\n    \
                        \"a\"\n  ],\n  \"z\": null\n}";
        let written = index.with_ids(ids(&["b", "a"])).write();
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn an_index_without_the_list_is_empty_and_says_so() {
        let index = read_index(b"{\"v\": 1}").unwrap();
        assert!(index.ids.is_empty() && !index.has_ids);
        assert_eq!(index.write(), b"{\n  \"v\": 1,\n  \"conversation_ids\": []\n}");
        assert_eq!(read_index(b"{}").unwrap().write(), IndexFile::default().write());
    }

    #[test]
    fn the_last_of_repeated_lists_counts() {
        let index = read_index(br#"{"conversation_ids":["a"],"k":1,"conversation_ids":["b"]}"#).unwrap();
        assert_eq!(index.ids, ids(&["b"]));
        assert_eq!(index.write(), b"{\n  \"conversation_ids\": [\n    \"b\"\n  ],\n  \"k\": 1\n}");
    }

    #[test]
    fn what_is_no_index_is_refused() {
        for text in ["", "[]", "null", "{\"conversation_ids\":null}", "{\"conversation_ids\":[1]}", "{} 1"] {
            assert!(read_index(text.as_bytes()).is_err(), "{text}");
        }
    }
}
