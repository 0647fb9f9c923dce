//! Where something that is erased may lie beside the log, and what is written down of an erasure.
//!
//! Owns the files of the intent and of the receipts, the removing of what was set aside or left unfinished, and the search through
//! every file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::backend::remnants::search;
use crate::codec::bytes::to_u64;
use crate::codec::erasure::{Intent, MAX_RECEIPT, Record};
use crate::codec::json::{python_text, write_text};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{KeptReceipt, Seq, Text};
use crate::snapshot::layout::{self, Layout, STAGED};
use crate::snapshot::names::{choose, stem};
use crate::snapshot::rewrite::Erased;
use crate::vfs::{self, FileKind, OpenMode, Vfs};

/// What an erasure that is not finished has written down; `None` if none is under way.
///
/// # Errors
///
/// `Corrupt` if it cannot be read.
pub(in crate::backend::directory) fn intent(vfs: &dyn Vfs, layout: &Layout) -> Result<Option<Intent>> {
    let path = layout.erasing();
    if layout::probe(vfs, &path)?.is_none() {
        return Ok(None);
    }
    let read = vfs.open(&path, OpenMode::Read).and_then(|file| {
        let is_whole = file.metadata()?.len <= MAX_RECEIPT;
        if is_whole { vfs::read_all(&*file, MAX_RECEIPT) } else { Ok(Vec::new()) }
    });
    let bytes = read.map_err(|error| Error::io("read", &path, error))?;
    let reason = "an erasure was begun and not finished, and what says of what cannot be read; remove this file, and erase again what was to be erased";
    Intent::decode(&bytes).map(Some).ok_or_else(|| Error::new(ErrorKind::Corrupt, reason).at(&path, None))
}

/// Puts a file in its place as a whole. When this returns, it is durable.
fn put(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = path.with_extension("tmp");
    layout::remove_file(vfs, &unfinished)?;
    layout::write_file(vfs, &unfinished, bytes)?;
    vfs.rename(&unfinished, path).map_err(|error| Error::io("rename", &unfinished, error))?;
    layout::sync_dir(vfs, path.parent().unwrap_or(path))
}

/// Makes the intent durable.
pub(super) fn intend(vfs: &dyn Vfs, layout: &Layout, intent: &Intent) -> Result<()> {
    let text = intent.encode();
    // Noting an event makes it longer by that event's number.
    if to_u64(text.len()) > MAX_RECEIPT - 64 && intent.record.through == 0 {
        let reason = "it has more texts than a receipt can be made of; erase its messages one by one, and then what is left of it";
        return Err(Error::invalid(reason));
    }
    put(vfs, &layout.erasing(), text.as_bytes())
}

/// Keeps the receipt with the store.
pub(super) fn record(vfs: &dyn Vfs, layout: &Layout, record: &Record) -> Result<()> {
    let dir = layout.erasures();
    if layout::ensure_dir(vfs, &dir)? {
        layout::sync_dir(vfs, &layout.log())?;
    }
    let name: String = record.conversation.chars().take(8).collect();
    let path = dir.join(format!("{:016x}-{name}.json", record.through));
    put(vfs, &path, format!("{}\n", record.encode()).as_bytes())
}

/// The receipts that are kept, each with what is wrong with it, in the order of the events by which it was removed.
pub(in crate::backend::directory) fn receipts(
    vfs: &dyn Vfs,
    layout: &Layout,
) -> Result<Vec<(PathBuf, Result<()>)>> {
    let found = named(vfs, layout)?.into_iter().map(|(path, _)| {
        let read = text_of(vfs, &path).and_then(|text| Record::decode(&text).map(drop));
        let read = read.map_err(|error| if error.place().is_some() { error } else { error.at(&path, None) });
        (path, read)
    });
    Ok(found.collect())
}

/// What the receipts that are kept say, the oldest first.
pub(in crate::backend::directory) fn kept_receipts(
    vfs: &dyn Vfs,
    layout: &Layout,
) -> Result<Vec<KeptReceipt>> {
    let mut found: Vec<_> = named(vfs, layout)?
        .into_iter()
        .map(|(path, through)| (through, Record::kept(path.clone(), text_of(vfs, &path))))
        .collect();
    // More than one may name the newest event before, and only their times tell which was first.
    found.sort_by_cached_key(|(through, kept)| (*through, kept.time.map(|time| time.wall_micros())));
    Ok(found.into_iter().map(|(_, kept)| kept).collect())
}

/// The files of receipts, each with the number in its name.
fn named(vfs: &dyn Vfs, layout: &Layout) -> Result<Vec<(PathBuf, Option<Seq>)>> {
    let dir = layout.erasures();
    let mut names: Vec<String> = layout::list_dir(vfs, &dir)?.into_iter().map(|entry| entry.name).collect();
    names.retain(|name| name.ends_with(".json"));
    names.sort();
    let through = |name: &str| Seq::from_str_radix(name.split('-').next()?, 16).ok();
    Ok(names.iter().map(|name| (dir.join(name), through(name))).collect())
}

fn text_of(vfs: &dyn Vfs, path: &Path) -> Result<String> {
    let read = layout::read_file(vfs, path)?.map(|(bytes, _)| bytes).unwrap_or_default();
    Ok(String::from_utf8_lossy(&read).into_owned())
}

