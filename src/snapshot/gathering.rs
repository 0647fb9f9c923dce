//! The past of one conversation, put together from chapters.
//!
//! Owns what follows from what each chapter has of it, and from what is damaged or not there. Does not know where chapters are kept.

use super::chapter::Chapter;
use super::chapter_list::Named;
use crate::codec::checkpoint::CheckpointHead;
use crate::codec::segment::StoreId;
use crate::error::{ErrorKind, Result};
use crate::model::{Change, HistoryBase, PastEvent, RemovalReason, Seq, Tombstone};

/// What the chapters have of a conversation.
#[derive(Debug)]
pub(crate) struct Archived {
    pub(crate) base: Option<HistoryBase>,
    /// The removal behind which it begins, where there is no base for that.
    pub(crate) removed: Option<Tombstone>,
    pub(crate) events: Vec<PastEvent>,
    pub(crate) whole_from: Seq,
}

impl Archived {
    /// What there is of a conversation that is in no chapter and not there now.
    pub(crate) fn absent(tombstone: Option<Tombstone>, floor: Seq) -> Self {
        let whole_from = tombstone.as_ref().map_or(floor, |tombstone| known_from(tombstone, floor));
        // A removal that the chapters have is an event of theirs.
        let removed = tombstone.filter(|tombstone| tombstone.seq <= whole_from);
        Self { base: None, removed, events: Vec::new(), whole_from }
    }

    /// The newest event that led to what it was; nothing if it was not there.
    pub(crate) fn end(&self) -> Option<Seq> {
        match self.events.last() {
            Some(PastEvent { event, .. }) if matches!(event.change, Change::Remove { .. }) => None,
            Some(last) => Some(last.seq),
            None => self.base.as_ref().map(|base| base.last_seq),
        }
    }

    /// What there is behind the newest erasure. What was before it is in no chapter any more.
    pub(crate) fn behind_an_erasure(mut self, id: &str) -> Self {
        let tombstone = |past: &PastEvent| {
            let Change::Remove { removed_at, reason } = past.event.change else { return None };
            let is_erasure = reason == RemovalReason::Erasure;
            is_erasure.then(|| Tombstone { id: id.to_owned(), seq: past.seq, removed_at, reason })
        };
        let mut newest = self.events.iter().enumerate().rev();
        let Some((at, erased)) = newest.find_map(|(at, past)| Some((at, tombstone(past)?))) else {
            return self;
        };
        let events = self.events.split_off(at + 1);
        Self { base: None, whole_from: erased.seq, removed: Some(erased), events }
    }
}

/// From which event on the past of a removed conversation is known, if nothing is kept from before the floor.
fn known_from(tombstone: &Tombstone, floor: Seq) -> Seq {
    match tombstone.reason {
        // What it was before is gone from the chapters, too.
        RemovalReason::Erasure => tombstone.seq,
        RemovalReason::Asked | RemovalReason::Retention => floor.min(tombstone.seq),
    }
}

/// Why nobody knows what a conversation was before a chapter.
pub(crate) fn lost_in_words(named: &Named) -> String {
    format!(
        "its file could not be read, or was too long to keep, when events {} to {} were covered, and nothing before them says what it was, in {}",
        named.first,
        named.last,
        named.path.display()
    )
}

/// Whether chapters, which follow each other, say what a conversation was at their end.
pub(crate) fn is_told_in(before: &[Named], id: &str, open: &dyn Fn(&Named) -> Result<Chapter>) -> bool {
    for named in before.iter().rev() {
        match open(named).and_then(|chapter| chapter.entry(id)) {
            // It did not change, or nobody could read it then either: what is before that says what it was.
            Ok(None) => {}
            Ok(Some(entry)) if entry.is_lost => {}
            Ok(Some(_)) => return true,
            Err(_) => return false,
        }
    }
    false
}

/// What one chapter has of a conversation.
pub(crate) enum Part {
    Nothing,
    /// It changed, and this does not say from what.
    Lost(Vec<PastEvent>),
    Of(Option<Box<HistoryBase>>, Vec<PastEvent>),
}

/// What a chapter has of a conversation, up to what a checkpoint covers.
pub(crate) fn part_of(chapter: &Chapter, head: &CheckpointHead, id: &str) -> Result<Part> {
    must_be_of(chapter, &head.store_id)?;
    let Some(entry) = chapter.entry(id)? else { return Ok(Part::Nothing) };
    let mut events = chapter.events(&entry)?;
    // Of one that a newer compaction has gone on with; whoever looks at an older checkpoint has the log for those.
    events.retain(|past| past.seq <= head.covered_seq);
    if entry.is_lost {
        return Ok(Part::Lost(events));
    }
    let base = entry.base.map(|offset| chapter.base(offset)).transpose()?;
    Ok(Part::Of(base.map(Box::new), events))
}

pub(crate) fn must_be_of(chapter: &Chapter, store_id: &StoreId) -> Result<()> {
    if chapter.head.store_id == *store_id {
        return Ok(());
    }
    Err(chapter.bad(12, "the chapter belongs to another store"))
}

/// What chapters that follow each other have of a conversation, as far as they were read.
pub(crate) struct Gathering {
    covered: Seq,
    pub(crate) found: Option<Archived>,
    /// Nothing is known of what was before the event behind this one.
    pub(crate) floor: Seq,
    /// What is wrong with those before, if that is why.
    pub(crate) damage: Option<String>,
}

impl Gathering {
    /// Begins with the chapters that lead up to this event, and with what is wrong with those before.
    pub(crate) fn begin(chain: &[Named], covered: Seq, damage: Option<String>) -> Self {
        let floor = chain.first().map_or(covered, |named| named.first - 1);
        Self { covered, found: None, floor, damage }
    }

    /// Adds what the next chapter has, or why it cannot be read.
    ///
    /// # Errors
    ///
    /// Those that are no damage.
    pub(crate) fn add(&mut self, named: &Named, part: Result<Part>) -> Result<()> {
        let (base, events) = match part {
            Ok(Part::Nothing) => return Ok(()),
            Ok(Part::Of(base, events)) => (base.map(|base| *base), events),
            // Its file could not be read when this was written. It was what the chapters before lead to, if they have it.
            Ok(Part::Lost(events)) => {
                match self.found.as_mut().filter(|found| found.end().is_some()) {
                    Some(found) => found.events.extend(events),
                    None => self.begin_behind(named, Some(lost_in_words(named))),
                }
                return Ok(());
            }
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                // What is not there any more was dropped since the list was read.
                let damage = (error.kind() == ErrorKind::Corrupt).then(|| error.to_string());
                self.begin_behind(named, damage);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let floor = self.floor;
        let goes_on =
            self.found.as_ref().is_some_and(|found| found.end() == base.as_ref().map(|base| base.last_seq));
        match &mut self.found {
            Some(found) if goes_on => found.events.extend(events),
            // Something else than events has changed it in between, such as a file that was put there.
            Some(found) => *found = Archived { base, removed: None, events, whole_from: named.first - 1 },
            None => {
                let whole_from = base.as_ref().map_or(floor, |base| base.last_seq);
                self.found = Some(Archived { base, removed: None, events, whole_from });
            }
        }
        Ok(())
    }

    fn begin_behind(&mut self, named: &Named, damage: Option<String>) {
        (self.found, self.floor) = (None, named.last.min(self.covered));
        self.damage = damage;
    }
}
