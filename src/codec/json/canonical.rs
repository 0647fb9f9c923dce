//! Bringing JSON text into the canonical form without taking it apart.
//!
//! Owns a second way from JSON text to that form: it is gone over once, and what stands there as it should is copied as it stands, or
//! not at all if all of it does. The reader and the writer remain what defines the form; whatever is not plainly good JSON is left
//! to them, and the tests hold the two against each other.

use std::borrow::Cow;

use super::compact::write_compact;
use super::reader::Reader;
use super::scan::string_run;

/// Objects of up to this many members are looked through for a name that is there twice; larger ones are left to the reader.
const MOST_NAMES: usize = 64;

/// The canonical form of a value that nests at most this many arrays and objects; nothing if the reader has to look at it,
/// as it has where a name is there twice.
pub(super) fn canonical(text: &str, max_depth: usize) -> Option<Cow<'_, str>> {
    let mut walk = Walk { text, at: 0, copied: 0, out: String::new(), open: Vec::new(), names: Vec::new() };
    walk.value(max_depth)?;
    walk.space();
    if walk.at < text.len() {
        return None;
    }
    if walk.copied == 0 {
        return Some(Cow::Borrowed(text));
    }
    walk.copy();
    Some(Cow::Owned(walk.out))
}

/// An array or object whose end has not been reached.
#[derive(Clone, Copy)]
enum Open {
    Array,
    /// With how many names were known before its first.
    Object(usize),
}

struct Walk<'t> {
    text: &'t str,
    at: usize,
    /// Up to where the text is copied, or left out.
    copied: usize,
    out: String,
    open: Vec<Open>,
    /// The names of the members of all open objects.
    names: Vec<&'t str>,
}

