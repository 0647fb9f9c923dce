//! Verifying: is everything that counts there, and as it was written?
//!
//! Owns the reading of all of it: the marker, the checkpoint, each document with its copy, and the log behind the checkpoint from the
//! first object on. Goes on behind what is damaged, so that all of it is named at once.

use super::chain::{self, Journal, Next};
use super::chapters;
use super::cursor_object;
use super::documents::{self, Recorded};
use super::group::Segment;
use super::names;
use super::objects::Objects;
use super::opening;
use super::state::{State, Wrong, damaged};
use super::tries;
use super::unread;
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{CheckpointHead, Entry, FileState};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DamagedFile, VerifyReport};
use crate::snapshot::chapter_list::{self, Named};
use crate::snapshot::gathering::{is_told_in, lost_in_words, must_be_of};
use std::sync::Arc;

/// How often everything is read anew because a compaction has replaced it meanwhile.
const CHASES: u32 = 100;

/// Which checkpoint was read, and of which all copies were in place; nothing if none could be read.
type Seen = Option<(u64, u64)>;

/// Reads everything and says what is wrong with it, also where it cannot be opened. Writes nothing.
pub(crate) fn verify(objects: &Arc<dyn Objects>) -> Result<VerifyReport> {
    for _ in 0..CHASES {
        let (report, seen) = look(objects)?;
        // Order: look for the checkpoint again behind what was found. What a compaction has replaced meanwhile is not damaged.
        if (report.is_sound() && report.notes.is_empty()) || seen == now(&**objects)? {
            return Ok(report);
        }
    }
    let reason = "compactions follow each other faster than they can be read";
    Err(Error::new(ErrorKind::Conflict, reason).at(objects.place(), None))
}

fn seen(state: &State) -> (u64, u64) {
    (state.checkpoint.head().epoch, state.published)
}

fn now(objects: &dyn Objects) -> Result<Seen> {
    match opening::find(objects) {
        Ok(found) => Ok(found.map(|found| seen(&found.state))),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        Err(error) => Err(error),
    }
}

fn look(objects: &Arc<dyn Objects>) -> Result<(VerifyReport, Seen)> {
    let mut look = Look { objects: &**objects, report: VerifyReport::default() };
    let found = match opening::find(&**objects) {
        Ok(found) => found.map(|found| found.state),
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            look.tell(None, error.message());
            return Ok((look.report, None));
        }
        Err(error) => return Err(error),
    };
    let Some(found) = found else {
        look.tell(None, "the store is gone from the bucket");
        return Ok((look.report, None));
    };
    look.marker(&found)?;
    let mut state = found.clone();
    match Journal::read(Arc::clone(objects), found) {
        Ok(journal) => state = journal.state().clone(),
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            let before = look.report.damaged.len();
            look.log(state.checkpoint.head())?;
            if look.report.damaged.len() == before {
                look.tell(None, error.message());
            }
        }
        Err(error) => return Err(error),
    }
    for entry in state.checkpoint.entries() {
        look.conversation(&entry, state.published == state.checkpoint.head().epoch)?;
    }
    look.history(state.checkpoint.head())?;
    look.consumers(state.checkpoint.head())?;
    let (report, logged) = (&mut look.report, state.places.iter().map(|place| place.bytes).sum::<u64>());
    report.events = state.next_seq - 1 - state.checkpoint.head().covered_seq;
    report.files += 1 + to_u64(state.places.len());
    report.bytes += logged;
    Ok((look.report, Some(seen(&state))))
}

fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnsupportedFormat)
}

/// What was found so far.
struct Look<'o> {
    objects: &'o dyn Objects,
    report: VerifyReport,
}

