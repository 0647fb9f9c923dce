//! JSON over several lines, for reading.
//!
//! Owns only white space, and the escapes of what a reader would not see: the tokens are otherwise those of the
//! object's own text, so that every digit stays. The raw line of a tool's transcript is left out.

use aral_store::JsonObject;

use super::unseen::is_unseen;
use crate::transcripts::source::for_reading;

/// Deeper levels than this are not indented further, so that the text cannot grow without bound.
const DEEPEST: usize = 24;

/// The object with a member a line, two spaces a level.
pub(super) fn pretty(object: &JsonObject) -> String {
    let text = for_reading(object);
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    let mut level = 0_usize;
    let mut in_string = false;
    let mut is_escaped = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if in_string {
            push_seen(&mut out, c);
            in_string = c != '"' || is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                if let Some(close) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    level += 1;
                    new_line(&mut out, level);
                }
            }
            '}' | ']' => {
                level = level.saturating_sub(1);
                new_line(&mut out, level);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, level);
            }
            ':' => out.push_str(": "),
            '"' => {
                in_string = true;
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// The character, or the escape by which JSON has the same one.
fn push_seen(out: &mut String, c: char) {
    if is_unseen(c) {
        let mut units = [0; 2];
        out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
    } else {
        out.push(c);
    }
}

fn new_line(out: &mut String, level: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", level.min(DEEPEST)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_is_added() {
        let object = JsonObject::parse(r#"{"a":[1,{"b,":"{\"x\\"}],"e":{},"f":[],"n":NaN}"#).unwrap();
        let wanted = "{\n  \"a\": [\n    1,\n    {\n      \"b,\": \"{\\\"x\\\\\"\n    }\n  ],\n  \"e\": {},\n  \"f\": [],\n  \"n\": NaN\n}";
        assert_eq!(pretty(&object), wanted);
        assert_eq!(pretty(&JsonObject::EMPTY), "{}");
        let object = JsonObject::parse("{\"a\":\"\u{202e}\u{e0041}\u{7f}\"}").unwrap();
        assert_eq!(pretty(&object), "{\n  \"a\": \"\\u202e\\udb40\\udc41\\u007f\"\n}");
        assert_eq!(JsonObject::parse(&pretty(&object)).unwrap(), object);
    }
}
