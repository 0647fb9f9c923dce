//! Which mutations are possible, and what they become.
//!
//! Owns the rules: what must exist, what must not, which version a mutation meets, which message an id
//! means, what a retried key returns. Pure, and shared by every backend. A batch is judged one mutation at
//! a time against drafts of the conversations it touches, so that a later mutation sees the earlier ones of
//! its batch, and nothing is carried out unless all of them are possible.

use std::collections::{HashMap, HashSet};
use std::mem::take;

use super::Few;
use super::hashing::FastHash;
use super::keys::KeyRecord;
use super::pending::{Accepted, Pending};
use crate::error::{Error, ErrorKind};
use crate::model::{
    Action, ActionEdit, Change, Durability, Edit, Message, Receipt, Seq, Text, UniqueIds, Version,
};
mod step;

pub(super) use step::Draft;
use step::{Carried, Effect, impossible};

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
    /// Off where nothing is added, and where the store made the id up.
    pub(crate) unique_ids: UniqueIds,
}

impl Prepared {
    /// Whether it looks for something by its id.
    pub(crate) fn looks(&self) -> bool {
        self.unique_ids != UniqueIds::Off || !matches!(self.step, Step::Ready(_))
    }

    /// The receipt of it as the event with this number, which left its conversation with this version: it names the
    /// conversation, and what of it the event was about: a message, an action, or all of it. Takes both ids out, in
    /// place: a mutation is long, and a batch has many.
    pub(crate) fn take_receipt(&mut self, seq: Seq, version: Version, durability: Durability) -> Receipt {
        let subject = match &mut self.step {
            Step::Ready(Change::AddMessage(message)) => Some(take(&mut message.id)),
            Step::Ready(Change::AddAction(action)) => Some(take(&mut action.id)),
            Step::Ready(change) => change.subject().cloned(),
            Step::EditMessage(id, _)
            | Step::RemoveMessage(id)
            | Step::EditAction(id, _)
            | Step::RemoveAction(id) => Some(take(id)),
        };
        let conversation_id = take(&mut self.conversation_id);
        let id = subject.unwrap_or_else(|| Text::from(&conversation_id));
        Receipt { seq, conversation_id, id, version, durability }
    }
}

/// What is to be done. Edits are rare, and longer than everything else.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// This, whatever the state, if it is possible at all.
    Ready(Change),
    EditMessage(Text, Box<Edit>),
    RemoveMessage(Text),
    EditAction(Text, Box<ActionEdit>),
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

/// Sights by the conversations' ids.
pub(crate) type Sights = HashMap<String, Sight, FastHash>;

/// What a mutation does, since it is possible, and what its receipt will say.
#[derive(Clone, Debug)]
pub(crate) struct Resolved<'b> {
    /// Borrowed from what was prepared, where nothing had to be looked up.
    pub(crate) change: Effect<'b>,
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
    /// It was carried out before, as keys or what is there tell: these are the receipts.
    Known(Vec<KeyRecord>),
    Impossible(Error),
}

/// The rules at work on one batch, which outlives the ground they stand on.
pub(crate) struct Drafts<'g, 'b> {
    ground: &'g dyn Ground,
    pending: &'g Pending,
    sights: &'g Sights,
    drafts: Few<Draft<'b>>,
    /// Where in `drafts` a conversation is; kept only once there are more than are quickly gone over.
    draft_at: HashMap<&'b str, usize, FastHash>,
    /// Whether anything in the batch looks for items.
    looks: bool,
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
        sights: &'g Sights,
        next_seq: Seq,
    ) -> Self {
        let (drafts, keys) = (Few::new(), Vec::new());
        Self { ground, pending, sights, drafts, draft_at: HashMap::default(), looks: false, keys, next_seq }
    }

    /// Judges a batch as a whole.
    pub(crate) fn resolve(&mut self, batch: &'b [Prepared]) -> Result<Few<Resolved<'b>>, Refusal> {
        self.check_keys(batch)?;
        self.looks = batch.iter().any(Prepared::looks);
        if self.looks {
            self.check_existing(batch)?;
        }
        let mut resolved = Few::with_capacity(batch.len());
        for prepared in batch {
            resolved.push(self.resolve_one(prepared)?);
        }
        Ok(resolved)
    }

    /// What the accepted batch leaves pending.
    pub(crate) fn into_accepted(self) -> Accepted<'b> {
        Accepted { drafts: self.drafts, keys: self.keys }
    }

    fn check_keys(&self, batch: &[Prepared]) -> Result<(), Refusal> {
        if batch.iter().all(|prepared| prepared.key.is_none()) {
            return Ok(());
        }
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

    /// Finds out whether what a batch adds is there, if that counts as its outcome.
    fn check_existing(&mut self, batch: &'b [Prepared]) -> Result<(), Refusal> {
        if !batch.iter().all(|prepared| prepared.unique_ids == UniqueIds::Existing) {
            return Ok(());
        }
        let mut there = Vec::new();
        for prepared in batch {
            let id = prepared.conversation_id.as_str();
            let (at, sight) = (self.draft(id)?, self.sights.get(id));
            let draft = self.drafts.get_mut(at).ok_or(Refusal::Stale)?;
            if let Some(subject) = draft.existing(&prepared.step, sight)? {
                there.push(KeyRecord {
                    fingerprint: 0,
                    conversation_id: id.into(),
                    id: subject.as_wtf8().into(),
                    seq: draft.standing.last_seq,
                    version: draft.standing.version,
                });
            }
        }
        if there.is_empty() {
            return Ok(());
        }
        if there.len() == batch.len() {
            return Err(Refusal::Known(there));
        }
        let reason = format!("{} of what the batch adds are there already, of {}", there.len(), batch.len());
        Err(impossible(ErrorKind::AlreadyExists, reason))
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
        self.drafts.push(Draft::new(id, standing, self.looks));
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
        if prepared.unique_ids != UniqueIds::Off {
            draft.must_be_unique(&prepared.step, sights.get(id))?;
        }
        let Carried { change, at, schema } = draft.carry(&prepared.step, sights.get(id), seq)?;
        // One that was removed has none any more; the receipt says which one the removal left.
        let version = draft.standing.version.max(version_before + 1);
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
