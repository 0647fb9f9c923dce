//! What the pages show.

use html5gum::{Token, Tokenizer};
use serde_json::json;

use super::super::export_forms::example;
use super::super::export_hostile::{ATTACKS, attacked};
use super::super::message_line;
use super::{Room, Viewer};

/// The tags of a page, each with its attributes.
fn tags(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let tokens = Tokenizer::new(page).map(|token| token.unwrap());
    let tags = tokens.filter_map(|token| if let Token::StartTag(tag) = token { Some(tag) } else { None });
    tags.map(|tag| {
        let attributes = tag.attributes.iter().map(|(name, value)| (text(name), text(value)));
        (text(&tag.name), attributes.collect())
    })
    .collect()
}

/// The values of an attribute of the tags of a name.
fn values(page: &str, name: &str, attribute: &str) -> Vec<String> {
    let all = tags(page).into_iter().filter(|(tag, _)| tag == name).flat_map(|(_, attributes)| attributes);
    all.filter(|(known, _)| known == attribute).map(|(_, value)| value).collect()
}

/// The addresses of the conversations in a list.
fn listed(page: &str) -> Vec<String> {
    let all = values(page, "a", "href");
    all.into_iter().filter_map(|href| href.strip_prefix("/c?id=").map(str::to_owned)).collect()
}

/// Where the link goes that leads on.
fn next(page: &str) -> Option<String> {
    let (_, link) = tags(page).into_iter().find(|(name, attributes)| {
        name == "a" && attributes.contains(&("rel".to_owned(), "next".to_owned()))
    })?;
    link.into_iter().find(|(name, _)| name == "href").map(|(_, value)| value)
}

/// The numbers in the texts of the messages, which begin with `n` here.
fn numbers(page: &str) -> Vec<u32> {
    page.split("<p>n").skip(1).map(|rest| rest.split('<').next().unwrap().parse().unwrap()).collect()
}

fn added(room: &Room, lines: &[String]) {
    let batch = format!("[{}]\n", lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join(","));
    assert_eq!(room.run_with(&["append"], batch.as_bytes()).code, Some(0));
}

#[test]
fn the_items_of_a_conversation_are_those_of_the_exported_page() {
    let room = example();
    let viewer = Viewer::of(&room);
    let exported = room.run(&["export", "--to", "html"]).fine();
    for id in listed(&viewer.get("/").fine()) {
        let page = viewer.get(&format!("/c?id={id}")).fine();
        let texts = |page: &str| -> Vec<String> {
            let parts = page.split("<div class=\"text\" dir=\"auto\">").skip(1);
            parts
                .map(|part| {
                    part.split("</article>")
                        .next()
                        .unwrap()
                        .split("<details class=\"more")
                        .next()
                        .unwrap()
                        .to_owned()
                })
                .collect()
        };
        let shown = texts(&page);
        assert!(!shown.is_empty());
        for text in shown {
            let text = text.split("</details>").next().unwrap();
            assert!(exported.contains(text), "{id}: {text}");
        }
    }
}

#[test]
fn a_long_conversation_comes_in_pieces_in_the_order_of_an_export_and_none_is_missing() {
    let room = Room::new();
    let mut lines = Vec::new();
    for n in 0..250_u32 {
        // Clocks go back and forth.
        let minute = (n * 7) % 60;
        let time = format!("2025-03-13T{:02}:{minute:02}:00Z", n / 60);
        lines.push(json!({"type": "add_message", "conversation_id": "c", "id": format!("m{n}"), "content": format!("n{n}"), "created_at": time}).to_string());
        if n % 3 == 0 {
            lines.push(json!({"type": "add_action", "conversation_id": "c", "id": format!("a{n}"), "action_type": "t", "data": {}, "created_at": time}).to_string());
        }
    }
    added(&room, &lines);
    let viewer = Viewer::of(&room);
    let exported = room.run(&["export", "--to", "html"]).fine();
    let ids = |page: &str| -> Vec<String> {
        let parts = page.split(" id=\"").skip(1).map(|part| part.split('"').next().unwrap());
        let ids = parts.map(|id| id.strip_prefix('c').unwrap_or(id).to_owned());
        ids.filter(|id| id.starts_with('/') || id.starts_with(':')).collect()
    };
    let (mut address, mut seen, mut pieces) = ("/c?id=c".to_owned(), Vec::new(), 0);
    loop {
        let page = viewer.get(&address).fine();
        seen.extend(ids(&page));
        // Scrolling fetches what the link shows.
        let part = page
            .split("data-part=\"")
            .nth(1)
            .map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"));
        pieces += 1;
        let Some(on) = next(&page) else { break };
        let [part, whole] = [part.unwrap(), on.clone()].map(|address| ids(&viewer.get(&address).fine()));
        assert_eq!(part, whole);
        address = on;
    }
    assert_eq!((seen.len(), pieces), (334, 4));
    assert_eq!(seen, ids(&exported));
    assert_eq!(numbers(&viewer.get("/c?id=c&from=100").fine())[0], 100);
    let end = viewer.get("/c?id=c&from=end").fine();
    assert!(end.contains("id=\"end\"") && numbers(&end)[0] == 200);
    assert!(viewer.get("/c?id=c&from=9999999999").fine().contains("id=\"end\""));
}

