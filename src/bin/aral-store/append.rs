//! The command that carries mutations out, a line each.
//!
//! Owns the promise of its receipts: each is printed when its mutation is durable, and flushed at once. A
//! thread reads the input, so that a signal is heard while no input comes; there is never more than one
//! mutation in hand.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use aral_store::{Error, MessageStore, Mutation};

use crate::args::AppendArgs;
use crate::exit::{Exit, Failure};
use crate::key;
use crate::lines::{NumberedLine, Source};
use crate::output::Out;
use crate::place;
use crate::roles::Roles;
use crate::signals::{self, Stop};

/// What the main thread waits for.
enum Input {
    Line(NumberedLine),
    Failed(Failure),
    End,
    Stop(u8),
}

/// What a process ends with when the signal for a closed pipe ends it.
const CLOSED_PIPE: Exit = Exit::Signal(13);

pub(crate) fn run(dir: &Path, args: AppendArgs) -> Result<Exit, Failure> {
    let source = Source::of(args.file);
    let path = source.path().to_owned();
    let mut lines = source.open()?;
    let store = place::for_writing_with(
        dir,
        key::options().unique_ids(args.unique_ids.map(Into::into).unwrap_or_default()),
    )?;
    // Nothing is queued: lines may be a gibibyte long.
    let (sender, receiver) = sync_channel(0);
    let stop = signals::on_stop(stop_sender(sender.clone()))?;
    let read = move || {
        loop {
            let input = match lines.next() {
                Ok(Some(line)) => Input::Line(line),
                Ok(None) => Input::End,
                Err(failure) => Input::Failed(failure),
            };
            let is_last = !matches!(input, Input::Line(_));
            if sender.send(input).is_err() || is_last {
                return;
            }
        }
    };
    // A signal must be heard while a read waits.
    let reader = std::thread::Builder::new().spawn(read);
    reader.map_err(|error| Failure::file("read in a thread of its own", &path, error))?;
    let done =
        Appender { store: &store, path, out: Out::new(), roles: Roles::default() }.run(&receiver, &stop);
    // Nobody reading the receipts ends this quietly, but not as if all of the input had been carried out.
    let done = match done {
        Err(Failure::Unread) => Ok(CLOSED_PIPE),
        other => other,
    };
    match store.close() {
        Err(error) if done.is_ok() => Err(error.into()),
        Ok(()) | Err(_) => done,
    }
}

fn stop_sender(sender: SyncSender<Input>) -> impl Fn(u8) + Send + 'static {
    move |signal| {
        // With nobody waiting any more, the program is about to end as it is.
        drop(sender.send(Input::Stop(signal)));
    }
}

struct Appender<'a> {
    store: &'a MessageStore,
    path: PathBuf,
    out: Out,
    roles: Roles,
}

impl Appender<'_> {
    fn run(&mut self, inputs: &Receiver<Input>, stop: &Stop) -> Result<Exit, Failure> {
        // A sender that is gone has sent its last input before.
        while let Ok(input) = inputs.recv() {
            match input {
                // The signal's own message is on its way; what was not begun is not carried out.
                Input::Line(_) | Input::Failed(_) | Input::End if stop.is_wanted() => {}
                Input::Line(line) => self.line(&line)?,
                Input::Failed(failure) => return Err(failure),
                Input::End => return Ok(Exit::Done),
                Input::Stop(signal) => return Ok(Exit::Signal(signal)),
            }
        }
        Ok(Exit::Done)
    }

    /// Carries a line out and prints its receipts.
    fn line(&mut self, line: &NumberedLine) -> Result<(), Failure> {
        let number = line.number;
        let mutations = Mutation::from_json_line(&line.bytes).map_err(|error| self.refused(number, error))?;
        for mutation in &mutations {
            self.roles.look_at(mutation);
        }
        let receipts = self.store.batch(mutations).map_err(|error| self.refused(number, error))?;
        let mut printed = Ok(());
        for receipt in &receipts {
            printed = printed.and_then(|()| self.out.line(&receipt.to_json_line()));
        }
        printed.and_then(|()| self.out.finish()).map_err(|failure| {
            failure.after(|| {
                let seq =
                    receipts.last().map(|receipt| format!(", event {}", receipt.seq)).unwrap_or_default();
                format!("carried out to the end of line {number}{seq}; go on with the line behind it")
            })
        })
    }

    fn refused(&self, number: u64, error: Error) -> Failure {
        let error = error.context(&format!("line {number}"));
        // An error with a place of its own points into the store, where the trouble is.
        Failure::Input(if error.place().is_some() { error } else { error.at(&self.path, None) })
    }
}
