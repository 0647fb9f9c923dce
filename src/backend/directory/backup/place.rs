//! The directory that a backup is in.
//!
//! Owns its paths, the refusal of what is not the store's own backup, the lock, the manifest, and the setting aside of
//! what does not belong there any more.

use std::io;
use std::path::{Path, PathBuf};

use crate::backend::directory::root::{existing_dir, make_dirs};
use crate::codec::backup::{BadManifest, MAX_MANIFEST, Manifest};
use crate::codec::segment::StoreId;
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::{LOCK, checkpoint_name};
use crate::log::segment::file_name;
use crate::model::Seq;
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::nested;
use crate::vfs::{self, Lock, OpenMode, Vfs};

/// The file that says what of a backup counts.
pub(crate) const MANIFEST: &str = "aral-backup";
const UNFINISHED: &str = "aral-backup.tmp";

/// The paths of a backup.
#[derive(Clone, Debug)]
pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    /// The backup in a directory that is there, with its manifest.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no directory, or nothing in it yet; `InvalidInput` if it is no backup.
    pub(super) fn existing(vfs: &dyn Vfs, dir: &Path) -> Result<(Self, Manifest)> {
        let place = Self { root: existing_dir(vfs, dir)? };
        match place.manifest(vfs)? {
            Some(manifest) if manifest.epoch > 0 => Ok((place, manifest)),
            Some(_) => {
                let reason =
                    "the first backup to this place was not finished, so that there is nothing to restore";
                Err(Error::new(ErrorKind::NotFound, reason).at(&place.root, None))
            }
            None => Err(Error::invalid("this place holds no backup; name that of one").at(&place.root, None)),
        }
    }

    /// The directory for backups of a store, made if there is none, and held until the lock is let go.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if something else is in it, another store's backup included, or if it is among the store's files
    /// or they are in it; `Locked` if somebody else is at it.
    pub(super) fn claim(vfs: &dyn Vfs, source: &Layout, to: &Path) -> Result<(Self, Box<dyn Lock>)> {
        let refused = |reason: &str| Err(Error::invalid(reason).at(to, None));
        let resolved = nested::resolved(vfs, to);
        if resolved.starts_with(source.root()) || source.root().starts_with(&resolved) {
            return refused(
                "a backup must not lie in the directory of its store, nor the store in that of the backup",
            );
        }
        nested::must_lie_in_no_store(vfs, to)?;
        make_dirs(vfs, to)?;
        let place = Self { root: existing_dir(vfs, to)? };
        let names = vfs.read_dir(&place.root).map_err(|e| Error::io("list", &place.root, e))?;
        let has = |name: &str| names.iter().any(|entry| entry.name == name);
        // Of a first backup that was stopped at its very beginning there may be no more than these.
        let is_begun = names.iter().all(|entry| [LOCK, UNFINISHED].contains(&&*entry.name));
        if has("log") || has("message_store.json") {
            return refused(
                "there is a store in this directory, which a backup would mix with; name another one",
            );
        }
        if !has(MANIFEST) && !is_begun {
            return refused("this directory is not empty, and holds no backup; name another one");
        }
        let path = place.root.join(LOCK);
        let lock = vfs.try_lock(&path).map_err(|e| Error::io("lock", &path, e))?;
        let lock = lock.ok_or_else(|| {
            Error::new(ErrorKind::Locked, "another process is writing to this backup").at(to, None)
        })?;
        Ok((place, lock))
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the copies of segments are.
    pub(super) fn segments(&self) -> PathBuf {
        self.root.join("segments")
    }

    pub(super) fn segment(&self, number: u64, first_seq: Seq) -> PathBuf {
        self.segments().join(file_name(number, first_seq))
    }

    /// Where there is a directory for each checkpoint.
    pub(super) fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// What came new with a checkpoint, laid out as in a store.
    pub(super) fn files(&self, epoch: u64) -> Layout {
        Layout::new(&self.checkpoints().join(format!("{epoch:016x}")))
    }

    /// The copy of a checkpoint.
    pub(super) fn checkpoint(&self, epoch: u64) -> PathBuf {
        self.files(epoch).root().join(checkpoint_name(epoch))
    }

    /// What the copy of a checkpoint is called once it is not kept any more.
    pub(super) fn dropped(&self, epoch: u64) -> PathBuf {
        self.files(epoch).root().join("dropped")
    }

    /// Lets files that came with a checkpoint count although it is not kept, or was never complete.
    pub(super) fn drop_checkpoint(&self, vfs: &dyn Vfs, epoch: u64) -> Result<()> {
        let (path, dropped, files) = (self.checkpoint(epoch), self.dropped(epoch), self.files(epoch));
        if layout::probe(vfs, &path)?.is_some() {
            vfs.rename(&path, &dropped).map_err(|e| Error::io("rename", &path, e))?;
        } else if layout::probe(vfs, &dropped)?.is_none() {
            layout::write_file(vfs, &dropped, b"")?;
        }
        for dir in [files.conversations(), files.root().to_owned(), self.checkpoints()] {
            layout::sync_dir(vfs, &dir)?;
        }
        Ok(())
    }

    /// The list of moments.
    pub(super) fn moments(&self) -> PathBuf {
        self.root.join("moments")
    }

    /// The manifest; `None` if there is none.
    fn manifest(&self, vfs: &dyn Vfs) -> Result<Option<Manifest>> {
        let path = self.root.join(MANIFEST);
        let file = match vfs.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|e| Error::io("open", &path, e))?,
        };
        let bytes = vfs::read_all(&*file, MAX_MANIFEST).map_err(|e| Error::io("read", &path, e))?;
        Manifest::decode(&bytes).map(Some).map_err(|bad| match bad {
            BadManifest::Newer => {
                let reason = "the backup is in a format that is newer than this software";
                Error::new(ErrorKind::UnsupportedFormat, reason).at(&path, None)
            }
            BadManifest::Damaged => {
                let reason = "the backup's manifest is damaged, so that nobody can say what of the rest counts; back up \
                              to another directory";
                Error::corrupt(&path, 0, reason)
            }
        })
    }

    /// Holds that the backup is as this process has left it, which a lock does not hold everywhere.
    pub(super) fn must_be_own(&self, vfs: &dyn Vfs, manifest: &Manifest) -> Result<()> {
        let there = self.manifest(vfs)?;
        if there.as_ref() == Some(manifest) {
            return Ok(());
        }
        if there.is_none() {
            return Err(self.is_gone());
        }
        let reason = "another process writes to this backup at the same time; let it end, and begin again";
        Err(Error::new(ErrorKind::Locked, reason).at(&self.root, None))
    }

    fn is_gone(&self) -> Error {
        Error::new(ErrorKind::NotFound, "the backup is not there any more").at(&self.root, None)
    }

    /// The manifest of a backup of this store, made if there is none.
    pub(super) fn manifest_for(&self, vfs: &dyn Vfs, store_id: StoreId) -> Result<Manifest> {
        let manifest = match self.manifest(vfs)? {
            Some(manifest) => manifest,
            None => {
                // Order: the manifest before anything else, so that a backup that is stopped is known for one.
                let manifest = Manifest { store_id, ..Manifest::default() };
                self.write_manifest(vfs, &manifest)?;
                manifest
            }
        };
        if manifest.store_id != store_id {
            let reason = "this directory holds the backup of another store; name another one";
            return Err(Error::invalid(reason).at(&self.root, None));
        }
        let mut is_made = false;
        for dir in [self.segments(), self.checkpoints()] {
            is_made |= layout::ensure_dir(vfs, &dir)?;
        }
        if is_made {
            layout::sync_dir(vfs, &self.root)?;
        }
        Ok(manifest)
    }

    /// Goes over to another state.
    ///
    /// When this returns, it is durable.
    pub(super) fn write_manifest(&self, vfs: &dyn Vfs, manifest: &Manifest) -> Result<()> {
        let unfinished = self.root.join(UNFINISHED);
        layout::remove_file(vfs, &unfinished)?;
        layout::write_file(vfs, &unfinished, manifest.encode().as_bytes())?;
        vfs.rename(&unfinished, &self.root.join(MANIFEST))
            .map_err(|e| Error::io("rename", &unfinished, e))?;
        layout::sync_dir(vfs, &self.root)
    }

    /// Moves a file to where it is kept and counts for nothing, durably, and says where that is.
    pub(super) fn set_aside(&self, vfs: &dyn Vfs, path: &Path) -> Result<PathBuf> {
        let (dir, kept) = self.free_name(vfs, path)?;
        vfs.rename_new(path, &kept).map_err(|e| Error::io("rename", path, e))?;
        layout::sync_dir(vfs, &dir)?;
        Ok(kept)
    }

    /// The same with a copy, for a file of which a part goes on counting.
    pub(super) fn set_copy_aside(&self, vfs: &dyn Vfs, path: &Path) -> Result<PathBuf> {
        let (dir, kept) = self.free_name(vfs, path)?;
        if let Some((bytes, _)) = layout::read_file(vfs, path)? {
            layout::write_file(vfs, &kept, &bytes)?;
        }
        layout::sync_dir(vfs, &dir)?;
        Ok(kept)
    }

    /// A name that nothing has where things are set aside.
    fn free_name(&self, vfs: &dyn Vfs, path: &Path) -> Result<(PathBuf, PathBuf)> {
        let dir = self.root.join("set-aside");
        if layout::ensure_dir(vfs, &dir)? {
            layout::sync_dir(vfs, &self.root)?;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Long names are cut, so that the copy's name stays within what a file system takes.
        let name: String = name.chars().take(50).collect();
        for number in 1_u64.. {
            let kept = dir.join(format!("{number}-{name}"));
            if layout::probe(vfs, &kept)?.is_none() {
                return Ok((dir, kept));
            }
        }
        Err(Error::invalid("too much was set aside").at(&dir, None))
    }
}

/// Holds that a place still has the backup of a store, before anything is made there. Where a disk is not mounted any more there is an
/// empty directory, in which another backup would be begun.
pub(crate) fn must_still_be_there(vfs: &dyn Vfs, to: &Path, store_id: StoreId) -> Result<()> {
    let place = Place { root: existing_dir(vfs, to)? };
    if place.manifest(vfs)?.is_some_and(|manifest| manifest.store_id == store_id && manifest.epoch > 0) {
        return Ok(());
    }
    Err(place.is_gone())
}

/// Whether a directory holds a backup, finished or not.
pub(in crate::backend::directory) fn is_backup(vfs: &dyn Vfs, dir: &Path) -> bool {
    vfs.metadata(&dir.join(MANIFEST)).is_ok()
}
