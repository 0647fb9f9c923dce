//! A run on a failing file system as bytes.
//!
//! Owns the reading of bytes as a plan of faults and the operations that meet them. What a run may come to is
//! judged as the fault sweep judges it.

use aral_store::{ErrorKind, Keep, MessageStore};

use super::check::Checked;
use super::driver;
use super::faultfs::{Call, Fault, FaultFs, Rule};
use super::ops::{self, Op};
use super::simfs::errno::EINTR;
use super::simfs::{Bytes, Choose, Settings};
use super::sources::Sources;
use super::suspects::{self, Suspects, typed};

/// The bytes of one fault, and of the count of them.
const RULE: usize = 4;

/// At most so many faults are planned.
const MOST_RULES: usize = 3;

/// Every error doubles what the store may hold, so a run is kept short.
const MOST_OPERATIONS: usize = 20;

fn rule(choice: &mut dyn Choose) -> Rule {
    let call = Call::ALL[choice.pick(Call::ALL.len())];
    let faults = suspects::faults(call);
    let fault = faults[choice.pick(faults.len())];
    let (nth, is_for_ever) = (choice.pick(64), choice.pick(4) == 3);
    let rule = Rule::new(call, 1 + u64::try_from(nth).unwrap_or(0), fault);
    // An interruption that never ends is not one that a program can outlive.
    if is_for_ever && fault != Fault::Errno(EINTR) { rule.for_ever() } else { rule }
}

/// Carries the bytes out on a store whose file system fails as they say, and looks at what is left.
pub(crate) fn run(data: &[u8], operation_bytes: usize) -> Checked {
    let (head, program) = data.split_at(data.len().min(1 + MOST_RULES * RULE));
    let (count, rules) = head.split_at(head.len().min(1));
    let count = 1 + Bytes::new(count).pick(MOST_RULES);
    let rules = rules.chunks(RULE).take(count).map(|bytes| rule(&mut Bytes::new(bytes))).collect();
    let ops: Vec<Op> = program
        .chunks(operation_bytes)
        .take(MOST_OPERATIONS)
        .map(|bytes| ops::op(&mut Bytes::new(bytes)))
        .take_while(|op| !matches!(op, Op::Kill | Op::PowerCut(_)))
        .collect();
    let sim = driver::fresh(Settings::default());
    let fs = FaultFs::over_sim(&sim, rules);
    let mut suspects = Suspects::new();
    let outcome = meet(&fs, &ops, &mut suspects);
    suspects.reopened();
    outcome.and_then(|()| suspects::settle(&sim, &suspects)).map_err(|wrong| format!("{ops:#?}\n{wrong}"))
}

fn meet(fs: &FaultFs, ops: &[Op], suspects: &mut Suspects) -> Checked {
    let sources = Sources::default();
    let Some(mut store) = opened(fs, &sources)? else { return Ok(()) };
    for op in ops {
        suspects.operation += 1;
        sources.begin(suspects.operation);
        match op {
            Op::Append(step) => say(&store, std::slice::from_ref(step), suspects)?,
            Op::Batch(steps) => say(&store, steps, suspects)?,
            Op::Sync => tolerate(store.sync())?,
            Op::Keep => tolerate(store.keep_history(Keep::Everything).map(|_| ()))?,
            Op::Compact => tolerate(store.compact().map(|_| ()))?,
            // Faults are of the system here; files that are damaged are those of the crash states.
            // A fork is a batch like any other, and which one would depend on a state that is in doubt.
            Op::Damage(_) | Op::PutBack | Op::Fork { .. } => {}
            Op::Reopen | Op::Close | Op::Kill | Op::PowerCut(_) => {
                tolerate(store.close())?;
                suspects.reopened();
                match opened(fs, &sources)? {
                    Some(again) => store = again,
                    None => return Ok(()),
                }
            }
        }
    }
    Ok(())
}

fn opened(fs: &FaultFs, sources: &Sources) -> Checked<Option<MessageStore>> {
    match suspects::open(fs, sources) {
        Ok(store) => Ok(Some(store)),
        Err(error) => typed(&error).map(|()| None),
    }
}

fn say(store: &MessageStore, steps: &[ops::Step], suspects: &mut Suspects) -> Checked {
    let oracle = suspects.candidates.first().cloned().unwrap_or_default();
    let batch: Vec<_> = steps.iter().map(|step| oracle.mutation(step)).collect();
    let answer = store.batch(batch.clone());
    if let Err(error) = &answer
        && [ErrorKind::Corrupt, ErrorKind::UnsupportedFormat, ErrorKind::Closed].contains(&error.kind())
    {
        typed(error)?;
    }
    suspects.said(&batch, &answer)
}

/// Nothing but an error of the file system is due here.
fn tolerate(result: aral_store::Result<()>) -> Checked {
    result.or_else(|error| typed(&error))
}
