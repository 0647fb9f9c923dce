//! JSON as the API holds it in a document.
//!
//! Owns what of it can be fields that people query. The exact text is always kept beside, as far as there is room. The service limits the
//! depth and the names of fields, makes an index entry of each, and has no array in an array.

use serde_json::{Map, Value as Wire, json};

use crate::codec::json::Value;
use crate::model::{JsonObject, Text};

/// How deep fields are nested: the limit is 20 with what they stand in.
const DEEPEST: usize = 15;

/// The longest JSON text that is kept as fields, too.
const LONGEST: usize = 16 << 10;

/// How many values there are in it at most: each has several index entries, of which a document may have 40,000.
const MOST: usize = 500;

/// How long the name of a field may be.
const LONGEST_NAME: usize = 500;

/// An object as fields; `None` if they cannot be.
pub(super) fn fields(json: &JsonObject) -> Option<Wire> {
    if json.as_json().len() > LONGEST {
        return None;
    }
    let mut left = MOST;
    map(&json.members(), DEEPEST, &mut left)
}

fn map(members: &[(Text, Value)], depth: usize, left: &mut usize) -> Option<Wire> {
    let mut fields = Map::new();
    for (name, member) in members {
        let is_name = |name: &&str| (1..=LONGEST_NAME).contains(&name.len()) && !name.starts_with("__");
        let name = name.as_str().filter(is_name)?;
        fields.insert(name.to_owned(), value(member, depth.checked_sub(1)?, left)?);
    }
    Some(json!({ "mapValue": { "fields": fields } }))
}

fn value(value: &Value, depth: usize, left: &mut usize) -> Option<Wire> {
    *left = left.checked_sub(1)?;
    Some(match value {
        Value::Null => json!({ "nullValue": null }),
        Value::Bool(value) => json!({ "booleanValue": value }),
        // What has more digits than the service's numbers is a text: it is not to become another number.
        Value::Int(text) => match text.parse::<i64>() {
            Ok(number) => json!({ "integerValue": number.to_string() }),
            Err(_) => json!({ "stringValue": text.to_string() }),
        },
        Value::Float(value) => json!({ "doubleValue": double(*value) }),
        Value::Str(text) => json!({ "stringValue": text.to_string_lossy() }),
        Value::Array(items) => {
            let depth = depth.checked_sub(1)?;
            let item = |item: &Value| {
                if matches!(item, Value::Array(_)) { None } else { self::value(item, depth, left) }
            };
            json!({ "arrayValue": { "values": items.iter().map(item).collect::<Option<Vec<_>>>()? } })
        }
        Value::Object(members) => map(members, depth, left)?,
    })
}

/// A number as the API has it in JSON, which has none that are not finite.
fn double(value: f64) -> Wire {
    match value {
        value if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        value => json!(value),
    }
}

/// Whether two values are the same, however the service writes them: the order of fields, empty maps and arrays, a number without a
/// fraction, zeros at the end of a time.
pub(super) fn is_same(one: &Wire, other: &Wire) -> bool {
    let kind =
        |value: &Wire| value.as_object()?.iter().next().map(|(kind, inner)| (kind.clone(), inner.clone()));
    let (Some((kind, one)), Some((other_kind, other))) = (kind(one), kind(other)) else { return false };
    if kind != other_kind {
        return false;
    }
    let empty = Map::new();
    match kind.as_str() {
        "mapValue" => {
            let fields =
                |value: &Wire| value.get("fields").and_then(Wire::as_object).unwrap_or(&empty).clone();
            are_same(&fields(&one), &fields(&other))
        }
        "arrayValue" => {
            let values =
                |value: &Wire| value.get("values").and_then(Wire::as_array).cloned().unwrap_or_default();
            let (one, other) = (values(&one), values(&other));
            one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| is_same(one, other))
        }
        "doubleValue" => one == other || one.as_f64().is_some_and(|number| other.as_f64() == Some(number)),
        "timestampValue" => plain_time(&one) == plain_time(&other),
        _ => one == other,
    }
}

/// The same of fields.
pub(super) fn are_same(one: &Map<String, Wire>, other: &Map<String, Wire>) -> bool {
    let has = |(name, value): (&String, &Wire)| other.get(name).is_some_and(|there| is_same(value, there));
    one.len() == other.len() && one.iter().all(has)
}

fn plain_time(value: &Wire) -> String {
    let text = value.as_str().unwrap_or_default().trim_end_matches('Z');
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Wire> {
        fields(&JsonObject::parse(text).unwrap())
    }

    #[test]
    fn what_the_service_can_hold_is_held_and_no_number_becomes_another() {
        let held = of(
            r#"{"a":9223372036854775807,"b":1.0,"c":[null,true,"\ud800"],"d":100000000000000000000,"e":NaN,"f":{"g":[]}}"#,
        );
        let expected = json!({ "mapValue": { "fields": {
            "a": { "integerValue": "9223372036854775807" },
            "b": { "doubleValue": 1.0 },
            "c": { "arrayValue": { "values": [{ "nullValue": null }, { "booleanValue": true }, { "stringValue": "\u{fffd}" }] } },
            "d": { "stringValue": "100000000000000000000" },
            "e": { "doubleValue": "NaN" },
            "f": { "mapValue": { "fields": { "g": { "arrayValue": { "values": [] } } } } },
        } } });
        assert_eq!(held, Some(expected));
        let deep = format!(r#"{{"a":{}1{}}}"#, r#"{"b":"#.repeat(16), "}".repeat(16));
        let many = format!(r#"{{"a":[{}1]}}"#, "1,".repeat(500));
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(LONGEST));
        for cannot in
            [r#"{"a":[[1]]}"#, r#"{"":1}"#, r#"{"__x__":1}"#, r#"{"\ud800":1}"#, &deep, &many, &long]
        {
            assert_eq!(of(cannot), None, "{cannot:.40}");
        }
    }

    #[test]
    fn values_are_the_same_however_they_are_written() {
        for (one, other, same) in [
            (json!({ "mapValue": {} }), json!({ "mapValue": { "fields": {} } }), true),
            (json!({ "arrayValue": {} }), json!({ "arrayValue": { "values": [] } }), true),
            (json!({ "doubleValue": 1 }), json!({ "doubleValue": 1.0 }), true),
            (
                json!({ "timestampValue": "2026-01-02T03:04:05.100Z" }),
                json!({ "timestampValue": "2026-01-02T03:04:05.1Z" }),
                true,
            ),
            (
                json!({ "timestampValue": "2026-01-02T03:04:50Z" }),
                json!({ "timestampValue": "2026-01-02T03:04:05Z" }),
                false,
            ),
            (json!({ "doubleValue": 1 }), json!({ "integerValue": "1" }), false),
            (json!({ "stringValue": "a" }), json!({ "stringValue": "b" }), false),
        ] {
            assert_eq!(is_same(&one, &other), same, "{one} {other}");
        }
    }
}
