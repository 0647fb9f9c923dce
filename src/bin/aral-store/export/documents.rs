//! The documents of a tool, as they were before they were imported.
//!
//! Owns that a document is the parts of all of its conversations, one behind the other, and that none is written of which something is
//! missing: what was JSON would be none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aral_store::Conversation;

use crate::output::{self, to_u64};
use crate::transcripts::Tool;
use crate::transcripts::source::{Part, Source, parts};

/// Of each document's path its conversations, by their numbers.
#[derive(Default)]
pub(super) struct Documents {
    found: BTreeMap<PathBuf, BTreeMap<u64, Vec<Part>>>,
}

impl Documents {
    /// Takes a conversation's parts. `path` is where its document goes.
    pub(super) fn add(
        &mut self,
        conversation: &Conversation,
        (source, tool): (&Source, Tool),
        path: PathBuf,
    ) {
        let (parts, others) = parts(conversation, tool);
        if others > 0 {
            let others = output::count(to_u64(others), "item");
            output::note(&format!(
                "left out of {:?}: {others} that did not come of its file",
                conversation.id
            ));
        }
        self.found.entry(path).or_default().insert(source.part, parts);
    }

    /// The documents that are whole, with their bytes; the others are told. `untold` says whether some were.
    pub(super) fn whole(self, untold: &mut bool) -> Vec<(PathBuf, String)> {
        let mut whole = Vec::new();
        for (path, conversations) in self.found {
            match put_together(&conversations) {
                Ok(text) => whole.push((path, text)),
                Err(reason) => {
                    told(&path, &reason);
                    *untold = true;
                }
            }
        }
        whole
    }
}

fn told(path: &Path, reason: &str) {
    output::error(&format!("{} is not exported: {reason}", path.display()));
}

fn put_together(conversations: &BTreeMap<u64, Vec<Part>>) -> Result<String, String> {
    let last = conversations.keys().next_back().copied().unwrap_or_default();
    if to_u64(conversations.len()) != last {
        let missing = last.saturating_sub(to_u64(conversations.len()));
        return Err(format!("{} of its conversations are not in the store, or not chosen", missing.max(1)));
    }
    let (mut text, mut is_ended) = (String::new(), false);
    for (part, pieces) in conversations {
        for (at, piece) in (1..).zip(pieces) {
            if piece.number != at || is_ended {
                return Err(format!("part {at} of its conversation {part} is not in the store"));
            }
            text.push_str(&piece.raw);
            is_ended = piece.is_end;
        }
    }
    if is_ended { Ok(text) } else { Err("its end is not in the store".to_owned()) }
}