impl Look<'_> {
    fn tell(&mut self, id: Option<&str>, reason: &str) {
        let conversation_id = id.map(str::to_owned);
        let (path, reason) = (self.objects.place().to_owned(), reason.to_owned());
        self.report.damaged.push(DamagedFile {
            path,
            offset: None,
            conversation_id,
            reason,
            is_forbidden: false,
        });
    }

    /// The marker, of which a directory that was closed has none.
    fn marker(&mut self, state: &State) -> Result<()> {
        let head = state.checkpoint.head();
        let is_of_a_bucket =
            head.epoch == 0 || head.index_file.as_ref().is_some_and(documents::is_of_no_file);
        if is_of_a_bucket && tries::get(self.objects, names::MARKER)?.is_none() {
            let reason = "the object .aral-store is missing; the checkpoint has what it said: who opens the store for \
                          writing makes it anew";
            self.tell(None, reason);
        }
        Ok(())
    }

    /// Each object of the log by itself, since they cannot be read one after the other.
    fn log(&mut self, head: &CheckpointHead) -> Result<()> {
        let mut due = head.first_segment;
        for name in tries::list(self.objects, names::LOG)? {
            let Some(place) = names::place_in(&name).filter(|place| place.0 >= head.first_segment) else {
                continue;
            };
            if due < place.0 {
                let last = place.0 - 1;
                let which = if due == last {
                    format!("segment {due} of the log is missing: {name} stands behind it; put it back")
                } else {
                    format!(
                        "segments {due} to {last} of the log are missing: {name} stands behind them; put them back"
                    )
                };
                self.tell(None, &which);
            }
            due = due.max(place.0 + 1);
            let error = match chain::next(self.objects, place)? {
                Next::Nothing => continue,
                Next::Emptied => chain::emptied(self.objects, place),
                Next::There(bytes, seal) => {
                    let segment = Segment::open(&bytes, head.store_id, place, None);
                    let walked = segment
                        .map_err(Wrong::from)
                        .and_then(|segment| segment.walk::<Wrong>(seal.as_ref(), |_| Ok(())));
                    let Err(wrong) = walked else { continue };
                    chain::wrong_at(self.objects, place, wrong)
                }
            };
            self.tell(None, error.message());
        }
        Ok(())
    }

    /// What is kept of the past.
    fn history(&mut self, head: &CheckpointHead) -> Result<()> {
        let objects = self.objects;
        let chapters::Kept { listed: all, keep } = chapters::Kept::look(objects)?;
        let open = |named: &Named| chapters::open(objects, named);
        for named in &all {
            let checked = open(named).and_then(|chapter| {
                must_be_of(&chapter, &head.store_id)?;
                chapter.check()
            });
            let lost = match checked {
                Ok(lost) => lost,
                // It was dropped meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) if is_damage(&error) => {
                    self.tell(None, &error.to_string());
                    continue;
                }
                Err(error) => return Err(error),
            };
            (self.report.files, self.report.bytes) = (self.report.files + 1, self.report.bytes + named.bytes);
            let before = chapter_list::chain(all.clone(), named.first - 1);
            for id in lost.iter().filter(|id| !is_told_in(&before, id, &open)) {
                self.report.notes.push(format!("conversation {id:?}: {}", lost_in_words(named)));
            }
        }
        if let Some(gap) = chapter_list::gap(&all, head.covered_seq) {
            let gap = chapter_list::gap_in_words(gap, &chapters::place(objects));
            self.tell(
                None,
                &format!("{gap}; nothing of the present depends on it, and `aral-store keep nothing --yes` drops what is left of it"),
            );
        }
        if let Err(error) = keep {
            self.tell(None, &error.to_string());
        }
        Ok(())
    }

    /// The cursors of consumers, and what is kept for them alone.
    fn consumers(&mut self, head: &CheckpointHead) -> Result<()> {
        let objects = self.objects;
        let unread = match unread::read(objects) {
            Err(error) if is_damage(&error) => {
                self.tell(None, &error.to_string());
                None
            }
            read => read?,
        };
        let first = unread.as_ref().map_or(head.covered_seq + 1, |unread| unread.begin().1);
        for (name, said) in cursor_object::all(objects, &unread::names(objects)?)? {
            self.report.files += 1;
            match said {
                Ok(object) if object.file.cursor.acknowledged + 1 < first => {
                    let (from, to) = (object.file.cursor.acknowledged + 1, first - 1);
                    let note = format!("consumer {name:?} has missed events {from} to {to}, which are gone");
                    self.report.notes.push(note);
                }
                Ok(_) => {}
                Err(error) => self.tell(None, &error.to_string()),
            }
        }
        for stretch in unread.iter().flat_map(|unread| &unread.kept) {
            let mut place = stretch.begin;
            while place.0 < stretch.end.0 {
                let (bytes, seal) = match chain::next(objects, place)? {
                    Next::There(bytes, seal) => (bytes, seal),
                    Next::Nothing | Next::Emptied => {
                        let name = names::segment(place.0, place.1);
                        self.tell(None, &format!("{name} is not there any more, and is kept for consumers"));
                        break;
                    }
                };
                let segment = Segment::open(&bytes, head.store_id, place, None);
                let walked = segment
                    .map_err(Wrong::from)
                    .and_then(|segment| segment.walk::<Wrong>(seal.as_ref(), |_| Ok(())));
                match walked {
                    Ok(end) => place = (place.0 + 1, end.next_seq),
                    Err(wrong) => {
                        self.tell(None, chain::wrong_at(objects, place, wrong).message());
                        break;
                    }
                }
                (self.report.files, self.report.bytes) =
                    (self.report.files + 1, self.report.bytes + to_u64(bytes.len()));
            }
        }
        Ok(())
    }

    /// A conversation's document and its copy.
    fn conversation(&mut self, entry: &Entry<'_>, is_published: bool) -> Result<()> {
        if entry.state != FileState::Intact {
            self.tell(Some(entry.id), damaged(entry).message());
            return Ok(());
        }
        let recorded = Recorded::of(entry);
        let (own_name, copy_name) = (recorded.own_name(), names::conversation(entry.file_name));
        let own = match &own_name {
            Some(name) => tries::get(self.objects, name)?,
            None => None,
        };
        let copy = tries::get(self.objects, &copy_name)?;
        let is_there = own.is_some();
        let own = own.filter(|found| recorded.is(&found.bytes));
        let copy = copy.filter(|found| recorded.is(&found.bytes));
        if let Some(name) = own_name.as_ref().filter(|_| own.is_none() && copy.is_some())
            && (is_there || documents::is_of_no_file(&recorded.file))
        {
            let what = if is_there { "is not what the store wrote" } else { "is missing" };
            let reason = format!("{name} {what}; {copy_name} has what it held: copy it to that name");
            self.tell(Some(entry.id), &reason);
        }
        if own.is_some() && copy.is_none() && is_published {
            self.report.notes.push(format!(
                "{copy_name} is not as the store has it: readers of the bucket see the right one, a copy of it does not"
            ));
        }
        let Some(document) = own.or(copy) else {
            let own_name = own_name.unwrap_or_default();
            let reason = format!(
                "neither its document {own_name} nor its file {copy_name} is as the checkpoint says; put back what the store \
                 wrote"
            );
            self.tell(Some(entry.id), &reason);
            return Ok(());
        };
        self.report.files += 1;
        self.report.bytes += to_u64(document.bytes.len());
        self.report.conversations += 1;
        if let Err(error) = documents::read(self.objects, &recorded, &document.bytes) {
            self.tell(Some(entry.id), error.message());
        }
        Ok(())
    }
}
