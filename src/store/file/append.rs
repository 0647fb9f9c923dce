//! Appending: from mutations to receipts.
//!
//! Owns the order: get ready and encode without a lock, judge under the log's lock, write as a member of a
//! group. A mutation that looks something up by its id is judged on what was seen a moment before; if that
//! has changed meanwhile, it looks again.

use std::collections::HashMap;

use super::engine::Engine;
use super::library::{Library, Need, View};
use super::shown::Shown;
use crate::codec::frame::MAX_PAYLOAD;
use crate::codec::payload::{EventView, FIRST_SCHEMA, encode_event};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Drafts, Found, Ground, Index, KeyRecord, Prepared, Refusal, Sight, Standing, Step};
use crate::log::Turn;
use crate::model::{Durability, Event, Mutation, Receipt, Text};
use crate::snapshot::bodies::Bodies;
use crate::store::memory::{known_receipt, receipts};
use crate::store::options::SyncPolicy;
use crate::store::prepare::prepare;

/// The index as the rules see it.
struct Standings<'s> {
    index: &'s Index,
    library: &'s Library,
}

impl Ground for Standings<'_> {
    fn standing(&self, id: &str) -> Standing {
        let (exists, summary) = match self.index.find(id) {
            Found::Slot(slot) => (true, slot.summary.clone()),
            Found::Checkpoint(entry, _) => {
                if let Some(damage) = self.library.suspicion(id) {
                    return Standing { damage: Some(damage), ..Standing::default() };
                }
                (true, entry.summary())
            }
            Found::Damaged(entry) => {
                return Standing { damage: Some(self.library.damage(&entry)), ..Standing::default() };
            }
            Found::Nothing => return Standing::default(),
        };
        Standing {
            exists,
            version: summary.version,
            last_seq: summary.last_seq,
            messages: summary.messages,
            actions: summary.actions,
            damage: None,
        }
    }

    fn find_key(&self, key: &str) -> Option<KeyRecord> {
        self.index.find_key(key)
    }
}

/// What came of one try under the lock.
enum Tried {
    Done(Vec<Receipt>),
    /// What was seen has changed.
    Again,
}

impl Engine {
    pub(super) fn append_batch(&self, batch: Vec<Mutation>) -> Result<Vec<Receipt>> {
        self.check_open()?;
        let ready = |mutation| prepare(mutation, &*self.options.clock, &*self.options.ids);
        let batch = batch.into_iter().map(ready).collect::<Result<Vec<_>>>()?;
        self.append_prepared(&batch)
    }

    /// Carries a batch out in which nothing is left open.
    pub(super) fn append_prepared(&self, batch: &[Prepared]) -> Result<Vec<Receipt>> {
        self.look_at_all(batch)?;
        let payload = encode_ready(batch)?;
        loop {
            let sights = self.look(batch)?;
            if let Tried::Done(receipts) = self.try_append(batch, payload.as_deref(), &sights)? {
                self.wake_compaction();
                return Ok(receipts);
            }
        }
    }

    fn try_append(
        &self,
        batch: &[Prepared],
        payload: Option<&[u8]>,
        sights: &HashMap<String, Sight>,
    ) -> Result<Tried> {
        let mut turn = self.log.turn()?;
        let first_seq = turn.next_seq();
        let (resolved, accepted) = {
            let index = self.library().index();
            let ground = Standings { index: &index, library: self.library() };
            let mut drafts = Drafts::new(&ground, turn.client_state(), sights, first_seq);
            match drafts.resolve(batch) {
                Ok(resolved) => (resolved, drafts.into_pending()),
                Err(Refusal::Known(known)) => {
                    drop(index);
                    drop(turn);
                    return self.repeat(&known).map(Tried::Done);
                }
                Err(Refusal::Impossible(error)) => {
                    drop(index);
                    let is_so = self.await_ground(turn, batch)?;
                    return if is_so { Err(error) } else { Ok(Tried::Again) };
                }
                Err(Refusal::Stale) => {
                    drop(index);
                    if turn.is_anything_pending() {
                        drop(turn.wait_for_group()?);
                    }
                    return Ok(Tried::Again);
                }
            }
        };
        let encoded;
        let payload = match payload {
            Some(payload) => payload,
            None => {
                encoded = encode(resolved.iter().map(|r| (&r.event, r.at, r.fingerprint)))?;
                &encoded
            }
        };
        turn.client_state().add(accepted);
        let events = u32::try_from(resolved.len()).unwrap_or(u32::MAX);
        let must_sync = self.options.sync == SyncPolicy::Always;
        let schema = resolved.iter().map(|resolved| resolved.schema).max().unwrap_or(FIRST_SCHEMA);
        let is_durable = turn.append(payload, schema, events, must_sync)?;
        let durability = if is_durable { Durability::Durable } else { Durability::Written };
        Ok(Tried::Done(receipts(resolved, first_seq, durability)))
    }

