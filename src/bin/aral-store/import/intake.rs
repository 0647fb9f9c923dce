//! Adding pieces of conversations to a store.
//!
//! Owns the batches, the counts, and which conversations were refused. A conversation goes in as one batch
//! where it fits; where it does not, a run that was stopped between two batches is carried on by the next.

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use aral_store::{
    Conversation, Error, ErrorKind, MAX_BATCH_EVENTS, MessageStore, Mutation, Operation, Receipt, Timestamp,
    Tombstone, Version,
};

use super::counts::Counts;
use super::piece::{Piece, weight};
use crate::exit::Failure;
use crate::output::{self, to_u64};
use crate::roles::Roles;
use crate::signals::Stop;
use crate::whole::has_room;

/// The most bytes that are put into one batch, by [`weight`]; the store takes 256 MiB.
const MAX_BATCH_BYTES: usize = 128 << 20;

/// How many bad lines are named.
const MAX_NAMED: u64 = 100;

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "what comes in without a time gets that of its import")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or_default();
    Timestamp::from_unix_micros(micros).unwrap_or(Timestamp::EPOCH)
}

/// How a conversation has fared in this run so far.
enum Fate {
    /// This run has brought it to this version.
    Added(Version),
    /// Everything of it was there.
    There,
    /// It was kept out, and so is the rest of it.
    KeptOut,
}

/// What becomes of what comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Add,
    /// Only see what would be added.
    Try,
}

/// What becomes of a conversation that was removed from the store and comes in again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Removed {
    KeepOut,
    Revive,
}

pub(super) struct Intake<'a> {
    store: &'a MessageStore,
    purpose: Purpose,
    removed: Removed,
    stop: Stop,
    fates: HashMap<String, Fate>,
    /// The conversation that the last piece was held against, if nothing was added to it: the next one may be a part of the same.
    there: Option<Conversation>,
    /// In a try, what exports before this one in the same input would have added.
    tried: HashSet<String>,
    /// How many of those came again, and were held against a store that does not have them.
    tried_again: u64,
    /// The roles that were told of: each once for all that comes in.
    roles: Roles,
    pub(super) counts: Counts,
    /// How many items were there and have been changed at their source since.
    pub(super) changed: u64,
    /// Whether this is one look of many, for which it is no news that a file is being written.
    pub(super) is_watching: bool,
    /// The time of what comes without one.
    pub(super) now: Timestamp,
}

impl<'a> Intake<'a> {
    pub(super) fn new(store: &'a MessageStore, purpose: Purpose, stop: Stop) -> Self {
        let (fates, roles, counts) = (HashMap::new(), Roles::default(), Counts::default());
        let (removed, tried, tried_again, changed) = (Removed::KeepOut, HashSet::new(), 0, 0);
        let (is_watching, there) = (false, None);
        Self {
            store,
            purpose,
            removed,
            stop,
            fates,
            there,
            tried,
            tried_again,
            roles,
            counts,
            changed,
            is_watching,
            now: now(),
        }
    }

    /// The same, with this for what was removed.
    pub(super) fn with(self, removed: Removed) -> Self {
        Self { removed, ..self }
    }

    /// The same, for one look of many.
    pub(super) fn watching(self) -> Self {
        Self { is_watching: true, ..self }
    }

    /// Goes on with another export of the same input as if it came by itself.
    pub(super) fn begin_another(&mut self) {
        let fates = std::mem::take(&mut self.fates);
        if self.purpose == Purpose::Try {
            let added = fates.into_iter().filter(|(_, fate)| matches!(fate, Fate::Added(_)));
            self.tried.extend(added.map(|(id, _)| id));
        }
    }

