//! Files that are written from their beginning to their end.
//!
//! Owns the gathering of what is written, and what a file looks like once all of it is. A file is durable only
//! when whoever syncs says so; many files are synced at once, and nobody waits for each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout;
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::Fingerprint;
use crate::codec::document::DocumentWriter;
use crate::error::{Error, Result};
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

/// How many bytes of a file are gathered before they are written.
pub(super) const CHUNK: usize = 1 << 20;

/// A file that is complete and not durable yet.
#[derive(Debug)]
pub(crate) struct Unsynced {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
}

impl Unsynced {
    /// Makes it durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|e| Error::io("sync", &self.path, e))
    }
}

/// Who syncs what has been written.
pub(crate) trait Syncs: std::fmt::Debug {
    /// Takes a file to be synced, now or soon.
    ///
    /// # Errors
    ///
    /// The failure of this sync or of an earlier one.
    fn sync(&self, unsynced: Unsynced) -> Result<()>;

    /// When this returns, all files that were taken are durable.
    ///
    /// # Errors
    ///
    /// The first failure.
    fn wait(&self) -> Result<()>;
}

/// A file that is being written from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Sink {
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    len: u64,
    crc: crc32fast::Hasher,
}

impl Sink {
    pub(crate) fn create(vfs: &dyn Vfs, path: &Path) -> Result<Self> {
        // An earlier compaction may have got this far and failed.
        layout::remove_file(vfs, path)?;
        let file = vfs.open(path, OpenMode::CreateNew).map_err(|e| Error::io("create", path, e))?;
        Ok(Self { path: path.to_owned(), file, len: 0, crc: crc32fast::Hasher::new() })
    }

    /// Writes what has gathered, if it is more than this.
    pub(super) fn take_from(&mut self, writer: &mut DocumentWriter, more_than: usize) -> Result<()> {
        if writer.buffered().len() > more_than {
            self.write(writer.buffered())?;
            writer.clear();
        }
        Ok(())
    }

    /// Writes bytes behind what there is.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        vfs::write_all_at(&*self.file, bytes, self.len).map_err(|e| Error::io("write", &self.path, e))?;
        self.crc.update(bytes);
        self.len += to_u64(bytes.len());
        Ok(())
    }

    /// Says how the file looks, and hands it over to be synced.
    pub(crate) fn finish(self, syncs: &dyn Syncs) -> Result<Fingerprint> {
        let metadata = self.file.metadata().map_err(|e| Error::io("look at", &self.path, e))?;
        let print =
            Fingerprint { len: self.len, crc: self.crc.finalize(), modified_nanos: layout::nanos(&metadata) };
        syncs.sync(Unsynced { file: self.file, path: self.path })?;
        Ok(print)
    }
}
