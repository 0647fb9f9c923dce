//! The keys of one store, as long as it is open.
//!
//! Owns the store's key and the conversations', their files and their making. An event is sealed with its
//! conversation's key alone, so that nothing opens it once that key's file is gone.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cipher::{self, Secret};
use super::key_file::{
    KEYS_DIR, Purpose, ensure_dir, id_of, random_failed, read, sync_dir, unwrap, wrap, write_beside,
};
use crate::clock::random_bytes;
use crate::error::{Error, ErrorKind, Result};
use crate::vfs::Vfs;

/// What a conversation's key is found by: what the store's key makes of the id.
type Mark = [u8; 16];

/// What a conversation's key is named by: its mark, and eight random bytes, since one that is erased and begins again has
/// another key.
pub(super) type KeyId = [u8; 24];

/// How long is what the key of a conversation is bound to.
const BOUND: usize = 16 + 24;

/// The keys of a store.
pub(crate) struct Keyring {
    vfs: Arc<dyn Vfs>,
    log: PathBuf,
    id: [u8; 16],
    /// Makes marks of ids.
    marks: Secret,
    /// Wraps the keys of conversations.
    wraps: Secret,
    /// Makes keys of files.
    files: Secret,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The keys that conversations are written with, as each append needs them.
    conversations: HashMap<String, (KeyId, Arc<Secret>)>,
    /// The key of each mark that the next event is sealed with.
    newest: HashMap<Mark, KeyId>,
    /// The keys of each mark that seal nothing any more.
    retired: HashMap<Mark, Vec<KeyId>>,
    /// Whether `newest` has all that were there when the store was opened.
    is_listed: bool,
    keys: HashMap<KeyId, Arc<Secret>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

/// The name of a key in the name of its file.
fn parse(name: &str) -> Option<KeyId> {
    let mut id: KeyId = [0; 24];
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(name.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    (hex(&id) == name).then_some(id)
}

impl Keyring {
    /// The keys of the store whose key this is.
    pub(super) fn of(vfs: &Arc<dyn Vfs>, log: &Path, id: [u8; 16], secret: &Secret) -> Self {
        Self {
            vfs: Arc::clone(vfs),
            log: log.to_owned(),
            id,
            marks: cipher::keyed_hash(secret, b"aral-store marks of conversations"),
            wraps: cipher::keyed_hash(secret, b"aral-store keys of conversations"),
            files: cipher::keyed_hash(secret, b"aral-store keys of files"),
            held: Mutex::default(),
        }
    }

    /// The same keys, with those of conversations in another directory.
    pub(super) fn in_other(&self, log: &Path) -> Self {
        Self {
            vfs: Arc::clone(&self.vfs),
            log: log.to_owned(),
            id: self.id,
            marks: self.marks.clone(),
            wraps: self.wraps.clone(),
            files: self.files.clone(),
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the store's keys are known by.
    pub(super) fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The key of a file that has this salt.
    pub(super) fn file_key(&self, salt: &[u8]) -> Secret {
        cipher::keyed_hash(&self.files, salt)
    }

    fn mark(&self, conversation: &str) -> Mark {
        let hash = cipher::keyed_hash(&self.marks, conversation.as_bytes());
        hash.first_chunk().copied().unwrap_or_default()
    }

    fn path(&self, id: &KeyId) -> PathBuf {
        self.log.join(KEYS_DIR).join(hex(id))
    }

    /// What the key of a conversation is bound to: the store's keys, and what its file is named by.
    pub(super) fn bound(&self, id: &KeyId) -> [u8; BOUND] {
        let mut bound = [0; BOUND];
        for (to, from) in bound.iter_mut().zip(self.id.iter().chain(id)) {
            *to = *from;
        }
        bound
    }

    /// A key from its file; `None` if there is no such file.
    fn load(&self, id: &KeyId) -> Result<Option<Arc<Secret>>> {
        let path = self.path(id);
        let bytes = match read(&*self.vfs, &path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let named = id_of(&bytes, Purpose::Conversation, &path)?;
        let is_named = id.starts_with(&named);
        let key = unwrap(&self.wraps, &self.bound(id), &bytes).filter(|_| is_named);
        let key =
            key.ok_or_else(|| Error::corrupt(&path, 0, "the key of a conversation is another one's"))?;
        let key = Arc::new(key);
        self.held().keys.insert(*id, Arc::clone(&key));
        Ok(Some(key))
    }

    /// The key that an event was sealed with which names it.
    pub(super) fn known(&self, id: &KeyId) -> Result<Arc<Secret>> {
        let held = self.held().keys.get(id).map(Arc::clone);
        if let Some(key) = held {
            return Ok(key);
        }
        self.load(id)?.ok_or_else(|| {
            let path = self.path(id);
            Error::corrupt(
                &path,
                0,
                "the key of a conversation is missing, and what it sealed cannot be read",
            )
        })
    }

    /// The names of all keys of conversations.
    fn there(&self) -> Result<Vec<KeyId>> {
        let dir = self.log.join(KEYS_DIR);
        let entries = match self.vfs.read_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|e| Error::io("list", &dir, e))?,
        };
        Ok(entries.iter().filter_map(|entry| parse(&entry.name)).collect())
    }

    pub(super) fn retire_keys(&self, conversation: &str) -> Result<()> {
        self.list()?;
        let mark = self.mark(conversation);
        // Listed anew: whoever goes on with an erasure finds what an earlier process has made.
        let there = self.there()?.into_iter().filter(|id| id.starts_with(&mark)).collect();
        let mut held = self.held();
        held.conversations.remove(conversation);
        held.newest.remove(&mark);
        held.retired.insert(mark, there);
        Ok(())
    }

    pub(super) fn destroy_keys(&self, conversation: &str) -> Result<()> {
        let mark = self.mark(conversation);
        let retired = self.held().retired.remove(&mark).unwrap_or_default();
        for id in &retired {
            let path = self.path(id);
            self.held().keys.remove(id);
            match self.vfs.remove_file(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(|e| Error::io("remove", &path, e))?,
            }
        }
        if retired.is_empty() { Ok(()) } else { sync_dir(&*self.vfs, &self.log.join(KEYS_DIR)) }
    }

    /// Makes sure that the keys that there are were listed once.
    fn list(&self) -> Result<()> {
        if self.held().is_listed {
            return Ok(());
        }
        let there = self.there()?;
        let mut held = self.held();
        for id in there {
            let mark = id.first_chunk().copied().unwrap_or_default();
            held.newest.entry(mark).or_insert(id);
        }
        held.is_listed = true;
        Ok(())
    }

    /// Makes keys for these marks. When this returns, they are durable.
    fn make(&self, marks: &[Mark]) -> Result<()> {
        let vfs = &*self.vfs;
        let dir = self.log.join(KEYS_DIR);
        if ensure_dir(vfs, &dir)? {
            sync_dir(vfs, &self.log)?;
        }
        let mut made = Vec::new();
        for mark in marks {
            let number: [u8; 8] = random_bytes().map_err(random_failed)?;
            let mut id: KeyId = [0; 24];
            for (to, from) in id.iter_mut().zip(mark.iter().chain(&number)) {
                *to = *from;
            }
            let (path, key) = (self.path(&id), cipher::new_secret().map_err(random_failed)?);
            let bytes = wrap(&self.wraps, Purpose::Conversation, mark, &self.bound(&id), &key);
            let unfinished = write_beside(vfs, &path, &bytes.map_err(random_failed)?)?;
            vfs.rename_new(&unfinished, &path).map_err(|e| Error::io("rename", &unfinished, e))?;
            made.push((*mark, id, Arc::new(key)));
        }
        // Order: the keys are durable before anything is sealed with them. Reversed, a crash leaves events in the log
        // that nothing opens.
        sync_dir(vfs, &dir)?;
        let mut held = self.held();
        for (mark, id, key) in made {
            held.newest.insert(mark, id);
            held.keys.insert(id, key);
        }
        Ok(())
    }

    /// What the events of a conversation are sealed with.
    pub(super) fn sealing(&self, conversation: &str) -> Result<(KeyId, Arc<Secret>)> {
        let found = self.held().conversations.get(conversation).map(|(id, key)| (*id, Arc::clone(key)));
        if let Some(found) = found {
            return Ok(found);
        }
        self.list()?;
        let mark = self.mark(conversation);
        let newest = || self.held().newest.get(&mark).copied();
        if newest().is_none() {
            self.make(&[mark])?;
        }
        let id = newest().ok_or_else(|| Error::new(ErrorKind::Failed, "a key is gone that was just made"))?;
        let key = self.known(&id)?;
        self.held().conversations.insert(conversation.to_owned(), (id, Arc::clone(&key)));
        Ok((id, key))
    }

    /// Makes the keys that these conversations do not have yet, all at once.
    pub(super) fn prepare_all(&self, conversations: &mut dyn Iterator<Item = &str>) -> Result<()> {
        let held = self.held();
        let unknown: Vec<&str> = conversations.filter(|id| !held.conversations.contains_key(*id)).collect();
        drop(held);
        let mut new = Vec::new();
        for conversation in unknown {
            self.list()?;
            let mark = self.mark(conversation);
            if !new.contains(&mark) && !self.held().newest.contains_key(&mark) {
                new.push(mark);
            }
        }
        if new.is_empty() { Ok(()) } else { self.make(&new) }
    }
}
