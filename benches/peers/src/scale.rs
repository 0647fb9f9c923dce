//! How much is measured.
//!
//! Owns the three sizes of a run and what they mean in messages, seconds and rounds.

use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scale {
    /// The figures of the document.
    Full,
    /// Two minutes, for daily use.
    Quick,
    /// Seconds: whether everything still works; its figures mean nothing.
    Smoke,
}

impl Scale {
    pub(crate) fn of(name: &str) -> Option<Self> {
        [Self::Full, Self::Quick, Self::Smoke].into_iter().find(|scale| scale.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Quick => "quick",
            Self::Smoke => "smoke",
        }
    }

    /// One of three values, by size.
    pub(crate) fn pick<T>(self, full: T, quick: T, smoke: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
            Self::Smoke => smoke,
        }
    }

    /// How long a sample takes that may take as long as it likes.
    pub(crate) fn time(self) -> Duration {
        Duration::from_millis(self.pick(700, 200, 20))
    }

    /// How many conversations of a hundred messages a large store has.
    pub(crate) fn conversations(self) -> u32 {
        self.pick(10_000, 500, 20)
    }
}

/// How many messages a conversation of a large store has.
pub(crate) const PER_CONVERSATION: u32 = 100;
