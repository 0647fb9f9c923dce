//! Text as Python has it: Unicode that may hold lone surrogates.
//!
//! Owns the one representation of it, WTF-8 (<https://simonsapin.github.io/wtf-8/>): UTF-8, in which a
//! surrogate that has no partner is encoded like any other code point of three bytes. Text without lone
//! surrogates is plain UTF-8 and can be borrowed as `&str` for nothing.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A string of Unicode code points, lone surrogates included.
///
/// The original writes lone surrogates (a streamed emoji cut in half), so a store that must hand every
/// message back unchanged has to hold them. Everything else about it is a `String`.
///
/// ```
/// use aral_store::Text;
/// let text = Text::from("grüezi");
/// assert_eq!(text.as_str(), Some("grüezi"));
/// assert_eq!(text, "grüezi");
/// ```
#[derive(Clone)]
pub struct Text(Kept);

/// How the bytes are kept. The same text may be kept in either way; only the bytes count.
#[derive(Clone)]
enum Kept {
    Boxed(Box<[u8]>),
    /// With room behind them, because more comes.
    Grown(Vec<u8>),
    /// So many of these bytes, without memory of their own: every UUID and role is as short, and most titles.
    Here(u8, [u8; HERE]),
}

/// How long a text may be that needs no memory of its own: a message is read with one allocation, of its content.
/// A text takes 40 bytes, two of them for the rest.
const HERE: usize = 38;

const _: () =
    assert!(size_of::<Text>() == 40, "two bytes beside a short text say that it is one, and its length");

/// Bytes that are not well-formed WTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotWtf8 {
    /// How many leading bytes are well-formed.
    pub valid_up_to: usize,
}

