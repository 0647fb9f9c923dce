//! The Markdown of a message as HTML.
//!
//! Owns which tags a message can bring about, and that it hides nothing: raw HTML is text, a link leads to the web
//! or to an address for mail or is text, an image is a link, and where rendering leaves something of the
//! source out (a definition, a cell too many), the source follows as it was written.

use std::ops::Range;

use pulldown_cmark::{Alignment, CodeBlockKind, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use super::escape;
use crate::output::{count, to_u64};

/// Longer texts are shown as they are: nobody reads them, and a browser must lay them out.
const MAX_RENDERED_BYTES: usize = 256 << 10;

/// More tags than this inside of each other are no text for reading, and browsers stop at 512.
const MAX_DEPTH: usize = 64;

/// Longer destinations that are shown as text are cut.
const MAX_SHOWN_DESTINATION: usize = 200;

/// A message's text as blocks of HTML.
pub(super) fn rendered(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    if source.trim().is_empty() {
        return "<p class=\"none\">no text</p>\n".to_owned();
    }
    if source.len() > MAX_RENDERED_BYTES {
        return raw(&source);
    }
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut page = Rendering::of(&source);
    for (event, range) in Parser::new_ext(&source, options).into_offset_iter() {
        page.event(event, range);
        if page.depth > MAX_DEPTH {
            return raw(&source);
        }
    }
    page.pass(source.len());
    let mut out = page.out;
    if page.has_hidden {
        out.push_str("<details class=\"more\"><summary>as written</summary>");
        out.extend([format!("<pre><code>{}</code></pre></details>\n", escape::text(&source))]);
    }
    out
}

fn raw(text: &str) -> String {
    format!("<p class=\"raw\">{}</p>\n", escape::text(text))
}

struct Rendering<'s> {
    source: &'s str,
    out: String,
    /// Up to here the source has been shown.
    passed: usize,
    has_hidden: bool,
    depth: usize,
    /// The links that are open, with what closes each.
    links: Vec<String>,
    is_linked: bool,
    is_ordered: Vec<bool>,
    alignments: Vec<Alignment>,
    column: usize,
    cell: &'static str,
}

impl<'s> Rendering<'s> {
    fn of(source: &'s str) -> Self {
        Self {
            source,
            out: String::with_capacity(source.len() + source.len() / 4),
            passed: 0,
            has_hidden: false,
            depth: 0,
            links: Vec::new(),
            is_linked: false,
            is_ordered: Vec::new(),
            alignments: Vec::new(),
            column: 0,
            cell: "td",
        }
    }

    /// Goes on in the source; what is stepped over and is more than a mark was not shown.
    fn pass(&mut self, to: usize) {
        if let Some(left_out) = self.source.get(self.passed..to) {
            self.has_hidden |= left_out.chars().any(|c| c.is_alphanumeric() || !c.is_ascii());
            self.passed = to;
        }
    }

    fn put(&mut self, html: &str) {
        self.out.push_str(html);
    }

