//! Whose the events may be that are lost.
//!
//! Owns the names that a report gives where no conversation is known: those in the damaged bytes, which nothing
//! proves, and those of the records before and behind, which prove themselves.

use crate::codec::payload::named_in;
use crate::model::{Event, Loss};

/// How many conversations of a record are named.
const NAMED: usize = 3;

/// The conversations of the records around each fault of a log.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    /// Those of the last record that was read.
    last: Vec<String>,
    /// Those before and behind each fault.
    around: Vec<[Vec<String>; 2]>,
}

impl Neighbours {
    /// Takes note of a record, and of how many faults were found before it.
    pub(super) fn note<'e>(&mut self, events: impl Iterator<Item = &'e Event>, faults: usize) {
        let mut names: Vec<String> = Vec::new();
        for event in events {
            let id = &event.conversation_id;
            if names.len() < NAMED && !names.contains(id) {
                names.push(id.clone());
            }
        }
        while self.around.len() < faults {
            self.around.push([self.last.clone(), names.clone()]);
        }
        self.last = names;
    }

    /// Those before and behind a fault.
    fn of(&self, fault: usize) -> [&[String]; 2] {
        match self.around.get(fault) {
            Some([before, behind]) => [before, behind],
            None => [&self.last, &[]],
        }
    }

    /// Names in a loss the conversations that it may concern.
    pub(super) fn tell(&self, fault: usize, payloads: &[Vec<u8>], loss: &mut Loss) {
        for name in payloads.iter().flat_map(|payload| named_in(payload)) {
            if !loss.named.contains(&name) {
                loss.named.push(name);
            }
        }
        for name in self.of(fault).concat() {
            if !loss.near.contains(&name) {
                loss.near.push(name);
            }
        }
    }
}
