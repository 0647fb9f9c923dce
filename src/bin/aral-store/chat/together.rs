//! From a message of this store to a chat message.
//!
//! Owns what an edited message becomes: its text is the content that it has now, and nothing that told of the old one is
//! left beside it. Pictures and calls, which no edit of the content is about, stay.

use std::collections::HashSet;

use aral_store::{Message, Timestamp};
use serde_json::Value;

use super::json::{Members, Raw, list, time};
use super::{KNOWN, TIMES, is_known, langchain, mark_name, session, texts};

/// A message as chat programs have it.
pub(crate) struct Together {
    pub(crate) json: String,
    /// Whether some of its metadata or unnamed fields has no place in there.
    pub(crate) lacks_metadata: bool,
    /// Whether its id or its time has none.
    pub(crate) lacks_head: bool,
}

/// How a message was taken apart.
#[derive(Default)]
struct Mark {
    own: Vec<String>,
    /// The names of members, and those that they have in the metadata.
    kept: Vec<(String, String)>,
    metadata: Option<Vec<String>>,
    text: String,
    lengths: Option<Vec<Option<usize>>>,
}

/// Puts a message together.
pub(crate) fn put_together(message: &Message) -> Together {
    let metadata = message.metadata.as_json();
    let members = Members::read(metadata).ok();
    if let Some(json) = members.as_ref().and_then(|members| session::item(message, members)) {
        let lacks_members = members.iter().flat_map(Members::names).any(|name| name != session::KEY);
        let lacks_metadata = lacks_members || !message.extra.is_empty();
        return Together { json, lacks_metadata, lacks_head: true };
    }
    let (mark_key, mark) =
        members.as_ref().and_then(marked).map_or((None, None), |(k, m)| (Some(k), Some(m)));
    let members = members.unwrap_or_default();
    let mark = mark.unwrap_or_else(|| unmarked(message, &members));
    let mut work = Work { message, members: &members, mark: &mark, used: HashSet::new(), out: Vec::new() };
    work.used.extend(mark_key);
    work.all();
    for (name, json) in langchain::calls(&members) {
        if !work.out.iter().any(|(there, _)| *there == name) {
            work.out.push((name, json));
        }
    }
    // A null in the place of a text says nothing beside the text that there is now.
    let says_nothing =
        |name: &str| name == "content" && members.get(name).is_some_and(|raw| raw.get() == "null");
    let lacks_members = members.names().any(|name| !work.used.contains(name) && !says_nothing(name));
    let is_unread = members.names().next().is_none() && !message.metadata.is_empty();
    let has = |names: &[&str]| work.out.iter().any(|(name, _)| names.contains(&&**name));
    let lacks_head = !has(&["id"]) || !has(&TIMES);
    let print = |(name, json): &(String, String)| format!("{}:{json}", Value::from(name.as_str()));
    Together {
        json: format!("{{{}}}", work.out.iter().map(print).collect::<Vec<_>>().join(",")),
        lacks_metadata: lacks_members || is_unread || !message.extra.is_empty(),
        lacks_head,
    }
}

/// The mark in a message's metadata, if they have one that can be understood, and its name there.
fn marked(members: &Members<'_>) -> Option<(String, Mark)> {
    let key = mark_name(members.names())?.to_owned();
    let value: Value = serde_json::from_str(members.get(&key)?.get()).ok()?;
    let strings = |value: &Value| -> Option<Vec<String>> {
        value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let pair = |pair: &Value| <[String; 2]>::try_from(strings(pair)?).ok().map(|[name, key]| (name, key));
    let kept = value.get("kept")?.as_array()?.iter();
    let kept = kept.map(|name| match name.as_str() {
        Some(name) => Some((name.to_owned(), name.to_owned())),
        None => pair(name),
    });
    let lengths = |value: &Value| -> Option<Vec<Option<usize>>> {
        let length = |value: &Value| match value.as_u64() {
            Some(length) => usize::try_from(length).ok().map(Some),
            None => value.is_null().then_some(None),
        };
        value.as_array()?.iter().map(length).collect()
    };
    let mark = Mark {
        own: strings(value.get("own")?)?,
        kept: kept.collect::<Option<_>>()?,
        metadata: value.get("metadata").and_then(strings),
        text: value.get("text").and_then(Value::as_str).unwrap_or("content").to_owned(),
        lengths: value.get("lengths").and_then(lengths),
    };
    Some((key, mark))
}

/// How a message without a mark belongs together: by the names that chat messages have.
fn unmarked(message: &Message, members: &Members<'_>) -> Mark {
    let is_known = |name: &&str| members.get(name).is_some_and(|raw| is_known(name, raw.get()));
    let known = KNOWN.into_iter().filter(is_known).map(|name| (name.to_owned(), name.to_owned()));
    let mut mark = Mark {
        own: vec!["role".to_owned()],
        kept: known.collect(),
        text: "content".to_owned(),
        ..Mark::default()
    };
    let content = members.get("content").map(Raw::get).unwrap_or_default();
    let lengths = content.starts_with('[').then(|| lengths_of_whole(content)).flatten();
    if (content == "null" && message.content.is_empty()) || lengths.is_some() {
        mark.kept.insert(0, ("content".to_owned(), "content".to_owned()));
        mark.lengths = lengths;
    } else {
        mark.own.push("content".to_owned());
    }
    mark
}

/// How long the texts in a list of parts are that is whole, as earlier versions kept one.
fn lengths_of_whole(parts: &str) -> Option<Vec<Option<usize>>> {
    let (parts, broken) = list(parts.as_bytes());
    let length = |part: Raw<'_>| {
        let part = part.get();
        if part.starts_with('"') {
            return Some(texts::length(part));
        }
        let members = Members::read(part).ok()?;
        members.get("text").map(Raw::get).filter(|text| text.starts_with('"')).map(texts::length)
    };
    broken.is_none().then(|| parts.iter().map(|(_, part)| length(*part)).collect())
}

