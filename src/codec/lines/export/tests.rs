//! Exports, printed and read again.

use super::*;
use crate::codec::document::{DocumentWriter, scan_document};

fn conversation() -> Conversation {
    let object = |text| JsonObject::parse(text).unwrap();
    let time = "2025-03-13T15:11:33.5+05:30".parse().unwrap();
    let odd = Text::from_wtf8(vec![b'"', 0xed, 0xa0, 0x80, b'\n', 0xc3, 0xa9]).unwrap();
    let mut conversation = Conversation::new("c\"1", time);
    conversation.metadata = object(r#"{"a":NaN}"#);
    conversation.extra = object(r#"{"type":"x","extra":[1],"conversation_id":null}"#);
    let mut message = Message::new("m", &odd, "user", time);
    message.extra = object(r#"{"conversation_id":7,"extra":{}}"#);
    let mut action = Action::new("a", &odd, object(r#"{"d":[{}]}"#), time);
    action.extra = object(r#"{"type":"y"}"#);
    conversation.messages = vec![message.clone(), message];
    conversation.actions = vec![action];
    conversation
}

#[test]
fn an_export_reads_back_whatever_its_extras_are_called() {
    let whole = conversation();
    let read = |line: String| ExportLine::from_json_line(line.as_bytes()).unwrap();
    for version in [0, 1, u64::MAX] {
        let whole = Conversation { version, ..whole.clone() };
        assert_eq!(whole.to_header_line().contains("version"), version > 0);
        let Conversation { id, title, created_at, metadata, extra, .. } = whole.clone();
        let version = Some(version).filter(|version| *version > 0);
        let head = ExportLine::Conversation { id, title, created_at, metadata, extra, version };
        assert_eq!(read(whole.to_header_line()), head);
    }
    let message = whole.messages[0].clone();
    let line = message.to_json_line(Some("c"));
    assert_eq!(read(line), ExportLine::Message { conversation_id: "c".to_owned(), message });
    let action = whole.actions[0].clone();
    let line = action.to_json_line(Some("c"));
    assert_eq!(read(line), ExportLine::Action { conversation_id: "c".to_owned(), action });
}

#[test]
fn the_line_of_a_conversation_is_its_document_without_white_space() {
    let whole = conversation();
    let line = whole.to_json_line();
    let from_line = scan_document(line.as_bytes()).unwrap();
    let id = Text::from(&whole.id);
    let mut writer = DocumentWriter::new(&id, &whole.title, whole.created_at, &whole.metadata, &whole.extra);
    for message in &whole.messages {
        writer.message(message);
    }
    for action in &whole.actions {
        writer.action(action);
    }
    writer.finish();
    let document = scan_document(writer.buffered()).unwrap();
    assert!(document.is_canonical && !from_line.is_canonical);
    assert_eq!(document.head, from_line.head);
    assert_eq!((from_line.messages.len(), from_line.actions.len()), (2, 1));
    assert!(!line.contains('\n'));
}

#[test]
fn unknown_fields_become_extra_after_the_lines_own() {
    let line = br#"{"type":"message","mood":1,"conversation_id":"c","id":"m","content":"","created_at":"2025-01-01","extra":{"z":0},"y":{}}"#;
    let ExportLine::Message { message, .. } = ExportLine::from_json_line(line).unwrap() else { panic!() };
    assert_eq!(message.extra.as_json(), r#"{"z":0,"mood":1,"y":{}}"#);
    assert_eq!(message.role, "user");
}

#[test]
fn what_is_no_line_of_an_export_is_refused() {
    for line in [
        "",
        "[]",
        "{}",
        r#"{"type":"note"}"#,
        r#"{"type":"conversation","id":"c"}"#,
        r#"{"type":"conversation","id":"\ud800","created_at":"2025-01-01"}"#,
        r#"{"type":"message","id":"m","content":"","created_at":"2025-01-01"}"#,
        r#"{"type":"message","conversation_id":"c","id":"m","content":""}"#,
        r#"{"type":"message","conversation_id":"c","id":"m","content":"","created_at":"2025-01-01","extra":1}"#,
        r#"{"type":"message","conversation_id":"c","id":"m","content":"","created_at":"2025-01-01","extra":{"id":1}}"#,
        r#"{"type":"action","conversation_id":"c","id":"m","action_type":"","created_at":"2025-01-01"}"#,
        r#"{"type":"conversation","id":"c","created_at":"2025-01-01","version":"1"}"#,
        r#"{"type":"end","conversations":1,"messages":1,"actions":1}"#,
        r#"{"type":"end","conversations":1,"messages":1,"actions":1,"crc32":4294967296}"#,
        r#"{"type":"end","conversations":1,"messages":-1,"actions":1,"crc32":0}"#,
    ] {
        assert!(ExportLine::from_json_line(line.as_bytes()).is_err(), "{line}");
    }
}
