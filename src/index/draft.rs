//! Which mutations are possible, and what they become.
//!
//! Owns the rules: what must exist, what must not, which version a mutation meets, which message an id
//! means, what a retried key returns. Pure, and shared by every backend. A batch is judged one mutation at
//! a time against drafts of the conversations it touches, so that a later mutation sees the earlier ones of
//! its batch, and nothing is carried out unless all of them are possible.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::draft_list::{DraftList, Spot};
use super::hashing::FastHash;
use super::keys::KeyRecord;
use super::pending::{Accepted, Pending};
use crate::codec::payload::{FIRST_SCHEMA, SCHEMA, schema_of};
use crate::error::{Error, ErrorKind};
use crate::model::{Action, ActionEdit, Change, Edit, Message, Seq, Text, Version};

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

impl Prepared {
    /// The conversation that it is about, and what of it: a message, an action, or all of it.
    pub(crate) fn into_subject(self) -> (String, Text) {
        let subject = match self.step {
            Step::Ready(Change::AddMessage(message)) => Some(message.id),
            Step::Ready(Change::AddAction(action)) => Some(action.id),
            Step::Ready(change) => change.subject().cloned(),
            Step::EditMessage(id, _)
            | Step::RemoveMessage(id)
            | Step::EditAction(id, _)
            | Step::RemoveAction(id) => Some(id),
        };
        let subject = subject.unwrap_or_else(|| Text::from(&self.conversation_id));
        (self.conversation_id, subject)
    }
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

/// For each id that is looked for, what was seen of those who bear it, with their places, in order.
type Seen<T> = HashMap<Text, Vec<(u64, T)>>;

/// What was seen of a conversation in which messages or actions are looked for by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    pub(crate) last_seq: Seq,
    pub(crate) messages: Seen<Message>,
    pub(crate) actions: Seen<Action>,
}

/// What a mutation does, since it is possible, and what its receipt will say.
#[derive(Clone, Debug)]
pub(crate) struct Resolved<'b> {
    /// Borrowed from what was prepared, where nothing had to be looked up.
    pub(crate) change: Cow<'b, Change>,
    /// The place of what it edits or removes.
    pub(crate) at: u64,
    /// The oldest version of the encoding whose readers make of the event what it means.
    pub(crate) schema: u16,
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

#[derive(Debug)]
struct Draft<'b> {
    id: &'b str,
    standing: Standing,
    messages: DraftList<'b, Message>,
    actions: DraftList<'b, Action>,
}

/// What a step comes to.
struct Carried<'b> {
    change: Cow<'b, Change>,
    at: u64,
    schema: u16,
}

/// The rules at work on one batch, which outlives the ground they stand on.
pub(crate) struct Drafts<'g, 'b> {
    ground: &'g dyn Ground,
    pending: &'g Pending,
    sights: &'g HashMap<String, Sight>,
    drafts: Vec<Draft<'b>>,
    /// Where in `drafts` a conversation is; kept only once there are more than are quickly gone over.
    draft_at: HashMap<&'b str, usize, FastHash>,
    keys: Vec<(&'b str, KeyRecord)>,
    next_seq: Seq,
}

/// So many drafts are found sooner one by one than by a hash.
const FEW: usize = 8;

impl<'g, 'b> Drafts<'g, 'b> {
    /// Judges on this ground, on which these changes are about to come, the next event being `next_seq`.
    pub(crate) fn new(
        ground: &'g dyn Ground,
        pending: &'g Pending,
        sights: &'g HashMap<String, Sight>,
        next_seq: Seq,
    ) -> Self {
        let (drafts, keys) = (Vec::with_capacity(1), Vec::new());
        Self { ground, pending, sights, drafts, draft_at: HashMap::default(), keys, next_seq }
    }

