//! The ZIP archives that exports of tools come in: what is a document in one goes in, and nothing in one does any harm.

use std::fs;
use std::io::{Cursor, Write as _};
use std::process::Command;

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{BINARY, Room, Said, files, piped, said};

const CLAUDE: &str = r#"[{"uuid":"u1","name":"Tide","created_at":"2026-01-01T00:00:00Z","chat_messages":[{"uuid":"m1","sender":"human","text":"High water?","created_at":"2026-01-01T00:00:00Z"}]}]"#;

/// An export of `ChatGPT` with so many conversations.
fn chatgpt(count: usize) -> String {
    let one = |number: usize| {
        let said = json!({"author": {"role": "user"}, "content": {"content_type": "text", "parts": [format!("tide {number}")]}});
        json!({"title": "T", "create_time": 1_700_000_000.5, "conversation_id": format!("c{number}"),
               "mapping": {"a": {"id": "a", "message": said, "parent": null, "children": []}}})
    };
    serde_json::to_string(&(0..count).map(one).collect::<Vec<_>>()).unwrap()
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

fn archive(entries: &[(&str, &str)], options: SimpleFileOptions) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Imports an archive with 100 MB of memory.
fn import(room: &Room, bytes: &[u8]) -> Said {
    fs::write(room.path("export.zip"), bytes).unwrap();
    let mut command = Command::new("/bin/sh");
    command.env_remove("RUST_BACKTRACE").env_remove("RUST_MIN_STACK").current_dir(room.0.path());
    command.args(["-c", "ulimit -d 97656; exec \"$0\" -d store import export.zip --json", BINARY]);
    said(piped(&mut command))
}

#[track_caller]
fn counts(said: &Said, code: i32) -> Value {
    assert_eq!(said.code, Some(code), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

/// Puts other bytes in the place of the last ones that are these.
fn patched(mut bytes: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = memchr::memmem::rfind(&bytes, old).unwrap();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// Where the central header of the last entry begins.
fn central(bytes: &[u8]) -> usize {
    memchr::memmem::rfind(bytes, b"PK\x01\x02").unwrap()
}

#[test]
fn the_documents_of_an_archive_go_in_as_if_they_were_files_and_come_back() {
    for options in [
        deflated(),
        deflated().large_file(true),
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
    ] {
        let (room, text) = (Room::new(), chatgpt(300));
        let entries = [
            ("user.json", "{\"id\":1}"),
            ("chat.html", "<p>"),
            ("export/conversations.json", &text),
            ("a/b/c.json", CLAUDE),
        ];
        let said = import(&room, &archive(&entries, options));
        assert_eq!(counts(&said, 0)["conversations"], 301, "{said:?}");
        assert!(said.err.contains("2 of its entries: \"user.json\", \"chat.html\""), "{said:?}");
        assert_eq!(
            room.run(&["show", "chatgpt:c299", "--json"]).json()[0]["messages"][0]["content"],
            "tide 299"
        );
        assert_eq!(
            room.run(&["show", "claude-ai:u1", "--json"]).json()[0]["messages"][0]["content"],
            "High water?"
        );
        // Once more brings nothing.
        let again = counts(&room.run(&["import", "export.zip", "--json"]), 0);
        assert_eq!((&again["conversations"], &again["messages"]), (&json!(0), &json!(0)), "{again}");
        assert_eq!(room.run(&["export", "--to", "chatgpt", "-o", "out"]).code, Some(0));
        let written = files(&room.path("out"));
        assert!(written.len() == 1 && written[0].ends_with("conversations.json"), "{written:?}");
        assert_eq!(fs::read_to_string(room.path("out").join(&written[0])).unwrap(), text);
    }
}

#[test]
fn a_tool_that_is_named_gets_its_documents_alone() {
    let room = Room::new();
    let text = chatgpt(1);
    fs::write(room.path("x.zip"), archive(&[("c.json", &text), ("d.json", CLAUDE)], deflated())).unwrap();
    let said = room.run(&["import", "x.zip", "--from", "claude-ai", "--json"]);
    assert_eq!(counts(&said, 0)["conversations"], 1);
    assert!(said.err.contains("1 of its entries: \"c.json\""), "{said:?}");
    assert!(room.run(&["ls"]).fine().starts_with("claude-ai:u1"));
    let said = room.run_with(&["import", "-"], &fs::read(room.path("x.zip")).unwrap());
    assert_eq!(said.code, Some(1), "{said:?}");
}

#[test]
fn an_entry_that_cannot_be_read_is_named_and_the_others_go_in() {
    let text = chatgpt(1);
    let whole = || archive(&[("good.json", &text), ("sub/bad.json", CLAUDE)], deflated());
    let at = central(&whole());
    let flagged = |offset: usize, byte: u8| {
        let mut bytes = whole();
        bytes[at + offset] |= byte;
        bytes
    };
    let sized = |offset: usize, size: u32| {
        let mut bytes = whole();
        bytes[at + offset..at + offset + 4].copy_from_slice(&size.to_le_bytes());
        bytes
    };
    // Whose last entry says in the fields of zip64 that it has 100 GiB.
    let vast = || {
        let mut bytes = sized(24, u32::MAX);
        let (name, extra) = (usize::from(bytes[at + 28]), usize::from(bytes[at + 30]));
        let behind = at + 46 + name + extra;
        let field = [&[1, 0, 8, 0][..], &(100_u64 << 30).to_le_bytes()].concat();
        bytes[at + 30] += 12;
        bytes.splice(behind..behind, field);
        let end = memchr::memmem::rfind(&bytes, b"PK\x05\x06").unwrap();
        bytes[end + 12] += 12;
        bytes
    };
    let mut linked = ZipWriter::new(Cursor::new(Vec::new()));
    linked.start_file("good.json", deflated()).unwrap();
    linked.write_all(text.as_bytes()).unwrap();
    linked.add_symlink("sub/bad.json", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let torn = archive(&[("good.json", &text), ("sub/bad.json", CLAUDE)], stored);
    for (bytes, word) in [
        (flagged(8, 1), "encrypted"),
        (linked.finish().unwrap().into_inner(), "a link"),
        (sized(24, u32::MAX - 1), "4294967294 bytes unpacked"),
        (vast(), "107374182400 bytes unpacked"),
        (patched(torn, b"High water?", b"Low water?!"), "damaged"),
        (sized(16, 7), "damaged"),
        (flagged(10, 4), "ompression method"),
    ] {
        let room = Room::new();
        let said = import(&room, &bytes);
        assert_eq!(counts(&said, 1)["conversations"], 1, "{word}: {said:?}");
        assert!(said.err.contains("bad.json") && said.err.contains(word), "{word}: {said:?}");
        assert!(room.run(&["ls"]).fine().starts_with("chatgpt:c0"), "{word}");
    }
}

#[test]
fn an_archive_that_is_made_to_do_harm_is_refused_as_a_whole_and_makes_no_store_larger() {
    let text = chatgpt(1);
    let whole = archive(&[("one.json", &text), ("two.json", CLAUDE)], deflated());
    let twice = patched(whole.clone(), b"two.json", b"one.json");
    // Both entries are the first one's bytes.
    let mut overlapping = whole.clone();
    let at = central(&whole) + 42;
    overlapping[at..at + 4].fill(0);
    let cut = whole[..whole.len() - 30].to_vec();
    let long = "n".repeat(60_000);
    let many: Vec<String> = (0..300).map(|number| format!("{number}{long}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    for (bytes, word) in [
        (twice, "one name"),
        (overlapping, "overlap"),
        (cut, "not a whole one"),
        (archive(&many, deflated()), "list of entries is too long"),
        (archive(&[], deflated()), "no conversations"),
        (archive(&[("x.json", "{}"), ("y.txt", "")], deflated()), "no conversations"),
        (b"PK\x03\x04".to_vec(), "not a whole one"),
    ] {
        let room = Room::new();
        let said = import(&room, &bytes);
        assert_eq!(counts(&said, 1)["conversations"], 0, "{word}: {said:?}");
        assert!(said.err.contains("a ZIP archive") && said.err.contains(word), "{word}: {said:?}");
    }
}

#[test]
fn names_that_lead_elsewhere_lead_nowhere() {
    let room = Room::new();
    let text = chatgpt(1);
    let entries = [
        ("../../../out/conversations.json", text.as_str()),
        ("/etc/aral-store-test/c\u{1b}[2J.json", CLAUDE),
    ];
    let said = import(&room, &archive(&entries, deflated()));
    assert_eq!(counts(&said, 0)["conversations"], 2, "{said:?}");
    assert!(!said.err.contains('\u{1b}'), "{said:?}");
    let beside: Vec<_> =
        files(&room.path(".")).into_iter().filter(|file| !file.starts_with("store")).collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
    assert!(!std::path::Path::new("/etc/aral-store-test").exists());
}
