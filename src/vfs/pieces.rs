//! Reading a file of any length in little memory.
//!
//! Owns how much of it is read at a time.

use std::io;

use super::{VfsFile, read_exact_at, zeros};

/// Reads a whole file a piece at a time, so that little memory will do for one of any length.
///
/// # Errors
///
/// Those of the system, and of `take`.
pub(crate) fn read_by_pieces<E: From<io::Error>>(
    file: &dyn VfsFile,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut left = file.metadata()?.len;
    let mut piece = zeros(usize::try_from(left.min(PIECE)).unwrap_or_default())?;
    let mut at = 0;
    while left > 0 {
        let length = left.min(PIECE);
        let bytes = piece.get_mut(..usize::try_from(length).unwrap_or_default()).unwrap_or_default();
        read_exact_at(file, bytes, at)?;
        take(bytes)?;
        at += length;
        left -= length;
    }
    Ok(())
}

/// How much of a file is read at a time where it need not be there as a whole.
const PIECE: u64 = 256 << 10;
