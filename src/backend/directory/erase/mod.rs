//! Erasing: nothing of something stays in any file of the store.
//!
//! Owns the order. What is to be erased is written down first; then it is removed like anything else, the whole log is compacted away,
//! every chapter that has something of it is written anew, what was set aside goes, and the receipt takes the place of the intent. Each
//! step can be done again, so that whoever opens the store after a crash begins with the first. Readers find it as it was, or gone.

mod gather;

mod keys;

mod matching;

mod places;

use std::path::{Path, PathBuf};

use self::gather::{erased, forget_others, forks, gather};
use super::engine::{Compaction, Engine};
use super::events::events;
use super::reads::ReadState;
use super::unread;
use crate::backend::erasing::{Erasing, unknown};
use crate::backend::locked::locked;
use crate::backend::remnants::{must_be_there, search};
use crate::clock::random_id;
use crate::codec::erasure::{Intent, Record, hashed};
use crate::codec::segment::hex_of;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::log::inventory::Inventory;
use crate::model::{
    Change, CompactionReport, Conversation, DamagedFile, Erasure, ErasureReport, Event, JsonObject,
    KeptReceipt, Matched, RecoveryReport, RemovalReason, Seq, Timestamp,
};
use crate::rules::{Request, Where};
use crate::snapshot::chapter::Chapter;
use crate::snapshot::chapter_list;
use crate::snapshot::layout::Layout;
use crate::snapshot::rewrite::{self, Erased};
use crate::vfs::Vfs;

pub(super) use matching::matching;
pub(super) use places::{intent, kept_receipts, receipts};

/// Whether an erasure was begun and not finished.
pub(super) fn is_under_way(vfs: &dyn Vfs, layout: &Layout) -> Result<bool> {
    intent(vfs, layout).map(|intent| intent.is_some())
}

/// Whether a crash has stopped an erasure; one that cannot be read is told as damage.
pub(super) fn is_to_go_on(vfs: &dyn Vfs, layout: &Layout, report: &mut RecoveryReport) -> Result<bool> {
    match intent(vfs, layout) {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            report.damaged.push(DamagedFile {
                path: layout.erasing(),
                offset: None,
                conversation_id: None,
                reason: error.message().to_owned(),
                is_forbidden: false,
            });
            Ok(false)
        }
        read => Ok(read?.is_some()),
    }
}

/// What an erasure takes, of which nothing is changed yet.
pub(super) fn plan(reads: &ReadState, what: &Erasure) -> Result<(ErasureReport, Record)> {
    let mut record = Record { salt: random_id(), ..Record::default() };
    let mut found = gather(reads, what, &record.salt)?;
    if !found.is_known {
        return Err(unknown(what));
    }
    let head = *reads.index().checkpoint().head();
    record.store = hex_of(&head.store_id);
    record.conversation = hashed(&record.salt, what.conversation_id.as_bytes());
    record.message = what.message_id.as_ref().map(|id| hashed(&record.salt, id.as_wtf8()));
    (record.messages, record.actions) = (found.messages, found.actions);
    (record.events, record.untold) = (found.ranges(), found.untold);
    record.traces = std::mem::take(&mut found.traces);
    let (vfs, layout) = (&*reads.vfs, &reads.layout);
    let erased = erased(what, Seq::MAX);
    let mut files: Vec<PathBuf> = reads.segments().iter().map(|segment| segment.path.clone()).collect();
    files.extend(Inventory::take(vfs, &layout.log())?.unread.into_iter().map(|(_, _, path)| path));
    for named in chapter_list::list(vfs, layout)? {
        // One that cannot be read may hold it.
        let has = Chapter::open(vfs, &named).and_then(|chapter| rewrite::has(&chapter, &erased));
        if has.unwrap_or(true) {
            files.push(named.path);
        }
    }
    files.extend(places::set_aside(vfs, layout, &erased, &record)?);
    files.extend(places::unfinished(vfs, layout)?);
    files.extend(places::search_index(vfs, layout)?);
    let mut report = ErasureReport {
        messages: record.messages,
        actions: record.actions,
        events: record.events.clone(),
        untold: record.untold,
        files,
        ..ErasureReport::default()
    };
    report.not_erased = places::outside(vfs, layout, &record)?;
    report.forks = forks(reads, &what.conversation_id)?;
    Ok((report, record))
}

