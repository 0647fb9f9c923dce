//! The page of a conversation, and the pieces that it goes on with.
//!
//! Owns what stands around the items: title, facts and the ways on. The items are those of an exported page.

use aral_store::{Error, ErrorKind, Messages, Seq, Text};

use super::address::{self, Query};
use super::change::Changes;
use super::cut::{MOST_TITLE, shortened};
use super::http::{Answer, Request};
use super::page::Page;
use super::piece::{MOST_ITEMS, Piece, Start, Told};
use super::reader::{Reader, no_conversation};
use super::sums::{Sums, grouped};
use crate::exit::Failure;
use crate::export::html::{escape, items};
use crate::export::timeline::extent;
use crate::output::to_u64;

/// Up to so many messages and actions are gone through unasked for what they took.
const MOST_SUMMED: u64 = 2_000;

/// How many messages stand before one that a link leads to.
const BEFORE: u64 = 5;

/// A conversation, with the event up to which nothing of it is missing.
pub(super) struct Seen<'s> {
    pub(super) told: Told<'s>,
    pub(super) seq: Seq,
}

/// How often a page is begun anew whose conversation was changed while it was made.
const MOST_TRIES: usize = 8;

/// Makes something of a conversation as it is now, and of one moment: what others write meanwhile is not in it, so that it
/// comes behind it.
fn of_now<T>(
    store: &Reader,
    query: &Query,
    make: impl Fn(&Seen<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let id = query.text("id").ok_or_else(no_conversation)?;
    for _ in 0..MOST_TRIES {
        let seq = store.refresh()?;
        let _still = store.still();
        let summary = store.summary(id)?.ok_or_else(no_conversation)?;
        let Some(conversation) = store.conversation_without_messages(id)? else { continue };
        let told = Told { store, conversation, messages: summary.messages, at: None };
        let made = make(&Seen { told, seq: seq.max(summary.last_seq) });
        if store
            .summary(id)?
            .is_some_and(|now| (now.version, now.last_seq) == (summary.version, summary.last_seq))
        {
            return made;
        }
    }
    let text = "others write to this conversation faster than it can be shown; try again";
    Err(Error::new(ErrorKind::Conflict, text).into())
}

/// Only a piece, for a page that goes on.
pub(super) fn part(store: &Reader, query: &Query) -> Result<Answer, Failure> {
    of_now(store, query, |seen| part_of(seen, query))
}

pub(super) fn part_of(seen: &Seen<'_>, query: &Query) -> Result<Answer, Failure> {
    let (_, piece) = piece(&seen.told, query)?;
    let mut html = piece.html.clone();
    html.extend_from_slice(ending(seen, &piece).as_bytes());
    Ok(Answer::new(200, "text/html; charset=utf-8", html))
}

pub(super) fn answer(
    store: &Reader,
    changes: Option<&Changes>,
    request: &Request,
    query: &Query,
) -> Result<Answer, Failure> {
    of_now(store, query, |seen| {
        let forms = changes.map(|changes| changes.on(&seen.told)).transpose()?.unwrap_or_default();
        page_of(seen, &forms, request, query)
    })
}

/// The whole page, with what stands above the items: what may be done, and when this was.
pub(super) fn page_of(
    seen: &Seen<'_>,
    bar: &str,
    request: &Request,
    query: &Query,
) -> Result<Answer, Failure> {
    let told = &seen.told;
    let (start, piece) = piece(told, query)?;
    let conversation = &told.conversation;
    let title = shortened(&conversation.title.to_string_lossy(), MOST_TITLE);
    let mut page = Page::new(request, &shortened(&title, 120));
    let id = conversation.id.as_bytes();
    let mut head = format!(
        "<header class=\"top\"><p class=\"crumbs\"><a href=\"/\">Conversations</a></p>\n<h1><bdi>{}</bdi></h1>\n\
         <p class=\"facts\"><code>{}</code> · created {} · {} · version {}{}</p>\n",
        escape::text(&title),
        escape::text(&conversation.id),
        items::time(conversation.created_at),
        extent(told.messages, to_u64(conversation.actions.len())),
        conversation.version,
        forked_from(told),
    );
    head.push_str(&taken(told, query)?);
    let mut more = Vec::new();
    for (what, object) in [("metadata", &conversation.metadata), ("other fields", &conversation.extra)] {
        if object.as_json().len() <= super::cut::MOST_TEXT {
            // What is written into memory is written.
            items::more(what, object, &mut more).unwrap_or_default();
        } else {
            more.extend_from_slice(
                format!("<p class=\"cut\">Too long to show here: {what}.</p>\n").as_bytes(),
            );
        }
    }
    head.push_str(&String::from_utf8_lossy(&more));
    head.push_str("</header>\n");
    head.push_str(&pages(seen, start, piece.next.is_some()));
    page.body.push_str("<section class=\"conversation\">\n");
    page.body.push_str(&head);
    page.body.push_str(bar);
    let tail = if told.at.is_none() { address::attribute("/tail", &[("id", id)]) } else { String::new() };
    page.body.extend(["<div id=\"items\" data-tail=\"", &tail, "\">\n"]);
    page.body.push_str(&String::from_utf8_lossy(&piece.html));
    if piece.items == 0 && start == Start::default() {
        page.body.push_str("<p class=\"none\" id=\"nothing\">nothing in it yet</p>\n");
    }
    page.body.push_str(&ending(seen, &piece));
    let anew = address::attribute("/c", &[("id", id), ("from", b"end")]);
    page.body.extend([
        "</div>\n<p id=\"stale\" class=\"missing\" role=\"status\" hidden>This conversation was changed, and not only added to. \
         <a href=\"",
        &anew,
        "\">Load it anew</a></p>\n<p id=\"live\" role=\"status\"></p>\n</section>\n",
    ]);
    Ok(page.answer(200))
}

/// The piece that is asked for, and where it begins.
fn piece(told: &Told<'_>, query: &Query) -> Result<(Start, Piece), Failure> {
    if query.text("from") != Some("end") {
        let start = start(told, query)?;
        return Ok((start, told.piece(start)?));
    }
    // As many messages as leave room for the actions among them; where there is hardly room for any, the last actions.
    for messages in [MOST_ITEMS, MOST_ITEMS / 2, MOST_ITEMS / 4, MOST_ITEMS / 10, 1] {
        let start = Start { place: told.messages.saturating_sub(to_u64(messages)), action: None };
        let piece = told.piece(start)?;
        if piece.next.is_none() {
            return Ok((start, piece));
        }
    }
    let action = told.conversation.actions.len().saturating_sub(MOST_ITEMS);
    let start = Start { place: told.messages, action: Some(action) };
    Ok((start, told.piece(start)?))
}

/// Where the piece that is asked for begins.
fn start(told: &Told<'_>, query: &Query) -> Result<Start, Failure> {
    if let Some(id) = query.id("message") {
        let place = place_of(told, &id, query.number("place"))?;
        return Ok(Start { place: place.saturating_sub(BEFORE), action: None });
    }
    let action = query.number("act").and_then(|action| usize::try_from(action).ok());
    let last = told.messages.saturating_sub(to_u64(MOST_ITEMS));
    let place =
        if query.text("from") == Some("end") { last } else { query.number("from").unwrap_or_default() };
    Ok(Start { place: place.min(told.messages), action })
}

/// The place of a message: the one that is given, if it is there, and else that of the last one with this id.
fn place_of(told: &Told<'_>, id: &Text, given: Option<u64>) -> Result<u64, Failure> {
    if let Some(place) = given {
        if told.messages(place, 1)?.first().is_some_and(|cut| cut.message.id == *id) {
            return Ok(place);
        }
    }
    let (mut at, mut found) = (0, None);
    if told.at.is_none() {
        told.store.for_each_message(&told.conversation.id, Messages::all(), |message| {
            found = if message.id.as_wtf8() == id.as_wtf8() { Some(at) } else { found };
            at += 1;
        })?;
    } else {
        let place = told.conversation.messages.iter().rposition(|message| message.id == *id);
        found = place.map(to_u64);
    }
    found.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "there is no such message in this conversation").into()
    })
}

