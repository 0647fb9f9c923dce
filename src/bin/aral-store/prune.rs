//! The command that takes away what is older than what is to be kept.
//!
//! Owns the words of the policy, the asking, and how what goes is listed.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use aral_store::{Error, ErrorKind, MessageStore, PruneReport, Pruned, Retention, Timestamp};
use clap::Args;
use serde_json::Value;

use crate::ask;
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::keep;
use crate::moment;
use crate::output::{self, Form, Out, count, note, one_line};
use crate::place;
use crate::retention::tell_unread;
use crate::upkeep::json;

#[derive(Args, Debug)]
pub(crate) struct PruneArgs {
    /// Conversations to look at, in full; all of them if none is named
    #[arg(value_name = "CONV")]
    pub(crate) conversations: Vec<String>,
    /// Only conversations that were last active before this: a span such as 90d, a date or a time
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) older_than: Option<String>,
    /// Leave so many of the newest messages in each, and the whole turn that the first of them is in; without it they are removed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep_last: Option<u32>,
    /// Say what would go, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask; needed where nobody could answer
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// What goes.
enum By<'a> {
    Given(Retention),
    /// What the store remembers, for these conversations or all.
    Stored(&'a [String]),
}

impl<'a> By<'a> {
    fn of(args: &'a PruneArgs) -> Result<Self, Failure> {
        if args.older_than.is_none() && args.keep_last.is_none() {
            return Ok(Self::Stored(&args.conversations));
        }
        let mut policy = Retention::new().only(&args.conversations);
        if let Some(text) = &args.older_than {
            policy = policy.older_than(moment::read("--older-than", text)?);
        }
        if let Some(count) = args.keep_last {
            policy = policy.keep_last(usize::try_from(count).unwrap_or(usize::MAX));
        }
        Ok(Self::Given(policy))
    }

    fn planned(&self, store: &MessageStore) -> Result<PruneReport, Failure> {
        match self {
            Self::Given(policy) => {
                let mut report = PruneReport::default();
                report.pruned = store.prunable(policy)?;
                Ok(report)
            }
            Self::Stored(ids) => store.prunable_as_stored(ids).map_err(unless_stored),
        }
    }

    fn done(&self, store: &MessageStore) -> Result<PruneReport, Failure> {
        match self {
            Self::Given(policy) => Ok(store.prune(policy)?),
            Self::Stored(ids) => store.prune_as_stored(ids).map_err(unless_stored),
        }
    }
}

/// Says what to do where no policy is remembered. Any other error is what it is: something may have been pruned before it.
fn unless_stored(error: Error) -> Failure {
    if error.kind() != ErrorKind::InvalidInput || !error.message().starts_with("the store keeps no policy") {
        return error.into();
    }
    let text = "say what goes: --older-than 90d, --keep-last 100, or both; no policy is remembered by retention, and nothing was pruned";
    Failure::Usage(text.to_owned())
}

pub(crate) fn run(dir: &Path, form: Form, args: &PruneArgs) -> Result<Exit, Failure> {
    let by = By::of(args)?;
    if args.dry_run {
        let store = place::for_reading(dir)?;
        must_be_there(&store, args)?;
        let planned = by.planned(&store)?;
        list(&planned.pruned, form, "would prune")?;
        return Ok(place::verdict(&store).graver(tell_unread(&planned.unread)));
    }
    if !args.yes && !io::stdin().is_terminal() {
        let text = "pruning needs --yes where nobody can be asked; nothing was pruned";
        return Err(Failure::Usage(text.to_owned()));
    }
    let store = place::for_change(dir)?;
    must_be_there(&store, args)?;
    if !args.yes && !agrees(&by.planned(&store)?.pruned)? {
        note("nothing was pruned");
        store.close()?;
        return Ok(Exit::Error);
    }
    let how_long = keep::how_long(&store);
    let report = by.done(&store)?;
    let printed = list(&report.pruned, form, "pruned");
    for id in &report.changed {
        note(&one_line(&format!("{id:?} was changed meanwhile, and nothing of it was pruned")));
    }
    if let Some(text) = how_long.filter(|_| !report.pruned.is_empty()) {
        note(&text);
    }
    let exit = place::verdict(&store).graver(tell_unread(&report.unread));
    let closed = store.close();
    printed.map_err(|failure| {
        failure.after(|| format!("pruned {}", count(output::to_u64(report.pruned.len()), "conversation")))
    })?;
    closed?;
    Ok(if report.changed.is_empty() { exit } else { exit.graver(Exit::Conflict) })
}

/// Says of a conversation that is named and not there what became of it.
fn must_be_there(store: &MessageStore, args: &PruneArgs) -> Result<(), Failure> {
    for id in &args.conversations {
        if !ids::exists(store, id)? {
            return Err(ids::no_conversation(store, id));
        }
    }
    Ok(())
}

fn agrees(found: &[Pruned]) -> Result<bool, Failure> {
    if found.is_empty() {
        return Ok(true);
    }
    for pruned in found.iter().take(20) {
        let told = writeln!(io::stderr(), "{}", one_line(&what(pruned)));
        told.map_err(|error| Failure::file("ask", Path::new("the terminal"), error))?;
    }
    ask::agrees(&format!("prune {}", count(output::to_u64(found.len()), "conversation")))
}

/// What goes of one conversation, in words.
fn what(pruned: &Pruned) -> String {
    let (id, messages) = (&pruned.conversation_id, count(pruned.messages, "message"));
    match &pruned.range {
        Some((first, last)) => format!(
            "the first {messages} of conversation {id:?}, {:?} to {:?}",
            first.to_string_lossy(),
            last.to_string_lossy()
        ),
        None => format!(
            "conversation {id:?} with {messages} and {}, last active {}",
            count(pruned.actions, "action"),
            pruned.last_activity
        ),
    }
}

fn list(found: &[Pruned], form: Form, doing: &str) -> Result<(), Failure> {
    let mut out = Out::new();
    for pruned in found {
        out.line(&match form {
            Form::Json => line(pruned),
            Form::Table | Form::Plain => one_line(&format!("{doing} {}{}", what(pruned), by(pruned))),
        })?;
    }
    if found.is_empty() && form != Form::Json {
        out.line("nothing is older than what is to be kept")?;
    }
    out.finish()
}

/// Which events did it.
fn by(pruned: &Pruned) -> String {
    match pruned.events {
        Some((first, last)) if first == last => format!(", by event {first}"),
        Some((first, last)) => format!(", by events {first} to {last}"),
        None => String::new(),
    }
}

fn line(pruned: &Pruned) -> String {
    let text = |text: &aral_store::Text| Value::from(text.to_string_lossy());
    let time = |time: &Timestamp| Value::from(time.to_string());
    let (first, last) = pruned.range.as_ref().map(|(first, last)| (first, last)).unzip();
    let events = pruned.events.map(|(first, last)| Value::from(vec![first, last]));
    json(vec![
        ("conversation_id", pruned.conversation_id.as_str().into()),
        ("whole", pruned.is_whole.into()),
        ("messages", pruned.messages.into()),
        ("actions", pruned.actions.into()),
        ("first_message", first.map(text).into()),
        ("last_message", last.map(text).into()),
        ("last_activity", time(&pruned.last_activity)),
        ("events", events.into()),
    ])
}
