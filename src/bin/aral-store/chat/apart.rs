//! From a chat message to a message of this store.
//!
//! Owns which member goes where, and the mark that says so where it is not plain. Every value keeps the text it has in
//! the file, so that numbers and strings stay exactly what they are.

use aral_store::{Timestamp, near_miss};
use serde_json::Value;

use super::json::{Members, Raw, list, string, time};
use super::{KNOWN, MARK, TIMES, is_known, mark_name, text_member, texts};

/// A chat message in the parts that a message has here, each as JSON.
pub(crate) struct Apart {
    /// Absent if it has none that is a name.
    pub(crate) id: Option<String>,
    pub(crate) role: String,
    pub(crate) content: String,
    /// Absent if it has none that can be read.
    pub(crate) time: Option<Timestamp>,
    pub(crate) metadata: String,
    /// The types of its parts that are no text.
    pub(crate) unshown: Vec<String>,
}

/// A chat message that is being taken apart.
#[derive(Default)]
struct Work {
    /// The members that have a field of their own.
    own: Vec<String>,
    /// The others, with their names in the chat message.
    kept: Vec<(String, String)>,
    /// For each part of the text's member, how long its text is, if it has one.
    lengths: Option<Vec<Option<usize>>>,
    unshown: Vec<String>,
}

/// Takes a chat message apart, or says why it is none.
pub(crate) fn taken_apart(bytes: &[u8]) -> Result<Apart, String> {
    let mut members = Members::of_bytes(bytes).map_err(|error| error.to_string())?;
    if let Some(name) = members.repeated() {
        return Err(format!("the key {name:.60?} is there twice"));
    }
    let mut work = Work::default();
    let kind = members.get("type").and_then(string);
    let role = match (members.take("role").map(Raw::get), &kind) {
        (Some(role), _) if role.starts_with('"') => {
            work.own.push("role".to_owned());
            role.to_owned()
        }
        (Some(_), _) => return Err("\"role\" is not a string".to_owned()),
        (None, Some(kind)) => if kind.ends_with("_output") { "\"tool\"" } else { "\"assistant\"" }.to_owned(),
        (None, None) => return Err("\"role\" is missing".to_owned()),
    };
    let has_role = !work.own.is_empty();
    let id = work.id(&mut members);
    let time = work.time(&mut members);
    let text_at = text_place(&members, has_role, kind.as_deref());
    has_content(&members, text_at, kind.as_deref())?;
    let content = work.text(&mut members, text_at)?;
    let (metadata, own_names) = own_metadata(&mut members);
    for (name, raw) in members.into_list() {
        work.kept.push((name, raw.get().to_owned()));
    }
    let unshown = std::mem::take(&mut work.unshown);
    let metadata = work.metadata(metadata, own_names.as_deref(), text_at);
    Ok(Apart { id, role, content, time, metadata, unshown })
}

