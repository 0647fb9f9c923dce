//! The cursors of consumers, as files beside the log.
//!
//! Owns `log/consumers/`: a file for each, replaced as a whole, and a lock beside it. Whoever reads as a consumer may do so from
//! any process, also one that has the store open for reading only, so nothing here asks for the writer's lock.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::checkpoint_file::newest_checkpoint;
use super::reads::ReadState;
use super::steady::steady;
use super::tail::Tail;
use crate::backend::cursors::{Cursors, HeldCursor, KeptConsumer};
use crate::backend::follow::Follower;
use crate::clock::random_id;
use crate::codec::checkpoint::Checkpoint;
use crate::codec::cursor::{CursorFile, MAX_CURSOR, decode_cursor, encode_cursor};
use crate::codec::segment::{StoreId, hex_of};
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::Inventory;
use crate::model::{ConsumerCursor, Seq, is_consumer_name};
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{self, FileKind, Lock, OpenMode, Vfs};

/// How often the file of a lock may be replaced while it is being taken before that is an error.
const ATTEMPTS: usize = 10;

/// The longest word that is read of who has a lock.
const MAX_HOLDER: usize = 64;

/// The cursors of a directory.
#[derive(Debug)]
pub(super) struct DirectoryCursors {
    vfs: Arc<dyn Vfs>,
    layout: Layout,
    reads: Arc<ReadState>,
    /// In the writing process: what bounds the events to those that its readers see.
    visible: Option<Arc<ReadState>>,
}

impl DirectoryCursors {
    pub(super) fn new(reads: Arc<ReadState>, visible: Option<Arc<ReadState>>) -> Self {
        Self { vfs: Arc::clone(&reads.vfs), layout: reads.layout.clone(), reads, visible }
    }

    /// What lies in the log's directory, and the newest checkpoint.
    fn look(&self) -> Result<(Inventory, Checkpoint)> {
        let (vfs, log) = (&*self.vfs, self.layout.log());
        let none = || {
            let reason = "the store has no log yet, so that there is nothing to consume; write to it first";
            Error::new(ErrorKind::NotFound, reason).at(self.layout.root(), None)
        };
        if layout::probe(vfs, &log)?.is_none() {
            return Err(none());
        }
        steady(|| {
            let inventory = Inventory::take(vfs, &log)?;
            let checkpoint = newest_checkpoint(vfs, &inventory, &log)?.ok_or_else(none)?;
            Ok((inventory, checkpoint))
        })
    }
}

/// The oldest event that a consumer can still read.
pub(super) fn first_kept(inventory: &Inventory, checkpoint: &Checkpoint) -> Seq {
    let head = checkpoint.head();
    let readable = inventory.readable(head.first_segment);
    readable.first().map_or(head.covered_seq + 1, |(_, first_seq, _)| *first_seq)
}

/// The names of the consumers that there are.
fn names(vfs: &dyn Vfs, layout: &Layout) -> Result<Vec<String>> {
    let entries = layout::list_dir(vfs, &layout.consumers())?.into_iter();
    let files = entries.filter(|entry| entry.kind == FileKind::File && is_consumer_name(&entry.name));
    let mut names: Vec<String> = files.map(|entry| entry.name).collect();
    names.sort();
    Ok(names)
}

/// The same, as far as they can be listed.
pub(super) fn all(vfs: &dyn Vfs, layout: &Layout) -> Result<Vec<String>> {
    match names(vfs, layout) {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput) || error.is_forbidden() => {
            Ok(Vec::new())
        }
        names => names,
    }
}

/// What the file of a consumer says; `None` if there is none.
fn read_file(vfs: &dyn Vfs, path: &Path) -> Result<Option<CursorFile>> {
    let file = match vfs.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| Error::io("open", path, e))?,
    };
    let bytes = match vfs::read_all(&*file, MAX_CURSOR) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Vec::new(),
        read => read.map_err(|e| Error::io("read", path, e))?,
    };
    let damaged = || {
        let reason = "the cursor is damaged, so that nobody knows what its consumer has acknowledged; say where it is to \
                      go on with `aral-store consumers --reset NAME --from start|now|SEQ`";
        Error::corrupt(path, 0, reason)
    };
    decode_cursor(&bytes).map(Some).ok_or_else(damaged)
}

/// The lowest of the cursors into a store's events; `None` if there are no consumers. One that cannot be read may be anywhere.
pub(super) fn lowest_cursor(vfs: &dyn Vfs, layout: &Layout, store_id: &StoreId) -> Option<Seq> {
    let mut lowest: Option<Seq> = None;
    // Those of another user, who has consumed, or a device that does not give them: no compaction and no opening waits for that.
    let Ok(names) = names(vfs, layout) else { return Some(0) };
    for name in names {
        let cursor = match read_file(vfs, &layout.consumers().join(&name)) {
            // Of another store, whose events are not here.
            Ok(Some(file)) if file.store != hex_of(store_id) => continue,
            Ok(Some(file)) => file.cursor.acknowledged,
            Ok(None) => continue,
            Err(_) => 0,
        };
        lowest = Some(lowest.map_or(cursor, |lowest| lowest.min(cursor)));
    }
    lowest
}

