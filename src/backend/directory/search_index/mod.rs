//! The index for searching a directory.
//!
//! Owns the question: the index proposes messages, their texts decide, and whatever the index does not know is looked at as if there were none.
//! It is a file of its own beside the log, made when somebody asks for it, and derived: without it, everything is found all the same.

mod fill;

mod looking;

mod standing;

use std::collections::{HashMap, HashSet};

use self::looking::Looking;
use self::standing::{Standing, begins_with};
use super::reads::ReadState;
use super::search_file::{Known, SearchFile};
use crate::backend::Backend;
use crate::backend::scan::{Looked, hits_in, scan};
use crate::error::{ErrorKind, Result};
use crate::model::{Found, Messages, Search};
use crate::search::{Hit, Key, Matcher, Top};

pub(super) use self::fill::note;
pub(crate) use self::fill::{drop_search_index, make_search_index, search_index};

/// How often a search begins again because a conversation has changed meanwhile.
const ATTEMPTS: usize = 3;

/// Shows what a store holds, if that is what an index can be of.
type Show<'s> = &'s dyn Fn(&mut dyn FnMut(&ReadState));

/// What a search finds, in its order.
pub(super) fn search(backend: &impl Backend, search: &Search, show: Show<'_>) -> Result<Vec<Found>> {
    let matcher = Matcher::new(search)?;
    for _ in 0..ATTEMPTS {
        match find(backend, &matcher, show) {
            Ok(Tried::Found(found)) => return Ok(found),
            Ok(Tried::Changed) => {}
            // To look at everything finds it, or says what is wrong.
            Ok(Tried::Unusable) | Err(_) => break,
        }
    }
    scan(backend, search)
}

/// What came of asking the index.
enum Tried {
    Found(Vec<Found>),
    /// A conversation has changed that was looked for in the index.
    Changed,
    Unusable,
}

fn find(backend: &impl Backend, matcher: &Matcher<'_>, show: Show<'_>) -> Result<Tried> {
    let mut kept = None;
    show(&mut |reads| kept = reads.search_files.take(&*reads.vfs, &reads.layout));
    let Some(taken) = kept else { return Ok(Tried::Unusable) };
    // With one that could not be read, nobody begins again.
    let tried = find_in(&taken.file, backend, matcher, show)?;
    kept = Some(taken);
    show(&mut |reads| {
        if let Some(kept) = kept.take() {
            reads.search_files.give_back(kept, &*reads.vfs, &reads.layout);
        }
    });
    Ok(tried)
}

fn find_in(
    file: &SearchFile,
    backend: &impl Backend,
    matcher: &Matcher<'_>,
    show: Show<'_>,
) -> Result<Tried> {
    // Order: the index before the store. Reversed, it could be of a newer state, and lack what has gone since.
    let Some(about) = file.begin_reading()? else { return Ok(Tried::Unusable) };
    let stand = || {
        let mut standing = None;
        show(&mut |reads| standing = Standing::of(reads, about.indexed_seq));
        standing
    };
    let Some(standing) = stand().filter(|standing| standing.can_ask(&about)) else {
        return Ok(Tried::Unusable);
    };
    let only = matcher.search.conversation.as_deref();
    let (mut hits, mut grown) = (Top::new(matcher.search.limit).with_ties(), HashMap::new());
    for id in standing.unindexed.iter().filter(|id| only.is_none_or(|only| only == id.as_str())) {
        let looked = Looked { number: 0, id, matcher };
        if let Some(known) = file.known_of(id)?.filter(|known| begins(show, id, known)) {
            hits.extend(hits_behind(backend, &looked, known.messages)?);
            grown.insert(id.as_str(), known);
            continue;
        }
        match hits_in(backend, &looked) {
            // Removed since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound && only.is_none() => {}
            found => hits.extend(found?),
        }
    }
    let has_grown = |id: &str| grown.contains_key(id);
    let read: HashSet<&str> =
        standing.unindexed.iter().map(String::as_str).filter(|id| !has_grown(id)).collect();
    // It is not there, or everything was looked at.
    if let Some(only) = only.filter(|only| !has_grown(only) && !standing.is_indexed(backend, only)) {
        backend.for_each_message(only, &Messages::first(0), &mut |_| {})?;
    } else if let Some(asked) = file.asked(matcher)? {
        let blocks = file.blocks(&about)?;
        Looking { backend, matcher, file, asked, blocks, read: &read, hits: &mut hits }.look()?;
    }
    let is_same = stand().is_some_and(|now| now.unindexed == standing.unindexed);
    if !is_same || !grown.iter().all(|(id, known)| begins(show, id, known)) {
        return Ok(Tried::Changed);
    }
    Ok(Tried::Found(in_order(hits, matcher, show)))
}

/// Whether a conversation begins with what the index has of it.
fn begins(show: Show<'_>, id: &str, known: &Known) -> bool {
    let mut begins = false;
    show(&mut |reads| begins = begins_with(reads, id, known));
    begins
}

/// The hits from a place on, behind which the index knows nothing.
fn hits_behind(backend: &impl Backend, looked: &Looked<'_>, from: u64) -> Result<Vec<Hit>> {
    let (mut hits, mut place) = (Vec::new(), from);
    backend.for_each_message(looked.id, &Messages::all().from_place(from), &mut |message| {
        hits.extend(looked.hit(place, &message));
        place += 1;
    })?;
    Ok(hits)
}

/// The first of all hits, by the order in which their conversations began now.
fn in_order(hits: Top, matcher: &Matcher<'_>, show: Show<'_>) -> Vec<Found> {
    let hits = hits.into_hits();
    let is_of_two = |pair: &[Hit]| {
        let [(one, _, first), (other, _, second)] = pair else { return false };
        (one.score, one.micros) == (other.score, other.micros)
            && first.conversation_id != second.conversation_id
    };
    // Nothing but two hits of one time and of two conversations is put in order by them.
    let mut ranks = HashMap::new();
    if hits.windows(2).any(is_of_two) {
        ranks = hits.iter().map(|(_, _, found)| (found.conversation_id.clone(), 0)).collect();
        show(&mut |reads| Standing::rank(reads, &mut ranks));
    }
    let mut top = Top::new(matcher.search.limit);
    for (key, is_sure, found) in hits {
        let conversation = ranks.get(&found.conversation_id).copied().unwrap_or_default();
        top.add(Key { conversation, ..key }, is_sure, found);
    }
    top.into_found()
}
