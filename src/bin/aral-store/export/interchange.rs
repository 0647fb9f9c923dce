//! JSON that every program can read, made from what Python writes.
//!
//! Owns what is changed and what of it is said: `NaN` and infinities become `null`, lone surrogates become
//! U+FFFD, and a key that would thereby be there twice gets more of these. Integers keep all their digits,
//! which JSON allows. Takes text that is compact and canonical, as the library prints it.

use std::collections::HashSet;

use crate::output;

/// Whether the JSON is to be as it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Strictness {
    /// With everything that Python's JSON can hold.
    AsStored,
    /// As RFC 8259 has it.
    Interchange,
}

impl Strictness {
    /// The value as it is to be written; says on standard error what had to be changed in it.
    pub(super) fn applied(self, json: String, whose: impl FnOnce() -> String) -> String {
        if self == Self::AsStored {
            return json;
        }
        let (changed, changes) = interchange(&json);
        if changes == Changes::default() {
            return json;
        }
        output::note(&format!("changed for --strict: {}: {}", whose(), changes.in_words()));
        changed
    }
}

/// How much was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Changes {
    numbers: u64,
    surrogates: u64,
    keys: u64,
}

impl Changes {
    fn in_words(self) -> String {
        let said = [
            (self.numbers, "NaN or infinity", "null"),
            (self.surrogates, "lone surrogate", "U+FFFD"),
            (self.keys, "repeated key", "another one"),
        ];
        let said = said.iter().filter(|(number, ..)| *number > 0);
        let said = said.map(|(number, what, new)| format!("{what} to {new} ({number})"));
        said.collect::<Vec<_>>().join(", ")
    }
}

fn interchange(json: &str) -> (String, Changes) {
    let mut changes = Changes::default();
    if !["NaN", "Infinity", "\\ud"].iter().any(|mark| json.contains(mark)) {
        return (String::new(), changes);
    }
    let mut out = String::with_capacity(json.len());
    // The keys of every object that is open; arrays have none, and need no place here.
    let mut open: Vec<HashSet<String>> = Vec::new();
    let mut rest = json;
    while let Some(c) = rest.chars().next() {
        let special = ["NaN", "-Infinity", "Infinity"].iter().find_map(|word| rest.strip_prefix(word));
        if let Some(after) = special {
            out.push_str("null");
            changes.numbers += 1;
            rest = after;
        } else if c == '"' {
            let (string, after) = split_string(rest);
            let mut string = whole(string, &mut changes);
            if after.starts_with(':')
                && let Some(keys) = open.last_mut()
            {
                if !keys.insert(string.clone()) {
                    changes.keys += 1;
                    while !keys.insert(string.clone()) {
                        string.insert(string.len() - 1, char::REPLACEMENT_CHARACTER);
                    }
                }
            }
            out.push_str(&string);
            rest = after;
        } else {
            match c {
                '{' => open.push(HashSet::new()),
                '}' => drop(open.pop()),
                _ => {}
            }
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    (out, changes)
}

/// The string that the text begins with, quotes included, and what is behind it.
fn split_string(text: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = text.bytes().enumerate().skip(1).find_map(|(at, byte)| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends.then_some(at + 1)
    });
    text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""))
}

/// The string without lone surrogates. In canonical text every escaped surrogate is alone.
fn whole(string: &str, changes: &mut Changes) -> String {
    let mut out = String::with_capacity(string.len());
    let mut rest = string;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before);
        let is_surrogate = escape.strip_prefix("\\ud").is_some_and(|hex| hex.starts_with(|c: char| c >= '8'));
        let length = if is_surrogate { 6 } else { 2 };
        let (escape, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        if is_surrogate {
            out.push(char::REPLACEMENT_CHARACTER);
            changes.surrogates += 1;
        } else {
            out.push_str(escape);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_other_programs_refuse_is_changed_and_nothing_else() {
        let tall = format!("{{\"n\":1{}}}", "0".repeat(100));
        for (given, wanted, changes) in [
            (r#"{"a":NaN,"b":[Infinity,-Infinity]}"#, r#"{"a":null,"b":[null,null]}"#, (3, 0, 0)),
            (r#"{"a":"NaN \"Infinity\" \\"}"#, r#"{"a":"NaN \"Infinity\" \\"}"#, (0, 0, 0)),
            (r#"{"a":"x\ud800y\udfff"}"#, "{\"a\":\"x\u{fffd}y\u{fffd}\"}", (0, 2, 0)),
            (r#"{"a":"\\ud800 \u001f"}"#, r#"{"a":"\\ud800 \u001f"}"#, (0, 0, 0)),
            (
                r#"{"\ud800":1,"\ud801":{"\ud800":2},"\ud802":3}"#,
                "{\"\u{fffd}\":1,\"\u{fffd}\u{fffd}\":{\"\u{fffd}\":2},\"\u{fffd}\u{fffd}\u{fffd}\":3}",
                (0, 4, 2),
            ),
            (tall.as_str(), tall.as_str(), (0, 0, 0)),
        ] {
            let (made, found) = interchange(given);
            assert_eq!((found.numbers, found.surrogates, found.keys), changes, "{given}");
            let made = if made.is_empty() { given } else { made.as_str() };
            assert_eq!(made, wanted);
            assert!(given == tall || serde_json::from_str::<Value>(made).is_ok(), "{made}");
        }
    }

    #[test]
    fn what_was_changed_is_said_in_words() {
        let changes = Changes { numbers: 2, surrogates: 1, keys: 0 };
        assert_eq!(changes.in_words(), "NaN or infinity to null (2), lone surrogate to U+FFFD (1)");
    }
}
