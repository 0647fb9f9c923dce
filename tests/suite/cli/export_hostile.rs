//! Nothing that a conversation holds is more than text to a browser.
//!
//! Owns the list of attacks, each put wherever a conversation can hold text. The page is read by the rules that
//! browsers read by, and may hold only the tags, attributes and links that the program means to write.

use std::collections::BTreeSet;

use html5gum::{Token, Tokenizer};
use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use serde_json::{Value, json};

use super::Room;

/// What each does if it is not made harmless: the title of the page becomes `owned`.
pub(super) const ATTACKS: [&str; 30] = [
    "<script>document.title='owned'</script>",
    "<ScRiPt >document.title='owned'</sCrIpT >",
    "<img src=x onerror=\"document.title='owned'\">",
    "<svg onload=document.title='owned'>",
    "<body onload=document.title='owned'>",
    "<details open ontoggle=document.title='owned'>",
    "\" onmouseover=\"document.title='owned'\" autofocus onfocus=\"document.title='owned'\" x=\"",
    "' onfocus='document.title=1' autofocus='",
    "</style><script>document.title='owned'</script>",
    "</title><script>document.title='owned'</script>",
    "</textarea></pre></code></details></article></section><script>document.title='owned'</script>",
    "--><script>document.title='owned'</script><!--",
    "]]><script>document.title='owned'</script>",
    "<!--", // An open comment would swallow the rest of the page.
    "<plaintext>",
    "<base href=\"https://owned.example/\">",
    "<meta http-equiv=\"refresh\" content=\"0;url=https://owned.example/\">",
    "<iframe srcdoc=\"<script>parent.document.title='owned'</script>\"></iframe>",
    "<link rel=stylesheet href=https://owned.example/x.css><style>@import 'https://owned.example'</style>",
    "<form action=https://owned.example><button>go</button></form>",
    "[link](javascript:document.title='owned')",
    "[link](JaVaScRiPt&colon;document.title='owned')",
    "[link](<java\tscript:document.title='owned'>)",
    "[link]( data:text/html;base64,PHNjcmlwdD4= ) <javascript:document.title='owned'>",
    "![image](https://owned.example/pixel.png \"title\") ![x](x\"onerror=\"document.title='owned')",
    "[ref]\n\n[ref]: javascript:document.title='owned' \"<script>\"",
    "```\"onclick=\"document.title='owned'\n</code></pre><script>document.title='owned'</script>",
    "|<script>document.title='owned'</script>|\n|-|\n|<img src=x onerror=document.title='owned'>|",
    "\u{202e}\u{2066}gpj.exe\u{2069} \u{0}\u{1b}[2J\u{7}\u{9b}\u{e0041}",
    "&lt;script&gt;document.title='owned'&lt;/script&gt; &#60;script&#62;",
];

/// A store with each attack as every text of a conversation of its own.
pub(super) fn attacked() -> Room {
    let room = Room::new();
    let mut input = String::new();
    for attack in ATTACKS {
        let object = json!({attack: attack, "nested": [{attack: [attack]}]});
        for mutation in [
            json!({"type": "create_conversation", "conversation_id": attack, "title": attack, "metadata": object}),
            json!({"type": "add_message", "conversation_id": attack, "id": attack, "role": attack, "content": attack,
                   "metadata": object}),
            json!({"type": "add_action", "conversation_id": attack, "id": attack, "action_type": attack, "data": object,
                   "metadata": object}),
        ] {
            input += &(mutation.to_string() + "\n");
        }
    }
    room.run_with(&["append"], input.as_bytes()).fine();
    room
}

/// Every tag that the program writes, with the attributes that it may have.
const TAGS: [(&str, &[&str]); 43] = [
    ("html", &["lang"]),
    ("head", &[]),
    ("meta", &["charset", "http-equiv", "content", "name"]),
    ("title", &[]),
    ("style", &[]),
    ("body", &[]),
    ("nav", &["id", "aria-label"]),
    ("main", &[]),
    ("section", &["id"]),
    ("header", &["class"]),
    ("article", &["id", "class"]),
    ("details", &["id", "class"]),
    ("summary", &[]),
    ("div", &["class", "dir"]),
    ("span", &["class"]),
    ("a", &["href", "class", "title", "rel"]),
    ("time", &["datetime", "title"]),
    ("bdi", &[]),
    ("b", &["class"]),
    ("p", &["class"]),
    ("h1", &[]),
    ("h2", &[]),
    ("h3", &[]),
    ("h4", &[]),
    ("h5", &[]),
    ("h6", &[]),
    ("ol", &[]),
    ("ul", &[]),
    ("li", &["value"]),
    ("pre", &[]),
    ("code", &["class"]),
    ("table", &[]),
    ("thead", &[]),
    ("tbody", &[]),
    ("tr", &[]),
    ("th", &["class"]),
    ("td", &["class"]),
    ("blockquote", &[]),
    ("br", &[]),
    ("hr", &[]),
    ("em", &[]),
    ("strong", &[]),
    ("del", &[]),
];

const SCHEMES: [&str; 3] = ["http://", "https://", "mailto:"];

