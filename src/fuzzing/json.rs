//! The laws of reading and writing JSON, with `serde_json` as the witness.

use crate::codec::json::{Reader, Value, python_from_compact};
use crate::model::{JsonObject, MAX_JSON_DEPTH, Text};

/// What `serde_json` refuses and Python takes, by how its error begins.
const PYTHON_ONLY: [&str; 5] = [
    "number out of range",
    "recursion limit exceeded",
    "lone leading surrogate",
    "unexpected end of hex escape",
    "invalid unicode code point",
];

/// What `serde_json` reads is read as the same value; what is read is written and read again without loss.
///
/// # Panics
///
/// If a law is broken.
pub fn json(data: &[u8]) {
    // One level is left for the object that a value is put into below.
    let ours = read(data, MAX_JSON_DEPTH - 1);
    let theirs = serde_json::from_slice::<serde_json::Value>(data);
    assert!(theirs.is_err() || ours.is_some(), "not read: {theirs:?}");
    match (theirs, &ours) {
        (Ok(theirs), Some(ours)) => assert!(agree(ours, &theirs), "{ours:?} and {theirs:?}"),
        (Err(error), Some(ours)) => {
            let text = error.to_string();
            let is_known = PYTHON_ONLY.iter().any(|start| text.starts_with(start)) || has_names(data);
            assert!(is_known, "read as {ours:?}: {text}");
        }
        (_, None) => {}
    }
    let Some(ours) = ours else { return };
    let object = JsonObject::from_members(&[(Text::from("v"), ours.clone())]);
    let compact = object.as_json();
    let whole = Value::Object(vec![(Text::from("v"), ours)]);
    hold_same(compact.as_bytes(), &whole, "compact");
    let mut python = Vec::new();
    python_from_compact(compact, 0, &mut python);
    assert!(python.is_ascii(), "Python's layout is in ASCII");
    hold_same(&python, &whole, "indented");
    assert_eq!(JsonObject::parse(compact).ok().as_ref(), Some(&object), "the compact form is its own");
    if let Ok(value) = object.to_value() {
        let again = JsonObject::from_value(&value).ok();
        assert_eq!(again.as_ref(), Some(&object), "an object goes to serde_json and back");
    }
}

fn read(bytes: &[u8], depth: usize) -> Option<Value> {
    let mut reader = Reader::new(bytes).ok()?;
    let value = reader.value(depth).ok()?;
    reader.end().ok()?;
    Some(value)
}

/// Whether a text may have the numbers that JSON has no form for.
fn has_names(data: &[u8]) -> bool {
    data.windows(3).any(|word| word == b"NaN" || word == b"Inf")
}

fn hold_same(text: &[u8], value: &Value, form: &str) {
    let again = read(text, MAX_JSON_DEPTH);
    assert!(again.is_some_and(|again| same(&again, value)), "{form}: {}", String::from_utf8_lossy(text));
}

/// Equality under which every number is equal to itself.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Float(one), Value::Float(other)) => one.to_bits() == other.to_bits(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(one, other)| one.0 == other.0 && same(&one.1, &other.1))
        }
        _ => one == other,
    }
}

/// Whether both readers found the same, as far as `serde_json` can hold it.
fn agree(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(ours), serde_json::Value::Bool(theirs)) => ours == theirs,
        (Value::Int(ours), serde_json::Value::Number(theirs)) => {
            if theirs.is_f64() {
                // An integer of more than 64 bits, or `-0`, whose sign an integer cannot keep.
                let (ours, theirs) = (ours.parse::<f64>().ok(), theirs.as_f64());
                ours == theirs
            } else {
                **ours == *theirs.to_string()
            }
        }
        (Value::Float(ours), serde_json::Value::Number(theirs)) => {
            theirs.is_f64() && theirs.as_f64().is_some_and(|theirs| theirs.to_bits() == ours.to_bits())
        }
        (Value::Str(ours), serde_json::Value::String(theirs)) => ours == theirs.as_str(),
        (Value::Array(ours), serde_json::Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| agree(ours, theirs))
        }
        (Value::Object(ours), serde_json::Value::Object(theirs)) => {
            let mut pairs = ours.iter().zip(theirs);
            let is_equal = |((our_key, ours), (their_key, theirs)): (&(Text, Value), (&String, _))| {
                our_key == their_key.as_str() && agree(ours, theirs)
            };
            ours.len() == theirs.len() && pairs.all(is_equal)
        }
        _ => false,
    }
}
