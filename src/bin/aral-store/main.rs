//! The command line.
//!
//! Owns the way from arguments to an exit code. Knows the store only through the public side of the crate.
//! Results go to standard output, everything else to standard error; [`exit`] owns what the codes mean.

mod args;

mod cli;

mod usage;

mod exit;

mod output;

mod database;

mod place;

mod signals;

mod style;

mod progress;

mod watched;

mod lines;

mod piped;

mod roles;

mod chat;

mod transcripts;

mod append;

mod ask;

mod ids;

mod moment;

mod past;

mod diff;

mod undo;

mod fork;

mod tree;

mod keep;

mod prune;

mod retention;

mod erase;

mod edit;

mod stream;

mod rm;

mod whole;

mod show;

mod search;

mod index;

#[cfg(feature = "serve")]
mod serve;

mod log_line;

mod events_of;

mod log;

mod consume;

mod consumers;

mod upkeep;

mod repair;

mod loss;

mod patience;

mod same_id;

mod replies;

mod report;

mod salvage;

mod accept;

mod backup;

mod export;

mod import;

mod sources;

mod copy;

mod manual;

mod key;

mod rekey;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};
use exit::Exit;
use output::Form;

fn main() -> ExitCode {
    let code = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => usage::explain(&error),
    };
    ExitCode::from(code.code())
}

fn run(cli: Cli) -> Exit {
    if let Err(failure) = prepare(&cli) {
        return failure.report();
    }
    patience::choose(cli.patience);
    let dir = match (&cli.command, cli.dir) {
        (Command::Copy(_), Some(_)) => {
            let text = "copy names both stores, and none with -d; write aral-store copy FROM TO";
            return exit::Failure::Usage(text.to_owned()).report();
        }
        // What may have to be there is what is written to.
        (Command::Copy(args), None) => args.to.clone(),
        (_, dir) => dir.unwrap_or_else(default_dir),
    };
    let form = if cli.json { Form::Json } else { Form::of_stdout() };
    if cli.no_create
        && cli.command.may_make_a_store()
        && let Err(failure) = place::must_be_there(&dir)
    {
        return failure.report();
    }
    let done = match cli.command {
        Command::New(args) => edit::new(&dir, form, args),
        Command::Add(args) => edit::add(&dir, form, args),
        Command::Stream(args) => stream::run(&dir, form, &args),
        Command::Act(args) => edit::act(&dir, form, args),
        Command::Rename(args) => edit::rename(&dir, form, args),
        Command::Rm(args) => rm::run(&dir, form, &args),
        Command::Append(args) => append::run(&dir, args),
        Command::Ls(args) => show::ls(&dir, form, &args),
        Command::Show(args) => show::show(&dir, form, &args),
        Command::Search(args) => search::run(&dir, form, &args),
        Command::Index(args) => index::run(&dir, form, &args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&dir, form, &args),
        Command::Log(args) => log::run(&dir, form, &args),
        Command::Consume(args) => consume::run(&dir, form, &args),
        Command::Consumers(args) => consumers::run(&dir, form, &args),
        Command::Diff(args) => diff::run(&dir, form, &args),
        Command::Undo(args) => undo::undo(&dir, form, &args),
        Command::Revert(args) => undo::revert(&dir, form, &args),
        Command::Unremove(args) => undo::unremove(&dir, form, &args),
        Command::Fork(args) => fork::run(&dir, form, args),
        Command::Keep(args) => keep::run(&dir, form, &args),
        Command::Prune(args) => prune::run(&dir, form, &args),
        Command::Retention(args) => retention::run(&dir, form, &args),
        Command::Erase(args) => erase::run(&dir, form, &args),
        Command::Compact => upkeep::compact(&dir, form),
        Command::Stats(args) => upkeep::stats(&dir, form, &args),
        Command::Verify => upkeep::verify(&dir, form),
        Command::Repair(args) => repair::run(args.from.as_deref().unwrap_or(&dir), form, args.to.as_deref()),
        Command::Rekey(args) => rekey::run(&dir, form, &args),
        Command::Accept(args) => accept::run(&dir, form, &args),
        Command::Backup(args) => backup::backup(&dir, form, &args),
        Command::Replicate(args) => backup::replicate(&dir, form, &args),
        Command::Restore(args) => backup::restore(form, &args),
        Command::Export(args) => export::run(&dir, &args),
        Command::Import(args) => import::run(&dir, form, &args),
        Command::Sources => sources::run(form),
        Command::Copy(args) => copy::run(&args, form),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    };
    salvage::exit(done.unwrap_or_else(exit::Failure::report))
}

/// What holds for every command.
fn prepare(cli: &Cli) -> Result<(), exit::Failure> {
    // A quota that is used up must be an error of the write that hits it, not the end of the process.
    signals::survive_file_size_limit()?;
    signals::end_without_memory_as_an_error()?;
    style::choose(cli.color);
    cli.wants_salvage().map(salvage::choose)?;
    key::choose(cli.key_file.as_deref())
}

/// Where the store is when nobody says so.
fn default_dir() -> PathBuf {
    std::env::var_os("ARAL_STORE_DIR")
        .filter(|dir| !dir.is_empty())
        .map_or_else(|| PathBuf::from("./data"), PathBuf::from)
}
