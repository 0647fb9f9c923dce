//! The command that branches a conversation off.
//!
//! Owns the reading of the point, which may be a message, an event, a version or a time.

use std::path::Path;

use aral_store::{At, Error, ErrorKind, Fork, ForkPoint, MessageStore, Messages, Text};
use clap::Args;

use crate::edit::{self, Telling};
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::output::{Form, note, one_line};
use crate::past;
use crate::place;

#[derive(Args, Debug)]
pub(crate) struct ForkArgs {
    /// The conversation's id, or a beginning of four characters or more that no other has; with an event, a version or a time
    /// it may have been removed
    #[arg(value_name = "CONV")]
    pub(crate) conversation: String,
    /// Up to a message and with it, or all that it was after an event, at a version such as v3, or at a time, a date, or before
    /// a span such as 7d; all that it is now if not given
    #[arg(long, value_name = "MESSAGE|SEQ|vN|TIME", allow_hyphen_values = true)]
    pub(crate) at: Option<String>,
    /// Up to a message and without it
    #[arg(long, value_name = "MESSAGE", allow_hyphen_values = true, conflicts_with = "at")]
    pub(crate) before: Option<String>,
    /// The new conversation's id; a new UUID if not given
    #[arg(long, value_name = "NEW")]
    pub(crate) id: Option<String>,
    /// Its title; that of the other one if not given
    #[arg(long)]
    pub(crate) title: Option<String>,
}

pub(crate) fn run(dir: &Path, form: Form, args: ForkArgs) -> Result<Exit, Failure> {
    if args.id.as_deref() == Some("") {
        return Err(Failure::Usage("a conversation id must not be empty".to_owned()));
    }
    let store = place::for_change(dir)?;
    let from = conversation(&store, &args.conversation)?;
    let mut fork = Fork::new();
    fork.point = match (&args.at, &args.before) {
        (Some(text), _) => point(&store, &from, text)?,
        (None, Some(text)) => {
            ForkPoint::Before(message(&store, &from, text)?.ok_or_else(|| none(&from, text))?)
        }
        (None, None) => ForkPoint::Now,
    };
    fork.id = args.id;
    fork.title = args.title.map(Text::from);
    let receipt = store.fork(&from, fork).map_err(|error| {
        if error.kind() != ErrorKind::AlreadyExists {
            return error;
        }
        Error::new(error.kind(), format!("{}; choose another --id", error.message()))
    })?;
    edit::told(store, form, &receipt, Telling::Id, "run again it would be forked a second time")
}

/// The conversation that is meant; says so if it was not named in full.
fn conversation(store: &MessageStore, given: &str) -> Result<String, Failure> {
    if ids::exists(store, given)? || store.removed(given)?.is_some() {
        return Ok(given.to_owned());
    }
    Ok(past::history_to_change(store, given)?.conversation_id)
}

/// The point that is meant. The id of a message in full wins, and then what can be read as a point in the past.
fn point(store: &MessageStore, id: &str, text: &str) -> Result<ForkPoint, Failure> {
    let is_there = ids::exists(store, id)?;
    let is_message = is_there && store.message(id, text)?.is_some();
    match past::point("--at", text) {
        Ok(_) if is_message => {
            note(&format!("{text:?} is taken for the message with this id"));
            Ok(ForkPoint::Through(text.into()))
        }
        Ok(at) => {
            past::must_have_happened(store, at)?;
            if let At::Time(_) = at {
                past::tell_doubt(&store.history(id)?, at)?;
            }
            Ok(ForkPoint::At(at))
        }
        // What was removed has no messages now, and the error says what to name instead.
        Err(_) if !is_there => Ok(ForkPoint::Through(text.into())),
        Err(_) => message(store, id, text)?.map(ForkPoint::Through).ok_or_else(|| {
            let text = format!(
                "{}; an event's number, a version such as v3, a time, a date and a span such as 7d are points too",
                missing(id, text)
            );
            Error::new(ErrorKind::NotFound, text).into()
        }),
    }
}

/// The message that is meant, by its id or a beginning of it.
fn message(store: &MessageStore, id: &str, given: &str) -> Result<Option<Text>, Failure> {
    if !ids::exists(store, id)? || store.message(id, given)?.is_some() {
        return Ok(Some(given.into()));
    }
    let mut found = Vec::new();
    if ids::is_enough(given) {
        store.for_each_message(id, Messages::all(), |message| {
            let known = message.id.to_text();
            if known.as_str().is_some_and(|known| known.starts_with(given)) {
                found.push(known);
            }
        })?;
    }
    // An id that is used twice is one, and means the later message.
    found.sort_by(|one, other| one.as_wtf8().cmp(other.as_wtf8()));
    found.dedup();
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(ToString::to_string).collect();
        return Err(ids::ambiguous(given, "message", &names));
    }
    let found = found.pop();
    if let Some(meant) = &found {
        note(&one_line(&format!("{given:?} is taken for {:?}", meant.to_string())));
    }
    Ok(found)
}

fn none(id: &str, given: &str) -> Failure {
    Error::new(ErrorKind::NotFound, missing(id, given)).into()
}

fn missing(id: &str, given: &str) -> String {
    format!("there is no message {given:?} in conversation {id:?}")
}
