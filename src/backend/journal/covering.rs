//! The chapter that a compaction leaves where history is kept.
//!
//! Owns what goes into it: what each conversation that has changed was before, the events that the compaction covers, and, where it goes
//! on with the chapter before, all of that one. It is there before the compaction's checkpoint is, which is when it begins to count.

use std::sync::Arc;

use super::chain::{Next, next, wrong_at};
use super::chapters::{self, Kept};
use super::documents::Recorded;
use super::group::Segment;
use super::names;
use super::objects::Objects;
use super::state::{Place, State, Wrong};
use super::tries::{self, Made};
use crate::codec::chapter::{ChapterHead, encode_base};
use crate::codec::payload::{BadPayload, for_each_event};
use crate::error::{Error, ErrorKind, Result};
use crate::log::scan::Frame;
use crate::model::{DamagedFile, HistoryBase, Keep};
use crate::rules::Folded;
use crate::snapshot::chapter_list::{self, Named};
use crate::snapshot::chapter_writer::Writer;
use crate::snapshot::gathering::{is_told_in, must_be_of};
use crate::snapshot::keeping::{is_gone_on_with, is_together};
use crate::snapshot::load::unreadable;
use crate::vfs::memory_file::MemoryFile;

/// A chapter that is being made.
pub(super) struct Covering<'o> {
    objects: &'o dyn Objects,
    head: ChapterHead,
    /// All that there are.
    listed: Vec<Named>,
    writer: Writer,
    file: Arc<MemoryFile>,
    unkept: Vec<DamagedFile>,
}

/// What a conversation was when the chapter begins.
pub(super) enum Was<'d> {
    /// This, as a document has it.
    There(&'d Folded),
    /// Nobody can read it.
    Lost(Error),
}

impl<'o> Covering<'o> {
    /// Begins the chapter for what a state has behind its checkpoint; none if nothing is to be kept.
    pub(super) fn begin(
        objects: &'o dyn Objects,
        state: &State,
        history: &Kept,
        now_micros: i64,
    ) -> Result<Option<Self>> {
        let old = state.checkpoint.head();
        let head = ChapterHead {
            store_id: old.store_id,
            first: old.covered_seq + 1,
            last: state.next_seq - 1,
            created_unix_micros: now_micros,
        };
        let keep = history.keep_or_all();
        if head.first > head.last || keep == Keep::Nothing {
            return Ok(None);
        }
        let listed = history.listed.clone();
        let begun = begun_with_the_one_before(objects, state, &head, (keep, &listed))?;
        let (head, writer, file) = begun.unwrap_or_else(|| begun_anew(objects, head));
        Ok(Some(Self { objects, head, listed, writer, file, unkept: Vec::new() }))
    }

    /// Whether it has to be said what a conversation was before.
    pub(super) fn needs(&self, recorded: &Recorded) -> bool {
        self.writer.leads_to(&recorded.id, Some(recorded.last_seq)).is_none()
    }

    /// Takes note of what a conversation was.
    pub(super) fn base(&mut self, recorded: &Recorded, was: Was<'_>) -> Result<()> {
        let (base, why) = match was {
            Was::There(document) => {
                let (conversation, last_activity) = (document.conversation.clone(), recorded.last_activity);
                (Some(HistoryBase::new(conversation, recorded.last_seq, last_activity)), None)
            }
            Was::Lost(error) => (None, Some(error)),
        };
        let bytes = base.as_ref().and_then(encode_base);
        let add_to = |add: &mut dyn FnMut(&[u8]) -> Result<bool>| {
            bytes.map_or(Ok(false), |bytes| add(&bytes)).map(Some)
        };
        let is_kept = self.writer.base(&recorded.id, add_to)? == Some(true);
        let too_long = || {
            Error::new(ErrorKind::Unsupported, TOO_LONG).at(&self.objects.place().join(&recorded.id), None)
        };
        if !is_kept {
            self.unkept.push(unreadable(&recorded.id, &why.unwrap_or_else(too_long)));
        }
        Ok(())
    }

    /// Adds the events of these objects; false if another compaction has emptied one of them.
    pub(super) fn events(&mut self, places: &[Place]) -> Result<bool> {
        for place in places.iter().filter(|place| place.first_seq < place.next_seq) {
            let at = (place.number, place.first_seq);
            let (bytes, seal) = match next(self.objects, at)? {
                Next::There(bytes, seal) => (bytes, seal),
                Next::Emptied => return Ok(false),
                Next::Nothing => {
                    let reason = format!("{} is missing; put it back", names::segment(at.0, at.1));
                    return Err(Error::new(ErrorKind::Corrupt, reason).at(self.objects.place(), None));
                }
            };
            let segment = Segment::open(&bytes, self.head.store_id, at, None);
            let segment = segment.map_err(|misfit| wrong_at(self.objects, at, misfit.into()))?;
            let writer = &mut self.writer;
            let walked = segment.walk::<Bad>(seal.as_ref(), |frame| add(writer, frame));
            walked.map_err(|bad| match bad {
                Bad::Log(wrong) => wrong_at(self.objects, at, wrong),
                Bad::Chapter(error) => error,
            })?;
        }
        Ok(true)
    }

