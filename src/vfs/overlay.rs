//! A directory in memory over another file system.
//!
//! Owns the files below one path, which nobody else sees and which end with it. Everything else is that of the
//! file system below, in which one directory is held still: what would change it is refused, so that whoever
//! reads a damaged store through this cannot write to it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory_file::MemoryFile;
use super::{DirEntry, FileKind, Lock, Metadata, OpenMode, Vfs, VfsFile};

/// A directory in memory over another file system.
#[derive(Debug)]
pub(crate) struct Overlay {
    below: Arc<dyn Vfs>,
    /// The directory of the file system below that is not written to.
    still: PathBuf,
    /// The directory in memory, whatever the file system below has of that name.
    root: PathBuf,
    /// What is in it, by its whole path.
    nodes: Mutex<BTreeMap<PathBuf, Node>>,
    next_number: AtomicU64,
}

#[derive(Clone, Debug)]
enum Node {
    Directory,
    File(Arc<MemoryFile>),
}

impl Node {
    fn metadata(&self) -> Metadata {
        match self {
            Self::Directory => {
                Metadata { kind: FileKind::Directory, len: 0, modified_nanos: 0, file_number: 0 }
            }
            Self::File(file) => file.describe(),
        }
    }
}

impl Overlay {
    /// An empty directory in memory, and one below that is held still.
    pub(crate) fn new(below: Arc<dyn Vfs>, still: &Path, root: &Path) -> Self {
        let nodes = Mutex::new(BTreeMap::from([(root.to_owned(), Node::Directory)]));
        let (still, root) = (still.to_owned(), root.to_owned());
        Self { below, still, root, nodes, next_number: AtomicU64::new(1) }
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_own(&self, path: &Path) -> bool {
        path.starts_with(&self.root)
    }

    /// The file system below, for a change at a path.
    fn to_change(&self, path: &Path) -> io::Result<&dyn Vfs> {
        if path.starts_with(&self.still) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(&*self.below)
    }

    fn create(&self, path: &Path, node: Node) -> io::Result<()> {
        let mut nodes = self.nodes();
        let is_in_directory =
            path.parent().is_some_and(|dir| matches!(nodes.get(dir), Some(Node::Directory)));
        if !is_in_directory {
            return Err(io::ErrorKind::NotFound.into());
        }
        if nodes.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        nodes.insert(path.to_owned(), node);
        Ok(())
    }

    fn new_file(&self, path: &Path) -> io::Result<Arc<MemoryFile>> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let file = Arc::new(MemoryFile::new(number));
        self.create(path, Node::File(Arc::clone(&file)))?;
        Ok(file)
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        self.nodes().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Vfs for Overlay {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        if !self.is_own(path) {
            let below = if how == OpenMode::Read { &*self.below } else { self.to_change(path)? };
            return below.open(path, how);
        }
        if how == OpenMode::CreateNew {
            return Ok(self.new_file(path)?);
        }
        match self.node(path)? {
            Node::File(file) => Ok(file),
            Node::Directory => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        }
    }

    fn open_files_limit(&self) -> usize {
        self.below.open_files_limit()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match (self.is_own(from), self.is_own(to)) {
            (true, true) => {}
            (false, false) => {
                self.to_change(from)?;
                return self.to_change(to)?.rename(from, to);
            }
            _ => return Err(io::ErrorKind::CrossesDevices.into()),
        }
        let mut nodes = self.nodes();
        match nodes.remove(from) {
            Some(node @ Node::File(_)) => drop(nodes.insert(to.to_owned(), node)),
            // A directory would take all that is in it along, and nobody asks for that.
            Some(node @ Node::Directory) => {
                nodes.insert(from.to_owned(), node);
                return Err(io::ErrorKind::Unsupported.into());
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(())
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        if self.is_own(one) || self.is_own(other) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.to_change(one)?;
        self.to_change(other)?.exchange(one, other)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        if !self.is_own(path) {
            return self.to_change(path)?.remove_file(path);
        }
        match self.node(path)? {
            Node::File(_) => drop(self.nodes().remove(path)),
            Node::Directory => return Err(io::ErrorKind::IsADirectory.into()),
        }
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if self.is_own(path) {
            return self.create(path, Node::Directory);
        }
        self.to_change(path)?.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if !self.is_own(path) {
            return self.to_change(path)?.remove_dir(path);
        }
        if !self.read_dir(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.nodes().remove(path);
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        if !self.is_own(path) {
            return self.below.read_dir(path);
        }
        let nodes = self.nodes();
        match nodes.get(path) {
            Some(Node::Directory) => {}
            Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        let below = nodes.range(path.to_owned()..).take_while(|(other, _)| other.starts_with(path));
        let entry = |(other, node): (&PathBuf, &Node)| {
            let name = other.file_name().filter(|_| other.parent() == Some(path))?;
            let name = name.to_string_lossy().into_owned();
            Some(DirEntry { name, name_is_exact: true, kind: node.metadata().kind })
        };
        Ok(below.filter_map(entry).collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        if self.is_own(path) { Ok(self.node(path)?.metadata()) } else { self.below.metadata(path) }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if self.is_own(path) { Ok(()) } else { self.to_change(path)?.sync_dir(path) }
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        if !self.is_own(path) {
            return self.to_change(path)?.try_lock(path);
        }
        match self.new_file(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            // Nobody else sees the directory.
            _ => Ok(Some(Box::new(Unshared))),
        }
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        if self.is_own(path) { Ok(path.to_owned()) } else { self.below.canonical(path) }
    }
}

#[derive(Debug)]
struct Unshared;

impl Lock for Unshared {
    fn changed_nanos(&self) -> io::Result<Option<i128>> {
        Ok(Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{OsVfs, read_all, write_all_at};

    #[test]
    fn what_is_in_memory_behaves_as_files_do_and_the_held_directory_stays_still() {
        let dir = tempfile::tempdir().unwrap();
        let (still, root) = (dir.path().join("store"), dir.path().join("memory"));
        OsVfs.create_dir(&still).unwrap();
        let fs = Overlay::new(Arc::new(OsVfs), &still, &root);
        let path = root.join("file");
        let file = fs.open(&path, OpenMode::CreateNew).unwrap();
        assert_eq!(fs.open(&path, OpenMode::CreateNew).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        file.allocate(8192).unwrap();
        write_all_at(&*file, b"hello", 100).unwrap();
        let bytes = read_all(&*file, 1 << 20).unwrap();
        assert_eq!((bytes.len(), &bytes[98..106]), (8192, &b"\0\0hello\0"[..]));
        fs.create_dir(&root.join("a")).unwrap();
        fs.rename(&path, &root.join("a/other")).unwrap();
        let names = |path: &Path| fs.read_dir(path).unwrap().into_iter().map(|e| e.name).collect::<Vec<_>>();
        assert_eq!((names(&root), names(&root.join("a"))), (vec!["a".to_owned()], vec!["other".to_owned()]));
        file.set_len(101).unwrap();
        assert_eq!(fs.metadata(&root.join("a/other")).unwrap().len, 101);
        assert_eq!(fs.remove_dir(&root.join("a")).unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
        fs.remove_file(&root.join("a/other")).unwrap();
        assert!(fs.metadata(&path).is_err() && names(&root.join("a")).is_empty());
        let inside = still.join("x");
        for refused in [
            fs.open(&inside, OpenMode::CreateNew).map(drop),
            fs.create_dir(&inside),
            fs.try_lock(&inside).map(drop),
            fs.sync_dir(&still),
        ] {
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
        }
        fs.create_dir(&dir.path().join("beside")).unwrap();
        assert!(OsVfs.read_dir(&still).unwrap().is_empty() && !root.exists());
    }
}
