//! Writing what is known as documents and a checkpoint.
//!
//! Owns the steps by which many processes compact at once. A compaction ends the log's current stretch with an object of its own,
//! makes each changed conversation's document under a name that only these bytes can have, and then the checkpoint under the name of the
//! next epoch, which one of them gets. Behind that everything can be done by anybody, once or several times.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::chapters;
use super::commit::around;
use super::covering::{Covering, Was};
use super::documents::{self, Recorded};
use super::group;
use super::names;
use super::opening::read_marker;
use super::publish;
use super::reads::Reads;
use super::slot::Slot;
use super::state::{Kept, State, damaged};
use super::tries::{self, Made};
use crate::backend::locked::locked;
use crate::clock::{Clock, now_micros};
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{
    CheckpointBuilder, CheckpointHead, Entry, FileState, Fingerprint, KeyEntry, TombstoneEntry,
};
use crate::codec::document::write_document;
use crate::codec::index_file::{IndexFile, read_index};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CompactionReport, DamagedFile, Text};
use crate::rules::{Folded, KEPT_KEYS};
use crate::snapshot::names::{choose, fold, stem};

/// How often a compaction begins again because another one was faster.
const CHASES: u32 = 100;

/// What compacts.
#[derive(Debug)]
pub(super) struct Compactor {
    reads: Arc<Reads>,
    clock: Arc<dyn Clock>,
    /// How many bytes of what is covered are kept for consumers.
    unread_bytes: u64,
    /// One at a time in one process.
    turn: Mutex<()>,
}

/// What came of making the documents.
enum Staged {
    /// The bytes of the checkpoint that names them.
    Done(Vec<u8>),
    /// What one of them is made of is gone.
    Missed(Box<Recorded>),
    /// Another compaction has covered the events.
    Overtaken,
}

/// A state, and the place that ends the log's stretch behind which it stands.
struct Cut {
    state: State,
    first_segment: u64,
}

impl Compactor {
    pub(super) fn new(reads: Arc<Reads>, clock: Arc<dyn Clock>, unread_bytes: u64) -> Self {
        Self { reads, clock, unread_bytes, turn: Mutex::new(()) }
    }

    /// Brings everything that was there when the call began into documents.
    pub(super) fn compact(&self) -> Result<CompactionReport> {
        let _turn = locked(&self.turn);
        let journal = &self.reads.journal;
        let objects = &*journal.objects;
        let (mut report, mut missed) = (CompactionReport::default(), Vec::new());
        let mut looked: Option<chapters::Kept> = None;
        for _ in 0..CHASES {
            journal.advance()?;
            self.settle(&mut report)?;
            let Some(cut) = self.cut()? else {
                let state = journal.state();
                let head = state.checkpoint.head();
                (report.epoch, report.covered_seq) = (head.epoch, head.covered_seq);
                return Ok(report);
            };
            let epoch = cut.state.checkpoint.head().epoch + 1;
            (report.written, report.written_bytes) = (0, 0);
            let history = looked.take().map_or_else(|| chapters::Kept::look(objects), Ok)?;
            let staged = self.stage((&cut, &history), epoch, &missed, &mut report)?;
            let bytes = match staged {
                Staged::Done(bytes) => bytes,
                // No compaction has replaced it: the newest checkpoint still means it.
                Staged::Missed(recorded) if missed.contains(&*recorded) => {
                    return Err(self.reads.gone(&recorded));
                }
                Staged::Missed(recorded) => {
                    missed.push(*recorded);
                    looked = Some(history);
                    journal.reload()?;
                    continue;
                }
                Staged::Overtaken => {
                    journal.reload()?;
                    continue;
                }
            };
            if let Some(superseded) = epoch.checked_sub(2) {
                // What a compaction that was cut behind everything else left.
                tries::delete(objects, &names::checkpoint(superseded))?;
            }
            let made = tries::create(objects, &names::checkpoint(epoch), &bytes, &|there| there == bytes)?;
            // Order: look at the marker behind the checkpoint. The name may have been given back by later compactions; those
            // have raised the marker before, so that what was made under it now counts for nothing.
            let is_due = made == Made::Mine
                && read_marker(objects)?.is_some_and(|marker| marker.checkpoint_epoch < epoch);
            journal.reload()?;
            if is_due {
                self.settle(&mut report)?;
            }
            if is_due && journal.state().published >= epoch {
                (report.epoch, report.covered_seq) = (epoch, cut.state.next_seq - 1);
                // Order: behind the commit, so that nothing is dropped that the newest checkpoint needs.
                let kept = chapters::trim(objects, report.covered_seq, self.clock.now_micros())?;
                report.dropped_history = kept.dropped;
                return Ok(report);
            }
        }
        let reason = "other processes compact all the time; they do what this one was to do";
        Err(Error::new(ErrorKind::Conflict, reason).at(objects.place(), None))
    }

