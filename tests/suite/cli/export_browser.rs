//! The page in a real browser.
//!
//! Owns the running of a headless Chromium and the questions that a page beside the exported one asks it. Where
//! there is no Chromium these tests say so and pass; `CHROMIUM` names another binary.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::export_forms::example;
use super::export_hostile::{ATTACKS, attacked};
use super::{Room, message_line};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A page around the exported one that tells what became of it. Only this page has a script.
const ASKING: &str = r#"<!doctype html><body><iframe id="f" width="WIDTH" height="844" src="PAGE"></iframe>
<pre id="answer"></pre><script>
document.getElementById("f").onload = event => {
  const took = performance.now(), d = event.target.contentDocument, root = d.documentElement;
  const style = element => event.target.contentWindow.getComputedStyle(d.querySelector(element));
  document.getElementById("answer").textContent = JSON.stringify({
    title: d.title, articles: d.querySelectorAll("article").length, sections: d.querySelectorAll("section").length,
    listed: d.querySelectorAll("nav li a").length, scripts: d.querySelectorAll("script").length, took: Math.round(took),
    lost: [...d.querySelectorAll("a[href^='#']")].filter(a => !d.getElementById(a.hash.slice(1))).length,
    wider: root.scrollWidth - root.clientWidth, ground: style("body").backgroundColor, list: style("nav").position,
    ending: d.querySelector("main").textContent.slice(-60),
    // What is out of view is there, but has not been laid out: that makes a long page fast.
    laid_out: d.querySelector("main").innerText.length, all: d.querySelector("main").textContent.length,
  });
};
</script>"#;

/// Says something that is seen although the test passes.
pub(super) fn tell(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Where the browser is, or nothing and a word about it.
pub(super) fn chromium(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).flat_map(|dir| NAMES.map(|name| dir.join(name)));
    let found = named.or_else(|| places.find(|place| place.is_file()));
    if found.is_none() {
        tell(&format!("SKIPPED: {test}: there is no Chromium; install it or name it in CHROMIUM"));
    }
    found
}

struct Browser {
    binary: PathBuf,
    room: Room,
}

impl Browser {
    /// The browser, or nothing and a word about it.
    fn find(test: &str) -> Option<Self> {
        chromium(test).map(|binary| Self { binary, room: Room::new() })
    }

