//! Taking files in, and reading on while what was read is added.
//!
//! Owns the thread that reads. It is not far ahead: what waits is bounded, and nothing is added, counted or told but by the one
//! who takes it in, in the order of the files and of their lines.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use aral_store::{Error, ErrorKind};

use super::archive;
use super::databases;
use super::documents;
use super::intake::Intake;
use super::reading::{Read, Whole, how};
use super::transcript::{self, Fork, Looks, Step, of_file};
use crate::exit::Failure;
use crate::lines::Source;
use crate::output;
use crate::transcripts::Tool;

/// How many parts of files may wait until they are added: what is read while a segment of the log is synced.
const AHEAD: usize = 6;

/// How many bytes of files there must be for a thread to take less time than it saves.
const WORTH_A_THREAD: u64 = 1 << 20;

/// What is read of a file.
enum Given {
    Step(Step),
    /// The file is for whoever takes it in to read, as one of this tool if that was said.
    Whole(Whole, Option<Tool>),
}

/// What the thread that reads sends.
enum Sent {
    Given(Given),
    /// What came of the file; nothing follows of this one.
    End(Result<Option<Fork>, Failure>),
}

/// Takes files in, which have so many bytes, and gives the sessions that need the lines of others.
pub(super) fn take(
    paths: &[&Path],
    bytes: u64,
    tool: Option<Tool>,
    intake: &mut Intake<'_>,
) -> Result<Vec<Fork>, Failure> {
    let looks = Looks::of(intake);
    if bytes < WORTH_A_THREAD {
        return one_by_one(paths, tool, looks, intake);
    }
    std::thread::scope(|scope| {
        let (sender, sent) = sync_channel(AHEAD);
        let thread = std::thread::Builder::new().name("aral-read".to_owned());
        match thread.spawn_scoped(scope, move || read_all(paths, tool, looks, &sender)) {
            Ok(_) => add_all(paths, &sent, intake),
            // Without a thread it takes longer.
            Err(_) => one_by_one(paths, tool, looks, intake),
        }
    })
}

fn one_by_one(
    paths: &[&Path],
    tool: Option<Tool>,
    looks: Looks,
    intake: &mut Intake<'_>,
) -> Result<Vec<Fork>, Failure> {
    let mut forks = Vec::new();
    for path in paths {
        let conflicts = intake.counts.conflicts;
        let came = read(path, tool, looks, &mut |given| add(path, given, intake));
        forks.extend(ended(path, came, conflicts, intake)?);
    }
    Ok(forks)
}

/// Reads all files, until nobody wants more of them.
fn read_all(paths: &[&Path], tool: Option<Tool>, looks: Looks, sender: &SyncSender<Sent>) {
    for path in paths {
        let mut give = |given| sender.send(Sent::Given(given)).map_err(|_| Failure::Unread);
        let came = read(path, tool, looks, &mut give);
        if sender.send(Sent::End(came)).is_err() {
            return;
        }
    }
}

fn add_all(paths: &[&Path], sent: &Receiver<Sent>, intake: &mut Intake<'_>) -> Result<Vec<Fork>, Failure> {
    let mut forks = Vec::new();
    for path in paths {
        let conflicts = intake.counts.conflicts;
        let came = loop {
            match sent.recv() {
                Ok(Sent::End(came)) => break came,
                Ok(Sent::Given(given)) => add(path, given, intake)?,
                Err(_) => return Err(Error::new(ErrorKind::Failed, "the reading of files broke off").into()),
            }
        };
        forks.extend(ended(path, came, conflicts, intake)?);
    }
    Ok(forks)
}

/// Reads a file, or gives it on to be read.
fn read(
    path: &Path,
    tool: Option<Tool>,
    looks: Looks,
    give: &mut dyn FnMut(Given) -> Result<(), Failure>,
) -> Result<Option<Fork>, Failure> {
    let lines_of = match how(path, tool)? {
        Read::Not if looks.is_watching => return Ok(None),
        Read::Not => {
            let text = format!("nothing is in this file yet: {}", path.display());
            return give(Given::Step(Step::Note(text))).map(|()| None);
        }
        Read::Lines(tool) => tool,
        Read::Whole(whole) => return give(Given::Whole(whole, tool)).map(|()| None),
    };
    if path.to_str().is_none() {
        give(Given::Step(Step::Note(format!(
            "this name is not UTF-8, and an export of the session gives the file the name as it is printed here: {}",
            path.display()
        ))))?;
    }
    let mut lines = Source::File(path.to_owned()).open().map_err(of_file)?;
    transcript::read((lines_of, path), &mut lines, looks, &mut |step| give(Given::Step(step)))
}

/// Adds what was read of a file. An error means that nothing more can be added at all.
fn add(path: &Path, given: Given, intake: &mut Intake<'_>) -> Result<(), Failure> {
    let taken = match given {
        Given::Step(step) => return step.carry_out(intake),
        Given::Whole(Whole::Archive, tool) => archive::take(path, tool, intake),
        Given::Whole(Whole::Database, tool) => databases::take(path, tool, intake),
        Given::Whole(Whole::Document(tool), _) => documents::take(path, tool, intake),
    };
    match taken {
        Err(Failure::Input(error)) => {
            intake.bad_line(&error.to_string());
            Ok(())
        }
        taken => taken,
    }
}

/// Says what there is to say at the end of a file; one that cannot be read keeps no other one out.
fn ended(
    path: &Path,
    came: Result<Option<Fork>, Failure>,
    conflicts: u64,
    intake: &mut Intake<'_>,
) -> Result<Option<Fork>, Failure> {
    match came {
        Ok(fork) => {
            if intake.counts.conflicts > conflicts {
                output::note(&format!(
                    "that came of {}; what is in the store stays, and another store takes the file as it is",
                    path.display()
                ));
            }
            Ok(fork)
        }
        Err(Failure::Input(error)) => {
            intake.bad_line(&error.to_string());
            Ok(None)
        }
        // The store's own errors end it.
        Err(failure) => Err(failure),
    }
}
