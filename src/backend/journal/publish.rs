//! What follows the commit of a compaction: the copies that people and directories read, and the end of what it covers.
//!
//! Owns the order of these steps, each of which may be done by several at once, by somebody who is late, or a second time. Only copies
//! are ever replaced; nobody who reads the bucket as a store depends on them.

use std::collections::HashSet;

use super::chain::{Next, next, seal_of};
use super::cursor_object::lowest_cursor;
use super::documents::{self, Recorded};
use super::group::{is_emptied, remains};
use super::names;
use super::objects::{Found, Objects};
use super::opening::{raise, read_checkpoint, read_marker};
use super::tries::{self, Made};
use super::unread::{self, At, CoveredObject, Decision};
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{Checkpoint, Entry, FileState};
use crate::codec::index_file::{IndexFile, read_index};
use crate::codec::segment::{Previous, SegmentHeader};
use crate::error::{Error, ErrorKind, Result};
use crate::log::scan;
use crate::model::{CompactionReport, Seq, Text};
use crate::snapshot::names::stem;

/// Brings a committed checkpoint's copies into place, ends what it covers, and says so in the marker.
pub(super) fn publish(
    objects: &dyn Objects,
    old_epoch: u64,
    new: &Checkpoint,
    unread_bytes: u64,
    report: &mut CompactionReport,
) -> Result<()> {
    let head = new.head();
    // Whoever has done all of it before has removed the old one last.
    let Some(old) = read_checkpoint(objects, old_epoch, head.store_id)? else { return raise(objects, new) };
    copy_all(objects, &old, new, report)?;
    drop_documents(objects, new)?;
    report.dropped_segments += end_log(objects, &old, new, unread_bytes)?;
    // Order: the marker behind all of this. Whoever finds it lower does the rest again.
    raise(objects, new)?;
    tries::delete(objects, &names::checkpoint(old_epoch))
}

fn copy_all(
    objects: &dyn Objects,
    old: &Checkpoint,
    new: &Checkpoint,
    report: &mut CompactionReport,
) -> Result<()> {
    for entry in new.entries().filter(|entry| entry.state == FileState::Intact) {
        let before = old.find(entry.id).and_then(|ordinal| old.entry(ordinal));
        if before.is_some_and(|before| is_same(&before, &entry)) {
            continue;
        }
        let recorded = Recorded::of(&entry);
        let Some(bytes) = documents::fetch(objects, &recorded)? else {
            must_be_late(objects, new, entry.id)?;
            continue;
        };
        let before = before.map(|before| Recorded::of(&before));
        put_copy(objects, &names::conversation(entry.file_name), &bytes, before.as_ref())?;
    }
    let there: HashSet<&str> = new.entries().map(|entry| entry.file_name).collect();
    for gone in
        old.entries().filter(|entry| entry.state == FileState::Intact && !there.contains(entry.file_name))
    {
        tries::delete(objects, &names::conversation(gone.file_name))?;
        report.removed += 1;
    }
    copy_index(objects, old, new)
}

/// Holds that a later compaction has replaced a document that is gone. That one has seen this one's copies in place before.
///
/// # Errors
///
/// `Corrupt` if it was removed otherwise: nothing that it was made of is taken away then.
fn must_be_late(objects: &dyn Objects, new: &Checkpoint, id: &str) -> Result<()> {
    if read_marker(objects)?.is_some_and(|marker| marker.checkpoint_epoch >= new.head().epoch) {
        return Ok(());
    }
    let reason = format!(
        "the document of conversation {id:?} is not as the checkpoint says; put back what the store wrote"
    );
    Err(Error::new(ErrorKind::Corrupt, reason).at(objects.place(), None))
}

fn is_same(before: &Entry<'_>, now: &Entry<'_>) -> bool {
    (before.file_name, before.last_seq, before.file.crc) == (now.file_name, now.last_seq, now.file.crc)
}

/// Puts a copy in its place, unless something else than the copy before it is there: a later one, or what somebody else put there.
fn put_copy(objects: &dyn Objects, name: &str, bytes: &[u8], before: Option<&Recorded>) -> Result<()> {
    loop {
        let there = match tries::create(objects, name, bytes, &|there| there == bytes)? {
            Made::Mine => return Ok(()),
            Made::Theirs(there) => there,
        };
        let is_due = before.is_some_and(|before| before.is(&there.bytes));
        if !is_due || tries::replace(objects, name, bytes, &there.version)? {
            return Ok(());
        }
    }
}

fn copy_index(objects: &dyn Objects, old: &Checkpoint, new: &Checkpoint) -> Result<()> {
    let listed = new.entries().filter(|entry| entry.is_listed);
    let listed = listed
        .map(|entry| Text::from(if entry.file_name.is_empty() { entry.id } else { stem(entry.file_name) }));
    let listed: Vec<Text> = listed.collect();
    let bytes = |there: Option<&Found>| {
        let base = there.and_then(|found| read_index(&found.bytes).ok()).unwrap_or_default();
        IndexFile::with_ids(base, listed.clone()).write()
    };
    let is_that_of = |found: &Found, of: &Checkpoint| {
        of.head().index_file.is_some_and(|print| print.crc == crc32fast::hash(&found.bytes))
    };
    // Who is late leaves alone what a later one has written.
    let is_due = || Ok(read_marker(objects)?.is_none_or(|marker| marker.checkpoint_epoch < new.head().epoch));
    loop {
        let is_done = match tries::get(objects, names::INDEX)? {
            Some(found) if !is_that_of(&found, new) && (is_that_of(&found, old) || is_due()?) => {
                tries::replace(objects, names::INDEX, &bytes(Some(&found)), &found.version)?
            }
            Some(_) => true,
            None => {
                let made = bytes(None);
                tries::create(objects, names::INDEX, &made, &|there| there == made)? == Made::Mine
            }
        };
        if is_done {
            return Ok(());
        }
    }
}

