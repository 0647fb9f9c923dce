//! The command that writes conversations out.
//!
//! Owns the form of lines and where output goes. Nothing that is there already is ever overwritten, and a
//! file appears under its name only once it is complete. The layout of the original is the library's.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use aral_store::{Conversation, Error, ErrorKind, MessageStore, Order};

use crate::args::{ExportArgs, Target};
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::output::{self, count};
use crate::place;
use crate::show::no_conversation;

pub(crate) fn run(dir: &Path, args: &ExportArgs) -> Result<Exit, Failure> {
    let to_stdout = args.output == Path::new("-");
    if args.to == Target::Aral && to_stdout {
        let text = "aral is a directory; name it with -o PATH";
        return Err(Failure::Usage(text.to_owned()));
    }
    let store = place::for_reading(dir)?;
    let ids = chosen(&store, &args.conversations)?;
    match args.to {
        Target::Aral => {
            aral(&store, &args.output, (!args.conversations.is_empty()).then_some(ids.as_slice()))
        }
        Target::Jsonl if to_stdout => {
            let mut out = BufWriter::new(io::stdout().lock());
            let exit = lines(&store, &ids, &mut out, output::unwritten)?;
            out.flush().map_err(output::unwritten)?;
            Ok(exit)
        }
        Target::Jsonl => to_file(&args.output, |out| {
            lines(&store, &ids, out, |error| Failure::file("write", &args.output, error))
        }),
    }
    .map(|exit| if has_damage(&store, &args.conversations) { Exit::Corrupt } else { exit })
}

/// The conversations that were named, or all.
fn chosen(store: &MessageStore, named: &[String]) -> Result<Vec<String>, Failure> {
    if named.is_empty() {
        return Ok(store.conversations(Order::Created)?.into_iter().map(|summary| summary.id).collect());
    }
    named.iter().map(|id| ids::conversation(store, id)).collect()
}

/// Whether an export of everything leaves something out; the opening has named what.
fn has_damage(store: &MessageStore, named: &[String]) -> bool {
    named.is_empty() && !store.recovery().damaged.is_empty()
}

fn aral(store: &MessageStore, dir: &Path, ids: Option<&[String]>) -> Result<Exit, Failure> {
    let report = store.export_aral(dir, ids)?;
    for file in &report.damaged {
        output::error(&format!("not exported: {}", place::damage(file)));
    }
    let text = format!("exported {} to {}", count(report.conversations, "conversation"), dir.display());
    output::note(&text);
    Ok(if report.damaged.is_empty() { Exit::Done } else { Exit::Corrupt })
}

/// Writes a line for every conversation, message and action. What cannot be read is named and left out.
fn lines(
    store: &MessageStore,
    ids: &[String],
    out: &mut dyn Write,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for id in ids {
        match store.conversation(id) {
            Ok(Some(conversation)) => write_lines(&conversation, out).map_err(&failed)?,
            Ok(None) => return Err(no_conversation(id)),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                output::error(&error.context(&format!("conversation {id:?} is not exported")).to_string());
                exit = Exit::Corrupt;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(exit)
}

fn write_lines(conversation: &Conversation, out: &mut dyn Write) -> io::Result<()> {
    let id = Some(conversation.id.as_str());
    writeln!(out, "{}", conversation.to_header_line())?;
    for message in &conversation.messages {
        writeln!(out, "{}", message.to_json_line(id))?;
    }
    for action in &conversation.actions {
        writeln!(out, "{}", action.to_json_line(id))?;
    }
    Ok(())
}

/// Writes a new file under a passing name, and gives it its own once it is complete and on the device.
fn to_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let is_special = path.exists() && !path.is_file() && !path.is_dir();
    if is_special {
        // A device or a named pipe has no contents to keep.
        let mut out = BufWriter::new(open(path, Existing::Kept)?);
        let exit = write(&mut out)?;
        out.flush().map_err(|error| Failure::file("write", path, error))?;
        return Ok(exit);
    }
    if path.symlink_metadata().is_ok() {
        return Err(exists_already(path));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let file = open(&partial, Existing::Refused)?;
    let done = complete(file, &partial, path, write);
    remove(&partial);
    done
}

fn complete(
    file: File,
    partial: &Path,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(file);
    let exit = write(&mut out)?;
    let file = out.into_inner().map_err(|error| Failure::file("write", partial, error.into_error()))?;
    file.sync_all().map_err(|error| Failure::file("sync", partial, error))?;
    // A link, unlike a rename, fails if something has come to stand there meanwhile.
    match fs::hard_link(partial, path) {
        Ok(()) => Ok(exit),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists_already(path)),
        Err(_) => rename(partial, path).map(|()| exit),
    }
}

/// What to do with a file that is there.
#[derive(Clone, Copy)]
enum Existing {
    Kept,
    Refused,
}

fn open(path: &Path, existing: Existing) -> Result<File, Failure> {
    #[expect(clippy::disallowed_types, reason = "the export is no part of the store")]
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(matches!(existing, Existing::Refused));
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            return exists_already(path);
        }
        Failure::file("create", path, error)
    })
}

/// For file systems without links.
fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "the export is no part of the store")]
    fs::rename(from, to).map_err(|error| Failure::file("rename", from, error))
}

fn remove(path: &PathBuf) {
    // The export stands or has failed already; a file left behind is in nobody's way but its own.
    #[expect(clippy::disallowed_methods, reason = "the export is no part of the store")]
    drop(fs::remove_file(path));
}

fn exists_already(path: &Path) -> Failure {
    let text = "the file exists already and is not overwritten; name another one";
    Failure::Store(Error::invalid(text).at(path, None))
}
