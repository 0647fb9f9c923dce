//! What a conversation's file has, held against what the log says of it, where no checkpoint says how far the file is.
//!
//! Owns the verdict on each event of a message or an action. An id of which one event cannot be judged is believed of the
//! file, for all events of that id that follow: carried out, they would hit what the file has under the id.

use std::collections::HashMap;

use crate::codec::bytes::to_usize;
use crate::codec::document::{Document, Fallback, Item, read_action, read_message};
use crate::model::{Change, Event, Seq, Text, Timestamp};

/// What an event is to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The file does not have it: it is carried out.
    Missing,
    /// The file has just what it adds.
    InFile,
    /// Nobody can say whether the file has it.
    Unproven(Doubt),
}

/// Why nobody can say whether a file has an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Doubt {
    /// The file has something else under the id: what was made of it, or another one that was given the id too.
    Other,
    /// The file has the id more than once.
    Several,
    /// An event before it, of the same id, is in doubt.
    Follows,
}

/// The messages and the actions of a file.
#[derive(Debug, Default)]
pub(super) struct Items {
    messages: Kind,
    actions: Kind,
}

/// Those of one kind.
#[derive(Debug, Default)]
struct Kind {
    in_file: HashMap<Text, Known>,
    /// What the file has nothing of and the log adds, with the number of the event.
    added: HashMap<Text, Seq>,
    /// The newest event that adds something of which the file has the id.
    newest_in_file: Seq,
}

/// What the file has under one id.
#[derive(Debug, Default)]
struct Known {
    count: usize,
    /// The checksums of those that no event has been found for.
    sums: Vec<u32>,
    is_in_doubt: bool,
}

impl Items {
    pub(super) fn of(document: &Document, bytes: &[u8]) -> Self {
        let created_at = document.head.created_at.unwrap_or(Timestamp::EPOCH);
        let mut items = Self::default();
        let slice = |item: &Item| {
            let start = to_usize(item.offset);
            bytes.get(start..start + to_usize(u64::from(item.len))).unwrap_or_default()
        };
        for item in &document.messages {
            let Some(id) = item.id.clone() else { continue };
            let read = read_message(slice(item), &Fallback { id: || id.clone(), created_at });
            let sum = read.map_or(0, |message| checksum(Change::AddMessage(message)));
            items.messages.has(id, sum);
        }
        for item in &document.actions {
            let Some(id) = item.id.clone() else { continue };
            let read = read_action(slice(item), &Fallback { id: || id.clone(), created_at });
            let sum = read.map_or(0, |action| checksum(Change::AddAction(action)));
            items.actions.has(id, sum);
        }
        items
    }

    /// Judges an event, and remembers it for those that follow.
    pub(super) fn judge(&mut self, seq: Seq, change: &Change) -> Verdict {
        let is_of_action =
            matches!(change, Change::AddAction(_) | Change::EditAction(_) | Change::RemoveAction(_));
        let kind = if is_of_action { &mut self.actions } else { &mut self.messages };
        match change.subject() {
            Some(id) => kind.judge(seq, id, change),
            None => Verdict::Missing,
        }
    }

    /// How many were added at the end though something that stands in the file came behind them.
    pub(super) fn out_of_place(&self) -> usize {
        let late = |kind: &Kind| kind.added.values().filter(|seq| **seq < kind.newest_in_file).count();
        late(&self.messages) + late(&self.actions)
    }
}

impl Kind {
    fn has(&mut self, id: Text, sum: u32) {
        let known = self.in_file.entry(id).or_default();
        known.count += 1;
        known.sums.push(sum);
    }

    fn judge(&mut self, seq: Seq, id: &Text, change: &Change) -> Verdict {
        let adds = matches!(change, Change::AddMessage(_) | Change::AddAction(_));
        let removes = matches!(change, Change::RemoveMessage(_) | Change::RemoveAction(_));
        let Some(known) = self.in_file.get_mut(id) else {
            if adds {
                self.added.insert(id.clone(), seq);
            } else if removes {
                self.added.remove(id);
            }
            return Verdict::Missing;
        };
        if adds {
            self.newest_in_file = seq;
        }
        let doubt = if known.is_in_doubt {
            Doubt::Follows
        } else if adds {
            let sum = checksum(change.clone());
            // What was found once stands for one event: an id may have been given twice.
            if let Some(at) = known.sums.iter().position(|known| *known == sum) {
                known.sums.swap_remove(at);
                return Verdict::InFile;
            }
            Doubt::Other
        } else if known.count > 1 {
            Doubt::Several
        } else {
            if removes {
                self.in_file.remove(id);
            }
            return Verdict::Missing;
        };
        known.is_in_doubt = true;
        Verdict::Unproven(doubt)
    }
}

/// A checksum of everything that a change says.
fn checksum(change: Change) -> u32 {
    let event = Event::new(String::new(), change);
    crc32fast::hash(event.to_json_line(0).as_bytes())
}
