//! The mark of a reply that is not finished.
//!
//! Owns where it stands: the member `"partial": true` of the message's metadata, which the original carries along like any other.

use super::value::Value;
use crate::error::{Error, Result};
use crate::model::{JsonObject, Message, MessageRef, Text};

/// The member's name.
const PARTIAL: &str = "partial";

/// The member as it stands in the canonical form.
const MEMBER: &[u8] = br#""partial":true"#;

impl JsonObject {
    /// Whether it has the mark.
    fn is_marked(&self) -> bool {
        // Mostly there is no metadata, and hardly ever anything like the mark in it.
        !self.is_empty() && memchr::memmem::find(self.as_json().as_bytes(), MEMBER).is_some() && {
            self.members().iter().any(|(key, value)| key == PARTIAL && *value == Value::Bool(true))
        }
    }

    /// The object with the mark.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it has another member of that name.
    pub(crate) fn with_mark(&self) -> Result<Self> {
        if self.is_marked() {
            return Ok(self.clone());
        }
        self.must_not_name_the_mark()?;
        let mut members = self.members();
        members.push((Text::from(PARTIAL), Value::Bool(true)));
        Ok(Self::from_members(&members))
    }

    /// The object without the mark, and with these members, each in the place of the one with its name.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if one of them has the mark's name.
    pub(crate) fn without_mark(&self, more: &Self) -> Result<Self> {
        more.must_not_name_the_mark()?;
        let mut members = self.members();
        members.retain(|(key, _)| key != PARTIAL);
        for (key, value) in more.members() {
            match members.iter_mut().find(|(there, _)| *there == key) {
                Some((_, there)) => *there = value,
                None => members.push((key, value)),
            }
        }
        Ok(Self::from_members(&members))
    }

    fn must_not_name_the_mark(&self) -> Result<()> {
        if self.members().iter().any(|(key, _)| key == PARTIAL) {
            let reason =
                "metadata has a member \"partial\", the name of the mark of a reply that is being written";
            return Err(Error::invalid(reason));
        }
        Ok(())
    }
}

impl Message {
    /// Whether it is a reply that is still being written, or that nobody has finished: its metadata has the member
    /// `"partial": true`. Its text is what has come so far.
    ///
    /// ```
    /// use aral_store::{MessageStore, NewMessage};
    /// let store = MessageStore::in_memory();
    /// let mut reply = store.begin_message("c1", NewMessage::new("").role("assistant").id("m1"))?;
    /// reply.append("Hel")?;
    /// let so_far = store.message("c1", "m1")?.unwrap();
    /// assert_eq!((so_far.content.as_str(), so_far.is_partial()), (Some("Hel"), true));
    /// reply.append("lo.")?;
    /// reply.finish()?;
    /// let whole = store.message("c1", "m1")?.unwrap();
    /// assert_eq!((whole.content.as_str(), whole.is_partial()), (Some("Hello."), false));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.metadata.is_marked()
    }
}

impl MessageRef<'_> {
    /// Whether it is a reply that is not finished. A [`Message`] has the same.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        JsonObject::from_canonical(self.metadata).is_marked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> JsonObject {
        JsonObject::parse(text).unwrap()
    }

    #[test]
    fn the_mark_is_a_member_of_the_metadata_and_nothing_inside_of_one() {
        for (text, is_marked) in [
            ("{}", false),
            (r#"{"partial":true}"#, true),
            (r#"{"a":1,"partial":true}"#, true),
            (r#"{"partial":false}"#, false),
            (r#"{"partial":"true"}"#, false),
            (r#"{"a":{"partial":true}}"#, false),
            (r#"{"a":"\"partial\":true"}"#, false),
        ] {
            assert_eq!(object(text).is_marked(), is_marked, "{text}");
        }
    }

    #[test]
    fn the_mark_comes_and_goes_and_everything_else_stays() {
        let marked = object(r#"{"a":1}"#).with_mark().unwrap();
        assert_eq!(marked, object(r#"{"a":1,"partial":true}"#));
        assert_eq!(marked.with_mark().unwrap(), marked);
        let more = object(r#"{"stop":"end","a":2}"#);
        assert_eq!(marked.without_mark(&more).unwrap(), object(r#"{"a":2,"stop":"end"}"#));
        let only = JsonObject::EMPTY.with_mark().unwrap();
        assert_eq!(only.without_mark(&JsonObject::EMPTY).unwrap(), JsonObject::EMPTY);
        assert!(object(r#"{"partial":1}"#).with_mark().is_err());
        assert!(marked.without_mark(&object(r#"{"partial":true}"#)).is_err());
    }
}