    fn shown(&mut self, range: &Range<usize>) {
        self.pass(range.start);
        self.passed = self.passed.max(range.end);
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others come with options that are off")]
        match event {
            Event::Start(tag) => {
                self.depth += 1;
                self.start(tag, &range);
            }
            Event::End(tag) => {
                self.depth = self.depth.saturating_sub(1);
                self.end(tag, &range);
            }
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                self.shown(&range);
                self.put(&escape::text(&text));
            }
            Event::Code(text) => {
                self.shown(&range);
                self.put(&format!("<code>{}</code>", escape::text(&text)));
            }
            // In a conversation a line break means one.
            Event::SoftBreak | Event::HardBreak => self.put("<br>\n"),
            Event::Rule => self.put("<hr>\n"),
            Event::TaskListMarker(is_done) => {
                self.shown(&range);
                self.put(if is_done { "☑ " } else { "☐ " });
            }
            _ => self.has_hidden = true,
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: &Range<usize>) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others come with options that are off")]
        match tag {
            Tag::Paragraph => self.put("<p>"),
            Tag::HtmlBlock => self.put("<p class=\"raw\">"),
            Tag::Heading { level, .. } => self.put(&format!("<{}>", heading(level))),
            Tag::BlockQuote(_) => self.put("<blockquote>\n"),
            Tag::CodeBlock(kind) => self.code_block(&kind, range),
            Tag::List(first) => {
                self.is_ordered.push(first.is_some());
                self.put(if first.is_some() { "<ol>\n" } else { "<ul>\n" });
            }
            Tag::Item => self.item(range),
            Tag::Table(alignments) => {
                self.alignments = alignments;
                self.put("<div class=\"wide\"><table>\n");
            }
            Tag::TableHead => self.row("th", "<thead><tr>"),
            Tag::TableRow => self.row("td", "<tr>"),
            Tag::TableCell => self.table_cell(),
            Tag::Emphasis => self.put("<em>"),
            Tag::Strong => self.put("<strong>"),
            Tag::Strikethrough => self.put("<del>"),
            Tag::Link { link_type, dest_url, title, .. } => {
                let mail = if link_type == LinkType::Email { "mailto:" } else { "" };
                self.link("", &format!("{mail}{dest_url}"), &title);
            }
            Tag::Image { dest_url, title, .. } => self.link("image: ", &dest_url, &title),
            _ => self.has_hidden = true,
        }
    }

    fn end(&mut self, tag: TagEnd, range: &Range<usize>) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others come with options that are off")]
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.put("</p>\n"),
            TagEnd::Heading(level) => self.put(&format!("</{}>\n", heading(level))),
            TagEnd::BlockQuote(_) => self.put("</blockquote>\n"),
            TagEnd::CodeBlock => self.put("</code></pre></div>\n"),
            TagEnd::List(_) => {
                let is_ordered = self.is_ordered.pop().unwrap_or_default();
                self.put(if is_ordered { "</ol>\n" } else { "</ul>\n" });
            }
            TagEnd::Item => self.put("</li>\n"),
            TagEnd::Table => self.put("</tbody></table></div>\n"),
            TagEnd::TableHead => self.put("</tr></thead><tbody>\n"),
            TagEnd::TableRow => self.put("</tr>\n"),
            TagEnd::TableCell => self.put(&format!("</{}>", self.cell)),
            TagEnd::Emphasis => self.put("</em>"),
            TagEnd::Strong => self.put("</strong>"),
            TagEnd::Strikethrough => self.put("</del>"),
            TagEnd::Link | TagEnd::Image => {
                let close = self.links.pop().unwrap_or_default();
                if close == "</a>" {
                    self.is_linked = false;
                }
                self.put(&close);
                // Its destination is shown, or in the link.
                self.passed = self.passed.max(range.end);
            }
            _ => {}
        }
    }

    fn code_block(&mut self, kind: &CodeBlockKind<'_>, range: &Range<usize>) {
        self.pass(range.start);
        self.put("<div class=\"code\">");
        if let CodeBlockKind::Fenced(info) = kind {
            if !info.is_empty() {
                self.put(&format!("<span class=\"language\">{}</span>", escape::text(info)));
            }
            // The rest of the fence's line is what has just been shown.
            let block = self.source.get(range.clone()).unwrap_or_default();
            let fence = block.find('\n').unwrap_or(block.len());
            self.passed = self.passed.max(range.start + fence);
        }
        self.put("<pre><code>");
    }

    /// An item keeps the number that it was written with.
    fn item(&mut self, range: &Range<usize>) {
        self.pass(range.start);
        let item = self.source.get(range.clone()).unwrap_or_default().trim_start();
        let digits: String = item.chars().take_while(char::is_ascii_digit).collect();
        if self.is_ordered.last() != Some(&true) || digits.is_empty() {
            return self.put("<li>");
        }
        let indentation = range.len().saturating_sub(item.len());
        self.passed = self.passed.max(range.start + indentation + digits.len());
        self.put(&format!("<li value=\"{digits}\">"));
    }

    fn row(&mut self, cell: &'static str, tags: &str) {
        self.column = 0;
        self.cell = cell;
        self.put(tags);
    }

    fn table_cell(&mut self) {
        let class = match self.alignments.get(self.column) {
            Some(Alignment::Right) => " class=\"right\"",
            Some(Alignment::Center) => " class=\"center\"",
            Some(Alignment::Left | Alignment::None) | None => "",
        };
        self.column += 1;
        self.put(&format!("<{}{class}>", self.cell));
    }

    /// Opens a link if it leads where a link may lead; else its destination follows its text.
    fn link(&mut self, before: &str, destination: &str, title: &str) {
        self.has_hidden |= !title.is_empty();
        if !self.is_linked && is_safe(destination) {
            self.is_linked = true;
            self.links.push("</a>".to_owned());
            let destination = escape::bare(destination);
            self.put(&format!("<a href=\"{destination}\" rel=\"noopener noreferrer nofollow\">{before}"));
            return;
        }
        let mut shown: String = destination.chars().take(MAX_SHOWN_DESTINATION).collect();
        if shown.len() < destination.len() {
            self.has_hidden = true;
            shown.extend(["… ", &count(to_u64(destination.len()), "byte")]);
        }
        self.put(before);
        let shown = escape::text(&shown);
        self.links.push(format!(" <code class=\"destination\">{shown}</code>"));
    }
}

/// Whether a browser that follows the link only fetches a page or opens a letter.
fn is_safe(destination: &str) -> bool {
    let is_plain = |c: char| !c.is_whitespace() && !super::super::unseen::is_unseen(c);
    let scheme = destination.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let is_known = match scheme.as_str() {
        "http" | "https" => destination.get(scheme.len()..).is_some_and(|rest| rest.starts_with("://")),
        "mailto" => true,
        _ => false,
    };
    is_known && destination.chars().all(is_plain)
}

/// A message's headings stand below those of the page.
fn heading(level: HeadingLevel) -> &'static str {
    match level {
        HeadingLevel::H1 => "h3",
        HeadingLevel::H2 => "h4",
        HeadingLevel::H3 => "h5",
        HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => "h6",
    }
}

#[cfg(test)]
mod tests;
