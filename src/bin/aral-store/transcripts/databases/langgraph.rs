//! The checkpoints of `LangGraph` in SQLite, as versions of its saver up to 3.1.2 write them.
//!
//! Owns the way from checkpoint to checkpoint, and which messages are new in each. A fork is a conversation of its own, with all that it
//! begins with. Where no checkpoint holds the messages, what was written to their channel does.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::{Rest, mark, record};
use crate::exit::Failure;
use crate::transcripts::database::{Database, Row};
use crate::transcripts::entry::{Entry, object, quoted};
use crate::transcripts::msgpack;
use crate::transcripts::record::{Known, Sink};

/// The channel that the talk is in.
const CHANNEL: &str = "messages";

pub(super) fn is_one(database: &Database) -> bool {
    database.has(
        "checkpoints",
        &["thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "checkpoint"],
    ) && database
        .has("writes", &["thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "idx", "channel", "value"])
}

pub(super) fn rest(table: &str) -> Rest {
    match table {
        "checkpoints" => Rest::Nothing,
        "writes" => Rest::Where(
            "NOT EXISTS (SELECT 1 FROM checkpoints AS c WHERE c.thread_id = t.thread_id AND c.checkpoint_ns = t.checkpoint_ns \
             AND c.checkpoint_id = t.checkpoint_id)",
        ),
        _ => Rest::All,
    }
}

/// The checkpoints of a thread's namespace: the parent of each, by their ids, which are in the order of time.
type Tree = BTreeMap<String, Option<String>>;

pub(super) fn take(database: &Database, sink: &mut dyn Sink) -> Result<(), Failure> {
    let mut threads: BTreeMap<(String, String), Tree> = BTreeMap::new();
    database.each("checkpoints", "", &[], &mut |row| {
        match row {
            Ok(row) => {
                let of = |column| row.text(column).unwrap_or_default().to_owned();
                let parent = row.text("parent_checkpoint_id").map(str::to_owned);
                threads
                    .entry((of("thread_id"), of("checkpoint_ns")))
                    .or_default()
                    .insert(of("checkpoint_id"), parent);
            }
            Err(reason) => sink.unread("not imported", &reason),
        }
        Ok(())
    })?;
    for ((thread, namespace), tree) in &threads {
        for (name, parent, path) in paths(thread, namespace, tree) {
            sink.begin(Known { path: format!("{name}.jsonl"), session: name, part: 0 })?;
            sink.about().parent = parent;
            take_path(database, (thread, namespace), &path, sink)?;
            sink.end()?;
        }
    }
    Ok(())
}

/// Each way through a tree, with its name, and that of the one it branches off: the oldest child of each goes on with its name, and
/// another one begins its own, so that no name ever comes to mean another way.
fn paths(thread: &str, namespace: &str, tree: &Tree) -> Vec<(String, Option<String>, Vec<String>)> {
    let first = tree.keys().next().map_or("", String::as_str);
    let base = format!("{thread}-{}", mark(first));
    let base = if namespace.is_empty() { base } else { format!("{base}/{namespace}") };
    let mut children: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut roots = Vec::new();
    for (id, parent) in tree {
        match parent.as_deref().filter(|parent| tree.contains_key(*parent) && *parent != id) {
            Some(parent) => children.entry(parent).or_default().push(id),
            None => roots.push(id.as_str()),
        }
    }
    let (mut found, mut waiting) = (Vec::new(), Vec::new());
    for (at, root) in roots.into_iter().enumerate() {
        let name = if at == 0 { base.clone() } else { format!("{base}/{root}") };
        waiting.push((name, (at > 0).then(|| base.clone()), Vec::new(), root));
    }
    waiting.reverse();
    while let Some((name, parent, mut path, start)) = waiting.pop() {
        let mut next = Some(start);
        while let Some(id) = next {
            path.push(id.to_owned());
            let mut on = children.get(id).into_iter().flatten().copied();
            next = on.next();
            for branch in on {
                waiting.push((format!("{base}/{branch}"), Some(name.clone()), path.clone(), branch));
            }
        }
        found.push((name, parent, path));
    }
    found
}

fn take_path(
    database: &Database,
    (thread, namespace): (&str, &str),
    path: &[String],
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    let of = "WHERE t.thread_id = ?1 AND t.checkpoint_ns = ?2 AND t.checkpoint_id = ?3";
    let mut is_held = false;
    for (number, id) in path.iter().enumerate() {
        let key = [thread, namespace, id];
        let mut time = None;
        for row in database.rows("checkpoints", of, &key)? {
            let checkpoint = value(&row, "checkpoint").unwrap_or_default();
            time = at(&checkpoint, "/ts").as_str().and_then(|time| time.parse().ok());
            let messages = listed(at(&checkpoint, "/channel_values/messages"));
            is_held |= messages.is_some();
            let mut entries = fresh(&messages.unwrap_or_default(), &mut seen, sink);
            let mut line = record("checkpoint", &row);
            line.time = time;
            if !entries.is_empty() {
                line.entries = std::mem::take(&mut entries);
            }
            sink.put(row.record(format!("checkpoint-{id}"), line))?;
        }
        // What was written at the last one has not come to count yet.
        let counts = !is_held && number + 1 < path.len();
        let order = format!("{of} ORDER BY t.task_path, t.task_id, t.idx");
        let order = if database.has("writes", &["task_path"]) {
            order
        } else {
            format!("{of} ORDER BY t.task_id, t.idx")
        };
        for row in database.rows("writes", &order, &key)? {
            let mut line = record("write", &row);
            line.time = time;
            let is_talk = counts && row.text("channel") == Some(CHANNEL);
            let messages = value(&row, "value").filter(|_| is_talk).and_then(|value| listed(&value));
            let entries = fresh(&messages.unwrap_or_default(), &mut seen, sink);
            if !entries.is_empty() {
                line.entries = entries;
            }
            sink.put(row.record(row.name(), line))?;
        }
    }
    Ok(())
}

/// A member of a member; null where there is none.
fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    value.pointer(path).unwrap_or(&Value::Null)
}

/// What a column holds, by the type beside it. What is encrypted, or of another kind, is not looked into.
fn value(row: &Row, column: &str) -> Option<Value> {
    match row.text("type") {
        Some("msgpack") => msgpack::read(row.bytes(column)?),
        Some("json") => serde_json::from_slice(row.bytes(column)?).ok(),
        _ => None,
    }
}

/// A list of messages; one alone, and one that stands for all before it, is one too.
fn listed(value: &Value) -> Option<Vec<Value>> {
    if let Some(list) = value.as_array() {
        return Some(list.clone());
    }
    let code = at(value, "/ext").as_u64()?;
    if code != 7 {
        return Some(vec![value.clone()]);
    }
    let inside = at(value, "/value").as_array()?;
    let is_list = inside.iter().all(|one| *at(one, "/ext") == 5);
    if is_list { Some(inside.clone()) } else { inside.iter().find_map(listed) }
}

/// What the messages become that have not been there before; their ids stay the same from checkpoint to checkpoint.
fn fresh(messages: &[Value], seen: &mut HashSet<String>, sink: &mut dyn Sink) -> Vec<Entry> {
    let mut entries = Vec::new();
    for message in messages {
        // An object of Python's: its module, its class, and what it is made with.
        let made = if at(message, "/ext").is_null() { message } else { at(message, "/value/2") };
        let Some(id) = at(made, "/id").as_str() else { continue };
        if seen.insert(id.to_owned()) {
            entries.extend(message_entries(made, sink));
        }
    }
    entries
}

fn message_entries(made: &Value, sink: &mut dyn Sink) -> Vec<Entry> {
    let json = |value: &Value| (!value.is_null()).then(|| value.to_string());
    let id = quoted(at(made, "/id").as_str().unwrap_or_default());
    let kind = at(made, "/type").as_str().unwrap_or_default();
    if kind == "tool" {
        let (call, output) = (json(at(made, "/tool_call_id")), json(at(made, "/content")));
        let failed = (*at(made, "/status") == "error").then_some("true");
        let data = [("call_id", call.as_deref()), ("output", output.as_deref()), ("is_error", failed)];
        return vec![Entry::action("tool_result", &data).with("reply_id", Some(id))];
    }
    let role = match kind {
        "human" => "user",
        "ai" => "assistant",
        other => other,
    };
    let mut entries = Vec::new();
    let content = at(made, "/content");
    let parts = content.as_array().into_iter().flatten();
    let texts = parts.filter_map(|part| part.as_str().or_else(|| at(part, "/text").as_str()));
    let text = content.as_str().map_or_else(|| texts.collect::<Vec<_>>().join("\n\n"), str::to_owned);
    if !text.is_empty() {
        let content = quoted(&text);
        if role == "user" {
            sink.about().prompt(&content);
        }
        entries.push(Entry::message(role, content));
    }
    for call in at(made, "/tool_calls").as_array().into_iter().flatten() {
        let (call_id, name, input) =
            (json(at(call, "/id")), json(at(call, "/name")), json(at(call, "/args")));
        let data = [("call_id", call_id.as_deref()), ("name", name.as_deref()), ("input", input.as_deref())];
        entries.push(Entry::action("tool_call", &data));
    }
    if entries.is_empty() {
        entries.push(Entry::action("record", &[("type", Some(&quoted(kind)))]));
    }
    let model = json(at(made, "/response_metadata/model_name"));
    let mut usage = usage(at(made, "/usage_metadata"));
    for entry in &mut entries {
        let fields = [("reply_id", Some(id.clone())), ("model", model.clone()), ("usage", usage.take())];
        entry.fields.extend(fields.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))));
    }
    entries
}

fn usage(usage: &Value) -> Option<String> {
    let number = |value: &Value| value.as_u64().map(|number| number.to_string());
    let details = at(usage, "/input_token_details");
    let (input, output) = (number(at(usage, "/input_tokens")), number(at(usage, "/output_tokens")));
    let (read, written) = (number(at(details, "/cache_read")), number(at(details, "/cache_creation")));
    input.is_some().then(|| {
        object(&[
            ("input_tokens", input.as_deref()),
            ("output_tokens", output.as_deref()),
            ("cache_read_tokens", read.as_deref()),
            ("cache_write_tokens", written.as_deref()),
        ])
    })
}
