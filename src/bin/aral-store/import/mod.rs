//! The command that takes conversations in.
//!
//! Owns where they come from. Everything that could not be taken in is named on standard error and counted;
//! the rest goes in. [`intake`] owns what is added and what is there already.

mod counts;

mod intake;

mod piece;

mod export_lines;

mod near;

mod chats;

mod layout;

mod transcript;

mod sessions;

mod reading;

mod ahead;

mod item;

mod gather;

mod databases;

mod watch;

mod wakes;

mod documents;

mod zipped;

#[cfg(test)]
mod zipped_law;

mod archive;

pub(crate) mod forms;

use std::path::Path;

use aral_store::{Error, ErrorKind, MessageStore, Order, SyncPolicy, location};

use crate::args::ImportArgs;
use crate::database;
use crate::exit::{Exit, Failure};
use crate::key;
use crate::lines::Source;
use crate::output::{self, Form, to_u64};
use crate::place;
use crate::progress::{self, Unit, Work};
use crate::signals::{self, Stop};
use crate::transcripts::Tool;
use crate::transcripts::tool::Origin;
use crate::upkeep::print_fields;
use forms::Kind;
use intake::{Intake, Purpose, Removed};
use piece::Piece;
use sessions::Sessions;

pub(crate) fn run(dir: &Path, form: Form, args: &ImportArgs) -> Result<Exit, Failure> {
    // Before anything is read: what stands in the way of the store's name stands in the way of everything.
    database::of(dir)?;
    let stop = signals::on_stop(|_| {})?;
    let tool = args.from.tool();
    let Some(path) = &args.path else {
        let Some(tool) = tool else { return Err(Failure::Usage("name what to import".to_owned())) };
        if args.watch {
            return watch::run(dir, form, (args, stop), (&tool.folders(), Some(tool)));
        }
        return transcripts(dir, form, (args, stop), &sessions::of_user(tool)?, Some(tool));
    };
    if args.watch {
        return watched(dir, form, (args, stop), (path, tool));
    }
    let is_store = || path.is_dir() && place::looks_like_a_store(path);
    let may_be_tools = tool.is_some() || (args.from == Origin::Auto && path.is_dir() && !is_store());
    if may_be_tools && let Some(found) = sessions::below(path, tool)? {
        return transcripts(dir, form, (args, stop), &found, tool);
    }
    let from_directory = match args.from {
        Origin::Auto => path.is_dir(),
        Origin::Aral => true,
        Origin::Jsonl | Origin::Openai | Origin::Tool(_) => false,
    };
    // What is imported is opened first: a name that leads nowhere must not create a store.
    if from_directory {
        let source = open_directory(path, dir)?;
        return into(dir, form, (args, stop), |intake| directory(&source, intake));
    }
    let source = Source::of(Some(path.clone()));
    if args.from == Origin::Auto && forms::is_archive(&source)? {
        return transcripts(dir, form, (args, stop), &Sessions::one(path), tool);
    }
    let mut lines = source.open_stoppable(&stop)?;
    let first = lines.peek().map_err(|failure| unless_stopped(failure, &stop))?;
    if first.is_none() {
        // What a pipe gives whose first command failed: an export of an empty store still has its last line.
        let text = "the input is empty: not even the line is there that ends an export of an empty store";
        return Err(Failure::Input(Error::invalid(text).at(source.path(), None)));
    }
    let is_of = match args.from {
        Origin::Jsonl | Origin::Aral => Kind::Lines,
        // What somebody calls so may be either.
        Origin::Openai => match first.map(|_| forms::told(&source, first)) {
            Some(Ok(Kind::BareLines)) => Kind::BareLines,
            _ => Kind::Chats,
        },
        Origin::Auto | Origin::Tool(_) => forms::told(&source, first)?,
    };
    if let Kind::Transcript(_) | Kind::Database | Kind::Document(_) | Kind::Archive = is_of {
        if source == Source::Stdin {
            let text = "a session is read from its file, by whose name it is known; name that";
            return Err(Failure::Input(Error::invalid(text).at(source.path(), None)));
        }
        return transcripts(dir, form, (args, stop), &Sessions::one(path), tool);
    }
    into(dir, form, (args, stop), |intake| {
        let _work = Work::begin("importing", source.len(), Unit::InputBytes);
        match is_of {
            Kind::Lines => export_lines::take(&mut lines, source.path(), intake),
            Kind::Chats | Kind::BareLines => chats::take(&mut lines, source.path(), intake, is_of),
            Kind::Transcript(_) | Kind::Database | Kind::Document(_) | Kind::Archive => Ok(()),
        }
    })
}

