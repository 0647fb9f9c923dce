//! The native class `Reply`: a message that is written piece by piece.
//!
//! Owns the crossing of pieces; what becomes an event when, and what a piece may be, is the store's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aral_store::{Error, ErrorKind, JsonObject, NewMessage, Result};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::core::{Core, ReceiptRow, receipt_row};
use crate::failure::{forked, invalid, raised};
use crate::place::Open;
use crate::text::{id_of, string_of, text_of};

/// A message that is being written.
#[pyclass(frozen, module = "aral_store._core")]
pub(crate) struct Reply {
    /// Always there until it has ended.
    written: Mutex<Option<aral_store::Reply>>,
    process: Option<u32>,
    open: Option<Arc<Open>>,
}

impl Drop for Reply {
    fn drop(&mut self) {
        let reply = self.written.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if self.process.is_some_and(|opened| opened != std::process::id()) {
            // What is gathered is the parent's to write.
            std::mem::forget(reply);
            return;
        }
        Open::let_go(self.open.as_ref(), reply);
    }
}

impl Reply {
    fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        match self.process {
            Some(opened) if opened != std::process::id() => Err(forked(py, opened)),
            _ => Ok(()),
        }
    }

    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Option<aral_store::Reply>) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.check_process(py)?;
        let done = py.detach(|| work(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner)));
        done.map_err(|error| raised(py, &error))
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Closed, "the reply was finished, abandoned or left")
}

#[pymethods]
impl Reply {
    fn append<'py>(
        &self,
        py: Python<'py>,
        piece: &Bound<'py, PyString>,
    ) -> PyResult<Option<ReceiptRow<'py>>> {
        let piece = text_of(piece)?;
        let receipt = self.with(py, |reply| reply.as_mut().ok_or_else(ended)?.append(piece))?;
        receipt.as_ref().map(|receipt| receipt_row(py, receipt)).transpose()
    }

    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Option<ReceiptRow<'py>>> {
        let receipt = self.with(py, |reply| reply.as_mut().ok_or_else(ended)?.flush())?;
        receipt.as_ref().map(|receipt| receipt_row(py, receipt)).transpose()
    }

    fn finish<'py>(&self, py: Python<'py>, metadata: &str) -> PyResult<ReceiptRow<'py>> {
        let receipt = self.with(py, |reply| {
            let metadata = JsonObject::parse(metadata)?;
            reply.take().ok_or_else(ended)?.finish_with(metadata)
        })?;
        receipt_row(py, &receipt)
    }

    fn abandon<'py>(&self, py: Python<'py>) -> PyResult<ReceiptRow<'py>> {
        let receipt = self.with(py, |reply| reply.take().ok_or_else(ended)?.abandon())?;
        receipt_row(py, &receipt)
    }

    /// Writes what is gathered, and leaves it partial. Whether it had not ended before.
    fn leave(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |reply| match reply.take() {
            Some(mut open) => open.flush().map(|_| true),
            None => Ok(false),
        })
    }

    /// The conversation's id, the message's, and how many bytes of text everybody can read.
    fn about<'py>(&self, py: Python<'py>) -> PyResult<(String, Bound<'py, PyString>, u64)> {
        let (conversation, message, written) = self.with(py, |reply| {
            let reply = reply.as_ref().ok_or_else(ended)?;
            Ok((reply.conversation_id().to_owned(), reply.id().clone(), reply.written()))
        })?;
        Ok((conversation, string_of(py, &message)?, written))
    }
}

/// The content, role, id and metadata of a message that begins.
type Begins<'py> = (Bound<'py, PyString>, Bound<'py, PyString>, Option<Bound<'py, PyString>>, String);

/// Begins a message, with this content, role, id and metadata, or goes on with the one of this id; so many bytes and seconds are gathered.
#[pyfunction]
pub(crate) fn stream(
    py: Python<'_>,
    core: &Bound<'_, Core>,
    conversation: &Bound<'_, PyString>,
    message: (Option<Begins<'_>>, Option<Bound<'_, PyString>>),
    gathers: (usize, f64),
) -> PyResult<Reply> {
    let ((begins, goes_on), (bytes, seconds)) = (message, gathers);
    let every = Duration::try_from_secs_f64(seconds)
        .map_err(|_| invalid(py, "every must be a number of seconds, 0 or above"))?;
    let conversation = id_of(conversation)?;
    let goes_on = goes_on.as_ref().map(text_of).transpose()?;
    let begins = match begins {
        Some((content, role, id, metadata)) => {
            let mut message = NewMessage::new(text_of(&content)?).role(text_of(&role)?);
            message.id = id.as_ref().map(text_of).transpose()?;
            Some((message, metadata))
        }
        None => None,
    };
    let core = core.get();
    let reply = core.detached(py, |store| match (begins, goes_on) {
        (Some((message, metadata)), _) => {
            let message = message.metadata(JsonObject::parse(&metadata)?);
            store.begin_message(&conversation, message)
        }
        (None, Some(id)) => store.resume_message(&conversation, id),
        (None, None) => Err(Error::new(ErrorKind::InvalidInput, "a reply is begun, or gone on with")),
    })?;
    let reply = if every.is_zero() && bytes <= 1 { reply } else { reply.gather(bytes.max(1), every) };
    let (process, open) = core.opened();
    Ok(Reply { written: Mutex::new(Some(reply)), process, open })
}

/// A conversation, a message, when it was begun, and how many bytes have come.
type Unfinished<'py> = (String, Bound<'py, PyString>, String, u64);

/// The replies that nobody has finished, of a conversation or of all.
#[pyfunction]
pub(crate) fn open_replies<'py>(
    py: Python<'py>,
    core: &Bound<'_, Core>,
    conversation: Option<String>,
) -> PyResult<Vec<Unfinished<'py>>> {
    let open = core.get().detached(py, |store| match &conversation {
        Some(id) => store.open_replies_in(id),
        None => store.open_replies(),
    })?;
    let row = |open: aral_store::OpenReply| {
        let id = string_of(py, &open.message_id)?;
        Ok((open.conversation_id, id, open.begun_at.to_string(), open.bytes))
    };
    open.into_iter().map(row).collect()
}