/// Removes the documents that nothing names any more. What a checkpoint leaves out of what it covers no later one names: of each
/// conversation it names the newest.
fn drop_documents(objects: &dyn Objects, new: &Checkpoint) -> Result<()> {
    let kept: HashSet<String> = new.entries().map(|entry| names::document(entry.last_seq)).collect();
    for name in tries::list(objects, names::DOCUMENTS)? {
        let is_covered = names::seq_in(&name).is_some_and(|seq| seq <= new.head().covered_seq);
        if is_covered && !kept.contains(&name) {
            tries::delete(objects, &name)?;
        }
    }
    Ok(())
}

/// Empties the objects whose events the checkpoint has, but for those that a consumer has not read, up to so many bytes.
fn end_log(objects: &dyn Objects, old: &Checkpoint, new: &Checkpoint, unread_bytes: u64) -> Result<usize> {
    let (begin, head) = ((old.head().first_segment, old.head().covered_seq + 1), new.head());
    let decision = Decision {
        begin,
        covered: &|| covered(objects, begin, head.first_segment),
        lowest: &|names| lowest_cursor(objects, names, &head.store_id),
        most_bytes: unread_bytes,
    };
    let Some(going) = unread::decided(objects, head, &decision)? else {
        return empty(objects, begin, head.first_segment);
    };
    let mut emptied = 0;
    for stretch in &going {
        emptied += empty(objects, stretch.begin, stretch.end.0)?;
    }
    unread::emptied(objects, &going)?;
    Ok(emptied)
}

/// The objects from a place on that are to be covered, and how long they are; none if one of them cannot be read any more.
fn covered(objects: &dyn Objects, begin: At, end: u64) -> Result<Vec<CoveredObject>> {
    let (mut found, mut place) = (Vec::new(), begin);
    while place.0 < end {
        let Next::There(bytes, seal) = next(objects, place)? else { return Ok(Vec::new()) };
        let Some(next_seq) = next_seq(&bytes, seal.as_ref()) else { return Ok(Vec::new()) };
        found.push(CoveredObject { place, bytes: to_u64(bytes.len()) });
        place = (place.0 + 1, next_seq);
    }
    Ok(found)
}

/// Empties the objects from a place on. Their names stay taken: a request to make one may still be on its
/// way, and a process that has not looked for long may still compete for one.
fn empty(objects: &dyn Objects, mut place: At, end: u64) -> Result<usize> {
    let mut due = Vec::new();
    while place.0 < end {
        let name = names::segment(place.0, place.1);
        let Some(found) = tries::get(objects, &name)? else { break };
        let Some(remains) = remains(&found.bytes).filter(|_| !is_emptied(&found.bytes)) else { break };
        let seal = seal_of(objects, place.0, &found.bytes)?;
        let Some(next_seq) = next_seq(&found.bytes, seal.as_ref()) else { break };
        due.push((name, Some((remains, found.version))));
        place = (place.0 + 1, next_seq);
    }
    if place.0 < end {
        // One was emptied before, or cannot be read. The names of those behind it are known from a list only.
        let behind = names::segments_at(place.0);
        let is_covered = |name: &String| names::number_in(name).is_some_and(|number| number < end);
        let listed = tries::list_behind(objects, names::LOG, &behind)?.into_iter().filter(is_covered);
        due.extend(listed.map(|name| (name, None)));
    }
    let mut emptied = 0;
    // Order: the newest first. Whoever goes on after a kill finds the others from the oldest on.
    for (name, seen) in due.into_iter().rev() {
        let seen = match seen {
            Some(seen) => Some(seen),
            None => tries::get(objects, &name)?.and_then(|found| {
                let remains = remains(&found.bytes).filter(|_| !is_emptied(&found.bytes))?;
                Some((remains, found.version))
            }),
        };
        if let Some((remains, version)) = seen {
            tries::replace(objects, &name, &remains, &version)?;
            emptied += 1;
        }
    }
    Ok(emptied)
}

/// The event behind those of an object that can be read.
fn next_seq(bytes: &[u8], seal: Option<&Previous>) -> Option<Seq> {
    let header = SegmentHeader::decode(bytes).ok()?;
    let until = seal.map_or(bytes.len(), |seal| crate::codec::bytes::to_usize(seal.valid_len));
    let counted = bytes.get(..until).unwrap_or(bytes);
    let walk = scan::walk::<()>(counted, header.space(), header.first_seq, |_| Ok(())).ok()?;
    Some(walk.next_seq)
}
