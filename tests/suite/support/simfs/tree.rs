//! The whole state of a simulated file system, and its operations on names.
//!
//! Owns the nodes, the logical clock, the locks and the quota. Every operation that changes something takes
//! effect at once on the live side and stays pending on the durable one. Knows no handles and no crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use aral_store::vfs::{DirEntry, FileKind, Metadata};

use super::errno::{self, error};
use super::node::{DirNode, FileNode, Node, NodeId};
use super::{Op, Settings};

pub(crate) const ROOT: NodeId = 1;

/// Linux's limit on a name, in bytes.
const MAX_NAME: usize = 255;

/// 2026-01-01T00:00:00Z, so that simulated times look like times.
const EPOCH_NANOS: i128 = 1_767_225_600_000_000_000;

/// A file system as one value. Copies share every node until one of them changes it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) nodes: BTreeMap<NodeId, Arc<Node>>,
    pub(crate) next_node: NodeId,
    /// The number of the latest mutating operation, which is also the time.
    pub(crate) op: u64,
    /// In a journal, everything up to here is on the medium.
    pub(crate) committed: u64,
    pub(crate) locks: BTreeSet<NodeId>,
    pub(crate) quota: Option<u64>,
    pub(crate) settings: Settings,
    pub(crate) dead: bool,
    pub(crate) freeze_at: Option<u64>,
    pub(crate) log: Vec<Op>,
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        let root = Arc::new(Node::Dir(DirNode::default()));
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            next_node: ROOT + 1,
            op: 0,
            committed: 0,
            locks: BTreeSet::new(),
            quota: None,
            settings,
            dead: false,
            freeze_at: None,
            log: Vec::new(),
        }
    }

    pub(crate) fn file(&self, id: NodeId) -> io::Result<&FileNode> {
        match self.nodes.get(&id).map(|node| &**node) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(error(errno::EISDIR)),
            None => Err(error(errno::EBADF)),
        }
    }

    pub(crate) fn file_mut(&mut self, id: NodeId) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&id).map(Arc::make_mut) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(error(errno::EISDIR)),
            None => Err(error(errno::EBADF)),
        }
    }

    pub(crate) fn dir(&self, id: NodeId) -> io::Result<&DirNode> {
        match self.nodes.get(&id).map(|node| &**node) {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) | None => Err(error(errno::ENOTDIR)),
        }
    }

    pub(crate) fn dir_mut(&mut self, id: NodeId) -> io::Result<&mut DirNode> {
        match self.nodes.get_mut(&id).map(Arc::make_mut) {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) | None => Err(error(errno::ENOTDIR)),
        }
    }

    pub(crate) fn is_dir(&self, id: NodeId) -> bool {
        self.dir(id).is_ok()
    }

    /// The node that a path names.
    pub(crate) fn resolve(&self, path: &Path) -> io::Result<NodeId> {
        let mut node = ROOT;
        for name in parts(path)? {
            node = self.lookup(node, name)?.ok_or_else(|| error(errno::ENOENT))?;
        }
        Ok(node)
    }

    /// The directory that a path's last name is in, and that name.
    pub(crate) fn parent(&self, path: &Path) -> io::Result<(NodeId, String)> {
        let mut names = parts(path)?;
        let name = names.pop().ok_or_else(|| error(errno::EEXIST))?;
        let mut node = ROOT;
        for name in names {
            node = self.lookup(node, name)?.ok_or_else(|| error(errno::ENOENT))?;
        }
        self.dir(node)?;
        if name.len() > MAX_NAME {
            return Err(error(errno::ENAMETOOLONG));
        }
        Ok((node, name.to_owned()))
    }

    pub(crate) fn lookup(&self, dir: NodeId, name: &str) -> io::Result<Option<NodeId>> {
        let dir = self.dir(dir)?;
        if name.len() > MAX_NAME {
            return Err(error(errno::ENAMETOOLONG));
        }
        Ok(dir.live.get(name).copied())
    }

    fn add(&mut self, node: Node) -> NodeId {
        let id = self.next_node;
        self.next_node += 1;
        self.nodes.insert(id, Arc::new(node));
        id
    }

    pub(crate) fn create(&mut self, path: &Path) -> io::Result<NodeId> {
        let (parent, name) = self.parent(path)?;
        if self.lookup(parent, &name)?.is_some() {
            return Err(error(errno::EEXIST));
        }
        let op = self.op;
        let id = self.add(Node::File(FileNode { modified: op, ..FileNode::default() }));
        self.dir_mut(parent)?.change(vec![(name, Some(id))], op);
        Ok(id)
    }

    pub(crate) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        if self.lookup(parent, &name)?.is_some() {
            return Err(error(errno::EEXIST));
        }
        let op = self.op;
        let id = self.add(Node::Dir(DirNode { modified: op, ..DirNode::default() }));
        self.dir_mut(parent)?.change(vec![(name, Some(id))], op);
        Ok(())
    }

    pub(crate) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let node = self.lookup(parent, &name)?.ok_or_else(|| error(errno::ENOENT))?;
        if self.is_dir(node) {
            return Err(error(errno::EISDIR));
        }
        let op = self.op;
        self.dir_mut(parent)?.change(vec![(name, None)], op);
        Ok(())
    }

    pub(crate) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let node = self.lookup(parent, &name)?.ok_or_else(|| error(errno::ENOENT))?;
        if !self.dir(node)?.live.is_empty() {
            return Err(error(errno::ENOTEMPTY));
        }
        let op = self.op;
        self.dir_mut(parent)?.change(vec![(name, None)], op);
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        let node = self.lookup(from_dir, &from_name)?.ok_or_else(|| error(errno::ENOENT))?;
        let target = self.lookup(to_dir, &to_name)?;
        let (from_parts, to_parts) = (parts(from)?, parts(to)?);
        if self.is_dir(node) && is_below(&to_parts, &from_parts) {
            return Err(error(errno::EINVAL));
        }
        if is_below(&from_parts, &to_parts) {
            return Err(error(errno::ENOTEMPTY));
        }
        if target == Some(node) {
            return Ok(());
        }
        if let Some(target) = target {
            self.may_replace(node, target)?;
        }
        let op = self.op;
        if from_dir == to_dir {
            self.dir_mut(to_dir)?.change(vec![(from_name, None), (to_name, Some(node))], op);
        } else {
            self.dir_mut(to_dir)?.change(vec![(to_name, Some(node))], op);
            self.dir_mut(from_dir)?.change(vec![(from_name, None)], op);
        }
        Ok(())
    }

    /// Exchanges two names of one directory.
    pub(crate) fn exchange(&mut self, one: &Path, other: &Path) -> io::Result<()> {
        let (dir, one) = self.parent(one)?;
        let (other_dir, other) = self.parent(other)?;
        if dir != other_dir {
            return Err(error(errno::EINVAL));
        }
        let first = self.lookup(dir, &one)?.ok_or_else(|| error(errno::ENOENT))?;
        let second = self.lookup(dir, &other)?.ok_or_else(|| error(errno::ENOENT))?;
        let op = self.op;
        self.dir_mut(dir)?.change(vec![(one, Some(second)), (other, Some(first))], op);
        Ok(())
    }

    fn may_replace(&self, node: NodeId, target: NodeId) -> io::Result<()> {
        match (self.is_dir(node), self.is_dir(target)) {
            (true, false) => Err(error(errno::ENOTDIR)),
            (false, true) => Err(error(errno::EISDIR)),
            (true, true) if !self.dir(target)?.live.is_empty() => Err(error(errno::ENOTEMPTY)),
            (true, true) | (false, false) => Ok(()),
        }
    }

    pub(crate) fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let dir = self.dir(self.resolve(path)?)?;
        let entry = |(name, node): (&String, &NodeId)| {
            let kind = if self.is_dir(*node) { FileKind::Directory } else { FileKind::File };
            DirEntry { name: name.clone(), name_is_exact: true, kind }
        };
        Ok(dir.live.iter().map(entry).collect())
    }

    pub(crate) fn metadata(&self, id: NodeId) -> io::Result<Metadata> {
        let (kind, len, modified) = match self.nodes.get(&id).map(|node| &**node) {
            Some(Node::File(file)) => (FileKind::File, file.live.len(), file.modified),
            Some(Node::Dir(dir)) => (FileKind::Directory, 0, dir.modified),
            None => return Err(error(errno::EBADF)),
        };
        // A tick a microsecond: two changes never have the same time.
        let modified_nanos = EPOCH_NANOS + i128::from(modified) * 1_000;
        Ok(Metadata { kind, len, modified_nanos, file_number: id })
    }

    /// The bytes of all files that have a name: what a quota counts. A hole counts as if it were written
    /// unless a file was made longer and nothing else, and a file without a name not at all, even while it is open.
    pub(crate) fn used(&self) -> u64 {
        let mut named = BTreeSet::new();
        for node in self.nodes.values() {
            if let Node::Dir(dir) = &**node {
                named.extend(dir.live.values().copied());
            }
        }
        named.into_iter().filter_map(|id| self.file(id).ok()).map(|file| file.room).sum()
    }

    /// How much of a growth there is room for. Without a quota nothing is counted.
    pub(crate) fn room_for(&self, growth: u64) -> u64 {
        match self.quota {
            Some(quota) if growth > 0 => quota.saturating_sub(self.used()),
            Some(_) | None => u64::MAX,
        }
    }

    /// Everything that has a name, with its path, parents first.
    pub(crate) fn walk(&self) -> Vec<(PathBuf, NodeId)> {
        let mut found = Vec::new();
        let mut waiting = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, id)) = waiting.pop() {
            if let Ok(dir) = self.dir(id) {
                waiting.extend(dir.live.iter().rev().map(|(name, id)| (path.join(name), *id)));
            }
            if id != ROOT {
                found.push((path, id));
            }
        }
        found
    }
}

/// The names along a path from the root; a relative path begins there too.
pub(crate) fn parts(path: &Path) -> io::Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                let name = name.to_str().ok_or_else(|| error(errno::EINVAL))?;
                if name.contains('\0') {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                names.push(name);
            }
            Component::ParentDir => drop(names.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if names.is_empty() && path.as_os_str().is_empty() {
        return Err(error(errno::ENOENT));
    }
    Ok(names)
}

fn is_below(names: &[&str], start: &[&str]) -> bool {
    names.len() > start.len() && names.starts_with(start)
}