#[test]
fn a_link_leads_to_its_message_wherever_it_has_come_to_stand() {
    let room = Room::new();
    let lines: Vec<String> = (0..300)
        .map(|n| json!({"type": "add_message", "conversation_id": "c", "id": format!("m/{n}"), "content": format!("n{n}")}).to_string())
        .collect();
    added(&room, &lines);
    let viewer = Viewer::of(&room);
    let hit = viewer.get("/search?q=n250").fine();
    let link = values(&hit, "a", "href").into_iter().find(|href| href.contains("message=")).unwrap();
    let (address, anchor) = link.split_once('#').unwrap();
    let shown = viewer.get(address).fine();
    assert!(shown.contains(&format!("id=\"{anchor}\"")) && numbers(&shown)[0] == 245, "{address} {anchor}");
    drop(room.run(&["rm", "c/m/0", "--yes"]));
    let shown = viewer.get(address).fine();
    assert!(shown.contains(&format!("id=\"{anchor}\"")), "{anchor}");
    assert_eq!(viewer.get("/c?id=c&message=nobody").status, 404);
}

#[test]
fn ids_of_every_kind_come_back_from_their_addresses() {
    let room = Room::new();
    let long = "é/".repeat(330);
    let ids = [
        "..",
        "../..",
        ".",
        "/",
        "//x",
        "a/b?c#d&e=f",
        "%2e%2e",
        "a b+c",
        "c\u{0}\u{1}",
        "раураl",
        "paypal",
        "\"'<>",
        &long,
    ];
    let lines: Vec<String> = ids
        .iter()
        .map(|id| json!({"type": "add_message", "conversation_id": id, "id": id, "content": format!("text of {id}")}).to_string())
        .collect();
    added(&room, &lines);
    let viewer = Viewer::of(&room);
    let addresses = listed(&viewer.get("/").fine());
    assert_eq!(addresses.len(), ids.len());
    for (address, id) in addresses.iter().rev().zip(ids) {
        assert!(
            address.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%-_.~".contains(&byte)),
            "{address}"
        );
        let page = viewer.get(&format!("/c?id={address}")).fine();
        let link = values(&page, "a", "href").into_iter().find(|href| href.contains("&message=")).unwrap();
        assert!(link.contains(&format!("message={address}&")), "{link}");
        let raw = viewer.get(&link.split('#').next().unwrap().replacen("/c?", "/raw?", 1)).fine();
        assert_eq!(raw, format!("text of {id}"));
    }
}

