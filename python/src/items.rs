//! What a framework has given, put together from messages again.
//!
//! Owns the forms that nearly all items have, since a history is read before each turn of an agent. `_texts.py` and the adapters
//! own all forms, and finish what is left to them here.

use aral_store::Message;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::text::string_of;
use crate::value::{Rest, Stop, Values};

/// After so many messages the interpreter's other threads get their turn.
const AT_ONCE: usize = 512;

/// The place of an item that is not finished, and the role, the content and the metadata that it is made of.
pub(crate) type Unfinished<'py> = (usize, Bound<'py, PyString>, Bound<'py, PyString>, String);

/// The value of a JSON text that the store has given, or nothing where Python's own reader is to read it.
#[pyfunction]
pub(crate) fn parsed<'py>(py: Python<'py>, text: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    match Values::new(py).of(text) {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Unusual) => Ok(None),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Strings of messages; those that are short are the same ones where they say the same.
pub(crate) fn strings_of<'py>(
    py: Python<'py>,
    messages: &[Message],
    of: fn(&Message) -> &aral_store::Text,
) -> PyResult<Vec<Bound<'py, PyString>>> {
    let mut values = Values::new(py);
    each(py, messages, |message| string(&mut values, py, of(message)))
}

/// The items that messages hold under this name of their metadata, and those of them that are not finished.
pub(crate) fn items_of<'py>(
    py: Python<'py>,
    messages: &[Message],
    name: &str,
) -> PyResult<(Bound<'py, PyList>, Vec<Unfinished<'py>>)> {
    let mut items = Items { py, values: Values::new(py) };
    let begin = format!("{{\"{name}\":{{\"data\":");
    let mut unfinished = Vec::new();
    let mut at = 0;
    let made = each(py, messages, |message| {
        let role = string(&mut items.values, py, &message.role)?;
        let content = string_of(py, &message.content)?;
        let item = match items.item(message, &role, &content, &begin) {
            Ok(item) => item,
            Err(Stop::Unusual) => {
                unfinished.push((at, role, content, message.metadata.as_json().to_owned()));
                py.None().into_bound(py)
            }
            Err(Stop::Failed(error)) => return Err(error),
        };
        at += 1;
        Ok(item)
    })?;
    Ok((PyList::new(py, made)?, unfinished))
}

fn each<T>(
    py: Python<'_>,
    messages: &[Message],
    mut work: impl FnMut(&Message) -> PyResult<T>,
) -> PyResult<Vec<T>> {
    let mut made = Vec::with_capacity(messages.len());
    for part in messages.chunks(AT_ONCE) {
        if !made.is_empty() {
            py.detach(|| ());
        }
        for message in part {
            made.push(work(message)?);
        }
    }
    Ok(made)
}

fn string<'py>(
    values: &mut Values<'py>,
    py: Python<'py>,
    text: &aral_store::Text,
) -> PyResult<Bound<'py, PyString>> {
    text.as_str().map_or_else(|| string_of(py, text), |text| Ok(values.string(text)))
}

struct Items<'py> {
    py: Python<'py>,
    values: Values<'py>,
}

impl<'py> Items<'py> {
    fn item(
        &mut self,
        message: &Message,
        role: &Bound<'py, PyString>,
        content: &Bound<'py, PyString>,
        begin: &str,
    ) -> Result<Bound<'py, PyAny>, Stop> {
        let role_name = self.values.string("role");
        if message.metadata.is_empty() {
            let item = PyDict::new(self.py);
            item.set_item(role_name, role)?;
            item.set_item(self.values.string("content"), content)?;
            return Ok(item.into_any());
        }
        // What stands around the item is read over: nothing is made of it only to be thrown away.
        let text = message.metadata.as_json().strip_prefix(begin).ok_or(Stop::Unusual)?;
        let mut rest = Rest::new(text);
        let item = self.values.next(&mut rest)?.cast_into::<PyDict>().map_err(|_| Stop::Unusual)?;
        if rest.is("}}") {
            self.finish_call(&item, message)?;
        } else {
            rest.expect(",\"text\":[")?;
            self.put(&item, &mut rest, content)?;
            rest.expect("]}}")?;
            rest.is("").then_some(()).ok_or(Stop::Unusual)?;
        }
        if item.get_item(&role_name)?.is_some_and(|role| role.is_instance_of::<PyString>()) {
            item.set_item(role_name, role)?;
        }
        Ok(item.into_any())
    }

    /// Puts a text where a path leads to that stands next.
    fn put(
        &mut self,
        item: &Bound<'py, PyDict>,
        rest: &mut Rest<'_>,
        text: &Bound<'py, PyString>,
    ) -> Result<(), Stop> {
        let mut holder = item.clone().into_any();
        loop {
            let step = self.values.next(rest)?;
            // Somebody may have changed the metadata so that it leads nowhere.
            if !rest.eat(b',') {
                return holder.set_item(step, text).map_err(|_| Stop::Unusual);
            }
            holder = holder.get_item(step).map_err(|_| Stop::Unusual)?;
        }
    }

    /// Puts a call's arguments where they were: the content is `name(arguments)`.
    fn finish_call(&mut self, item: &Bound<'py, PyDict>, message: &Message) -> Result<(), Stop> {
        let kind = item.get_item(self.values.string("type"))?.ok_or(Stop::Unusual)?;
        let name = item.get_item(self.values.string("name"))?.ok_or(Stop::Unusual)?;
        let (Ok(kind), Ok(name)) = (kind.cast::<PyString>(), name.cast::<PyString>()) else {
            return Err(Stop::Unusual);
        };
        if kind.to_str()? != "function_call" {
            return Err(Stop::Unusual);
        }
        let call = message.content.as_str().and_then(|content| content.strip_prefix(name.to_str().ok()?));
        let arguments =
            call.and_then(|call| call.strip_prefix('(')?.strip_suffix(')')).ok_or(Stop::Unusual)?;
        item.set_item(self.values.string("arguments"), arguments)?;
        Ok(())
    }
}
