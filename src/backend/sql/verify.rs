//! Verifying: do the tables say what the events led to?
//!
//! Owns the folding of all events, and the comparison. It holds the whole store in memory meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use super::columns::{corrupt, id_at, number_at};
use super::connection::{Connection, Dialect, all};
use super::events::{each_from, with_event};
use super::reads::{self, Wanted};
use super::search_check;
use crate::codec::bytes::{to_u64, to_usize};
use crate::codec::payload::{ChangeView, EventView};
use crate::error::{ErrorKind, Result};
use crate::model::{Change, Conversations, DamagedFile, Order, Seq, Summary, Text, Tombstone, VerifyReport};
use crate::rules::{Folded, KeyRecord};

/// What the events led to.
#[derive(Debug, Default)]
struct Fold {
    /// With the numbers of the events with which they began.
    conversations: HashMap<String, (Seq, Folded)>,
    keys: BTreeMap<Vec<u8>, KeyRecord>,
    removed: BTreeMap<Seq, Tombstone>,
    next_seq: Seq,
    bytes: u64,
}

/// What is wrong, so far.
struct Findings<'f> {
    place: &'f Path,
    damaged: Vec<DamagedFile>,
}

impl Findings<'_> {
    fn add(&mut self, conversation_id: Option<&str>, reason: impl Into<String>) {
        let conversation_id = conversation_id.map(str::to_owned);
        let (path, reason) = (self.place.to_owned(), reason.into());
        self.damaged.push(DamagedFile { path, offset: None, conversation_id, reason, is_forbidden: false });
    }
}

/// Reads everything and says what is wrong with it.
pub(super) fn verify(
    connection: &mut dyn Connection,
    dialect: Dialect,
    place: &Path,
) -> Result<VerifyReport> {
    let mut findings = Findings { place, damaged: Vec::new() };
    for reason in connection.check_integrity()? {
        findings.add(None, reason);
    }
    let mut fold = Fold { next_seq: 1, ..Fold::default() };
    let folded = each_from(connection, 1, &mut |row| {
        with_event(row, |numbers, view| fold.event(numbers.seq, view))?;
        fold.bytes += to_u64(row.bytes(5)?.len());
        Ok(ControlFlow::Continue(()))
    });
    let mut report = VerifyReport { files: 1, ..VerifyReport::default() };
    match folded {
        Ok(()) => compare(connection, &fold, &mut findings)?,
        // What the events lead to is unknown behind one that cannot be read.
        Err(error) if error.kind() == ErrorKind::Corrupt => findings.add(None, error.message()),
        Err(error) => return Err(error),
    }
    if let Some(reason) = search_check::check(connection, dialect)? {
        findings.add(None, reason);
    }
    report.bytes = fold.bytes;
    report.events = fold.next_seq - 1;
    report.conversations = to_u64(fold.conversations.len());
    report.damaged = findings.damaged;
    Ok(report)
}

impl Fold {
    fn event(&mut self, seq: Seq, view: &EventView<'_>) -> Result<()> {
        let bad = |reason: &str| corrupt(format!("event {seq}: {reason}"));
        if seq != self.next_seq {
            return Err(corrupt(format!("event {} is missing", self.next_seq)));
        }
        self.next_seq = seq + 1;
        let event = view.to_event().map_err(|damage| bad(&damage.0))?;
        let id = event.conversation_id;
        if !self.conversations.contains_key(&id)
            && let Some(begun) = Folded::begun_by(&id, &event.change, seq)
        {
            self.removed.retain(|_, tombstone| tombstone.id != id);
            self.conversations.insert(id.clone(), (seq, begun));
        }
        let (_, folded) =
            self.conversations.get_mut(&id).ok_or_else(|| bad("its conversation does not exist"))?;
        if !stands_at(folded, &event.change, place_of(&view.change)) {
            return Err(bad("what it changes is not at its place"));
        }
        // Order: the version is counted on first. One that begins anew goes on counting.
        let version = if let Change::SetVersion(version) = event.change {
            version
        } else {
            folded.conversation.version + 1
        };
        folded.apply(&event.change, to_usize(place_of(&view.change)));
        folded.conversation.version = version;
        folded.last_seq = seq;
        if let (Some(key), Some(name)) = (view.key, event.key) {
            let subject = event.change.subject().map_or(id.as_bytes(), Text::as_wtf8).into();
            let fingerprint = key.fingerprint;
            let record =
                KeyRecord { fingerprint, conversation_id: id.as_str().into(), id: subject, seq, version };
            self.keys.insert(name.into_bytes(), record);
        }
        if let Change::Remove { removed_at } = event.change {
            self.conversations.remove(&id);
            self.removed.insert(seq, Tombstone { id, seq, removed_at });
        }
        Ok(())
    }
}

/// The place of what an event edits or removes.
fn place_of(change: &ChangeView<'_>) -> u64 {
    match change {
        ChangeView::EditMessage { at, .. }
        | ChangeView::RemoveMessage { at, .. }
        | ChangeView::EditAction { at, .. }
        | ChangeView::RemoveAction { at, .. } => *at,
        ChangeView::Create { .. }
        | ChangeView::SetTitle(_)
        | ChangeView::SetMetadata(_)
        | ChangeView::AddMessage(_)
        | ChangeView::AddAction(_)
        | ChangeView::Clear
        | ChangeView::Remove
        | ChangeView::Reset { .. }
        | ChangeView::SetCreatedAt(_)
        | ChangeView::SetExtra(_)
        | ChangeView::RemoveAt(_)
        | ChangeView::SetVersion(_) => 0,
    }
}

