//! The documents of one database, and what a commit makes of them.
//!
//! Owns atomicity, conditions and times, as the reference of the REST API, version 1, has them: `documents.commit`, `Write`,
//! `Precondition`, `WriteResult`, `documents.batchGet`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::limits;
use super::status::{Refused, invalid};

/// A document.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) fields: Map<String, Value>,
    created: u64,
    updated: u64,
}

/// What is in a database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stock {
    /// By their names.
    pub(crate) documents: BTreeMap<String, Stored>,
    /// Microseconds since a day in 2026: no two commits have the same.
    now: u64,
}

/// A time as the API has it, with microseconds and no zeros at its end beyond thousandths.
pub(crate) fn time(micros: u64) -> String {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("2026-01-02T{hours:02}:{minutes:02}:{seconds:02}.{micros:06}Z")
}

impl Stored {
    fn to_value(&self, name: &str) -> Value {
        json!({
            "name": name,
            "fields": self.fields,
            "createTime": time(self.created),
            "updateTime": time(self.updated),
        })
    }
}

/// One write, taken apart.
enum Step<'w> {
    Update(&'w str, Map<String, Value>),
    Delete(&'w str),
}

/// The fields of a message, of which no others are known: "Invalid JSON payload received. Unknown name".
pub(crate) fn known<'v>(value: &'v Value, names: &[&str]) -> Result<&'v Map<String, Value>, Refused> {
    let object = value.as_object().ok_or_else(|| invalid("Invalid JSON payload received.".to_owned()))?;
    match object.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(invalid(format!("Invalid JSON payload received. Unknown name \"{key:.80}\"."))),
        None => Ok(object),
    }
}

impl Stock {
    fn tick(&mut self) -> u64 {
        self.now += 7;
        self.now
    }

    /// Carries writes out, "applied atomically and in order".
    pub(crate) fn commit(&mut self, database: &str, body: &Value) -> Result<Value, Refused> {
        let request = known(body, &["writes", "transaction"])?;
        let writes = request.get("writes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if writes.len() > limits::WRITES {
            return Err(invalid("maximum 500 writes allowed per request".to_owned()));
        }
        let now = self.tick();
        // Order: everything is tried on a copy. What one write is refused for, none of them does.
        let mut after: BTreeMap<String, Option<Stored>> = BTreeMap::new();
        let mut results = Vec::new();
        for write in writes {
            let (step, condition) = taken_apart(database, write)?;
            let (Step::Update(name, _) | Step::Delete(name)) = &step;
            let name = (*name).to_owned();
            let there = after.get(&name).cloned().unwrap_or_else(|| self.documents.get(&name).cloned());
            check_condition(&name, there.as_ref(), condition)?;
            let (next, updated) = match step {
                Step::Delete(_) => (None, None),
                Step::Update(_, fields) => {
                    // "If the write did not actually change the document, this will be the previous update_time."
                    let same = there.as_ref().filter(|there| there.fields == fields);
                    let updated = same.map_or(now, |there| there.updated);
                    let created = there.as_ref().map_or(now, |there| there.created);
                    (Some(Stored { fields, created, updated }), Some(updated))
                }
            };
            after.insert(name, next);
            results.push(updated.map_or(json!({}), |updated| json!({ "updateTime": time(updated) })));
        }
        for (name, next) in after {
            match next {
                Some(stored) => drop(self.documents.insert(name, stored)),
                None => drop(self.documents.remove(&name)),
            }
        }
        Ok(json!({ "writeResults": results, "commitTime": time(now) }))
    }

    /// Reads documents, in an order of its own: "the documents are returned in no particular order".
    pub(crate) fn batch_get(&mut self, database: &str, body: &Value) -> Result<Vec<Value>, Refused> {
        let request = known(body, &["documents", "mask", "readTime"])?;
        let names = request.get("documents").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let now = time(self.tick());
        let mut answers = Vec::new();
        for name in names {
            let name = name.as_str().ok_or_else(|| invalid("a name is expected".to_owned()))?;
            limits::ids(database, name)?;
            answers.push(match self.documents.get(name) {
                Some(stored) => json!({ "found": stored.to_value(name), "readTime": now }),
                None => json!({ "missing": name, "readTime": now }),
            });
        }
        answers.reverse();
        Ok(answers)
    }

