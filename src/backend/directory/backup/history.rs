//! Which states of the store a backup can give back, and what it keeps for that.
//!
//! Owns the ranges: from each checkpoint on, as far as the copies of segments follow on without a gap. What cannot be read is told and
//! takes nothing else with it. Owns the letting go of the oldest states, too: what a checkpoint that is not kept has for later
//! ones stays where it is.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::extent::{Limit, start_of, walk};
use super::files::{self, Have, LIST};
use super::place::Place;
use crate::backend::directory::checkpoint_file::read_checkpoint;
use crate::codec::backup::{Manifest, Reached};
use crate::codec::checkpoint::{Checkpoint, CheckpointHead};
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::Inventory;
use crate::log::segment::Segment;
use crate::model::{DamagedFile, Seq};
use crate::snapshot::layout;
use crate::vfs::Vfs;

/// What a backup keeps.
#[derive(Debug)]
pub(super) struct History<'h> {
    vfs: &'h dyn Vfs,
    place: &'h Place,
    manifest: Manifest,
    /// The checkpoints, oldest first, without the damaged ones.
    pub(super) heads: Vec<CheckpointHead>,
    /// Those that cannot be read, by their epochs.
    damaged: Vec<(u64, Error)>,
    /// The copies of segments by their numbers.
    segments: Vec<CopyOf>,
}

/// The copy of a segment.
#[derive(Debug)]
pub(super) struct CopyOf {
    pub(super) number: u64,
    pub(super) first_seq: Seq,
    pub(super) path: PathBuf,
    /// It is there up to where the next one says that it ends, which is there, too.
    goes_on: bool,
}

impl<'h> History<'h> {
    pub(super) fn read(vfs: &'h dyn Vfs, place: &'h Place, manifest: Manifest) -> Result<Self> {
        let segments = copies(vfs, place)?;
        let mut history = Self { vfs, place, manifest, heads: Vec::new(), damaged: Vec::new(), segments };
        for epoch in files::epochs(vfs, place)?.into_iter().filter(|epoch| *epoch <= manifest.epoch) {
            let path = place.checkpoint(epoch);
            if layout::probe(vfs, &path)?.is_none() {
                continue;
            }
            match head_of(vfs, &path) {
                Ok(head) => history.heads.push(head),
                Err(error) => history.set_damaged(epoch, error)?,
            }
        }
        Ok(history)
    }

    /// The newest event.
    pub(super) fn last_seq(&self) -> Seq {
        self.manifest.last_seq()
    }

    /// When the store was in the newest state.
    pub(super) fn at_micros(&self) -> i64 {
        self.manifest.at_micros
    }

    /// The moment of the newest state.
    pub(super) fn reached(&self) -> Reached {
        self.manifest.reached()
    }

    /// Counts a checkpoint among the damaged ones.
    ///
    /// # Errors
    ///
    /// The error itself, if it is not about damage.
    pub(super) fn set_damaged(&mut self, epoch: u64, error: Error) -> Result<()> {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        self.heads.retain(|head| head.epoch != epoch);
        self.damaged.push((epoch, error));
        Ok(())
    }

    /// Reads all checkpoints whole, and says which are damaged.
    pub(super) fn tell_damaged(&mut self) -> Result<Vec<DamagedFile>> {
        for head in self.heads.clone() {
            if let Err(error) = read_checkpoint(self.vfs, &self.place.checkpoint(head.epoch)) {
                self.set_damaged(head.epoch, error)?;
            }
        }
        let told = |(epoch, error): &(u64, Error)| DamagedFile {
            path: self.place.checkpoint(*epoch),
            offset: error.place().and_then(|place| place.offset),
            conversation_id: None,
            reason: format!(
                "the backup's copy of checkpoint {epoch} is damaged, and the states that begin with it are lost: {}",
                error.message()
            ),
            is_forbidden: false,
        };
        Ok(self.damaged.iter().map(told).collect())
    }

    /// The damage that may be why a state is not there.
    pub(super) fn damage(&self) -> Option<Error> {
        if let Some((_, error)) = self.damaged.first() {
            return Some(error.clone());
        }
        let (newest, end) = (self.heads.last()?, self.manifest.end.segment);
        let chain = self.chain(newest.first_segment);
        let is_whole = end < newest.first_segment || chain.last().is_some_and(|last| last.number == end);
        let path = chain.last().map_or_else(|| self.place.segments(), |last| last.path.clone());
        (!is_whole).then(|| Error::corrupt(&path, 0, "the copy of the log ends here, and is to be longer"))
    }

