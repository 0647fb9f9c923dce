//! The group commit under every order of steps that a search comes to.
//!
//! Owns the laws that hold whatever the order, and the threads that try to break them: appenders, a flusher,
//! one who acts exclusively, one who closes, on a medium that fails or lets the leader die at a chosen call.
//! The code under search is the real one; only its locks are the search's, see `sync`. A thread that waits
//! for ever is found by the search itself, which then has nobody left to run.
//!
//! `SCHEDULES` sets how many orders are tried of each setting, `SCHEDULE_SEED` where they begin.

mod medium;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as Plain};

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner, thread};

use self::medium::{Call, Ill, Medium};
use super::active::Active;
use super::claim::Right;
use super::commit::Log;
use super::group::Client;
use super::record::{Framed, Placed, Record};
use super::segment::Segment;
use super::start::{Limits, Start};
use super::waiter::locked;
use crate::codec::segment::Previous;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Seq;

/// What the log's client is shown, and what of the medium proves it.
#[derive(Debug, Default)]
struct Applier {
    /// By sequence number: the segment, where the payload lies in it, the payload.
    records: Plain<BTreeMap<Seq, (Arc<Segment>, u64, Vec<u8>)>>,
    dies_at: Option<Seq>,
}

/// The numbers that were given out and not yet shown.
type Pending = Vec<Seq>;

impl Client for Applier {
    type State = Pending;

    fn apply(&self, segment: &Arc<Segment>, records: &mut dyn Iterator<Item = Placed<'_>>) -> Result<()> {
        thread::yield_now();
        for record in records {
            assert!(self.dies_at != Some(record.first_seq), "the client dies on purpose");
            let mut shown = self.records.lock().unwrap();
            let next = shown.last_key_value().map_or(1, |(seq, _)| seq + 1);
            assert_eq!(record.first_seq, next, "shown in order, without holes");
            let read = segment.read(record.offset, record.payload.len())?;
            assert_eq!(read, record.payload, "a position leads to its record");
            shown.insert(record.first_seq, (Arc::clone(segment), record.offset, read));
        }
        Ok(())
    }

    fn applied(&self, pending: &mut Pending, seq: Seq) {
        let shown = self.records.lock().unwrap().last_key_value().map_or(0, |(seq, _)| *seq);
        assert!(seq <= shown + 1, "everything before {seq} has been shown, and {shown} is the last");
        pending.retain(|waiting| *waiting >= seq);
    }

    fn dropped(&self, pending: &mut Pending) {
        pending.clear();
    }
}

/// Who takes part.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    appenders: usize,
    appends: usize,
    ill: Option<(Call, usize, Ill)>,
    dies_at: Option<Seq>,
    /// Whether a flusher, somebody exclusive and a closer take part as well.
    has_others: bool,
}

/// The log, what it wrote to, and what was acknowledged: the number and whether as durable.
struct Scene {
    log: Log<Applier>,
    medium: Arc<Medium>,
    acknowledged: Plain<Vec<(Seq, Vec<u8>, bool)>>,
}

/// Nobody else writes to the log.
#[derive(Debug)]
struct Unchallenged;

impl Right for Unchallenged {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl Scene {
    fn new(crowd: Crowd) -> Self {
        let medium = Medium::new(crowd.ill);
        let start = Start {
            vfs: Arc::<Medium>::clone(&medium),
            dir: "/log".into(),
            store_id: [7; 16],
            writer_epoch: 1,
            previous: Previous { next_seq: 1, ..Previous::default() },
            limits: Limits { first_segment: 8192, segment: 8192 },
            checkpoint_epoch: 0,
            right: Arc::new(Unchallenged),
        };
        let client = Applier { dies_at: crowd.dies_at, ..Applier::default() };
        let log = Log::new(client, Pending::new(), Active::new(start, || 5, || 0), 1);
        Self { log, medium, acknowledged: Plain::default() }
    }

