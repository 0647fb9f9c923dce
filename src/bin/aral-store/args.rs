//! The arguments.
//!
//! Owns every command's words and their help, with an example each.

use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};

use crate::edit::SameId;
use crate::patience::Patience;

/// Keeps the conversations of agents, safe from crashes.
#[derive(Parser, Debug)]
#[command(name = "aral-store", bin_name = "aral-store", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[arg(short, long, global = true, value_name = "DIR", overrides_with = "dir")]
    #[arg(help = "The store's directory; $ARAL_STORE_DIR if not given, else ./data")]
    pub(crate) dir: Option<PathBuf>,
    /// Refuse to make a store where there is none
    #[arg(long, global = true)]
    pub(crate) no_create: bool,
    /// Read a damaged store as far as it proves itself, say what is missing, and end with 5
    #[arg(long, global = true)]
    pub(crate) salvage: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// Print results as JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[arg(long, global = true, value_name = "WHEN", default_value_t, value_enum)]
    #[arg(help = "Use colours; auto: at a terminal, unless NO_COLOR is set")]
    pub(crate) color: ColorChoice,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Results go to standard output, everything else to standard error.
Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 conflict, 5 corruption found,
            6 held by another writer, 7 no space, 8 no memory,
            130 and 143 stopped by a signal.
Example:    aral-store -d ./data add c1 \"Hello, world!\" && aral-store -d ./data show c1";

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Begin a conversation and print its id
    #[command(after_help = "Example: aral-store new --title 'Plans' --metadata '{\"team\":\"a\"}'")]
    New(NewArgs),
    /// Add a message and print its id; the conversation begins with it if there is none
    #[command(after_help = "Example: aral-store add c1 -r assistant 'How can I help?'\n         \
                            generate | aral-store add c1 -r assistant -")]
    Add(AddArgs),
    /// Add an action and print its id; the conversation begins with it if there is none
    #[command(after_help = "Example: aral-store act c1 tool_call '{\"name\":\"search\"}'")]
    Act(ActArgs),
    /// Give a conversation another title; an empty one brings the default back
    #[command(after_help = "Example: aral-store rename c1 'Plans for spring'")]
    Rename(RenameArgs),
    /// Remove a conversation, or one of its messages or actions
    #[command(after_help = "Asks first. Where nobody can be asked it needs --yes, and then ids in full.\n\n\
                            Example: aral-store rm c1/m7 --yes")]
    Rm(RmArgs),
    /// Carry out mutations, a JSON line each, and print a receipt for each once it is durable
    #[command(
        after_help = "An array on a line is a batch: all of it happens or none. Stops at the first line \
                            that cannot be\ncarried out; what has a receipt stays.\n\nExample: echo \
                            '{\"type\":\"add_message\",\"conversation_id\":\"c1\",\"content\":\"hi\"}' | \
                            aral-store append"
    )]
    Append(AppendArgs),
    /// List the conversations
    #[command(after_help = "Example: aral-store ls -n 10 --by activity\n         \
                            aral-store ls -n 10 --after c10")]
    Ls(LsArgs),
    /// Show a conversation
    #[command(after_help = "Example: aral-store show c1 -n 20\n         \
                            aral-store show c1 --since 2025-03-13 --until 2025-03-14\n         \
                            aral-store show c1 -n 40 --whole-turns --json")]
    Show(ShowArgs),
    /// Print the events that the log holds, and with -f those that come
    #[command(
        after_help = "What a compaction has dropped from the log is told on standard error. The lines of \
                            --json are those\nthat append takes.\n\nExample: aral-store log --from 100 -f --json"
    )]
    Log(LogArgs),
    /// Write every conversation to its JSON file and drop the log that this covers
    #[command(after_help = "Example: aral-store compact")]
    Compact,
    /// Print how large the store is
    #[command(after_help = "Example: aral-store stats --json")]
    Stats,
    /// Read every byte, check every checksum, and print what is wrong
    #[command(after_help = "Example: aral-store verify || echo damaged")]
    Verify,
    /// Save what can be saved of a damaged store into a new one, and print what is lost
    #[command(
        after_help = "The damaged store stays as it is, or is kept beside the new one, whose path is printed.\n\n\
                            Example: aral-store -d ./data repair --to ./repaired\n         \
                            aral-store -d ./data repair --in-place"
    )]
    Repair(RepairArgs),
    /// Take a conversation's JSON file as it is now, edited by hand or put there by something else
    #[command(
        after_help = "Until then such a conversation answers with an error, and nothing of its file counts: it may \
                      hold less\nthan the one that the store wrote.\n\nExample: aral-store accept plans\n         \
                      aral-store accept --all"
    )]
    Accept(crate::accept::AcceptArgs),
    /// Write conversations out for other programs; all of them unless some are named
    #[command(after_help = "Example: aral-store export --to jsonl -o all.jsonl\n         \
                            aral-store export --to html --since 7d -o week.html\n         \
                            aral-store export c1 c2 --to aral -o ./for-python")]
    Export(ExportArgs),
    /// Take conversations in; what is there already is not added twice
    #[command(after_help = crate::import::forms::HELP)]
    Import(ImportArgs),
    /// Print what makes a shell complete commands and options
    #[command(
        after_help = "Example: aral-store completions bash > ~/.local/share/bash-completion/completions/aral-store"
    )]
    Completions(CompletionsArgs),
    /// Print the manual, or write all its pages to a directory
    #[command(
        after_help = "Example: aral-store man | man -l -\n         aral-store man -o ~/.local/share/man/man1"
    )]
    Man(ManArgs),
}

