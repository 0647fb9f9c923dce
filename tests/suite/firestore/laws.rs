//! The fake is as strict as it says: each limit and each condition is refused, asked for as any client of the API would.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::firestore::{Fake, REQUEST, VALUE};

pub(super) const DOCUMENTS: &str = "projects/shop-1/databases/(default)/documents";

/// Sends a request, and gives the status and what was said.
pub(super) fn ask(fake: &Fake, path: &str, token: Option<&str>, body: &str) -> (u16, Value) {
    let address = fake.address().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /v1/{path} HTTP/1.1\r\nHost: {address}\r\n{token}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

fn commit(fake: &Fake, writes: &Value) -> (u16, String) {
    let body = json!({ "writes": writes }).to_string();
    let (status, said) = ask(fake, &format!("{DOCUMENTS}:commit"), Some("owner"), &body);
    (status, said["error"]["status"].as_str().unwrap_or("OK").to_owned())
}

fn update(name: &str, fields: Value) -> Value {
    json!({ "update": { "name": format!("{DOCUMENTS}/{name}"), "fields": fields } })
}

fn text(length: usize) -> Value {
    json!({ "f": { "stringValue": "x".repeat(length) } })
}

#[test]
fn documents_over_each_limit_are_refused_and_those_at_it_are_not() {
    let fake = Fake::emulator();
    let depth = |levels: usize| {
        let value = (0..levels).fold(
            json!({ "nullValue": null }),
            |inner, _| json!({ "mapValue": { "fields": { "a": inner } } }),
        );
        json!({ "f": value })
    };
    // The name of `c/d` has 2 + 2 + 16 bytes, the field's name 2, and a document 32 beside.
    let whole = |size: usize| {
        let half = (size - 20 - 32 - 2 - 2 - 2) / 2;
        let rest = size - 20 - 32 - 2 - 2 - 2 - half;
        json!({ "f": { "stringValue": "x".repeat(half) }, "g": { "stringValue": "x".repeat(rest) } })
    };
    let (id, long) = ("x".repeat(1500), "x".repeat(1501));
    for (name, fields, fits) in [
        ("c/d".to_owned(), whole(1 << 20), true),
        ("c/d".to_owned(), whole((1 << 20) + 1), false),
        ("c/d".to_owned(), text(VALUE - 1), true),
        ("c/d".to_owned(), text(VALUE), false),
        (format!("c/{id}"), json!({}), true),
        (format!("c/{long}"), json!({}), false),
        (format!("{id}/d"), json!({}), true),
        (format!("{id}/{id}/{id}/{id}"), json!({}), true),
        (format!("{id}/{id}/{id}/{id}/{id}/{id}"), json!({}), false),
        ("c/.".to_owned(), json!({}), false),
        ("c/..".to_owned(), json!({}), false),
        ("c/__x__".to_owned(), json!({}), false),
        ("c".to_owned(), json!({}), false),
        ("c/d".to_owned(), json!({ "__x__": { "nullValue": null } }), false),
        ("c/d".to_owned(), json!({ &long: { "nullValue": null } }), false),
        ("c/d".to_owned(), depth(19), true),
        ("c/d".to_owned(), depth(20), false),
        ("c/d".to_owned(), json!({ "f": { "arrayValue": { "values": [{ "arrayValue": {} }] } } }), false),
        ("c/d".to_owned(), json!({ "f": { "integerValue": "9223372036854775808" } }), false),
        ("c/d".to_owned(), json!({ "f": { "bytesValue": "?" } }), false),
        ("c/d".to_owned(), json!({ "f": { "stringValue": "a", "integerValue": "1" } }), false),
    ] {
        let expected = if fits { (200, "OK") } else { (400, "INVALID_ARGUMENT") };
        let (status, said) = commit(&fake, &json!([update(&name, fields)]));
        assert_eq!((status, said.as_str()), expected, "{name:.20}");
    }
    assert_eq!(commit(&fake, &json!(vec![update("c/d", json!({})); 501])).0, 400);
    let large = " ".repeat(REQUEST + 1);
    assert_eq!(ask(&fake, &format!("{DOCUMENTS}:commit"), Some("owner"), &large).0, 400);
    assert_eq!(ask(&fake, &format!("{DOCUMENTS}:commit"), Some("owner"), r#"{"wrong":1}"#).0, 400);
}

#[test]
fn conditions_are_kept_to_and_a_commit_is_one() {
    let fake = Fake::emulator();
    let with = |mut write: Value, condition: Value| {
        write["currentDocument"] = condition;
        write
    };
    let new = |name: &str, fields: Value| with(update(name, fields), json!({ "exists": false }));
    assert_eq!(commit(&fake, &json!([new("c/a", text(1))])).0, 200);
    assert_eq!(commit(&fake, &json!([new("c/a", text(1))])), (409, "ALREADY_EXISTS".to_owned()));
    // All or nothing.
    assert_eq!(commit(&fake, &json!([new("c/b", text(1)), new("c/a", text(1))])).0, 409);
    let read = |name: &str| {
        let body = json!({ "documents": [format!("{DOCUMENTS}/{name}")] }).to_string();
        ask(&fake, &format!("{DOCUMENTS}:batchGet"), Some("owner"), &body).1[0].clone()
    };
    assert!(read("c/b").get("missing").is_some());
    let time = read("c/a")["found"]["updateTime"].clone();
    // What changes nothing is not written at another time.
    assert_eq!(commit(&fake, &json!([update("c/a", text(1))])).0, 200);
    assert_eq!(read("c/a")["found"]["updateTime"], time);
    assert_eq!(commit(&fake, &json!([with(update("c/a", text(2)), json!({ "updateTime": time }))])).0, 200);
    let stale = commit(&fake, &json!([with(update("c/a", text(3)), json!({ "updateTime": time }))]));
    assert_eq!(stale, (400, "FAILED_PRECONDITION".to_owned()));
    let missing = commit(&fake, &json!([with(update("c/z", text(3)), json!({ "updateTime": time }))]));
    assert_eq!(missing, (404, "NOT_FOUND".to_owned()));
    assert_eq!(read("c/a")["found"]["fields"], text(2));
}

#[test]
fn requests_without_a_valid_token_are_refused() {
    let fake = Fake::with_accounts();
    let said = |token| {
        let (status, said) = ask(&fake, &format!("{DOCUMENTS}:batchGet"), token, r#"{"documents":[]}"#);
        (status, said[0]["error"]["status"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(said(None), (403, "PERMISSION_DENIED".to_owned()));
    assert_eq!(said(Some("owner")), (401, "UNAUTHENTICATED".to_owned()));
}
