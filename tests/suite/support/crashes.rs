//! Workloads that are run once and then end at every one of their steps.
//!
//! Owns the recording of a workload with what was promised before each call of the file system, the making of
//! crash states, and the law that each of them is held to. Knows no file formats.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use aral_store::{MessageStore, NewMessage};

use super::check::{self, Checked, done, same};
use super::damage::Damage;
use super::driver::{self, DIR, Driver, Home, Promised};
use super::files;
use super::ops::{Op, Settings};
use super::oracle::Oracle;
use super::past;
use super::simfs::{Choose, Op as FsOp, SimFs, SplitMix};
use super::sources::Sources;

/// The state before one call of the file system.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) fs: SimFs,
    pub(crate) op: FsOp,
    durable: u64,
    accepted: u64,
    /// A conversation's file that is damaged, or was.
    damage: Option<Damage>,
}

/// A workload, as it went.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) points: Vec<Point>,
    /// The states after each batch.
    history: Vec<Oracle>,
    settings: Settings,
    operations: u64,
}

/// How a workload ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Kill,
    PowerCut,
    /// The process dies, another opens the store and adds a message, and then the power goes.
    KillThenCut,
    /// The power goes, and once more while the store is opened again.
    CutInRecovery,
    /// The process dies, and the power goes while the store is opened again.
    KillThenCutInRecovery,
    /// The power goes, goes again while the store is opened, and again while it is opened after that.
    CutInRecoveryTwice,
}

/// What was seen of the states.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    seen: HashSet<u64>,
    pub(crate) tried: u64,
}

impl Tally {
    /// The number of different states.
    pub(crate) fn distinct(&self) -> usize {
        self.seen.len()
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.seen.extend(other.seen);
        self.tried += other.tried;
    }
}

/// Runs a workload on a file system and notes the state before each of its calls, and after the last.
pub(crate) fn record(fs: &SimFs, settings: Settings, ops: &[Op]) -> Checked<Recording> {
    let promised = Arc::new(Promised::default());
    let points = Arc::new(Mutex::new(Vec::new()));
    let (sink, watched) = (Arc::clone(&points), Arc::clone(&promised));
    fs.on_op(Some(Box::new(move |fs, op| {
        let (durable, accepted) = (watched.durable(), watched.accepted());
        let damage = watched.damage();
        let point = Point { fs: fs.snapshot(), op: op.clone(), durable, accepted, damage };
        sink.lock().unwrap_or_else(PoisonError::into_inner).push(point);
    })));
    let mut driver = Driver::watched(Home::Sim(fs.clone()), settings, Arc::clone(&promised))?;
    let outcome = ops.iter().try_for_each(|op| driver.run(op));
    fs.on_op(None);
    outcome?;
    let mut points = std::mem::take(&mut *points.lock().unwrap_or_else(PoisonError::into_inner));
    let Some(op) = points.last().map(|point| point.op.clone()) else {
        return Err("a workload that writes nothing".to_owned());
    };
    let last = driver.oracle.last_seq;
    let durable = if settings.sync == aral_store::SyncPolicy::Always { last } else { 0 };
    points.push(Point { fs: fs.snapshot(), op, durable, accepted: last, damage: promised.damage() });
    let history = std::mem::take(&mut driver.history);
    Ok(Recording { points, history, settings, operations: driver.operation })
}

impl Recording {
    /// Ends the workload at a point and holds what is left to the law.
    pub(crate) fn end(&self, at: usize, end: End, seed: u64, tally: &mut Tally) -> Checked {
        let outcome = self.try_end(at, end, &mut SplitMix::new(seed), tally);
        outcome.map_err(|wrong| {
            let op = &self.points[at].op;
            format!("{end:?} before call {at}, {op:?}, seed {seed}: {wrong}")
        })
    }

    fn try_end(&self, at: usize, end: End, choice: &mut SplitMix, tally: &mut Tally) -> Checked {
        let point = &self.points[at];
        tally.tried += 1;
        let power_is_cut = matches!(end, End::PowerCut | End::CutInRecovery | End::CutInRecoveryTwice);
        let image = if power_is_cut { point.fs.crash(choice) } else { point.fs.snapshot().kill() };
        let least = if power_is_cut { point.durable } else { point.accepted };
        match end {
            End::Kill | End::PowerCut => {}
            End::KillThenCut => return self.accept_then_cut(&image, point, choice),
            End::CutInRecovery | End::KillThenCutInRecovery | End::CutInRecoveryTwice => {
                let (mut image, _) = self.cut_in_recovery(&image, choice);
                if end == End::CutInRecoveryTwice {
                    image = self.cut_in_recovery(&image, choice).0;
                }
                // A kill promises nothing once the power has gone too, before an opening has returned.
                return self.examine(&image, point.durable, point, tally);
            }
        }
        self.examine(&image, least, point, tally)
    }