/// Where the texts of a receipt still are.
pub(super) fn remnants(reads: &ReadState, receipt: &str, also: &[PathBuf]) -> Result<Vec<Place>> {
    let record = Record::decode(receipt)?;
    let store = hex_of(&reads.index().checkpoint().head().store_id);
    if record.store != store {
        return Err(Error::invalid("the receipt is of another store"));
    }
    let (vfs, layout) = (&*reads.vfs, &reads.layout);
    // Before anything is read for long: what is not there would count as looked through.
    also.iter().try_for_each(|path| must_be_there(vfs, path))?;
    let mut found = search(vfs, layout.root(), &record)?;
    for path in places::beside(vfs, layout)?.iter().chain(also) {
        found.extend(search(vfs, path, &record)?);
    }
    Ok(found)
}

impl Erasing for Engine {
    fn erasable(&self, what: &Erasure) -> Result<ErasureReport> {
        self.check_open()?;
        self.settle()?;
        let _compaction = locked(&self.compaction);
        Ok(plan(self.reads(), what)?.0)
    }

    fn erase(&self, what: &Erasure) -> Result<ErasureReport> {
        self.check_open()?;
        self.check_process()?;
        let mut state = locked(&self.compaction);
        // What an earlier one has left comes first: there is one intent.
        if let Some(earlier) = intent(&*self.reads().vfs, &self.reads().layout)? {
            self.carry_out(&mut state, earlier)?;
        }
        self.settle()?;
        let (planned, record) = plan(self.reads(), what)?;
        let after = self.reads().index().next_seq() - 1;
        let (conversation, message) = (what.conversation_id.clone(), what.message_id.clone());
        let intent = Intent { conversation, message, after, record };
        // Order: the intent before anything goes. Reversed, a crash would leave some of it, and nobody who knows.
        places::intend(&*self.reads().vfs, &self.reads().layout, &intent)?;
        let done = self.carry_out(&mut state, intent);
        if let Err(error) = &done {
            self.unless_begun(what, after, error)?;
        }
        Ok(ErasureReport { forks: planned.forks, ..done? })
    }

    fn matching(&self, conditions: &Where) -> Result<Matched> {
        self.check_open()?;
        self.settle()?;
        matching(self.reads(), conditions)
    }

    fn receipts(&self) -> Result<Vec<KeptReceipt>> {
        self.check_open()?;
        kept_receipts(&*self.reads().vfs, &self.reads().layout)
    }

    fn remnants(&self, receipt: &str, also: &[PathBuf]) -> Result<Vec<Place>> {
        self.check_open()?;
        remnants(self.reads(), receipt, also)
    }
}

impl Engine {
    /// Goes on with an erasure that a crash has stopped.
    pub(super) fn go_on_erasing(&self) -> Result<()> {
        let mut state = locked(&self.compaction);
        match intent(&*self.reads().vfs, &self.reads().layout)? {
            Some(intent) => self.carry_out(&mut state, intent).map(drop),
            None => Ok(()),
        }
    }

    /// Ends an erasure that was refused before anything went. Gone on with later, it would take away what has begun by that time.
    fn unless_begun(&self, what: &Erasure, after: Seq, error: &Error) -> Result<()> {
        let is_refusal = matches!(
            error.kind(),
            ErrorKind::AlreadyExists
                | ErrorKind::Conflict
                | ErrorKind::InvalidInput
                | ErrorKind::NoSpace
                | ErrorKind::NotFound
        );
        let (vfs, layout) = (&*self.reads().vfs, &self.reads().layout);
        let is_noted = intent(vfs, layout)?.is_some_and(|intent| intent.record.through > 0);
        if is_refusal && !is_noted && self.taken_away(what, after)?.is_none() {
            places::end(vfs, layout)?;
        }
        Ok(())
    }

