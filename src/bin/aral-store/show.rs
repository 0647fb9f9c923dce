//! The commands that list and show conversations.
//!
//! Owns the table of a list and the transcript of a conversation.

use std::path::Path;

use aral_store::{
    Action, At, Conversation, Conversations, JsonObject, Message, MessageStore, Messages, Order, Summary,
    Text, Timestamp, Tombstone,
};

use crate::args::{By, LsArgs, ShowArgs};
use crate::exit::{Exit, Failure};
use crate::ids::{self, no_conversation};
use crate::moment;
use crate::output::{Form, Out, count, many_lines, one_line, table, to_u64};
use crate::past;
use crate::place;
use crate::replies;
use crate::style::{self, ago, painted};
use crate::transcripts::source::for_reading;
use crate::tree::{self, Branch};
use crate::whole::{Whole, must_fit};

pub(crate) fn ls(dir: &Path, form: Form, args: &LsArgs) -> Result<Exit, Failure> {
    let store = place::for_reading(dir)?;
    if args.removed {
        return removed(&store, form, args.number);
    }
    let order = match args.by {
        By::Created => Order::Created,
        By::Activity => Order::Activity,
    };
    if args.tree {
        return forks(&store, form, order);
    }
    let mut selection = Conversations::by(order);
    selection.limit = args.number;
    if let Some(after) = &args.after {
        selection = selection.after(&ids::conversation(&store, after)?);
    }
    let summaries = store.conversations(selection)?;
    let open = if args.replies { replies::counts(&store, &summaries)? } else { Vec::new() };
    let listed = || summaries.iter().enumerate().map(|(at, summary)| (summary, open.get(at).copied()));
    // Before the title, which may be long.
    let row = |(summary, open): (&Summary, Option<u64>), time: &dyn Fn(&Timestamp) -> String| {
        let mut cells = columns(summary, time);
        let at = cells.len().saturating_sub(1);
        cells.splice(at..at, open.map(|open| open.to_string()));
        cells
    };
    let lines: Vec<String> = match form {
        Form::Json => {
            listed().map(|(summary, open)| replies::with_count(&summary.to_json_line(), open)).collect()
        }
        Form::Plain => listed().map(|listed| row(listed, &Timestamp::to_string).join("\t")).collect(),
        Form::Table => {
            let now = style::now();
            let shown = |time: &Timestamp| ago(time, now).unwrap_or_else(|| readable(time));
            let rows: Vec<_> = listed().map(|listed| row(listed, &shown)).collect();
            let mut names = vec!["ID", "CREATED", "ACTIVITY", "MESSAGES", "ACTIONS", "TITLE"];
            if args.replies {
                names.insert(5, "REPLIES");
            }
            table(&names, &rows)
        }
    };
    let mut out = Out::new();
    lines.iter().try_for_each(|line| out.line(line))?;
    out.finish()?;
    // The opening has named each of them on standard error.
    Ok(place::amiss(&store.recovery().damaged))
}

/// Lists all conversations, each fork below the one that it comes from.
fn forks(store: &MessageStore, form: Form, order: Order) -> Result<Exit, Failure> {
    let (branches, exit) = tree::all(store, order)?;
    let row = |branch: &Branch, time: &dyn Fn(&Timestamp) -> String| {
        let mut cells = columns(&branch.summary, time);
        if let Some(id) = cells.first_mut() {
            *id = format!("{}{id}", "  ".repeat(branch.depth));
        }
        let at = cells.len().saturating_sub(1);
        cells.insert(at, branch.origin());
        cells
    };
    let lines: Vec<String> = match form {
        Form::Json => branches.iter().map(Branch::to_json_line).collect(),
        Form::Plain => branches.iter().map(|branch| row(branch, &Timestamp::to_string).join("\t")).collect(),
        Form::Table => {
            let now = style::now();
            let shown = |time: &Timestamp| ago(time, now).unwrap_or_else(|| readable(time));
            let rows: Vec<_> = branches.iter().map(|branch| row(branch, &shown)).collect();
            table(&["ID", "CREATED", "ACTIVITY", "MESSAGES", "ACTIONS", "FORKED FROM", "TITLE"], &rows)
        }
    };
    let mut out = Out::new();
    lines.iter().try_for_each(|line| out.line(line))?;
    out.finish()?;
    Ok(exit.graver(place::amiss(&store.recovery().damaged)))
}

