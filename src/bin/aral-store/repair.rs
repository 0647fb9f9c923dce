//! The command that saves what can be saved of a damaged store.
//!
//! Owns the words and the fields in which a repair's losses are printed.

use std::path::Path;

use aral_store::{Loss, RepairReport, location};

use crate::database;
use crate::exit::{Exit, Failure};
use crate::key;
use crate::loss::loss_in_words;
use crate::output::{Form, Out, count, one_line, to_u64};
use crate::place;
use crate::progress::{Unit, Work};
use crate::upkeep::{json, remarks};

pub(crate) fn run(dir: &Path, form: Form, to: Option<&Path>) -> Result<Exit, Failure> {
    match database::of(dir)? {
        // What is wrong with a database may keep it from being opened; the repair says whether there is a store.
        Some(database) => database.must_be_a_place()?,
        None => {
            place::must_be_there(dir)?;
            to.map_or(Ok(()), location::check_directory)?;
        }
    }
    let report = {
        let _work = Work::begin("repairing", Some(place::bytes_below(dir)), Unit::StoreBytes);
        let options = place::watched(key::options());
        match to {
            Some(to) => options.repair(dir, to)?,
            None => options.repair_in_place(dir)?,
        }
    };
    print(&report, form).map_err(|failure| {
        failure.after(|| {
            let kept =
                report.kept.as_ref().map(|path| format!("; the damaged store is kept in {}", path.display()));
            format!("repaired, {}{}", summary(&report, Form::Plain), kept.unwrap_or_default())
        })
    })?;
    Ok(if report.is_complete() { Exit::Done } else { Exit::Corrupt })
}

fn print(report: &RepairReport, form: Form) -> Result<(), Failure> {
    let mut out = Out::new();
    for loss in &report.lost {
        out.line(&match form {
            Form::Json => loss_json(loss),
            Form::Plain | Form::Table => one_line(&loss_in_words(loss)),
        })?;
    }
    remarks(report.torn.as_ref(), &report.notes, form, &mut out)?;
    for path in &report.quarantined {
        out.line(&match form {
            Form::Json => json(vec![("type", "quarantined".into()), ("path", path.to_string_lossy().into())]),
            Form::Plain | Form::Table => one_line(&format!("copied as it is: {}", path.display())),
        })?;
    }
    if let Some(kept) = &report.kept {
        out.line(&match form {
            Form::Json => json(vec![("type", "kept".into()), ("path", kept.to_string_lossy().into())]),
            Form::Plain | Form::Table => {
                one_line(&format!("the damaged store is kept in {}", kept.display()))
            }
        })?;
    }
    out.line(&summary(report, form))?;
    out.finish()
}

fn loss_json(loss: &Loss) -> String {
    json(vec![
        ("type", "lost".into()),
        ("path", loss.path.to_string_lossy().into()),
        ("offset", loss.offset.into()),
        ("conversation_id", loss.conversation_id.as_deref().into()),
        ("first_seq", loss.first_seq.into()),
        ("last_seq", loss.last_seq.into()),
        ("reason", loss.reason.as_str().into()),
        ("named", loss.named.clone().into()),
        ("near", loss.near.clone().into()),
    ])
}

fn summary(report: &RepairReport, form: Form) -> String {
    match form {
        Form::Json => json(vec![
            ("type", "summary".into()),
            ("complete", report.is_complete().into()),
            ("conversations", report.conversations.into()),
            ("messages", report.messages.into()),
            ("actions", report.actions.into()),
            ("events", report.events.into()),
            ("lost", to_u64(report.lost.len()).into()),
            ("quarantined", to_u64(report.quarantined.len()).into()),
        ]),
        Form::Plain | Form::Table => format!(
            "{}: {}, {}, {}, {} carried out again, {}",
            if report.is_complete() { "complete" } else { "incomplete" },
            count(report.conversations, "conversation"),
            count(report.messages, "message"),
            count(report.actions, "action"),
            count(report.events, "event"),
            if report.is_complete() {
                "nothing lost".to_owned()
            } else {
                format!("lost in {}", count(to_u64(report.lost.len()), "place"))
            },
        ),
    }
}
