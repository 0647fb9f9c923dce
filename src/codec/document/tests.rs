//! Files of the original, read and written anew.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::writer::Span;
use super::*;
use crate::model::{Action, Message, Zone};

fn files() -> Vec<PathBuf> {
    let list = |dir: PathBuf| -> Vec<PathBuf> {
        #[expect(clippy::disallowed_methods, reason = "the fixtures are files")]
        let entries = std::fs::read_dir(dir);
        entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    };
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let stores = list(tests.join("fixtures/aral"));
    let mut files: Vec<_> = stores.into_iter().flat_map(|store| list(store.join("conversations"))).collect();
    files.extend(
        list(tests.join("golden/python/docs"))
            .into_iter()
            .filter(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with("index"))),
    );
    files
}

fn fallback() -> Fallback<impl Fn() -> Text> {
    Fallback {
        id: || Text::from("fallback"),
        created_at: Timestamp::from_wall_micros(0, Zone::Naive).unwrap(),
    }
}

fn span<'a>(bytes: &'a [u8], item: &Item) -> &'a [u8] {
    let start = usize::try_from(item.offset).unwrap();
    let span = &bytes[start..start + usize::try_from(item.len).unwrap()];
    assert_eq!(crc32fast::hash(span), item.crc);
    span
}

/// Reads everything in a file and writes it anew, checking the reported spans on the way.
fn rewrite(bytes: &[u8]) -> Vec<u8> {
    let document = scan_document(bytes).unwrap();
    let head = &document.head;
    let id = head.id.clone().unwrap_or_else(|| (fallback().id)());
    let title = head.title.clone().unwrap_or_else(|| Text::from("untitled"));
    let created_at = head.created_at.unwrap_or(fallback().created_at);
    let mut writer = DocumentWriter::new(&id, &title, created_at, &head.metadata, &head.extra);
    let mut out = Vec::new();
    let mut spans = Vec::new();
    for item in &document.messages {
        spans.push(writer.message(&read_message(span(bytes, item), &fallback()).unwrap()));
        out.append(&mut writer.take());
    }
    for item in &document.actions {
        spans.push(writer.action(&read_action(span(bytes, item), &fallback()).unwrap()));
        out.extend_from_slice(writer.buffered());
        writer.clear();
    }
    writer.finish();
    out.append(&mut writer.take());
    let written = scan_document(&out).unwrap();
    assert!(written.is_canonical);
    let found = written.messages.iter().chain(&written.actions);
    let found: Vec<_> = found.map(|item| Span { offset: item.offset, len: item.len.into() }).collect();
    assert_eq!(found, spans);
    out
}

#[test]
fn every_file_of_the_original_is_canonical_and_written_as_it_was() {
    let files = files();
    assert_eq!(files.len(), 28);
    for path in files {
        #[expect(clippy::disallowed_methods, reason = "the fixtures are files")]
        let bytes = std::fs::read(&path).unwrap();
        let document = scan_document(&bytes).unwrap();
        assert!(document.is_canonical, "{}", path.display());
        assert!(rewrite(&bytes) == bytes, "{}", path.display());
    }
}

const SMALL: &str = r#"{
  "id": "c",
  "title": "T",
  "created_at": "2025-03-13T15:11:33",
  "metadata": {},
  "messages": [
    {
      "id": "m",
      "content": "hi",
      "role": "user",
      "created_at": "2025-03-13T15:11:33",
      "metadata": {},
      "mood": [
        1
      ]
    }
  ],
  "actions": [
    {
      "id": "a",
      "action_type": "t",
      "data": {},
      "created_at": "2025-03-13T15:11:33",
      "metadata": {},
      "cost": 1.0
    }
  ],
  "pinned": {
    "by": "x"
  },
  "\u00e9": null
}"#;

