//! Keeping documents that people query as the log makes them.
//!
//! Owns the order: read the mark, find what events behind it have touched, write that, raise the mark. Whoever finds the mark raised by
//! somebody else may have been late, and looks once more at what it wrote. No append waits for any of this, and none fails by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::chain::Journal;
use super::objects::Answer;
use super::projection::{Changed, Head, Mark, Projection};
use super::reads::Reads;
use super::state::Kept;
use super::touches::Touched;
use super::tries;
use crate::backend::locked::locked;
use crate::codec::bytes::{to_u64, to_usize};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Seq;
use crate::rules::Folded;

/// How many documents, and how many bytes of text in them, are handed over at once.
const PIECE: (usize, usize) = (500, 4 << 20);

/// How often in a row others are faster before it is left to them.
const MOST_LOSSES: u32 = 100;

/// What is to be written.
struct Due {
    /// Every event up to this one is in the documents then.
    to: Seq,
    touched: BTreeMap<String, Touched>,
    /// Whether conversations may have been removed of which nobody knows any more.
    has_gaps: bool,
}

/// What keeps the documents.
#[derive(Debug)]
pub(super) struct Projector {
    reads: Arc<Reads>,
    pub(super) projection: Arc<dyn Projection>,
    /// What was written and may have been too late. Held for as long as somebody writes.
    suspects: Mutex<BTreeMap<String, Touched>>,
}

impl Projector {
    pub(super) fn new(reads: Arc<Reads>, projection: Arc<dyn Projection>) -> Self {
        Self { reads, projection, suspects: Mutex::default() }
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.reads.journal
    }

    /// Asks until there is an answer.
    pub(super) fn until<T>(&self, send: impl FnMut() -> Answer<T>) -> Result<T> {
        tries::until(&*self.journal().objects, send)
    }

    /// How far the documents have come; `None` if there are none, or another store's.
    pub(super) fn mark(&self) -> Result<Option<Mark>> {
        let own = self.journal().state().store_id();
        Ok(self.until(|| self.projection.mark())?.filter(|mark| mark.store_id == own))
    }

    /// Brings the documents to what this process knows of the log, and says how far they are then.
    pub(super) fn catch_up(&self) -> Result<Seq> {
        let mut suspects = locked(&self.suspects);
        for _ in 0..MOST_LOSSES {
            let mark = self.until(|| self.projection.mark())?;
            if mark.as_ref().is_some_and(|mark| mark.seq >= self.journal().state().next_seq) {
                self.journal().advance()?;
            }
            let Some(mark) = self.own(mark, &mut suspects)? else { continue };
            let due = self.due(&mark, &suspects);
            if due.to <= mark.seq && due.touched.is_empty() {
                return Ok(mark.seq);
            }
            // Order: they are suspect from before the first write on, whatever ends this. What comes too late replaces nothing, but may
            // stand behind the end that a conversation has by then.
            for id in due.touched.keys() {
                suspects.entry(id.clone()).or_default().join(&Touched::end());
            }
            if let Some(skipped) = self.carry_out(mark, &due)? {
                // What could not be read has to be written once it can be.
                *suspects = skipped.into_iter().map(|id| (id, Touched::whole())).collect();
                return Ok(due.to);
            }
            // What others have written meanwhile was in the log before.
            self.journal().advance()?;
        }
        Err(Error::new(ErrorKind::Conflict, "other processes keep the documents all the time"))
    }

    /// The mark, if it is of this store and this log; else everything begins anew, and there is none yet if somebody else did that.
    fn own(&self, mark: Option<Mark>, suspects: &mut BTreeMap<String, Touched>) -> Result<Option<Mark>> {
        let (store_id, next_seq) = {
            let state = self.journal().state();
            (state.store_id(), state.next_seq)
        };
        match mark {
            Some(mark) if mark.store_id == store_id && mark.seq < next_seq => Ok(Some(mark)),
            None => self.until(|| self.projection.set_mark(None, store_id, 0)),
            Some(other) => {
                // Documents of a store that was here before, or of a log that has lost its end. Order: they are suspect before they go.
                // Another process may have begun to write them anew, and whoever takes some of that away writes it once more.
                self.each_id(|id| {
                    suspects.insert(id.to_owned(), Touched::whole());
                    self.until(|| self.projection.forget(id))
                })?;
                self.until(|| self.projection.set_mark(Some(&other), store_id, 0))
            }
        }
    }

