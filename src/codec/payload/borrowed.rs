//! What a payload says without memory of its own: where a change takes place, and a message as it lies there.
//!
//! Owns the way to a message without memory of its own. It holds the payload to what the way to an owned
//! message holds it to.

use super::{BadPayload, ChangeView, MessageView, object_text};
use crate::codec::ids::IdView;
use crate::model::{MessageRef, TextRef};

#[inline]
pub(super) fn text(bytes: &[u8]) -> Result<TextRef<'_>, BadPayload> {
    TextRef::from_wtf8(bytes).map_err(|_| BadPayload("a text is not well-formed".to_owned()))
}

impl ChangeView<'_> {
    /// The place of what the change edits or removes; 0 of any other.
    pub(crate) fn place(&self) -> u64 {
        match self {
            Self::EditMessage { at, .. }
            | Self::RemoveMessage { at, .. }
            | Self::EditAction { at, .. }
            | Self::RemoveAction { at, .. }
            | Self::AppendText { at, .. } => *at,
            Self::Create { .. }
            | Self::SetTitle(_)
            | Self::SetMetadata(_)
            | Self::AddMessage(_)
            | Self::AddAction(_)
            | Self::Clear
            | Self::Remove
            | Self::Reset { .. }
            | Self::SetCreatedAt(_)
            | Self::SetExtra(_)
            | Self::RemoveAt(_)
            | Self::SetVersion(_)
            | Self::RemoveFor { .. } => 0,
        }
    }
}

impl MessageView<'_> {
    /// Calls with the message.
    pub(crate) fn lend<T>(&self, take: impl FnOnce(MessageRef<'_>) -> T) -> Result<T, BadPayload> {
        let mut buffer = uuid::Uuid::encode_buffer();
        let id = match self.id {
            // Not by the text of an owned message: this one is known to be a `str`, and need not be looked through.
            IdView::Uuid(bytes) => TextRef::from(
                &*uuid::Uuid::from_bytes(bytes.bytes()).as_hyphenated().encode_lower(&mut buffer),
            ),
            IdView::Text(bytes) => {
                TextRef::from_wtf8(bytes).map_err(|_| BadPayload("an id is not well-formed".to_owned()))?
            }
        };
        Ok(take(MessageRef {
            id,
            content: text(self.content)?,
            role: self.role.lend()?,
            created_at: self.created_at.to_timestamp()?,
            metadata: object_text(self.metadata)?,
            extra: object_text(self.extra)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::codec::ids::IdView;
    use crate::codec::payload::{EventView, MessageView, RoleView, TimeView, decode_event, encode_event};
    use crate::model::{Change, Event, JsonObject, Message, Text, Timestamp};

    fn lent(message: Message) -> Message {
        let event = Event::new("c", Change::AddMessage(message));
        let mut bytes = Vec::new();
        encode_event(&EventView::of(&event, 0), &mut bytes).unwrap();
        let (view, _) = decode_event(&bytes).unwrap();
        let message = view.change.message().unwrap();
        assert_eq!(message.lend(|lent| lent.to_message()).unwrap(), message.to_message().unwrap());
        message.lend(|lent| lent.to_message()).unwrap()
    }

    #[test]
    fn a_message_is_lent_as_it_was_written() {
        for role in ["user", "assistant", "system", "tool", "critic", ""] {
            for id in ["m1", "4ae7d5a2-0b1f-4c5e-8a3e-000000000001", "4AE7D5A2-0B1F-4C5E-8A3E-000000000001"] {
                let mut message = Message::new(id, "grüezi", role, Timestamp::EPOCH);
                assert_eq!(lent(message.clone()), message);
                message.content = Text::from_wtf8(vec![0xed, 0xa0, 0x80]).unwrap();
                message.metadata = JsonObject::parse(r#"{"k":[1,"é"]}"#).unwrap();
                message.extra = JsonObject::parse(r#"{"x":{}}"#).unwrap();
                assert_eq!(lent(message.clone()), message);
            }
        }
    }

    #[test]
    fn what_is_no_object_is_refused_in_both_ways() {
        for (metadata, extra) in [("[]", ""), ("", "7"), ("{", "{}"), ("{}", "}")] {
            let (id, created_at) = (IdView::Text(b"m"), TimeView { wall: 0, offset: None });
            let message =
                MessageView { id, role: RoleView::User, created_at, content: b"hi", metadata, extra };
            let refused = message.lend(|lent| lent.to_message()).unwrap_err();
            assert_eq!((refused.0.contains("no object"), Err(refused)), (true, message.to_message()));
        }
    }

    proptest! {
        #[test]
        fn what_is_refused_is_refused_in_both_ways(mut bytes in vec(any::<u8>(), 0..60), is_message: bool) {
            if is_message {
                // The conversation `c`, no key, and a message that is added.
                bytes.splice(0..0, [1, 1, b'c', 0, 3]);
            }
            if let Ok((view, _)) = decode_event(&bytes) {
                if let Some(message) = view.change.message() {
                    prop_assert_eq!(message.lend(|lent| lent.to_message()), message.to_message());
                }
            }
        }
    }
}
