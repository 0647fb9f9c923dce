//! The command line as a whole.
//!
//! Owns every command's name and help, with an example each, and what all of them take.

use std::path::PathBuf;

use clap::{ColorChoice, Parser, Subcommand};

use crate::accept::AcceptArgs;
use crate::args::{
    ActArgs, AddArgs, AppendArgs, CompletionsArgs, CopyArgs, ExportArgs, ImportArgs, LogArgs, LsArgs,
    ManArgs, NewArgs, RenameArgs, RepairArgs, RmArgs, ShowArgs, StatsArgs,
};
use crate::backup::{BackupArgs, ReplicateArgs, RestoreArgs};
use crate::consume::ConsumeArgs;
use crate::consumers::ConsumersArgs;
use crate::diff::DiffArgs;
use crate::erase::EraseArgs;
use crate::exit::Failure;
use crate::fork::ForkArgs;
use crate::import::forms;
use crate::index::IndexArgs;
use crate::keep::KeepArgs;
use crate::patience::Patience;
use crate::prune::PruneArgs;
use crate::rekey::RekeyArgs;
use crate::retention::RetentionArgs;
use crate::search::SearchArgs;
#[cfg(feature = "serve")]
use crate::serve::ServeArgs;
use crate::stream::StreamArgs;
use crate::undo::{RevertArgs, UndoArgs, UnremoveArgs};

