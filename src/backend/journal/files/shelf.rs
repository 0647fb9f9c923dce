//! Objects as the files of a backup: what is there, and what this process has written and removed.
//!
//! Owns the conditions. What is written was not there, or is still as this process has read or written it; otherwise somebody else writes to the
//! same backup, and is not overwritten. Removals wait until a directory is synced, as a file system's may: a name
//! that is written anew before is replaced, and never free in between.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::backend::journal::objects::{Found, Objects, Version, Written};
use crate::backend::journal::tries::{self, Made};
use crate::backend::locked::locked;
use crate::error::{Error, ErrorKind, Result};

/// What the names of files end in that count only under another name. They are held in memory until they get it.
const UNFINISHED: &str = ".tmp";

/// The objects of one backup.
#[derive(Debug)]
pub(super) struct Shelf {
    objects: Arc<dyn Objects>,
    pub(super) root: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Names that were listed, read or written.
    names: BTreeSet<String>,
    has_listed: bool,
    /// What is to be removed.
    removed: BTreeSet<String>,
    /// What has been removed, and what a list that is late still shows.
    gone: BTreeSet<String>,
    /// How objects were when they were read.
    versions: HashMap<String, Version>,
    /// What this process has put in the place of something else.
    put: HashMap<String, Vec<u8>>,
    unfinished: HashMap<String, Vec<u8>>,
}

impl Shelf {
    pub(super) fn new(objects: Arc<dyn Objects>) -> Self {
        let root = objects.place().to_owned();
        Self { objects, root, known: Mutex::default() }
    }

    /// The name of the object that a path means; `None` for a path that is none of them.
    pub(super) fn name(&self, path: &Path) -> Option<String> {
        let parts = path.strip_prefix(&self.root).ok()?.iter();
        Some(parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"))
    }

    /// Whether there is an object of this name as far as is known without asking; `None` if nothing has been listed yet.
    pub(super) fn knows(&self, name: &str) -> Option<bool> {
        let known = locked(&self.known);
        let is_there = known.unfinished.contains_key(name) || known.names.contains(name);
        known.has_listed.then_some(is_there && !known.removed.contains(name))
    }

    /// Reads an object; `None` if there is none.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Found>> {
        {
            let known = locked(&self.known);
            if let Some(bytes) = known.unfinished.get(name) {
                return Ok(Some(Found { bytes: bytes.clone(), version: Version(String::new()) }));
            }
            if known.removed.contains(name) {
                return Ok(None);
            }
        }
        let found = tries::get(&*self.objects, name).map_err(io::Error::other)?;
        let mut known = locked(&self.known);
        match &found {
            Some(found) => {
                known.names.insert(name.to_owned());
                known.versions.insert(name.to_owned(), found.version.clone());
            }
            None => drop(known.names.remove(name)),
        }
        Ok(found)
    }

    /// Writes an object that is still as it was read, or that is new.
    pub(super) fn put(&self, name: &str, bytes: &[u8], read: Option<&Version>) -> io::Result<()> {
        if name.ends_with(UNFINISHED) {
            locked(&self.known).unfinished.insert(name.to_owned(), bytes.to_vec());
            return Ok(());
        }
        self.send(name, bytes, read).map_err(io::Error::other)?;
        let mut known = locked(&self.known);
        known.names.insert(name.to_owned());
        known.versions.remove(name);
        known.removed.remove(name);
        known.gone.remove(name);
        Ok(())
    }

    fn send(&self, name: &str, bytes: &[u8], read: Option<&Version>) -> Result<()> {
        let objects = &*self.objects;
        let there = match read {
            Some(read) => return self.expect(tries::replace(objects, name, bytes, read)?),
            None => tries::create(objects, name, bytes, &|there| there == bytes)?,
        };
        match there {
            Made::Mine => Ok(()),
            Made::Theirs(found) if locked(&self.known).removed.contains(name) => {
                self.expect(tries::replace(objects, name, bytes, &found.version)?)
            }
            Made::Theirs(_) => self.expect(false),
        }
    }

    fn expect(&self, is_done: bool) -> Result<()> {
        if is_done { Ok(()) } else { Err(self.is_shared()) }
    }

    /// The error for what is not as this process has left it.
    pub(super) fn is_shared(&self) -> Error {
        let reason = "another process writes to this backup at the same time, and nothing of what it wrote was replaced; let it end, and \
                      begin again";
        Error::new(ErrorKind::Locked, reason).at(&self.root, None)
    }

    /// Gives what is under one name another one. What has no object yet takes the place of what this process knows there.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let unfinished = locked(&self.known).unfinished.remove(from);
        let Some(bytes) = unfinished else {
            let found = self.read(from)?.ok_or(io::ErrorKind::NotFound)?;
            self.put(to, &found.bytes, None)?;
            self.remove(from);
            return Ok(());
        };
        let (read, mine) = {
            let known = locked(&self.known);
            (known.versions.get(to).cloned(), known.put.get(to).cloned())
        };
        let read = match (read, mine) {
            (None, Some(mine)) => {
                let found = self.read(to)?.filter(|found| found.bytes == mine);
                Some(found.ok_or_else(|| io::Error::other(self.is_shared()))?.version)
            }
            (read, _) => read,
        };
        self.put(to, &bytes, read.as_ref())?;
        // A checkpoint is written once.
        if !to.contains('/') {
            locked(&self.known).put.insert(to.to_owned(), bytes);
        }
        Ok(())
    }

    /// Takes note that an object is to be removed.
    pub(super) fn remove(&self, name: &str) {
        let mut known = locked(&self.known);
        if known.unfinished.remove(name).is_none() {
            known.removed.insert(name.to_owned());
        }
    }

    /// Removes what is to be removed.
    pub(super) fn settle(&self) -> io::Result<()> {
        let due: Vec<String> = {
            let known = locked(&self.known);
            known.removed.iter().filter(|name| known.names.contains(*name)).cloned().collect()
        };
        for name in due {
            tries::delete(&*self.objects, &name).map_err(io::Error::other)?;
            let mut known = locked(&self.known);
            known.names.remove(&name);
            known.gone.insert(name);
        }
        let mut known = locked(&self.known);
        let gone = std::mem::take(&mut known.removed);
        known.gone.extend(gone);
        Ok(())
    }

    /// The names that begin with this, and behind which something else follows.
    pub(super) fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let listed = tries::list(&*self.objects, prefix).map_err(io::Error::other)?;
        let mut known = locked(&self.known);
        known.has_listed = true;
        let news: Vec<String> = listed.into_iter().filter(|name| !known.gone.contains(name)).collect();
        known.names.extend(news);
        let is_meant = |name: &&String| name.starts_with(prefix) && !known.removed.contains(*name);
        let names = known.names.iter().filter(is_meant);
        Ok(names.chain(known.unfinished.keys().filter(|name| name.starts_with(prefix))).cloned().collect())
    }

    /// Finds out whether conditions are kept to. Nothing is changed, even where they are not: what is written has the bytes that were
    /// there.
    ///
    /// # Errors
    ///
    /// `Unsupported` where they are not.
    pub(super) fn must_keep_conditions(&self, name: &str) -> Result<()> {
        let Some(found) = tries::get(&*self.objects, name)? else { return Ok(()) };
        let made = tries::until(&*self.objects, || self.objects.create(name, &found.bytes))?;
        if made == Written::Refused {
            return Ok(());
        }
        let reason = "the server does not keep to conditions (If-None-Match): two backups at once would overwrite each other; back up \
                      to a directory, or to another server";
        Err(Error::new(ErrorKind::Unsupported, reason).at(&self.root, None))
    }
}
