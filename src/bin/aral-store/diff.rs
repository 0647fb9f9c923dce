//! The command that compares two states of a conversation, or two conversations.
//!
//! Owns the lines of a difference as a person reads them.

use std::path::Path;

use aral_store::{
    Action, Conversation, Difference, Error, ErrorKind, ItemDifference, Message, MessageStore, Text,
};
use clap::Args;

use crate::exit::{Exit, Failure};
use crate::ids;
use crate::output::{Form, Out, many_lines, one_line};
use crate::past;
use crate::place;
use crate::style::{self, painted};

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// The conversation's id, or a beginning of four characters or more that no other has; it may have been removed
    #[arg(value_name = "CONV")]
    pub(crate) conversation: String,
    /// The earlier state: an event's number, a version such as v3, a time, a date, or a span such as 7d; or else the
    /// conversation to compare with
    #[arg(value_name = "A", allow_hyphen_values = true)]
    pub(crate) old: String,
    /// The later one; now if not given
    #[arg(value_name = "B", allow_hyphen_values = true)]
    pub(crate) new: Option<String>,
}

pub(crate) fn run(dir: &Path, form: Form, args: &DiffArgs) -> Result<Exit, Failure> {
    let old = match past::point("A", &args.old) {
        Ok(old) => old,
        Err(no_point) if args.new.is_none() => return two(dir, form, args, no_point),
        Err(no_point) => return Err(no_point),
    };
    let new = args.new.as_deref().map(|text| past::point("B", text)).transpose()?;
    let store = place::for_reading(dir)?;
    [Some(old), new].into_iter().flatten().try_for_each(|at| past::must_have_happened(&store, at))?;
    let history = past::history(&store, &args.conversation)?;
    let old = past::then(&history, old)?;
    let new = match new {
        Some(new) => past::then(&history, new)?,
        None => now(&store, &history.conversation_id)?,
    };
    let mut out = Out::new();
    print(&Difference::between(&old, &new), form, &mut out)?;
    out.finish()?;
    Ok(place::verdict(&store))
}

/// Compares two conversations as they are.
fn two(dir: &Path, form: Form, args: &DiffArgs, no_point: Failure) -> Result<Exit, Failure> {
    let store = place::for_reading(dir)?;
    let old = ids::conversation(&store, &args.conversation)?;
    if !ids::exists(&store, &args.old)? && ids::beginning_with(&store, &args.old)?.is_empty() {
        let Failure::Usage(text) = no_point else { return Err(no_point) };
        return Err(Failure::Usage(format!("{text}; nor is there such a conversation")));
    }
    let new = ids::conversation(&store, &args.old)?;
    let mut out = Out::new();
    print(&Difference::between(&now(&store, &old)?, &now(&store, &new)?), form, &mut out)?;
    out.finish()?;
    Ok(place::verdict(&store))
}

fn now(store: &MessageStore, id: &str) -> Result<Conversation, Failure> {
    store.conversation(id)?.ok_or_else(|| {
        let text = format!("conversation {id:?} was removed; say with which state of it to compare");
        Error::new(ErrorKind::NotFound, text).into()
    })
}

/// Prints a difference; nothing if there is none, save as JSON.
pub(crate) fn print(found: &Difference, form: Form, out: &mut Out) -> Result<(), Failure> {
    if form == Form::Json {
        return out.line(&found.to_json_line());
    }
    let text = |text: &Text| text.to_string_lossy().into_owned();
    if let Some((old, new)) = &found.title {
        head("title", &text(old), &text(new), out)?;
    }
    if let Some((old, new)) = &found.created_at {
        head("created", &old.to_string(), &new.to_string(), out)?;
    }
    for (name, pair) in [("metadata", &found.metadata), ("extra", &found.extra)] {
        if let Some((old, new)) = pair {
            head(name, old.as_json(), new.as_json(), out)?;
        }
    }
    found.messages.iter().try_for_each(|message| item(message, "", &message_lines, out))?;
    found.actions.iter().try_for_each(|action| item(action, "action ", &action_lines, out))?;
    if found.is_reordered { out.line("what is in both is in another order") } else { Ok(()) }
}

fn head(name: &str, old: &str, new: &str, out: &mut Out) -> Result<(), Failure> {
    out.line(&format!("{} {} → {}", painted(style::WHO, name), one_line(old), one_line(new)))
}

/// What is printed of a message or an action: what it is, and the lines of what it says.
type Lines<T> = dyn Fn(&T) -> (String, Vec<String>);

fn item<T>(item: &ItemDifference<T>, kind: &str, lines: &Lines<T>, out: &mut Out) -> Result<(), Failure> {
    let (sign, shown) = match item {
        ItemDifference::Removed(old) => ('-', old),
        ItemDifference::Added(new) => ('+', new),
        ItemDifference::Edited { new, .. } => ('~', new),
        _ => return Ok(()),
    };
    let (name, said) = lines(shown);
    out.line(&format!("{sign} {}", painted(style::WHO, &format!("{kind}{name}"))))?;
    if let ItemDifference::Edited { old, .. } = item {
        let (former_name, former) = lines(old);
        if former_name != name {
            out.line(&format!("    was {former_name}"))?;
        }
        let is_in = |line: &String, other: &[String]| other.contains(line);
        for line in former.iter().filter(|line| !is_in(line, &said)) {
            out.line(format!("  - {line}").trim_end())?;
        }
        for line in said.iter().filter(|line| !is_in(line, &former)) {
            out.line(format!("  + {line}").trim_end())?;
        }
        return Ok(());
    }
    said.iter().try_for_each(|line| out.line(format!("    {line}").trim_end()))
}

fn message_lines(message: &Message) -> (String, Vec<String>) {
    let name = format!("{} · {} · {}", message.role.to_string_lossy(), message.created_at, message.id);
    let mut lines: Vec<String> =
        many_lines(&message.content.to_string_lossy()).split('\n').map(str::to_owned).collect();
    if !message.metadata.is_empty() {
        lines.push(format!("metadata {}", one_line(message.metadata.as_json())));
    }
    if !message.extra.is_empty() {
        lines.push(format!("extra {}", one_line(message.extra.as_json())));
    }
    (one_line(&name), lines)
}

fn action_lines(action: &Action) -> (String, Vec<String>) {
    let name = format!("{} · {} · {}", action.action_type.to_string_lossy(), action.created_at, action.id);
    let mut lines = vec![one_line(action.data.as_json())];
    if !action.metadata.is_empty() {
        lines.push(format!("metadata {}", one_line(action.metadata.as_json())));
    }
    if !action.extra.is_empty() {
        lines.push(format!("extra {}", one_line(action.extra.as_json())));
    }
    (one_line(&name), lines)
}
