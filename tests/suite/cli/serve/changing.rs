//! What the pages change, where that is allowed, and who may not.

use std::io::Write;

use super::browser::Browser;
use super::{Answer, Room, Viewer};

/// The fields of the form of a page that does something, as a browser sends them.
fn fields(page: &str, what: &str) -> String {
    let form = page
        .split("<form method=\"post\" action=\"/change\">")
        .skip(1)
        .find(|form| form.contains(&format!("name=\"what\" value=\"{what}\"")))
        .unwrap_or_else(|| panic!("no form to {what}: {page}"));
    let form = form.split("</form>").next().unwrap();
    let hidden = form.split("<input type=\"hidden\" name=\"").skip(1);
    let pairs = hidden.map(|field| {
        let (name, rest) = field.split_once("\" value=\"").unwrap();
        format!("{name}={}", rest.split_once('"').unwrap().0)
    });
    pairs.collect::<Vec<_>>().join("&")
}

impl Viewer {
    /// What a browser that has been let in gets for a form of a page of this viewer's.
    fn send(&self, form: &str) -> Answer {
        self.send_with(
            form,
            &format!("Origin: http://127.0.0.1:{}\r\nSec-Fetch-Site: same-origin\r\n", self.port),
        )
    }

    fn send_with(&self, form: &str, headers: &str) -> Answer {
        let Self { port, cookie, .. } = self;
        self.ask(&format!(
            "POST /change HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n{headers}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ))
    }
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
    assert_eq!(viewer.send("what=title&id=c&version=2&title=x").status, 405);
    assert_eq!(room.run(&["ls", "--json"]).json()[0]["version"], 2);
}

#[test]
fn a_page_changes_what_its_forms_say_and_shows_what_came_of_it() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    let there = |answer: Answer| {
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.header("location").unwrap().to_owned()
    };
    let page = viewer.get("/c?id=c").fine();
    let to = there(viewer.send(&format!("{}&title=Numbers+%26+more", fields(&page, "title"))));
    let page = viewer.get(&to).fine();
    assert!(page.contains("<bdi>Numbers &amp; more</bdi></h1>"), "{page}");
    assert!(page.contains("name=\"title\" value=\"Numbers &amp; more\""), "{page}");

    // Another process writes between two changes, and is waited for by nobody.
    drop(room.run(&["add", "c", "three", "--id", "m3", "--no-wait"]).fine());
    let page = viewer.get("/c?id=c").fine();
    let to = there(viewer.send(&format!("{}&title=Other", fields(&page, "fork"))));
    let fork = viewer.get(&to).fine();
    assert!(fork.contains("<p>three</p>") && fork.contains("<bdi>Other</bdi></h1>"), "{fork}");

    let page = viewer.get("/c?id=c").fine();
    assert!(page.contains("It can be brought back until "), "{page}");
    let remove = fields(&page, "remove");
    assert_eq!(viewer.send(&remove).status, 400, "nobody has said that it is meant");
    assert_eq!(there(viewer.send(&format!("{remove}&sure=yes"))), "/");
    let listed = room.run(&["ls", "--json"]).json();
    assert_eq!(listed.len(), 1, "{listed:?}");

    // It is shown as it was, and comes back so.
    let before = there(viewer.get("/c?id=c"));
    let page = viewer.get(&before).fine();
    assert!(page.contains("Bring it back like this"), "{page}");
    let to = there(viewer.send(&fields(&page, "revert")));
    assert!(viewer.get(&to).fine().contains("<p>three</p>"));
    assert_eq!(room.texts("c"), ["one", "two", "three"]);
    let page = viewer.get("/c?id=c&at=1").fine();
    let to = there(viewer.send(&fields(&page, "fork")));
    assert!(!viewer.get(&to).fine().contains("<p>two</p>"));
    drop(viewer.send(&fields(&page, "revert")));
    assert_eq!(room.texts("c"), ["one"]);
    assert_eq!(room.run(&["verify"]).code, Some(0));
}

#[test]
fn nothing_is_done_to_what_nobody_has_seen() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    let page = viewer.get("/c?id=c").fine();
    drop(room.run(&["add", "c", "three"]).fine());
    for form in
        [format!("{}&title=x", fields(&page, "title")), format!("{}&sure=yes", fields(&page, "remove"))]
    {
        let answer = viewer.send(&form);
        assert_eq!(answer.status, 409, "{answer:?}");
        assert!(answer.body.contains("Not changed") && answer.body.contains("version"), "{answer:?}");
    }
    // The fork has what was seen, and not what came behind it.
    let forked = viewer.send(&fields(&page, "fork"));
    assert_eq!(forked.status, 303, "{forked:?}");
    assert!(!viewer.get(forked.header("location").unwrap()).fine().contains("<p>three</p>"));
    assert_eq!(room.texts("c"), ["one", "two", "three"]);
}