    /// What has to be written for the documents to be as the state is.
    fn due(&self, mark: &Mark, suspects: &BTreeMap<String, Touched>) -> Due {
        let state = self.journal().state();
        let to = state.next_seq - 1;
        let known = state.touches.as_ref().and_then(|touches| touches.since(mark.seq));
        // What came with a directory has had no event, and is in no document before the first mark.
        let known = known.filter(|_| mark.seq > 0);
        let has_gaps = known.is_none();
        let mut touched = known.unwrap_or_else(|| {
            let since = state.order().map(|kept| match kept {
                Kept::Changed(slot) => (slot.summary().id.clone(), slot.summary().last_seq),
                Kept::AsRecorded(entry) => (entry.id.to_owned(), entry.last_seq),
            });
            let is_due = |last_seq| last_seq > mark.seq || mark.seq == 0;
            since.filter(|(_, last_seq)| is_due(*last_seq)).map(|(id, _)| (id, Touched::whole())).collect()
        });
        for (id, suspect) in suspects {
            touched.entry(id.clone()).or_default().join(suspect);
        }
        Due { to, touched, has_gaps }
    }

    /// Writes what is due and raises the mark, and gives the conversations that cannot be read; nothing if somebody else has written.
    fn carry_out(&self, mark: Mark, due: &Due) -> Result<Option<Vec<String>>> {
        let (changes, skipped) = (Vec::new(), Vec::new());
        let mut writing = Writing { projector: self, mark: Some(mark), changes, size: (0, 0), skipped };
        for (id, touched) in &due.touched {
            if !writing.conversation(id, touched, due.to)? {
                return Ok(None);
            }
        }
        if due.has_gaps {
            for id in self.surplus()? {
                if !writing.push(gone(&id, due.to))? {
                    return Ok(None);
                }
            }
        }
        if !writing.flush()? {
            return Ok(None);
        }
        let Some(mark) = writing.mark else { return Ok(None) };
        // Where only suspects were written, it takes another one's place all the same: who has read this one, and is late, looks once more.
        let seq = due.to.max(mark.seq);
        let raised = self.until(|| self.projection.set_mark(Some(&mark), mark.store_id, seq))?;
        Ok(raised.map(|_| writing.skipped))
    }

    /// Conversations of which there are documents, and that are not there.
    pub(super) fn surplus(&self) -> Result<Vec<String>> {
        let mut surplus = Vec::new();
        self.each_id(|id| {
            if self.journal().state().find(id).is_none() {
                surplus.push(id.to_owned());
            }
            Ok(())
        })?;
        Ok(surplus)
    }

    fn each_id(&self, mut each: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let mut behind: Option<String> = None;
        loop {
            let ids = self.until(|| self.projection.ids(behind.as_deref()))?;
            let Some(last) = ids.last() else { return Ok(()) };
            behind = Some(last.clone());
            ids.iter().try_for_each(|id| each(id))?;
        }
    }

    /// Writes a conversation's documents anew, whatever is there.
    #[cfg(any(test, feature = "mongodb", feature = "firestore"))]
    pub(super) fn write_anew(&self, id: &str) -> Result<()> {
        // Order: suspect before it goes. Whatever ends this, what another process has written meanwhile is written once more.
        locked(&self.suspects).insert(id.to_owned(), Touched::whole());
        self.until(|| self.projection.forget(id))?;
        self.catch_up().map(drop)
    }

