//! The command that lists what there is to import on this machine.
//!
//! Owns the columns and fields of that list.

use crate::exit::{Exit, Failure};
use crate::output::{self, Form, Out, table, to_u64};
use crate::transcripts::places::{DATABASES, LINES, files};
use crate::transcripts::{Kept, Tool};
use crate::upkeep::json;

pub(crate) fn run(form: Form) -> Result<Exit, Failure> {
    let (mut rows, mut exit) = (Vec::new(), Exit::Done);
    for tool in Tool::ALL {
        for folder in tool.folders().into_iter().filter(|folder| folder.is_dir()) {
            let ends = if tool.kept() == Kept::Lines { LINES } else { DATABASES };
            let (found, unread) = files(&folder, ends);
            for (path, error) in unread {
                output::error(&format!("cannot be listed: {}: {error}", path.display()));
                exit = exit.graver(Exit::Error);
            }
            let bytes: u64 = found.iter().map(|file| file.bytes).sum();
            rows.push((tool, to_u64(found.len()), bytes, folder.to_string_lossy().into_owned()));
        }
    }
    let mut out = Out::new();
    let columns = |(tool, sessions, bytes, path): &(Tool, u64, u64, String)| {
        vec![tool.name().to_owned(), sessions.to_string(), bytes.to_string(), output::one_line(path)]
    };
    match form {
        Form::Json => {
            for (tool, sessions, bytes, path) in &rows {
                out.line(&json(vec![
                    ("tool", tool.name().into()),
                    ("sessions", (*sessions).into()),
                    ("bytes", (*bytes).into()),
                    ("path", path.as_str().into()),
                ]))?;
            }
        }
        Form::Plain => {
            for row in &rows {
                out.line(&columns(row).join("\t"))?;
            }
        }
        Form::Table => {
            let rows: Vec<Vec<String>> = rows.iter().map(columns).collect();
            for line in table(&["TOOL", "SESSIONS", "BYTES", "PATH"], &rows) {
                out.line(&line)?;
            }
        }
    }
    out.finish()?;
    Ok(exit)
}
