//! Whether the store in a directory is encrypted, and the way into one that is.
//!
//! Owns the decision between a key that was given, or none, and what is there: a store that is encrypted is never opened
//! without its key, and one that is not never with one. Does not know how anything is sealed.

use std::path::Path;
#[cfg(feature = "encryption")]
use std::sync::Arc;

#[cfg(feature = "encryption")]
use super::root::existing_dir;
use crate::backend::settings::Settings;
use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "encryption")]
use crate::sealed::{Place, SealedFiles};
use crate::snapshot::layout::{self, Layout};
use crate::vfs::Vfs;

/// The file of a store's key, in `log/` of a store and at the top of a backup.
const KEY: &str = "KEY";

/// What a directory holds that is sealed.
#[cfg(not(feature = "encryption"))]
#[derive(Clone, Copy)]
enum Place {
    Store,
    Backup,
}

/// What there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum There {
    /// No store yet.
    Nothing,
    /// A store that is not encrypted, or what the original wrote.
    Plain,
    /// An encrypted one.
    Encrypted,
}

fn look(vfs: &dyn Vfs, layout: &Layout) -> Result<There> {
    if layout::probe(vfs, &layout.key())?.is_some() {
        return Ok(There::Encrypted);
    }
    if layout::probe(vfs, &layout.keys())?.is_some() {
        let reason = "the file of the store's key is missing, without which nothing that is here can be read; put it \
                      back from a copy of the directory";
        return Err(Error::corrupt(&layout.key(), 0, reason));
    }
    let is_in_log = |name: &str| !["LOCK", "TURN"].contains(&name) && !name.ends_with(".tmp");
    let in_log = layout::list_dir(vfs, &layout.log())?;
    let others = [layout.index_file(), layout.conversations(), layout.marker()];
    for path in others {
        if layout::probe(vfs, &path)?.is_some() {
            return Ok(There::Plain);
        }
    }
    Ok(if in_log.iter().any(|entry| is_in_log(&entry.name)) { There::Plain } else { There::Nothing })
}

/// Whether the store is encrypted and no key was given.
pub(super) fn is_locked(settings: &Settings, layout: &Layout) -> Result<bool> {
    Ok(!has_key(settings) && look(&*settings.vfs, layout)? == There::Encrypted)
}

/// Checks the files of the store's keys; tells how long each is and what is wrong with it.
#[cfg(feature = "encryption")]
pub(super) fn check_keys(
    vfs: &dyn Vfs,
    layout: &Layout,
    tell: &mut dyn FnMut(u64, Result<()>),
) -> Result<()> {
    crate::sealed::check_keys(vfs, &layout.log(), tell)
}

/// The same of all files that are sealed in blocks.
#[cfg(feature = "encryption")]
pub(super) fn check_blocks(
    vfs: &dyn Vfs,
    layout: &Layout,
    tell: &mut dyn FnMut(u64, Result<()>),
) -> Result<()> {
    crate::sealed::check_blocks(vfs, layout.root(), tell)
}

#[cfg(not(feature = "encryption"))]
pub(super) fn check_keys(_: &dyn Vfs, layout: &Layout, _: &mut dyn FnMut(u64, Result<()>)) -> Result<()> {
    Err(not_built_in(&layout.key()))
}

#[cfg(not(feature = "encryption"))]
pub(super) fn check_blocks(_: &dyn Vfs, layout: &Layout, _: &mut dyn FnMut(u64, Result<()>)) -> Result<()> {
    Err(not_built_in(&layout.key()))
}

#[cfg(not(feature = "encryption"))]
fn not_built_in(key: &Path) -> Error {
    let reason = "the store is encrypted, and this software was built without the feature `encryption`";
    Error::new(ErrorKind::Key, reason).at(key, None)
}

fn needs_a_key(key: &Path) -> Error {
    let reason = "the store is encrypted, and no key was given; give it with `--key-file`, ARAL_STORE_KEY or Options::key";
    Error::new(ErrorKind::Key, reason).at(key, None)
}

/// Refuses a key for what has none.
///
/// # Errors
///
/// `InvalidInput` if a key was given.
pub(crate) fn must_have_no_key(settings: &Settings, what: &str) -> Result<()> {
    if !has_key(settings) {
        return Ok(());
    }
    let reason = format!(
        "a key was given, and {what} is not encrypted by this software: only stores in directories are; leave the key \
         away, unset ARAL_STORE_KEY, and have the server or the disk encrypt what it keeps"
    );
    Err(Error::invalid(reason))
}

#[cfg(feature = "encryption")]
fn has_key(settings: &Settings) -> bool {
    settings.key.is_some()
}