#[test]
fn attacks_are_shown_as_text_on_every_page() {
    let room = attacked();
    let viewer = Viewer::of(&room);
    let list = viewer.get("/").fine();
    let ids = listed(&list);
    assert_eq!(ids.len(), ATTACKS.len());
    let mut pages =
        vec![list, viewer.get("/search?q=owned").fine(), viewer.get("/search?q=%22%3E%3Cscript%3E").body];
    for id in &ids {
        pages.push(viewer.get(&format!("/c?id={id}")).fine());
        pages.push(viewer.get(&format!("/part?id={id}")).fine());
        pages.push(viewer.get(&format!("/c?id={id}&message=none")).body);
        pages.push(viewer.get(&format!("/?source={id}&metadata={id}&since={id}&after={id}")).body);
        pages.push(viewer.get(&format!("/search?id={id}&q=a&role={id}&since={id}")).body);
    }
    for page in &pages {
        for (name, attributes) in tags(page) {
            let is_known = ![
                "img",
                "svg",
                "iframe",
                "base",
                "style",
                "object",
                "embed",
                "plaintext",
                "textarea",
                "math",
                "template",
            ]
            .contains(&name.as_str());
            assert!(is_known, "<{name}> in {page}");
            for (attribute, value) in attributes {
                assert!(!attribute.starts_with("on") && attribute != "style", "{attribute} in {page}");
                let is_safe = match attribute.as_str() {
                    "src" => value.starts_with("/script.js?v="),
                    "href" => {
                        let starts = ["/", "#", "https://owned.example/", "data:,"];
                        starts.iter().any(|start| value.starts_with(start)) && !value.starts_with("//")
                    }
                    "action" => ["/", "/c", "/search"].contains(&value.as_str()),
                    _ => true,
                };
                assert!(is_safe, "{attribute}={value:?} in {page}");
            }
        }
        assert!(page.matches("<script").count() <= 1);
    }
    let raw = viewer.get(&format!("/raw?id={}&message={}", ids[0], ids[0]));
    assert_eq!(raw.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(raw.header("content-security-policy").unwrap().contains("sandbox"));
}

#[test]
fn what_is_too_long_for_a_page_is_cut_and_told_with_a_link_to_all_of_it() {
    let room = Room::new();
    let long = format!("{}the very end", "é ".repeat(1 << 20));
    let wide = json!({"k": "v".repeat(200_000)});
    let lines = [
        json!({"type": "add_message", "conversation_id": "c", "id": "m1", "content": long, "role": "r".repeat(100_000), "metadata": wide}).to_string(),
        json!({"type": "add_message", "conversation_id": "c", "id": "m2", "content": "after it"}).to_string(),
        json!({"type": "add_action", "conversation_id": "c", "id": "a1", "action_type": "t", "data": wide}).to_string(),
        json!({"type": "set_title", "conversation_id": "c", "title": "t".repeat(1 << 20)}).to_string(),
    ];
    added(&room, &lines);
    let viewer = Viewer::of(&room);
    let page = viewer.get("/c?id=c").fine();
    assert!(page.len() < 300_000, "{}", page.len());
    assert!(page.contains("the first 65535 of 3145740 bytes are shown") && page.contains("after it"));
    let links: Vec<String> =
        values(&page, "a", "href").into_iter().filter(|href| href.starts_with("/raw?")).collect();
    assert_eq!(links.len(), 3, "{links:?}");
    assert_eq!(viewer.get(&links[0]).fine(), long);
    for link in &links[1..] {
        assert!(viewer.get(link).fine().contains(&"v".repeat(200_000)), "{link}");
    }
    assert!(viewer.get("/").fine().len() < 20_000);
}

#[test]
fn many_long_messages_are_shown_a_few_at_a_time() {
    let room = Room::new();
    let lines: Vec<String> =
        (0..60).map(|n| message_line("c", &format!("{n} {}", "x".repeat(60_000)))).collect();
    added(&room, &lines);
    let viewer = Viewer::of(&room);
    let (mut address, mut seen) = ("/c?id=c".to_owned(), 0);
    loop {
        let page = viewer.get(&address).fine();
        assert!(page.len() < 1_300_000);
        seen += page.matches("<article").count();
        let Some(on) = next(&page) else { break };
        address = on;
    }
    assert_eq!(seen, 60);
}

#[test]
fn the_list_is_filtered_sorted_and_paged() {
    let room = Room::new();
    let mut lines = Vec::new();
    for n in 0..230_u32 {
        let id = format!("c{n:03}");
        let metadata = json!({"source": {"tool": if n % 10 == 0 { "codex" } else { "claude-code" }}, "team": format!("t{}", n % 2), "n": n});
        lines.push(json!({"type": "create_conversation", "conversation_id": id, "title": id, "metadata": metadata, "created_at": "2025-03-13T00:00:00Z"}).to_string());
    }
    lines.push(json!({"type": "add_message", "conversation_id": "c007", "content": "new"}).to_string());
    added(&room, &lines);
    let viewer = Viewer::of(&room);
    let all = |start: &str| -> Vec<String> {
        let (mut address, mut found) = (start.to_owned(), Vec::new());
        loop {
            let page = viewer.get(&address).fine();
            found.extend(listed(&page));
            let Some(on) = next(&page) else { return found };
            address = on;
        }
    };
    let created: Vec<String> = (0..230).map(|n| format!("c{n:03}")).collect();
    assert_eq!(all("/?order=created"), created);
    let active = all("/");
    assert_eq!((active.len(), active[0].as_str(), active[1].as_str()), (230, "c007", "c229"));
    assert_eq!(all("/?source=codex").len(), 23);
    assert_eq!(all("/?metadata=team%3Dt1").len(), 115);
    assert_eq!(all("/?metadata=n%3D5&source=claude-code"), ["c005"]);
    assert_eq!(all("/?metadata=nothing"), [""; 0]);
    assert_eq!(all("/?since=1d"), ["c007"]);
    assert_eq!(viewer.get("/?since=whenever").status, 400);
}

#[test]
fn a_search_is_that_of_the_store_with_its_filters() {
    let room = Room::new();
    let mut lines: Vec<String> = (0..60).map(|n| message_line("many", &format!("rain {n}"))).collect();
    lines.push(json!({"type": "add_message", "conversation_id": "one", "role": "assistant", "content": "Rain <b>tomorrow</b>"}).to_string());
    lines.push(message_line("two", "hail, and more hail"));
    lines.push(message_line("two", "hail, and then a long calm"));
    added(&room, &lines);
    let viewer = Viewer::of(&room);
    let hail = |order: &str| {
        let page = viewer.get(&format!("/search?q=hail{order}")).fine();
        page.find("and more ").zip(page.find("a long calm")).map(|(twice, once)| twice < once)
    };
    assert_eq!(["", "&order=newest", "&order=best"].map(hail), [Some(false), Some(false), Some(true)]);
    let page = viewer.get("/search?q=rain").fine();
    assert!(
        page.contains("More than 50 found")
            && page.contains("&lt;b&gt;tomorrow")
            && page.contains("<mark>Rain</mark>")
    );
    assert!(viewer.get("/search?q=rain&most=100").fine().contains("61 found"));
    assert!(viewer.get("/search?q=rain&role=assistant").fine().contains(">1 found"));
    assert!(viewer.get("/search?q=rain&id=many&most=100").fine().contains(">60 found"));
    assert!(viewer.get("/search?q=snow").fine().contains(">0 found"));
    assert_eq!(viewer.get("/search?q=%22open").status, 400);
    assert_eq!(viewer.get("/search?q=rain&order=oldest").status, 400);
    assert_eq!(viewer.get("/search?q=rain&id=none").status, 404);
}

#[test]
fn tokens_and_costs_are_added_up_and_calls_and_results_are_folded() {
    let room = Room::new();
    let usage = json!({"usage": {"input_tokens": 1200, "output_tokens": 34}, "cost_usd": 0.5});
    let call = json!({"tool_calls": [{"id": "1", "function": {"name": "forecast", "arguments": "{\"city\":\"Rome\"}"}}]});
    let lines = [
        json!({"type": "add_message", "conversation_id": "c", "role": "assistant", "content": "Hi", "metadata": usage}).to_string(),
        json!({"type": "add_message", "conversation_id": "c", "role": "assistant", "content": "", "metadata": call}).to_string(),
        json!({"type": "add_message", "conversation_id": "c", "role": "tool", "content": "sunny", "metadata": {"tool_call_id": "1"}}).to_string(),
    ];
    added(&room, &lines);
    let page = Viewer::of(&room).get("/c?id=c").fine();
    assert!(page.contains("1,200 tokens in · 34 tokens out · cost 0.5000"), "{page}");
    assert!(
        page.contains("<b><bdi>forecast</bdi></b>") && page.contains("&quot;city&quot;: &quot;Rome&quot;"),
        "{page}"
    );
    assert!(page.contains("<details class=\"fold\"><summary><b>result</b> <code>sunny</code>"), "{page}");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_shown() {
    let room = Room::new();
    for id in ["good", "bad"] {
        drop(room.run(&["add", id, "text"]).fine());
    }
    drop(room.run(&["compact"]).fine());
    let file = room.store().join("conversations/bad.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("text", "tex")).unwrap();
    let viewer = Viewer::of(&room);
    let list = viewer.get("/").fine();
    assert!(list.contains("Not readable:") && list.contains("bad.json"), "{list}");
    assert!(viewer.get("/c?id=good").fine().contains("text"));
    let bad = viewer.get("/c?id=bad");
    assert_eq!(bad.status, 500);
    assert!(bad.body.contains("bad.json"), "{}", bad.body);
    let hits = viewer.get("/search?q=text").fine();
    assert!(
        hits.contains("<mark>text</mark>") && hits.contains("Not every conversation could be read"),
        "{hits}"
    );
    assert_eq!(viewer.get("/c?id=nobody").status, 404);
    assert_eq!(viewer.get("/nowhere").status, 404);
}
