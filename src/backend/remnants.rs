//! The search for what a receipt is of, through every byte of files.
//!
//! Owns what counts as looked through. Knows no engine.

use std::path::Path;

use crate::codec::bytes::to_u64;
use crate::codec::erasure::Record;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::snapshot::layout;
use crate::vfs::{FileKind, Vfs};

/// How much of a file is looked through at once; what may lie across two pieces is looked at with both.
const PIECE: usize = 1 << 20;
/// How much of a piece is looked at again with the next one.
const OVERLAP: usize = 64;
/// How deep below a directory files are looked for.
const DEPTH: usize = 32;

/// Refuses a place that cannot be looked through.
pub(super) fn must_be_there(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    match layout::probe(vfs, path)?.map(|metadata| metadata.kind) {
        Some(FileKind::File | FileKind::Directory) => Ok(()),
        Some(FileKind::Other) => {
            let reason = "it is neither a file nor a directory; of a link, name what it leads to";
            Err(Error::invalid(reason).at(path, None))
        }
        None => Err(Error::new(ErrorKind::NotFound, "it is not there to be looked through").at(path, None)),
    }
}

/// Where the texts of a receipt are, in a file or below a directory: the first place in each file. Links below it are not followed.
///
/// # Errors
///
/// `InvalidInput`, naming it, for what cannot be looked through: what lies too deep, or has a name that is not UTF-8.
pub(super) fn search(vfs: &dyn Vfs, path: &Path, record: &Record) -> Result<Vec<Place>> {
    let mut found = Vec::new();
    below(vfs, path, record, DEPTH, &mut found)?;
    Ok(found)
}

fn below(vfs: &dyn Vfs, path: &Path, record: &Record, depth: usize, found: &mut Vec<Place>) -> Result<()> {
    let Some(metadata) = layout::probe(vfs, path)? else { return Ok(()) };
    match metadata.kind {
        FileKind::Directory if depth == 0 => {
            let reason = "it lies too deep to be looked through: name it as a place to look in, and not only what it lies below";
            return Err(Error::invalid(reason).at(path, None));
        }
        FileKind::Directory => {
            for entry in vfs.read_dir(path).map_err(|e| Error::io("list", path, e))? {
                if !entry.name_is_exact {
                    let reason =
                        "a name here is not UTF-8, so that it cannot be looked through; rename it first";
                    return Err(Error::invalid(reason).at(&path.join(entry.name), None));
                }
                below(vfs, &path.join(entry.name), record, depth - 1, found)?;
            }
        }
        FileKind::File => {
            if let Some(offset) = in_file(vfs, path, record)? {
                found.push(Place { path: path.to_owned(), offset: Some(offset) });
            }
        }
        FileKind::Other => {}
    }
    Ok(())
}

fn in_file(vfs: &dyn Vfs, path: &Path, record: &Record) -> Result<Option<u64>> {
    let (mut window, mut at, mut found) = (Vec::<u8>::new(), 0_u64, None);
    layout::read_through(vfs, path, |piece| {
        for part in piece.chunks(PIECE) {
            if found.is_some() {
                return Ok(());
            }
            window.extend(part);
            found = record.traces.find(&record.salt, &window).map(|place| at + to_u64(place));
            let gone = window.len().saturating_sub(OVERLAP);
            window.drain(..gone);
            at += to_u64(gone);
        }
        Ok(())
    })?;
    Ok(found)
}
