//! Keys and values for the stores that know only keys and values.
//!
//! Owns the three maps that all of them keep, updated in one transaction: conversation and number to message, UUID to conversation
//! and number, conversation to what a list shows. They need no map by activity: recent conversations are found by going
//! over the last one, which costs their readers time and their writers nothing.

use crate::Outcome;
use crate::peer::Listed;
use crate::workload::{Row, Talk};

/// Big-endian, so that a conversation's messages lie side by side and in order.
pub(super) fn key(number: u32, seq: u32) -> [u8; 8] {
    (u64::from(number) << 32 | u64::from(seq)).to_be_bytes()
}

/// The keys of all messages of a conversation.
pub(super) fn keys(talk: &Talk) -> std::ops::RangeInclusive<[u8; 8]> {
    key(talk.number, 0)..=key(talk.number, u32::MAX)
}

/// The value of the map of conversations.
pub(super) fn listed(row: &Row) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&row.created_at.to_le_bytes());
    bytes.extend_from_slice(&(row.seq + 1).to_le_bytes());
    bytes.extend_from_slice(row.talk.id.as_bytes());
    bytes
}

fn read(bytes: &[u8]) -> Outcome<Listed> {
    let (time, rest) = bytes.split_first_chunk::<8>().ok_or("no time")?;
    let (messages, id) = rest.split_first_chunk::<4>().ok_or("no count")?;
    Ok(Listed {
        id: std::str::from_utf8(id)?.to_owned(),
        title: "Conversation".to_owned(),
        messages: u32::from_le_bytes(*messages),
        updated_at: i64::from_le_bytes(*time),
    })
}

/// The newest of all conversations that are given.
#[derive(Debug, Default)]
pub(super) struct Newest(Vec<(i64, Vec<u8>)>);

impl Newest {
    pub(super) fn add(&mut self, value: &[u8]) {
        if let Some(time) = value.first_chunk() {
            self.0.push((i64::from_le_bytes(*time), value.to_vec()));
        }
    }

    pub(super) fn take(mut self, count: usize) -> Outcome<Vec<Listed>> {
        let count = count.min(self.0.len());
        if count > 0 {
            self.0.select_nth_unstable_by(count - 1, |a, b| b.0.cmp(&a.0));
        }
        self.0.truncate(count);
        self.0.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        self.0.iter().map(|(_, value)| read(value)).collect()
    }
}
