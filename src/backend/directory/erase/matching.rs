//! What in a directory meets conditions.
//!
//! Owns the order in which all that is known is gone over: the chapters, what the files held as of the newest checkpoint, the log,
//! and what is there now.

use std::collections::BTreeSet;

use crate::backend::directory::archive::{base_of, of_checkpoint};
use crate::backend::directory::events::events;
use crate::backend::directory::reads::ReadState;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Found;
use crate::model::{DamagedFile, Matched};
use crate::rules::{Meant, Where};
use crate::snapshot::chapter::Chapter;
use crate::snapshot::chapter_list;
use crate::snapshot::load::unreadable;
use crate::snapshot::rewrite::{Part, parts};

/// What could not be read, and is passed over.
fn passed_over(unread: &mut Vec<DamagedFile>, id: Option<&str>, error: Error) -> Result<()> {
    if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnsupportedFormat) {
        return Err(error);
    }
    let told = DamagedFile { conversation_id: id.map(str::to_owned), ..unreadable("", &error) };
    if !unread.contains(&told) {
        unread.push(told);
    }
    Ok(())
}

/// The conversations that are there, whether they can be read or not.
fn ids(reads: &ReadState) -> Vec<String> {
    let index = reads.index();
    let id = |found: Found<'_>| match found {
        Found::Damaged(entry) | Found::Checkpoint(entry, _) => Some(entry.id.to_owned()),
        Found::Slot(slot) => Some(slot.summary.id.clone()),
        Found::Nothing => None,
    };
    index.order().filter_map(id).collect()
}

/// What meets them.
pub(in crate::backend::directory) fn matching(reads: &ReadState, conditions: &Where) -> Result<Matched> {
    let (mut meant, mut unread) = (Meant::new(conditions), Vec::new());
    for named in chapter_list::list(&*reads.vfs, &reads.layout)? {
        let read = Chapter::open(&*reads.vfs, &named).and_then(|chapter| {
            parts(&chapter, |part| {
                match part {
                    Part::Base(base) => meant.state(&base.conversation),
                    Part::Batch(events) => events.iter().for_each(|past| meant.event(&past.event)),
                }
                Ok(())
            })
        });
        if let Err(error) = read {
            passed_over(&mut unread, None, error)?;
        }
    }
    let logged = events(reads, 1)?;
    let logged = || logged.iter().flat_map(|(_, batch)| batch);
    let changed: BTreeSet<&str> = logged().map(|event| event.conversation_id.as_str()).collect();
    let checkpoint = reads.index().checkpoint().clone();
    let before = of_checkpoint(reads, &checkpoint);
    for id in changed {
        match base_of(&before, id) {
            Ok(base) => base.iter().for_each(|base| meant.state(&base.conversation)),
            Err(error) => passed_over(&mut unread, Some(id), error)?,
        }
    }
    logged().for_each(|event| meant.event(event));
    for id in ids(reads) {
        match reads.conversation(&id) {
            Ok(now) => now.iter().for_each(|now| meant.state(now)),
            Err(error) => passed_over(&mut unread, Some(&id), error)?,
        }
    }
    Ok(Matched { unread, ..meant.matched() })
}
