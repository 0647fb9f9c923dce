//! Keeping for consumers what a compaction covers and they have not read.
//!
//! Owns the object that says which places of the log were left as they are, and the decision of each compaction, of which there is one
//! whoever publishes it: it counts once it is in that object, and only what is said there to go is emptied. A store that never had a consumer
//! has no such object, and everything that is covered is emptied.

use std::collections::BTreeSet;

use super::names;
use super::objects::{Found, Objects};
use super::tries;
use crate::codec::checkpoint::CheckpointHead;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Seq, is_consumer_name};

const FIRST_LINE: &str = "aral-store unread 1";

/// A place in the log: its number, and the number of its first event.
pub(super) type At = (u64, Seq);

/// Places of the log that follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stretch {
    pub(super) begin: At,
    /// The place behind the last of them.
    pub(super) end: At,
    pub(super) bytes: u64,
}

/// What a compaction found of an object that it covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CoveredObject {
    pub(super) place: At,
    pub(super) bytes: u64,
}

/// What is kept for consumers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Unread {
    /// Whether consumers go by it. Until the first has looked for the newest checkpoint behind the making of this, what was covered may be
    /// gone, and nothing is kept.
    pub(super) has_begun: bool,
    /// How often a cursor was put before what was decided: whoever decides meanwhile has to look at the cursors again.
    pub(super) turn: u64,
    /// The names of the consumers that there ever were. A list of their cursors may lag.
    pub(super) names: BTreeSet<String>,
    /// Behind this nothing is decided yet: it is there as long as no compaction covers it, and until the decision if one does.
    pub(super) decided: At,
    /// What is kept, oldest first, each behind the one before.
    pub(super) kept: Vec<Stretch>,
    /// What is to be emptied, and may be already.
    pub(super) going: Vec<Stretch>,
}

impl Unread {
    /// The oldest place that has not been emptied.
    pub(super) fn begin(&self) -> At {
        self.kept.first().map_or(self.decided, |stretch| stretch.begin)
    }

