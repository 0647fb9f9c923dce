//! Appending: from mutations to receipts.
//!
//! Owns the order: get ready and encode without a lock, judge under the log's lock, write as a member of a
//! group. A mutation that looks something up by its id is judged on what was seen a moment before; if that
//! has changed meanwhile, it looks again.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{PoisonError, RwLockReadGuard};

use super::apply::Applier;
use super::engine::Engine;
use super::index_view::{Accepting, IndexView};
use super::reads::{Need, View};
use super::room::{action_length, long_part, message_length, room_to_judge};
use crate::backend::carried_out_before;
use crate::backend::settings::SyncPolicy;
use crate::codec::frame::MAX_PAYLOAD;
use crate::codec::ids::IdView;
use crate::codec::payload::{FIRST_SCHEMA, FOURTH_SCHEMA, KeyView, encode_parts, schema_of};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Framed, Record, Turn};
use crate::model::{
    Action, Change, Durability, Event, MAX_BATCH_EVENTS, Message, Mutation, Receipt, Seq, Text, Version,
};
use crate::rules::normalize;
use crate::rules::{KeyRecord, Lookup, Lookups, Refusal, Request, Step, Validation, only_appends_text};
use crate::rules::{known_receipt, receipts};
use crate::snapshot::fetch::Fetcher;
use crate::vfs::{self, EventSeal};
use smallvec::SmallVec;

