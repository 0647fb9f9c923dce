//! Printing events, receipts and summaries as lines.
//!
//! Owns the promise that an event's line can be read as the mutation that makes it happen again.

use super::line::Line;
use crate::model::{Change, Event, Receipt, RemovalReason, Seq, Summary, Tombstone};

impl Event {
    /// Prints the event in the form that [`Mutation::from_json_line`](crate::Mutation::from_json_line)
    /// reads, with its place in the store's order first. No line break.
    ///
    /// ```
    /// use aral_store::{Change, Event, Mutation, Operation};
    /// let event = Event::new("c1", Change::SetTitle("Plans".into()));
    /// let line = event.to_json_line(7);
    /// assert_eq!(line, r#"{"seq":7,"type":"set_title","conversation_id":"c1","title":"Plans"}"#);
    /// let again = Mutation::from_json_line(line.as_bytes())?;
    /// assert_eq!(again, [Mutation::new("c1", Operation::SetTitle("Plans".into()))]);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn to_json_line(&self, seq: Seq) -> String {
        let line = Line::new()
            .number("seq", seq)
            .string("type", self.change.type_name())
            .string("conversation_id", &self.conversation_id);
        let line = change(line, &self.change);
        match &self.key {
            Some(key) => line.string("key", key).finish(),
            None => line.finish(),
        }
    }
}

impl Change {
    /// All the words for changes.
    pub const TYPE_NAMES: [&str; 16] = [
        "create_conversation",
        "set_title",
        "set_metadata",
        "add_message",
        "edit_message",
        "remove_message",
        "add_action",
        "remove_action",
        "clear",
        "remove_conversation",
        "set_version",
        "reset_conversation",
        "edit_action",
        "set_created_at",
        "set_extra",
        "append_text",
    ];

    /// The word for the change in lines, such as `add_message`.
    ///
    /// ```
    /// assert_eq!(aral_store::Change::Clear.type_name(), "clear");
    /// ```
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create_conversation",
            Self::SetTitle(_) => "set_title",
            Self::SetMetadata(_) => "set_metadata",
            Self::AddMessage(_) => "add_message",
            Self::EditMessage(_) => "edit_message",
            Self::RemoveMessage(_) => "remove_message",
            Self::AddAction(_) => "add_action",
            Self::RemoveAction(_) => "remove_action",
            Self::Clear => "clear",
            Self::Remove { .. } => "remove_conversation",
            Self::SetVersion(_) => "set_version",
            Self::Reset { .. } => "reset_conversation",
            Self::EditAction(_) => "edit_action",
            Self::SetCreatedAt(_) => "set_created_at",
            Self::SetExtra(_) => "set_extra",
            Self::AppendText { .. } => "append_text",
        }
    }
}

fn change(line: Line, change: &Change) -> Line {
    match change {
        Change::Create { title, created_at, metadata, extra }
        | Change::Reset { title, created_at, metadata, extra } => line
            .text("title", title)
            .time("created_at", *created_at)
            .object("metadata", metadata)
            .extra(extra),
        Change::SetTitle(title) => line.text("title", title),
        Change::SetMetadata(metadata) => line.object("metadata", metadata),
        Change::AddMessage(message) => line
            .text("id", &message.id)
            .text("content", &message.content)
            .text("role", &message.role)
            .time("created_at", message.created_at)
            .object("metadata", &message.metadata)
            .extra(&message.extra),
        Change::EditMessage(message) => line
            .text("message_id", &message.id)
            .text("content", &message.content)
            .text("role", &message.role)
            .time("created_at", message.created_at)
            .object("metadata", &message.metadata)
            .object("extra", &message.extra),
        Change::RemoveMessage(id) => line.text("message_id", id),
        Change::AppendText { message_id, offset, text } => {
            line.text("message_id", message_id).number("offset", *offset).text("text", text)
        }
        Change::AddAction(action) => line
            .text("id", &action.id)
            .text("action_type", &action.action_type)
            .object("data", &action.data)
            .time("created_at", action.created_at)
            .object("metadata", &action.metadata)
            .extra(&action.extra),
        Change::EditAction(action) => line
            .text("action_id", &action.id)
            .text("action_type", &action.action_type)
            .object("data", &action.data)
            .time("created_at", action.created_at)
            .object("metadata", &action.metadata)
            .object("extra", &action.extra),
        Change::RemoveAction(id) => line.text("action_id", id),
        Change::SetCreatedAt(time) => line.time("created_at", *time),
        Change::SetExtra(extra) => line.object("extra", extra),
        Change::Remove { removed_at, reason } => {
            let line = removed_at.iter().fold(line, |line, time| line.time("removed_at", *time));
            reason_of_removal(line, *reason)
        }
        Change::SetVersion(version) => line.number("version", *version),
        Change::Clear => line,
    }
}

