//! A page that a browser shows: one file, without scripts, that fetches nothing.
//!
//! Owns the page's tags. What a conversation holds comes in through [`escape`] and [`rendered`] only, and the
//! page's own policy forbids scripts and every fetch besides.

pub(crate) mod escape;

mod rendered;

pub(crate) mod items;

use std::collections::HashMap;
use std::io::{self, Write};

use aral_store::{Conversation, Error, Summary, Text};

use items::{Framed, done, more, said, time};

use super::timeline::{Item, Shown, extent};
use super::{Contents, Entry, Shape};
use crate::output::{count, to_u64};

pub(crate) const STYLE: &str = include_str!("page.css");

/// What the page may do: nothing but look as its own style says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The page, with the anchors of the conversation that is being written.
#[derive(Default)]
pub(super) struct Page(Anchors);

impl Shape for Page {
    fn begin(&mut self, contents: &Contents, out: &mut dyn Write) -> io::Result<()> {
        let conversations = count(to_u64(contents.entries.len()), "conversation");
        let title = match contents.entries.as_slice() {
            [Entry { summary: Some(only), .. }] => only.title.to_string_lossy().into_owned(),
            _ => conversations.clone(),
        };
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta name=\"generator\" content=\"aral-store\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
            escape::bare(&title)
        )?;
        let summaries = || contents.entries.iter().filter_map(|entry| entry.summary.as_ref());
        let sum = |number: fn(&Summary) -> u64| summaries().map(number).sum();
        let extent = extent(sum(|summary| summary.messages), sum(|summary| summary.actions));
        write!(
            out,
            "<nav id=\"=list\" aria-label=\"Conversations\">\n<header>\n<h1>{conversations}</h1>\n\
             <p>{extent}</p>\n<p>Times are in UTC or say local.</p>\n</header>\n<ol>\n"
        )?;
        for entry in &contents.entries {
            listed(entry, out)?;
        }
        write!(out, "</ol>\n</nav>\n<main>\n")?;
        for reason in &contents.missing {
            writeln!(out, "<p class=\"missing\"><b>Missing here:</b> {}</p>", escape::text(reason))?;
        }
        Ok(())
    }

    fn head(&mut self, conversation: &Conversation, messages: u64, out: &mut dyn Write) -> io::Result<()> {
        self.0 = Anchors::of(&conversation.id);
        let top = &self.0.conversation;
        write!(
            out,
            "<section id=\"{top}\">\n<header class=\"head\"><h2><a href=\"#{top}\"><bdi>{}</bdi></a></h2>\
             <a class=\"up\" href=\"#=list\" title=\"The list of conversations\">↑</a></header>\n\
             <p class=\"facts\"><code>{}</code> · created {} · {}</p>\n",
            escape::text(&conversation.title.to_string_lossy()),
            escape::text(&conversation.id),
            time(conversation.created_at),
            extent(messages, to_u64(conversation.actions.len())),
        )?;
        more("metadata", &conversation.metadata, out)?;
        more("other fields", &conversation.extra, out)
    }

    fn item(&mut self, _conversation: &Conversation, item: Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        match item {
            Item::Message(message) => {
                let anchor = self.0.next('/', &message.id);
                said(message, framed(&anchor, &format!("#{anchor}")), out)
            }
            Item::Action(action) => {
                let anchor = self.0.next(':', &action.id);
                done(action, framed(&anchor, &format!("#{anchor}")), out)
            }
        }
    }

    fn foot(&mut self, _conversation: &Conversation, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "</section>")
    }

    fn unreadable(&mut self, id: &str, reason: &Error, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "<section id=\"{}\">\n<header class=\"head\"><h2><bdi>{}</bdi></h2></header>\n\
             <p class=\"missing\"><b>Not readable:</b> {}</p>\n</section>",
            escape::anchor(id.as_bytes()),
            escape::text(id),
            escape::text(&reason.to_string())
        )
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "</main>\n</body>\n</html>")
    }
}

/// The anchors of a conversation. The `=` of the page's own ones is in none of them before a letter.
#[derive(Default)]
pub(crate) struct Anchors {
    conversation: String,
    used: HashMap<String, u64>,
}

impl Anchors {
    pub(crate) fn of(conversation: &str) -> Self {
        Self { conversation: escape::anchor(conversation.as_bytes()), used: HashMap::new() }
    }

    /// The anchor of a message or an action; ids may repeat, anchors may not.
    pub(crate) fn next(&mut self, mark: char, id: &Text) -> String {
        let anchor = format!("{}{mark}{}", self.conversation, escape::anchor(id.as_wtf8()));
        let number = self.used.entry(anchor.clone()).or_default();
        *number += 1;
        if *number == 1 { anchor } else { format!("{anchor}{mark}{number}") }
    }
}

fn listed(Entry { id, summary }: &Entry, out: &mut dyn Write) -> io::Result<()> {
    let anchor = escape::anchor(id.as_bytes());
    let (title, facts) = match summary {
        Some(summary) => {
            let messages = count(summary.messages, "message");
            (
                summary.title.to_string_lossy().into_owned(),
                format!("{messages} · {}", Shown::of(summary.last_activity).date),
            )
        }
        None => (id.clone(), "not readable".to_owned()),
    };
    let title = escape::text(&title);
    writeln!(out, "<li><a href=\"#{anchor}\"><b><bdi>{title}</bdi></b> <span>{facts}</span></a></li>")
}

/// Something that stands open, with nothing beside it.
fn framed<'f>(anchor: &'f str, href: &'f str) -> Framed<'f> {
    Framed { anchor, href, fold: None, after: "" }
}