    /// Finishes what a compaction has committed and not published, whosever it is.
    fn settle(&self, report: &mut CompactionReport) -> Result<()> {
        let journal = &self.reads.journal;
        let (checkpoint, published) = {
            let state = journal.state();
            (state.checkpoint.clone(), state.published)
        };
        if published >= checkpoint.head().epoch {
            return Ok(());
        }
        publish::publish(&*journal.objects, published, &checkpoint, self.unread_bytes, report)?;
        let mut state = journal.state_mut();
        if state.checkpoint.head().epoch == checkpoint.head().epoch {
            state.published = checkpoint.head().epoch;
        }
        Ok(())
    }

    /// Ends the current stretch of the log and takes the state there; `None` if everything is in documents already.
    fn cut(&self) -> Result<Option<Cut>> {
        let journal = &self.reads.journal;
        loop {
            let state = journal.state().clone();
            if state.is_clean() {
                return Ok(None);
            }
            let place = state.next_place();
            // The place before may be such an end already, of a compaction that got no further.
            if let Some(last) = state.places.last().filter(|last| last.first_seq == last.next_seq) {
                return Ok(Some(Cut { first_segment: last.number, state }));
            }
            let made = group::encode(&around(&state), &[]);
            let is_mine = |there: &[u8]| there == made.bytes || there == made.origin;
            let name = names::segment(place.0, place.1);
            match tries::create(&*journal.objects, &name, &made.bytes, &is_mine)? {
                Made::Mine => {
                    journal.take(place, &made.bytes, None)?;
                    return Ok(Some(Cut { first_segment: place.0, state }));
                }
                Made::Theirs(_) => journal.advance()?,
            }
        }
    }

    /// Makes the documents, and the chapter if history is kept, unless another compaction has replaced what they are made of. What was missed
    /// before is not there.
    fn stage(
        &self,
        (cut, history): (&Cut, &chapters::Kept),
        epoch: u64,
        missed: &[Recorded],
        report: &mut CompactionReport,
    ) -> Result<Staged> {
        let state = &cut.state;
        let (mut builder, mut listed) = (CheckpointBuilder::default(), Vec::new());
        let mut taken: HashSet<String> =
            state.checkpoint.entries().map(|entry| fold(entry.file_name)).collect();
        let objects = &*self.reads.journal.objects;
        let mut covering = Covering::begin(objects, state, history, self.clock.now_micros())?;
        for kept in state.order() {
            match kept {
                Kept::AsRecorded(entry) => {
                    let is_listed = entry.is_listed || entry.state == FileState::Intact;
                    builder.entry(&Entry { is_listed, ..entry });
                    if is_listed {
                        listed.push(Text::from(if entry.file_name.is_empty() {
                            entry.id
                        } else {
                            stem(entry.file_name)
                        }));
                    }
                }
                Kept::Changed(slot) => {
                    let summary = slot.summary();
                    let old = slot.ordinal.and_then(|ordinal| state.checkpoint.entry(ordinal));
                    let file_name =
                        old.map_or_else(|| choose(&summary.id, &taken), |entry| entry.file_name.to_owned());
                    taken.insert(fold(&file_name));
                    let folded = match self.folded(slot, old.as_ref(), &mut covering, missed)? {
                        Ok(folded) => folded,
                        Err(missed) => return Ok(Staged::Missed(missed)),
                    };
                    let bytes = self.make_document(&folded)?;
                    let file = print_of(&bytes);
                    builder.entry(&Entry::of(summary, &file_name, file));
                    listed.push(Text::from(stem(&file_name)));
                    (report.written, report.written_bytes) =
                        (report.written + 1, report.written_bytes + file.len);
                }
            }
        }
        report.unkept = match covering.map(|covering| self.cover(covering, cut, missed)).transpose()? {
            None => Vec::new(),
            Some(Ok(unkept)) => unkept,
            Some(Err(staged)) => return Ok(staged),
        };
        remember(state, &mut builder);
        let index_file = Some(print_of(&self.index(listed)?));
        Ok(Staged::Done(builder.finish(&CheckpointHead {
            epoch,
            covered_seq: state.next_seq - 1,
            first_segment: cut.first_segment,
            created_unix_micros: now_micros(),
            index_file,
            ..*state.checkpoint.head()
        })))
    }

    /// Puts into the chapter what is not in it yet, and makes it. When this returns, it is there.
    fn cover(
        &self,
        mut covering: Covering<'_>,
        cut: &Cut,
        missed: &[Recorded],
    ) -> Result<Result<Vec<DamagedFile>, Staged>> {
        for gone in cut.state.changed().filter(|entry| cut.state.is_gone(entry.id)) {
            if let Err(missed) = self.was(&gone, &mut covering, missed)? {
                return Ok(Err(Staged::Missed(missed)));
            }
        }
        let behind = cut.state.places.iter().position(|place| place.number >= cut.first_segment);
        let (covered, _) = cut.state.places.split_at(behind.unwrap_or(cut.state.places.len()));
        if !covering.events(covered)? {
            return Ok(Err(Staged::Overtaken));
        }
        covering.finish().map(Ok)
    }