/// Keeps the conversations of agents, safe from crashes.
#[derive(Parser, Debug)]
#[command(name = "aral-store", bin_name = "aral-store", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[arg(short, long, global = true, value_name = "DIR", overrides_with = "dir")]
    #[arg(
        help = "The store: a directory, or the URL of a database or a bucket, such as sqlite:PATH; $ARAL_STORE_DIR if not given, else ./data"
    )]
    pub(crate) dir: Option<PathBuf>,
    /// Refuse to make a store where there is none
    #[arg(long, global = true)]
    pub(crate) no_create: bool,
    /// Read a damaged store as far as it proves itself, say what is missing, and end with 5
    #[arg(long, global = true)]
    pub(crate) salvage: bool,
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(
        help = "The key of an encrypted store, 64 hexadecimal digits or 32 bytes; $ARAL_STORE_KEY if not given"
    )]
    pub(crate) key_file: Option<PathBuf>,
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
    /// Write a message while it comes from standard input, and print its id at once
    #[command(
        after_help = "What has come can be read by everybody, marked as partial, until the input ends. A signal or a crash leaves it so.\n\n\
                            Example: generate | aral-store stream c1\n         \
                            generate --more | aral-store stream c1 --resume m7\n         aral-store stream c1 --finish m7"
    )]
    Stream(StreamArgs),
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
                            aral-store ls -n 10 --after c10\n         aral-store ls --replies")]
    Ls(LsArgs),
    /// Show a conversation
    #[command(after_help = "Example: aral-store show c1 -n 20\n         \
                            aral-store show c1 --since 2025-03-13 --until 2025-03-14\n         \
                            aral-store show c1 -n 40 --whole-turns --json\n         aral-store show c1 --at v3")]
    Show(ShowArgs),
    /// Search the messages, and print what is found, the newest or the best first
    #[command(
        after_help = "All that is named must occur in a message: words, \"phrases in quotes\", and beginnings of words with \
                            a star.\nCapital and small letters are the same.\n\nExample: aral-store search rain umbrella\n         \
                            aral-store search '\"will it rain\" tomorr*' -r user --since 7d -n 20\n         \
                            aral-store search umbrella --order best -n 5"
    )]
    Search(SearchArgs),
    /// Make an index for searching a directory, or bring it up to date
    #[command(
        after_help = "Searches use it from then on, and bring it up to date themselves where a thousand events are missing. It is a file beside the log,\n\
                      log/SEARCH, and can be removed at any time: what is found is the same without it. A database has its own.\n\n\
                      Example: aral-store index\n         aral-store index --remove"
    )]
    Index(IndexArgs),
    /// Show the conversations in a browser, at an address that is printed, until stopped
    #[cfg(feature = "serve")]
    #[command(
        after_help = "Only shows, and writes nothing without --write. Whoever opens the address that is printed is let in, and nobody else; it holds for \
                            this run.\n\nExample: aral-store serve\n         aral-store -d sqlite:agents.db serve --port 8400"
    )]
    Serve(ServeArgs),
    /// Print the events that the log holds, or those of a conversation, and with -f those that come
    #[command(
        after_help = "What a compaction has dropped from the log is told on standard error. The lines of \
                            --json are those\nthat append takes.\n\nExample: aral-store log --from 100 -f --json\n         aral-store log c1"
    )]
    Log(LogArgs),
    /// Give events to a command, or print them, each until it is done with: a reader of the log whose place is kept by name
    #[command(
        after_help = "Each event is given at least once and in order, through compactions and whoever ends. One that fails ends \
                            the consuming,\nand is given again by the next run. The lines that CMD gets are those of log --json.\n\n\
                            Example: aral-store consume indexer --exec ./index.sh --follow\n         \
                            aral-store consume mailer --from now --kind add_message --exec 'curl -fsS --data-binary @- https://example.org/hook'"
    )]
    Consume(ConsumeArgs),
    /// List the consumers and how far each has come, or move or remove one
    #[command(after_help = "Example: aral-store consumers --json\n         \
                            aral-store consumers --reset indexer --from start")]
    Consumers(ConsumersArgs),
    /// Compare two conversations, or two states of one as far as its past is kept
    #[command(
        after_help = "A state is named by an event's number, a version such as v3, a time, a date, or a span such as 7d.\n\n\
                            Example: aral-store diff c1 v3 v5\n         aral-store diff c1 7d\n         aral-store diff c1 c2"
    )]
    Diff(DiffArgs),
    /// Take the newest changes of a conversation back, by new events
    #[command(
        after_help = "What was carried out together is one change. Undone once more, all is as before.\n\n\
                            Example: aral-store undo c1 2 --dry-run"
    )]
    Undo(UndoArgs),
    /// Make a conversation what it was, by new events
    #[command(after_help = "To make a whole store of a backup there is restore.\n\n\
                            Example: aral-store revert c1 --at v3\n         aral-store revert c1 --at 24h --dry-run")]
    Revert(RevertArgs),
    /// Bring back a conversation that was removed, or a message or action, as far as that is kept
    #[command(after_help = "Example: aral-store unremove c1\n         aral-store unremove c1/m7")]
    Unremove(UnremoveArgs),
    /// Begin a conversation with the past of another one, and print its id
    #[command(
        after_help = "What becomes of one afterwards is not seen in the other. ls --tree shows where each comes from.\n\n\
                            Example: aral-store fork c1 --at m7\n         aral-store fork c1 --before m7 --id c2\n         \
                            aral-store fork c1 --at v3 --title 'Another try'"
    )]
    Fork(ForkArgs),
    /// Print or choose how much of its history a store keeps beyond the newest compaction
    #[command(
        after_help = "The choice is the store's and stays with it; without one nothing is kept. What is kept is what log CONV, \
                      show --at,\ndiff, undo, revert and unremove go back to.\n\nExample: aral-store keep 30d\n         \
                      aral-store keep nothing --yes"
    )]
    Keep(KeepArgs),
    /// Take away conversations, or their oldest messages, that are older than what is to be kept
    #[command(
        after_help = "Conversations that were last active before --older-than are removed; with --keep-last their newest \
                      messages stay.\nWithout --older-than all conversations are meant. With neither what retention says is gone by. Asks first; where nobody \
                      can be asked it needs --yes.\nNothing is ever pruned unasked. What went is taken back by unremove and undo, as far as history is kept.\n\n\
                      Example: aral-store prune --older-than 90d --dry-run\n         aral-store prune --older-than 90d --keep-last 100 --yes"
    )]
    Prune(PruneArgs),
    /// Print, choose or forget what of its conversations a store keeps when it is pruned
    #[command(
        after_help = "The policy of the store holds for all conversations that have none of their own. Nothing goes by this: prune, without \
                      --older-than\nand --keep-last, goes by what is remembered here, as from cron.\n\n\
                      Example: aral-store retention set --older-than 90d\n         aral-store retention set c1 --keep-everything\n         \
                      aral-store retention show\n         aral-store retention clear c1"
    )]
    Retention(RetentionArgs),
    /// Erase a conversation or a message from every file of the store, or search for what a receipt is of
    #[command(
        after_help = "Asks first; where nobody can be asked it needs --yes. Nothing brings back what goes. The receipt names nothing of it and is kept in\n\
                      log/erasures; --json prints it. Backups and copies elsewhere are not erased: --check with --also finds what is left there.\n\n\
                      Example: aral-store erase c1 --dry-run\n         aral-store erase c1/m7 --yes --receipt gone.json\n         \
                      aral-store erase --where 'metadata.user = \"anna\"' --dry-run\n         \
                      aral-store erase --check gone.json --also /mnt/backup\n         aral-store erase --receipts"
    )]
    Erase(EraseArgs),
    /// Write every conversation to its JSON file and drop the log that this covers
    #[command(after_help = "Example: aral-store compact")]
    Compact,
    /// Print how large the store is
    #[command(after_help = "Example: aral-store stats --json\n         aral-store stats --replies")]
    Stats(StatsArgs),
    /// Read every byte, check every checksum, and print what is wrong
    #[command(after_help = "Example: aral-store verify || echo damaged")]
    Verify,
    /// Save what can be saved of a damaged store into a new one, and print what is lost
    #[command(
        after_help = "The damaged store stays as it is, or is kept beside the new one, whose path is printed.\n\n\
                            Example: aral-store -d ./data repair --to ./repaired\n         \
                            aral-store -d sqlite:./chats.db repair --to ./repaired\n         \
                            aral-store -d ./data repair --in-place"
    )]
    Repair(RepairArgs),
    /// Give an encrypted store another key; the conversations stay as they are
    #[command(after_help = "The key that the store has is given by --key-file or ARAL_STORE_KEY.\n\n\
                      Example: openssl rand -hex 32 > new.key\n         \
                      aral-store --key-file old.key rekey --new-key-file new.key")]
    Rekey(RekeyArgs),
    /// Take a conversation's JSON file as it is now, edited by hand or put there by something else
    #[command(
        after_help = "Until then such a conversation answers with an error, and nothing of its file counts: it may \
                      hold less\nthan the one that the store wrote.\n\nExample: aral-store accept plans\n         \
                      aral-store accept --all"
    )]
    Accept(AcceptArgs),
    /// Copy the store, also one that is being written, to a directory; only what is new if it has been before
    #[command(
        after_help = "Prints the event that the backup ends with, and the states that can be restored.\n\n\
                            Example: aral-store -d ./data backup /mnt/backup --keep 30d"
    )]
    Backup(BackupArgs),
    /// Go on with a backup as the store grows, until stopped
    #[command(
        after_help = "Prints what the backup is current to whenever that moves on. It may be stopped and begun again at any \
                            time.\n\nExample: aral-store -d ./data replicate /mnt/backup --every 5 --json"
    )]
    Replicate(ReplicateArgs),
    /// Make a store of a backup: of its newest state, or of one that it keeps
    #[command(after_help = "Example: aral-store restore /mnt/backup --to ./data\n         \
                            aral-store restore /mnt/backup --to ./yesterday --at 24h")]
    Restore(RestoreArgs),
    /// Write conversations out for other programs; all of them unless some are named
    #[command(after_help = "Example: aral-store export --to jsonl -o all.jsonl\n         \
                            aral-store export --to html --since 7d -o week.html\n         \
                            aral-store export c1 c2 --to aral -o ./for-python")]
    Export(ExportArgs),
    /// Take conversations in; what is there already is not added twice
    #[command(after_help = forms::HELP)]
    Import(ImportArgs),
    /// List the sessions of other tools that are on this machine
    #[command(
        after_help = "Reads nothing but the names and lengths of files.\n\nExample: aral-store sources\n         \
                            aral-store import --from claude-code"
    )]
    Sources,
    /// Copy everything into another store, or bring an earlier copy up to date
    #[command(
        after_help = "Either may be a directory or a database. Stopped at any moment, it goes on when it is begun \
                            again.\nWhat was changed in the copy since is not touched: then the command refuses, with 4.\n\nExample: \
                            aral-store copy ./data postgres://app@db.example.org/agents\n         \
                            aral-store copy sqlite:agents.db ./data"
    )]
    Copy(CopyArgs),
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
        matches!(
            self,
            Self::New(_)
                | Self::Add(_)
                | Self::Stream(_)
                | Self::Act(_)
                | Self::Append(_)
                | Self::Import(_)
                | Self::Copy(_)
        )
    }
}

impl Cli {
    /// Whether a salvage is asked for, which is refused where it makes no sense.
    pub(crate) fn wants_salvage(&self) -> Result<bool, Failure> {
        if !self.salvage {
            return Ok(false);
        }
        let refused = if let Command::Log(args) = &self.command {
            args.follow.then_some("--salvage shows what there is, so that it cannot be followed")
        } else if matches!(self.command, Command::Verify | Command::Repair(_)) {
            Some("verify and repair go on behind damage without --salvage")
        } else {
            let is_reading = matches!(
                self.command,
                Command::Ls(_)
                    | Command::Show(_)
                    | Command::Search(_)
                    | Command::Export(_)
                    | Command::Stats(_)
            );
            (!is_reading).then_some(
                "--salvage is for the commands that only read: ls, show, search, log, export and stats",
            )
        };
        refused.map_or(Ok(true), |text| Err(Failure::Usage(text.to_owned())))
    }
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
