//! A key as it lies in a store's directory: wrapped by another one.
//!
//! Owns the layout in docs/format.md, section "An encrypted store". A file of 128 bytes that is made once and replaced as a whole.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::cipher::{self, NONCE, Secret, TAG};
use crate::error::{Error, ErrorKind, Result};
use crate::vfs::{self, OpenMode, Vfs};

/// The file of the store's key, in `log/`.
pub(super) const KEY_FILE: &str = "KEY";
/// The directory of the conversations' keys, in `log/`.
pub(super) const KEYS_DIR: &str = "keys";

/// How long the file of a key is.
pub(super) const KEY_FILE_LEN: usize = 128;

const MAGIC: [u8; 8] = *b"\x89KEY\r\n\x1a\n";
const VERSION: u16 = 1;
/// How much of the file says what the key is; it is bound to that.
const HEAD: usize = 32;
/// Where the checksum is.
const SUM: usize = KEY_FILE_LEN - 4;

/// What the key in a file is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// For a whole store, wrapped by the key that it is opened with.
    Store,
    /// For a conversation, wrapped by the store's.
    Conversation,
}

impl Purpose {
    fn code(self) -> u16 {
        match self {
            Self::Store => 1,
            Self::Conversation => 2,
        }
    }
}

/// What stands before a wrapped key. `id` is the store's keys' or the conversation's mark.
fn head(purpose: Purpose, id: &[u8; 16]) -> Vec<u8> {
    let mut head = Vec::with_capacity(KEY_FILE_LEN);
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend(purpose.code().to_le_bytes());
    head.extend([0; 4]);
    head.extend(id);
    head
}

/// The file of a key, wrapped by another one, and bound to what it is for.
pub(super) fn wrap(
    by: &Secret,
    purpose: Purpose,
    id: &[u8; 16],
    bound: &[u8],
    key: &Secret,
) -> io::Result<Vec<u8>> {
    let mut bytes = head(purpose, id);
    let mut wrapped = key.clone();
    let (nonce, tag) = cipher::seal(by, &[&bytes[..], bound].concat(), &mut wrapped[..])?;
    bytes.extend(nonce);
    bytes.extend(&wrapped[..]);
    bytes.extend(tag);
    bytes.resize(SUM, 0);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    Ok(bytes)
}

/// What a file of a key says without being opened.
pub(super) fn id_of(bytes: &[u8], purpose: Purpose, path: &Path) -> Result<[u8; 16]> {
    let damaged = |at: u64, reason: &str| Err(Error::corrupt(path, at, reason));
    if bytes.len() != KEY_FILE_LEN {
        return damaged(
            0,
            &format!("a file of a key has {KEY_FILE_LEN} bytes, and this one {}", bytes.len()),
        );
    }
    if !bytes.starts_with(&MAGIC) {
        return damaged(0, "this is no file of a key");
    }
    let sum = bytes.get(SUM..).unwrap_or_default();
    if crc32fast::hash(bytes.get(..SUM).unwrap_or_default()).to_le_bytes() != *sum {
        return damaged(0, "the checksum of a file of a key is wrong");
    }
    let version = bytes.get(8..10).unwrap_or_default();
    if version != VERSION.to_le_bytes() {
        let reason = "the file of a key is of a version that is newer than this software";
        return Err(Error::new(ErrorKind::UnsupportedFormat, reason).at(path, Some(8)));
    }
    let id = bytes.get(16..32).and_then(|id| <[u8; 16]>::try_from(id).ok()).unwrap_or_default();
    if bytes.get(..HEAD) != Some(&head(purpose, &id)[..]) {
        return damaged(10, "the file of a key is for something else");
    }
    Ok(id)
}

/// The key in a file whose checksum is right; `None` if another one wrapped it.
pub(super) fn unwrap(by: &Secret, bound: &[u8], bytes: &[u8]) -> Option<Secret> {
    let said = bytes.get(..HEAD)?;
    let (nonce, rest) = bytes.get(HEAD..)?.split_at_checked(NONCE)?;
    let (wrapped, rest) = rest.split_at_checked(32)?;
    let mut key: Secret = Zeroizing::new(wrapped.try_into().ok()?);
    cipher::open(by, &[said, bound].concat(), nonce, &mut key[..], rest.get(..TAG)?)?;
    Some(key)
}

pub(super) fn random_failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("no random bytes: {error}"))
}

pub(super) fn read(vfs: &dyn Vfs, path: &Path) -> Result<Vec<u8>> {
    let file = vfs.open(path, OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
    vfs::read_all(&*file, 1 << 16).map_err(|e| Error::io("read", path, e))
}

/// Writes a file under a name that is not its own yet, durably.
pub(super) fn write_beside(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<PathBuf> {
    let unfinished = path.with_extension("tmp");
    match vfs.remove_file(&unfinished) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &unfinished, e)),
        _ => {}
    }
    let file = vfs.open(&unfinished, OpenMode::CreateNew).map_err(|e| Error::io("create", &unfinished, e))?;
    vfs::write_all_at(&*file, bytes, 0).map_err(|e| Error::io("write", &unfinished, e))?;
    file.sync().map_err(|e| Error::io("sync", &unfinished, e))?;
    Ok(unfinished)
}

pub(super) fn sync_dir(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    vfs.sync_dir(path).map_err(|e| Error::io("sync", path, e))
}

/// Makes sure that there is a directory; whether it has made it.
pub(super) fn ensure_dir(vfs: &dyn Vfs, path: &Path) -> Result<bool> {
    match vfs.create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        made => made.map(|()| true).map_err(|e| Error::io("create", path, e)),
    }
}
