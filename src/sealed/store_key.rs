//! The key of a store: its making, its opening by the key that the owner has, and its wrapping by another one.
//!
//! Owns the file `log/KEY`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::cipher::{self, Secret};
use super::key::Key;
use super::key_file::{KEY_FILE, Purpose, id_of, random_failed, read, sync_dir, unwrap, wrap, write_beside};
use super::keyring::Keyring;
use crate::clock::random_bytes;
use crate::error::{Error, ErrorKind, Result};
use crate::vfs::Vfs;

/// Makes the key of a new store, whose directory `log` is there. When this returns, it is durable.
///
/// # Errors
///
/// Those of the system. Somebody else's key that has come there meanwhile stays.
pub(crate) fn make(vfs: &dyn Vfs, log: &Path, key: &Key) -> Result<()> {
    let path = log.join(KEY_FILE);
    let id: [u8; 16] = random_bytes().map_err(random_failed)?;
    let secret = cipher::new_secret().map_err(random_failed)?;
    let bytes = wrap(&key.0, Purpose::Store, &id, &id, &secret).map_err(random_failed)?;
    let unfinished = write_beside(vfs, &path, &bytes)?;
    match vfs.rename_new(&unfinished, &path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        renamed => renamed.map_err(|e| Error::io("rename", &unfinished, e))?,
    }
    sync_dir(vfs, log)
}

/// The store's key, and what its keys are known by.
fn store_key(vfs: &dyn Vfs, log: &Path, key: &Key) -> Result<([u8; 16], Secret)> {
    let path = log.join(KEY_FILE);
    let bytes = read(vfs, &path)?;
    let id = id_of(&bytes, Purpose::Store, &path)?;
    let secret = unwrap(&key.0, &id, &bytes).ok_or_else(|| {
        let reason =
            "this is not the key that the store is encrypted with; nothing was read and nothing changed";
        Error::new(ErrorKind::Key, reason).at(&path, None)
    })?;
    Ok((id, secret))
}

/// Opens the keys of the store whose directory `log` this is.
///
/// # Errors
///
/// `Key` if it is another key; `Corrupt` if the file of the store's key is damaged; those of the system.
pub(crate) fn unlock(vfs: &Arc<dyn Vfs>, log: &Path, key: &Key) -> Result<Arc<Keyring>> {
    let (id, secret) = store_key(&**vfs, log, key)?;
    Ok(Arc::new(Keyring::of(vfs, log, id, &secret)))
}

/// Wraps the store's key anew, by another key. Nothing else is written: when this returns, the new key opens the store,
/// and the old one does not.
///
/// # Errors
///
/// Those of [`unlock`]. Nothing is changed then, or all of it.
pub(crate) fn rewrap(vfs: &dyn Vfs, log: &Path, old: &Key, new: &Key) -> Result<()> {
    let (id, secret) = store_key(vfs, log, old)?;
    let path = log.join(KEY_FILE);
    let bytes = wrap(&new.0, Purpose::Store, &id, &id, &secret).map_err(random_failed)?;
    let unfinished = write_beside(vfs, &path, &bytes)?;
    vfs.rename(&unfinished, &path).map_err(|e| Error::io("rename", &unfinished, e))?;
    sync_dir(vfs, log)
}
