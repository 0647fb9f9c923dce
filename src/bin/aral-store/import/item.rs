//! An item of a conversation, made of what was understood of a line, a row or a part.
//!
//! Owns that it is put together as a line of an export and read by what reads those, so that numbers and strings stay exactly what
//! they are.

use aral_store::{ExportLine, JsonObject, MAX_ID_BYTES, MAX_JSON_BYTES, MAX_TEXT_BYTES, Timestamp};

use crate::transcripts::entry::{Entry, Form, further, quoted};

/// What a line becomes that says nothing.
pub(super) fn unread() -> Entry {
    Entry { form: Form::Action { kind: "record", data: "{}".to_owned() }, fields: Vec::new() }
}

/// An item, put together as a line of an export and read by what reads those.
pub(super) fn item(
    conversation: &str,
    name: &str,
    time: Timestamp,
    source: &str,
    entry: &Entry,
) -> Result<ExportLine, String> {
    let fields = further(&entry.fields);
    let form = match &entry.form {
        Form::Message { role, content } => {
            format!(r#""type":"message","content":{content},"role":{}"#, quoted(role))
        }
        Form::Action { kind, data } => format!(r#""type":"action","action_type":"{kind}","data":{data}"#),
    };
    let made = export_line(&format!(
        r#"{{{form},"conversation_id":{conversation},"id":{},"created_at":"{time}","metadata":{{"source":{source}{fields}}}}}"#,
        quoted(name)
    ))?;
    // What a store would refuse is found here, where it keeps nothing else out.
    let (texts, objects) = match &made {
        ExportLine::Message { message, .. } => (
            [message.id.len(), message.content.len(), message.role.len()],
            [&message.metadata, &message.extra],
        ),
        ExportLine::Action { action, .. } => {
            ([action.id.len(), 0, action.action_type.len()], [&action.metadata, &action.data])
        }
        ExportLine::Conversation { .. } | ExportLine::End(_) | _ => ([0; 3], [&JsonObject::EMPTY; 2]),
    };
    let [id, content, kind] = texts;
    let largest = objects.into_iter().map(|object| object.as_json().len()).max().unwrap_or_default();
    if id.max(kind) > MAX_ID_BYTES {
        return Err(format!("its id has {id} bytes, over the limit of {MAX_ID_BYTES}"));
    }
    if content.max(largest) > MAX_TEXT_BYTES.min(MAX_JSON_BYTES) {
        return Err(format!("it has {} bytes, more than an item of a store may have", content.max(largest)));
    }
    Ok(made)
}

pub(super) fn export_line(line: &str) -> Result<ExportLine, String> {
    ExportLine::from_json_line(line.as_bytes()).map_err(|error| error.message().to_owned())
}
