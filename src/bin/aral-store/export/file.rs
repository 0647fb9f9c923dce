//! The file that an export goes to.
//!
//! Owns that nothing that is there already is ever overwritten, and that a file appears under its name only
//! once it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use aral_store::{Error, location};

use crate::exit::{Exit, Failure};

/// Writes a new file under a passing name, and gives it its own once it is complete and on the device.
pub(super) fn to_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    location::check_file(path)?;
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
    if partial.symlink_metadata().is_ok() {
        let text = "it is left of an export that was stopped, or is being written by another one; remove it if nobody \
                    writes it, and export again";
        return Err(Failure::Store(Error::invalid(text).at(&partial, None)));
    }
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
