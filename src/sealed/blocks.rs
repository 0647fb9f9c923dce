//! A file whose bytes are sealed in blocks.
//!
//! Owns the layout in docs/format.md, section "An encrypted store". Each block is sealed for itself, under a nonce of its own
//! each time it is written, so that a range can be read without the rest; behind each is a checksum, which tells rot
//! without a key. A block is bound to its file and its place in it. That blocks are missing at the end is for whoever
//! reads the file to see, who knows how long it was.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::cipher::{self, NONCE, Secret, TAG};
use super::keyring::Keyring;
use crate::clock::random_bytes;
use crate::error::{Error, ErrorKind};
use crate::vfs::{self, FileKind, Mapping, Metadata, VfsFile};

/// How many bytes of the file's are in a block.
const BLOCK: usize = 4096;
/// What is added to them: nonce, tag and checksum.
const ADDED: usize = NONCE + TAG + 4;
/// How long the head of a sealed file is.
const HEAD: usize = 64;
const MAGIC: [u8; 8] = *b"\x89ENC\r\n\x1a\n";
const VERSION: u16 = 1;
/// Where the salt is in the head, and how long it is.
const SALT: std::ops::Range<usize> = 16..48;
/// Where the head's checksum is.
const SUM: usize = HEAD - 4;

const fn wide(count: usize) -> u64 {
    // A `usize` has at most 64 bits wherever this is built.
    #[expect(clippy::as_conversions, reason = "widening in a constant, where `try_from` cannot be called")]
    let wide = count as u64;
    wide
}

fn narrow(count: u64) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::ErrorKind::OutOfMemory.into())
}

/// How long a file is whose sealed form has this length.
pub(super) fn plain_len(sealed: u64) -> u64 {
    let blocks = sealed.saturating_sub(wide(HEAD));
    let (whole, rest) = (blocks / wide(BLOCK + ADDED), blocks % wide(BLOCK + ADDED));
    whole * wide(BLOCK) + rest.saturating_sub(wide(ADDED))
}

fn sealed_len(plain: u64) -> u64 {
    let (whole, rest) = (plain / wide(BLOCK), plain % wide(BLOCK));
    let rest = if rest == 0 { 0 } else { rest + wide(ADDED) };
    wide(HEAD) + whole * wide(BLOCK + ADDED) + rest
}

/// What the file system says of a file, as it is without being sealed.
pub(super) fn as_plain(metadata: Metadata) -> Metadata {
    let len = if metadata.kind == FileKind::File { plain_len(metadata.len) } else { metadata.len };
    Metadata { len, ..metadata }
}

/// A file whose bytes are sealed in blocks.
#[derive(Debug)]
pub(super) struct SealedFile {
    path: PathBuf,
    inner: Arc<dyn VfsFile>,
    key: FileKey,
    /// Held while the file is changed: a block that is written in part is read, opened and sealed anew.
    changing: Mutex<()>,
}

struct FileKey {
    secret: Secret,
    /// What every block of the file is bound to: the store's keys and the file's salt.
    bound: Vec<u8>,
}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKey(..)")
    }
}

impl FileKey {
    fn of(keys: &Keyring, salt: &[u8]) -> Self {
        Self { secret: keys.file_key(salt), bound: [&keys.id()[..], salt].concat() }
    }

    fn bound(&self, block: u64) -> Vec<u8> {
        [&self.bound[..], &block.to_le_bytes()].concat()
    }
}

fn head(salt: &[u8; 32]) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD);
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend([0; 6]);
    head.extend(salt);
    head.resize(SUM, 0);
    head.extend(crc32fast::hash(&head).to_le_bytes());
    head
}

fn corrupt(path: &Path, at: u64, reason: &str) -> io::Error {
    io::Error::other(Error::corrupt(path, at, reason))
}

