//! Which mutations are possible, and what they become.
//!
//! Owns the rules: what must exist, what must not, which version a mutation meets, which message an id
//! means, what a retried key returns. Pure, and shared by every backend. A batch is judged one mutation at
//! a time against drafts of the conversations it touches, so that a later mutation sees the earlier ones of
//! its batch, and nothing is carried out unless all of them are possible.

use std::collections::{HashMap, HashSet};

use super::draft_list::{DraftList, Spot};
use super::keys::KeyRecord;
use crate::codec::payload::{FIRST_SCHEMA, SCHEMA, schema_of};
use crate::error::{Error, ErrorKind};
use crate::model::{Action, ActionEdit, Change, Edit, Event, Message, Seq, Text, Version};

/// How a conversation stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) exists: bool,
    /// 0 if it does not exist.
    pub(crate) version: Version,
    /// Of its newest event; tells states apart that have the same version.
    pub(crate) last_seq: Seq,
    pub(crate) messages: u64,
    pub(crate) actions: u64,
    /// Why its file cannot be read.
    pub(crate) damage: Option<Error>,
}

/// What the rules need to know of a store.
pub(crate) trait Ground {
    fn standing(&self, conversation_id: &str) -> Standing;
    fn find_key(&self, key: &str) -> Option<KeyRecord>;
}

/// A mutation with every id, time and title filled in, and its texts within the limits.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) conversation_id: String,
    pub(crate) step: Step,
    pub(crate) key: Option<String>,
    /// CRC-32 of what was asked for, without the parts that the store fills in.
    pub(crate) fingerprint: u32,
    pub(crate) expect: Option<Version>,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// This, whatever the state, if it is possible at all.
    Ready(Change),
    EditMessage(Text, Edit),
    RemoveMessage(Text),
    EditAction(Text, ActionEdit),
    RemoveAction(Text),
}

/// What was seen of a conversation in which messages or actions are looked for by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    pub(crate) last_seq: Seq,
    /// For each id that is looked for, its messages with their places, in order.
    pub(crate) messages: HashMap<Text, Vec<(u64, Message)>>,
    /// The same of actions.
    pub(crate) actions: HashMap<Text, Vec<(u64, Action)>>,
}

/// An event that is possible, and what its receipt will say.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) event: Event,
    /// The place of what it edits or removes.
    pub(crate) at: u64,
    /// The oldest version of the encoding whose readers make of the event what it means.
    pub(crate) schema: u16,
    pub(crate) fingerprint: u32,
    pub(crate) id: Text,
    pub(crate) version: Version,
}

/// Why there is no event.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What was seen is no longer so: look again.
    Stale,
    /// All keys were used before, for the same: these are the receipts.
    Known(Vec<KeyRecord>),
    Impossible(Error),
}

/// Changes that have been accepted and are not yet visible.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    conversations: HashMap<String, Standing>,
    keys: HashMap<String, KeyRecord>,
    /// How often some of it was dropped.
    dropped: u64,
}

impl Pending {
    /// Whether there are changes of this conversation.
    pub(crate) fn concerns(&self, conversation_id: &str) -> bool {
        self.conversations.contains_key(conversation_id)
    }

    /// How often changes were dropped that had been accepted.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Forgets what is visible by now: everything before this sequence number.
    pub(crate) fn forget_before(&mut self, seq: Seq) {
        self.conversations.retain(|_, standing| standing.last_seq >= seq);
        self.keys.retain(|_, record| record.seq >= seq);
    }

    pub(crate) fn clear(&mut self) {
        self.conversations.clear();
        self.keys.clear();
        self.dropped += 1;
    }

    /// The keys that were used.
    pub(crate) fn into_keys(self) -> HashMap<String, KeyRecord> {
        self.keys
    }

    /// Takes over the outcome of accepted drafts.
    pub(crate) fn add(&mut self, accepted: Self) {
        self.conversations.extend(accepted.conversations);
        self.keys.extend(accepted.keys);
    }
}

#[derive(Clone, Debug, Default)]
struct Draft {
    standing: Standing,
    messages: DraftList<Message>,
    actions: DraftList<Action>,
}

/// What a step comes to.
struct Carried {
    change: Change,
    at: u64,
    schema: u16,
}

/// The rules at work on one batch.
pub(crate) struct Drafts<'g> {
    ground: &'g dyn Ground,
    pending: &'g Pending,
    sights: &'g HashMap<String, Sight>,
    drafts: HashMap<String, Draft>,
    keys: HashMap<String, KeyRecord>,
    next_seq: Seq,
}

