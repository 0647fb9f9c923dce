//! Keys of encrypted stores, as Python has them.
//!
//! Owns the two forms that a key comes in.

use aral_store::{Error, Key, Result};

/// The key that bytes are: 32 of them, or 64 hexadecimal digits.
pub(crate) fn key_of(bytes: &[u8]) -> Result<Key> {
    if let Ok(bytes) = <[u8; 32]>::try_from(bytes) {
        return Ok(Key::from_bytes(bytes));
    }
    let text = std::str::from_utf8(bytes);
    text.map_err(|_| Error::invalid("a key is 32 bytes, or a text of 64 hexadecimal digits"))
        .and_then(Key::from_hex)
}
