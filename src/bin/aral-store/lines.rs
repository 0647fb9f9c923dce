//! Input by lines.
//!
//! Owns the limit on a line, so that memory is bounded whatever comes in, and where input comes from.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use aral_store::{Error, ErrorKind, location};

use crate::exit::Failure;
use crate::output::to_u64;
use crate::piped::Piped;
use crate::progress::{self, Unit};
use crate::signals::Stop;

/// The longest line that is read: 1 GiB, which an atomic batch of the greatest size fits into however its
/// text is escaped.
pub(crate) const MAX_LINE: usize = 1 << 30;

/// How much of a file is read at once.
const BUFFER: usize = 128 << 10;

/// What may stand before the first byte of a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where input comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    /// A file, or standard input for `-` and for nothing.
    pub(crate) fn of(path: Option<PathBuf>) -> Self {
        path.filter(|path| path != Path::new("-")).map_or(Self::Stdin, Self::File)
    }

    /// What to call it in an error.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Stdin => Path::new("standard input"),
            Self::File(path) => path,
        }
    }

    /// How many bytes there are, if that can be known.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => path.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len()),
        }
    }

    /// How a file begins, as far as this; nothing for what can be read only once.
    pub(crate) fn head(&self, most: u64) -> Result<Option<Vec<u8>>, Failure> {
        let Self::File(path) = self else { return Ok(None) };
        if !path.is_file() {
            return Ok(None);
        }
        let failed = |error| Failure::file("read", path, error);
        #[expect(clippy::disallowed_methods, reason = "the input is no part of the store")]
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut head = Vec::new();
        file.take(most).read_to_end(&mut head).map_err(failed)?;
        Ok(Some(head))
    }

    pub(crate) fn open(&self) -> Result<Lines<Box<dyn BufRead + Send>>, Failure> {
        self.opened(|| Box::new(BufReader::new(io::stdin())))
    }

    /// The same; a read of standard input fails once an end is wanted.
    pub(crate) fn open_stoppable(&self, stop: &Stop) -> Result<Lines<Box<dyn BufRead + Send>>, Failure> {
        self.opened(|| Box::new(Piped::stdin(stop.clone())))
    }

    fn opened(
        &self,
        stdin: impl FnOnce() -> Box<dyn BufRead + Send>,
    ) -> Result<Lines<Box<dyn BufRead + Send>>, Failure> {
        let input: Box<dyn BufRead + Send> = match self {
            Self::Stdin => stdin(),
            Self::File(path) => {
                location::check_file(path)?;
                if path.is_dir() {
                    // Some systems open it and refuse only the first read, when a store has been made already.
                    return Err(Failure::file("read", path, io::ErrorKind::IsADirectory.into()));
                }
                #[expect(clippy::disallowed_methods, reason = "the input is no part of the store")]
                let file = std::fs::File::open(path).map_err(|e| Failure::file("open", path, e))?;
                Box::new(BufReader::with_capacity(BUFFER, file))
            }
        };
        Ok(Lines::new(input, self.path(), MAX_LINE))
    }
}

/// A line, its number, counted from 1, and where it begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NumberedLine {
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The lines of an input that are not blank, without their ends.
pub(crate) struct Lines<R> {
    input: R,
    path: PathBuf,
    limit: usize,
    number: u64,
    /// How many bytes have been read.
    offset: u64,
    /// A line that was looked at and is still to come.
    peeked: Option<NumberedLine>,
}

impl<R: BufRead> Lines<R> {
    fn new(input: R, path: &Path, limit: usize) -> Self {
        Self { input, path: path.to_owned(), limit, number: 0, offset: 0, peeked: None }
    }