/// Ends the erasure.
pub(super) fn end(vfs: &dyn Vfs, layout: &Layout) -> Result<()> {
    layout::remove_file(vfs, &layout.erasing())?;
    layout::sync_dir(vfs, &layout.log())
}

/// What was set aside and may hold something of it: tails that nobody could read, and what names the conversation or holds a text of it.
pub(super) fn set_aside(
    vfs: &dyn Vfs,
    layout: &Layout,
    erased: &Erased,
    record: &Record,
) -> Result<Vec<PathBuf>> {
    let dir = layout.quarantine();
    let mut found = Vec::new();
    for entry in layout::list_dir(vfs, &dir)? {
        let path = dir.join(&entry.name);
        if entry.kind != FileKind::File {
            continue;
        }
        let is_of_log = ["torn-", "orphaned-"].iter().any(|begin| entry.name.starts_with(begin));
        let is_of_log = is_of_log && !entry.name.contains(".json");
        let is_named = is_named_for(&entry.name, erased);
        if is_of_log || is_named || names(vfs, &path, erased)? || !search(vfs, &path, record)?.is_empty() {
            found.push(path);
        }
    }
    Ok(found)
}

/// Whether a copy that was set aside is of the conversation's own file, whatever is in it.
fn is_named_for(name: &str, erased: &Erased) -> bool {
    let own = choose(&erased.conversation, &HashSet::new());
    let begins = |own: &str, behind: &str| {
        let begin: String = own.chars().take(50).collect();
        name.strip_prefix(&begin).is_some_and(|rest| rest.starts_with(behind))
    };
    erased.message.is_none() && (begins(&own, ".") || begins(stem(&own), ".replaced-"))
}

/// Whether a file of JSON, or of lines of it, is of the conversation or has lines of it, by the members that say so: as a mere string an id
/// may be in any file.
fn names(vfs: &dyn Vfs, path: &Path, erased: &Erased) -> Result<bool> {
    let Some((bytes, _)) = layout::read_file(vfs, path)? else { return Ok(false) };
    let id = Text::from(&erased.conversation);
    let (mut quoted, mut plain) = (Vec::new(), String::new());
    python_text(&id, &mut quoted);
    write_text(&id, &mut plain);
    let members = ["id", "conversation_id"].iter().flat_map(|name| {
        [quoted.as_slice(), plain.as_bytes()].into_iter().flat_map(move |id| {
            ["\": ", "\":"].map(|between| [b"\"", name.as_bytes(), between.as_bytes(), id].concat())
        })
    });
    Ok(members.into_iter().any(|member| memchr::memmem::find(&bytes, &member).is_some()))
}

/// The index for searching, in which its words are. The next one is made of what stays.
pub(super) fn search_index(vfs: &dyn Vfs, layout: &Layout) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in [layout.search_index(), layout.search_journal()] {
        if layout::probe(vfs, &path)?.is_some() {
            found.push(path);
        }
    }
    Ok(found)
}

/// What was left unfinished. Only for whoever keeps others from finishing it.
pub(super) fn unfinished(vfs: &dyn Vfs, layout: &Layout) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in [layout.root().to_owned(), layout.conversations()] {
        for entry in layout::list_dir(vfs, &dir)? {
            if entry.kind == FileKind::File && entry.name.starts_with(STAGED) {
                found.push(dir.join(entry.name));
            }
        }
    }
    Ok(found)
}

/// Removes files, and makes that durable.
pub(super) fn remove(vfs: &dyn Vfs, paths: &[PathBuf]) -> Result<()> {
    let mut dirs: Vec<&Path> = Vec::new();
    for path in paths {
        layout::remove_file(vfs, path)?;
        dirs.extend(path.parent().filter(|dir| !dirs.contains(dir)));
    }
    dirs.into_iter().try_for_each(|dir| layout::sync_dir(vfs, dir))
}

/// The directories beside the store whose names say that they were made of it.
pub(super) fn beside(vfs: &dyn Vfs, layout: &Layout) -> Result<Vec<PathBuf>> {
    let root = layout.root();
    let (Some(name), Some(parent)) = (root.file_name().and_then(|name| name.to_str()), root.parent()) else {
        return Ok(Vec::new());
    };
    let begins = format!("{name}.");
    let entries = vfs.read_dir(parent).map_err(|error| Error::io("list", parent, error))?.into_iter();
    let of = entries.filter(|entry| entry.name.starts_with(&begins) && entry.name_is_exact);
    Ok(of.map(|entry| parent.join(entry.name)).collect())
}

/// Whether texts of it are below a path, or may be, since not all of it can be looked through.
fn may_have(vfs: &dyn Vfs, path: &Path, record: &Record) -> Result<bool> {
    match search(vfs, path, record) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(true),
        found => Ok(!found?.is_empty()),
    }
}

/// What has texts of it and is not the store's own: what lies beside it, and files in it that it does not know.
pub(super) fn outside(vfs: &dyn Vfs, layout: &Layout, record: &Record) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let beside = match beside(vfs, layout) {
        // Nobody can say what lies there.
        Err(error) if error.is_forbidden() => {
            found.extend(layout.root().parent().map(Path::to_owned));
            Vec::new()
        }
        beside => beside?,
    };
    for path in beside {
        if may_have(vfs, &path, record)? {
            found.push(path);
        }
    }
    Ok(found)
}
