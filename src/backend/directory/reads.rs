//! Reading: from an id to conversations and actions; messages are read by `messages.rs`.
//!
//! Owns the index under its lock and the way from it to the files. Nothing is read from a file while the
//! lock is held, so a slow disk stops nobody else. A compaction may move what is being read; a position
//! proves its bytes, so that shows, and the read begins again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::opened::Opened;
use super::remedy::of_the_log;
use crate::backend::no_conversation;
use crate::codec::checkpoint::{Checkpoint, Entry as CatalogEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Body, Entry, Found, Grown, Index, Lists, Misfit, Slot};
use crate::log::segment::Segment;
use crate::model::{Action, Conversation, DamagedFile, Summary, Timestamp};
use crate::snapshot::conversation_file::ConversationFile;
use crate::snapshot::fetch::Fetcher;
use crate::snapshot::file_cache::{FileCache, FileName};
use crate::snapshot::layout::Layout;
use crate::snapshot::load;
use crate::snapshot::segment_cache::SegmentCache;
use crate::snapshot::stage::head_of;
use crate::vfs::{Vfs, is_out_of_files};

/// How often a read begins again before it gives up.
const ATTEMPTS: usize = 100;

/// The index, and what it takes to read what it points to.
#[derive(Debug)]
pub(crate) struct ReadState {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) layout: Layout,
    /// Conversations' files that were read from last.
    pub(super) file_cache: FileCache,
    pub(super) index: RwLock<Index>,
    /// The segments that are still needed, oldest first.
    pub(super) segments: RwLock<Arc<Vec<Arc<Segment>>>>,
    /// Conversations whose files were found damaged at opening and whose entries are kept, in case the files
    /// are put back. Nothing is added to them: it could not be compacted.
    pub(super) suspects: RwLock<HashMap<String, Error>>,
    /// Whether there are any, so that an append need not take the lock to find that there are none.
    pub(super) has_suspects: AtomicBool,
    #[cfg(feature = "sqlite")]
    pub(super) search_files: super::search_file::SearchFiles,
}

/// A conversation at one moment.
#[derive(Debug)]
pub(crate) struct View {
    slot: Slot,
    lists: Lists,
}

/// Everything needed to read later what was taken from the index at one moment.
#[derive(Debug)]
pub(super) struct Source {
    segments: Arc<Vec<Arc<Segment>>>,
    /// The conversation's file and its place in the checkpoint; nothing if it is not needed.
    file: Option<(String, usize)>,
    /// When the conversation was created, as its file has it.
    file_time: Timestamp,
    epoch: u64,
    /// Those among what is read that text was put behind.
    grown: Vec<Grown>,
}

/// What a caller needs of a conversation's lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    Everything,
    Actions,
}

impl ReadState {
    pub(crate) fn new(vfs: Arc<dyn Vfs>, layout: Layout, opened: Opened) -> Self {
        let suspects: HashMap<_, _> = opened.report.damaged.iter().filter_map(suspect).collect();
        Self::of((vfs, layout), (opened.index, Arc::new(opened.replayed.segments)), suspects)
    }

