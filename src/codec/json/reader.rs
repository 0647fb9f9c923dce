//! Reading JSON as Python's `json.loads` does, neither more nor less.
//!
//! Owns the grammar and the limit of depth. Works on a stack of its own, so that no nesting can exhaust the
//! thread's. Allocates in proportion to the input.

use std::fmt;

use super::number::canonical_int;
use super::scan::{ascii_prefix, string_run};
use super::value::{Members, Value};
use crate::error::Error;
use crate::model::Text;

/// Why bytes are not the JSON that was expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct JsonError {
    /// The byte at which that shows.
    pub(crate) offset: u64,
    /// What is wrong there.
    pub(crate) reason: String,
}

impl JsonError {
    /// An error at a byte.
    pub(crate) fn new(offset: usize, reason: impl Into<String>) -> Self {
        Self { offset: u64::try_from(offset).unwrap_or(u64::MAX), reason: reason.into() }
    }

    /// The error of a call that was given these bytes.
    pub(crate) fn into_invalid(self) -> Error {
        Error::invalid(self.to_string())
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

/// A place in a JSON text, and the reading from there.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Whether a key that an object has twice is an error. If not, its last value counts, as in Python.
    is_strict: bool,
}

/// An array or object whose end has not been reached.
enum Open {
    Array(Vec<Value>),
    Object { members: Members<Value>, key: Text },
}

impl<'a> Reader<'a> {
    /// A reader at the start of these bytes, which must be UTF-8 throughout.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|e| JsonError::new(e.valid_up_to(), "not UTF-8"))?;
        if text.starts_with('\u{feff}') {
            return Err(JsonError::new(0, "a byte order mark, which JSON does not allow"));
        }
        Ok(Self { text, at: 0, is_strict: false })
    }

    /// The same, which refuses an object that has a key twice: of a line that somebody has written one of the two values
    /// would be lost without a word.
    pub(crate) fn strict(self) -> Self {
        Self { is_strict: true, ..self }
    }

    /// Holds that an object does not have this key yet, if that is asked for.
    pub(crate) fn once<V>(&self, members: &Members<V>, key: &Text) -> Result<(), JsonError> {
        if self.is_strict && members.find(key).is_some() {
            return Err(self.fail(format!("the key {:.60?} is there twice", key.to_string_lossy())));
        }
        Ok(())
    }

    /// The byte at which the reader stands.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// An error here.
    pub(crate) fn fail(&self, reason: impl Into<String>) -> JsonError {
        JsonError::new(self.at, reason)
    }

