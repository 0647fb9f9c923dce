//! How much of its history a directory was told to keep.
//!
//! Owns the file that says so.

use crate::codec::keep::{MAX_KEEP, decode_keep, encode_keep};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Keep;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{self, OpenMode, Vfs};

/// How much is to be kept.
///
/// # Errors
///
/// `Corrupt` if that cannot be read.
pub(super) fn keep_in(vfs: &dyn Vfs, layout: &Layout) -> Result<Keep> {
    let path = layout.keep();
    if layout::probe(vfs, &path)?.is_none() {
        return Ok(Keep::Nothing);
    }
    let read = vfs.open(&path, OpenMode::Read).and_then(|file| vfs::read_all(&*file, MAX_KEEP));
    let bytes = read.map_err(|error| Error::io("read", &path, error))?;
    let reason = "it does not say how much of the history is kept; until `aral-store keep` says it anew, nothing is dropped";
    decode_keep(&bytes).ok_or_else(|| Error::new(ErrorKind::Corrupt, reason).at(&path, None))
}

/// Makes the choice durable.
pub(super) fn write_keep(vfs: &dyn Vfs, layout: &Layout, keep: Keep) -> Result<()> {
    let path = layout.keep();
    if layout::ensure_dir(vfs, &layout.archive())? {
        layout::sync_dir(vfs, &layout.log())?;
    }
    let unfinished = path.with_extension("tmp");
    layout::remove_file(vfs, &unfinished)?;
    layout::write_file(vfs, &unfinished, encode_keep(keep).as_bytes())?;
    vfs.rename(&unfinished, &path).map_err(|error| Error::io("rename", &unfinished, error))?;
    layout::sync_dir(vfs, &layout.archive())
}