    /// Adds what is missing of a piece. An error means that nothing more can be added at all.
    pub(super) fn take(&mut self, piece: Piece) -> Result<(), Failure> {
        // A session that has begun to go in goes in as a whole; its parts are short.
        let may_stop = piece.head.is_some() || !piece.is_transcript;
        if let Some(signal) = self.stop.signal().filter(|_| may_stop) {
            return Err(Failure::Stopped(signal));
        }
        let id = piece.id.clone();
        if piece.head.is_some() && matches!(self.fates.get(&id), Some(Fate::Added(_) | Fate::There)) {
            self.conflict(&id, "it begins a second time in the same input");
            return Ok(());
        }
        self.tried_again += u64::from(piece.head.is_some() && self.tried.contains(&id));
        match self.fates.get(&id) {
            Some(Fate::KeptOut) => Ok(()),
            Some(Fate::Added(version)) => {
                let version = *version;
                self.add(&id, piece, version)
            }
            Some(Fate::There) | None => match self.seen(&id) {
                Ok(None) => match self.store.removed(&id)? {
                    Some(tombstone) if self.removed == Removed::KeepOut => {
                        self.keep_removed(&tombstone);
                        Ok(())
                    }
                    Some(_) | None => self.add(&id, piece, 0),
                },
                Ok(Some(there)) => match piece.dated_like(&there).missing_in(&there) {
                    Err(reason) => {
                        self.conflict(&id, reason);
                        Ok(())
                    }
                    Ok(rest) if rest.is_nothing_after(there.version) => {
                        self.counts.overtaken += u64::from(rest.version.is_some_and(|v| v < there.version));
                        self.there = Some(there);
                        if self.fates.insert(id, Fate::There).is_none() {
                            self.counts.already_there += 1;
                        }
                        Ok(())
                    }
                    Ok(rest) => self.add(&id, rest, there.version),
                },
                Err(error) => self.kept_out(&id, error),
            },
        }
    }

    /// A conversation of the store, which is read once for all pieces of it that follow one another.
    fn seen(&mut self, id: &str) -> Result<Option<Conversation>, Error> {
        match self.there.take().filter(|there| there.id == *id) {
            Some(there) => Ok(Some(there)),
            None => self.store.conversation(id),
        }
    }

    /// A conversation that is there already; nothing of one that is new, and of one that was kept out.
    pub(super) fn there(&mut self, id: &str) -> Result<Option<Conversation>, Failure> {
        if let Some(signal) = self.stop.signal() {
            return Err(Failure::Stopped(signal));
        }
        match self.store.conversation(id) {
            Ok(there) => Ok(there),
            Err(error) => self.kept_out(id, error).map(|()| None),
        }
    }

    /// Counts a conversation to which nothing is added.
    pub(super) fn is_as_it_was(&mut self, id: &str) {
        if self.fates.insert(id.to_owned(), Fate::There).is_none() {
            self.counts.already_there += 1;
        }
    }

    pub(super) fn is_kept_out(&self, id: &str) -> bool {
        matches!(self.fates.get(id), Some(Fate::KeptOut))
    }

    /// Names and counts a line, or the like, that is not what it should be; of very many only the first are named.
    pub(super) fn bad_line(&mut self, reason: &str) {
        self.counts.bad_lines += 1;
        if self.counts.bad_lines <= MAX_NAMED {
            output::error(reason);
        }
    }

    /// Names and counts a file that cannot be read.
    pub(super) fn damaged(&mut self, error: &Error) {
        output::error(&format!("not imported: {error}"));
        self.counts.damaged += 1;
    }

    /// Whether a conversation is in the store, or would be after this.
    pub(super) fn is_there(&self, id: &str) -> Result<bool, Failure> {
        Ok(matches!(self.fates.get(id), Some(Fate::Added(_) | Fate::There))
            || self.store.summary(id)?.is_some())
    }

    /// Names an input that breaks off, or is not what its last line says.
    pub(super) fn cut(&mut self, reason: &str) {
        output::error(reason);
        self.counts.cut += 1;
    }

    /// Says what is only said once for all.
    pub(super) fn sum_up(&self) {
        if self.counts.bad_lines > MAX_NAMED {
            output::error(&format!("not imported: {} more", self.counts.bad_lines - MAX_NAMED));
        }
        if self.tried_again > 0 {
            let number = output::count(self.tried_again, "conversation");
            output::note(&format!(
                "several exports in one input: {number} came again, and a dry run compares with the store alone, so that \
                 what was counted before is counted twice"
            ));
        }
        if self.changed > 0 {
            let number = output::count(self.changed, "item");
            output::note(&format!("{number} had been changed at the source, and is here as it is there now"));
        }
        if self.counts.overtaken > 0 {
            let number = output::count(self.counts.overtaken, "conversation");
            output::note(&format!(
                "{number} had more events here than where this comes from, and kept the version"
            ));
        }
    }

    /// Keeps the rest of a conversation out because it is not the one that is there.
    pub(super) fn conflict(&mut self, id: &str, reason: &str) {
        output::error(&format!("not imported: conversation {id:?}: {reason}"));
        self.counts.conflicts += 1;
        self.fates.insert(id.to_owned(), Fate::KeptOut);
    }

    /// Keeps a conversation out because somebody has removed it.
    fn keep_removed(&mut self, tombstone: &Tombstone) {
        let Tombstone { id, seq, removed_at, .. } = tombstone;
        let when = removed_at.map(|time| format!(" at {time}")).unwrap_or_default();
        output::error(&format!(
            "not imported: conversation {id:?}: it was removed{when}, by event {seq}; --revive brings it back"
        ));
        self.counts.removed += 1;
        self.fates.insert(id.clone(), Fate::KeptOut);
    }