    /// A conversation as it is to be written, or what it is made of, if that is gone.
    fn folded(
        &self,
        slot: &Slot,
        old: Option<&Entry<'_>>,
        covering: &mut Option<Covering<'_>>,
        missed: &[Recorded],
    ) -> Result<Result<Arc<Folded>, Box<Recorded>>> {
        let whole = slot.whole();
        let was = match (old, covering) {
            (Some(old), Some(covering)) => match self.was(old, covering, missed)? {
                Ok(was) => was,
                Err(missed) => return Ok(Err(missed)),
            },
            _ => None,
        };
        match (whole, old.map(Recorded::of)) {
            (Some(folded), _) => Ok(Ok(Arc::clone(folded))),
            (None, Some(recorded)) => {
                let document = was.map_or_else(|| self.reads.document(&recorded), |was| Ok(Some(was)))?;
                let Some(document) = document else { return Ok(Err(Box::new(recorded))) };
                let folded = slot.fold(&document);
                folded.map(Ok).map_err(|reason| self.reads.misfit(&recorded, reason))
            }
            (None, None) => {
                Err(Error::new(ErrorKind::Failed, "a conversation without a document awaits one"))
            }
        }
    }

    /// Puts into the chapter what a conversation was, if that is not in it; gives it, if it had to be read. What was missed before is not there, which the
    /// chapter says.
    fn was(
        &self,
        old: &Entry<'_>,
        covering: &mut Covering<'_>,
        missed: &[Recorded],
    ) -> Result<Result<Option<Arc<Folded>>, Box<Recorded>>> {
        let recorded = Recorded::of(old);
        if !covering.needs(&recorded) {
            return Ok(Ok(None));
        }
        if old.state != FileState::Intact {
            covering.base(&recorded, Was::Lost(damaged(old)))?;
            return Ok(Ok(None));
        }
        match self.reads.document(&recorded) {
            Ok(Some(document)) => {
                covering.base(&recorded, Was::There(&document))?;
                Ok(Ok(Some(document)))
            }
            Ok(None) if missed.contains(&recorded) => {
                covering.base(&recorded, Was::Lost(self.reads.gone(&recorded)))?;
                Ok(Ok(None))
            }
            Ok(None) => Ok(Err(Box::new(recorded))),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                covering.base(&recorded, Was::Lost(error))?;
                Ok(Ok(None))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a document under its name, and gives the bytes that are there: those that another version of this software made, if
    /// they hold the same.
    fn make_document(&self, folded: &Folded) -> Result<Vec<u8>> {
        let objects = &*self.reads.journal.objects;
        let bytes = write_document(&folded.conversation);
        match tries::create(objects, &names::document(folded.last_seq), &bytes, &|there| there == bytes)? {
            Made::Mine => Ok(bytes),
            Made::Theirs(there) if documents::holds(objects, folded, &there.bytes) => Ok(there.bytes),
            Made::Theirs(_) => {
                let reason = format!(
                    "the document of conversation {:?} as of event {} is not what its events make it; remove it, and \
                     compact again",
                    folded.conversation.id, folded.last_seq
                );
                Err(Error::new(ErrorKind::Corrupt, reason).at(objects.place(), None))
            }
        }
    }

    /// The list of conversations, with whatever else somebody keeps in it.
    fn index(&self, listed: Vec<Text>) -> Result<Vec<u8>> {
        let there = tries::get(&*self.reads.journal.objects, names::INDEX)?;
        let base = there.and_then(|found| read_index(&found.bytes).ok()).unwrap_or_default();
        Ok(IndexFile::with_ids(base, listed).write())
    }
}

fn print_of(bytes: &[u8]) -> Fingerprint {
    Fingerprint { len: to_u64(bytes.len()), crc: crc32fast::hash(bytes), modified_nanos: documents::NO_FILE }
}

/// Puts the newest keys and the removals into a checkpoint.
fn remember(state: &State, builder: &mut CheckpointBuilder) {
    let mut left = KEPT_KEYS;
    for (key, record) in state.keys.iter().rev().take(left) {
        left -= 1;
        builder.key(&record.entry(key));
    }
    let mut old: Vec<KeyEntry<'_>> =
        state.checkpoint.keys().filter(|entry| state.keys.find(entry.key).is_none()).collect();
    old.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.seq));
    old.iter().take(left).for_each(|entry| builder.key(entry));
    for tombstone in state.removed.values() {
        builder.tombstone(&TombstoneEntry::from(tombstone));
    }
}
