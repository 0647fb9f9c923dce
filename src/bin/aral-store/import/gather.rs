//! Taking in sessions whose source may change what it has said: rows of databases, and documents that are written anew.
//!
//! Owns how they are held against what is there. Each item is known by its id and says of what it came: what is new there is added behind
//! what is here, what came of something that has been changed since is changed, and what is there no more stays.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use aral_store::{
    Action, ActionEdit, Conversation, Edit, Error, ErrorKind, ExportLine, JsonObject, Message, Mutation,
    Operation, Text, Timestamp,
};

use super::intake::Intake;
use super::item::{Item, export_line, item, unread};
use super::piece::{Head, Piece, new_action, new_message};
use crate::chat::json::Members;
use crate::exit::Failure;
use crate::output;
use crate::transcripts::Tool;
use crate::transcripts::entry::{About, Entry, further, quoted};
use crate::transcripts::record::{Known, Record, Sink};
use crate::transcripts::source::{Source, gone, put_record, source_of};

/// How many bytes of records are taken in at once.
const PART: usize = 16 << 20;

/// The longest id that a source gives an item.
const NAME: usize = 300;

pub(super) struct Gather<'i, 's> {
    tool: Tool,
    path: &'i Path,
    intake: &'i mut Intake<'s>,
    open: Open,
}

/// The session that is being read.
#[derive(Default)]
struct Open {
    id: String,
    known: Known,
    about: About,
    waiting: Vec<Record>,
    bytes: usize,
    names: HashSet<String>,
    time: Option<Timestamp>,
    is_begun: bool,
    /// What is in the store of it.
    there: Option<There>,
}

struct There {
    conversation: Conversation,
    messages: HashMap<String, usize>,
    actions: HashMap<String, usize>,
    /// The items that are at the source still.
    seen: HashSet<String>,
    is_changed: bool,
}

impl<'i, 's> Gather<'i, 's> {
    pub(super) fn new(tool: Tool, path: &'i Path, intake: &'i mut Intake<'s>) -> Self {
        Self { tool, path, intake, open: Open::default() }
    }

    fn id_of(&self, session: &str) -> String {
        format!("{}:{session}", self.tool.name())
    }

    fn bad(&mut self, reason: &str) {
        let error = Error::new(ErrorKind::InvalidInput, reason.to_owned());
        self.intake.bad_line(&error.at(self.path, None).to_string());
    }

    /// Adds what waits.
    fn flush(&mut self) -> Result<(), Failure> {
        let waiting = std::mem::take(&mut self.open.waiting);
        self.open.bytes = 0;
        if (waiting.is_empty() && self.open.is_begun) || self.intake.is_kept_out(&self.open.id) {
            return Ok(());
        }
        let first = waiting.iter().find_map(|record| record.line.time);
        let mut time = self.open.time.or(first).unwrap_or(self.intake.now);
        let head = if self.open.is_begun { None } else { Some(self.head(time)) };
        let head = match head.transpose() {
            Ok(head) => head,
            Err(reason) => {
                self.bad(&format!("not imported: {reason}"));
                return Ok(());
            }
        };
        self.open.is_begun = true;
        let items = self.items(waiting, &mut time);
        self.open.time = Some(time);
        match self.open.there.take() {
            None => self.add(head, items),
            Some(mut there) => {
                let changed = self.compare(head, items, &mut there);
                self.open.there = Some(there);
                changed
            }
        }
    }

    /// A conversation that is new.
    fn add(&mut self, head: Option<Head>, items: Vec<Item>) -> Result<(), Failure> {
        let mut piece = Piece::new(self.open.id.clone(), head);
        for item in items {
            match item {
                Item::Message(message) => piece.message(message),
                Item::Action(action) => piece.action(action),
            }
        }
        piece.is_transcript = true;
        self.intake.take(piece)
    }

    fn items(&mut self, records: Vec<Record>, time: &mut Timestamp) -> Vec<Item> {
        let mut items = Vec::new();
        for Record { name, place, raw, line } in records {
            *time = line.time.unwrap_or(*time);
            let entries = if line.entries.is_empty() { vec![unread()] } else { line.entries };
            for (at, entry) in entries.into_iter().enumerate() {
                let is_first = at == 0;
                let name = if is_first { name.clone() } else { format!("{name}#{}", at + 1) };
                let made = |entry: &Entry| {
                    item(&name, *time, entry, is_first.then_some(raw.as_str()), |source| {
                        put_record(source, self.tool, &place, &raw, is_first);
                    })
                };
                let made = made(&entry).or_else(|_| made(&unread()));
                match made {
                    Ok(item) => items.push(item),
                    Err(reason) => {
                        self.bad(&format!("{place}: not imported: {reason}"));
                        break;
                    }
                }
            }
        }
        items
    }

