//! A transcript in Markdown.
//!
//! Owns that nothing a conversation holds can pass for a part of the transcript: every message is a quote, its
//! lines each behind a `>`, raw HTML in it is shown instead of used, and code is fenced with more backticks
//! than it holds. Lines end with a line feed, and other control characters are escaped.

use std::io::{self, Write};

use aral_store::{Action, Conversation, Error, JsonObject, Message};
use pulldown_cmark::{Event, Options, Parser};

use super::pretty::pretty;
use super::timeline::{Item, Shown, extent};
use super::{Contents, Shape, unseen};
use crate::output::{one_line, to_u64};

/// How often a message is looked at again for raw HTML before all of it is shown as code.
const MOST_ROUNDS: usize = 4;

pub(super) struct Transcript;

impl Shape for Transcript {
    fn begin(&mut self, contents: &Contents, out: &mut dyn Write) -> io::Result<()> {
        for reason in &contents.missing {
            writeln!(out, "> **Missing here:** {}\n", escaped(reason))?;
        }
        Ok(())
    }

    fn head(&mut self, conversation: &Conversation, messages: u64, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "# {}\n", escaped(&conversation.title.to_string_lossy()))?;
        writeln!(
            out,
            "{} · created {} · {}\n",
            code(&conversation.id),
            Shown::of(conversation.created_at).to_second,
            extent(messages, to_u64(conversation.actions.len())),
        )?;
        attached("metadata", &conversation.metadata, out)?;
        attached("other fields", &conversation.extra, out)
    }

    fn item(&mut self, _conversation: &Conversation, item: Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        match item {
            Item::Message(message) => said(message, out),
            Item::Action(action) => done(action, out),
        }
    }

    fn unreadable(&mut self, id: &str, reason: &Error, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "# {}\n\n> **Not readable:** {}\n", code(id), escaped(&reason.to_string()))
    }
}

fn said(message: &Message, out: &mut dyn Write) -> io::Result<()> {
    let role = escaped(&message.role.to_string_lossy());
    let time = Shown::of(message.created_at).to_second;
    writeln!(out, "## {role} · {time} · {}\n", code(&message.id.to_string_lossy()))?;
    let shown = shown_html(&unseen::escaped(&lines_of(&message.content.to_string_lossy())));
    for line in shown.split('\n') {
        writeln!(out, "{}{line}", if line.is_empty() { ">" } else { "> " })?;
    }
    writeln!(out)?;
    attached("metadata", &message.metadata, out)?;
    attached("other fields", &message.extra, out)
}

fn done(action: &Action, out: &mut dyn Write) -> io::Result<()> {
    let kind = html_escaped(&action.action_type.to_string_lossy());
    let id = html_escaped(&action.id.to_string_lossy());
    let time = Shown::of(action.created_at).to_second;
    folded(&format!("action <b>{kind}</b> · {time} · <code>{id}</code>"), &action.data, out)?;
    attached("metadata", &action.metadata, out)?;
    attached("other fields", &action.extra, out)
}

fn attached(what: &str, object: &JsonObject, out: &mut dyn Write) -> io::Result<()> {
    if object.is_empty() { Ok(()) } else { folded(what, object, out) }
}

fn folded(summary: &str, object: &JsonObject, out: &mut dyn Write) -> io::Result<()> {
    let json = pretty(object);
    let fence = "`".repeat(longest_run(&json).max(2) + 1);
    writeln!(out, "<details><summary>{summary}</summary>\n\n{fence}json\n{json}\n{fence}\n\n</details>\n")
}

/// Every end of a line that Markdown knows as a line feed: none may leave the quote.
fn lines_of(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The Markdown with all of its raw HTML made text by backslashes.
fn shown_html(source: &str) -> String {
    let mut shown = with_shown_html(source);
    // What was inside of HTML is Markdown now, and may open or close a block that hid more HTML.
    for _ in 0..MOST_ROUNDS {
        let again = with_shown_html(&shown);
        if again == shown {
            return shown;
        }
        shown = again;
    }
    let fence = "`".repeat(longest_run(source).max(2) + 1);
    format!("{fence}\n{source}\n{fence}")
}

fn with_shown_html(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut copied = 0;
    for (event, range) in Parser::new_ext(source, Options::empty()).into_offset_iter() {
        if matches!(event, Event::Html(_) | Event::InlineHtml(_)) && range.start >= copied {
            out.push_str(source.get(copied..range.start).unwrap_or_default());
            out.push_str(&source.get(range.clone()).unwrap_or_default().replace('<', "\\<"));
            copied = range.end;
        }
    }
    out.push_str(source.get(copied..).unwrap_or_default());
    out
}

fn in_one_line(text: &str) -> String {
    one_line(&unseen::escaped(text))
}

/// Text that stands in a line of Markdown and means nothing there.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in in_one_line(text).chars() {
        if c.is_ascii_punctuation()
            && !matches!(c, '.' | ',' | '-' | ':' | ';' | '/' | '(' | ')' | '\'' | '"')
        {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Text that stands between tags on a line, where Markdown would still read it.
fn html_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in in_one_line(text).chars() {
        if c.is_ascii_punctuation() {
            out.extend([format!("&#{};", u32::from(c))]);
        } else {
            out.push(c);
        }
    }
    out
}

/// Text as code within a line.
fn code(text: &str) -> String {
    let text = in_one_line(text);
    let fence = "`".repeat(longest_run(&text) + 1);
    // One space on both sides is taken off again, and lets the text begin or end with a backtick.
    let gap = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    if text.is_empty() { "(empty)".to_owned() } else { format!("{fence}{gap}{text}{gap}{fence}") }
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_html_becomes_text_and_code_stays_as_it_is() {
        for (given, wanted) in [
            ("a <b>c</b>", "a \\<b>c\\</b>"),
            ("`<b>` 1 < 2 <https://x.y>", "`<b>` 1 < 2 <https://x.y>"),
            ("<!-- x\n\n<y> -->\n", "\\<!-- x\n\n\\<y> -->\n"),
            ("```\n<b>\n```", "```\n<b>\n```"),
            ("<p>\n```\n\n```\n<b>\n```", "\\<p>\n```\n\n```\n\\<b>\n```"),
        ] {
            assert_eq!(shown_html(given), wanted);
            let again = Parser::new(&shown_html(given))
                .filter(|e| matches!(e, Event::Html(_) | Event::InlineHtml(_)))
                .count();
            assert_eq!(again, 0, "{given}");
        }
    }

    #[test]
    fn code_in_a_line_is_fenced_with_more_backticks_than_it_has() {
        for (given, wanted) in [("c1", "`c1`"), ("a`b", "``a`b``"), ("``", "``` `` ```"), ("", "(empty)")] {
            assert_eq!(code(given), wanted);
        }
    }
}