    /// The next line that is not blank; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<NumberedLine>, Failure> {
        if let Some(line) = self.peeked.take() {
            return Ok(Some(line));
        }
        loop {
            let offset = self.offset;
            let Some(mut bytes) = self.raw()? else { return Ok(None) };
            // Some editors put it there, and no reader of JSON takes it.
            if offset == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(NumberedLine { number: self.number, offset, bytes }));
            }
        }
    }

    /// The next line, blank or not, as it stands in the input, and whether a line feed ends it.
    pub(crate) fn next_as_is(&mut self) -> Result<Option<(NumberedLine, bool)>, Failure> {
        let offset = self.offset;
        let Some(bytes) = self.raw()? else { return Ok(None) };
        let is_ended = self.offset > offset.saturating_add(to_u64(bytes.len()));
        Ok(Some((NumberedLine { number: self.number, offset, bytes }, is_ended)))
    }

    /// The next line, which stays the next one.
    pub(crate) fn peek(&mut self) -> Result<Option<&NumberedLine>, Failure> {
        self.peeked = self.next()?;
        Ok(self.peeked.as_ref())
    }

    /// Everything from a line on to the end, as one piece, with where it begins.
    pub(crate) fn document(&mut self, first: NumberedLine) -> Result<(u64, Vec<u8>), Failure> {
        let mut document = first.bytes;
        while let Some(line) = self.raw()? {
            if document.len().saturating_add(line.len()) >= self.limit {
                let text =
                    format!("it has more than {} bytes, the limit of what is read as one piece", self.limit);
                return Err(Failure::Input(Error::invalid(text).at(&self.path, None)));
            }
            if document.try_reserve(line.len().saturating_add(1)).is_err() {
                return Err(self.too_large(document.len()));
            }
            document.push(b'\n');
            document.extend_from_slice(&line);
        }
        Ok((first.offset, document))
    }

    /// Everything that is left, as it is.
    pub(crate) fn all(mut self) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::new();
        loop {
            let ready = match self.input.fill_buf() {
                Ok(ready) => ready,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::file("read", &self.path, error)),
            };
            if ready.is_empty() {
                return Ok(all);
            }
            let length = ready.len();
            if all.len().saturating_add(length) > self.limit {
                let text =
                    format!("it has more than {} bytes, the limit of what is read as one piece", self.limit);
                return Err(Failure::Input(Error::invalid(text).at(&self.path, None)));
            }
            if all.try_reserve(length).is_err() {
                return Err(self.too_large(all.len()));
            }
            all.extend_from_slice(ready);
            self.input.consume(length);
            progress::advance(Unit::InputBytes, to_u64(length));
        }
    }

    fn too_large(&self, read: usize) -> Failure {
        let text = format!("line {}: there is no memory for more than {read} bytes of it", self.number);
        Failure::Input(Error::new(ErrorKind::OutOfMemory, text).at(&self.path, None))
    }

    fn raw(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.number += 1;
        let mut line = Vec::new();
        let mut has_begun = false;
        loop {
            let ready = match self.input.fill_buf() {
                Ok(ready) => ready,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::file("read", &self.path, error)),
            };
            if ready.is_empty() {
                return Ok(has_begun.then_some(line));
            }
            has_begun = true;
            let end = memchr::memchr(b'\n', ready);
            let piece = ready.get(..end.unwrap_or(ready.len())).unwrap_or_default();
            if line.len().saturating_add(piece.len()) > self.limit {
                let text = format!("line {} has more than {} bytes, the limit", self.number, self.limit);
                return Err(Failure::Input(Error::invalid(text).at(&self.path, None)));
            }
            if line.try_reserve(piece.len()).is_err() {
                return Err(self.too_large(line.len()));
            }
            line.extend_from_slice(piece);
            let used = piece.len() + usize::from(end.is_some());
            self.input.consume(used);
            self.offset += to_u64(used);
            progress::advance(Unit::InputBytes, to_u64(used));
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], limit: usize) -> Lines<BufReader<&[u8]>> {
        Lines::new(BufReader::with_capacity(3, text), Path::new("x"), limit)
    }

    #[test]
    fn blank_lines_are_counted_and_passed_over() {
        let mut lines = lines(b"one\n\n \t\r\nfour\r\n\nlast", 10);
        let mut next = || lines.next().unwrap().map(|line| (line.number, line.bytes));
        assert_eq!(next(), Some((1, b"one".to_vec())));
        assert_eq!(next(), Some((4, b"four\r".to_vec())));
        assert_eq!(next(), Some((6, b"last".to_vec())));
        assert_eq!(next(), None);
    }

    #[test]
    fn lines_as_they_are_say_whether_they_are_ended() {
        let mut lines = lines(b"\xef\xbb\xbfone\r\n\n half", 10);
        let mut next = || lines.next_as_is().unwrap().map(|(line, is_ended)| (line.bytes, is_ended));
        assert_eq!(next(), Some((b"\xef\xbb\xbfone\r".to_vec(), true)));
        assert_eq!(next(), Some((Vec::new(), true)));
        assert_eq!(next(), Some((b" half".to_vec(), false)));
        assert_eq!(next(), None);
    }

    #[test]
    fn a_document_is_everything_from_its_first_line_on() {
        let mut long = lines(b"\n[1,\n\n2]", 10);
        assert_eq!(long.peek().unwrap().unwrap().bytes, b"[1,");
        let first = long.next().unwrap().unwrap();
        assert_eq!(long.document(first).unwrap(), (1, b"[1,\n\n2]".to_vec()));
        let mut short = lines(b"12345\n12345", 10);
        let first = short.next().unwrap().unwrap();
        assert!(matches!(short.document(first), Err(Failure::Input(_))));
    }

    #[test]
    fn a_line_over_the_limit_is_refused_before_it_is_read_to_its_end() {
        let mut lines = lines(b"12345\n123456\n", 5);
        assert!(lines.next().is_ok());
        assert!(matches!(lines.next(), Err(Failure::Input(_))));
    }
}
