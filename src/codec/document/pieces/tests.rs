//! What is read by pieces is what is read as a whole.

use super::super::scan_document;
use super::*;

fn by_pieces(bytes: &[u8], length: usize) -> Option<Document> {
    let mut pieces = Pieces::new();
    bytes.chunks(length).for_each(|piece| pieces.take(piece));
    pieces.finish()
}

/// One message in the writer's layout, one in another with everything that a cut could go wrong at.
fn sound() -> Vec<String> {
    let plain = "{\n      \"id\": \"m\",\n      \"content\": \"hi\",\n      \"role\": \"user\",\n      \"created_at\": \
                 \"2025-03-13T15:11:33\",\n      \"metadata\": {}\n    }";
    let other = r#"{"content":"a\"b\\","metadata":{"[":["]",{"}":"{"}],"messages":[1]},"x":"\\\"\u00e9é😀"}"#;
    let action = r#"{"action_type":"t","data":{"messages":[{"a":[]}],"n":-1.5e3}}"#;
    let mut documents = Vec::new();
    for messages in [String::new(), plain.to_owned(), format!("{other} , {plain},{other}")] {
        for actions in ["", action] {
            documents
                .push(format!("{{\"id\": \"c\", \"messages\": [{messages}], \"actions\": [{actions}]}}"));
            documents.push(format!(
                " {{\"actions\":[{actions}],\"x\":[[0],{{\"messages\":[{{}}]}}],\"messages\" : [{messages}]\n}}\n"
            ));
        }
    }
    documents.push(r#"{"title":"messages","metadata":{"messages":[{"content":7}]}}"#.to_owned());
    documents
}

#[test]
fn a_sound_document_is_the_same_by_pieces_of_every_length() {
    for document in sound() {
        let whole = scan_document(document.as_bytes()).unwrap();
        for length in 1..=document.len() {
            assert_eq!(by_pieces(document.as_bytes(), length).as_ref(), Some(&whole), "{length}: {document}");
        }
    }
}

/// Each byte of sound documents turned into each of those that mean something: never another answer.
#[test]
fn what_is_not_sound_is_left_to_the_whole() {
    let mut left = 0;
    for document in sound() {
        for at in 0..document.len() {
            for byte in *b"\"\\{}[],:0 \n\x01\xff" {
                let mut bytes = document.clone().into_bytes();
                bytes[at] = byte;
                let (whole, pieces) = (scan_document(&bytes), by_pieces(&bytes, 7));
                match (whole, pieces) {
                    (_, None) => left += 1,
                    (Ok(whole), Some(pieces)) => assert_eq!(pieces, whole, "{at}: {document}"),
                    (Err(bad), Some(_)) => panic!("{at}: {document}: {bad}"),
                }
            }
        }
    }
    assert!(left > 1000, "{left}");
}

#[test]
fn what_names_a_list_in_another_way_is_left_to_the_whole() {
    let item = r#"{"content":"x"}"#;
    for document in [
        format!(r#"{{"mess\u0061ges":[{item}]}}"#),
        format!(r#"{{"x\"messages":[{item}]}}"#),
        format!(r#"{{"messages":[{item}],"messages":[{item}]}}"#),
        format!(r#"{{"messages":[{item}],"messages":[]}}"#),
        format!(r#"{{"messages":[{item} {item}]}}"#),
        format!(r#"{{"messages":[{item},]}}"#),
        r#"{"messages":[0]}"#.to_owned(),
        r#"{"messages":[]"#.to_owned(),
        String::new(),
    ] {
        assert_eq!(by_pieces(document.as_bytes(), 3), None, "{document}");
    }
}

/// The lists of a document of ten megabytes take little memory, its largest message some times its own length.
#[test]
fn memory_is_bound_by_the_largest_item() {
    let text = "x\\n".repeat(100_000);
    let item = format!(r#"{{"id":"m","content":"{text}"}}"#);
    let mut pieces = Pieces::new();
    let held = allocation_counter::measure(|| {
        pieces.take(b"{\"messages\":[");
        for at in 0..40 {
            pieces.take(if at > 0 { b"," } else { b"" });
            pieces.take(item.as_bytes());
        }
        pieces.take(b"]}");
    });
    assert_eq!(pieces.finish().map(|document| document.messages.len()), Some(40));
    let most = u64::try_from(item.len()).unwrap() * 8;
    assert!(held.bytes_max > u64::try_from(item.len()).unwrap(), "nothing was counted");
    assert!(held.bytes_max < most, "{} bytes for items of {}", held.bytes_max, item.len());
}
