//! Holding documents that people query against the log, and making them anew.
//!
//! Owns what is said of those that differ. Others may write meanwhile: what differs is looked at again before it is told.

use super::projector::Projector;
use super::state::Kept;
use crate::error::{ErrorKind, Result};
use crate::model::{DamagedFile, VerifyReport};

/// How often what differs is looked at before it is told.
const LOOKS: usize = 3;

/// What to do about it.
const REMEDY: &str = "the log has it as it was: repair --in-place makes its documents anew";

/// What is wrong with the documents, by conversation.
fn differing(projector: &Projector) -> Result<Vec<(String, String)>> {
    let mut differing = Vec::new();
    let ids: Vec<String> = {
        let state = projector.journal().state();
        state
            .order()
            .map(|kept| match kept {
                Kept::Changed(slot) => slot.summary().id.clone(),
                Kept::AsRecorded(entry) => entry.id.to_owned(),
            })
            .collect()
    };
    for id in ids {
        if let Some(difference) = difference(projector, &id)? {
            differing.push((id, difference));
        }
    }
    // Order: the mark before the documents are listed. Reversed, those that went in between would be missed where they have to be gone.
    let mark = projector.mark()?;
    for id in projector.surplus()? {
        // It may have begun since.
        projector.journal().advance()?;
        let state = projector.journal().state();
        // What is to go need not be gone yet.
        let removed = state.removal_of(&id).unwrap_or(state.next_seq - 1);
        if state.find(&id).is_none() && mark.as_ref().is_some_and(|mark| removed <= mark.seq) {
            differing.push((id, "there are documents of it, and no such conversation".to_owned()));
        }
    }
    Ok(differing)
}

/// What is wrong with one conversation's documents, beyond that its newest events are not in them yet.
fn difference(projector: &Projector, id: &str) -> Result<Option<String>> {
    let mut found = None;
    for _ in 0..LOOKS {
        projector.journal().advance()?;
        let whole = match projector.whole(id) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Ok(None),
            // That is told of the conversation itself.
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(None),
            Err(error) => return Err(error),
        };
        found = projector.until(|| projector.projection.differences(&whole))?.into_iter().next();
        // What is to come need not be there.
        if found.is_none() || projector.mark()?.is_none_or(|mark| mark.seq < whole.as_of) {
            return Ok(None);
        }
    }
    Ok(found)
}

/// Says what is wrong with the documents, and how far they are if they are behind.
pub(super) fn verify(projector: &Projector, report: &mut VerifyReport) -> Result<()> {
    projector.journal().advance()?;
    let last_seq = projector.journal().state().next_seq - 1;
    match projector.mark()? {
        None => {
            report.notes.push("there are no documents yet; whoever opens the store for writing makes them".to_owned());
            return Ok(());
        }
        Some(mark) if mark.seq < last_seq => report.notes.push(format!(
            "the documents are current to event {} of {last_seq}; whoever opens the store for writing brings them up to date",
            mark.seq
        )),
        Some(_) => {}
    }
    for (id, difference) in differing(projector)? {
        report.damaged.push(DamagedFile {
            path: projector.journal().objects.place().to_owned(),
            offset: None,
            reason: format!("{difference}; {REMEDY}"),
            conversation_id: Some(id),
            is_forbidden: false,
        });
    }
    Ok(())
}

/// Makes the documents anew that are not as the log has them.
#[cfg(any(test, feature = "mongodb", feature = "firestore"))]
pub(super) fn repair(projector: &Projector) -> Result<crate::model::RepairReport> {
    use crate::model::{Loss, Order, RepairReport};
    projector.journal().advance()?;
    projector.catch_up()?;
    let mut report = RepairReport::default();
    for (id, difference) in differing(projector)? {
        projector.write_anew(&id)?;
        report.notes.push(format!("conversation {id:?}: {difference}; its documents were made anew"));
    }
    let still: std::collections::BTreeSet<String> =
        differing(projector)?.into_iter().map(|(id, _)| id).collect();
    let place = projector.journal().objects.place();
    report.lost = still
        .into_iter()
        .map(|id| Loss {
            path: place.to_owned(),
            offset: None,
            conversation_id: Some(id),
            first_seq: None,
            last_seq: None,
            reason: "its documents are not as the log has it although they were made anew: something else writes them".to_owned(),
            named: Vec::new(),
            near: Vec::new(),
        })
        .collect();
    let state = projector.journal().state();
    for summary in state.list(Order::Created, None) {
        report.conversations += 1;
        (report.messages, report.actions) =
            (report.messages + summary.messages, report.actions + summary.actions);
    }
    Ok(report)
}