    /// What is shown under a number is on the medium, durably.
    fn assert_durable(&self, seq: Seq) {
        let shown = self.log.client().records.lock().unwrap();
        let (segment, offset, payload) = shown.get(&seq).expect("acknowledged and never shown");
        assert!(self.medium.is_durable(&segment.path, *offset, payload), "{seq} is said to be durable");
    }

    fn append(&self, payload: &[u8], must_sync: bool) -> Result<()> {
        let mut turn = self.log.turn()?;
        if payload.len() % 3 == 0 && turn.is_anything_pending() {
            turn = turn.wait_for_group()?;
        }
        let seq = turn.next_seq();
        turn.client_state().push(seq);
        let mut framed = Framed::new(Vec::new(), false);
        framed.end().extend(payload);
        let is_durable = turn.append(&mut Record::new(framed, 1, 1), must_sync)?;
        assert!(is_durable || !must_sync, "{seq} was to be synced");
        let shown = self.log.client().records.lock().unwrap().get(&seq).cloned();
        assert_eq!(shown.expect("acknowledged and not shown").2, payload, "{seq} is another's record");
        if is_durable {
            self.assert_durable(seq);
        }
        self.acknowledged.lock().unwrap().push((seq, payload.to_vec(), is_durable));
        Ok(())
    }

    fn numbers(&self) -> Vec<Seq> {
        self.acknowledged.lock().unwrap().iter().map(|(seq, ..)| *seq).collect()
    }

    fn flush(&self) {
        let before = self.numbers();
        if self.log.flush().is_ok() {
            before.into_iter().for_each(|seq| self.assert_durable(seq));
        }
    }

    fn exclusively(&self) {
        let before = self.numbers();
        let rolled = self.log.exclusively(None, |active, next_seq| {
            let shown = self.log.client().records.lock().unwrap().len();
            assert_eq!(next_seq, 1 + Seq::try_from(shown).unwrap(), "all that was accepted has been shown");
            assert!(active.is_durable(), "what was before is durable");
            active.roll(next_seq)
        });
        if rolled.is_ok() {
            before.into_iter().for_each(|seq| self.assert_durable(seq));
        }
    }

    fn close(&self) {
        let closed = Error::new(ErrorKind::Closed, "closed");
        let result = self.log.exclusively(Some(closed), |active, _| active.close());
        if result.is_ok() {
            self.numbers().into_iter().for_each(|seq| self.assert_durable(seq));
        }
        assert!(self.log.has_ended(), "a close ends the log, whatever happens");
        assert!(self.append(b"late", true).is_err(), "nothing is taken after a close");
    }

    /// Nobody works any more.
    fn assert_quiet(&self) {
        let state = locked(&self.log.shared.state);
        assert!(!state.is_busy && state.forming.frames.is_empty() && state.forming.waiter.is_none());
        assert_eq!(state.client, Pending::new(), "nothing waits to be shown");
        let shown = self.log.client().records.lock().unwrap();
        if state.ended.is_none() {
            assert_eq!(state.next_seq, 1 + Seq::try_from(shown.len()).unwrap(), "no number is lost");
        }
        let mut numbers = self.numbers();
        numbers.sort_unstable();
        let given = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), given, "a number was given twice");
    }
}

