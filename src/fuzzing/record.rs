//! The laws of frames, payloads and checkpoints.
//!
//! Owns the repair of checksums in made-up bytes: without it no fuzzer would ever get past one.

use std::sync::Arc;

use crate::codec::bytes::{Fields, to_u64};
use crate::codec::checkpoint::{Checkpoint, CheckpointBuilder, Entry, KeyEntry, TombstoneEntry};
use crate::codec::control::{CONTROL_LEN, Control};
use crate::codec::frame::{FRAME_ALIGN, FrameHeader, FrameKind, FrameSpace, HeaderCheck, MAX_PAYLOAD};
use crate::codec::payload::{BadPayload, EventView, decode_event, encode_event, for_each_event};
use crate::model::{Change, Event, JsonObject, Mutation};

/// A frame's header is valid in one form and one place only.
///
/// # Panics
///
/// If a law is broken.
pub fn frame(data: &[u8]) {
    let mut fields = Fields(data);
    let space =
        FrameSpace { salt: fields.u32().unwrap_or_default(), segment: fields.u64().unwrap_or_default() };
    let offset = fields.u64().unwrap_or_default();
    if let HeaderCheck::Valid(header, crc) = space.decode(offset, fields.0) {
        let (bytes, again) = space.encode(offset, &header);
        assert!(fields.0.starts_with(&bytes) && crc == again, "a header has one form: {header:?}");
    }
    let Some(header) = header(&mut fields) else { return };
    let (bytes, crc) = space.encode(offset, &header);
    let is_sound = usize::try_from(header.payload_len).is_ok_and(|length| length <= MAX_PAYLOAD)
        && (header.kind == FrameKind::Batch) == (header.events > 0);
    let expected = if is_sound { HeaderCheck::Valid(header, crc) } else { HeaderCheck::Invalid };
    assert_eq!(space.decode(offset, &bytes), expected, "what is written is read");
    // A checksum of 32 bits sees every single flipped bit, wherever it is.
    let bit = usize::from(fields.u16().unwrap_or_default());
    let mut damaged = bytes;
    if let Some(byte) = damaged.get_mut(bit / 8 % FRAME_ALIGN) {
        *byte ^= 1 << (bit % 8);
    }
    let elsewhere = offset ^ 1 << (bit % 64);
    let other_segment = FrameSpace { segment: space.segment ^ 1 << (bit % 64), ..space };
    let other_salt = FrameSpace { salt: space.salt ^ 1 << (bit % 32), ..space };
    for found in [
        space.decode(offset, &damaged),
        space.decode(elsewhere, &bytes),
        other_segment.decode(offset, &bytes),
        other_salt.decode(offset, &bytes),
    ] {
        assert!(!matches!(found, HeaderCheck::Valid(..)), "a flipped bit is seen: bit {bit}");
    }
}

/// A header of made-up fields; `None` once the bytes are used up.
pub(super) fn header(fields: &mut Fields<'_>) -> Option<FrameHeader> {
    let kind = match fields.u8()? {
        code @ 128.. => FrameKind::Skippable(code),
        code if code % 3 == 2 => FrameKind::Seal,
        _ => FrameKind::Batch,
    };
    Some(FrameHeader {
        payload_len: fields.u32()?,
        payload_crc: fields.u32()?,
        kind,
        schema: fields.u16()?,
        first_seq: fields.u64()?,
        synced_units: fields.u32()?,
        events: fields.u32()?,
    })
}

/// Events that were read are written, read again and printed as lines without loss.
///
/// # Panics
///
/// If a law is broken.
pub fn payload(data: &[u8]) {
    let mut rest = data;
    let mut events = Vec::new();
    while let Ok((view, length)) = decode_event(rest) {
        assert!(0 < length && length <= rest.len(), "an event takes bytes, and none that are not there");
        events.push(view);
        rest = rest.get(length..).unwrap_or_default();
    }
    let whole = data.get(..data.len() - rest.len()).unwrap_or_default();
    let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
    let mut seen = 0;
    let walked = for_each_event::<BadPayload>(whole, count, |_, _| {
        seen += 1;
        Ok(())
    });
    assert_eq!((walked.is_ok(), seen), (count > 0, count), "a payload is its events, one after another");
    assert!(for_each_event::<BadPayload>(whole, count + 1, |_, _| Ok(())).is_err(), "nothing is missing");
    for event in events.into_iter().filter_map(|view| view.to_event().ok()).filter(is_canonical) {
        one_event(&event);
    }
}

