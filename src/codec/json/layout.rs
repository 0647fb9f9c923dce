//! Python's indented layout of JSON, `json.dump(…, indent=2)`, byte for byte.
//!
//! Owns the layout. Works from the canonical compact form, whose escapes and numbers are Python's already:
//! what is left is white space and the escaping of everything outside printable ASCII.

use super::scan::ascii_prefix;
use crate::model::Text;

/// More spaces than the deepest line needs, so that an indentation is one copy.
static SPACES: [u8; 4096] = [b' '; 4096];

/// Appends a compact value in Python's layout, as it stands so many levels deep.
///
/// The text is trusted to be canonical. A list of members or elements without its brackets is taken too, so
/// that they can be put into an enclosing one of that depth.
pub(crate) fn python_from_compact(compact: &str, depth: usize, out: &mut Vec<u8>) {
    walk(compact, depth, |piece| out.extend_from_slice(piece));
}

/// How many bytes [`python_from_compact`] would append.
pub(super) fn python_len(compact: &str, depth: usize) -> usize {
    let mut length = 0_usize;
    walk(compact, depth, |piece| length = length.saturating_add(piece.len()));
    length
}

/// Appends a string in Python's escaping, with its quotes.
pub(crate) fn python_text(text: &Text, out: &mut Vec<u8>) {
    out.push(b'"');
    if let Some(text) = text.as_str() {
        python_str(text, out);
    } else {
        for point in text.code_points() {
            match char::from_u32(point) {
                Some(character) => python_str(character.encode_utf8(&mut [0; 4]), out),
                None => out.extend_from_slice(&escape(u16::try_from(point).unwrap_or(0xfffd))),
            }
        }
    }
    out.push(b'"');
}

fn python_str(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let (run, after) = rest.split_at_checked(ascii_prefix(rest.as_bytes())).unwrap_or((rest, ""));
        out.extend_from_slice(run.as_bytes());
        let mut characters = after.chars();
        match characters.next() {
            None => return,
            Some('"') => out.extend_from_slice(b"\\\""),
            Some('\\') => out.extend_from_slice(b"\\\\"),
            Some('\n') => out.extend_from_slice(b"\\n"),
            Some('\r') => out.extend_from_slice(b"\\r"),
            Some('\t') => out.extend_from_slice(b"\\t"),
            Some('\u{8}') => out.extend_from_slice(b"\\b"),
            Some('\u{c}') => out.extend_from_slice(b"\\f"),
            Some(other) => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(&escape(*unit));
                }
            }
        }
        rest = characters.as_str();
    }
}

/// `\u` and the four lower-case hexadecimal digits of a code unit.
fn escape(unit: u16) -> [u8; 6] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    let [high, low] = unit.to_be_bytes();
    [b'\\', b'u', digit(high >> 4), digit(high & 15), digit(low >> 4), digit(low & 15)]
}

/// Goes once over the compact text and hands out the layout in pieces.
fn walk(compact: &str, mut depth: usize, mut put: impl FnMut(&[u8])) {
    let mut rest = compact;
    while let Some(first) = rest.as_bytes().first() {
        let mut after = rest.get(1..).unwrap_or_default();
        match first {
            b'"' => {
                put(b"\"");
                after = walk_string(after, &mut put);
            }
            b'{' | b'[' => {
                put(&[*first]);
                if !after.starts_with(['}', ']']) {
                    depth += 1;
                    break_line(depth, &mut put);
                } else if let Some((bracket, left)) = after.split_at_checked(1) {
                    put(bracket.as_bytes());
                    after = left;
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                break_line(depth, &mut put);
                put(&[*first]);
            }
            b',' => {
                put(b",");
                break_line(depth, &mut put);
            }
            b':' => put(b": "),
            _ => {
                let end = rest.find([',', ']', '}']).unwrap_or(rest.len());
                let (word, left) = rest.split_at_checked(end).unwrap_or((rest, ""));
                put(word.as_bytes());
                after = left;
            }
        }
        rest = after;
    }
}

/// Goes over the inside of a string and its closing quote; gives what is left after it.
fn walk_string<'a>(inside: &'a str, put: &mut impl FnMut(&[u8])) -> &'a str {
    let mut rest = inside;
    loop {
        let (run, after) = rest.split_at_checked(ascii_prefix(rest.as_bytes())).unwrap_or((rest, ""));
        put(run.as_bytes());
        let mut characters = after.chars();
        match characters.next() {
            None => return "",
            Some('"') => {
                put(b"\"");
                return characters.as_str();
            }
            Some('\\') => {
                // Every canonical escape is Python's too; past its second character it is plain.
                let (start, left) = after.split_at_checked(2).unwrap_or((after, ""));
                put(start.as_bytes());
                rest = left;
                continue;
            }
            Some(other) => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    put(&escape(*unit));
                }
            }
        }
        rest = characters.as_str();
    }
}

fn break_line(depth: usize, put: &mut impl FnMut(&[u8])) {
    put(b"\n");
    let mut wanted = depth.saturating_mul(2);
    while wanted > 0 {
        let piece = wanted.min(SPACES.len());
        put(SPACES.get(..piece).unwrap_or_default());
        wanted -= piece;
    }
}

#[cfg(test)]
mod tests;
