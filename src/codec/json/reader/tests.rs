//! What is read, what is refused, and where.

use proptest::prelude::*;

use super::*;
use crate::codec::json::compact::write_compact;
use crate::model::MAX_JSON_DEPTH;

fn read(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut reader = Reader::new(bytes)?;
    let value = reader.value(MAX_JSON_DEPTH)?;
    reader.end()?;
    Ok(value)
}

fn compact(bytes: &[u8]) -> String {
    let mut out = String::new();
    write_compact(&read(bytes).unwrap(), &mut out);
    out
}

#[test]
fn what_python_reads_is_read() {
    for (text, canonical) in [
        (
            " \t\r\n[ 1 , -0 , -0.0 , 1E5 , 1.10 , 1e400 , -1e400 ] ",
            "[1,0,-0.0,100000.0,1.1,Infinity,-Infinity]",
        ),
        ("[NaN,Infinity,-Infinity,true,false,null]", "[NaN,Infinity,-Infinity,true,false,null]"),
        (r#""\ud83d\ude00\/\b\f\n\r\t\"\\""#, "\"😀/\\b\\f\\n\\r\\t\\\"\\\\\""),
        (r#""\uD83D \ud83d\ud83d\ude00 \ude00\ud83d""#, r#""\ud83d \ud83d😀 \ude00\ud83d""#),
        (r#"{"b":1,"a":2,"b":{"b":3}}"#, r#"{"b":{"b":3},"a":2}"#),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("{}", "{}"),
        ("[[],{}]", "[[],{}]"),
        (r#""\u0000\u001f\u007f""#, "\"\\u0000\\u001f\u{7f}\""),
    ] {
        assert_eq!(compact(text.as_bytes()), canonical, "{text}");
    }
}

#[test]
fn what_python_refuses_is_refused_where_it_goes_wrong() {
    for (text, offset) in [
        (&b""[..], 0),
        (b" ", 1),
        (b"\xef\xbb\xbf1", 0),
        (b"1 2", 2),
        (b"01", 1),
        (b"-", 0),
        (b"+1", 0),
        (b".5", 0),
        (b"1.", 1),
        (b"1e", 1),
        (b"1e+", 1),
        (b"-NaN", 0),
        (b"nul", 0),
        (b"[1,]", 3),
        (b"[1", 2),
        (b"{\"a\":1,}", 7),
        (b"{a:1}", 1),
        (b"{\"a\" 1}", 5),
        (b"\"a\nb\"", 2),
        (b"\"abc", 0),
        (b"\"\\x\"", 1),
        (b"\"\\u12g4\"", 1),
        (b"\"\\u+123\"", 1),
        (b"\"\\ud83d\\u12\"", 7),
        (b"\"a\xff\"", 2),
        (b"\"\xed\xa0\x80\"", 1),
        (b"\x0c1", 0),
        (b"\xc2\xa01", 0),
        (b"'a'", 0),
    ] {
        assert_eq!(read(text).map_err(|e| e.offset), Err(offset), "{:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn depth_is_limited_and_nothing_overflows() {
    let nested = |depth: usize, open: &str, close: &str| open.repeat(depth) + "1" + &close.repeat(depth);
    // A small stack stands for a thread's with most of it in use already.
    let small = std::thread::Builder::new().stack_size(512 << 10);
    let reading = small.spawn(move || {
        for (open, close) in [("[", "]"), ("{\"k\":", "}")] {
            let deepest = nested(MAX_JSON_DEPTH, open, close);
            assert_eq!(compact(deepest.as_bytes()), deepest);
            let error = read(nested(MAX_JSON_DEPTH + 1, open, close).as_bytes()).unwrap_err();
            assert!(error.reason.contains("1024"), "{error}");
            assert!(read(open.repeat(100_000).as_bytes()).is_err());
        }
    });
    reading.unwrap().join().unwrap();
}

#[test]
fn a_hundred_thousand_repeated_keys_take_no_quadratic_time() {
    let members: Vec<String> = (0..200_000).map(|n| format!("\"k{}\":{n}", n % 100_000)).collect();
    let Value::Object(list) = read(format!("{{{}}}", members.join(",")).as_bytes()).unwrap() else {
        panic!()
    };
    assert_eq!(list.len(), 100_000);
    assert_eq!(list[7], (Text::from("k7"), Value::Int("100007".into())));
}

/// Whether our value is the one that `serde_json` read.
fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
    use serde_json::Value as Theirs;
    match (ours, theirs) {
        (Value::Null, Theirs::Null) => true,
        (Value::Bool(a), Theirs::Bool(b)) => a == b,
        (Value::Int(text), Theirs::Number(number)) => {
            *number.to_string() == **text || number.as_f64() == text.parse().ok()
        }
        (Value::Float(a), Theirs::Number(number)) => number.as_f64() == Some(*a),
        (Value::Str(a), Theirs::String(b)) => *a == **b,
        (Value::Array(a), Theirs::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Theirs::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((k, v), (l, w))| *k == **l && same(v, w))
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn whatever_serde_json_reads_is_read_alike(text in r#"([\[\]{}:,"0-9eE.+\- \\/]|\\u[0-9a-f]{4}|"[a-zé😀]{0,3}"|true|null){0,12}"#) {
        if let Ok(theirs) = serde_json::from_str::<serde_json::Value>(&text) {
            prop_assert!(same(&read(text.as_bytes()).unwrap(), &theirs), "{}", text);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        drop(read(&bytes));
    }

    #[test]
    fn no_damage_makes_the_reader_panic(at in 0_usize..2000, byte in any::<u8>()) {
        let mut bytes = include_bytes!("../../../../tests/golden/python/docs/full.json").to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        drop(read(&bytes));
        drop(read(&bytes[..at]));
    }
}
