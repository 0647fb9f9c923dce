//! What a step of a batch does to its conversation.
//!
//! Owns what must exist for it, what must not, and what an id means by then. Does not find out how the conversation
//! stood before the batch.

use std::ops::Deref;

use super::lookup::{Lookup, Seen, SeenReply};
use super::refusal::{Refusal, impossible};
use super::reply;
use super::request::Step;
use super::state::ConversationState;
use super::working_list::{Spot, WorkingList};
use crate::codec::bytes::{MAX_NUMBER, to_u64};
use crate::codec::payload::{FIRST_SCHEMA, SECOND_SCHEMA, SIXTH_SCHEMA, schema_of};
use crate::error::ErrorKind;
use crate::model::{Action, Change, Edit, Message, Seq, Text, Version};

/// A conversation while a batch changes it.
#[derive(Debug)]
pub(super) struct WorkingState<'b> {
    pub(super) id: &'b str,
    pub(super) state: ConversationState,
    /// Kept apart, because only a batch that looks for something needs them.
    lists: Option<Box<Lists<'b>>>,
    /// How long the messages are by now that the batch puts text behind, where it does nothing else.
    grown: Vec<(Text, u64)>,
}

impl<'b> WorkingState<'b> {
    /// A conversation that stands like this; `looks` if the batch looks for items in it or in another.
    pub(super) fn new(id: &'b str, state: ConversationState, looks: bool) -> Self {
        let lists = looks.then(|| Lists::of(&state));
        Self { id, state, lists, grown: Vec::new() }
    }

    /// Makes the batch's next event of a step, in this place of the sequence.
    pub(super) fn carry(
        &mut self,
        step: &'b Step,
        lookup: Option<&Lookup>,
        seq: Seq,
    ) -> Result<Carried<'b>, Refusal> {
        let carried = self.step(self.id, step, lookup)?;
        self.state.version = if self.state.exists { self.state.version + 1 } else { 0 };
        self.state.last_seq = seq;
        if let Some(lists) = &self.lists {
            self.state.messages = lists.messages.len();
            self.state.actions = lists.actions.len();
        }
        Ok(carried)
    }
}

/// The messages and actions of a conversation while a batch changes it.
#[derive(Debug)]
struct Lists<'b> {
    messages: WorkingList<'b, Message>,
    actions: WorkingList<'b, Action>,
}

impl Lists<'_> {
    fn of(state: &ConversationState) -> Box<Self> {
        let (messages, actions) = (WorkingList::of(state.messages), WorkingList::of(state.actions));
        Box::new(Self { messages, actions })
    }
}

/// What an event does: as it was asked for, or made of what was found under an id.
#[derive(Clone, Debug)]
pub(crate) enum Effect<'b> {
    Asked(&'b Change),
    /// In memory of its own, since it is rare, and large.
    Made(Box<Change>),
}

impl Deref for Effect<'_> {
    type Target = Change;

    fn deref(&self) -> &Change {
        match self {
            Self::Asked(change) => change,
            Self::Made(change) => change,
        }
    }
}

/// What a step comes to.
pub(super) struct Carried<'b> {
    pub(super) change: Effect<'b>,
    pub(super) at: u64,
    pub(super) schema: u16,
    /// The message that text was put behind, where all of it was looked at.
    pub(super) whole: Option<Box<Message>>,
}

impl Carried<'_> {
    fn made(change: Change, at: u64, schema: u16) -> Self {
        Self { change: Effect::Made(Box::new(change)), at, schema, whole: None }
    }
}

