//! What the target has of a store that is copied by its state, and whether that may be changed.
//!
//! Owns the refusals: all of them come before anything is written. What has no later event than the mark is as a copy left it.
//! Of anything else, only what grows into what the source has is taken for a copy that was cut off.

use std::collections::{HashMap, HashSet};

use super::plan::{There, Wanted};
use super::target::no_copy;
use crate::backend::Backend;
use crate::error::Result;
use crate::model::{Conversations, CopyMark, Order, Seq, Summary, Tombstone};

/// What the target has.
#[derive(Default)]
pub(super) struct Survey {
    /// Conversations that are the same already.
    pub(super) same: HashSet<String>,
    /// Conversations that are there and go on.
    pub(super) there: HashSet<String>,
    /// Conversations that end: the source has removed them, and may have begun them again.
    pub(super) ended: HashSet<String>,
    /// What is remembered of others that ended.
    pub(super) tombstones: HashMap<String, Tombstone>,
}

/// The two stores, and what was between them.
struct Look<'l> {
    from: &'l dyn Backend,
    to: &'l dyn Backend,
    /// The newest events of both when the last copy ended.
    from_seq: Seq,
    to_seq: Seq,
}

impl Survey {
    /// Looks at what is there before these conversations of the source are copied.
    pub(super) fn take(
        from: &dyn Backend,
        to: &dyn Backend,
        mark: Option<&CopyMark>,
        listed: &[Summary],
    ) -> Result<Self> {
        let (from_seq, to_seq) = mark.map_or((0, 0), |mark| (mark.from_seq, mark.to_seq));
        if to_seq > to.stats()?.last_seq || from_seq > from.stats()?.last_seq {
            return Err(no_copy("one of the two is older than when it was copied last"));
        }
        let look = Look { from, to, from_seq, to_seq };
        let ranks: HashMap<&str, usize> = listed.iter().zip(0..).map(|(s, rank)| (&*s.id, rank)).collect();
        let mut survey = Self::default();
        for tombstone in to.tombstones()? {
            if tombstone.seq > to_seq && ranks.contains_key(&*tombstone.id) {
                return Err(no_copy(&format!("conversation {:?} was removed there", tombstone.id)));
            }
            survey.tombstones.insert(tombstone.id.clone(), tombstone);
        }
        // From the last one back: what stands before one that began earlier has begun again since.
        let mut lowest = usize::MAX;
        for theirs in to.list(&Conversations::by(Order::Created))?.into_iter().rev() {
            let rank = ranks.get(&*theirs.id).copied();
            let ours = rank.and_then(|rank| listed.get(rank));
            let is_again = rank.is_some_and(|rank| rank > lowest);
            let verdict = look.at(&theirs, ours.filter(|_| !is_again), lowest == usize::MAX)?;
            if verdict == Verdict::Ended {
                survey.ended.insert(theirs.id);
                continue;
            }
            lowest = rank.unwrap_or(lowest);
            if verdict == Verdict::Same {
                survey.same.insert(theirs.id.clone());
            }
            survey.there.insert(theirs.id);
        }
        Ok(survey)
    }
}

/// What becomes of a conversation that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    GoesOn,
    Ended,
}

impl Look<'_> {
    /// What becomes of a conversation, of which the source has this by now.
    fn at(&self, theirs: &Summary, ours: Option<&Summary>, is_last: bool) -> Result<Verdict> {
        let id = &theirs.id;
        let is_as_left = theirs.last_seq <= self.to_seq;
        let ours = ours.filter(|ours| theirs.version <= ours.version || !is_as_left);
        let Some(ours) = ours else {
            if is_as_left {
                return Ok(Verdict::Ended);
            }
            return Err(no_copy(&format!("conversation {id:?} is another one, or was changed there")));
        };
        // A mark of a first copy that was cut off says nothing of what is complete.
        if is_as_left && self.from_seq > 0 && ours.last_seq <= self.from_seq {
            return Ok(Verdict::Same);
        }
        let wanted = Wanted::read(self.from, ours)?;
        let Some(there) = There::in_store(self.to, id)? else {
            return Err(no_copy("it is being written to"));
        };
        let plan = wanted.plan(&there)?;
        if plan.only_adds() || is_as_left && plan.fits {
            return Ok(Verdict::GoesOn);
        }
        if is_as_left && is_last {
            // It was removed and begun again, and nothing has begun since.
            return Ok(Verdict::Ended);
        }
        let begun = There::begun_by(self.to, id, &wanted.begin()?);
        if begun.map_or(Ok(false), |begun| there.is_as_begun(&begun))? {
            return Ok(Verdict::GoesOn);
        }
        Err(no_copy(&format!("conversation {id:?} is another one, or was changed there")))
    }
}