    fn add(&mut self, id: &str, piece: Piece, version: Version) -> Result<(), Failure> {
        let wanted = piece.version;
        let only_raises = piece.head.is_none() && piece.messages.is_empty() && piece.actions.is_empty();
        let version = self.put(id, piece.into_mutations(version), (version, only_raises))?;
        self.counts.overtaken += u64::from(wanted.is_some_and(|wanted| version.is_some_and(|v| wanted < v)));
        Ok(())
    }

    /// Carries mutations of a conversation out that has this version; the version that it comes to, or nothing if it was kept out.
    pub(super) fn put(
        &mut self,
        id: &str,
        mutations: impl Iterator<Item = Mutation>,
        (version, only_raises): (Version, bool),
    ) -> Result<Option<Version>, Failure> {
        self.there = None;
        let mut version = version;
        let mut mutations = mutations.peekable();
        while mutations.peek().is_some() {
            let mut batch: Vec<Mutation> = Vec::new();
            let mut bytes = 0_usize;
            while let Some(mutation) = mutations.next_if(|next| {
                let fits = bytes.saturating_add(weight(next)) <= MAX_BATCH_BYTES;
                batch.is_empty() || (fits && batch.len() < MAX_BATCH_EVENTS)
            }) {
                bytes = bytes.saturating_add(weight(&mutation));
                self.roles.look_at(&mutation);
                let is_first = batch.is_empty();
                batch.push(if is_first { mutation.expect(version) } else { mutation });
            }
            let messages = batch.iter().filter(|m| matches!(m.operation, Operation::AddMessage(_))).count();
            let actions = batch.iter().filter(|m| matches!(m.operation, Operation::AddAction(_))).count();
            if !has_room(bytes.saturating_mul(3)) {
                let reason =
                    format!("there is no memory to add {bytes} bytes of conversation {id:?} at once");
                return Err(Error::new(ErrorKind::OutOfMemory, reason).into());
            }
            match self.carry_out(batch) {
                Ok(receipts) => version = receipts.last().map_or(version, |receipt| receipt.version),
                Err(error) => return self.kept_out(id, error).map(|()| None),
            }
            self.counts.messages += to_u64(messages);
            self.counts.actions += to_u64(actions);
            match self.fates.insert(id.to_owned(), Fate::Added(version)) {
                Some(Fate::Added(_)) => {}
                Some(Fate::There) if only_raises => {}
                Some(Fate::There) => {
                    self.counts.already_there -= 1;
                    self.counts.conversations += 1;
                }
                Some(Fate::KeptOut) | None if only_raises => self.counts.already_there += 1,
                Some(Fate::KeptOut) | None => self.counts.conversations += 1,
            }
        }
        Ok(Some(version))
    }

    fn carry_out(&self, batch: Vec<Mutation>) -> Result<Vec<Receipt>, Error> {
        match self.purpose {
            Purpose::Add => self.store.batch(batch),
            Purpose::Try => {
                // A store of its own shows whether the batch is one that a store takes; what the real one holds has
                // been compared already.
                let mut alone = batch;
                // Nor does that one have what would be changed.
                alone.retain(|mutation| {
                    matches!(
                        mutation.operation,
                        Operation::CreateConversation(_) | Operation::AddMessage(_) | Operation::AddAction(_)
                    )
                });
                for mutation in &mut alone {
                    mutation.expect = None;
                }
                if alone.is_empty() { Ok(Vec::new()) } else { MessageStore::in_memory().batch(alone) }
            }
        }
    }

    /// Names and counts a conversation that cannot go in, or hands on what stops everything.
    fn kept_out(&mut self, id: &str, error: Error) -> Result<(), Failure> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else it is, it is not about this one")]
        let count = match error.kind() {
            ErrorKind::InvalidInput => &mut self.counts.refused,
            ErrorKind::Conflict | ErrorKind::AlreadyExists => &mut self.counts.conflicts,
            ErrorKind::Corrupt => &mut self.counts.damaged,
            _ => return Err(error.into()),
        };
        *count += 1;
        let part = match self.fates.insert(id.to_owned(), Fate::KeptOut) {
            Some(Fate::Added(_)) => "the rest of ",
            Some(Fate::There | Fate::KeptOut) | None => "",
        };
        output::error(&error.context(&format!("not imported: {part}conversation {id:?}")).to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
