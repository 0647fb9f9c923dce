//! Looking at a simulated file system from outside, and damaging its medium.
//!
//! Owns what no process does: bits that flip, blocks that move, files that vanish. Damage is made to the live
//! and the durable side at once, and takes the file out of all that was pending: do it to a file system at
//! rest, after a crash or a last sync. Panics on a path that is not there, as a test should.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SimFs;
use super::content::{Content, SECTOR, SECTOR_BYTES, index};
use super::node::{DirNode, FileNode, Node, NodeId};
use super::tree::State;

impl SimFs {
    /// The whole of a file as its process sees it; `None` if there is none.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        let id = state.resolve(path.as_ref()).ok()?;
        state.file(id).ok().map(|file| file.live.to_bytes())
    }

    /// The whole of a file as the medium holds it for sure, if it still had its name.
    pub(crate) fn read_durable(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        let id = state.resolve(path.as_ref()).ok()?;
        state.file(id).ok().map(|file| file.durable.to_bytes())
    }

    /// All files with their lengths, in the order of their paths.
    pub(crate) fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state();
        let len = |(path, id)| Some((path, state.file(id).ok()?.live.len()));
        let mut files: Vec<_> = state.walk().into_iter().filter_map(len).collect();
        files.sort();
        files
    }

    /// A number for what all files hold, as their process sees them.
    pub(crate) fn fingerprint(&self) -> u64 {
        let state = self.state();
        let mut hash = Hash::default();
        for (path, id) in state.walk() {
            hash.bytes(path.as_os_str().as_encoded_bytes());
            if let Ok(file) = state.file(id) {
                hash.content(&file.live);
            }
        }
        hash.0
    }

    /// Everything that is neither below `dir` nor on the way to it: what a store must not have made.
    pub(crate) fn paths_outside(&self, dir: impl AsRef<Path>) -> Vec<PathBuf> {
        let dir = dir.as_ref();
        let outside = |path: &PathBuf| !path.starts_with(dir) && !dir.starts_with(path);
        self.state().walk().into_iter().map(|(path, _)| path).filter(outside).collect()
    }

    /// Changes a file's bytes on the medium.
    pub(crate) fn edit(&self, path: impl AsRef<Path>, change: impl FnOnce(&mut Vec<u8>)) {
        self.damage(path.as_ref(), |content| {
            let mut bytes = content.to_bytes();
            change(&mut bytes);
            *content = Content::from_bytes(&bytes);
        });
    }

    pub(crate) fn flip_bit(&self, path: impl AsRef<Path>, offset: u64, bit: u8) {
        self.damage(path.as_ref(), |content| content.flip_bit(offset, bit));
    }

    pub(crate) fn zero_range(&self, path: impl AsRef<Path>, offset: u64, len: u64) {
        self.edit(path, |bytes| bytes[index(offset)..index(offset + len)].fill(0));
    }

    /// Makes a file shorter, or longer with zeros.
    pub(crate) fn truncate(&self, path: impl AsRef<Path>, len: u64) {
        self.damage(path.as_ref(), |content| drop(content.set_len(len)));
    }

    /// Exchanges two whole sectors of a file.
    pub(crate) fn swap_sectors(&self, path: impl AsRef<Path>, one: u64, other: u64) {
        self.damage(path.as_ref(), |content| {
            assert!((one.max(other) + 1) * SECTOR <= content.len(), "both sectors are inside the file");
            let (first, second) = (content.sector(one), content.sector(other));
            content.put(one, second);
            content.put(other, first);
        });
    }

    /// Writes one sector of a file over another: a misdirected write.
    pub(crate) fn copy_sector(&self, path: impl AsRef<Path>, from: u64, to: u64) {
        self.damage(path.as_ref(), |content| {
            assert!((from.max(to) + 1) * SECTOR <= content.len(), "both sectors are inside the file");
            content.put(to, content.sector(from));
        });
    }

    /// Takes a file or a whole directory away.
    pub(crate) fn delete(&self, path: impl AsRef<Path>) {
        let mut state = self.state();
        rebind(&mut state, path.as_ref(), None);
    }

    /// Gives a second file the bytes of the first, replacing what it was.
    pub(crate) fn duplicate(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        let bytes = self.read(from).expect("the file to duplicate exists");
        self.put(to, &bytes);
    }

    /// Makes two files change places.
    pub(crate) fn exchange(&self, one: impl AsRef<Path>, other: impl AsRef<Path>) {
        let mut state = self.state();
        let first = state.resolve(one.as_ref()).expect("the first file exists");
        let second = state.resolve(other.as_ref()).expect("the second file exists");
        rebind(&mut state, one.as_ref(), Some(second));
        rebind(&mut state, other.as_ref(), Some(first));
    }

    /// Puts a durable file there, replacing what it was, with the directories on the way to it.
    pub(crate) fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let path = path.as_ref();
        if let Some(dir) = path.parent() {
            self.put_dir(dir);
        }
        let content = Arc::new(Content::from_bytes(bytes));
        let mut state = self.state();
        let time = state.op;
        let id = new_node(&mut state, Node::File(FileNode::settled(content, time)));
        rebind(&mut state, path, Some(id));
    }

    /// Puts a durable directory there, with those on the way to it.
    pub(crate) fn put_dir(&self, path: impl AsRef<Path>) {
        let mut state = self.state();
        let mut missing: Vec<&Path> =
            path.as_ref().ancestors().filter(|dir| state.resolve(dir).is_err()).collect();
        // An empty path is the parent of a relative one; it stands for the root.
        missing.retain(|dir| !dir.as_os_str().is_empty());
        for dir in missing.into_iter().rev() {
            let id = new_node(&mut state, Node::Dir(DirNode::default()));
            rebind(&mut state, dir, Some(id));
        }
    }

    fn damage(&self, path: &Path, change: impl FnOnce(&mut Content)) {
        let mut state = self.state();
        let id = state.resolve(path).expect("the file to damage exists");
        let file = state.file_mut(id).expect("only files are damaged");
        let mut content = Arc::clone(&file.live);
        change(Arc::make_mut(&mut content));
        *file = FileNode::settled(content, file.modified);
    }
}

