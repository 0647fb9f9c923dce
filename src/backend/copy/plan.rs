//! What makes a conversation of the target what it is in the source.
//!
//! Owns the choice of the changes, and that they are no more than the source has had: each counts as a version, and the version must come
//! out the same. When a conversation was last active is the time of what was added last, whatever became of that.

use std::collections::HashSet;
use std::ops::Range;

use super::pages::Pages;
use crate::backend::Backend;
use crate::codec::bytes::to_u64;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Action, Change, Conversation, Message, Messages, Summary, Text, Timestamp, Version};
use crate::rules::Folded;

/// A conversation of the source.
pub(super) struct Wanted<'w> {
    pub(super) from: &'w dyn Backend,
    pub(super) summary: &'w Summary,
    /// All of it but the messages.
    pub(super) head: Conversation,
    first_message: Option<Message>,
    last_message: Option<Message>,
}

/// A conversation as the target has it.
pub(super) struct There<'t> {
    to: &'t dyn Backend,
    /// All of it but the messages, unless these are held.
    conversation: Conversation,
    last_activity: Timestamp,
    messages: u64,
    is_held: bool,
}

/// What is added last, and whether with another time at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// Nothing is added.
    Nothing,
    /// Something is added and taken away again.
    Passing,
    Messages,
    Actions,
    /// It is added with the time of the last activity, and edited to its own.
    EditedMessage,
    EditedAction,
}

/// What is to be done to a conversation that is there.
pub(super) struct Plan {
    /// What comes before the additions.
    pub(super) changes: Vec<Change>,
    /// How many messages and actions are there then, and stay as they are.
    pub(super) messages: u64,
    pub(super) actions: usize,
    pub(super) ending: Ending,
    /// From which version it is to be raised to which in the end.
    pub(super) raise: Range<Version>,
    /// Whether it leads to the source's version, and to nothing else than is wanted.
    pub(super) fits: bool,
}

impl Plan {
    /// Whether it only adds.
    pub(super) fn only_adds(&self) -> bool {
        self.fits && self.changes.is_empty() && self.ending != Ending::Passing
    }
}

impl<'w> Wanted<'w> {
    pub(super) fn read(from: &'w dyn Backend, summary: &'w Summary) -> Result<Self> {
        let head = from.conversation_without_messages(&summary.id)?.ok_or_else(|| moved(summary))?;
        if head.version != summary.version {
            return Err(moved(summary));
        }
        let one = |selection| Ok::<_, Error>(from.messages(&summary.id, &selection)?.pop());
        let first_message = one(Messages::first(1))?;
        let last_message = one(Messages::last(1).before_place(summary.messages))?;
        if first_message.is_some() != (summary.messages > 0) {
            return Err(moved(summary));
        }
        Ok(Self { from, summary, head, first_message, last_message })
    }

    fn items(&self) -> u64 {
        self.summary.messages + to_u64(self.head.actions.len())
    }

    /// The first event of a conversation like this.
    pub(super) fn begin(&self) -> Result<Change> {
        let (created_at, last_activity) = (self.head.created_at, self.summary.last_activity);
        let is_empty = self.items() == 0;
        let begun_at = if is_empty { last_activity } else { created_at };
        let rest = self.ending((0, 0), begun_at).1 + u64::from(begun_at != created_at);
        if 1 + self.items() + rest <= self.summary.version {
            let Conversation { title, metadata, extra, .. } = self.head.clone();
            return Ok(Change::Create { title, created_at: begun_at, metadata, extra });
        }
        // It began with its first message or action, at whose time it was created.
        let message = self.first_message.as_ref().map(|message| {
            let cost = self.ending((1, 0), created_at).1 + u64::from(message.created_at != created_at);
            (cost, Change::AddMessage(Message { created_at, ..message.clone() }))
        });
        let action = self.head.actions.first().map(|action| {
            let cost = self.ending((0, 1), created_at).1 + u64::from(action.created_at != created_at);
            (cost, Change::AddAction(Action { created_at, ..action.clone() }))
        });
        let best = message.into_iter().chain(action).min_by_key(|(cost, _)| *cost);
        best.map(|(_, change)| change).ok_or_else(|| cannot(&self.summary.id))
    }

