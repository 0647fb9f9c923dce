//! Text on its way into a page.
//!
//! Owns the one way in: whatever a conversation holds passes through here, and comes out as text. What a reader
//! would not see is shown by its number, as `\u{202e}`.

use super::super::unseen::is_unseen;

/// Text between tags.
pub(crate) fn text(text: &str) -> String {
    escaped(text, |out, c| {
        out.push_str("<span class=\"unseen\">");
        out.extend(c.escape_unicode());
        out.push_str("</span>");
    })
}

/// Text where no tag can stand: in an attribute or a title.
pub(crate) fn bare(text: &str) -> String {
    escaped(text, |out, c| out.extend(c.escape_unicode()))
}

/// Whether nothing of a text has to be shown by its number.
pub(crate) fn is_seen(text: &str) -> bool {
    !text.contains(is_unseen)
}

fn escaped(text: &str, unseen: impl Fn(&mut String, char)) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ if is_unseen(c) => unseen(&mut out, c),
            _ => out.push(c),
        }
    }
    out
}

/// A part of an anchor, which two different ids never share: letters, digits and a few marks stand for
/// themselves, all other bytes for their numbers.
pub(crate) fn anchor(id: &[u8]) -> String {
    let mut out = String::with_capacity(id.len());
    for byte in id {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(*byte));
        } else {
            out.extend([format!("={byte:02X}")]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_means_something_to_a_browser_passes() {
        assert_eq!(bare("<a b='c' d=\"e\">&\u{0}"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;\\u{0}");
        assert_eq!(text("a\u{202e}b\n"), "a<span class=\"unseen\">\\u{202e}</span>b\n");
    }

    #[test]
    fn an_anchor_is_made_of_what_an_address_can_hold() {
        assert_eq!(anchor("a-B_9.é /:=\"".as_bytes()), "a-B_9.=C3=A9=20=2F=3A=3D=22");
    }
}
