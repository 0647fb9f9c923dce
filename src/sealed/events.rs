//! Events, sealed one by one.
//!
//! Owns the layout of a sealed event in docs/format.md, section "An encrypted store".

use std::io;

use super::cipher::{self, NONCE, TAG};
use super::keyring::{KeyId, Keyring, hex};
use crate::clock::random_bytes;
use crate::vfs::EventSeal;

/// What stands before an event that is sealed: its length (4), the name of its key (24), the nonce.
const BEFORE: usize = 4 + 24 + NONCE;

impl EventSeal for Keyring {
    fn prepare(&self, conversations: &mut dyn Iterator<Item = &str>) -> io::Result<()> {
        self.prepare_all(conversations).map_err(io::Error::other)
    }

    fn seal(&self, conversation: &str, bytes: &mut Vec<u8>, start: usize) -> io::Result<()> {
        let (id, key) = self.sealing(conversation).map_err(io::Error::other)?;
        let plain = bytes.len().saturating_sub(start);
        let length = u32::try_from(BEFORE + plain + TAG).map_err(io::Error::other)?;
        bytes.resize(start + BEFORE + plain, 0);
        bytes.copy_within(start..start + plain, start + BEFORE);
        let Some((head, event)) = bytes.get_mut(start..).and_then(|b| b.split_at_mut_checked(BEFORE)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let (nonce, tag) = cipher::seal(&key, &self.bound(&id), event)?;
        for (to, from) in head.iter_mut().zip(length.to_le_bytes().iter().chain(&id).chain(&nonce)) {
            *to = *from;
        }
        bytes.extend(tag);
        Ok(())
    }

    fn length(&self, sealed: &[u8]) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(*sealed.first_chunk()?)).ok()
    }

    fn open(&self, sealed: &[u8], plain: &mut Vec<u8>) -> io::Result<usize> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "an event is not as it was sealed");
        let length = self.length(sealed).ok_or_else(bad)?;
        let event = sealed.get(..length).filter(|_| length >= BEFORE + TAG).ok_or_else(bad)?;
        let id: KeyId = event.get(4..28).and_then(|id| id.try_into().ok()).ok_or_else(bad)?;
        let (nonce, rest) = event.get(28..).and_then(|r| r.split_at_checked(NONCE)).ok_or_else(bad)?;
        let (text, tag) = rest.split_at_checked(rest.len().saturating_sub(TAG)).ok_or_else(bad)?;
        let key = self.known(&id).map_err(io::Error::other)?;
        let start = plain.len();
        plain.try_reserve(text.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        plain.extend_from_slice(text);
        let room = plain.get_mut(start..).unwrap_or_default();
        cipher::open(&key, &self.bound(&id), nonce, room, tag).ok_or_else(bad)?;
        Ok(length)
    }

    fn retire(&self, conversation: &str) -> io::Result<()> {
        self.retire_keys(conversation).map_err(io::Error::other)
    }

    fn destroy_retired(&self, conversation: &str) -> io::Result<()> {
        self.destroy_keys(conversation).map_err(io::Error::other)
    }

    fn new_name(&self) -> io::Result<String> {
        Ok(format!("{}.json", hex(&random_bytes::<16>()?)))
    }
}
