//! Who is let in.

use std::io::Read;

use super::{Room, Viewer};

fn room() -> Room {
    let room = Room::new();
    drop(room.run(&["add", "c1", "a secret"]).fine());
    room
}

#[test]
fn nobody_sees_anything_without_the_token_or_its_cookie() {
    let room = room();
    let viewer = Viewer::of(&room);
    let cookie = viewer.cookie.clone();
    let mut one_off = cookie.clone();
    let last = one_off.pop().unwrap();
    one_off.push(if last == '0' { '1' } else { '0' });
    for path in
        ["/", "/c?id=c1", "/part?id=c1", "/search?q=secret", "/raw?id=c1&message=m", "/style.css", "/nothing"]
    {
        for cookie in [
            "",
            "Cookie: \r\n",
            "Cookie: aral-store=x\r\n",
            &format!("Cookie: {one_off}\r\n"),
            &format!("Cookie: {cookie}0\r\n"),
        ] {
            let answer = viewer.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n"));
            assert_eq!(answer.status, 401, "{path} {cookie}: {answer:?}");
            assert!(!answer.body.contains("secret"));
        }
    }
    for token in [
        "",
        "x",
        viewer.token().trim_start_matches(|c| viewer.token().starts_with(c)),
        &format!("{}x", viewer.token()),
    ] {
        let answer = viewer.ask(&format!("GET /?token={token} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None), "{token}");
    }
    assert!(viewer.get("/c?id=c1").fine().contains("a secret"));
}

#[test]
fn the_cookie_is_for_this_viewer_and_out_of_the_reach_of_scripts() {
    let room = room();
    let [one, other] = [Viewer::of(&room), Viewer::of(&room)];
    let opened = one.ask(&format!("GET /?token={} HTTP/1.1\r\nHost: localhost\r\n\r\n", one.token()));
    let cookie = opened.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(one.token()) && one.token().len() == 64, "{cookie}");
    assert_ne!(one.cookie.split('=').next(), other.cookie.split('=').next());
    let answer = other.ask(&format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", one.cookie));
    assert_eq!(answer.status, 401);
}

#[test]
fn a_name_that_leads_here_and_a_page_of_another_site_are_refused() {
    let room = room();
    let viewer = Viewer::of(&room);
    let ask =
        |headers: &str| viewer.ask(&format!("GET / HTTP/1.1\r\n{headers}Cookie: {}\r\n\r\n", viewer.cookie));
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", "", "[::2]"]
    {
        let answer = ask(&format!("Host: {host}\r\n"));
        assert_eq!(answer.status, 403, "{host}: {answer:?}");
    }
    assert_eq!(ask("").status, 400);
    assert_eq!(ask("Host: localhost\r\nHost: evil.example\r\n").status, 400);
    for host in ["localhost:1", "127.0.0.1", "[::1]:9"] {
        assert_eq!(ask(&format!("Host: {host}\r\n")).status, 200, "{host}");
    }
    for origin in ["http://evil.example", "null", "http://localhost:2", "https://localhost:1"] {
        assert_eq!(ask(&format!("Host: localhost:1\r\nOrigin: {origin}\r\n")).status, 403, "{origin}");
    }
    assert_eq!(ask("Host: localhost:1\r\nOrigin: http://localhost:1\r\n").status, 200);
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        assert_eq!(ask(&format!("Host: localhost\r\nSec-Fetch-Site: {site}\r\n")).status, status, "{site}");
    }
}

#[test]
fn whoever_follows_a_link_with_the_token_is_sent_on_by_a_page() {
    let room = room();
    let viewer = Viewer::of(&room);
    let token = viewer.token();
    let answer = viewer.ask(&format!(
        "GET /?token={token} HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n"
    ));
    assert!(answer.header("set-cookie").is_some());
    let page = answer.fine();
    assert!(page.contains("0;url=/\"") && !page.contains(token), "{page}");
}

#[test]
fn nothing_but_looking_is_possible() {
    let room = room();
    let viewer = Viewer::of(&room);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "X"] {
        let answer = viewer.ask(&format!(
            "{method} /c?id=c1 HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n",
            viewer.cookie
        ));
        assert_eq!(answer.status, 405, "{method}");
    }
    let before = super::super::files(&room.store());
    for path in ["/", "/c?id=c1", "/search?q=secret"] {
        drop(viewer.get(path).fine());
    }
    assert_eq!(super::super::files(&room.store()), before);
    // The writer has the store to itself.
    drop(room.run(&["add", "c1", "more"]).fine());
    drop(room.run(&["compact"]).fine());
    assert!(viewer.get("/c?id=c1").fine().contains("more"));
}

#[test]
fn every_page_forbids_what_it_does_not_bring_itself() {
    let room = room();
    let viewer = Viewer::of(&room);
    for path in ["/", "/c?id=c1", "/search?q=secret", "/c?id=none", "/nothing"] {
        let answer = viewer.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'nonce-",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            // No other site is told anything, as with `no-referrer`, under which a form would come from nowhere.
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
    }
}

#[test]
fn a_signal_ends_it_and_whoever_is_connected_does_not_keep_it() {
    let room = room();
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut viewer = Viewer::of(&room);
        let _silent = viewer.connect();
        let pid = viewer.child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
        assert_eq!(viewer.child.wait().unwrap().code(), Some(code));
        let mut rest = String::new();
        viewer.out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

#[test]
fn a_port_that_is_taken_and_a_store_that_is_not_there_are_told() {
    let room = room();
    let viewer = Viewer::with(&room, &["--port", "0"]);
    let port = viewer.port.to_string();
    assert!(room.run(&["serve", "--port", &port]).fails(1).contains("listen"));
    assert!(Room::new().run(&["serve"]).fails(3).contains("no store"));
}
