//! A file system in which the directory of a store is sealed, and those that its backup or a new store is made in.
//!
//! Owns which file of a directory is which on the disk. Everything in it is sealed but the few files of which
//! it is known that they say nothing of what is kept; and nothing at all is written anywhere else.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blocks::{SealedFile, as_plain};
use super::key_file::KEYS_DIR;
use super::keyring::Keyring;
use crate::error::{Error, ErrorKind};
use crate::vfs::{DirEntry, EventSeal, Lock, Metadata, OpenMode, Vfs, VfsFile};

/// A file system in which some directories are sealed, all with the keys of one store.
#[derive(Debug)]
pub(crate) struct SealedFiles {
    below: Arc<dyn Vfs>,
    places: Vec<(PathBuf, Place)>,
    keys: Arc<Keyring>,
}

/// What a directory holds that is sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// A store.
    Store,
    /// The backup of one.
    Backup,
}

/// What a path is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// It is in none of the directories.
    Outside,
    /// It says nothing of what is kept, and is as it is.
    Plain,
    /// A segment of the log, whose events are sealed one by one before they are written to it.
    Segment,
    /// Anything else.
    Sealed,
}

/// The files of `log/` that are as they are: locks, numbers and wrapped keys.
const PLAIN_IN_LOG: [&str; 5] = ["LOCK", "TURN", "CONTROL", "KEY", "KEY.tmp"];
/// The same beside `log/`: a store's id and numbers.
const PLAIN_IN_ROOT: [&str; 2] = [".aral-store", ".aral-store.tmp"];

/// The files of a backup that are as they are: its manifest, numbers and times, the lock, and wrapped keys.
const PLAIN_IN_BACKUP: [&str; 6] = ["aral-backup", "aral-backup.tmp", "LOCK", "moments", "KEY", "KEY.tmp"];

/// How many hexadecimal digits the name of a conversation's file has.
const NAME_DIGITS: usize = 32;

fn is_opaque(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let stem = name.strip_suffix(".json").unwrap_or_default();
    (stem.len() == NAME_DIGITS && stem.bytes().all(is_digit)) || name.starts_with(".staged-")
}

fn class_in(relative: &Path) -> Class {
    let parts: Vec<&str> = relative.iter().map(|part| part.to_str().unwrap_or_default()).collect();
    match parts[..] {
        [name] if PLAIN_IN_ROOT.contains(&name) => Class::Plain,
        ["log", name] if PLAIN_IN_LOG.contains(&name) => Class::Plain,
        ["log", KEYS_DIR, _] => Class::Plain,
        ["log", name] if [".seg", ".seg.tmp", ".seg.unread"].iter().any(|end| name.ends_with(end)) => {
            Class::Segment
        }
        ["log", "consumers", name] if name.ends_with(".lock") => Class::Plain,
        _ => Class::Sealed,
    }
}

fn class_in_backup(relative: &Path) -> Class {
    let parts: Vec<&str> = relative.iter().map(|part| part.to_str().unwrap_or_default()).collect();
    match parts[..] {
        [name] if PLAIN_IN_BACKUP.contains(&name) => Class::Plain,
        [KEYS_DIR, _] => Class::Plain,
        // What is set aside of a segment keeps the end of its name.
        ["segments" | "set-aside", name] if name.ends_with(".seg") => Class::Segment,
        _ => Class::Sealed,
    }
}

/// Whether a file that has this path in the store's directory is sealed in blocks.
pub(super) fn is_sealed_in_blocks(relative: &Path) -> bool {
    class_in(relative) == Class::Sealed
}

fn refused(path: &Path, reason: &str) -> io::Error {
    io::Error::other(Error::new(ErrorKind::Unsupported, reason).at(path, None))
}

impl SealedFiles {
    pub(crate) fn new(below: Arc<dyn Vfs>, root: &Path, place: Place, keys: Arc<Keyring>) -> Self {
        Self { below, places: vec![(root.to_owned(), place)], keys }
    }

    /// The same file system with one more directory, in which everything is sealed with the same keys.
    pub(crate) fn and(&self, root: &Path, place: Place) -> Self {
        let mut places = self.places.clone();
        places.push((root.to_owned(), place));
        Self { below: Arc::clone(&self.below), places, keys: Arc::clone(&self.keys) }
    }

    /// The same file system, whose keys of conversations are in another directory from now on, which has copies of them: new
    /// ones come to be there.
    pub(crate) fn with_keys_in(self, log: &Path) -> Self {
        Self { keys: Arc::new(self.keys.in_other(log)), ..self }
    }

    fn class(&self, path: &Path) -> Class {
        let inside =
            self.places.iter().find_map(|(root, place)| Some((path.strip_prefix(root).ok()?, place)));
        match inside {
            Some((relative, Place::Store)) => class_in(relative),
            Some((relative, Place::Backup)) => class_in_backup(relative),
            None => Class::Outside,
        }
    }

    /// Refuses to write anywhere but in those directories, where nothing would be sealed.
    fn must_be_inside(&self, path: &Path) -> io::Result<()> {
        if self.class(path) != Class::Outside {
            return Ok(());
        }
        Err(refused(
            path,
            "the store is encrypted, and this would be written outside of its directory without being sealed; \
             `aral-store export` writes what is in it as it is",
        ))
    }

    /// Refuses a name that gives away what is in the file.
    fn must_say_nothing(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_conversation = |(root, place): &(PathBuf, Place)| {
            *place == Place::Store && path.parent() == Some(&root.join("conversations"))
        };
        if self.places.iter().any(is_conversation) && !is_opaque(name) {
            return Err(refused(
                path,
                "the store is encrypted, and this name would tell what is in the file",
            ));
        }
        Ok(())
    }

    fn must_stay_what_it_is(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.must_be_inside(from)?;
        self.must_be_inside(to)?;
        self.must_say_nothing(to)?;
        if self.class(from) != self.class(to) {
            return Err(refused(
                to,
                "the store is encrypted, and files of this name are sealed in another way",
            ));
        }
        Ok(())
    }
}

impl Vfs for SealedFiles {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        if how != OpenMode::Read {
            self.must_be_inside(path)?;
        }
        if how == OpenMode::CreateNew {
            self.must_say_nothing(path)?;
        }
        match self.class(path) {
            Class::Outside | Class::Plain | Class::Segment => self.below.open(path, how),
            Class::Sealed => {
                let inner = self.below.open(path, how)?;
                let file = if how == OpenMode::CreateNew { SealedFile::begin } else { SealedFile::open };
                Ok(Arc::new(file(&self.keys, path, inner)?))
            }
        }
    }

    fn open_files_limit(&self) -> usize {
        self.below.open_files_limit()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.must_stay_what_it_is(from, to)?;
        self.below.rename(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.must_stay_what_it_is(one, other)?;
        self.below.exchange(one, other)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.must_stay_what_it_is(from, to)?;
        self.below.rename_new(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.must_be_inside(path)?;
        self.below.remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.must_be_inside(path)?;
        self.below.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.must_be_inside(path)?;
        self.below.remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.below.read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let metadata = self.below.metadata(path)?;
        Ok(if self.class(path) == Class::Sealed { as_plain(metadata) } else { metadata })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.below.sync_dir(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.must_be_inside(path)?;
        self.below.try_lock(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.below.canonical(path)
    }

    fn sealing(&self) -> Option<Arc<dyn EventSeal>> {
        Some(Arc::<Keyring>::clone(&self.keys))
    }
}
