//! What is appended, and where it went.
//!
//! Owns what can be worked out of a record without a lock, and the memory that it is made in. Does not know what a payload means.

use crate::codec::bytes::checksum;
use crate::codec::frame::{FRAME_ALIGN, MAX_PAYLOAD, frame_len};
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
    /// The events as they were before they were sealed, where whoever appends them still has them.
    pub(crate) plain: Option<&'a [u8]>,
}

/// A payload that is being made, behind room for its frame's header: it need not be moved to be written.
#[derive(Debug)]
pub(crate) struct Framed {
    bytes: Vec<u8>,
    /// Whether each of its events is sealed.
    is_sealed: bool,
    /// The events as they were before, if they are: what has just been sealed need not be opened to be shown.
    plain: Vec<u8>,
}

impl Framed {
    /// No payload yet, in memory that may have been used before. Its events are plain, or each is sealed before the next one is put
    /// behind it.
    pub(crate) fn new(mut memory: Vec<u8>, is_sealed: bool) -> Self {
        memory.clear();
        memory.extend_from_slice(&[0; FRAME_ALIGN]);
        Self { bytes: memory, is_sealed, plain: Vec::new() }
    }

    /// Where the payload grows, at the end.
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes note of the event that stands from `start` on, before it is sealed.
    pub(crate) fn note_plain(&mut self, start: usize) {
        self.plain.extend_from_slice(self.bytes.get(start..).unwrap_or_default());
    }

    /// The payload so far.
    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(FRAME_ALIGN..).unwrap_or_default()
    }

    /// The memory alone, for the next.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.bytes
    }
}

/// A record that is to be appended, with all of it that can be worked out without a lock.
#[derive(Debug)]
pub(crate) struct Record {
    framed: Framed,
    pub(super) crc: u32,
    pub(super) schema: u16,
    pub(super) events: u32,
}

impl Record {
    /// A payload of so many events, in an encoding of this version.
    pub(crate) fn new(framed: Framed, schema: u16, events: u32) -> Self {
        let payload = framed.payload();
        debug_assert!(payload.len() <= MAX_PAYLOAD && events > 0, "the caller keeps to the limits");
        Self { crc: checksum(payload), framed, schema, events }
    }

    /// Puts the record's frame at the end of a group's buffer, padded and with its header blank, and says where it
    /// begins and how long its payload is. The first frame becomes the buffer, and leaves the record the buffer's
    /// memory; not where that has much more room, which those who join a group need.
    pub(super) fn lay_out(&mut self, buffer: &mut Vec<u8>) -> (usize, usize) {
        let (start, length) = (buffer.len(), self.framed.payload().len());
        if buffer.is_empty() && buffer.capacity() / 2 <= self.framed.bytes.capacity() {
            std::mem::swap(buffer, &mut self.framed.bytes);
        } else {
            buffer.extend_from_slice(&self.framed.bytes);
        }
        buffer.resize(start + frame_len(length), 0);
        (start, length)
    }

    /// Puts its events as they were before they were sealed at the end of a group's, and says where they begin and end.
    pub(super) fn lay_out_plain(&mut self, plain: &mut Vec<u8>) -> (usize, usize) {
        let start = plain.len();
        plain.append(&mut self.framed.plain);
        (start, plain.len())
    }

    /// Whether its events are sealed.
    pub(super) fn is_sealed(&self) -> bool {
        self.framed.is_sealed
    }

    /// The memory that is left, for the next.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.framed.into_memory()
    }
}
