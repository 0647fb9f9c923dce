//! One file of a backup that is an object.
//!
//! Owns its bytes, all of them, from the opening on. They become an object when they are synced.

use std::io;
use std::sync::{Arc, Mutex};

use super::shelf::Shelf;
use crate::backend::journal::objects::{Found, Version};
use crate::backend::locked::locked;
use crate::codec::bytes::{to_u64, to_usize};
use crate::vfs::{FileKind, Mapping, Metadata, VfsFile};

#[derive(Debug)]
pub(super) struct ObjectFile {
    shelf: Arc<Shelf>,
    name: String,
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    bytes: Vec<u8>,
    /// How it was when it was read, if it was and has not been written since.
    read: Option<Version>,
    /// What was written last, by its length and checksum.
    written: Option<(usize, u32)>,
    has_changed: bool,
}

impl ObjectFile {
    /// One that is new.
    pub(super) fn new(shelf: &Arc<Shelf>, name: String) -> Self {
        let content = Content { bytes: Vec::new(), read: None, written: None, has_changed: true };
        Self { shelf: Arc::clone(shelf), name, content: Mutex::new(content) }
    }

    /// One that is there.
    pub(super) fn of(shelf: &Arc<Shelf>, name: String, found: Found) -> Self {
        let Found { bytes, version } = found;
        let content = Content { bytes, read: Some(version), written: None, has_changed: false };
        Self { shelf: Arc::clone(shelf), name, content: Mutex::new(content) }
    }
}

/// What is said of a file of this length.
pub(super) fn metadata(length: usize) -> Metadata {
    Metadata { kind: FileKind::File, len: to_u64(length), modified_nanos: 0, file_number: 0 }
}

impl VfsFile for ObjectFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = locked(&self.content);
        let rest = content.bytes.get(to_usize(offset)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut content = locked(&self.content);
        let start = to_usize(offset);
        let end = start.saturating_add(bytes.len());
        if content.bytes.len() < end {
            content.bytes.resize(end, 0);
        }
        if let Some(place) = content.bytes.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
        content.has_changed = true;
        Ok(bytes.len())
    }

    fn allocate(&self, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut content = locked(&self.content);
        content.bytes.resize(to_usize(length), 0);
        content.has_changed = true;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut content = locked(&self.content);
        if !content.has_changed {
            return Ok(());
        }
        let read = match (content.read.take(), content.written) {
            (None, Some(written)) => {
                let print = |bytes: &[u8]| (bytes.len(), crc32fast::hash(bytes));
                let found = self.shelf.read(&self.name)?.filter(|found| print(&found.bytes) == written);
                Some(found.ok_or_else(|| io::Error::other(self.shelf.is_shared()))?.version)
            }
            (read, _) => read,
        };
        self.shelf.put(&self.name, &content.bytes, read.as_ref())?;
        content.written = Some((content.bytes.len(), crc32fast::hash(&content.bytes)));
        content.has_changed = false;
        Ok(())
    }

    fn metadata(&self) -> io::Result<Metadata> {
        Ok(metadata(locked(&self.content).bytes.len()))
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        Ok(None)
    }
}
