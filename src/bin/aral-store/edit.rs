//! The commands that change one thing.
//!
//! Owns what of the arguments becomes which mutation. All
//! arguments are checked before the store is opened, so that a wrong call does not create one.

use std::io::{self, Read};
use std::path::Path;

use aral_store::{
    Error, ErrorKind, JsonObject, MAX_TEXT_BYTES, MessageStore, Mutation, NewAction, NewConversation,
    NewMessage, Operation, Receipt, Text, UniqueIds,
};

use crate::args::{ActArgs, AddArgs, Conditions, NewArgs, RenameArgs};
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::output::{self, Form, to_u64};
use crate::place;
use crate::roles::Roles;

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
    let mut message = NewMessage::new(given_or_stdin(args.text)?).role(args.role).metadata(metadata);
    message.id = args.conditions.id.as_ref().map(Text::from);
    let mutation = under(Mutation::add_message(args.conversation, message), args.conditions);
    let store = place::for_writing(dir)?;
    Roles::default().look_at(&mutation);
    add_to(store, form, mutation)
}

pub(crate) fn act(dir: &Path, form: Form, args: ActArgs) -> Result<Exit, Failure> {
    let metadata = object("--metadata", args.conditions.metadata.as_deref())?;
    let data = object("the action's data", Some(&given_or_stdin(args.data)?))?;
    let mut action = NewAction::new(args.kind, data).metadata(metadata);
    action.id = args.conditions.id.as_ref().map(Text::from);
    let mutation = under(Mutation::add_action(args.conversation, action), args.conditions);
    add_to(place::for_writing(dir)?, form, mutation)
}

/// Adds to the conversation of exactly this id, and says so where that begins one although another was
/// perhaps meant: a new id that was taken for the beginning of an old one would put a message where it does not
/// belong.
fn add_to(store: MessageStore, form: Form, mutation: Mutation) -> Result<Exit, Failure> {
    let id = mutation.conversation_id.clone();
    let near = if ids::exists(&store, &id)? { Vec::new() } else { ids::beginning_with(&store, &id)? };
    let done = carry_out(store, form, mutation, Telling::Id)?;
    if let Some(other) = near.first() {
        output::note(&output::one_line(&format!(
            "a new conversation, {id:?}, begins with this; {other:?} is another one, and add and act take ids in full"
        )));
    }
    Ok(done)
}

pub(crate) fn rename(dir: &Path, form: Form, args: RenameArgs) -> Result<Exit, Failure> {
    let store = place::for_change(dir)?;
    let id = ids::conversation_to_change(&store, &args.conversation)?;
    let mutation = Mutation::new(id, Operation::SetTitle(args.title.into()));
    carry_out(store, form, mutation, Telling::Nothing)
}

/// What a person, and a script, is told of a change that went well.
#[derive(Clone, Copy)]
pub(crate) enum Telling {
    /// The id of what was made.
    Id,
    /// Nothing: the command named it itself.
    Nothing,
}

pub(crate) fn carry_out(
    store: MessageStore,
    form: Form,
    mutation: Mutation,
    telling: Telling,
) -> Result<Exit, Failure> {
    let (advice, again) = (after_a_conflict(&mutation), if_run_again(&mutation));
    let is_unique = mutation.unique_ids != UniqueIds::Off;
    let receipt = store.append(mutation).map_err(|error| {
        if !matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) {
            return error;
        }
        let is_taken = is_unique && error.kind() == ErrorKind::AlreadyExists;
        let advice = if is_taken { "; choose another --id" } else { advice };
        Error::new(error.kind(), format!("{}{advice}", error.message()))
    })?;
    told(store, form, &receipt, telling, again)
}

/// Tells what came of a change, and closes the store.
pub(crate) fn told(
    store: MessageStore,
    form: Form,
    receipt: &Receipt,
    telling: Telling,
    again: &str,
) -> Result<Exit, Failure> {
    let printed = tell(receipt, form, telling);
    let closed = store.close();
    // What could not be printed is told first: whoever does not hear of it would do it again.
    printed.map_err(|failure| failure.after(|| carried_out(receipt, again)))?;
    closed?;
    Ok(Exit::Done)
}

/// What a receipt says, in words, for whoever could not be given it.
fn carried_out(receipt: &Receipt, again: &str) -> String {
    let (seq, id) = (receipt.seq, receipt.id.to_string());
    format!("carried out as event {seq} of conversation {:?}, id {id:?}; {again}", receipt.conversation_id)
}

/// What comes of the same command once more.
fn if_run_again(mutation: &Mutation) -> &'static str {
    if mutation.key.is_some() {
        "run again with the same --key it gives the same receipt"
    } else if matches!(mutation.operation, Operation::AddMessage(_) | Operation::AddAction(_)) {
        "run again without a --key it would be added a second time"
    } else {
        "do not run it again"
    }
}

/// What to do when the conversation is not in the state that the mutation needs.
fn after_a_conflict(mutation: &Mutation) -> &'static str {
    if matches!(mutation.operation, Operation::CreateConversation(_)) {
        "; choose another --id, or add to it with aral-store add"
    } else if mutation.expect.is_some() {
        "; aral-store ls --json tells the version of each"
    } else if mutation.key.is_some() {
        "; a key stands for one mutation, so choose another"
    } else {
        ""
    }
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
    mutation.unique_ids = conditions.unique_ids.map(Into::into).unwrap_or_default();
    mutation
}

pub(crate) fn object(what: &str, text: Option<&str>) -> Result<JsonObject, Failure> {
    match text {
        Some(text) => JsonObject::parse_strict(text).map_err(|error| {
            let example = r#"write an object in single quotes, such as '{"name":"search"}'"#;
            Failure::Usage(format!("{}; {example}", error.context(what)))
        }),
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
    if bytes.is_empty() {
        // What a pipe gives whose first command failed.
        let text = "it is empty; an empty text is given as an argument, ''";
        return Err(Failure::Input(Error::invalid(text).at(place, None)));
    }
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
