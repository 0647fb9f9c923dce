//! Holds docs/format.md to the bytes: every example in it is decoded, and encoded again.

use std::sync::Arc;

use super::chapter::ChapterHead;
use super::checkpoint::{
    Checkpoint, CheckpointBuilder, CheckpointHead, Entry, FileState, Fingerprint, Held, HeldSegment, Hold,
    KeyEntry, TombstoneEntry,
};
use super::claim::encode_claim;
use super::control::Control;
use super::cursor::{CursorFile, decode_cursor, encode_cursor};
use super::frame::{FrameHeader, FrameKind, FrameSpace, HeaderCheck};
use super::payload::{
    BadPayload, EventView, FIFTH_SCHEMA, SECOND_SCHEMA, SIXTH_SCHEMA, THIRD_SCHEMA, encode_event,
    for_each_event, schema_of,
};
use super::segment::{DATA_START, Previous, SegmentHeader};
use crate::model::{Change, ConsumerCursor, Event, JsonObject, Message, RemovalReason, Timestamp, Zone};

const DOCUMENT: &str = include_str!("../../docs/format.md");

/// The bytes of the example with this name: a block that begins with three backticks, `hex` and the name.
fn example(name: &str) -> Vec<u8> {
    let start = format!("```hex {name}\n");
    let block = DOCUMENT.split(&start).nth(1).unwrap_or_else(|| panic!("no example {name}"));
    let digits = block.split("```").next().unwrap();
    let digits: Vec<_> = digits
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()).collect::<Vec<_>>())
        .collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

