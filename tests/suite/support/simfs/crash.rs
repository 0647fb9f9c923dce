//! The states that a medium may be in after a cut of power.
//!
//! Owns the choice among them. Every sector, length and name that no sync covered has a chain of versions,
//! and a crash takes one of each: at random in several styles that find different mistakes, or all
//! combinations in turn. Only what is reachable from the root is chosen, so that no choice is without effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::choose::Choose;
use super::content::{Content, SECTOR, SECTOR_BYTES, SECTORS_PER_PAGE, Sector};
use super::node::{Cause, DirNode, FileNode, Node, NodeId, Version, apply};
use super::tree::{ROOT, State};
use super::{Order, Settings, Tear, Unwritten};

/// How to pick one version of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Policy {
    Lost,
    Kept,
    /// What was done up to this operation.
    Until(u64),
    /// What was done before this operation, and perhaps this one.
    During(u64),
    Free,
    Mostly,
    Rarely,
}

/// What the medium writes as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Grain {
    Sector,
    Page,
}

struct Style {
    names: Policy,
    lengths: Policy,
    data: Policy,
    grain: Grain,
}

struct Crash<'a> {
    settings: Settings,
    style: Style,
    /// In a journal, the last change that counts.
    horizon: Option<u64>,
    choice: &'a mut dyn Choose,
}

/// A state of the medium of `state` after a crash.
pub(crate) fn after(state: &State, choice: &mut dyn Choose) -> State {
    let style = Style::pick(state, choice);
    let settings = state.settings;
    let mut crash = Crash { settings, style, horizon: None, choice };
    crash.horizon = match settings.order {
        Order::Strict => None,
        Order::Journal => Some(crash.pick_horizon(state)),
    };
    State {
        nodes: crash.survivors(state),
        committed: state.op,
        locks: BTreeSet::new(),
        dead: false,
        freeze_at: None,
        log: Vec::new(),
        ..*state
    }
}

impl Style {
    fn pick(state: &State, choice: &mut dyn Choose) -> Self {
        let style = |names, lengths, data, grain| Self { names, lengths, data, grain };
        let all = |policy| style(policy, policy, policy, Grain::Sector);
        if choice.is_exhaustive() {
            return all(Policy::Free);
        }
        match choice.pick(14) {
            0 => all(Policy::Lost),
            1 => all(Policy::Kept),
            2 => all(Policy::Until(pick_op(state, choice))),
            3 => all(Policy::During(pick_op(state, choice))),
            4 => style(Policy::Lost, Policy::Kept, Policy::Kept, Grain::Sector),
            5 => style(Policy::Kept, Policy::Lost, Policy::Lost, Grain::Sector),
            6 => style(Policy::Kept, Policy::Kept, Policy::Lost, Grain::Sector),
            7 => style(Policy::Kept, Policy::Lost, Policy::Kept, Grain::Sector),
            8 => style(Policy::Free, Policy::Free, Policy::Free, Grain::Page),
            9 => style(Policy::Kept, Policy::Kept, Policy::Free, Grain::Page),
            10 => style(Policy::Kept, Policy::Kept, Policy::Free, Grain::Sector),
            11 => all(Policy::Mostly),
            12 => all(Policy::Rarely),
            _ => all(Policy::Free),
        }
    }
}

/// One of the operations that something pending came from.
fn pick_op(state: &State, choice: &mut dyn Choose) -> u64 {
    let mut ops = BTreeSet::new();
    for node in state.nodes.values() {
        match &**node {
            Node::Dir(dir) => ops.extend(dir.pending.iter().map(|change| change.op)),
            Node::File(file) => {
                ops.extend(file.lengths.iter().map(|length| length.op));
                ops.extend(file.sectors.values().flatten().map(|version| version.op));
            }
        }
    }
    if ops.is_empty() {
        return 0;
    }
    let nth = choice.pick(ops.len());
    ops.into_iter().nth(nth).unwrap_or(0)
}

