//! The law of the lines that tools write: whatever they are, what is understood of them is JSON.
//!
//! The readers are the program's own, taken in by their paths.

use aral_store::ExportLine;

use crate::chat::json::Members;
use crate::transcripts::entry::{Form, Line, Reader, further};

/// Reads lines one after the other, as an import does.
pub fn read(reader: &mut dyn Reader, data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        let Ok(text) = std::str::from_utf8(line) else { continue };
        if let Ok(members) = Members::read(text) {
            hold(&reader.read(&members));
        }
    }
    let about = reader.about();
    let title = about.title.clone().unwrap_or_default();
    assert!(title.chars().count() <= 81 && !title.contains('\n'), "a title is a short line: {title:?}");
    json(&format!("{{\"a\":1{}}}", further(&about.fields)));
}

fn hold(line: &Line) {
    for entry in &line.entries {
        json(&format!("{{\"a\":1{}}}", further(&entry.fields)));
        match &entry.form {
            Form::Message { content, .. } => json(content),
            Form::Action { data, .. } => {
                json(data);
                assert!(data.starts_with('{'), "{data}");
            }
        }
    }
    // What an import makes of a line that no item can be made of is one itself.
    let kept = r#"{"type":"action","conversation_id":"c","id":"a","action_type":"record","data":{},"created_at":"1970-01-01T00:00:00Z"}"#;
    assert!(ExportLine::from_json_line(kept.as_bytes()).is_ok());
}

fn json(text: &str) {
    let read = serde_json::from_str::<serde::de::IgnoredAny>(text);
    assert!(read.is_ok(), "{text}");
}