#[cfg(not(feature = "encryption"))]
fn has_key(_: &Settings) -> bool {
    false
}

/// What the store in a directory that is there is read with.
///
/// # Errors
///
/// `Key` if it is encrypted and the key was not given, or is another one; `InvalidInput` if it is not and one was.
pub(super) fn for_reading(settings: Settings, layout: &Layout) -> Result<Settings> {
    match look(&*settings.vfs, layout)? {
        There::Encrypted => with_key(settings, layout),
        There::Plain if has_key(&settings) => Err(is_plain(layout)),
        There::Plain | There::Nothing => Ok(settings),
    }
}

/// What the store in a directory is written with. A new one gets a key of its own if one to wrap it by was given.
///
/// # Errors
///
/// Those of [`for_reading`], and those of the system.
pub(super) fn for_writing(settings: Settings, layout: &Layout) -> Result<Settings> {
    match look(&*settings.vfs, layout)? {
        There::Encrypted => with_key(settings, layout),
        There::Plain if has_key(&settings) => Err(is_plain(layout)),
        There::Nothing if has_key(&settings) => {
            make(&settings, layout)?;
            with_key(settings, layout)
        }
        There::Plain | There::Nothing => Ok(settings),
    }
}

fn is_plain(layout: &Layout) -> Error {
    let reason = "a key was given, and the store that is here is not encrypted; leave the key away, or bring its \
                  conversations into a new store with `aral-store export --to lines` and `import`, with the key";
    Error::invalid(reason).at(layout.root(), None)
}

#[cfg(feature = "encryption")]
fn with_key(settings: Settings, layout: &Layout) -> Result<Settings> {
    let log = layout.log();
    unlocked(settings, (layout.root(), Place::Store), &log)
}

/// What a directory is read and written with whose keys are in the directory `keys`.
#[cfg(feature = "encryption")]
fn unlocked(settings: Settings, (root, place): (&Path, Place), keys: &Path) -> Result<Settings> {
    let source = settings.key.as_ref().ok_or_else(|| needs_a_key(&keys.join(KEY)))?;
    let keys = crate::sealed::unlock(&settings.vfs, keys, &source.key()?)?;
    let below = Arc::clone(&settings.vfs);
    let sealed = Arc::new(SealedFiles::new(Arc::clone(&below), root, place, keys));
    let vfs = Arc::<SealedFiles>::clone(&sealed);
    Ok(Settings { vfs, outside: Some(below), sealed: Some(sealed), ..settings })
}

/// The same settings, with which what is written of an encrypted store to one more directory is sealed there.
fn and(settings: Settings, root: &Path, place: Place) -> Settings {
    #[cfg(feature = "encryption")]
    if let Some(sealed) = &settings.sealed {
        let sealed = Arc::new(sealed.and(root, place));
        let vfs = Arc::<SealedFiles>::clone(&sealed);
        return Settings { vfs, sealed: Some(sealed), ..settings };
    }
    let _ = (root, place);
    settings
}

/// The settings with which a backup of the store is made in a directory.
pub(super) fn and_backup(settings: Settings, root: &Path) -> Settings {
    and(settings, root, Place::Backup)
}

/// The settings with which a new store is made of what can be saved of another one, and what of its keys cannot. The keys are there
/// when this returns, durably.
///
/// # Errors
///
/// Those of the system.
#[cfg(feature = "encryption")]
pub(super) fn for_repair(
    settings: Settings,
    source: &Layout,
    target: &Layout,
) -> Result<(Settings, Vec<Error>)> {
    let mut damaged = Vec::new();
    let Some(sealed) = &settings.sealed else { return Ok((settings, damaged)) };
    let (from, to) = (source.log(), target.log());
    let sealed = Arc::new(sealed.and(target.root(), Place::Store).with_keys_in(&to));
    layout::ensure_dir(&*sealed, &to)?;
    let mut tell = |error: Error| {
        damaged.push(error);
        Ok(())
    };
    crate::sealed::KeyCopies::default().take_sound(&*sealed, &from, &to, &mut tell)?;
    let vfs = Arc::<SealedFiles>::clone(&sealed);
    Ok((Settings { vfs, sealed: Some(sealed), ..settings }, damaged))
}

#[cfg(not(feature = "encryption"))]
#[expect(clippy::unnecessary_wraps, reason = "the same as where there are keys")]
pub(super) fn for_repair(settings: Settings, _: &Layout, _: &Layout) -> Result<(Settings, Vec<Error>)> {
    Ok((settings, Vec::new()))
}