    /// Every state that a cut of power can leave at a point, as long as there are not too many of them.
    pub(crate) fn end_in_every_way(&self, at: usize, most: u64, tally: &mut Tally) -> Checked<bool> {
        let point = &self.points[at];
        let mut all = super::simfs::Exhaustive::new();
        while all.next_round() {
            if all.rounds() > most {
                return Ok(false);
            }
            tally.tried += 1;
            let image = point.fs.crash(&mut all);
            self.examine(&image, point.durable, point, tally).map_err(|wrong| {
                format!("round {} before call {at}, {:?}: {wrong}", all.rounds(), point.op)
            })?;
        }
        Ok(true)
    }

    /// The process dies at a point, and the power goes at each call of the next opening, in every way.
    ///
    /// Gives the number of calls at which there were more ways than `most`.
    pub(crate) fn end_in_every_recovery(&self, at: usize, most: u64, tally: &mut Tally) -> Checked<usize> {
        let point = &self.points[at];
        let killed = point.fs.snapshot().kill();
        let calls = killed.record(|fs| {
            let store = driver::open(&Home::Sim(fs.clone()), self.settings, &self.sources());
            fs.kill();
            drop(store);
        });
        let mut cut_short = 0;
        for (op, before) in calls {
            let mut all = super::simfs::Exhaustive::new();
            while all.next_round() {
                if all.rounds() > most {
                    cut_short += 1;
                    break;
                }
                tally.tried += 1;
                let image = before.crash(&mut all);
                self.examine(&image, point.durable, point, tally).map_err(|wrong| {
                    let round = all.rounds();
                    format!(
                        "killed before call {at}, {:?}, cut before {op:?}, round {round}: {wrong}",
                        point.op
                    )
                })?;
            }
        }
        Ok(cut_short)
    }

    fn sources(&self) -> Sources {
        let sources = Sources::default();
        sources.begin(self.operations + 1);
        sources
    }

    fn open(&self, fs: &SimFs) -> Checked<MessageStore> {
        let store = driver::open(&Home::Sim(fs.clone()), self.settings, &self.sources());
        let store = done("opening", store)?;
        let report = store.recovery();
        if report.damaged.is_empty() { Ok(store) } else { Err(format!("a false report: {report:?}")) }
    }

    /// Cuts the power at a point, and again in each of the openings that follow, until it has gone `depth`
    /// times. Says how many openings did not come to their end.
    pub(crate) fn end_in_recovery(
        &self,
        at: usize,
        depth: usize,
        seed: u64,
        tally: &mut Tally,
    ) -> Checked<usize> {
        let (point, choice) = (&self.points[at], &mut SplitMix::new(seed));
        let mut image = point.fs.crash(choice);
        let mut cut_short = 0;
        for _ in 1..depth {
            let (next, was_cut_short) = self.cut_in_recovery(&image, choice);
            image = next;
            cut_short += usize::from(was_cut_short);
        }
        self.examine(&image, point.durable, point, tally)
            .map_err(|wrong| format!("{depth} cuts before call {at}, seed {seed}: {wrong}"))?;
        Ok(cut_short)
    }

    /// Opens the store, and the power goes in the middle of that. Says whether the opening was not done yet.
    fn cut_in_recovery(&self, image: &SimFs, choice: &mut SplitMix) -> (SimFs, bool) {
        let calls = image.op_count() + 1 + u64::try_from(choice.pick(40)).unwrap_or(0);
        image.freeze_at(calls);
        let store = driver::open(&Home::Sim(image.clone()), self.settings, &self.sources());
        let cut = image.crash(choice);
        image.kill();
        (cut, store.is_err())
    }

    /// What is shown after a kill is durable, and so is what is added to it.
    fn accept_then_cut(&self, image: &SimFs, point: &Point, choice: &mut SplitMix) -> Checked {
        if let Some(damage) = &point.damage {
            damage.put_back(image);
        }
        let store = self.open(image)?;
        let before = self.state_of(&store, point.accepted, point.accepted)?;
        check::gist(&store, before)?;
        let receipt = done("an append", store.add_message("probe", NewMessage::new("x").id("probe")))?;
        done("a sync", store.sync())?;
        same("the next event", &receipt.seq, &(before.last_seq + 1))?;
        let ought = driver::adopted(&store)?;
        let cut = image.crash(choice);
        image.kill();
        drop(store);
        let store = self.open(&cut)?;
        check::gist(&store, &ought).map_err(|wrong| format!("after a kill, an append and a cut: {wrong}"))?;
        cut.kill();
        Ok(())
    }