    /// The next byte that is not white space; the reader then stands at it.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let rest = self.rest();
        let space = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += space;
        rest.get(space).copied()
    }

    /// Steps over this byte if it is the next but for white space.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Steps over this byte, which must be the next but for white space.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.eat(byte) {
            return Ok(());
        }
        Err(self.fail(format!("expected '{}', found {}", char::from(byte), self.found())))
    }

    /// Holds that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fail(format!("expected the end, found {}", self.found()))),
        }
    }

    /// Steps over exactly this text, if it is what comes next.
    pub(crate) fn literal(&mut self, text: &[u8]) -> bool {
        let is_next = self.rest().starts_with(text);
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    /// Stands again where it stood before.
    pub(crate) fn go_back(&mut self, offset: usize) {
        debug_assert!(offset <= self.at && self.text.is_char_boundary(offset), "only to where it was");
        self.at = offset;
    }

    /// Reads a string, if one comes next.
    pub(crate) fn text(&mut self) -> Option<Text> {
        if self.rest().first() == Some(&b'"') { self.string().ok() } else { None }
    }

    /// Reads as much of the inside of a string as is printable ASCII without escapes.
    pub(crate) fn ascii(&mut self) -> &'a str {
        let start = self.at;
        self.at += ascii_prefix(self.rest());
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Reads an object, handing each key, with the reader at its value, to `each`.
    pub(crate) fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, Text) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.expect(b'{')?;
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            each(self, key)?;
            if !self.eat(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Reads an array, handing over to `each` with the reader before every element.
    pub(crate) fn elements(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.expect(b'[')?;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            if !self.eat(b',') {
                return self.expect(b']');
            }
        }
    }

    /// Reads a value of any kind that nests at most `max_depth` arrays and objects.
    pub(crate) fn value(&mut self, max_depth: usize) -> Result<Value, JsonError> {
        let mut open = Vec::new();
        loop {
            let complete = match self.peek() {
                Some(b'{' | b'[') if open.len() >= max_depth => {
                    return Err(self.fail(format!("nested more than {max_depth} deep")));
                }
                Some(b'{') => {
                    self.at += 1;
                    if !self.eat(b'}') {
                        open.push(Open::Object { members: Members::new(), key: self.key()? });
                        continue;
                    }
                    Value::Object(Vec::new())
                }
                Some(b'[') => {
                    self.at += 1;
                    if !self.eat(b']') {
                        open.push(Open::Array(Vec::new()));
                        continue;
                    }
                    Value::Array(Vec::new())
                }
                _ => self.scalar()?,
            };
            if let Some(whole) = self.put(complete, &mut open)? {
                return Ok(whole);
            }
        }
    }

    /// Hands a complete value to the array or object around it. Gives the outermost value back once that is
    /// complete; otherwise another value must follow.
    fn put(&mut self, mut complete: Value, open: &mut Vec<Open>) -> Result<Option<Value>, JsonError> {
        loop {
            match open.pop() {
                None => return Ok(Some(complete)),
                Some(Open::Array(mut items)) => {
                    items.push(complete);
                    if self.eat(b',') {
                        open.push(Open::Array(items));
                        return Ok(None);
                    }
                    self.expect(b']')?;
                    complete = Value::Array(items);
                }
                Some(Open::Object { mut members, key }) => {
                    self.once(&members, &key)?;
                    members.insert(key, complete);
                    if self.eat(b',') {
                        open.push(Open::Object { members, key: self.key()? });
                        return Ok(None);
                    }
                    self.expect(b'}')?;
                    complete = Value::Object(members.into_list());
                }
            }
        }
    }

    /// Reads a key and the colon after it.
    fn key(&mut self) -> Result<Text, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.fail(format!("expected a key, found {}", self.found())));
        }
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    fn scalar(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'"') => return Ok(Value::Str(self.string()?)),
            Some(b'0'..=b'9') => return self.number(),
            _ => {}
        }
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        for (word, value) in words {
            if self.rest().starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        if self.rest().first() == Some(&b'-') {
            return self.number();
        }
        Err(self.fail(format!("expected a value, found {}", self.found())))
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let rest = self.rest();
        let digits = |from: usize| {
            rest.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count()
        };
        let sign = usize::from(rest.first() == Some(&b'-'));
        let whole = if rest.get(sign) == Some(&b'0') { 1 } else { digits(sign) };
        if whole == 0 {
            return Err(self.fail("a minus sign without a number"));
        }
        let mut length = sign + whole;
        let integer = length;
        if rest.get(length) == Some(&b'.') && digits(length + 1) > 0 {
            length += 1 + digits(length + 1);
        }
        if matches!(rest.get(length), Some(b'e' | b'E')) {
            let signed = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length + 1 + signed);
            length += if exponent > 0 { 1 + signed + exponent } else { 0 };
        }
        let text = self.text.get(self.at..self.at + length).unwrap_or_default();
        let value = if length == integer {
            Value::Int(canonical_int(text).into())
        } else {
            Value::Float(text.parse().map_err(|_| self.fail("not a number"))?)
        };
        self.at += length;
        Ok(value)
    }

    /// Reads a string; the reader stands at its first quote.
    fn string(&mut self) -> Result<Text, JsonError> {
        let start = self.at;
        self.at += 1;
        let run = self.plain_run();
        if self.rest().first() == Some(&b'"') {
            self.at += 1;
            return Ok(Text::from(run));
        }
        let mut bytes = run.as_bytes().to_vec();
        loop {
            match self.rest().first() {
                Some(b'"') => break,
                Some(b'\\') => self.escape(&mut bytes)?,
                Some(_) => return Err(self.fail("a control character in a string")),
                None => return Err(JsonError::new(start, "a string without an end")),
            }
            bytes.extend_from_slice(self.plain_run().as_bytes());
        }
        self.at += 1;
        Text::from_wtf8(bytes).map_err(|_| JsonError::new(start, "not a string"))
    }

    /// Steps over the characters that stand for themselves.
    fn plain_run(&mut self) -> &'a str {
        let end = self.at + string_run(self.rest());
        let run = self.text.get(self.at..end).unwrap_or_default();
        self.at = end;
        run
    }

    /// Reads one escape, or two that are the halves of one character.
    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let plain = match self.rest().get(1) {
            Some(b'u') => return self.unicode_escape(out),
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            _ => return Err(self.fail("an unknown escape in a string")),
        };
        out.push(plain);
        self.at += 2;
        Ok(())
    }

    fn unicode_escape(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let first = self.unit(0).ok_or_else(|| self.fail("not four hexadecimal digits after \\u"))?;
        self.at += 6;
        let second = if (0xd800..0xdc00).contains(&first) { self.unit(0) } else { None };
        let point = match second {
            Some(low @ 0xdc00..=0xdfff) => {
                self.at += 6;
                0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00)
            }
            _ => first,
        };
        match char::from_u32(point) {
            Some(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None => out.extend_from_slice(&lone_surrogate(point)),
        }
        Ok(())
    }

    /// The code unit of an escape `\uXXXX` that begins so many bytes from here.
    fn unit(&self, ahead: usize) -> Option<u32> {
        let [b'\\', b'u', digits @ ..] = self.rest().get(ahead..ahead + 6)? else { return None };
        digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
    }

    /// What stands here, for an error.
    fn found(&self) -> String {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(character) => format!("{character:?}"),
            None => "the end".to_owned(),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }
}

/// The three bytes of a surrogate in WTF-8.
fn lone_surrogate(point: u32) -> [u8; 3] {
    let [low, ..] = (point & 0x3f | 0x80).to_le_bytes();
    let [middle, ..] = (point >> 6 & 0x3f | 0x80).to_le_bytes();
    [0xed, middle, low]
}

#[cfg(test)]
mod tests;
