//! Reading an export of lines.
//!
//! Owns the putting together of a conversation from its lines. Lines may come in any order: what stands
//! apart from the rest of its conversation is a piece of its own, with its place among all of them.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use aral_store::{Error, ErrorKind, ExportEnd, ExportLine, Version};

use super::intake::Intake;
use super::near::Near;
use super::piece::{Head, Piece};
use crate::exit::Failure;
use crate::lines::Lines;
use crate::output::{self, count};

/// How many bytes of lines are put together before they are added, so that memory is bounded.
const MAX_PIECE_BYTES: usize = 64 << 20;

/// Takes every line in; names the lines that are not what they should be, and says if the export was cut.
pub(super) fn take<R: BufRead>(
    lines: &mut Lines<R>,
    path: &Path,
    intake: &mut Intake<'_>,
) -> Result<(), Failure> {
    let (seen, versions) = (HashMap::new(), HashMap::new());
    let mut assembly = Assembly { intake, piece: None, bytes: 0, seen, versions };
    let (mut since, mut near) = (Since::default(), Near::default());
    let ended = loop {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        };
        match ExportLine::from_json_line(&line.bytes) {
            Ok(ExportLine::End(end)) => {
                assembly.end()?;
                // What follows is another export, as if it came by itself.
                assembly.seen.clear();
                assembly.intake.begin_another();
                if let Some(reason) = std::mem::take(&mut since).unlike(end) {
                    let place = format!("line {}", line.number);
                    let error = Error::invalid(format!("the export is not whole: {place}: {reason}"));
                    assembly.intake.cut(&error.at(path, None).to_string());
                }
            }
            Ok(read) => {
                near.look_at(&read);
                since.count(&read, &line.bytes);
                assembly.line(read, line.bytes.len())?;
            }
            // The line may be as good as any, and what comes behind it belongs behind it.
            Err(error) if error.kind() == ErrorKind::OutOfMemory => {
                let error = error.context(&format!("line {}", line.number)).at(path, None);
                break Err(Failure::Input(error));
            }
            Err(error) => {
                since.count_bad(&line.bytes);
                let error = error.context(&format!("not imported: line {}", line.number));
                assembly.intake.bad_line(&error.at(path, None).to_string());
            }
        }
    };
    // What came before an input that broke off is complete in itself.
    assembly.flush(Rest::Unknown)?;
    ended?;
    match since.lacks_end() {
        End::Lacking => {
            let text = "the export breaks off: there is no last line that says how much it was; what there is of it \
                        is imported";
            assembly.intake.cut(&Error::invalid(text).at(path, None).to_string());
        }
        End::Unknown => output::note(
            "the input does not say how much it was, as exports of earlier versions do not; if it was cut, nobody can tell",
        ),
        End::Told => {}
    }
    Ok(())
}

/// What has come since an export began.
#[derive(Default)]
struct Since {
    end: ExportEnd,
    crc: crc32fast::Hasher,
    lines: u64,
    /// Whether it is an export that has a last line.
    has_versions: bool,
}

/// What is known of an input's end.
enum End {
    Told,
    Lacking,
    Unknown,
}

impl Since {
    fn count(&mut self, line: &ExportLine, bytes: &[u8]) {
        self.count_bad(bytes);
        if let ExportLine::Conversation { version, .. } = line {
            self.end.conversations += 1;
            self.has_versions |= version.is_some();
        } else if let ExportLine::Message { .. } = line {
            self.end.messages += 1;
        } else if let ExportLine::Action { .. } = line {
            self.end.actions += 1;
        }
    }

    fn count_bad(&mut self, bytes: &[u8]) {
        self.lines += 1;
        // A carriage return comes of whoever carried the file here.
        self.crc.update(bytes.strip_suffix(b"\r").unwrap_or(bytes));
        self.crc.update(b"\n");
    }