/// Lists the conversations that were removed.
fn removed(store: &MessageStore, form: Form, number: Option<usize>) -> Result<Exit, Failure> {
    let mut tombstones = store.tombstones()?;
    tombstones.truncate(number.unwrap_or(usize::MAX));
    let row = |tombstone: &Tombstone, time: &dyn Fn(&Timestamp) -> String| {
        let when = tombstone.removed_at.as_ref().map_or_else(|| "-".to_owned(), time);
        vec![one_line(&tombstone.id), when, tombstone.seq.to_string(), tombstone.reason.as_str().to_owned()]
    };
    let lines: Vec<String> = match form {
        Form::Json => tombstones.iter().map(Tombstone::to_json_line).collect(),
        Form::Plain => {
            tombstones.iter().map(|tombstone| row(tombstone, &Timestamp::to_string).join("\t")).collect()
        }
        Form::Table => {
            let rows: Vec<_> = tombstones.iter().map(|tombstone| row(tombstone, &readable)).collect();
            table(&["ID", "REMOVED", "EVENT", "WHY"], &rows)
        }
    };
    let mut out = Out::new();
    lines.iter().try_for_each(|line| out.line(line))?;
    out.finish()?;
    Ok(Exit::Done)
}

fn columns(summary: &Summary, time: impl Fn(&Timestamp) -> String) -> Vec<String> {
    vec![
        one_line(&summary.id),
        time(&summary.created_at),
        time(&summary.last_activity),
        summary.messages.to_string(),
        summary.actions.to_string(),
        one_line(&summary.title.to_string_lossy()),
    ]
}

/// A time to the second, as a person reads it; UTC goes without saying.
pub(crate) fn readable(time: &Timestamp) -> String {
    let text = time.to_string();
    let text = text.strip_suffix("+00:00").unwrap_or(&text);
    let (date, rest) = text.split_once('T').unwrap_or((text, ""));
    let zone = rest.find(['+', '-']).and_then(|at| rest.get(at..)).unwrap_or_default();
    let clock = rest.get(..8).unwrap_or(rest);
    let gap = if zone.is_empty() { "" } else { " " };
    format!("{date} {clock}{gap}{zone}")
}

pub(crate) fn show(dir: &Path, form: Form, args: &ShowArgs) -> Result<Exit, Failure> {
    let selection = selected(args)?;
    let is_by_time = args.since.is_some() || args.until.is_some();
    let at = args.at.as_deref().map(|text| past::point("--at", text)).transpose()?;
    let store = place::for_reading(dir)?;
    if let Some(at) = at {
        return show_past(&store, form, args, at);
    }
    let id = &ids::conversation(&store, &args.conversation)?;
    // What is not shown is not read either.
    let read = |selection| Whole::read(&store, id, selection)?.ok_or_else(|| no_conversation(&store, id));
    let mut out = Out::new();
    tell_doubt(&store, id, selection.as_ref())?;
    if form == Form::Json {
        json(&read(selection.unwrap_or_else(Messages::all))?, &mut out)?;
        out.finish()?;
        return Ok(Exit::Done);
    }
    let conversation = store.conversation_without_messages(id)?.ok_or_else(|| no_conversation(&store, id))?;
    let total = store.summary(id)?.map_or(0, |summary| summary.messages);
    out.line(&painted(style::HEAD, &one_line(&conversation.title.to_string_lossy())))?;
    about(&conversation, total, &mut out)?;
    if let Some(selection) = selection {
        let whole = read(selection)?;
        let where_from = if is_by_time { "left out" } else { "before these" };
        match total.saturating_sub(whole.count) {
            0 => {}
            left_out => out.line(&format!("\n… {} {where_from}", count(left_out, "message")))?,
        }
        whole.for_each(|message| shown_message(message, &mut out))?;
    } else {
        // All of them, one in memory at a time.
        let mut shown = Ok(());
        store.for_each_message(id, Messages::all(), |message| {
            if shown.is_ok() {
                shown = must_fit(&message).map_err(Failure::from);
            }
            if shown.is_ok() {
                shown = shown_message(&message.to_message(), &mut out);
            }
        })?;
        shown?;
    }
    conversation.actions.iter().try_for_each(|action| shown_action(action, &mut out))?;
    out.finish()?;
    Ok(place::verdict(&store))
}

/// Shows what a conversation was.
fn show_past(store: &MessageStore, form: Form, args: &ShowArgs, at: At) -> Result<Exit, Failure> {
    past::must_have_happened(store, at)?;
    let history = past::history(store, &args.conversation)?;
    let mut then = past::then(&history, at)?;
    let total = to_u64(then.messages.len());
    if let Some(selection) = selected(args)? {
        then.messages = store.at(at).messages(&then.id, selection)?;
    }
    let mut out = Out::new();
    if form == Form::Json {
        out.line(&then.to_json_line())?;
        out.finish()?;
        return Ok(place::verdict(store));
    }
    out.line(&painted(style::HEAD, &one_line(&then.title.to_string_lossy())))?;
    about(&then, total, &mut out)?;
    let left_out = total.saturating_sub(to_u64(then.messages.len()));
    if left_out > 0 {
        out.line(&format!("\n… {} left out", count(left_out, "message")))?;
    }
    then.messages.iter().try_for_each(|message| shown_message(message, &mut out))?;
    then.actions.iter().try_for_each(|action| shown_action(action, &mut out))?;
    out.finish()?;
    Ok(place::verdict(store))
}

