//! Reading a ZIP archive that anybody may have made.
//!
//! Owns how much of it is read at most, and which of its entries. Knows no conversations; what a document is, its caller says.

use std::cell::Cell;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use zip::ZipArchive;
use zip::read::ZipFileEntry;
use zip::result::ZipError;

/// How many bytes are read at most to learn what is in an archive; what is learned takes several times as much memory.
const DIRECTORY: u64 = 16 << 20;

/// An input of which only so many bytes are read, until more are allowed.
pub(super) struct Allowed<R> {
    input: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Allowed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left.get() == 0 {
            return Err(io::Error::other("its list of entries is too long"));
        }
        let read = self.input.read(into)?;
        self.left.set(self.left.get().saturating_sub(length(read)));
        Ok(read)
    }
}

impl<R: Seek> Seek for Allowed<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}

pub(super) type Archive<R> = ZipArchive<BufReader<Allowed<R>>>;

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The archive, once it is known that no byte of it stands for two entries, and no name for two.
pub(super) fn opened<R: Read + Seek>(input: R) -> Result<Archive<R>, String> {
    let damaged = |error: ZipError| format!("and not a whole one: {}", said(&error));
    let left = Rc::new(Cell::new(DIRECTORY));
    let allowed = Allowed { input, left: Rc::clone(&left) };
    let mut archive = ZipArchive::new(BufReader::new(allowed)).map_err(damaged)?;
    left.set(u64::MAX);
    if archive.has_duplicate_names() {
        return Err("in which two entries have one name".to_owned());
    }
    if archive.has_overlapping_entries().map_err(damaged)? {
        return Err("whose entries overlap, so that little would become very much".to_owned());
    }
    Ok(archive)
}

/// What the library says, without the words that say again what it is about.
fn said(error: &ZipError) -> String {
    let text = error.to_string();
    let about = ["i/o error: ", "invalid Zip archive: ", "unsupported Zip archive: "];
    about.iter().find_map(|about| text.strip_prefix(about)).unwrap_or(&text).to_owned()
}

/// The name of an entry, which leads nowhere: its last part alone names what comes of it. `None` for a folder.
pub(super) fn name<R: Read + Seek>(archive: &Archive<R>, number: usize) -> Result<Option<PathBuf>, String> {
    let entry = archive.by_index_data(number).map_err(|error| said(&error))?;
    if entry.is_dir() {
        return Ok(None);
    }
    let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
    let parts: Vec<&str> = name.split('/').filter(|part| !["", ".", ".."].contains(part)).collect();
    Ok(Some(if parts.is_empty() { PathBuf::from("entry") } else { parts.iter().collect() }))
}

/// How a document is told.
pub(super) struct Telling<'t, T> {
    /// How much of it has to be looked at.
    pub(super) looked_at: u64,
    /// What it is by its beginning, and whether that is all of it; nothing if it is no document.
    pub(super) is: &'t dyn Fn(&[u8], bool) -> Option<T>,
}

/// The document that an entry of this name is, if it is one; an error says why it cannot be read.
pub(super) fn document<R: Read + Seek, T>(
    archive: &mut Archive<R>,
    number: usize,
    inside: &Path,
    (limit, telling): (u64, &Telling<'_, T>),
) -> Result<Option<(T, Vec<u8>)>, String> {
    if inside.extension().is_none_or(|end| end != "json") {
        return Ok(None);
    }
    let entry = archive.by_index_data(number).map_err(|error| said(&error))?;
    check(&entry, limit)?;
    let mut entry = archive.by_index(number).map_err(|error| said(&error))?;
    let mut bytes = Vec::new();
    read_on(&mut entry, telling.looked_at, &mut bytes)?;
    let is_whole = length(bytes.len()) < telling.looked_at;
    let Some(told) = (telling.is)(&bytes, is_whole) else { return Ok(None) };
    // One byte more shows that it has more than it says; the end is where its checksum is looked at.
    read_on(&mut entry, limit.saturating_add(1), &mut bytes)?;
    if length(bytes.len()) > limit {
        return Err(format!("it has more than {limit} bytes, the limit of what is read as one piece"));
    }
    Ok(Some((told, bytes)))
}

/// Reads on until so many bytes are there, or all.
fn read_on(entry: &mut impl Read, most: u64, bytes: &mut Vec<u8>) -> Result<(), String> {
    let more = most.saturating_sub(length(bytes.len()));
    match entry.take(more).read_to_end(bytes) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
            Err(format!("there is no memory for more than {} bytes of it", bytes.len()))
        }
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            Err(format!("it cannot be read: {error}"))
        }
        Err(error) => Err(format!("it is damaged: {error}")),
    }
}

/// Whether an entry is to be read.
fn check(entry: &ZipFileEntry<'_>, limit: u64) -> Result<(), String> {
    if entry.is_symlink() {
        return Err("it is a link, which leads nowhere in an archive".to_owned());
    }
    if entry.encrypted() {
        return Err("it is encrypted; unpack the archive with its password first".to_owned());
    }
    if entry.size() > limit {
        return Err(format!(
            "it says that it has {} bytes unpacked, over {limit}, the limit of what is read as one piece",
            entry.size()
        ));
    }
    Ok(())
}
