//! Which mutations are possible, and what they become.
//!
//! Owns the rules: what must exist, what must not, which version a mutation meets, which message an id
//! means, what a retried key returns. Pure, and shared by every backend. A batch is judged one mutation at
//! a time against drafts of the conversations it touches, so that a later mutation sees the earlier ones of
//! its batch, and nothing is carried out unless all of them are possible.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::draft_list::{Added, DraftList};
use super::keys::KeyRecord;
use super::pending::{Accepted, Pending};
use crate::error::{Error, ErrorKind};
use crate::model::{Change, Edit, Message, Seq, Text, Version};

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
            Step::EditMessage(id, _) | Step::RemoveMessage(id) | Step::RemoveAction(id) => Some(id),
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
    RemoveAction(Text),
}

/// What was seen of a conversation in which messages or actions are looked for by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    pub(crate) last_seq: Seq,
    /// For each id that is looked for, its messages with their places, in order.
    pub(crate) messages: HashMap<Text, Vec<(u64, Message)>>,
    /// For each id that is looked for, the places of its actions, in order.
    pub(crate) actions: HashMap<Text, Vec<u64>>,
}

/// What a mutation does, since it is possible, and what its receipt will say.
#[derive(Clone, Debug)]
pub(crate) struct Resolved<'b> {
    /// Borrowed from what was prepared, where nothing had to be looked up.
    pub(crate) change: Cow<'b, Change>,
    /// The place of what it edits or removes.
    pub(crate) at: u64,
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
    messages: DraftList<'b>,
    actions: DraftList<'b>,
}

/// The rules at work on one batch, which outlives the ground they stand on.
pub(crate) struct Drafts<'g, 'b> {
    ground: &'g dyn Ground,
    pending: &'g Pending,
    sights: &'g HashMap<String, Sight>,
    drafts: Vec<Draft<'b>>,
    /// Where in `drafts` a conversation is; kept only once there are more than are quickly gone over.
    draft_at: HashMap<&'b str, usize>,
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
        Self { ground, pending, sights, drafts, draft_at: HashMap::new(), keys, next_seq }
    }

    /// Judges a batch as a whole.
    pub(crate) fn resolve(&mut self, batch: &'b [Prepared]) -> Result<Vec<Resolved<'b>>, Refusal> {
        self.check_keys(batch)?;
        batch.iter().map(|prepared| self.resolve_one(prepared)).collect()
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
        let list = DraftList::of;
        let (messages, actions) = (list(standing.messages), list(standing.actions));
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
        let (change, at) = draft.step(id, &prepared.step, sights.get(id))?;
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
        Ok(Resolved { change, at, version })
    }
}

impl<'b> Draft<'b> {
    /// Carries a step out on the draft and says what the event is and where its target stands.
    fn step(
        &mut self,
        id: &str,
        step: &'b Step,
        sight: Option<&Sight>,
    ) -> Result<(Cow<'b, Change>, u64), Refusal> {
        let begins =
            matches!(step, Step::Ready(Change::Create { .. } | Change::AddMessage(_) | Change::AddAction(_)));
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
        match step {
            Step::Ready(change) => self.ready(id, change).map(|()| (Cow::Borrowed(change), 0)),
            Step::EditMessage(target, edit) => {
                self.edit(target, edit, sight).map(|(change, at)| (Cow::Owned(change), at))
            }
            Step::RemoveMessage(target) => {
                let (at, base_at) = self.find_message(target, sight)?;
                self.messages.remove(at, base_at);
                Ok((Cow::Owned(Change::RemoveMessage(target.clone())), at))
            }
            Step::RemoveAction(target) => {
                let base = sight.and_then(|sight| sight.actions.get(target));
                let base = base.map(Vec::as_slice).unwrap_or_default();
                let (at, base_at) =
                    self.actions.find(target, base).ok_or_else(|| no_such("action", target))?;
                self.actions.remove(at, base_at);
                Ok((Cow::Owned(Change::RemoveAction(target.clone())), at))
            }
        }
    }

    fn ready(&mut self, id: &str, change: &'b Change) -> Result<(), Refusal> {
        match change {
            Change::Create { .. } if self.standing.exists => {
                return Err(impossible(ErrorKind::Conflict, format!("conversation {id:?} exists already")));
            }
            Change::Create { .. } => self.standing.exists = true,
            Change::AddMessage(message) => {
                self.standing.exists = true;
                self.messages.added.push(Added { id: &message.id, message: Some(Cow::Borrowed(message)) });
            }
            Change::AddAction(action) => {
                self.standing.exists = true;
                self.actions.added.push(Added { id: &action.id, message: None });
            }
            Change::Clear | Change::Remove => {
                self.messages.clear();
                self.actions.clear();
                self.standing.exists &= !matches!(change, Change::Remove);
            }
            Change::SetTitle(_) | Change::SetMetadata(_) => {}
            Change::EditMessage(_) | Change::RemoveMessage(_) | Change::RemoveAction(_) => {
                return Err(impossible(ErrorKind::InvalidInput, "a change by id must be looked up first"));
            }
        }
        Ok(())
    }

    fn find_message(&self, target: &Text, sight: Option<&Sight>) -> Result<(u64, Option<u64>), Refusal> {
        let of_id = sight.and_then(|sight| sight.messages.get(target));
        let base: Vec<u64> = of_id.into_iter().flatten().map(|(at, _)| *at).collect();
        self.messages.find(target, &base).ok_or_else(|| no_such("message", target))
    }

    fn edit(&mut self, target: &Text, edit: &Edit, sight: Option<&Sight>) -> Result<(Change, u64), Refusal> {
        let (at, base_at) = self.find_message(target, sight)?;
        let current = match base_at {
            None => self.messages.added_at(at).and_then(|added| added.message.clone().map(Cow::into_owned)),
            Some(base_at) => self.messages.edited.get(&base_at).cloned().or_else(|| {
                let of_id = sight?.messages.get(target)?;
                of_id.iter().find(|(place, _)| *place == base_at).map(|(_, message)| message.clone())
            }),
        };
        let mut message = current.ok_or_else(|| no_such("message", target))?;
        if let Some(content) = &edit.content {
            message.content = content.clone();
        }
        if let Some(metadata) = &edit.metadata {
            message.metadata = metadata.clone();
        }
        match base_at {
            Some(base_at) => {
                self.messages.edited.insert(base_at, message.clone());
            }
            None => {
                if let Some(added) = self.messages.added_at(at) {
                    added.message = Some(Cow::Owned(message.clone()));
                }
            }
        }
        Ok((Change::EditMessage(message), at))
    }
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
