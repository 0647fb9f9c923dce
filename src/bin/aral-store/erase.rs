//! The command that erases, and that proves it.
//!
//! Owns the asking, what is said of what goes and of what does not, and the receipt's file. Ids are given in full: nothing brings back
//! what goes.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use aral_store::{Erasure, ErasureReport, MessageStore};
use clap::Args;

use crate::ask;
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::output::{self, Form, Out, count, note, one_line, to_u64};
use crate::place;
use crate::upkeep::json;

#[derive(Args, Debug)]
pub(crate) struct EraseArgs {
    /// A conversation's id, or that and a message's with a slash between, in full; it may have been removed before
    #[arg(value_name = "CONV[/MESSAGE]", required_unless_present = "check")]
    pub(crate) target: Option<String>,
    /// Do not ask; needed where nobody could answer
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Say what would go, and what would not, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write the receipt to this new file, too
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "check"])]
    pub(crate) receipt: Option<PathBuf>,
    /// Search everything for what this receipt is of, instead of erasing
    #[arg(long, value_name = "RECEIPT", conflicts_with_all = ["target", "dry_run", "yes"])]
    pub(crate) check: Option<PathBuf>,
    /// Search this file or directory, too, such as a backup; may be given again
    #[arg(long, value_name = "PATH", requires = "check")]
    pub(crate) also: Vec<PathBuf>,
}

pub(crate) fn run(dir: &Path, form: Form, args: &EraseArgs) -> Result<Exit, Failure> {
    if let Some(receipt) = &args.check {
        return check(dir, form, receipt, &args.also);
    }
    let target = args.target.as_deref().unwrap_or_default();
    if args.dry_run {
        let store = place::for_reading(dir)?;
        let what = meant(&store, target)?;
        let report = store.erasable(&what)?;
        tell(&report, form, &format!("would erase {}", in_words(&what)))?;
        return Ok(place::verdict(&store));
    }
    if !args.yes && !io::stdin().is_terminal() {
        let text = "erasing needs --yes where nobody can be asked; nothing was erased";
        return Err(Failure::Usage(text.to_owned()));
    }
    if let Some(path) = args.receipt.as_deref().filter(|path| path.exists()) {
        let text = format!("there is a file {} already; nothing was erased", path.display());
        return Err(Failure::Usage(text));
    }
    let store = place::for_change(dir)?;
    let what = meant(&store, target)?;
    if !args.yes && !ask::agrees(&format!("erase {} for good", in_words(&what)))? {
        note("nothing was erased");
        store.close()?;
        return Ok(Exit::Error);
    }
    let report = store.erase(&what)?;
    let written = args.receipt.as_deref().map_or(Ok(()), |path| {
        let text = format!("{}\n", report.receipt);
        fs::File::create_new(path)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(|error| Failure::file("write", path, error))
    });
    let told = match form {
        Form::Json => {
            tell_rest(&report);
            output::print(&report.receipt)
        }
        Form::Table | Form::Plain => tell(&report, form, &format!("erased {}", in_words(&what))),
    };
    store.close()?;
    let done = || format!("erased {}; its receipt is in log/erasures", one_line(&in_words(&what)));
    written.and(told).map_err(|failure| failure.after(done))?;
    Ok(if report.not_erased.is_empty() { Exit::Done } else { Exit::Error })
}

/// What a target means, by the ids that are or were there.
fn meant(store: &MessageStore, target: &str) -> Result<Erasure, Failure> {
    let is_known = |id: &str| -> Result<bool, Failure> {
        Ok(ids::exists(store, id)? || store.removed(id)?.is_some() || !store.history(id)?.is_empty())
    };
    let mut found = Vec::new();
    // Ids may hold slashes themselves, so every reading is held against what there is.
    if is_known(target)? {
        found.push(Erasure::conversation(target));
    }
    for (at, _) in target.match_indices('/') {
        let (conversation, message) = target.split_at(at);
        if is_known(conversation)? {
            found.push(Erasure::message(conversation, message.trim_start_matches('/')));
        }
    }
    if found.len() > 1 {
        return Err(Failure::Usage(format!(
            "{target:?} may mean more than one thing; rename what is not meant"
        )));
    }
    // Where nothing is known by it, the store may still hold what nobody can read any more.
    Ok(found.pop().unwrap_or_else(|| Erasure::conversation(target)))
}

fn in_words(what: &Erasure) -> String {
    match &what.message_id {
        Some(id) => {
            format!("message {:?} of conversation {:?}", id.to_string_lossy(), what.conversation_id)
        }
        None => format!("conversation {:?}", what.conversation_id),
    }
}

fn tell(report: &ErasureReport, form: Form, done: &str) -> Result<(), Failure> {
    let paths = |paths: &[PathBuf]| -> Vec<String> {
        paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
    };
    let mut out = Out::new();
    if form == Form::Json {
        out.line(&json(vec![
            ("messages", report.messages.into()),
            ("actions", report.actions.into()),
            (
                "events",
                report.events.iter().map(|(first, last)| vec![*first, *last]).collect::<Vec<_>>().into(),
            ),
            ("files", paths(&report.files).into()),
            ("not_erased", paths(&report.not_erased).into()),
            ("forks", report.forks.as_slice().into()),
            ("untold", report.untold.into()),
        ]))?;
        return out.finish();
    }
    let events: u64 = report.events.iter().map(|(first, last)| last - first + 1).sum();
    out.line(&one_line(&format!(
        "{done}: {}, {}, {} of the log and its history, {}",
        count(report.messages, "message"),
        count(report.actions, "action"),
        count(events, "event"),
        count(to_u64(report.files.len()), "file")
    )))?;
    tell_rest(report);
    out.finish()
}

/// Says what is not erased, and what nobody can look for.
fn tell_rest(report: &ErasureReport) {
    if report.untold > 0 {
        note(&format!(
            "--check will not look for all of it: {} too short to be told from others, or could not be read",
            if report.untold == 1 { "1 text is".to_owned() } else { format!("{} texts are", report.untold) }
        ));
    }
    for path in &report.not_erased {
        note(&one_line(&format!("not erased, as it is not the store's own: {}", path.display())));
    }
    for fork in &report.forks {
        note(&one_line(&format!(
            "not erased: conversation {fork:?}, a fork, has messages of its own from it"
        )));
    }
}

/// Says where something is left of what a receipt is of.
fn check(dir: &Path, form: Form, receipt: &Path, also: &[PathBuf]) -> Result<Exit, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the receipt is no part of the store")]
    let text = fs::read_to_string(receipt).map_err(|error| Failure::file("read", receipt, error))?;
    let store = place::for_reading(dir)?;
    let found = store.remnants(&text, also)?;
    let mut out = Out::new();
    for place in &found {
        out.line(&match form {
            Form::Json => {
                json(vec![("path", place.path.to_string_lossy().into()), ("offset", place.offset.into())])
            }
            Form::Table | Form::Plain => one_line(&format!(
                "still there: {}, at byte {}",
                place.path.display(),
                place.offset.unwrap_or_default()
            )),
        })?;
    }
    if found.is_empty() && form != Form::Json {
        out.line("nothing of it was found")?;
    }
    out.finish()?;
    Ok(if found.is_empty() { Exit::Done } else { Exit::Error })
}
