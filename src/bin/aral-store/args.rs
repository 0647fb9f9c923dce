//! The arguments of the commands.
//!
//! Owns their words and their help.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::same_id::SameId;
use crate::transcripts::tool::{Origin, Target};

#[derive(Args, Debug)]
pub(crate) struct NewArgs {
    /// The conversation's id; a new UUID if not given
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Its title
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// Its metadata, a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
}

/// What every added item may come with.
#[derive(Args, Debug)]
pub(crate) struct Conditions {
    /// Metadata, a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
    /// Idempotency key: with the same key again, nothing is added and the first id is printed
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Refuse unless the conversation has this version; 0: unless there is no such conversation
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) expect: Option<u64>,
    /// Its id; a new UUID if not given
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// What to do if the conversation has another one with its id; both are kept if not given
    #[arg(long, value_enum, value_name = "RULE", requires = "id")]
    pub(crate) unique_ids: Option<SameId>,
}

#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// The conversation's id, in full
    #[arg(value_name = "CONV")]
    pub(crate) conversation: String,
    /// The text; - reads it from standard input, without the line break at its end
    pub(crate) text: String,
    /// Who says it
    #[arg(short, long, default_value = "user")]
    pub(crate) role: String,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
}

#[derive(Args, Debug)]
pub(crate) struct ActArgs {
    /// The conversation's id, in full
    #[arg(value_name = "CONV")]
    pub(crate) conversation: String,
    /// What kind of action it is
    #[arg(value_name = "TYPE")]
    pub(crate) kind: String,
    /// Its data, a JSON object; - reads it from standard input
    #[arg(value_name = "JSON")]
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
}

#[derive(Args, Debug)]
pub(crate) struct RenameArgs {
    /// The conversation's id, or a beginning of four characters or more that no other has
    #[arg(value_name = "CONV")]
    pub(crate) conversation: String,
    /// The new title
    pub(crate) title: String,
}

#[derive(Args, Debug)]
pub(crate) struct RmArgs {
    /// A conversation's id, or that and the id of a message or action with a slash between
    #[arg(value_name = "CONV[/ITEM]")]
    pub(crate) target: String,
    /// Do not ask; needed where nobody could answer
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct AppendArgs {
    /// The file to read; - or nothing for standard input
    pub(crate) file: Option<PathBuf>,
    /// What to do with an addition whose id its conversation has already; both are kept if not given
    #[arg(long, value_enum, value_name = "RULE")]
    pub(crate) unique_ids: Option<SameId>,
}

/// In which order conversations are listed.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// As they were created, oldest first
    Created,
    /// The most recently changed first
    Activity,
}

#[derive(Args, Debug)]
pub(crate) struct LsArgs {
    /// List only the first N
    #[arg(short, value_name = "N")]
    pub(crate) number: Option<usize>,
    /// List only those behind this one, which the page before ended with
    #[arg(long, value_name = "CONV")]
    pub(crate) after: Option<String>,
    /// The order
    #[arg(long, value_enum, default_value = "created")]
    pub(crate) by: By,
    /// List the conversations that were removed instead, the newest removal first
    #[arg(long, conflicts_with_all = ["by", "after"])]
    pub(crate) removed: bool,
    /// List all, each fork below the conversation that it comes from, and where it was forked
    #[arg(long, conflicts_with_all = ["number", "after", "removed"])]
    pub(crate) tree: bool,
    /// Say of each how many replies in it are begun and not finished, which every message is looked at for
    #[arg(long, conflicts_with_all = ["removed", "tree"])]
    pub(crate) replies: bool,
}

#[derive(Args, Debug)]
pub(crate) struct StatsArgs {
    /// Count the replies that are begun and neither finished nor abandoned, too, and name them; every message is looked at
    #[arg(long)]
    pub(crate) replies: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The conversation's id, or a beginning of four characters or more that no other has
    #[arg(value_name = "CONV")]
    pub(crate) conversation: String,
    /// Show what it was: after an event, at a version such as v3, or at a time, a date, or before a span such as 7d
    #[arg(long, value_name = "SEQ|vN|TIME", allow_hyphen_values = true)]
    pub(crate) at: Option<String>,
    /// Show only the last N messages
    #[arg(short, value_name = "N")]
    pub(crate) number: Option<usize>,
    /// Only messages of then or later: a time, a date, or a span such as 7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Only messages of before then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// Show whole turns: from a message of the user on, with every tool's result beside its call; the newest turn
    /// even if it has more than N messages
    #[arg(long)]
    pub(crate) whole_turns: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RepairArgs {
    /// The damaged store; what -d says if not given
    #[arg(value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    /// The new store: a directory that does not exist or is empty, or of a database also the URL of such a store
    #[arg(long, value_name = "NEW", required_unless_present = "in_place")]
    pub(crate) to: Option<PathBuf>,
    /// Put the new store in the damaged one's place, and keep that beside it
    #[arg(long, conflicts_with = "to")]
    pub(crate) in_place: bool,
}

#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// Only the events of this conversation, as far as they are kept, with the version that each left and its time
    #[arg(value_name = "CONV", conflicts_with = "follow")]
    pub(crate) conversation: Option<String>,
    /// Begin with this event
    #[arg(long, value_name = "SEQ", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from: u64,
    /// Go on with what is appended, until stopped
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The conversations, by their ids or beginnings of them; all if none is named
    #[arg(value_name = "CONV")]
    pub(crate) conversations: Vec<String>,
    /// The form
    #[arg(long, value_enum, default_value = "jsonl")]
    pub(crate) to: Target,
    /// A new file, or for aral a new or empty directory, for a tool's files any directory; - for standard output
    #[arg(short, long, value_name = "PATH", default_value = "-")]
    pub(crate) output: PathBuf,
    /// Only conversations with a message or an action added since then: a time, a date, or a span such as 7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Write JSON that every program reads, without NaN and lone surrogates, and say what was changed
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CopyArgs {
    /// The store to copy: a directory, or the URL of a database
    pub(crate) from: PathBuf,
    /// The store to copy into: a new or empty one, or an earlier copy
    pub(crate) to: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The directory or file; - for standard input
    #[arg(required_unless_present = "from")]
    pub(crate) path: Option<PathBuf>,
    /// The form
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) from: Origin,
    /// Say what would be added, and add nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on taking in what tools write to these files, until stopped
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) watch: bool,
    /// Bring conversations back that were removed from the store; without it they are named and left out
    #[arg(long)]
    pub(crate) revive: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// The command whose page is printed; the program's own page if not given
    #[arg(conflicts_with = "output")]
    pub(crate) command: Option<String>,
    /// Write a page for the program and one for each command here, in place of older ones
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}
