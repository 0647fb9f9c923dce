//! JSON as a database holds it.
//!
//! Owns what of it a database can hold as values of its own. The exact text is always kept beside.

use mongodb::bson::{Bson, Document};

use crate::codec::json::Value;
use crate::model::{JsonObject, Text};

/// How deep a database nests values, with some room for what they stand in.
const DEEPEST: usize = 80;

/// The longest JSON text that is kept as values, too.
const LONGEST: usize = 256 << 10;

/// The largest that these values may be.
const LARGEST: usize = 2 << 20;

/// An object as values; `None` if a database cannot hold it.
pub(super) fn object(json: &JsonObject) -> Option<Document> {
    if json.as_json().len() > LONGEST {
        return None;
    }
    let document = members(&json.members(), DEEPEST)?;
    document.to_vec().ok().filter(|bytes| bytes.len() <= LARGEST).map(|_| document)
}

fn members(members: &[(Text, Value)], depth: usize) -> Option<Document> {
    let mut document = Document::new();
    for (name, member) in members {
        let name = name.as_str().filter(|name| !name.contains('\0') && !name.starts_with('$'))?;
        document.insert(name, value(member, depth.checked_sub(1)?)?);
    }
    Some(document)
}

fn value(value: &Value, depth: usize) -> Option<Bson> {
    Some(match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => Bson::Boolean(*value),
        // What has more digits than a database's numbers is a text: it is not to become another number.
        Value::Int(text) => text.parse().map_or_else(|_| Bson::String(text.to_string()), Bson::Int64),
        Value::Float(value) => Bson::Double(*value),
        Value::Str(text) => Bson::String(text.to_string_lossy().into_owned()),
        Value::Array(items) => {
            let depth = depth.checked_sub(1)?;
            Bson::Array(items.iter().map(|item| self::value(item, depth)).collect::<Option<_>>()?)
        }
        Value::Object(object) => Bson::Document(members(object, depth)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    fn of(text: &str) -> Option<Document> {
        object(&JsonObject::parse(text).unwrap())
    }

    #[test]
    fn what_a_database_can_hold_is_held_and_no_number_becomes_another() {
        let held = of(
            r#"{"a":9223372036854775807,"b":1.0,"c":[null,true,"\ud800"],"d":100000000000000000000,"e.f":{"":1}}"#,
        );
        let expected = doc! {
            "a": i64::MAX, "b": 1.0, "c": [Bson::Null, true, "\u{fffd}"], "d": "100000000000000000000", "e.f": { "": 1_i64 },
        };
        assert_eq!(held, Some(expected));
        for cannot in [r#"{"$set":1}"#, r#"{"a":{"b\u0000c":1}}"#, r#"{"\ud800":1}"#] {
            assert_eq!(of(cannot), None, "{cannot}");
        }
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(100), "]".repeat(100));
        assert_eq!(of(&deep), None);
        assert_eq!(of(&format!(r#"{{"a":[{}1]}}"#, "1,".repeat(200_000))), None);
    }
}
