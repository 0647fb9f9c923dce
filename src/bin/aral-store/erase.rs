//! The command that erases, and that proves it.
//!
//! Owns the asking, what is said of what goes and of what does not, and the receipt's file. Ids are given in full: nothing brings back
//! what goes.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use aral_store::{Erasure, ErasureReport, KeptReceipt, Matched, MessageStore, Where};
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
    #[arg(value_name = "CONV[/MESSAGE]", required_unless_present_any = ["check", "conditions", "receipts"])]
    pub(crate) target: Option<String>,
    /// Instead: every conversation, and in others every message, with such metadata, as in 'metadata.user = "anna" and metadata.team = 7'
    #[arg(long = "where", value_name = "CONDITIONS", conflicts_with = "target", value_parser = conditions)]
    pub(crate) conditions: Option<Where>,
    /// Do not ask; needed where nobody could answer
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Say what would go, and what would not, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// List the receipts that the store keeps of what was erased, instead of erasing
    #[arg(long, conflicts_with_all = ["target", "conditions", "dry_run", "yes", "check"])]
    pub(crate) receipts: bool,
    /// Write the receipt to this new file, too; with --receipts all of them, a line each
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "check"])]
    pub(crate) receipt: Option<PathBuf>,
    /// Search everything for what this receipt is of, instead of erasing
    #[arg(long, value_name = "RECEIPT", conflicts_with_all = ["target", "conditions", "dry_run", "yes"])]
    pub(crate) check: Option<PathBuf>,
    /// Search this file or directory, too, such as a backup; may be given again
    #[arg(long, value_name = "PATH", requires = "check")]
    pub(crate) also: Vec<PathBuf>,
}

fn conditions(text: &str) -> Result<Where, String> {
    Where::parse(text).map_err(|error| error.message().to_owned())
}

pub(crate) fn run(dir: &Path, form: Form, args: &EraseArgs) -> Result<Exit, Failure> {
    if let Some(receipt) = &args.check {
        return check(dir, form, receipt, &args.also);
    }
    if args.receipts {
        return list(dir, form, args.receipt.as_deref());
    }
    let by = match &args.conditions {
        Some(conditions) => By::Conditions(conditions),
        None => By::Target(args.target.as_deref().unwrap_or_default()),
    };
    if args.dry_run {
        let store = place::for_reading(dir)?;
        let meant = by.meant(&store)?;
        for what in &meant.found {
            tell(&store.erasable(what)?, form, ("would erase", what))?;
        }
        return Ok(tell_passed_over(&meant, form, "would erase")?.graver(place::verdict(&store)));
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
    let meant = by.meant(&store)?;
    if !args.yes && !agrees(&meant.found)? {
        note("nothing was erased");
        store.close()?;
        return Ok(Exit::Error);
    }
    let mut exit = tell_passed_over(&meant, form, "erased")?;
    let mut receipts = Receipts { path: args.receipt.as_deref(), file: None };
    for (at, what) in meant.found.iter().enumerate() {
        let done = erase_one(&store, form, (what, &mut receipts));
        // Each is durable by itself: what comes behind one that failed is told as not done.
        let left = meant.found.len() - at;
        exit = exit.graver(done.inspect_err(|_| tell_left(left, meant.found.len()))?);
    }
    store.close()?;
    Ok(exit)
}

/// How what is to be erased is named.
enum By<'a> {
    Target(&'a str),
    Conditions(&'a Where),
}

impl By<'_> {
    fn meant(&self, store: &MessageStore) -> Result<Matched, Failure> {
        Ok(match self {
            Self::Target(target) => {
                let mut only = Matched::default();
                only.found.push(meant(store, target)?);
                only
            }
            Self::Conditions(conditions) => store.matching(conditions)?,
        })
    }
}

/// How many are listed before somebody is asked.
const LISTED: usize = 20;

fn agrees(found: &[Erasure]) -> Result<bool, Failure> {
    match found {
        [] => Ok(true),
        [one] => Ok(ask::agrees(&format!("erase {} for good", in_words(one)))?),
        many => {
            for what in many.iter().take(LISTED) {
                let told = writeln!(io::stderr(), "{}", one_line(&in_words(what)));
                told.map_err(|error| Failure::file("ask", Path::new("the terminal"), error))?;
            }
            if many.len() > LISTED {
                note(&format!("and {} more, which --dry-run lists", many.len() - LISTED));
            }
            Ok(ask::agrees(&format!("erase these {} for good", many.len()))?)
        }
    }
}

/// The file that receipts are written to, which is made with the first of them.
struct Receipts<'a> {
    path: Option<&'a Path>,
    file: Option<fs::File>,
}

impl Receipts<'_> {
    fn write(&mut self, receipt: &str) -> Result<(), Failure> {
        let Some(path) = self.path else { return Ok(()) };
        let written = match self.file.take().map_or_else(|| fs::File::create_new(path), Ok) {
            Ok(mut file) => {
                let written =
                    file.write_all(format!("{receipt}\n").as_bytes()).and_then(|()| file.sync_all());
                self.file = Some(file);
                written
            }
            Err(error) => Err(error),
        };
        written.map_err(|error| Failure::file("write", path, error))
    }
}

