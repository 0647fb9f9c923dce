//! An item of a conversation, made of what was understood of a line, a row or a part.
//!
//! Owns that it is put together as a line of an export and read by what reads those, so that numbers and strings stay exactly what
//! they are.

use aral_store::{ExportLine, Timestamp};

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
    export_line(&format!(
        r#"{{{form},"conversation_id":{conversation},"id":{},"created_at":"{time}","metadata":{{"source":{source}{fields}}}}}"#,
        quoted(name)
    ))
}

pub(super) fn export_line(line: &str) -> Result<ExportLine, String> {
    ExportLine::from_json_line(line.as_bytes()).map_err(|error| error.message().to_owned())
}