#[test]
fn only_the_viewers_own_pages_change_anything() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    let page = viewer.get("/c?id=c").fine();
    let form = format!("{}&title=x", fields(&page, "title"));
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
    let length = format!(
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let head = format!("Host: 127.0.0.1:{}\r\n{own}", viewer.port);
    for (target, more) in
        [("/change".to_owned(), String::new()), (format!("/change?token={}", viewer.token()), String::new())]
    {
        let answer = viewer.ask(&format!("POST {target} HTTP/1.1\r\n{head}{more}{length}"));
        assert_eq!(answer.status, 401, "{target}: {answer:?}");
    }
    let (_, rest) = form.split_once('&').unwrap();
    assert!(form.starts_with("key="));
    for key in ["", "key=x&", &format!("key={}&", viewer.token())] {
        assert_eq!(viewer.send(&format!("{key}{rest}")).status, 409, "{key}");
    }
    let elsewhere = format!("POST /c?id=c HTTP/1.1\r\n{head}Cookie: {}\r\n{length}", viewer.cookie);
    assert_eq!(viewer.ask(&elsewhere).status, 404);
    assert_eq!(viewer.get("/change").status, 404);
    assert_eq!(room.run(&["ls", "--json"]).json()[0]["version"], 2);
    // The same form, sent as it should be.
    assert_eq!(viewer.send(&form).status, 303);
}

#[test]
fn a_change_that_another_writer_keeps_from_being_made_says_so() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    let page = viewer.get("/c?id=c").fine();
    let mut writer = super::super::piped(&mut room.command(&["append"]));
    let mut input = writer.stdin.take().unwrap();
    input.write_all(super::super::message_line("c", "three").as_bytes()).unwrap();
    input.flush().unwrap();
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(writer.stdout.as_mut().unwrap()), &mut said)
        .unwrap();
    let form = format!("{}&title=x", fields(&page, "title"));
    let answer = viewer.send(&form);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("Not changed"), "{answer:?}");
    assert!(viewer.get("/c?id=c").fine().contains("<p>three</p>"), "it is read all the same");
    drop(input);
    assert!(writer.wait().unwrap().success());
    let form = format!("{}&title=x", fields(&viewer.get("/c?id=c").fine(), "title"));
    assert_eq!(viewer.send(&form).status, 303);
}

#[test]
fn forms_are_read_whole_or_refused() {
    let room = room();
    let viewer = Viewer::with(&room, &["--write"]);
    let page = viewer.get("/c?id=c").fine();
    let key = fields(&page, "title");
    let long = "x".repeat(16 << 10);
    for (form, status) in [
        (String::new(), 409),
        ("%4".to_owned(), 400),
        (key.clone().replace("id=c", "id="), 404),
        (key.replace("id=c", "id=nobody"), 409),
        (key.replace("what=title", "what=erase"), 400),
        (key.replace("version=2", "version=-1"), 400),
        (format!("{key}&title={long}"), 413),
    ] {
        let answer = viewer.send(&form);
        assert_eq!(answer.status, status, "{form:.80} {answer:?}");
    }
    // A body that does not come ends with the time for it.
    let mut stream = viewer.connect();
    let head = format!("POST /change HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", viewer.port);
    write!(stream, "{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nkey=")
        .unwrap();
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
    let form = format!("{}&title=x", fields(&page, "title"));
    assert_eq!(viewer.send(&form).status, 303);
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
        "document.querySelector('.past') === null && document.querySelectorAll('article').length === 2",
    );
    assert_eq!(room.texts("c"), ["one", "two"]);
    browser.size(360, 740);
    for path in ["/c?id=c", "/c?id=c&at=1"] {
        browser.go(&viewer.address(path));
        browser.ask("document.querySelectorAll('details').forEach(fold => { fold.open = true; })");
        let wider =
            browser.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wider, 0, "{path}");
    }
}
