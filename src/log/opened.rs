//! The events of a frame as they were before they were sealed.
//!
//! Owns the way from what lies in a segment of an encrypted store to a payload, and where in the segment each of its
//! events lies. In any other store there is nothing to be opened, and a payload is what it is.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::path::Path;

use smallvec::SmallVec;

use super::scan::Frame;
use crate::error::{Error, Result};
use crate::vfs::EventSeal;

/// A payload, opened.
#[derive(Debug)]
pub(crate) struct Opened<'p> {
    payload: Cow<'p, [u8]>,
    /// Where each event lies in what was sealed; nothing if nothing was.
    places: Vec<Range<usize>>,
}

impl Opened<'_> {
    /// The events, one behind the other.
    #[inline]
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Where each event lies in its frame's payload, in order; nothing if nothing was sealed.
    pub(crate) fn places(&self) -> &[Range<usize>] {
        &self.places
    }

    /// Where an event lies in its frame's payload: the one of this number, which has this place among the opened ones.
    #[inline]
    pub(crate) fn place(&self, number: usize, opened: Range<usize>) -> Range<usize> {
        self.places.get(number).cloned().unwrap_or(opened)
    }
}

/// Opens a payload.
///
/// # Errors
///
/// `InvalidData` if it is not one that was sealed with the keys of this store; those of the system.
#[inline]
pub(crate) fn open_payload<'p>(seal: Option<&dyn EventSeal>, payload: &'p [u8]) -> io::Result<Opened<'p>> {
    match seal {
        None => Ok(Opened { payload: Cow::Borrowed(payload), places: Vec::new() }),
        Some(seal) => open_sealed(seal, payload),
    }
}

#[cold]
fn open_sealed<'p>(seal: &dyn EventSeal, payload: &'p [u8]) -> io::Result<Opened<'p>> {
    let (mut plain, mut places, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(rest) = payload.get(at..).filter(|rest| !rest.is_empty()) {
        let length = seal.open(rest, &mut plain)?;
        places.push(at..at + length);
        at += length;
    }
    Ok(Opened { payload: Cow::Owned(plain), places })
}

/// Where each event lies in a payload whose events are sealed, without opening any; nothing if that cannot be told.
pub(crate) fn places_of_sealed(seal: &dyn EventSeal, payload: &[u8]) -> Option<SmallVec<[Range<usize>; 1]>> {
    let (mut places, mut at) = (SmallVec::new(), 0);
    while let Some(rest) = payload.get(at..).filter(|rest| !rest.is_empty()) {
        let length = seal.length(rest).filter(|length| (1..=rest.len()).contains(length))?;
        places.push(at..at + length);
        at += length;
    }
    Some(places)
}

/// Opens the payload of a frame of the segment at this path.
///
/// # Errors
///
/// `Corrupt` if it is not one that was sealed with the keys of this store; those of the system.
#[inline]
pub(crate) fn open_frame<'p>(
    seal: Option<&dyn EventSeal>,
    path: &Path,
    frame: &Frame<'p>,
) -> Result<Opened<'p>> {
    open_payload(seal, frame.payload).map_err(|error| not_opened(path, frame.offset, error))
}

/// What is said of what cannot be opened at an offset of a segment.
#[cold]
pub(crate) fn not_opened(path: &Path, offset: u64, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::InvalidData {
        return Error::corrupt(path, offset, error.to_string());
    }
    Error::io("read", path, error)
}
