//! Taking in the documents of a ZIP archive, as `ChatGPT` and `claude.ai` send their exports in.
//!
//! Owns which of its entries are read, how much of each at most, and what is said of the others. Nothing of it is written to a file: a document
//! is read into memory, as one that is a file is, and the names in an archive lead nowhere.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use aral_store::{Error, ErrorKind};
use zip::ZipArchive;
use zip::read::ZipFileEntry;
use zip::result::ZipError;

use super::documents;
use super::forms;
use super::intake::Intake;
use crate::exit::Failure;
use crate::lines::MAX_LINE;
use crate::output::{self, to_u64};
use crate::progress::{self, Unit};
use crate::transcripts::Tool;

/// How many bytes are read at most to learn what is in an archive; what is learned takes several times as much memory.
const DIRECTORY: u64 = 16 << 20;

/// How many of the entries that are not taken in are named.
const NAMED: usize = 5;

/// A file of which only so many bytes are read, until more are allowed.
struct Allowed {
    file: File,
    left: Rc<Cell<u64>>,
}

impl Read for Allowed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left.get() == 0 {
            return Err(io::Error::other("its list of entries is too long"));
        }
        let read = self.file.read(into)?;
        self.left.set(self.left.get().saturating_sub(to_u64(read)));
        Ok(read)
    }
}

impl Seek for Allowed {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

type Archive = ZipArchive<BufReader<Allowed>>;

/// Takes in the documents that are in an archive, or those of a tool.
pub(super) fn take(path: &Path, tool: Option<Tool>, intake: &mut Intake<'_>) -> Result<(), Failure> {
    let refused = |reason: &str| {
        let text = format!("not imported: it is a ZIP archive, {reason}");
        Failure::Input(Error::new(ErrorKind::InvalidInput, text).at(path, None))
    };
    let mut archive = opened(path).map_err(|reason| refused(&reason))?;
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (mut others, mut documents, mut unread) = (Vec::new(), 0, 0);
    for number in 0..archive.len() {
        let inside = match name(&archive, number) {
            Ok(Some(inside)) => inside,
            Ok(None) => continue,
            Err(reason) => return Err(refused(&reason)),
        };
        let read = document(&mut archive, number, (&inside, tool), to_u64(MAX_LINE));
        let taken = match read {
            Ok(Some((tool, bytes))) => {
                documents += 1;
                documents::take_bytes((&path.join(&inside), &place.join(&inside)), tool, bytes, intake)
            }
            Ok(None) => {
                others.push(inside);
                continue;
            }
            Err(reason) => {
                let text = format!("not imported: {reason}");
                Err(Failure::Input(Error::new(ErrorKind::InvalidInput, text).at(&path.join(&inside), None)))
            }
        };
        match taken {
            // One that cannot be read keeps no other one out.
            Err(Failure::Input(error)) => {
                unread += 1;
                intake.bad_line(&error.to_string());
            }
            taken => taken?,
        }
    }
    if documents + unread == 0 {
        return Err(refused("in which there are no conversations that this version can read"));
    }
    if !others.is_empty() && !intake.is_watching {
        let named: Vec<String> =
            others.iter().take(NAMED).map(|other| format!("{:.100?}", other.to_string_lossy())).collect();
        let more = if others.len() > NAMED { " and others" } else { "" };
        output::note(&format!(
            "{}: not conversations, and not imported, are {} of its entries: {}{more}",
            path.display(),
            others.len(),
            named.join(", ")
        ));
    }
    Ok(())
}

/// The archive, once it is known that no byte of it stands for two entries, and no name for two.
fn opened(path: &Path) -> Result<Archive, String> {
    #[expect(clippy::disallowed_methods, reason = "the input is no part of the store")]
    let file = File::open(path).map_err(|error| format!("that cannot be opened: {error}"))?;
    let damaged = |error: ZipError| format!("and not a whole one: {}", said(&error));
    let left = Rc::new(Cell::new(DIRECTORY));
    let allowed = Allowed { file, left: Rc::clone(&left) };
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
fn name(archive: &Archive, number: usize) -> Result<Option<PathBuf>, String> {
    let entry = archive.by_index_data(number).map_err(|error| said(&error))?;
    if entry.is_dir() {
        return Ok(None);
    }
    let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
    let parts: Vec<&str> = name.split('/').filter(|part| !["", ".", ".."].contains(part)).collect();
    Ok(Some(if parts.is_empty() { PathBuf::from("entry") } else { parts.iter().collect() }))
}

/// The document that an entry is, if it is one, of this tool if that is said; an error says why it cannot be read.
fn document(
    archive: &mut Archive,
    number: usize,
    (inside, wanted): (&Path, Option<Tool>),
    limit: u64,
) -> Result<Option<(Tool, Vec<u8>)>, String> {
    if inside.extension().is_none_or(|end| end != "json") {
        return Ok(None);
    }
    let entry = archive.by_index_data(number).map_err(|error| said(&error))?;
    let compressed = entry.compressed_size();
    check(&entry, limit)?;
    let mut entry = archive.by_index(number).map_err(|error| said(&error))?;
    progress::advance(Unit::InputBytes, compressed);
    let mut bytes = Vec::new();
    read_on(&mut entry, forms::LOOKED_AT, &mut bytes)?;
    let is_whole = to_u64(bytes.len()) < forms::LOOKED_AT;
    let tool = forms::document(&bytes, is_whole).filter(|tool| wanted.is_none_or(|wanted| *tool == wanted));
    let Some(tool) = tool else { return Ok(None) };
    // One byte more shows that it has more than it says; the end is where its checksum is looked at.
    read_on(&mut entry, limit.saturating_add(1), &mut bytes)?;
    if to_u64(bytes.len()) > limit {
        return Err(format!("it has more than {limit} bytes, the limit of what is read as one piece"));
    }
    Ok(Some((tool, bytes)))
}

/// Reads on until so many bytes are there, or all.
fn read_on(entry: &mut impl Read, most: u64, bytes: &mut Vec<u8>) -> Result<(), String> {
    let more = most.saturating_sub(to_u64(bytes.len()));
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
