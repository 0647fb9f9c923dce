//! The laws of the files of the original's layout.

use crate::codec::document::{
    Document, DocumentWriter, Fallback, Item, Pieces, read_action, read_message, scan_document,
};
use crate::codec::index_file::read_index;
use crate::model::{Text, Timestamp};

/// A file that was read is written in one form, which is read as the same, and which is its own.
///
/// # Panics
///
/// If a law is broken.
pub fn document(data: &[u8]) {
    index(data);
    let by_pieces = by_pieces(data);
    let Ok(found) = scan_document(data) else {
        assert!(by_pieces.is_none(), "what is wrong is left to the way that says so");
        return;
    };
    assert!(by_pieces.is_none_or(|document| document == found), "read by pieces it is the same");
    let written = rewritten(data, &found);
    assert_eq!(written == data, found.is_canonical, "canonical is what is written as it was read");
    let again = scan_document(&written);
    assert!(again.is_ok(), "a file that was written is read: {}", String::from_utf8_lossy(&written));
    let Ok(again) = again else { return };
    assert!(again.is_canonical, "what is written is canonical");
    assert_eq!(rewritten(&written, &again), written, "writing it anew changes nothing");
    assert_eq!((&again.head.metadata, &again.head.extra), (&found.head.metadata, &found.head.extra));
    assert_eq!(again.head.title, Some(found.head.title.unwrap_or_else(title)), "the title stays");
    for (before, after) in [(&found.messages, &again.messages), (&found.actions, &again.actions)] {
        assert_eq!(before.len(), after.len(), "nothing is lost");
        for (before, after) in before.iter().zip(after) {
            let kept = |item: &Item| (item.id.is_some(), item.created_at.is_some());
            assert_eq!(kept(after), (true, true), "what is written has all its fields");
            assert!(before.id.is_none() || before.id == after.id, "an id stays");
            assert!(before.created_at.is_none() || before.created_at == after.created_at, "a time stays");
            assert_eq!(before.role, after.role, "a role stays");
        }
    }
}

/// The file read as one that is too long to be read as a whole.
fn by_pieces(data: &[u8]) -> Option<Document> {
    let mut pieces = Pieces::new();
    data.chunks(5).for_each(|piece| pieces.take(piece));
    pieces.finish()
}

fn title() -> Text {
    Text::from("untitled")
}

/// The bytes of an item, which must lie in the file and be what its checksum says.
fn span<'a>(bytes: &'a [u8], item: &Item) -> &'a [u8] {
    let start = usize::try_from(item.offset).unwrap_or(usize::MAX);
    let length = usize::try_from(item.len).unwrap_or(usize::MAX);
    let span = bytes.get(start..).and_then(|rest| rest.get(..length)).unwrap_or_default();
    assert!(span.starts_with(b"{") && span.ends_with(b"}"), "an item goes from bracket to bracket");
    assert_eq!(crc32fast::hash(span), item.crc, "an item's checksum is that of its bytes");
    span
}

/// The file as it is written.
fn rewritten(bytes: &[u8], document: &Document) -> Vec<u8> {
    let head = &document.head;
    let fallback = Fallback { id: || Text::from("left out"), created_at: Timestamp::EPOCH };
    let id = head.id.clone().unwrap_or_else(|| (fallback.id)());
    let title = head.title.clone().unwrap_or_else(title);
    let created_at = head.created_at.unwrap_or(fallback.created_at);
    let mut writer = DocumentWriter::new(&id, &title, created_at, &head.metadata, &head.extra);
    for item in &document.messages {
        let message = read_message(span(bytes, item), &fallback);
        assert!(message.is_ok(), "a message that was scanned is read");
        let Ok(message) = message else { continue };
        assert_eq!(
            (Some(&message.role), item.id.as_ref().unwrap_or(&message.id)),
            (item.role.as_ref(), &message.id)
        );
        writer.message(&message);
    }
    for item in &document.actions {
        let action = read_action(span(bytes, item), &fallback);
        assert!(action.is_ok(), "an action that was scanned is read");
        let Ok(action) = action else { continue };
        assert_eq!(item.id.as_ref().unwrap_or(&action.id), &action.id, "the scan saw the id that is read");
        writer.action(&action);
    }
    writer.finish();
    writer.take()
}

/// An index file that was read is written in one form, which is read as the same.
fn index(data: &[u8]) {
    let Ok(found) = read_index(data) else { return };
    let written = found.write();
    let again = read_index(&written);
    assert_eq!(again.as_ref().map(|again| &again.ids), Ok(&found.ids), "the ids stay in their order");
    assert_eq!(again.map(|again| again.write()), Ok(written), "writing it anew changes nothing");
}
