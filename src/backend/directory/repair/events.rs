//! Carrying the events of a damaged log out again.
//!
//! Owns what becomes of an event that does not fit because what came before it is lost. An event that a
//! file has in it already is not carried out twice.

use std::path::Path;

use super::already_applied::AlreadyApplied;
use super::neighbours::Neighbours;
use super::{is_no_damage, loss};
use crate::backend::directory::engine::Engine;
use crate::codec::bytes::{to_u64, to_usize};
use crate::codec::checkpoint::Checkpoint;
use crate::codec::payload::{BadPayload, for_each_event, too_new};
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::Inventory;
use crate::log::opened::open_frame;
use crate::log::salvage::{self, Fault, Missing};
use crate::log::scan::Frame;
use crate::model::{Change, Event, JsonObject, Message, RepairReport, Seq, Text, Timestamp};
use crate::rules::Request;
use crate::snapshot::held::{for_each_held, holds_of};
use crate::vfs::{EventSeal, Vfs};

/// The way of the events into the new store.
pub(super) struct Events<'e> {
    pub(super) engine: &'e Engine,
    /// What the events of the damaged store are sealed with, if they are.
    pub(super) seal: Option<&'e dyn EventSeal>,
    pub(super) ahead: &'e mut AlreadyApplied,
    pub(super) report: &'e mut RepairReport,
    pub(super) neighbours: &'e mut Neighbours,
}

/// An event with its number.
struct Found {
    seq: Seq,
    event: Event,
}

