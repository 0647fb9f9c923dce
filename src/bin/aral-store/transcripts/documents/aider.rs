//! The chat history of aider (`.aider.chat.history.md`), as version 0.86.2 writes it.
//!
//! Owns where a session and a text of somebody's begin and end, which is a guess: what was quoted looks like what was said. The command that
//! begins a session may have lines that look like a prompt; none of them is one.

use crate::exit::Failure;
use crate::transcripts::entry::{Entry, Line, object, quoted};
use crate::transcripts::record::{Known, Place, Record, Sink};

/// With what the line begins that begins a session.
pub(crate) const BEGIN: &str = "# aider chat started at ";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Begin,
    User,
    Tool,
    Assistant,
}

/// Some lines that belong together, with the bytes of the text that they are.
struct Block {
    kind: Kind,
    start: usize,
    end: usize,
}

/// Gives all sessions to the sink, each byte of the text with one of them.
pub(super) fn take(text: &str, (mark, path): (&str, &str), sink: &mut dyn Sink) -> Result<(), Failure> {
    let mut sessions: Vec<Vec<Block>> = Vec::new();
    for block in blocks(text) {
        if block.kind == Kind::Begin || sessions.is_empty() {
            sessions.push(Vec::new());
        }
        if let Some(session) = sessions.last_mut() {
            session.push(block);
        }
    }
    let last = sessions.len();
    for (part, session) in (1_usize..).zip(sessions) {
        let number = u64::try_from(part).unwrap_or(u64::MAX);
        sink.begin(Known { session: format!("{mark}/{part}"), path: path.to_owned(), part: number })?;
        let mut at = 0;
        for block in session {
            at += 1;
            let raw = text.get(block.start..block.end).unwrap_or_default();
            let line = line(block.kind, raw, sink);
            let place = Place::Part { number: at, is_end: false };
            sink.put(Record { name: format!("part-{at}"), place, raw: raw.to_owned(), line })?;
        }
        if part == last {
            let entries = vec![Entry::action("record", &[("type", Some("\"end\""))])];
            let line = Line { id: None, time: None, entries };
            let place = Place::Part { number: at + 1, is_end: true };
            sink.put(Record { name: "end".to_owned(), place, raw: String::new(), line })?;
        }
        sink.end()?;
    }
    Ok(())
}

/// Blank lines belong to what stands before them.
fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let (mut at, mut is_command) = (0, false);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        let kind = if line.starts_with(BEGIN) {
            is_command = true;
            Some(Kind::Begin)
        } else if is_command {
            // The prompt that was given with the command may have lines of its own.
            is_command = !line.starts_with("> Aider v");
            Some(Kind::Tool).filter(|_| !line.trim().is_empty())
        } else if line.trim().is_empty() {
            None
        } else if line.starts_with("#### ") {
            Some(Kind::User)
        } else if line.starts_with("> ") {
            Some(Kind::Tool)
        } else {
            Some(Kind::Assistant)
        };
        match (kind, found.last_mut()) {
            (None, Some(last)) => last.end = end,
            (Some(kind), Some(last)) if last.kind == kind && kind != Kind::Begin => last.end = end,
            // What stands before the first session belongs to it.
            (Some(Kind::Begin), Some(last))
                if last.start == 0 && text.get(..last.end).is_some_and(|text| text.trim().is_empty()) =>
            {
                (last.kind, last.end) = (Kind::Begin, end);
            }
            (kind, _) => found.push(Block { kind: kind.unwrap_or(Kind::Tool), start: at, end }),
        }
        at = end;
    }
    found
}

fn line(kind: Kind, raw: &str, sink: &mut dyn Sink) -> Line {
    let guessed = Some("true");
    let mut time = None;
    let entry = match kind {
        Kind::Begin => {
            // In the time of the machine, which it does not say.
            let said = raw.trim().strip_prefix(BEGIN).unwrap_or_default().trim();
            time = said.replacen(' ', "T", 1).parse().ok();
            Entry::action("record", &[("type", Some("\"session\""))])
        }
        Kind::User => {
            let lines: Vec<&str> =
                raw.trim_end().lines().map(|line| line.get(5..).unwrap_or_default().trim_end()).collect();
            let said = quoted(&lines.join("\n"));
            sink.about().prompt(&said);
            Entry::message("user", said).with("is_guess", guessed)
        }
        Kind::Assistant => Entry::message("assistant", quoted(raw.trim())).with("is_guess", guessed),
        Kind::Tool => {
            let lines: Vec<&str> = raw
                .trim_end()
                .lines()
                .map(|line| line.strip_prefix("> ").unwrap_or(line).trim_end())
                .collect();
            let text = quoted(&lines.join("\n"));
            let data = object(&[("type", Some("\"output\"")), ("text", Some(&text))]);
            Entry {
                form: crate::transcripts::entry::Form::Action { kind: "record", data },
                fields: Vec::new(),
            }
        }
    };
    Line { id: None, time, entries: vec![entry] }
}
