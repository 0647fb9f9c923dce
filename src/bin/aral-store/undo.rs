//! The commands that go back to what was, by new events: undo, revert and unremove.
//!
//! Owns what is said of what came of it. None of them asks: what they do is a change like any other, and undone by undo.

use std::path::Path;

use aral_store::{Conversation, Difference, Error, ErrorKind, History, MessageStore, Receipt};
use clap::Args;

use crate::diff;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Out, count, one_line, to_u64};
use crate::past;
use crate::place;

#[derive(Args, Debug)]
pub(crate) struct UndoArgs {
    /// The conversation's id, or a beginning of four characters or more that no other has; it may have been removed
    #[arg(value_name = "CONV")]
    pub(crate) conversation: String,
    /// How many of its newest changes to take back; what was carried out together is one
    #[arg(value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) changes: u64,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RevertArgs {
    /// The conversation's id, or a beginning of four characters or more that no other has; it may have been removed
    #[arg(value_name = "CONV")]
    pub(crate) conversation: String,
    /// What to make it: what it was after an event, at a version such as v3, or at a time, a date, or before a span such as 7d
    #[arg(long, value_name = "SEQ|vN|TIME", allow_hyphen_values = true)]
    pub(crate) at: String,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct UnremoveArgs {
    /// The id of a conversation that was removed, or that of one and the id of a message or action that was removed from it
    /// with a slash between; in full
    #[arg(value_name = "CONV[/ITEM]")]
    pub(crate) target: String,
}

pub(crate) fn undo(dir: &Path, form: Form, args: &UndoArgs) -> Result<Exit, Failure> {
    let changes = usize::try_from(args.changes).unwrap_or(usize::MAX);
    if args.dry_run {
        let store = place::for_reading(dir)?;
        let history = past::history(&store, &args.conversation)?;
        return would(&store, form, &history, &history.before_changes(changes)?);
    }
    let store = place::for_change(dir)?;
    let id = past::history_to_change(&store, &args.conversation)?.conversation_id;
    let receipts = store.undo(&id, changes)?;
    done(store, form, &id, &receipts)
}

pub(crate) fn revert(dir: &Path, form: Form, args: &RevertArgs) -> Result<Exit, Failure> {
    let at = past::point("--at", &args.at)?;
    if args.dry_run {
        let store = place::for_reading(dir)?;
        past::must_have_happened(&store, at)?;
        let history = past::history(&store, &args.conversation)?;
        return would(&store, form, &history, &past::then(&history, at)?);
    }
    let store = place::for_change(dir)?;
    past::must_have_happened(&store, at)?;
    let history = past::history_to_change(&store, &args.conversation)?;
    past::tell_doubt(&history, at)?;
    let receipts = store.revert(&history.conversation_id, at)?;
    done(store, form, &history.conversation_id, &receipts)
}

pub(crate) fn unremove(dir: &Path, form: Form, args: &UnremoveArgs) -> Result<Exit, Failure> {
    let store = place::for_change(dir)?;
    let target = args.target.as_str();
    let whole = store.history(target)?;
    if !whole.is_empty() || store.removed(target)?.is_some() {
        let receipts = store.unremove(target)?;
        return done(store, form, target, &receipts);
    }
    // Ids may hold slashes themselves, so every reading is held against what there was.
    let mut found = Vec::new();
    for (at, _) in target.match_indices('/') {
        let Some((conversation, rest)) = target.split_at_checked(at) else { continue };
        let item = rest.strip_prefix('/').unwrap_or_default();
        if !store.history(conversation)?.is_empty() {
            found.push((conversation, item));
        }
    }
    match found.as_slice() {
        [(conversation, item)] => {
            let receipts = store.unremove_item(conversation, *item)?;
            done(store, form, conversation, &receipts)
        }
        [] => {
            let text = format!(
                "there never was a conversation {target:?}; `aral-store ls --removed` lists what was removed"
            );
            Err(Error::new(ErrorKind::NotFound, text).into())
        }
        _ => Err(Failure::Usage(format!("{target:?} may mean more than one thing; use revert"))),
    }
}

/// Says what would change.
fn would(store: &MessageStore, form: Form, history: &History, then: &Conversation) -> Result<Exit, Failure> {
    let nothing = || Conversation::new(&then.id, then.created_at);
    let now = store.conversation(&history.conversation_id)?.unwrap_or_else(nothing);
    let mut out = Out::new();
    diff::print(&Difference::between(&now, then), form, &mut out)?;
    out.finish()?;
    Ok(place::verdict(store))
}

/// Says what was done.
fn done(store: MessageStore, form: Form, id: &str, receipts: &[Receipt]) -> Result<Exit, Failure> {
    let said = match (receipts.first(), receipts.last()) {
        (Some(first), Some(last)) if first.seq != last.seq => format!(
            "{id}: version {}, by {}, {} to {}",
            last.version,
            count(to_u64(receipts.len()), "event"),
            first.seq,
            last.seq
        ),
        (Some(one), _) => format!("{id}: version {}, by event {}", one.version, one.seq),
        (None, _) => format!("{id}: is so already; nothing was changed"),
    };
    let mut out = Out::new();
    let print = |out: &mut Out| match form {
        Form::Json => receipts.iter().try_for_each(|receipt| out.line(&receipt.to_json_line())),
        Form::Table | Form::Plain => out.line(&one_line(&said)),
    };
    let printed = print(&mut out).and_then(|()| out.finish());
    let closed = store.close();
    // What could not be printed is told first: whoever does not hear of it would do it again.
    printed.map_err(|failure| {
        if receipts.is_empty() {
            return failure;
        }
        failure.after(|| {
            format!("carried out: {}; run again it would be done to what it is now", one_line(&said))
        })
    })?;
    closed?;
    Ok(Exit::Done)
}
