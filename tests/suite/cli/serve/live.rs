//! What a page is told while others write.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::super::databases::urls;
use super::super::message_line;
use super::{Room, Viewer, read};

/// An event as it came: its number, what it is, and what it says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Told {
    id: Option<u64>,
    kind: String,
    data: String,
}

/// A page that listens.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn of(viewer: &Viewer, id: &str, headers: &str, after: u64) -> Self {
        let mut stream = viewer.connect();
        let Viewer { port, cookie, .. } = viewer;
        let request = format!(
            "GET /tail?id={id}&after={after} HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {cookie}\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut listener = Self(BufReader::new(stream));
        let head = listener.block();
        assert!(head[0].starts_with("HTTP/1.1 200 "), "{head:?}");
        assert!(head.contains(&"Content-Type: text/event-stream".to_owned()), "{head:?}");
        assert_eq!(listener.block(), ["retry: 1000"]);
        listener
    }

    /// The lines up to the next empty one.
    fn block(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the viewer has hung up behind {lines:?}");
            match line.trim_end_matches(['\r', '\n']) {
                "" => return lines,
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// The next event that says something.
    fn next(&mut self) -> Told {
        loop {
            let mut told = Told::default();
            for line in self.block() {
                match line.split_once(": ") {
                    Some(("id", id)) => told.id = Some(id.parse().unwrap()),
                    Some(("event", kind)) => told.kind = kind.to_owned(),
                    Some(("data", data)) => told.data += data,
                    _ => {}
                }
            }
            if !told.kind.is_empty() {
                return told;
            }
        }
    }

    /// The number of the next event, which must add this text.
    #[track_caller]
    fn adds(&mut self, text: &str) -> u64 {
        let told = self.next();
        assert!(told.kind == "item" && told.data.contains(&format!("<p>{text}</p>")), "{text}: {told:?}");
        told.id.unwrap()
    }
}

fn room() -> Room {
    let room = Room::new();
    drop(room.run(&["add", "c", "first", "--id", "m1"]).fine());
    room
}

/// The number that a page would listen from.
fn shown(viewer: &Viewer) -> u64 {
    let page = viewer.get("/c?id=c").fine();
    let rest = page.split("id=\"end\" data-seq=\"").nth(1).unwrap();
    rest.split('"').next().unwrap().parse().unwrap()
}

#[test]
fn what_another_process_writes_is_told_and_nothing_else() {
    let room = room();
    let viewer = Viewer::of(&room);
    let seen = shown(&viewer);
    let mut page = Listener::of(&viewer, "c", "", seen);
    drop(room.run(&["add", "other", "not this one"]).fine());
    drop(room.run(&["add", "c", "second", "--id", "m2"]).fine());
    assert_eq!(page.adds("second"), seen + 2);
    drop(room.run(&["act", "c", "tool_call", "{\"name\":\"search\"}"]).fine());
    let action = page.next();
    assert!(action.kind == "item" && action.data.contains("tool_call"), "{action:?}");
    let edit =
        json!({"type": "edit_message", "conversation_id": "c", "message_id": "m2", "content": "mended"});
    drop(room.run_with(&["append"], format!("{edit}\n").as_bytes()).fine());
    let edited = page.next();
    assert!(edited.kind == "edited" && edited.data.contains("<p>mended</p>"), "{edited:?}");
    assert!(edited.data.contains("id=\"/m2\""), "{edited:?}");
    drop(room.run(&["rename", "c", "another title"]).fine());
    assert_eq!(page.next().kind, "stale");
    drop(room.run(&["rm", "c/m1", "--yes"]).fine());
    assert_eq!(page.next().kind, "stale");
    // The page as it is now has all of it.
    let now = viewer.get("/c?id=c").fine();
    assert!(now.contains("mended") && now.contains("another title") && !now.contains("<p>first</p>"));
}

#[test]
fn whoever_comes_again_gets_what_came_meanwhile_once() {
    let room = room();
    let viewer = Viewer::of(&room);
    let batch = |from: u32, to: u32| {
        let lines: Vec<String> =
            (from..to).map(|n| message_line("c", &format!("n{n}")).trim_end().to_owned()).collect();
        assert_eq!(room.run_with(&["append"], format!("[{}]\n", lines.join(",")).as_bytes()).code, Some(0));
    };
    let start = shown(&viewer);
    let mut page = Listener::of(&viewer, "c", "", start);
    batch(0, 5);
    // It goes away in the middle of what was written at once.
    let mut last = 0;
    for n in 0..3 {
        last = page.adds(&format!("n{n}"));
    }
    drop(page);
    batch(5, 8);
    let mut page = Listener::of(&viewer, "c", &format!("Last-Event-ID: {last}\r\n"), start);
    batch(8, 9);
    for n in 3..9 {
        assert_eq!(page.adds(&format!("n{n}")), last + 1);
        last += 1;
    }
    // Each opening of the store for writing begins a segment, and a compaction drops them all.
    drop(room.run(&["add", "c", "the last one"]).fine());
    assert_eq!(page.adds("the last one"), last + 1);
}

#[test]
fn a_compaction_that_has_dropped_what_came_is_told() {
    let room = room();
    let viewer = Viewer::of(&room);
    let seen = shown(&viewer);
    drop(room.run(&["add", "c", "second"]).fine());
    drop(room.run(&["compact"]).fine());
    let mut page = Listener::of(&viewer, "c", "", seen);
    let told = page.next();
    assert_eq!((told.kind.as_str(), told.id), ("stale", Some(seen + 1)));
    drop(room.run(&["add", "c", "third"]).fine());
    assert_eq!(page.adds("third"), seen + 2);
    assert!(viewer.get("/c?id=c").fine().contains("second"));
}

#[test]
fn a_page_that_is_made_while_others_write_goes_on_without_a_gap() {
    let room = Room::new();
    drop(room.run(&["add", "c", "n0"]).fine());
    let viewer = Viewer::of(&room);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 1..40 {
                drop(room.run(&["add", "c", &format!("n{n}")]).fine());
            }
            is_done.store(true, Ordering::SeqCst);
        });
        // Each takes in what has come, also while the pages of the others are made.
        let readers = [(); 4].map(|()| {
            scope.spawn(|| {
                while !is_done.load(Ordering::SeqCst) {
                    let page = viewer.get("/c?id=c&from=end").fine();
                    let there = page.matches("<article").count();
                    let end = page.split("id=\"end\" data-seq=\"").nth(1).unwrap();
                    let seq: usize = end.split('"').next().unwrap().parse().unwrap();
                    // Every event adds a message to this conversation, so that the number of the newest one is how many there are.
                    assert_eq!(there, seq, "what is shown is what was there behind that event");
                }
            })
        });
        writing.join().unwrap();
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn listeners_have_bounds_and_leave_their_places() {
    let room = room();
    let viewer = Viewer::of(&room);
    let mut pages: Vec<_> = (0..24).map(|_| Listener::of(&viewer, "c", "", 1)).collect();
    let refused = viewer.get("/tail?id=c&after=1");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
    assert!(viewer.get("/c?id=c").fine().contains("first"));
    drop(room.run(&["add", "c", "for all"]).fine());
    for page in &mut pages {
        assert_eq!(page.adds("for all"), 2);
    }
    drop(pages);
    let is_served = |_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let mut stream = viewer.connect();
        let head = format!(
            "GET /tail?id=c&after=1 HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n",
            viewer.cookie
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.contains(" 200 ")
    };
    assert!((0..100).any(is_served));
}

