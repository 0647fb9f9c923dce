//! The laws of walking over a segment and of judging its end.
//!
//! Owns a writer that is told by bytes what to write, and the damage that a crash or a bad disk does.

use std::convert::Infallible;

use super::record;
use crate::codec::bytes::{Fields, all_zero, to_u64, to_usize};
use crate::codec::frame::{FRAME_ALIGN, FrameHeader, FrameKind, FrameSpace, frame_len};
use crate::codec::segment::{DATA_START, SegmentHeader};
use crate::log::scan::{End, Tail, Walk, judge, walk};
use crate::model::Seq;

/// More frames than this show nothing new.
const MOST_FRAMES: u8 = 24;

/// More damage than this shows nothing new.
const MOST_DAMAGE: usize = 12;

/// Any bytes can be walked over and judged; damage above what was synced is a torn tail, below it rot.
///
/// # Panics
///
/// If a law is broken.
pub fn segment(data: &[u8]) {
    let mut space = FrameSpace { salt: 1, segment: 1 };
    let mut first_seq = 1;
    if let Ok(header) = SegmentHeader::decode(data) {
        assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header), "a header is read as it was written");
        (space, first_seq) = (header.space(), header.first_seq);
    }
    hold_for_any(data, space, first_seq);
    let mut program = Fields(data);
    match program.u8() {
        Some(mode) if mode % 2 == 0 => honest(&mut program),
        _ => hostile(&mut program),
    }
}

/// One frame as it was written.
#[derive(Clone, Copy)]
struct Placed {
    offset: usize,
    end: usize,
    mark: usize,
    next_seq: Seq,
}

/// A segment under construction.
struct Writer {
    space: FrameSpace,
    bytes: Vec<u8>,
    end: usize,
    synced: usize,
    next_seq: Seq,
    frames: Vec<Placed>,
}

impl Writer {
    fn new(program: &mut Fields<'_>) -> Self {
        let salt = program.u32().unwrap_or_default();
        let segment = u64::from(program.u8().unwrap_or_default());
        let room = usize::from(program.u16().unwrap_or_default() % 8192);
        Self {
            space: FrameSpace { salt, segment },
            bytes: vec![0; DATA_START + room],
            end: DATA_START,
            synced: DATA_START,
            next_seq: 1,
            frames: Vec::new(),
        }
    }

    /// Puts a frame at the end; its header's lengths and checksums are made to fit.
    fn put(&mut self, header: FrameHeader, payload: &[u8]) {
        let header = FrameHeader {
            payload_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            payload_crc: crc32fast::hash(payload),
            ..header
        };
        let end = self.end + frame_len(payload.len());
        self.bytes.resize(self.bytes.len().max(end), 0);
        let (head, _) = self.space.encode(to_u64(self.end), &header);
        let content = head.iter().chain(payload);
        for (to, from) in self.bytes.iter_mut().skip(self.end).zip(content) {
            *to = *from;
        }
        self.next_seq = self.next_seq.saturating_add(u64::from(header.events));
        let mark = to_usize(u64::from(header.synced_units)) * FRAME_ALIGN;
        self.frames.push(Placed { offset: self.end, end, mark, next_seq: self.next_seq });
        self.end = end;
    }

    fn header(&self, kind: FrameKind, events: u32) -> FrameHeader {
        FrameHeader {
            payload_len: 0,
            payload_crc: 0,
            kind,
            schema: 1,
            first_seq: self.next_seq,
            synced_units: u32::try_from(self.synced / FRAME_ALIGN).unwrap_or(u32::MAX),
            events,
        }
    }

    /// Does one thing that the log does; `None` when the program ends.
    fn step(&mut self, program: &mut Fields<'_>) -> Option<()> {
        let what = program.u8()?;
        match what % 8 {
            0..=4 => {
                let payload = vec![what; usize::from(program.u16()? % 700)];
                self.put(self.header(FrameKind::Batch, 1 + u32::from(what / 8)), &payload);
            }
            5 => self.put(self.header(FrameKind::Skippable(what | 128), 0), &[what; 5]),
            6 => self.synced = self.end,
            _ => {
                self.synced = self.end;
                self.put(self.header(FrameKind::Seal, 0), &[]);
                return None;
            }
        }
        Some(())
    }
}

