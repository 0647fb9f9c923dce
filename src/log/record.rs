//! What is appended, and where it went.
//!
//! Owns what can be worked out of a record without a lock. Does not know what a payload means.

use crate::codec::bytes::checksum;
use crate::codec::frame::MAX_PAYLOAD;
use crate::model::Seq;

/// A record and where it went.
#[derive(Clone, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) segment: u64,
    /// Of the payload in the segment.
    pub(crate) offset: u64,
    pub(crate) first_seq: Seq,
    pub(crate) events: u32,
    pub(crate) payload: &'a [u8],
    /// CRC-32 of the payload.
    pub(crate) crc: u32,
}

/// A record that is to be appended, with all of it that can be worked out without a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'p> {
    pub(super) payload: &'p [u8],
    pub(super) crc: u32,
    pub(super) schema: u16,
    pub(super) events: u32,
}

impl<'p> Record<'p> {
    /// A payload of so many events, in an encoding of this version.
    pub(crate) fn new(payload: &'p [u8], schema: u16, events: u32) -> Self {
        debug_assert!(payload.len() <= MAX_PAYLOAD && events > 0, "the caller keeps to the limits");
        Self { payload, crc: checksum(payload), schema, events }
    }
}
