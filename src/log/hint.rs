//! The writer's hint.
//!
//! Owns the writing of CONTROL, which says what of the newest segment is durable. A store works without it: whatever
//! goes wrong here is passed over, and an older statement stays true.

use std::sync::Arc;

use super::inventory::CONTROL;
use super::start::Start;
use crate::codec::bytes::to_u64;
use crate::codec::control::{CONTROL_LEN, Control, short_id};
use crate::codec::frame::FRAME_ALIGN;
use crate::vfs::{self, OpenMode, VfsFile};

/// CONTROL, as long as it can be written.
#[derive(Debug)]
pub(super) struct Hint(Option<(Arc<dyn VfsFile>, Control)>);

impl Hint {
    /// Opens CONTROL, making it if there is none.
    pub(super) fn open(start: &Start) -> Self {
        Self(open(start))
    }

    /// Says how much of a segment was written and how much of it is durable.
    pub(super) fn state(&mut self, (segment, written, durable): (u64, u64, u64), checkpoint_epoch: u64) {
        let Some((file, last)) = &mut self.0 else { return };
        let units = |bytes: u64| u32::try_from(bytes / to_u64(FRAME_ALIGN)).unwrap_or(u32::MAX);
        *last = Control {
            segment,
            written_units: units(written),
            durable_units: units(durable),
            checkpoint_epoch,
            counter: last.counter.wrapping_add(1),
            ..*last
        };
        if vfs::write_all_at(&**file, &last.encode(), last.offset()).is_err() {
            self.0 = None;
        }
    }
}

fn open(start: &Start) -> Option<(Arc<dyn VfsFile>, Control)> {
    let path = start.dir.join(CONTROL);
    let file = match start.vfs.open(&path, OpenMode::ReadWrite) {
        Ok(file) => file,
        Err(_) => start.vfs.open(&path, OpenMode::CreateNew).ok()?,
    };
    let metadata = file.metadata().ok()?;
    if metadata.len < to_u64(CONTROL_LEN) {
        vfs::write_all_at(&*file, &[0; CONTROL_LEN], 0).ok()?;
    }
    let mut bytes = vec![0; CONTROL_LEN];
    vfs::read_exact_at(&*file, &mut bytes, 0).ok()?;
    let counter = Control::newest(&bytes).map_or(0, |control| control.counter);
    let blank = Control {
        store_id: short_id(start.store_id),
        writer_epoch: start.writer_epoch,
        segment: start.previous.number,
        file_number: metadata.file_number,
        written_units: 0,
        durable_units: 0,
        checkpoint_epoch: start.checkpoint_epoch,
        counter,
    };
    Some((file, blank))
}
