//! The key of an encrypted store.
//!
//! Owns where a command takes the key from.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

use aral_store::{Key, MessageStore, Options};

use crate::exit::Failure;
use crate::output::note;

/// The variable that has the key where no file is named.
const VARIABLE: &str = "ARAL_STORE_KEY";

static CHOSEN: OnceLock<Key> = OnceLock::new();

/// Takes note of the key that was given, if one was.
pub(crate) fn choose(file: Option<&Path>) -> Result<(), Failure> {
    let key = match file {
        Some(file) => read(file)?,
        None => match std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
            None => return Ok(()),
            Some(text) => {
                // What is wrong with it is told, and not what it is.
                let key = text.to_str().and_then(|text| Key::from_hex(text).ok());
                key.ok_or_else(|| {
                    Failure::Usage(format!("{VARIABLE} is no key: it takes 64 hexadecimal digits"))
                })?
            }
        },
    };
    CHOSEN.get_or_init(|| key);
    Ok(())
}

/// The key in a file.
pub(crate) fn read(file: &Path) -> Result<Key, Failure> {
    let key = Key::read(file)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "who may read the file of a key is no matter of the store's"
    )]
    let mode = std::fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        let file = file.display();
        note(&format!(
            "others than its owner may read or write the key; chmod 600 {file} keeps it to one user"
        ));
    }
    Ok(key)
}

/// Whether a key was given.
pub(crate) fn is_given() -> bool {
    CHOSEN.get().is_some()
}

/// Options with the key, if one was given.
pub(crate) fn options() -> Options {
    let options = MessageStore::options();
    CHOSEN.get().map_or_else(|| options.clone(), |key| options.clone().key(key.clone()))
}