fn new_node(state: &mut State, node: Node) -> NodeId {
    let id = state.next_node;
    state.next_node += 1;
    state.nodes.insert(id, Arc::new(node));
    id
}

/// Gives a name to a node, or takes it away, on both sides.
fn rebind(state: &mut State, path: &Path, node: Option<NodeId>) {
    let (dir, name) = state.parent(path).expect("the directory exists");
    let dir = state.dir_mut(dir).expect("a parent is a directory");
    for side in [&mut dir.live, &mut dir.durable] {
        match node {
            Some(node) => Arc::make_mut(side).insert(name.clone(), node),
            None => Arc::make_mut(side).remove(&name),
        };
    }
}

/// A quick hash, good enough to tell states apart.
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    fn mix(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
        self.mix(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    /// Four chains at a time, because each step of one waits for the step before it.
    fn sector(&mut self, bytes: &[u8; SECTOR_BYTES]) {
        let mut lanes = [Self::default(), Self(1), Self(2), Self(3)];
        for words in bytes.as_chunks::<8>().0.as_chunks::<4>().0 {
            for (lane, word) in lanes.iter_mut().zip(words) {
                lane.mix(u64::from_le_bytes(*word));
            }
        }
        for lane in lanes {
            self.mix(lane.0);
        }
    }

    /// A sector of zeros is the same as none, so only the others count, each with its number.
    fn content(&mut self, content: &Content) {
        self.mix(content.len());
        for (number, bytes) in content.sectors() {
            if bytes.iter().any(|byte| *byte != 0) {
                self.mix(number);
                self.sector(bytes);
            }
        }
    }
}
