//! The bytes of a message for contenders that keep bytes.
//!
//! Owns one plain encoding, fixed and length-prefixed, so that none of them pays for a serializer.

use crate::Outcome;
use crate::workload::Row;

/// A message as it is read: owned texts, as an application would hold them.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub(crate) struct Owned {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) content: String,
    pub(crate) created_at: i64,
    pub(crate) metadata: String,
}

/// A message as it lies in somebody's bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Borrowed<'a> {
    pub(crate) id: &'a str,
    pub(crate) role: &'a str,
    pub(crate) content: &'a str,
    pub(crate) created_at: i64,
    pub(crate) metadata: &'a str,
}

impl Borrowed<'_> {
    pub(crate) fn to_owned(self) -> Owned {
        Owned {
            id: self.id.to_owned(),
            role: self.role.to_owned(),
            content: self.content.to_owned(),
            created_at: self.created_at,
            metadata: self.metadata.to_owned(),
        }
    }
}

/// What every message of the workload has for metadata.
pub(crate) const METADATA: &str = "{}";

pub(crate) fn encode(row: &Row, out: &mut Vec<u8>) {
    out.extend_from_slice(&row.created_at.to_le_bytes());
    for text in [row.id.as_str(), row.role, row.content.as_str(), METADATA] {
        out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

pub(crate) fn encoded(row: &Row) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(280);
    encode(row, &mut bytes);
    bytes
}

pub(crate) fn decode(bytes: &[u8]) -> Outcome<Borrowed<'_>> {
    let (time, mut rest) = bytes.split_first_chunk::<8>().ok_or("a message without a time")?;
    let mut next = || -> Outcome<&str> {
        let (length, after) = rest.split_first_chunk::<4>().ok_or("a text without a length")?;
        let length = usize::try_from(u32::from_le_bytes(*length))?;
        let (text, after) = after.split_at_checked(length).ok_or("a text without an end")?;
        rest = after;
        Ok(std::str::from_utf8(text)?)
    };
    let (id, role, content, metadata) = (next()?, next()?, next()?, next()?);
    Ok(Borrowed { id, role, content, created_at: i64::from_le_bytes(*time), metadata })
}
