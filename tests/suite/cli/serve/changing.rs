//! What the pages change, where that is allowed, and who may not.

use std::io::{BufRead, BufReader, Write};

use super::browser::Browser;
use super::{Answer, Room, Viewer};

/// A form, as a browser sends it.
#[derive(Clone, Debug)]
struct Form {
    to: String,
    body: String,
}

impl Form {
    /// That of a page that does something.
    #[track_caller]
    fn of(page: &str, what: &str) -> Self {
        let form = page
            .split("<form method=\"post\" action=\"")
            .skip(1)
            .find(|form| form.contains(&format!("name=\"what\" value=\"{what}\"")))
            .unwrap_or_else(|| panic!("no form to {what}: {page}"));
        let (to, form) = form.split_once("\">").unwrap();
        let hidden = form.split("</form>").next().unwrap().split("<input type=\"hidden\" name=\"").skip(1);
        let pairs = hidden.map(|field| {
            let (name, rest) = field.split_once("\" value=\"").unwrap();
            format!("{name}={}", rest.split_once('"').unwrap().0)
        });
        Self { to: to.replace("&amp;", "&"), body: pairs.collect::<Vec<_>>().join("&") }
    }

    /// With one more field.
    fn and(mut self, field: &str) -> Self {
        self.body = format!("{}&{field}", self.body);
        self
    }

    fn with(&self, from: &str, to: &str) -> Self {
        assert!(self.body.contains(from) || self.to.contains(from), "{from}");
        Self { to: self.to.replace(from, to), body: self.body.replace(from, to) }
    }
}

impl Viewer {
    /// What a browser that has been let in gets for a form of a page of this viewer's.
    fn send(&self, form: &Form) -> Answer {
        let own = format!("Origin: http://127.0.0.1:{}\r\nSec-Fetch-Site: same-origin\r\n", self.port);
        self.send_with(form, &own)
    }