    /// Judges a batch as a whole.
    pub(crate) fn resolve(&mut self, batch: &'b [Prepared]) -> Result<Vec<Resolved<'b>>, Refusal> {
        self.check_keys(batch)?;
        let mut resolved = Vec::with_capacity(batch.len());
        for prepared in batch {
            resolved.push(self.resolve_one(prepared)?);
        }
        Ok(resolved)
    }

    /// What the accepted batch leaves pending.
    pub(crate) fn into_accepted(self) -> Accepted<'b> {
        let conversations = self.drafts.into_iter().map(|draft| (draft.id, draft.standing)).collect();
        Accepted { conversations, keys: self.keys }
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
            if self.pending.has_key(key) {
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

    /// Where the draft of a conversation is, which is made if there is none yet.
    fn draft(&mut self, id: &'b str) -> Result<usize, Refusal> {
        let known = if self.draft_at.is_empty() {
            self.drafts.iter().position(|draft| draft.id == id)
        } else {
            self.draft_at.get(id).copied()
        };
        if let Some(at) = known {
            return Ok(at);
        }
        let pending = self.pending.standing(id);
        let standing = pending.cloned().unwrap_or_else(|| self.ground.standing(id));
        if let Some(sight) = self.sights.get(id) {
            if pending.is_some() || sight.last_seq != standing.last_seq {
                return Err(Refusal::Stale);
            }
        }
        let (messages, actions) = (DraftList::of(standing.messages), DraftList::of(standing.actions));
        self.drafts.push(Draft { id, standing, messages, actions });
        let at = self.drafts.len() - 1;
        if at == FEW {
            self.draft_at = self.drafts.iter().enumerate().map(|(at, draft)| (draft.id, at)).collect();
        } else if at > FEW {
            self.draft_at.insert(id, at);
        }
        Ok(at)
    }

    fn resolve_one(&mut self, prepared: &'b Prepared) -> Result<Resolved<'b>, Refusal> {
        let id = prepared.conversation_id.as_str();
        let (seq, sights) = (self.next_seq, self.sights);
        let at = self.draft(id)?;
        let draft = self.drafts.get_mut(at).ok_or(Refusal::Stale)?;
        let version_before = draft.standing.version;
        if let Some(expected) = prepared.expect.filter(|expected| *expected != version_before) {
            let reason = format!("conversation {id:?} has version {version_before}, not {expected}");
            return Err(impossible(ErrorKind::Conflict, reason));
        }
        let Carried { change, at, schema } = draft.step(id, &prepared.step, sights.get(id))?;
        let version = version_before + 1;
        draft.standing.version = if draft.standing.exists { version } else { 0 };
        draft.standing.last_seq = seq;
        draft.standing.messages = draft.messages.len();
        draft.standing.actions = draft.actions.len();
        self.next_seq += 1;
        if let Some(key) = &prepared.key {
            let record = KeyRecord {
                fingerprint: prepared.fingerprint,
                conversation_id: id.into(),
                id: change.subject().map_or(id.as_bytes(), Text::as_wtf8).into(),
                seq,
                version,
            };
            self.keys.push((key, record));
        }
        Ok(Resolved { change, at, schema, version })
    }
}

impl<'b> Draft<'b> {
    /// Carries a step out on the draft.
    fn step(&mut self, id: &str, step: &'b Step, sight: Option<&Sight>) -> Result<Carried<'b>, Refusal> {
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
        let of_first = |change, at| Carried { change: Cow::Owned(change), at, schema: FIRST_SCHEMA };
        let (messages, actions) = (sight.map(|sight| &sight.messages), sight.map(|sight| &sight.actions));
        match step {
            Step::Ready(change) => {
                self.ready(id, change)?;
                Ok(Carried { change: Cow::Borrowed(change), at: 0, schema: schema_of(change) })
            }
            Step::EditMessage(target, edit) => self.edit_message(target, edit, messages),
            Step::EditAction(target, edit) => {
                let base = seen(actions, target);
                let (spot, mut action) = find(&self.actions, "action", target, base)?;
                edit.apply(&mut action);
                self.actions.put(spot, action.clone());
                Ok(Carried { change: Cow::Owned(Change::EditAction(action)), at: spot.at, schema: SCHEMA })
            }
            Step::RemoveMessage(target) => {
                let (spot, _) = find(&self.messages, "message", target, seen(messages, target))?;
                self.messages.remove(spot);
                Ok(of_first(Change::RemoveMessage(target.clone()), spot.at))
            }
            Step::RemoveAction(target) => {
                let (spot, _) = find(&self.actions, "action", target, seen(actions, target))?;
                self.actions.remove(spot);
                Ok(of_first(Change::RemoveAction(target.clone()), spot.at))
            }
        }
    }

    fn ready(&mut self, id: &str, change: &'b Change) -> Result<(), Refusal> {
        match change {
            Change::Create { .. } if self.standing.exists => {
                let reason = format!("conversation {id:?} exists already");
                return Err(impossible(ErrorKind::AlreadyExists, reason));
            }
            Change::Create { .. } => self.standing.exists = true,
            Change::AddMessage(message) => {
                self.standing.exists = true;
                self.messages.add(&message.id, message);
            }
            Change::AddAction(action) => {
                self.standing.exists = true;
                self.actions.add(&action.id, action);
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

    fn edit_message(
        &mut self,
        target: &Text,
        edit: &Edit,
        sight: Option<&Seen<Message>>,
    ) -> Result<Carried<'b>, Refusal> {
        let (spot, before) = find(&self.messages, "message", target, seen(sight, target))?;
        let mut message = before.clone();
        edit.apply(&mut message);
        self.messages.put(spot, message.clone());
        // What replays the first version's edits takes the whole message, but repairs and prints only these two.
        let first =
            Edit { content: edit.content.clone(), metadata: edit.metadata.clone(), ..Edit::default() };
        let mut by_first = before;
        first.apply(&mut by_first);
        let schema = if by_first == message { FIRST_SCHEMA } else { SCHEMA };
        Ok(Carried { change: Cow::Owned(Change::EditMessage(message)), at: spot.at, schema })
    }
}

/// What was seen of the items with this id.
fn seen<'s, T>(sight: Option<&'s Seen<T>>, target: &Text) -> &'s [(u64, T)] {
    sight.and_then(|sight| sight.get(target)).map(Vec::as_slice).unwrap_or_default()
}

/// Where the last item with this id stands, and what it is by now.
fn find<T: Clone>(
    list: &DraftList<'_, T>,
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