fn one_event(event: &Event) {
    let mut bytes = Vec::new();
    let written = encode_event(&EventView::of(event, 3), &mut bytes);
    assert_eq!(written, Some(bytes.len()), "an event says how long it became");
    let again = decode_event(&bytes).and_then(|(view, length)| Ok((view.to_event()?, length)));
    assert_eq!(again, Ok((event.clone(), bytes.len())), "an event is read as it was written");
    assert!(Mutation::from_json_line(event.to_json_line(9).as_bytes()).is_ok_and(|list| list.len() == 1));
}

/// Whether every object of an event is text that the store would write, and none hides a field of the model.
/// A payload's checksum vouches for that; bytes that were made up have none.
fn is_canonical(event: &Event) -> bool {
    let is_sound =
        |object: &JsonObject| JsonObject::parse(object.as_json()).is_ok_and(|same| same == *object);
    let has_no = |extra: &JsonObject| extra.is_empty();
    match &event.change {
        Change::Create { metadata, extra, .. } | Change::Reset { metadata, extra, .. } => {
            is_sound(metadata) && has_no(extra)
        }
        Change::SetMetadata(metadata) => is_sound(metadata),
        Change::AddMessage(message) | Change::EditMessage(message) => {
            is_sound(&message.metadata) && has_no(&message.extra)
        }
        Change::SetExtra(extra) => has_no(extra),
        Change::AddAction(action) | Change::EditAction(action) => {
            is_sound(&action.data) && is_sound(&action.metadata) && has_no(&action.extra)
        }
        Change::SetTitle(_)
        | Change::AppendText { .. }
        | Change::RemoveMessage(_)
        | Change::RemoveAction(_)
        | Change::SetCreatedAt(_)
        | Change::Clear
        | Change::SetVersion(_)
        | Change::Remove { .. } => true,
    }
}

/// The lengths of a checkpoint's parts, as docs/format.md has them.
const HEAD: usize = 128;
const ENTRY_AND_TABLE: usize = 104 + 8;
const KEY: usize = 40;
const REMOVED: usize = 40;

/// A checkpoint of whatever bytes can be gone through, and holds what was found in it when written again.
///
/// # Panics
///
/// If a law is broken.
pub fn checkpoint(data: &[u8]) {
    control(data);
    if let Ok(checkpoint) = Checkpoint::parse(Arc::new(data.to_vec())) {
        go_through(&checkpoint);
    }
    let repaired = Checkpoint::parse(Arc::new(repaired(data)));
    assert!(repaired.is_ok(), "a checkpoint whose checksums, counts and numbers are right is taken");
    if let Ok(checkpoint) = repaired {
        go_through(&checkpoint);
    }
}

