//! The list of conversations.
//!
//! Owns its filters and its pages. A page begins behind the last conversation of the one before, as it was seen there, so that
//! nothing is passed over while others write.

use std::fmt::Write;

use aral_store::{Conversations, Error, JsonObject, ListCursor, MessageStore, Order, Summary, Timestamp};

use super::address::{self, Query};
use super::cut::{MOST_TITLE, shortened};
use super::http::{Answer, Request};
use super::page::Page;
use super::sums::grouped;
use crate::chat::json::{Members, Raw, string};
use crate::exit::Failure;
use crate::export::html::{escape, items};
use crate::moment;
use crate::place;

/// How many conversations a page shows.
const MOST: usize = 100;

/// How many are looked at for a page; a filter may find few among many.
const MOST_LOOKED_AT: usize = 5_000;

/// What the list is asked for.
struct Wanted {
    order: Order,
    since: Option<Timestamp>,
    /// The tool that it comes from.
    source: String,
    /// A member of the metadata, with a value or without.
    metadata: String,
}

pub(super) fn answer(store: &MessageStore, request: &Request, query: &Query) -> Result<Answer, Failure> {
    let given = |name: &str| query.text(name).unwrap_or_default();
    let since = query.text("since").map(|text| moment::read("since", text)).transpose()?;
    let order = if given("order") == "created" { Order::Created } else { Order::Activity };
    let wanted =
        Wanted { order, since, source: given("source").to_owned(), metadata: given("metadata").to_owned() };
    let mut selection = Conversations::by(order);
    if let Some(id) = query.text("after") {
        let seen = given("seen").parse::<Timestamp>().ok().zip(query.number("seq"));
        selection = selection.after(match seen {
            Some((activity, seq)) => ListCursor::seen(id, seq, activity),
            None => ListCursor::from(id),
        });
    }
    let (rows, behind) = found(store, &wanted, selection)?;
    let mut page = Page::new(request, "Conversations");
    let mut body = String::from("<h1>Conversations</h1>\n");
    filters(query, &mut body);
    let damaged = store.recovery().damaged;
    for file in &damaged {
        let text = escape::text(&place::damage(file));
        body.extend(["<p class=\"missing\"><b>Not readable:</b> ", &text, "</p>\n"]);
    }
    if rows.is_empty() {
        let text = if behind.is_some() { "None so far." } else { "There is none." };
        body.extend(["<p class=\"none\">", text, "</p>\n"]);
    }
    body.push_str("<ol class=\"list\">\n");
    for row in &rows {
        body.push_str(&listed(row));
    }
    body.push_str("</ol>\n");
    if let Some(last) = behind {
        let (seq, seen) = (last.last_seq.to_string(), last.last_activity.to_string());
        let mut parameters: Vec<(&str, &[u8])> = ["order", "since", "source", "metadata"]
            .into_iter()
            .map(|name| (name, given(name).as_bytes()))
            .collect();
        parameters.extend([
            ("after", last.id.as_bytes()),
            ("seq", seq.as_bytes()),
            ("seen", seen.as_bytes()),
        ]);
        let next = address::attribute("/", &parameters);
        body.extend([
            "<nav class=\"pages\" aria-label=\"Pages\"><a rel=\"next\" href=\"",
            &next,
            "\">Further ones</a></nav>\n",
        ]);
    }
    page.body = body;
    Ok(page.answer(200))
}

/// The conversations of a page, and the one that the next page begins behind, if there may be more.
fn found(
    store: &MessageStore,
    wanted: &Wanted,
    mut selection: Conversations,
) -> Result<(Vec<Summary>, Option<Summary>), Error> {
    let (mut rows, mut looked_at) = (Vec::new(), 0);
    loop {
        let step = store.conversations(selection.clone().first(MOST + 1))?;
        let is_last = step.len() <= MOST;
        for (number, summary) in (1..).zip(step) {
            // The one behind a whole page only says that there is one.
            if number > MOST {
                break;
            }
            looked_at += 1;
            selection = Conversations::by(wanted.order).after(&summary);
            let is_wanted = wanted.takes(store, &summary)?;
            let is_enough = looked_at >= MOST_LOOKED_AT || is_wanted && rows.len() + 1 == MOST;
            if is_wanted {
                rows.push(summary.clone());
            }
            if is_enough {
                return Ok((rows, Some(summary)));
            }
        }
        if is_last {
            return Ok((rows, None));
        }
    }
}

