//! The first half of a compaction: writing beside the snapshot what it will become.
//!
//! Owns which files are written and what the new checkpoint says. Nothing that was there is touched: until
//! the checkpoint has its name, the staged files are rubbish that the next opening removes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::conversation_file::ConversationFile;
use super::fetch::Fetcher;
use super::file_cache::FileName;
use super::held::{Among, Holding};
use super::layout::{self, Layout, STAGED};
use super::load;
use super::names::{self, fold, stem};
use super::segment_cache::SegmentCache;
use super::sink::{CHUNK, Sink, Syncs};
use crate::codec::bytes::to_usize;
use crate::codec::checkpoint::{CheckpointBuilder, CheckpointHead, Entry, FileState, Fingerprint};
use crate::codec::document::DocumentWriter;
use crate::codec::index_file::{IndexFile, read_index};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Body, Captured, CapturedPlace, HeadSource, Lists, Slot};
use crate::log::segment::Segment;
use crate::model::{CompactionReport, JsonObject, Seq, Text};
use crate::vfs::{self, Vfs};

/// What a compaction works on.
#[derive(Debug)]
pub(crate) struct Plan<'p> {
    pub(crate) vfs: &'p dyn Vfs,
    pub(crate) layout: &'p Layout,
    pub(crate) captured: &'p Captured,
    /// Where the positions of the captured state point to.
    pub(crate) segments: &'p [Arc<Segment>],
    /// The first segment that holds nothing of the captured state.
    pub(crate) first_segment: u64,
    pub(crate) covered_seq: Seq,
    pub(crate) created_unix_micros: i64,
    /// Who makes the staged files durable.
    pub(crate) syncs: &'p dyn Syncs,
}

