//! One segment as a file.
//!
//! Owns a segment's name, its creation and the reading of records from it. A segment gets its name only
//! when its header is durable.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::codec::bytes::to_u64;
use crate::codec::segment::{BadHeader, DATA_START, SegmentHeader};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Seq;
use crate::vfs::{self, EventSeal, Mapping, OpenMode, Vfs, VfsFile};

/// The longest file that is read as a segment: a full one with one frame of the greatest length behind it.
pub(crate) const MAX_SEGMENT_FILE: u64 = 1 << 32;

/// What the name of a file that is not finished ends in.
pub(crate) const UNFINISHED: &str = ".tmp";
const ENDING: &str = ".seg";

/// The name of a segment's file.
pub(crate) fn file_name(number: u64, first_seq: Seq) -> String {
    format!("{number:016x}-{first_seq:016x}{ENDING}")
}

/// The number and the first sequence number in a segment's name; `None` if it is not one.
pub(crate) fn parse_name(name: &str) -> Option<(u64, Seq)> {
    let (number, first_seq) = name.strip_suffix(ENDING)?.split_once('-')?;
    let parse = |text: &str| u64::from_str_radix(text, 16).ok();
    let parsed = (parse(number)?, parse(first_seq)?);
    (file_name(parsed.0, parsed.1) == name).then_some(parsed)
}

/// What the name of a segment ends in that is kept for consumers alone.
const UNREAD: &str = ".unread";

/// The path of a segment that a checkpoint covers and that is kept for consumers.
pub(crate) fn unread_path(path: &Path) -> PathBuf {
    path.with_extension("seg.unread")
}

/// What [`parse_name`] says of the name of such a segment.
pub(crate) fn parse_unread_name(name: &str) -> Option<(u64, Seq)> {
    parse_name(name.strip_suffix(UNREAD)?)
}

/// A segment that can be read from.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn VfsFile>,
    /// What its events are sealed with, if they are.
    seal: Option<Arc<dyn EventSeal>>,
    map: OnceLock<Option<Arc<dyn Mapping>>>,
}

impl Segment {
    /// Opens a segment and checks its header against its name.
    pub(crate) fn open(vfs: &dyn Vfs, path: &Path, named: (u64, Seq)) -> Result<Self> {
        let segment = Self::open_unopened(vfs, path, named)?;
        match (segment.header.is_sealed, segment.seal.is_some()) {
            (true, false) => Err(needs_a_key(path)),
            (false, true) => {
                let reason = "the store is encrypted, and this segment is not: it is another store's";
                Err(Error::corrupt(path, 16, reason))
            }
            (true, true) | (false, false) => Ok(segment),
        }
    }

    /// The same of one whose events need not be read.
    pub(crate) fn open_unopened(vfs: &dyn Vfs, path: &Path, named: (u64, Seq)) -> Result<Self> {
        let file = vfs.open(path, OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
        let mut block = vec![0; DATA_START];
        if let Err(error) = vfs::read_exact_at(&*file, &mut block, 0) {
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                return Err(Error::corrupt(path, 0, "a segment is shorter than its header"));
            }
            return Err(Error::io("read", path, error));
        }
        let header = SegmentHeader::decode(&block).map_err(|bad| match bad {
            BadHeader::Newer(major) => Error::new(
                ErrorKind::UnsupportedFormat,
                format!("format {major} is newer than this software, which reads format 1"),
            )
            .at(path, Some(8)),
            BadHeader::Damaged(reason) => Error::corrupt(path, 0, reason),
        })?;
        if (header.number, header.first_seq) != named {
            return Err(Error::corrupt(path, 40, "the segment's header belongs to another file name"));
        }
        let seal = vfs.sealing();
        Ok(Self { path: path.to_owned(), header, file, seal, map: OnceLock::new() })
    }

    /// What its events are sealed with, if they are.
    #[inline]
    pub(crate) fn seal(&self) -> Option<&dyn EventSeal> {
        self.seal.as_deref()
    }

