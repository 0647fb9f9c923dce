//! Writing JSON in the canonical compact form.
//!
//! Owns that form: no white space, strings in UTF-8, escapes only for the quote, the backslash, control
//! characters and lone surrogates, numbers as Python prints them.

use std::fmt::Write;

use super::number::write_float;
use super::scan::plain_prefix;
use super::value::Value;
use crate::model::Text;

/// Appends a value. Goes as deep as the value nests, which whoever built it has limited.
pub(super) fn write_compact(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(text) => out.push_str(text),
        Value::Float(number) => write_float(*number, out),
        Value::Str(text) => write_text(text, out),
        Value::Array(items) => {
            let mut separator = '[';
            for item in items {
                out.push(separator);
                write_compact(item, out);
                separator = ',';
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(members) => write_members(members, out),
    }
}

/// Appends an object with these members.
pub(super) fn write_members(members: &[(Text, Value)], out: &mut String) {
    let mut separator = '{';
    for (key, value) in members {
        out.push(separator);
        write_text(key, out);
        out.push(':');
        write_compact(value, out);
        separator = ',';
    }
    out.push_str(if members.is_empty() { "{}" } else { "}" });
}

/// Appends a string with its quotes.
pub(super) fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    write_str(text, out);
    out.push('"');
}

/// The same of a text that may hold lone surrogates.
pub(crate) fn write_text(text: &Text, out: &mut String) {
    if let Some(text) = text.as_str() {
        write_quoted(text, out);
    } else {
        out.push('"');
        for point in text.code_points() {
            match char::from_u32(point) {
                Some(character) => write_str(character.encode_utf8(&mut [0; 4]), out),
                None => write_unit(point, out),
            }
        }
        out.push('"');
    }
}

fn write_str(text: &str, out: &mut String) {
    // Without a branch for each, so that many are looked at at once.
    let controls = text.bytes().fold(0, |marks, byte| marks | u8::from(byte < b' '));
    if controls != 0 {
        return write_with_controls(text, out);
    }
    // What is escaped stands behind its backslash as it is, and so at the beginning of what is copied next.
    let mut start = 0;
    for at in memchr::memchr2_iter(b'"', b'\\', text.as_bytes()) {
        out.push_str(text.get(start..at).unwrap_or_default());
        out.push('\\');
        start = at;
    }
    out.push_str(text.get(start..).unwrap_or_default());
}

fn write_with_controls(text: &str, out: &mut String) {
    let mut rest = text;
    loop {
        let (run, after) = rest.split_at_checked(plain_prefix(rest.as_bytes())).unwrap_or((rest, ""));
        out.push_str(run);
        let mut characters = after.chars();
        match characters.next() {
            None => return,
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(control) => write_unit(u32::from(control), out),
        }
        rest = characters.as_str();
    }
}

fn write_unit(unit: u32, out: &mut String) {
    let written = write!(out, "\\u{unit:04x}");
    debug_assert!(written.is_ok(), "a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::super::reader::Reader;
    use super::*;

    #[test]
    fn strings_are_escaped_only_where_they_must_be() {
        let mut out = String::new();
        write_text(&Text::from("a\"\\/\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}é😀\u{2028}"), &mut out);
        assert_eq!(out, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}é😀\u{2028}\"");
    }

    #[test]
    fn a_lone_surrogate_is_escaped_and_its_neighbours_are_not() {
        let text =
            Text::from_wtf8(vec![b'a', 0xed, 0xa0, 0xbd, 0xc3, 0xa9, b'\n', 0xed, 0xbf, 0xbf]).unwrap();
        let mut out = String::new();
        write_text(&text, &mut out);
        assert_eq!(out, "\"a\\ud83dé\\n\\udfff\"");
        assert_eq!(Reader::new(out.as_bytes()).unwrap().value(0), Ok(Value::Str(text)));
    }
}