    /// A conversation as the documents are to have it; `None` if there is none.
    pub(super) fn whole(&self, id: &str) -> Result<Option<Changed>> {
        let Some(folded) = self.reads.folded(id)? else { return Ok(None) };
        let mut changed = start(id, &folded);
        for (place, message) in (0..).zip(&folded.conversation.messages) {
            changed.messages.push((place, message.clone()));
        }
        for (place, action) in (0..).zip(&folded.conversation.actions) {
            changed.actions.push((place, action.clone()));
        }
        changed.is_cut = true;
        Ok(Some(changed))
    }
}

fn start(id: &str, folded: &Folded) -> Changed {
    Changed {
        id: id.to_owned(),
        as_of: folded.last_seq,
        head: Some(Head::of(folded)),
        messages: Vec::new(),
        actions: Vec::new(),
        is_cut: false,
    }
}

fn gone(id: &str, as_of: Seq) -> Changed {
    Changed { id: id.to_owned(), as_of, head: None, messages: Vec::new(), actions: Vec::new(), is_cut: true }
}

/// Pieces that are gathered until they are worth a call.
struct Writing<'p> {
    projector: &'p Projector,
    mark: Option<Mark>,
    changes: Vec<Changed>,
    size: (usize, usize),
    skipped: Vec<String>,
}

impl Writing<'_> {
    /// Writes what was touched of a conversation, in pieces; false if somebody else has written.
    fn conversation(&mut self, id: &str, touched: &Touched, to: Seq) -> Result<bool> {
        let folded = match self.projector.reads.folded(id) {
            Ok(Some(folded)) => folded,
            Ok(None) => return self.push(gone(id, to)),
            // Its documents stay as they are until it can be read. The verification says what is wrong with it.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.skipped.push(id.to_owned());
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let (messages, actions) = (&folded.conversation.messages, &folded.conversation.actions);
        let mut changed = start(id, &folded);
        let mut size = (1, 0);
        for place in touched.messages.among(to_u64(messages.len())) {
            let Some(message) = messages.get(to_usize(place)) else { continue };
            let bytes =
                message.content.len() + message.metadata.as_json().len() + message.extra.as_json().len();
            changed.messages.push((place, message.clone()));
            size = (size.0 + 1, size.1 + bytes);
            if self.is_full(size) {
                if !self.push_sized(std::mem::replace(&mut changed, start(id, &folded)), size)? {
                    return Ok(false);
                }
                size = (1, 0);
            }
        }
        for place in touched.actions.among(to_u64(actions.len())) {
            let Some(action) = actions.get(to_usize(place)) else { continue };
            let bytes =
                action.data.as_json().len() + action.metadata.as_json().len() + action.extra.as_json().len();
            changed.actions.push((place, action.clone()));
            size = (size.0 + 1, size.1 + bytes);
            if self.is_full(size) {
                if !self.push_sized(std::mem::replace(&mut changed, start(id, &folded)), size)? {
                    return Ok(false);
                }
                size = (1, 0);
            }
        }
        changed.is_cut = touched.is_cut();
        self.push_sized(changed, size)
    }

    fn is_full(&self, (documents, bytes): (usize, usize)) -> bool {
        self.size.0 + documents >= PIECE.0 || self.size.1 + bytes >= PIECE.1
    }

    fn push(&mut self, changed: Changed) -> Result<bool> {
        self.push_sized(changed, (1, 0))
    }

    fn push_sized(&mut self, changed: Changed, size: (usize, usize)) -> Result<bool> {
        self.changes.push(changed);
        self.size = (self.size.0 + size.0, self.size.1 + size.1);
        if self.is_full((0, 0)) { self.flush() } else { Ok(true) }
    }

    fn flush(&mut self) -> Result<bool> {
        let changes = std::mem::take(&mut self.changes);
        self.size = (0, 0);
        if let (Some(mark), false) = (&self.mark, changes.is_empty()) {
            self.mark = self.projector.until(|| self.projector.projection.put(mark, &changes))?;
        }
        Ok(self.mark.is_some())
    }
}
