//! Reading: from an id to conversations, messages and actions.
//!
//! Owns the index under its lock and the way from it to the files. Nothing is read from a file while the
//! lock is held, so a slow disk stops nobody else. A compaction may move what is being read; a position
//! proves its bytes, so that shows, and the read begins again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::codec::checkpoint::{Checkpoint, Entry as CatalogEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Body, Entry, Found, Index, Lists, Misfit, Slot, id_hash};
use crate::log::segment::Segment;
use crate::model::{Action, Conversation, DamagedFile, Message, Messages, Summary, Text, Timestamp};
use crate::snapshot::bodies::Bodies;
use crate::snapshot::layout::Layout;
use crate::snapshot::load;
use crate::snapshot::open_file::OpenFile;
use crate::snapshot::stage::head_of;
use crate::store::file::open::Opened;
use crate::store::select::select;
use crate::vfs::Vfs;

/// How often a read begins again before it gives up.
const ATTEMPTS: usize = 100;

/// The index, and what it takes to read what it points to.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) layout: Layout,
    index: RwLock<Index>,
    /// The segments that are still needed, oldest first.
    segments: RwLock<Arc<Vec<Arc<Segment>>>>,
    /// Conversations whose files were found damaged at opening and whose entries are kept, in case the files
    /// are put back. Nothing is added to them: it could not be compacted.
    suspects: RwLock<HashMap<String, Error>>,
}

/// A conversation at one moment, with everything needed to read it later.
#[derive(Debug)]
pub(crate) struct View {
    slot: Slot,
    lists: Lists,
    segments: Arc<Vec<Arc<Segment>>>,
    /// Its file and, while it is being published, where that is staged.
    file: Option<(String, PathBuf)>,
    /// When it was created, as its file has it.
    file_time: Timestamp,
    epoch: u64,
}

/// What a caller needs of a conversation's lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    Everything,
    /// The messages between these places only, counted from the end of the list.
    LastMessages(usize),
    FirstMessages(usize),
    Actions,
}

