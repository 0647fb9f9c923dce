//! What somebody who means no good, or reads slowly, can do to a viewer: little.

use std::io::{Read, Write};
use std::time::Duration;

use super::{Room, Viewer, read};

fn room() -> Room {
    let room = Room::new();
    drop(room.run(&["add", "c1", "Hi!"]).fine());
    room
}

#[test]
fn a_request_that_is_too_long_is_refused_before_it_ends() {
    let room = room();
    let viewer = Viewer::of(&room);
    let long = "x".repeat(1 << 20);
    for request in [
        format!("GET /{long} HTTP/1.1\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {long}"),
        format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(100_000)),
    ] {
        assert_eq!(viewer.ask(&request).status, 431);
    }
    for request in
        ["\x16\x03\x01\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\nA B: c\r\n\r\n", "GET * HTTP/1.1\r\n\r\n"]
    {
        assert_eq!(viewer.ask(request).status, 400, "{request:?}");
    }
    let body = "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n";
    assert_eq!(viewer.ask(body).status, 413);
    drop(viewer.get("/").fine());
}

#[test]
fn a_request_that_never_ends_is_ended_and_others_are_served_meanwhile() {
    let room = room();
    let viewer = Viewer::of(&room);
    let mut slow = viewer.connect();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
    let silent = viewer.connect();
    drop(viewer.get("/c?id=c1").fine());
    assert_eq!(read(slow).status, 408);
    assert_eq!(read(silent).status, 408);
}

#[test]
fn more_connections_than_there_is_room_for_are_told_so_and_those_before_them_are_served() {
    let room = room();
    let viewer = Viewer::of(&room);
    let mut held: Vec<_> = (0..64).map(|_| viewer.connect()).collect();
    // The connection before these may still have its place, which one of the further ones gets then.
    let mut further = [(); 4].map(|()| viewer.connect());
    let mut one = held.remove(0);
    let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", viewer.cookie);
    one.write_all(request.as_bytes()).unwrap();
    assert_eq!(read(one).status, 200);
    let is_refused = further.iter_mut().any(|stream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 503 ")
    });
    assert!(is_refused);
    drop(held);
    // Their places are free again before long.
    let is_served = |_| matches!(viewer.connect_and_ask(&request), Some(200));
    assert!((0..100).any(is_served));
}

#[test]
fn whoever_does_not_read_keeps_nobody_waiting() {
    let room = room();
    let long = format!("{}\n", "x".repeat(20 << 20));
    drop(room.run_with(&["add", "long", "--id", "m1", "-"], long.as_bytes()));
    let viewer = Viewer::of(&room);
    let request = format!(
        "GET /raw?id=long&message=m1 HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n",
        viewer.cookie
    );
    let mut stuck: Vec<_> = (0..3).map(|_| viewer.connect()).collect();
    for stream in &mut stuck {
        stream.write_all(request.as_bytes()).unwrap();
    }
    assert_eq!(viewer.get("/raw?id=long&message=m1").fine().len(), 20 << 20);
    drop(viewer.get("/c?id=long").fine());
    drop(room.run(&["add", "c1", "written meanwhile"]).fine());
    assert!(viewer.get("/c?id=c1").fine().contains("written meanwhile"));
}

impl Viewer {
    /// The number that a request is answered with; nothing if the connection ends first.
    fn connect_and_ask(&self, request: &str) -> Option<u16> {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
    }
}