    fn send_with(&self, Form { to, body }: &Form, headers: &str) -> Answer {
        let Self { port, cookie, .. } = self;
        self.ask(&format!(
            "POST {to} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n{headers}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}

/// Where an answer leads to.
#[track_caller]
fn there(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.header("location").unwrap()
}

fn room() -> Room {
    let room = Room::new();
    drop(room.run(&["add", "c", "one", "--id", "m1"]).fine());
    drop(room.run(&["add", "c", "two", "--id", "m2"]).fine());
    room
}

#[test]
fn without_being_asked_for_nothing_can_be_changed() {
    let room = room();
    let viewer = Viewer::of(&room);
    let page = viewer.get("/c?id=c").fine();
    assert!(!page.contains("method=\"post\""), "{page}");
    let form = Form { to: "/change?id=c".into(), body: "what=title&version=2&seq=2&title=x".into() };
    assert_eq!(viewer.send(&form).status, 405);
    assert_eq!(room.run(&["ls", "--json"]).json()[0]["version"], 2);
}

#[test]
fn a_page_changes_what_its_forms_say_and_shows_what_came_of_it() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    let page = viewer.get("/c?id=c").fine();
    let form = Form::of(&page, "title").and("title=Numbers+%26+more");
    let changed = viewer.send(&form);
    assert_eq!(viewer.send(&form).status, 409, "what is sent twice is done once");
    let page = viewer.get(there(&changed)).fine();
    assert!(page.contains("<bdi>Numbers &amp; more</bdi></h1>"), "{page}");
    assert!(page.contains("name=\"title\" value=\"Numbers &amp; more\""), "{page}");

    // Another process writes between two changes, and is waited for by nobody.
    drop(room.run(&["add", "c", "three", "--id", "m3", "--no-wait"]).fine());
    let page = viewer.get("/c?id=c").fine();
    let form = Form::of(&page, "fork").and("title=Other");
    let [once, twice] = [(); 2].map(|()| viewer.send(&form));
    assert_eq!(there(&once), there(&twice), "what is sent twice is done once");
    let fork = viewer.get(there(&once)).fine();
    assert!(fork.contains("<p>three</p>") && fork.contains("<bdi>Other</bdi></h1>"), "{fork}");

    let page = viewer.get("/c?id=c").fine();
    assert!(page.contains("It can be brought back until "), "{page}");
    let remove = Form::of(&page, "remove");
    assert_eq!(viewer.send(&remove).status, 400, "nobody has said that it is meant");
    assert_eq!(there(&viewer.send(&remove.and("sure=yes"))), "/");
    let listed = room.run(&["ls", "--json"]).json();
    assert_eq!(listed.len(), 1, "{listed:?}");

    // It is shown as it was, and comes back so, once.
    let before = viewer.get("/c?id=c");
    let page = viewer.get(there(&before)).fine();
    assert!(page.contains("Bring it back like this"), "{page}");
    let back = Form::of(&page, "revert");
    let changed = viewer.send(&back);
    assert!(viewer.get(there(&changed)).fine().contains("<p>three</p>"));
    assert_eq!(room.texts("c"), ["one", "two", "three"]);
    drop(room.run(&["add", "c", "four"]).fine());
    assert_eq!(viewer.send(&back).status, 409, "by now it would take something away");
    let page = viewer.get("/c?id=c&at=1").fine();
    let forked = viewer.send(&Form::of(&page, "fork"));
    assert!(!viewer.get(there(&forked)).fine().contains("<p>two</p>"));
    drop(viewer.send(&Form::of(&page, "revert")));
    assert_eq!(room.texts("c"), ["one"]);
    assert_eq!(room.run(&["verify"]).code, Some(0));
}

#[test]
fn nothing_is_done_to_what_nobody_has_seen() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    let page = viewer.get("/c?id=c").fine();
    let changes = [Form::of(&page, "title").and("title=x"), Form::of(&page, "remove").and("sure=yes")];
    let refused = || {
        for form in &changes {
            let answer = viewer.send(form);
            assert_eq!(answer.status, 409, "{answer:?}");
            assert!(answer.body.contains("Not changed") && answer.body.contains("version"), "{answer:?}");
        }
    };
    drop(room.run(&["add", "c", "three"]).fine());
    refused();
    // The fork has what was seen, and not what came behind it.
    let forked = viewer.send(&Form::of(&page, "fork"));
    assert!(!viewer.get(there(&forked)).fine().contains("<p>three</p>"));
    assert_eq!(room.texts("c"), ["one", "two", "three"]);
    // Another conversation of this id, which is of the version that was looked at.
    assert_eq!(room.run(&["rm", "c", "--yes"]).code, Some(0));
    drop(room.run(&["add", "c", "new"]).fine());
    drop(room.run(&["add", "c", "newer"]).fine());
    assert_eq!(viewer.get("/c?id=c").fine().matches("version 2").count(), 1);
    refused();
    assert_eq!(room.texts("c"), ["new", "newer"]);
}

#[test]
fn where_no_history_is_kept_it_is_said_and_a_fork_needs_none() {
    let room = room();
    assert_eq!(room.run(&["keep", "nothing"]).code, Some(0));
    assert_eq!(room.run(&["compact"]).code, Some(0));
    let viewer = Viewer::with(&room, &["--write"]);
    let page = viewer.get("/c?id=c").fine();
    assert!(page.contains("It cannot be brought back once the store is compacted."), "{page}");
    let forked = viewer.send(&Form::of(&page, "fork"));
    assert!(viewer.get(there(&forked)).fine().contains("<p>two</p>"));
}

#[test]
fn every_id_is_the_one_that_is_meant() {
    let room = Room::new();
    let viewer = {
        drop(room.run(&["add", "c", "one"]).fine());
        Viewer::with(&room, &["--write"])
    };
    for id in ["\u{202e}", "\\u{202e}", "a\nb", "a\r\nb", "a&b=c\"'<", "\u{0}", " ", "%20", "..", "a+b/c"] {
        let line = serde_json::json!({"type": "add_message", "conversation_id": id, "content": "x"});
        drop(room.run_with(&["append"], format!("{line}\n").as_bytes()).fine());
    }
    let list = viewer.get("/").fine();
    let addresses: Vec<String> = list
        .split("href=\"/c?id=")
        .skip(1)
        .map(|rest| format!("/c?id={}", rest.split('"').next().unwrap().replace("&amp;", "&")))
        .collect();
    assert_eq!(addresses.len(), 11, "{list}");
    for (n, address) in addresses.iter().enumerate() {
        let page = viewer.get(address).fine();
        let changed = viewer.send(&Form::of(&page, "title").and(&format!("title=number-{n}")));
        assert_eq!(there(&changed), address);
    }
    for (n, address) in addresses.iter().enumerate() {
        let page = viewer.get(address).fine();
        assert!(page.contains(&format!("<bdi>number-{n}</bdi></h1>")), "{address}: {page}");
    }
}

#[test]
fn a_title_that_a_field_would_not_give_back_is_not_in_one() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    for title in ["a\nb", "\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}", "\u{2066}a\u{2069}", &"x".repeat(2000)] {
        drop(room.run(&["rename", "c", title]).fine());
        let page = viewer.get("/c?id=c").fine();
        assert!(page.contains("name=\"title\" value=\"\" required"), "{title}: {page}");
    }
    let page = viewer.get("/c?id=c").fine();
    let form = Form::of(&page, "title");
    assert_eq!(viewer.send(&form).status, 400, "no title at all");
    assert_eq!(viewer.send(&form.and("title=%ff")).status, 400, "no text");
}

#[test]
fn only_the_viewers_own_pages_change_anything() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    let page = viewer.get("/c?id=c").fine();
    let form = Form::of(&page, "title").and("title=x");
    let own = format!("Origin: http://127.0.0.1:{}\r\n", viewer.port);
    for (headers, status) in [
        (String::new(), 403),
        ("Origin: null\r\n".to_owned(), 403),
        ("Origin: http://127.0.0.1:1\r\n".to_owned(), 403),
        ("Origin: https://example.org\r\n".to_owned(), 403),
        (format!("{own}{own}"), 400),
        (format!("{own}Sec-Fetch-Site: same-site\r\n"), 403),
        (format!("{own}Sec-Fetch-Site: none\r\n"), 403),
    ] {
        assert_eq!(viewer.send_with(&form, &headers).status, status, "{headers}");
    }
    let Form { to, body } = &form;
    let length = format!(
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let head = format!("Host: 127.0.0.1:{}\r\n{own}", viewer.port);
    let cookie = format!("Cookie: {}\r\n", viewer.cookie);
    for (target, cookie) in [
        (to.clone(), ""),
        (format!("{to}&token={}", viewer.token()), ""),
        (format!("{to}&token={}", viewer.token()), &cookie),
        (format!("{to}&token=x"), &cookie),
    ] {
        let answer = viewer.ask(&format!("POST {target} HTTP/1.1\r\n{head}{cookie}{length}"));
        assert_eq!(answer.status, 401, "{target}: {answer:?}");
    }
    let (_, rest) = body.split_once('&').unwrap();
    assert!(body.starts_with("key="));
    for key in ["", "key=x&", &format!("key={}&", viewer.token())] {
        let form = Form { to: to.clone(), body: format!("{key}{rest}") };
        assert_eq!(viewer.send(&form).status, 409, "{key}");
    }
    assert_eq!(viewer.send(&form.with("/change", "/c")).status, 404);
    assert_eq!(viewer.get(to).status, 404);
    assert_eq!(viewer.get(&format!("{to}&{body}")).status, 404);
    assert_eq!(room.run(&["ls", "--json"]).json()[0]["version"], 2);
    // The same form, sent as it should be.
    assert_eq!(viewer.send(&form).status, 303);
}

#[test]
fn a_change_that_another_writer_keeps_from_being_made_says_so() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    let mut writer = super::super::piped(&mut room.command(&["append"]));
    let mut input = writer.stdin.take().unwrap();
    input.write_all(super::super::message_line("c", "three").as_bytes()).unwrap();
    input.flush().unwrap();
    let mut said = String::new();
    BufReader::new(writer.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    let page = viewer.get("/c?id=c").fine();
    assert!(page.contains("<p>three</p>"), "{page}");
    let form = Form::of(&page, "title").and("title=x");
    let answer = viewer.send(&form);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("Not changed") && answer.body.contains("another process"), "{answer:?}");
    drop(input);
    assert!(writer.wait().unwrap().success());
    assert_eq!(viewer.send(&form).status, 303);
}

