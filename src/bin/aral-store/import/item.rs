//! An item of a conversation, made of what was understood of a line, a row or a part.
//!
//! Owns that it is put together of JSON that is brought into the store's form and not read into values, so that numbers and strings stay
//! exactly what they are.

use aral_store::{
    Action, Error, ExportLine, JsonObject, JsonObjectBuilder, MAX_ID_BYTES, MAX_JSON_BYTES, MAX_TEXT_BYTES,
    Message, Text, Timestamp,
};

use crate::transcripts::entry::{Entry, Form};
use crate::whole::has_room;

/// From how many bytes on it is asked whether there is memory for what an item takes.
const LARGE: usize = 1 << 20;

/// How much room there is for what stands around a line in its metadata, and for what is escaped in it.
const AROUND: usize = 512;

/// What a line, a row or a part becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    Message(Message),
    Action(Action),
}

/// What a line becomes that says nothing.
pub(super) fn unread() -> Entry {
    Entry { form: Form::Action { kind: "record", data: "{}".to_owned() }, fields: Vec::new() }
}

/// An item; `source` says where it comes from, and `raw` is the line as it stands there, if the item has it.
pub(super) fn item(
    name: &str,
    time: Timestamp,
    entry: &Entry,
    raw: Option<&str>,
    source: impl FnOnce(&mut JsonObjectBuilder),
) -> Result<Item, String> {
    let told = |error: Error| error.message().to_owned();
    let raw = raw.map_or(0, str::len);
    let given = match &entry.form {
        Form::Message { content, .. } => content.len(),
        Form::Action { data, .. } => data.len(),
    };
    let all = raw.saturating_add(given);
    if all > LARGE && !has_room(all.saturating_mul(4)) {
        return Err(format!("there is no memory for what a line of {raw} bytes holds"));
    }
    let mut metadata = JsonObjectBuilder::with_capacity(raw + raw / 8 + AROUND);
    metadata.nested("source", source);
    for (name, value) in &entry.fields {
        metadata.json(name, value).map_err(told)?;
    }
    let (content, data) = match &entry.form {
        Form::Message { content, .. } => (Text::from_json(content).map_err(told)?, JsonObject::EMPTY),
        Form::Action { data, .. } => (Text::default(), JsonObject::parse_strict(data).map_err(told)?),
    };
    // What a store would refuse is found here, where it keeps nothing else out.
    let largest = content.len().max(metadata.len()).max(data.as_json().len());
    if name.len() > MAX_ID_BYTES {
        return Err(format!("its id has {} bytes, over the limit of {MAX_ID_BYTES}", name.len()));
    }
    if largest > MAX_TEXT_BYTES.min(MAX_JSON_BYTES) {
        return Err(format!("it has {largest} bytes, more than an item of a store may have"));
    }
    let metadata = metadata.build().map_err(told)?;
    Ok(match &entry.form {
        Form::Message { role, .. } => {
            let mut message = Message::new(name, content, role.as_str(), time);
            message.metadata = metadata;
            Item::Message(message)
        }
        Form::Action { kind, .. } => {
            let mut action = Action::new(name, *kind, data, time);
            action.metadata = metadata;
            Item::Action(action)
        }
    })
}

pub(super) fn export_line(line: &str) -> Result<ExportLine, String> {
    ExportLine::from_json_line(line.as_bytes()).map_err(|error| error.message().to_owned())
}