    /// Makes a segment of the length that its header says, of which so many bytes are reserved on the disk, and which
    /// begins with the given frames. When this returns, its header, those frames and its name are durable.
    pub(crate) fn create(
        vfs: &dyn Vfs,
        dir: &Path,
        header: SegmentHeader,
        (reserved, frames): (u64, &[u8]),
    ) -> Result<Self, CreateError> {
        let path = dir.join(file_name(header.number, header.first_seq));
        let seal = vfs.sealing();
        let header = SegmentHeader { is_sealed: seal.is_some(), ..header };
        let unfinished = path.with_extension(format!("seg{UNFINISHED}"));
        let file = match make_file(vfs, &unfinished, &header, (reserved, frames)) {
            Ok(file) => file,
            Err(error) => {
                // What is left is ignored by every reader and removed at the next opening, so a second
                // failure here changes nothing.
                vfs.remove_file(&unfinished).ok();
                return Err(CreateError::Before(error));
            }
        };
        // Order: sync the segment, then rename, then sync the directory. Reversed, a crash leaves a segment
        // without a header, or acknowledged records in a file without a name.
        let synced = file.sync().map_err(|e| Error::io("sync", &unfinished, e));
        synced.map_err(CreateError::Sync)?;
        vfs.rename_new(&unfinished, &path).map_err(|e| {
            let error = Error::io("rename", &unfinished, e);
            // A rename may have taken place and be said to have failed. Only a segment that surely has no
            // name leaves its number to the next one.
            let is_nameless = vfs.metadata(&path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
            if is_nameless { CreateError::Before(error) } else { CreateError::Sync(error) }
        })?;
        vfs.sync_dir(dir).map_err(|e| CreateError::Sync(Error::io("sync", dir, e)))?;
        Ok(Self { path, header, file, seal, map: OnceLock::new() })
    }

    /// Lets reads go through a memory map. Only for a segment that nobody will cut shorter.
    pub(crate) fn map(&self) {
        // A file that cannot be mapped is read; nothing is lost but time.
        self.map.get_or_init(|| self.file.map().ok().flatten());
    }

    /// Whether reads go through a map, and through which.
    pub(crate) fn mapped(&self) -> Option<&[u8]> {
        self.map.get()?.as_deref().map(Mapping::bytes)
    }

    /// `length` bytes at an offset, read from the file, mapped or not.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let read = vfs::zeros(length).and_then(|mut bytes| {
            vfs::read_exact_at(&*self.file, &mut bytes, offset)?;
            Ok(bytes)
        });
        read.map_err(|e| Error::io("read", &self.path, e))
    }
}

/// What whoever has no key is told of an encrypted store.
#[cold]
fn needs_a_key(path: &Path) -> Error {
    let reason = "the store is encrypted, and no key was given to read it with";
    Error::new(ErrorKind::Key, reason).at(path, Some(16))
}

/// At which point a segment could not be made.
#[derive(Debug)]
pub(crate) enum CreateError {
    /// Before it had a name: nothing happened.
    Before(Error),
    /// A sync failed: nothing more may be written.
    Sync(Error),
}

/// How much of what a segment begins with is written by one call with its header, for which it is copied. A batch may have
/// hundreds of megabytes, and nobody counts on their being there twice.
const WITH_HEADER: usize = 64 << 10;

fn make_file(
    vfs: &dyn Vfs,
    path: &Path,
    header: &SegmentHeader,
    (reserved, frames): (u64, &[u8]),
) -> Result<Arc<dyn VfsFile>> {
    let opened = match vfs.open(path, OpenMode::CreateNew) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            vfs.remove_file(path).map_err(|e| Error::io("remove", path, e))?;
            vfs.open(path, OpenMode::CreateNew)
        }
        opened => opened,
    };
    let file = opened.map_err(|e| Error::io("create", path, e))?;
    file.allocate(reserved).map_err(|e| Error::io("reserve space for", path, e))?;
    if reserved < header.capacity {
        file.set_len(header.capacity).map_err(|e| Error::io("extend", path, e))?;
    }
    let (few, more) = frames.split_at(frames.len().min(WITH_HEADER));
    let mut bytes = header.encode();
    bytes.extend_from_slice(few);
    let mut at = 0;
    for part in [bytes.as_slice(), more] {
        vfs::write_all_at(&*file, part, at).map_err(|e| Error::io("write", path, e))?;
        at += to_u64(part.len());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_only_in_the_form_in_which_it_is_written() {
        assert_eq!(parse_name(&file_name(7, 0xabc)), Some((7, 0xabc)));
        for name in [
            "7-abc.seg",
            "0000000000000007-0000000000000ABC.seg",
            "x.seg",
            "0000000000000007-0000000000000abc.seg.tmp",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