impl Plan<'_> {
    fn epoch(&self) -> u64 {
        self.captured.checkpoint.head().epoch + 1
    }

    /// Writes and syncs the staged files, and returns the new checkpoint's bytes.
    ///
    /// When this returns, the staged files and their names are durable.
    pub(crate) fn stage(&self, report: &mut CompactionReport) -> Result<Vec<u8>> {
        let made = layout::ensure_dir(self.vfs, &self.layout.conversations())?;
        let names = self.file_names()?;
        let mut builder = CheckpointBuilder::default();
        let mut listed = Vec::new();
        let mut holding = Holding::new(&self.captured.checkpoint);
        for (ordinal, place) in self.captured.order.iter().enumerate() {
            match place {
                CapturedPlace::Checkpoint(old) => {
                    let Some(entry) = self.captured.checkpoint.entry(*old) else { continue };
                    let is_listed = entry.is_listed || entry.state == FileState::Intact;
                    builder.entry(&Entry { is_listed, ..entry });
                    holding.carry(&entry, *old, ordinal);
                    if is_listed {
                        listed.push(listed_as(&entry));
                    }
                }
                CapturedPlace::Dirty(at) => {
                    let Some(slot) = self.captured.dirty.get(*at) else { continue };
                    let print = match self.write_conversation(slot, ordinal) {
                        Ok(print) => print,
                        Err(error) => {
                            let entry = self.entry_of_unreadable(slot, error, ordinal, report)?;
                            builder.entry(&entry);
                            holding.add(slot, ordinal);
                            listed.push(listed_as(&entry));
                            continue;
                        }
                    };
                    let file_name = names.get(&*slot.summary.id).cloned().unwrap_or_default();
                    builder.entry(&Entry::of(&slot.summary, &file_name, print));
                    listed.push(Text::from(stem(&file_name)));
                    report.written += 1;
                    report.written_bytes += print.len;
                }
            }
        }
        for (key, record) in &self.captured.keys {
            builder.key(&record.entry(key));
        }
        for tombstone in &self.captured.removed {
            builder.tombstone(&tombstone.into());
        }
        builder.hold(holding.finish(Among { segments: self.segments, before: self.first_segment })?);
        let index_file = Some(self.stage_index(listed)?);
        self.syncs.wait()?;
        // Order: sync the directories before the checkpoint is committed. Reversed, a crash leaves a
        // checkpoint that names files nobody can find.
        layout::sync_dir(self.vfs, &self.layout.conversations())?;
        if made || index_file != self.captured.checkpoint.head().index_file {
            layout::sync_dir(self.vfs, self.layout.root())?;
        }
        Ok(builder.finish(&CheckpointHead {
            epoch: self.epoch(),
            covered_seq: self.covered_seq,
            first_segment: self.first_segment,
            created_unix_micros: self.created_unix_micros,
            index_file,
            ..*self.captured.checkpoint.head()
        }))
    }

    /// The file name of each dirty conversation: the one it has, or a new one.
    fn file_names(&self) -> Result<HashMap<String, String>> {
        let old = &self.captured.checkpoint;
        let mut names = HashMap::new();
        let mut nameless = Vec::new();
        for slot in self.captured.dirty.iter().filter(|slot| slot.exists) {
            let entry = old.find(&slot.summary.id).and_then(|ordinal| old.entry(ordinal));
            match entry.filter(|entry| entry.state == FileState::Intact) {
                Some(entry) => {
                    names.insert(slot.summary.id.clone(), entry.file_name.to_owned());
                }
                None => nameless.push(&slot.summary.id),
            }
        }
        if nameless.is_empty() {
            return Ok(names);
        }
        let dir = self.layout.conversations();
        let there = self.vfs.read_dir(&dir).map_err(|e| Error::io("list", &dir, e))?;
        let mut taken: HashSet<String> = there.iter().map(|entry| fold(&entry.name)).collect();
        taken.extend(old.entries().map(|entry| fold(entry.file_name)));
        let seal = self.vfs.sealing();
        for id in nameless {
            let name = match &seal {
                None => names::choose(id, &taken),
                Some(seal) => seal.new_name().map_err(|e| Error::io("name a file in", &dir, e))?,
            };
            taken.insert(fold(&name));
            names.insert(id.clone(), name);
        }
        Ok(names)
    }

    /// What stays in the checkpoint of a conversation whose file cannot be read, which is told.
    ///
    /// # Errors
    ///
    /// The error, if it is about anything else than that one file.
    fn entry_of_unreadable(
        &self,
        slot: &Slot,
        error: Error,
        ordinal: usize,
        report: &mut CompactionReport,
    ) -> Result<Entry<'_>> {
        let old = &self.captured.checkpoint;
        let entry = slot.ordinal.and_then(|before| Some((before, old.entry(before)?)));
        let own = entry.filter(|(before, entry)| {
            let staged = self.layout.staged(old.head().epoch, *before);
            let places = [self.layout.conversation(entry.file_name), staged];
            load::is_of_a_file(&error, &places)
        });
        let Some((_, entry)) = own else { return Err(error) };
        // What was written of it before the damage showed is worth nothing.
        layout::remove_file(self.vfs, &self.layout.staged(self.epoch(), ordinal))?;
        report.held.retain(|told| told.conversation_id.as_deref() != Some(entry.id));
        report.held.push(load::unreadable(entry.id, &error));
        Ok(entry)
    }

    /// Writes one conversation's staged file and hands it over to be synced.
    fn write_conversation(&self, slot: &Slot, ordinal: usize) -> Result<Fingerprint> {
        let old = &self.captured.checkpoint;
        let entry = slot.ordinal.and_then(|ordinal| old.entry(ordinal));
        let loaded;
        let lists = match &slot.body {
            Body::Loaded(lists) => lists,
            Body::Ended(..) => return Err(Error::invalid("a removed conversation has no file")),
            Body::Deferred(_) => {
                let entry =
                    entry.ok_or_else(|| Error::invalid("a conversation without a file awaits one"))?;
                let mut slot = slot.clone();
                let staged = self.layout.staged(old.head().epoch, slot.ordinal.unwrap_or_default());
                let base = load::load(self.vfs, self.layout, &staged, &entry)?;
                let misfit = |bad: crate::index::Misfit| {
                    Error::corrupt(&self.layout.conversation(entry.file_name), 0, bad.0)
                };
                slot.load(base).map_err(misfit)?;
                let Body::Loaded(lists) = slot.body else { return Err(Error::invalid("nothing was loaded")) };
                loaded = lists;
                &loaded
            }
        };
        let file = match entry {
            // One that was begun anew has nothing in its file any more, which may be past reading.
            Some(entry) if lists.are_in_file() => {
                let (epoch, ordinal) = (old.head().epoch, slot.ordinal.unwrap_or_default());
                let name = FileName { name: entry.file_name, epoch, ordinal };
                Some(ConversationFile::open(self.vfs, self.layout, name)?)
            }
            Some(_) | None => None,
        };
        let fetcher = Fetcher {
            conversation_id: &slot.summary.id,
            file_time: entry.map_or(slot.summary.created_at, |entry| entry.created_at),
            segment_cache: SegmentCache::new(self.segments),
            file: file.as_ref(),
            grown: &lists.grown,
        };
        let is_canonical = entry.is_some_and(|entry| entry.is_canonical);
        let mut sink = Sink::create(self.vfs, &self.layout.staged(self.epoch(), ordinal))?;
        write_document(slot, lists, &fetcher, is_canonical, &mut sink)?;
        sink.finish(self.syncs)
    }

    /// Writes the staged list of conversations, unless it would be as it is.
    fn stage_index(&self, ids: Vec<Text>) -> Result<Fingerprint> {
        let current = layout::read_file(self.vfs, &self.layout.index_file())?;
        let recorded = self.captured.checkpoint.head().index_file;
        // A list that cannot be read loses what else stood in it, but not in silence: publishing sets a file
        // aside that is not as recorded.
        let base = current.as_ref().and_then(|(bytes, _)| read_index(bytes).ok()).unwrap_or_default();
        let bytes = IndexFile::with_ids(base, ids).write();
        if let Some((old, print)) = current {
            if old == bytes && recorded.is_some_and(|recorded| load::is_same(&print, &recorded)) {
                return Ok(recorded.unwrap_or(print));
            }
        }
        let path = self.layout.staged_index(self.epoch());
        layout::remove_file(self.vfs, &path)?;
        layout::write_file(self.vfs, &path, &bytes)
    }
}

