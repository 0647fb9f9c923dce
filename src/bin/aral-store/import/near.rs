//! Fields of lines that were perhaps mistyped.
//!
//! Owns the note about them. A field without a name here is kept as it is, because other programs have their own; but one
//! that is a letter away from a field that is not there is more often a mistake.

use std::collections::HashSet;

use aral_store::{ExportLine, JsonObject, near_miss};

use crate::output::{self, one_line};

/// Which fields have been told of.
#[derive(Default)]
pub(super) struct Near(HashSet<String>);

impl Near {
    /// Tells of the fields of a line, once for each name.
    pub(super) fn look_at(&mut self, line: &ExportLine) {
        // What must be there is missed without a word from here.
        let (extra, optional): (&JsonObject, &[&str]) = match line {
            ExportLine::Conversation { extra, .. } => (extra, &["title", "metadata", "version"]),
            ExportLine::Message { message, .. } => (&message.extra, &["role", "metadata"]),
            ExportLine::Action { action, .. } => (&action.extra, &["metadata"]),
            ExportLine::End(_) | _ => return,
        };
        if extra.is_empty() {
            return;
        }
        let Ok(serde_json::Value::Object(members)) = extra.to_value() else { return };
        for name in members.keys() {
            let Some(meant) = near_miss(name, optional) else { continue };
            if self.0.insert(name.clone()) {
                let text = format!("the field {name:.60?} is kept as it is; perhaps {meant:?} is meant");
                output::note(&one_line(&text));
            }
        }
    }
}