    fn head(&self, time: Timestamp) -> Result<Head, String> {
        let About { title, parent, parent_lines, fields, created, .. } = &self.open.about;
        let Known { session, path, part } = self.open.known.clone();
        let source = Source { tool: self.tool, session, path, part };
        let short: String = source.session.chars().take(24).collect();
        let title = title.clone().unwrap_or_else(|| format!("{} session {short}", self.tool.title()));
        let parent = parent.as_ref().map_or_else(String::new, |parent| {
            let lines = parent_lines.map(|lines| format!(r#","lines":{lines}"#)).unwrap_or_default();
            format!(r#","parent":{{"conversation_id":{}{lines}}}"#, quoted(&self.id_of(parent)))
        });
        let line = format!(
            r#"{{"type":"conversation","id":{},"title":{},"created_at":"{}","metadata":{{"source":{}{}{parent}}}}}"#,
            quoted(&self.open.id),
            quoted(&title),
            created.unwrap_or(time),
            source.to_json(),
            further(fields)
        );
        let ExportLine::Conversation { title, created_at, metadata, extra, .. } = export_line(&line)? else {
            return Err("it was read as something else".to_owned());
        };
        Ok(Head { title, created_at, metadata, extra })
    }

    /// Holds items against what is there.
    fn compare(&mut self, head: Option<Head>, items: Vec<Item>, there: &mut There) -> Result<(), Failure> {
        let mut mutations = Vec::new();
        let id = self.open.id.clone();
        if let Some(head) = head {
            let (old, new) = (&there.conversation.metadata, &head.metadata);
            if Source::of(old) != Source::of(new)
                && let Some(metadata) = merged(old, new)
            {
                mutations.push(Mutation::new(id.clone(), Operation::SetMetadata(metadata)));
            }
        }
        let mut changed = 0;
        for item in items {
            let found = match item {
                Item::Message(message) => there.message(&id, message),
                Item::Action(action) => there.action(&id, action),
            };
            changed += u64::from(found.as_ref().is_some_and(|mutation| {
                matches!(mutation.operation, Operation::EditMessage { .. } | Operation::EditAction { .. })
            }));
            mutations.extend(found);
        }
        if mutations.is_empty() {
            return Ok(());
        }
        let version = there.conversation.version;
        if let Some(version) = self.intake.put(&id, mutations.into_iter(), (version, false))? {
            there.conversation.version = version;
            there.is_changed = true;
            self.intake.changed += changed;
        }
        Ok(())
    }
}

impl There {
    fn of(conversation: Conversation) -> Self {
        let messages = conversation.messages.iter().enumerate();
        let messages = messages.map(|(at, message)| (message.id.to_string(), at)).collect();
        let actions = conversation.actions.iter().enumerate();
        let actions = actions.map(|(at, action)| (action.id.to_string(), at)).collect();
        Self { conversation, messages, actions, seen: HashSet::new(), is_changed: false }
    }

    /// What marks the parts of a document that are in it no more, so that an export leaves them out.
    fn gone(&self, id: &str) -> Vec<Mutation> {
        let marked = |name: &Text, metadata: &JsonObject| {
            let source = gone(metadata).filter(|_| !self.seen.contains(&name.to_string()))?;
            let members = Members::read(metadata.as_json()).ok()?;
            object_of(&members.printed_with("source", &source))
        };
        let mut mutations = Vec::new();
        for message in &self.conversation.messages {
            if let Some(metadata) = marked(&message.id, &message.metadata) {
                let mut edit = Edit::new();
                edit.metadata = Some(metadata);
                let message_id = message.id.clone();
                mutations.push(Mutation::new(id, Operation::EditMessage { message_id, edit }));
            }
        }
        for action in &self.conversation.actions {
            if let Some(metadata) = marked(&action.id, &action.metadata) {
                let mut edit = ActionEdit::new();
                edit.metadata = Some(metadata);
                let action_id = action.id.clone();
                mutations.push(Mutation::new(id, Operation::EditAction { action_id, edit }));
            }
        }
        mutations
    }

    /// The id that an item has here: another one if something of the other kind has it.
    fn name(mine: &HashMap<String, usize>, others: &HashMap<String, usize>, name: &str) -> String {
        let mut next = name.to_owned();
        let mut again = 1;
        while others.contains_key(&next) && !mine.contains_key(&next) {
            again += 1;
            next = format!("{name}@{again}");
        }
        next
    }

    fn message(&mut self, id: &str, mut message: Message) -> Option<Mutation> {
        let name = Self::name(&self.messages, &self.actions, &message.id.to_string());
        self.seen.insert(name.clone());
        message.id = name.as_str().into();
        let Some(known) = self.messages.get(&name).and_then(|at| self.conversation.messages.get(*at)) else {
            return Some(Mutation::add_message(id, new_message(message)));
        };
        if source_of(&known.metadata) == source_of(&message.metadata) {
            return None;
        }
        let mut edit = Edit::new();
        edit.content = Some(message.content).filter(|content| *content != known.content);
        edit.role = Some(message.role).filter(|role| *role != known.role);
        edit.created_at = Some(message.created_at).filter(|time| *time != known.created_at);
        edit.metadata = merged(&known.metadata, &message.metadata);
        Some(Mutation::new(id, Operation::EditMessage { message_id: message.id, edit }))
    }

    fn action(&mut self, id: &str, mut action: Action) -> Option<Mutation> {
        let name = Self::name(&self.actions, &self.messages, &action.id.to_string());
        self.seen.insert(name.clone());
        action.id = name.as_str().into();
        let Some(known) = self.actions.get(&name).and_then(|at| self.conversation.actions.get(*at)) else {
            return Some(Mutation::add_action(id, new_action(action)));
        };
        if source_of(&known.metadata) == source_of(&action.metadata) {
            return None;
        }
        let mut edit = ActionEdit::new();
        edit.action_type = Some(action.action_type).filter(|kind| *kind != known.action_type);
        edit.data = Some(action.data).filter(|data| *data != known.data);
        edit.created_at = Some(action.created_at).filter(|time| *time != known.created_at);
        edit.metadata = merged(&known.metadata, &action.metadata);
        Some(Mutation::new(id, Operation::EditAction { action_id: action.id, edit }))
    }
}

/// New metadata, with the members that somebody added to the old.
fn merged(old: &JsonObject, new: &JsonObject) -> Option<JsonObject> {
    let (old, new) = (Members::read(old.as_json()).ok()?, Members::read(new.as_json()).ok()?);
    let mut members = new.clone().into_list();
    members.extend(old.into_list().into_iter().filter(|(name, _)| new.get(name).is_none()));
    let members: Vec<String> =
        members.iter().map(|(name, raw)| format!("{}:{}", quoted(name), raw.get())).collect();
    object_of(&format!("{{{}}}", members.join(",")))
}

/// JSON as the library's objects are.
fn object_of(json: &str) -> Option<JsonObject> {
    let line = format!(
        r#"{{"type":"conversation","id":"c","created_at":"1970-01-01T00:00:00Z","metadata":{json}}}"#
    );
    match export_line(&line) {
        Ok(ExportLine::Conversation { metadata, .. }) => Some(metadata),
        Ok(_) | Err(_) => None,
    }
}

impl Sink for Gather<'_, '_> {
    fn begin(&mut self, known: Known) -> Result<(), Failure> {
        let id = self.id_of(&known.session);
        self.open = Open { id, known, ..Open::default() };
        let Some(there) = self.intake.there(&self.open.id)? else { return Ok(()) };
        let mine = Source::of(&there.metadata)
            .is_some_and(|source| (source.tool, &source.session) == (self.tool, &self.open.known.session));
        if mine {
            self.open.there = Some(There::of(there));
        } else {
            self.intake.conflict(&self.open.id, "it exists, and is not what came of this session");
        }
        Ok(())
    }

    fn about(&mut self) -> &mut About {
        &mut self.open.about
    }

    fn put(&mut self, mut record: Record) -> Result<(), Failure> {
        if record.name.len() > NAME {
            let named = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, record.name.as_bytes());
            record.name = named.to_string();
        }
        let (given, mut again) = (record.name.clone(), 1);
        while !self.open.names.insert(record.name.clone()) {
            again += 1;
            record.name = format!("{given}~{again}");
        }
        self.open.bytes += record.raw.len();
        self.open.waiting.push(record);
        if self.open.bytes >= PART { self.flush() } else { Ok(()) }
    }

    fn unread(&mut self, place: &str, reason: &str) {
        self.bad(&format!("{place}: {reason}"));
    }

    fn note(&mut self, text: &str) {
        output::note(&format!("{}: {text}", self.path.display()));
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.flush()?;
        let mut open = std::mem::take(&mut self.open);
        if let Some(there) = &mut open.there {
            let gone = there.gone(&open.id);
            let version = there.conversation.version;
            if !gone.is_empty() {
                there.is_changed = self.intake.put(&open.id, gone.into_iter(), (version, false))?.is_some();
            }
        }
        if open.there.is_some_and(|there| !there.is_changed) {
            self.intake.is_as_it_was(&open.id);
        }
        Ok(())
    }
}
