//! The laws of the lines in which values are exchanged.

use crate::codec::ExportLine;
use crate::model::{
    Action, Change, Conversation, Event, JsonObject, MAX_BATCH_EVENTS, Message, Mutation, Operation,
    RemovalReason, Text, Timestamp,
};

/// What a line says, printed, is read as the same.
///
/// # Panics
///
/// If a law is broken.
pub fn line(data: &[u8]) {
    if let Ok(mutations) = Mutation::from_json_line(data) {
        assert!((1..=MAX_BATCH_EVENTS).contains(&mutations.len()), "a batch is neither empty nor too long");
        for mutation in mutations {
            one_mutation(mutation);
        }
    }
    if let Ok(found) = ExportLine::from_json_line(data) {
        let printed = match &found {
            ExportLine::Conversation { id, title, created_at, metadata, extra, version } => {
                let mut conversation = Conversation::new(id, *created_at);
                conversation.title = title.clone();
                conversation.metadata = metadata.clone();
                conversation.extra = extra.clone();
                conversation.version = version.unwrap_or_default();
                conversation.to_header_line()
            }
            ExportLine::Message { conversation_id, message } => message.to_json_line(Some(conversation_id)),
            ExportLine::Action { conversation_id, action } => action.to_json_line(Some(conversation_id)),
            ExportLine::End(end) => end.to_json_line(),
        };
        assert!(!printed.contains('\n'), "a line is one line");
        assert_eq!(ExportLine::from_json_line(printed.as_bytes()).ok(), Some(found), "{printed}");
    }
}

/// A mutation that leaves nothing open is printed as the event that it makes happen, and read from that.
fn one_mutation(mut mutation: Mutation) {
    mutation.expect = None;
    // What finishes a reply leaves open what the message is by then.
    if matches!(mutation.operation, Operation::FinishMessage { .. }) {
        return;
    }
    let change = completed(&mut mutation.operation);
    let mut event = Event::new(&mutation.conversation_id, change);
    event.key = mutation.key.clone();
    let printed = event.to_json_line(7);
    assert!(!printed.contains('\n'), "a line is one line");
    assert_eq!(Mutation::from_json_line(printed.as_bytes()).ok(), Some(vec![mutation]), "{printed}");
}

/// Fills in what a mutation leaves open, and gives the change that it then is.
fn completed(operation: &mut Operation) -> Change {
    let made_up = Text::from("made up");
    match operation {
        Operation::CreateConversation(new) => Change::Create {
            title: new.title.get_or_insert(made_up).clone(),
            created_at: *new.created_at.get_or_insert(Timestamp::EPOCH),
            metadata: new.metadata.clone(),
            extra: new.extra.clone(),
        },
        Operation::ResetConversation(new) => Change::Reset {
            title: new.title.get_or_insert(made_up).clone(),
            created_at: *new.created_at.get_or_insert(Timestamp::EPOCH),
            metadata: new.metadata.clone(),
            extra: new.extra.clone(),
        },
        Operation::SetCreatedAt(time) => Change::SetCreatedAt(*time),
        Operation::SetExtra(extra) => Change::SetExtra(extra.clone()),
        Operation::SetTitle(title) => Change::SetTitle(title.clone()),
        Operation::SetMetadata(metadata) => Change::SetMetadata(metadata.clone()),
        Operation::AddMessage(new) => Change::AddMessage(Message {
            id: new.id.get_or_insert(made_up).clone(),
            content: new.content.clone(),
            role: new.role.clone(),
            created_at: *new.created_at.get_or_insert(Timestamp::EPOCH),
            metadata: new.metadata.clone(),
            extra: new.extra.clone(),
        }),
        Operation::EditMessage { message_id, edit } => {
            let content = edit.content.get_or_insert(made_up);
            let role = edit.role.get_or_insert(Text::from("user"));
            let time = *edit.created_at.get_or_insert(Timestamp::EPOCH);
            let mut message = Message::new(&*message_id, &*content, &*role, time);
            message.metadata = edit.metadata.get_or_insert(JsonObject::EMPTY).clone();
            message.extra = edit.extra.get_or_insert(JsonObject::EMPTY).clone();
            Change::EditMessage(message)
        }
        Operation::EditAction { action_id, edit } => {
            let action_type = edit.action_type.get_or_insert(made_up);
            let data = edit.data.get_or_insert(JsonObject::EMPTY).clone();
            let time = *edit.created_at.get_or_insert(Timestamp::EPOCH);
            let mut action = Action::new(&*action_id, &*action_type, data, time);
            action.metadata = edit.metadata.get_or_insert(JsonObject::EMPTY).clone();
            action.extra = edit.extra.get_or_insert(JsonObject::EMPTY).clone();
            Change::EditAction(action)
        }
        Operation::RemoveMessage(id) => Change::RemoveMessage(id.clone()),
        Operation::AppendText { message_id: id, offset, text } => {
            let (message_id, text) = (id.clone(), text.clone());
            Change::AppendText { message_id, offset: *offset.get_or_insert(0), text }
        }
        Operation::AddAction(new) => Change::AddAction(Action {
            id: new.id.get_or_insert(made_up).clone(),
            action_type: new.action_type.clone(),
            data: new.data.clone(),
            created_at: *new.created_at.get_or_insert(Timestamp::EPOCH),
            metadata: new.metadata.clone(),
            extra: new.extra.clone(),
        }),
        Operation::RemoveAction(id) => Change::RemoveAction(id.clone()),
        Operation::Clear | Operation::FinishMessage { .. } => Change::Clear,
        Operation::RemoveConversation => Change::Remove { removed_at: None, reason: RemovalReason::Asked },
        Operation::RemoveConversationAt(time) => {
            Change::Remove { removed_at: Some(*time), reason: RemovalReason::Asked }
        }
        Operation::PruneConversation(time) => {
            Change::Remove { removed_at: *time, reason: RemovalReason::Retention }
        }
        Operation::SetVersion(version) => Change::SetVersion(*version),
    }
}