    /// The newest checkpoint from which a state can be come to.
    pub(super) fn holding(&self, wanted: Seq) -> Result<Option<CheckpointHead>> {
        for head in self.heads.iter().rev().filter(|head| head.covered_seq <= wanted) {
            if wanted <= self.last_of(head)? {
                return Ok(Some(*head));
            }
        }
        Ok(None)
    }

    /// The segments from one on that follow one another.
    pub(super) fn chain(&self, first: u64) -> Vec<&CopyOf> {
        let newest = self.manifest.end.segment;
        let from = self.segments.iter().skip_while(|copy| copy.number < first);
        let mut chain: Vec<&CopyOf> = Vec::new();
        for (due, copy) in (first..=newest).zip(from) {
            if copy.number != due || chain.last().is_some_and(|before| !before.goes_on) {
                break;
            }
            chain.push(copy);
        }
        chain
    }

    /// From which event to which any state can be given back, in order.
    pub(super) fn ranges(&self) -> Result<Vec<(Seq, Seq)>> {
        let mut ranges: Vec<(Seq, Seq)> = Vec::new();
        for head in &self.heads {
            let last = self.last_of(head)?;
            match ranges.last_mut() {
                Some((_, end)) if *end >= head.covered_seq => *end = last.max(*end),
                Some(_) | None => ranges.push((head.covered_seq, last)),
            }
        }
        Ok(ranges)
    }