impl Text {
    /// The text as a string slice, unless it holds a lone surrogate.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_wtf8()).ok()
    }

    /// The text with each lone surrogate replaced by U+FFFD.
    #[must_use]
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        if let Some(text) = self.as_str() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(self.code_points().map(|c| char::from_u32(c).unwrap_or('\u{fffd}')).collect())
    }

    /// The bytes of the text in WTF-8.
    #[must_use]
    pub fn as_wtf8(&self) -> &[u8] {
        match &self.0 {
            Kept::Boxed(bytes) => bytes,
            Kept::Grown(bytes) => bytes,
            Kept::Here(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
        }
    }

    /// The number of bytes of the text in WTF-8; the limits of the store count these.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_wtf8().len()
    }

    /// Whether the text is `""`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_wtf8().is_empty()
    }

    /// Takes bytes that must be well-formed WTF-8.
    ///
    /// # Errors
    ///
    /// [`NotWtf8`] names the first byte that is not: a stray continuation byte, an overlong form, a code
    /// point past U+10FFFF, or a surrogate *pair* in two times three bytes (it has a four-byte form).
    pub fn from_wtf8(bytes: Vec<u8>) -> Result<Self, NotWtf8> {
        check_wtf8(&bytes)?;
        Ok(Self(Kept::Boxed(bytes.into_boxed_slice())))
    }

    /// Copies bytes that must be well-formed WTF-8.
    pub(crate) fn copied_from_wtf8(bytes: &[u8]) -> Result<Self, NotWtf8> {
        // Most text is ASCII, for which there is a quicker look.
        if !bytes.is_ascii() {
            check_wtf8(bytes)?;
        }
        Ok(Self(Kept::of(bytes)))
    }

    /// Whether it begins with the second half of a character, which may belong to a half at the end of another text.
    pub(crate) fn begins_with_a_half(&self) -> bool {
        matches!(self.as_wtf8(), [0xed, 0xb0..=0xbf, ..])
    }

    /// Where the first half of a character begins that the text ends with.
    pub(crate) fn half_at_end(&self) -> Option<usize> {
        match self.as_wtf8() {
            [.., 0xed, 0xa0..=0xaf, _] => Some(self.len() - 3),
            _ => None,
        }
    }

    /// The text with another one behind it, whose second half of a character follows the first half that this ends with; `None` if this
    /// ends with none.
    pub(crate) fn joined(&self, more: &Self) -> Option<Self> {
        let whole = self.half_at_end()?;
        let (own, others) = (self.as_wtf8(), more.as_wtf8());
        let half = |bytes: Option<&[u8]>| match bytes {
            Some(&[0xed, second, third]) => Some(u32::from(second & 0x1f) << 6 | u32::from(third & 0x3f)),
            _ => None,
        };
        // The bits that tell a half from the other characters of three bytes are left out: ten of each are the character's.
        let (high, low) = (half(own.get(whole..))? & 0x3ff, half(others.get(..3))? & 0x3ff);
        let character = char::from_u32(0x1_0000 + (high << 10) + low)?;
        let mut bytes = own.get(..whole)?.to_vec();
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        bytes.extend_from_slice(others.get(3..)?);
        Self::from_wtf8(bytes).ok()
    }

    /// The text up to a boundary between characters, and the rest.
    pub(crate) fn split(&self, at: usize) -> (Self, Self) {
        let (first, rest) = self.as_wtf8().split_at(at.min(self.len()));
        (Self(Kept::of(first)), Self(Kept::of(rest)))
    }

    /// Puts another text behind it. However long it has become, that takes as long as the other one is.
    pub(crate) fn push(&mut self, more: &Self) {
        let more = more.as_wtf8();
        if let Kept::Grown(bytes) = &mut self.0 {
            bytes.extend_from_slice(more);
            return;
        }
        let mut bytes = Vec::with_capacity(2 * (self.len() + more.len()));
        bytes.extend_from_slice(self.as_wtf8());
        bytes.extend_from_slice(more);
        self.0 = Kept::Grown(bytes);
    }

    /// Copies bytes that are known to be ASCII.
    #[inline]
    pub(crate) fn copied_from_ascii(ascii: &[u8]) -> Self {
        debug_assert!(ascii.is_ascii(), "what is not ASCII need not be text");
        Self(Kept::of(ascii))
    }

    /// A text of so few bytes of ASCII that it needs no memory of its own.
    pub(crate) fn of_short_ascii<const N: usize>(ascii: [u8; N]) -> Self {
        const { assert!(N <= HERE, "a text that is kept here fits in here") };
        debug_assert!(ascii.is_ascii(), "what is not ASCII need not be text");
        let mut here = [0; HERE];
        if let Some((place, _)) = here.split_first_chunk_mut() {
            *place = ascii;
        }
        // No more than 38, as was held above.
        Self(Kept::Here(u8::try_from(N).unwrap_or_default(), here))
    }

    /// The code points in order, lone surrogates among them.
    pub fn code_points(&self) -> impl Iterator<Item = u32> + '_ {
        let mut bytes = self.as_wtf8().iter().map(|b| u32::from(*b));
        std::iter::from_fn(move || {
            let first = bytes.next()?;
            let mut follow = || bytes.next().unwrap_or(0) & 0x3f;
            Some(match first {
                0..=0x7f => first,
                0x80..=0xdf => (first & 0x1f) << 6 | follow(),
                0xe0..=0xef => (first & 0x0f) << 12 | follow() << 6 | follow(),
                _ => (first & 0x07) << 18 | follow() << 12 | follow() << 6 | follow(),
            })
        })
    }
}

impl Kept {
    fn of(bytes: &[u8]) -> Self {
        let mut here = [0; HERE];
        match (here.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(bytes);
                Self::Here(length, here)
            }
            _ => Self::Boxed(bytes.into()),
        }
    }
}