/// One run from beginning to end, under whatever schedule; counts what went wrong as planned.
fn run(crowd: Crowd, planned: &Arc<AtomicUsize>) {
    let scene = Arc::new(Scene::new(crowd));
    let begin = |name: String, work: Box<dyn Fn(&Scene) + Send>| {
        let (scene, planned) = (Arc::clone(&scene), Arc::clone(planned));
        let body = move || {
            // The one who leads when the plan says so dies; the others must go on.
            let result = catch_unwind(AssertUnwindSafe(|| work(&scene)));
            if let Err(panic) = result {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                assert!(text.as_ref().is_some_and(|text| text.contains("on purpose")), "{text:?}");
                planned.fetch_add(1, Ordering::Relaxed);
            }
        };
        thread::Builder::new().name(name).spawn(body).unwrap()
    };
    let mut threads = Vec::new();
    for appender in 0..crowd.appenders {
        let work = move |scene: &Scene| {
            for n in 0..crowd.appends {
                let payload = format!("{appender}.{n}{}", "x".repeat(23 * appender + n));
                // Whether it fails is the medium's affair; that it returns, and what it says then, is ours.
                scene.append(payload.as_bytes(), (appender + n) % 2 == 0).ok();
            }
        };
        threads.push(begin(format!("appender {appender}"), Box::new(work)));
    }
    if crowd.has_others {
        threads.push(begin("flusher".into(), Box::new(Scene::flush)));
        threads.push(begin("exclusive".into(), Box::new(Scene::exclusively)));
        threads.push(begin("closer".into(), Box::new(Scene::close)));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    scene.assert_quiet();
    planned.fetch_add(usize::from(scene.medium.has_failed()), Ordering::Relaxed);
}

fn set(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Tries as many orders of a crowd's steps as are set, found by a scheduler.
fn search(scheduler: impl Scheduler + 'static, crowd: Crowd) {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    // A death on purpose is no failure; one that is, is found again by its seed.
    config.failure_persistence = FailurePersistence::None;
    let planned = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&planned);
    Runner::new(scheduler, config).run(move || run(crowd, &counted));
    if crowd.ill.is_some() || crowd.dies_at.is_some() {
        assert!(planned.load(Ordering::Relaxed) > 0, "what was planned never happened: {crowd:?}");
    }
}

fn at_random(crowd: Crowd) {
    let count = usize::try_from(set("SCHEDULES", 1000)).unwrap();
    let seed = set("SCHEDULE_SEED", 1);
    println!("SCHEDULE_SEED={seed} SCHEDULES={count} {crowd:?}");
    search(RandomScheduler::new_from_seed(seed, count), crowd);
    search(PctScheduler::new_from_seed(seed, 3, count), crowd);
}

const ALL: Crowd = Crowd { appenders: 3, appends: 2, ill: None, dies_at: None, has_others: true };

const APPENDERS: Crowd = Crowd { has_others: false, ..ALL };

#[test]
fn nobody_hangs_and_nobody_is_lied_to_on_a_sound_medium() {
    at_random(ALL);
    at_random(APPENDERS);
    at_random(Crowd { appenders: 6, appends: 3, ..APPENDERS });
}

#[test]
fn nobody_hangs_and_nobody_is_lied_to_when_a_call_fails() {
    // Without a closer every appender gets as far as the call that fails.
    for nth in 0..3 {
        at_random(Crowd { ill: Some((Call::Sync, nth, Ill::Fails)), ..ALL });
        at_random(Crowd { ill: Some((Call::Write, nth, Ill::Fails)), ..ALL });
        at_random(Crowd { ill: Some((Call::Sync, nth, Ill::Fails)), ..APPENDERS });
        at_random(Crowd { ill: Some((Call::Write, nth, Ill::Fails)), ..APPENDERS });
    }
    at_random(Crowd { ill: Some((Call::Allocate, 0, Ill::Fails)), ..ALL });
}

#[test]
fn nobody_hangs_and_nobody_is_lied_to_when_a_leader_dies() {
    for nth in 0..3 {
        at_random(Crowd { ill: Some((Call::Sync, nth, Ill::Panics)), ..ALL });
        at_random(Crowd { ill: Some((Call::Write, nth, Ill::Panics)), ..APPENDERS });
    }
    for seq in 1..4 {
        at_random(Crowd { dies_at: Some(seq), ..ALL });
    }
}

#[test]
fn the_first_orders_of_two_appenders_are_tried_one_by_one() {
    let count = usize::try_from(set("SCHEDULES", 1000)).unwrap() * 10;
    let two = Crowd { appenders: 2, appends: 1, ..APPENDERS };
    search(DfsScheduler::new(Some(count), false), two);
    search(DfsScheduler::new(Some(count), false), Crowd { ill: Some((Call::Sync, 1, Ill::Fails)), ..two });
}
