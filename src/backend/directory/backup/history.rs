//! Which states of the store a backup can give back, and what it keeps for that.
//!
//! Owns the ranges: from each checkpoint on, as far as the copies of segments follow on without a gap. Owns the letting go of the
//! oldest ones, too: what a
//! checkpoint that is not kept has for later ones stays where it is.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::extent::{Limit, start_of, walk};
use super::files::{self, Have, LIST};
use super::place::Place;
use crate::backend::directory::checkpoint_file::read_checkpoint;
use crate::codec::backup::Manifest;
use crate::codec::checkpoint::{Checkpoint, CheckpointHead};
use crate::error::{Error, Result};
use crate::log::inventory::Inventory;
use crate::log::segment::Segment;
use crate::model::Seq;
use crate::snapshot::layout;
use crate::vfs::Vfs;

/// What a backup keeps.
#[derive(Debug)]
pub(super) struct History<'h> {
    vfs: &'h dyn Vfs,
    place: &'h Place,
    manifest: Manifest,
    /// The checkpoints, oldest first.
    pub(super) heads: Vec<CheckpointHead>,
    /// The copies of segments by their numbers.
    segments: Vec<(u64, Seq, PathBuf)>,
}

impl<'h> History<'h> {
    pub(super) fn read(vfs: &'h dyn Vfs, place: &'h Place, manifest: Manifest) -> Result<Self> {
        let mut heads = Vec::new();
        for epoch in files::epochs(vfs, place)?.into_iter().filter(|epoch| *epoch <= manifest.epoch) {
            let path = place.checkpoint(epoch);
            if layout::probe(vfs, &path)?.is_some() {
                heads.push(head_of(vfs, &path)?);
            }
        }
        let segments = Inventory::take(vfs, &place.segments())?.segments;
        Ok(Self { vfs, place, manifest, heads, segments })
    }

    /// The newest event.
    pub(super) fn last_seq(&self) -> Seq {
        self.manifest.last_seq()
    }

    /// When the store was in the newest state.
    pub(super) fn at_micros(&self) -> i64 {
        self.manifest.at_micros
    }

    /// The segments from one on that follow one another.
    pub(super) fn chain(&self, first: u64) -> Vec<&(u64, Seq, PathBuf)> {
        let from = self.segments.iter().skip_while(|(number, ..)| *number < first);
        let newest = self.manifest.end.segment;
        (first..)
            .zip(from)
            .take_while(|(due, (number, ..))| due == number && *number <= newest)
            .map(|(_, it)| it)
            .collect()
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
    pub(super) fn last_of(&self, head: &CheckpointHead) -> Result<Seq> {
        let chain = self.chain(head.first_segment);
        let Some((number, first_seq, path)) = chain.last() else { return Ok(head.covered_seq) };
        if *number == self.manifest.end.segment {
            return Ok(self.manifest.last_seq().max(head.covered_seq));
        }
        let segment = Segment::open(self.vfs, path, (*number, *first_seq))?;
        let walked = walk(&segment, start_of(&segment.header), Limit::NONE, &mut |_, _| Ok(()))?;
        Ok(walked.end.next_seq - 1)
    }

    /// Lets go of the states before the newest checkpoint that was made by some time, and says whether there were any.
    pub(super) fn drop_before(&self, micros: i64, have: &mut Have) -> Result<bool> {
        let Some(first) = self.heads.iter().rposition(|head| head.created_unix_micros <= micros) else {
            return Ok(false);
        };
        let (dropped, kept) = self.heads.split_at_checked(first).unwrap_or_default();
        for head in dropped {
            // Order: it stops being a state that can be asked for before it loses any of its files.
            self.place.drop_checkpoint(self.vfs, head.epoch)?;
        }
        let Some(oldest) = kept.first() else { return Ok(false) };
        self.sweep(oldest, have)?;
        self.drop_segments(kept)?;
        Ok(!dropped.is_empty())
    }

    /// Removes those files of older checkpoints that the oldest one which is kept does not have.
    fn sweep(&self, oldest: &CheckpointHead, have: &mut Have) -> Result<()> {
        let (vfs, place) = (self.vfs, self.place);
        let needed = Have::read(vfs, place, oldest.epoch)?;
        let checkpoint = read_checkpoint(vfs, &place.checkpoint(oldest.epoch))?;
        let named: HashSet<&str> = checkpoint.entries().map(|entry| entry.file_name).collect();
        let is_needed = |name: &str, path: &Path| {
            (name == LIST || named.contains(name))
                && needed.path(place, name).is_some_and(|newest| newest == path)
        };
        for epoch in files::epochs(vfs, place)?.into_iter().filter(|epoch| *epoch < oldest.epoch) {
            let files = place.files(epoch);
            let mut left = 0;
            let list = (LIST.to_owned(), files.index_file());
            let conversations = layout::list_dir(vfs, &files.conversations())?.into_iter();
            let all = conversations.map(|entry| (entry.name.clone(), files.conversation(&entry.name)));
            for (name, path) in all.chain([list]) {
                if is_needed(&name, &path) {
                    left += 1;
                } else {
                    layout::remove_file(vfs, &path)?;
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

    /// Removes the segments that no checkpoint needs any more.
    fn drop_segments(&self, kept: &[CheckpointHead]) -> Result<()> {
        let first = kept.iter().map(|head| head.first_segment).min().unwrap_or_default();
        let mut held: Vec<u64> = Vec::new();
        for head in kept {
            let checkpoint = read_checkpoint(self.vfs, &self.place.checkpoint(head.epoch))?;
            held.extend(checkpoint.held().segments.iter().map(|segment| segment.end.number));
        }
        for (number, _, path) in &self.segments {
            if *number < first && !held.contains(number) {
                layout::remove_file(self.vfs, path)?;
            }
        }
        layout::sync_dir(self.vfs, &self.place.segments())
    }
}

/// What a checkpoint says of itself, which has a checksum of its own.
fn head_of(vfs: &dyn Vfs, path: &Path) -> Result<CheckpointHead> {
    let file = vfs.open(path, crate::vfs::OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
    let mut bytes = vec![0; 128];
    crate::vfs::read_exact_at(&*file, &mut bytes, 0).map_err(|e| Error::io("read", path, e))?;
    Checkpoint::head_alone(&bytes)
        .ok_or_else(|| Error::corrupt(path, 0, "the checkpoint's header is damaged"))
}
