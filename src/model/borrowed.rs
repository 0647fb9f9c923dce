//! A message that is only looked at.
//!
//! Owns the shapes that are lent to a caller for the time of a call, without memory of their own. Knows not
//! where they are lent from.

use std::fmt;

use super::text::{NotWtf8, Text, check_wtf8};
use super::{JsonObject, Message, Timestamp};

/// A [`Text`] that is borrowed.
///
/// ```
/// use aral_store::{Text, TextRef};
/// let text = Text::from("grüezi");
/// let borrowed = TextRef::from(&text);
/// assert_eq!(borrowed.as_str(), Some("grüezi"));
/// assert_eq!(borrowed.to_text(), text);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TextRef<'t>(Lent<'t>);

/// Looked through once, when it is lent, and not again by those who ask.
#[derive(Clone, Copy)]
enum Lent<'t> {
    Str(&'t str),
    /// With a lone surrogate in it, and well-formed.
    Wtf8(&'t [u8]),
}

/// A [`Message`] whose parts are borrowed: what
/// [`for_each_message`](crate::MessageStore::for_each_message) lends.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MessageRef<'m> {
    /// The message's id.
    pub id: TextRef<'m>,
    /// The text, possibly empty.
    pub content: TextRef<'m>,
    /// Who said it.
    pub role: TextRef<'m>,
    /// When, by the clock of whoever added it.
    pub created_at: Timestamp,
    /// The metadata, as the JSON text of [`JsonObject::as_json`].
    pub metadata: &'m str,
    /// The fields without a name in the original's model, as JSON text too.
    pub extra: &'m str,
}

impl<'t> TextRef<'t> {
    /// Takes bytes that must be well-formed WTF-8.
    pub(crate) fn from_wtf8(bytes: &'t [u8]) -> Result<Self, NotWtf8> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Ok(Self(Lent::Str(text)));
        }
        check_wtf8(bytes).map(|()| Self(Lent::Wtf8(bytes)))
    }

    /// The text as a string slice, unless it holds a lone surrogate.
    #[must_use]
    pub fn as_str(&self) -> Option<&'t str> {
        match self.0 {
            Lent::Str(text) => Some(text),
            Lent::Wtf8(_) => None,
        }
    }

    /// The bytes of the text in WTF-8.
    #[must_use]
    pub fn as_wtf8(&self) -> &'t [u8] {
        match self.0 {
            Lent::Str(text) => text.as_bytes(),
            Lent::Wtf8(bytes) => bytes,
        }
    }

    /// The number of bytes of the text in WTF-8.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_wtf8().len()
    }

    /// Whether the text is `""`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_wtf8().is_empty()
    }

    /// A copy that is owned.
    #[must_use]
    pub fn to_text(&self) -> Text {
        // What is lent was looked through when it was, so that nothing can be wrong with it.
        Text::copied_from_wtf8(self.as_wtf8()).unwrap_or_default()
    }
}

impl<'t> From<&'t str> for TextRef<'t> {
    fn from(text: &'t str) -> Self {
        Self(Lent::Str(text))
    }
}

impl<'t> From<&'t String> for TextRef<'t> {
    fn from(text: &'t String) -> Self {
        Self(Lent::Str(text))
    }
}

impl<'t> From<&'t Text> for TextRef<'t> {
    fn from(text: &'t Text) -> Self {
        Self(text.as_str().map_or_else(|| Lent::Wtf8(text.as_wtf8()), Lent::Str))
    }
}

impl PartialEq for TextRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_wtf8() == other.as_wtf8()
    }
}

impl Eq for TextRef<'_> {}

impl PartialEq<str> for TextRef<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_wtf8() == other.as_bytes()
    }
}

impl PartialEq<&str> for TextRef<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialEq<Text> for TextRef<'_> {
    fn eq(&self, other: &Text) -> bool {
        self.as_wtf8() == other.as_wtf8()
    }
}

impl fmt::Display for TextRef<'_> {
    /// Writes the text with each lone surrogate replaced by U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Lent::Str(text) => f.pad(text),
            Lent::Wtf8(_) => fmt::Display::fmt(&self.to_text(), f),
        }
    }
}

impl fmt::Debug for Lent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(text) => fmt::Debug::fmt(text, f),
            Self::Wtf8(_) => fmt::Debug::fmt(&TextRef(*self).to_text(), f),
        }
    }
}

impl MessageRef<'_> {
    /// A copy that is owned.
    #[must_use]
    pub fn to_message(&self) -> Message {
        Message {
            id: self.id.to_text(),
            content: self.content.to_text(),
            role: self.role.to_text(),
            created_at: self.created_at,
            metadata: JsonObject::from_canonical(self.metadata),
            extra: JsonObject::from_canonical(self.extra),
        }
    }
}

impl<'m> From<&'m Message> for MessageRef<'m> {
    fn from(message: &'m Message) -> Self {
        Self {
            id: TextRef::from(&message.id),
            content: TextRef::from(&message.content),
            role: TextRef::from(&message.role),
            created_at: message.created_at,
            metadata: message.metadata.as_json(),
            extra: message.extra.as_json(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_is_what_was_there() {
        let lone = Text::from_wtf8(vec![b'a', 0xed, 0xa0, 0x80, b'b']).unwrap();
        let mut message = Message::new("m", lone.clone(), "user", Timestamp::EPOCH);
        message.metadata = JsonObject::from_canonical(r#"{"k":1}"#);
        let lent = MessageRef::from(&message);
        assert_eq!(lent.to_message(), message);
        assert_eq!((lent.id.as_str(), lent.content.as_str(), lent.extra), (Some("m"), None, "{}"));
        assert!(lent.content == lone && lent.role == "user" && lent.content.len() == 5);
        assert_eq!(
            (lent.content.to_string(), format!("{:?}", lent.id)),
            (lone.to_string(), "TextRef(\"m\")".into())
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_not_lent() {
        for bytes in [&b"ab\xff"[..], b"\xed\xa0\xbd\xed\xb8\x80", b"x\xed\xa0"] {
            assert!(TextRef::from_wtf8(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(TextRef::from_wtf8(b"\xed\xa0\x80").unwrap().as_str(), None);
    }
}