impl Library {
    pub(crate) fn new(vfs: Arc<dyn Vfs>, layout: Layout, opened: Opened) -> Self {
        let suspects = RwLock::new(opened.report.damaged.iter().filter_map(suspect).collect());
        let (index, segments) = (RwLock::new(opened.index), RwLock::new(Arc::new(opened.replayed.segments)));
        Self { vfs, layout, index, segments, suspects }
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

    /// Forgets the segments before this number and returns them; their files are the caller's to remove.
    pub(crate) fn drop_segments(&self, before: u64) -> Vec<Arc<Segment>> {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let (dropped, kept) = segments.iter().cloned().partition(|segment| segment.header.number < before);
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

    /// Why nothing may be added to what a conversation's file holds.
    pub(crate) fn suspicion(&self, id: &str) -> Option<Error> {
        self.suspects.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Goes over to what a look at the files has found.
    pub(crate) fn take_in(&self, checkpoint: Option<Checkpoint>, damaged: &[DamagedFile]) {
        // Let go of before the index is taken: whoever judges an append takes the two the other way round.
        *self.suspects.write().unwrap_or_else(PoisonError::into_inner) =
            damaged.iter().filter_map(suspect).collect();
        if let Some(checkpoint) = checkpoint {
            self.index_mut().refresh(checkpoint);
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
            Found::Slot(slot) => Ok(Some(slot.summary.clone())),
            Found::Checkpoint(entry, _) => Ok(Some(entry.summary())),
            Found::Damaged(entry) => Err(self.damage(&entry)),
            Found::Nothing => Ok(None),
        }
    }

    /// A conversation at this moment, its file read if it had not been yet; `None` if there is none.
    pub(crate) fn view(&self, id: &str, need: Need) -> Result<Option<View>> {
        for _ in 0..ATTEMPTS {
            let (epoch, ordinal) = {
                let index = self.index();
                let epoch = index.checkpoint().head().epoch;
                match index.find(id) {
                    Found::Nothing => return Ok(None),
                    Found::Damaged(entry) => return Err(self.damage(&entry)),
                    Found::Slot(slot) => {
                        if let Body::Loaded(lists) = &slot.body {
                            return Ok(Some(self.view_of(&index, slot, lists, need)));
                        }
                        (epoch, slot.ordinal.unwrap_or_default())
                    }
                    Found::Checkpoint(_, ordinal) => (epoch, ordinal),
                }
            };
            self.load(id, epoch, ordinal)?;
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("conversation {id:?} changes faster than it can be read"),
        ))
    }

    fn view_of(&self, index: &Index, slot: &Slot, lists: &Lists, need: Need) -> View {
        let part = |entries: &[Entry], first: usize, last: usize| {
            let start = entries.len().saturating_sub(last);
            entries
                .get(start..)
                .and_then(|rest| rest.get(..first.min(rest.len())))
                .unwrap_or_default()
                .to_vec()
        };
        let all = usize::MAX;
        let (messages, actions) = match need {
            Need::Everything => (part(&lists.messages, all, all), part(&lists.actions, all, all)),
            Need::LastMessages(count) => (part(&lists.messages, all, count), Vec::new()),
            Need::FirstMessages(count) => (part(&lists.messages, count, all), Vec::new()),
            Need::Actions => (Vec::new(), part(&lists.actions, all, all)),
        };
        let epoch = index.checkpoint().head().epoch;
        let entry = slot.ordinal.and_then(|ordinal| Some((ordinal, index.checkpoint().entry(ordinal)?)));
        let file_time = entry.as_ref().map_or(slot.summary.created_at, |(_, entry)| entry.created_at);
        let file =
            entry.map(|(ordinal, entry)| (entry.file_name.to_owned(), self.layout.staged(epoch, ordinal)));
        let slot = slot.clone_head();
        // The segments are taken under the index's lock: what it points to is among them.
        View {
            slot,
            lists: Lists { messages, actions, base: lists.base.clone() },
            segments: self.segments(),
            file,
            file_time,
            epoch,
        }
    }

    /// Reads a conversation's file and hands what it holds to the index.
    fn load(&self, id: &str, epoch: u64, ordinal: usize) -> Result<()> {
        let (file_name, loaded) = {
            let checkpoint = self.index().checkpoint().clone();
            let Some(entry) = checkpoint.entry(ordinal).filter(|entry| entry.id == id) else { return Ok(()) };
            let staged = self.layout.staged(epoch, ordinal);
            (entry.file_name.to_owned(), load::load(&*self.vfs, &self.layout, &staged, &entry))
        };
        let mut index = self.index_mut();
        if index.checkpoint().head().epoch != epoch {
            // A compaction has gone by; what was read, or was not there to be read, is out of date.
            return Ok(());
        }
        let misfit = |bad: Misfit| Error::corrupt(&self.layout.conversation(&file_name), 0, bad.0);
        index.load(id, ordinal, loaded?).map_err(misfit)
    }

    /// Reads from a view, and from a newer one if a compaction went by meanwhile.
    pub(crate) fn read<T>(
        &self,
        id: &str,
        need: Need,
        take: impl Fn(&View, &Bodies<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        for _ in 0..ATTEMPTS {
            let Some(view) = self.view(id, need)? else { return Ok(None) };
            let result = self.with_bodies(&view, |bodies| take(&view, bodies));
            let has_moved = || self.index().checkpoint().head().epoch != view.epoch;
            match result {
                Err(error) if error.kind() != ErrorKind::NotFound && has_moved() => {}
                result => return result.map(Some),
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("conversation {id:?} changes faster than it can be read"),
        ))
    }

    pub(crate) fn with_bodies<T>(
        &self,
        view: &View,
        take: impl FnOnce(&Bodies<'_>) -> Result<T>,
    ) -> Result<T> {
        let entries = view.lists.messages.iter().chain(&view.lists.actions);
        let needs_file = entries.into_iter().any(|entry| entry.position().segment().is_none());
        let file = match view.file.as_ref().filter(|_| needs_file) {
            Some((name, staged)) => Some(OpenFile::open(&*self.vfs, &self.layout, staged, name)?),
            None => None,
        };
        take(&Bodies {
            conversation_id: &view.slot.summary.id,
            file_time: view.file_time,
            segments: &view.segments,
            file: file.as_ref(),
        })
    }

    pub(crate) fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        self.read(id, Need::Everything, |view, bodies| {
            let mut conversation = Conversation::new(id, view.slot.summary.created_at);
            conversation.title = view.slot.summary.title.clone();
            conversation.version = view.slot.summary.version;
            (conversation.metadata, conversation.extra) = head_of(&view.slot, &view.lists, bodies)?;
            let messages = view.lists.messages.iter().map(|entry| bodies.message(entry.position()));
            conversation.messages = messages.collect::<Result<_>>()?;
            let actions = view.lists.actions.iter().map(|entry| bodies.action(entry.position()));
            conversation.actions = actions.collect::<Result<_>>()?;
            Ok(conversation)
        })
    }

    pub(crate) fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>> {
        let is_plain = selection.cursor.is_none() && selection.role.is_none();
        let need = match selection.limit.filter(|_| is_plain) {
            Some(count) if selection.takes_last() => Need::LastMessages(count),
            Some(count) => Need::FirstMessages(count),
            None => Need::Everything,
        };
        let read = self.read(id, need, |view, bodies| {
            let entries = &view.lists.messages;
            let message =
                |at: usize| entries.get(at).map(|entry| bodies.message(entry.position())).transpose();
            if is_plain {
                return (0..entries.len()).filter_map(|at| message(at).transpose()).collect();
            }
            let find = |id: &Text| view.find_message(bodies, id);
            let role = |at: usize| Ok(message(at)?.map(|message| message.role));
            let places = select(entries.len(), selection, &find, &role)?;
            places.into_iter().filter_map(|at| message(at).transpose()).collect()
        })?;
        read.ok_or_else(|| no_conversation(id))
    }

    pub(crate) fn actions(&self, id: &str) -> Result<Vec<Action>> {
        let read = self.read(id, Need::Actions, |view, bodies| {
            view.lists.actions.iter().map(|entry| bodies.action(entry.position())).collect()
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

    /// The place of the last message that has this id.
    fn find_message(&self, bodies: &Bodies<'_>, id: &Text) -> Result<Option<usize>> {
        for (at, message) in self.messages_like(bodies, id).rev() {
            if message?.id == *id {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// The messages whose ids have the same hash as this one, with their places.
    pub(crate) fn messages_like<'v>(
        &'v self,
        bodies: &'v Bodies<'_>,
        id: &Text,
    ) -> impl DoubleEndedIterator<Item = (usize, Result<Message>)> + 'v {
        let hash = id_hash(id.as_wtf8());
        let same = self.lists.messages.iter().enumerate().filter(move |(_, entry)| entry.id_hash() == hash);
        same.map(|(at, entry)| (at, bodies.message(entry.position())))
    }

    /// The actions whose ids have the same hash as this one, with their places.
    pub(crate) fn actions_like<'v>(
        &'v self,
        bodies: &'v Bodies<'_>,
        id: &Text,
    ) -> impl Iterator<Item = (usize, Result<Action>)> + 'v {
        let hash = id_hash(id.as_wtf8());
        let same = self.lists.actions.iter().enumerate().filter(move |(_, entry)| entry.id_hash() == hash);
        same.map(|(at, entry)| (at, bodies.action(entry.position())))
    }
}

fn suspect(damaged: &DamagedFile) -> Option<(String, Error)> {
    let id = damaged.conversation_id.clone()?;
    let reason = format!("conversation {id:?} cannot be read: {}", damaged.reason);
    Some((id, Error::new(ErrorKind::Corrupt, reason).at(&damaged.path, damaged.offset)))
}

pub(crate) fn no_conversation(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no conversation {id:?}"))
}
