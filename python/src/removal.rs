//! What takes something away for good, or for its age, and the proof of it.
//!
//! Owns the crossing of policies, receipts and reports; what they mean is the store's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aral_store::{
    Erasure, ErasureReport, PruneReport, Pruned, Result, Retention, RetentionPolicy, Timestamp, Where,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::core::{Core, ReceiptRow, receipt_row};
use crate::failure::{invalid, raised};
use crate::report;
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

/// Takes away what a policy means, or what the store remembers of what is kept where none is given, or says what that would be; and names the
/// conversations that were changed meanwhile, and those whose policy cannot be read.
#[pyfunction]
#[pyo3(signature = (core, older_than, keep_last, conversations, dry_run))]
#[expect(clippy::too_many_arguments, reason = "the arguments are those that Python hands over")]
#[expect(clippy::type_complexity, reason = "the stub has a name for each part")]
pub(crate) fn prune<'py>(
    py: Python<'py>,
    core: &Core,
    older_than: Option<&str>,
    keep_last: Option<usize>,
    conversations: Vec<String>,
    dry_run: bool,
) -> PyResult<(Vec<PrunedRow<'py>>, Vec<String>, BTreeMap<String, String>)> {
    let mut policy = Retention::new();
    if let Some(text) = older_than {
        policy = policy.older_than(text.parse::<Timestamp>().map_err(|error| raised(py, &error))?);
    }
    if let Some(count) = keep_last {
        policy = policy.keep_last(count);
    }
    let is_stored = older_than.is_none() && keep_last.is_none();
    let report = core.detached(py, |store| match (is_stored, dry_run) {
        (true, true) => store.prunable_as_stored(&conversations),
        (true, false) => store.prune_as_stored(&conversations),
        (false, true) => {
            let mut report = PruneReport::default();
            report.pruned = store.prunable(&policy.only(conversations))?;
            Ok(report)
        }
        (false, false) => store.prune(&policy.only(conversations)),
    })?;
    let rows = report.pruned.iter().map(|pruned| pruned_row(py, pruned)).collect::<PyResult<_>>()?;
    Ok((rows, report.changed, report.unread))
}

/// How many seconds ago what goes was last active, at least, and how many messages stay.
type PolicyRow = (Option<u64>, Option<usize>);

fn policy_row(policy: &RetentionPolicy) -> PolicyRow {
    (policy.older_than.map(|span| span.as_secs()), policy.keep_last)
}

/// Remembers what is kept of a conversation, or of all that have no policy of their own.
#[pyfunction]
#[pyo3(signature = (core, conversation, older_than, keep_last))]
pub(crate) fn set_retention<'py>(
    py: Python<'py>,
    core: &Core,
    conversation: Option<&Bound<'_, PyString>>,
    older_than: Option<f64>,
    keep_last: Option<usize>,
) -> PyResult<ReceiptRow<'py>> {
    let mut policy = RetentionPolicy::new();
    if let Some(seconds) = older_than {
        let span = Duration::try_from_secs_f64(seconds);
        let span = span.map_err(|_| invalid(py, "older_than must be a time above 0"))?;
        policy = policy.older_than(span);
    }
    policy.keep_last = keep_last;
    let conversation = conversation.map(id_of).transpose()?;
    let receipt = core.detached(py, |store| store.set_retention(conversation.as_deref(), &policy))?;
    receipt_row(py, &receipt)
}

/// Forgets it.
#[pyfunction]
#[pyo3(signature = (core, conversation))]
pub(crate) fn clear_retention<'py>(
    py: Python<'py>,
    core: &Core,
    conversation: Option<&Bound<'_, PyString>>,
) -> PyResult<Option<ReceiptRow<'py>>> {
    let conversation = conversation.map(id_of).transpose()?;
    let receipt = core.detached(py, |store| store.clear_retention(conversation.as_deref()))?;
    receipt.map(|receipt| receipt_row(py, &receipt)).transpose()
}

/// What the store remembers of what is kept: for all, for conversations, and which of those cannot be read.
#[pyfunction]
#[expect(clippy::type_complexity, reason = "the stub has a name for each part")]
pub(crate) fn retention(
    py: Python<'_>,
    core: &Core,
) -> PyResult<(Option<PolicyRow>, BTreeMap<String, PolicyRow>, BTreeMap<String, String>)> {
    let kept = core.detached(py, |store| store.retention())?;
    let of = kept.conversations.into_iter().map(|(id, policy)| (id, policy_row(&policy)));
    Ok((kept.store.as_ref().map(policy_row), of.collect(), kept.unread))
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

/// The id of a conversation and, where one of its messages is meant, of that.
type MeantRow<'py> = (String, Option<Bound<'py, PyString>>);

fn meant_row<'py>(py: Python<'py>, what: &Erasure) -> PyResult<MeantRow<'py>> {
    let message = what.message_id.as_ref().map(|id| string_of(py, id)).transpose()?;
    Ok((what.conversation_id.clone(), message))
}

/// Erases all that meets conditions, or says what that would take; what met them only before, and what cannot be read.
#[pyfunction]
#[expect(clippy::type_complexity, reason = "the stub has a name for each part")]
pub(crate) fn erase_where<'py>(
    py: Python<'py>,
    core: &Core,
    conditions: &str,
    dry_run: bool,
) -> PyResult<(Vec<(MeantRow<'py>, ErasureRow)>, Vec<MeantRow<'py>>, Bound<'py, PyList>)> {
    let conditions = Where::parse(conditions).map_err(|error| raised(py, &error))?;
    let (matched, reports) = core.detached(py, |store| {
        if !dry_run {
            return store.erase_where(&conditions);
        }
        let matched = store.matching(&conditions)?;
        let reports = matched.found.iter().map(|what| store.erasable(what)).collect::<Result<_>>()?;
        Ok((matched, reports))
    })?;
    let done = matched.found.iter().zip(reports);
    let done = done.map(|(what, report)| Ok((meant_row(py, what)?, erasure_row(report))));
    let before = matched.only_before.iter().map(|what| meant_row(py, what));
    Ok((
        done.collect::<PyResult<_>>()?,
        before.collect::<PyResult<_>>()?,
        report::damaged(py, &matched.unread)?,
    ))
}

/// What the receipts say that the store keeps, the oldest first.
#[pyfunction]
pub(crate) fn receipts<'py>(py: Python<'py>, core: &Core) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let kept = core.detached(py, |store| store.receipts())?;
    kept.iter().map(|kept| report::kept_receipt(py, kept)).collect()
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