/// What is wrong with the head of a sealed file, if anything is.
pub(super) fn check_head(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() < HEAD || !bytes.starts_with(&MAGIC) {
        let reason = "the store is encrypted, and this file is not: it is damaged, or somebody else's";
        return Err(corrupt(path, 0, reason));
    }
    let sum = crc32fast::hash(bytes.get(..SUM).unwrap_or_default()).to_le_bytes();
    if bytes.get(SUM..HEAD) != Some(&sum[..]) {
        return Err(corrupt(path, 0, "the checksum of a sealed file's head is wrong"));
    }
    if bytes.get(8..10) != Some(&VERSION.to_le_bytes()[..]) {
        let reason = "the file is sealed in a form that is newer than this software";
        return Err(io::Error::other(Error::new(ErrorKind::UnsupportedFormat, reason).at(path, Some(8))));
    }
    Ok(())
}

/// Goes over the blocks of a sealed file without a key, and says where the first one is whose checksum is wrong.
pub(super) fn first_damaged(path: &Path, file: &dyn VfsFile) -> io::Result<Option<u64>> {
    let mut at = 0;
    let mut buffer = vfs::zeros(HEAD)?;
    if read_up_to(file, &mut buffer, 0)? < HEAD {
        return Ok(Some(0));
    }
    check_head(path, &buffer)?;
    at += wide(HEAD);
    let mut block = vfs::zeros(BLOCK + ADDED)?;
    loop {
        let count = read_up_to(file, &mut block, at)?;
        if count == 0 {
            return Ok(None);
        }
        let bytes = block.get(..count).unwrap_or_default();
        if !is_whole(bytes) {
            return Ok(Some(at));
        }
        at += wide(count);
    }
}

/// Whether a sealed block is what was written, as its checksum says.
fn is_whole(block: &[u8]) -> bool {
    let parts = block.split_last_chunk::<4>().filter(|_| block.len() > ADDED);
    parts.is_some_and(|(sealed, sum)| crc32fast::hash(sealed).to_le_bytes() == *sum)
}

/// Reads as much of a buffer as the file has from an offset on.
fn read_up_to(file: &dyn VfsFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read_at(room, offset + wide(filled)) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl SealedFile {
    /// A file that has just been made, and has nothing in it.
    pub(super) fn begin(keys: &Keyring, path: &Path, inner: Arc<dyn VfsFile>) -> io::Result<Self> {
        let salt: [u8; 32] = random_bytes()?;
        vfs::write_all_at(&*inner, &head(&salt), 0)?;
        Ok(Self::new(path, inner, FileKey::of(keys, &salt)))
    }

    /// A file that is there.
    pub(super) fn open(keys: &Keyring, path: &Path, inner: Arc<dyn VfsFile>) -> io::Result<Self> {
        let mut bytes = [0; HEAD];
        let count = read_up_to(&*inner, &mut bytes, 0)?;
        check_head(path, bytes.get(..count).unwrap_or_default())?;
        let key = FileKey::of(keys, bytes.get(SALT).unwrap_or_default());
        Ok(Self::new(path, inner, key))
    }

    fn new(path: &Path, inner: Arc<dyn VfsFile>, key: FileKey) -> Self {
        Self { path: path.to_owned(), inner, key, changing: Mutex::new(()) }
    }

    fn place(block: u64) -> u64 {
        wide(HEAD) + block * wide(BLOCK + ADDED)
    }

    /// Opens a sealed block.
    fn opened<'b>(&self, block: u64, sealed: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let at = Self::place(block);
        if !is_whole(sealed) {
            return Err(corrupt(&self.path, at, "the checksum of a sealed block is wrong"));
        }
        let length = sealed.len() - 4;
        let parts = sealed.get_mut(..length).and_then(|sealed| sealed.split_at_mut_checked(NONCE));
        let parts =
            parts.and_then(|(nonce, rest)| Some((nonce, rest.split_at_mut_checked(length - NONCE - TAG)?)));
        let opened = parts.and_then(|(nonce, (text, tag))| {
            cipher::open(&self.key.secret, &self.key.bound(block), nonce, text, tag).map(|()| &*text)
        });
        opened.ok_or_else(|| corrupt(&self.path, at, "a sealed block is not one that the store wrote"))
    }

    /// What a block has in it; nothing if it is not there.
    fn block(&self, block: u64) -> io::Result<Vec<u8>> {
        let mut sealed = vfs::zeros(BLOCK + ADDED)?;
        let count = read_up_to(&*self.inner, &mut sealed, Self::place(block))?;
        sealed.truncate(count);
        if count == 0 { Ok(sealed) } else { self.opened(block, &mut sealed).map(<[u8]>::to_vec) }
    }

    fn seal(&self, block: u64, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.extend([0; NONCE]);
        out.extend(plain);
        let text = out.get_mut(start + NONCE..).unwrap_or_default();
        let (nonce, tag) = cipher::seal(&self.key.secret, &self.key.bound(block), text)?;
        if let Some(place) = out.get_mut(start..start + NONCE) {
            place.copy_from_slice(&nonce);
        }
        out.extend(tag);
        let sum = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend(sum.to_le_bytes());
        Ok(())
    }

    fn plain_len(&self) -> io::Result<u64> {
        Ok(plain_len(self.inner.metadata()?.len))
    }

    /// Writes bytes at an offset that is not beyond the end.
    fn put(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let first = offset / wide(BLOCK);
        let mut at = narrow(offset % wide(BLOCK))?;
        let (mut rest, mut block, mut sealed) = (bytes, first, Vec::new());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK - at));
            if now.len() == BLOCK {
                self.seal(block, now, &mut sealed)?;
            } else {
                let mut plain = self.block(block)?;
                plain.resize(plain.len().max(at + now.len()), 0);
                if let Some(place) = plain.get_mut(at..at + now.len()) {
                    place.copy_from_slice(now);
                }
                self.seal(block, &plain, &mut sealed)?;
            }
            (rest, block, at) = (later, block + 1, 0);
        }
        vfs::write_all_at(&*self.inner, &sealed, Self::place(first))
    }

    /// Adds zeros up to a length.
    fn extend(&self, length: u64) -> io::Result<()> {
        let zeros = [0; BLOCK];
        let mut there = self.plain_len()?;
        while there < length {
            let room = narrow((length - there).min(wide(BLOCK) - there % wide(BLOCK)))?;
            self.put(zeros.get(..room).unwrap_or_default(), there)?;
            there += wide(room);
        }
        Ok(())
    }
}

