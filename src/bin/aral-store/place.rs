//! Opening the store that a command is about.
//!
//! Owns how commands that read and commands that write open it, and the telling of what an opening found.

use std::path::Path;
use std::sync::Arc;

use aral_store::{DamagedFile, Error, ErrorKind, MessageStore, Options, RecoveryReport};

use crate::database;
use crate::exit::{Exit, Failure};
use crate::key;
use crate::output::{count, note};
use crate::patience;
use crate::progress::{self, Unit, Work};
use crate::salvage;
use crate::watched::Watched;

/// Opens a store for reading: takes no lock, writes nothing, and needs it to be there.
pub(crate) fn for_reading(dir: &Path) -> Result<MessageStore, Failure> {
    let store = quietly_for_reading(dir)?;
    tell(&store.recovery());
    Ok(store)
}

/// The same without telling what the opening found, for a command that tells it in its own way.
pub(crate) fn quietly_for_reading(dir: &Path) -> Result<MessageStore, Failure> {
    match database::of(dir)? {
        // Whether there is a store shows when it is opened, which a server need not be for twice.
        Some(database) => database.must_be_a_place()?,
        None => must_be_there(dir)?,
    }
    open(salvage::for_reading(key::options()), dir)
}

/// Opens a store for writing, making it if there is none.
pub(crate) fn for_writing(dir: &Path) -> Result<MessageStore, Failure> {
    for_writing_with(dir, key::options())
}

/// The same with options of its own.
pub(crate) fn for_writing_with(dir: &Path, options: Options) -> Result<MessageStore, Failure> {
    must_not_be_a_file(dir)?;
    let (is_directory, held) = (database::of(dir)?.is_none(), holds_something(dir));
    let looks_new = is_directory && !looks_like_a_store(dir);
    let store = open(patience::for_writing(options), dir)?;
    // A server would be asked twice; the opening knows.
    let is_new = if is_directory { looks_new } else { store.recovery().made };
    let is_beside = is_new && held;
    // Whoever mistyped the directory would miss what was added.
    if is_beside {
        let what = if is_directory { "directory" } else { "database" };
        note(&format!("made a new store in a {what} that holds other things, in {}", dir.display()));
    } else if is_new {
        note(&format!("made a new store in {}; --no-create refuses that", database::shown(dir).display()));
    }
    tell(&store.recovery());
    Ok(store)
}

/// The same without telling what the opening found.
pub(crate) fn quietly_for_writing(dir: &Path) -> Result<MessageStore, Failure> {
    open(patience::for_writing(key::options()), dir)
}

/// Opens a store for a change that makes sense only in one that is there already.
pub(crate) fn for_change(dir: &Path) -> Result<MessageStore, Failure> {
    must_be_there(dir)?;
    for_writing(dir)
}

/// Opens a store for consuming its events, for which a directory's writer is not needed and a database is written to.
pub(crate) fn for_consuming(dir: &Path) -> Result<MessageStore, Failure> {
    if database::of(dir)?.is_some() { for_change(dir) } else { for_reading(dir) }
}

/// Holds that there is a store in a directory.
pub(crate) fn must_be_there(dir: &Path) -> Result<(), Failure> {
    if let Some(database) = database::of(dir)? {
        return database.must_exist(dir);
    }
    must_exist(dir)?;
    must_hold_a_store(dir)
}

/// The options with a file system that moves a bar on, if anybody would see one.
pub(crate) fn watched(options: Options) -> Options {
    if progress::is_seen() { options.vfs(Arc::new(Watched::new())) } else { options }
}

/// Opens a store under the eyes of whoever waits at a terminal.
fn open(options: Options, dir: &Path) -> Result<MessageStore, Failure> {
    let options = watched(options);
    let _work = Work::begin("opening", Some(bytes_below(&dir.join("log"))), Unit::StoreBytes);
    Ok(options.connect(dir)?)
}