impl<'g> Drafts<'g> {
    /// Judges on this ground, on which these changes are about to come, the next event being `next_seq`.
    pub(crate) fn new(
        ground: &'g dyn Ground,
        pending: &'g Pending,
        sights: &'g HashMap<String, Sight>,
        next_seq: Seq,
    ) -> Self {
        Self { ground, pending, sights, drafts: HashMap::new(), keys: HashMap::new(), next_seq }
    }

    /// Judges a batch as a whole.
    pub(crate) fn resolve(&mut self, batch: &[Prepared]) -> Result<Vec<Resolved>, Refusal> {
        self.check_keys(batch)?;
        batch.iter().map(|prepared| self.resolve_one(prepared)).collect()
    }

    /// What the accepted batch leaves pending.
    pub(crate) fn into_pending(self) -> Pending {
        let conversations = self.drafts.into_iter().map(|(id, draft)| (id, draft.standing)).collect();
        Pending { conversations, keys: self.keys, dropped: 0 }
    }

    fn check_keys(&self, batch: &[Prepared]) -> Result<(), Refusal> {
        let mut known = Vec::new();
        let mut seen = HashSet::new();
        for prepared in batch {
            let Some(key) = &prepared.key else { continue };
            if !seen.insert(key) {
                return Err(impossible(
                    ErrorKind::InvalidInput,
                    format!("the key {key:?} occurs twice in one batch"),
                ));
            }
            // The first use is under way and may still fail; what came of it shows in a moment.
            if self.pending.keys.contains_key(key) {
                return Err(Refusal::Stale);
            }
            let Some(record) = self.ground.find_key(key) else { continue };
            if record.fingerprint != prepared.fingerprint {
                let reason =
                    format!("the key {key:?} was used before, by event {}, for something else", record.seq);
                return Err(impossible(ErrorKind::Conflict, reason));
            }
            known.push(record);
        }
        if known.is_empty() {
            return Ok(());
        }
        if known.len() == batch.len() {
            return Err(Refusal::Known(known));
        }
        let reason =
            format!("{} of the batch's {} mutations were carried out before", known.len(), batch.len());
        Err(impossible(ErrorKind::Conflict, reason))
    }

    fn draft(&mut self, id: &str) -> Result<&mut Draft, Refusal> {
        if !self.drafts.contains_key(id) {
            let pending = self.pending.conversations.get(id);
            let standing = pending.cloned().unwrap_or_else(|| self.ground.standing(id));
            if let Some(sight) = self.sights.get(id) {
                if pending.is_some() || sight.last_seq != standing.last_seq {
                    return Err(Refusal::Stale);
                }
            }
            let (messages, actions) = (DraftList::of(standing.messages), DraftList::of(standing.actions));
            self.drafts.insert(id.to_owned(), Draft { standing, messages, actions });
        }
        self.drafts.get_mut(id).ok_or(Refusal::Stale)
    }

    fn resolve_one(&mut self, prepared: &Prepared) -> Result<Resolved, Refusal> {
        let id = &prepared.conversation_id;
        let (seq, sights) = (self.next_seq, self.sights);
        let nothing = Sight::default();
        let sight = sights.get(id).unwrap_or(&nothing);
        let draft = self.draft(id)?;
        let version_before = draft.standing.version;
        if let Some(expected) = prepared.expect.filter(|expected| *expected != version_before) {
            let reason = format!("conversation {id:?} has version {version_before}, not {expected}");
            return Err(impossible(ErrorKind::Conflict, reason));
        }
        let Carried { change, at, schema } = draft.step(id, &prepared.step, sight)?;
        let version = version_before + 1;
        draft.standing.version = if draft.standing.exists { version } else { 0 };
        draft.standing.last_seq = seq;
        draft.standing.messages = draft.messages.len();
        draft.standing.actions = draft.actions.len();
        self.next_seq += 1;
        let subject = change.subject().cloned().unwrap_or_else(|| Text::from(id));
        if let Some(key) = &prepared.key {
            let record = KeyRecord {
                fingerprint: prepared.fingerprint,
                conversation_id: id.as_str().into(),
                id: subject.as_wtf8().into(),
                seq,
                version,
            };
            self.keys.insert(key.clone(), record);
        }
        let event = Event { conversation_id: id.clone(), change, key: prepared.key.clone() };
        Ok(Resolved { event, at, schema, fingerprint: prepared.fingerprint, id: subject, version })
    }
}