    /// Makes the chapter's object. Gives the conversations of which nothing says any more what they were before.
    pub(super) fn finish(mut self) -> Result<Vec<DamagedFile>> {
        self.writer.end()?;
        let (objects, bytes) = (self.objects, self.file.take());
        let (first, last) = (self.head.first, self.head.last);
        let name = names::chapter(first, last);
        let named = Named { last, first, path: objects.place().join(&name), bytes: 0 };
        while let Made::Theirs(there) = tries::create(objects, &name, &bytes, &|there| there == bytes)? {
            // Another compaction's, which has the same, or was killed behind it. It counts from now on, so it has to be whole.
            let chapter = chapters::opened(&named, there.bytes);
            let is_whole = chapter
                .and_then(|chapter| must_be_of(&chapter, &self.head.store_id).and_then(|()| chapter.check()));
            if is_whole.is_ok() || tries::replace(objects, &name, &bytes, &there.version)? {
                break;
            }
        }
        let before = chapter_list::chain(self.listed, first - 1);
        let open = |named: &Named| chapters::open(objects, named);
        let is_told = |lost: &DamagedFile| {
            lost.conversation_id.as_ref().is_some_and(|id| is_told_in(&before, id, &open))
        };
        self.unkept.retain(|lost| !is_told(lost));
        Ok(self.unkept)
    }
}

const TOO_LONG: &str = "what it was is longer than a record of the history may be, 1 GiB";

type Begun = (ChapterHead, Writer, Arc<MemoryFile>);

fn begun_anew(objects: &dyn Objects, head: ChapterHead) -> Begun {
    let file = Arc::new(MemoryFile::new(0));
    let path = objects.place().join(names::chapter(head.first, head.last));
    let writer = Writer::on(Arc::<MemoryFile>::clone(&file), path, &head);
    (head, writer, file)
}

/// A chapter that goes on with the one before, so that many short compactions leave neither many objects nor what a conversation
/// was before each of them. Nothing if the one before is too long for that, as compared to what is added, or too old, or if it does not
/// lead to what the conversations are that have changed since.
fn begun_with_the_one_before(
    objects: &dyn Objects,
    state: &State,
    head: &ChapterHead,
    (keep, listed): (Keep, &[Named]),
) -> Result<Option<Begun>> {
    let chain = chapter_list::chain(listed.to_vec(), head.first - 1);
    // One that goes on behind what the checkpoint covers is of a compaction that has not got further.
    let Some(before) = chain.last().filter(|before| before.last < head.first) else { return Ok(None) };
    let added: u64 = state.changed().map(|entry| entry.file.len).sum();
    if !is_gone_on_with(before.bytes, added, keep) {
        return Ok(None);
    }
    let begun = chapters::open(objects, before).and_then(|chapter| {
        if chapter.head.store_id != head.store_id
            || !is_together(chapter.head.created_unix_micros, head.created_unix_micros, keep)
        {
            return Ok(None);
        }
        let mut begun = begun_anew(objects, ChapterHead { first: before.first, ..*head });
        begun.1.take_over(&chapter)?;
        Ok(Some(begun))
    });
    let begun = match begun {
        // It stays as it is, and costs what is in it.
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => None,
        begun => begun?,
    };
    let leads_on = |(_, writer, _): &Begun| {
        let leads = |id: &str, end| writer.leads_to(id, end) != Some(false);
        state.changed().all(|entry| leads(entry.id, Some(entry.last_seq)))
            && state.born.values().all(|id| state.checkpoint.find(id).is_some() || leads(id, None))
    };
    Ok(begun.filter(leads_on))
}

/// Why the events of an object cannot be added.
enum Bad {
    Log(Wrong),
    Chapter(Error),
}

impl From<super::group::Misfit> for Bad {
    fn from(misfit: super::group::Misfit) -> Self {
        Self::Log(misfit.into())
    }
}

/// Adds a batch of the log to a chapter.
fn add(writer: &mut Writer, frame: &Frame<'_>) -> Result<(), Bad> {
    let mut ids: Vec<String> = Vec::new();
    let read = for_each_event::<BadPayload>(frame.payload, frame.header.events, |view, _| {
        let is_known = |id: &String| view.conversation.with_bytes(|bytes| bytes == id.as_bytes());
        if !ids.last().is_some_and(is_known) && !ids.iter().any(is_known) {
            ids.push(view.conversation.to_id()?);
        }
        Ok(())
    });
    read.map_err(|bad| Bad::Log(Wrong::Damaged(frame.offset, bad.0)))?;
    let numbers = (frame.header.first_seq, frame.header.events, frame.header.schema);
    writer.batch(numbers, frame.payload, &ids).map_err(Bad::Chapter)
}
