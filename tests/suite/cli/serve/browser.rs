//! The viewer in a real browser, with its keys pressed.
//!
//! Owns the way to a headless Chromium, which takes commands and gives answers over two pipes. Where there is none these tests say
//! so and pass, as those of the exported page do.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::export_browser::{chromium, tell};
use super::super::export_forms::example;
use super::super::export_hostile::{ATTACKS, attacked};
use super::super::message_line;
use super::{Room, Viewer};

/// A browser with one page open.
pub(super) struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    last: u64,
    session: String,
    _room: tempfile::TempDir,
}

impl Browser {
    pub(super) fn open(test: &str) -> Option<Self> {
        let binary = chromium(test)?;
        let room = tempfile::tempdir().unwrap();
        let [to, from] = ["to", "from"].map(|name| room.path().join(name));
        assert!(Command::new("mkfifo").args([&to, &from]).status().unwrap().success());
        // The shell puts the pipes where the browser looks for them. It is ended if it hangs.
        let child = Command::new("sh")
            .args(["-c", "exec timeout --kill-after=5 240 \"$@\" 3<\"$0/to\" 4>\"$0/from\""])
            .arg(room.path())
            .arg(binary)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--hide-scrollbars", "--disable-dev-shm-usage", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", room.path().join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = File::create(to).unwrap();
        let from = BufReader::new(File::open(from).unwrap());
        let mut browser = Self { child, to, from, last: 0, session: String::new(), _room: room };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attached =
            browser.call("Target.attachToTarget", &json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        browser.size(1280, 860);
        Some(browser)
    }

    /// Has the browser do something, and gives its answer.
    #[track_caller]
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.try_to(method, params).unwrap_or_else(|answer| panic!("{method}: {answer}"))
    }

