//! Taking in the transcript of a session.
//!
//! Owns the conversation that a file becomes, line by line, and what is done about lines that cannot be read. The files are
//! only read, and go on growing: what is in the store already is the beginning of what comes the next time.

use std::io::BufRead;
use std::path::Path;

use aral_store::{Error, ErrorKind, ExportLine, Timestamp};

use super::intake::Intake;
use super::item::{Item, export_line, item, unread};
use super::piece::{Head, Piece};
use crate::chat::json::Members;
use crate::exit::Failure;
use crate::lines::{Lines, NumberedLine};
use crate::output;
use crate::transcripts::entry::{About, Entry, Line, Reader, further, quoted};
use crate::transcripts::source::{Source, put_line};
use crate::transcripts::{Tool, reader};

/// How many bytes of lines are taken in at once: so many that an append is little beside them, and so few that they are in the
/// processor's cache still when they are appended.
const PART: usize = 512 << 10;

/// How many bytes of lines may be waited for until it shows what the conversation begins with.
const HEAD: usize = 16 << 20;

/// A session whose lines begin with those of another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fork {
    pub(super) id: String,
    pub(super) parent: String,
}

/// What comes of the lines of a file, in their order.
#[derive(Debug)]
pub(super) enum Step {
    Piece(Box<Piece>),
    /// What cannot be read, in words.
    Bad(String),
    Note(String),
}

impl Step {
    /// Does what there is to do about it.
    pub(super) fn carry_out(self, intake: &mut Intake<'_>) -> Result<(), Failure> {
        match self {
            Self::Piece(piece) => return intake.take(*piece),
            Self::Bad(text) => intake.bad_line(&text),
            Self::Note(text) => output::note(&text),
        }
        Ok(())
    }
}

/// What the reading of a file has to know of the import that it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    /// The time of what comes without one.
    pub(super) now: Timestamp,
    /// Whether this is one look of many.
    pub(super) is_watching: bool,
}

impl Looks {
    pub(super) fn of(intake: &Intake<'_>) -> Self {
        Self { now: intake.now, is_watching: intake.is_watching }
    }
}

/// Reads a file, hands on what comes of its lines, and gives the session it was forked from, if it needs that one's lines. An error of whoever takes it ends the reading.
pub(super) fn read<R: BufRead>(
    (tool, path): (Tool, &Path),
    lines: &mut Lines<R>,
    looks: Looks,
    give: &mut dyn FnMut(Step) -> Result<(), Failure>,
) -> Result<Option<Fork>, Failure> {
    let Some(reader) = reader(tool) else {
        let text = format!("not imported: {} keeps no files of JSON lines", tool.title());
        return Err(Failure::Input(Error::new(ErrorKind::InvalidInput, text).at(path, None)));
    };
    let mut file = Transcript::new((tool, path), reader, looks, give);
    while let Some((line, is_ended)) = lines.next_as_is().map_err(of_file)? {
        if !file.line(line, is_ended)? {
            break;
        }
    }
    file.put()?;
    let about = file.reader.about();
    let parent = about.parent.as_ref().filter(|_| about.parent_lines.is_some());
    Ok(parent.map(|parent| Fork { id: file.id.clone(), parent: id_of(tool, parent) }))
}

/// A failure to read the file, which is about that file alone.
pub(super) fn of_file(failure: Failure) -> Failure {
    match failure {
        Failure::Store(error) => Failure::Input(error),
        other @ (Failure::Input(_)
        | Failure::Usage(_)
        | Failure::Unprinted { .. }
        | Failure::Unread
        | Failure::Stopped(_)) => other,
    }
}

fn id_of(tool: Tool, session: &str) -> String {
    format!("{}:{session}", tool.name())
}

/// A line that was read.
struct Read {
    number: u64,
    raw: String,
    line: Line,
}

struct Transcript<'i> {
    tool: Tool,
    path: &'i Path,
    looks: Looks,
    give: &'i mut dyn FnMut(Step) -> Result<(), Failure>,
    reader: Box<dyn Reader>,
    stem: String,
    /// Whose file it is by its first line: what comes later must not give it another name.
    session: Option<String>,
    id: String,
    /// The lines before it is known what the conversation begins with.
    lines: Vec<Read>,
    /// What the lines behind them come to, until it is handed on.
    piece: Option<Piece>,
    /// How many bytes the lines of either have.
    waiting: usize,
    /// The time of the last line, once it has begun.
    time: Option<Timestamp>,
    /// Whether a line had a time.
    is_dated: bool,
    messages: usize,
    actions: usize,
}