    fn carry_out(&self, state: &mut Compaction, mut intent: Intent) -> Result<ErasureReport> {
        let what =
            Erasure { conversation_id: intent.conversation.clone(), message_id: intent.message.clone() };
        self.retire_keys(&what.conversation_id)?;
        let through = self.take_away(&what, &intent)?;
        // Order: take note of the event before the log goes that has it. Reversed, whoever goes on after a crash would take a
        // conversation away that has begun again since.
        intent.record.through = through;
        places::intend(&*self.reads().vfs, &self.reads().layout, &intent)?;
        let mut record = intent.record;
        let erased = erased(&what, through);
        let reads = self.reads();
        let mut files: Vec<PathBuf> = reads.segments().iter().map(|segment| segment.path.clone()).collect();
        let compacted = self.compact_all(state, &erased)?;
        files.extend(compacted.quarantined.iter().cloned());
        let (vfs, layout) = (&*reads.vfs, &reads.layout);
        files.extend(Inventory::take(vfs, &layout.log())?.unread.into_iter().map(|(_, _, path)| path));
        // The consumers are told what they have missed.
        unread::drop_read(vfs, layout, None)?;
        files.extend(self.rewrite_chapters(&erased)?);
        let mut aside = places::set_aside(vfs, layout, &erased, &record)?;
        aside.extend(places::unfinished(vfs, layout)?);
        aside.extend(places::search_index(vfs, layout)?);
        #[cfg(feature = "sqlite")]
        let _held = crate::backend::sqlite::hold(vfs, &layout.search_index())?;
        places::remove(vfs, &aside)?;
        // Order: behind the removal, after which no search keeps it open any more.
        #[cfg(feature = "sqlite")]
        reads.search_files.let_go();
        files.extend(aside);
        // Order: the keys behind all that is sealed with them. Reversed, a crash would leave a log that nothing opens.
        self.destroy_keys(&what.conversation_id)?;
        forget_others(reads, &erased, &mut record.traces, &record.salt)?;
        let mut not_erased = places::outside(vfs, layout, &record)?;
        // The intent holds no text. What else is found lies in files that the store does not know.
        match search(vfs, layout.root(), &record) {
            // A file of somebody's own, by whose name it cannot be looked through.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                not_erased.push(layout.root().to_owned());
            }
            found => not_erased.extend(found?.into_iter().map(|place| place.path)),
        }
        let now = Timestamp::from_unix_micros(self.settings.clock.now_micros()).unwrap_or(Timestamp::EPOCH);
        record.time = now.to_string();
        record.files = files.iter().map(|path| self.named(path)).collect();
        record.not_erased = not_erased.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        // Order: the receipt before the intent goes. Reversed, a crash would leave an erasure that nobody can prove.
        places::record(vfs, layout, &record)?;
        places::end(vfs, layout)?;
        Ok(ErasureReport { files, not_erased, ..record.report() })
    }

    /// A file's name in the receipt. That of a conversation's file is made of its id.
    fn named(&self, path: &Path) -> String {
        let layout = &self.reads().layout;
        let path = path.strip_prefix(layout.root()).unwrap_or(path);
        match path.parent() {
            Some(dir) if dir.ends_with("conversations") || dir.ends_with("quarantine") => {
                dir.display().to_string()
            }
            _ => path.display().to_string(),
        }
    }

    /// Removes it, unless that is done, and gives the newest event that goes with it.
    fn take_away(&self, what: &Erasure, intent: &Intent) -> Result<Seq> {
        let (id, after) = (what.conversation_id.as_str(), intent.after);
        if intent.record.through > 0 {
            return Ok(intent.record.through);
        }
        if let Some(done) = self.taken_away(what, after)? {
            return Ok(done);
        }
        let now = self.reads().conversation(id);
        // One that cannot be read is there, too.
        let is_there = self.reads().summary(id).map_or(true, |summary| summary.is_some());
        let gone =
            |removed_at| Change::Remove { removed_at: Some(removed_at), reason: RemovalReason::Erasure };
        let time = Timestamp::from_unix_micros(self.settings.clock.now_micros()).unwrap_or(Timestamp::EPOCH);
        let changes = match &what.message_id {
            None if is_there => vec![gone(time)],
            // It was removed before: what is remembered of it says from now on that it was erased.
            None => {
                let title = Conversation::default_title(id);
                let (metadata, extra) = (JsonObject::EMPTY, JsonObject::EMPTY);
                vec![Change::Create { title, created_at: time, metadata, extra }, gone(time)]
            }
            Some(message) => {
                let count = now?.map_or(0, |now| now.messages.iter().filter(|of| of.id == *message).count());
                vec![Change::RemoveMessage(message.clone()); count]
            }
        };
        if changes.is_empty() {
            return Ok(after);
        }
        let batch: Vec<Request> =
            changes.into_iter().map(|change| Request::of_event(Event::new(id, change))).collect();
        self.append_prepared(&batch)?;
        self.log.exclusively(None, |active, _| active.sync())?;
        Ok(self.taken_away(what, after)?.unwrap_or_else(|| self.reads().index().next_seq() - 1))
    }

    /// The event that removed it, if that has happened since it was intended.
    fn taken_away(&self, what: &Erasure, after: Seq) -> Result<Option<Seq>> {
        let tombstone = self.reads().index().tombstone(&what.conversation_id);
        if let Some(tombstone) = tombstone
            && (tombstone.reason, what.message_id.is_none()) == (RemovalReason::Erasure, true)
            && tombstone.seq > after
        {
            return Ok(Some(tombstone.seq));
        }
        let mut found = None;
        for (first, batch) in events(self.reads(), after + 1)? {
            for (seq, event) in (first..).zip(batch) {
                let is_it = match (&what.message_id, &event.change) {
                    (None, Change::Remove { reason: RemovalReason::Erasure, .. }) => true,
                    (Some(id), Change::RemoveMessage(message)) => id == message,
                    _ => false,
                };
                if is_it && seq > after && event.conversation_id == what.conversation_id {
                    found = Some(seq);
                }
            }
        }
        Ok(found)
    }

    /// Compacts all that the log holds, whether anything has changed or not.
    fn compact_all(&self, state: &mut Compaction, erased: &Erased) -> Result<CompactionReport> {
        let report = self.compact_without(state, Some(erased))?;
        let reads = self.reads();
        let first = reads.index().checkpoint().head().first_segment;
        let inventory = Inventory::take(&*reads.vfs, &reads.layout.log())?;
        let Some((_, _, path)) = inventory.segments.iter().find(|(number, ..)| *number < first) else {
            return Ok(report);
        };
        let held = report.held.first();
        let which = held.and_then(|file| file.conversation_id.clone()).unwrap_or_default();
        let reason = format!(
            "the log cannot be compacted away because the file of conversation {which:?} cannot be read: put it back, accept it or remove the conversation; the erasure goes on with the next opening"
        );
        Err(Error::new(ErrorKind::Corrupt, reason).at(path, None))
    }

    /// Writes the chapters anew that have something of it, the oldest first, so that what is left of its past ends where it ended.
    fn rewrite_chapters(&self, erased: &Erased) -> Result<Vec<PathBuf>> {
        let reads = self.reads();
        let (vfs, layout) = (&*reads.vfs, &reads.layout);
        chapter_list::remove_unfinished(vfs, layout)?;
        let mut files = Vec::new();
        for named in chapter_list::list(vfs, layout)? {
            let rewritten = Chapter::open(vfs, &named).and_then(|chapter| {
                let has_it = rewrite::has(&chapter, erased)?;
                if has_it {
                    rewrite::rewrite(vfs, layout, &named, erased)?;
                }
                Ok(has_it)
            });
            match rewritten {
                Ok(false) => continue,
                Ok(true) => {}
                // Nobody can say that it does not have it, and nobody can write it anew.
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnsupportedFormat) => {
                    places::remove(vfs, std::slice::from_ref(&named.path))?;
                }
                Err(error) => return Err(error),
            }
            files.push(named.path);
        }
        Ok(files)
    }
}