/// The address of another piece of the same conversation.
fn there(told: &Told<'_>, path: &str, start: Start) -> String {
    let number = |number: u64| if number == 0 { String::new() } else { number.to_string() };
    let from = number(start.place);
    let act = start.action.map(|action| action.to_string()).unwrap_or_default();
    let at = told.at.map(number).unwrap_or_default();
    let id = told.conversation.id.as_bytes();
    let parameters = [("id", id), ("from", from.as_bytes()), ("act", act.as_bytes()), ("at", at.as_bytes())];
    address::attribute(path, &parameters)
}

/// What stands behind a piece: the way to the next one, or a mark that this is the end.
fn ending(seen: &Seen<'_>, piece: &Piece) -> String {
    let told = &seen.told;
    let Some(next) = piece.next else {
        return format!("<p id=\"end\" data-seq=\"{}\">the end</p>\n", seen.seq);
    };
    let left = told.messages.saturating_sub(piece.behind);
    format!(
        "<p id=\"more\"><a rel=\"next\" href=\"{}\" data-part=\"{}\">Go on: {} more messages</a></p>\n",
        there(told, "/c", next),
        there(told, "/part", next),
        grouped(left)
    )
}

/// The ways through a conversation that is longer than a piece.
fn pages(seen: &Seen<'_>, start: Start, has_more: bool) -> String {
    let told = &seen.told;
    let id = escape::bare(&told.conversation.id);
    let search = format!(
        "<form role=\"search\" action=\"/search\" aria-label=\"Search here\"><input type=\"hidden\" name=\"id\" value=\"{id}\">\
         <input type=\"search\" name=\"q\" aria-label=\"Search in this conversation\" placeholder=\"Search here\" size=\"12\"></form>\n"
    );
    let piece = to_u64(MOST_ITEMS);
    let mut out = String::from("<nav class=\"pages\" aria-label=\"In this conversation\">");
    let mut link = |words: &str, start: Start| {
        out.extend(["<a href=\"", &there(told, "/c", start), "\">", words, "</a>\n"]);
    };
    if start.place > 0 {
        link("Beginning", Start::default());
        link("Before", Start { place: start.place.saturating_sub(piece), action: None });
    }
    if has_more {
        let at = told.at.map(|at| at.to_string()).unwrap_or_default();
        let parameters =
            [("id", told.conversation.id.as_bytes()), ("from", &b"end"[..]), ("at", at.as_bytes())];
        out.extend(["<a href=\"", &address::attribute("/c", &parameters), "\">End</a>\n"]);
    }
    if told.messages > piece {
        let at = told
            .at
            .map(|at| format!("<input type=\"hidden\" name=\"at\" value=\"{at}\">"))
            .unwrap_or_default();
        let form = format!(
            "<form action=\"/c\"><input type=\"hidden\" name=\"id\" value=\"{id}\">{at}<label>From message \
             <input name=\"from\" type=\"number\" min=\"0\" max=\"{}\" value=\"{}\"></label> <button>Go</button></form>\n",
            told.messages, start.place
        );
        out.push_str(&form);
    }
    let (id, seq) = (told.conversation.id.as_bytes(), seen.seq.to_string());
    let history = address::attribute("/c", &[("id", id), ("at", seq.as_bytes())]);
    let forks = address::attribute("/forks", &[("id", id)]);
    for (words, href) in [("History", history), ("Forks", forks)] {
        out.extend(["<a href=\"", &href, "\">", words, "</a>\n"]);
    }
    out + &search + "</nav>\n"
}

