//! What takes something away for good, or for its age, and the proof of it.
//!
//! Owns the crossing of policies, receipts and reports; what they mean is the store's.

use std::path::PathBuf;

use aral_store::{Erasure, ErasureReport, Pruned, Retention, Timestamp};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::core::Core;
use crate::failure::raised;
use crate::text::{id_of, string_of, text_of};

/// A conversation's id, whether all of it goes, how many messages and actions, the first and the last message, the time of its last
/// activity, and the first and the last event.
type PrunedRow<'py> = (
    String,
    bool,
    u64,
    u64,
    Option<(Bound<'py, PyString>, Bound<'py, PyString>)>,
    String,
    Option<(u64, u64)>,
);

/// Messages, actions, events, files, what is not erased, what is out of reach, forks, what cannot be told, and the receipt.
type ErasureRow =
    (u64, u64, Vec<(u64, u64)>, Vec<PathBuf>, Vec<PathBuf>, Vec<String>, Vec<String>, u64, String);

fn pruned_row<'py>(py: Python<'py>, pruned: &Pruned) -> PyResult<PrunedRow<'py>> {
    let range = match &pruned.range {
        Some((first, last)) => Some((string_of(py, first)?, string_of(py, last)?)),
        None => None,
    };
    let (id, time) = (pruned.conversation_id.clone(), pruned.last_activity.to_string());
    Ok((id, pruned.is_whole, pruned.messages, pruned.actions, range, time, pruned.events))
}

/// Takes away what a policy means, or says what that would be; and names the conversations that were changed meanwhile.
#[pyfunction]
#[pyo3(signature = (core, older_than, keep_last, conversations, dry_run))]
#[expect(clippy::too_many_arguments, reason = "the arguments are those that Python hands over")]
pub(crate) fn prune<'py>(
    py: Python<'py>,
    core: &Core,
    older_than: Option<&str>,
    keep_last: Option<usize>,
    conversations: Vec<String>,
    dry_run: bool,
) -> PyResult<(Vec<PrunedRow<'py>>, Vec<String>)> {
    let mut policy = Retention::new().only(conversations);
    if let Some(text) = older_than {
        policy = policy.older_than(text.parse::<Timestamp>().map_err(|error| raised(py, &error))?);
    }
    if let Some(count) = keep_last {
        policy = policy.keep_last(count);
    }
    let (pruned, changed) = core.detached(py, |store| {
        if dry_run {
            return Ok((store.prunable(&policy)?, Vec::new()));
        }
        let report = store.prune(&policy)?;
        Ok((report.pruned, report.changed))
    })?;
    let rows = pruned.iter().map(|pruned| pruned_row(py, pruned)).collect::<PyResult<_>>()?;
    Ok((rows, changed))
}

fn erasure_row(report: ErasureReport) -> ErasureRow {
    (
        report.messages,
        report.actions,
        report.events,
        report.files,
        report.not_erased,
        report.beyond,
        report.forks,
        report.untold,
        report.receipt,
    )
}

/// Erases a conversation, or the messages of one that have an id, or says what that would take.
#[pyfunction]
#[pyo3(signature = (core, id, message, dry_run))]
pub(crate) fn erase(
    py: Python<'_>,
    core: &Core,
    id: &Bound<'_, PyString>,
    message: Option<&Bound<'_, PyString>>,
    dry_run: bool,
) -> PyResult<ErasureRow> {
    let id = id_of(id)?;
    let what = match message {
        Some(message) => Erasure::message(id, text_of(message)?),
        None => Erasure::conversation(id),
    };
    let report =
        core.detached(py, |store| if dry_run { store.erasable(&what) } else { store.erase(&what) })?;
    Ok(erasure_row(report))
}

/// Where the texts of a receipt are: in the store, beside it, and in these places.
#[pyfunction]
pub(crate) fn remnants(
    py: Python<'_>,
    core: &Core,
    receipt: &str,
    also: Vec<PathBuf>,
) -> PyResult<Vec<(PathBuf, Option<u64>)>> {
    let found = core.detached(py, |store| store.remnants(receipt, &also))?;
    Ok(found.into_iter().map(|place| (place.path, place.offset)).collect())
}