fn erase_one(
    store: &MessageStore,
    form: Form,
    (what, receipts): (&Erasure, &mut Receipts<'_>),
) -> Result<Exit, Failure> {
    let report = store.erase(what)?;
    let written = receipts.write(&report.receipt);
    let told = match form {
        Form::Json => {
            tell_rest(&report);
            output::print(&report.receipt)
        }
        Form::Table | Form::Plain => tell(&report, form, ("erased", what)),
    };
    let done = || format!("erased {}; its receipt is kept with the store", one_line(&in_words(what)));
    written.and(told).map_err(|failure| failure.after(done))?;
    Ok(if report.not_erased.is_empty() { Exit::Done } else { Exit::Error })
}

/// Says how many were not come to.
fn tell_left(left: usize, all: usize) {
    if all > 1 {
        note(&format!("{} of {all} were erased; the same command goes on with the rest", all - left));
    }
}

/// Says what met the conditions only before, and what nobody could look at; and that nothing does, if so.
fn tell_passed_over(meant: &Matched, form: Form, doing: &str) -> Result<Exit, Failure> {
    if meant.found.is_empty() && form != Form::Json {
        output::print(&format!("{doing} nothing: nothing has such metadata"))?;
    }
    for what in &meant.only_before {
        note(&one_line(&format!(
            "not meant, as what it says now is something else than before: {}; to erase it, name it",
            in_words(what)
        )));
    }
    for file in &meant.unread {
        note(&one_line(&format!(
            "nobody knows whether it has such metadata: {}: {}",
            file.path.display(),
            file.reason
        )));
    }
    Ok(if meant.unread.is_empty() { Exit::Done } else { Exit::Corrupt })
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

fn tell(report: &ErasureReport, form: Form, (doing, what): (&str, &Erasure)) -> Result<(), Failure> {
    let paths = |paths: &[PathBuf]| -> Vec<String> {
        paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
    };
    let mut out = Out::new();
    if form == Form::Json {
        let message = what.message_id.as_ref().map(|id| id.to_string_lossy());
        out.line(&json(vec![
            ("conversation_id", what.conversation_id.as_str().into()),
            ("message_id", message.as_deref().into()),
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
        "{doing} {}: {}, {}, {} of the log and its history, {}",
        in_words(what),
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
    for what in &report.beyond {
        note(&one_line(&format!("out of reach, and may have something of it: {what}")));
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
    let mut found = Vec::new();
    for receipt in text.lines().filter(|line| !line.trim().is_empty()) {
        let left = store.remnants(receipt, also)?;
        found.extend(left.into_iter().filter(|place| !found.contains(place)).collect::<Vec<_>>());
    }
    if text.trim().is_empty() {
        // It says that there is no receipt in it.
        store.remnants(&text, also)?;
    }
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

/// Says what the receipts that are kept say.
fn list(dir: &Path, form: Form, to: Option<&Path>) -> Result<Exit, Failure> {
    if let Some(path) = to.filter(|path| path.exists()) {
        let text = format!("there is a file {} already; nothing was written", path.display());
        return Err(Failure::Usage(text));
    }
    let store = place::for_reading(dir)?;
    let kept = store.receipts()?;
    let mut receipts = Receipts { path: to, file: None };
    let mut out = Out::new();
    for receipt in &kept {
        if receipt.damage.is_none() {
            receipts.write(&receipt.receipt)?;
        }
        out.line(&match form {
            Form::Json => receipt_json(receipt),
            Form::Table | Form::Plain => one_line(&receipt_in_words(receipt)),
        })?;
    }
    if kept.is_empty() && form != Form::Json {
        out.line("no receipt of an erasure is kept")?;
    }
    out.finish()?;
    let is_damaged = kept.iter().any(|receipt| receipt.damage.is_some());
    Ok(place::verdict(&store).graver(if is_damaged { Exit::Corrupt } else { Exit::Done }))
}

fn receipt_in_words(kept: &KeptReceipt) -> String {
    let path = kept.path.display();
    if let Some(damage) = &kept.damage {
        return format!("damaged: {path}: {damage}");
    }
    let time = kept.time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let message = kept.message.as_ref().map(|of| format!("message {of} of ")).unwrap_or_default();
    let range = |(first, last): &(u64, u64)| {
        if first == last { first.to_string() } else { format!("{first} to {last}") }
    };
    let events: Vec<String> = kept.events.iter().map(range).collect();
    let events = if events.is_empty() { "none".to_owned() } else { events.join(", ") };
    format!(
        "{time} {message}conversation {}: {}, {}, events {events}, checksum {}, {path}",
        kept.conversation,
        count(kept.messages, "message"),
        count(kept.actions, "action"),
        kept.checksum
    )
}

fn receipt_json(kept: &KeptReceipt) -> String {
    let mut fields =
        vec![("path", kept.path.to_string_lossy().into()), ("damage", kept.damage.as_deref().into())];
    if kept.damage.is_none() {
        let events: Vec<Vec<u64>> = kept.events.iter().map(|(first, last)| vec![*first, *last]).collect();
        fields.extend([
            ("time", kept.time.map(|time| time.to_string()).into()),
            ("store", kept.store.as_str().into()),
            ("conversation", kept.conversation.as_str().into()),
            ("message", kept.message.as_deref().into()),
            ("messages", kept.messages.into()),
            ("actions", kept.actions.into()),
            ("events", events.into()),
            ("through", kept.through.into()),
            ("files", kept.files.as_slice().into()),
            ("not_erased", kept.not_erased.as_slice().into()),
            ("untold", kept.untold.into()),
            ("checksum", kept.checksum.as_str().into()),
        ]);
    }
    json(fields)
}
