//! The figures for people.
//!
//! Owns the text of a run and the generated parts of `docs/performance.md`: what stands between `<!-- begin X -->` and
//! `<!-- end X -->` is replaced, and everything around it, which people write, stays.

mod tables;
mod targets;

use std::fs;
use std::path::Path;

use crate::Outcome;
use crate::args::Subject;
use crate::contenders::OURS;
use crate::results::Results;

/// Everything that is generated, one part after another.
pub(crate) fn text(subject: Subject, results: &Results) -> String {
    parts(subject, results).into_iter().map(|(_, title, text)| format!("## {title}\n\n{text}\n")).collect()
}

/// Puts the figures into the document.
pub(crate) fn write(subject: Subject, results: &Results, path: &Path) -> Outcome<()> {
    let mut document = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => HEAD.to_owned(),
        Err(error) => return Err(error.into()),
    };
    for (name, title, text) in parts(subject, results) {
        document = replaced(&document, &name, &title, &text)?;
    }
    Ok(fs::write(path, document)?)
}

const HEAD: &str = "# How fast it is\n";

/// The generated parts: name, title, text.
fn parts(subject: Subject, results: &Results) -> Vec<(String, String, String)> {
    let (before, of) = match subject {
        Subject::Directories => ("", ""),
        Subject::Databases => ("databases-", " of stores in databases"),
    };
    let mut parts = vec![
        (format!("{before}targets"), format!("Targets{of}"), targets::overview(subject, results)),
        (format!("{before}machine"), format!("Machine{of}"), machine(results)),
    ];
    for measure in subject.measures() {
        if let Some(taken) = results.measures.get(measure.name) {
            let text = format!("{}\n\n{}", measure.about, tables::table(measure, taken));
            let text = format!("{text}{}", targets::of(measure, taken));
            parts.push((measure.name.to_owned(), measure.title.to_owned(), text));
        }
    }
    parts
}

fn machine(results: &Results) -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    for (what, value) in &results.machine {
        text += &format!("| {what} | {value} |\n");
    }
    let versions: Vec<String> =
        results.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    text += &format!("| versions | {} |\n", versions.join(", "));
    text + &format!("| run | {}, {:.0} minutes |\n", results.scale, results.minutes)
}

/// The document with this part in its place; a part without a place gets one at the end.
fn replaced(document: &str, name: &str, title: &str, text: &str) -> Outcome<String> {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let Some((before, rest)) = document.split_once(&begin) else {
        return Ok(format!("{}\n\n## {title}\n\n{begin}{text}{end}\n", document.trim_end()));
    };
    let (_, after) = rest.split_once(&end).ok_or_else(|| format!("`{begin}` without an end"))?;
    Ok(format!("{before}{begin}{text}{end}{after}"))
}

/// A contender's name in a table.
fn shown(contender: &str) -> String {
    if contender == OURS { format!("**{contender}**") } else { contender.to_owned() }
}

/// A figure with three digits that count.
fn figure(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        let digits = format!("{value:.0}");
        let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
        let mut grouped = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        return format!("{sign}{grouped}");
    }
    match size {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
