//! The forks of a conversation.
//!
//! Owns the finding of them: each fork says where it comes from, so that all conversations have to be asked. What was found is
//! kept until something changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aral_store::{Order, Seq, Summary};

use super::address::{self, Query};
use super::cut::{MOST_TITLE, shortened};
use super::http::{Answer, Request};
use super::list;
use super::page::Page;
use super::reader::Reader;
use crate::exit::Failure;
use crate::export::html::escape;
use crate::tree;

/// The forks of each conversation, by its id.
type Forks = HashMap<String, Vec<Summary>>;

/// What was found last, and up to which event that holds.
#[derive(Default)]
pub(super) struct Known(Mutex<Option<(Seq, Arc<Forks>)>>);

impl Known {
    /// The forks of all conversations. Whoever asks meanwhile waits, and is given the same.
    fn all(&self, store: &Reader) -> Result<Arc<Forks>, Failure> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = store.refresh()?;
        if let Some((_, forks)) = known.as_ref().filter(|(until, _)| *until == seq) {
            return Ok(Arc::clone(forks));
        }
        let (branches, _) = tree::all(store, Order::Created)?;
        let mut forks = Forks::new();
        for branch in branches {
            if let Some(from) = branch.from {
                forks.entry(from.conversation_id).or_default().push(branch.summary);
            }
        }
        let forks = Arc::new(forks);
        *known = Some((seq, Arc::clone(&forks)));
        Ok(forks)
    }
}

pub(super) fn answer(
    known: &Known,
    store: &Reader,
    request: &Request,
    query: &Query,
) -> Result<Answer, Failure> {
    let id = query.text("id").unwrap_or_default();
    let forks = known.all(store)?;
    let found = forks.get(id).map(Vec::as_slice).unwrap_or_default();
    let mut page = Page::new(request, "Forks");
    let parent = store.summary(id)?;
    let title = parent.map_or_else(|| id.to_owned(), |summary| summary.title.to_string_lossy().into_owned());
    let href = address::attribute("/c", &[("id", id.as_bytes())]);
    let title = escape::text(&shortened(&title, MOST_TITLE));
    page.body = format!("<h1>Forks of <a href=\"{href}\"><bdi>{title}</bdi></a></h1>\n");
    if found.is_empty() {
        page.body.push_str("<p class=\"none\">There is none.</p>\n");
    }
    page.body.push_str("<ol class=\"list\">\n");
    page.body.extend(found.iter().map(list::listed));
    page.body.push_str("</ol>\n");
    Ok(page.answer(200))
}
