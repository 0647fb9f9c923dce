//! Where an item came from: the member `source` of its metadata.
//!
//! Owns that member's shape, and which lines of a file are missing between those that are there.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

use aral_store::{Conversation, JsonObject, JsonObjectBuilder};

use crate::chat::json::{Members, Raw, string};

use super::Tool;
use super::entry::{inner, quoted, text};
use super::record::Place;

/// What a conversation's metadata say of its source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Source {
    pub(crate) tool: Tool,
    pub(crate) session: String,
    /// The file, below the folder that the tool keeps its transcripts in.
    pub(crate) path: String,
    /// Which of the sessions of one document it is; 0 where its file is its own.
    pub(crate) part: u64,
}

impl Source {
    pub(crate) fn to_json(&self) -> String {
        let Self { tool, session, path, part } = self;
        let part = if *part == 0 { String::new() } else { format!(r#","part":{part}"#) };
        format!(r#"{{"tool":"{}","session":{},"path":{}{part}}}"#, tool.name(), quoted(session), quoted(path))
    }

    pub(crate) fn of(metadata: &JsonObject) -> Option<Self> {
        let members = Members::read(metadata.as_json()).ok()?;
        let source = Members::read(members.get("source")?.get()).ok()?;
        let tool = text(&source, "tool")?;
        let tool = Tool::ALL.into_iter().find(|known| known.name() == tool)?;
        Some(Self {
            tool,
            session: text(&source, "session")?,
            path: text(&source, "path").unwrap_or_default(),
            part: source.get("part").and_then(|part| part.get().parse().ok()).unwrap_or_default(),
        })
    }

    /// The id that its conversation has.
    pub(crate) fn conversation_id(&self) -> String {
        format!("{}:{}", self.tool.name(), self.session)
    }

    /// Whether both are of one session, wherever its file lay.
    pub(crate) fn is_same_session(&self, other: &Self) -> bool {
        (self.tool, &self.session) == (other.tool, &other.session)
    }

    /// The file's place below a folder. A name that leads out of it is none.
    pub(crate) fn below(&self, folder: &Path) -> Option<PathBuf> {
        let path = Path::new(&self.path);
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        (is_plain && path.file_name().is_some()).then(|| folder.join(path))
    }
}

/// Puts the members together that say of which line an item came, with the line as it stands there for its first item.
pub(crate) fn put_line(source: &mut JsonObjectBuilder, tool: Tool, number: u64, raw: Option<&str>) {
    source.string("tool", tool.name()).integer("line", number);
    if let Some(raw) = raw {
        source.string("raw", raw);
    }
}

/// The same of a row or a part; a further item of it has, in place of the whole, by what a change shows.
pub(crate) fn put_record(
    source: &mut JsonObjectBuilder,
    tool: Tool,
    place: &Place,
    raw: &str,
    is_first: bool,
) {
    source.string("tool", tool.name());
    match place {
        Place::Row { table, row } => {
            source.string("table", table);
            if let Some(row) = row {
                source.integer("row", *row);
            }
        }
        Place::Part { number, is_end } => {
            source.integer("line", *number);
            if *is_end {
                source.boolean("end", true);
            }
        }
    }
    if is_first {
        source.string("raw", raw);
    } else {
        source.string("of", &format!("{:08x}", crc32fast::hash(raw.as_bytes())));
    }
}

/// The member that says of what an item came.
pub(crate) fn source_of(metadata: &JsonObject) -> Option<String> {
    let members = Members::read(metadata.as_json()).ok()?;
    members.get("source").map(|source| source.get().to_owned())
}

/// Metadata for a person to read: without the line as it stands in its file, which says the same once more.
pub(crate) fn for_reading(metadata: &JsonObject) -> Cow<'_, str> {
    let text = metadata.as_json();
    let shortened = || {
        let members = Members::read(text).ok()?;
        let source = Members::read(members.get("source")?.get()).ok()?;
        source.get("raw")?;
        let kept: Vec<String> = source
            .into_list()
            .into_iter()
            .filter(|(name, _)| !["raw", "of"].contains(&name.as_str()))
            .map(|(name, raw)| format!("{}:{}", quoted(&name), raw.get()))
            .collect();
        Some(members.printed_with("source", &format!("{{{}}}", kept.join(","))))
    };
    // Of most metadata this is known without reading them.
    let short = text.contains("\"source\"").then(shortened).flatten();
    short.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A conversation's file as its items have it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct File {
    pub(crate) lines: Vec<String>,
    /// The first line that is not there, and how many are not.
    pub(crate) missing: Option<(u64, u64)>,
    /// How many items did not come of it.
    pub(crate) others: usize,
}

/// What the metadata of its messages and actions say.
fn metadata_of(conversation: &Conversation) -> impl Iterator<Item = &JsonObject> {
    let of_messages = conversation.messages.iter().map(|message| &message.metadata);
    of_messages.chain(conversation.actions.iter().map(|action| &action.metadata))
}

pub(crate) fn file(conversation: &Conversation, tool: Tool) -> File {
    let (mut found, mut others) = (Vec::new(), 0);
    for metadata in metadata_of(conversation) {
        match line(metadata, tool) {
            Some((number, Some(raw))) => found.push((number, raw)),
            Some((_, None)) => {}
            None => others += 1,
        }
    }
    found.sort_by_key(|(number, _)| *number);
    found.dedup_by_key(|(number, _)| *number);
    let (mut next, mut missing) = (1, None::<(u64, u64)>);
    for (number, _) in &found {
        if let Some(count) = number.checked_sub(next).filter(|count| *count > 0) {
            let (first, before) = missing.unwrap_or((next, 0));
            missing = Some((first, before.saturating_add(count)));
        }
        next = number.saturating_add(1);
    }
    File { lines: found.into_iter().map(|(_, raw)| raw).collect(), missing, others }
}

/// The rows of a database that a conversation came of, a JSON line each, by their tables, and how many items came of none.
pub(crate) fn rows(conversation: &Conversation, tool: Tool) -> File {
    let mut file = File::default();
    for metadata in metadata_of(conversation) {
        let members = Members::read(metadata.as_json()).unwrap_or_default();
        let source = inner(&members, "source");
        if text(&source, "tool").as_deref() != Some(tool.name()) {
            file.others += 1;
        } else if let Some(row) = text(&source, "raw") {
            let table = source.get("table").map_or("null", Raw::get);
            file.lines.push(format!(r#"{{"table":{table},"row":{row}}}"#));
        }
    }
    file.lines.sort();
    file
}

/// A part of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub(crate) number: u64,
    pub(crate) raw: String,
    pub(crate) is_end: bool,
}

/// The parts of a document that a conversation came of and that are still in it, in order, and how many items came of none.
pub(crate) fn parts(conversation: &Conversation, tool: Tool) -> (Vec<Part>, usize) {
    let (mut found, mut others) = (Vec::new(), 0);
    for metadata in metadata_of(conversation) {
        let members = Members::read(metadata.as_json()).unwrap_or_default();
        let source = inner(&members, "source");
        if text(&source, "tool").as_deref() != Some(tool.name()) {
            others += 1;
        } else if let (Some(raw), None) = (text(&source, "raw"), source.get("gone")) {
            let number = source.get("line").and_then(|number| number.get().parse().ok()).unwrap_or_default();
            found.push(Part { number, raw, is_end: source.get("end").is_some() });
        }
    }
    found.sort_by_key(|part| part.number);
    (found, others)
}

/// The same member of an item that came of a document and is there no more; nothing for any other.
pub(crate) fn gone(metadata: &JsonObject) -> Option<String> {
    let source = source_of(metadata)?;
    let members = Members::read(&source).ok()?;
    let is_there = members.get("line").is_some() && members.get("gone").is_none();
    let open = source.strip_suffix('}').filter(|_| is_there)?;
    Some(format!(r#"{open},"gone":true}}"#))
}

/// The number of the line that an item came of, and the line, with the first item that did.
fn line(metadata: &JsonObject, tool: Tool) -> Option<(u64, Option<String>)> {
    let members = Members::read(metadata.as_json()).ok()?;
    let source = Members::read(members.get("source")?.get()).ok()?;
    if text(&source, "tool")? != tool.name() {
        return None;
    }
    let number = source.get("line").map(Raw::get)?.parse().ok()?;
    Some((number, source.get("raw").and_then(string)))
}
