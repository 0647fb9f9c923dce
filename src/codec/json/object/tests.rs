//! Objects from text and from `serde_json`, and their limits.

use super::*;
use crate::error::ErrorKind;

#[test]
fn an_object_is_canonical_whichever_way_it_came() {
    let parsed = JsonObject::parse(" {\"a\": 1.0, \"b\": [\"\\u00e9\", 18446744073709551615]}\n").unwrap();
    let value = serde_json::json!({"a": 1.0, "b": ["é", u64::MAX]});
    assert_eq!(JsonObject::try_from(value.clone()).unwrap(), parsed);
    assert_eq!(parsed.to_value().unwrap(), value);
    assert_eq!(JsonObject::parse("{ }").unwrap(), JsonObject::EMPTY);
    assert_eq!(JsonObject::EMPTY.to_value().unwrap(), serde_json::json!({}));
}

#[test]
fn what_is_no_object_or_over_a_limit_is_invalid() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(MAX_JSON_DEPTH), "]".repeat(MAX_JSON_DEPTH));
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_JSON_BYTES));
    // A million numbers a thousand deep are two gigabytes of indentation.
    let wide = format!("{{\"a\":{}{}1{}}}", "[".repeat(1000), "1,".repeat(1_000_000), "]".repeat(1000));
    for text in ["", "[]", "null", "{\"a\":1", "{} {}", &deep, &long, &wide] {
        let error = JsonObject::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text:.40}");
    }
    assert!(JsonObject::parse(" []").unwrap_err().message().ends_with("at byte 1"));
    for (value, kind) in [
        (serde_json::json!(null), "null"),
        (serde_json::json!(true), "a boolean"),
        (serde_json::json!(1.5), "a number"),
        (serde_json::json!("text"), "a string"),
        (serde_json::json!([]), "an array"),
    ] {
        let error = JsonObject::from_value(&value).unwrap_err();
        assert!(error.message().contains(&format!("found {kind}")), "{error}");
    }
}

/// A record may say that any text in brackets is an object, with checksums that are right. Such a text was taken
/// for an object without members, which is a lie, and a build with assertions panicked.
#[test]
fn a_text_that_only_looks_like_an_object_has_no_value() {
    for text in ["{\"a}", "{]}", "{1}", "{}{}"] {
        let error = JsonObject::from_canonical(text).to_value().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
    }
}

#[test]
fn what_serde_json_cannot_hold_is_said() {
    for text in [
        r#"{"a":NaN}"#,
        r#"{"a":[-Infinity]}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"\ud800":1}"#,
        r#"{"a":18446744073709551616}"#,
    ] {
        let object = JsonObject::parse(text).unwrap();
        assert_eq!(object.as_json(), text);
        assert_eq!(object.to_value().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn the_deepest_object_passes_through_serde_json_on_a_small_stack() {
    let small = std::thread::Builder::new().stack_size(2 << 20);
    let passing = small.spawn(|| {
        let depth = MAX_JSON_DEPTH - 1;
        let text = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let value = JsonObject::parse(&text).unwrap().to_value().unwrap();
        assert_eq!(JsonObject::from_value(&value).unwrap().as_json(), text);
        let deeper = serde_json::json!({ "a": value });
        assert!(JsonObject::from_value(&deeper).is_err());
    });
    passing.unwrap().join().unwrap();
}
