//! Processes on one bucket, and what all of them together may have seen.
//!
//! Owns the law: what was acknowledged is there once, what failed is not, and of what nobody knows there is one or none; who reads
//! sees everything that was acknowledged before, and nothing that was not asked for yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::sim::{Client, Shared};
use crate::backend::Backend;
use crate::backend::journal::Engine;
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::error::Result;
use crate::model::{Change, ConsumerCursor, Logged, Messages, Mutation, NewMessage, VerifyReport};
use crate::rules::Walk;

/// One append, as its caller saw it.
#[derive(Clone, Debug)]
pub(super) struct Append {
    conversation: String,
    id: String,
    began: u64,
    ended: u64,
    /// The number that the receipt has; nothing if nobody knows.
    seq: Option<u64>,
}

/// One reading of a conversation.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    reader: usize,
    conversation: String,
    ids: Vec<String>,
    began: u64,
    ended: u64,
}

/// What one consumer was given, and acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Consumed {
    /// Where it was when it was opened.
    from: u64,
    /// What it has acknowledged up to.
    to: u64,
    is_sure: bool,
    began: u64,
    ended: u64,
}

/// What happened.
#[derive(Debug, Default)]
pub(super) struct History {
    time: AtomicU64,
    appends: Mutex<Vec<Append>>,
    readings: Mutex<Vec<Reading>>,
    consumed: Mutex<Vec<Consumed>>,
    open: AtomicU64,
}

pub(super) fn engine(client: Client) -> Engine {
    Engine::open(Arc::new(client), Settings::default()).unwrap()
}

pub(super) fn message(conversation: &str, id: &str) -> Mutation {
    Mutation::add_message(conversation, NewMessage::new(format!("text of {id}")).id(id))
}

impl History {
    /// One in which this was appended as the first event.
    pub(super) fn with(conversation: &str, id: &str) -> Self {
        let history = Self { time: AtomicU64::new(2), ..Self::default() };
        let (conversation, id) = (conversation.to_owned(), id.to_owned());
        locked(&history.appends).push(Append { conversation, id, began: 0, ended: 1, seq: Some(1) });
        history
    }

