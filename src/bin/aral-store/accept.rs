//! The command that takes files as they are, because their owner says so.
//!
//! Owns its arguments, which conversations are meant by them, and what is said of each.

use std::path::Path;

use aral_store::{DamagedFile, Error, ErrorKind, MessageStore};
use clap::Args;

use crate::database;
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::output::{Form, Out, error, note, one_line};
use crate::place;

#[derive(Args, Debug)]
pub(crate) struct AcceptArgs {
    /// The conversation's id, or a beginning of four characters or more that no other has
    #[arg(value_name = "CONV", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) conversations: Vec<String>,
    /// Every conversation whose file can be read and is not the one that the store wrote or read last
    #[arg(long)]
    pub(crate) all: bool,
}

pub(crate) fn run(dir: &Path, form: Form, args: &AcceptArgs) -> Result<Exit, Failure> {
    place::must_exist(dir)?;
    place::must_hold_a_store(dir)?;
    if database::of(dir)?.is_some() {
        // Whether there is anything to accept is no question there; the store says what to do instead.
        return Err(place::for_reading(dir)?.accept("").map_or_else(Into::into, |_| Failure::Unread));
    }
    // What waits to be accepted is what the command is about; an opening would only name it once more.
    let store = place::quietly_for_writing(dir)?;
    let ids = if args.all { changed(&store) } else { named(&store, &args.conversations)? };
    let stuck = if args.all { unacceptable(&store) } else { Vec::new() };
    if ids.is_empty() && stuck.is_empty() {
        note("every file is as the store wrote or read it last: there is nothing to accept");
    }
    let known = store.recovery().quarantined.len();
    // Whether anybody reads what was accepted must not decide how much is, nor may a file that cannot be.
    let (mut out, mut printed) = (Out::new(), Ok(()));
    let (mut accepted, mut exit) = (Vec::new(), Exit::Done);
    for id in &ids {
        let receipt = match store.accept(id) {
            Ok(Some(receipt)) => receipt,
            Ok(None) => {
                note(&one_line(&format!("the file of {id:?} is as the store has it: nothing to accept")));
                continue;
            }
            Err(error) if ids.len() > 1 && is_of_one(&error) => {
                let failed = Failure::Store(error.context(&format!("conversation {id:?}"))).report();
                exit = if exit == Exit::Done { failed } else { exit };
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let line = if form == Form::Json { receipt.to_json_line() } else { one_line(id) };
        if printed.is_ok() {
            printed = out.line(&line).and_then(|()| out.finish());
        }
        accepted.push(format!("{id:?}"));
    }
    for file in &stuck {
        let remedy = if place::is_no_conversations(file) {
            ""
        } else {
            "; mend it by hand, or remove the conversation"
        };
        error(&format!("cannot be accepted: {}{remedy}", place::damage(file)));
        exit = Exit::Corrupt;
    }
    for copy in store.recovery().quarantined.iter().skip(known) {
        note(&one_line(&format!(
            "what the log had under ids that the file has for something else is kept, as lines of `append`, in {}",
            copy.display()
        )));
    }
    store.close()?;
    printed.map_err(|failure| failure.after(|| format!("accepted the files of {}", accepted.join(", "))))?;
    Ok(exit)
}

/// The conversations whose files can be read and are not as recorded.
fn changed(store: &MessageStore) -> Vec<String> {
    let report = store.recovery();
    let waiting = report.damaged.into_iter().filter(|file| report.changed.contains(&file.path));
    waiting.filter_map(|file| file.conversation_id).collect()
}

/// The files of conversations that cannot be read at all, or are not there.
fn unacceptable(store: &MessageStore) -> Vec<DamagedFile> {
    let report = store.recovery();
    let is_file = |file: &DamagedFile| {
        file.conversation_id.is_some() || file.path.extension().is_some_and(|end| end == "json")
    };
    let is_stuck = |file: &DamagedFile| {
        is_file(file) && !place::is_the_list(file) && !report.changed.contains(&file.path)
    };
    report.damaged.iter().filter(|file| is_stuck(file)).cloned().collect()
}

/// Whether an error is about one conversation's file, so that others can still be accepted.
fn is_of_one(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::InvalidInput)
}

fn named(store: &MessageStore, given: &[String]) -> Result<Vec<String>, Failure> {
    given.iter().map(|given| ids::conversation_to_change(store, given)).collect()
}