    /// Waits until what a refusal was judged on can be seen, so that whoever is told of a conflict finds what
    /// it is with; gives whether all of it came to be.
    fn await_ground(&self, mut turn: Turn<'_, Shown>, batch: &[Prepared]) -> Result<bool> {
        let pending = turn.client_state();
        if !batch.iter().any(|prepared| pending.concerns(&prepared.conversation_id)) {
            return Ok(true);
        }
        let dropped = pending.dropped();
        let due = turn.next_seq();
        while self.library().index().next_seq() < due {
            turn = turn.wait_for_group()?;
            if turn.client_state().dropped() != dropped {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The receipts of mutations that were carried out before, as durable as the policy asks for.
    fn repeat(&self, known: &[KeyRecord]) -> Result<Vec<Receipt>> {
        let durability = if self.options.sync == SyncPolicy::Always {
            // The first one may still be on its way to the device.
            self.log.exclusively(None, |active, _| active.sync())?;
            Durability::Durable
        } else {
            Durability::Written
        };
        Ok(known.iter().map(|record| known_receipt(record, durability)).collect())
    }

    /// Looks up what a batch names by id: all of a conversation in one look, so that what is seen was so at
    /// one moment.
    fn look(&self, batch: &[Prepared]) -> Result<HashMap<String, Sight>> {
        let mut steps: HashMap<&String, Vec<&Step>> = HashMap::new();
        for prepared in batch.iter().filter(|prepared| !matches!(prepared.step, Step::Ready(_))) {
            steps.entry(&prepared.conversation_id).or_default().push(&prepared.step);
        }
        let mut sights = HashMap::new();
        for (id, steps) in steps {
            let seen = self.library().read(id, Need::Everything, |view, bodies| {
                let mut sight = Sight { last_seq: view.summary().last_seq, ..Sight::default() };
                steps.iter().try_for_each(|step| see(&mut sight, view, bodies, step))?;
                Ok(sight)
            });
            // A conversation that is damaged or not there is left to the rules.
            sights.insert(id.clone(), seen.or_else(unless_damaged)?.unwrap_or_default());
        }
        Ok(sights)
    }
}

fn unless_damaged(error: Error) -> Result<Option<Sight>> {
    if error.kind() == ErrorKind::Corrupt && error.message().starts_with("conversation ") {
        return Ok(None);
    }
    Err(error)
}

/// Adds to a sight what a step looks for.
fn see(sight: &mut Sight, view: &View, bodies: &Bodies<'_>, step: &Step) -> Result<()> {
    let place = |at: usize| u64::try_from(at).unwrap_or(u64::MAX);
    match step {
        Step::Ready(_) => {}
        Step::EditMessage(id, _) | Step::RemoveMessage(id) => {
            let mut found = Vec::new();
            for (at, message) in view.messages_like(bodies, id) {
                let message = message?;
                if message.id == *id {
                    found.push((place(at), message));
                }
            }
            sight.messages.insert(id.clone(), found);
        }
        Step::EditAction(id, _) | Step::RemoveAction(id) => {
            let mut found = Vec::new();
            for (at, action) in view.actions_like(bodies, id) {
                let action = action?;
                if action.id == *id {
                    found.push((place(at), action));
                }
            }
            sight.actions.insert(Text::clone(id), found);
        }
    }
    Ok(())
}

/// The payload of a batch in which nothing is looked up; `None` if something is.
fn encode_ready(batch: &[Prepared]) -> Result<Option<Vec<u8>>> {
    let mut events = Vec::with_capacity(batch.len());
    for prepared in batch {
        let Step::Ready(change) = &prepared.step else { return Ok(None) };
        let event = Event {
            conversation_id: prepared.conversation_id.clone(),
            change: change.clone(),
            key: prepared.key.clone(),
        };
        events.push((event, prepared.fingerprint));
    }
    encode(events.iter().map(|(event, fingerprint)| (event, 0, *fingerprint))).map(Some)
}

fn encode<'e>(events: impl Iterator<Item = (&'e Event, u64, u32)>) -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    for (event, at, fingerprint) in events {
        let written = encode_event(&EventView::of(event, at, fingerprint), &mut payload);
        written
            .ok_or_else(|| Error::invalid(format!("the batch is over the limit of {MAX_PAYLOAD} bytes")))?;
    }
    Ok(payload)
}
