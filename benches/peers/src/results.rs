//! What was measured, as a file.
//!
//! Owns `results.json`: every figure of every round, and the machine. The document is made from it alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::figures::{Metrics, median};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// `full`, `quick` or `smoke`.
    pub(crate) scale: String,
    pub(crate) minutes: f64,
    pub(crate) machine: BTreeMap<String, String>,
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) measures: BTreeMap<String, Taken>,
}

/// One measure's figures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// By contender, for each round.
    pub(crate) rounds: Vec<BTreeMap<String, Metrics>>,
    /// Contenders without figures, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) failed: BTreeMap<String, String>,
}

impl Taken {
    /// The median over the rounds.
    pub(crate) fn median(&self, contender: &str, metric: &str) -> Option<f64> {
        median(self.rounds.iter().filter_map(|round| round.get(contender)?.get(metric).copied()))
    }

    /// The median over the rounds of a quotient within a round.
    pub(crate) fn ratio(
        &self,
        contender: &str,
        metric: &str,
        to: impl Fn(&Round<'_>) -> Option<f64>,
    ) -> Option<f64> {
        median(self.rounds.iter().filter_map(|found| {
            let round = Round { found, metric };
            Some(round.of(contender)? / to(&round)?)
        }))
    }
}

/// One metric in one round.
#[derive(Debug)]
pub(crate) struct Round<'a> {
    found: &'a BTreeMap<String, Metrics>,
    metric: &'a str,
}

impl Round<'_> {
    pub(crate) fn of(&self, contender: &str) -> Option<f64> {
        self.found.get(contender)?.get(self.metric).copied()
    }
}

impl Results {
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    pub(crate) fn write(&self, path: &Path) -> Outcome<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(fs::write(path, text)?)
    }
}