    /// What is not as the last line says.
    fn unlike(self, told: ExportEnd) -> Option<String> {
        let mut end = self.end;
        end.crc32 = self.crc.finalize();
        let numbers = |end: ExportEnd| {
            let [messages, actions] = [count(end.messages, "message"), count(end.actions, "action")];
            format!("{}, {messages} and {actions}", count(end.conversations, "conversation"))
        };
        let (told_numbers, found) = (numbers(told), numbers(end));
        if told_numbers != found {
            return Some(format!("it says that there were {told_numbers}, and there are {found}"));
        }
        (told.crc32 != end.crc32)
            .then(|| "the lines are not those that were exported; their checksum differs".to_owned())
    }

    fn lacks_end(&self) -> End {
        match (self.lines, self.has_versions) {
            (0, _) => End::Told,
            (_, true) => End::Lacking,
            (_, false) => End::Unknown,
        }
    }
}

/// What may still come of the conversation of a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    Unknown,
}

struct Assembly<'i, 's> {
    intake: &'i mut Intake<'s>,
    piece: Option<Piece>,
    /// How long the lines of the piece are.
    bytes: usize,
    /// How many messages and actions of each conversation have gone by.
    seen: HashMap<String, (usize, usize)>,
    /// The versions that conversations will have once all of theirs has gone by.
    versions: HashMap<String, Version>,
}

impl Assembly<'_, '_> {
    fn line(&mut self, line: ExportLine, length: usize) -> Result<(), Failure> {
        if self.bytes > MAX_PIECE_BYTES {
            self.flush(Rest::Unknown)?;
        }
        match line {
            ExportLine::Conversation { id, title, created_at, metadata, extra, version } => {
                self.flush(Rest::Nothing)?;
                if self.seen.contains_key(&id) {
                    self.intake.conflict(&id, "it begins a second time in the same input");
                    return Ok(());
                }
                let head = Head { title, created_at, metadata, extra };
                self.seen.insert(id.clone(), (0, 0));
                self.versions.extend(version.map(|version| (id.clone(), version)));
                self.piece = Some(Piece::new(id, Some(head)));
            }
            ExportLine::Message { conversation_id, message } => self.of(conversation_id)?.message(message),
            ExportLine::Action { conversation_id, action } => self.of(conversation_id)?.action(action),
            other @ (ExportLine::End(_) | _) => {
                let text = format!("a kind of line that this version does not know: {other:.60?}");
                return Err(Failure::Input(Error::invalid(text)));
            }
        }
        self.bytes = self.bytes.saturating_add(length);
        Ok(())
    }

    /// The piece that more of this conversation belongs to.
    fn of(&mut self, id: String) -> Result<&mut Piece, Failure> {
        if self.piece.as_ref().is_some_and(|piece| piece.id != id) {
            self.flush(Rest::Unknown)?;
        }
        let (first_message, first_action) = *self.seen.entry(id.clone()).or_default();
        Ok(self.piece.get_or_insert_with(|| Piece { first_message, first_action, ..Piece::new(id, None) }))
    }

    /// Takes in what is left, and the versions of conversations whose lines stood apart.
    fn end(&mut self) -> Result<(), Failure> {
        self.flush(Rest::Nothing)?;
        let mut versions: Vec<(String, Version)> = self.versions.drain().collect();
        versions.sort_unstable();
        for (id, version) in versions {
            let (first_message, first_action) = self.seen.get(&id).copied().unwrap_or_default();
            let version = Some(version);
            self.intake.take(Piece { first_message, first_action, version, ..Piece::new(id, None) })?;
        }
        Ok(())
    }

    fn flush(&mut self, rest: Rest) -> Result<(), Failure> {
        self.bytes = 0;
        let Some(mut piece) = self.piece.take() else { return Ok(()) };
        if rest == Rest::Nothing {
            piece.version = self.versions.remove(&piece.id);
        }
        let seen = self.seen.entry(piece.id.clone()).or_default();
        seen.0 += piece.messages.len();
        seen.1 += piece.actions.len();
        self.intake.take(piece)
    }
}
