//! Checkpoints come back as they were made, and damage shows.

use super::*;
use crate::codec::segment::Previous;
use crate::model::RemovalReason;

fn sample(entries: usize) -> Vec<u8> {
    let mut builder = CheckpointBuilder::default();
    for n in 0..entries {
        let (id, name) = (format!("c{n}"), format!("c{n}.json"));
        builder.entry(&entry(&id, &name, to_u64(n)));
        let key = format!("k{n}");
        builder.key(&KeyEntry {
            key: &key,
            fingerprint: 1,
            conversation_id: &id,
            id: b"m",
            seq: to_u64(n),
            version: 2,
        });
        builder.tombstone(&tombstone(&format!("r{n}"), n));
    }
    let index_file = Some(Fingerprint { len: 1, crc: 2, modified_nanos: 3 });
    builder.finish(&CheckpointHead { epoch: 4, covered_seq: 9, index_file, ..CheckpointHead::default() })
}

fn tombstone(id: &str, n: usize) -> TombstoneEntry<'_> {
    let removed_at = Timestamp::from_wall_micros(7, Zone::Naive).filter(|_| n % 2 == 0);
    let reason = if n % 3 == 0 { RemovalReason::Retention } else { RemovalReason::Asked };
    TombstoneEntry { id, seq: to_u64(n), removed_at, reason }
}

fn entry<'a>(id: &'a str, file_name: &'a str, n: u64) -> Entry<'a> {
    Entry {
        id,
        file_name,
        title: b"title",
        note: if n % 2 == 0 { "" } else { "why" },
        state: if n % 2 == 0 { FileState::Intact } else { FileState::Damaged },
        is_canonical: n % 3 == 0,
        is_listed: n % 5 != 0,
        file: Fingerprint { len: n, crc: 7, modified_nanos: -8 },
        messages: n,
        actions: 2 * n,
        version: 3 * n,
        last_seq: 4 * n,
        created_at: Timestamp::from_wall_micros(5, Zone::Naive).unwrap(),
        last_activity: Timestamp::from_wall_micros(6, Zone::Offset(-60_000_000)).unwrap(),
    }
}

#[test]
fn conversations_and_keys_are_found_by_name_and_in_order() {
    let checkpoint = Checkpoint::parse(Arc::new(sample(1000))).unwrap();
    assert_eq!((checkpoint.head().epoch, checkpoint.head().covered_seq, checkpoint.entries), (4, 9, 1000));
    for n in 0..1000_usize {
        let (id, name) = (format!("c{n}"), format!("c{n}.json"));
        assert_eq!(checkpoint.find(&id), Some(n));
        let ought = entry(&id, &name, to_u64(n));
        assert_eq!(checkpoint.entry(n), Some(ought));
        assert_eq!(checkpoint.file_of(n), Some((&*name, ought.created_at)));
        let key = checkpoint.find_key(&format!("k{n}")).unwrap();
        assert_eq!((key.conversation_id, key.id, key.seq), (&*id, &b"m"[..], to_u64(n)));
        let removed = format!("r{n}");
        assert_eq!(checkpoint.tombstone(&removed), Some(tombstone(&removed, n)));
    }
    assert_eq!((checkpoint.find("c1000"), checkpoint.find_key("c1")), (None, None));
    assert_eq!((checkpoint.tombstone("r1000"), checkpoint.tombstones().count()), (None, 1000));
    assert_eq!((checkpoint.entry(1000), checkpoint.file_of(1000)), (None, None));
    assert_eq!((checkpoint.entries().count(), checkpoint.keys().count()), (1000, 1000));
}

#[test]
fn every_flipped_bit_and_every_cut_is_seen() {
    let bytes = sample(3);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Checkpoint::parse(Arc::new(damaged)).is_err(), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(Checkpoint::parse(Arc::new(bytes[..length].to_vec())).is_err(), "{length} bytes");
    }
}

/// A conversation that is held, and the segment that is kept for it.
fn held() -> Held {
    let conversations = vec![
        Hold { ordinal: 0, after: 2, through: 4, events: 2 },
        Hold { ordinal: 2, after: 0, through: 9, events: 1 },
    ];
    let end = Previous { number: 3, valid_len: 4352, next_seq: 6, rollup: 7 };
    let next = Previous { number: 8, ..end };
    let segments = [end, next].map(|end| HeldSegment { first_seq: 2, end });
    Held { conversations, segments: segments.to_vec() }
}