struct Work<'m> {
    message: &'m Message,
    members: &'m Members<'m>,
    mark: &'m Mark,
    /// The names in the metadata that have found their places.
    used: HashSet<String>,
    out: Vec<(String, String)>,
}

impl Work<'_> {
    fn all(&mut self) {
        let mark = self.mark;
        for name in &mark.own {
            let json = match name.as_str() {
                "role" => texts::string(&self.message.role),
                "id" => texts::string(&self.message.id),
                time if TIMES.contains(&time) => quoted_time(self.message.created_at),
                _ => texts::string(&self.message.content),
            };
            self.out.push((name.clone(), json));
        }
        let mut is_edited = false;
        let time_at = TIMES.iter().find(|time| mark.kept.iter().any(|(name, _)| name == *time));
        for (name, key) in &mark.kept {
            let Some(raw) = self.members.get(key) else { continue };
            self.used.insert(key.clone());
            let json = if *name == mark.text {
                let (json, edited) = self.text(raw);
                is_edited = edited;
                json
            } else if time_at.is_some_and(|at| at == name)
                && !mark.own.iter().any(|own| TIMES.contains(&&**own))
            {
                self.time(raw)
            } else {
                raw.get().to_owned()
            };
            self.out.push((name.clone(), json));
        }
        if is_edited {
            // What was sealed, or told of the text, is about the old one.
            self.out.retain(|(name, _)| name != "encrypted_content" && name != "annotations");
        }
        if !self.out.iter().any(|(name, _)| *name == mark.text) && !self.message.content.is_empty() {
            self.out.push((mark.text.clone(), texts::string(&self.message.content)));
        }
        if let Some(names) = &mark.metadata {
            let member = |name: &String| {
                Some(format!("{}:{}", Value::from(name.as_str()), self.members.get(name)?.get()))
            };
            let inside: Vec<String> = names.iter().filter_map(member).collect();
            self.used.extend(names.iter().cloned());
            self.out.push(("metadata".to_owned(), format!("{{{}}}", inside.join(","))));
        }
    }

    /// A time as it was written, or as it is by now.
    fn time(&self, raw: Raw<'_>) -> String {
        match time(raw) {
            Some(written) if written != self.message.created_at => quoted_time(self.message.created_at),
            _ => raw.get().to_owned(),
        }
    }

    /// The member that the text belongs into, and whether the text is another one than it came with.
    fn text(&self, raw: Raw<'_>) -> (String, bool) {
        let content = &self.message.content;
        let Some(lengths) = &self.mark.lengths else {
            let is_as_it_came = content.is_empty();
            let json = if is_as_it_came { raw.get().to_owned() } else { texts::string(content) };
            return (json, !is_as_it_came);
        };
        let found: Vec<usize> = lengths.iter().copied().flatten().collect();
        let pieces = texts::pieces(content, &found);
        let is_edited = pieces.is_none();
        let mut pieces = pieces.unwrap_or_else(|| vec![texts::string(content)]).into_iter();
        let mut parts = Vec::new();
        if found.is_empty() && is_edited {
            parts.extend(pieces.next().map(|text| format!(r#"{{"type":"text","text":{text}}}"#)));
        }
        for ((_, part), length) in list(raw.get().as_bytes()).0.iter().zip(lengths) {
            let part = part.get();
            if length.is_none() {
                parts.push(part.to_owned());
            } else if let Some(text) = pieces.next() {
                parts.push(filled(part, &text, is_edited));
            }
        }
        (format!("[{}]", parts.join(",")), is_edited)
    }
}

/// A part with this text in its place.
fn filled(part: &str, text: &str, is_edited: bool) -> String {
    let Ok(members) = Members::read(part) else { return text.to_owned() };
    let mut filled = members.printed_with("text", text);
    if is_edited {
        for name in ["annotations", "logprobs"] {
            filled = Members::read(&filled).map_or(filled.clone(), |part| part.printed_with(name, "[]"));
        }
    }
    filled
}

fn quoted_time(time: Timestamp) -> String {
    format!("\"{time}\"")
}