#[test]
fn a_store_that_is_gone_is_not_made_anew() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    let page = viewer.get("/c?id=c").fine();
    std::fs::rename(room.store(), room.path("elsewhere")).unwrap();
    let answer = viewer.send(&Form::of(&page, "title").and("title=x"));
    assert!(answer.status >= 400, "{answer:?}");
    assert!(!room.store().exists());
}

#[test]
fn forms_are_read_whole_or_refused() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    let page = viewer.get("/c?id=c").fine();
    let form = Form::of(&page, "title").and("title=x");
    let of = |body: &str| Form { to: form.to.clone(), body: body.to_owned() };
    for (form, status) in [
        (of(""), 409),
        (of("%4"), 400),
        (form.with("id=c", "id="), 404),
        (form.with("id=c", "id=nobody"), 409),
        (form.with("what=title", "what=erase"), 400),
        (form.with("version=2", "version=-1"), 400),
        (form.clone().and(&format!("more={}", "x".repeat(32 << 10))), 413),
    ] {
        let answer = viewer.send(&form);
        assert_eq!(answer.status, status, "{form:.80?} {answer:?}");
    }
    // A body that does not come ends with the time for it.
    let mut stream = viewer.connect();
    let head = format!("POST /change HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", viewer.port);
    let kind = "Content-Type: application/x-www-form-urlencoded";
    write!(stream, "{head}{kind}\r\nContent-Length: 9\r\n\r\nkey=").unwrap();
    assert_eq!(super::read(stream).status, 408);
    assert_eq!(room.run(&["ls", "--json"]).json()[0]["version"], 2);
}

