//! What somebody is told who called the program wrongly.
//!
//! Owns the one line that is made of what the parser of the arguments found, and what to do next.

use std::io::{self, Write};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the help or the version if that is what was asked for, else one line about the wrong use.
pub(crate) fn explain(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        let printed = error.print().and_then(|()| io::stdout().flush());
        // Somebody who closes the pipe has read enough of the help.
        return printed.map_err(output::unwritten).map_or_else(Failure::report, |()| Exit::Done);
    }
    output::error(&line(error));
    Exit::Usage
}

fn line(error: &clap::Error) -> String {
    let text = error.to_string();
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let said = said.join(" ").replace(" tip: ", "; ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    let is_bare = matches!(
        error.kind(),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let said = if is_bare { "a command is needed" } else { said };
    let command = command(&text);
    let hint = hint(error, command);
    let command = command.map(|command| format!(" {command}")).unwrap_or_default();
    format!("{said}{hint}; see aral-store{command} --help")
}

/// The command whose use was wrong, by the line that shows its right use.
fn command(text: &str) -> Option<&str> {
    let usage = text.lines().find_map(|line| line.trim().strip_prefix("Usage: aral-store "))?;
    usage.split_whitespace().next().filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// What most often is behind a mistake.
fn hint(error: &clap::Error, command: Option<&str>) -> &'static str {
    let is_word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => !argument.starts_with('-'),
        _ => false,
    };
    match (error.kind(), command) {
        (ErrorKind::UnknownArgument, Some("add" | "act" | "rename")) if is_word => {
            "; put quotes around a text of more than one word"
        }
        (ErrorKind::MissingRequiredArgument, Some("add" | "act")) => "; - reads it from standard input",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_wrong_use_is_told_in_one_line_that_says_what_to_do() {
        for (args, part) in [
            (&["add", "c1", "two", "words"][..], "quotes around"),
            (&["add", "c1"], "- reads it from standard input; see aral-store add --help"),
            (&["shwo"], "'show'; see aral-store --help"),
            (&[], "a command is needed; see aral-store --help"),
            (&["-d", "x"], "a command is needed; see aral-store --help"),
        ] {
            let error = Cli::try_parse_from(["aral-store"].iter().chain(args)).unwrap_err();
            let line = line(&error);
            assert!(line.contains(part) && !line.contains('\n'), "{line}");
        }
    }
}
