//! `--unique-ids`.

use aral_store::UniqueIds;
use clap::ValueEnum;

/// What becomes of an addition whose id is taken.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SameId {
    /// Refuse it, with code 4
    Refuse,
    /// If it is the same, take what is there for it and add nothing; else refuse it, with code 4
    Existing,
}

impl From<SameId> for UniqueIds {
    fn from(rule: SameId) -> Self {
        match rule {
            SameId::Refuse => Self::Refuse,
            SameId::Existing => Self::Existing,
        }
    }
}
