//! What a message and an action are in a page.
//!
//! Owns their tags. The exported page and the viewer show both in the same way; each says where they stand in it.

use std::io::{self, Write};

use aral_store::{Action, JsonObject, Message, Timestamp};

use super::super::pretty::pretty;
use super::super::timeline::Shown;
use super::{escape, rendered};

/// How much of an action's data is shown while it is folded.
const PREVIEW_CHARS: usize = 120;

/// Where something stands in its page, and what the page adds to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framed<'f> {
    /// The element's id.
    pub(crate) anchor: &'f str,
    /// Where its time leads, as an attribute's value; nowhere if that is nothing.
    pub(crate) href: &'f str,
    /// The words that its text is folded behind, as HTML; nothing if it is open.
    pub(crate) fold: Option<&'f str>,
    /// What stands behind its text or its data, as HTML.
    pub(crate) after: &'f str,
}

impl Framed<'_> {
    /// When it was, and a link to it.
    fn when(&self, at: Timestamp) -> String {
        let time = time(at);
        match self.href {
            "" => format!("<span class=\"when\">{time}</span>"),
            href => format!("<a class=\"when\" href=\"{href}\">{time}</a>"),
        }
    }
}

pub(crate) fn said(message: &Message, framed: Framed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let role = message.role.to_string_lossy();
    let class = match role.as_ref() {
        "user" => "user",
        "assistant" => "assistant",
        "system" | "developer" => "system",
        _ => "other",
    };
    let role = if role.is_empty() { "no role".into() } else { role };
    write!(
        out,
        "<article class=\"{class}\" id=\"{}\">\n<header><b class=\"role\"><bdi>{}</bdi></b> {}</header>\n",
        framed.anchor,
        escape::text(&role),
        framed.when(message.created_at),
    )?;
    if let Some(words) = framed.fold {
        writeln!(out, "<details class=\"fold\"><summary>{words}</summary>")?;
    }
    let text = rendered::rendered(&message.content.to_string_lossy());
    writeln!(out, "<div class=\"text\" dir=\"auto\">\n{text}</div>")?;
    if framed.fold.is_some() {
        writeln!(out, "</details>")?;
    }
    out.write_all(framed.after.as_bytes())?;
    more("metadata", &message.metadata, out)?;
    more("other fields", &message.extra, out)?;
    writeln!(out, "</article>")
}

pub(crate) fn done(action: &Action, framed: Framed<'_>, out: &mut dyn Write) -> io::Result<()> {
    write!(
        out,
        "<details class=\"action\" id=\"{}\">\n<summary><b><bdi>{}</bdi></b> <code>{}</code> {}</summary>\n{}",
        framed.anchor,
        escape::text(&action.action_type.to_string_lossy()),
        escape::text(&preview(action.data.as_json())),
        framed.when(action.created_at),
        json(&action.data),
    )?;
    out.write_all(framed.after.as_bytes())?;
    more("metadata", &action.metadata, out)?;
    more("other fields", &action.extra, out)?;
    writeln!(out, "</details>")
}

/// The beginning of a text.
pub(crate) fn preview(text: &str) -> String {
    let mut preview: String = text.chars().take(PREVIEW_CHARS).collect();
    if preview.len() < text.len() {
        preview.push('…');
    }
    preview
}

pub(crate) fn more(what: &str, object: &JsonObject, out: &mut dyn Write) -> io::Result<()> {
    if object.is_empty() {
        return Ok(());
    }
    writeln!(out, "<details class=\"more\"><summary>{what}</summary>{}</details>", json(object))
}

fn json(object: &JsonObject) -> String {
    format!("<pre><code>{}</code></pre>\n", escape::text(&pretty(object)))
}

pub(crate) fn time(time: Timestamp) -> String {
    let Shown { to_minute, machine, exact, .. } = Shown::of(time);
    format!("<time datetime=\"{machine}\" title=\"{exact}\">{to_minute}</time>")
}