    /// Runs it for a page. It fetches nothing, and is ended if it hangs.
    fn run(&self, flags: &[&str], page: &Path) -> Output {
        let profile = tempfile::tempdir().unwrap();
        let output = Command::new("timeout")
            .args(["--kill-after=5", "180"])
            .arg(&self.binary)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--hide-scrollbars", "--allow-file-access-from-files", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(flags)
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// What the browser makes of a page, at this width.
    fn ask(&self, page: &Path, width: u32, flags: &[&str]) -> Value {
        let asking = self.room.path("asking.html");
        let text = ASKING.replace("WIDTH", &width.to_string());
        fs::write(&asking, text.replace("PAGE", &format!("file://{}", page.display()))).unwrap();
        let output = self.run(&[flags, &["--dump-dom"]].concat(), &asking);
        let dom = String::from_utf8(output.stdout).unwrap();
        let (_, rest) = dom.split_once("<pre id=\"answer\">").expect("the page's answer");
        let answer = rest.split("</pre>").next().unwrap();
        let answer = answer.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// A picture of a page, as PNG.
    fn picture(&self, page: &Path, size: (u32, u32), flags: &[&str]) -> Vec<u8> {
        let shot = self.room.path("shot.png");
        drop(fs::remove_file(&shot));
        let (file, window) =
            (format!("--screenshot={}", shot.display()), format!("--window-size={},{}", size.0, size.1));
        self.run(&[flags, &[&file, &window]].concat(), page);
        let picture = fs::read(&shot).unwrap();
        assert_eq!(&picture[..8], b"\x89PNG\r\n\x1a\n");
        let side = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
        assert_eq!((side(16), side(20)), size);
        picture
    }
}

const DARK: &str = "--blink-settings=preferredColorScheme=0";
const LIGHT: &str = "--blink-settings=preferredColorScheme=1";

fn exported(room: &Room) -> PathBuf {
    room.run(&["export", "--to", "html", "-o", "page.html"]).fine();
    room.path("page.html")
}

#[test]
fn a_page_reads_well_on_a_desk_in_the_dark_and_on_a_telephone() {
    let Some(browser) = Browser::find("the page in a browser") else { return };
    let room = example();
    let page = exported(&room);
    let desk = browser.ask(&page, 1280, &[LIGHT]);
    assert_eq!(
        (&desk["title"], &desk["articles"], &desk["sections"], &desk["listed"]),
        (&json!("4 conversations"), &json!(13), &json!(4), &json!(4))
    );
    assert_eq!((&desk["lost"], &desk["wider"], &desk["list"]), (&json!(0), &json!(0), &json!("sticky")));
    let dark = browser.ask(&page, 1280, &[DARK]);
    let ground = |answer: &Value| -> u32 {
        let numbers = answer["ground"].as_str().unwrap().replace(|c: char| !c.is_ascii_digit(), " ");
        numbers.split_whitespace().take(3).map(|number| number.parse::<u32>().unwrap()).sum()
    };
    assert!(ground(&desk) > 700 && ground(&dark) < 100, "{desk} {dark}");
    let telephone = browser.ask(&page, 360, &[LIGHT]);
    assert_eq!((&telephone["wider"], &telephone["list"]), (&json!(0), &json!("static")), "{telephone}");

    let size = (1280, 900);
    let blank = room.path("blank.html");
    fs::write(&blank, "<!doctype html>").unwrap();
    let empty = browser.picture(&blank, size, &[]).len();
    let [light, dark] = [LIGHT, DARK].map(|scheme| browser.picture(&page, size, &[scheme]));
    assert!(light.len() > 5 * empty && dark.len() > 5 * empty && light != dark);
    assert!(browser.picture(&page, (500, 900), &[]).len() > 5 * empty);
}

#[test]
fn a_page_can_be_printed_with_everything_that_is_folded() {
    let Some(browser) = Browser::find("the page on paper") else { return };
    let room = example();
    let page = exported(&room);
    let pages = |page: &Path| {
        let paper = room.path("paper.pdf");
        browser.run(&[&format!("--print-to-pdf={}", paper.display())], page);
        let paper = fs::read(paper).unwrap();
        assert!(paper.starts_with(b"%PDF-"));
        paper.windows(11).filter(|words| *words == b"/Type /Page").count()
    };
    let many: Vec<String> = (0..300).map(|n| format!("\"k{n}\":{n}")).collect();
    let before = pages(&page);
    assert!(before >= 2, "{before} pages");
    room.run(&["act", "inbox", "folded", &format!("{{{}}}", many.join(","))]).fine();
    fs::remove_file(&page).unwrap();
    let after = pages(&exported(&room));
    assert!(after > before + 2, "three hundred lines of data are on paper: {before} pages, then {after}");
}

#[test]
fn no_attack_runs() {
    let Some(browser) = Browser::find("attacks in a browser") else { return };
    // That the attacks work where nothing is escaped shows that this test can fail.
    let careless = browser.room.path("careless.html");
    fs::write(&careless, format!("<!doctype html><title>x</title><main>{}", ATTACKS[0])).unwrap();
    let owned = browser.run(&["--dump-dom"], &careless);
    assert!(String::from_utf8(owned.stdout).unwrap().contains("<title>owned</title>"));

    let room = attacked();
    let answer = browser.ask(&exported(&room), 1280, &[]);
    assert_eq!(
        (&answer["title"], &answer["scripts"], &answer["lost"], &answer["wider"]),
        (&json!(format!("{} conversations", ATTACKS.len())), &json!(0), &json!(0), &json!(0)),
        "{answer}"
    );
    assert_eq!((&answer["articles"], &answer["sections"]), (&json!(ATTACKS.len()), &json!(ATTACKS.len())));
}

#[test]
fn ten_thousand_messages_are_shown() {
    let Some(browser) = Browser::find("ten thousand messages in a browser") else { return };
    let room = Room::new();
    let text = "Some *text*, as it is said.\n\n```rust\nfn main() {}\n```\n\n- one\n- two\n";
    let lines: Vec<String> =
        (0..10_000).map(|n| message_line("long", &format!("{text}\nNumber {n}."))).collect();
    // In batches, so that not every message waits for a sync of its own.
    let batches: Vec<String> = lines.chunks(1000).map(|lines| format!("[{}]", lines.join(","))).collect();
    let batches = batches.join("\x00").replace('\n', "").replace('\x00', "\n");
    // From a file: ten thousand receipts fill a pipe before the last line is written to another.
    fs::write(room.path("batches.jsonl"), batches).unwrap();
    assert_eq!(room.run(&["append", "batches.jsonl"]).code, Some(0));
    let page = exported(&room);
    let answer = browser.ask(&page, 1280, &[]);
    assert_eq!(answer["articles"], 10_000);
    assert!(answer["ending"].as_str().unwrap().contains("Number 9999."), "{answer}");
    assert!(answer["laid_out"].as_u64().unwrap() < answer["all"].as_u64().unwrap() / 10, "{answer}");
    let bytes = fs::metadata(&page).unwrap().len();
    tell(&format!("10,000 messages, {bytes} bytes, loaded in {} ms", answer["took"]));
    assert!(answer["took"].as_u64().unwrap() < 60_000, "{answer}");
}
