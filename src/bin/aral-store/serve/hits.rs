//! What a search finds.
//!
//! Owns how a hit is shown. The search is the store's own.

use aral_store::{Error, Found, MessageStore, Search, SearchOrder};

use super::address::{self, Query};
use super::cut::shortened;
use super::http::{Answer, Request};
use super::page::Page;
use crate::exit::{Exit, Failure};
use crate::export::html::{escape, items};
use crate::moment;
use crate::search;

/// How many hits a page shows.
const MOST: usize = 50;

/// The most that can be asked for.
const MOST_EVER: usize = 1000;

pub(super) fn answer(store: &MessageStore, request: &Request, query: &Query) -> Result<Answer, Failure> {
    let text = query.text("q").unwrap_or_default();
    let mut page = Page::new(request, "Search");
    page.search = text.to_owned();
    page.body.push_str("<h1>Search</h1>\n");
    filters(query, &mut page.body);
    if text.trim().is_empty() {
        page.body.push_str(
            "<p>All that is named must occur in a message: words, \"phrases in quotes\", and beginnings of words with a star.</p>\n",
        );
        return Ok(page.answer(200));
    }
    let time = |name: &str| query.text(name).map(|text| moment::read(name, text)).transpose();
    let most = query.number("most").and_then(|most| usize::try_from(most).ok());
    let most = most.unwrap_or(MOST).clamp(1, MOST_EVER);
    let mut search = Search::new(text).limit(most + 1);
    search.since = time("since")?;
    search.until = time("until")?;
    search.conversation = query.text("id").map(str::to_owned);
    if let Some(role) = query.text("role") {
        search = search.role(role);
    }
    search.order = match query.text("order") {
        None | Some("newest") => SearchOrder::Newest,
        Some("best") => SearchOrder::Best,
        Some(other) => {
            return Err(Error::invalid(format!("order is newest or best, not {other:.40?}")).into());
        }
    };
    let (mut found, exit) = search::found(store, &search)?;
    if exit != Exit::Done {
        let text = "<p class=\"missing\">Not every conversation could be read; <a href=\"/\">the list</a> names them.</p>\n";
        page.body.push_str(text);
    }
    let has_more = found.len() > most;
    found.truncate(most);
    let number = format!(
        "<p class=\"facts\">{}{} found, the {} first.</p>\n",
        if has_more { "More than " } else { "" },
        found.len(),
        if search.order == SearchOrder::Best { "best" } else { "newest" },
    );
    page.body.push_str(&number);
    page.body.push_str("<ol class=\"hits\">\n");
    page.body.extend(found.iter().map(shown));
    page.body.push_str("</ol>\n");
    if has_more && most < MOST_EVER {
        let more = (most * 4).min(MOST_EVER).to_string();
        let mut parameters: Vec<(&str, &[u8])> = ["q", "role", "since", "until", "order", "id"]
            .into_iter()
            .map(|name| (name, query.bytes(name).unwrap_or_default()))
            .collect();
        parameters.push(("most", more.as_bytes()));
        let href = address::attribute("/search", &parameters);
        page.body.extend([
            "<nav class=\"pages\" aria-label=\"Pages\"><a href=\"",
            &href,
            "\">Show more</a></nav>\n",
        ]);
    }
    Ok(page.answer(200))
}

fn filters(query: &Query, out: &mut String) {
    let value = |name: &str| escape::bare(query.text(name).unwrap_or_default());
    let conversation = match query.text("id") {
        Some(id) => format!(
            "<label>Conversation <input name=\"id\" value=\"{}\" size=\"14\"></label>\n",
            escape::bare(id)
        ),
        None => String::new(),
    };
    let form = format!(
        "<form class=\"filters\" action=\"/search\" aria-label=\"Search and filter\">\n\
         <label>Words <input name=\"q\" value=\"{}\" size=\"20\"></label>\n\
         <label>Role <input name=\"role\" value=\"{}\" placeholder=\"user\" size=\"8\"></label>\n\
         <label>Since <input name=\"since\" value=\"{}\" placeholder=\"7d\" size=\"10\"></label>\n\
         <label>Until <input name=\"until\" value=\"{}\" size=\"10\"></label>\n\
         <label>Order <select name=\"order\"><option value=\"newest\">newest first</option><option value=\"best\"{}>best first</option></select></label>\n{conversation}\
         <button>Search</button>\n</form>\n",
        value("q"),
        value("role"),
        value("since"),
        value("until"),
        if query.text("order") == Some("best") { " selected" } else { "" },
    );
    out.push_str(&form);
}

fn shown(hit: &Found) -> String {
    let place = hit.place.to_string();
    let parameters =
        [("id", hit.conversation_id.as_bytes()), ("message", hit.id.as_wtf8()), ("place", place.as_bytes())];
    let anchor = format!("#/{}", escape::anchor(hit.id.as_wtf8()));
    format!(
        "<li><a href=\"{}{anchor}\"><bdi>{}</bdi></a> <span class=\"facts\"><bdi>{}</bdi> · {}</span>\n<p dir=\"auto\">{}</p></li>\n",
        address::attribute("/c", &parameters),
        escape::text(&shortened(&hit.conversation_id, 60)),
        escape::text(&shortened(&hit.role.to_string_lossy(), 40)),
        items::time(hit.created_at),
        marked(hit),
    )
}

/// The part of the text in which something was found, with what was found marked.
fn marked(hit: &Found) -> String {
    let snippet = &hit.snippet;
    let part = |range: std::ops::Range<usize>| escape::text(snippet.text.get(range).unwrap_or_default());
    let (mut out, mut at) = (String::new(), 0);
    out.push_str(if snippet.is_cut_before { "… " } else { "" });
    for found in &snippet.hits {
        out.push_str(&part(at..found.start));
        out.extend(["<mark>", &part(found.clone()), "</mark>"]);
        at = found.end;
    }
    out.push_str(&part(at..snippet.text.len()));
    out.push_str(if snippet.is_cut_behind { " …" } else { "" });
    out
}
