//! Eight processes of eight threads write one database, and are killed; its server goes away and comes back, and connections end
//! in the middle of commits: one order explains what all of them were told, and followers in other processes saw it.
//!
//! `DATABASE_SECONDS` sets for how long they write, `DATABASE_SEED` where the choice of moments begins.

#![expect(clippy::print_stdout, reason = "a run says how much it has shown")]

mod history;

mod judge;

mod planted;

mod worker;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aral_store::MessageStore;

use self::history::{Asked, Batch, Call, Recorder};
use self::worker::{Caller, THE_END};
use crate::support::simfs::{Choose, SplitMix};

const PROCESSES: u64 = 8;

const FOLLOWERS: u64 = 2;

/// What docs/sql.md says that a call waits for others, and how much longer an answer may take to come.
const DEADLINE: Duration = Duration::from_secs(30 + 5);

fn set(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// A process that ends with this, whatever happens.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What the processes share that start, kill and ask again.
struct Scene<'s> {
    url: &'s str,
    dir: &'s Path,
    is_over: AtomicBool,
    /// What a process asked that was killed before it was answered, and can be asked again.
    again: Mutex<Vec<Asked>>,
    records: Mutex<Vec<PathBuf>>,
    kills: AtomicU64,
}

impl Scene<'_> {
    fn record(&self, name: &str) -> PathBuf {
        let path = self.dir.join(format!("{name}.calls"));
        self.records.lock().unwrap().push(path.clone());
        path
    }

    /// Has processes write, one after the other; each is killed but for the last.
    #[expect(clippy::disallowed_methods, reason = "processes take real time")]
    fn write_and_die(&self, process: u64) {
        let mut choice = SplitMix::new(set("DATABASE_SEED", 1).wrapping_mul(1000) + process);
        for generation in 0.. {
            let name = format!("p{process}g{generation}");
            let record = self.record(&name);
            let mut child = Ending(worker::start("write", self.url, &name, &record));
            let mut stdin = child.0.stdin.take().unwrap();
            let life = Duration::from_millis(u64::try_from(200 + choice.pick(2500)).unwrap());
            let began = Instant::now();
            while began.elapsed() < life && !self.is_over.load(Ordering::SeqCst) {
                for asked in std::mem::take(&mut *self.again.lock().unwrap()) {
                    writeln!(stdin, "{}", serde_json::to_string(&asked).unwrap()).unwrap();
                }
                assert_eq!(child.0.try_wait().unwrap(), None, "{name} ended by itself");
                thread::sleep(Duration::from_millis(5));
            }
            if self.is_over.load(Ordering::SeqCst) {
                drop(stdin);
                assert!(child.0.wait().unwrap().success(), "{name} failed");
                return;
            }
            child.0.kill().unwrap();
            child.0.wait().unwrap();
            self.kills.fetch_add(1, Ordering::SeqCst);
            if record.exists() {
                self.again.lock().unwrap().extend(unanswered(&history::read(&record)));
            }
        }
    }
}

/// What was asked and not answered, and can be asked again without happening twice.
fn unanswered(calls: &[Call]) -> impl Iterator<Item = Asked> {
    let is_open = |call: &&Call| matches!(call.answer, None | Some(history::Answer::Open(_)));
    calls.iter().filter(is_open).map(|call| call.asked.clone()).filter(Asked::has_key)
}

/// The batches that a follower saw.
#[expect(clippy::disallowed_methods, reason = "the record is outside of the store")]
fn seen(record: &Path) -> Vec<Batch> {
    let lines = BufReader::new(std::fs::File::open(record).unwrap()).lines();
    lines.map(|line| serde_json::from_str::<(u64, Batch)>(&line.unwrap()).unwrap().1).collect()
}

/// Has all of them write for a while, through `url` and past whatever `disturb` does, and holds what they were told to what is
/// there, as seen by `plain`.
fn hold(dir: &Path, (url, plain): (&str, &str), disturb: impl FnOnce(Duration) + Send) {
    let store = MessageStore::connect(plain).unwrap();
    let scene = Scene {
        url,
        dir,
        is_over: AtomicBool::new(false),
        again: Mutex::default(),
        records: Mutex::default(),
        kills: AtomicU64::new(0),
    };
    let follower = |number| {
        let record = dir.join(format!("f{number}"));
        (Ending(worker::start("follow", plain, "follower", &record)), record)
    };
    let followers: Vec<_> = (0..FOLLOWERS).map(follower).collect();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..PROCESSES)
            .map(|process| {
                let scene = &scene;
                scope.spawn(move || scene.write_and_die(process))
            })
            .collect();
        disturb(Duration::from_secs(set("DATABASE_SECONDS", 3)));
        scene.is_over.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.join().unwrap();
        }
    });
    // Whoever was killed last is asked for by nobody else.
    let recorder = Recorder::new(&scene.record("last"));
    let mut caller = Caller::new(&store, &recorder, "last".to_owned());
    let open: Vec<Asked> = scene.again.lock().unwrap().drain(..).collect();
    for asked in &open {
        drop(caller.call(asked));
    }
    let end = Asked::Add {
        conversation: THE_END.to_owned(),
        ids: vec![THE_END.to_owned()],
        key: None,
        expect: None,
    };
    drop(caller.call(&end));
    let batches: Vec<Batch> = store.events(1).unwrap().into_iter().map(history::batch).collect();
    for (mut follower, record) in followers {
        assert!(follower.0.wait().unwrap().success(), "a follower failed");
        assert!(seen(&record) == batches, "a follower saw something else");
    }
    let records = scene.records.into_inner().unwrap();
    let calls: Vec<Call> =
        records.iter().filter(|path| path.exists()).flat_map(|path| history::read(path)).collect();
    let longest = calls.iter().filter_map(|call| Some(call.ended? - call.begun)).max().unwrap_or_default();
    let tally = judge::judge(&calls, &batches).unwrap();
    println!("{} kills, {tally:?}, the longest call took {} ms", scene.kills.into_inner(), longest / 1000);
    assert!(tally.written > 100 && tally.readings > 100, "too little to tell: {tally:?}");
    assert!(Duration::from_micros(longest) < DEADLINE, "a caller hung");
    assert_eq!(store.verify().unwrap().damaged, []);
}

#[cfg(feature = "sqlite")]
#[test]
#[expect(clippy::disallowed_methods, reason = "processes take real time")]
fn one_order_explains_what_many_processes_on_one_file_were_told() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("store.db").display());
    hold(dir.path(), (&url, &url), thread::sleep);
}

#[cfg(feature = "postgres")]
#[test]
#[expect(clippy::disallowed_methods, reason = "processes take real time")]
fn one_order_explains_what_many_processes_on_one_server_were_told() {
    use crate::support::{proxy::Proxy, server};
    let Some(server) = server::start() else { return };
    // A commit in twenty: a cut costs the process that it meets a new connection.
    let proxy = Proxy::before(&server, 20);
    let dir = tempfile::tempdir().unwrap();
    hold(dir.path(), (&server::url_by(proxy.port, "many"), &server.url("many")), |time| {
        for mode in ["fast", "immediate"] {
            thread::sleep(time / 3);
            server.restart(mode);
        }
        thread::sleep(time / 3);
        server::wait_until("cutting", || proxy.cuts() > 5);
    });
    println!("{} commits, {} cut", proxy.commits(), proxy.cuts());
}
