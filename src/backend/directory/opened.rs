//! What an opening found.

use super::completeness::MarkerFile;
use crate::codec::control::Control;
use crate::index::Index;
use crate::log::recovery::Replayed;
use crate::model::RecoveryReport;

/// What opening found.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) index: Index,
    pub(crate) replayed: Replayed,
    pub(crate) report: RecoveryReport,
    pub(crate) control: Option<Control>,
    /// Whether every file of the snapshot has been looked at.
    pub(crate) is_settled: bool,
    /// The newest checkpoint that was there; a reader's index may have a later one.
    pub(super) found_epoch: u64,
    /// What stands outside of the log to say that there is one.
    pub(super) marker: MarkerFile,
}