fn holding(held: Held) -> Vec<u8> {
    let mut builder = CheckpointBuilder::default();
    for id in ["a", "b", "c"] {
        builder.entry(&entry(id, "x.json", 2));
    }
    builder.hold(held);
    builder.finish(&CheckpointHead { covered_seq: 9, first_segment: 9, ..CheckpointHead::default() })
}

#[test]
fn what_is_held_comes_back_and_damage_to_it_shows() {
    let bytes = holding(held());
    let checkpoint = Checkpoint::parse(Arc::new(bytes.clone())).unwrap();
    assert_eq!(checkpoint.held(), &held());
    assert_eq!(checkpoint.held().of(2), Some(&held().conversations[1]));
    assert_eq!(checkpoint.held().of(1), None);
    assert!(checkpoint.find("b") == Some(1) && checkpoint.needs_segment(8) && checkpoint.needs_segment(9));
    assert!(!checkpoint.needs_segment(7) && checkpoint.needs_segment(3) && !checkpoint.needs_segment(2));
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Checkpoint::parse(Arc::new(damaged)).is_err(), "bit {bit}");
    }
    // Software that knows version 1 only sees another version, and no block where nothing is held.
    assert_eq!((bytes[8], holding(Held::default())[8]), (2, 1));
}

#[test]
fn what_cannot_be_held_is_refused_whatever_its_checksum() {
    let refused = |change: &dyn Fn(&mut Held)| {
        let mut held = held();
        change(&mut held);
        assert!(Checkpoint::parse(Arc::new(holding(held.clone()))).is_err(), "{held:?}");
    };
    refused(&|held| held.conversations[1].ordinal = 3);
    refused(&|held| held.conversations[1].ordinal = 0);
    refused(&|held| held.conversations[1].through = 10);
    refused(&|held| held.conversations[0].after = 5);
    refused(&|held| held.segments[1].end.number = 9);
    refused(&|held| held.segments[1].end.number = 3);
    refused(&|held| held.segments[0].first_seq = u64::MAX);
    // Counts that do not fit.
    for foot in [u32::MAX, 3] {
        let mut bytes = holding(held());
        bytes.truncate(bytes.len() - TRAILER_LEN);
        let at = bytes.len() - 8;
        bytes[at..at + 4].copy_from_slice(&foot.to_le_bytes());
        assert!(Checkpoint::parse(Arc::new(Checkpoint::with_trailer(bytes))).is_err(), "{foot}");
    }
}

#[test]
fn removed_conversations_that_the_heap_has_no_room_for_are_refused() {
    let bytes = sample(3);
    let heap = u64::from_le_bytes(*bytes[80..].first_chunk().unwrap());
    for (offset, count) in [(heap - 119, 3), (heap + 1, 0), (u64::MAX, 1), (0, u32::MAX)] {
        let mut bytes = bytes.clone();
        bytes[112..120].copy_from_slice(&offset.to_le_bytes());
        bytes[120..124].copy_from_slice(&count.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..HEADER_LEN - 4]);
        bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
        bytes.truncate(bytes.len() - TRAILER_LEN);
        let read = Checkpoint::parse(Arc::new(Checkpoint::with_trailer(bytes)));
        assert!(matches!(read, Err(BadCheckpoint::Damaged(..))), "{count} at {offset}");
    }
}

#[test]
fn its_debug_form_shows_no_conversation() {
    let shown = format!("{:?}", Checkpoint::parse(Arc::new(sample(2))).unwrap());
    assert!(shown.contains("epoch: 4") && shown.contains("entries: 2"), "{shown}");
    assert!(!shown.contains("c1") && !shown.contains("title"), "{shown}");
}

#[test]
fn an_empty_one_has_nothing() {
    let empty = Checkpoint::empty([1; 16]);
    let bytes: Vec<u8> = (*empty.bytes).as_ref().to_vec();
    let parsed = Checkpoint::parse(Arc::new(bytes)).unwrap();
    assert_eq!((parsed.entries, parsed.head(), parsed.find("c")), (0, empty.head(), None));
}