    /// The state of the past that a store is in, none before `least` and none that was not asked for yet.
    fn state_of(&self, store: &MessageStore, least: u64, accepted: u64) -> Checked<&Oracle> {
        let last_seq = done("stats", store.stats())?.last_seq;
        if last_seq < least {
            return Err(format!("event {least} was promised, and {last_seq} is the last that is there"));
        }
        let place = |seq| self.history.iter().position(|state| state.last_seq == seq);
        match (place(last_seq), place(accepted)) {
            (Some(is), Some(most)) if is <= most + 1 => Ok(&self.history[is]),
            (is, most) => Err(format!("event {last_seq} is the last: state {is:?}, after {most:?}")),
        }
    }

    /// The law, with a damaged file put back before.
    fn examine(&self, image: &SimFs, least: u64, point: &Point, tally: &mut Tally) -> Checked {
        let accepted = point.accepted;
        if !tally.seen.insert(image.fingerprint() ^ least.rotate_left(32) ^ accepted.rotate_left(48)) {
            return Ok(());
        }
        let but = point.damage.as_ref().map(|damage| damage.id.as_str());
        if let Some(damage) = &point.damage {
            self.examine_beside(image, least, accepted, damage)?;
            damage.put_back(image);
        }
        let nth = tally.seen.len();
        let store = self.open(image)?;
        let ought = self.state_of(&store, least, accepted)?;
        check::gist(&store, ought)?;
        files::whole(image, Path::new(DIR))?;
        same("files outside of the store", &image.paths_outside(DIR), &Vec::new())?;
        if nth % 4 == 0 {
            let states = self.history.iter().position(|state| state.last_seq == ought.last_seq);
            let states = self.history.get(..=states.unwrap_or_default()).unwrap_or_default();
            past::looking_back(&store, states, u64::try_from(nth).unwrap_or_default(), None)?;
        }
        if nth % 8 != 0 {
            image.kill();
            return Ok(());
        }
        if nth % 64 == 0 {
            check::state(&store, ought)?;
            check::keys(&store, ought)?;
        }
        self.snapshot(image, &store, but)?;
        self.goes_on(image, store, ought.last_seq, nth % 16 == 0)
    }

    /// What holds as long as one file is damaged: all others are right, and go into their files, and what is held of
    /// this one is there once it is put back, whatever was compacted meanwhile.
    fn examine_beside(&self, image: &SimFs, least: u64, accepted: u64, damage: &Damage) -> Checked {
        if !damage.is_there(image) {
            return Ok(());
        }
        let wrong = |wrong| format!("while the file of {:?} is damaged: {wrong}", damage.id);
        let fs = image.snapshot();
        let open = || done("opening", driver::open(&Home::Sim(fs.clone()), self.settings, &self.sources()));
        let store = open().map_err(wrong)?;
        let ought = self.state_of(&store, least, accepted).map_err(wrong)?;
        check::beside(&store, ought, &damage.id).map_err(wrong)?;
        let report = done("a compaction", store.compact()).map_err(wrong)?;
        if report.held.iter().any(|file| file.conversation_id.as_deref() != Some(&*damage.id)) {
            return Err(wrong(format!("held without a reason: {report:?}")));
        }
        check::beside(&store, ought, &damage.id).map_err(wrong)?;
        files::snapshot_beside(&fs, Path::new(DIR), ought, Some(&damage.id)).map_err(wrong)?;
        let after = fs.kill();
        drop(store);
        damage.put_back(&after);
        let store = self.open(&after)?;
        check::gist(&store, ought).map_err(|wrong| format!("compacted, and put back: {wrong}"))?;
        after.kill();
        Ok(())
    }

    /// The JSON files are those of the state that the checkpoint names, but for one that may be held.
    fn snapshot(&self, image: &SimFs, store: &MessageStore, but: Option<&str>) -> Checked {
        let stats = done("stats", store.stats())?;
        // The first checkpoint of a store takes what it finds as it is and writes no files.
        if stats.covered_seq == 0 {
            return Ok(());
        }
        let covered = self.history.iter().find(|state| state.last_seq == stats.covered_seq);
        let covered = covered.ok_or_else(|| format!("a checkpoint of event {}", stats.covered_seq))?;
        if image.is_sealed() {
            return files::nothing_plain(image);
        }
        files::snapshot_beside(image, Path::new(DIR), covered, but)
            .map_err(|wrong| format!("after recovery: {wrong}"))
    }

    /// The store takes more, keeps it, and opens a second time.
    fn goes_on(&self, image: &SimFs, store: MessageStore, last_seq: u64, power_is_cut: bool) -> Checked {
        let receipt = done("an append", store.add_message("probe", NewMessage::new("x").id("probe")))?;
        done("a sync", store.sync())?;
        same("the next event", &receipt.seq, &(last_seq + 1))?;
        let after = driver::adopted(&store)?;
        let again =
            if power_is_cut { image.crash(&mut SplitMix::new(last_seq)) } else { image.snapshot().kill() };
        image.kill();
        drop(store);
        let store = self.open(&again)?;
        check::gist(&store, &after).map_err(|wrong| format!("at the second opening: {wrong}"))?;
        again.kill();
        Ok(())
    }
}
