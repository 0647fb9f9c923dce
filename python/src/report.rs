//! Reports as dictionaries, one entry a field.
//!
//! Owns the names of the entries; `_reports.py` makes classes of them.

use aral_store::{
    CompactionReport, DamagedFile, ExportReport, KeptReceipt, Loss, OrphanedEvents, RecoveryReport,
    RepairReport, Stats, TornTail, VerifyReport,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

type Made<'py, T = PyDict> = PyResult<Bound<'py, T>>;

macro_rules! dict {
    ($py:expr, $($name:literal => $value:expr),+ $(,)?) => {{
        let dict = PyDict::new($py);
        $(dict.set_item($name, $value)?;)+
        Ok(dict)
    }};
}

pub(crate) fn stats<'py>(py: Python<'py>, stats: &Stats) -> Made<'py> {
    dict!(py,
        "conversations" => stats.conversations,
        "messages" => stats.messages,
        "actions" => stats.actions,
        "damaged" => stats.damaged,
        "last_seq" => stats.last_seq,
        "covered_seq" => stats.covered_seq,
        "dirty_conversations" => stats.dirty_conversations,
        "segments" => stats.segments,
        "log_bytes" => stats.log_bytes,
        "snapshot_bytes" => stats.snapshot_bytes,
        "epoch" => stats.epoch,
        "index_bytes" => stats.index_bytes,
        "compaction_error" => stats.compaction_error.clone(),
        "held" => stats.held,
        "retention" => stats.retention.map(|policy| policy.to_string()),
        "retention_error" => stats.retention_error.clone(),
    )
}

pub(crate) fn compaction<'py>(py: Python<'py>, report: &CompactionReport) -> Made<'py> {
    dict!(py,
        "epoch" => report.epoch,
        "covered_seq" => report.covered_seq,
        "written" => report.written,
        "written_bytes" => report.written_bytes,
        "removed" => report.removed,
        "dropped_segments" => report.dropped_segments,
        "quarantined" => report.quarantined.clone(),
        "held" => damaged(py, &report.held)?,
        "unkept" => damaged(py, &report.unkept)?,
        "dropped_history" => report.dropped_history,
    )
}

pub(crate) fn export<'py>(py: Python<'py>, report: &ExportReport) -> Made<'py> {
    dict!(py,
        "conversations" => report.conversations,
        "bytes" => report.bytes,
        "damaged" => damaged(py, &report.damaged)?,
    )
}

pub(crate) fn verification<'py>(py: Python<'py>, report: &VerifyReport) -> Made<'py> {
    dict!(py,
        "files" => report.files,
        "bytes" => report.bytes,
        "conversations" => report.conversations,
        "events" => report.events,
        "damaged" => damaged(py, &report.damaged)?,
        "torn" => torn(py, report.torn.as_ref())?,
        "notes" => report.notes.clone(),
    )
}

pub(crate) fn recovery<'py>(py: Python<'py>, report: &RecoveryReport) -> Made<'py> {
    dict!(py,
        "made" => report.made,
        "segments" => report.segments,
        "events" => report.events,
        "last_seq" => report.last_seq,
        "torn" => torn(py, report.torn.as_ref())?,
        "orphaned" => orphaned(py, &report.orphaned)?,
        "completed_compaction" => report.completed_compaction,
        "damaged" => damaged(py, &report.damaged)?,
        "unlisted" => report.unlisted.clone(),
        "changed" => report.changed.clone(),
        "mended" => report.mended.clone(),
        "quarantined" => report.quarantined.clone(),
        "removed" => report.removed.clone(),
        "salvage" => report.salvage.as_ref().map(|saved| repair(py, saved)).transpose()?,
    )
}

pub(crate) fn repair<'py>(py: Python<'py>, report: &RepairReport) -> Made<'py> {
    dict!(py,
        "conversations" => report.conversations,
        "messages" => report.messages,
        "actions" => report.actions,
        "events" => report.events,
        "lost" => lost(py, &report.lost)?,
        "torn" => torn(py, report.torn.as_ref())?,
        "notes" => report.notes.clone(),
        "quarantined" => report.quarantined.clone(),
        "kept" => report.kept.clone(),
    )
}

fn lost<'py>(py: Python<'py>, losses: &[Loss]) -> Made<'py, PyList> {
    let list = PyList::empty(py);
    for loss in losses {
        let made: Made<'py> = dict!(py,
            "path" => loss.path.clone(),
            "offset" => loss.offset,
            "conversation_id" => loss.conversation_id.clone(),
            "first_seq" => loss.first_seq,
            "last_seq" => loss.last_seq,
            "reason" => loss.reason.clone(),
            "named" => loss.named.clone(),
            "near" => loss.near.clone(),
        );
        list.append(made?)?;
    }
    Ok(list)
}

fn orphaned<'py>(py: Python<'py>, all: &[OrphanedEvents]) -> Made<'py, PyList> {
    let list = PyList::empty(py);
    for events in all {
        let made: Made<'py> = dict!(py,
            "path" => events.path.clone(),
            "offset" => events.offset,
            "bytes" => events.bytes,
            "first_seq" => events.first_seq,
            "last_seq" => events.last_seq,
        );
        list.append(made?)?;
    }
    Ok(list)
}

fn torn<'py>(py: Python<'py>, tail: Option<&TornTail>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(tail) = tail else { return Ok(None) };
    let made: Made<'py> = dict!(py,
        "path" => tail.path.clone(),
        "offset" => tail.offset,
        "bytes" => tail.bytes,
        "discarded_events" => tail.discarded_events,
        "quarantine" => tail.quarantine.clone(),
    );
    made.map(Some)
}

pub(crate) fn kept_receipt<'py>(py: Python<'py>, kept: &KeptReceipt) -> Made<'py> {
    dict!(py,
        "path" => kept.path.clone(),
        "damage" => kept.damage.clone(),
        "time" => kept.time.map(|time| time.to_string()),
        "store" => kept.store.clone(),
        "conversation" => kept.conversation.clone(),
        "message" => kept.message.clone(),
        "messages" => kept.messages,
        "actions" => kept.actions,
        "events" => kept.events.clone(),
        "through" => kept.through,
        "files" => kept.files.clone(),
        "not_erased" => kept.not_erased.clone(),
        "untold" => kept.untold,
        "checksum" => kept.checksum.clone(),
        "receipt" => kept.receipt.clone(),
    )
}

pub(crate) fn damaged<'py>(py: Python<'py>, files: &[DamagedFile]) -> Made<'py, PyList> {
    let list = PyList::empty(py);
    for file in files {
        let made: Made<'py> = dict!(py,
            "path" => file.path.clone(),
            "offset" => file.offset,
            "conversation_id" => file.conversation_id.clone(),
            "reason" => file.reason.clone(),
        );
        list.append(made?)?;
    }
    Ok(list)
}
