//! The documents that tools keep conversations in: a JSON value a file, with one conversation or many.
//!
//! Owns whose a document is, by its shape, and that it is cut into parts that come to all of it: each message has what stands between
//! it and the one before, and the last part is the end.

mod agent_framework;

pub(crate) mod aider;

mod ai_sdk;

mod autogen;

mod claude_ai;

mod chatgpt;

mod haystack;

mod llama_index;

mod open_webui;

mod pydantic_ai;

mod thread;

use super::Tool;
use super::entry::{About, Entry, Line, quoted};
use super::record::{Known, Place, Record, Sink};
use crate::chat::json::{Members, Raw, list};
use crate::exit::Failure;

/// A conversation of a document.
#[derive(Default)]
struct Talk<'d> {
    /// Its name, where it has one.
    name: Option<String>,
    about: About,
    /// Its messages, in the order in which they stand in the document.
    parts: Vec<Raw<'d>>,
}

/// What understands the messages of a document.
type Read = fn(&Members<'_>, &mut About) -> Line;

/// What a document's text gives: its conversations, and what understands their messages.
type Talks<'d> = Result<(Vec<Talk<'d>>, Read), String>;

/// A document that is understood.
struct Document<'d> {
    talks: Vec<Talk<'d>>,
    read: Read,
}

/// The tool whose document begins with an object that has these members; `is_list` if that is the first of a list.
pub(crate) fn tool(has: &dyn Fn(&str) -> bool, is_list: bool) -> Option<Tool> {
    let all = |names: &[&str]| names.iter().all(|name| has(name));
    match () {
        () if all(&["mapping"]) => Some(Tool::Chatgpt),
        () if all(&["chat_messages"]) => Some(Tool::ClaudeAi),
        () if is_list && all(&["chat", "title"]) => Some(Tool::OpenWebui),
        () if is_list && all(&["parts", "kind"]) && !has("role") => Some(Tool::PydanticAi),
        () if is_list && all(&["role", "parts"]) => Some(Tool::AiSdk),
        () if is_list && all(&["role", "meta", "content"]) => Some(Tool::Haystack),
        () if is_list && all(&["models_usage", "source"]) => Some(Tool::Autogen),
        () if !is_list && all(&["llm_context"]) => Some(Tool::Autogen),
        () if !is_list && all(&["class_name"]) && (has("store") || has("chat_store")) => {
            Some(Tool::LlamaIndex)
        }
        () if !is_list && all(&["session_id", "state", "type"]) => Some(Tool::AgentFramework),
        () if !is_list && all(&["steps", "createdAt"]) => Some(Tool::Chainlit),
        () => None,
    }
}

/// The conversations of a document whose tool is known.
fn read(tool: Tool, text: &str) -> Result<Document<'_>, String> {
    let parts: fn(&str) -> Talks<'_> = match () {
        () if tool == Tool::Chatgpt => chatgpt::read,
        () if tool == Tool::ClaudeAi => claude_ai::read,
        () if tool == Tool::OpenWebui => open_webui::read,
        () if tool == Tool::PydanticAi => pydantic_ai::read,
        () if tool == Tool::AiSdk => ai_sdk::read,
        () if tool == Tool::Haystack => haystack::read,
        () if tool == Tool::Autogen => autogen::read,
        () if tool == Tool::LlamaIndex => llama_index::read,
        () if tool == Tool::AgentFramework => agent_framework::read,
        () if tool == Tool::Chainlit => thread::read,
        () => return Err("it keeps no documents".to_owned()),
    };
    let (talks, read) = parts(text)?;
    if talks.is_empty() {
        return Err(format!("there is no conversation of {} in it", tool.title()));
    }
    Ok(Document { talks, read })
}

