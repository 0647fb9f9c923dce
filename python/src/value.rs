//! Python's values of the JSON that the store keeps.
//!
//! Owns the way from canonical text to dictionaries, lists and the rest, without Python's own reader. What is out of the
//! ordinary in a text (half of a surrogate pair, an integer of many digits, nesting without end) is left to that one, which decides
//! what can be read and what is said of the rest. What the store gives is canonical; this is no validator.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyNone, PyString};

/// How deep a value may nest here. Python's reader has a limit of its own, which the program can set.
const MAX_DEPTH: usize = 64;

/// Integers of up to so many characters fit into 64 bits.
const MAX_DIGITS: usize = 18;

/// Strings of up to so many bytes are kept, since names and kinds are the same in every item.
const KEPT_BYTES: usize = 24;

/// For how many strings there is a place.
const PLACES: usize = 256;

/// Why there is no value.
pub(crate) enum Stop {
    /// Python's own reader is to read the text.
    Unusual,
    /// Python has failed.
    Failed(PyErr),
}

impl From<PyErr> for Stop {
    fn from(error: PyErr) -> Self {
        Self::Failed(error)
    }
}

type Built<'py> = Result<Bound<'py, PyAny>, Stop>;

/// A short string, and the one that Python has for it.
struct Kept<'py> {
    length: usize,
    bytes: [u8; KEPT_BYTES],
    string: Bound<'py, PyString>,
}

/// Makes values, and remembers short strings for the next one.
pub(crate) struct Values<'py> {
    py: Python<'py>,
    kept: Vec<Option<Kept<'py>>>,
}

/// What there is still to read of a text.
pub(crate) struct Rest<'t>(&'t str);

impl<'t> Rest<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self(text)
    }

    /// Whether this is what there still is.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0 == text
    }

    fn peek(&self) -> Option<u8> {
        self.0.as_bytes().first().copied()
    }

    /// Takes the first so many bytes.
    fn take(&mut self, count: usize) -> Result<&'t str, Stop> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Stop::Unusual)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Takes this byte if it is the next one.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.0 = self.0.get(1..).unwrap_or_default();
        }
        is_next
    }

    /// Takes what has to stand next.
    pub(crate) fn expect(&mut self, text: &str) -> Result<(), Stop> {
        self.0 = self.0.strip_prefix(text).ok_or(Stop::Unusual)?;
        Ok(())
    }
}

impl<'py> Values<'py> {
    pub(crate) fn new(py: Python<'py>) -> Self {
        Self { py, kept: std::iter::repeat_with(|| None).take(PLACES).collect() }
    }

