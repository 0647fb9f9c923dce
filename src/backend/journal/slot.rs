//! A conversation that has changed since the checkpoint.
//!
//! Owns what is known of it without its document, and what its events make of that once it is there. Reads nothing.

use std::sync::Arc;

use crate::codec::bytes::to_usize;
use crate::model::{Change, Conversation, Seq, Summary, Version};
use crate::rules::Folded;

/// An event that the document does not have.
#[derive(Clone, Debug)]
struct Step {
    seq: Seq,
    /// The place of what it edits or removes.
    at: u64,
    version: Version,
    change: Change,
}

/// What there is of it.
#[derive(Clone, Debug)]
enum Body {
    /// The checkpoint's document, and these events.
    Behind(Vec<Step>),
    Whole(Arc<Folded>),
}

/// A conversation that has changed.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    summary: Summary,
    body: Body,
    /// Its place in the checkpoint.
    pub(super) ordinal: Option<usize>,
    /// The event with which it began, if the checkpoint does not have it.
    pub(super) born: Seq,
}

/// What an event changes is not where it should be.
pub(super) const MISPLACED: &str = "what an event changes is not at its place";

impl Slot {
    /// One that the checkpoint has.
    pub(super) fn behind(ordinal: usize, summary: Summary) -> Self {
        Self { summary, body: Body::Behind(Vec::new()), ordinal: Some(ordinal), born: 0 }
    }

    /// One that an event begins; `None` for what begins none.
    pub(super) fn begun_by(id: &str, change: &Change, seq: Seq) -> Option<Self> {
        let begun = Folded::begun_by(id, change, seq)?;
        Some(Self { summary: begun.summary(), body: Body::Whole(Arc::new(begun)), ordinal: None, born: seq })
    }

    pub(super) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// All of it, if it is there.
    pub(super) fn whole(&self) -> Option<&Arc<Folded>> {
        match &self.body {
            Body::Whole(folded) => Some(folded),
            Body::Behind(_) => None,
        }
    }

    /// Takes an event in.
    pub(super) fn apply(&mut self, change: Change, at: u64, seq: Seq) -> Result<(), &'static str> {
        // Order: the version is counted on first. One that begins anew goes on counting.
        let version =
            if let Change::SetVersion(version) = change { version } else { self.summary.version + 1 };
        let step = Step { seq, at, version, change };
        if matches!(step.change, Change::Reset { .. })
            && let Some(begun) = Folded::begun_by(&self.summary.id, &step.change, seq)
        {
            self.body = Body::Whole(Arc::new(begun));
        }
        summarize(&mut self.summary, &step.change);
        (self.summary.version, self.summary.last_seq) = (version, seq);
        match &mut self.body {
            Body::Behind(steps) => {
                steps.push(step);
                Ok(())
            }
            Body::Whole(folded) => carry(Arc::make_mut(folded), &step),
        }
    }

    /// All of it, made from the checkpoint's document.
    pub(super) fn fold(&self, document: &Folded) -> Result<Arc<Folded>, &'static str> {
        match &self.body {
            Body::Whole(folded) => Ok(Arc::clone(folded)),
            Body::Behind(steps) => {
                let mut folded = document.clone();
                steps.iter().try_for_each(|step| carry(&mut folded, step))?;
                Ok(Arc::new(folded))
            }
        }
    }

    /// Keeps all of it, which was made of this slot as it is.
    pub(super) fn keep(&mut self, folded: Arc<Folded>) {
        self.body = Body::Whole(folded);
    }
}

fn carry(folded: &mut Folded, step: &Step) -> Result<(), &'static str> {
    if !folded.holds(&step.change, to_usize(step.at)) {
        return Err(MISPLACED);
    }
    folded.apply(&step.change, to_usize(step.at));
    (folded.conversation.version, folded.last_seq) = (step.version, step.seq);
    Ok(())
}

/// What an event makes of what a list shows.
fn summarize(summary: &mut Summary, change: &Change) {
    match change {
        Change::Create { title, created_at, .. } => {
            (summary.title, summary.created_at) = (title.clone(), *created_at);
        }
        Change::Reset { title, created_at, .. } => {
            (summary.title, summary.created_at) = (title.clone(), *created_at);
            (summary.messages, summary.actions, summary.last_activity) = (0, 0, *created_at);
        }
        Change::SetCreatedAt(time) => summary.created_at = *time,
        Change::SetTitle(title) if title.is_empty() => {
            summary.title = Conversation::default_title(&summary.id);
        }
        Change::SetTitle(title) => summary.title = title.clone(),
        Change::AddMessage(message) => {
            (summary.messages, summary.last_activity) = (summary.messages + 1, message.created_at);
        }
        Change::AddAction(action) => {
            (summary.actions, summary.last_activity) = (summary.actions + 1, action.created_at);
        }
        Change::RemoveMessage(_) => summary.messages = summary.messages.saturating_sub(1),
        Change::RemoveAction(_) => summary.actions = summary.actions.saturating_sub(1),
        Change::Clear => (summary.messages, summary.actions) = (0, 0),
        Change::SetExtra(_)
        | Change::SetMetadata(_)
        | Change::EditMessage(_)
        | Change::AppendText { .. }
        | Change::EditAction(_)
        | Change::SetVersion(_)
        | Change::Remove { .. } => {}
    }
}