impl<'b> WorkingState<'b> {
    /// Carries a step out on the state.
    fn step(&mut self, id: &str, step: &'b Step, lookup: Option<&Lookup>) -> Result<Carried<'b>, Refusal> {
        let begins = matches!(
            step,
            Step::Ready(
                Change::Create { .. } | Change::Reset { .. } | Change::AddMessage(_) | Change::AddAction(_)
            )
        );
        let removes = matches!(step, Step::Ready(Change::Remove { .. }));
        match self.state.damage.take() {
            // Removing a damaged conversation is how its owner lets go of it.
            Some(_) if removes => {}
            Some(damage) => return Err(Refusal::Impossible(damage)),
            None if !self.state.exists && !begins => {
                return Err(impossible(ErrorKind::NotFound, format!("there is no conversation {id:?}")));
            }
            None => {}
        }
        let of_first = |change, at| Carried::made(change, at, FIRST_SCHEMA);
        let (messages, actions) =
            (lookup.map(|lookup| &lookup.messages), lookup.map(|lookup| &lookup.actions));
        match step {
            Step::Ready(change) => {
                self.ready(id, change)?;
                Ok(Carried { change: Effect::Asked(change), at: 0, schema: schema_of(change), whole: None })
            }
            Step::EditMessage(target, edit) => self.edit_message(target, edit, messages),
            Step::EditAction(target, edit) => {
                let base = seen(actions, target);
                let (spot, mut action) = find(&self.lists().actions, "action", target, base)?;
                edit.apply(&mut action);
                self.lists().actions.put(spot, action.clone());
                Ok(Carried::made(Change::EditAction(action), spot.at, SECOND_SCHEMA))
            }
            Step::AppendText { message_id, offset, text } => {
                self.append_text((message_id, *offset, text), lookup)
            }
            Step::FinishMessage(target, finish) => {
                let (spot, mut message) =
                    find(&self.lists().messages, "message", target, seen(messages, target))?;
                reply::finish(&mut message, finish)?;
                self.lists().messages.put(spot, message.clone());
                Ok(of_first(Change::EditMessage(message), spot.at))
            }
            Step::RemoveMessage(target) => {
                let (spot, _) = find(&self.lists().messages, "message", target, seen(messages, target))?;
                self.lists().messages.remove(spot);
                Ok(of_first(Change::RemoveMessage(target.clone()), spot.at))
            }
            Step::RemoveAction(target) => {
                let (spot, _) = find(&self.lists().actions, "action", target, seen(actions, target))?;
                self.lists().actions.remove(spot);
                Ok(of_first(Change::RemoveAction(target.clone()), spot.at))
            }
        }
    }

    /// Refuses an addition if another one has its id by now.
    pub(super) fn must_be_unique(&mut self, step: &Step, lookup: Option<&Lookup>) -> Result<(), Refusal> {
        match self.bearer(step, lookup) {
            Some(bearer) => Err(bearer.refusal(self.id, "")),
            None => Ok(()),
        }
    }

    /// The id of an addition that is there already, the same; refuses it if something else is there under its id.
    pub(super) fn existing<'s>(
        &mut self,
        step: &'s Step,
        lookup: Option<&Lookup>,
    ) -> Result<Option<&'s Text>, Refusal> {
        match self.bearer(step, lookup) {
            Some(bearer) if !bearer.is_same => Err(bearer.refusal(self.id, ", and is another one")),
            bearer => Ok(bearer.map(|bearer| bearer.id)),
        }
    }

    /// Who has the id of what a step adds.
    fn bearer<'s>(&mut self, step: &'s Step, lookup: Option<&Lookup>) -> Option<Bearer<'s>> {
        match step {
            Step::Ready(Change::AddMessage(new)) => {
                let base = seen(lookup.map(|lookup| &lookup.messages), &new.id);
                let (_, old) = find(&self.lists().messages, "message", &new.id, base).ok()?;
                let is_same = (&old.content, &old.role, &old.metadata, &old.extra)
                    == (&new.content, &new.role, &new.metadata, &new.extra);
                Some(Bearer { id: &new.id, what: "message", is_same })
            }
            Step::Ready(Change::AddAction(new)) => {
                let base = seen(lookup.map(|lookup| &lookup.actions), &new.id);
                let (_, old) = find(&self.lists().actions, "action", &new.id, base).ok()?;
                let is_same = (&old.action_type, &old.data, &old.metadata, &old.extra)
                    == (&new.action_type, &new.data, &new.metadata, &new.extra);
                Some(Bearer { id: &new.id, what: "action", is_same })
            }
            Step::Ready(_)
            | Step::EditMessage(..)
            | Step::RemoveMessage(_)
            | Step::EditAction(..)
            | Step::RemoveAction(_)
            | Step::AppendText { .. }
            | Step::FinishMessage(..) => None,
        }
    }

    fn lists(&mut self) -> &mut Lists<'b> {
        self.lists.get_or_insert_with(|| Lists::of(&self.state))
    }

    fn ready(&mut self, id: &str, change: &'b Change) -> Result<(), Refusal> {
        match change {
            Change::Create { .. } if self.state.exists => {
                let reason = format!("conversation {id:?} exists already");
                return Err(impossible(ErrorKind::AlreadyExists, reason));
            }
            Change::Create { .. } => self.state.exists = true,
            Change::AddMessage(message) => {
                self.state.exists = true;
                self.state.messages += 1;
                if let Some(lists) = &mut self.lists {
                    lists.messages.add(&message.id, message);
                }
            }
            Change::AddAction(action) => {
                self.state.exists = true;
                self.state.actions += 1;
                if let Some(lists) = &mut self.lists {
                    lists.actions.add(&action.id, action);
                }
            }
            Change::Clear | Change::Remove { .. } | Change::Reset { .. } => {
                (self.state.messages, self.state.actions) = (0, 0);
                if let Some(lists) = &mut self.lists {
                    lists.messages.clear();
                    lists.actions.clear();
                }
                self.state.exists = !matches!(change, Change::Remove { .. });
            }
            Change::SetTitle(_) | Change::SetMetadata(_) | Change::SetCreatedAt(_) | Change::SetExtra(_) => {}
            Change::SetVersion(version) => self.raise_version(id, *version)?,
            Change::EditMessage(_)
            | Change::RemoveMessage(_)
            | Change::EditAction(_)
            | Change::RemoveAction(_)
            | Change::AppendText { .. } => {
                return Err(impossible(ErrorKind::InvalidInput, "a change by id must be looked up first"));
            }
        }
        Ok(())
    }

    /// Sees to it that the event which is about to be counted leaves this version.
    fn raise_version(&mut self, id: &str, version: Version) -> Result<(), Refusal> {
        let before = self.state.version;
        if version > MAX_NUMBER {
            let reason = format!("the version {version} is over the limit of {MAX_NUMBER}");
            return Err(impossible(ErrorKind::InvalidInput, reason));
        }
        if version <= before {
            let reason = format!("conversation {id:?} has version {before}, and {version} is not higher");
            return Err(impossible(ErrorKind::Conflict, reason));
        }
        self.state.version = version - 1;
        Ok(())
    }

    /// Puts text behind that of a message, of which not more was looked at than it takes unless the batch does something else as well.
    fn append_text(
        &mut self,
        (target, offset, text): (&Text, Option<u64>, &Text),
        lookup: Option<&Lookup>,
    ) -> Result<Carried<'b>, Refusal> {
        // Where all of a message was looked at, the batch does something else as well.
        let is_seen = lookup.is_some_and(|lookup| lookup.messages.contains_key(target));
        let light = lookup.filter(|_| !is_seen).and_then(|lookup| lookup.replies.get(target));
        let mut whole = None;
        let (at, offset) = if let Some(before) = light {
            let grown = self.grown.iter_mut().find(|(id, _)| id == target);
            let length = grown.as_ref().map_or(before.length, |(_, length)| *length);
            let offset = reply::append(&SeenReply { length, ..*before }, (target, offset, text))?;
            let after = offset + to_u64(text.len());
            match grown {
                Some((_, length)) => *length = after,
                None => self.grown.push((target.clone(), after)),
            }
            (before.at, offset)
        } else {
            let base = seen(lookup.map(|lookup| &lookup.messages), target);
            let (spot, mut message) = find(&self.lists().messages, "message", target, base)?;
            let offset = reply::append(&SeenReply::of(spot.at, &message), (target, offset, text))?;
            message.content.push(text);
            whole = Some(Box::new(message.clone()));
            self.lists().messages.put(spot, message);
            (spot.at, offset)
        };
        let change = Change::AppendText { message_id: target.clone(), offset, text: text.clone() };
        Ok(Carried { whole, ..Carried::made(change, at, SIXTH_SCHEMA) })
    }

    fn edit_message(
        &mut self,
        target: &Text,
        edit: &Edit,
        lookup: Option<&Seen<Message>>,
    ) -> Result<Carried<'b>, Refusal> {
        let (spot, before) = find(&self.lists().messages, "message", target, seen(lookup, target))?;
        let mut message = before.clone();
        edit.apply(&mut message);
        self.lists().messages.put(spot, message.clone());
        // What replays the first version's edits takes the whole message, but repairs and prints only these two.
        let first =
            Edit { content: edit.content.clone(), metadata: edit.metadata.clone(), ..Edit::default() };
        let mut by_first = before;
        first.apply(&mut by_first);
        let schema = if by_first == message { FIRST_SCHEMA } else { SECOND_SCHEMA };
        Ok(Carried::made(Change::EditMessage(message), spot.at, schema))
    }
}

