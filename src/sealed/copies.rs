//! The keys of a store, copied to where its events are copied to.
//!
//! Owns the order in which the files of keys come to be somewhere else. They are copied as they are: wrapped, so that whoever
//! has the copy has no more than whoever has the store.

use std::collections::HashSet;
use std::path::Path;

use super::key_file::{KEY_FILE, KEYS_DIR, Purpose, ensure_dir, id_of, read, sync_dir, write_beside};
use crate::error::{Error, ErrorKind, Result};
use crate::vfs::Vfs;

/// The keys of conversations that were copied.
#[derive(Debug, Default)]
pub(crate) struct KeyCopies(HashSet<String>);

/// What a file has in it; `None` if there is none.
fn there(vfs: &dyn Vfs, path: &Path) -> Result<Option<Vec<u8>>> {
    match read(vfs, path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(Some),
    }
}

fn put(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = write_beside(vfs, path, bytes)?;
    vfs.rename(&unfinished, path).map_err(|e| Error::io("rename", &unfinished, e))
}

impl KeyCopies {
    /// Copies the keys that are in the directory `from`, and not in the directory `to` yet. When this returns, all of them are
    /// there, durably. None is removed: what is there may be sealed with one that the store has no more.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the file of a key is damaged that is not there yet, or is that of the store; `InvalidInput` if the keys of
    /// another store are there; those of the system.
    pub(crate) fn take(&mut self, vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<()> {
        self.take_sound(vfs, from, to, &mut Err)
    }

    /// The same, with what of the conversations' keys is damaged told and left out, as far as that is no error.
    pub(crate) fn take_sound(
        &mut self,
        vfs: &dyn Vfs,
        from: &Path,
        to: &Path,
        tell: &mut dyn FnMut(Error) -> Result<()>,
    ) -> Result<()> {
        let names = self.new_ones(vfs, &from.join(KEYS_DIR))?;
        if !names.is_empty() {
            let dir = to.join(KEYS_DIR);
            ensure_dir(vfs, &dir)?;
            for name in names {
                match Self::one(vfs, &from.join(KEYS_DIR).join(&name), &dir.join(&name)) {
                    Ok(true) => drop(self.0.insert(name)),
                    Ok(false) => {}
                    Err(error) if error.kind() == ErrorKind::Corrupt => tell(error)?,
                    Err(error) => return Err(error),
                }
            }
            sync_dir(vfs, &dir)?;
        }
        Self::store_key(vfs, &from.join(KEY_FILE), &to.join(KEY_FILE))?;
        sync_dir(vfs, to)
    }

    /// The names of the keys that were not copied.
    fn new_ones(&self, vfs: &dyn Vfs, dir: &Path) -> Result<Vec<String>> {
        let entries = match vfs.read_dir(dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|e| Error::io("list", dir, e))?,
        };
        let names = entries.into_iter().map(|entry| entry.name);
        Ok(names.filter(|name| !name.contains('.') && !self.0.contains(name)).collect())
    }

    /// Copies the key of a conversation; `false` if it is gone, as after an erasure.
    fn one(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<bool> {
        let copy = there(vfs, to)?.filter(|copy| id_of(copy, Purpose::Conversation, to).is_ok());
        let Some(bytes) = there(vfs, from)? else { return Ok(false) };
        match id_of(&bytes, Purpose::Conversation, from) {
            // A name is that of one key for ever: what is sound there is it.
            _ if copy.is_some() => {}
            Err(error) => return Err(error),
            Ok(_) => put(vfs, to, &bytes)?,
        }
        Ok(true)
    }

    /// Copies the store's key, if it is not there or was wrapped anew.
    fn store_key(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<()> {
        let bytes = read(vfs, from)?;
        let id = id_of(&bytes, Purpose::Store, from)?;
        match there(vfs, to)? {
            Some(copy) if copy == bytes => Ok(()),
            Some(copy) if id_of(&copy, Purpose::Store, to).is_ok_and(|copied| copied != id) => {
                let reason = "the keys of another store are here; name another directory";
                Err(Error::invalid(reason).at(to, None))
            }
            Some(_) | None => put(vfs, to, &bytes),
        }
    }
}