/// Says why a conversation was removed, unless somebody merely asked for it.
fn reason_of_removal(line: Line, reason: RemovalReason) -> Line {
    match reason {
        RemovalReason::Asked => line,
        RemovalReason::Retention | RemovalReason::Erasure => line.string("reason", reason.as_str()),
    }
}

impl Receipt {
    /// Prints the receipt: `seq`, `conversation_id`, `id`, `version` and whether it is `durable`. No line
    /// break.
    ///
    /// The line has the form `{"seq":12,"conversation_id":"c1","id":"m1","version":3,"durable":true}`.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        Line::new()
            .number("seq", self.seq)
            .string("conversation_id", &self.conversation_id)
            .text("id", &self.id)
            .number("version", self.version)
            .raw("durable", if self.is_durable() { "true" } else { "false" })
            .finish()
    }
}

impl Summary {
    /// Prints the summary: `id`, `title`, `created_at`, the numbers of `messages` and `actions`, `version`
    /// and `last_activity`. No line break.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        Line::new()
            .string("id", &self.id)
            .text("title", &self.title)
            .time("created_at", self.created_at)
            .number("messages", self.messages)
            .number("actions", self.actions)
            .number("version", self.version)
            .time("last_activity", self.last_activity)
            .finish()
    }
}

impl Tombstone {
    /// Prints what is remembered of a removed conversation: `id`, the event's `seq`, and `removed_at`, which is `null` if
    /// the event does not say, and the `reason` if it was pruned or erased, `retention` or `erasure`. No line break.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        let line = Line::new().string("id", &self.id).number("seq", self.seq);
        let line = match self.removed_at {
            Some(time) => line.time("removed_at", time),
            None => line.raw("removed_at", "null"),
        };
        reason_of_removal(line, self.reason).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Action, ActionEdit, Durability, Edit, JsonObject, Message, Mutation, NewAction, NewConversation,
        NewMessage, Operation, Text, Timestamp,
    };

    fn time() -> Timestamp {
        Timestamp::from_unix_micros(1).unwrap()
    }

    fn removal(removed_at: Option<Timestamp>, reason: RemovalReason) -> Change {
        Change::Remove { removed_at, reason }
    }

    #[test]
    fn an_event_reads_back_as_its_mutation() {
        let object = JsonObject::parse(r#"{"k":"\ud800","n":NaN}"#).unwrap();
        let odd = Text::from_wtf8(vec![b'"', 0xed, 0xa0, 0x80, b'\n']).unwrap();
        let mut message = Message::new(&odd, &odd, "r", time());
        (message.metadata, message.extra) = (object.clone(), object.clone());
        let mut action = Action::new("a", &odd, object.clone(), time());
        (action.metadata, action.extra) = (object.clone(), object.clone());
        let mut new_message =
            NewMessage::new(&odd).id(&odd).role("r").created_at(time()).metadata(object.clone());
        new_message.extra = object.clone();
        let mut new_action =
            NewAction::new(&odd, object.clone()).id("a").created_at(time()).metadata(object.clone());
        new_action.extra = object.clone();
        let mut new = NewConversation::new().title(&odd).created_at(time()).metadata(object.clone());
        new.extra = object.clone();
        let edit =
            Edit::content(&odd).metadata(object.clone()).role("r").created_at(time()).extra(object.clone());
        let edit_action = ActionEdit::data(object.clone())
            .action_type(&odd)
            .metadata(object.clone())
            .created_at(time())
            .extra(object.clone());
        let create = Change::Create {
            title: odd.clone(),
            created_at: time(),
            metadata: object.clone(),
            extra: object.clone(),
        };
        let reset = Change::Reset {
            title: odd.clone(),
            created_at: time(),
            metadata: object.clone(),
            extra: object.clone(),
        };
        for (change, operation) in [
            (create, Operation::CreateConversation(new.clone())),
            (Change::SetTitle(odd.clone()), Operation::SetTitle(odd.clone())),
            (reset, Operation::ResetConversation(new)),
            (Change::SetMetadata(object.clone()), Operation::SetMetadata(object.clone())),
            (Change::SetCreatedAt(time()), Operation::SetCreatedAt(time())),
            (Change::SetExtra(object.clone()), Operation::SetExtra(object)),
            (Change::AddMessage(message.clone()), Operation::AddMessage(new_message)),
            (Change::EditMessage(message), Operation::EditMessage { message_id: odd.clone(), edit }),
            (Change::RemoveMessage(odd.clone()), Operation::RemoveMessage(odd.clone())),
            (Change::AddAction(action.clone()), Operation::AddAction(new_action)),
            (
                Change::EditAction(action),
                Operation::EditAction { action_id: Text::from("a"), edit: edit_action },
            ),
            (Change::RemoveAction(odd.clone()), Operation::RemoveAction(odd.clone())),
            (Change::Clear, Operation::Clear),
            (removal(None, RemovalReason::Asked), Operation::RemoveConversation),
            (removal(Some(time()), RemovalReason::Asked), Operation::RemoveConversationAt(time())),
            (removal(Some(time()), RemovalReason::Retention), Operation::PruneConversation(Some(time()))),
            (Change::SetVersion(7), Operation::SetVersion(7)),
            (
                Change::AppendText { message_id: odd.clone(), offset: 7, text: odd.clone() },
                Operation::AppendText { message_id: odd.clone(), offset: Some(7), text: odd.clone() },
            ),
        ] {
            let event = Event { key: Some("k\u{1}".to_owned()), ..Event::new("c\"é", change) };
            let line = event.to_json_line(u64::MAX);
            assert!(line.starts_with(r#"{"seq":18446744073709551615,"type":""#) && !line.contains('\n'));
            let mutation = Mutation::new("c\"é", operation).key("k\u{1}");
            assert_eq!(Mutation::from_json_line(line.as_bytes()).unwrap(), [mutation]);
        }
    }

    #[test]
    fn receipts_and_summaries_have_their_fields_in_order() {
        let mut receipt = Receipt {
            seq: 12,
            conversation_id: "c1".to_owned(),
            id: Text::from("m1"),
            version: 3,
            durability: Durability::Durable,
        };
        let line = r#"{"seq":12,"conversation_id":"c1","id":"m1","version":3,"durable":true}"#;
        assert_eq!(receipt.to_json_line(), line);
        receipt.durability = Durability::Written;
        assert_eq!(receipt.to_json_line(), line.replace("true", "false"));
        let summary = Summary {
            id: "c".to_owned(),
            title: Text::from("T"),
            created_at: time(),
            messages: 2,
            actions: 1,
            version: 4,
            last_activity: time(),
            last_seq: 9,
        };
        let line = concat!(
            r#"{"id":"c","title":"T","created_at":"1970-01-01T00:00:00.000001+00:00","messages":2,"#,
            r#""actions":1,"version":4,"last_activity":"1970-01-01T00:00:00.000001+00:00"}"#
        );
        assert_eq!(summary.to_json_line(), line);
        let mut removed =
            Tombstone { id: "c".to_owned(), seq: 9, removed_at: Some(time()), reason: RemovalReason::Asked };
        let line = r#"{"id":"c","seq":9,"removed_at":"1970-01-01T00:00:00.000001+00:00"}"#;
        assert_eq!(removed.to_json_line(), line);
        removed.removed_at = None;
        assert_eq!(removed.to_json_line(), r#"{"id":"c","seq":9,"removed_at":null}"#);
        removed.reason = RemovalReason::Retention;
        assert_eq!(removed.to_json_line(), r#"{"id":"c","seq":9,"removed_at":null,"reason":"retention"}"#);
    }
}