/// What the log wrote, and a crash that takes from what was not synced, and a disk that rots.
fn honest(program: &mut Fields<'_>) {
    let mut writer = Writer::new(program);
    for _ in 0..program.u8().unwrap_or_default() % MOST_FRAMES {
        if writer.step(program).is_none() {
            break;
        }
    }
    let (walk, count) = hold_for_any(&writer.bytes, writer.space, 1);
    let is_all = count == writer.frames.len() && walk.next_seq == writer.next_seq;
    assert!(is_all && walk.end_offset == to_u64(writer.end), "every frame that was written is found");
    let verdict = judge(&writer.bytes, writer.space, &walk, to_u64(writer.end));
    assert!(matches!(verdict, Ok(Tail::Whole | Tail::Sealed)), "nothing was lost: {verdict:?}");
    rot(&writer, program);
    crash(&writer, program);
}

/// After any loss of what was not synced, everything synced is found and nothing is called rot.
fn crash(writer: &Writer, program: &mut Fields<'_>) {
    let mut bytes = writer.bytes.clone();
    for _ in 0..MOST_DAMAGE {
        let (Some(what), Some(at), Some(length)) = (program.u8(), program.u16(), program.u16()) else {
            break;
        };
        let unsynced = bytes.len().saturating_sub(writer.synced);
        let at = writer.synced + usize::from(at) % (unsynced + 1);
        let length = usize::from(length) % 5000;
        match what % 4 {
            0 => bytes.iter_mut().skip(at).take(length).for_each(|byte| *byte = 0),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (length % 8)),
            2 => bytes.truncate(at),
            _ => bytes.resize(bytes.len() + length, 0),
        }
    }
    let (walk, _) = hold_for_any(&bytes, writer.space, 1);
    assert!(walk.end_offset >= to_u64(writer.synced), "what was synced is found");
    let synced = writer.frames.iter().take_while(|frame| frame.end <= writer.synced).last();
    assert!(walk.next_seq >= synced.map_or(1, |frame| frame.next_seq), "its events are found");
    let verdict = judge(&bytes, writer.space, &walk, to_u64(writer.synced));
    assert!(verdict.is_ok(), "what was not synced is never rot: {verdict:?}");
}

/// A flipped bit in what was synced is rot wherever a frame or the caller vouches for it.
fn rot(writer: &Writer, program: &mut Fields<'_>) {
    let written = writer.end - DATA_START;
    if written == 0 {
        return;
    }
    let at = usize::from(program.u16().unwrap_or_default());
    let place = DATA_START + at % written;
    let mut bytes = writer.bytes.clone();
    bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << (at % 8));
    let (walk, _) = hold_for_any(&bytes, writer.space, 1);
    let hit = writer.frames.iter().find(|frame| place < frame.end).map_or(DATA_START, |frame| frame.offset);
    assert_eq!(walk.end_offset, to_u64(hit), "the walk ends at the frame that was hit");
    let is_proven = writer.frames.iter().any(|frame| frame.mark > hit);
    for (vouched, is_rot) in [(0, is_proven), (writer.synced, is_proven || writer.synced > hit)] {
        let verdict = judge(&bytes, writer.space, &walk, to_u64(vouched));
        assert_eq!(verdict.is_err(), is_rot, "rot is what was vouched for: {verdict:?}");
    }
}