/// Looks at every cursor, and calls with its path and what is wrong with it, or with its name and where it is.
pub(super) fn check(vfs: &dyn Vfs, layout: &Layout, mut each: impl FnMut(&Path, Result<(&str, Seq)>)) {
    let found = match names(vfs, layout) {
        Ok(found) => found,
        // The rest of the store is looked at all the same.
        Err(error) => {
            each(&layout.consumers(), Err(error));
            return;
        }
    };
    for name in found {
        let path = layout.consumers().join(&name);
        match read_file(vfs, &path) {
            Ok(Some(file)) => each(&path, Ok((&name, file.cursor.acknowledged))),
            Ok(None) => {}
            Err(error) => each(&path, Err(error)),
        }
    }
}

impl Cursors for DirectoryCursors {
    fn list(&self) -> Result<Vec<KeptConsumer>> {
        let (vfs, dir) = (&*self.vfs, self.layout.consumers());
        let mut found = Vec::new();
        for name in all(vfs, &self.layout)? {
            let path = dir.join(&name);
            let cursor = match read_file(vfs, &path) {
                Ok(Some(file)) => Ok(file.cursor),
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            let holder = holder_now(vfs, &lock_path(&path));
            found.push(KeptConsumer { name, cursor, holder });
        }
        Ok(found)
    }

    fn follow(&self, from: Seq) -> Result<Follower> {
        let mut tail = Tail::new(&self.reads, from, self.visible.clone()).of_consumer();
        Ok(Follower::new(move || tail.next()))
    }

    fn first_kept(&self) -> Result<Seq> {
        let (inventory, checkpoint) = self.look()?;
        Ok(first_kept(&inventory, &checkpoint))
    }

    fn hold(&self, name: &str) -> Result<Box<dyn HeldCursor>> {
        let (_, checkpoint) = self.look()?;
        let (vfs, dir) = (&self.vfs, self.layout.consumers());
        let refused = |error: Error| {
            let text = "the cursor of a consumer is kept in the store's directory, where this user must be able to write";
            if error.kind() == ErrorKind::ReadOnly || error.is_forbidden() {
                error.with_kind(ErrorKind::ReadOnly).context(text)
            } else {
                error
            }
        };
        if layout::ensure_dir(&**vfs, &dir).map_err(refused)? {
            layout::sync_dir(&**vfs, &self.layout.log())?;
        }
        let path = dir.join(name);
        let lock = take_lock(&**vfs, &path, name).map_err(refused)?;
        Ok(Box::new(Held {
            vfs: Arc::clone(vfs),
            layout: self.layout.clone(),
            path,
            lock,
            store_id: checkpoint.head().store_id,
            holder: random_id(),
            synced: 0,
            has_failed: false,
        }))
    }
}

fn lock_path(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

/// Who has written into the file of a lock; `None` if nobody has it now.
fn holder(vfs: &dyn Vfs, path: &Path) -> Option<String> {
    let file = vfs.open(path, OpenMode::Read).ok()?;
    let mut bytes = vec![0; MAX_HOLDER];
    let length = file.read_at(&mut bytes, 0).ok()?;
    let text = std::str::from_utf8(bytes.get(..length)?).ok()?.lines().next()?.to_owned();
    (!text.is_empty()).then_some(text)
}

/// The same if somebody has it, and not if the one who wrote there was killed.
fn holder_now(vfs: &dyn Vfs, path: &Path) -> Option<String> {
    let by = holder(vfs, path)?;
    matches!(vfs.try_lock(path), Ok(None)).then_some(by)
}

/// How long one waits who finds a lock taken: for as long as somebody may take it for a look.
const LOOK: Duration = Duration::from_millis(10);

#[expect(clippy::disallowed_methods, reason = "whoever looks at a lock has it for a moment")]
fn pause() {
    std::thread::sleep(LOOK);
}

fn take_lock(vfs: &dyn Vfs, path: &Path, name: &str) -> Result<Box<dyn Lock>> {
    let lock_path = lock_path(path);
    let mut looks = 0;
    for _ in 0..ATTEMPTS {
        let taken = vfs.try_lock(&lock_path).map_err(|e| Error::io("lock", &lock_path, e))?;
        let Some(lock) = taken else {
            looks += 1;
            if looks < 3 {
                pause();
                continue;
            }
            let by = holder(vfs, &lock_path).unwrap_or_else(|| "another process".to_owned());
            let reason = format!("consumer {name:?} is read by {by}, and by one at a time");
            return Err(Error::new(ErrorKind::Locked, reason).at(&lock_path, None));
        };
        if lock.changed_nanos().map_err(|e| Error::io("look at", &lock_path, e))?.is_some() {
            let file = vfs.open(&lock_path, OpenMode::ReadWrite);
            let file = file.map_err(|e| Error::io("open", &lock_path, e))?;
            let text = format!("process {}\n", std::process::id());
            let written = file.set_len(0).and_then(|()| vfs::write_all_at(&*file, text.as_bytes(), 0));
            written.map_err(|e| Error::io("write", &lock_path, e))?;
            return Ok(lock);
        }
    }
    let reason = "the file of the lock is replaced again and again; find out who does that";
    Err(Error::new(ErrorKind::Locked, reason).at(&lock_path, None))
}

/// A cursor whose lock is held.
#[derive(Debug)]
struct Held {
    vfs: Arc<dyn Vfs>,
    layout: Layout,
    path: PathBuf,
    lock: Box<dyn Lock>,
    store_id: StoreId,
    /// What this one is known by in the file.
    holder: [u8; 16],
    /// The newest event that is known to be durable.
    synced: Seq,
    /// Whether a sync of the log has failed, behind which another one proves nothing.
    has_failed: bool,
}

impl Held {
    /// Makes sure that nobody else has the lock by now.
    fn check_lock(&self) -> Result<()> {
        let path = lock_path(&self.path);
        match self.lock.changed_nanos().map_err(|e| Error::io("look at", &path, e))? {
            Some(_) => Ok(()),
            None => Err(self.fenced()),
        }
    }

    fn fenced(&self) -> Error {
        let by = holder(&*self.vfs, &lock_path(&self.path)).unwrap_or_else(|| "another process".to_owned());
        let reason = format!(
            "this consumer has been taken over by {by}, which is given again what was not acknowledged until then; nothing more \
             can be acknowledged here"
        );
        Error::new(ErrorKind::Locked, reason).at(&self.path, None)
    }

    /// Makes the log durable up to an event. A follower may see what its writer has yet to sync, and a cursor must not outlive what it counts.
    fn sync_log(&mut self, through: Seq) -> Result<()> {
        if through <= self.synced {
            return Ok(());
        }
        if self.has_failed {
            let reason = "the log could not be synced before, so that nobody knows what of it is durable; open the consumer again";
            return Err(Error::new(ErrorKind::Failed, reason).at(&self.path, None));
        }
        let inventory = Inventory::take(&*self.vfs, &self.layout.log())?;
        let behind = inventory.segments.iter().skip(1).map(|(_, first_seq, _)| *first_seq).chain([Seq::MAX]);
        for ((_, first_seq, path), next_seq) in inventory.segments.iter().zip(behind) {
            if *first_seq > through || next_seq <= self.synced + 1 {
                continue;
            }
            let file = match self.vfs.open(path, OpenMode::Read) {
                // A compaction has covered it, and what it covers is durable.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(|e| Error::io("open", path, e))?,
            };
            if let Err(error) = file.sync() {
                self.has_failed = true;
                return Err(Error::io("sync", path, error));
            }
        }
        self.synced = through;
        Ok(())
    }

    fn write(&mut self, cursor: ConsumerCursor) -> Result<()> {
        // Order: the events before the cursor that counts them.
        self.sync_log(cursor.acknowledged)?;
        self.check_lock()?;
        let (vfs, unfinished) = (&*self.vfs, self.path.with_extension("tmp"));
        let text = encode_cursor(&CursorFile::new(&self.store_id, &self.holder, cursor));
        layout::remove_file(vfs, &unfinished)?;
        layout::write_file(vfs, &unfinished, text.as_bytes())?;
        vfs.rename(&unfinished, &self.path).map_err(|e| Error::io("rename", &unfinished, e))?;
        layout::sync_dir(vfs, &self.layout.consumers())
    }
}

impl HeldCursor for Held {
    fn read(&mut self) -> Result<Option<ConsumerCursor>> {
        let Some(file) = read_file(&*self.vfs, &self.path)? else { return Ok(None) };
        if file.store == hex_of(&self.store_id) {
            return Ok(Some(file.cursor));
        }
        let reason = "the consumer counts the events of another store, which this one has taken the place of; say where it is to go on \
                      with `aral-store consumers --reset NAME --from start|now|SEQ`";
        Err(Error::new(ErrorKind::Conflict, reason).at(&self.path, None))
    }

    fn claim(&mut self, cursor: ConsumerCursor) -> Result<()> {
        self.write(cursor)
    }

    fn advance(&mut self, cursor: ConsumerCursor) -> Result<()> {
        match read_file(&*self.vfs, &self.path)? {
            Some(file) if file.holder == hex_of(&self.holder) => self.write(cursor),
            Some(_) => Err(self.fenced()),
            None => {
                let reason = "this consumer was removed meanwhile";
                Err(Error::new(ErrorKind::NotFound, reason).at(&self.path, None))
            }
        }
    }

    fn remove(&mut self) -> Result<()> {
        self.check_lock()?;
        if layout::probe(&*self.vfs, &self.path)?.is_none() {
            return Err(Error::new(ErrorKind::NotFound, "there is no such consumer").at(&self.path, None));
        }
        layout::remove_file(&*self.vfs, &self.path)?;
        layout::sync_dir(&*self.vfs, &self.layout.consumers())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Whoever looks next sees that nobody has it. A process that is killed leaves its name, which only those are told who find
        // the lock taken.
        let path = lock_path(&self.path);
        if matches!(self.lock.changed_nanos(), Ok(Some(_)))
            && let Ok(file) = self.vfs.open(&path, OpenMode::ReadWrite)
        {
            file.set_len(0).ok();
        }
    }
}
