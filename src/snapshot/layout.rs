//! Where things are in a store's directory.
//!
//! Owns every path of the layout. A path is only ever made from a name that was found in a directory or
//! that `names` has made, never from an id.

use std::io;
use std::path::{Path, PathBuf};

use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::Fingerprint;
use crate::error::{Error, Result};
use crate::log::inventory::checkpoint_name;
use crate::vfs::{self, DirEntry, FileKind, Metadata, OpenMode, Vfs};

/// The longest file of JSON that is read: 8 GiB.
pub(crate) const MAX_FILE: u64 = 8 << 30;

/// With what the name of a staged file begins.
pub(crate) const STAGED: &str = ".staged-";

/// The paths of one store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The list of conversations, as the original has it.
    pub(crate) fn index_file(&self) -> PathBuf {
        self.root.join("message_store.json")
    }

    pub(crate) fn conversations(&self) -> PathBuf {
        self.root.join("conversations")
    }

    pub(crate) fn conversation(&self, file_name: &str) -> PathBuf {
        self.conversations().join(file_name)
    }

    /// Everything that the original does not know.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// What says, outside of `log/`, that there is a log to these files.
    pub(crate) fn marker(&self) -> PathBuf {
        self.root.join(".aral-store")
    }

    /// A staged conversation: beside the file that it will replace, so that publishing it is a rename within
    /// one directory, which no file system does by halves.
    pub(crate) fn staged(&self, epoch: u64, ordinal: usize) -> PathBuf {
        self.conversations().join(format!("{STAGED}{epoch:016x}-{ordinal:x}"))
    }

    /// The staged list of conversations.
    pub(crate) fn staged_index(&self, epoch: u64) -> PathBuf {
        self.root.join(format!("{STAGED}{epoch:016x}-index"))
    }

    /// The checkpoint of an epoch.
    pub(crate) fn checkpoint(&self, epoch: u64) -> PathBuf {
        self.log().join(checkpoint_name(epoch))
    }

    /// The store's key, if it is encrypted.
    pub(crate) fn key(&self) -> PathBuf {
        self.log().join("KEY")
    }

    /// The keys of its conversations.
    pub(crate) fn keys(&self) -> PathBuf {
        self.log().join("keys")
    }

    /// What says which store this one is a copy of.
    pub(crate) fn copied_from(&self) -> PathBuf {
        self.log().join("COPIED-FROM")
    }

    /// Where the store's history is kept, if it keeps any.
    pub(crate) fn archive(&self) -> PathBuf {
        self.log().join("archive")
    }

    /// What says how much of it is kept.
    pub(crate) fn keep(&self) -> PathBuf {
        self.archive().join("KEEP")
    }

    /// Where the cursors of consumers are.
    pub(crate) fn consumers(&self) -> PathBuf {
        self.log().join("consumers")
    }

    /// What is being erased, for whoever has to go on with that.
    pub(crate) fn erasing(&self) -> PathBuf {
        self.log().join("ERASING")
    }

    /// The receipts of what was erased.
    pub(crate) fn erasures(&self) -> PathBuf {
        self.log().join("erasures")
    }

    /// The index for searching, if somebody had one made.
    pub(crate) fn search_index(&self) -> PathBuf {
        self.log().join("SEARCH")
    }

    /// What takes it back to where it was if whoever was writing it is killed.
    pub(crate) fn search_journal(&self) -> PathBuf {
        self.log().join("SEARCH-journal")
    }

    /// What was set aside instead of being deleted.
    pub(crate) fn quarantine(&self) -> PathBuf {
        self.log().join("quarantine")
    }
}

/// What is at a path; `None` if nothing is.
pub(crate) fn probe(vfs: &dyn Vfs, path: &Path) -> Result<Option<Metadata>> {
    match vfs.metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("look at", path, error)),
    }
}

/// Makes sure that a directory is there, and that it is one: a symbolic link in its place would lead the
/// store to write, and to delete, elsewhere. Says whether it was made.
pub(crate) fn ensure_dir(vfs: &dyn Vfs, path: &Path) -> Result<bool> {
    match probe(vfs, path)? {
        Some(metadata) if metadata.kind == FileKind::Directory => Ok(false),
        Some(_) => Err(Error::invalid("not a directory of its own").at(path, None)),
        None => match vfs.create_dir(path) {
            // Another process makes the store at the same time.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => ensure_dir(vfs, path),
            made => made.map(|()| true).map_err(|e| Error::io("create", path, e)),
        },
    }
}

