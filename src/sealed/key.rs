//! The key that a store is opened with.
//!
//! Owns what a key is as bytes and as text. Does not know what it opens.

use std::fmt::{self, Write as _};
use std::io;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::clock::random_bytes;
use crate::error::{Error, ErrorKind, Result};
use crate::vfs::{self, OpenMode, OsVfs, Vfs};

/// The longest file that is read as a key.
const MAX_KEY_FILE: u64 = 4096;

/// The key of an encrypted store: 32 bytes, of which nothing is left in memory when it is dropped.
#[derive(Clone)]
pub struct Key(pub(super) Zeroizing<[u8; 32]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// The key with these bytes, which must come from a random source.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new key from the system's random source.
    ///
    /// # Errors
    ///
    /// `Io` if the system has none.
    pub fn generate() -> Result<Self> {
        let bytes = random_bytes().map_err(|e| Error::new(ErrorKind::Io, format!("no random bytes: {e}")))?;
        Ok(Self::from_bytes(bytes))
    }

    /// A key as text: 64 hexadecimal digits, with or without a line end behind them.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for anything else.
    ///
    /// ```
    /// assert!(aral_store::Key::from_hex(&"0f".repeat(32)).is_ok());
    /// assert!(aral_store::Key::from_hex("0f").is_err());
    /// ```
    pub fn from_hex(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes())
    }

    /// The key in a file: 64 hexadecimal digits, with or without a line end behind them, or exactly 32 bytes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a file that has anything else; those of the system.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |e: io::Error| Error::io("read", path, e).context("the key");
        // A secret that is mounted into a container is mostly a link.
        let place = OsVfs.canonical(path).map_err(failed)?;
        let file = OsVfs.open(&place, OpenMode::Read).map_err(failed)?;
        let bytes = Zeroizing::new(vfs::read_all(&*file, MAX_KEY_FILE).map_err(failed)?);
        Self::parse(&bytes).map_err(|error| error.at(path, None))
    }

    /// The key as text: 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0.iter() {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
        }
        text
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        if let Ok(bytes) = <[u8; 32]>::try_from(bytes) {
            return Ok(Self::from_bytes(bytes));
        }
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let mut key = Zeroizing::new([0; 32]);
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let is_key = text.len() == 64
            && key.iter_mut().zip(text.chunks_exact(2)).all(|(byte, digits)| {
                let [high, low] = digits else { return false };
                let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return false };
                *byte = high << 4 | low;
                true
            });
        if is_key {
            return Ok(Self(key));
        }
        let reason = format!(
            "a key is 64 hexadecimal digits, a line end behind them allowed, or 32 bytes and nothing behind them; \
             this has {} bytes{}",
            bytes.len(),
            if text.len() == 64 { " and something else than digits among them" } else { "" }
        );
        Err(Error::invalid(reason))
    }
}

/// Where the key of a store comes from when it is needed.
#[derive(Clone)]
pub(crate) struct KeySource(Arc<dyn Fn() -> Result<Key> + Send + Sync>);

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySource(..)")
    }
}

impl KeySource {
    pub(crate) fn new(ask: impl Fn() -> Result<Key> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) fn key(&self) -> Result<Key> {
        (self.0)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_each_of_its_forms_and_in_no_other() {
        let digits: String = "0123456789abcdefABCDEF".chars().cycle().take(64).collect();
        let key = Key::from_hex(&digits).unwrap();
        assert_eq!(key.to_hex(), digits.to_lowercase());
        for same in [format!("{digits}\n"), format!("{digits}\r\n")] {
            assert_eq!(Key::from_hex(&same).unwrap().0, key.0);
        }
        assert_eq!(Key::parse(&key.0[..]).unwrap().0, key.0);
        let raw_with_a_line_end = [&key.0[..], b"\n"].concat();
        for other in [
            &raw_with_a_line_end[..],
            b"",
            b"\n",
            &key.0[..31],
            format!("{digits}\n\n").as_bytes(),
            format!(" {digits}").as_bytes(),
            &digits.as_bytes()[..63],
            digits.replacen('0', "g", 1).as_bytes(),
        ] {
            let error = Key::parse(other).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains("64 hexadecimal digits"), "{error}");
        }
        assert_eq!(format!("{key:?}"), "Key(..)");
    }
}