/// Whether what a change edits or removes stands at its place.
fn stands_at(folded: &Folded, change: &Change, at: u64) -> bool {
    let (conversation, at) = (&folded.conversation, to_usize(at));
    let is_message = |id: &Text| conversation.messages.get(at).is_some_and(|message| message.id == *id);
    let is_action = |id: &Text| conversation.actions.get(at).is_some_and(|action| action.id == *id);
    match change {
        Change::EditMessage(message) => is_message(&message.id),
        Change::RemoveMessage(id) => is_message(id),
        Change::EditAction(action) => is_action(&action.id),
        Change::RemoveAction(id) => is_action(id),
        Change::Create { .. }
        | Change::Reset { .. }
        | Change::AddMessage(_)
        | Change::AddAction(_)
        | Change::SetTitle(_)
        | Change::SetMetadata(_)
        | Change::SetCreatedAt(_)
        | Change::SetExtra(_)
        | Change::Clear
        | Change::SetVersion(_)
        | Change::Remove { .. } => true,
    }
}

/// Compares the tables with what the events led to.
fn compare(connection: &mut dyn Connection, fold: &Fold, findings: &mut Findings<'_>) -> Result<()> {
    let last_seq = reads::last_seq(connection)?;
    if last_seq + 1 != fold.next_seq {
        let reason =
            format!("aral_meta says that event {last_seq} is the last, and it is {}", fold.next_seq - 1);
        findings.add(None, reason);
    }
    let mut ought: Vec<(&Seq, &Folded)> =
        fold.conversations.values().map(|(seq, folded)| (seq, folded)).collect();
    ought.sort_by_key(|(seq, _)| **seq);
    let is = reads::list(connection, &Conversations::by(Order::Created))?;
    let ids = |list: &[Summary]| list.iter().map(|summary| summary.id.clone()).collect::<Vec<_>>();
    let ought_ids: Vec<String> = ought.iter().map(|(_, folded)| folded.conversation.id.clone()).collect();
    if ids(&is) != ought_ids {
        findings.add(None, "aral_conversation_rows does not list the conversations that the events made");
    }
    for (_, folded) in ought {
        let id = &folded.conversation.id;
        let summary = reads::summary(connection, id);
        let whole = reads::conversation(connection, id, Wanted::All);
        match (summary, whole) {
            (Err(error), _) | (_, Err(error)) if error.kind() == ErrorKind::Corrupt => {
                findings.add(Some(id), error.message());
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
            (Ok(summary), Ok(whole)) => {
                let is_so = summary.is_some_and(|summary| summary == folded.summary())
                    && whole.is_some_and(|whole| whole == folded.conversation);
                if !is_so {
                    findings.add(Some(id), "its rows are not what the events led to");
                }
            }
        }
    }
    check_places(connection, findings)?;
    let is: BTreeMap<Seq, Tombstone> =
        reads::tombstones(connection)?.into_iter().map(|tombstone| (tombstone.seq, tombstone)).collect();
    if !is.iter().all(|(seq, tombstone)| fold.removed.get(seq) == Some(tombstone))
        || is.len() < fold.removed.len().min(crate::rules::KEPT_TOMBSTONES)
    {
        findings.add(None, "aral_tombstones is not what the events led to");
    }
    if keys(connection)? != fold.keys {
        findings.add(None, "aral_keys is not what the events led to");
    }
    Ok(())
}

/// Rows that no conversation has, and places that are not counted on.
fn check_places(connection: &mut dyn Connection, findings: &mut Findings<'_>) -> Result<()> {
    for table in ["aral_message_rows", "aral_action_rows"] {
        let sql = format!(
            "SELECT t.conversation FROM {table} t GROUP BY t.conversation \
             HAVING MIN(t.place) <> 0 OR MAX(t.place) <> COUNT(*) - 1 OR COUNT(DISTINCT t.place) <> COUNT(*) \
             UNION SELECT t.conversation FROM {table} t \
             WHERE t.conversation NOT IN (SELECT number FROM aral_conversation_rows)"
        );
        for number in all(connection, &sql, &[], |row| number_at(row, 0))? {
            let reason =
                format!("{table} has places for conversation {number} that are not those of its items");
            findings.add(None, reason);
        }
    }
    Ok(())
}

fn keys(connection: &mut dyn Connection) -> Result<BTreeMap<Vec<u8>, KeyRecord>> {
    let sql = "SELECT name, fingerprint, conversation_id, id, seq, version FROM aral_keys";
    let found = all(connection, sql, &[], |row| {
        let record = KeyRecord {
            fingerprint: u32::try_from(row.int(1)?).unwrap_or_default(),
            conversation_id: id_at(row, 2)?.into(),
            id: row.bytes(3)?.into(),
            seq: number_at(row, 4)?,
            version: number_at(row, 5)?,
        };
        Ok((row.bytes(0)?.to_vec(), record))
    })?;
    Ok(found.into_iter().collect())
}