    /// What is to be added last if so much is there already, and how many events that takes beside the additions.
    fn ending(&self, (messages, actions): (u64, usize), active: Timestamp) -> (Ending, u64) {
        let last_activity = self.summary.last_activity;
        let is_last = |time: Option<Timestamp>| time == Some(last_activity);
        let message = self.last_message.as_ref().filter(|_| messages < self.summary.messages);
        let action = self.head.actions.get(actions..).unwrap_or_default().last();
        match (message, action) {
            (None, None) if active == last_activity => (Ending::Nothing, 0),
            (None, None) => (Ending::Passing, 2),
            (Some(message), _) if is_last(Some(message.created_at)) => (Ending::Messages, 0),
            (_, Some(action)) if is_last(Some(action.created_at)) => (Ending::Actions, 0),
            (Some(_), _) => (Ending::EditedMessage, 1),
            (None, Some(_)) => (Ending::EditedAction, 1),
        }
    }

    /// What is to be done to what is there.
    pub(super) fn plan(&self, there: &There<'_>) -> Result<Plan> {
        let kept = if self.items() == 0 { self.emptied(there) } else { self.edited(there)? };
        let budget = self.summary.version.checked_sub(there.conversation.version);
        if let Some(plan) = self.within(budget, kept, there.last_activity) {
            return Ok(plan);
        }
        // The source has begun it anew or cleared it, or nobody can tell what it did.
        let Conversation { title, metadata, extra, created_at, .. } = self.head.clone();
        let begun_at = if self.items() == 0 { self.summary.last_activity } else { created_at };
        let mut changes = vec![Change::Reset { title, created_at: begun_at, metadata, extra }];
        changes.extend((begun_at != created_at).then_some(Change::SetCreatedAt(created_at)));
        let plan = self.within(budget, (changes, 0, 0), begun_at);
        Ok(plan.unwrap_or(Plan {
            changes: Vec::new(),
            messages: 0,
            actions: 0,
            ending: Ending::Nothing,
            raise: 0..0,
            fits: false,
        }))
    }

    /// A plan of these changes, after which so much is there and the last activity is this, if it leads to the version.
    fn within(
        &self,
        budget: Option<u64>,
        (changes, messages, actions): (Vec<Change>, u64, usize),
        active: Timestamp,
    ) -> Option<Plan> {
        // What is added before everything is taken away is what happened last.
        let active = match changes.iter().rev().find_map(as_added) {
            Some(time) => time,
            None => active,
        };
        let (ending, more) = self.ending((messages, actions), active);
        let added = (self.summary.messages - messages) + (to_u64(self.head.actions.len()) - to_u64(actions));
        let cost = to_u64(changes.len()) + added + more;
        let version = self.summary.version;
        let raise = version - budget?.saturating_sub(cost)..version;
        (cost <= budget?).then_some(Plan { changes, messages, actions, ending, raise, fits: true })
    }

    /// The changes of a conversation that has nothing in it any more.
    fn emptied(&self, there: &There<'_>) -> (Vec<Change>, u64, usize) {
        let mut changes = self.head_changes(&there.conversation);
        if there.messages > 0 || !there.conversation.actions.is_empty() {
            if there.last_activity != self.summary.last_activity {
                changes.push(Change::AddMessage(passing(self.summary.last_activity)));
            }
            changes.push(Change::Clear);
        }
        (changes, 0, 0)
    }

    /// The edits and removals that leave what the source still has.
    fn edited(&self, there: &There<'_>) -> Result<(Vec<Change>, u64, usize)> {
        let mut changes = self.head_changes(&there.conversation);
        let mut limit = self.summary.messages;
        let messages = loop {
            let mut walk = Walk::default();
            let mut ours = Pages::of(self.from, &self.summary.id, 0..limit);
            let mut theirs = there.pages();
            let mut next = ours.next()?;
            while let Some(old) = theirs.next()? {
                match &next {
                    Some(new) if new.id == old.id => {
                        walk.stays(&old.id, (*new != old).then(|| Change::EditMessage(new.clone())));
                        next = ours.next()?;
                    }
                    Some(_) | None => walk.goes(&old.id, Change::RemoveMessage(old.id.clone())),
                }
            }
            match walk.done() {
                Ok((found, kept)) => {
                    changes.extend(found);
                    break kept;
                }
                Err(hidden) => limit = hidden,
            }
        };
        let mut limit = to_u64(self.head.actions.len());
        let actions = loop {
            let mut walk = Walk::default();
            let mut ours = self.head.actions.iter().zip(0..limit).map(|(action, _)| action).peekable();
            for old in &there.conversation.actions {
                match ours.next_if(|new| new.id == old.id) {
                    Some(new) => walk.stays(&old.id, (new != old).then(|| Change::EditAction(new.clone()))),
                    None => walk.goes(&old.id, Change::RemoveAction(old.id.clone())),
                }
            }
            match walk.done() {
                Ok((found, kept)) => {
                    changes.extend(found);
                    break kept;
                }
                Err(hidden) => limit = hidden,
            }
        };
        Ok((changes, messages, usize::try_from(actions).unwrap_or(usize::MAX)))
    }

