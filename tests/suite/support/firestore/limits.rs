//! What the service takes, by its public documentation.
//!
//! Owns the limits of the pages "Quotas and limits" and "Storage size calculations" of Firestore's documentation (Standard edition, Native
//! mode), and the types of values in the reference of the REST API, version 1. Knows no stored document.

use serde_json::{Map, Value};

use super::status::{Refused, invalid};

/// "Maximum API request size: 10 MiB".
pub(crate) const REQUEST: usize = 10 << 20;
/// "Maximum size for a document: 1 MiB (1,048,576 bytes)".
pub(crate) const DOCUMENT: usize = 1 << 20;
/// "Maximum size of a field value: 1 MiB - 89 bytes (1,048,487 bytes)".
pub(crate) const VALUE: usize = (1 << 20) - 89;
/// "Maximum size for a document name: 6 KiB".
const NAME: usize = 6 << 10;
/// Document ids, collection ids and field names: "must be no longer than 1,500 bytes".
const ID: usize = 1_500;
/// "Maximum depth of subcollections: 100".
const COLLECTIONS: usize = 100;
/// "Maximum depth of fields in a map or array: 20".
const DEPTH: usize = 20;
/// "Maximum number of index entries for each document: 40,000", without composite indexes.
const ENTRIES: usize = 40_000;
/// Once "Maximum number of writes that can be passed to a Commit operation"; still kept to here.
pub(crate) const WRITES: usize = 500;

/// Whether this can be the id of a document or a collection: valid UTF-8, no slash, not `.` or `..`, not like `__.*__`.
fn check_id(id: &str) -> Result<(), Refused> {
    let is_reserved = id.len() >= 4 && id.starts_with("__") && id.ends_with("__");
    if id.is_empty() || id.len() > ID || id == "." || id == ".." || is_reserved {
        return Err(invalid(format!("Resource id \"{id:.80}\" is invalid.")));
    }
    Ok(())
}

/// The ids in a document's name below its database; every second one is a document's.
pub(crate) fn ids<'n>(database: &str, name: &'n str) -> Result<Vec<&'n str>, Refused> {
    let below = name.strip_prefix(database).and_then(|rest| rest.strip_prefix("/documents/"));
    let below =
        below.ok_or_else(|| invalid(format!("Document name \"{name:.80}\" is not of {database}.")))?;
    let ids: Vec<&str> = below.split('/').collect();
    ids.iter().try_for_each(|id| check_id(id))?;
    if ids.len() % 2 != 0 || ids.len() / 2 > COLLECTIONS || name_size(&ids) > NAME {
        return Err(invalid(format!("Document name \"{name:.80}\" is invalid.")));
    }
    Ok(ids)
}

/// "The size of each collection id and document id in the path, and 16 bytes"; the size of a string is its bytes and 1.
fn name_size(ids: &[&str]) -> usize {
    ids.iter().map(|id| id.len() + 1).sum::<usize>() + 16
}

/// Holds the fields of a document against everything that is said of them.
pub(crate) fn check_document(ids: &[&str], fields: &Map<String, Value>) -> Result<(), Refused> {
    let mut entries = 0;
    let size = name_size(ids) + map_size(fields, 1, &mut entries)? + 32;
    if size > DOCUMENT {
        return Err(invalid(format!(
            "Document cannot be written because its size ({size} bytes) exceeds the maximum allowed size of 1,048,576 bytes."
        )));
    }
    if entries > ENTRIES {
        return Err(invalid("too many index entries for entity".to_owned()));
    }
    Ok(())
}

/// The size of a map's fields: "the string size of each field name and the size of each field value".
fn map_size(fields: &Map<String, Value>, depth: usize, entries: &mut usize) -> Result<usize, Refused> {
    let mut size = 0;
    for (name, value) in fields {
        let is_reserved = name.len() >= 4 && name.starts_with("__") && name.ends_with("__");
        if name.is_empty() || name.len() > ID || is_reserved {
            return Err(invalid(format!("Field name \"{name:.80}\" is invalid.")));
        }
        size += name.len() + 1 + value_size(value, depth, false, entries)?;
    }
    Ok(size)
}

/// The size of a value, by the table on the page "Storage size calculations".
fn value_size(value: &Value, depth: usize, is_in_array: bool, entries: &mut usize) -> Result<usize, Refused> {
    let bad = |what: &str| invalid(format!("Invalid value: {what}"));
    if depth > DEPTH {
        return Err(bad("the maximum depth of maps and arrays is 20"));
    }
    // A value is a union: of its fields one is set.
    let object = value.as_object().filter(|object| object.len() == 1);
    let (kind, inner) =
        object.and_then(|object| object.iter().next()).ok_or_else(|| bad("not one of the types"))?;
    let text = || inner.as_str().ok_or_else(|| bad("a string is expected"));
    let size = match kind.as_str() {
        "nullValue" | "booleanValue" => 1,
        "integerValue" => {
            // As JSON has no 64-bit integers, they are strings; a number is taken as well.
            let is_integer = inner.as_i64().is_some() || text()?.parse::<i64>().is_ok();
            if !is_integer {
                return Err(bad("an integer of 64 bits is expected"));
            }
            8
        }
        "doubleValue" => {
            let is_double = inner.is_number() || matches!(text()?, "NaN" | "Infinity" | "-Infinity");
            if !is_double {
                return Err(bad("a double is expected"));
            }
            8
        }
        "timestampValue" => text().map(|_| 8)?,
        "stringValue" => text()?.len() + 1,
        "bytesValue" => decoded(text()?).ok_or_else(|| bad("base64 is expected"))?,
        "referenceValue" => text()?.len(),
        "mapValue" => {
            let empty = Map::new();
            let fields = inner.get("fields").map_or(Some(&empty), Value::as_object);
            map_size(fields.ok_or_else(|| bad("a map is expected"))?, depth + 1, entries)?
        }
        // "An array cannot contain another array value directly."
        "arrayValue" if is_in_array => return Err(bad("Cannot convert an array value in an array value.")),
        "arrayValue" => {
            let values =
                inner.get("values").map_or(Some(&[][..]), |values| values.as_array().map(Vec::as_slice));
            let values = values.ok_or_else(|| bad("an array is expected"))?;
            values
                .iter()
                .map(|value| value_size(value, depth + 1, true, entries))
                .sum::<Result<usize, _>>()?
        }
        _ => return Err(bad("this type is not known")),
    };
    if size > VALUE && !matches!(kind.as_str(), "mapValue" | "arrayValue") {
        return Err(invalid(format!("The value of a property is longer than {VALUE} bytes.")));
    }
    // One entry each in the ascending and the descending index of a field.
    *entries += 2;
    Ok(size)
}

/// How many bytes base64 stands for.
fn decoded(text: &str) -> Option<usize> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).ok().map(|bytes| bytes.len())
}
