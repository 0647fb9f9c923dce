//! A page of the viewer, around what it shows.
//!
//! Owns the page's head, its bar, and its policy: scripts and styles are those that this program brings, each named by a number
//! that holds for this answer alone, and nothing is fetched from elsewhere.

use super::guard;
use super::http::{Answer, Request};
use crate::export::html::{STYLE, escape};

const OWN_STYLE: &str = include_str!("serve.css");

const SCRIPT: &str = include_str!("serve.js");

/// What a page shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Page {
    pub(super) title: String,
    /// What stands in the field for searching.
    pub(super) search: String,
    /// The colours that were chosen, if any were.
    pub(super) theme: Option<&'static str>,
    pub(super) body: String,
}

impl Page {
    /// A page with the colours that a request asks for.
    pub(super) fn new(request: &Request, title: &str) -> Self {
        let cookies = request.header("cookie").ok().flatten().unwrap_or_default();
        let chosen =
            |name| cookies.split(';').any(|cookie| cookie.trim() == format!("aral-store-theme={name}"));
        let theme = ["dark", "light"].into_iter().find(|name| chosen(*name));
        Self { title: title.to_owned(), theme, ..Self::default() }
    }

    pub(super) fn answer(&self, status: u16) -> Answer {
        let nonce = guard::secret();
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        let theme = self.theme.map(|theme| format!(" data-theme=\"{theme}\"")).unwrap_or_default();
        let version = version();
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"{theme}>\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{} · aral-store</title>\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <link rel=\"stylesheet\" href=\"/style.css?v={version}\" nonce=\"{nonce}\">\n\
             <script src=\"/script.js?v={version}\" nonce=\"{nonce}\" defer></script>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#content\">Skip to the content</a>\n<header class=\"bar\">\n\
             <a class=\"home\" href=\"/\">aral-store</a>\n\
             <form role=\"search\" action=\"/search\"><input type=\"search\" name=\"q\" value=\"{}\" \
             aria-label=\"Search all messages\" placeholder=\"Search all messages\" autocomplete=\"off\"></form>\n\
             <button type=\"button\" id=\"theme\" hidden>Dark</button>\n\
             <button type=\"button\" id=\"help\" hidden aria-label=\"Keys\">?</button>\n</header>\n\
             <main id=\"content\" tabindex=\"-1\">\n{}</main>\n{KEYS}</body>\n</html>\n",
            escape::bare(&self.title),
            escape::bare(&self.search),
            self.body
        );
        // Told less, a browser would name no origin in a form that it sends, and a change has to come from somewhere.
        Answer::new(status, "text/html; charset=utf-8", html)
            .with("Content-Security-Policy", policy)
            .with("Referrer-Policy", "same-origin")
    }
}

/// What the keys do.
const KEYS: &str = "<dialog id=\"keys\" aria-labelledby=\"keys-title\"><h2 id=\"keys-title\">Keys</h2>\n<dl>\n\
    <div><dt><kbd>j</kbd> <kbd>k</kbd></dt><dd>next, previous</dd></div>\n\
    <div><dt><kbd>Enter</kbd></dt><dd>open, or unfold</dd></div>\n\
    <div><dt><kbd>/</kbd></dt><dd>search</dd></div>\n\
    <div><dt><kbd>g</kbd> <kbd>g</kbd></dt><dd>to the beginning</dd></div>\n\
    <div><dt><kbd>G</kbd></dt><dd>to the end</dd></div>\n\
    <div><dt><kbd>g</kbd> <kbd>h</kbd></dt><dd>to the list</dd></div>\n\
    <div><dt><kbd>t</kbd></dt><dd>dark or light</dd></div>\n\
    <div><dt><kbd>Esc</kbd></dt><dd>leave a field, close this</dd></div>\n\
    <div><dt><kbd>?</kbd></dt><dd>this list</dd></div>\n</dl>\n\
    <form method=\"dialog\"><button>Close</button></form></dialog>\n";

/// The style and the script, which a browser may keep until there are others.
pub(super) fn asset(path: &str) -> Option<Answer> {
    let (kind, text) = match path {
        "/style.css" => ("text/css; charset=utf-8", style()),
        "/script.js" => ("text/javascript; charset=utf-8", SCRIPT.to_owned()),
        _ => return None,
    };
    Some(Answer::new(200, kind, text).with("Cache-Control", "private, max-age=86400"))
}

/// What tells one version of both from another.
fn version() -> String {
    let mut sum = crc32fast::Hasher::new();
    for text in [STYLE, OWN_STYLE, SCRIPT] {
        sum.update(text.as_bytes());
    }
    format!("{:08x}", sum.finalize())
}

/// The style of the exported page, its colours also for whoever chooses them, and what only the viewer has.
fn style() -> String {
    let [light, dark] = palettes();
    format!(
        "{STYLE}\n:root[data-theme=\"light\"] {{{light}\n  color-scheme: light;\n}}\n\
         :root[data-theme=\"dark\"] {{{dark}\n  color-scheme: dark;\n}}\n{OWN_STYLE}"
    )
}

/// The colours of the exported page: the light ones, which come first, and the dark ones.
fn palettes() -> [&'static str; 2] {
    let mut blocks =
        STYLE.split(":root {").skip(1).map(|behind| behind.split('}').next().unwrap_or_default());
    [blocks.next().unwrap_or_default(), blocks.next().unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sets_of_colours_are_those_of_the_exported_page() {
        let [light, dark] = palettes();
        let names = |block: &str| -> Vec<String> {
            let names = block
                .split(';')
                .filter_map(|line| line.split_once(':'))
                .map(|(name, _)| name.trim().to_owned());
            let mut names: Vec<String> = names.filter(|name| name.starts_with("--")).collect();
            names.retain(|name| !["--sans", "--mono"].contains(&name.as_str()));
            names
        };
        assert!(names(light).len() > 10 && names(light) == names(dark));
        assert!(light.contains("#fbfaf7") && dark.contains("#17181a"));
    }

    #[test]
    fn a_page_has_no_script_of_its_own_and_a_number_that_holds_once() {
        let page =
            Page { title: "</title><script>".into(), search: "\" autofocus x=\"".into(), ..Page::default() };
        let [one, other] = [(); 2].map(|()| page.answer(200));
        assert_ne!(one.headers, other.headers);
        let html = String::from_utf8(one.body).unwrap();
        assert_eq!(html.matches("<script").count(), 1);
        assert!(html.contains("<title>&lt;/title&gt;&lt;script&gt; · aral-store"));
        assert!(html.contains("value=\"&quot; autofocus x=&quot;\""));
    }
}