impl Command {
    /// Whether it makes a store where there is none.
    pub(crate) fn may_make_a_store(&self) -> bool {
        matches!(self, Self::New(_) | Self::Add(_) | Self::Act(_) | Self::Append(_) | Self::Import(_))
    }
}

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
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The conversation's id, or a beginning of four characters or more that no other has
    #[arg(value_name = "CONV")]
    pub(crate) conversation: String,
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
    /// The new store: a directory that does not exist or is empty
    #[arg(long, value_name = "NEW", required_unless_present = "in_place")]
    pub(crate) to: Option<PathBuf>,
    /// Put the new store in the damaged one's place, and keep that beside it
    #[arg(long, conflicts_with = "to")]
    pub(crate) in_place: bool,
}

#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// Begin with this event
    #[arg(long, value_name = "SEQ", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from: u64,
    /// Go on with what is appended, until stopped
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// What to export to.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A directory in the layout of the Python original
    Aral,
    /// A line for each conversation, message and action
    Jsonl,
    /// A page for the browser: one file, without scripts, that fetches nothing
    Html,
    /// A transcript
    Markdown,
    /// A line for each conversation, with its messages as chat completions have them; without actions
    Openai,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The conversations, by their ids or beginnings of them; all if none is named
    #[arg(value_name = "CONV")]
    pub(crate) conversations: Vec<String>,
    /// The form
    #[arg(long, value_enum, default_value = "jsonl")]
    pub(crate) to: Target,
    /// A new file, or for aral a new or empty directory; - for standard output
    #[arg(short, long, value_name = "PATH", default_value = "-")]
    pub(crate) output: PathBuf,
    /// Only conversations with a message or an action added since then: a time, a date, or a span such as 7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Write JSON that every program reads, without NaN and lone surrogates, and say what was changed
    #[arg(long)]
    pub(crate) strict: bool,
}

/// What to import from.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// aral for a directory, openai for lists of chat messages, else jsonl
    Auto,
    /// A directory that the Python original or this program wrote
    Aral,
    /// Lines as export --to jsonl writes them
    Jsonl,
    /// Lists of chat messages: [{"role":…,"content":…}], {"messages":[…]}, a list of those, or one a line
    Openai,
}

#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The directory or file; - for standard input
    pub(crate) path: PathBuf,
    /// The form
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) from: Origin,
    /// Say what would be added, and add nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_has_an_example_in_its_help() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example: "), "{}", command.get_name());
        }
    }
}