    /// The string for a text, which is the same one for a short text that came before.
    pub(crate) fn string(&mut self, text: &str) -> Bound<'py, PyString> {
        let length = text.len();
        let mut bytes = [0; KEPT_BYTES];
        let Some(start) = bytes.get_mut(..length) else { return PyString::new(self.py, text) };
        start.copy_from_slice(text.as_bytes());
        let place = self.kept.get_mut(place_of(&bytes, length));
        if let Some(Some(kept)) = &place
            && kept.length == length
            && kept.bytes == bytes
        {
            return kept.string.clone();
        }
        let string = PyString::new(self.py, text);
        if let Some(place) = place {
            *place = Some(Kept { length, bytes, string: string.clone() });
        }
        string
    }

    /// The value of a whole text.
    pub(crate) fn of(&mut self, text: &str) -> Built<'py> {
        let mut rest = Rest(text);
        let value = self.next(&mut rest)?;
        if rest.0.is_empty() { Ok(value) } else { Err(Stop::Unusual) }
    }

    /// The value that stands next in a text.
    pub(crate) fn next(&mut self, rest: &mut Rest<'_>) -> Built<'py> {
        self.value(rest, MAX_DEPTH)
    }

    fn value(&mut self, rest: &mut Rest<'_>, depth: usize) -> Built<'py> {
        match rest.peek() {
            Some(b'"') => self.quoted(rest).map(Bound::into_any),
            Some(b'{') => self.object(rest, depth.checked_sub(1).ok_or(Stop::Unusual)?),
            Some(b'[') => self.array(rest, depth.checked_sub(1).ok_or(Stop::Unusual)?),
            Some(b'-' | b'0'..=b'9') => self.number(rest),
            Some(b't') => literal(rest, "true", PyBool::new(self.py, true).to_owned().into_any()),
            Some(b'f') => literal(rest, "false", PyBool::new(self.py, false).to_owned().into_any()),
            Some(b'n') => literal(rest, "null", PyNone::get(self.py).to_owned().into_any()),
            // What is not a number, and what has no end.
            Some(_) | None => Err(Stop::Unusual),
        }
    }

    fn object(&mut self, rest: &mut Rest<'_>, depth: usize) -> Built<'py> {
        let object = PyDict::new(self.py);
        rest.expect("{")?;
        if rest.eat(b'}') {
            return Ok(object.into_any());
        }
        loop {
            let name = self.quoted(rest)?;
            rest.expect(":")?;
            object.set_item(name, self.value(rest, depth)?)?;
            if rest.eat(b'}') {
                return Ok(object.into_any());
            }
            rest.expect(",")?;
        }
    }

    fn array(&mut self, rest: &mut Rest<'_>, depth: usize) -> Built<'py> {
        let array = PyList::empty(self.py);
        rest.expect("[")?;
        if rest.eat(b']') {
            return Ok(array.into_any());
        }
        loop {
            array.append(self.value(rest, depth)?)?;
            if rest.eat(b']') {
                return Ok(array.into_any());
            }
            rest.expect(",")?;
        }
    }

    fn quoted(&mut self, rest: &mut Rest<'_>) -> Result<Bound<'py, PyString>, Stop> {
        rest.expect("\"")?;
        let plain = run(rest)?;
        if rest.eat(b'"') {
            return Ok(self.string(plain));
        }
        let mut text = plain.to_owned();
        loop {
            rest.expect("\\")?;
            text.push(escaped(rest)?);
            text.push_str(run(rest)?);
            if rest.eat(b'"') {
                return Ok(PyString::new(self.py, &text));
            }
        }
    }

    fn number(&self, rest: &mut Rest<'_>) -> Built<'py> {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e');
        let length = rest.0.bytes().take_while(is_part).count();
        let text = rest.take(length)?;
        let is_whole = !text.contains(['.', 'e']);
        if is_whole && length <= MAX_DIGITS {
            let number: i64 = text.parse().map_err(|_| Stop::Unusual)?;
            return Ok(PyInt::new(self.py, number).into_any());
        }
        if is_whole {
            return Err(Stop::Unusual);
        }
        let number: f64 = text.parse().map_err(|_| Stop::Unusual)?;
        Ok(PyFloat::new(self.py, number).into_any())
    }
}

fn literal<'py>(rest: &mut Rest<'_>, text: &str, value: Bound<'py, PyAny>) -> Built<'py> {
    if rest.take(text.len())? == text { Ok(value) } else { Err(Stop::Unusual) }
}

/// Where a short string is kept: by its length and by both of its ends.
fn place_of(bytes: &[u8; KEPT_BYTES], length: usize) -> usize {
    let word = |at: usize| {
        let part: [u8; 8] = bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).unwrap_or_default();
        u64::from_le_bytes(part)
    };
    let mixed = (word(0) ^ word(length.saturating_sub(8)).rotate_left(29) ^ word(8).rotate_left(47))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let high = usize::try_from(mixed >> 48).unwrap_or_default();
    (high ^ length) % PLACES
}

/// The part of a string up to its end or its next escape.
fn run<'t>(rest: &mut Rest<'t>) -> Result<&'t str, Stop> {
    let length = memchr::memchr2(b'"', b'\\', rest.0.as_bytes()).ok_or(Stop::Unusual)?;
    rest.take(length)
}

/// The character that an escape stands for, without its backslash.
fn escaped(rest: &mut Rest<'_>) -> Result<char, Stop> {
    Ok(match rest.take(1)? {
        "\"" => '"',
        "\\" => '\\',
        "n" => '\n',
        "r" => '\r',
        "t" => '\t',
        "b" => '\u{8}',
        "f" => '\u{c}',
        "u" => {
            let unit = u32::from_str_radix(rest.take(4)?, 16).map_err(|_| Stop::Unusual)?;
            // Half of a pair is none.
            char::from_u32(unit).ok_or(Stop::Unusual)?
        }
        _ => return Err(Stop::Unusual),
    })
}
