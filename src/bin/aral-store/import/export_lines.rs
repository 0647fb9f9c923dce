//! Reading an export of lines.
//!
//! Owns the putting together of a conversation from its lines. Lines may come in any order: what stands
//! apart from the rest of its conversation is a piece of its own, with its place among all of them.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use aral_store::ExportLine;

use super::intake::Intake;
use super::piece::{Head, Piece};
use crate::exit::Failure;
use crate::lines::Lines;
use crate::output;

/// How many bytes of lines are put together before they are added, so that memory is bounded.
const MAX_PIECE_BYTES: usize = 64 << 20;

/// Takes every line in; names the lines that are not what they should be.
pub(super) fn take<R: BufRead>(
    lines: &mut Lines<R>,
    path: &Path,
    intake: &mut Intake<'_>,
) -> Result<(), Failure> {
    let mut assembly = Assembly { intake, piece: None, bytes: 0, seen: HashMap::new() };
    let ended = loop {
        match lines.next() {
            Ok(None) => break Ok(()),
            Ok(Some(line)) => match ExportLine::from_json_line(&line.bytes) {
                Ok(read) => assembly.line(read, line.bytes.len())?,
                Err(error) => {
                    let error = error.context(&format!("not imported: line {}", line.number));
                    output::error(&error.at(path, None).to_string());
                    assembly.intake.counts.bad_lines += 1;
                }
            },
            Err(failure) => break Err(failure),
        }
    };
    // What came before an input that broke off is complete in itself.
    assembly.flush()?;
    ended
}

struct Assembly<'i, 's> {
    intake: &'i mut Intake<'s>,
    piece: Option<Piece>,
    /// How long the lines of the piece are.
    bytes: usize,
    /// How many messages and actions of each conversation have gone by.
    seen: HashMap<String, (usize, usize)>,
}

impl Assembly<'_, '_> {
    fn line(&mut self, line: ExportLine, length: usize) -> Result<(), Failure> {
        if self.bytes > MAX_PIECE_BYTES {
            self.flush()?;
        }
        match line {
            ExportLine::Conversation { id, title, created_at, metadata, extra } => {
                self.flush()?;
                if self.seen.contains_key(&id) {
                    self.intake.conflict(&id, "it begins a second time in the same input");
                    return Ok(());
                }
                let head = Head { title, created_at, metadata, extra };
                self.seen.insert(id.clone(), (0, 0));
                self.piece = Some(Piece::new(id, Some(head)));
            }
            ExportLine::Message { conversation_id, message } => {
                self.of(conversation_id)?.messages.push(message);
            }
            ExportLine::Action { conversation_id, action } => {
                self.of(conversation_id)?.actions.push(action);
            }
            other => {
                let text = format!("a kind of line that this version does not know: {other:.60?}");
                return Err(Failure::Input(aral_store::Error::invalid(text)));
            }
        }
        self.bytes = self.bytes.saturating_add(length);
        Ok(())
    }

    /// The piece that more of this conversation belongs to.
    fn of(&mut self, id: String) -> Result<&mut Piece, Failure> {
        if self.piece.as_ref().is_some_and(|piece| piece.id != id) {
            self.flush()?;
        }
        let (first_message, first_action) = *self.seen.entry(id.clone()).or_default();
        Ok(self.piece.get_or_insert_with(|| Piece { first_message, first_action, ..Piece::new(id, None) }))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.bytes = 0;
        let Some(piece) = self.piece.take() else { return Ok(()) };
        let seen = self.seen.entry(piece.id.clone()).or_default();
        seen.0 += piece.messages.len();
        seen.1 += piece.actions.len();
        self.intake.take(piece)
    }
}
