//! The commands that look after a store: compact, stats, verify.
//!
//! Owns the words and the fields in which their reports are printed.

use std::path::Path;

use aral_store::{DamagedFile, ErrorKind, Keep, KeptHistory, TornTail, VerifyReport};
use serde_json::{Map, Value};

use crate::args::StatsArgs;
use crate::consumers;
use crate::database;
use crate::exit::{Exit, Failure};
use crate::key;
use crate::output::{Form, Out, count, note, one_line, print, to_u64};
use crate::place;
use crate::progress::{Unit, Work};
use crate::replies;

/// Named values in the order in which they are printed.
pub(crate) type Fields = Vec<(&'static str, Value)>;

pub(crate) fn json(fields: Fields) -> String {
    let object: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Value::Object(object).to_string()
}

/// Prints fields as one JSON object, or as a name and a value a line.
pub(crate) fn print_fields(form: Form, fields: Fields) -> Result<(), Failure> {
    if form == Form::Json {
        return print(&json(fields));
    }
    let width = match form {
        Form::Table => fields.iter().map(|(name, _)| name.len() + 2).max().unwrap_or_default(),
        Form::Plain | Form::Json => 0,
    };
    let mut out = Out::new();
    for (name, value) in fields {
        let text = match value {
            Value::String(text) => one_line(&text),
            Value::Null => "-".to_owned(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                other.to_string()
            }
        };
        out.line(&match form {
            Form::Table => format!("{name:width$}{text}"),
            Form::Plain | Form::Json => format!("{name}\t{text}"),
        })?;
    }
    out.finish()
}

/// Says which events' history was dropped.
pub(crate) fn tell_dropped(dropped: Option<(u64, u64)>) {
    if let Some((first, last)) = dropped {
        note(&format!(
            "the history of events {first} to {last} was dropped, as it was not to be kept any longer"
        ));
    }
}

/// Says which events' history is missing, and what that comes to.
pub(crate) fn tell_missing(kept: KeptHistory) -> Exit {
    let Some((first, last)) = kept.missing else { return Exit::Done };
    note(&format!(
        "the history of events {first} to {last} is missing, and what is kept of older ones leads to nothing; see verify"
    ));
    Exit::Corrupt
}

pub(crate) fn compact(dir: &Path, form: Form) -> Result<Exit, Failure> {
    let store = place::for_change(dir)?;
    let report = {
        // Each conversation that has changed becomes a file, and its sync is what takes the time.
        let _work = Work::begin("compacting", Some(store.stats()?.dirty_conversations), Unit::Files);
        store.compact()?
    };
    tell_dropped(report.dropped_history);
    for file in &report.unkept {
        note(&format!("what it was before is not kept in the history: {}", place::damage(file)));
    }
    for path in &report.quarantined {
        note(&format!(
            "was not the store's own where a compaction puts a file, and is kept in {}",
            path.display()
        ));
    }
    for file in &report.held {
        note(&format!("not written, and its events are kept in the log: {}", place::damage(file)));
    }
    let fields = vec![
        ("epoch", report.epoch.into()),
        ("covered_seq", report.covered_seq.into()),
        ("written", report.written.into()),
        ("written_bytes", report.written_bytes.into()),
        ("removed", report.removed.into()),
        ("dropped_segments", report.dropped_segments.into()),
        ("quarantined", report.quarantined.len().into()),
        ("held", report.held.len().into()),
    ];
    let printed = print_fields(form, fields);
    store.close()?;
    printed.map_err(|failure| failure.after(|| format!("compacted, epoch {}", report.epoch)))?;
    Ok(place::amiss(&report.held))
}

pub(crate) fn stats(dir: &Path, form: Form, args: &StatsArgs) -> Result<Exit, Failure> {
    let store = place::for_reading(dir)?;
    let stats = store.stats()?;
    let mut fields = vec![
        ("conversations", stats.conversations.into()),
        ("messages", stats.messages.into()),
        ("actions", stats.actions.into()),
        ("damaged", stats.damaged.into()),
        ("last_seq", stats.last_seq.into()),
        ("covered_seq", stats.covered_seq.into()),
        ("dirty_conversations", stats.dirty_conversations.into()),
        ("segments", stats.segments.into()),
        ("log_bytes", stats.log_bytes.into()),
        ("snapshot_bytes", stats.snapshot_bytes.into()),
        ("epoch", stats.epoch.into()),
        ("index_bytes", stats.index_bytes.into()),
        ("compaction_error", stats.compaction_error.into()),
        ("held", stats.held.into()),
    ];
    if let Some(seq) = stats.documents_seq {
        fields.push(("documents_seq", seq.into()));
        fields.push(("documents_error", stats.documents_error.into()));
    }
    let mut exit = place::amiss(&store.recovery().damaged);
    let kept = store.kept_history();
    if let Err(error) = &kept
        && error.kind() != ErrorKind::Unsupported
    {
        note(&error.to_string());
        exit = exit.graver(Exit::of(error.kind()));
    }
    // A database keeps every event, and has no choice.
    let is_chosen = |kept: &KeptHistory| kept.bytes > 0 || kept.keep != Keep::Everything;
    if let Some(kept) = kept.ok().filter(is_chosen) {
        fields.push(("history_keep", kept.keep.to_string().into()));
        fields.push(("history_from", kept.from.into()));
        fields.push(("history_bytes", kept.bytes.into()));
        exit = exit.graver(tell_missing(kept));
    }
    if !stats.consumers.is_empty() {
        let consumers = match form {
            Form::Json => stats.consumers.iter().map(consumers::as_json).collect::<Vec<_>>().into(),
            Form::Plain | Form::Table => {
                stats.consumers.iter().map(consumers::in_words).collect::<Vec<_>>().join(", ").into()
            }
        };
        fields.push(("consumers", consumers));
        exit = exit.graver(consumers::tell(&stats.consumers));
    }
    if let Some(policy) = &stats.retention {
        fields.push(("retention", policy.to_string().into()));
    }
    if let Some(reason) = &stats.retention_error {
        note(&one_line(&format!("the policy of what the store keeps cannot be gone by: {reason}")));
        fields.push(("retention_error", reason.as_str().into()));
        exit = exit.graver(Exit::Corrupt);
    }
    if args.replies {
        fields.extend(replies::fields(&store, form)?);
    }
    print_fields(form, fields)?;
    // The opening has named what is amiss on standard error.
    Ok(exit)
}

pub(crate) fn verify(dir: &Path, form: Form) -> Result<Exit, Failure> {
    let verified = place::quietly_for_reading(dir).and_then(|store| {
        let _work = Work::begin("verifying", Some(place::bytes_below(dir)), Unit::StoreBytes);
        Ok(store.verify()?)
    });
    let is_directory = database::of(dir)?.is_none();
    let (report, refusal) = match verified {
        Ok(report) => (report, None),
        // What is kept as objects can be looked at without opening it; of the others the opening has said what there is to say.
        Err(Failure::Store(error)) if !is_directory && error.kind() == ErrorKind::Corrupt => {
            match key::options().verify(dir) {
                Ok(report) => (report, Some(error)),
                Err(_) => return Err(Failure::Store(error)),
            }
        }
        // What a database is has to be asked of the database.
        Err(failure) if !is_directory => return Err(failure),
        // A store that cannot be opened is what this command is there to tell about.
        Err(Failure::Store(error))
            if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnsupportedFormat) =>
        {
            (key::options().verify(dir)?, Some(error))
        }
        // What the checksums tell can be told without a key.
        Err(Failure::Store(error)) if error.kind() == ErrorKind::Key && !key::is_given() => {
            (key::options().verify(dir)?, Some(error))
        }
        // To look at everything a piece at a time takes less than to open the store.
        Err(Failure::Store(error)) if error.kind() == ErrorKind::OutOfMemory => {
            (key::options().verify(dir)?, None)
        }
        Err(failure) => return Err(failure),
    };
    let mut out = Out::new();
    findings(&report, form, &mut out)?;
    summary(&report, form, &mut out)?;
    out.finish()?;
    let Some(error) = refusal else {
        return Ok(place::amiss(&report.damaged));
    };
    crate::output::error(&format!("the store cannot be opened: {error}"));
    Ok(place::amiss(&report.damaged).graver(Exit::of(error.kind())))
}