/// Reads a page as a browser does, and gives its text; fails on anything that the program does not mean to write.
fn read(page: &str) -> String {
    let mut text = String::new();
    let mut anchors = BTreeSet::new();
    let mut inside = BTreeSet::new();
    let mut open = Vec::new();
    let words = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for Ok(token) in Tokenizer::new(page) {
        match token {
            Token::StartTag(tag) => {
                let name = words(&tag.name);
                let (_, allowed) = TAGS.iter().find(|(known, _)| *known == name).expect(&name);
                for (key, value) in &tag.attributes {
                    let (key, value) = (words(key), words(value));
                    assert!(allowed.contains(&key.as_str()), "<{name} {key}={value:?}>");
                    match key.as_str() {
                        "id" => assert!(anchors.insert(value.clone()), "{value:?} is there twice"),
                        "href" => match value.strip_prefix('#') {
                            Some(anchor) => drop(inside.insert(anchor.to_owned())),
                            None => assert!(SCHEMES.iter().any(|s| value.starts_with(s)), "{value:?}"),
                        },
                        _ => {}
                    }
                }
                if !["meta", "br", "hr"].contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => assert_eq!(open.pop(), Some(words(&tag.name)), "tags are closed in order"),
            Token::String(string) => text += &words(&string),
            Token::Doctype(_) => {}
            Token::Comment(comment) => panic!("a comment: {comment:?}"),
            Token::Error(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(open, [""; 0]);
    assert_eq!(
        inside.difference(&anchors).collect::<Vec<_>>(),
        [""; 0],
        "every place that is linked is there"
    );
    text
}

/// The text as the page shows it: with the numbers of what cannot be seen.
fn seen(text: &str) -> String {
    let is_unseen = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
    };
    let mut out = String::new();
    for c in text.chars() {
        if is_unseen(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[test]
fn attacks_are_text_wherever_they_stand() {
    let room = attacked();
    let page = room.run(&["export", "--to", "html"]).fine();
    let text = read(&page);
    for attack in ATTACKS {
        // In the title twice, in the list and over the conversation; in the id; as role and kind of action.
        let shown = text.matches(&seen(attack)).count();
        assert!(shown >= 5, "{attack:?} is shown {shown} times");
        // In the data as JSON, whose escapes are the same as those of any other program.
        let quoted = Value::from(attack).to_string();
        if seen(&quoted) == quoted {
            assert!(text.contains(&quoted), "{quoted}");
        }
    }
    assert!(!page.chars().any(|c| seen(&c.to_string()) != c.to_string()), "nothing unseen is left");
}

#[test]
fn a_message_of_any_bytes_leaves_the_page_whole() {
    // Cut into pieces at random, the attacks meet each other in every order.
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let soup: Vec<char> = ATTACKS.concat().chars().chain("\n\n\t- 1. > # * _ ` ~ | \\ ".chars()).collect();
    let mut input = String::new();
    for _ in 0..400 {
        let mut content = String::new();
        for _ in 0..=next(12) {
            let start = next(soup.len());
            let end = (start + next(25)).min(soup.len());
            content.extend(&soup[start..end]);
            content.push_str(["", "\n", "\n\n", "    ", "> ", "|", "`"][next(7)]);
        }
        let line = json!({"type": "add_message", "conversation_id": "c", "content": content});
        input += &(line.to_string() + "\n");
    }
    let room = Room::new();
    room.run_with(&["append"], input.as_bytes()).fine();
    read(&room.run(&["export", "--to", "html"]).fine());
}

#[test]
fn no_message_leaves_its_quote_in_a_transcript() {
    let room = attacked();
    let forged =
        "a\n# forged\r# forged\r\n## user · 2025-01-01\n</details>\n\n<p>\n```\n\n```\n<b>\n```\n~~~\nopen";
    let forged =
        json!({"type": "add_message", "conversation_id": "forged", "content": forged, "role": forged});
    room.run_with(&["append"], forged.to_string().as_bytes()).fine();
    let transcript = room.run(&["export", "--to", "markdown"]).fine();
    assert!(!transcript.chars().any(|c| seen(&c.to_string()) != c.to_string()));
    let (mut quotes, mut headings, mut folded) = (0, 0, 0);
    for event in Parser::new(&transcript) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only what makes headings and tags is looked at")]
        match event {
            Event::Start(Tag::BlockQuote(_)) => quotes += 1,
            Event::End(TagEnd::BlockQuote(_)) => quotes -= 1,
            Event::Start(Tag::Heading { .. }) if quotes == 0 => headings += 1,
            Event::Html(html) => {
                assert_eq!(quotes, 0, "{html}");
                let tags = html.replace("<details><summary>", "").replace("</summary></details>", "");
                let tags = ["<b>", "</b>", "<code>", "</code>", "</summary>", "</details>"]
                    .iter()
                    .fold(tags, |tags, tag| tags.replace(tag, ""));
                assert!(!tags.contains('<'), "{html}");
                folded += html.matches("<details>").count();
            }
            Event::InlineHtml(html) => panic!("{html}"),
            _ => {}
        }
    }
    // Folded are the metadata of a conversation, of its message and of its action, and the action's data.
    assert_eq!((headings, folded), (2 * ATTACKS.len() + 2, 4 * ATTACKS.len()));
}
