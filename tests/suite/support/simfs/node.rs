//! Files and directories with their two versions: what a process sees and what the medium holds.
//!
//! Owns the changes between the two: for every sector the versions it went through since the last sync, the
//! lengths, the names. Knows no paths. Invariant: live and durable differ only by what is pending or dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::content::{Content, SECTOR, SECTORS_PER_PAGE, Sector, sectors_of, wide};

/// A node's number, the same as long as the node lives.
pub(crate) type NodeId = u64;

/// A file or a directory.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    File(FileNode),
    Dir(DirNode),
}

/// How a sector came by a version, which is what decides when a journal lets it be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// A write to blocks that the file had.
    Overwrite,
    /// A write that gave the file these blocks.
    Growth,
    /// A shorter length: a change of metadata.
    Cut,
}

/// One of the states of a sector since the last sync.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) op: u64,
    pub(crate) cause: Cause,
    pub(crate) bytes: Sector,
}

/// One of the lengths of a file since the last sync.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    pub(crate) op: u64,
    pub(crate) len: u64,
    /// Whether it was a call of its own, which a journal orders, and not the effect of a write.
    pub(crate) journaled: bool,
}

#[derive(Clone, Default, Debug)]
pub(crate) struct FileNode {
    pub(crate) live: Arc<Content>,
    pub(crate) durable: Arc<Content>,
    pub(crate) sectors: BTreeMap<u64, Vec<Version>>,
    pub(crate) lengths: Vec<Length>,
    /// Sectors that a failed sync left behind: seen, not durable, and not pending either.
    pub(crate) dropped: BTreeSet<u64>,
    pub(crate) modified: u64,
    /// How far the file has its room on the medium, which is what a quota counts.
    pub(crate) room: u64,
}

/// One change of a directory: all of its names change at once or none does.
#[derive(Clone, Debug)]
pub(crate) struct DirChange {
    pub(crate) op: u64,
    pub(crate) names: Vec<(String, Option<NodeId>)>,
}

#[derive(Clone, Default, Debug)]
pub(crate) struct DirNode {
    pub(crate) live: Arc<BTreeMap<String, NodeId>>,
    pub(crate) durable: Arc<BTreeMap<String, NodeId>>,
    pub(crate) pending: Vec<DirChange>,
    pub(crate) modified: u64,
}

impl FileNode {
    /// A file at rest.
    pub(crate) fn settled(content: Arc<Content>, modified: u64) -> Self {
        let room = content.len();
        Self { live: Arc::clone(&content), durable: content, modified, room, ..Self::default() }
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.sectors.is_empty() && self.lengths.is_empty() && self.dropped.is_empty()
    }

    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64, op: u64) {
        let old_len = self.live.len();
        let end = offset + wide(bytes.len());
        self.room = self.room.max(end);
        Arc::make_mut(&mut self.live).write(bytes, offset);
        for number in sectors_of(offset, end) {
            let page_start = number / SECTORS_PER_PAGE * SECTORS_PER_PAGE * SECTOR;
            let cause = if page_start >= old_len { Cause::Growth } else { Cause::Overwrite };
            self.push(number, cause, op);
        }
        if !bytes.is_empty() && end > old_len {
            self.lengths.push(Length { op, len: end, journaled: false });
        }
        self.modified = op;
    }

    pub(crate) fn set_len(&mut self, len: u64, op: u64) {
        if len != self.live.len() {
            for number in Arc::make_mut(&mut self.live).set_len(len) {
                self.push(number, Cause::Cut, op);
            }
            self.lengths.push(Length { op, len, journaled: true });
        }
        self.room = self.room.min(len);
        self.modified = op;
    }

    /// Takes room for so many bytes, and makes the file as long.
    pub(crate) fn allocate(&mut self, len: u64, op: u64) {
        if len > self.live.len() {
            self.set_len(len, op);
        }
        self.room = self.room.max(len);
    }

    /// Notes the present state of a sector. A page is written back whole, so a version holds what else the
    /// cache has of the sector, a part that an earlier failed sync dropped included.
    fn push(&mut self, number: u64, cause: Cause, op: u64) {
        let bytes = self.live.sector(number);
        self.sectors.entry(number).or_default().push(Version { op, cause, bytes });
        self.dropped.remove(&number);
    }

    /// Makes everything durable that is pending, and says which change of the journal went with it.
    pub(crate) fn sync(&mut self) -> Option<u64> {
        if self.dropped.is_empty() {
            self.durable = Arc::clone(&self.live);
        } else {
            let durable = Arc::make_mut(&mut self.durable);
            durable.set_len(self.live.len());
            for number in self.sectors.keys() {
                durable.put(*number, self.live.sector(*number));
            }
        }
        self.sectors.clear();
        let committed = self.lengths.iter().filter(|length| length.journaled).map(|length| length.op).max();
        self.lengths.clear();
        committed
    }

    /// What Linux does when write-back fails: the pages count as clean, the medium keeps the old bytes.
    /// Lengths stay pending; they are not in the pages.
    pub(crate) fn drop_pending(&mut self) {
        let pending = std::mem::take(&mut self.sectors);
        self.dropped.extend(pending.into_keys());
    }
}

impl DirNode {
    pub(crate) fn settled(names: Arc<BTreeMap<String, NodeId>>, modified: u64) -> Self {
        Self { live: Arc::clone(&names), durable: names, pending: Vec::new(), modified }
    }

    pub(crate) fn change(&mut self, names: Vec<(String, Option<NodeId>)>, op: u64) {
        let change = DirChange { op, names };
        apply(Arc::make_mut(&mut self.live), &change);
        self.pending.push(change);
        self.modified = op;
    }

    /// Makes the names durable, and says which change was the last of them.
    pub(crate) fn sync(&mut self) -> Option<u64> {
        self.durable = Arc::clone(&self.live);
        let last = self.pending.last().map(|change| change.op);
        self.pending.clear();
        last
    }
}

/// Gives names to nodes, or takes them away.
pub(crate) fn apply(names: &mut BTreeMap<String, NodeId>, change: &DirChange) {
    for (name, node) in &change.names {
        match node {
            Some(node) => names.insert(name.clone(), *node),
            None => names.remove(name),
        };
    }
}