/// Prints the conversation in the fields and order of the layout, a message at a time.
fn json(whole: &Whole<'_>, out: &mut Out) -> Result<(), Failure> {
    let Whole { conversation, .. } = whole;
    let line = conversation.to_json_line();
    // What stands before the messages is what a line has that ends with them.
    let mut bare = conversation.clone();
    bare.actions.clear();
    bare.extra = JsonObject::EMPTY;
    let bare = bare.to_json_line();
    let before = bare.strip_suffix(r#"],"actions":[]}"#).unwrap_or_default();
    out.part(before)?;
    let mut comma = "";
    whole.for_each(|message| {
        out.part(std::mem::replace(&mut comma, ","))?;
        out.part(&message.to_json_line(None))
    })?;
    out.line(line.get(before.len()..).unwrap_or_default())
}

/// The messages that are asked for; nothing if that is all of them.
fn selected(args: &ShowArgs) -> Result<Option<Messages>, Failure> {
    let time =
        |option, given: &Option<String>| given.as_deref().map(|text| moment::read(option, text)).transpose();
    let mut selection = args.number.map_or_else(Messages::all, Messages::last);
    selection.since = time("--since", &args.since)?;
    selection.until = time("--until", &args.until)?;
    if args.whole_turns {
        selection = selection.whole_turns();
    }
    Ok(Some(selection).filter(|selection| *selection != Messages::all()))
}

/// Says how many of the messages that are asked for by their time may be of another one.
fn tell_doubt(store: &MessageStore, id: &str, selection: Option<&Messages>) -> Result<(), Failure> {
    let Some(selection) = selection.filter(|selection| selection.since.or(selection.until).is_some()) else {
        return Ok(());
    };
    let mut unsure = 0;
    let bounds = [selection.since, selection.until];
    store.for_each_message(id, selection.clone(), |message| {
        let is_unsure = |bound: Timestamp| message.created_at.is_in_doubt(bound);
        unsure += u64::from(bounds.into_iter().flatten().any(is_unsure));
    })?;
    moment::tell_doubt(unsure, "message");
    Ok(())
}

/// What stands under the title: how large the conversation is, and what is kept with it.
fn about(conversation: &Conversation, messages: u64, out: &mut Out) -> Result<(), Failure> {
    let about = format!(
        "{} · created {} · {} · {}",
        one_line(&conversation.id),
        readable(&conversation.created_at),
        count(messages, "message"),
        count(to_u64(conversation.actions.len()), "action"),
    );
    out.line(&painted(style::ASIDE, &about))?;
    if conversation.metadata.is_empty() {
        return Ok(());
    }
    out.line(&format!("metadata {}", one_line(&for_reading(&conversation.metadata))))
}

fn shown_message(message: &Message, out: &mut Out) -> Result<(), Failure> {
    out.line(&format!("\n{}", heading(&message.role, message.created_at, &message.id)))?;
    for line in many_lines(&message.content.to_string_lossy()).split('\n') {
        out.line(format!("    {line}").trim_end())?;
    }
    if !message.metadata.is_empty() {
        out.line(&format!("    metadata {}", one_line(&for_reading(&message.metadata))))?;
    }
    Ok(())
}

fn shown_action(action: &Action, out: &mut Out) -> Result<(), Failure> {
    let what = Text::from(format!("action {}", action.action_type.to_string_lossy()));
    out.line(&format!("\n{}", heading(&what, action.created_at, &action.id)))?;
    out.line(&format!("    {}", one_line(action.data.as_json())))?;
    if !action.metadata.is_empty() {
        out.line(&format!("    metadata {}", one_line(&for_reading(&action.metadata))))?;
    }
    Ok(())
}

fn heading(what: &Text, at: Timestamp, id: &Text) -> String {
    let aside = format!(" · {} · {}", readable(&at), one_line(&id.to_string_lossy()));
    painted(style::WHO, &one_line(&what.to_string_lossy())) + &painted(style::ASIDE, &aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_the_second_and_zones_where_they_are_not_utc() {
        for (given, shown) in [
            ("2025-03-13T15:11:33.100000+00:00", "2025-03-13 15:11:33"),
            ("2025-03-13T15:11:33", "2025-03-13 15:11:33"),
            ("2025-03-13T15:11:33.1-03:30", "2025-03-13 15:11:33 -03:30"),
        ] {
            assert_eq!(readable(&given.parse().unwrap()), shown);
        }
    }
}
