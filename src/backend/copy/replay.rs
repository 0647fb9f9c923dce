//! Copying a store that keeps all of its events: each event becomes the event of the same number.
//!
//! Owns the proof that the target's events are the source's first ones.

use std::collections::VecDeque;

use super::target::{Target, no_copy};
use crate::backend::Backend;
use crate::backend::follow::Follower;
use crate::codec::bytes::to_u64;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Conversations, CopyMark, CopyProgress, CopyStage, Event, Logged, Order, Seq};

/// Holds that the target's events are the first ones of the source, as those up to the mark have been found to be.
pub(super) fn must_be_a_part(
    from: &dyn Backend,
    target: &Target<'_>,
    mark: Option<&CopyMark>,
    upto: Seq,
) -> Result<()> {
    let (to, has) = (target.store(), target.last_seq());
    let known = mark.map_or(0, |mark| mark.to_seq);
    if known > has || known > upto {
        let reason = format!("it was a copy up to event {known}, and one of the two is older than that now");
        return Err(no_copy(&reason));
    }
    // What a directory of the original holds was added by no event.
    if has == 0 && !to.list(&Conversations::by(Order::Created).first(1))?.is_empty() {
        return Err(no_copy("it holds conversations"));
    }
    if has > upto {
        return Err(no_copy(&format!("it has {has} events, and what is to be copied has {upto}")));
    }
    match first_difference(from, to, known + 1, has)? {
        None => Ok(()),
        Some(Difference::At(seq)) => Err(no_copy(&format!("event {seq} is another one"))),
        Some(Difference::Dropped(seq)) => Err(no_copy(&format!(
            "whether event {seq} is the same nobody can tell any more, since a compaction has dropped it"
        ))),
    }
}

/// Carries over what the target lacks, up to this event.
pub(super) fn carry_over(
    from: &dyn Backend,
    target: &mut Target<'_>,
    upto: Seq,
    progress: super::Progress<'_>,
) -> Result<()> {
    let first = target.last_seq() + 1;
    let total = (upto + 1).saturating_sub(first);
    let mut follower = from.follow(first)?;
    let mut next = first;
    while next <= upto {
        let logged = follower.next_logged()?;
        let Some(Logged::Batch { seq, events }) = logged else { return Err(gone(next)) };
        if seq != next {
            return Err(gone(next));
        }
        next += to_u64(events.len());
        target.take(events)?;
        progress(CopyProgress::new(CopyStage::Events, next - first, total));
    }
    target.flush()
}

fn gone(seq: Seq) -> Error {
    Error::new(ErrorKind::Corrupt, format!("event {seq} is missing from what is copied"))
}

/// Holds that the events are the same, as far as the copy still has them: a directory may have dropped some.
pub(super) fn compare(from: &dyn Backend, to: &dyn Backend, upto: Seq) -> Result<()> {
    let first = match to.follow(1)?.next_logged()? {
        Some(Logged::Compacted { last, .. }) => last + 1,
        Some(Logged::Batch { .. }) | None => 1,
    };
    match first_difference(from, to, first, upto)? {
        None | Some(Difference::Dropped(_)) => Ok(()),
        Some(Difference::At(seq)) => {
            Err(Error::new(ErrorKind::Corrupt, format!("the copy differs: event {seq} is another one")))
        }
    }
}

enum Difference {
    At(Seq),
    /// The target does not have it any more.
    Dropped(Seq),
}

/// The first of these events that is not the same in both.
fn first_difference(
    from: &dyn Backend,
    to: &dyn Backend,
    first: Seq,
    last: Seq,
) -> Result<Option<Difference>> {
    if first > last {
        return Ok(None);
    }
    let (mut ours, mut theirs) = (Events::of(from, first)?, Events::of(to, first)?);
    for seq in first..=last {
        let theirs = theirs.at(seq)?;
        let Some(theirs) = theirs else { return Ok(Some(Difference::Dropped(seq))) };
        if ours.at(seq)? != Some(theirs) {
            return Ok(Some(Difference::At(seq)));
        }
    }
    Ok(None)
}

/// A store's events one after the other.
struct Events {
    follower: Follower,
    held: VecDeque<(Seq, Event)>,
}

impl Events {
    fn of(store: &dyn Backend, first: Seq) -> Result<Self> {
        Ok(Self { follower: store.follow(first)?, held: VecDeque::new() })
    }

    /// The event of this number, of which the ones before have been asked for; `None` if it is not there any more.
    fn at(&mut self, seq: Seq) -> Result<Option<Event>> {
        loop {
            while let Some((at, event)) = self.held.pop_front() {
                if at == seq {
                    return Ok(Some(event));
                }
            }
            match self.follower.next_logged()? {
                Some(Logged::Batch { seq, events }) => self.held.extend((seq..).zip(events)),
                Some(Logged::Compacted { .. }) | None => return Ok(None),
            }
        }
    }
}