/// How `message_store.json` names an entry: by the stem of its file, which is its id unless that is unsafe.
fn listed_as(entry: &Entry<'_>) -> Text {
    Text::from(if entry.file_name.is_empty() { entry.id } else { stem(entry.file_name) })
}

/// The metadata and the unknown fields of a conversation.
pub(crate) fn head_of(slot: &Slot, lists: &Lists, fetcher: &Fetcher<'_>) -> Result<(JsonObject, JsonObject)> {
    let base = lists.base.as_deref();
    let metadata = match slot.metadata {
        HeadSource::Event(position) => fetcher.head(position)?.0,
        HeadSource::Snapshot => base.map(|base| base.metadata.clone()).unwrap_or_default(),
        HeadSource::Empty => JsonObject::EMPTY,
    };
    let extra = match slot.extra {
        HeadSource::Event(position) => fetcher.head(position)?.1,
        HeadSource::Snapshot => base.map(|base| base.extra.clone()).unwrap_or_default(),
        HeadSource::Empty => JsonObject::EMPTY,
    };
    Ok((metadata, extra))
}

/// Writes a conversation in the original's layout. Items of a canonical file are copied as they are.
pub(crate) fn write_document(
    slot: &Slot,
    lists: &Lists,
    fetcher: &Fetcher<'_>,
    is_canonical: bool,
    sink: &mut Sink,
) -> Result<()> {
    let (metadata, extra) = head_of(slot, lists, fetcher)?;
    let id = Text::from(&slot.summary.id);
    let mut writer =
        DocumentWriter::new(&id, &slot.summary.title, slot.summary.created_at, &metadata, &extra);
    for position in lists.messages.iter().map(crate::index::Entry::position) {
        let grown = fetcher.grown(position);
        if is_canonical && position.segment().is_none() && grown.is_none() {
            fetcher.with_file_bytes(position, |bytes| writer.raw_message(bytes))?;
        } else {
            must_fit(grown.map_or(position.len(), |grown| to_usize(grown.length).max(position.len())))?;
            writer.message(&fetcher.message(position)?);
        }
        sink.take_from(&mut writer, CHUNK)?;
    }
    for position in lists.actions.iter().map(crate::index::Entry::position) {
        if is_canonical && position.segment().is_none() {
            fetcher.with_file_bytes(position, |bytes| writer.raw_action(bytes))?;
        } else {
            must_fit(position.len())?;
            writer.action(&fetcher.action(position)?);
        }
        sink.take_from(&mut writer, CHUNK)?;
    }
    writer.finish();
    sink.take_from(&mut writer, 0)
}

/// How often an item is in memory while it is written: itself, and its text, whose room grows by doubling and whose
/// characters may be escaped.
const COPIES: usize = 4;

/// Makes sure that there is memory to write an item that is so long.
fn must_fit(length: usize) -> Result<()> {
    vfs::room_for(length.saturating_mul(COPIES)).map_err(|_| {
        let reason = format!("there is no memory to write an item of {length} bytes");
        Error::new(ErrorKind::OutOfMemory, reason)
    })
}

/// The files that are staged, of whichever compaction.
pub(crate) fn list_staged(vfs: &dyn Vfs, layout: &Layout) -> Result<Vec<PathBuf>> {
    let mut staged = Vec::new();
    for dir in [layout.root().to_owned(), layout.conversations()] {
        let entries = layout::list_dir(vfs, &dir)?;
        let names = entries.into_iter().map(|entry| entry.name).filter(|name| name.starts_with(STAGED));
        staged.extend(names.map(|name| dir.join(name)));
    }
    Ok(staged)
}

/// Whether a staged file is one of this compaction.
pub(crate) fn is_of(staged: &Path, epoch: u64) -> bool {
    let own = format!("{STAGED}{epoch:016x}-");
    staged.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&own))
}

/// Removes staged files of other compactions than this one, and returns them.
pub(crate) fn remove_strays(vfs: &dyn Vfs, layout: &Layout, epoch: u64) -> Result<Vec<PathBuf>> {
    let mut strays = list_staged(vfs, layout)?;
    strays.retain(|staged| !is_of(staged, epoch));
    strays.iter().try_for_each(|stray| layout::remove_file(vfs, stray))?;
    Ok(strays)
}