impl<'i> Transcript<'i> {
    fn new(
        (tool, path): (Tool, &'i Path),
        reader: Box<dyn Reader>,
        looks: Looks,
        give: &'i mut dyn FnMut(Step) -> Result<(), Failure>,
    ) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            tool,
            path,
            looks,
            give,
            reader,
            stem,
            session: None,
            id: String::new(),
            lines: Vec::new(),
            piece: None,
            waiting: 0,
            time: None,
            is_dated: false,
            messages: 0,
            actions: 0,
        }
    }

    /// Takes a line; whether the rest of the file is to be read.
    fn line(&mut self, line: NumberedLine, is_ended: bool) -> Result<bool, Failure> {
        let number = line.number;
        let raw = match String::from_utf8(line.bytes) {
            Ok(raw) => raw,
            Err(_) if !is_ended => return self.unfinished(number),
            Err(_) => {
                self.bad(
                    number,
                    "it is not UTF-8, and not imported; an export of this session will lack it",
                )?;
                return Ok(true);
            }
        };
        // Some editors put it there, and no reader of JSON takes it.
        let json = raw.strip_prefix('\u{feff}').filter(|_| number == 1).unwrap_or(&raw);
        let read = match Members::read(json) {
            Ok(members) => self.reader.read(&members),
            Err(_) if !is_ended => return self.unfinished(number),
            Err(_) if raw.trim().is_empty() => Line::default(),
            Err(error) => {
                self.bad(number, &format!("it is no JSON object, and kept as it is: {error}"))?;
                Line::default()
            }
        };
        if number == 1 {
            self.session.clone_from(&self.reader.about().session);
        }
        self.waiting += raw.len();
        self.is_dated |= read.time.is_some();
        let read = Read { number, raw, line: read };
        if self.time.is_none() {
            self.lines.push(read);
            // The head is made of what has been read before it, and is not changed by what comes behind.
            let is_known = self.is_dated && self.reader.is_known();
            if self.waiting >= if is_known { PART } else { HEAD } {
                self.put()?;
            }
        } else {
            self.add(read)?;
            if self.waiting >= PART {
                self.put()?;
            }
        }
        Ok(true)
    }

    fn unfinished(&mut self, number: u64) -> Result<bool, Failure> {
        if !self.looks.is_watching {
            let path = self.path.display();
            let text = format!("{path}: line {number} is not complete yet, and left for the next import");
            (self.give)(Step::Note(text))?;
        }
        Ok(false)
    }

    fn bad(&mut self, number: u64, reason: &str) -> Result<(), Failure> {
        self.told(format!("line {number}: {reason}"))
    }

    fn told(&mut self, reason: String) -> Result<(), Failure> {
        let error = Error::new(ErrorKind::InvalidInput, reason).at(self.path, None);
        (self.give)(Step::Bad(error.to_string()))
    }

    /// Hands on what waits.
    fn put(&mut self) -> Result<(), Failure> {
        let lines = std::mem::take(&mut self.lines);
        if !lines.is_empty() {
            self.begin(lines)?;
        }
        self.waiting = 0;
        self.hand_on()
    }

    /// Begins the conversation with its first lines.
    fn begin(&mut self, lines: Vec<Read>) -> Result<(), Failure> {
        // What comes before all times has the first one.
        let first = lines.iter().find_map(|read| read.line.time);
        let time = first.unwrap_or(self.looks.now);
        self.id = id_of(self.tool, &self.session());
        let head = match self.head(&quoted(&self.id), time) {
            Ok(head) => head,
            Err(reason) => return self.told(format!("not imported: {reason}")),
        };
        self.piece = Some(self.piece_of(Some(head)));
        self.time = Some(time);
        let (mut leads, mut bytes) = (true, 0);
        for read in lines {
            leads &= read.line.time.is_none();
            bytes += read.raw.len();
            self.add(read)?;
            if let Some(piece) = self.piece.as_mut().filter(|_| leads) {
                piece.leading = (piece.messages.len(), piece.actions.len());
            }
            if bytes >= PART {
                bytes = 0;
                self.hand_on()?;
            }
        }
        Ok(())
    }

    /// Hands a piece on, if there is one.
    fn hand_on(&mut self) -> Result<(), Failure> {
        let Some(piece) = self.piece.take() else { return Ok(()) };
        self.messages += piece.messages.len();
        self.actions += piece.actions.len();
        (self.give)(Step::Piece(Box::new(piece)))
    }

    /// A piece of this conversation that is empty yet.
    fn piece_of(&self, head: Option<Head>) -> Piece {
        Piece {
            first_message: self.messages,
            first_action: self.actions,
            undated: Some(self.looks.now),
            is_transcript: true,
            ..Piece::new(self.id.clone(), head)
        }
    }

    /// Adds what a line comes to; a line that no item can hold is named.
    fn add(&mut self, read: Read) -> Result<(), Failure> {
        let Read { number, raw, line } = read;
        let time = line.time.or(self.time).unwrap_or(self.looks.now);
        self.time = Some(time);
        let name = line.id.unwrap_or_else(|| format!("line-{number}"));
        let entries = if line.entries.is_empty() { vec![unread()] } else { line.entries };
        for (at, entry) in entries.into_iter().enumerate() {
            let raw = (at == 0).then_some(raw.as_str());
            let further = if at == 0 { None } else { Some(format!("{name}#{}", at + 1)) };
            let made = |name: &str, entry: &Entry| {
                item(name, time, entry, raw, |source| put_line(source, self.tool, number, raw))
            };
            // What the line holds may be more than a store takes as data, or as an id; as it stands it is text.
            let kept = |_| made(&format!("line-{number}"), &unread());
            match made(further.as_ref().unwrap_or(&name), &entry).or_else(kept) {
                Ok(made) => {
                    let fresh = self.piece.take().unwrap_or_else(|| self.piece_of(None));
                    let piece = self.piece.insert(fresh);
                    match made {
                        Item::Message(message) => piece.message(message),
                        Item::Action(action) => piece.action(action),
                    }
                }
                Err(reason) => {
                    let lacks = "not imported; an export of this session will lack it";
                    return self.bad(number, &format!("{lacks}: {reason}"));
                }
            }
        }
        Ok(())
    }

    /// The session's name: that of its file, but for what tools put around it.
    fn session(&self) -> String {
        match (self.tool, &self.session) {
            (Tool::Codex, Some(session)) => session.clone(),
            // The lines of an agent that a session has started have the session's id, and agents of two sessions may have one name.
            (Tool::ClaudeCode, Some(session)) if *session != self.stem => format!("{session}/{}", self.stem),
            // A session that is resumed may get a second file.
            _ => self.stem.clone(),
        }
    }

    fn head(&self, id: &str, time: Timestamp) -> Result<Head, String> {
        let About { title, parent, parent_lines, fields, .. } = self.reader.about();
        let source =
            Source { tool: self.tool, session: self.session(), path: self.tool.name_of(self.path), part: 0 };
        let short: String = source.session.chars().take(8).collect();
        let title = title.clone().unwrap_or_else(|| format!("{} session {short}", self.tool.title()));
        // An agent that a session has started is in a file of its own.
        let is_agents = source.session.contains('/');
        let parent = parent.as_ref().or(self.session.as_ref().filter(|_| is_agents));
        let parent = parent.map_or_else(String::new, |parent| {
            let lines = parent_lines.map(|lines| format!(r#","lines":{lines}"#)).unwrap_or_default();
            format!(r#","parent":{{"conversation_id":{}{lines}}}"#, quoted(&id_of(self.tool, parent)))
        });
        let metadata = format!(r#""source":{}{}{parent}"#, source.to_json(), further(fields));
        let line = format!(
            r#"{{"type":"conversation","id":{id},"title":{},"created_at":"{time}","metadata":{{{metadata}}}}}"#,
            quoted(&title)
        );
        let ExportLine::Conversation { title, created_at, metadata, extra, .. } = export_line(&line)? else {
            return Err("it was read as something else".to_owned());
        };
        Ok(Head { title, created_at, metadata, extra })
    }
}

#[cfg(test)]
mod tests;
