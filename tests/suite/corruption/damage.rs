//! What can happen to a file at rest.
//!
//! Owns the kinds of damage and how each is done to a simulated file system. Knows nothing of what files mean.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::simfs::SimFs;

/// The unit in which a device reads and writes.
pub(crate) const SECTOR: u64 = 512;

#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Flip(u64, u8),
    Truncate(u64),
    /// So many bytes of this value are added.
    Grow(usize, u8),
    Delete,
    /// A range of bytes becomes zeros.
    Zero(u64, u64),
    /// A range of bytes becomes nonsense.
    Garbage(u64, u64),
    /// Two sectors of the file change places.
    Swap(u64, u64),
    /// One sector of the file is written over another.
    Misdirect(u64, u64),
    /// A sector of the file and one of another file change places.
    SwapAcross(u64, PathBuf, u64),
    /// A sector of another file is written over one of this.
    MisdirectAcross(u64, PathBuf, u64),
    /// A range of bytes is what it was some time ago: the newer write was lost.
    Stale(u64, Bytes),
    /// The whole file is another: an older one of the same name, or that of another store.
    Replace(Bytes),
    /// The file is copied to another name.
    CopyAs(PathBuf),
    /// The file and another change places.
    Exchange(PathBuf),
}

/// Bytes that nobody wants to see printed, and where they come from.
#[derive(Clone)]
pub(crate) struct Bytes {
    pub(crate) whose: &'static str,
    pub(crate) bytes: Arc<[u8]>,
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of {}", self.bytes.len(), self.whose)
    }
}

fn at(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

fn range(offset: u64, length: u64, bytes: &[u8]) -> std::ops::Range<usize> {
    at(offset).min(bytes.len())..at(offset + length).min(bytes.len())
}

/// A sector of a file; the last one may be shorter.
pub(crate) fn sector(fs: &SimFs, path: &Path, number: u64) -> Vec<u8> {
    let bytes = fs.read(path).unwrap_or_default();
    bytes[range(number * SECTOR, SECTOR, &bytes)].to_vec()
}

fn write_sector(fs: &SimFs, path: &Path, number: u64, new: &[u8]) {
    fs.edit(path, |bytes| {
        let place = range(number * SECTOR, SECTOR, bytes);
        let length = place.len().min(new.len());
        bytes[place.start..place.start + length].copy_from_slice(&new[..length]);
    });
}

impl Damage {
    /// Does it, and says which files are not what they were.
    pub(crate) fn inflict(&self, fs: &SimFs, path: &Path) -> Vec<PathBuf> {
        let mut damaged = vec![path.to_owned()];
        match self {
            Self::Flip(offset, bit) => fs.flip_bit(path, *offset, *bit),
            Self::Truncate(length) => fs.truncate(path, *length),
            Self::Grow(count, value) => fs.edit(path, |bytes| bytes.extend(vec![*value; *count])),
            Self::Delete => fs.delete(path),
            Self::Zero(offset, length) => fs.edit(path, |bytes| {
                let range = range(*offset, *length, bytes);
                bytes[range].fill(0);
            }),
            Self::Garbage(offset, length) => fs.edit(path, |bytes| {
                let range = range(*offset, *length, bytes);
                for (n, byte) in bytes[range].iter_mut().enumerate() {
                    *byte ^= u8::try_from(n * 37 % 255).unwrap_or(0) + 1;
                }
            }),
            Self::Swap(one, other) => {
                let (first, second) = (sector(fs, path, *one), sector(fs, path, *other));
                write_sector(fs, path, *one, &second);
                write_sector(fs, path, *other, &first);
            }
            Self::Misdirect(from, to) => write_sector(fs, path, *to, &sector(fs, path, *from)),
            Self::SwapAcross(one, other_path, other) => {
                let (first, second) = (sector(fs, path, *one), sector(fs, other_path, *other));
                write_sector(fs, path, *one, &second);
                write_sector(fs, other_path, *other, &first);
                damaged.push(other_path.clone());
            }
            Self::MisdirectAcross(to, from_path, from) => {
                write_sector(fs, path, *to, &sector(fs, from_path, *from));
            }
            Self::Stale(offset, old) => fs.edit(path, |bytes| {
                let place = range(*offset, u64::try_from(old.bytes.len()).unwrap(), bytes);
                let length = place.len();
                bytes[place].copy_from_slice(&old.bytes[..length]);
            }),
            Self::Replace(new) => fs.put(path, &new.bytes),
            Self::CopyAs(name) => {
                fs.duplicate(path, name);
                damaged.push(name.clone());
            }
            Self::Exchange(other) => {
                fs.exchange(path, other);
                damaged.push(other.clone());
            }
        }
        damaged
    }
}