    fn encode(&self) -> Vec<u8> {
        let begun = if self.has_begun { "yes" } else { "no" };
        let (number, seq) = self.decided;
        let head = format!("{FIRST_LINE}\nbegun {begun}\nturn {}\ndecided {number} {seq}\n", self.turn);
        let names = self.names.iter().map(|name| format!("consumer {name}\n"));
        let stretches = |word: &'static str, list: &[Stretch]| -> Vec<String> {
            let line = |Stretch { begin, end, bytes }: &Stretch| {
                format!("{word} {} {} {} {} {bytes}\n", begin.0, begin.1, end.0, end.1)
            };
            list.iter().map(line).collect()
        };
        let (kept, going) = (stretches("kept", &self.kept), stretches("going", &self.going));
        let text: String = [head].into_iter().chain(names).chain(kept).chain(going).collect();
        let crc = crc32fast::hash(text.as_bytes());
        format!("{text}crc {crc:08x}\n").into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut unread, mut lines) = (Self::default(), std::str::from_utf8(bytes).ok()?.lines());
        if lines.next()? != FIRST_LINE {
            return None;
        }
        for line in lines {
            let (word, rest) = line.split_once(' ')?;
            let numbers: Vec<u64> = rest.split(' ').filter_map(|number| number.parse().ok()).collect();
            match (word, numbers.as_slice()) {
                ("decided", [number, seq]) => unread.decided = (*number, *seq),
                ("kept" | "going", [number, seq, end, behind, bytes]) => {
                    let stretch = Stretch { begin: (*number, *seq), end: (*end, *behind), bytes: *bytes };
                    if word == "kept" { &mut unread.kept } else { &mut unread.going }.push(stretch);
                }
                ("begun", []) => unread.has_begun = rest == "yes",
                ("turn", [turn]) => unread.turn = *turn,
                ("consumer", _) => drop(unread.names.insert(rest.to_owned())),
                ("crc", _) => {}
                _ => return None,
            }
        }
        // What encodes to the same bytes has the right checksum, and nothing else in it.
        (unread.encode() == bytes).then_some(unread)
    }

    /// Takes the decision of a compaction that covers these objects in: what is behind the lowest cursor stays, the newest of it in so
    /// many bytes at most.
    fn decide(
        &mut self,
        covered: &[CoveredObject],
        (begin, end): (At, At),
        lowest: Option<Seq>,
        most_bytes: u64,
    ) {
        if self.decided != begin {
            // Somebody has compacted who does not know of consumers. What is before that leads to nothing.
            self.going.append(&mut self.kept);
        }
        let lowest = lowest.unwrap_or(Seq::MAX);
        let (mut sum, mut from) = (0_u64, end);
        for object in covered.iter().rev() {
            let is_read = from.1 <= lowest.saturating_add(1);
            if is_read || sum.saturating_add(object.bytes) > most_bytes {
                break;
            }
            (sum, from) = (sum + object.bytes, object.place);
        }
        if from < end {
            let kept = if from == begin { std::mem::take(&mut self.kept) } else { Vec::new() };
            self.going.append(&mut self.kept);
            let mut stays = vec![Stretch { begin: from, end, bytes: sum }];
            for stretch in kept.into_iter().rev() {
                let is_last = stays.last().is_some_and(|last| last.begin == stretch.end);
                let is_kept = stretch.end.1 > lowest.saturating_add(1);
                if is_last && is_kept && sum.saturating_add(stretch.bytes) <= most_bytes {
                    sum += stretch.bytes;
                    stays.push(stretch);
                } else {
                    self.going.push(stretch);
                }
            }
            stays.reverse();
            self.kept = stays;
        } else {
            self.going.append(&mut self.kept);
        }
        if begin < from {
            self.going.push(Stretch { begin, end: from, bytes: 0 });
        }
        self.decided = end;
    }
}

/// The error for what says what is kept, if it cannot be read.
fn damaged(objects: &dyn Objects) -> Error {
    let reason = "it does not say what is kept for consumers; the next compaction makes it anew, and what it kept before is missed";
    Error::new(ErrorKind::Corrupt, reason).at(&objects.place().join(names::UNREAD), None)
}

/// What is kept for consumers; `None` if there never was one.
///
/// # Errors
///
/// `Corrupt` if nobody can read it.
pub(super) fn read(objects: &dyn Objects) -> Result<Option<Unread>> {
    let found = tries::get(objects, names::UNREAD)?;
    let unread =
        found.map(|found| Unread::decode(&found.bytes).ok_or_else(|| damaged(objects))).transpose()?;
    Ok(unread.filter(|unread| unread.has_begun))
}

/// Sees to it that compactions decide what is kept for a consumer, from the one on that is behind the newest checkpoint there is by then.
///
/// # Errors
///
/// `Corrupt` if nobody can read what is kept.
pub(super) fn begin(objects: &dyn Objects, name: &str, newest: &dyn Fn() -> Result<At>) -> Result<()> {
    loop {
        let Some(found) = tries::get(objects, names::UNREAD)? else {
            let bytes = Unread { decided: newest()?, ..Unread::default() }.encode();
            tries::create(objects, names::UNREAD, &bytes, &|there| there == bytes)?;
            continue;
        };
        let mut unread = Unread::decode(&found.bytes).ok_or_else(|| damaged(objects))?;
        if unread.has_begun && unread.names.contains(name) {
            return Ok(());
        }
        unread.names.insert(name.to_owned());
        // Order: look for the newest checkpoint once the object is there. A compaction that did not see it has committed before, and
        // one that did has replaced it since.
        let newest = if unread.has_begun { unread.decided } else { newest()? };
        if unread.decided < newest {
            unread.going.push(Stretch { begin: unread.decided, end: newest, bytes: 0 });
            unread.decided = newest;
        }
        unread.has_begun = true;
        if tries::replace(objects, names::UNREAD, &unread.encode(), &found.version)? {
            return Ok(());
        }
    }
}