#[test]
fn it_changes_a_database_too() {
    let room = Room::new();
    let url = format!("sqlite:{}", room.path("a.db").display());
    drop(room.run(&["add", "c", "one", "-d", &url]).err_without_past());
    let viewer = Viewer::with(&room, &["--write", "-d", &url]);
    let page = viewer.get("/c?id=c").fine();
    assert!(page.contains("It can be brought back."), "{page}");
    assert_eq!(viewer.send(&Form::of(&page, "title").and("title=x")).status, 303);
    assert_eq!(room.run(&["ls", "--json", "-d", &url]).json()[0]["title"], "x");
}

#[test]
fn a_browser_sends_the_forms_and_no_title_gets_out_of_its_field() {
    let Some(mut browser) = Browser::open("changes in a browser") else { return };
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    browser.go(&viewer.url);
    browser.go(&viewer.address("/c?id=c"));
    let attack = "\" autofocus onfocus=\"document.title='owned'\"><script>document.title='owned'</script>";
    browser.ask("document.querySelector('.change').open = true");
    let set = "(title => { const form = [...document.forms].find(form => form.elements.what?.value === 'title'); \
               form.elements.title.value = title; form.querySelector('button').click(); })";
    browser.ask(&format!("{set}({})", serde_json::json!(attack)));
    browser.until(&format!("document.querySelector('h1')?.textContent === {}", serde_json::json!(attack)));
    assert_eq!(
        browser.ask(
            "[...document.forms].find(form => form.elements.what?.value === 'title').elements.title.value"
        ),
        attack
    );
    assert_ne!(browser.ask("document.title"), "owned");
    // What others write meanwhile is not what the forms are about.
    browser.until("document.getElementById('live').classList.contains('on')");
    drop(room.run(&["add", "c", "three", "--id", "m3"]).fine());
    browser.until("[...document.querySelectorAll('.change form')].every(form => form.hidden) && !document.querySelector('.gone-on').hidden");
    browser.go(&viewer.address("/c?id=c"));
    // The browser itself asks for the tick.
    let remove = "(() => { const form = [...document.forms].find(form => form.elements.what?.value === 'remove'); \
                  form.closest('details').open = true; form.elements.sure.checked = SURE; form.querySelector('button').click(); })()";
    browser.ask(&remove.replace("SURE", "false"));
    assert_eq!(room.run(&["ls", "--json"]).json().len(), 1);
    browser.ask(&remove.replace("SURE", "true"));
    browser.until("location.pathname === '/' && document.readyState === 'complete'");
    browser.go(&viewer.address("/c?id=c"));
    browser.ask("[...document.querySelectorAll('.change button')].find(button => button.textContent.startsWith('Bring')).click()");
    browser.until(
        "document.querySelector('.past') === null && document.querySelectorAll('article').length === 3",
    );
    assert_eq!(room.texts("c"), ["one", "two", "three"]);
    browser.size(360, 740);
    for path in ["/c?id=c", "/c?id=c&at=1"] {
        browser.go(&viewer.address(path));
        browser.ask("document.querySelectorAll('details').forEach(fold => { fold.open = true; })");
        let wider =
            browser.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wider, 0, "{path}");
    }
}
