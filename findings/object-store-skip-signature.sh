#!/usr/bin/env bash
# What the Rust crate object_store sends to Google Cloud Storage when it is told not to sign requests (with_skip_signature):
# what reads carries no token, and what writes does.
#
# Seen with object_store 0.14.2, feature gcp; the server is a stand-in on this machine that shows what it was sent.
#
# A token is set and signing is switched off. GET and the list come without an Authorization header, PUT and DELETE come with the
# token.
#
# For whoever writes to an emulator or to a bucket that everybody may write: set credentials with an empty token beside the
# switch. For whoever trusts the switch to keep a token at home: it does not.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
mkdir -p "$home/src"
cat >"$home/Cargo.toml" <<'MANIFEST'
[package]
name = "skip-signature"
version = "0.0.0"
edition = "2024"

[dependencies]
object_store = { version = "=0.14.2", default-features = false, features = ["gcp", "tokio"] }
tokio = { version = "1", features = ["rt", "net", "time"] }
futures-util = { version = "0.3", default-features = false, features = ["std"] }
MANIFEST
cat >"$home/src/main.rs" <<'PROGRAM'
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt};

/// Answers everything, and notes each method and whether a token came with it.
fn serve(listener: TcpListener, seen: Arc<Mutex<Vec<(String, bool)>>>) {
    for stream in listener.incoming().flatten() {
        let mut reader = BufReader::new(&stream);
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line);
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        let has_token = head.iter().any(|line| line.to_ascii_lowercase().starts_with("authorization: bearer token"));
        let request = head[0].split(' ').next().unwrap().to_owned();
        let is_list = head[0].contains("list-type");
        seen.lock().unwrap().push((if is_list { "list".to_owned() } else { request }, has_token));
        let body = if is_list { "<ListBucketResult></ListBucketResult>" } else { "x" };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nETag: \"1\"\r\nx-goog-generation: 1\r\n\
             Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        (&stream).write_all(answer.as_bytes()).unwrap();
    }
}

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    std::thread::spawn(move || serve(listener, noted));
    let store = GoogleCloudStorageBuilder::new()
        .with_bucket_name("bucket")
        .with_base_url(&url)
        .with_bearer_token("token")
        .with_skip_signature(true)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let name = Path::from("name");
    runtime.block_on(async {
        store.get(&name).await.unwrap();
        store.list(None).try_collect::<Vec<_>>().await.unwrap();
        store.put(&name, "x".into()).await.unwrap();
        store.delete(&name).await.unwrap();
    });
    let seen = seen.lock().unwrap();
    for (request, has_token) in seen.iter() {
        println!("{request}: {}", if *has_token { "with the token" } else { "without a token" });
    }
    let with: Vec<_> = seen.iter().filter(|(_, has_token)| *has_token).map(|(request, _)| &**request).collect();
    assert_eq!(with, ["PUT", "DELETE"], "this has changed: correct what stands above");
}
PROGRAM
cd "$home" && cargo run --quiet