fn go_through(checkpoint: &Checkpoint) {
    let entries: Vec<Entry<'_>> = checkpoint.entries().collect();
    let keys: Vec<KeyEntry<'_>> = checkpoint.keys().collect();
    let mut builder = CheckpointBuilder::default();
    for entry in &entries {
        assert_eq!(entry.summary().id, entry.id, "a summary is its entry's");
        checkpoint.find(entry.id);
        builder.entry(entry);
    }
    for key in &keys {
        checkpoint.find_key(key.key);
        builder.key(key);
    }
    let removed: Vec<TombstoneEntry<'_>> = checkpoint.tombstones().collect();
    for tombstone in &removed {
        checkpoint.tombstone(tombstone.id);
        builder.tombstone(tombstone);
    }
    let again = Checkpoint::parse(Arc::new(builder.finish(checkpoint.head())));
    assert!(again.is_ok(), "a checkpoint that was written is read");
    let Ok(again) = again else { return };
    assert_eq!(again.head(), checkpoint.head(), "the head is read as it was written");
    for (ordinal, entry) in entries.iter().enumerate() {
        let cut = entry.note.char_indices().nth(1000).map_or(entry.note.len(), |(at, _)| at);
        let expected = Entry { note: entry.note.get(..cut).unwrap_or_default(), ..*entry };
        assert_eq!(again.entry(ordinal), Some(expected), "an entry is read as it was written");
        let found = again.find(entry.id).and_then(|at| again.entry(at));
        assert!(found.is_some_and(|found| found.id == entry.id), "an entry is found by its id");
    }
    assert_eq!(again.entries().count(), entries.len(), "no entry is made up");
    for key in &keys {
        assert!(again.find_key(key.key).is_some_and(|found| found.key == key.key), "a key is found");
    }
    for tombstone in &removed {
        let found = again.tombstone(tombstone.id);
        assert!(found.is_some_and(|found| found.id == tombstone.id), "a removed conversation is found");
    }
    assert!(again.tombstones().count() == removed.len() && again.tombstones().all(|t| removed.contains(&t)));
    assert!(again.keys().count() == keys.len() && again.keys().all(|key| keys.contains(&key)));
}

/// The bytes as a checkpoint whose checksums and counts are right: two bytes for the counts, then the rest.
fn repaired(data: &[u8]) -> Vec<u8> {
    let mut fields = Fields(data);
    let entries = usize::from(fields.u8().unwrap_or_default() % 8);
    let keys = usize::from(fields.u8().unwrap_or_default() % 8);
    let heap_start = HEAD + entries * ENTRY_AND_TABLE + keys * KEY;
    let mut bytes = fields.0.to_vec();
    bytes.resize(bytes.len().max(heap_start), 0);
    let heap = bytes.len() - heap_start;
    // As many removed conversations as the heap has room for, of those that the bytes speak of.
    let removed = heap.min(usize::from(bytes.get(120).copied().unwrap_or_default() % 8) * REMOVED) / REMOVED;
    put(&mut bytes, 112, &to_u64(heap - removed * REMOVED).to_le_bytes());
    put(&mut bytes, 120, &u32::try_from(removed).unwrap_or_default().to_le_bytes());
    put(&mut bytes, 0, b"\x89ECP\r\n\x1a\n\x01\x00\x00\x00\x80\x00\x00\x00");
    for (place, count) in [(64, entries), (72, keys), (80, heap)] {
        put(&mut bytes, place, &to_u64(count).to_le_bytes());
    }
    // Numbers that nothing could have counted up to are refused, so their highest bytes are cleared.
    for highest_byte in [39, 47, 55] {
        put(&mut bytes, highest_byte, &[0]);
    }
    let crc = crc32fast::hash(bytes.get(..HEAD - 4).unwrap_or_default());
    put(&mut bytes, HEAD - 4, &crc.to_le_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes.extend(b"\x89end");
    bytes
}

/// The newest statement of a control file of whatever bytes is one that is in it.
fn control(data: &[u8]) {
    let mut file = data.to_vec();
    file.resize(CONTROL_LEN, 0);
    for slot in file.chunks_exact_mut(CONTROL_LEN / 2) {
        let (body, crc) = slot.split_at_mut(CONTROL_LEN / 2 - 4);
        // Numbers beyond all that can be reached are no statement, whatever the checksum.
        for high in [15, 23, 47] {
            if let Some(byte) = body.get_mut(high) {
                *byte &= 0x3f;
            }
        }
        crc.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    }
    let newest = Control::newest(&file);
    assert!(newest.is_some(), "a statement whose checksum is right is taken");
    for found in [newest, Control::newest(data)].into_iter().flatten() {
        assert_eq!(Control::newest(&found.encode()), Some(found), "a statement is read as it was written");
    }
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(what) {
        *to = *from;
    }
}