/// The member that the text of a chat message is in.
fn text_place(members: &Members<'_>, has_role: bool, kind: Option<&str>) -> &'static str {
    if !has_role {
        return kind.map_or("content", text_member);
    }
    let is_list = |name: &str| members.get(name).is_some_and(|raw| raw.get().starts_with('['));
    let elsewhere = ["parts", "contents"].into_iter().find(|name| is_list(name));
    if members.get("content").is_some() { "content" } else { elsewhere.unwrap_or("content") }
}

/// Holds that a message says something: a mistyped name must not make an empty one of it.
fn has_content(members: &Members<'_>, text_at: &str, kind: Option<&str>) -> Result<(), String> {
    let is_message = kind.is_none_or(|kind| kind == "message");
    // Beside these a message of a model's may do without a text.
    let mut instead = KNOWN.iter().filter(|name| !["name", "tool_call_id"].contains(name));
    if !is_message || members.get(text_at).is_some() || instead.any(|name| members.get(name).is_some()) {
        return Ok(());
    }
    let meant = members.names().find(|name| near_miss(name, &["content"]).is_some());
    let meant = meant.map(|name| format!("; perhaps {name:.60?} is meant for it")).unwrap_or_default();
    Err(format!("{text_at:?} is missing{meant}"))
}

/// The members of a `metadata` that is an object, and their names.
fn own_metadata(members: &mut Members<'_>) -> (Vec<(String, String)>, Option<Vec<String>>) {
    let own = members.get("metadata").and_then(|raw| Members::read(raw.get()).ok());
    let Some(own) = own else { return (Vec::new(), None) };
    members.take("metadata");
    let own: Vec<_> = own.into_list().into_iter().map(|(name, raw)| (name, raw.get().to_owned())).collect();
    let names = own.iter().map(|(name, _)| name.clone()).collect();
    (own, Some(names))
}

impl Work {
    fn id(&mut self, members: &mut Members<'_>) -> Option<String> {
        let is_set = |raw: &Raw<'_>| !raw.get().starts_with(['n', '{', '[']) && raw.get() != "\"\"";
        let raw = members.get("id").filter(is_set)?;
        if string(raw).is_none() {
            // A number is as good a name as a string, and stays a number in the chat message.
            return Some(Value::from(raw.get()).to_string());
        }
        members.take("id");
        self.own.push("id".to_owned());
        Some(raw.get().to_owned())
    }

    fn time(&mut self, members: &mut Members<'_>) -> Option<Timestamp> {
        let found =
            TIMES.iter().find_map(|name| Some((*name, members.get(name)?, time(members.get(name)?)?)));
        let (name, raw, time) = found?;
        if string(raw).as_deref() == Some(&*time.to_string()) {
            members.take(name);
            self.own.push(name.to_owned());
        }
        Some(time)
    }

    /// The text, as a JSON string. Of a list of parts all else is kept, and where the texts belong.
    fn text(&mut self, members: &mut Members<'_>, place: &'static str) -> Result<String, String> {
        let nothing = || Ok("\"\"".to_owned());
        match members.get(place).map(Raw::get) {
            Some(text) if text.starts_with('"') => {
                members.take(place);
                self.own.push(place.to_owned());
                Ok(text.to_owned())
            }
            Some(parts) if parts.starts_with('[') => {
                members.take(place);
                self.parts(place, parts)
            }
            Some("null") | None => nothing(),
            Some(_) if place == "content" => {
                Err("\"content\" is neither a string nor a list of parts".to_owned())
            }
            Some(_) => nothing(),
        }
    }

    fn parts(&mut self, place: &'static str, parts: &str) -> Result<String, String> {
        let (parts, broken) = list(parts.as_bytes());
        if let Some(reason) = broken {
            return Err(format!("{place:?}: {reason}"));
        }
        let (mut found, mut lengths, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for (_, part) in &parts {
            let part = part.get();
            if part.starts_with('"') {
                found.push(part.to_owned());
                lengths.push(Some(texts::length(part)));
                rest.push("\"\"".to_owned());
                continue;
            }
            let mut members = Members::read(part).map_err(|error| format!("{place:?}: {error}"))?;
            match members.get("text").map(Raw::get).filter(|text| text.starts_with('"')) {
                Some(text) => {
                    found.push(text.to_owned());
                    lengths.push(Some(texts::length(text)));
                    rest.push(members.printed_with("text", "\"\""));
                }
                None => {
                    lengths.push(None);
                    let kind = members.take("type").and_then(string);
                    self.unshown.push(kind.unwrap_or_else(|| "unknown".to_owned()));
                    rest.push(part.to_owned());
                }
            }
        }
        self.lengths = Some(lengths);
        self.kept.push((place.to_owned(), format!("[{}]", rest.join(","))));
        let inside: Vec<&str> = found.iter().filter_map(|text| text.get(1..text.len() - 1)).collect();
        Ok(format!("\"{}\"", inside.join("\\n")))
    }

    /// All that has no field, as a JSON object, and how it belongs together if that is not plain.
    fn metadata(self, mut all: Vec<(String, String)>, own_names: Option<&[String]>, place: &str) -> String {
        let Self { own, kept, lengths, .. } = self;
        let is_plain_role =
            own.iter().all(|name| name == "role" || name == "content") && own.contains(&"role".to_owned());
        let is_plain =
            |(name, raw): &(String, String)| is_known(name, raw) || (name == "content" && raw == "null");
        let has_text = own.iter().chain(kept.iter().map(|(name, _)| name)).any(|name| name == "content");
        let needs_no_mark = own_names.is_none()
            && lengths.is_none()
            && is_plain_role
            && has_text
            && kept.iter().all(is_plain);
        let mut names = Vec::new();
        for (name, raw) in kept {
            let mut key = name.clone();
            // What has the name of something else gets another one rather than being lost.
            while all.iter().any(|(other, _)| *other == key) {
                key.push('_');
            }
            names.push(if key == name { Value::from(name) } else { Value::from(vec![name, key.clone()]) });
            all.push((key, raw));
        }
        if !needs_no_mark {
            let mut mark = serde_json::Map::new();
            mark.insert("own".to_owned(), own.into());
            mark.insert("kept".to_owned(), names.into());
            if let Some(own_names) = own_names {
                mark.insert("metadata".to_owned(), own_names.into());
            }
            if place != "content" {
                mark.insert("text".to_owned(), place.into());
            }
            if let Some(lengths) = lengths {
                mark.insert("lengths".to_owned(), lengths.into());
            }
            let longest = mark_name(all.iter().map(|(name, _)| name.as_str()));
            let key = longest.map_or_else(|| MARK.to_owned(), |longest| format!("{longest}_"));
            all.push((key, Value::Object(mark).to_string()));
        }
        let print = |(key, raw): &(String, String)| format!("{}:{raw}", Value::from(key.as_str()));
        format!("{{{}}}", all.iter().map(print).collect::<Vec<_>>().join(","))
    }
}
