//! The command that writes conversations out.
//!
//! Owns which conversations are written, and what becomes of those that cannot be read: they are named, and the
//! rest is written. Each form is a [`Shape`] of its own; the layout of the original is the library's.

mod file;

pub(crate) mod timeline;

mod interchange;

mod jsonl;

mod openai;

mod unseen;

mod pretty;

mod markdown;

pub(crate) mod html;

mod sessions;

mod documents;

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use aral_store::{Conversation, DamagedFile, Error, MessageStore, Messages, Order, Summary, Timestamp};

use crate::args::ExportArgs;
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::ids::no_conversation;
use crate::moment;
use crate::output::{self, count, to_u64};
use crate::place;
use crate::progress::{self, Unit, Work};
use crate::transcripts::tool::Target;
use crate::whole::Whole;
use interchange::Strictness;
use timeline::{Due, Item};

/// A form that conversations are written in, one after the other.
trait Shape {
    /// Writes what stands before all conversations.
    fn begin(&mut self, _contents: &Contents, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Writes what stands before the items of a conversation, of which this is everything but the messages.
    fn head(&mut self, conversation: &Conversation, messages: u64, out: &mut dyn Write) -> io::Result<()>;

    /// Writes a message or an action of that conversation.
    fn item(&mut self, conversation: &Conversation, item: Item<'_>, out: &mut dyn Write) -> io::Result<()>;

    /// Writes what stands behind them.
    fn foot(&mut self, _conversation: &Conversation, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Takes the place of a conversation that cannot be read, which standard error has been told of.
    fn unreadable(&mut self, _id: &str, _reason: &Error, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Writes what stands behind them all.
    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// What an export is about to hold.
struct Contents {
    entries: Vec<Entry>,
    /// What should be among them and cannot be read, in words.
    missing: Vec<String>,
}

struct Entry {
    id: String,
    /// Absent if not even this can be read.
    summary: Option<Summary>,
}

pub(crate) fn run(dir: &Path, args: &ExportArgs) -> Result<Exit, Failure> {
    let to_stdout = args.output == Path::new("-");
    if args.to == Target::Aral && to_stdout {
        let text = "aral is a directory; name it with -o PATH";
        return Err(Failure::Usage(text.to_owned()));
    }
    if args.strict && !matches!(args.to, Target::Jsonl | Target::Openai) {
        let text = "--strict is for the forms that are JSON lines: --to jsonl and --to openai";
        return Err(Failure::Usage(text.to_owned()));
    }
    let tool = args.to.tool();
    if tool.is_some() {
        sessions::must_be_a_folder(&args.output)?;
    }
    let since = args.since.as_deref().map(|text| moment::read("--since", text)).transpose()?;
    let store = place::for_reading(dir)?;
    if !to_stdout {
        must_lie_outside_of(dir, &args.output)?;
    }
    let contents = chosen(&store, args, since)?;
    let strictness = if args.strict { Strictness::Interchange } else { Strictness::AsStored };
    if let Some(tool) = tool {
        // Who names a conversation wants its file; who names none wants those that there are.
        let other = if args.conversations.is_empty() { Exit::Done } else { Exit::Error };
        let exit = sessions::run(&store, &args.output, &contents, (tool, other))?;
        return Ok(exit.graver(left_out(&store, &args.conversations)));
    }
    let exit = match args.to {
        Target::Tool(_) => Ok(Exit::Done),
        Target::Aral => {
            let ids: Vec<String> = contents.entries.into_iter().map(|entry| entry.id).collect();
            let is_all = args.conversations.is_empty() && since.is_none();
            aral(&store, &args.output, (!is_all).then_some(ids.as_slice()))
        }
        Target::Jsonl => stream(&store, &args.output, &contents, &mut jsonl::Lines::new(strictness)),
        Target::Openai => stream(&store, &args.output, &contents, &mut openai::Chats::new(strictness)),
        Target::Markdown => stream(&store, &args.output, &contents, &mut markdown::Transcript),
        Target::Html => stream(&store, &args.output, &contents, &mut html::Page::default()),
    }?;
    Ok(exit.graver(left_out(&store, &args.conversations)))
}

/// Refuses an output in the store's own directory: a file there may be taken for a conversation, or for a part of the log.
fn must_lie_outside_of(dir: &Path, output: &Path) -> Result<(), Failure> {
    // Of a path of which not all is there, what is there says where it is.
    let known = output.ancestors().find_map(|part| {
        let part = if part.as_os_str().is_empty() { Path::new(".") } else { part };
        part.canonicalize().ok()
    });
    match (known, dir.canonicalize()) {
        (Some(output_is), Ok(store)) if output_is.starts_with(&store) => {
            let text = "an export must not lie in the store's own directory; name a place outside of it";
            Err(Failure::Store(Error::invalid(text).at(output, None)))
        }
        _ => Ok(()),
    }
}

/// The conversations that were named, each once, or all; of them those that something has happened in since then.
fn chosen(store: &MessageStore, args: &ExportArgs, since: Option<Timestamp>) -> Result<Contents, Failure> {
    let mut contents = if args.conversations.is_empty() {
        let summaries = store.conversations(Order::Created)?.into_iter();
        let entries = summaries.map(|summary| Entry { id: summary.id.clone(), summary: Some(summary) });
        let entries: Vec<Entry> = entries.collect();
        // What is listed is tried, and named when it is its turn.
        let listed: HashSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let is_listed =
            |file: &DamagedFile| file.conversation_id.as_deref().is_some_and(|id| listed.contains(id));
        let damaged = store.recovery().damaged;
        let missing = damaged.iter().filter(|file| !is_listed(file)).map(place::damage).collect();
        Contents { entries, missing }
    } else {
        Contents { entries: named(store, &args.conversations)?, missing: Vec::new() }
    };
    if let Some(since) = since {
        // What cannot be read stays in: it may be what is looked for, and must be told.
        let is_since = |summary: &Summary| summary.last_activity.may_be_since(since);
        contents.entries.retain(|entry| entry.summary.as_ref().is_none_or(is_since));
        let last = contents.entries.iter().filter_map(|entry| Some(entry.summary.as_ref()?.last_activity));
        let unsure = last.filter(|time| time.is_in_doubt(since)).count();
        moment::tell_doubt(to_u64(unsure), "conversation");
    }
    Ok(contents)
}

fn named(store: &MessageStore, named: &[String]) -> Result<Vec<Entry>, Failure> {
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    for given in named {
        let id = ids::conversation(store, given)?;
        if !seen.insert(id.clone()) {
            continue;
        }
        let summary = match store.summary(&id) {
            Ok(summary) => summary,
            // It is there; that it cannot be read is told when it is its turn.
            Err(error) if place::is_unreadable(&error) => None,
            Err(error) => return Err(error.into()),
        };
        entries.push(Entry { id, summary });
    }
    Ok(entries)
}

/// What it comes to that an export of everything leaves something out, or that one of a part may; the opening has named
/// what.
fn left_out(store: &MessageStore, named: &[String]) -> Exit {
    let damaged = store.recovery().damaged;
    let may_lack = |file: &&DamagedFile| {
        named.is_empty() || (file.conversation_id.is_none() && !place::is_no_conversations(file))
    };
    place::amiss(damaged.iter().filter(may_lack))
}

fn aral(store: &MessageStore, dir: &Path, ids: Option<&[String]>) -> Result<Exit, Failure> {
    let report = {
        let total = ids.map(|ids| to_u64(ids.len()));
        let _work = Work::begin("exporting", total, Unit::Files);
        store.export_aral(dir, ids)?
    };
    for file in &report.damaged {
        output::error(&format!("not exported: {}", place::damage(file)));
    }
    let text = format!("exported {} to {}", count(report.conversations, "conversation"), dir.display());
    output::note(&text);
    Ok(place::amiss(&report.damaged))
}

/// Writes to standard output, or to a file that appears once it is complete.
fn stream(
    store: &MessageStore,
    path: &Path,
    contents: &Contents,
    shape: &mut dyn Shape,
) -> Result<Exit, Failure> {
    if path == Path::new("-") {
        let mut out = BufWriter::new(io::stdout().lock());
        let exit = shaped(store, contents, shape, (&mut out, &output::unwritten))?;
        out.flush().map_err(output::unwritten)?;
        return Ok(exit);
    }
    let failed = |error| Failure::file("write", path, error);
    file::to_file(path, |out| shaped(store, contents, shape, (out, &failed)))
}

/// Where an export goes, and what it means that a write there fails.
type Sink<'a> = (&'a mut dyn Write, &'a dyn Fn(io::Error) -> Failure);

/// Writes a conversation, each action where its time puts it among the messages.
fn one(whole: &Whole<'_>, shape: &mut dyn Shape, (out, failed): Sink<'_>) -> Result<(), Failure> {
    let conversation = &whole.conversation;
    let mut due = Due::of(conversation);
    shape.head(conversation, whole.count, out).map_err(failed)?;
    whole.for_each(|message| {
        while let Some(action) = due.before(Some(message)) {
            shape.item(conversation, Item::Action(action), out).map_err(failed)?;
        }
        shape.item(conversation, Item::Message(message), out).map_err(failed)
    })?;
    while let Some(action) = due.before(None) {
        shape.item(conversation, Item::Action(action), out).map_err(failed)?;
    }
    shape.foot(conversation, out).map_err(failed)
}

/// Writes the conversations, one after the other. What cannot be read is named and left out.
fn shaped(
    store: &MessageStore,
    contents: &Contents,
    shape: &mut dyn Shape,
    (out, failed): Sink<'_>,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    shape.begin(contents, out).map_err(failed)?;
    let _work = Work::begin("exporting", Some(to_u64(contents.entries.len())), Unit::Conversations);
    for Entry { id, .. } in &contents.entries {
        progress::advance(Unit::Conversations, 1);
        match Whole::read(store, id, Messages::all()) {
            Ok(Some(whole)) => one(&whole, shape, (out, failed))?,
            Ok(None) => return Err(no_conversation(store, id)),
            Err(error) if place::is_unreadable(&error) => {
                shape.unreadable(id, &error, out).map_err(failed)?;
                exit = exit.graver(place::amiss_by(&error));
                output::error(&error.context(&format!("conversation {id:?} is not exported")).to_string());
            }
            Err(error) => return Err(error.into()),
        }
    }
    shape.end(out).map_err(failed)?;
    Ok(exit)
}
