//! The commands that change one thing.
//!
//! Owns what of the arguments becomes which mutation, and the asking before something is removed. All
//! arguments are checked before the store is opened, so that a wrong call does not create one.

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use aral_store::{
    Error, ErrorKind, JsonObject, MAX_TEXT_BYTES, MessageStore, Messages, Mutation, NewAction,
    NewConversation, NewMessage, Operation, Receipt,
};

use crate::args::{ActArgs, AddArgs, Conditions, NewArgs, RenameArgs, RmArgs};
use crate::exit::{Exit, Failure};
use crate::output::{self, Form, count, to_u64};
use crate::place;

pub(crate) fn new(dir: &Path, form: Form, args: NewArgs) -> Result<Exit, Failure> {
    if args.id.as_deref() == Some("") {
        return Err(Failure::Usage("a conversation id must not be empty".to_owned()));
    }
    let mut conversation = NewConversation::new().metadata(object("--metadata", args.metadata.as_deref())?);
    conversation.title = args.title.map(Into::into);
    let mutation = Mutation::create_conversation(args.id.unwrap_or_default(), conversation);
    carry_out(place::for_writing(dir)?, form, mutation, Telling::Id)
}

pub(crate) fn add(dir: &Path, form: Form, args: AddArgs) -> Result<Exit, Failure> {
    let metadata = object("--metadata", args.conditions.metadata.as_deref())?;
    let message = NewMessage::new(given_or_stdin(args.text)?).role(args.role).metadata(metadata);
    let mutation = under(Mutation::add_message(args.conversation, message), args.conditions);
    carry_out(place::for_writing(dir)?, form, mutation, Telling::Id)
}

pub(crate) fn act(dir: &Path, form: Form, args: ActArgs) -> Result<Exit, Failure> {
    let metadata = object("--metadata", args.conditions.metadata.as_deref())?;
    let data = object("the action's data", Some(&given_or_stdin(args.data)?))?;
    let action = NewAction::new(args.kind, data).metadata(metadata);
    let mutation = under(Mutation::add_action(args.conversation, action), args.conditions);
    carry_out(place::for_writing(dir)?, form, mutation, Telling::Id)
}

pub(crate) fn rename(dir: &Path, form: Form, args: RenameArgs) -> Result<Exit, Failure> {
    let mutation = Mutation::new(args.conversation, Operation::SetTitle(args.title.into()));
    carry_out(place::for_change(dir)?, form, mutation, Telling::Nothing)
}

pub(crate) fn rm(dir: &Path, form: Form, args: &RmArgs) -> Result<Exit, Failure> {
    if !args.yes && !io::stdin().is_terminal() {
        let text = "removing needs --yes where nobody can be asked; nothing was removed";
        return Err(Failure::Usage(text.to_owned()));
    }
    let store = place::for_change(dir)?;
    let (mutation, what) = removal(&store, &args.target)?;
    if !args.yes && !agrees(&what)? {
        output::note("nothing was removed");
        store.close()?;
        return Ok(Exit::Error);
    }
    carry_out(store, form, mutation, Telling::Nothing)
}

/// What a person, and a script, is told of a change that went well.
#[derive(Clone, Copy)]
enum Telling {
    /// The id of what was made.
    Id,
    /// Nothing: the command named it itself.
    Nothing,
}

fn carry_out(store: MessageStore, form: Form, mutation: Mutation, telling: Telling) -> Result<Exit, Failure> {
    let receipt = store.append(mutation)?;
    let printed = tell(&receipt, form, telling);
    store.close()?;
    printed.map(|()| Exit::Done)
}

fn tell(receipt: &Receipt, form: Form, telling: Telling) -> Result<(), Failure> {
    match (form, telling) {
        (Form::Json, _) => output::print(&receipt.to_json_line()),
        (Form::Table | Form::Plain, Telling::Id) => output::print(&output::one_line(&receipt.id.to_string())),
        (Form::Table | Form::Plain, Telling::Nothing) => Ok(()),
    }
}

fn under(mut mutation: Mutation, conditions: Conditions) -> Mutation {
    mutation.key = conditions.key;
    mutation.expect = conditions.expect;
    mutation
}

fn object(what: &str, text: Option<&str>) -> Result<JsonObject, Failure> {
    match text {
        Some(text) => Ok(JsonObject::parse(text).map_err(|error| error.context(what))?),
        None => Ok(JsonObject::EMPTY),
    }
}

/// The text itself, or for `-` what standard input holds, without the one line break at its end that
/// `echo` and editors put there.
fn given_or_stdin(text: String) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text);
    }
    let place = Path::new("standard input");
    let mut bytes = Vec::new();
    // Room for the line break, and for one byte more that shows that the limit is passed.
    let limit = to_u64(MAX_TEXT_BYTES).saturating_add(3);
    io::stdin().take(limit).read_to_end(&mut bytes).map_err(|error| Failure::file("read", place, error))?;
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = to_u64(error.utf8_error().valid_up_to());
        Failure::Input(Error::invalid("the text is not UTF-8").at(place, Some(at)))
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// What `CONV` or `CONV/MESSAGE` asks to remove, as a mutation and in words.
///
/// Ids may hold slashes themselves, so every reading is held against what is there, and more than one that
/// fits is refused.
fn removal(store: &MessageStore, target: &str) -> Result<(Mutation, String), Failure> {
    let mut found = Vec::new();
    if exists(store, target)? {
        let mutation = Mutation::new(target, Operation::RemoveConversation);
        let size = match store.summary(target) {
            Ok(Some(summary)) => {
                format!(
                    " with {} and {}",
                    count(summary.messages, "message"),
                    count(summary.actions, "action")
                )
            }
            Ok(None) | Err(_) => String::new(),
        };
        found.push((mutation, format!("conversation {target:?}{size}")));
    }
    for (at, _) in target.match_indices('/') {
        let Some((conversation, rest)) = target.split_at_checked(at) else { continue };
        let message = rest.strip_prefix('/').unwrap_or(rest);
        if has_message(store, conversation, message)? {
            let mutation = Mutation::new(conversation, Operation::RemoveMessage(message.into()));
            found.push((mutation, format!("message {message:?} of conversation {conversation:?}")));
        }
    }
    if found.len() > 1 {
        let readings: Vec<&str> = found.iter().map(|(_, what)| what.as_str()).collect();
        let text = format!("{target:?} may mean {}; say which with a line to append", readings.join(" or "));
        return Err(Failure::Usage(text));
    }
    found.pop().ok_or_else(|| {
        let text = format!("there is no conversation and no message {target:?}");
        Error::new(ErrorKind::NotFound, text).into()
    })
}

/// Whether there is such a conversation; a damaged one is there and may be removed.
fn exists(store: &MessageStore, id: &str) -> Result<bool, Failure> {
    match store.summary(id) {
        Ok(summary) => Ok(summary.is_some()),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn has_message(store: &MessageStore, conversation: &str, message: &str) -> Result<bool, Failure> {
    // A page beside a message is refused if there is no such message, and this one reads no text.
    match store.messages(conversation, Messages::first(0).after(message)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn agrees(what: &str) -> Result<bool, Failure> {
    let place = Path::new("the terminal");
    let failed = |error| Failure::file("ask", place, error);
    let mut asking = io::stderr().lock();
    write!(asking, "remove {}? [y/N] ", output::one_line(what)).map_err(failed)?;
    asking.flush().map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
