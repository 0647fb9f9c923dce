//! Roles that were perhaps mistyped.
//!
//! Owns the note about them. A role is any text and is kept as it is; but one that is a letter away from a usual one
//! is more often a mistake, and a model that is given the history later refuses it.

use std::collections::HashSet;

use aral_store::{Mutation, Operation, Text, near_miss};

use crate::output::{self, one_line};

/// What the models' own interfaces call those who speak.
const USUAL: [&str; 6] = ["user", "assistant", "system", "tool", "developer", "function"];

/// Which roles have been told of.
#[derive(Default)]
pub(crate) struct Roles(HashSet<String>);

impl Roles {
    /// Tells of the role that a mutation gives to a message, once for each that is not a usual one and near one.
    pub(crate) fn look_at(&mut self, mutation: &Mutation) {
        if let Some(text) = role(mutation).and_then(Text::as_str).and_then(|role| self.remark(role)) {
            output::note(&one_line(&text));
        }
    }

    fn remark(&mut self, role: &str) -> Option<String> {
        let usual = near_miss(role, &USUAL)?;
        let is_first = self.0.insert(role.to_owned());
        is_first.then(|| format!("the role {role:.60?} is kept; the usual one is {usual:?}"))
    }
}

fn role(mutation: &Mutation) -> Option<&Text> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others give no role")]
    match &mutation.operation {
        Operation::AddMessage(message) => Some(&message.role),
        Operation::EditMessage { edit, .. } => edit.role.as_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_near_a_usual_one_is_told_once_and_any_other_not_at_all() {
        let mut roles = Roles::default();
        assert!(roles.remark("asistant").is_some_and(|text| text.contains("\"assistant\"")));
        assert!(roles.remark("asistant").is_none() && roles.remark("User").is_some());
        for kept in USUAL.into_iter().chain(["", "critic", "planner", "human", "ai"]) {
            assert!(roles.remark(kept).is_none(), "{kept}");
        }
    }
}
