//! Ids in a payload.
//!
//! Owns the packing of a UUID in its usual form into 16 bytes. Every other text stays as it is.

use bincode::{BorrowDecode, Encode};

use crate::model::Text;

/// Why a payload cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BadPayload(pub(crate) String);

/// An id: most are UUIDs in the usual form, which need 16 bytes instead of 36.
#[derive(Clone, Copy, Debug, Encode, BorrowDecode, PartialEq, Eq)]
pub(crate) enum IdView<'a> {
    Uuid([u8; 16]),
    Text(&'a [u8]),
}

impl<'a> IdView<'a> {
    pub(crate) fn of(id: &'a [u8]) -> Self {
        uuid_of(id).map_or(Self::Text(id), Self::Uuid)
    }

    /// Calls with the id's bytes, which are WTF-8.
    pub(crate) fn with_bytes<T>(&self, take: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Uuid(bytes) => {
                let mut buffer = uuid::Uuid::encode_buffer();
                take(uuid::Uuid::from_bytes(*bytes).as_hyphenated().encode_lower(&mut buffer).as_bytes())
            }
            Self::Text(bytes) => take(bytes),
        }
    }

    pub(crate) fn to_text(self) -> Result<Text, BadPayload> {
        if let Self::Uuid(bytes) = self {
            let mut buffer = uuid::Uuid::encode_buffer();
            return Ok(Text::from(&*uuid::Uuid::from_bytes(bytes).as_hyphenated().encode_lower(&mut buffer)));
        }
        self.with_bytes(Text::copied_from_wtf8).map_err(|_| BadPayload("an id is not well-formed".to_owned()))
    }

    /// The id as a conversation's, which is valid Unicode.
    pub(crate) fn to_id(self) -> Result<String, BadPayload> {
        self.with_bytes(|bytes| std::str::from_utf8(bytes).map(str::to_owned))
            .map_err(|_| BadPayload("a conversation id is not valid Unicode".to_owned()))
    }
}

/// The bytes of a UUID in its canonical text: lower case, hyphens in their places.
fn uuid_of(id: &[u8]) -> Option<[u8; 16]> {
    let id: &[u8; 36] = id.try_into().ok()?;
    let uuid = uuid::Uuid::try_parse_ascii(id).ok()?;
    let is_canonical = !id.iter().any(u8::is_ascii_uppercase);
    is_canonical.then(|| uuid.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_usual_form_of_a_uuid_is_packed() {
        let id = "4ae7d5a2-0b1f-4c5e-8a3e-000000000001";
        assert!(IdView::of(id.as_bytes()) != IdView::Text(id.as_bytes()));
        for other in
            [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}"), "c1".to_owned(), String::new()]
        {
            assert_eq!(IdView::of(other.as_bytes()), IdView::Text(other.as_bytes()));
        }
        assert_eq!(IdView::of(id.as_bytes()).to_text().unwrap(), id);
    }
}
