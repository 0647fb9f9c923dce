//! What an import counts.
//!
//! Owns the counts, their names, and the code that they end with.

use serde_json::Value;

use crate::exit::Exit;

/// What an import did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    /// Conversations of which something was added.
    pub(super) conversations: u64,
    pub(super) messages: u64,
    pub(super) actions: u64,
    /// Conversations of which everything was there.
    pub(super) already_there: u64,
    /// Conversations that exist and are not the same.
    pub(super) conflicts: u64,
    /// Conversations that were removed from the store, and were not to be brought back.
    pub(super) removed: u64,
    /// Conversations that the store refuses to hold.
    pub(super) refused: u64,
    /// Lines that are not what they should be.
    pub(super) bad_lines: u64,
    /// Files that cannot be read.
    pub(super) damaged: u64,
    /// Conversations that have a higher version here than where they come from.
    pub(super) overtaken: u64,
    /// Inputs that break off, or are not what their last line says.
    pub(super) cut: u64,
}

impl Counts {
    pub(super) fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("conversations", self.conversations.into()),
            ("messages", self.messages.into()),
            ("actions", self.actions.into()),
            ("already_there", self.already_there.into()),
            ("conflicts", self.conflicts.into()),
            ("refused", self.refused.into()),
            ("bad_lines", self.bad_lines.into()),
            ("damaged", self.damaged.into()),
            ("removed", self.removed.into()),
        ]
    }

    /// What an import did, for whoever could not be given the counts.
    pub(super) fn in_words(&self) -> String {
        let fields: Vec<String> =
            self.fields().into_iter().map(|(name, value)| format!("{name} {value}")).collect();
        format!("imported: {}", fields.join(", "))
    }

    /// The gravest of what was met.
    pub(super) fn exit(&self) -> Exit {
        if self.damaged > 0 {
            Exit::Corrupt
        } else if self.bad_lines + self.refused + self.cut > 0 {
            Exit::Error
        } else if self.conflicts + self.removed > 0 {
            Exit::Conflict
        } else {
            Exit::Done
        }
    }
}
