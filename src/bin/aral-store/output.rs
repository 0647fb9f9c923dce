//! What the program says, and where.
//!
//! Owns the two ways out: results through [`Out`], which knows a closed pipe from a failure, and notes and
//! errors to standard error, a line each. Nothing that a conversation holds reaches a terminal as a control
//! character.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::Path;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use crate::exit::Failure;
use crate::{progress, style};

/// How results are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// For a person at a terminal.
    Table,
    /// Text that stays the same from version to version, its columns parted by tabs.
    Plain,
    /// One JSON object a line.
    Json,
}

impl Form {
    /// The form for whoever is at standard output.
    pub(crate) fn of_stdout() -> Self {
        if io::stdout().is_terminal() { Self::Table } else { Self::Plain }
    }
}

/// Standard output.
pub(crate) struct Out(BufWriter<StdoutLock<'static>>);

impl Out {
    pub(crate) fn new() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    /// Writes a line, which may stay in memory until [`finish`](Self::finish).
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        let written = self.0.write_all(line.as_bytes()).and_then(|()| self.0.write_all(b"\n"));
        written.map_err(unwritten)
    }

    /// Writes a part of a line.
    pub(crate) fn part(&mut self, text: &str) -> Result<(), Failure> {
        self.0.write_all(text.as_bytes()).map_err(unwritten)
    }

    /// Hands everything written so far to whoever reads it.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(unwritten)
    }
}

/// What a failed write to standard output means.
pub(crate) fn unwritten(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::Unread;
    }
    Failure::file("write", Path::new("standard output"), error)
}

/// Waits for so long, or until nobody reads standard output any more; whether somebody may still.
///
/// A pipe tells that its reader is gone only to whoever writes, or asks.
pub(crate) fn is_read_after(pause: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let timeout = Timespec::try_from(pause).ok();
    match poll(&mut watched, timeout.as_ref()) {
        Ok(_) => {
            let gone = PollFlags::ERR | PollFlags::HUP;
            !watched.iter().any(|stdout| stdout.revents().intersects(gone))
        }
        Err(_) => {
            #[expect(
                clippy::disallowed_methods,
                reason = "where nobody can be asked, time passes all the same"
            )]
            std::thread::sleep(pause);
            true
        }
    }
}

/// Whether standard output was closed when the program began: what stands in its place then takes everything and is open for reading, too,
/// as what a shell makes of `> /dev/null` is not.
pub(crate) fn is_nowhere() -> bool {
    use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
    let stdout = io::stdout();
    let (Ok(found), Ok(flags)) = (fstat(&stdout), fcntl_getfl(&stdout)) else { return true };
    let is_device = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice;
    let is_null = rustix::fs::stat("/dev/null").is_ok_and(|null| null.st_rdev == found.st_rdev);
    is_device && is_null && flags.contains(OFlags::RDWR)
}

/// Prints one line and is done.
pub(crate) fn print(line: &str) -> Result<(), Failure> {
    let mut out = Out::new();
    out.line(line)?;
    out.finish()
}

/// Says something worth knowing that is no error.
pub(crate) fn note(text: &str) {
    complain("note: ", text);
}

/// Says what went wrong, in one line.
pub(crate) fn error(text: &str) {
    complain("", text);
}

fn complain(kind: &str, text: &str) {
    let line = format!("aral-store: {kind}{}\n", one_line(text));
    // There is nobody left to tell when standard error is gone.
    progress::aside(|| drop(io::stderr().lock().write_all(line.as_bytes())));
}

/// The text with its control characters escaped, line breaks and tabs included.
pub(crate) fn one_line(text: &str) -> String {
    escaped(text, |_| false)
}

/// The text with its control characters escaped, line breaks and tabs kept.
pub(crate) fn many_lines(text: &str) -> String {
    escaped(text, |c| c == '\n' || c == '\t')
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if is_kept(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // The marks that turn the direction of writing can make a line read as another one.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => push_escape(&mut out, c),
            _ if c.is_control() => push_escape(&mut out, c),
            _ => out.push(c),
        }
    }
    out
}

fn push_escape(out: &mut String, c: char) {
    out.extend(c.escape_unicode());
}

/// Rows under a head, each column as wide as its widest cell. The last column is left as it is.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let aligned = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            line.push_str(cell);
            let padding = width.saturating_sub(cell.width()) + 2;
            line.extend(std::iter::repeat_n(' ', padding));
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![style::painted(style::HEAD, &aligned(&mut head.iter().copied()))];
    lines.extend(rows.iter().map(|row| aligned(&mut row.iter().map(String::as_str))));
    lines
}

/// A count with its word: `1 message`, `2 messages`.
pub(crate) fn count(number: u64, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// A size in bytes as a number that can be printed beside counts.
pub(crate) fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_passes() {
        assert_eq!(one_line("a\u{1b}[2Jb\n\t\u{202e}é"), "a\\u{1b}[2Jb\\n\\t\\u{202e}é");
        assert_eq!(many_lines("a\r\n\tb\u{9b}"), "a\\r\n\tb\\u{9b}");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["é".to_owned(), "1".to_owned()], vec!["long".to_owned(), "22".to_owned()]];
        style::choose(clap::ColorChoice::Never);
        assert_eq!(table(&["id", "n"], &rows), ["id    n", "é     1", "long  22"]);
        let wide = [vec!["会话".to_owned(), "1".to_owned()]];
        assert_eq!(table(&["id", "n"], &wide), ["id    n", "会话  1"]);
    }
}