/// Walks over runs of UTF-8 and the surrogates between them.
pub(super) fn check_wtf8(bytes: &[u8]) -> Result<(), NotWtf8> {
    let mut at = 0;
    // Where a high surrogate ended: a low one must not begin there.
    let mut high_ended = None;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Err(error) = std::str::from_utf8(rest) else { return Ok(()) };
        at += error.valid_up_to();
        match bytes.get(at..at + 3) {
            Some(&[0xed, second @ 0xa0..=0xbf, 0x80..=0xbf]) => {
                let is_low = second >= 0xb0;
                if is_low && high_ended == Some(at) {
                    return Err(NotWtf8 { valid_up_to: at });
                }
                at += 3;
                high_ended = (!is_low).then_some(at);
            }
            _ => return Err(NotWtf8 { valid_up_to: at }),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Kept::of(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Kept::Boxed(text.into_bytes().into_boxed_slice()))
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Kept::of(b""))
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_wtf8() == other.as_wtf8()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_wtf8().cmp(other.as_wtf8())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_wtf8().hash(state);
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        *self.as_wtf8() == *other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for Text {
    /// Writes the text with each lone surrogate replaced by U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_string_lossy())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) => fmt::Debug::fmt(text, f),
            None => write!(f, "Text({:?} …, with lone surrogates)", self.to_string_lossy()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_surrogate_is_kept_and_a_pair_is_refused() {
        let lone = Text::from_wtf8(vec![b'a', 0xed, 0xa0, 0x80, b'b']).unwrap();
        assert_eq!(lone.as_str(), None);
        assert_eq!(lone.code_points().collect::<Vec<_>>(), [0x61, 0xd800, 0x62]);
        assert_eq!(lone.to_string_lossy(), "a\u{fffd}b");
        let pair = vec![0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80];
        assert_eq!(Text::from_wtf8(pair), Err(NotWtf8 { valid_up_to: 3 }));
        let low_then_high = vec![0xed, 0xb8, 0x80, 0xed, 0xa0, 0xbd];
        assert!(Text::from_wtf8(low_then_high).is_ok());
    }

    #[test]
    fn two_halves_of_a_character_become_one_and_nothing_else_does() {
        let smile = '\u{1f600}';
        let (high, low) = (vec![b'a', 0xed, 0xa0, 0xbd], vec![0xed, 0xb8, 0x80, b'b']);
        let [high, low] = [high, low].map(|bytes| Text::from_wtf8(bytes).unwrap());
        assert_eq!(high.joined(&low), Some(Text::from(format!("a{smile}b"))));
        assert_eq!((high.half_at_end(), low.half_at_end()), (Some(1), None));
        assert_eq!((high.begins_with_a_half(), low.begins_with_a_half()), (false, true));
        assert_eq!(Text::from("a").joined(&low), None);
        let mut last = Text::from_wtf8(vec![0xed, 0xaf, 0xbf]).unwrap();
        assert_eq!(
            last.joined(&Text::from_wtf8(vec![0xed, 0xbf, 0xbf]).unwrap()),
            Some(Text::from("\u{10ffff}"))
        );
        last.push(&Text::from("x"));
        last.push(&Text::from("yz"));
        assert_eq!(last.as_wtf8(), [0xed, 0xaf, 0xbf, b'x', b'y', b'z']);
        assert_eq!(last.split(3).1, Text::from("xyz"));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_where_they_begin() {
        for (bytes, at) in
            [(&b"ab\xff"[..], 2), (b"\xc0\x80", 0), (b"x\xed\xa0", 1), (b"\xf4\x90\x80\x80", 0)]
        {
            assert_eq!(Text::from_wtf8(bytes.to_vec()), Err(NotWtf8 { valid_up_to: at }));
        }
    }

    #[test]
    fn a_text_is_its_bytes_however_they_are_kept() {
        use std::collections::HashSet;
        for word in [
            "user",
            "",
            "Conversation 12345678",
            "just 22 bytes and this",
            "4ae7d5a2-0b1f-4c5e-8a3e-000000000001",
            "just thirty-eight bytes, and these too",
            "thirty-nine bytes in all, and these too",
            "grüezi",
        ] {
            let ways = [
                Text::from(word),
                Text::from(word.to_owned()),
                Text::copied_from_wtf8(word.as_bytes()).unwrap(),
                Text::from_wtf8(word.as_bytes().to_vec()).unwrap(),
            ];
            for way in &ways {
                assert_eq!(
                    (way.as_str(), way.len(), way.is_empty()),
                    (Some(word), word.len(), word.is_empty())
                );
                assert!(
                    *way == ways[0] && way.cmp(&ways[1]).is_eq() && *way > Text::default() || word.is_empty()
                );
            }
            assert_eq!(ways.into_iter().collect::<HashSet<_>>().len(), 1);
        }
    }

    #[test]
    fn code_points_are_those_of_str() {
        let text = "a\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}";
        assert!(Text::from(text).code_points().eq(text.chars().map(u32::from)));
    }
}
