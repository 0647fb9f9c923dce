//! What a conversation was, and what was made of it.

use serde_json::json;

use super::{Room, Viewer};

fn edited(room: &Room, id: &str, content: &str) {
    let line = json!({"type": "edit_message", "conversation_id": "c", "message_id": id, "content": content});
    drop(room.run_with(&["append"], format!("{line}\n").as_bytes()).fine());
}

/// A conversation of six events: two messages, an edit of each, a title, and a removal.
fn room() -> Room {
    let room = Room::new();
    drop(room.run(&["add", "c", "one", "--id", "m1"]).fine());
    drop(room.run(&["add", "c", "two", "--id", "m2"]).fine());
    edited(&room, "m1", "One");
    edited(&room, "m2", "Two");
    drop(room.run(&["rename", "c", "Numbers"]).fine());
    assert_eq!(room.run(&["rm", "c/m1", "--yes"]).code, Some(0));
    room
}

#[test]
fn each_state_of_the_past_is_shown_and_marked() {
    let room = room();
    let viewer = Viewer::of(&room);
    let now = viewer.get("/c?id=c").fine();
    assert!(!now.contains("class=\"past\"") && now.contains("href=\"/c?id=c&amp;at=6\">History"), "{now}");
    for (at, there, gone) in [
        (1, vec!["<p>one</p>"], vec!["<p>two</p>", "Numbers"]),
        (2, vec!["<p>one</p>", "<p>two</p>"], vec!["Numbers"]),
        (3, vec!["<p>One</p>", "<p>two</p>"], vec!["<p>one</p>"]),
        (5, vec!["<p>One</p>", "<p>Two</p>", "Numbers"], vec!["<p>two</p>"]),
        (6, vec!["<p>Two</p>", "Numbers"], vec!["<p>One</p>"]),
    ] {
        let page = viewer.get(&format!("/c?id=c&at={at}")).fine();
        assert!(
            page.contains("This is the past.") && page.contains(&format!("value=\"{at}\"")),
            "{at}: {page}"
        );
        assert!(page.contains("data-tail=\"\""), "nobody waits for what comes");
        let list = page.split("<div id=\"items\"").nth(1).unwrap();
        for text in there {
            assert!(list.contains(text) || page.contains(&format!("<bdi>{text}</bdi></h1>")), "{at}: {text}");
        }
        for text in gone {
            assert!(!list.contains(text), "{at}: {text}");
        }
    }
    // All of a text is that of then.
    assert_eq!(viewer.get("/raw?id=c&message=m1&place=0&at=2").fine(), "one");
    assert_eq!(viewer.get("/raw?id=c&message=m1&place=0&at=3").fine(), "One");
    assert_eq!(viewer.get("/raw?id=c&message=m1&at=6").status, 404);
    // What is shown is what the command line shows.
    let shown = room.run(&["show", "c", "--at", "3"]).fine();
    assert!(shown.contains("One") && shown.contains("two"), "{shown}");
    assert_eq!(viewer.get("/c?id=c&at=0").status, 404);
}

#[test]
fn the_slider_works_without_a_script() {
    let room = room();
    let viewer = Viewer::of(&room);
    for (step, at) in [("1", "&at=1"), ("5", "&at=5"), ("6", ""), ("99", "")] {
        let answer = viewer.get(&format!("/c?id=c&step={step}"));
        assert_eq!((answer.status, answer.header("location")), (303, Some(format!("/c?id=c{at}").as_str())));
    }
    let page = viewer.get("/c?id=c&at=3").fine();
    assert!(page.contains("type=\"range\"") && page.contains("min=\"1\" max=\"6\" value=\"3\""), "{page}");
    assert!(
        page.contains("rel=\"prev\" href=\"/c?id=c&amp;at=2\"")
            && page.contains("rel=\"next\" href=\"/c?id=c&amp;at=4\"")
    );
    assert!(page.contains("<code>edit_message</code> <bdi>m1</bdi> One"), "{page}");
}

#[test]
fn the_pieces_of_the_past_are_of_the_past() {
    let room = Room::new();
    let lines: Vec<String> = (0..250)
        .map(|n| json!({"type": "add_message", "conversation_id": "c", "id": format!("m{n}"), "content": format!("n{n}")}).to_string())
        .collect();
    assert_eq!(room.run_with(&["append"], format!("[{}]\n", lines.join(",")).as_bytes()).code, Some(0));
    let viewer = Viewer::of(&room);
    let first = viewer.get("/c?id=c&at=150").fine();
    assert!(first.contains("data-part=\"/part?id=c&amp;from=100&amp;act=0&amp;at=150\""), "{first}");
    let rest = viewer.get("/part?id=c&from=100&act=0&at=150").fine();
    assert!(
        rest.matches("<article").count() == 50 && rest.contains("<p>n149</p>") && rest.contains("id=\"end\"")
    );
}

#[test]
fn a_conversation_that_was_removed_is_shown_as_it_was_as_far_as_that_is_kept() {
    let room = room();
    assert_eq!(room.run(&["rm", "c", "--yes"]).code, Some(0));
    let viewer = Viewer::of(&room);
    let answer = viewer.get("/c?id=c");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/c?id=c&at=6")));
    let page = viewer.get("/c?id=c&at=6").fine();
    assert!(page.contains("has been removed since") && page.contains("<p>Two</p>"), "{page}");
    let gone = viewer.get("/c?id=c&at=7");
    assert_eq!(gone.status, 404);
}

#[test]
fn forks_and_what_they_come_from_are_linked() {
    let room = room();
    for (id, at) in [("fork/1", "2"), ("fork2", "4")] {
        drop(room.run(&["fork", "c", "--at", at, "--id", id]).fine());
    }
    let viewer = Viewer::of(&room);
    let page = viewer.get("/c?id=fork%2F1").fine();
    assert!(page.contains("forked from <a href=\"/c?id=c\"><bdi>c</bdi></a> at version 2"), "{page}");
    let forks = viewer.get("/forks?id=c").fine();
    assert!(forks.contains("href=\"/c?id=fork%2F1\"") && forks.contains("href=\"/c?id=fork2\""), "{forks}");
    assert!(viewer.get("/forks?id=fork2").fine().contains("There is none."));
    // What was found is found anew once something has changed.
    drop(room.run(&["fork", "fork2", "--id", "deep"]).fine());
    assert!(viewer.get("/forks?id=fork2").fine().contains("href=\"/c?id=deep\""));
}