thread_local! {
    /// Where this thread encodes what it appends, so that it does not ask for memory each time.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How much memory a thread keeps for that.
const KEPT_BUFFER: usize = 1 << 20;

/// What came of one try under the lock.
enum Tried {
    Done(CarriedOut),
    /// What was seen has changed.
    Again,
}

/// What came of a batch.
#[derive(Debug)]
pub(super) enum CarriedOut {
    /// It was carried out before, by its keys.
    Before(Vec<Receipt>),
    /// It was carried out now; each of its events left its conversation with a version.
    Now { first_seq: Seq, versions: SmallVec<[Version; 1]>, durability: Durability },
}

impl Engine {
    pub(super) fn append_batch(&self, batch: Vec<Mutation>) -> Result<Vec<Receipt>> {
        self.check_open()?;
        let (clock, ids) = (&*self.settings.clock, &*self.settings.ids);
        // Collected into the memory that the mutations lie in; as much again would be a cache's worth, or the system's.
        let mut ready =
            batch.into_iter().map(|mutation| normalize(mutation, clock, ids)).collect::<Result<Vec<_>>>()?;
        Ok(match self.append_prepared(&ready)? {
            CarriedOut::Before(receipts) => receipts,
            CarriedOut::Now { first_seq, versions, durability } => {
                receipts(&mut ready, versions, first_seq, durability)
            }
        })
    }

    /// Carries one mutation out: what is most often asked for, without lists of one.
    pub(super) fn append_single(&self, mutation: Mutation) -> Result<Receipt> {
        self.check_open()?;
        let mut ready = [normalize(mutation, &*self.settings.clock, &*self.settings.ids)?];
        let receipt = match self.append_prepared(&ready)? {
            CarriedOut::Before(receipts) => receipts.into_iter().next(),
            CarriedOut::Now { first_seq, versions, durability } => {
                let [request] = &mut ready;
                versions.first().map(|version| request.take_receipt(first_seq, *version, durability))
            }
        };
        receipt.ok_or_else(|| Error::new(ErrorKind::Failed, "a mutation was carried out without a receipt"))
    }

    /// Carries events of another store out as they are, the first as the event with this number.
    pub(super) fn append_events(&self, events: Vec<Event>, first_seq: Seq) -> Result<()> {
        self.check_open()?;
        match self.append_prepared(&Request::of_events(events, first_seq))? {
            CarriedOut::Now { .. } => Ok(()),
            CarriedOut::Before(_) => Err(carried_out_before()),
        }
    }

    /// Carries a batch out in which nothing is left open.
    pub(super) fn append_prepared(&self, batch: &[Request]) -> Result<CarriedOut> {
        self.append_judged(batch, None)
    }

    /// The same, if need be for a conversation whose file is not as recorded, to begin it anew.
    ///
    /// # Errors
    ///
    /// Those of any append; `Conflict` if that conversation does not stand any more as it was seen.
    pub(super) fn append_judged(
        &self,
        batch: &[Request],
        accepting: Option<Accepting<'_>>,
    ) -> Result<CarriedOut> {
        self.check_files_of(batch).map_err(|error| self.log.ended_or(error))?;
        self.mark()?;
        let events = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let seal = self.seal.as_deref();
        let _sealing = match seal {
            None => None,
            Some(seal) => Some(self.begin_sealing(seal, batch)?),
        };
        let mut framed = Framed::new(BUFFER.take(), seal.is_some());
        let mut record = if let Some(schema) = encode_ready(batch, seal, &mut framed)? {
            Some(Record::new(framed, schema, events))
        } else {
            // What looks something up is encoded when that was judged.
            BUFFER.set(framed.into_memory());
            None
        };
        loop {
            let lookups = self.look(batch).map_err(|error| self.log.ended_or(error))?;
            match self.try_append(batch, &mut record, &lookups, accepting) {
                Ok(Tried::Done(carried_out)) => {
                    self.wake_compaction();
                    if let Some(record) = record {
                        let mut memory = record.into_memory();
                        memory.clear();
                        memory.shrink_to(KEPT_BUFFER);
                        BUFFER.set(memory);
                    }
                    return Ok(carried_out);
                }
                Ok(Tried::Again) => {}
                Err(error) => self.unless_put_back(error, batch)?,
            }
        }
    }

    /// Gets the keys of the conversations that a batch is about. As long as what is returned is held, none is retired.
    #[cold]
    fn begin_sealing(&self, seal: &dyn EventSeal, batch: &[Request]) -> Result<RwLockReadGuard<'_, ()>> {
        let sealing = self.sealing.read().unwrap_or_else(PoisonError::into_inner);
        let prepared = seal.prepare(&mut batch.iter().map(|request| &*request.conversation_id));
        prepared.map_err(|error| self.log.ended_or(not_sealed(error)))?;
        Ok(sealing)
    }

    /// What a batch was refused with, unless the file that it was refused for has been put back.
    #[cold]
    fn unless_put_back(&self, error: Error, batch: &[Request]) -> Result<()> {
        let is_put_back = error.kind() == ErrorKind::Corrupt && self.reads().has_been_put_back(batch);
        if is_put_back { Ok(()) } else { Err(error) }
    }

    fn try_append(
        &self,
        batch: &[Request],
        record: &mut Option<Record>,
        lookups: &Lookups,
        accepting: Option<Accepting<'_>>,
    ) -> Result<Tried> {
        let mut turn = self.log.turn()?;
        let first_seq = turn.next_seq();
        let (resolved, accepted) = {
            let index = self.reads().index();
            let view = IndexView { index: &index, reads: self.reads(), accepting };
            let changed = accepting.and_then(|seen| view.refusal_to_accept(seen, turn.client_state()));
            let mut validation = Validation::new(&view, turn.client_state(), lookups, first_seq);
            match changed.map_or_else(|| validation.resolve(batch), Err) {
                Ok(resolved) => (resolved, validation.into_accepted()),
                Err(Refusal::Known(known)) => {
                    drop(index);
                    drop(turn);
                    return self.repeat(&known).map(CarriedOut::Before).map(Tried::Done);
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
        let record = match record {
            Some(record) => record,
            None => {
                let seal = self.seal.as_deref();
                let mut framed = Framed::new(BUFFER.take(), seal.is_some());
                let changes = resolved.iter().map(|resolved| (&*resolved.change, resolved.at));
                encode(batch.iter().zip(changes), seal, &mut framed)?;
                let schema = resolved.iter().map(|resolved| resolved.schema).max().unwrap_or(FIRST_SCHEMA);
                let events = u32::try_from(resolved.len()).unwrap_or(u32::MAX);
                // Order: behind this nothing is tried again, for which it would have to be encoded anew.
                record.insert(Record::new(framed, schema, events))
            }
        };
        turn.client_state().add(accepted);
        let must_sync = self.settings.sync == SyncPolicy::Always;
        let is_durable = turn.append(record, must_sync)?;
        let durability = if is_durable { Durability::Durable } else { Durability::Written };
        let versions = resolved.iter().map(|resolved| resolved.version).collect();
        Ok(Tried::Done(CarriedOut::Now { first_seq, versions, durability }))
    }

    /// Waits until what a refusal was judged on can be seen, so that whoever is told of a conflict finds what
    /// it is with; gives whether all of it came to be.
    fn await_ground(&self, mut turn: Turn<'_, Applier>, batch: &[Request]) -> Result<bool> {
        let pending = turn.client_state();
        if !batch.iter().any(|request| pending.concerns(&request.conversation_id)) {
            return Ok(true);
        }
        let dropped = pending.dropped();
        let due = turn.next_seq();
        while self.reads().index().next_seq() < due {
            turn = turn.wait_for_group()?;
            if turn.client_state().dropped() != dropped {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The receipts of mutations that were carried out before, as durable as the policy asks for.
    fn repeat(&self, known: &[KeyRecord]) -> Result<Vec<Receipt>> {
        let durability = if self.settings.sync == SyncPolicy::Always {
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
    fn look(&self, batch: &[Request]) -> Result<Lookups> {
        let mut lookups = HashMap::default();
        if !batch.iter().any(Request::looks) {
            return Ok(lookups);
        }
        let mut steps: HashMap<&String, Vec<&Step>> = HashMap::new();
        for request in batch.iter().filter(|request| request.looks()) {
            steps.entry(&request.conversation_id).or_default().push(&request.step);
        }
        for (id, steps) in steps {
            if steps.iter().all(|step| matches!(step, Step::Ready(_))) {
                let seen = self.reads().bearers(id, &steps);
                lookups.insert(id.clone(), seen.or_else(unless_damaged)?.unwrap_or_default());
                continue;
            }
            if only_appends_text(batch, id) {
                let seen = self.reads().replies(id, &steps);
                lookups.insert(id.clone(), seen.or_else(unless_damaged)?.unwrap_or_default());
                continue;
            }
            let seen = self.reads().read(id, Need::Everything, |view, fetcher| {
                let mut lookup = Lookup { last_seq: view.summary().last_seq, ..Lookup::default() };
                steps.iter().try_for_each(|step| see(&mut lookup, view, fetcher, step))?;
                Ok(lookup)
            });
            // A conversation that is damaged or not there is left to the rules.
            lookups.insert(id.clone(), seen.or_else(unless_damaged)?.unwrap_or_default());
        }
        Ok(lookups)
    }
}

fn unless_damaged(error: Error) -> Result<Option<Lookup>> {
    if error.kind() == ErrorKind::Corrupt && error.message().starts_with("conversation ") {
        return Ok(None);
    }
    Err(error)
}

/// Adds to a lookup what a step looks for.
fn see(lookup: &mut Lookup, view: &View, fetcher: &Fetcher<'_>, step: &Step) -> Result<()> {
    let place = |at: usize| u64::try_from(at).unwrap_or(u64::MAX);
    match step {
        Step::EditMessage(id, _)
        | Step::FinishMessage(id, _)
        | Step::AppendText { message_id: id, .. }
        | Step::RemoveMessage(id)
        | Step::Ready(Change::AddMessage(Message { id, .. })) => {
            let mut found = Vec::new();
            for (at, message) in view.messages_like(fetcher, id) {
                let message = message?;
                if message.id == *id {
                    room_to_judge(message_length(&message))?;
                    found.push((place(at), message));
                }
            }
            lookup.messages.insert(id.clone(), found);
        }
        Step::EditAction(id, _)
        | Step::RemoveAction(id)
        | Step::Ready(Change::AddAction(Action { id, .. })) => {
            let mut found = Vec::new();
            for (at, action) in view.actions_like(fetcher, id) {
                let action = action?;
                if action.id == *id {
                    room_to_judge(action_length(&action))?;
                    found.push((place(at), action));
                }
            }
            lookup.actions.insert(Text::clone(id), found);
        }
        Step::Ready(_) => {}
    }
    Ok(())
}

/// Makes the payload of a batch in which nothing is looked up, and gives the oldest version of the encoding
/// that has all of it; nothing if something is looked up.
fn encode_ready(batch: &[Request], seal: Option<&dyn EventSeal>, framed: &mut Framed) -> Result<Option<u16>> {
    // Only what takes a whole conversation's place is longer than a caller's batch.
    let mut schema = if batch.len() > MAX_BATCH_EVENTS { FOURTH_SCHEMA } else { FIRST_SCHEMA };
    let mut long = 0_usize;
    for request in batch {
        let Step::Ready(change) = &request.step else { return Ok(None) };
        schema = schema.max(schema_of(change));
        long = long.saturating_add(long_part(change));
    }
    must_fit(long)?;
    let changes = batch.iter().filter_map(|request| match &request.step {
        Step::Ready(change) => Some((request, (change, 0))),
        Step::EditMessage(..)
        | Step::RemoveMessage(_)
        | Step::EditAction(..)
        | Step::RemoveAction(_)
        | Step::AppendText { .. }
        | Step::FinishMessage(..) => None,
    });
    encode(changes, seal, framed).map(|()| Some(schema))
}

/// What is told of an event that could not be sealed.
#[cold]
fn not_sealed(error: std::io::Error) -> Error {
    Error::io("seal an event in", Path::new("log/keys"), error)
}

/// Makes sure that there is memory to encode so many bytes.
fn must_fit(bytes: usize) -> Result<()> {
    vfs::room_for(bytes).map_err(|_| {
        Error::new(ErrorKind::OutOfMemory, format!("there is no memory to encode what has {bytes} bytes"))
    })
}

fn encode<'e>(
    events: impl Iterator<Item = (&'e Request, (&'e Change, u64))>,
    seal: Option<&dyn EventSeal>,
    framed: &mut Framed,
) -> Result<()> {
    // Most batches are about one conversation, whose id need not be packed for each event.
    let mut last = ("", IdView::Text(b""));
    for (request, (change, at)) in events {
        if request.conversation_id != last.0 {
            last = (&request.conversation_id, IdView::of(request.conversation_id.as_bytes()));
        }
        let key = request.key.as_deref().map(|text| KeyView { text, fingerprint: request.fingerprint });
        let start = framed.end().len();
        let encoded = encode_parts(last.1, change, at, key, framed.end());
        if let Some(seal) = seal {
            framed.note_plain(start);
            seal.seal(last.0, framed.end(), start).map_err(not_sealed)?;
        }
        encoded
            .filter(|_| framed.payload().len() <= MAX_PAYLOAD)
            .ok_or_else(|| Error::invalid(format!("the batch is over the limit of {MAX_PAYLOAD} bytes")))?;
    }
    Ok(())
}
