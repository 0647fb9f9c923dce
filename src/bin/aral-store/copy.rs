//! The command that copies a store into another one.
//!
//! Owns how the two are opened, and the bar. What a copy is, is the library's.

use std::path::Path;

use aral_store::{CopyProgress, CopyStage, SyncPolicy};

use crate::args::CopyArgs;
use crate::database::{self, Database};
use crate::exit::{Exit, Failure};
use crate::key;
use crate::output::Form;
use crate::place;
use crate::progress::{self, Unit, Work};
use crate::upkeep::print_fields;

pub(crate) fn run(args: &CopyArgs, form: Form) -> Result<Exit, Failure> {
    // Order: the source first. A name that leads nowhere must not create a store.
    let from = place::for_reading(&args.from)?;
    must_be_two(&args.from, &args.to)?;
    // Nothing is acknowledged before the end, and another run goes on where one was stopped, so one sync at the end is
    // enough. A compaction would drop the events that such a run is known by.
    let options = key::options().sync(SyncPolicy::Os).compact_manually();
    let to = place::for_writing_with(&args.to, options)?;
    let mut bar = Bar::default();
    let report = from.copy_to(&to, |step| bar.show(step))?;
    drop(bar);
    to.close()?;
    let fields = [
        ("seq", report.seq),
        ("conversations", report.conversations),
        ("messages", report.messages),
        ("actions", report.actions),
        ("removed", report.removed),
        ("events", report.events),
    ];
    let printed = print_fields(form, fields.map(|(name, number)| (name, number.into())).to_vec());
    printed
        .map_err(|failure| failure.after(|| format!("copied up to event {}, and compared", report.seq)))?;
    Ok(Exit::Done)
}

/// Refuses to copy a store into itself, before it is opened twice.
fn must_be_two(from: &Path, to: &Path) -> Result<(), Failure> {
    let place = |name: &Path| -> Result<_, Failure> {
        Ok(match database::of(name)? {
            None => name.canonicalize().ok(),
            Some(Database::File(file)) => file.canonicalize().ok(),
            Some(Database::Server(shown)) => Some(shown),
        })
    };
    match (place(from)?, place(to)?) {
        (Some(from), Some(to)) if from == to => {
            Err(Failure::Usage("a store cannot be copied into itself".to_owned()))
        }
        _ => Ok(()),
    }
}

/// The bar of what is being done now.
#[derive(Default)]
struct Bar {
    stage: Option<CopyStage>,
    work: Option<Work>,
    done: u64,
}

impl Bar {
    fn show(&mut self, step: CopyProgress) {
        let (what, unit) = match step.stage {
            CopyStage::Events => ("copying", Unit::Events),
            CopyStage::Comparing => ("comparing", Unit::Conversations),
            CopyStage::Conversations | _ => ("copying", Unit::Conversations),
        };
        if self.stage != Some(step.stage) || step.done < self.done {
            // Order: the old bar goes before the new one comes; it takes whatever bar there is with it.
            self.work = None;
            self.work = Some(Work::begin(what, Some(step.total), unit));
            (self.stage, self.done) = (Some(step.stage), 0);
        }
        progress::advance(unit, step.done - self.done);
        self.done = step.done;
    }
}
