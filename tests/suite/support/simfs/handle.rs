//! The simulator behind the trait of the product: its open files, locks and mappings.
//!
//! Owns what belongs to a process. A handle keeps its file by number, whatever becomes of the name, and
//! answers with errors once its process is dead. Knows nothing of crashes.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aral_store::vfs::{DirEntry, Lock, Mapping, Metadata, OpenMode, Vfs, VfsFile};

use super::content::wide;
use super::errno::{self, error};
use super::node::NodeId;
use super::tree::parts;
use super::{Maps, Op, OpKind, SimFs};

/// Past any length that the product writes, and near enough that no sum of offsets overflows.
const MAX_LEN: u64 = 1 << 44;

#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    id: NodeId,
    path: PathBuf,
    access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Read,
    ReadWrite,
}

struct SimLock {
    fs: SimFs,
    id: NodeId,
    path: PathBuf,
}

impl fmt::Debug for SimLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimLock").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Lock for SimLock {
    fn changed_nanos(&self) -> io::Result<Option<i128>> {
        if self.fs.alive()?.resolve(&self.path).is_ok_and(|id| id == self.id) {
            return self.fs.metadata(&self.path).map(|found| Some(found.modified_nanos));
        }
        Ok(None)
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.fs.state().locks.remove(&self.id);
    }
}

#[derive(Debug)]
struct SimMapping(Vec<u8>);

impl Mapping for SimMapping {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl SimFs {
    fn file(&self, path: &Path, id: NodeId, access: Access) -> Arc<dyn VfsFile> {
        Arc::new(SimFile { fs: self.clone(), id, path: path.to_owned(), access })
    }
}

impl Vfs for SimFs {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let access = match how {
            OpenMode::Read => Access::Read,
            OpenMode::ReadWrite => Access::ReadWrite,
            OpenMode::CreateNew => {
                let id = self.mutate(Op::new(OpKind::Create, path), |state| state.create(path))?;
                return Ok(self.file(path, id, Access::ReadWrite));
            }
        };
        let state = self.alive()?;
        let id = state.resolve(path)?;
        if state.is_dir(id) {
            // The real one can open a directory for reading, and only then finds that it is no regular file.
            return Err(match access {
                Access::Read => io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"),
                Access::ReadWrite => error(errno::EISDIR),
            });
        }
        drop(state);
        Ok(self.file(path, id, access))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let op = Op { to: Some(to.to_owned()), ..Op::new(OpKind::Rename, from) };
        self.mutate(op, |state| state.rename(from, to))
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        let op = Op { to: Some(other.to_owned()), ..Op::new(OpKind::Rename, one) };
        self.mutate(op, |state| state.exchange(one, other))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.mutate(Op::new(OpKind::Remove, path), |state| state.remove_file(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.mutate(Op::new(OpKind::CreateDir, path), |state| state.create_dir(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.mutate(Op::new(OpKind::RemoveDir, path), |state| state.remove_dir(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.alive()?.read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let state = self.alive()?;
        state.metadata(state.resolve(path)?)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.mutate(Op::new(OpKind::SyncDir, path), |state| {
            let id = state.resolve(path)?;
            let committed = state.dir_mut(id)?.sync().unwrap_or(0);
            state.committed = state.committed.max(committed);
            Ok(())
        })
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let found = self.alive()?.resolve(path);
        let id = match found {
            Ok(id) => id,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.mutate(Op::new(OpKind::Create, path), |state| state.create(path))?
            }
            Err(error) => return Err(error),
        };
        let mut state = self.alive()?;
        if state.is_dir(id) {
            return Err(error(errno::EISDIR));
        }
        let is_free = state.locks.insert(id);
        Ok(is_free
            .then(|| -> Box<dyn Lock> { Box::new(SimLock { fs: self.clone(), id, path: path.to_owned() }) }))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.alive()?.resolve(path)?;
        Ok(parts(path)?.into_iter().fold(PathBuf::from("/"), |path, name| path.join(name)))
    }
}

impl SimFile {
    fn op(&self, kind: OpKind, offset: u64, len: u64) -> Op {
        Op { offset, len, ..Op::new(kind, &self.path) }
    }

    fn may_write(&self, errno: i32) -> io::Result<()> {
        if self.access == Access::ReadWrite { Ok(()) } else { Err(error(errno)) }
    }
}

impl VfsFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(self.fs.alive()?.file(self.id)?.live.read_at(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let len = wide(bytes.len());
        self.fs.mutate(self.op(OpKind::Write, offset, len), |state| {
            self.may_write(errno::EBADF)?;
            if offset > MAX_LEN - len {
                return Err(error(errno::EFBIG));
            }
            if len == 0 {
                return Ok(0);
            }
            let growth = (offset + len).saturating_sub(state.file(self.id)?.room);
            // A full disk takes what fits, and refuses when nothing does.
            let over = growth.saturating_sub(state.room_for(growth));
            let fits = len.saturating_sub(over);
            if fits == 0 {
                return Err(error(errno::ENOSPC));
            }
            let count = usize::try_from(fits).unwrap_or(bytes.len());
            let op = state.op;
            state.file_mut(self.id)?.write(&bytes[..count], offset, op);
            Ok(count)
        })
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.fs.mutate(self.op(OpKind::Allocate, 0, length), |state| {
            self.may_write(errno::EBADF)?;
            if length == 0 {
                return Err(error(errno::EINVAL));
            }
            if length > MAX_LEN {
                return Err(error(errno::EFBIG));
            }
            let growth = length.saturating_sub(state.file(self.id)?.room);
            if state.room_for(growth) < growth {
                return Err(error(errno::ENOSPC));
            }
            let op = state.op;
            if growth > 0 {
                state.file_mut(self.id)?.allocate(length, op);
            }
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.fs.mutate(self.op(OpKind::SetLen, 0, length), |state| {
            self.may_write(errno::EINVAL)?;
            if length > MAX_LEN {
                return Err(error(errno::EFBIG));
            }
            let op = state.op;
            state.file_mut(self.id)?.set_len(length, op);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.fs.mutate(self.op(OpKind::Sync, 0, 0), |state| {
            let committed = state.file_mut(self.id)?.sync().unwrap_or(0);
            state.committed = state.committed.max(committed);
            Ok(())
        })
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.fs.alive()?.metadata(self.id)
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        let state = self.fs.alive()?;
        let content = &state.file(self.id)?.live;
        if state.settings.maps == Maps::Refused || content.len() == 0 {
            return Ok(None);
        }
        Ok(Some(Arc::new(SimMapping(content.to_bytes()))))
    }
}