/// What a store is repaired with.
///
/// # Errors
///
/// Those of [`for_reading`], with what can be done without the key.
pub(super) fn to_repair(settings: Settings, layout: &Layout) -> Result<Settings> {
    let has_none = !has_key(&settings);
    for_reading(settings, layout).map_err(|error| {
        if error.kind() != ErrorKind::Key || !has_none {
            return error;
        }
        error.with_remedy("without it nothing can be looked into and carried over; `aral-store verify` says what the checksums tell")
    })
}

/// The settings with which a new store is made in a directory of what another one holds.
pub(super) fn and_store(settings: Settings, root: &Path) -> Settings {
    and(settings, root, Place::Store)
}

/// What a backup is read with.
///
/// # Errors
///
/// `Key` if it is of an encrypted store and the key was not given, or is another one; `InvalidInput` if it is of another and
/// one was; `Corrupt` if the file of the store's key is missing or damaged.
pub(super) fn of_backup(settings: Settings, root: &Path) -> Result<Settings> {
    let vfs = &*settings.vfs;
    let key = root.join(KEY);
    if layout::probe(vfs, &key)?.is_some() {
        return unlocked(settings, (root, Place::Backup), root);
    }
    if !layout::list_dir(vfs, &root.join("keys"))?.is_empty() {
        let reason = "the file of the store's key is missing, without which nothing of the backup can be read; put it \
                      back from the store's `log/KEY`, or from a copy of the backup";
        return Err(Error::corrupt(&key, 0, reason));
    }
    if has_key(&settings) {
        let reason = "a key was given, and the backup is not of an encrypted store; leave the key away";
        return Err(Error::invalid(reason).at(root, None));
    }
    Ok(settings)
}

/// The keys of an encrypted store, on their way to where its events are copied to.
#[derive(Debug, Default)]
pub(super) struct Keys {
    #[cfg(feature = "encryption")]
    copied: crate::sealed::KeyCopies,
}

impl Keys {
    /// Copies the keys of a store, if it is encrypted, that are not where its events are copied to. When this returns, they are
    /// there, durably.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the file of a key is damaged; `InvalidInput` if another store's keys are there; those of the system.
    #[cfg(feature = "encryption")]
    pub(super) fn copy(&mut self, settings: &Settings, from: &Path, to: &Path) -> Result<()> {
        if settings.sealed.is_none() {
            return Ok(());
        }
        self.copied.take(&*settings.vfs, from, to)
    }

    #[cfg(not(feature = "encryption"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same as where there are keys")]
    pub(super) fn copy(&mut self, _: &Settings, _: &Path, _: &Path) -> Result<()> {
        Ok(())
    }
}

#[cfg(not(feature = "encryption"))]
fn with_key(_: Settings, layout: &Layout) -> Result<Settings> {
    Err(not_built_in(&layout.key()))
}

#[cfg(not(feature = "encryption"))]
fn unlocked(_: Settings, _: (&Path, Place), keys: &Path) -> Result<Settings> {
    Err(not_built_in(&keys.join(KEY)))
}

#[cfg(feature = "encryption")]
fn make(settings: &Settings, layout: &Layout) -> Result<()> {
    let source = settings.key.as_ref().ok_or_else(|| needs_a_key(&layout.key()))?;
    let (vfs, key) = (&*settings.vfs, source.key()?);
    if layout::ensure_dir(vfs, &layout.log())? {
        layout::sync_dir(vfs, layout.root())?;
    }
    crate::sealed::make(vfs, &layout.log(), &key)
}

#[cfg(not(feature = "encryption"))]
fn make(_: &Settings, layout: &Layout) -> Result<()> {
    Err(needs_a_key(&layout.key()))
}

/// Wraps the key of a store anew.
///
/// # Errors
///
/// `InvalidInput` if the store is not encrypted; `Key` if this is not its key; `Locked` if somebody else does the same.
#[cfg(feature = "encryption")]
pub(crate) fn rekey(settings: &Settings, dir: &Path, new: &crate::sealed::Key) -> Result<()> {
    let vfs = &*settings.vfs;
    let layout = Layout::new(&existing_dir(vfs, dir)?);
    if look(vfs, &layout)? != There::Encrypted {
        return Err(
            Error::invalid("the store is not encrypted, so that it has no key").at(layout.root(), None)
        );
    }
    let source = settings.key.as_ref().ok_or_else(|| needs_a_key(&layout.key()))?;
    let lock = layout.log().join(crate::log::inventory::LOCK);
    let held = vfs.try_lock(&lock).map_err(|e| Error::io("lock", &lock, e))?;
    let _held = held.ok_or_else(|| {
        let reason = "the store is open for writing, or its key is being changed; close it first";
        Error::new(ErrorKind::Locked, reason).at(layout.root(), None)
    })?;
    crate::sealed::rewrap(vfs, &layout.log(), &source.key()?, new)
}