/// What is in a directory; nothing if there is none.
///
/// # Errors
///
/// `InvalidInput` if something else is in its place, such as a symbolic link; I/O errors.
pub(crate) fn list_dir(vfs: &dyn Vfs, path: &Path) -> Result<Vec<DirEntry>> {
    match probe(vfs, path)? {
        None => Ok(Vec::new()),
        Some(metadata) if metadata.kind == FileKind::Directory => {
            vfs.read_dir(path).map_err(|e| Error::io("list", path, e))
        }
        Some(_) => Err(Error::invalid("not a directory of its own").at(path, None)),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    vfs.sync_dir(path).map_err(|e| Error::io("sync", path, e))
}

/// Removes a file; one that is gone already is fine.
pub(crate) fn remove_file(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    match vfs.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Reads a file and says how it looks; `None` if there is none.
pub(crate) fn read_file(vfs: &dyn Vfs, path: &Path) -> Result<Option<(Vec<u8>, Fingerprint)>> {
    let file = match vfs.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| Error::io("open", path, e))?,
    };
    let bytes = vfs::read_all(&*file, MAX_FILE).map_err(|e| Error::io("read", path, e))?;
    let metadata = file.metadata().map_err(|e| Error::io("look at", path, e))?;
    let crc = crc32fast::hash(&bytes);
    let print = Fingerprint { len: to_u64(bytes.len()), crc, modified_nanos: nanos(&metadata) };
    Ok(Some((bytes, print)))
}

/// Reads a file a piece at a time, and says how it looks; `None` if there is none.
pub(crate) fn read_through(
    vfs: &dyn Vfs,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Option<Fingerprint>> {
    let file = match vfs.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| Error::io("open", path, e))?,
    };
    let (mut len, mut crc) = (0, crc32fast::Hasher::new());
    vfs::read_by_pieces(&*file, |piece| {
        len += to_u64(piece.len());
        crc.update(piece);
        take(piece).map_err(Stopped::Taking)
    })
    .map_err(|stopped| match stopped {
        Stopped::Reading(error) => Error::io("read", path, error),
        Stopped::Taking(error) => error,
    })?;
    let metadata = file.metadata().map_err(|e| Error::io("look at", path, e))?;
    Ok(Some(Fingerprint { len, crc: crc.finalize(), modified_nanos: nanos(&metadata) }))
}

/// What a reading by pieces ended at.
enum Stopped {
    Reading(io::Error),
    Taking(Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Reading(error)
    }
}

/// How a file looks; `None` if there is none.
pub(crate) fn print_of(vfs: &dyn Vfs, path: &Path) -> Result<Option<Fingerprint>> {
    read_through(vfs, path, |_| Ok(()))
}

/// Writes a new file and syncs it, and says how it looks.
pub(crate) fn write_file(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<Fingerprint> {
    let file = vfs.open(path, OpenMode::CreateNew).map_err(|e| Error::io("create", path, e))?;
    vfs::write_all_at(&*file, bytes, 0).map_err(|e| Error::io("write", path, e))?;
    file.sync().map_err(|e| Error::io("sync", path, e))?;
    let metadata = file.metadata().map_err(|e| Error::io("look at", path, e))?;
    Ok(Fingerprint {
        len: to_u64(bytes.len()),
        crc: crc32fast::hash(bytes),
        modified_nanos: nanos(&metadata),
    })
}

/// The time of a file's last change, in the range that a checkpoint can hold.
pub(crate) fn nanos(metadata: &Metadata) -> i64 {
    i64::try_from(metadata.modified_nanos).unwrap_or_default()
}

/// Whether a file still has the length and the time that it was recorded with.
pub(crate) fn looks_like(metadata: &Metadata, print: &Fingerprint) -> bool {
    metadata.kind == FileKind::File && metadata.len == print.len && nanos(metadata) == print.modified_nanos
}
