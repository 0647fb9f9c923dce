//! The list of moments: by when the store is known to have come to which event.
//!
//! Owns the file, to which a line is added whenever the backup has come further. It answers what a time means; what
//! is in the backup does not depend on it.

use std::path::Path;

use crate::codec::backup::{MOMENT_LEN, Manifest, Reached};
use crate::codec::bytes::to_u64;
use crate::error::{Error, Result};
use crate::snapshot::layout;
use crate::vfs::{self, OpenMode, Vfs};

/// Sees to it that the moment of a backup's newest state is there, if it has one.
///
/// When this returns, it is durable.
pub(super) fn keep(vfs: &dyn Vfs, path: &Path, manifest: &Manifest) -> Result<()> {
    let moment = manifest.reached();
    if manifest.epoch == 0 || last(vfs, path)?.is_some_and(|last| last.last_seq == moment.last_seq) {
        return Ok(());
    }
    add(vfs, path, &moment)
}

/// The last moment; `None` if it was not written to its end, or there is none.
fn last(vfs: &dyn Vfs, path: &Path) -> Result<Option<Reached>> {
    let file = match vfs.open(path, OpenMode::Read) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| Error::io("open", path, e))?,
    };
    let length = file.metadata().map_err(|e| Error::io("look at", path, e))?.len;
    let mut line = [0; MOMENT_LEN];
    let Some(at) = (length - length % to_u64(MOMENT_LEN)).checked_sub(to_u64(MOMENT_LEN)) else {
        return Ok(None);
    };
    vfs::read_exact_at(&*file, &mut line, at).map_err(|e| Error::io("read", path, e))?;
    Ok(Reached::decode(&line))
}

fn add(vfs: &dyn Vfs, path: &Path, moment: &Reached) -> Result<()> {
    let mut is_new = false;
    let opened = match vfs.open(path, OpenMode::ReadWrite) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            is_new = true;
            vfs.open(path, OpenMode::CreateNew)
        }
        opened => opened,
    };
    let file = opened.map_err(|e| Error::io("open for writing", path, e))?;
    let length = file.metadata().map_err(|e| Error::io("look at", path, e))?.len;
    // A line that was not written to its end is written over.
    let end = length - length % to_u64(MOMENT_LEN);
    vfs::write_all_at(&*file, moment.encode().as_bytes(), end).map_err(|e| Error::io("write", path, e))?;
    file.sync().map_err(|e| Error::io("sync", path, e))?;
    if is_new { layout::sync_dir(vfs, path.parent().unwrap_or(path)) } else { Ok(()) }
}

/// The first and the last moment of those that are kept, and the newest one by some time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub(super) first: Option<Reached>,
    pub(super) last: Option<Reached>,
    pub(super) by_then: Option<Reached>,
}

impl Found {
    /// Takes a moment in that comes behind the others.
    pub(super) fn add(&mut self, moment: &Reached, by_micros: i64) {
        self.first.get_or_insert(*moment);
        self.last = Some(*moment);
        // A clock may have been set back: what counts is the furthest state, not the last line.
        if moment.at_micros <= by_micros
            && self.by_then.is_none_or(|before| before.last_seq <= moment.last_seq)
        {
            self.by_then = Some(*moment);
        }
    }
}

/// Goes through the list, without the moments before an event, which are not kept any more.
pub(super) fn find(vfs: &dyn Vfs, path: &Path, from_seq: u64, by_micros: i64) -> Result<Found> {
    let mut found = Found::default();
    let mut rest: Vec<u8> = Vec::new();
    layout::read_through(vfs, path, |piece| {
        rest.extend_from_slice(piece);
        let whole = rest.len() - rest.len() % MOMENT_LEN;
        let lines = rest.get(..whole).unwrap_or_default().chunks_exact(MOMENT_LEN);
        for moment in lines.filter_map(Reached::decode).filter(|moment| moment.last_seq >= from_seq) {
            found.add(&moment, by_micros);
        }
        rest.drain(..whole);
        Ok(())
    })?;
    Ok(found)
}