    /// The last event that there is from a checkpoint on without a gap.
    fn last_of(&self, head: &CheckpointHead) -> Result<Seq> {
        let chain = self.chain(head.first_segment);
        let Some(last) = chain.last() else { return Ok(head.covered_seq) };
        if last.number == self.manifest.end.segment {
            return Ok(self.manifest.last_seq().max(head.covered_seq));
        }
        match Segment::open(self.vfs, &last.path, (last.number, last.first_seq)) {
            Ok(segment) => {
                let walked = walk(&segment, start_of(&segment.header), Limit::NONE, &mut |_, _| Ok(()))?;
                Ok(walked.end.next_seq - 1)
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(last.first_seq - 1),
            Err(error) => Err(error),
        }
    }

    /// Lets go of the states before the newest checkpoint that was made by some time, and says whether there were any.
    pub(super) fn drop_before(&self, micros: i64, have: &mut Have) -> Result<bool> {
        let Some(first) = self.heads.iter().rposition(|head| head.created_unix_micros <= micros) else {
            return Ok(false);
        };
        let (dropped, kept) = self.heads.split_at_checked(first).unwrap_or_default();
        let Some(oldest) = kept.first() else { return Ok(false) };
        let damaged = self.damaged.iter().map(|(epoch, _)| *epoch).filter(|epoch| *epoch < oldest.epoch);
        let dropped: Vec<u64> = dropped.iter().map(|head| head.epoch).chain(damaged).collect();
        for epoch in &dropped {
            // Order: it stops being a state that can be asked for before it loses any of its files.
            self.place.drop_checkpoint(self.vfs, *epoch)?;
        }
        let needs = self.needs(oldest.epoch)?;
        self.sweep(oldest.epoch, &needs, have)?;
        if let Some(held) = &needs.held {
            self.drop_segments(oldest.first_segment, held)?;
        }
        Ok(!dropped.is_empty())
    }

    /// What the checkpoints from one on need of what came with older ones.
    fn needs(&self, oldest: u64) -> Result<Needs> {
        let (vfs, place) = (self.vfs, self.place);
        let kept: HashSet<u64> = self.heads.iter().map(|head| head.epoch).collect();
        let mut needs = Needs { files: HashSet::new(), held: Some(HashSet::new()) };
        // Where the newest version of each file is, from epoch to epoch.
        let mut newest: HashMap<String, u64> = HashMap::new();
        for epoch in files::epochs(vfs, place)? {
            newest.extend(files::names_in(vfs, place, epoch)?.into_iter().map(|name| (name, epoch)));
            let is_damaged = self.damaged.iter().any(|(damaged, _)| *damaged == epoch);
            if epoch < oldest || !kept.contains(&epoch) && !is_damaged {
                continue;
            }
            let mut need = |name: &str| {
                if let Some(at) = newest.get(name).filter(|at| **at < oldest) {
                    needs.files.insert((*at, name.to_owned()));
                }
            };
            match read_checkpoint(vfs, &place.checkpoint(epoch)) {
                Ok(checkpoint) => {
                    need(LIST);
                    checkpoint.entries().for_each(|entry| need(entry.file_name));
                    let segments = checkpoint.held().segments.iter().map(|segment| segment.end.number);
                    needs.held.iter_mut().for_each(|held| held.extend(segments.clone()));
                }
                // Nobody knows what it names, and the damage may be mended by hand: all of it may be needed.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    for name in newest.keys() {
                        need(name);
                    }
                    needs.held = None;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(needs)
    }

    /// Removes those files of older checkpoints that none which is kept needs.
    fn sweep(&self, oldest: u64, needs: &Needs, have: &mut Have) -> Result<()> {
        let (vfs, place) = (self.vfs, self.place);
        for epoch in files::epochs(vfs, place)?.into_iter().filter(|epoch| *epoch < oldest) {
            let files = place.files(epoch);
            let mut left = 0;
            for name in files::names_in(vfs, place, epoch)? {
                if needs.files.contains(&(epoch, name.clone())) {
                    left += 1;
                } else {
                    layout::remove_file(vfs, &files::path_of(place, epoch, &name))?;
                    have.forget(&name, epoch);
                }
            }
            if left == 0 {
                layout::remove_file(vfs, &place.dropped(epoch))?;
                for dir in [files.conversations(), files.root().to_owned()] {
                    vfs.remove_dir(&dir).map_err(|e| Error::io("remove", &dir, e))?;
                }
            }
        }
        layout::sync_dir(vfs, &place.checkpoints())
    }

    /// Removes the segments before one, but for those that are held.
    fn drop_segments(&self, first: u64, held: &HashSet<u64>) -> Result<()> {
        let is_needed = |copy: &&CopyOf| copy.number >= first || held.contains(&copy.number);
        for copy in self.segments.iter().filter(|copy| !is_needed(copy)) {
            layout::remove_file(self.vfs, &copy.path)?;
        }
        layout::sync_dir(self.vfs, &self.place.segments())
    }
}

/// What is needed of what is older.
#[derive(Debug)]
struct Needs {
    /// Files, by the epochs with which they came.
    files: HashSet<(u64, String)>,
    /// The numbers of segments; `None` if nobody knows them all.
    held: Option<HashSet<u64>>,
}

/// The copies of segments, and which of them go on in the next one.
fn copies(vfs: &dyn Vfs, place: &Place) -> Result<Vec<CopyOf>> {
    let mut copies: Vec<CopyOf> = Vec::new();
    for (number, first_seq, path) in Inventory::take(vfs, &place.segments())?.segments {
        let own = match Segment::open(vfs, &path, (number, first_seq)) {
            Ok(own) => Some(own),
            // It is told if a state is asked for that needs it.
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            Err(error) => return Err(error),
        };
        if let (Some(before), Some(own)) = (copies.last_mut(), own) {
            let end = own.header.previous;
            let length = layout::probe(vfs, &before.path)?.map_or(0, |found| found.len);
            before.goes_on = before.number == end.number && length >= end.valid_len;
        }
        copies.push(CopyOf { number, first_seq, path, goes_on: false });
    }
    Ok(copies)
}

/// What a checkpoint says of itself, which has a checksum of its own.
fn head_of(vfs: &dyn Vfs, path: &std::path::Path) -> Result<CheckpointHead> {
    let damaged = || Error::corrupt(path, 0, "the checkpoint's header is damaged");
    let file = vfs.open(path, crate::vfs::OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
    let mut bytes = vec![0; 128];
    match crate::vfs::read_exact_at(&*file, &mut bytes, 0) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(damaged()),
        read => read.map_err(|e| Error::io("read", path, e))?,
    }
    Checkpoint::head_alone(&bytes).ok_or_else(damaged)
}