#[test]
fn something_is_said_although_nothing_happens_and_an_end_ends_it() {
    let room = room();
    let mut viewer = Viewer::of(&room);
    let mut page = Listener::of(&viewer, "c", "", 1);
    drop(room.run(&["add", "other", "not this one"]).fine());
    // The number moves on, so that whoever comes again does not begin at the beginning.
    assert_eq!(page.block(), ["id: 2"]);
    assert_eq!(page.block(), [":"]);
    let pid = viewer.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(viewer.child.wait().unwrap().code(), Some(143));
    assert_eq!(page.0.read_line(&mut String::new()).unwrap_or(0), 0);
}

#[test]
fn nobody_listens_without_the_cookie_or_from_another_site() {
    let room = room();
    let viewer = Viewer::of(&room);
    for (headers, status) in [
        (String::new(), 401),
        (format!("Cookie: {}\r\nSec-Fetch-Site: same-site\r\n", viewer.cookie), 403),
        (format!("Cookie: {}\r\nOrigin: http://evil.example\r\n", viewer.cookie), 403),
    ] {
        let mut stream = viewer.connect();
        let request = format!("GET /tail?id=c&after=0 HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(read(stream).status, status, "{headers}");
    }
    assert_eq!(viewer.get("/tail?id=nobody&after=0").status, 404);
}

#[test]
fn a_store_in_a_database_is_shown_and_followed_like_any_other() {
    for which in 0..urls(&Room::new()).len() {
        let room = Room::new();
        let url = urls(&room).swap_remove(which);
        let write = |args: &[&str]| {
            assert_eq!(room.run(&[&["-d", &url], args].concat()).code, Some(0), "{url} {args:?}");
        };
        write(&["add", "c", "first", "--id", "m1"]);
        let viewer = Viewer::with(&room, &["-d", &url]);
        assert!(viewer.get("/").fine().contains("href=\"/c?id=c\""), "{url}");
        let mut page = Listener::of(&viewer, "c", "", shown(&viewer));
        write(&["add", "c", "second", "--id", "m2"]);
        page.adds("second");
        assert!(viewer.get("/search?q=second").fine().contains("<mark>second</mark>"), "{url}");
        write(&["rm", "c/m1", "--yes"]);
        assert_eq!(page.next().kind, "stale");
        let now = viewer.get("/c?id=c").fine();
        assert!(now.contains("<p>second</p>") && !now.contains("<p>first</p>"), "{url}");
        let then = viewer.get("/c?id=c&at=1").fine();
        assert!(then.contains("<p>first</p>") && !then.contains("<p>second</p>"), "{url}");
        write(&["fork", "c", "--id", "f"]);
        assert!(viewer.get("/forks?id=c").fine().contains("href=\"/c?id=f\""), "{url}");
    }
}