/// How many bytes the files below a directory have, as far as can be seen; for a bar, so nothing hangs on it.
pub(crate) fn bytes_below(dir: &Path) -> u64 {
    if !progress::is_seen() {
        return 0;
    }
    let (mut bytes, mut waiting) = (0, vec![dir.to_owned()]);
    while let Some(next) = waiting.pop() {
        #[expect(clippy::disallowed_methods, reason = "a size for a bar is no reading of the store")]
        let entries = std::fs::read_dir(next);
        for entry in entries.into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => waiting.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

pub(crate) fn must_exist(dir: &Path) -> Result<(), Failure> {
    if let Some(database) = database::of(dir)? {
        return database.must_exist(dir);
    }
    must_not_be_a_file(dir)?;
    match dir.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => {
            // A repair that was stopped has left it under another name, which the library knows.
            if has_been_repaired(dir) {
                key::options().read_only().open(dir)?;
            }
            if dir.is_symlink() {
                let text = "the name of the store is a symbolic link that leads nowhere; mount or make what it leads to";
                return Err(Error::new(ErrorKind::NotFound, text).at(dir, None).into());
            }
            let text = "there is no store; name its directory with -d DIR or ARAL_STORE_DIR, or make one with aral-store new";
            Err(Error::new(ErrorKind::NotFound, text).at(dir, None).into())
        }
        Err(error) => Err(Failure::file("look for the store", dir, error)),
    }
}

/// Whether a repaired store waits beside a directory to take its place.
fn has_been_repaired(dir: &Path) -> bool {
    let mut beside = dir.as_os_str().to_owned();
    beside.push(".repaired");
    Path::new(&beside).is_dir()
}

/// What a store, or the original, leaves in its directory.
const SIGNS: [&str; 3] = ["message_store.json", "conversations", "log"];

/// Whether a directory has the signs of a store. What cannot be looked at may be one, as may every database.
pub(crate) fn looks_like_a_store(dir: &Path) -> bool {
    if let Ok(Some(database)) = database::of(dir) {
        return database.may_hold_a_store(dir);
    }
    SIGNS.iter().any(|name| dir.join(name).try_exists().unwrap_or(true))
}

/// Whether there is something in a directory, or in a database's file.
fn holds_something(dir: &Path) -> bool {
    if let Ok(Some(database)) = database::of(dir) {
        return database.holds_something();
    }
    #[expect(clippy::disallowed_methods, reason = "what is in there may be no store")]
    let is_empty = std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    !is_empty
}

pub(crate) fn must_hold_a_store(dir: &Path) -> Result<(), Failure> {
    if looks_like_a_store(dir) {
        return Ok(());
    }
    if dir.join("aral-backup").is_file() {
        let text = "this directory holds a backup, of which `aral-store restore` makes a store";
        return Err(Error::invalid(text).at(dir, None).into());
    }
    let text = "there is no store in this directory; name another one with -d DIR or ARAL_STORE_DIR";
    Err(Error::new(ErrorKind::NotFound, text).at(dir, None).into())
}

fn must_not_be_a_file(dir: &Path) -> Result<(), Failure> {
    // Before anything else is said of it: what a URL holds is not for the screen.
    if database::of(dir)?.is_none() && dir.is_file() {
        let text = "the store must be a directory, and this is a file";
        let hint = if database::is_sqlite(dir) { " of SQLite's: write sqlite: before its name" } else { "" };
        return Err(Failure::Store(Error::invalid(format!("{text}{hint}")).at(dir, None)));
    }
    Ok(())
}

/// A damaged file in words: where, whose, and why.
pub(crate) fn damage(file: &DamagedFile) -> String {
    let whose = match &file.conversation_id {
        Some(id) if file.is_forbidden => format!("conversation {id:?}: "),
        Some(id) => format!("damaged conversation {id:?}: "),
        None if file.is_forbidden => String::new(),
        None if is_no_conversations(file) => "not taken in: ".to_owned(),
        None => "damaged: ".to_owned(),
    };
    let offset = file.offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
    format!("{whose}{}, in {}{offset}", file.reason, file.path.display())
}

/// Tells what an opening found, a line each; says nothing about what is in order.
pub(crate) fn tell(report: &RecoveryReport) {
    salvage::tell(report);
    if let Some(torn) = &report.torn {
        let kept = match &torn.quarantine {
            Some(path) => format!("; kept in {}", path.display()),
            None => String::new(),
        };
        note(&format!(
            "the last writer was stopped while it wrote: {} that {} never acknowledged as durable cut off, in {} at byte {}{kept}",
            count(torn.bytes, "byte"),
            if torn.bytes == 1 { "was" } else { "were" },
            torn.path.display(),
            torn.offset,
        ));
    }
    for orphaned in &report.orphaned {
        note(&format!(
            "events {} to {} of a writer that was overtaken by another do not count; verify tells more; in {} at byte {}",
            orphaned.first_seq,
            orphaned.last_seq,
            orphaned.path.display(),
            orphaned.offset,
        ));
    }
    if let Some(epoch) = report.completed_compaction {
        note(&format!("an interrupted compaction has been completed, epoch {epoch}"));
    }
    for path in &report.unlisted {
        note(&format!("taken in although message_store.json does not list it: {}", path.display()));
    }
    for path in &report.mended {
        note(&format!("could not be read before, and is taken in now: {}", path.display()));
    }
    for path in &report.removed {
        note(&format!("removed what an interrupted write left: {}", path.display()));
    }
    for file in &report.damaged {
        note(&damage(file));
    }
}

/// What a command ends with that has read all it was asked for: if more than a single conversation's file is
/// amiss, that need not be all there was.
pub(crate) fn verdict(store: &MessageStore) -> Exit {
    let damaged = store.recovery().damaged;
    let of_none = damaged.iter().filter(|file| file.conversation_id.is_none());
    amiss(of_none.filter(|file| !is_the_list(file) && !is_no_conversations(file)))
}

/// What it comes to that these files cannot be read: damage, or for this user only.
pub(crate) fn amiss<'f>(files: impl IntoIterator<Item = &'f DamagedFile>) -> Exit {
    let exit = |file: &DamagedFile| if file.is_forbidden { Exit::Error } else { Exit::Corrupt };
    files.into_iter().map(exit).fold(Exit::Done, Exit::graver)
}

/// The same for an error of a read.
pub(crate) fn amiss_by(error: &Error) -> Exit {
    use std::error::Error as _;
    let cause = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    let is_forbidden = cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::PermissionDenied);
    if is_forbidden { Exit::Error } else { Exit::Corrupt }
}

/// Whether a file is the list of conversations, which is for the original's eyes: the store has its own.
pub(crate) fn is_the_list(file: &DamagedFile) -> bool {
    file.path.ends_with("message_store.json")
}

/// Whether a file lies among the conversations' and is none's, so that it is missing from none.
pub(crate) fn is_no_conversations(file: &DamagedFile) -> bool {
    let dir = file.path.parent().and_then(Path::file_name);
    file.conversation_id.is_none() && dir.is_some_and(|dir| dir == "conversations")
}

/// Whether an error of a read is about what is read, which is named, and keeps nothing else out.
pub(crate) fn is_unreadable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io)
}