    fn head_changes(&self, there: &Conversation) -> Vec<Change> {
        let head = &self.head;
        let title = (head.title != there.title).then(|| Change::SetTitle(head.title.clone()));
        let metadata = (head.metadata != there.metadata).then(|| Change::SetMetadata(head.metadata.clone()));
        let created = (head.created_at != there.created_at).then_some(Change::SetCreatedAt(head.created_at));
        let extra = (head.extra != there.extra).then(|| Change::SetExtra(head.extra.clone()));
        [title, metadata, created, extra].into_iter().flatten().collect()
    }
}

/// The time of a message that comes and goes.
fn as_added(change: &Change) -> Option<Timestamp> {
    if let Change::AddMessage(message) = change { Some(message.created_at) } else { None }
}

/// What is done to items one after the other, those of the target beside those of the source.
///
/// An edit or a removal means the last item that has an id, so they are carried out from the end to the beginning. What
/// stays behind an item of the same id that changes was added anew in the source, after that had changed.
#[derive(Default)]
struct Walk {
    changes: Vec<Change>,
    changed: HashSet<Text>,
    stays: u64,
    /// The first item of the source that was added anew.
    is_anew: Option<u64>,
}

impl Walk {
    fn stays(&mut self, id: &Text, edit: Option<Change>) {
        if self.is_anew.is_none() && self.changed.contains(id) {
            self.is_anew = Some(self.stays);
        }
        self.stays += 1;
        if let Some(edit) = edit {
            self.goes(id, edit);
        }
    }

    fn goes(&mut self, id: &Text, change: Change) {
        self.changed.insert(id.clone());
        self.changes.push(change);
    }

    /// The changes, and how many items of the source are there then; else how many may be taken for those that stay.
    fn done(mut self) -> Result<(Vec<Change>, u64), u64> {
        self.changes.reverse();
        self.is_anew.map_or(Ok((self.changes, self.stays)), Err)
    }
}

impl<'t> There<'t> {
    /// What the target has of a conversation; `None` if nothing.
    pub(super) fn in_store(to: &'t dyn Backend, id: &str) -> Result<Option<Self>> {
        let Some(summary) = to.summary(id)? else { return Ok(None) };
        let Some(conversation) = to.conversation_without_messages(id)? else { return Ok(None) };
        let Summary { last_activity, messages, .. } = summary;
        Ok(Some(Self { to, conversation, last_activity, messages, is_held: false }))
    }

    /// What it has after this first event.
    pub(super) fn begun_by(to: &'t dyn Backend, id: &str, change: &Change) -> Option<Self> {
        let mut begun = Folded::begun_by(id, change, 1)?;
        begun.apply(change, 0);
        let Folded { mut conversation, last_activity, .. } = begun;
        conversation.version = 1;
        let messages = to_u64(conversation.messages.len());
        Some(Self { to, conversation, last_activity, messages, is_held: true })
    }

    /// Whether it is the same, of one that is in the store and one that has just begun.
    pub(super) fn is_as_begun(&self, begun: &There<'_>) -> Result<bool> {
        let mut pages = self.pages();
        let mut conversation = self.conversation.clone();
        while let Some(message) = pages.next()? {
            if conversation.messages.len() > begun.conversation.messages.len() {
                return Ok(false);
            }
            conversation.messages.push(message);
        }
        Ok(conversation == begun.conversation && self.last_activity == begun.last_activity)
    }

    fn pages(&self) -> Pages<'_> {
        if self.is_held {
            return Pages::held(self.conversation.messages.clone());
        }
        Pages::of(self.to, &self.conversation.id, 0..self.messages)
    }
}

/// A message that comes and goes.
pub(super) fn passing(time: Timestamp) -> Message {
    Message::new("aral-store-copy", "", "user", time)
}

/// A conversation that was changed while it was copied.
pub(super) fn moved(summary: &Summary) -> Error {
    let reason = format!(
        "conversation {:?} was changed while it was copied; what there is of the copy goes on when it is begun again",
        summary.id
    );
    Error::new(ErrorKind::Conflict, reason)
}

/// A conversation that no events lead to.
fn cannot(id: &str) -> Error {
    let reason =
        format!("conversation {id:?} has a version that its messages and actions cannot have led to");
    Error::new(ErrorKind::Corrupt, reason)
}

/// The beginning of a conversation of which nothing is remembered but its removal.
pub(super) fn passing_conversation(id: &str, time: Timestamp) -> Change {
    let Conversation { title, metadata, extra, .. } = Conversation::new(id, time);
    Change::Create { title, created_at: time, metadata, extra }
}
