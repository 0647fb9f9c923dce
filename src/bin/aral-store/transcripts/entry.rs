//! What a line of a transcript says, in the fields that the lines of all tools have alike.
//!
//! Owns those fields. Values are JSON as it stands in the line, so that numbers and strings stay what they are.

use aral_store::Timestamp;

use crate::chat::json::{Members, Raw, list, string};

/// How many fields there is room for at once: most entries have no more.
const FIELDS: usize = 6;

/// The longest title that is made of a prompt, in characters.
const TITLE: usize = 80;

/// A message or an action that a line becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) form: Form,
    /// What is known of it beside, as members of its metadata.
    pub(crate) fields: Vec<(&'static str, String)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// A text of somebody's, a JSON string.
    Message { role: String, content: String },
    /// Anything else: `tool_call`, `tool_result`, `thinking` or `record`, with a JSON object.
    Action { kind: &'static str, data: String },
}

/// A line as its tool's reader understands it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Line {
    /// The id that it has in its file.
    pub(crate) id: Option<String>,
    pub(crate) time: Option<Timestamp>,
    /// Empty for a line that is kept and says nothing that has a place.
    pub(crate) entries: Vec<Entry>,
}

/// What the lines have said of the whole session so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct About {
    /// The session's id by its lines.
    pub(crate) session: Option<String>,
    /// The first prompt's first line.
    pub(crate) title: Option<String>,
    /// The session that this one was forked from, or belongs to.
    pub(crate) parent: Option<String>,
    /// How many of the parent's lines come before the first of this one; absent where it has a copy of them.
    pub(crate) parent_lines: Option<u64>,
    /// When it began, where its source says it.
    pub(crate) created: Option<Timestamp>,
    /// Members of the conversation's metadata, each as JSON: the first value of each counts.
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// Understands the lines of one file, one after the other.
pub(crate) trait Reader {
    fn read(&mut self, line: &Members<'_>) -> Line;

    fn about(&self) -> &About;

    /// Whether what was read says what the conversation begins with, but for what few sessions have.
    fn is_known(&self) -> bool {
        self.about().title.is_some()
    }
}

impl About {
    /// Takes a member's value over, if there is none yet.
    pub(super) fn learn(&mut self, name: &'static str, value: Option<Raw<'_>>) {
        // Most lines say again what is known.
        if self.fields.iter().all(|(known, _)| *known != name) {
            self.learn_json(name, value.map(|value| value.get().to_owned()));
        }
    }

    /// The same of a value that is JSON already.
    pub(super) fn learn_json(&mut self, name: &'static str, value: Option<String>) {
        let value = value.filter(|value| !["null", "\"\""].contains(&value.as_str()));
        if let Some(value) = value.filter(|_| self.fields.iter().all(|(known, _)| *known != name)) {
            self.fields.push((name, value));
        }
    }

    /// Makes a title of a prompt, if there is none yet.
    pub(super) fn prompt(&mut self, content: &str) {
        if self.title.is_none() {
            let text: String = serde_json::from_str(content).unwrap_or_default();
            let line = text.lines().map(str::trim).find(|line| !line.is_empty());
            self.title = line.map(|line| match line.char_indices().nth(TITLE) {
                Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
                None => line.to_owned(),
            });
        }
    }
}

impl Entry {
    pub(super) fn message(role: &str, content: String) -> Self {
        Self { form: Form::Message { role: role.to_owned(), content }, fields: Vec::with_capacity(FIELDS) }
    }

    pub(super) fn action(kind: &'static str, data: &[(&str, Option<&str>)]) -> Self {
        Self { form: Form::Action { kind, data: object(data) }, fields: Vec::with_capacity(FIELDS) }
    }

    pub(super) fn is_thinking(&self) -> bool {
        matches!(self.form, Form::Action { kind: "thinking", .. })
    }

    /// With a member of the metadata, if it has a value.
    pub(super) fn with(mut self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        self.fields.extend(value.map(|value| (name, value.into())));
        self
    }
}

/// A JSON object of the members that have a value.
pub(super) fn object(members: &[(&str, Option<&str>)]) -> String {
    let room = members.iter().map(|(name, value)| value.map_or(0, |value| name.len() + value.len() + 4));
    let mut object = String::with_capacity(room.sum::<usize>() + 2);
    object.push('{');
    for (name, value) in members.iter().filter_map(|(name, value)| value.map(|value| (name, value))) {
        if object.len() > 1 {
            object.push(',');
        }
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            object.extend(["\"", name, "\""]);
        } else {
            object.push_str(&quoted(name));
        }
        object.push(':');
        object.push_str(value);
    }
    object.push('}');
    object
}

/// The members, each behind a comma.
pub(crate) fn further(fields: &[(&'static str, String)]) -> String {
    let members: Vec<String> =
        fields.iter().map(|(name, value)| format!(",{}:{value}", quoted(name))).collect();
    members.concat()
}

/// A time in UTC, unless it says something else.
pub(super) fn utc(text: &str) -> Option<Timestamp> {
    let has_offset =
        text.ends_with(['Z', 'z']) || text.get(10..).is_some_and(|time| time.contains(['+', '-']));
    let text = text.replacen(' ', "T", 1);
    if has_offset { text.parse().ok() } else { format!("{text}+00:00").parse().ok() }
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    // It has no way to fail for a text.
    serde_json::to_string(text).unwrap_or_default()
}

/// The members of an object that is another one's member; none if it is something else.
pub(super) fn inner<'a>(members: &Members<'a>, name: &str) -> Members<'a> {
    members.get(name).and_then(|raw| Members::read(raw.get()).ok()).unwrap_or_default()
}

/// Whether a member is a string of this text.
pub(super) fn is(members: &Members<'_>, name: &str, ought: &str) -> bool {
    let Some(raw) = members.get(name).map(Raw::get) else { return false };
    let inside = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
    match inside {
        Some(inside) if !inside.contains('\\') => inside == ought,
        _ => text(members, name).as_deref() == Some(ought),
    }
}

/// The text of a member that is a string.
pub(crate) fn text(members: &Members<'_>, name: &str) -> Option<String> {
    members.get(name).and_then(string)
}

/// A member that is there and not null, as it stands in the line.
pub(super) fn raw<'a>(members: &Members<'a>, name: &str) -> Option<&'a str> {
    members.get(name).map(Raw::get).filter(|raw| *raw != "null")
}

/// The elements of a list of objects; what is no object is left out.
pub(super) fn objects(raw: Option<Raw<'_>>) -> Vec<Members<'_>> {
    let bytes = raw.map_or(&b""[..], |raw| raw.get().as_bytes());
    list(bytes).0.into_iter().filter_map(|(_, raw)| Members::read(raw.get()).ok()).collect()
}

/// JSON strings put together into one, with a blank line between each two. Their insides are not looked at, so that what
/// only JSON can write, such as half of a character, stays as it is.
pub(super) fn joined(texts: &[&str]) -> String {
    let is_text = |text: &&&str| text.len() > 1 && text.starts_with('"') && text.ends_with('"');
    let mut joined = String::with_capacity(texts.iter().map(|text| text.len() + 4).sum());
    for text in texts.iter().filter(is_text) {
        joined.push_str(if joined.is_empty() { "\"" } else { "\\n\\n" });
        joined.push_str(text.get(1..text.len() - 1).unwrap_or_default());
    }
    joined.push_str(if joined.is_empty() { "\"\"" } else { "\"" });
    joined
}