/// Where a fork comes from, with a link.
fn forked_from(told: &Told<'_>) -> String {
    let Some(from) = told.conversation.forked_from() else { return String::new() };
    let href = address::attribute("/c", &[("id", from.conversation_id.as_bytes())]);
    let id = escape::text(&shortened(&from.conversation_id, 60));
    format!(" · forked from <a href=\"{href}\"><bdi>{id}</bdi></a> at version {}", from.version)
}

/// What the conversation took, as its messages and actions say.
fn taken(told: &Told<'_>, query: &Query) -> Result<String, Failure> {
    let size = told.messages.saturating_add(to_u64(told.conversation.actions.len()));
    if size > MOST_SUMMED && query.text("sums").is_none() {
        let at = told.at.map(|at| at.to_string()).unwrap_or_default();
        let parameters =
            [("id", told.conversation.id.as_bytes()), ("at", at.as_bytes()), ("sums", &b"1"[..])];
        let href = address::attribute("/c", &parameters);
        return Ok(format!("<p class=\"facts\"><a href=\"{href}\">Add up tokens and costs</a></p>\n"));
    }
    let mut sums = Sums::default();
    if told.at.is_none() {
        told.store
            .for_each_message(&told.conversation.id, Messages::all(), |message| sums.message(&message))?;
    } else {
        told.conversation.messages.iter().for_each(|message| sums.metadata(&message.metadata));
    }
    told.conversation.actions.iter().for_each(|action| sums.metadata(&action.metadata));
    let words = sums.words().map(|words| format!("<p class=\"facts sums\">{words}</p>\n"));
    let none = if query.text("sums").is_some() {
        "<p class=\"facts sums\">Nothing says what it took.</p>\n"
    } else {
        ""
    };
    Ok(words.unwrap_or_else(|| none.to_owned()))
}