/// Gives all of a document to the sink; `stem` and `path` are the name of its file, and `place` is where that lies.
pub(crate) fn take(
    tool: Tool,
    text: &str,
    (stem, path, place): (&str, &str, &str),
    sink: &mut dyn Sink,
) -> Result<Result<(), String>, Failure> {
    if tool == Tool::Aider {
        let mark = format!("{:08x}", crc32fast::hash(place.as_bytes()));
        return aider::take(text, (&mark, &format!("{mark}/{path}")), sink).map(Ok);
    }
    let document = match read(tool, text) {
        Ok(document) => document,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut done = 0;
    // Files of one name, and that begin alike, are in many directories, and a file may be another one by and by.
    let first = document.talks.iter().find_map(|talk| talk.parts.first()).map_or("", |first| first.get());
    let mark = format!("{:08x}", crc32fast::hash(format!("{place}\n{first}").as_bytes()));
    let path = format!("{mark}/{path}");
    let last = document.talks.len();
    for (at, talk) in document.talks.into_iter().enumerate() {
        let part = u64::try_from(at + 1).unwrap_or(u64::MAX);
        let name = talk.name.unwrap_or_else(|| {
            if part == 1 { format!("{stem}-{mark}") } else { format!("{stem}-{mark}-{part}") }
        });
        sink.begin(Known { session: name, path: path.clone(), part })?;
        *sink.about() = talk.about;
        let mut number = 0;
        for raw in talk.parts {
            number += 1;
            let start = raw.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
            let end = start + raw.get().len();
            let whole = text.get(done..end).unwrap_or_default().to_owned();
            done = end;
            let line = match Members::read(raw.get()) {
                Ok(members) => (document.read)(&members, sink.about()),
                Err(error) => {
                    sink.unread(
                        &format!("part {number}"),
                        &format!("it is no JSON object, and kept as it is: {error}"),
                    );
                    Line::default()
                }
            };
            let place = Place::Part { number, is_end: false };
            let name = line.id.clone().unwrap_or_else(|| format!("part-{number}"));
            sink.put(Record { name, place, raw: whole, line })?;
        }
        if at + 1 == last {
            let place = Place::Part { number: number + 1, is_end: true };
            let entry = Entry::action("record", &[("type", Some("\"end\""))]);
            let line = Line { id: None, time: None, entries: vec![entry] };
            let raw = text.get(done..).unwrap_or_default().to_owned();
            sink.put(Record { name: "end".to_owned(), place, raw, line })?;
        }
        sink.end()?;
    }
    Ok(Ok(()))
}

/// The elements of a list that is all of a document.
fn elements(text: &str) -> Result<Vec<Raw<'_>>, String> {
    let (elements, broken) = list(text.as_bytes());
    match broken {
        Some(reason) => Err(format!("it is no list: {reason}")),
        None => Ok(elements.into_iter().map(|(_, raw)| raw).collect()),
    }
}

/// The elements of a list that is a member; none if there is no such list.
fn listed(raw: Option<Raw<'_>>) -> Vec<Raw<'_>> {
    raw.and_then(|raw| elements(raw.get()).ok()).unwrap_or_default()
}

/// The conversations of a list that is all of a document, or the one that is. What is no object there is a conversation whose one part
/// cannot be understood, so that it is told of and kept.
fn conversations<'d>(
    document: &'d str,
    talk: impl Fn(&Members<'d>) -> Talk<'d>,
) -> Result<Vec<Talk<'d>>, String> {
    if !document.trim_start().starts_with('[') {
        return object(document).map(|whole| vec![talk(&whole)]);
    }
    let talks = elements(document)?.into_iter().map(|raw| match Members::read(raw.get()) {
        Ok(whole) => talk(&whole),
        Err(_) => Talk { parts: vec![raw], ..Talk::default() },
    });
    Ok(talks.collect())
}

/// An object that is all of a document.
fn object(text: &str) -> Result<Members<'_>, String> {
    Members::read(text).map_err(|error| format!("it is no JSON object: {error}"))
}

/// The values of an object's members, in order.
fn values(raw: Option<Raw<'_>>) -> Vec<Raw<'_>> {
    let members = raw.and_then(|raw| Members::read(raw.get()).ok()).unwrap_or_default();
    members.into_values()
}

/// A line that says that a part is there, and of which type it is.
fn other(kind: Option<&str>) -> Vec<Entry> {
    vec![Entry::action("record", &[("type", Some(kind.unwrap_or(&quoted("part"))))])]
}