    fn tick(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn append(&self, engine: &Engine, conversation: &str, id: &str) {
        let began = self.tick();
        // Without a key: with one, what was written twice would be written once.
        let receipts = engine.append(vec![message(conversation, id)]);
        let seq = match receipts {
            Ok(receipts) => Some(receipts[0].seq),
            Err(error) => {
                assert_eq!(error.kind(), crate::error::ErrorKind::Io, "{error}");
                self.open.fetch_add(1, Ordering::SeqCst);
                None
            }
        };
        let (conversation, id) = (conversation.to_owned(), id.to_owned());
        locked(&self.appends).push(Append { conversation, id, began, ended: self.tick(), seq });
    }

    pub(super) fn read(&self, engine: &Engine, reader: usize, conversation: &str) {
        let began = self.tick();
        let Ok(messages) =
            engine.conversation(conversation).map(|found| found.map_or(Vec::new(), |found| found.messages))
        else {
            return;
        };
        let ids = messages.iter().map(|message| message.id.to_string_lossy().into_owned()).collect();
        let conversation = conversation.to_owned();
        locked(&self.readings).push(Reading { reader, conversation, ids, began, ended: self.tick() });
    }

    /// The same by what is kept of the past: what it was in the beginning, and what has been added since.
    pub(super) fn look_back(&self, engine: &Engine, reader: usize, conversation: &str) {
        let began = self.tick();
        let Ok(past) = engine.history(conversation) else { return };
        // One that begins behind the event that began it was there.
        let state = Walk::begin(&past).steps(&past.events).unwrap().state;
        let messages = state.map_or(Vec::new(), |state| state.conversation.messages);
        let ids = messages.iter().map(|message| message.id.to_string_lossy().into_owned()).collect();
        let conversation = conversation.to_owned();
        locked(&self.readings).push(Reading { reader, conversation, ids, began, ended: self.tick() });
    }

    /// Reads on as a consumer, and acknowledges what there is.
    pub(super) fn consume(&self, engine: &Engine) {
        let began = self.tick();
        drop(self.try_to_consume(engine, began));
    }

    fn try_to_consume(&self, engine: &Engine, began: u64) -> Result<()> {
        let cursors = engine.cursors()?;
        let mut held = cursors.hold("c")?;
        let from = match held.read()? {
            Some(cursor) => cursor.acknowledged,
            None => {
                // As the one above the engines does it.
                let begin = || Ok(ConsumerCursor::new(cursors.first_kept()? - 1, None));
                let claimed: Result<u64> = begin().and_then(|cursor| {
                    held.claim(cursor)?;
                    let cursor = begin()?;
                    held.claim(cursor).map(|()| cursor.acknowledged)
                });
                let is_sure = claimed.is_ok();
                let (from, to) = (0, claimed.as_ref().copied().unwrap_or_default());
                locked(&self.consumed).push(Consumed { from, to, is_sure, began, ended: self.tick() });
                claimed?
            }
        };
        let (mut follower, mut to) = (cursors.follow(from + 1)?, from);
        while let Some(logged) = follower.next_logged()? {
            match logged {
                Logged::Batch { seq, events } => {
                    assert!(seq == to + 1 && !events.is_empty(), "{seq} comes behind {to}");
                    to += u64::try_from(events.len()).unwrap();
                }
                Logged::Compacted { .. } if self.has_begun() => {
                    panic!(
                        "{logged:?} for one that is at {from}, begun at {began}: {:?}",
                        locked(&self.consumed)
                    )
                }
                // The request that began it was answered to nobody, and arrived behind a compaction.
                Logged::Compacted { .. } => return Ok(()),
            }
        }
        let advanced = held.advance(ConsumerCursor::new(to, None));
        let is_sure = advanced.is_ok();
        locked(&self.consumed).push(Consumed { from, to, is_sure, began, ended: self.tick() });
        advanced
    }

    /// Whether anybody knows that the consumer has begun.
    fn has_begun(&self) -> bool {
        locked(&self.consumed).iter().any(|one| one.is_sure)
    }

    /// Holds that nothing acknowledged was given again, and nothing passed over.
    fn check_consumed(&self, engine: &Engine, last_seq: u64) {
        let consumed = locked(&self.consumed);
        for one in &*consumed {
            for later in consumed.iter().filter(|later| one.is_sure && one.ended < later.began) {
                assert!(later.from >= one.to, "{later:?} goes back behind {one:?}");
            }
        }
        let cursors = engine.cursors().unwrap();
        for kept in cursors.list().unwrap() {
            let at = kept.cursor.unwrap().acknowledged;
            let sure = consumed.iter().filter(|one| one.is_sure).map(|one| one.to).max().unwrap_or_default();
            assert!(at >= sure, "{at} and not {sure}: {consumed:?}");
            if !consumed.iter().any(|one| one.is_sure) {
                continue;
            }
            let (mut follower, mut seqs) = (cursors.follow(at + 1).unwrap(), Vec::new());
            while let Some(logged) = follower.next_logged().unwrap() {
                let Logged::Batch { seq, events } = logged else {
                    panic!("{logged:?} for one that is at {at}")
                };
                seqs.extend((seq..).take(events.len()));
            }
            assert_eq!(seqs, (at + 1..=last_seq).collect::<Vec<u64>>(), "{consumed:?}");
        }
    }

    /// How many appends ended without anybody knowing what became of them.
    pub(super) fn open(&self) -> u64 {
        self.open.load(Ordering::SeqCst)
    }

    /// Holds what happened against what is there.
    pub(super) fn check(&self, bucket: &Shared, is_past_kept: bool) {
        locked(bucket).arrive();
        let engine = engine(Client::sound(bucket));
        let (appends, readings) = (locked(&self.appends), locked(&self.readings));
        let conversations: BTreeSet<&str> =
            appends.iter().map(|append| append.conversation.as_str()).collect();
        let mut there: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for conversation in conversations {
            let found = engine.conversation(conversation).unwrap();
            let ids = found.map_or(Vec::new(), |found| found.messages);
            let ids = ids.iter().map(|message| message.id.to_string_lossy().into_owned()).collect();
            there.insert(conversation, ids);
        }
        for append in &*appends {
            let ids = &there[append.conversation.as_str()];
            let count = ids.iter().filter(|id| **id == append.id).count();
            match append.seq {
                Some(_) => assert_eq!(count, 1, "{append:?} in {ids:?}"),
                None => assert!(count <= 1, "{append:?} in {ids:?}"),
            }
        }
        let seqs: BTreeSet<u64> = appends.iter().filter_map(|append| append.seq).collect();
        assert_eq!(
            seqs.len(),
            appends.iter().filter(|append| append.seq.is_some()).count(),
            "a number was given twice"
        );
        for one in &*appends {
            for other in appends.iter().filter(|other| one.ended < other.began) {
                if let (Some(before), Some(after)) = (one.seq, other.seq) {
                    assert!(before < after, "{one:?} came before {other:?}");
                }
            }
        }
        for reading in &*readings {
            check_reading(reading, &appends, &there[reading.conversation.as_str()]);
            let later = readings.iter().filter(|later| {
                later.reader == reading.reader
                    && later.conversation == reading.conversation
                    && later.began > reading.ended
            });
            later.for_each(|later| {
                assert!(later.ids.len() >= reading.ids.len(), "{later:?} went back behind {reading:?}");
            });
        }
        let last_seq = engine.refresh().unwrap();
        assert_eq!(last_seq, there.values().map(|ids| u64::try_from(ids.len()).unwrap()).sum::<u64>());
        self.check_consumed(&engine, last_seq);
        for (id, ids) in &there {
            check_past(&engine, id, ids, is_past_kept);
        }
        let report = engine.verify().unwrap();
        // What a choice has dropped in the middle of it is told, and is nobody's loss.
        let is_sound = |report: &VerifyReport| {
            is_past_kept && report.is_sound()
                || !is_past_kept
                    && report.damaged.iter().all(|file| file.reason.contains("the history of events"))
        };
        assert!(is_sound(&report), "{report:?}");
        assert!(engine.messages(there.keys().next().unwrap(), &Messages::last(1)).is_ok() || seqs.is_empty());
    }
}

/// Holds that the past of a conversation is all there, or from where it is said to be, and leads to what is there.
fn check_past(engine: &Engine, id: &str, there: &[String], is_kept: bool) {
    let past = engine.history(id).unwrap();
    assert!(!is_kept || (past.whole_from, &past.damage) == (0, &None), "{past:?}");
    let seqs: Vec<u64> = past.events.iter().map(|past| past.seq).collect();
    assert!(
        seqs.is_sorted_by(|one, other| one < other) && seqs.iter().all(|seq| *seq > past.whole_from),
        "{past:?}"
    );
    let mut ids: Vec<String> = Vec::new();
    for message in past.base.iter().flat_map(|base| &base.conversation.messages) {
        ids.push(message.id.to_string_lossy().into_owned());
    }
    for past in &past.events {
        if let Change::AddMessage(message) = &past.event.change {
            ids.push(message.id.to_string_lossy().into_owned());
        }
    }
    assert_eq!(ids, there, "{past:?}");
}

fn check_reading(reading: &Reading, appends: &[Append], there: &[String]) {
    assert!(there.starts_with(&reading.ids), "{reading:?} is no beginning of {there:?}");
    for append in appends.iter().filter(|append| append.conversation == reading.conversation) {
        let is_seen = reading.ids.contains(&append.id);
        assert!(
            is_seen || append.seq.is_none() || append.ended > reading.began,
            "{reading:?} lacks {append:?}"
        );
        assert!(!is_seen || append.began < reading.ended, "{reading:?} shows {append:?} too early");
    }
}