    /// The state that an index and the segments below it show, save for the conversations that cannot be read.
    pub(super) fn of(
        (vfs, layout): (Arc<dyn Vfs>, Layout),
        (index, segments): (Index, Arc<Vec<Arc<Segment>>>),
        suspects: HashMap<String, Error>,
    ) -> Self {
        Self {
            file_cache: FileCache::new(&*vfs),
            vfs,
            layout,
            index: RwLock::new(index),
            segments: RwLock::new(segments),
            has_suspects: AtomicBool::new(!suspects.is_empty()),
            suspects: RwLock::new(suspects),
            #[cfg(feature = "sqlite")]
            search_files: super::search_file::SearchFiles::new(),
        }
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        // A panic under the lock has ended the log; readers still see what had been applied before.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets the segments that a checkpoint does not need and returns them; their files are the caller's to remove.
    pub(crate) fn drop_segments(&self, checkpoint: &Checkpoint) -> Vec<Arc<Segment>> {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let is_needed = |segment: &Arc<Segment>| checkpoint.needs_segment(segment.header.number);
        let (kept, dropped) = segments.iter().cloned().partition(is_needed);
        *segments = Arc::new(kept);
        dropped
    }

    /// Makes sure that a segment can be read from.
    pub(crate) fn know_segment(&self, segment: &Arc<Segment>) {
        let is_known = |list: &[Arc<Segment>]| {
            list.last().is_some_and(|last| last.header.number >= segment.header.number)
        };
        if is_known(&self.segments.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        // Looked at again and changed under one lock: a compaction may be dropping others at this moment.
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if !is_known(&segments) {
            let grown = segments.iter().chain([segment]).cloned().collect();
            *segments = Arc::new(grown);
        }
    }

    /// Whether there is anything that nothing may be added to because of its file.
    pub(crate) fn has_suspects(&self) -> bool {
        self.has_suspects.load(Ordering::Acquire)
    }

    /// Why nothing may be added to what a conversation's file holds.
    pub(crate) fn suspicion(&self, id: &str) -> Option<Error> {
        if !self.has_suspects() {
            return None;
        }
        self.suspects.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The same for a conversation that the log has events for, which may be all that counts of it by now.
    pub(crate) fn suspicion_of(&self, slot: &Slot) -> Option<Error> {
        self.suspicion(&slot.summary.id).filter(|_| slot.needs_file())
    }

    /// A conversation's file has been found as recorded: its owner has put it back.
    fn clear_suspicion(&self, id: &str) {
        if self.has_suspects.load(Ordering::Acquire) {
            let mut suspects = self.suspects.write().unwrap_or_else(PoisonError::into_inner);
            suspects.remove(id);
            self.has_suspects.store(!suspects.is_empty(), Ordering::Release);
        }
    }

    /// Goes over to what a look at the files has found.
    pub(crate) fn take_in(&self, checkpoint: Option<Checkpoint>, damaged: &[DamagedFile]) {
        // Let go of before the index is taken: whoever judges an append takes the two the other way round.
        let found: HashMap<_, _> = damaged.iter().filter_map(suspect).collect();
        let mut suspects = self.suspects.write().unwrap_or_else(PoisonError::into_inner);
        self.has_suspects.store(!found.is_empty(), Ordering::Release);
        *suspects = found;
        drop(suspects);
        if let Some(checkpoint) = checkpoint {
            self.index_mut().refresh(checkpoint);
            self.file_cache.let_go();
        }
    }

    /// The error that a damaged conversation answers with.
    pub(crate) fn damage(&self, entry: &CatalogEntry<'_>) -> Error {
        let path = if entry.file_name.is_empty() {
            self.layout.index_file()
        } else {
            self.layout.conversation(entry.file_name)
        };
        let offset = entry.damage_offset();
        Error::new(ErrorKind::Corrupt, format!("conversation {:?} cannot be read: {}", entry.id, entry.note))
            .at(&path, offset.or(Some(0)))
    }

    /// What a list shows of a conversation.
    pub(crate) fn summary(&self, id: &str) -> Result<Option<Summary>> {
        match self.index().find(id) {
            Found::Slot(slot) => self.suspicion_of(slot).map_or_else(|| Ok(Some(slot.summary.clone())), Err),
            Found::Checkpoint(entry, _) => self.suspicion(id).map_or_else(|| Ok(Some(entry.summary())), Err),
            Found::Damaged(entry) => Err(self.damage(&entry)),
            Found::Nothing => Ok(None),
        }
    }

    /// Looks at a conversation under the index's lock, its file read if it had not been yet; `None` if there is none.
    fn look<V>(&self, id: &str, look: impl Fn(&Index, &Slot, &Lists) -> V) -> Result<Option<V>> {
        for _ in 0..ATTEMPTS {
            let (epoch, ordinal) = {
                let index = self.index();
                let epoch = index.checkpoint().head().epoch;
                match index.find(id) {
                    Found::Nothing => return Ok(None),
                    Found::Damaged(entry) => return Err(self.damage(&entry)),
                    Found::Slot(slot) => {
                        if let Body::Loaded(lists) = &slot.body {
                            return Ok(Some(look(&index, slot, lists)));
                        }
                        (epoch, slot.ordinal.unwrap_or_default())
                    }
                    Found::Checkpoint(_, ordinal) => (epoch, ordinal),
                }
            };
            self.load(id, epoch, ordinal)?;
        }
        Err(too_fast(id))
    }

    /// What it takes to read these entries of a conversation.
    pub(super) fn source_of<'e>(
        &self,
        index: &Index,
        slot: &Slot,
        entries: impl IntoIterator<Item = &'e Entry> + Clone,
    ) -> Source {
        let epoch = index.checkpoint().head().epoch;
        // The segments are taken under the index's lock: what it points to is among them.
        let mut source = Source {
            segments: self.segments(),
            file: None,
            file_time: slot.summary.created_at,
            epoch,
            grown: slot.grown_among(entries.clone()),
        };
        if entries.into_iter().any(|entry| entry.position().segment().is_none()) {
            let file = slot.ordinal.and_then(|ordinal| Some((ordinal, index.checkpoint().file_of(ordinal)?)));
            if let Some((ordinal, (name, time))) = file {
                source.file_time = time;
                source.file = Some((name.to_owned(), ordinal));
            }
        }
        source
    }

    /// Reads a conversation's file and hands what it holds to the index.
    pub(super) fn load(&self, id: &str, epoch: u64, ordinal: usize) -> Result<()> {
        let (file_name, loaded) = {
            let checkpoint = self.index().checkpoint().clone();
            let Some(entry) = checkpoint.entry(ordinal).filter(|entry| entry.id == id) else { return Ok(()) };
            let staged = self.layout.staged(epoch, ordinal);
            let load = || load::load(&*self.vfs, &self.layout, &staged, &entry);
            let loaded = load().or_else(|error| match error.io_source() {
                // Some of those that are open may be ours, and can go.
                Some(source) if is_out_of_files(source) => {
                    self.file_cache.let_go();
                    load()
                }
                _ => Err(error),
            });
            (entry.file_name.to_owned(), loaded)
        };
        let mut index = self.index_mut();
        if index.checkpoint().head().epoch != epoch {
            // A compaction has gone by; what was read, or was not there to be read, is out of date.
            return Ok(());
        }
        let misfit = |bad: Misfit| Error::corrupt(&self.layout.conversation(&file_name), 0, bad.0);
        index.load(id, ordinal, loaded?).map_err(misfit)?;
        drop(index);
        self.clear_suspicion(id);
        Ok(())
    }

    /// Reads from a view, and from a newer one if a compaction went by meanwhile.
    pub(crate) fn read<T>(
        &self,
        id: &str,
        need: Need,
        mut take: impl FnMut(&View, &Fetcher<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let look = |index: &Index, slot: &Slot, all: &Lists| {
            let messages = match need {
                Need::Everything => all.messages.clone(),
                Need::Actions => Vec::new(),
            };
            let (actions, base, grown) = (all.actions.clone(), all.base.clone(), Vec::new());
            let lists = Lists { messages, actions, base, grown };
            let source = self.source_of(index, slot, lists.messages.iter().chain(&lists.actions));
            (View { slot: slot.clone_head(), lists }, source)
        };
        self.read_what(id, look, |view, fetcher| take(view, fetcher))
    }

    /// Takes something from the index together with what it takes to read it, and reads that; from a newer state if
    /// a compaction went by meanwhile.
    pub(super) fn read_what<W, T>(
        &self,
        id: &str,
        look: impl Fn(&Index, &Slot, &Lists) -> (W, Source),
        mut take: impl FnMut(&W, &Fetcher<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        for _ in 0..ATTEMPTS {
            let Some((what, source)) = self.look(id, &look)? else { return Ok(None) };
            let result = self.with_bodies(id, &source, |fetcher| take(&what, fetcher));
            let has_moved = || self.index().checkpoint().head().epoch != source.epoch;
            match result {
                Err(error) if error.kind() != ErrorKind::NotFound && has_moved() => {}
                result => return result.map(Some).map_err(|error| of_the_log(&self.layout, error)),
            }
        }
        Err(too_fast(id))
    }

    fn with_bodies<T>(
        &self,
        id: &str,
        source: &Source,
        take: impl FnOnce(&Fetcher<'_>) -> Result<T>,
    ) -> Result<T> {
        let file = match &source.file {
            Some((name, ordinal)) => {
                let name = FileName { name, epoch: source.epoch, ordinal: *ordinal };
                Some(ConversationFile::kept(&*self.vfs, &self.layout, name, &self.file_cache)?)
            }
            None => None,
        };
        take(&Fetcher {
            conversation_id: id,
            file_time: source.file_time,
            segment_cache: SegmentCache::new(&source.segments),
            file: file.as_ref(),
            grown: &source.grown,
        })
    }

    pub(crate) fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        self.conversation_with(id, Need::Everything)
    }

    /// A conversation with its messages, or without any.
    pub(crate) fn conversation_with(&self, id: &str, need: Need) -> Result<Option<Conversation>> {
        self.read(id, need, |view, fetcher| {
            let mut conversation = Conversation::new(id, view.slot.summary.created_at);
            conversation.title = view.slot.summary.title.clone();
            conversation.version = view.slot.summary.version;
            (conversation.metadata, conversation.extra) = head_of(&view.slot, &view.lists, fetcher)?;
            conversation.messages = fetcher.messages(&view.lists.messages)?;
            let actions = view.lists.actions.iter().map(|entry| fetcher.action(entry.position()));
            conversation.actions = actions.collect::<Result<_>>()?;
            Ok(conversation)
        })
    }

    pub(crate) fn actions(&self, id: &str) -> Result<Vec<Action>> {
        let read = self.read(id, Need::Actions, |view, fetcher| {
            view.lists.actions.iter().map(|entry| fetcher.action(entry.position())).collect()
        })?;
        read.ok_or_else(|| no_conversation(id))
    }
}

impl View {
    pub(crate) fn summary(&self) -> &Summary {
        &self.slot.summary
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    pub(crate) fn lists(&self) -> &Lists {
        &self.lists
    }
}

fn suspect(damaged: &DamagedFile) -> Option<(String, Error)> {
    let id = damaged.conversation_id.clone()?;
    let reason = format!("conversation {id:?} cannot be read: {}", damaged.reason);
    let error =
        if damaged.is_forbidden { Error::forbidden(reason) } else { Error::new(ErrorKind::Corrupt, reason) };
    Some((id, error.at(&damaged.path, damaged.offset)))
}

fn too_fast(id: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("conversation {id:?} changes faster than it can be read"))
}
