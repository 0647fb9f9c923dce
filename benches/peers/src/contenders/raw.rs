//! The limits of the machine: records written to one file, with nothing around them.
//!
//! Owns four ways to write: into blocks that are reserved, into blocks that are written already, the same behind a bare
//! group commit, and a plain write to a file that grows.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use super::group::GroupCommit;
use crate::Outcome;
use crate::peer::Peer;
use crate::wire;
use crate::workload::{Digest, Row};

/// How long the file is; no sample writes more.
pub(crate) const LENGTH: u64 = 96 << 20;

/// What the file is before the first record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Blocks {
    Reserved,
    Written,
    /// There are none: the file grows, and nothing is synced.
    None,
}

/// Opens the file, made ready as told.
pub(crate) fn open_file(dir: &Path, blocks: Blocks) -> Outcome<File> {
    let path = dir.join("raw");
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    if is_new && blocks != Blocks::None {
        match blocks {
            Blocks::Reserved => {
                rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, LENGTH)?;
            }
            Blocks::Written | Blocks::None => {
                let zeros = vec![0; 1 << 20];
                for _ in 0..LENGTH >> 20 {
                    file.write_all(&zeros)?;
                }
            }
        }
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
    }
    Ok(file)
}

/// A record: length, checksum, and what a message needs to be found again.
pub(crate) fn frame(row: &Row, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&row.talk.number.to_le_bytes());
    out.extend_from_slice(&row.seq.to_le_bytes());
    wire::encode(row, out);
    let Some((_, body)) = out.split_at_checked(start + 8) else { return };
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    let crc = crc32fast::hash(body).to_le_bytes();
    if let Some(head) = out.get_mut(start..start + 8) {
        let (first, second) = head.split_at_mut(4);
        first.copy_from_slice(&length);
        second.copy_from_slice(&crc);
    }
}

/// All records from the start of the file, checked.
pub(crate) fn digest_of(mut file: &File) -> Outcome<Digest> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let (mut digest, mut rest) = (Digest::default(), bytes.as_slice());
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let word =
            |at: usize| head.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes);
        let (Some(length), Some(crc)) = (word(0), word(4)) else { break };
        if length == 0 {
            break;
        }
        let (body, after) =
            after.split_at_checked(usize::try_from(length)?).ok_or("a record without an end")?;
        if crc32fast::hash(body) != crc {
            return Err("a record that does not check".into());
        }
        let message = wire::decode(body.get(8..).unwrap_or_default())?;
        digest.add(message.id, message.content);
        rest = after;
    }
    Ok(digest)
}

/// One file, one record a call.
#[derive(Debug)]
pub(crate) struct Raw {
    file: File,
    syncs: bool,
    state: Mutex<(u64, Vec<u8>)>,
}

impl Raw {
    pub(crate) fn open(dir: &Path, blocks: Blocks) -> Outcome<Self> {
        let file = open_file(dir, blocks)?;
        Ok(Self { file, syncs: blocks != Blocks::None, state: Mutex::default() })
    }

    fn write(&self, rows: &[Row]) -> Outcome<()> {
        let mut state = self.state.lock().map_err(|_| "poisoned")?;
        let (end, buffer) = &mut *state;
        buffer.clear();
        for row in rows {
            frame(row, buffer);
        }
        self.file.write_all_at(buffer, *end)?;
        *end += u64::try_from(buffer.len())?;
        if self.syncs {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

impl Peer for Raw {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.write(std::slice::from_ref(row))
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        self.write(rows)
    }

    fn digest(&self) -> Outcome<Digest> {
        digest_of(&self.file)
    }
}

/// One file behind a group commit.
#[derive(Debug)]
pub(crate) struct RawGroup {
    commit: GroupCommit,
}

impl RawGroup {
    pub(crate) fn open(dir: &Path, blocks: Blocks) -> Outcome<Self> {
        Ok(Self { commit: GroupCommit::new(open_file(dir, blocks)?) })
    }
}

impl Peer for RawGroup {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.append_batch(std::slice::from_ref(row))
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        let mut bytes = Vec::with_capacity(rows.len() * 300);
        for row in rows {
            frame(row, &mut bytes);
        }
        self.commit.append(&bytes)
    }

    fn digest(&self) -> Outcome<Digest> {
        digest_of(self.commit.file())
    }
}