impl Wanted {
    fn takes(&self, store: &MessageStore, summary: &Summary) -> Result<bool, Error> {
        if self.since.is_some_and(|since| !summary.last_activity.may_be_since(since)) {
            return Ok(false);
        }
        if self.source.is_empty() && self.metadata.is_empty() {
            return Ok(true);
        }
        match store.conversation_without_messages(&summary.id) {
            Ok(conversation) => Ok(conversation.is_some_and(|found| self.takes_metadata(&found.metadata))),
            // It may be what is looked for, and is named as not readable when it is opened.
            Err(error) if place::is_unreadable(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn takes_metadata(&self, metadata: &JsonObject) -> bool {
        let text = metadata.as_json().as_bytes();
        let source = || {
            [member(text, "source.tool"), member(text, "source")]
                .into_iter()
                .flatten()
                .any(|tool| tool == self.source)
        };
        let named = || match self.metadata.split_once('=') {
            Some((path, value)) => member(text, path.trim()).as_deref() == Some(value.trim()),
            None => member(text, self.metadata.trim()).is_some(),
        };
        (self.source.is_empty() || source()) && (self.metadata.is_empty() || named())
    }
}

/// A member, by the names that lead to it with dots between them; a string as its text, and anything else as JSON.
fn member(json: &[u8], path: &str) -> Option<String> {
    let members = Members::of_bytes(json).ok()?;
    if let Some(value) = members.get(path) {
        return Some(shown(value));
    }
    let (name, rest) = path.split_once('.')?;
    member(members.get(name)?.get().as_bytes(), rest)
}

fn shown(value: Raw<'_>) -> String {
    string(value).unwrap_or_else(|| value.get().to_owned())
}

fn filters(query: &Query, out: &mut String) {
    let value = |name: &str| escape::bare(query.text(name).unwrap_or_default());
    let is_created = query.text("order") == Some("created");
    let selected = |is: bool| if is { " selected" } else { "" };
    // Writing to a string does not fail.
    let _written = write!(
        out,
        "<form class=\"filters\" action=\"/\" aria-label=\"Filter the list\">\n\
         <label>Active since <input name=\"since\" value=\"{}\" placeholder=\"7d, 2025-03-13\" size=\"12\"></label>\n\
         <label>Tool <input name=\"source\" value=\"{}\" placeholder=\"claude-code\" size=\"12\"></label>\n\
         <label>Metadata <input name=\"metadata\" value=\"{}\" placeholder=\"team=a\" size=\"14\"></label>\n\
         <label>Order <select name=\"order\"><option value=\"activity\"{}>newest activity</option>\
         <option value=\"created\"{}>as created</option></select></label>\n<button>Show</button>\n</form>\n",
        value("since"),
        value("source"),
        value("metadata"),
        selected(!is_created),
        selected(is_created),
    );
}

/// A conversation in the list.
pub(super) fn listed(summary: &Summary) -> String {
    let title = shortened(&summary.title.to_string_lossy(), MOST_TITLE);
    format!(
        "<li><a href=\"{}\"><bdi>{}</bdi></a> <span class=\"id\"><bdi>{}</bdi></span> \
         <span class=\"number\">{}</span> <span class=\"number actions\">{}</span> <span class=\"time\">{}</span></li>\n",
        address::attribute("/c", &[("id", summary.id.as_bytes())]),
        escape::text(&title),
        escape::text(&shortened(&summary.id, 60)),
        numbered(summary.messages, "message"),
        if summary.actions == 0 { String::new() } else { numbered(summary.actions, "action") },
        items::time(summary.last_activity),
    )
}

fn numbered(number: u64, word: &str) -> String {
    format!("{} {word}{}", grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_by_its_path_or_by_a_name_with_dots() {
        let json = br#"{"source":{"tool":"codex","n":1},"a.b":true,"team":"a"}"#;
        for (path, value) in [
            ("source.tool", Some("codex")),
            ("source.n", Some("1")),
            ("a.b", Some("true")),
            ("team", Some("a")),
            ("team.x", None),
            ("", None),
        ] {
            assert_eq!(member(json, path).as_deref(), value, "{path}");
        }
    }
}
