//! The command that removes.
//!
//! Owns what `CONV[/ITEM]` may mean, and the asking. Where nobody is asked, only a whole id will do: a
//! script that runs twice must not remove `conv-10` because `conv-1` is gone already.

use std::io::{self, IsTerminal};
use std::path::Path;

use aral_store::{Error, ErrorKind, MessageStore, Messages, Mutation, Operation, Text};
use serde_json::Value;

use crate::args::RmArgs;
use crate::ask;
use crate::edit::{Telling, carry_out};
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::keep;
use crate::output::{self, Form, count};
use crate::place;
use crate::upkeep::json;

pub(crate) fn run(dir: &Path, form: Form, args: &RmArgs) -> Result<Exit, Failure> {
    if args.dry_run {
        let store = place::for_reading(dir)?;
        let removal = only(meant(&store, &args.target)?, &args.target)?;
        output::print(&match form {
            Form::Json => removal.line(),
            Form::Table | Form::Plain => output::one_line(&format!("would remove {}", removal.what)),
        })?;
        return Ok(Exit::Done);
    }
    if !args.yes && !io::stdin().is_terminal() {
        let text = "removing needs --yes where nobody can be asked; nothing was removed";
        return Err(Failure::Usage(text.to_owned()));
    }
    let store = place::for_change(dir)?;
    let removal = if args.yes {
        only(named_whole(&store, &args.target)?, &args.target)
            .map_err(|failure| with_hint(failure, &store, &args.target))?
    } else {
        only(meant(&store, &args.target)?, &args.target)?
    };
    if !args.yes && !ask::agrees(&format!("remove {}", &removal.what))? {
        output::note("nothing was removed");
        store.close()?;
        return Ok(Exit::Error);
    }
    let how_long = keep::how_long(&store);
    let done = carry_out(store, form, removal.mutation, Telling::Nothing)?;
    if let Some(text) = how_long {
        output::note(&text);
    }
    Ok(done)
}

/// One thing that the target may mean.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Removal {
    mutation: Mutation,
    /// In words.
    what: String,
}

impl Removal {
    fn of_conversation(store: &MessageStore, id: &str) -> Self {
        let size = match store.summary(id) {
            Ok(Some(summary)) => format!(
                " with {} and {}",
                count(summary.messages, "message"),
                count(summary.actions, "action")
            ),
            Ok(None) | Err(_) => String::new(),
        };
        let mutation = Mutation::new(id, Operation::RemoveConversation);
        Self { mutation, what: format!("conversation {id:?}{size}") }
    }

    fn of_message(conversation: &str, id: &Text) -> Self {
        let mutation = Mutation::new(conversation, Operation::RemoveMessage(id.clone()));
        Self {
            mutation,
            what: format!("message {:?} of conversation {conversation:?}", id.to_string_lossy()),
        }
    }

    fn of_action(conversation: &str, id: &Text) -> Self {
        let mutation = Mutation::new(conversation, Operation::RemoveAction(id.clone()));
        Self { mutation, what: format!("action {:?} of conversation {conversation:?}", id.to_string_lossy()) }
    }

    /// The line that `append` would take for it.
    fn line(&self) -> String {
        let conversation: Value = self.mutation.conversation_id.as_str().into();
        let id = |id: &Text| Value::from(id.to_string_lossy());
        #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else removes")]
        let (kind, subject) = match &self.mutation.operation {
            Operation::RemoveMessage(message) => ("remove_message", Some(("message_id", id(message)))),
            Operation::RemoveAction(action) => ("remove_action", Some(("action_id", id(action)))),
            _ => ("remove_conversation", None),
        };
        let fields = [("type", kind.into()), ("conversation_id", conversation)];
        json(fields.into_iter().chain(subject).collect())
    }
}

/// The one thing that was found.
fn only(mut found: Vec<Removal>, target: &str) -> Result<Removal, Failure> {
    if found.len() > 1 {
        let readings: Vec<&str> = found.iter().map(|removal| removal.what.as_str()).take(10).collect();
        let text = format!("{target:?} may mean {}; say which with a line to append", readings.join(" or "));
        return Err(Failure::Usage(text));
    }
    found.pop().ok_or_else(|| {
        let text =
            format!("there is no conversation, message or action {target:?}; show and ls list what there is");
        Error::new(ErrorKind::NotFound, text).into()
    })
}

