//! What a log goes on from.

use std::path::PathBuf;
use std::sync::Arc;

use super::claim::Right;
use crate::codec::segment::{Previous, StoreId};
use crate::vfs::Vfs;

/// The sizes of segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long the first segment of an opening is; each next one is four times as long, up to `segment`.
    pub(crate) first_segment: u64,
    /// How long a segment is, unless one batch needs more.
    pub(crate) segment: u64,
}

/// What an [`Active`] is made from.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) dir: PathBuf,
    pub(crate) store_id: StoreId,
    pub(crate) writer_epoch: u64,
    /// The end of the last segment of the writer before.
    pub(crate) previous: Previous,
    pub(crate) limits: Limits,
    pub(crate) checkpoint_epoch: u64,
    /// What is looked at before anything counts.
    pub(crate) right: Arc<dyn Right>,
}
