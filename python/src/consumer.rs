//! The native class `Consumer`, and what is done with the consumers of a store.
//!
//! Owns the crossing of events and of where a consumer begins; what acknowledging means is the store's.

use std::sync::{Arc, Mutex, PoisonError};

use aral_store::{Begin, ConsumerStatus, Error, Result};
use pyo3::prelude::*;

use crate::core::Core;
use crate::failure::{forked, invalid, raised};
use crate::place::Open;

/// A named reader of a store's log, whose place in it is kept.
#[pyclass(frozen, module = "aral_store._core")]
pub(crate) struct Consumer {
    /// Always there until it is closed.
    place: Mutex<Option<aral_store::Consumer>>,
    process: Option<u32>,
    open: Option<Arc<Open>>,
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let consumer = self.place.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        Open::let_go(self.open.as_ref(), consumer);
    }
}

impl Consumer {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut aral_store::Consumer) -> Result<T> + Send,
    ) -> PyResult<T> {
        if let Some(opened) = self.process.filter(|opened| *opened != std::process::id()) {
            return Err(forked(py, opened));
        }
        let done = py.detach(|| {
            let mut consumer = self.place.lock().unwrap_or_else(PoisonError::into_inner);
            let closed = || Error::new(aral_store::ErrorKind::Closed, "the consumer was closed");
            consumer.as_mut().ok_or_else(closed).and_then(work)
        });
        done.map_err(|error| raised(py, &error))
    }
}

#[pymethods]
impl Consumer {
    /// The next events as JSON objects, at most so many; none if there are no more for now.
    fn next_batch(&self, py: Python<'_>, most: usize) -> PyResult<Vec<String>> {
        self.with(py, |consumer| {
            let batch = consumer.next_batch(most)?;
            Ok(batch.iter().map(|(seq, event)| event.to_json_line(*seq)).collect())
        })
    }

    fn acknowledge(&self, py: Python<'_>, seq: u64) -> PyResult<()> {
        self.with(py, |consumer| consumer.acknowledge(seq))
    }

    fn acknowledged(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |consumer| Ok(consumer.acknowledged()))
    }

    /// The events that are gone and were not acknowledged, if it has come to any.
    fn missed(&self, py: Python<'_>) -> PyResult<Option<(u64, u64)>> {
        self.with(py, |consumer| Ok(consumer.missed()))
    }

    /// Lets another one read under the name.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(opened) = self.process.filter(|opened| *opened != std::process::id()) {
            return Err(forked(py, opened));
        }
        py.detach(|| drop(self.place.lock().unwrap_or_else(PoisonError::into_inner).take()));
        Ok(())
    }
}

/// Where a consumer begins: `start`, `now`, or the number of an event.
fn begin_of(py: Python<'_>, text: &str) -> PyResult<Begin> {
    match (text, text.parse()) {
        ("start", _) => Ok(Begin::Start),
        ("now", _) => Ok(Begin::Now),
        (_, Ok(seq)) => Ok(Begin::At(seq)),
        _ => Err(invalid(py, "a consumer begins at \"start\", \"now\", or the number of an event")),
    }
}

/// Reads the log as the consumer of this name, which begins there if it is new: events of these conversations and kinds.
#[pyfunction]
pub(crate) fn consume(
    py: Python<'_>,
    core: &Bound<'_, Core>,
    name: &str,
    begin: &str,
    narrowed: (Vec<String>, Vec<String>),
) -> PyResult<Consumer> {
    let begin = begin_of(py, begin)?;
    let (conversations, kinds) = narrowed;
    let core = core.get();
    let consumer = core.detached(py, |store| {
        if let Some(other) =
            kinds.iter().find(|kind| !aral_store::Change::TYPE_NAMES.contains(&kind.as_str()))
        {
            let all = aral_store::Change::TYPE_NAMES.join(", ");
            return Err(Error::invalid(format!("{other:?} is no kind of event; there are {all}")));
        }
        store.consumer_from(name, begin)?.conversations(conversations).kinds(kinds)
    })?;
    let (process, open) = core.opened();
    Ok(Consumer { place: Mutex::new(Some(consumer)), process, open })
}

/// A consumer's name, up to where it has acknowledged, how far it is behind, what it has missed, who reads as it, and why nobody can say.
type Status = (String, u64, u64, Option<(u64, u64)>, Option<String>, Option<String>);

/// The consumers that there are.
#[pyfunction]
pub(crate) fn consumers(py: Python<'_>, core: &Bound<'_, Core>) -> PyResult<Vec<Status>> {
    let all = core.get().detached(py, |store| store.consumers())?;
    let row = |status: ConsumerStatus| {
        (status.name, status.acknowledged, status.lag, status.missed, status.holder, status.error)
    };
    Ok(all.into_iter().map(row).collect())
}

/// Has a consumer go on elsewhere, and gives up to where it counts as having acknowledged.
#[pyfunction]
pub(crate) fn reset_consumer(
    py: Python<'_>,
    core: &Bound<'_, Core>,
    name: &str,
    begin: &str,
) -> PyResult<u64> {
    let begin = begin_of(py, begin)?;
    core.get().detached(py, |store| store.reset_consumer(name, begin))
}

/// Removes a consumer.
#[pyfunction]
pub(crate) fn remove_consumer(py: Python<'_>, core: &Bound<'_, Core>, name: &str) -> PyResult<()> {
    core.get().detached(py, |store| store.remove_consumer(name))
}
