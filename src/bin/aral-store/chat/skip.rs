//! Going over JSON to its ends.
//!
//! Owns where a value ends that is plainly good JSON. Whatever is not is left to `serde_json`, which says what is wrong with it, or
//! that nothing is.

/// How deeply a value may nest that is gone over here: as many as a number has bits.
const MOST_DEPTH: u32 = 128;

/// How many words of a string are looked at one by one.
const SHORT: usize = 5;

/// The first place from here on that is not white space.
pub(crate) fn space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the string ends whose first quote stands here, and whether it has an escape.
pub(crate) fn string(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    let mut at = at + 1;
    let mut is_escaped = false;
    loop {
        at += run(bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some((at + 1, is_escaped));
        }
        is_escaped = true;
        at += match bytes.get(at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return None,
        };
    }
}

/// How many bytes stand before the first quote or backslash, if none of them is a control character.
fn run(bytes: &[u8]) -> Option<usize> {
    // Most strings are short, for which it takes longer to begin to look at many bytes at once than to look at them.
    let (words, _) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().take(SHORT).enumerate() {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            let at = number * 8 + usize::try_from(marks.trailing_zeros() / 8).ok()?;
            return matches!(bytes.get(at), Some(b'"' | b'\\')).then_some(at);
        }
    }
    let known = words.len().min(SHORT) * 8;
    let rest = bytes.get(known..)?;
    let run = rest.get(..memchr::memchr2(b'"', b'\\', rest)?)?;
    // Without a branch for each, so that many are looked at at once.
    let controls = run.iter().fold(0, |marks, byte| marks | u8::from(*byte < b' '));
    (controls == 0).then_some(known + run.len())
}

/// Marks the top bits of bytes that are a quote, a backslash or a control character. A borrow can mark a byte wrongly, but only above
/// a rightly marked one, so the lowest mark is always true.
fn marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let is = |byte: u8| zero(word ^ (ONES * u64::from(byte)));
    let is_below = word.wrapping_sub(ONES * u64::from(b' ')) & !word;
    (is(b'"') | is(b'\\') | is_below) & (ONES << 7)
}

/// Where the value ends that begins here.
pub(crate) fn value(bytes: &[u8], mut at: usize) -> Option<usize> {
    // A bit for each array or object around it, set for an object.
    let (mut open, mut depth) = (0_u128, 0);
    loop {
        let first = *bytes.get(at)?;
        if let b'{' | b'[' = first {
            if depth == MOST_DEPTH {
                return None;
            }
            let is_object = first == b'{';
            (open, depth) = (open << 1 | u128::from(is_object), depth + 1);
            at = space(bytes, at + 1);
            let end = if is_object { b'}' } else { b']' };
            if bytes.get(at) != Some(&end) {
                at = if is_object { name(bytes, at)? } else { at };
                continue;
            }
            (open, depth, at) = (open >> 1, depth - 1, at + 1);
        } else {
            at = scalar(bytes, at, first)?;
        }
        // Up to where another value follows.
        loop {
            if depth == 0 {
                return Some(at);
            }
            at = space(bytes, at);
            match (bytes.get(at)?, open & 1 == 1) {
                (b',', true) => {
                    at = name(bytes, space(bytes, at + 1))?;
                    break;
                }
                (b',', false) => {
                    at = space(bytes, at + 1);
                    break;
                }
                (b'}', true) | (b']', false) => (open, depth, at) = (open >> 1, depth - 1, at + 1),
                _ => return None,
            }
        }
    }
}

/// Where the value begins behind the name of a member, which begins here.
fn name(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let at = space(bytes, string(bytes, at)?.0);
    (bytes.get(at) == Some(&b':')).then(|| space(bytes, at + 1))
}

fn scalar(bytes: &[u8], at: usize, first: u8) -> Option<usize> {
    let rest = bytes.get(at..)?;
    match first {
        b'"' => string(bytes, at).map(|(end, _)| end),
        b'-' | b'0'..=b'9' => number(rest).map(|length| at + length),
        _ => {
            let word = [&b"true"[..], b"false", b"null"].into_iter().find(|word| rest.starts_with(word))?;
            Some(at + word.len())
        }
    }
}

/// How long the number is that begins like this.
fn number(rest: &[u8]) -> Option<usize> {
    let digits = |from: usize| rest.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(rest.first() == Some(&b'-'));
    let whole = digits(sign);
    if whole == 0 || (whole > 1 && rest.get(sign) == Some(&b'0')) {
        return None;
    }
    let mut length = sign + whole;
    if rest.get(length) == Some(&b'.') {
        let fraction = digits(length + 1);
        length = (fraction > 0).then_some(length + 1 + fraction)?;
    }
    if let Some(b'e' | b'E') = rest.get(length) {
        let signed = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + signed);
        length = (exponent > 0).then_some(length + 1 + signed + exponent)?;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether `serde_json` takes all of it for a value.
    fn is_json(text: &str) -> bool {
        serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
    }

    /// Whether all of it is gone over.
    fn is_skipped(text: &str) -> bool {
        value(text.as_bytes(), 0) == Some(text.len())
    }

    #[test]
    fn what_is_json_is_gone_over_to_its_end() {
        for text in [
            "0",
            "-0",
            "1.5e+3",
            "1E5",
            "null",
            "\"\"",
            r#""\"\\\/\b\f\n\r\t\uAbC9é""#,
            "[]",
            "{ }",
            "[ 1 , [ ] , { } ]",
            r#"{"a" : 1, "b":[true,false],"a":{"":null}}"#,
        ] {
            assert!(is_skipped(text) && is_json(text), "{text}");
        }
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_skipped(&nested(128)) && !is_skipped(&nested(129)));
    }

    #[test]
    fn what_is_no_json_is_not_gone_over() {
        for text in [
            "",
            "-",
            "01",
            "1.",
            "1e",
            ".5",
            "+1",
            "tru",
            "nul",
            "\"",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "[1,]",
            "[1 2]",
            "[",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "[}",
            "{]",
            "[1}",
            "{\"a\":1]",
            "NaN",
        ] {
            assert!(!is_skipped(text) && !is_json(text), "{text}");
        }
    }

    #[test]
    fn every_byte_at_every_place_of_a_string_is_judged() {
        for byte in 0..=255_u8 {
            for length in [1, 7, 8, 9, 39, 40, 41, 48, 100] {
                for place in 0..length {
                    let mut bytes = vec![b'!'; length];
                    bytes.push(b'"');
                    bytes[place] = byte;
                    let ought = match byte {
                        b'"' | b'\\' => Some(place),
                        0..b' ' => None,
                        _ => Some(length),
                    };
                    assert_eq!(run(&bytes), ought, "{byte} at {place} of {length}");
                }
            }
        }
        assert_eq!((run(b""), run(b"abc"), run(&[b'a'; 100])), (None, None, None));
    }

    proptest! {
        #[test]
        fn nothing_is_gone_over_that_is_no_json(
            text in r#"("a"|"b":|[ ]|[{}\[\]:,]|[0-9]|\\u00e9|\\n|"|1e2|-|\.|true|null|é){0,16}"#
        ) {
            prop_assert!(!is_skipped(&text) || is_json(&text));
        }
    }
}
