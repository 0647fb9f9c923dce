//! What was to be reached, and whether it is.
//!
//! Owns the verdicts. A figure that is a quotient is the median of the quotients of each round.

use super::figure;
use crate::args::Subject;
use crate::contenders::{OURS, is_limit};
use crate::measures::{Better, Measure, RIVALS, Target};
use crate::results::{Results, Round, Taken};

/// All targets of all measures that were taken.
pub(super) fn overview(subject: Subject, results: &Results) -> String {
    let mut text = String::from("| measure | target | figure | |\n|---|---|---:|---|\n");
    for measure in subject.measures() {
        let Some(taken) = results.measures.get(measure.name) else { continue };
        for target in measure.targets {
            text += &format!("| {} {}", measure.title, row(measure, taken, target));
        }
    }
    text
}

/// The targets of one measure.
pub(super) fn of(measure: &Measure, taken: &Taken) -> String {
    if measure.targets.is_empty() {
        return String::new();
    }
    let rows: String = measure.targets.iter().map(|target| row(measure, taken, target)).collect();
    format!("\n| target | figure | |\n|---|---:|---|\n{rows}")
}

fn row(measure: &Measure, taken: &Taken, target: &Target) -> String {
    let Some(value) = value(measure, taken, target) else {
        return format!("| {} | | not measured |\n", target.text);
    };
    let reached = match target.better {
        Better::Less => value <= target.bound,
        Better::More | Better::Neither => value >= target.bound,
    };
    let unit = if target.against.is_empty() { "" } else { " ×" };
    let verdict = if reached { "reached" } else { "**not reached**" };
    format!("| {} | {}{unit} | {verdict} |\n", target.text, figure(value))
}

fn value(measure: &Measure, taken: &Taken, target: &Target) -> Option<f64> {
    if target.against.is_empty() {
        return taken.median(OURS, target.metric);
    }
    taken.ratio(OURS, target.metric, |round| best(measure, target, round))
}

/// The best figure of a round among those that ours is held against.
fn best(measure: &Measure, target: &Target, round: &Round<'_>) -> Option<f64> {
    let all: Vec<&str>;
    let against = if target.against == RIVALS {
        let rivals = measure.contenders.iter().copied();
        all = rivals.filter(|name| *name != OURS && !is_limit(name)).collect();
        all.as_slice()
    } else {
        target.against
    };
    let figures = against.iter().filter_map(|name| round.of(name));
    match target.better {
        Better::Less => figures.min_by(f64::total_cmp),
        Better::More | Better::Neither => figures.max_by(f64::total_cmp),
    }
}
