//! Copying a store into another one, whatever keeps them.
//!
//! Owns the order: see what both are, hold that the target is empty or an earlier copy, carry over what it lacks, make that
//! durable, leave the mark, compare. A store that keeps all of its events is copied event by event, any other by the state
//! that it is in. What is not there yet is added, and what the source has changed since is changed; what anybody else has
//! put into the target is never touched, and refused before anything is written.

mod pages;

mod target;

mod keys;

mod replay;

mod plan;

mod survey;

mod state;

mod compare;

use crate::backend::Backend;
use crate::codec::bytes::to_u64;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CopyMark, CopyProgress, CopyReport, Seq};
use target::{Target, leave_mark};

/// How often a state is looked at anew that changes while it is copied.
const ROUNDS: usize = 100;

/// Who is told how far a copy has come.
pub(crate) type Progress<'p> = &'p mut dyn FnMut(CopyProgress);

/// Copies a store into another one, and says what that holds then.
pub(crate) fn copy(from: &dyn Backend, to: &dyn Backend, progress: Progress<'_>) -> Result<CopyReport> {
    must_be_whole(from, "copied")?;
    must_be_whole(to, "copied into")?;
    // What a copy that was killed has still sent to a server is carried out before this has its turn.
    to.sync()?;
    let mark = to.copied_from()?;
    let source = source(from, to, mark.as_ref())?;
    // A mark that names no store may be of any: what is there is compared then, and nothing of it is changed.
    let mark = mark.filter(|mark| !mark.from.is_empty());
    let mut target = Target::new(to, last_seq(to)?);
    // An event that is nothing can be given to no store.
    let has_erased = match from.erasing() {
        Ok(erasing) => erasing.has_erased_events()?,
        Err(_) => false,
    };
    let seq = if from.keeps_every_event() && !has_erased {
        by_event(from, &mut target, (mark, &source), progress)?
    } else {
        by_state(from, &mut target, (mark, &source), progress)?
    };
    let stats = to.stats()?;
    Ok(CopyReport {
        seq,
        conversations: stats.conversations,
        messages: stats.messages,
        actions: stats.actions,
        removed: to_u64(to.tombstones()?.len()),
        events: target.written(),
    })
}

/// Copies a store event by event, up to the one that is the newest now.
fn by_event(
    from: &dyn Backend,
    target: &mut Target<'_>,
    (mark, source): (Option<CopyMark>, &str),
    progress: Progress<'_>,
) -> Result<Seq> {
    let seq = last_seq(from)?;
    replay::must_be_a_part(from, target, mark.as_ref(), seq)?;
    replay::carry_over(from, target, seq, progress)?;
    leave_mark(target, &CopyMark::new(source, seq, seq))?;
    replay::compare(from, target.store(), seq)?;
    compare::compare(from, target.store(), compare::Extent::Until(seq), progress)?;
    Ok(seq)
}

/// Copies a store by the state that it is in. If that changes meanwhile, because what it was read from has been replaced,
/// the next state is gone over to, until one has stayed while it was carried over. Each time that is only what has changed.
fn by_state(
    from: &dyn Backend,
    target: &mut Target<'_>,
    (mut mark, source): (Option<CopyMark>, &str),
    progress: Progress<'_>,
) -> Result<Seq> {
    for _ in 0..ROUNDS {
        let seq = last_seq(from)?;
        let has_moved = || Ok::<bool, Error>(last_seq(from)? != seq);
        match state::carry_over(from, target, (mark.as_ref(), source), progress) {
            Err(error) if error.kind() == ErrorKind::Conflict && !target.is_shared() && has_moved()? => {
                // The next look at the target would not see what waits to be written.
                target.forget_waiting();
                continue;
            }
            done => done?,
        }
        let reached = CopyMark::new(source, seq, target.last_seq());
        leave_mark(target, &reached)?;
        mark = Some(reached);
        if has_moved()? {
            continue;
        }
        let compared = compare::compare(from, target.store(), compare::Extent::All, progress);
        if !has_moved()? {
            return compared.map(|()| seq);
        }
        // What has changed since cannot be compared any more; the rest can, however long that takes.
        let extent = compare::Extent::Until(seq);
        return compare::compare(from, target.store(), extent, progress).map(|()| seq);
    }
    let reason = "what is copied changes faster than it can be copied; what there is of the copy is kept, and goes on when \
                  it is begun again";
    Err(Error::new(ErrorKind::Conflict, reason))
}

fn last_seq(store: &dyn Backend) -> Result<Seq> {
    Ok(store.stats()?.last_seq)
}

/// Holds that all of a store can be read: what cannot would be missing from the copy, or be taken for removed.
fn must_be_whole(store: &dyn Backend, purpose: &str) -> Result<()> {
    let found = store.recovery();
    // The list of conversations is for the original's eyes: the store has its own.
    let damaged = found.damaged.iter().find(|file| !file.path.ends_with("message_store.json"));
    let Some(file) = damaged else { return Ok(()) };
    let whose = file.conversation_id.as_ref().map(|id| format!("conversation {id:?}: ")).unwrap_or_default();
    let reason = format!(
        "a store is {purpose} as a whole or not at all, and a part of it cannot be read; mend it, or save what can be saved with \
         repair, first: {whose}{}",
        file.reason
    );
    let error = Error::new(if file.is_forbidden { ErrorKind::Io } else { ErrorKind::Corrupt }, reason);
    Err(error.at(&file.path, file.offset))
}

/// The identity of the store that is copied, which is not the target, and the one that the target is a copy of if it is one.
fn source(from: &dyn Backend, to: &dyn Backend, mark: Option<&CopyMark>) -> Result<String> {
    let source = from.identity()?;
    if source.is_some() && source == to.identity()? {
        let reason =
            "both are the same store, or one is a copy of the other's files; name another one to copy into";
        return Err(Error::invalid(reason));
    }
    let source = source.unwrap_or_default();
    // A directory that no store had written to had no identity yet.
    if let Some(mark) = mark.filter(|mark| !mark.from.is_empty() && mark.from != source) {
        let reason =
            format!("what is to be copied into is a copy of another store, {}; name an empty one", mark.from);
        return Err(Error::new(ErrorKind::Conflict, reason));
    }
    Ok(source)
}
