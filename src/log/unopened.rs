//! Checking a log whose events are sealed, without the key.
//!
//! Owns what the frames and headers alone can prove: that each segment has what it was written with, up to where its
//! successor, or its own watermarks, say that it ends.

use std::sync::Arc;

use super::inventory::Inventory;
use super::recovery::{Last, replay_last, replay_sealed};
use super::scan::Frame;
use super::segment::Segment;
use crate::error::{Error, Result};
use crate::vfs::Vfs;

/// What the frames of a log prove.
#[derive(Debug, Default)]
pub(crate) struct Unopened {
    /// How many events they hold.
    pub(crate) events: u64,
    /// What is wrong, segment by segment.
    pub(crate) damaged: Vec<Error>,
    /// How the newest segment ends.
    pub(crate) last: Option<Last>,
}

/// Goes over the frames of all segments that there are. Which of them have to be there only the checkpoint says, which is
/// sealed.
pub(crate) fn check(vfs: &dyn Vfs, inventory: &Inventory) -> Unopened {
    let mut found = Unopened::default();
    let mut segments = Vec::new();
    for (number, first_seq, path) in inventory.unread.iter().chain(&inventory.segments) {
        match Segment::open_unopened(vfs, path, (*number, *first_seq)) {
            Ok(segment) => segments.push(Arc::new(segment)),
            Err(error) => found.damaged.push(error),
        }
    }
    let newest = inventory.segments.last().map(|(number, ..)| *number);
    for segment in &segments {
        let number = segment.header.number;
        let mut count = |_: &Arc<Segment>, frame: &Frame<'_>| {
            found.events += u64::from(frame.header.events);
            Ok(())
        };
        let behind = segments.iter().find(|other| other.header.previous.number == number);
        let checked: Result<()> = match behind {
            Some(behind) => replay_sealed(segment, &behind.header.previous, &mut count).map(drop),
            None if newest == Some(number) => {
                replay_last(segment, None, &mut count).map(|(_, last)| found.last = Some(last))
            }
            // The one that says where it ends cannot be read, or is gone, as it may be.
            None => Ok(()),
        };
        found.damaged.extend(checked.err());
    }
    found
}