/// What the target means as it is.
///
/// Ids may hold slashes themselves, so every reading is held against what is there.
fn named_whole(store: &MessageStore, target: &str) -> Result<Vec<Removal>, Failure> {
    let mut found = Vec::new();
    if ids::exists(store, target)? {
        found.push(Removal::of_conversation(store, target));
    }
    for (conversation, item) in readings(target) {
        if !ids::exists(store, conversation)? {
            continue;
        }
        let item = Text::from(item);
        if has_message(store, conversation, &item)? {
            found.push(Removal::of_message(conversation, &item));
        }
        if actions(store, conversation)?.contains(&item) {
            found.push(Removal::of_action(conversation, &item));
        }
    }
    Ok(found)
}

/// What the target means as it is or, if that is nothing, as the beginnings of ids.
fn meant(store: &MessageStore, target: &str) -> Result<Vec<Removal>, Failure> {
    let mut found = named_whole(store, target)?;
    if !found.is_empty() {
        return Ok(found);
    }
    for id in ids::beginning_with(store, target)? {
        found.push(Removal::of_conversation(store, &id));
    }
    for (conversation, item) in readings(target) {
        let conversations = if ids::exists(store, conversation)? {
            vec![conversation.to_owned()]
        } else {
            ids::beginning_with(store, conversation)?
        };
        for conversation in conversations {
            found.extend(items_like(store, &conversation, item)?);
        }
    }
    Ok(found)
}

/// The messages and actions of a conversation that have this id, or else those whose ids begin so.
fn items_like(store: &MessageStore, conversation: &str, item: &str) -> Result<Vec<Removal>, Failure> {
    let messages = match store.messages(conversation, Messages::all()) {
        Ok(messages) => messages.into_iter().map(|message| message.id).collect(),
        Err(error) if is_absence(&error) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let actions = actions(store, conversation)?;
    let that = |fits: &dyn Fn(&Text) -> bool| -> Vec<Removal> {
        let messages = messages.iter().filter(|id| fits(id)).map(|id| Removal::of_message(conversation, id));
        let actions = actions.iter().filter(|id| fits(id)).map(|id| Removal::of_action(conversation, id));
        messages.chain(actions).collect()
    };
    let whole = that(&|id| id.as_str() == Some(item));
    if !whole.is_empty() || !ids::is_enough(item) {
        return Ok(whole);
    }
    Ok(that(&|id| id.as_str().is_some_and(|id| id.starts_with(item))))
}

/// Every way to part a target at a slash.
fn readings(target: &str) -> impl Iterator<Item = (&str, &str)> {
    target.match_indices('/').filter_map(|(at, _)| {
        let (conversation, rest) = target.split_at_checked(at)?;
        Some((conversation, rest.strip_prefix('/')?))
    })
}

fn has_message(store: &MessageStore, conversation: &str, message: &Text) -> Result<bool, Failure> {
    // A page beside a message is refused if there is no such message, and this one reads no text.
    match store.messages(conversation, Messages::first(0).after(message)) {
        Ok(_) => Ok(true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn actions(store: &MessageStore, conversation: &str) -> Result<Vec<Text>, Failure> {
    match store.actions(conversation) {
        Ok(actions) => Ok(actions.into_iter().map(|action| action.id).collect()),
        Err(error) if is_absence(&error) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn is_absence(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// Tells somebody who typed the beginning of an id with --yes that a whole one is needed.
fn with_hint(failure: Failure, store: &MessageStore, target: &str) -> Failure {
    let Failure::Store(error) = failure else { return failure };
    match meant(store, target) {
        Ok(found) if error.kind() == ErrorKind::NotFound && !found.is_empty() => {
            let near: Vec<&str> = found.iter().map(|removal| removal.what.as_str()).take(10).collect();
            let text = format!(
                "there is no conversation, message or action {target:?}, and with --yes the beginning of an id does \
                 not do; there is {}",
                near.join(" and ")
            );
            Failure::Store(Error::new(ErrorKind::NotFound, text))
        }
        Ok(_) | Err(_) => Failure::Store(error),
    }
}
