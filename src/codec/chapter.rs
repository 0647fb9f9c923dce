//! The chapters of a store's history: what a compaction has covered, kept in a file of its own.
//!
//! Owns the bytes of a chapter's head, its records and its foot, specified in docs/format.md, section "History". A record's
//! checksum covers its place, so that none passes for another. Knows no files.

use super::bytes::{Fields, to_u64};
use super::payload::{BadPayload, EventView, decode_event};
use super::segment::StoreId;
use crate::model::{Change, Conversation, Event, HistoryBase, Seq, Timestamp, Zone};

/// How long a chapter's head is.
pub(crate) const HEAD_LEN: usize = 64;
/// How long its foot is.
pub(crate) const FOOT_LEN: usize = 32;
/// How long what stands before a record's body is.
pub(crate) const RECORD_HEAD: usize = 8;
/// The longest body of a record.
pub(crate) const MAX_BODY: usize = 1 << 30;

const MAGIC: [u8; 8] = *b"ARALHIST";
const END: [u8; 8] = *b"ARALHEND";
const FORMAT: u16 = 1;

/// What a chapter says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ChapterHead {
    pub(crate) store_id: StoreId,
    /// The first event in it.
    pub(crate) first: Seq,
    /// The last one.
    pub(crate) last: Seq,
    /// When it was made.
    pub(crate) created_unix_micros: i64,
}

/// Why a part of a chapter cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum BadChapter {
    Newer(u16),
    Damaged(&'static str),
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

fn unsealed(bytes: &[u8]) -> Option<Fields<'_>> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    (crc32fast::hash(body) == u32::from_le_bytes(*crc)).then_some(Fields(body))
}

impl ChapterHead {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_LEN);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(self.store_id);
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.last.to_le_bytes());
        bytes.extend(self.created_unix_micros.to_le_bytes());
        bytes.resize(HEAD_LEN - 4, 0);
        sealed(bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadChapter> {
        let damaged = BadChapter::Damaged("the head of the chapter does not have its checksum");
        let mut fields = bytes.get(..HEAD_LEN).and_then(unsealed).ok_or(damaged)?;
        let wrong = || BadChapter::Damaged("this is no chapter of a history");
        if fields.take(8) != Some(&MAGIC) {
            return Err(wrong());
        }
        let format = fields.u16().ok_or_else(wrong)?;
        if format != FORMAT {
            return Err(BadChapter::Newer(format));
        }
        let mut read = || {
            fields.take(2)?;
            let (store_id, first, last) = (fields.id()?, fields.u64()?, fields.u64()?);
            Some(Self { store_id, first, last, created_unix_micros: fields.i64()? })
        };
        read().filter(|head| 0 < head.first && head.first <= head.last).ok_or_else(wrong)
    }
}

/// A chapter's foot: where the table of its conversations begins.
pub(crate) fn encode_foot(table: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FOOT_LEN);
    bytes.extend(END);
    bytes.extend(table.to_le_bytes());
    bytes.resize(FOOT_LEN - 4, 0);
    sealed(bytes)
}

pub(crate) fn decode_foot(bytes: &[u8]) -> Option<u64> {
    let mut fields = unsealed(bytes)?;
    (fields.take(8)? == END).then(|| fields.u64())?
}

/// What stands before a record's body of this length, whose bytes were hashed.
pub(crate) fn record_head(offset: u64, length: usize, body: &crc32fast::Hasher) -> [u8; RECORD_HEAD] {
    let crc = placed_crc(offset, length, body).to_le_bytes();
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut head = [0; RECORD_HEAD];
    for (byte, value) in head.iter_mut().zip(length.into_iter().chain(crc)) {
        *byte = value;
    }
    head
}

/// A record's length and checksum.
pub(crate) fn decode_record_head(head: &[u8]) -> Option<(usize, u32)> {
    let mut fields = Fields(head);
    let (length, crc) = (usize::try_from(fields.u32()?).ok()?, fields.u32()?);
    (length <= MAX_BODY).then_some((length, crc))
}