/// Frames that check and say whatever they like.
fn hostile(program: &mut Fields<'_>) {
    let mut writer = Writer::new(program);
    let first_seq = program.u64().unwrap_or(1);
    writer.next_seq = first_seq;
    for _ in 0..MOST_FRAMES {
        let Some(made_up) = record::header(program) else { break };
        let choice = made_up.payload_crc;
        let first_seq = if choice % 4 == 0 { made_up.first_seq } else { writer.next_seq };
        let events = if made_up.kind == FrameKind::Batch { made_up.events.max(1) } else { 0 };
        let synced_units = if choice % 8 < 4 { made_up.synced_units % 512 } else { made_up.synced_units };
        let length = usize::from(made_up.schema) % 200;
        let header = FrameHeader { first_seq, synced_units, events, ..made_up };
        writer.put(header, program.take(length).unwrap_or_default());
        if choice % 16 == 1 {
            // Bytes in the padding, or in the last payload if that fills its frame.
            let last = writer.end - 1;
            writer.bytes.iter_mut().skip(last).take(1).for_each(|byte| *byte ^= 1);
        }
    }
    hold_for_any(&writer.bytes, writer.space, first_seq);
}

/// What holds of any bytes; gives the walk and the number of its frames.
fn hold_for_any(bytes: &[u8], space: FrameSpace, first_seq: Seq) -> (Walk, usize) {
    let (found, ends) = walked(bytes, space, first_seq);
    let end = to_usize(found.end_offset);
    assert!(end == DATA_START || end <= bytes.len(), "a walk stays within the bytes");
    assert!(ends.last().is_none_or(|last| *last == end), "a walk ends behind its last frame");
    if found.end == End::Unwritten {
        let next = bytes.iter().skip(end).take(FRAME_ALIGN);
        assert!(next.copied().all(|byte| byte == 0), "what is called unwritten is");
    }
    // What lies behind a walk, or in its last frame, changes nothing of what comes before.
    let (behind_cut, again) = walked(bytes.get(..end).unwrap_or(bytes), space, first_seq);
    assert_eq!(
        (behind_cut.end_offset, again.len()),
        (found.end_offset, ends.len()),
        "frames stand for themselves"
    );
    if ends.len() > 1 {
        let (_, fewer) = walked(bytes.get(..end - 1).unwrap_or_default(), space, first_seq);
        assert_eq!(ends.get(..ends.len() - 1), Some(&*fewer), "a frame cut short is no frame");
    }
    for vouched in [0, found.end_offset, found.end_offset + 1] {
        match judge(bytes, space, &found, vouched) {
            Ok(Tail::Sealed) => assert_eq!(found.end, End::Sealed, "only a seal seals"),
            Ok(Tail::Whole) => {
                assert!(all_zero(bytes.get(end..).unwrap_or_default()), "nothing stands behind a whole tail");
            }
            Ok(Tail::Torn(beyond)) => {
                assert!(beyond.written_end > found.end_offset, "a torn tail has bytes");
                assert!(beyond.written_end <= to_u64(bytes.len()), "and none that are not there");
            }
            Err(rot) => assert!(rot.offset == found.end_offset && rot.proof > rot.offset, "rot is proven"),
        }
    }
    let beyond_end = judge(bytes, space, &found, found.end_offset + 1);
    assert_eq!(beyond_end.is_err(), found.end != End::Sealed, "what was vouched for and is gone is rot");
    (found, ends.len())
}

/// The walk and the end of each frame, which are dense in place and in number.
fn walked(bytes: &[u8], space: FrameSpace, first_seq: Seq) -> (Walk, Vec<usize>) {
    let mut ends = Vec::new();
    let (mut at, mut next_seq) = (DATA_START, first_seq);
    let done = walk::<Infallible>(bytes, space, first_seq, |frame| {
        assert_eq!(frame.offset, to_u64(at), "frames follow on each other");
        assert_eq!(frame.header.first_seq, next_seq, "their numbers follow on");
        at += frame_len(frame.payload.len());
        next_seq += u64::from(frame.header.events);
        ends.push(at);
        Ok(())
    });
    let Ok(walk) = done;
    assert_eq!((walk.next_seq, walk.frames), (next_seq, to_u64(ends.len())), "a walk counts its frames");
    (walk, ends)
}