impl VfsFile for SealedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let first = offset / wide(BLOCK);
        let skip = narrow(offset % wide(BLOCK))?;
        // At most so many blocks at a time that little memory will do.
        let blocks = (skip + buffer.len()).div_ceil(BLOCK).clamp(1, 64);
        let mut sealed = vfs::zeros(blocks * (BLOCK + ADDED))?;
        let count = read_up_to(&*self.inner, &mut sealed, Self::place(first))?;
        sealed.truncate(count);
        let (mut filled, mut from) = (0, skip);
        for (block, sealed) in (first..).zip(sealed.chunks_mut(BLOCK + ADDED)) {
            let plain = self.opened(block, sealed)?;
            let piece = plain.get(from..).unwrap_or_default();
            let room = buffer.get_mut(filled..).unwrap_or_default();
            let length = piece.len().min(room.len());
            room.get_mut(..length)
                .unwrap_or_default()
                .copy_from_slice(piece.get(..length).unwrap_or_default());
            (filled, from) = (filled + length, 0);
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.is_empty() {
            return Ok(0);
        }
        self.extend(offset)?;
        self.put(bytes, offset)?;
        Ok(bytes.len())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.extend(length)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if length >= self.plain_len()? {
            return self.extend(length);
        }
        let (last, rest) = (length / wide(BLOCK), narrow(length % wide(BLOCK))?);
        if rest > 0 {
            let (plain, mut sealed) = (self.block(last)?, Vec::new());
            self.seal(last, plain.get(..rest).unwrap_or_default(), &mut sealed)?;
            vfs::write_all_at(&*self.inner, &sealed, Self::place(last))?;
        }
        self.inner.set_len(sealed_len(length))
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.inner.metadata().map(as_plain)
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_lead_to_each_other() {
        for plain in [0, 1, 4095, 4096, 4097, 8192, 100_000] {
            assert_eq!(plain_len(sealed_len(plain)), plain);
        }
        assert_eq!(plain_len(0), 0);
    }
}
