//! Judging batches, and what they come to.
//!
//! Owns the rounds: batches are judged on what was read at once, each on what those before it left pending. Pure: it asks
//! nobody, and nothing is carried out here.

use smallvec::SmallVec;

use super::columns::{Numbers, id_view};
use super::connection::Statement;
use super::load::{Kept, Loaded};
use super::plan::{Plan, Ready};
use crate::codec::bytes::to_u64;
use crate::codec::frame::MAX_PAYLOAD;
use crate::codec::payload::{KeyView, encode_parts};
use crate::error::{Error, Result};
use crate::model::{Seq, Version};
use crate::rules::{KeyRecord, Pending, Refusal, Request, Resolved, Validation};

/// What came of a batch.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It was carried out before.
    Before(Vec<KeyRecord>),
    /// It was carried out now; each of its events left its conversation with a version.
    Now { first_seq: Seq, versions: SmallVec<[Version; 1]> },
}

/// The mark of a transaction that was to write an event of this number first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) first_seq: Seq,
    pub(super) id: [u8; 16],
}

/// What some batches come to.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Of the first ones: behind them stands one that looks for what an earlier one has changed, so that what that one writes has to be read first.
    pub(super) outcomes: Vec<Result<Outcome>>,
    pub(super) next_seq: Seq,
    pub(super) statements: Vec<Statement<'static>>,
    /// How the conversations stand then that were changed; `None` for one that is not there any more.
    pub(super) states: Vec<(String, Option<Kept>)>,
}

/// Judges batches on what was read.
pub(super) fn judge(batches: &[&[Request]], loaded: &Loaded, group: Group, next_seq: Seq) -> Judged {
    let mut round = Round { loaded, pending: Pending::default(), plan: Plan::default(), group, next_seq };
    let outcomes = batches.iter().map_while(|batch| round.judge(batch)).collect();
    let states = round.plan.states().collect();
    Judged { outcomes, next_seq: round.next_seq, statements: round.plan.into_statements(), states }
}

/// Batches that are judged on what was read at once, each on what those before it left pending.
struct Round<'r> {
    loaded: &'r Loaded,
    pending: Pending,
    plan: Plan,
    group: Group,
    next_seq: Seq,
}

impl Round<'_> {
    /// What comes of a batch; `None` if something has to be read first.
    fn judge(&mut self, batch: &[Request]) -> Option<Result<Outcome>> {
        let mut validation = Validation::new(self.loaded, &self.pending, &self.loaded.lookups, self.next_seq);
        let resolved = match validation.resolve(batch) {
            Ok(resolved) => resolved,
            Err(Refusal::Known(known)) => return Some(Ok(Outcome::Before(known))),
            Err(Refusal::Impossible(error)) => return Some(Err(error)),
            Err(Refusal::Stale) => return None,
        };
        let payloads = match encode(batch, &resolved) {
            Ok(payloads) => payloads,
            Err(error) => return Some(Err(error)),
        };
        let accepted = validation.into_accepted();
        self.pending.add(accepted);
        let (first_seq, last_seq) = (self.next_seq, self.next_seq + to_u64(batch.len()) - 1);
        for ((request, resolved), (seq, payload)) in
            batch.iter().zip(&resolved).zip((first_seq..).zip(payloads))
        {
            let numbers = Numbers { seq, first_seq, last_seq, schema: resolved.schema };
            let (change, at, version) = (&*resolved.change, resolved.at, resolved.version);
            let group = (seq == self.group.first_seq).then_some(&self.group.id);
            let whole = resolved.whole.as_deref();
            self.plan.add(
                self.loaded,
                Ready { request, change, whole, at, version, numbers, payload },
                group,
            );
        }
        self.next_seq = last_seq + 1;
        let versions = resolved.iter().map(|resolved| resolved.version).collect();
        Some(Ok(Outcome::Now { first_seq, versions }))
    }
}
/// The events of a batch in the log's encoding.
fn encode(batch: &[Request], resolved: &[Resolved<'_>]) -> Result<Vec<Vec<u8>>> {
    let mut left = MAX_PAYLOAD;
    let mut payloads = Vec::with_capacity(batch.len());
    let over = || Error::invalid(format!("the batch is over the limit of {MAX_PAYLOAD} bytes"));
    for (request, resolved) in batch.iter().zip(resolved) {
        let key = request.key.as_deref().map(|text| KeyView { text, fingerprint: request.fingerprint });
        let mut payload = Vec::new();
        encode_parts(id_view(&request.conversation_id), &resolved.change, resolved.at, key, &mut payload)
            .ok_or_else(over)?;
        left = left.checked_sub(payload.len()).ok_or_else(over)?;
        payloads.push(payload);
    }
    Ok(payloads)
}