fn findings(report: &VerifyReport, form: Form, out: &mut Out) -> Result<(), Failure> {
    for file in &report.damaged {
        out.line(&match form {
            Form::Json => damaged_json(file),
            Form::Plain | Form::Table => one_line(&place::damage(file)),
        })?;
    }
    remarks(report.torn.as_ref(), &report.notes, form, out)
}

/// Prints what is no damage: a torn tail, and what is worth knowing.
pub(crate) fn remarks(
    torn: Option<&TornTail>,
    notes: &[String],
    form: Form,
    out: &mut Out,
) -> Result<(), Failure> {
    if let Some(torn) = torn {
        out.line(&match form {
            Form::Json => torn_json(torn),
            Form::Plain | Form::Table => one_line(&format!(
                "torn, which is no damage: the last writer was stopped while it wrote, in {} at byte {}",
                torn.path.display(),
                torn.offset
            )),
        })?;
    }
    for text in notes {
        out.line(&match form {
            Form::Json => json(vec![("type", "note".into()), ("text", text.as_str().into())]),
            Form::Plain | Form::Table => one_line(&format!("note: {text}")),
        })?;
    }
    Ok(())
}

fn damaged_json(file: &DamagedFile) -> String {
    json(vec![
        ("type", if file.is_forbidden { "forbidden" } else { "damaged" }.into()),
        ("path", file.path.to_string_lossy().into()),
        ("offset", file.offset.into()),
        ("conversation_id", file.conversation_id.as_deref().into()),
        ("reason", file.reason.as_str().into()),
    ])
}

fn torn_json(torn: &TornTail) -> String {
    json(vec![
        ("type", "torn".into()),
        ("path", torn.path.to_string_lossy().into()),
        ("offset", torn.offset.into()),
        ("bytes", torn.bytes.into()),
        ("discarded_events", torn.discarded_events.into()),
    ])
}

fn summary(report: &VerifyReport, form: Form, out: &mut Out) -> Result<(), Failure> {
    let damaged = to_u64(report.damaged.iter().filter(|file| !file.is_forbidden).count());
    let verdict = match (report.is_sound(), damaged) {
        (true, _) => "sound",
        (false, 0) => "not all of it can be read by this user",
        (false, _) => "damaged",
    };
    out.line(&match form {
        Form::Json => json(vec![
            ("type", "summary".into()),
            ("sound", report.is_sound().into()),
            ("files", report.files.into()),
            ("bytes", report.bytes.into()),
            ("conversations", report.conversations.into()),
            ("events", report.events.into()),
            ("damaged", damaged.into()),
        ]),
        Form::Plain | Form::Table => format!(
            "{verdict}: read {} of {}, with {} and {} of the log, {damaged} damaged",
            count(report.bytes, "byte"),
            count(report.files, "file"),
            count(report.conversations, "conversation file"),
            count(report.events, "event"),
        ),
    })
}
