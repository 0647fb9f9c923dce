//! Damage to one conversation's file while its store lives on.
//!
//! Owns which file it is, what it held, and what it holds instead. One bit is flipped, so that nobody can take it for an
//! edit.

use std::path::{Path, PathBuf};

use super::simfs::SimFs;

/// A file that is damaged, or was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Damage {
    /// The conversation whose file it is.
    pub(crate) id: String,
    pub(crate) path: PathBuf,
    whole: Vec<u8>,
    broken: Vec<u8>,
}

impl Damage {
    /// Damages one of the conversations' files that there are; none if there are none.
    pub(crate) fn happen(fs: &SimFs, dir: &Path, seed: u64) -> Option<Self> {
        let folder = dir.join("conversations");
        let is_one =
            |path: &PathBuf| path.parent() == Some(&folder) && path.extension() == Some("json".as_ref());
        let mut all: Vec<PathBuf> = fs.files().into_iter().map(|(path, _)| path).filter(is_one).collect();
        all.sort();
        let pick = |count: usize| usize::try_from(seed).unwrap_or(0) % count.max(1);
        let path = all.get(pick(all.len()))?.clone();
        let whole = fs.read(&path)?;
        // What only Python can read names no conversation here.
        let id = serde_json::from_slice::<serde_json::Value>(&whole).ok()?["id"].as_str()?.to_owned();
        let mut broken = whole.clone();
        *broken.get_mut(pick(whole.len()))? ^= 1 << pick(7);
        fs.put(&path, &broken);
        Some(Self { id, path, whole, broken })
    }

    /// Whether the file is still the damaged one.
    pub(crate) fn is_there(&self, fs: &SimFs) -> bool {
        fs.read(&self.path).is_some_and(|bytes| bytes == self.broken)
    }

    /// Puts the file back, if it is still the damaged one.
    pub(crate) fn put_back(&self, fs: &SimFs) {
        if self.is_there(fs) {
            fs.put(&self.path, &self.whole);
        }
    }
}