impl Walk<'_> {
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Copies what was gone over and is as it should be.
    fn copy(&mut self) {
        self.out.push_str(self.text.get(self.copied..self.at).unwrap_or_default());
        self.copied = self.at;
    }

    /// Steps over so many bytes, which are left out.
    fn skip(&mut self, length: usize) {
        self.copy();
        self.at += length;
        self.copied = self.at;
    }

    /// Leaves white space out.
    fn space(&mut self) {
        if self.next().is_some_and(|byte| byte <= b' ') {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let length = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
            self.skip(length);
        }
    }

    /// Steps over this byte, which must be the next but for white space.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.space();
        if self.next() != Some(byte) {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Goes over a value and all that is in it, on a stack of its own.
    fn value(&mut self, max_depth: usize) -> Option<()> {
        loop {
            self.space();
            let first = self.next()?;
            if matches!(first, b'{' | b'[') {
                if self.open.len() >= max_depth {
                    return None;
                }
                self.at += 1;
                self.space();
                let is_object = first == b'{';
                if self.next() == Some(if is_object { b'}' } else { b']' }) {
                    self.at += 1;
                } else {
                    self.open.push(if is_object { Open::Object(self.names.len()) } else { Open::Array });
                    if is_object {
                        self.name()?;
                    }
                    continue;
                }
            } else {
                self.scalar(first)?;
            }
            if self.is_whole()? {
                return Some(());
            }
        }
    }

    /// Goes over what stands behind a value; whether that was the outermost one. If not, another value follows.
    fn is_whole(&mut self) -> Option<bool> {
        loop {
            let Some(open) = self.open.last().copied() else { return Some(true) };
            self.space();
            let (next, end) = (self.next()?, if matches!(open, Open::Array) { b']' } else { b'}' });
            self.at += 1;
            if next == b',' {
                if let Open::Object(_) = open {
                    self.name()?;
                }
                return Some(false);
            }
            if next != end {
                return None;
            }
            self.open.pop();
            if let Open::Object(known) = open {
                self.names.truncate(known);
            }
        }
    }

    /// Goes over a member's name and the colon behind it.
    fn name(&mut self) -> Option<()> {
        self.expect(b'"')?;
        let start = self.at;
        let length = string_run(self.text.as_bytes().get(start..)?);
        let name = self.text.get(start..start + length)?;
        self.at += length;
        let Some(Open::Object(known)) = self.open.last() else { return None };
        let names = self.names.get(*known..).unwrap_or_default();
        // One with an escape may be another one's equal all the same.
        if self.next() != Some(b'"') || names.len() >= MOST_NAMES || names.contains(&name) {
            return None;
        }
        self.names.push(name);
        self.at += 1;
        self.expect(b':')
    }

    fn scalar(&mut self, first: u8) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        match first {
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => return self.number(),
            _ => {}
        }
        let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word))?;
        self.at += word.len();
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let start = self.at;
        self.at += 1;
        let mut is_canonical = true;
        loop {
            self.at += string_run(self.text.as_bytes().get(self.at..)?);
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    let escaped = self.text.as_bytes().get(self.at + 1)?;
                    is_canonical &= matches!(escaped, b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't');
                    self.at += 2;
                }
                _ => return None,
            }
        }
        self.at += 1;
        if is_canonical { Some(()) } else { self.rewritten(start) }
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..)?;
        let is_of_number = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let number = rest.get(..rest.iter().take_while(is_of_number).count())?;
        self.at += number.len();
        let is_plain = matches!(number, [b'1'..=b'9', digits @ ..] | [b'-', b'1'..=b'9', digits @ ..] if digits.iter().all(u8::is_ascii_digit));
        if is_plain || *number == *b"0" { Some(()) } else { self.rewritten(start) }
    }

    /// Puts what the reader and the writer make of the scalar from `start` to here in its place.
    fn rewritten(&mut self, start: usize) -> Option<()> {
        let scalar = self.text.get(start..self.at)?;
        let mut reader = Reader::new(scalar.as_bytes()).ok()?;
        let value = reader.value(0).ok()?;
        reader.end().ok()?;
        let end = self.at;
        self.at = start;
        self.skip(end - start);
        write_compact(&value, &mut self.out);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the reader and the writer make of it.
    fn slow(text: &str, depth: usize) -> Option<String> {
        let mut reader = Reader::new(text.as_bytes()).ok()?.strict();
        let value = reader.value(depth).ok()?;
        reader.end().ok()?;
        let mut out = String::new();
        write_compact(&value, &mut out);
        Some(out)
    }

    #[track_caller]
    fn same(text: &str) {
        assert_eq!(canonical(text, 5).map(Cow::into_owned), slow(text, 5), "{text}");
    }

    #[test]
    fn what_stands_as_it_should_is_not_copied() {
        let text = r#"{"a":[1,-20,true,{"b":"x\n\"é"}],"c":{},"d":null}"#;
        assert!(matches!(canonical(text, 5), Some(Cow::Borrowed(same)) if same == text));
    }

    #[test]
    fn both_ways_to_the_form_lead_to_the_same() {
        for text in [
            " { \"a\" : [ 1 , 2 ] ,\t\"b\" : { } } \n",
            r#"{"a":1.50,"b":1E5,"c":-0,"d":-0.0,"e":1e999,"f":0}"#,
            r#"{"s":"\u00e9\/\ud83d\ude00\ud800\u001F\u001f\u000a"}"#,
            r#"{"a":[[[[]]]]}"#,
            r#"{"a":[[[[[]]]]]}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"x":1},"b":{"x":1}}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":-}"#,
            r#"{"a":+1}"#,
            r#"{"a":tru}"#,
            "{\"a\":\"\u{1}\"}",
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"x}"#,
            r#"{"a":1,}"#,
            r#"{"a":1]"#,
            r#"{"a":[1}"#,
            r#"{"a"}"#,
            r#"{,"a":1}"#,
            "{\u{a0}}",
            "{}x",
            "",
            " 1.0 ",
            " \"a\" ",
            "[]",
            "\u{feff}{}",
        ] {
            same(text);
        }
        // These the reader looks at.
        assert_eq!(canonical(r#"{"a":NaN}"#, 5), None);
        assert_eq!(canonical(r#"{"\u0061":1}"#, 5), None);
    }

    proptest! {
        #[test]
        fn any_text_is_left_to_the_reader_or_becomes_what_that_makes_of_it(text in r#"\{("a"|"b"|[ ]|[{}\[\]:,]|[0-9]|\\u00e9|\\n|"|1e2|-|\.|true|null|[a-z]){0,24}\}"#) {
            if let Some(fast) = canonical(&text, 5) {
                prop_assert_eq!(Some(fast.into_owned()), slow(&text, 5));
            }
        }

        #[test]
        fn any_object_becomes_what_the_reader_and_the_writer_make_of_it(
            members in proptest::collection::btree_map("[a-zé ]{0,4}", any_value(), 0..5),
            is_pretty: bool,
        ) {
            let value = serde_json::Value::Object(members.into_iter().collect());
            let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            prop_assert_eq!(canonical(&text, 9).map(Cow::into_owned), slow(&text, 9));
        }
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::btree_map("[a-z]{0,3}", inner, 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