    /// The same, or the browser's refusal.
    fn try_to(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut bytes = Vec::new();
            assert!(self.from.read_until(0, &mut bytes).unwrap() > 0, "the browser is gone");
            bytes.pop();
            let mut answer: Value = serde_json::from_slice(&bytes).unwrap();
            if answer["id"] == self.last {
                return if answer["error"].is_null() { Ok(answer["result"].take()) } else { Err(answer) };
            }
        }
    }

    pub(super) fn size(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// What an expression comes to in the page.
    #[track_caller]
    pub(super) fn ask(&mut self, expression: &str) -> Value {
        self.try_to_ask(expression).unwrap_or_else(|answer| panic!("{expression}: {answer}"))
    }

    /// The same, or the browser's refusal, as when the page is left before the expression has come to anything.
    #[track_caller]
    fn try_to_ask(&mut self, expression: &str) -> Result<Value, Value> {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.try_to("Runtime.evaluate", &asked)?;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression holds in the page, or in the one that it leads to.
    #[track_caller]
    pub(super) fn until(&mut self, expression: &str) {
        for _ in 0..600 {
            match self.try_to_ask(expression) {
                Ok(Value::Bool(true)) => return,
                Ok(_) => {}
                Err(answer) => {
                    let is_between_pages =
                        answer["error"]["message"] == "Inspected target navigated or closed";
                    assert!(is_between_pages, "{expression}: {answer}");
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let page = self.ask("document.body.innerText.slice(0, 2000)");
        panic!("it never came to {expression}: {page}");
    }

    #[track_caller]
    pub(super) fn go(&mut self, address: &str) {
        // What is there by then is another page's.
        self.ask("window.isOld = true");
        self.call("Page.navigate", &json!({"url": address}));
        self.until("!window.isOld && document.readyState === 'complete'");
    }

    fn press(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let code = if key == "ArrowLeft" { 37 } else { 0 };
            let event = json!({"type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", &event);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Viewer {
    pub(super) fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// The sum of the parts of the page's ground colour: near 0 in the dark.
const GROUND: &str = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0)";

#[test]
fn keys_lead_through_the_list_and_a_conversation() {
    let Some(mut browser) = Browser::open("the viewer's keys in a browser") else { return };
    let room = example();
    let viewer = Viewer::of(&room);
    browser.go(&viewer.url);
    assert_eq!(browser.ask("location.pathname + location.search"), "/", "the token is gone from the address");
    let here =
        "document.querySelectorAll('.here').length === 1 && document.activeElement.closest('.here') !== null";
    browser.press("j");
    browser.until(here);
    let first = browser.ask("document.activeElement.href");
    browser.press("j");
    let second = browser.ask("document.activeElement.href");
    browser.press("k");
    assert!(first != second && browser.ask("document.activeElement.href") == first, "{first} {second}");
    browser.press("Escape");
    assert_eq!(browser.ask("document.querySelector('.here')"), Value::Null);
    browser.press("?");
    browser.until("document.getElementById('keys').open");
    browser.ask("document.getElementById('keys').close()");
    browser.press("/");
    browser.until("document.activeElement.type === 'search'");
    browser.press("j");
    assert_eq!(browser.ask("document.activeElement.value"), "j", "a letter in a field is a letter");
    browser.press("Escape");
    browser.until("document.activeElement === document.body");

    browser.go(&viewer.address("/c?id=greenhouse"));
    browser.press("G");
    browser.until(here);
    browser.press("g");
    browser.press("g");
    browser.until("scrollY === 0");
    let light = browser.ask(GROUND).as_u64().unwrap();
    browser.press("t");
    let dark = browser.ask(GROUND).as_u64().unwrap();
    assert!(light > 700 && dark < 100, "{light} {dark}");
    browser.press("g");
    browser.press("h");
    browser.until("location.pathname === '/' && document.readyState === 'complete'");
    assert!(browser.ask(GROUND).as_u64().unwrap() < 100, "what was chosen holds on the next page");
}

#[test]
fn a_long_conversation_goes_on_as_one_scrolls() {
    let Some(mut browser) = Browser::open("scrolling in a browser") else { return };
    let room = Room::new();
    let lines: Vec<String> =
        (0..450).map(|n| message_line("long", &format!("Number {n}.")).trim_end().to_owned()).collect();
    assert_eq!(room.run_with(&["append"], format!("[{}]\n", lines.join(",")).as_bytes()).code, Some(0));
    let viewer = Viewer::of(&room);
    browser.go(&viewer.url);
    browser.go(&viewer.address("/c?id=long"));
    assert_eq!(browser.ask("document.querySelectorAll('article').length"), 100);
    for _ in 0..4 {
        browser.ask("scrollTo(0, document.body.scrollHeight)");
        browser.ask("new Promise(done => setTimeout(done, 100))");
    }
    browser.until("scrollTo(0, document.body.scrollHeight), document.getElementById('end') !== null");
    let texts =
        browser.ask("[...document.querySelectorAll('article .text')].map(text => text.textContent.trim())");
    let wanted: Vec<String> = (0..450).map(|n| format!("Number {n}.")).collect();
    assert_eq!(texts, json!(wanted));
}

#[test]
fn what_is_written_meanwhile_appears_once_and_in_order() {
    let Some(mut browser) = Browser::open("a live page in a browser") else { return };
    let room = example();
    let viewer = Viewer::of(&room);
    browser.go(&viewer.url);
    browser.go(&viewer.address("/c?id=release"));
    browser.until("document.getElementById('live').classList.contains('on')");
    let before = browser.ask("document.querySelectorAll('article').length").as_u64().unwrap();
    for (n, attack) in ATTACKS.iter().take(5).enumerate() {
        let text = format!("**live** {n} {attack}");
        drop(room.run(&["add", "release", "-r", "assistant", "--id", &format!("n{n}"), "--", &text]).fine());
    }
    let count = "document.querySelectorAll('article').length";
    browser.until(&format!("{count} === {}", before + 5));
    // It goes out of sight, misses some, and comes again.
    let hidden = |is: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{value: {is}, configurable: true}}); document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    browser.ask(&hidden(true));
    drop(room.run(&["add", "release", "missed", "--id", "n5"]).fine());
    browser.ask(&hidden(false));
    drop(room.run(&["add", "release", "and then", "--id", "n6"]).fine());
    browser.until(&format!("{count} === {}", before + 7));
    let ids = browser.ask("[...document.querySelectorAll('article')].slice(-7).map(item => item.id)");
    assert_eq!(ids, json!(["/n0", "/n1", "/n2", "/n3", "/n4", "/n5", "/n6"]));
    let edit = json!({"type": "edit_message", "conversation_id": "release", "message_id": "n5", "content": "mended"});
    drop(room.run_with(&["append"], format!("{edit}\n").as_bytes()).fine());
    browser.until("document.getElementById('/n5').textContent.includes('mended')");
    assert_eq!(browser.ask("document.getElementById('stale').hidden"), true);
    drop(room.run(&["rename", "release", "another title"]).fine());
    browser.until("!document.getElementById('stale').hidden");
    assert_ne!(browser.ask("document.title"), "owned");
    browser.ask("document.querySelector('#stale a').click()");
    browser.until("document.querySelector('h1')?.textContent === 'another title'");
    let shown = browser.ask(count);
    assert_eq!(shown, before + 7, "the page has what was told");
}

#[test]
fn the_slider_leads_where_it_is_let_go() {
    let Some(mut browser) = Browser::open("the slider in a browser") else { return };
    let room = example();
    drop(room.run(&["rename", "release", "another title"]).fine());
    let viewer = Viewer::of(&room);
    browser.go(&viewer.url);
    browser.go(&viewer.address("/c?id=release"));
    browser.ask("[...document.querySelectorAll('a')].find(link => link.textContent === 'History').click()");
    browser.until("document.querySelector('.past') !== null && document.readyState === 'complete'");
    browser.ask("document.getElementById('time').focus()");
    browser.press("ArrowLeft");
    browser.until("document.querySelector('h1')?.textContent !== 'another title' && document.querySelector('.past') !== null");
    browser.ask("[...document.querySelectorAll('.past a')].find(link => link.textContent === 'To what is now').click()");
    browser.until("document.querySelector('.past') === null && document.querySelector('h1')?.textContent === 'another title'");
}

#[test]
fn it_fits_on_a_telephone_and_follows_the_colours_of_the_system() {
    let Some(mut browser) = Browser::open("the viewer on a telephone") else { return };
    let room = example();
    let viewer = Viewer::of(&room);
    browser.go(&viewer.url);
    browser.size(360, 740);
    for path in ["/", "/c?id=greenhouse", "/c?id=inbox", "/c?id=inbox&at=16", "/search?q=the"] {
        browser.go(&viewer.address(path));
        let wider =
            browser.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wider, 0, "{path}");
    }
    for (scheme, is_dark) in [("dark", true), ("light", false)] {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.call("Emulation.setEmulatedMedia", &features);
        assert_eq!(browser.ask(GROUND).as_u64().unwrap() < 100, is_dark);
    }
}

#[test]
fn no_attack_runs_in_the_viewer() {
    let Some(mut browser) = Browser::open("attacks on the viewer in a browser") else { return };
    let room = attacked();
    let viewer = Viewer::of(&room);
    browser.go(&viewer.url);
    let titles = browser.ask("document.querySelectorAll('.list a').length");
    assert_eq!(titles, ATTACKS.len());
    let addresses = browser.ask("[...document.querySelectorAll('.list a')].map(link => link.href)");
    let owned = "document.title === 'owned' || document.querySelectorAll('script').length !== 1 || location.host.includes('owned')";
    for address in addresses.as_array().unwrap() {
        browser.go(address.as_str().unwrap());
        // What is folded is unfolded, what has the focus has had it.
        browser.ask("document.querySelectorAll('details').forEach(fold => { fold.open = true; })");
        browser.press("j");
        assert_eq!(browser.ask(owned), false, "{address}");
        assert!(browser.ask("document.querySelectorAll('article').length") == 1, "{address}");
    }
    browser.go(&viewer.address("/search?q=owned"));
    assert_eq!(browser.ask(owned), false);
    // That a script of a page would not run here shows what the policy is worth.
    browser.ask("document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title = \"owned\"'}))");
    assert_ne!(browser.ask("document.title"), "owned");
}

#[test]
fn axe_has_no_serious_findings() {
    let Some(axe) = std::env::var_os("AXE") else {
        tell("SKIPPED: accessibility: AXE names no axe.min.js, from the package axe-core of npm");
        return;
    };
    let Some(mut browser) = Browser::open("accessibility") else { return };
    let axe = std::fs::read_to_string(axe).unwrap();
    let room = example();
    let call = json!({"tool_calls": [{"name": "forecast", "args": {"city": "Rome"}}]});
    let line = json!({"type": "add_message", "conversation_id": "greenhouse", "role": "assistant", "content": "x", "metadata": call});
    drop(room.run_with(&["append"], format!("{line}\n").as_bytes()).fine());
    let viewer = Viewer::with(&room, &["--write"]);
    browser.go(&viewer.url);
    for scheme in ["light", "dark"] {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.call("Emulation.setEmulatedMedia", &features);
        for path in [
            "/",
            "/c?id=greenhouse",
            "/c?id=inbox",
            "/c?id=inbox&at=16",
            "/forks?id=inbox",
            "/search?q=the",
            "/c?id=none",
        ] {
            browser.go(&viewer.address(path));
            browser.ask("document.querySelectorAll('details').forEach(fold => { fold.open = true; })");
            browser.ask(&format!("{axe};0"));
            let found = browser.ask(
                "axe.run().then(result => result.violations.filter(found => ['serious', 'critical'].includes(found.impact))\
                 .map(found => [found.id, ...found.nodes.slice(0, 3).map(node => node.html + ' ' + node.failureSummary)]))",
            );
            assert_eq!(found, json!([]), "{scheme} {path}");
        }
    }
}
