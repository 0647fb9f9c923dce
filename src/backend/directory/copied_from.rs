//! What a directory remembers of being a copy of another store.
//!
//! Owns the file `log/COPIED-FROM`, which is replaced as a whole, and the directory's identity as a copy of it remembers it.

use super::reads::ReadState;
use crate::codec::copy_mark::{MAX_COPY_MARK, decode_copy_mark, encode_copy_mark};
use crate::codec::segment::{StoreId, hex_of};
use crate::error::{Error, ErrorKind, Result};
use crate::model::CopyMark;
use crate::snapshot::layout;
use crate::vfs::{self, OpenMode};

/// The store's identity; `None` for a directory of the original that no store has written to.
pub(super) fn identity(reads: &ReadState) -> Option<String> {
    let head = *reads.index().checkpoint().head();
    let is_written = head.epoch > 0 && head.store_id != StoreId::default();
    is_written.then(|| hex_of(&head.store_id))
}

/// What is remembered; an unreadable file is an error, because without it nobody knows what may be changed.
pub(super) fn read(reads: &ReadState) -> Result<Option<CopyMark>> {
    let (vfs, path) = (&*reads.vfs, reads.layout.copied_from());
    if layout::probe(vfs, &path)?.is_none() {
        return Ok(None);
    }
    let read = vfs.open(&path, OpenMode::Read).and_then(|file| vfs::read_all(&*file, MAX_COPY_MARK));
    let bytes = read.map_err(|error| Error::io("read", &path, error))?;
    let damaged = || {
        let reason =
            "it does not say which store this one is a copy of; remove it to begin a new copy, elsewhere";
        Error::new(ErrorKind::Corrupt, reason).at(&path, None)
    };
    decode_copy_mark(&bytes).map(Some).ok_or_else(damaged)
}

/// Replaces it. When this returns, it is durable.
pub(super) fn write(reads: &ReadState, mark: &CopyMark) -> Result<()> {
    let (vfs, path) = (&*reads.vfs, reads.layout.copied_from());
    let unfinished = path.with_extension("tmp");
    layout::remove_file(vfs, &unfinished)?;
    layout::write_file(vfs, &unfinished, encode_copy_mark(mark).as_bytes())?;
    vfs.rename(&unfinished, &path).map_err(|error| Error::io("rename", &unfinished, error))?;
    layout::sync_dir(vfs, &reads.layout.log())
}
