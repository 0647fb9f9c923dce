//! Reading lists of chat messages, in the shapes that chat programs write.
//!
//! Owns which shapes count: a list of messages, an object with `messages`, a list of such objects, and such
//! an object a line. Every value keeps the text it has in the file: a conversation is put together as lines of an
//! export and read by what reads those, so numbers and strings stay exactly what they are. What has no place in a
//! message of this store, such as tool calls, goes into its metadata under its own name.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use aral_store::{Error, ErrorKind, ExportLine, Timestamp};
use uuid::Uuid;

use super::forms::Kind;
use super::intake::Intake;
use super::layout;
use super::piece::{Head, Piece};
use crate::chat::json::{Members, Raw, list, string};
use crate::chat::{Apart, taken_apart};
use crate::exit::Failure;
use crate::lines::Lines;
use crate::output::{self, count};

/// Takes every conversation in; names those that are not what they should be.
pub(super) fn take<R: BufRead>(
    lines: &mut Lines<R>,
    path: &Path,
    intake: &mut Intake<'_>,
    kind: Kind,
) -> Result<(), Failure> {
    let mut reader = Chats { path, intake, unshown: BTreeMap::new() };
    let taken = if kind == Kind::BareLines { reader.bare_lines(lines) } else { reader.file(lines) };
    for (kind, number) in &reader.unshown {
        output::note(&format!(
            "kept in the metadata of their messages and not in their text: {} of type {kind}",
            count(*number, "part")
        ));
    }
    taken
}

struct Chats<'c, 's> {
    path: &'c Path,
    intake: &'c mut Intake<'s>,
    /// Parts of messages that are no text, by their type.
    unshown: BTreeMap<String, u64>,
}

impl Chats<'_, '_> {
    fn file<R: BufRead>(&mut self, lines: &mut Lines<R>) -> Result<(), Failure> {
        let Some(first) = lines.next()? else { return Ok(()) };
        let is_line =
            first.bytes.trim_ascii_start().starts_with(b"{") && Members::of_bytes(&first.bytes).is_ok();
        if !is_line {
            let (offset, document) = lines.document(first)?;
            return self.document(offset, &document);
        }
        // The first one has the file's name alone, whether others follow or not: the file may have grown by the
        // next import, and what is in already must not go in under another name.
        let first_number = first.number;
        let mut next = Some(first);
        while let Some(line) = next {
            let part = Some(line.number).filter(|number| *number != first_number);
            self.conversation(&line.bytes, &format!("line {}", line.number), part)?;
            next = lines.next()?;
        }
        Ok(())
    }

    /// Takes a file in that is one conversation, of which it has a message a line. It goes in as a whole or not at all:
    /// the messages behind one that cannot be read would not be where they are in the file.
    fn bare_lines<R: BufRead>(&mut self, lines: &mut Lines<R>) -> Result<(), Failure> {
        let (mut read, mut is_whole) = (Vec::new(), true);
        while let Some(line) = lines.next()? {
            if let Err(reason) = taken_apart(&line.bytes) {
                self.refuse(&reason, &format!("line {}", line.number));
                is_whole = false;
            }
            read.push(line.bytes);
        }
        if !is_whole {
            output::note("nothing of these messages was imported, for they are one conversation");
            return Ok(());
        }
        let messages: Vec<Raw<'_>> =
            read.iter().filter_map(|line| Raw::of(std::str::from_utf8(line).ok()?)).collect();
        let id = self.id_of(&read.join(&b'\n'), None);
        let piece = self.piece(id, &Members::default(), &messages);
        self.put(piece, "line 1")
    }

    /// Takes a file in that is one JSON value.
    fn document(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        let place = |at: usize| format!("byte {}", offset + output::to_u64(at));
        if !bytes.trim_ascii_start().starts_with(b"[") {
            return self.conversation(bytes, &place(0), None);
        }
        let (elements, broken) = list(bytes);
        let begins_with = |name| {
            let first = elements.first().and_then(|(_, raw)| Members::read(raw.get()).ok());
            first.is_some_and(|members| members.get(name).is_some())
        };
        // An item without a role, such as a call of a function, has a type.
        let is_of_messages = begins_with("role") || begins_with("type");
        if begins_with("messages") || !is_of_messages {
            for (part, (at, raw)) in (1..).zip(&elements) {
                self.conversation(raw.get().as_bytes(), &place(*at), Some(part))?;
            }
        } else {
            let messages: Vec<Raw<'_>> = elements.iter().map(|(_, raw)| *raw).collect();
            let id = self.id_of(bytes, None);
            let piece = self.piece(id, &Members::default(), &messages);
            self.put(piece, &place(0))?;
        }
        if let Some(reason) = broken {
            self.refuse(
                &format!("the list breaks off: {reason}"),
                &place(elements.last().map_or(0, |(at, _)| *at)),
            );
        }
        Ok(())
    }