/// What has the id of something that is to be added.
struct Bearer<'s> {
    id: &'s Text,
    what: &'static str,
    /// Whether it is what is to be added, ids and times aside.
    is_same: bool,
}

impl Bearer<'_> {
    fn refusal(&self, conversation_id: &str, but: &str) -> Refusal {
        let (what, id) = (self.what, self.id.to_string_lossy());
        let reason = format!("{what} {id:?} is in conversation {conversation_id:?} already{but}");
        impossible(ErrorKind::AlreadyExists, reason)
    }
}

/// What was seen of the items with this id.
fn seen<'s, T>(lookup: Option<&'s Seen<T>>, target: &Text) -> &'s [(u64, T)] {
    lookup.and_then(|lookup| lookup.get(target)).map(Vec::as_slice).unwrap_or_default()
}

/// Where the last item with this id stands, and what it is by now.
fn find<T: Clone>(
    list: &WorkingList<'_, T>,
    what: &str,
    target: &Text,
    base: &[(u64, T)],
) -> Result<(Spot, T), Refusal> {
    let found = list.find(target, base).and_then(|spot| Some((spot, list.get(spot, base)?)));
    found.ok_or_else(|| no_such(what, target))
}

fn no_such(what: &str, id: &Text) -> Refusal {
    impossible(
        ErrorKind::NotFound,
        format!("there is no {what} {:?} in the conversation", id.to_string_lossy()),
    )
}
