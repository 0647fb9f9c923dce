//! Reading a conversation as a whole.
//!
//! Owns the way from the state to a document and back, and the documents that are kept in memory. A document that is gone was
//! replaced by a later checkpoint's, from which the reading begins again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use super::chain::Journal;
use super::documents::{self, Recorded};
use super::slot::Slot;
use super::state::{Kept, damaged};
use crate::backend::locked::locked;
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::FileState;
use crate::error::{Error, ErrorKind, Result};
use crate::rules::Folded;

/// How many bytes of documents are kept at most, as long as they are in a bucket.
const KEPT_BYTES: u64 = 64 << 20;

/// Documents that were read, oldest first.
#[derive(Debug, Default)]
struct Cache {
    documents: HashMap<String, (Recorded, Arc<Folded>)>,
    order: VecDeque<String>,
    bytes: u64,
}

impl Cache {
    fn find(&self, recorded: &Recorded) -> Option<Arc<Folded>> {
        let (kept, folded) = self.documents.get(&recorded.id)?;
        (kept == recorded).then(|| Arc::clone(folded))
    }

    fn keep(&mut self, recorded: Recorded, folded: Arc<Folded>) {
        if recorded.file.len > KEPT_BYTES {
            return;
        }
        self.bytes += recorded.file.len;
        let id = recorded.id.clone();
        match self.documents.insert(id.clone(), (recorded, folded)) {
            Some((before, _)) => self.bytes -= before.file.len,
            None => self.order.push_back(id),
        }
        while self.bytes > KEPT_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.documents.remove(&oldest);
            self.bytes -= gone.map_or(0, |(recorded, _)| recorded.file.len);
        }
    }
}

/// What reads conversations.
#[derive(Debug)]
pub(super) struct Reads {
    pub(super) journal: Arc<Journal>,
    cache: Mutex<Cache>,
}

/// Where a conversation has to be read from.
enum Source {
    Whole(Arc<Folded>),
    Document(Recorded),
    Behind(Recorded, Arc<Slot>),
}

impl Reads {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self { journal, cache: Mutex::default() }
    }

    /// A conversation as the state has it by now; `None` if there is none.
    pub(super) fn folded(&self, id: &str) -> Result<Option<Arc<Folded>>> {
        let mut missed: Option<Recorded> = None;
        loop {
            let Some(source) = self.source(id)? else { return Ok(None) };
            let (recorded, slot) = match source {
                Source::Whole(folded) => return Ok(Some(folded)),
                Source::Document(recorded) => (recorded, None),
                Source::Behind(recorded, slot) => (recorded, Some(slot)),
            };
            if let Some(document) = self.document(&recorded)? {
                let Some(slot) = slot else { return Ok(Some(document)) };
                let folded = slot.fold(&document).map_err(|reason| self.misfit(&recorded, reason))?;
                self.journal.state_mut().keep(id, &folded);
                return Ok(Some(folded));
            }
            if missed.as_ref() == Some(&recorded) {
                return Err(self.gone(&recorded));
            }
            missed = Some(recorded);
            self.journal.reload()?;
        }
    }

    /// The error for a document that the newest checkpoint means and that is not there.
    pub(super) fn gone(&self, recorded: &Recorded) -> Error {
        self.misfit(
            recorded,
            "neither its document nor its file is as the checkpoint says; put back what the store wrote",
        )
    }

    pub(super) fn misfit(&self, recorded: &Recorded, reason: &str) -> Error {
        let reason = format!("conversation {:?}: {reason}", recorded.id);
        Error::new(ErrorKind::Corrupt, reason).at(self.journal.objects.place(), None)
    }

    fn source(&self, id: &str) -> Result<Option<Source>> {
        let state = self.journal.state();
        Ok(match state.find(id) {
            None => None,
            Some(Kept::AsRecorded(entry)) if entry.state != FileState::Intact => return Err(damaged(&entry)),
            Some(Kept::AsRecorded(entry)) => Some(Source::Document(Recorded::of(&entry))),
            Some(Kept::Changed(slot)) => Some(match slot.whole() {
                Some(folded) => Source::Whole(Arc::clone(folded)),
                None => {
                    let entry = slot.ordinal.and_then(|ordinal| state.checkpoint.entry(ordinal));
                    let none =
                        || Error::new(ErrorKind::Failed, "a conversation without a document awaits one");
                    Source::Behind(Recorded::of(&entry.ok_or_else(none)?), Arc::clone(slot))
                }
            }),
        })
    }

    /// What a document holds, from memory or from the bucket; `None` if it is not there any more.
    pub(super) fn document(&self, recorded: &Recorded) -> Result<Option<Arc<Folded>>> {
        if let Some(folded) = locked(&self.cache).find(recorded) {
            return Ok(Some(folded));
        }
        let objects = &*self.journal.objects;
        let Some(bytes) = documents::fetch(objects, recorded)? else { return Ok(None) };
        debug_assert!(to_u64(bytes.len()) == recorded.file.len, "it was held against the checkpoint");
        let folded = Arc::new(documents::read(objects, recorded, &bytes)?);
        locked(&self.cache).keep(recorded.clone(), Arc::clone(&folded));
        Ok(Some(folded))
    }
}