    /// Takes one object with `messages` in.
    fn conversation(&mut self, bytes: &[u8], place: &str, part: Option<u64>) -> Result<(), Failure> {
        let read = Members::of_bytes(bytes).map_err(|error| layout::unread(bytes, &error)).and_then(
            |mut members| {
                if layout::is_one(&members) {
                    return layout::piece(members);
                }
                let messages = members.take("messages").ok_or("\"messages\" is missing")?;
                let (messages, broken) = list(messages.get().as_bytes());
                if let Some(reason) = broken {
                    return Err(format!("\"messages\": {reason}"));
                }
                let given = members.take_if_set("id").or_else(|| members.take_if_set("conversation_id"));
                let id = match given {
                    // A number is as good a name as a string.
                    Some(raw) => string(raw).unwrap_or_else(|| raw.get().to_owned()),
                    None => self.id_of(bytes, part),
                };
                let messages: Vec<Raw<'_>> = messages.iter().map(|(_, raw)| *raw).collect();
                self.piece(id, &members, &messages)
            },
        );
        self.put(read, place)
    }

    fn put(&mut self, read: Result<Piece, String>, place: &str) -> Result<(), Failure> {
        match read {
            Ok(piece) => self.intake.take(piece),
            Err(reason) => {
                self.refuse(&reason, place);
                Ok(())
            }
        }
    }

    fn refuse(&mut self, reason: &str, place: &str) {
        let error = Error::new(ErrorKind::InvalidInput, format!("not imported: {place}: {reason}"));
        self.intake.bad_line(&error.at(self.path, None).to_string());
    }

    /// The id of a conversation that has none: the file's name, and which one it is in there. Input without a name
    /// gives an id made of the conversation itself. Either is the same the next time.
    fn id_of(&self, bytes: &[u8], part: Option<u64>) -> String {
        let named = self.path.is_file().then(|| self.path.file_stem()).flatten();
        let Some(stem) = named else { return Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes).to_string() };
        let stem = stem.to_string_lossy();
        part.map_or_else(|| stem.to_string(), |part| format!("{stem}-{part}"))
    }

    fn piece(&mut self, id: String, members: &Members<'_>, messages: &[Raw<'_>]) -> Result<Piece, String> {
        let quoted = serde_json::Value::from(id.as_str()).to_string();
        let mut lines = Vec::new();
        for (number, raw) in (1_u64..).zip(messages.iter().copied()) {
            let line = self.message(&quoted, number, raw);
            lines.push(line.map_err(|reason| format!("message {number}: {reason}"))?);
        }
        let mut members = members.clone();
        let now = self.intake.now;
        let first = lines.first().map_or(now, |(time, _)| *time);
        let created_at = members.take_time().unwrap_or(first);
        let title = members.take("title").map_or("\"\"", Raw::get);
        let head = format!(
            r#"{{"type":"conversation","id":{quoted},"title":{title},"created_at":"{created_at}","metadata":{}}}"#,
            members.into_metadata()
        );
        let ExportLine::Conversation { title, created_at, metadata, extra, .. } = read(&head)? else {
            return Err("it was read as something else".to_owned());
        };
        let head = Head { title, created_at, metadata, extra };
        let mut piece = Piece { undated: Some(now), ..Piece::new(id, Some(head)) };
        for (_, line) in lines {
            if let ExportLine::Message { message, .. } = read(&line)? {
                piece.messages.push(message);
            }
        }
        Ok(piece)
    }

    /// A message as the line of an export, and its time.
    fn message(
        &mut self,
        conversation: &str,
        number: u64,
        raw: Raw<'_>,
    ) -> Result<(Timestamp, String), String> {
        let Apart { id, role, content, time, metadata, unshown } = taken_apart(raw.get().as_bytes())?;
        for kind in unshown {
            *self.unshown.entry(kind).or_default() += 1;
        }
        let id = id.unwrap_or_else(|| format!("\"m{number}\""));
        let time = time.unwrap_or(self.intake.now);
        let line = format!(
            r#"{{"type":"message","conversation_id":{conversation},"id":{id},"content":{content},"role":{role},"created_at":"{time}","metadata":{metadata}}}"#
        );
        Ok((time, line))
    }
}

fn read(line: &str) -> Result<ExportLine, String> {
    ExportLine::from_json_line(line.as_bytes()).map_err(|error| error.message().to_owned())
}
