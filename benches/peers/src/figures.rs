//! Figures of many samples: percentiles and medians.
//!
//! Owns the arithmetic, and the names that metrics have in results.

use std::collections::BTreeMap;
use std::time::Duration;

/// What one sample found, by name. The name says the unit.
pub(crate) type Metrics = BTreeMap<String, f64>;

/// Latencies of single calls, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<u64>);

impl Latencies {
    pub(crate) fn add(&mut self, elapsed: Duration) {
        self.0.push(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn join(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.iter().sum())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The latency that this share of the calls does not exceed, in microseconds.
    pub(crate) fn percentile(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.0.get(at).copied().unwrap_or_default() as f64 / 1000.0
    }

    /// Puts the median and the 99th percentile among the metrics.
    pub(crate) fn report(&mut self, metrics: &mut Metrics) {
        metrics.insert("p50_us".into(), self.percentile(0.5));
        metrics.insert("p99_us".into(), self.percentile(0.99));
    }
}

/// The middle one, or the mean of the two in the middle; `None` of none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.into_iter().filter(|figure| figure.is_finite()).collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = figures.get(middle).copied()?;
    if figures.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = figures.get(middle.checked_sub(1)?).copied()?;
    Some(f64::midpoint(lower, upper))
}
