//! Asking until there is an answer.
//!
//! Owns what a request is that nobody answered: one that reads is sent again, and of one that writes it is looked up what
//! became of it. An object that is made under a name that none is ever given back has one maker, and that can be found out at any time.

use super::objects::{Answer, Found, Objects, Trouble, Version, Written};
use crate::error::{Error, ErrorKind, Result};

/// Whose object is under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Made {
    Mine,
    Theirs(Found),
}

/// Sends a request that changes nothing, or the same when sent twice, until there is an answer.
pub(super) fn until<T>(objects: &dyn Objects, mut send: impl FnMut() -> Answer<T>) -> Result<T> {
    for tries in 0.. {
        match send() {
            Ok(answer) => return Ok(answer),
            Err(Trouble::Final(error)) => return Err(error.at(objects.place(), None)),
            Err(trouble) => {
                if !objects.pause(tries) {
                    return Err(trouble.into_error().at(objects.place(), None));
                }
            }
        }
    }
    Err(Error::new(ErrorKind::Io, "no answer"))
}

/// Reads an object; `None` if there is none.
pub(super) fn get(objects: &dyn Objects, name: &str) -> Result<Option<Found>> {
    until(objects, || objects.get(name))
}

/// The names that begin with this.
pub(super) fn list(objects: &dyn Objects, prefix: &str) -> Result<Vec<String>> {
    list_behind(objects, prefix, "")
}

/// Those of them that come behind another.
pub(super) fn list_behind(objects: &dyn Objects, prefix: &str, behind: &str) -> Result<Vec<String>> {
    until(objects, || objects.list(prefix, behind))
}

/// The names that begin with this, and how many bytes each has.
pub(super) fn list_sized(objects: &dyn Objects, prefix: &str) -> Result<Vec<(String, u64)>> {
    until(objects, || objects.list_sized(prefix))
}

/// Removes an object, if it is there.
pub(super) fn delete(objects: &dyn Objects, name: &str) -> Result<()> {
    until(objects, || objects.delete(name))
}

/// Makes an object, or finds out who did; `is_mine` tells by what is there.
///
/// # Errors
///
/// If it stays open whether it was made, an error that says so.
pub(super) fn create(
    objects: &dyn Objects,
    name: &str,
    bytes: &[u8],
    is_mine: &dyn Fn(&[u8]) -> bool,
) -> Result<Made> {
    let mut is_open = false;
    for tries in 0.. {
        let trouble = match objects.create(name, bytes) {
            Ok(Written::Done) => return Ok(Made::Mine),
            // It may have been made by a request that nobody answered, or that was sent twice on its way.
            Ok(Written::Refused) => {
                Trouble::Busy(Error::new(ErrorKind::Io, "the name is taken, and nothing is there"))
            }
            Err(trouble) => trouble,
        };
        if let Trouble::Final(error) = trouble {
            let error = if is_open { undecided(&error) } else { error };
            return Err(error.at(objects.place(), None));
        }
        is_open |= matches!(trouble, Trouble::Open(_));
        // Order: look before sending again. What is there by now says whose it is, and is never replaced by another's.
        match objects.get(name) {
            Ok(Some(found)) if is_mine(&found.bytes) => return Ok(Made::Mine),
            Ok(Some(found)) => return Ok(Made::Theirs(found)),
            // Nobody will find that out, however often it is tried.
            Err(Trouble::Final(error)) => return Err(undecided(&error).at(objects.place(), None)),
            Ok(None) | Err(Trouble::Open(_) | Trouble::Busy(_)) => {}
        }
        if !objects.pause(tries) {
            let error = trouble.into_error();
            let error = if is_open { undecided(&error) } else { error };
            return Err(error.at(objects.place(), None));
        }
    }
    Err(Error::new(ErrorKind::Io, "no answer"))
}

fn undecided(error: &Error) -> Error {
    let reason = format!(
        "nobody answered ({error}), and whether it took place could not be found out; try again with the same key, which \
         makes it happen once"
    );
    Error::new(ErrorKind::Io, reason)
}

/// Replaces an object that is as it was read; false if it is not any more. One that nobody answered counts as done if what is
/// there by now is what was to be there.
pub(super) fn replace(objects: &dyn Objects, name: &str, bytes: &[u8], read: &Version) -> Result<bool> {
    until(objects, || match objects.replace(name, bytes, read) {
        Ok(Written::Done) => Ok(true),
        Ok(Written::Refused) => Ok(objects.get(name)?.is_some_and(|found| found.bytes == bytes)),
        Err(trouble) => Err(trouble),
    })
}
