//! A measure's table.
//!
//! Owns the order of the rows, best first, and the mark of a rival that is ahead.

use super::{figure, shown};
use crate::contenders::{OURS, is_limit};
use crate::measures::{Better, Measure};
use crate::results::Taken;

pub(super) fn table(measure: &Measure, taken: &Taken) -> String {
    let mut text = format!(
        "| contender |{}",
        measure.columns.iter().map(|c| format!(" {} |", c.head)).collect::<String>()
    );
    text += measure.limit.map_or(String::new(), |limit| format!(" × {limit} |")).as_str();
    text += " |\n|---|";
    text += &"---:|".repeat(measure.columns.len() + usize::from(measure.limit.is_some()));
    text += "---|\n";
    for contender in ranked(measure, taken) {
        text += &format!("| {} |", shown(contender));
        for column in measure.columns {
            let cell = taken.median(contender, column.metric).map_or_else(String::new, figure);
            text += &format!(" {cell} |");
        }
        if let (Some(limit), Some(first)) = (measure.limit, measure.columns.first()) {
            let ratio = taken.ratio(contender, first.metric, |round| round.of(limit));
            text += &format!(" {} |", ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")));
        }
        text += &format!(" {} |\n", mark(measure, taken, contender));
    }
    for (contender, reason) in &taken.failed {
        text += &format!("\n{contender} failed in a round: {reason}\n");
    }
    text
}

/// The contenders that have a figure in the first column, best first, then the others.
fn ranked(measure: &Measure, taken: &Taken) -> Vec<&'static str> {
    let mut rows: Vec<&str> = measure.contenders.to_vec();
    rows.retain(|name| measure.columns.iter().any(|column| taken.median(name, column.metric).is_some()));
    let Some(first) = measure.columns.first() else { return rows };
    let worst = if first.better == Better::More { f64::MIN } else { f64::MAX };
    let key = |name: &str| {
        let value = taken.median(name, first.metric).unwrap_or(worst);
        if first.better == Better::More { -value } else { value }
    };
    rows.sort_by(|a, b| key(a).total_cmp(&key(b)));
    rows
}

/// In which columns a rival is ahead of this store.
fn mark(measure: &Measure, taken: &Taken, contender: &str) -> String {
    if contender == OURS {
        return String::new();
    }
    if is_limit(contender) {
        return "limit".to_owned();
    }
    let ahead: Vec<&str> = measure
        .columns
        .iter()
        .filter(|column| {
            let figures = taken.median(contender, column.metric).zip(taken.median(OURS, column.metric));
            figures.is_some_and(|(theirs, ours)| match column.better {
                Better::Less => theirs < ours,
                Better::More => theirs > ours,
                Better::Neither => false,
            })
        })
        .map(|column| column.head)
        .collect();
    if ahead.is_empty() { String::new() } else { format!("**ahead**: {}", ahead.join("; ")) }
}
