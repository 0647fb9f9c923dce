//! Searching, for Python.
//!
//! Owns the crossing of a search, of what it finds, and of what is to be done with the index of a directory.

use aral_store::{Found, Options, Result, Search, SearchIndex, SearchOrder, Timestamp};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::core::Core;
use crate::failure::raised;
use crate::text::{id_of, text_of};

/// `conversation`, `role`, `since`, `until` and `limit` of a search, and whether the best come first.
type Narrowed<'py> = (
    Option<Bound<'py, PyString>>,
    Option<Bound<'py, PyString>>,
    Option<String>,
    Option<String>,
    Option<usize>,
    bool,
);

/// What a search finds, a JSON object each, in its order.
#[pyfunction]
pub(crate) fn search(
    py: Python<'_>,
    core: &Bound<'_, Core>,
    query: &Bound<'_, PyString>,
    narrowed: Narrowed<'_>,
) -> PyResult<Vec<String>> {
    let (conversation, role, since, until, limit, is_best_first) = narrowed;
    // Half of a surrogate pair is no part of a word.
    let mut search = Search::new(text_of(query)?.to_string_lossy());
    if let Some(id) = conversation {
        search = search.conversation(id_of(&id)?);
    }
    if let Some(role) = role {
        search = search.role(text_of(&role)?);
    }
    let time = |text: &String| text.parse::<Timestamp>().map_err(|error| raised(py, &error));
    search.since = since.as_ref().map(time).transpose()?;
    search.until = until.as_ref().map(time).transpose()?;
    search.limit = limit;
    if is_best_first {
        search = search.order(SearchOrder::Best);
    }
    core.get().detached(py, |store| -> Result<Vec<String>> {
        Ok(store.search(search)?.iter().map(Found::to_json_line).collect())
    })
}

/// The newest event that is in an index, and the bytes of its file.
type Index = (u64, u64);

fn index(found: SearchIndex) -> Index {
    (found.last_seq, found.bytes)
}

/// Brings the index of a directory up to its newest event.
#[pyfunction]
pub(crate) fn index_search(py: Python<'_>, core: &Bound<'_, Core>) -> PyResult<Index> {
    core.get().beside(py, |dir| Options::default().index_search(dir)).map(index)
}

/// The index of a directory, if there is one.
#[pyfunction]
pub(crate) fn search_index(py: Python<'_>, core: &Bound<'_, Core>) -> PyResult<Option<Index>> {
    Ok(core.get().beside(py, |dir| Options::default().search_index(dir))?.map(index))
}

/// Removes the index of a directory. Whether there was one.
#[pyfunction]
pub(crate) fn drop_search_index(py: Python<'_>, core: &Bound<'_, Core>) -> PyResult<bool> {
    core.get().beside(py, |dir| Options::default().drop_search_index(dir))
}
