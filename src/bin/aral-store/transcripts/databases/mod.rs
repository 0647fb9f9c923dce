//! The databases that tools keep conversations in.
//!
//! Owns whose a database is, by its tables, and that each of its rows goes in: those of a session with it, and all others into one
//! conversation of their own. What opens doors, such as tokens, is left out.

mod adk;

mod chainlit;

mod langgraph;

mod llm;

mod openai_agents;

mod opencode;

use super::Tool;
use super::database::{Database, Row};
use super::entry::{Entry, Line, quoted};
use super::record::{Known, Sink};
use crate::exit::Failure;

/// What of a table is no part of any session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest {
    All,
    Nothing,
    /// The rows that this condition is true of; `t` is the table.
    Where(&'static str),
    /// All of it opens doors.
    Secret,
}

/// Gives the conversations of a database to a sink.
type Talks = fn(&Database, &mut dyn Sink) -> Result<(), Failure>;

/// The tool whose tables these are.
pub(crate) fn tool(database: &Database) -> Option<Tool> {
    match () {
        () if opencode::is_one(database) => Some(Tool::Opencode),
        () if openai_agents::is_one(database) => Some(Tool::OpenaiAgents),
        () if langgraph::is_one(database) => Some(Tool::Langgraph),
        () if llm::is_one(database) => Some(Tool::Llm),
        () if adk::is_one(database) => Some(Tool::GoogleAdk),
        () if chainlit::is_one(database) => Some(Tool::Chainlit),
        () => None,
    }
}

/// Gives all of a database to the sink.
pub(crate) fn take(tool: Tool, database: &Database, sink: &mut dyn Sink) -> Result<(), Failure> {
    let (talks, rest): (Talks, fn(&str) -> Rest) = match () {
        () if tool == Tool::Opencode => (opencode::take, opencode::rest),
        () if tool == Tool::OpenaiAgents && openai_agents::is_advanced(database) => {
            (openai_agents::take, openai_agents::rest_of_advanced)
        }
        () if tool == Tool::OpenaiAgents => (openai_agents::take, openai_agents::rest),
        () if tool == Tool::Langgraph => (langgraph::take, langgraph::rest),
        () if tool == Tool::Llm => (llm::take, llm::rest),
        () if tool == Tool::GoogleAdk => (adk::take, adk::rest),
        () if tool == Tool::Chainlit => (chainlit::take, chainlit::rest),
        () => return Ok(()),
    };
    talks(database, sink)?;
    others(tool, database, sink, rest)
}

/// The rows that are no part of a session.
fn others(
    tool: Tool,
    database: &Database,
    sink: &mut dyn Sink,
    rest: fn(&str) -> Rest,
) -> Result<(), Failure> {
    let file = database.file_name();
    // Two databases of one name are two.
    let place = database.path().canonicalize().unwrap_or_else(|_| database.path().to_owned());
    let session = format!("{file}-{}", mark(&place.to_string_lossy()));
    sink.begin(Known { path: format!("{session}.jsonl"), session, part: 0 })?;
    sink.about().title = Some(format!("{}: the rows of {file} that are no part of a session", tool.title()));
    for table in database.tables() {
        let condition = match rest(&table.name) {
            Rest::Nothing => continue,
            Rest::All => String::new(),
            Rest::Where(condition) => format!("WHERE {condition}"),
            Rest::Secret => {
                let number = database.rows(&table.name, "", &[])?.len();
                if number > 0 {
                    sink.note(&format!(
                        "left out: the {number} rows of table {:?}, for they may open doors",
                        table.name
                    ));
                }
                continue;
            }
        };
        // The schema is needed by whoever makes a database of it again; what SQLite counts for itself is not.
        if table.name.starts_with("sqlite_") && table.name != "sqlite_schema" {
            continue;
        }
        database.each(&table.name, &condition, &[], &mut |row| match row {
            Ok(row) => sink.put(row.record(row.name(), record(&table.name, &row))),
            Err(reason) => {
                sink.unread("not imported", &reason);
                Ok(())
            }
        })?;
    }
    sink.end()
}

/// A short mark of a text, to tell two apart that have one name.
fn mark(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

/// A row that says nothing that has a place.
fn record(kind: &str, row: &Row) -> Line {
    let time = ["time_created", "created_at", "createdAt", "create_time", "datetime_utc"]
        .iter()
        .find_map(|column| row.time(column));
    Line { id: None, time, entries: vec![Entry::action("record", &[("type", Some(&quoted(kind)))])] }
}