#[track_caller]
fn assert_bytes(name: &str, bytes: &[u8]) {
    let hex: Vec<_> = bytes
        .chunks(16)
        .map(|row| row.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "))
        .collect();
    assert!(example(name) == bytes, "{name} is now:\n{}", hex.join("\n"));
}

#[test]
fn the_chapter_head_is_as_written() {
    let head = ChapterHead {
        store_id: *b"0123456789abcdef",
        first: 3,
        last: 9,
        created_unix_micros: 1_741_878_693_447_327,
    };
    assert_bytes("chapter head", &head.encode());
    assert_eq!(ChapterHead::decode(&example("chapter head")), Ok(head));
}

#[test]
fn the_cursor_is_as_written() {
    let cursor = ConsumerCursor::new(300, Some((4, 0x00c0_ffee)));
    let file = CursorFile::new(b"0123456789abcdef", b"fedcba9876543210", cursor);
    let block = DOCUMENT.split("```text cursor\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(encode_cursor(&file), block);
    assert_eq!(decode_cursor(block.as_bytes()), Some(file));
}

fn segment() -> SegmentHeader {
    SegmentHeader {
        store_id: *b"0123456789abcdef",
        number: 2,
        first_seq: 4,
        writer_epoch: 2,
        created_unix_micros: 1_741_878_693_447_327,
        salt: 0x5a17_c0de,
        capacity: 16_777_216,
        previous: Previous { number: 1, valid_len: 4256, next_seq: 4, rollup: 0x0102_0304 },
        is_sealed: false,
    }
}

fn event() -> Event {
    let time = Timestamp::from_wall_micros(1_741_878_693_447_327, Zone::Offset(0)).unwrap();
    let message = Message::new("4ae7d5a2-0b1f-4c5e-8a3e-000000000001", "Hi!", "user", time);
    Event {
        conversation_id: "c1".to_owned(),
        change: Change::AddMessage(message),
        key: Some("k1".to_owned()),
        fingerprint: 0x1234_5678,
    }
}

fn payload() -> Vec<u8> {
    let mut payload = Vec::new();
    encode_event(&EventView::of(&event(), 0), &mut payload).unwrap();
    payload
}

fn frame() -> FrameHeader {
    let payload = payload();
    FrameHeader {
        payload_len: payload.len().try_into().unwrap(),
        payload_crc: crc32fast::hash(&payload),
        kind: FrameKind::Batch,
        schema: 1,
        first_seq: 4,
        synced_units: 128,
        events: 1,
    }
}

#[test]
fn the_claim_is_as_documented() {
    assert_bytes("claim", &encode_claim(*b"0123456789abcdef"));
}

#[test]
fn the_segment_header_of_the_document_is_one() {
    let block = segment().encode();
    assert_bytes("segment header", &block[..128]);
    let mut document = example("segment header");
    document.resize(DATA_START, 0);
    assert_eq!(SegmentHeader::decode(&document), Ok(segment()));
}

#[test]
fn the_frame_and_the_event_of_the_document_are_ones() {
    let space = FrameSpace { salt: 0x5a17_c0de, segment: 2 };
    let (bytes, crc) = space.encode(4096, &frame());
    assert_bytes("frame header", &bytes);
    assert_eq!(space.decode(4096, &example("frame header")), HeaderCheck::Valid(frame(), crc));
    assert_bytes("event", &payload());
    let mut events = Vec::new();
    for_each_event::<BadPayload>(&example("event"), 1, |view, _| {
        assert_eq!(view.key.map(|key| key.fingerprint), Some(0x1234_5678));
        events.push(view.to_event()?);
        Ok(())
    })
    .unwrap();
    assert_eq!(events, [event()]);
}

#[test]
fn the_reset_of_the_document_is_one() {
    let time = Timestamp::from_wall_micros(1_741_878_693_447_327, Zone::Offset(0)).unwrap();
    let metadata = JsonObject::from_canonical(r#"{"a":1}"#);
    let change =
        Change::Reset { title: "Plans".into(), created_at: time, metadata, extra: JsonObject::EMPTY };
    assert_eq!(schema_of(&change), SECOND_SCHEMA);
    let event = Event::new("c1", change);
    let mut payload = Vec::new();
    encode_event(&EventView::of(&event, 0), &mut payload).unwrap();
    assert_bytes("reset", &payload);
    let mut events = Vec::new();
    for_each_event::<BadPayload>(&example("reset"), 1, |view, _| {
        events.push(view.to_event()?);
        Ok(())
    })
    .unwrap();
    assert_eq!(events, [event]);
}

#[test]
fn the_changes_of_later_versions_of_the_document_are_ones() {
    let time = Timestamp::from_wall_micros(1_741_878_693_447_327, Zone::Offset(0)).unwrap();
    let removal = |reason| Change::Remove { removed_at: Some(time), reason };
    let piece = Change::AppendText { message_id: "m1".into(), offset: 3, text: "lo".into() };
    for (name, change, schema) in [
        ("removal", removal(RemovalReason::Asked), THIRD_SCHEMA),
        ("version", Change::SetVersion(1_000), THIRD_SCHEMA),
        ("removal for a reason", removal(RemovalReason::Retention), FIFTH_SCHEMA),
        ("piece of text", piece, SIXTH_SCHEMA),
    ] {
        assert_eq!(schema_of(&change), schema);
        let event = Event::new("c1", change);
        let mut payload = Vec::new();
        encode_event(&EventView::of(&event, 0), &mut payload).unwrap();
        assert_bytes(name, &payload);
        let mut events = Vec::new();
        for_each_event::<BadPayload>(&example(name), 1, |view, _| {
            events.push(view.to_event()?);
            Ok(())
        })
        .unwrap();
        assert_eq!(events, [event]);
    }
}

#[test]
fn the_control_slot_of_the_document_is_one() {
    let control = Control {
        store_id: *b"01234567",
        writer_epoch: 2,
        segment: 2,
        file_number: 99,
        written_units: 131,
        durable_units: 131,
        checkpoint_epoch: 1,
        counter: 7,
    };
    assert_bytes("control slot", &control.encode());
    let file = [vec![0; 64], example("control slot")].concat();
    assert_eq!(Control::newest(&file), Some(control));
}

fn entry() -> Entry<'static> {
    let time = Timestamp::from_wall_micros(1_741_878_693_447_327, Zone::Naive).unwrap();
    Entry {
        id: "c1",
        file_name: "c1.json",
        title: b"Plans",
        note: "",
        state: FileState::Intact,
        is_canonical: true,
        is_listed: true,
        file: Fingerprint { len: 300, crc: 0xaabb_ccdd, modified_nanos: 1 },
        messages: 1,
        actions: 0,
        version: 2,
        last_seq: 3,
        created_at: time,
        last_activity: time,
    }
}

#[test]
fn the_checkpoint_of_the_document_is_one() {
    let entry = entry();
    let key = KeyEntry {
        key: "k1",
        fingerprint: 0x1234_5678,
        conversation_id: "c1",
        id: b"m1",
        seq: 3,
        version: 2,
    };
    let head = CheckpointHead {
        store_id: *b"0123456789abcdef",
        epoch: 1,
        covered_seq: 3,
        first_segment: 2,
        created_unix_micros: 1_741_878_693_447_327,
        index_file: Some(Fingerprint { len: 44, crc: 5, modified_nanos: 2 }),
    };
    let mut builder = CheckpointBuilder::default();
    builder.entry(&entry);
    builder.key(&key);
    let utc = Timestamp::from_wall_micros(1_741_878_693_447_327, Zone::Offset(0));
    let tombstone = TombstoneEntry { id: "c0", seq: 2, removed_at: utc, reason: RemovalReason::Asked };
    builder.tombstone(&tombstone);
    assert_bytes("checkpoint", &builder.finish(&head));
    let checkpoint = Checkpoint::parse(Arc::new(example("checkpoint"))).unwrap();
    assert_eq!((checkpoint.head(), checkpoint.entry(0)), (&head, Some(entry)));
    assert_eq!(checkpoint.find_key("k1"), Some(key));
    assert_eq!((checkpoint.tombstone("c0"), checkpoint.tombstone("c1")), (Some(tombstone), None));
}

#[test]
fn the_held_block_of_the_document_is_one() {
    let held = Held {
        conversations: vec![Hold { ordinal: 0, after: 3, through: 5, events: 2 }],
        segments: vec![HeldSegment {
            first_seq: 4,
            end: Previous { number: 2, valid_len: 4288, next_seq: 6, rollup: 0x0102_0304 },
        }],
    };
    let head = CheckpointHead { epoch: 2, covered_seq: 5, first_segment: 3, ..CheckpointHead::default() };
    let mut builder = CheckpointBuilder::default();
    builder.entry(&entry());
    builder.hold(held.clone());
    let bytes = builder.finish(&head);
    let foot = bytes.len() - 8;
    assert_bytes("held block", &bytes[foot - 80..foot]);
    assert_eq!(bytes[8..10], [2, 0]);
    assert_eq!(Checkpoint::parse(Arc::new(bytes)).unwrap().held(), &held);
}

#[test]
fn every_kind_of_change_has_the_number_that_the_document_gives_it() {
    let time = Timestamp::EPOCH;
    let empty = || JsonObject::EMPTY;
    let message = || Message::new("m", "c", "user", time);
    let action = || crate::model::Action::new("a", "t", empty(), time);
    let changes = [
        Change::Create { title: "t".into(), created_at: time, metadata: empty(), extra: empty() },
        Change::SetTitle("t".into()),
        Change::SetMetadata(empty()),
        Change::AddMessage(message()),
        Change::EditMessage(message()),
        Change::RemoveMessage("m".into()),
        Change::AddAction(action()),
        Change::RemoveAction("a".into()),
        Change::Clear,
        Change::Remove { removed_at: None, reason: RemovalReason::Asked },
        Change::Reset { title: "t".into(), created_at: time, metadata: empty(), extra: empty() },
        Change::EditAction(action()),
        Change::SetCreatedAt(time),
        Change::SetExtra(empty()),
        Change::Remove { removed_at: Some(time), reason: RemovalReason::Asked },
        Change::SetVersion(7),
        Change::Remove { removed_at: Some(time), reason: RemovalReason::Retention },
        Change::AppendText { message_id: "m".into(), offset: 0, text: "t".into() },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let name = format!("{change:?}");
        let name = name.split([' ', '(']).next().unwrap();
        let mut bytes = Vec::new();
        encode_event(&EventView::of(&Event::new("c", change), 0), &mut bytes).unwrap();
        // Id tag, length, one byte of id, no key: the change's number is the fifth byte.
        assert_eq!(usize::from(bytes[4]), number, "{name}");
        assert!(DOCUMENT.contains(&format!("| {number} | `{name}` |")), "the document's row of {name}");
    }
}
