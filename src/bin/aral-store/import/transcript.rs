//! Taking in the transcript of a session.
//!
//! Owns the conversation that a file becomes, line by line, and what is done about lines that cannot be read. The files are
//! only read, and go on growing: what is in the store already is the beginning of what comes the next time.

use std::io::BufRead;
use std::path::Path;

use aral_store::{Error, ErrorKind, ExportLine, Timestamp};

use super::intake::Intake;
use super::item::{export_line, item, unread};
use super::piece::{Head, Piece};
use crate::chat::json::Members;
use crate::exit::Failure;
use crate::lines::{Lines, NumberedLine};
use crate::output;
use crate::transcripts::entry::{About, Line, Reader, further, quoted};
use crate::transcripts::source::{Source, further_json, line_json};
use crate::transcripts::{Tool, reader};

/// How many bytes of lines are taken in at once.
const PART: usize = 16 << 20;

/// A session whose lines begin with those of another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fork {
    pub(super) id: String,
    pub(super) parent: String,
}

/// Takes a file in; the session it was forked from, if it needs that one's lines.
pub(super) fn take<R: BufRead>(
    tool: Tool,
    lines: &mut Lines<R>,
    path: &Path,
    intake: &mut Intake<'_>,
) -> Result<Option<Fork>, Failure> {
    let Some(reader) = reader(tool) else {
        let text = format!("not imported: {} keeps no files of JSON lines", tool.title());
        return Err(Failure::Input(Error::new(ErrorKind::InvalidInput, text).at(path, None)));
    };
    let mut file = Transcript::new(tool, path, (reader, intake));
    while let Some((line, is_ended)) = lines.next_as_is().map_err(of_file)? {
        if !file.line(line, is_ended) {
            break;
        }
        if file.waiting >= PART {
            file.put()?;
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

/// A line that waits for its part to be taken in.
struct Read {
    number: u64,
    raw: String,
    line: Line,
}

struct Transcript<'i, 's> {
    tool: Tool,
    path: &'i Path,
    intake: &'i mut Intake<'s>,
    reader: Box<dyn Reader>,
    stem: String,
    /// Whose file it is by its first line: what comes later must not give it another name.
    session: Option<String>,
    id: String,
    lines: Vec<Read>,
    /// How many bytes those lines have.
    waiting: usize,
    /// The time of the last line that had one.
    time: Option<Timestamp>,
    is_begun: bool,
    messages: usize,
    actions: usize,
}

impl<'i, 's> Transcript<'i, 's> {
    fn new(tool: Tool, path: &'i Path, (reader, intake): (Box<dyn Reader>, &'i mut Intake<'s>)) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (id, lines) = (String::new(), Vec::new());
        let (waiting, time, session, is_begun, messages, actions) = (0, None, None, false, 0, 0);
        Self {
            tool,
            path,
            intake,
            reader,
            stem,
            session,
            id,
            lines,
            waiting,
            time,
            is_begun,
            messages,
            actions,
        }
    }

    /// Takes a line; whether the rest of the file is to be read.
    fn line(&mut self, line: NumberedLine, is_ended: bool) -> bool {
        let number = line.number;
        let raw = match String::from_utf8(line.bytes) {
            Ok(raw) => raw,
            Err(_) if !is_ended => return self.unfinished(number),
            Err(_) => {
                self.bad(number, "it is not UTF-8, and not imported; an export of this session will lack it");
                return true;
            }
        };
        // Some editors put it there, and no reader of JSON takes it.
        let json = raw.strip_prefix('\u{feff}').filter(|_| number == 1).unwrap_or(&raw);
        let read = match Members::read(json.as_bytes()) {
            Ok(members) => self.reader.read(&members),
            Err(_) if !is_ended => return self.unfinished(number),
            Err(_) if raw.trim().is_empty() => Line::default(),
            Err(error) => {
                self.bad(number, &format!("it is no JSON object, and kept as it is: {error}"));
                Line::default()
            }
        };
        if number == 1 {
            self.session.clone_from(&self.reader.about().session);
        }
        self.waiting += raw.len();
        self.lines.push(Read { number, raw, line: read });
        true
    }

    fn unfinished(&self, number: u64) -> bool {
        if self.intake.is_watching {
            return false;
        }
        output::note(&format!(
            "{}: line {number} is not complete yet, and left for the next import",
            self.path.display()
        ));
        false
    }

    fn bad(&mut self, number: u64, reason: &str) {
        let error = Error::new(ErrorKind::InvalidInput, format!("line {number}: {reason}"));
        self.intake.bad_line(&error.at(self.path, None).to_string());
    }

    /// Adds what waits.
    fn put(&mut self) -> Result<(), Failure> {
        let lines = std::mem::take(&mut self.lines);
        self.waiting = 0;
        if lines.is_empty() {
            return Ok(());
        }
        // What comes before all times has the first one.
        let first = lines.iter().find_map(|read| read.line.time);
        let now = self.intake.now;
        let mut time = self.time.or(first).unwrap_or(now);
        if !self.is_begun {
            self.id = id_of(self.tool, &self.session());
        }
        let mut bad = Vec::new();
        let read = self.piece(lines, &mut time, &mut bad);
        for (number, reason) in bad {
            self.bad(number, &reason);
        }
        match read {
            Ok(mut piece) => {
                self.is_begun = true;
                self.time = Some(time);
                (piece.undated, piece.is_transcript) = (Some(now), true);
                self.messages += piece.messages.len();
                self.actions += piece.actions.len();
                self.intake.take(piece)
            }
            Err(reason) => {
                let error = Error::new(ErrorKind::InvalidInput, format!("not imported: {reason}"));
                self.intake.bad_line(&error.at(self.path, None).to_string());
                Ok(())
            }
        }
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

    /// What lines come to; those that no item can hold are named in `bad`.
    fn piece(
        &self,
        lines: Vec<Read>,
        time: &mut Timestamp,
        bad: &mut Vec<(u64, String)>,
    ) -> Result<Piece, String> {
        let id = quoted(&self.id);
        let head = if self.is_begun { None } else { Some(self.head(&id, *time)?) };
        let mut piece = Piece {
            first_message: self.messages,
            first_action: self.actions,
            ..Piece::new(self.id.clone(), head)
        };
        let mut is_dated = self.time.is_some();
        for Read { number, raw, line } in lines {
            is_dated |= line.time.is_some();
            *time = line.time.unwrap_or(*time);
            let name = line.id.unwrap_or_else(|| format!("line-{number}"));
            let entries = if line.entries.is_empty() { vec![unread()] } else { line.entries };
            for (at, entry) in entries.into_iter().enumerate() {
                let source = if at == 0 {
                    line_json(self.tool, number, &raw)
                } else {
                    further_json(self.tool, number)
                };
                let name = if at == 0 { name.clone() } else { format!("{name}#{}", at + 1) };
                // What the line holds may be more than a store takes as data, or as an id; as it stands it is text.
                let kept = || item(&id, &format!("line-{number}"), *time, &source, &unread());
                match item(&id, &name, *time, &source, &entry).or_else(|_| kept()) {
                    Ok(ExportLine::Message { message, .. }) => piece.message(message),
                    Ok(ExportLine::Action { action, .. }) => piece.action(action),
                    Ok(_) => return Err(format!("line {number}: it was read as something else")),
                    Err(reason) => {
                        let lacks = "not imported; an export of this session will lack it";
                        bad.push((number, format!("{lacks}: {reason}")));
                        break;
                    }
                }
            }
            if !is_dated {
                piece.leading = (piece.messages.len(), piece.actions.len());
            }
        }
        Ok(piece)
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
