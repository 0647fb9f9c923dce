//! Searching without an index.
//!
//! Owns the going over every message of every conversation, which is what a backend does that has nothing better.

use super::Backend;
use crate::error::{ErrorKind, Result};
use crate::model::{Found, MessageRef, Messages, Order, Search};
use crate::search::{Answer, Hit, Matcher, Top};

/// What a search finds, in its order.
pub(super) fn scan(backend: &(impl Backend + ?Sized), search: &Search) -> Result<Vec<Found>> {
    let matcher = Matcher::new(search)?;
    let mut top = Top::new(search.limit);
    if let Some(id) = &search.conversation {
        top.extend(hits_in(backend, &Looked { number: 0, id, matcher: &matcher })?);
        return Ok(top.into_found());
    }
    for (number, summary) in (0..).zip(backend.conversations(Order::Created, None)?) {
        match hits_in(backend, &Looked { number, id: &summary.id, matcher: &matcher }) {
            // Removed since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            hits => top.extend(hits?),
        }
    }
    Ok(top.into_found())
}

/// The conversation that is looked at, and what for.
pub(super) struct Looked<'l> {
    pub(super) number: u64,
    pub(super) id: &'l str,
    pub(super) matcher: &'l Matcher<'l>,
}

impl Looked<'_> {
    pub(super) fn hit(&self, place: u64, message: &MessageRef<'_>) -> Option<Hit> {
        let Answer { score, snippet, is_sure } = self.matcher.find(message)?;
        let micros = message.created_at.approximate_unix_micros();
        let key = self.matcher.key(score, (micros, self.number, place));
        Some((key, is_sure, Found::new(self.id, place, message, (score, snippet))))
    }
}

pub(super) fn hits_in(backend: &(impl Backend + ?Sized), looked: &Looked<'_>) -> Result<Vec<Hit>> {
    let (mut hits, mut place) = (Vec::new(), 0);
    let lent = backend.for_each_message(looked.id, &Messages::all(), &mut |message| {
        hits.extend(looked.hit(place, &message));
        place += 1;
    });
    match lent {
        Ok(()) => Ok(hits),
        // The rest was no longer there as it was. All at once, the messages are of one state.
        Err(error) if error.kind() == ErrorKind::Conflict => {
            let messages = backend.messages(looked.id, &Messages::all())?;
            let all = (0..).zip(messages.iter().map(MessageRef::from));
            Ok(all.filter_map(|(place, message)| looked.hit(place, &message)).collect())
        }
        Err(error) => Err(error),
    }
}