impl Crash<'_> {
    /// How many of a chain's changes are applied, between `low` and `high`.
    fn pick(&mut self, policy: Policy, ops: &[u64], low: usize, high: usize) -> usize {
        let upto = |op: u64| ops.partition_point(|o| *o <= op);
        let choice = &mut *self.choice;
        let mut free = || low + choice.pick(high - low + 1);
        let applied = match policy {
            Policy::Lost => low,
            Policy::Kept => high,
            Policy::Until(op) => upto(op),
            Policy::During(op) => {
                let before = upto(op.saturating_sub(1));
                if upto(op) > before { before + self.choice.pick(2) } else { before }
            }
            Policy::Free => free(),
            Policy::Mostly => {
                if self.choice.pick(8) > 0 {
                    high
                } else {
                    low + self.choice.pick(high - low + 1)
                }
            }
            Policy::Rarely => {
                if self.choice.pick(8) > 0 {
                    low
                } else {
                    low + self.choice.pick(high - low + 1)
                }
            }
        };
        applied.clamp(low, high)
    }

    fn pick_horizon(&mut self, state: &State) -> u64 {
        let mut ops = BTreeSet::new();
        for node in state.nodes.values() {
            match &**node {
                Node::Dir(dir) => ops.extend(dir.pending.iter().map(|change| change.op)),
                Node::File(file) => {
                    ops.extend(file.lengths.iter().filter(|l| l.journaled).map(|length| length.op));
                }
            }
        }
        let ops: Vec<u64> = ops.into_iter().filter(|op| *op > state.committed).collect();
        match self.pick(self.style.names, &ops, 0, ops.len()) {
            0 => state.committed,
            applied => ops[applied - 1],
        }
    }

    /// The part of a chain that the journal leaves open: of the changes that it orders, exactly those up to
    /// the horizon are applied. Without a journal that is all of it.
    fn bounds(&self, chain: impl Iterator<Item = (u64, bool)>) -> (usize, usize) {
        let (mut low, mut high) = (0, 0);
        for (at, (op, journaled)) in chain.enumerate() {
            if let (Some(horizon), true) = (self.horizon, journaled) {
                if op > horizon {
                    break;
                }
                low = at + 1;
            }
            high = at + 1;
        }
        (low, high)
    }

    /// Everything that can be reached from the root, at rest.
    fn survivors(&mut self, state: &State) -> BTreeMap<NodeId, Arc<Node>> {
        let mut survivors = BTreeMap::new();
        let mut waiting = vec![ROOT];
        while let Some(id) = waiting.pop() {
            let Some(node) = state.nodes.get(&id) else { continue };
            if survivors.contains_key(&id) {
                continue;
            }
            let survivor = match &**node {
                Node::File(file) if file.is_settled() => Arc::clone(node),
                Node::File(file) => Arc::new(Node::File(FileNode::settled(self.file(file), file.modified))),
                Node::Dir(dir) => {
                    let survivor = if dir.pending.is_empty() { Arc::clone(node) } else { self.dir(dir) };
                    if let Node::Dir(dir) = &*survivor {
                        waiting.extend(dir.live.values().rev().copied());
                    }
                    survivor
                }
            };
            survivors.insert(id, survivor);
        }
        survivors
    }

    fn dir(&mut self, dir: &DirNode) -> Arc<Node> {
        let mut names = Arc::clone(&dir.durable);
        for change in &dir.pending {
            let applied = match self.horizon {
                Some(horizon) => usize::from(change.op <= horizon),
                None => self.pick(self.style.names, &[change.op], 0, 1),
            };
            if applied == 1 {
                apply(Arc::make_mut(&mut names), change);
            }
        }
        Arc::new(Node::Dir(DirNode::settled(names, dir.modified)))
    }

    fn file(&mut self, file: &FileNode) -> Arc<Content> {
        let (low, high) = self.bounds(file.lengths.iter().map(|length| (length.op, length.journaled)));
        let ops: Vec<u64> = file.lengths.iter().map(|length| length.op).collect();
        let applied = self.pick(self.style.lengths, &ops, low, high);
        let len = applied.checked_sub(1).map_or(file.durable.len(), |last| file.lengths[last].len);

        let mut content = (*file.durable).clone();
        content.set_len(len);
        let mut page = (u64::MAX, Policy::Lost);
        for (number, versions) in file.sectors.range(..len.div_ceil(SECTOR)) {
            if self.style.grain == Grain::Page && page.0 != number / SECTORS_PER_PAGE {
                page = (number / SECTORS_PER_PAGE, self.page(file, number / SECTORS_PER_PAGE));
            }
            let policy = if self.style.grain == Grain::Page { page.1 } else { self.style.data };
            let (mut low, high) = self.bounds(versions.iter().map(|v| (v.op, v.cause == Cause::Cut)));
            if self.horizon.is_some() {
                low = low.max(shown(versions, &ops[..applied])).min(high);
            }
            let ops: Vec<u64> = versions.iter().map(|version| version.op).collect();
            let picked = self.pick(policy, &ops, low, high);
            let old = picked
                .checked_sub(2)
                .map_or_else(|| file.durable.sector(*number), |before| versions[before].bytes.clone());
            let sector = match picked.checked_sub(1) {
                None => self.unwritten(*number, versions, old),
                Some(last) => self.torn(old, &versions[last].bytes),
            };
            content.put(*number, sector);
        }
        content.cut_to(len);
        Arc::new(content)
    }

    /// One moment for a whole page: each of its sectors is then as it was at that moment.
    fn page(&mut self, file: &FileNode, page: u64) -> Policy {
        let sectors = file.sectors.range(page * SECTORS_PER_PAGE..(page + 1) * SECTORS_PER_PAGE);
        let ops: BTreeSet<u64> = sectors.flat_map(|(_, versions)| versions).map(|v| v.op).collect();
        let ops: Vec<u64> = ops.into_iter().collect();
        match self.pick(self.style.data, &ops, 0, ops.len()) {
            0 => Policy::Lost,
            applied => Policy::Until(ops[applied - 1]),
        }
    }

    /// A sector none of whose versions arrived. If the file was given the block by a write, the block has
    /// whatever the device had there.
    fn unwritten(&mut self, number: u64, versions: &[Version], old: Sector) -> Sector {
        let is_new = old.is_none() && versions.iter().any(|version| version.cause == Cause::Growth);
        let may_be_garbage = self.settings.unwritten == Unwritten::Garbage && self.horizon.is_none();
        if !is_new || !may_be_garbage || self.choice.pick(2) == 0 {
            return old;
        }
        let mut garbage = [0xa5; SECTOR_BYTES];
        garbage[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        Some(Arc::new(garbage))
    }

    /// A sector as it was to be written, or with only a part of the bytes that changed.
    fn torn(&mut self, old: Sector, new: &Sector) -> Sector {
        if self.settings.tear == Tear::Never {
            return new.clone();
        }
        let old = old.unwrap_or_else(|| Arc::new([0; SECTOR_BYTES]));
        let bytes = new.clone().unwrap_or_else(|| Arc::new([0; SECTOR_BYTES]));
        let differs = |at: &usize| old[*at] != bytes[*at];
        let first = (0..SECTOR_BYTES).find(differs);
        let last = (0..SECTOR_BYTES).rfind(differs);
        let (Some(first), Some(last)) = (first, last) else { return new.clone() };
        if first == last {
            return new.clone();
        }
        let cut = if self.choice.is_exhaustive() {
            match self.choice.pick(4) {
                0 => return new.clone(),
                1 => first + 1,
                2 => usize::midpoint(first, last) + 1,
                _ => last,
            }
        } else if self.choice.pick(8) == 0 {
            first + 1 + self.choice.pick(last - first)
        } else {
            return new.clone();
        };
        let mut torn = *bytes;
        torn[cut..].copy_from_slice(&old[cut..]);
        Some(Arc::new(torn))
    }
}

/// How many versions must be applied because a length that is applied shows new blocks: a journal in ordered
/// mode writes their data first.
fn shown(versions: &[Version], lengths: &[u64]) -> usize {
    versions
        .iter()
        .rposition(|version| version.cause == Cause::Growth && lengths.binary_search(&version.op).is_ok())
        .map_or(0, |last| last + 1)
}

impl Content {
    /// Makes the length right after sectors were put past the end.
    fn cut_to(&mut self, len: u64) {
        self.set_len(u64::MAX);
        self.set_len(len);
    }
}