impl Events<'_> {
    /// Carries out what a compaction could not take into a damaged file.
    pub(super) fn held(
        &mut self,
        vfs: &dyn Vfs,
        inventory: &Inventory,
        log: &Path,
        checkpoint: &Checkpoint,
    ) -> Result<()> {
        let holds = holds_of(checkpoint);
        for segment in &checkpoint.held().segments {
            let fault = salvage::salvage_held(vfs, inventory, log, segment, &mut |path, frame| {
                let mut found = Vec::new();
                let read = for_each_held((self.seal, path), frame, &holds, &mut |_, view, seq, _| {
                    let event = view.to_event().map_err(|bad| Error::corrupt(path, frame.offset, bad.0))?;
                    // Its key is in the checkpoint, as one that was used.
                    found.push(Found { seq, event: Event { key: None, fingerprint: 0, ..event } });
                    Ok(())
                });
                match read {
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        self.report.lost.push(loss(&error, None, None));
                    }
                    read => read?,
                }
                found.retain(|found| !self.ahead.has(found.seq, &found.event));
                found.iter().try_for_each(|found| self.one(path, frame.offset, found))
            })?;
            match fault {
                Some(Fault { error, .. }) if is_no_damage(&error) => return Err(error),
                Some(Fault { error, missing: Missing::Between(first, last), .. }) => {
                    self.report.lost.push(loss(&error, None, Some((first, Some(last)))));
                }
                Some(Fault { error, .. }) => {
                    self.report.notes.push(format!("no event is lost there: {error}"));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Carries the events of a frame out, before which so many faults were found.
    pub(super) fn frame(&mut self, path: &Path, frame: &Frame<'_>, faults: usize) -> Result<()> {
        let events = u64::from(frame.header.events);
        if events == 0 {
            return Ok(());
        }
        let (first, at) = (frame.header.first_seq, Some(frame.offset));
        if let Some(reason) = too_new(frame.header.schema) {
            return Err(Error::new(ErrorKind::UnsupportedFormat, reason).at(path, at));
        }
        let opened = match open_frame(self.seal, path, frame) {
            Ok(opened) => opened,
            // What no key opens is lost, whatever its checksum says.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.report.lost.push(loss(&error, None, Some((first, Some(first + events - 1)))));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut batch = Vec::new();
        let read = for_each_event::<BadPayload>(opened.payload(), frame.header.events, |view, _| {
            let seq = first + u64::try_from(batch.len()).unwrap_or_default();
            batch.push(Found { seq, event: view.to_event()? });
            Ok(())
        });
        if let Err(bad) = read {
            let error = Error::new(ErrorKind::Corrupt, bad.0).at(path, at);
            self.report.lost.push(loss(&error, None, Some((first, Some(first + events - 1)))));
            return Ok(());
        }
        self.neighbours.note(batch.iter().map(|found| &found.event), faults);
        batch.retain(|found| !self.ahead.has(found.seq, &found.event));
        if batch.is_empty() {
            return Ok(());
        }
        let request: Vec<Request> =
            batch.iter().map(|found| Request::of_event(found.event.clone())).collect();
        match self.engine.append_prepared(&request) {
            Ok(_) => self.report.events += u64::try_from(batch.len()).unwrap_or_default(),
            // A part of it does not fit; the rest may.
            Err(error) if is_misfit(&error) => {
                for found in batch {
                    self.one(path, frame.offset, &found)?;
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn one(&mut self, path: &Path, offset: u64, found: &Found) -> Result<()> {
        let error = match self.engine.append_prepared(&[Request::of_event(found.event.clone())]) {
            Ok(_) => {
                self.report.events += 1;
                return Ok(());
            }
            Err(error) if is_misfit(&error) => error,
            Err(error) => return Err(error),
        };
        let what = match &found.event.change {
            // What it takes away is not there.
            Change::RemoveMessage(_) | Change::RemoveAction(_) | Change::Clear | Change::Remove { .. }
                if error.kind() == ErrorKind::NotFound =>
            {
                return Ok(());
            }
            _ if found.event.key.is_some() && error.kind() == ErrorKind::Conflict => {
                let event = Event { key: None, ..found.event.clone() };
                return self.one(path, offset, &Found { event, ..*found });
            }
            Change::EditMessage(message) => {
                self.instead(found, Change::AddMessage(message.clone()))?;
                "the message that it changes is lost, so it was added at the end, as it was after the change"
            }
            Change::AppendText { message_id, offset, text } => {
                match self.append_what_is_left(found, (message_id, *offset, text))? {
                    Some(what) => what,
                    None => return Ok(()),
                }
            }
            Change::EditAction(action) => {
                self.instead(found, Change::AddAction(action.clone()))?;
                "the action that it changes is lost, so it was added at the end, as it was after the change"
            }
            Change::Create { .. }
            | Change::SetTitle(_)
            | Change::SetMetadata(_)
            | Change::AddMessage(_)
            | Change::AddAction(_)
            | Change::RemoveMessage(_)
            | Change::RemoveAction(_)
            | Change::Clear
            | Change::Remove { .. }
            | Change::SetVersion(_)
            | Change::Reset { .. }
            | Change::SetCreatedAt(_)
            | Change::SetExtra(_) => "it cannot be carried out",
        };
        let reason = format!("{what}: {}", error.message());
        let error = Error::new(ErrorKind::Corrupt, reason).at(path, Some(offset));
        let seqs = Some((found.seq, Some(found.seq)));
        self.report.lost.push(loss(&error, Some(&found.event.conversation_id), seqs));
        Ok(())
    }

    /// Puts a piece of a reply behind what is left of it, and says so; nothing if it is there already.
    fn append_what_is_left(
        &mut self,
        found: &Found,
        (message_id, offset, text): (&Text, u64, &Text),
    ) -> Result<Option<&'static str>> {
        let there = self.engine.reads().message(&found.event.conversation_id, message_id.into())?;
        let Some(message) = there else {
            let mut message = Message::new(message_id, text, "assistant", Timestamp::EPOCH);
            message.metadata = JsonObject::EMPTY.with_mark()?;
            self.instead(found, Change::AddMessage(message))?;
            return Ok(Some("the beginning of the reply is lost, so this piece of it was added at the end"));
        };
        let rest = message.content.as_wtf8().get(to_usize(offset)..);
        if rest.is_some_and(|rest| rest.starts_with(text.as_wtf8())) {
            return Ok(None);
        }
        if !message.is_partial() {
            return Ok(Some("the reply that it belongs to has another text by now, so it was left out"));
        }
        let offset = to_u64(message.content.len());
        let (message_id, text) = (message_id.clone(), text.clone());
        self.instead(found, Change::AppendText { message_id, offset, text })?;
        Ok(Some("a piece of the reply before it is lost, so it was put behind what there is"))
    }

    /// Carries another change out in an event's place.
    fn instead(&mut self, found: &Found, change: Change) -> Result<()> {
        let event = Event { change, key: None, ..found.event.clone() };
        drop(self.engine.append_prepared(&[Request::of_event(event)])?);
        self.report.events += 1;
        Ok(())
    }
}

/// Whether an error is about the event and not about the new store.
fn is_misfit(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput
            | ErrorKind::Conflict
            | ErrorKind::AlreadyExists
            | ErrorKind::NotFound
            | ErrorKind::Corrupt
    )
}