/// Has whoever is about to decide look at the cursors again. Who asks after this where the log begins is told of every decision that was made
/// on cursors that were there before.
pub(super) fn touch(objects: &dyn Objects) -> Result<()> {
    loop {
        let Some(found) = tries::get(objects, names::UNREAD)? else { return Ok(()) };
        let Some(mut unread) = Unread::decode(&found.bytes) else { return Ok(()) };
        unread.turn += 1;
        if tries::replace(objects, names::UNREAD, &unread.encode(), &found.version)? {
            return Ok(());
        }
    }
}

/// The names of consumers, as a list of their cursors has them.
fn listed(objects: &dyn Objects) -> Result<BTreeSet<String>> {
    let names = tries::list(objects, names::CONSUMERS)?;
    let names = names.iter().filter_map(|name| name.strip_prefix(names::CONSUMERS));
    Ok(names.filter(|name| is_consumer_name(name)).map(str::to_owned).collect())
}

/// The names of the consumers that there ever were.
pub(super) fn names(objects: &dyn Objects) -> Result<BTreeSet<String>> {
    match read(objects) {
        Err(error) if error.kind() == ErrorKind::Corrupt => listed(objects),
        read => Ok(read?.map(|unread| unread.names).unwrap_or_default()),
    }
}

/// What a compaction decides on.
pub(super) struct Decision<'d> {
    /// The first place that it covers.
    pub(super) begin: At,
    /// The objects that it covers, oldest first; none if one of them has been emptied already.
    pub(super) covered: &'d dyn Fn() -> Result<Vec<CoveredObject>>,
    /// The lowest of the cursors; `None` if there are no consumers.
    pub(super) lowest: &'d dyn Fn(&BTreeSet<String>) -> Result<Option<Seq>>,
    pub(super) most_bytes: u64,
}

/// Decides for a checkpoint, unless that was done, and gives what is to be emptied. `None` if there never was a consumer.
pub(super) fn decided(
    objects: &dyn Objects,
    new: &CheckpointHead,
    decision: &Decision<'_>,
) -> Result<Option<Vec<Stretch>>> {
    let end = (new.first_segment, new.covered_seq + 1);
    loop {
        let Some(Found { bytes, version }) = tries::get(objects, names::UNREAD)? else { return Ok(None) };
        let mut unread = match Unread::decode(&bytes) {
            Some(unread) => unread,
            None => Unread { has_begun: true, names: listed(objects)?, ..Unread::default() },
        };
        if unread.decided >= end {
            return Ok(Some(unread.going));
        }
        // Order: the cursors behind the commit of the checkpoint. Before it, a consumer could come in between.
        let lowest = if unread.has_begun { (decision.lowest)(&unread.names)? } else { None };
        let covered = if lowest.is_some() { (decision.covered)()? } else { Vec::new() };
        unread.decide(&covered, (decision.begin, end), lowest, decision.most_bytes);
        if tries::replace(objects, names::UNREAD, &unread.encode(), &version)? {
            return Ok(Some(unread.going));
        }
    }
}

/// Takes note that these have been emptied.
pub(super) fn emptied(objects: &dyn Objects, gone: &[Stretch]) -> Result<()> {
    while !gone.is_empty() {
        let Some(Found { bytes, version }) = tries::get(objects, names::UNREAD)? else { return Ok(()) };
        let Some(mut unread) = Unread::decode(&bytes) else { return Ok(()) };
        let before = unread.going.len();
        unread.going.retain(|stretch| !gone.contains(stretch));
        if unread.going.len() == before || tries::replace(objects, names::UNREAD, &unread.encode(), &version)?
        {
            break;
        }
    }
    Ok(())
}
