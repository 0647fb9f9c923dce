//! The command that says, and chooses, what of its conversations a store keeps.
//!
//! Owns the words of the choice. Nothing is taken away by it; `prune` goes by it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use aral_store::{Keep, RetentionPolicy};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::output::{self, Form, Out, note, one_line};
use crate::place;
use crate::upkeep::json;

#[derive(Args, Debug)]
pub(crate) struct RetentionArgs {
    #[command(subcommand)]
    pub(crate) act: Act,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Act {
    /// Remember what is kept of a conversation, or of all that have no policy of their own
    Set(SetArgs),
    /// Print what is to be kept: by the store's policy, and by those of conversations
    Show,
    /// Forget the policy of a conversation, or that of the store
    Clear {
        /// The conversation, in full; without it the store
        #[arg(value_name = "CONV")]
        conversation: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    /// The conversation, in full; without it the store
    #[arg(value_name = "CONV")]
    pub(crate) conversation: Option<String>,
    /// What was last active longer ago than this goes: a span such as 90d, 12w or 24h
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) older_than: Option<Duration>,
    /// So many of the newest messages stay, and the whole turn that the first of them is in; without it the conversation is removed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep_last: Option<u32>,
    /// Nothing goes, whatever the policy of the store says
    #[arg(long, conflicts_with_all = ["older_than", "keep_last"], required_unless_present_any = ["older_than", "keep_last"])]
    pub(crate) keep_everything: bool,
}

fn span(text: &str) -> Result<Duration, String> {
    match Keep::parse(text) {
        Some(Keep::For(span)) => Ok(span),
        _ => Err("give a span in weeks, days, hours, minutes or seconds, such as 12w, 90d or 24h".to_owned()),
    }
}

/// Says, or chooses, what is to be kept.
pub(crate) fn run(dir: &Path, form: Form, args: &RetentionArgs) -> Result<Exit, Failure> {
    match &args.act {
        Act::Show => show(dir, form),
        Act::Set(args) => {
            let mut policy = RetentionPolicy::new();
            if let Some(span) = args.older_than {
                policy = policy.older_than(span);
            }
            if let Some(count) = args.keep_last {
                policy = policy.keep_last(usize::try_from(count).unwrap_or(usize::MAX));
            }
            let store = place::for_change(dir)?;
            store.set_retention(args.conversation.as_deref(), &policy)?;
            let printed = line(form, args.conversation.as_deref(), &policy);
            store.close()?;
            let whose = whose(args.conversation.as_deref());
            output::print(&printed)
                .map_err(|failure| failure.after(|| format!("what is kept of {whose} is remembered")))?;
            Ok(Exit::Done)
        }
        Act::Clear { conversation } => {
            let store = place::for_change(dir)?;
            let cleared = store.clear_retention(conversation.as_deref())?;
            store.close()?;
            if cleared.is_none() {
                note(&one_line(&format!("there was no policy of {}", whose(conversation.as_deref()))));
            }
            Ok(Exit::Done)
        }
    }
}

fn show(dir: &Path, form: Form) -> Result<Exit, Failure> {
    let store = place::for_reading(dir)?;
    let kept = store.retention()?;
    let mut out = Out::new();
    if let Some(policy) = &kept.store {
        out.line(&line(form, None, policy))?;
    }
    for (id, policy) in &kept.conversations {
        out.line(&line(form, Some(id), policy))?;
    }
    let has_none = kept.store.is_none() && kept.conversations.is_empty() && kept.unread.is_empty();
    if has_none && form != Form::Json {
        out.line("no policy is kept, and nothing is pruned unless prune says what goes")?;
    }
    out.finish()?;
    Ok(place::verdict(&store).graver(tell_unread(&kept.unread)))
}

/// Names the conversations whose policies cannot be gone by.
pub(crate) fn tell_unread(unread: &BTreeMap<String, String>) -> Exit {
    for (id, reason) in unread {
        let whose = match id.as_str() {
            RetentionPolicy::STORE_CONVERSATION => {
                "conversations that have no policy of their own".to_owned()
            }
            id => format!("conversation {id:?}"),
        };
        note(&one_line(&format!("nothing of {whose} is pruned by a stored policy: {reason}")));
    }
    if unread.is_empty() { Exit::Done } else { Exit::Corrupt }
}

fn whose(conversation: Option<&str>) -> String {
    conversation.map_or_else(|| "the store".to_owned(), |id| format!("conversation {id:?}"))
}

fn line(form: Form, conversation: Option<&str>, policy: &RetentionPolicy) -> String {
    match form {
        Form::Json => json(vec![
            ("conversation_id", conversation.into()),
            ("older_than", policy.older_than.map(|span| Keep::For(span).to_string()).into()),
            ("keep_last", policy.keep_last.map(Value::from).into()),
            ("keep_everything", policy.keeps_everything().into()),
        ]),
        Form::Table | Form::Plain => one_line(&format!("{}: {policy}", whose(conversation))),
    }
}
