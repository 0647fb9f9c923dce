//! Taking in the documents of a ZIP archive, as `ChatGPT` and `claude.ai` send their exports in.
//!
//! Owns which of its entries are taken in, and what is said of the others. Nothing of it is written to a file: a document
//! is read into memory, as one that is a file is, and the names in an archive lead nowhere.

use std::fs::File;
use std::path::Path;

use aral_store::{Error, ErrorKind};

use super::documents;
use super::forms;
use super::intake::Intake;
use super::zipped::{Archive, Telling, document, name, opened};
use crate::exit::Failure;
use crate::lines::MAX_LINE;
use crate::output::{self, to_u64};
use crate::progress::{self, Unit};
use crate::transcripts::Tool;

/// How many of the entries that are not taken in are named.
const NAMED: usize = 5;

/// Takes in the documents that are in an archive, or those of a tool.
pub(super) fn take(path: &Path, tool: Option<Tool>, intake: &mut Intake<'_>) -> Result<(), Failure> {
    let refused = |reason: &str| {
        let text = format!("not imported: it is a ZIP archive, {reason}");
        Failure::Input(Error::new(ErrorKind::InvalidInput, text).at(path, None))
    };
    let mut archive = open(path).map_err(|reason| refused(&reason))?;
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let is = |head: &[u8], is_whole: bool| {
        forms::document(head, is_whole).filter(|found| tool.is_none_or(|wanted| *found == wanted))
    };
    let telling = Telling { looked_at: forms::LOOKED_AT, is: &is };
    let (mut others, mut documents, mut unread) = (Vec::new(), 0, 0);
    for number in 0..archive.len() {
        let inside = match name(&archive, number) {
            Ok(Some(inside)) => inside,
            Ok(None) => continue,
            Err(reason) => return Err(refused(&reason)),
        };
        progress::advance(
            Unit::InputBytes,
            archive.by_index_data(number).map_or(0, |entry| entry.compressed_size()),
        );
        let read = document(&mut archive, number, &inside, (to_u64(MAX_LINE), &telling));
        let taken = match read {
            Ok(Some((tool, bytes))) => {
                documents += 1;
                documents::take_bytes((&path.join(&inside), &place.join(&inside)), tool, bytes, intake)
            }
            Ok(None) => {
                others.push(inside);
                continue;
            }
            Err(reason) => {
                let text = format!("not imported: {reason}");
                Err(Failure::Input(Error::new(ErrorKind::InvalidInput, text).at(&path.join(&inside), None)))
            }
        };
        match taken {
            // One that cannot be read keeps no other one out.
            Err(Failure::Input(error)) => {
                unread += 1;
                intake.bad_line(&error.to_string());
            }
            taken => taken?,
        }
    }
    if documents + unread == 0 {
        return Err(refused("in which there are no conversations that this version can read"));
    }
    if !others.is_empty() && !intake.is_watching {
        let named: Vec<String> =
            others.iter().take(NAMED).map(|other| format!("{:.100?}", other.to_string_lossy())).collect();
        let more = if others.len() > NAMED { " and others" } else { "" };
        output::note(&format!(
            "{}: not conversations, and not imported, are {} of its entries: {}{more}",
            path.display(),
            others.len(),
            named.join(", ")
        ));
    }
    Ok(())
}

fn open(path: &Path) -> Result<Archive<File>, String> {
    #[expect(clippy::disallowed_methods, reason = "the input is no part of the store")]
    let file = File::open(path).map_err(|error| format!("that cannot be opened: {error}"))?;
    opened(file)
}