#[test]
fn unknown_fields_stay_where_the_writer_puts_them() {
    let document = scan_document(SMALL.as_bytes()).unwrap();
    assert!(document.is_canonical);
    assert_eq!(document.head.extra.as_json(), r#"{"pinned":{"by":"x"},"é":null}"#);
    assert_eq!(document.messages[0].role, Some(Text::from("user")));
    let message = read_message(span(SMALL.as_bytes(), &document.messages[0]), &fallback()).unwrap();
    assert_eq!(message.extra.as_json(), r#"{"mood":[1]}"#);
    assert_eq!(rewrite(SMALL.as_bytes()), SMALL.as_bytes());
}

/// The short way and the one that reads any layout give the same, and the short way claims nothing canonical
/// that would be written otherwise.
#[test]
fn the_short_way_leads_where_the_long_one_does() {
    let message = |id: &str, content: &str, time: &str, metadata: &str| {
        format!(
            "{{\n      \"id\": {id},\n      \"content\": {content},\n      \"role\": \"user\",\n      \
             \"created_at\": {time},\n      \"metadata\": {metadata}\n    }}"
        )
    };
    let (id, time) = ("\"m\"", "\"2025-03-13T15:11:33.447327\"");
    let (mut short, mut canonical) = (0, 0);
    for content in
        ["\"\"", "\"plain\"", "\"q\\\"uote\"", "\"\\u00e9\"", "\"é\"", "\"\u{7f}\"", "\"\\ud800\"", "1"]
    {
        for time in [
            time,
            "\"2025-03-13 15:11:33.447327\"",
            "\"2025-03-13T15:11:33\\u002e447327\"",
            "\"2025-03-13T15:11:33+00:00\"",
            "\"x\"",
            "5",
        ] {
            for metadata in ["{}", "{\n        \"a\": 1\n      }", "{ }", "[]"] {
                let text = message(id, content, time, metadata);
                let bytes = text.as_bytes();
                let long = text.replacen('{', "{ ", 1);
                let (is, ought) =
                    (read_message(bytes, &fallback()).ok(), read_message(long.as_bytes(), &fallback()).ok());
                assert_eq!(is, ought, "{text}");
                for bytes in [bytes, long.as_bytes()] {
                    let lent = lend_message(bytes, &fallback(), |message| message.to_message()).ok();
                    assert_eq!(lent, ought, "{text}");
                }
                short += usize::from(fast_path::LaidOut::read(bytes).is_some());
                let mut reader = Reader::new(bytes).unwrap();
                if fast_path::canonical_message(&mut reader).is_some() {
                    canonical += 1;
                    let mut out = Vec::new();
                    writer::write_message(&ought.unwrap(), &mut out);
                    assert_eq!(String::from_utf8_lossy(&out), text);
                } else {
                    assert_eq!(reader.offset(), 0, "the reader is where it was");
                }
            }
        }
    }
    assert_eq!((short > 40, canonical), (true, 4), "{short}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_the_short_way_reads_of_any_bytes_the_long_one_reads_too(
        (id, content) in ("[a-z0-9-]{0,40}", "([ -~]{0,80}|[a-z\n\"\\\\é\u{7f}😀]{0,40})"),
        (role, micros) in ("(user|assistant|[a-zé]{0,30})", any::<i32>()),
        zone in prop::sample::select(vec![Zone::Naive, Zone::Offset(0), Zone::Offset(19_800_000_000)]),
        metadata in prop::sample::select(vec!["{}", "{\"a\":[1,\"x\"]}"]),
        is_raw in any::<bool>(),
        strike in prop::option::of((any::<prop::sample::Index>(), 0_usize..3, any::<u8>())),
    ) {
        let created_at = Timestamp::from_wall_micros(i64::from(micros) * 500_000, zone).unwrap();
        let mut message = Message::new(id.as_str(), content.as_str(), role.as_str(), created_at);
        message.metadata = JsonObject::parse(metadata).unwrap();
        let mut bytes = Vec::new();
        writer::write_message(&message, &mut bytes);
        if is_raw {
            // Somebody else may have written the same without escapes for what is not ASCII.
            bytes = String::from_utf8(bytes).unwrap().replace("\\u00e9", "é").into_bytes();
        }
        // An id or a role with escapes, and what is not ASCII, is left to the long way.
        let is_plain = fast_path::LaidOut::read(&bytes).is_some();
        prop_assert!(is_plain || !(role.is_ascii() && (content.is_ascii() || !is_raw)));
        prop_assert_eq!(read_message(&bytes, &fallback()).unwrap(), message);
        if let Some((at, kind, byte)) = strike {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        if let Some(plain) = fast_path::LaidOut::read(&bytes) {
            let any = item::read_any_message(&bytes, &fallback()).unwrap();
            prop_assert_eq!(plain.lend().map(|lent| lent.to_message()), Some(any.clone()));
            prop_assert_eq!(plain.into_message(), any);
        }
    }
}

#[test]
fn any_other_way_to_write_the_same_is_not_canonical() {
    for (from, to) in [
        ("\"c\"", "\"\\u0063\""),
        ("\"T\"", "\"\""),
        ("\"title\": \"T\",\n", "\"title\":  \"T\",\n"),
        ("\"title\": \"T\",\n  ", ""),
        ("  \"id\": \"c\",\n", ""),
        ("\"id\": \"m\",\n      ", ""),
        ("{},\n      \"mood\"", "{ },\n      \"mood\""),
        ("\"content\": \"hi\",\n      \"role\": \"user\"", "\"role\": \"user\",\n      \"content\": \"hi\""),
        ("\"role\": \"user\",\n      ", ""),
        (
            "15:11:33\",\n      \"metadata\": {},\n      \"cost\"",
            "15:11:33Z\",\n      \"metadata\": {},\n      \"cost\"",
        ),
        ("15:11:33\"", "15:11:33.0\""),
        ("1.0", "1e0"),
        ("\"metadata\": {},\n  \"messages\"", "\"metadata\": {}, \"metadata\": {},\n  \"messages\""),
        ("\"actions\"", "\"messages\": [],\n  \"actions\""),
        ("\\u00e9", "é"),
        ("\n}", "\n}\n"),
        ("{\n  \"id\"", " {\n  \"id\""),
        ("\n", "\r\n"),
    ] {
        let changed = SMALL.replacen(from, to, 1);
        assert_ne!(changed, SMALL, "{from}");
        assert!(!scan_document(changed.as_bytes()).unwrap().is_canonical, "{from} -> {to}");
        rewrite(changed.as_bytes());
    }
}

#[test]
fn what_the_original_would_refuse_is_refused() {
    for text in [
        "[]",
        "null",
        "",
        r#"{"id":1}"#,
        r#"{"id":null}"#,
        r#"{"title":1}"#,
        r#"{"created_at":"now"}"#,
        r#"{"created_at":null}"#,
        r#"{"metadata":null}"#,
        r#"{"metadata":[]}"#,
        r#"{"messages":{}}"#,
        r#"{"messages":null}"#,
        r#"{"messages":[1]}"#,
        r#"{"messages":[{}]}"#,
        r#"{"messages":[{"content":1}]}"#,
        r#"{"messages":[{"content":"","role":null}]}"#,
        r#"{"messages":[{"content":"","created_at":true}]}"#,
        r#"{"messages":[{"content":"","metadata":1}]}"#,
        r#"{"actions":[{"action_type":"x"}]}"#,
        r#"{"actions":[{"data":{}}]}"#,
        r#"{"actions":[{"action_type":"x","data":[]}]}"#,
        r#"{"id":"a"} x"#,
    ] {
        assert!(scan_document(text.as_bytes()).is_err(), "{text}");
    }
    let error = scan_document(br#"{"messages":[{"content":"","role":7}]}"#).unwrap_err();
    assert_eq!(error.to_string(), r#""role": expected a string, found 7 at byte 34"#);
}

#[test]
fn what_a_file_leaves_out_is_filled_in_by_the_reader() {
    let text =
        br#"{"messages":[{"content":"x"}],"actions":[{"data":{"k":1},"action_type":"t","created_at":1}]}"#;
    let document = scan_document(text).unwrap();
    assert_eq!((document.head.id.clone(), document.head.title.clone()), (None, None));
    assert_eq!((document.messages[0].id.clone(), document.messages[0].created_at), (None, None));
    let message = read_message(span(text, &document.messages[0]), &fallback()).unwrap();
    assert_eq!(message, Message::new("fallback", "x", "user", fallback().created_at));
    let action = read_action(span(text, &document.actions[0]), &fallback()).unwrap();
    let time = Timestamp::from_unix_micros(1_000_000).unwrap();
    assert_eq!(document.actions[0].created_at, Some(time));
    assert_eq!(action, Action::new("fallback", "t", JsonObject::parse("{\"k\":1}").unwrap(), time));
}

#[test]
fn no_damage_makes_the_scan_panic() {
    for at in 0..SMALL.len() {
        for byte in [b'"', b'{', b']', b',', b'0', b'\\', 0, 0xff] {
            let mut bytes = SMALL.as_bytes().to_vec();
            bytes[at] = byte;
            if scan_document(&bytes).is_ok() {
                rewrite(&bytes);
            }
        }
        assert!(scan_document(&SMALL.as_bytes()[..at]).is_err());
    }
}
