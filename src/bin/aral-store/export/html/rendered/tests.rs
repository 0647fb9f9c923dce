//! What messages become.

use super::*;

#[test]
fn markdown_becomes_html() {
    for (given, wanted) in [
        (
            "a\nb *c* **d** ~~e~~ `f`",
            "<p>a<br>\nb <em>c</em> <strong>d</strong> <del>e</del> <code>f</code></p>\n",
        ),
        ("# a", "<h3>a</h3>\n"),
        ("> a", "<blockquote>\n<p>a</p>\n</blockquote>\n"),
        ("- [x] a\n- [ ] b", "<ul>\n<li>☑ a</li>\n<li>☐ b</li>\n</ul>\n"),
        ("3. a\n7. b", "<ol>\n<li value=\"3\">a</li>\n<li value=\"7\">b</li>\n</ol>\n"),
        (
            "```rust x\nlet a = 1 < 2;\n```",
            "<div class=\"code\"><span class=\"language\">rust x</span><pre><code>let a = 1 &lt; 2;\n</code></pre></div>\n",
        ),
        (
            "|a|b|\n|-|-:|\n|1|2|",
            "<div class=\"wide\"><table>\n<thead><tr><th>a</th><th class=\"right\">b</th></tr></thead><tbody>\n\
             <tr><td>1</td><td class=\"right\">2</td></tr>\n</tbody></table></div>\n",
        ),
        ("  \n", "<p class=\"none\">no text</p>\n"),
        ("a\r\n\r\nb\rc", "<p>a</p>\n<p>b<br>\nc</p>\n"),
    ] {
        assert_eq!(rendered(given), wanted, "{given}");
    }
}

#[test]
fn raw_html_is_text() {
    for (given, wanted) in [
        ("a <b>c</b>", "<p>a &lt;b&gt;c&lt;/b&gt;</p>\n"),
        ("<script>\nx\n\ny</script>", "<p class=\"raw\">&lt;script&gt;\nx\n\ny&lt;/script&gt;</p>\n"),
        ("a\u{0}b\u{202e}", "<p>a\u{fffd}b<span class=\"unseen\">\\u{202e}</span></p>\n"),
    ] {
        assert_eq!(
            rendered(given).replace("<span class=\"unseen\">\\u{0}</span>", "\u{fffd}"),
            wanted,
            "{given}"
        );
    }
}

#[test]
fn a_link_leads_to_the_web_or_is_text() {
    let link = |to: &str| format!("<a href=\"{to}\" rel=\"noopener noreferrer nofollow\">");
    for (given, wanted) in [
        ("[a](https://b.c/?d=1&e=2)", link("https://b.c/?d=1&amp;e=2") + "a</a>"),
        ("<HTTP://b.c>", link("HTTP://b.c") + "HTTP://b.c</a>"),
        ("<a@b.c>", link("mailto:a@b.c") + "a@b.c</a>"),
        ("[a](javascript:b)", "a <code class=\"destination\">javascript:b</code>".to_owned()),
        ("[a](&#106;avascript:b)", "a <code class=\"destination\">javascript:b</code>".to_owned()),
        ("[a](//b.c)", "a <code class=\"destination\">//b.c</code>".to_owned()),
        ("[a](<https://b.c d>)", "a <code class=\"destination\">https://b.c d</code>".to_owned()),
        ("![a](https://b.c/d.png)", link("https://b.c/d.png") + "image: a</a>"),
        ("![a](data:x)", "image: a <code class=\"destination\">data:x</code>".to_owned()),
        (
            "[![a](https://b.c)](https://d.e)",
            link("https://d.e") + "image: a <code class=\"destination\">https://b.c</code></a>",
        ),
    ] {
        assert_eq!(rendered(given), format!("<p>{wanted}</p>\n"), "{given}");
    }
}

#[test]
fn what_rendering_leaves_out_follows_as_it_was_written() {
    let hidden = [
        "[//]: # (a secret)\n\nb",
        "|a|\n|-|\n|1|secret|",
        "|a|\n|-|\n|1|42|",
        "[a](https://b.c \"secret\")",
        "[a][b]\n\n[b]: https://secret",
    ];
    for given in hidden {
        assert!(rendered(given).contains("<summary>as written</summary>"), "{given}");
    }
    let plain = [
        "# a\n\nb\n\n- c\n  1. d\n     ```rust e\n     f\n     ```\n> g\n> - [x] h\n\n***\n\n    code\n\ni\\*j &amp; [k](https://l.m) <n@o.p>",
        "|a|b|\n|:-:|---|\n|`c`| d e |\n\n1) f\n2) g",
        "~~~\né\n~~~\n\n<b>\nx\n</b>\n\nSetext\n======",
    ];
    for given in plain {
        assert!(!rendered(given).contains("as written"), "{}", rendered(given));
    }
}

#[test]
fn what_is_too_deep_or_too_long_is_shown_as_it_is() {
    for given in [">".repeat(500), "- ".repeat(500) + "a", "a ".repeat(MAX_RENDERED_BYTES)] {
        let shown = rendered(&given);
        assert!(shown.starts_with("<p class=\"raw\">"), "{shown:.80}");
        assert_eq!(shown.matches('<').count(), 2);
    }
}