/// Follows the files of tools below a directory, or one of them.
fn watched(
    dir: &Path,
    form: Form,
    (args, stop): (&ImportArgs, Stop),
    (path, tool): (&Path, Option<Tool>),
) -> Result<Exit, Failure> {
    if (tool.is_none() && args.from != Origin::Auto) || path == Path::new("-") {
        let text =
            "--watch follows the files of tools, which are read again and again; name one, or a directory";
        return Err(Failure::Usage(text.to_owned()));
    }
    if !path.is_dir() && !path.is_file() {
        let text = "there is no directory and no file to follow";
        return Err(Failure::Store(Error::new(ErrorKind::NotFound, text).at(path, None)));
    }
    watch::run(dir, form, (args, stop), (&[path.to_owned()], tool))
}

/// Takes tools' files in; each that cannot be read is named, and the others go in.
fn transcripts(
    dir: &Path,
    form: Form,
    (args, stop): (&ImportArgs, Stop),
    found: &Sessions,
    tool: Option<Tool>,
) -> Result<Exit, Failure> {
    into(dir, form, (args, stop), |intake| {
        let _work = Work::begin("importing", Some(found.bytes()), Unit::InputBytes);
        sessions::take(found, tool, intake)
    })
}

/// The failure, unless it came of a signal that asked for an end.
fn unless_stopped(failure: Failure, stop: &Stop) -> Failure {
    stop.signal().map_or(failure, Failure::Stopped)
}

/// Opens the store to import into, lets it be filled, and tells what was done once that is durable.
fn into(
    dir: &Path,
    form: Form,
    (args, stop): (&ImportArgs, Stop),
    fill: impl FnOnce(&mut Intake<'_>) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let purpose = if args.dry_run { Purpose::Try } else { Purpose::Add };
    let removed = if args.revive { Removed::Revive } else { Removed::KeepOut };
    // Nothing is acknowledged before the end, and a second run goes on where the first one was stopped, so
    // one sync at the end is enough.
    let store = match purpose {
        Purpose::Add => place::for_writing_with(dir, key::options().sync(SyncPolicy::Os).compact_later())?,
        Purpose::Try if place::looks_like_a_store(dir) => place::for_reading(dir)?,
        Purpose::Try => MessageStore::in_memory(),
    };
    let mut intake = Intake::new(&store, purpose, stop.clone()).with(removed);
    let filled = fill(&mut intake).map_err(|failure| unless_stopped(failure, &stop));
    intake.sum_up();
    let counts = intake.counts;
    if purpose == Purpose::Add {
        store.sync()?;
    }
    let printed = print_fields(form, counts.fields());
    store.close()?;
    if matches!(filled, Err(Failure::Stopped(_))) {
        output::note("stopped; what was counted is in the store, durably, and another run adds the rest");
    }
    filled?;
    match purpose {
        Purpose::Add => printed.map_err(|failure| failure.after(|| counts.in_words()))?,
        Purpose::Try => printed?,
    }
    Ok(counts.exit())
}

fn open_directory(path: &Path, target: &Path) -> Result<MessageStore, Failure> {
    location::check_directory(path)?;
    let no_store = |text: &str| Failure::Store(Error::new(ErrorKind::NotFound, text).at(path, None));
    if !path.is_dir() {
        return Err(no_store("there is no directory to import"));
    }
    if !place::looks_like_a_store(path) {
        return Err(no_store(
            "the directory holds no conversations; it has no message_store.json, conversations or log",
        ));
    }
    if let (Ok(from), Ok(into)) = (path.canonicalize(), target.canonicalize())
        && from == into
    {
        return Err(Failure::Usage("a store cannot be imported into itself".to_owned()));
    }
    Ok(MessageStore::options().read_only().open(path)?)
}

fn directory(source: &MessageStore, intake: &mut Intake<'_>) -> Result<(), Failure> {
    let damaged = source.recovery().damaged;
    for file in &damaged {
        output::error(&format!("not imported: {}", place::damage(file)));
        intake.counts.damaged += 1;
    }
    let summaries = source.conversations(Order::Created)?;
    let _work = Work::begin("importing", Some(to_u64(summaries.len())), Unit::Conversations);
    for summary in summaries {
        progress::advance(Unit::Conversations, 1);
        match source.conversation(&summary.id) {
            Ok(Some(conversation)) => intake.take(Piece::of_conversation(conversation))?,
            // A reader's store does not change after its opening.
            Ok(None) => {}
            Err(error) if place::is_unreadable(&error) => {
                output::error(&error.context(&format!("not imported: {:?}", summary.id)).to_string());
                intake.counts.damaged += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