/// The checksum of a record at its place.
pub(crate) fn record_crc(offset: u64, body: &[u8]) -> u32 {
    let mut hashed = crc32fast::Hasher::new();
    hashed.update(body);
    placed_crc(offset, body.len(), &hashed)
}

fn placed_crc(offset: u64, length: usize, body: &crc32fast::Hasher) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&offset.to_le_bytes());
    crc.update(&to_u64(length).to_le_bytes());
    crc.combine(body);
    crc.finalize()
}

/// What a chapter has of a conversation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct ChapterEntry {
    pub(crate) id: String,
    /// Where its base is; nothing if it was not there when the chapter begins.
    pub(crate) base: Option<u64>,
    /// Whether it was there, and could not be read.
    pub(crate) is_lost: bool,
    /// Where the batches are in which there are events of it, rising.
    pub(crate) batches: Vec<u64>,
}

impl ChapterEntry {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.push(u8::from(self.is_lost));
        bytes.extend(self.base.unwrap_or(0).to_le_bytes());
        bytes.extend(u32::try_from(self.id.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(self.id.as_bytes());
        for batch in &self.batches {
            bytes.extend(batch.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let (flag, base) = (fields.u8()?, fields.u64()?);
        let length = usize::try_from(fields.u32()?).ok()?;
        let id = std::str::from_utf8(fields.take(length)?).ok()?.to_owned();
        let mut batches = Vec::new();
        while !fields.0.is_empty() {
            batches.push(fields.u64()?);
        }
        Some(Self { id, base: (base > 0).then_some(base), is_lost: flag == 1, batches })
    }
}

/// A batch of events as the log had it.
pub(crate) fn encode_batch(first_seq: Seq, events: u32, schema: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 14);
    bytes.extend(first_seq.to_le_bytes());
    bytes.extend(events.to_le_bytes());
    bytes.extend(schema.to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// The first number, how many events, which version of their encoding, and the events.
pub(crate) fn decode_batch(bytes: &[u8]) -> Option<(Seq, u32, u16, &[u8])> {
    let mut fields = Fields(bytes);
    Some((fields.u64()?, fields.u32()?, fields.u16()?, fields.0))
}

/// The beginning of a base: the numbers, and the event that would begin the conversation; `None` if that is longer than an event can be.
pub(crate) fn encode_base_head(
    conversation: &Conversation,
    last_seq: Seq,
    last_activity: Timestamp,
) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.extend(conversation.version.to_le_bytes());
    bytes.extend(last_seq.to_le_bytes());
    bytes.extend(last_activity.wall_micros().to_le_bytes());
    let offset = match last_activity.zone() {
        Zone::Naive => i64::MAX,
        Zone::Offset(micros) => micros,
    };
    bytes.extend(offset.to_le_bytes());
    let begun = Change::Create {
        title: conversation.title.clone(),
        created_at: conversation.created_at,
        metadata: conversation.metadata.clone(),
        extra: conversation.extra.clone(),
    };
    bytes.extend(encode_base_item(&conversation.id, begun)?);
    Some(bytes)
}

/// A further part of it: the event that would add an item.
pub(crate) fn encode_base_item(id: &str, change: Change) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    super::payload::encode_event(&EventView::of(&Event::new(id, change), 0), &mut bytes)?;
    Some(bytes)
}

/// A conversation as it was, as the events that would make it; `None` if one of them is longer than an event can be.
pub(crate) fn encode_base(base: &HistoryBase) -> Option<Vec<u8>> {
    let conversation = &base.conversation;
    let mut bytes = encode_base_head(conversation, base.last_seq, base.last_activity)?;
    let messages = conversation.messages.iter().map(|message| Change::AddMessage(message.clone()));
    let actions = conversation.actions.iter().map(|action| Change::AddAction(action.clone()));
    for change in messages.chain(actions) {
        bytes.extend(encode_base_item(&conversation.id, change)?);
    }
    Some(bytes)
}

/// Holds that bytes are a base, with nothing of it in memory but them.
pub(crate) fn check_base(bytes: &[u8]) -> Result<(), BadPayload> {
    let mut rest = bytes.get(32..).ok_or_else(|| BadPayload("a base is cut short".to_owned()))?;
    while !rest.is_empty() {
        let (_, length) = decode_event(rest)?;
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

pub(crate) fn decode_base(bytes: &[u8]) -> Result<HistoryBase, BadPayload> {
    let bad = || BadPayload("a base is cut short".to_owned());
    let mut fields = Fields(bytes);
    let mut numbers = || Some((fields.u64()?, fields.u64()?, fields.i64()?, fields.i64()?));
    let (version, last_seq, wall, offset) = numbers().ok_or_else(bad)?;
    let zone = if offset == i64::MAX { Zone::Naive } else { Zone::Offset(offset) };
    let last_activity = Timestamp::from_wall_micros(wall, zone).ok_or_else(bad)?;
    let mut conversation = Conversation::new("", Timestamp::EPOCH);
    while !fields.0.is_empty() {
        let (view, length) = decode_event(fields.0)?;
        fields.take(length);
        let event = view.to_event()?;
        match event.change {
            Change::Create { title, created_at, metadata, extra } => {
                conversation.id = event.conversation_id;
                (conversation.title, conversation.created_at) = (title, created_at);
                (conversation.metadata, conversation.extra) = (metadata, extra);
            }
            Change::AddMessage(message) => conversation.messages.push(message),
            Change::AddAction(action) => conversation.actions.push(action),
            Change::Reset { .. }
            | Change::SetTitle(_)
            | Change::SetMetadata(_)
            | Change::EditMessage(_)
            | Change::AppendText { .. }
            | Change::RemoveMessage(_)
            | Change::RemoveAction(_)
            | Change::Clear
            | Change::Remove { .. }
            | Change::EditAction(_)
            | Change::SetCreatedAt(_)
            | Change::SetExtra(_)
            | Change::SetVersion(_) => return Err(BadPayload("a base holds what no base does".to_owned())),
        }
    }
    conversation.version = version;
    Ok(HistoryBase::new(conversation, last_seq, last_activity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, JsonObject, Message};

    #[test]
    fn heads_and_feet_are_read_back_and_no_flipped_bit_passes() {
        let head = ChapterHead { store_id: [7; 16], first: 3, last: 9, created_unix_micros: -5 };
        let bytes = head.encode();
        assert_eq!((bytes.len(), ChapterHead::decode(&bytes)), (HEAD_LEN, Ok(head)));
        let foot = encode_foot(4711);
        assert_eq!((foot.len(), decode_foot(&foot)), (FOOT_LEN, Some(4711)));
        for bit in 0..HEAD_LEN * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(ChapterHead::decode(&flipped).is_err(), "bit {bit}");
        }
        for bit in 0..FOOT_LEN * 8 {
            let mut flipped = foot.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_foot(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn bases_entries_and_batches_are_read_back() {
        let mut conversation = Conversation::new("c\"é", "2025-03-13T15:11:33".parse().unwrap());
        conversation.metadata = JsonObject::parse(r#"{"n":NaN}"#).unwrap();
        conversation.messages.push(Message::new("m", "text", "user", Timestamp::EPOCH));
        conversation.actions.push(Action::new("a", "t", JsonObject::EMPTY, Timestamp::EPOCH));
        conversation.version = 12;
        for time in ["2025-03-13T15:11:33", "2025-03-13T15:11:33+02:00"] {
            let base = HistoryBase::new(conversation.clone(), 8, time.parse().unwrap());
            assert_eq!(decode_base(&encode_base(&base).unwrap()), Ok(base));
        }
        let entry = ChapterEntry { id: "c".into(), base: Some(64), is_lost: false, batches: vec![1, 2] };
        assert_eq!(ChapterEntry::decode(&entry.encode()), Some(entry));
        let batch = encode_batch(5, 2, 1, b"xy");
        assert_eq!(decode_batch(&batch), Some((5, 2, 1, &b"xy"[..])));
    }
}
