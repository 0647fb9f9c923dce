//! A file in memory.
//!
//! Owns its bytes, and behaves as files do. Nothing of it is ever on a disk.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use super::{FileKind, Mapping, Metadata, VfsFile};

/// A file in memory. Zeros at its end take no room.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    number: u64,
    content: RwLock<Content>,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    /// At least as many as there are bytes; what is beyond them is zero.
    len: u64,
}

fn too_large(_: impl std::error::Error) -> io::Error {
    io::ErrorKind::OutOfMemory.into()
}

impl MemoryFile {
    /// An empty one, with a number by which it is told from others.
    pub(crate) fn new(number: u64) -> Self {
        Self { number, content: RwLock::default() }
    }

    /// One that has these bytes.
    #[cfg(any(test, feature = "journal"))]
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self { number: 0, content: RwLock::new(Content { bytes, len }) }
    }

    /// The bytes that were written.
    #[cfg(any(test, feature = "journal"))]
    pub(crate) fn take(&self) -> Vec<u8> {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        content.len = 0;
        std::mem::take(&mut content.bytes)
    }

    pub(super) fn describe(&self) -> Metadata {
        let len = self.content.read().unwrap_or_else(PoisonError::into_inner).len;
        Metadata { kind: FileKind::File, len, modified_nanos: 0, file_number: self.number }
    }
}

impl VfsFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        let left = usize::try_from(content.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.bytes.len());
        let written = content.bytes.get(start..).unwrap_or_default();
        let (written, _) = written.split_at(written.len().min(count));
        let (head, zeros) = buffer.get_mut(..count).unwrap_or_default().split_at_mut(written.len());
        head.copy_from_slice(written);
        zeros.fill(0);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).map_err(too_large)?;
        let end = start.checked_add(bytes.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        let more = end.saturating_sub(content.bytes.len());
        content.bytes.try_reserve(more).map_err(too_large)?;
        if more > 0 {
            content.bytes.resize(end, 0);
        }
        content.bytes.get_mut(start..end).unwrap_or_default().copy_from_slice(bytes);
        content.len = content.len.max(u64::try_from(end).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        content.len = content.len.max(length);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        content.len = length;
        content.bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn metadata(&self) -> io::Result<Metadata> {
        Ok(self.describe())
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        Ok(None)
    }
}
