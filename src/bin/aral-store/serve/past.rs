//! A conversation as it was.
//!
//! Owns the slider over time, and the word on what is looked at. What was is what the store's history says.

use aral_store::{Change, Error, ErrorKind, History, PastEvent, Seq};

use super::address::{self, Query};
use super::change::Changes;
use super::conversation::Seen;
use super::cut::shortened;
use super::piece::Told;
use super::reader::Reader;
use crate::exit::Failure;
use crate::export::html::{escape, items};
use crate::log_line;
use crate::output::to_u64;

/// The longest history that is put together for a page; all of it is in memory then.
const MOST_EVENTS: u64 = 50_000;

/// How much is shown of what a change says.
const MOST_SAID: usize = 80;

/// A conversation in its past, with the words and the slider that stand above it.
pub(super) struct Then<'s> {
    pub(super) seen: Seen<'s>,
    pub(super) bar: String,
}

/// Where a step of the slider leads, as an address: 0 is what was before the first event that is kept.
pub(super) fn step(store: &Reader, id: &str, step: u64) -> Result<String, Failure> {
    let history = read(store, id)?;
    let at = usize::try_from(step).ok().and_then(|step| step.checked_sub(1));
    let seq = match at {
        None => history.base.as_ref().map_or(0, |base| base.last_seq),
        Some(at) => history.events.get(at).or(history.events.last()).map_or(0, |past| past.seq),
    };
    let is_newest = history.events.last().is_none_or(|past| past.seq <= seq);
    let at = if is_newest && store.summary(id)?.is_some() { String::new() } else { seq.to_string() };
    Ok(address::of("/c", &[("id", id.as_bytes()), ("at", at.as_bytes())]))
}

/// What a conversation was behind an event.
pub(super) fn then<'s>(
    store: &'s Reader,
    changes: Option<&Changes>,
    query: &Query,
    at: Seq,
) -> Result<Then<'s>, Failure> {
    let id = query.text("id").unwrap_or_default();
    let seq = store.refresh()?;
    let history = read(store, id)?;
    let conversation = history.at(at)?.ok_or_else(|| {
        let text = format!("there was no conversation {id:?} behind event {at}");
        Failure::from(Error::new(ErrorKind::NotFound, text))
    })?;
    let is_there = store.summary(id)?.is_some();
    let mut bar = bar(&history, at, is_there);
    bar.push_str(&changes.map(|changes| changes.on_past(id, at, is_there)).unwrap_or_default());
    let messages = to_u64(conversation.messages.len());
    Ok(Then { seen: Seen { told: Told { store, conversation, messages, at: Some(at) }, seq }, bar })
}

fn read(store: &Reader, id: &str) -> Result<History, Failure> {
    let size = store.summary(id)?.map(|summary| summary.version.max(summary.messages)).unwrap_or_default();
    if size > MOST_EVENTS {
        let text = format!(
            "the history of this conversation is too long for a page ({size} events); aral-store show {id:?} --at prints what it was"
        );
        return Err(Failure::Usage(text));
    }
    let history = store.history(id)?;
    if history.is_empty() {
        return Err(
            Error::new(ErrorKind::NotFound, "nothing is kept of the past of such a conversation").into()
        );
    }
    Ok(history)
}

/// The address of what a conversation was before it was removed, if it was and that is kept.
pub(super) fn before_removal(store: &Reader, id: &str) -> Option<String> {
    let removed = store.removed(id).ok().flatten()?;
    let at = removed.seq.checked_sub(1)?;
    store.history(id).ok()?.at(at).ok().flatten()?;
    Some(address::of("/c", &[("id", id.as_bytes()), ("at", at.to_string().as_bytes())]))
}

fn bar(history: &History, at: Seq, is_there: bool) -> String {
    let events = &history.events;
    let step = events.iter().take_while(|past| past.seq <= at).count();
    let current = step.checked_sub(1).and_then(|step| events.get(step));
    let there = |seq: Seq| {
        let seq = seq.to_string();
        address::attribute("/c", &[("id", history.conversation_id.as_bytes()), ("at", seq.as_bytes())])
    };
    let mut out = String::from("<div class=\"past\" role=\"note\">\n<p><b>This is the past.</b> ");
    out.push_str(&current.map_or_else(|| "What was before the first change that is kept.".to_owned(), said));
    if is_there {
        let now = address::attribute("/c", &[("id", history.conversation_id.as_bytes())]);
        out.extend([" <a href=\"", &now, "\">To what is now</a>"]);
    } else {
        out.push_str(" The conversation has been removed since.");
    }
    let first = usize::from(history.base.is_none());
    let id = escape::bare(&history.conversation_id);
    let form = format!(
        "</p>\n<form action=\"/c\" class=\"time\"><input type=\"hidden\" name=\"id\" value=\"{id}\">\
         <input type=\"range\" id=\"time\" name=\"step\" min=\"{first}\" max=\"{}\" value=\"{step}\" aria-label=\"Change\" \
         aria-valuetext=\"change {step} of {}\"> <output for=\"time\">{step} of {}</output> <button>Look</button></form>\n<p>",
        events.len(),
        events.len(),
        events.len(),
    );
    out.push_str(&form);
    let before = step.checked_sub(2).and_then(|step| events.get(step)).map(|past| past.seq);
    let base = history.base.as_ref().filter(|_| step == 1).map(|base| base.last_seq);
    if let Some(seq) = before.or(base) {
        out.extend(["<a rel=\"prev\" href=\"", &there(seq), "\">The change before</a> "]);
    }
    if let Some(next) = events.get(step) {
        out.extend(["<a rel=\"next\" href=\"", &there(next.seq), "\">The next change</a>"]);
    }
    out + "</p>\n</div>\n"
}

/// What a change was, in words.
fn said(past: &PastEvent) -> String {
    let [word, subject, detail] = log_line::parts(&past.event.change);
    let when = past.time().map(|time| format!(" of {}", items::time(time))).unwrap_or_default();
    let is_below = matches!(past.event.change, Change::AddMessage(_) | Change::AddAction(_));
    let detail =
        if is_below { String::new() } else { format!(" {}", escape::text(&shortened(&detail, MOST_SAID))) };
    format!(
        "As it was after event {}{when}: <code>{}</code> <bdi>{}</bdi>{detail}.",
        past.seq,
        escape::text(&word),
        escape::text(&shortened(&subject, MOST_SAID)),
    )
}