    /// A document as an answer has it, with these fields alone; none of them if only its name is asked for.
    pub(crate) fn answer(&mut self, name: &str, selected: Option<&[String]>) -> Value {
        let now = time(self.tick());
        let mut document = self.documents[name].to_value(name);
        if let Some(selected) = selected {
            let fields = document["fields"].as_object_mut().unwrap();
            fields.retain(|name, _| selected.contains(name));
            if fields.is_empty() {
                document.as_object_mut().unwrap().remove("fields");
            }
        }
        json!({ "document": document, "readTime": now })
    }
}

fn taken_apart<'w>(database: &str, write: &'w Value) -> Result<(Step<'w>, Option<&'w Value>), Refused> {
    let write = known(
        write,
        &["update", "delete", "currentDocument", "updateMask", "updateTransforms", "transform"],
    )?;
    let condition = write.get("currentDocument");
    match (write.get("update"), write.get("delete").and_then(Value::as_str), write.get("updateMask")) {
        (Some(document), None, None) => {
            let document = known(document, &["name", "fields", "createTime", "updateTime"])?;
            let name = document.get("name").and_then(Value::as_str).unwrap_or_default();
            let ids = limits::ids(database, name)?;
            let fields = document.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
            limits::check_document(&ids, &fields)?;
            Ok((Step::Update(name, fields), condition))
        }
        (None, Some(name), None) => {
            limits::ids(database, name)?;
            Ok((Step::Delete(name), condition))
        }
        _ => Err(invalid(
            "this fake knows writes that update or delete a whole document, and no others".to_owned(),
        )),
    }
}

/// Holds what is there against a condition: what is said of `Precondition`, and which code the page on the codes has for it.
fn check_condition(name: &str, there: Option<&Stored>, condition: Option<&Value>) -> Result<(), Refused> {
    let Some(condition) = condition else { return Ok(()) };
    let condition = known(condition, &["exists", "updateTime"])?;
    let exists = condition.get("exists").and_then(Value::as_bool);
    let written = condition.get("updateTime").and_then(Value::as_str);
    match (exists, written, there) {
        (Some(false), None, Some(_)) => {
            Err(Refused::new(409, "ALREADY_EXISTS", format!("Document already exists: {name}")))
        }
        (Some(true), None, None) | (None, Some(_), None) => {
            Err(Refused::new(404, "NOT_FOUND", format!("No document to update: {name}")))
        }
        (None, Some(written), Some(there)) if micros(written) != Some(there.updated) => Err(Refused::new(
            400,
            "FAILED_PRECONDITION",
            format!(
                "the stored version ({}) does not match the required base version ({written})",
                there.updated
            ),
        )),
        (Some(_), None, _) | (None, Some(_), Some(_)) => Ok(()),
        (Some(_), Some(_), _) | (None, None, _) => {
            Err(invalid("a precondition has one of exists and updateTime".to_owned()))
        }
    }
}

/// A time in microseconds, if it is one: "timestamp must be microsecond aligned".
fn micros(text: &str) -> Option<u64> {
    let (hours, rest) = text.strip_prefix("2026-01-02T")?.strip_suffix('Z')?.split_once(':')?;
    let (minutes, rest) = rest.split_once(':')?;
    let (seconds, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let micros = format!("{fraction:0<6}").parse::<u64>().ok().filter(|_| fraction.len() <= 6)?;
    let number = |text: &str| text.parse::<u64>().ok();
    Some(((number(hours)? * 60 + number(minutes)?) * 60 + number(seconds)?) * 1_000_000 + micros)
}