impl Draft {
    /// Carries a step out on the draft.
    fn step(&mut self, id: &str, step: &Step, sight: &Sight) -> Result<Carried, Refusal> {
        let begins = matches!(
            step,
            Step::Ready(
                Change::Create { .. } | Change::Reset { .. } | Change::AddMessage(_) | Change::AddAction(_)
            )
        );
        let removes = matches!(step, Step::Ready(Change::Remove));
        match self.standing.damage.take() {
            // Removing a damaged conversation is how its owner lets go of it.
            Some(_) if removes => {}
            Some(damage) => return Err(Refusal::Impossible(damage)),
            None if !self.standing.exists && !begins => {
                return Err(impossible(ErrorKind::NotFound, format!("there is no conversation {id:?}")));
            }
            None => {}
        }
        let of_first = |change, at| Carried { change, at, schema: FIRST_SCHEMA };
        match step {
            Step::Ready(change) => {
                self.ready(id, change)?;
                Ok(Carried { change: change.clone(), at: 0, schema: schema_of(change) })
            }
            Step::EditMessage(target, edit) => self.edit_message(target, edit, sight),
            Step::EditAction(target, edit) => {
                let base = sight.actions.get(target).map(Vec::as_slice).unwrap_or_default();
                let (spot, mut action) = find(&self.actions, "action", target, base)?;
                edit.apply(&mut action);
                self.actions.put(spot, action.clone());
                Ok(Carried { change: Change::EditAction(action), at: spot.at, schema: SCHEMA })
            }
            Step::RemoveMessage(target) => {
                let base = sight.messages.get(target).map(Vec::as_slice).unwrap_or_default();
                let (spot, _) = find(&self.messages, "message", target, base)?;
                self.messages.remove(spot);
                Ok(of_first(Change::RemoveMessage(target.clone()), spot.at))
            }
            Step::RemoveAction(target) => {
                let base = sight.actions.get(target).map(Vec::as_slice).unwrap_or_default();
                let (spot, _) = find(&self.actions, "action", target, base)?;
                self.actions.remove(spot);
                Ok(of_first(Change::RemoveAction(target.clone()), spot.at))
            }
        }
    }

    fn ready(&mut self, id: &str, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::Create { .. } if self.standing.exists => {
                let reason = format!("conversation {id:?} exists already");
                return Err(impossible(ErrorKind::AlreadyExists, reason));
            }
            Change::Create { .. } => self.standing.exists = true,
            Change::AddMessage(message) => {
                self.standing.exists = true;
                self.messages.add(message.id.clone(), message.clone());
            }
            Change::AddAction(action) => {
                self.standing.exists = true;
                self.actions.add(action.id.clone(), action.clone());
            }
            Change::Clear | Change::Remove | Change::Reset { .. } => {
                self.messages.clear();
                self.actions.clear();
                self.standing.exists = !matches!(change, Change::Remove);
            }
            Change::SetTitle(_) | Change::SetMetadata(_) | Change::SetCreatedAt(_) | Change::SetExtra(_) => {}
            Change::EditMessage(_)
            | Change::RemoveMessage(_)
            | Change::EditAction(_)
            | Change::RemoveAction(_) => {
                return Err(impossible(ErrorKind::InvalidInput, "a change by id must be looked up first"));
            }
        }
        Ok(())
    }

    fn edit_message(&mut self, target: &Text, edit: &Edit, sight: &Sight) -> Result<Carried, Refusal> {
        let base = sight.messages.get(target).map(Vec::as_slice).unwrap_or_default();
        let (spot, before) = find(&self.messages, "message", target, base)?;
        let mut message = before.clone();
        edit.apply(&mut message);
        self.messages.put(spot, message.clone());
        // What replays the first version's edits takes the whole message, but repairs and prints only these two.
        let first =
            Edit { content: edit.content.clone(), metadata: edit.metadata.clone(), ..Edit::default() };
        let mut by_first = before;
        first.apply(&mut by_first);
        let schema = if by_first == message { FIRST_SCHEMA } else { SCHEMA };
        Ok(Carried { change: Change::EditMessage(message), at: spot.at, schema })
    }
}

/// Where the last item with this id stands, and what it is by now.
fn find<T: Clone>(
    list: &DraftList<T>,
    what: &str,
    target: &Text,
    base: &[(u64, T)],
) -> Result<(Spot, T), Refusal> {
    let found = list.find(target, base).and_then(|spot| Some((spot, list.get(spot, base)?)));
    found.ok_or_else(|| no_such(what, target))
}

fn impossible(kind: ErrorKind, reason: impl Into<String>) -> Refusal {
    Refusal::Impossible(Error::new(kind, reason))
}

fn no_such(what: &str, id: &Text) -> Refusal {
    impossible(
        ErrorKind::NotFound,
        format!("there is no {what} {:?} in the conversation", id.to_string_lossy()),
    )
}
