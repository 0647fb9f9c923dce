//! Many threads on one store: whatever they do at the same time, one order of it explains all answers.
//!
//! Appenders, readers, a compactor, a viewer of the same directory and, half-way through, a close. Afterwards
//! the store is opened again and must be what the order came to. `CONCURRENT_ROUNDS` sets how many rounds are
//! run in each home, `CONCURRENT_SEED` where they begin; a seed chooses what is done, not who comes first.

mod history;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use aral_store::{
    Edit, Error, ErrorKind, JsonObject, Message, MessageRef, MessageStore, Messages, Mutation, NewAction,
    NewConversation, NewMessage, Operation, Order, SyncPolicy,
};

use self::history::{Did, History, Who, plain};
use crate::support::check;
use crate::support::databases;
use crate::support::driver::{self, DIR, Home};
use crate::support::ops::Settings;
use crate::support::simfs::{self, Choose, OpKind, SimFs, SplitMix};
use crate::support::sources::{Sources, time};

const APPENDERS: u64 = 4;

const READERS: u64 = 3;

/// How many calls an appender makes, if nobody closes the store before.
const CALLS: u64 = 50;

const CONVERSATIONS: [&str; 4] = ["c1", "a/b", "Abc", "abc"];

fn set(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap()
}

/// Lets others run at some calls of the file system, and takes its time over some syncs.
fn dawdle(fs: &SimFs, seed: u64) {
    let mut choice = SplitMix::new(seed);
    fs.on_op(Some(Box::new(move |_, op| {
        let is_sync = matches!(op.kind, OpKind::Sync | OpKind::SyncDir | OpKind::Rename);
        match choice.pick(4) {
            0 => thread::yield_now(),
            1 if is_sync => pause(number(choice.pick(300))),
            _ => {}
        }
    })));
}

#[expect(clippy::disallowed_methods, reason = "others are given time to come between")]
fn pause(micros: u64) {
    thread::sleep(Duration::from_micros(micros));
}

/// What one appender does, drawn from its seed. Every id and time is given, so that the oracle knows them.
struct Script {
    choice: SplitMix,
    thread: u64,
    made: u64,
    /// Messages that were added, and where.
    added: Vec<(String, String)>,
}

impl Script {
    fn new(seed: u64, thread: u64) -> Self {
        let seed = seed.wrapping_mul(1000).wrapping_add(thread);
        Self { choice: SplitMix::new(seed), thread, made: 0, added: Vec::new() }
    }

    fn conversation(&mut self) -> &'static str {
        CONVERSATIONS[self.choice.pick(CONVERSATIONS.len())]
    }

    /// A message of an earlier call, which may be gone by now, or one that never was.
    fn earlier(&mut self) -> (String, String) {
        if self.added.is_empty() || self.choice.pick(6) == 0 {
            return (self.conversation().to_owned(), "nowhere".to_owned());
        }
        self.added[self.choice.pick(self.added.len())].clone()
    }

    fn mutation(&mut self) -> Mutation {
        self.made += 1;
        let when = time(self.thread * 1000 + self.made);
        let id = format!("t{}-{}", self.thread, self.made);
        let conversation = self.conversation();
        let text = format!("{id} {}", "x".repeat(self.choice.pick(900)));
        let change = |operation| Mutation::new(conversation, operation);
        match self.choice.pick(24) {
            0 | 1 => change(Operation::AddAction(
                NewAction::new("call", JsonObject::EMPTY).id(id).created_at(when),
            )),
            2 => change(Operation::SetTitle(text.into())),
            3 => change(Operation::SetMetadata(JsonObject::parse(&format!("{{\"id\":\"{id}\"}}")).unwrap())),
            4..=6 => {
                let (conversation, message) = self.earlier();
                let edit = Edit::content(text);
                Mutation::new(conversation, Operation::EditMessage { message_id: message.into(), edit })
            }
            7 | 8 => {
                let (conversation, message) = self.earlier();
                Mutation::new(conversation, Operation::RemoveMessage(message.into()))
            }
            9 => change(Operation::CreateConversation(NewConversation::new().created_at(when))),
            12 => {
                let new = NewConversation::new().title(text).created_at(when);
                change(Operation::ResetConversation(new))
            }
            13 => {
                let (conversation, message) = self.earlier();
                let edit = Edit::default().role(text).created_at(when);
                Mutation::new(conversation, Operation::EditMessage { message_id: message.into(), edit })
            }
            14 if self.choice.pick(2) == 0 => change(Operation::SetCreatedAt(when)),
            10 if self.choice.pick(2) == 0 => change(Operation::Clear),
            11 if self.choice.pick(2) == 0 => change(Operation::RemoveConversation),
            _ => {
                self.added.push((conversation.to_owned(), id.clone()));
                Mutation::add_message(conversation, NewMessage::new(text).id(id).created_at(when))
            }
        }
    }

    /// The same mutation whoever asks for it, but for the id, by which its receipts tell whose it was.
    fn keyed(&mut self) -> Mutation {
        self.made += 1;
        let key = format!("k{}", self.choice.pick(12));
        let new = NewMessage::new(key.as_str()).id(format!("t{}-{}", self.thread, self.made));
        let when = time(self.thread * 1000 + self.made);
        Mutation::add_message("c1", new.created_at(when)).key(key)
    }
}

/// The answer of a call, or that the store was closed.
fn unless_closed<T>(result: Result<T, Error>, did: impl FnOnce(Result<T, ErrorKind>) -> Did) -> Did {
    match result {
        Err(error) if error.kind() == ErrorKind::Closed => Did::Closed,
        Err(error) => {
            let kinds = [ErrorKind::Conflict, ErrorKind::AlreadyExists, ErrorKind::NotFound];
            assert!(kinds.contains(&error.kind()), "{error:?}");
            did(Err(error.kind()))
        }
        Ok(value) => did(Ok(value)),
    }
}

fn append(store: &MessageStore, history: &History, seed: u64, thread: u64) {
    let mut script = Script::new(seed, thread);
    for _ in 0..CALLS {
        let write = |batch: Vec<Mutation>| {
            history.call(Who::Store, || {
                let answer = match batch.as_slice() {
                    [one] => store.append(one.clone()).map(|receipt| vec![receipt]),
                    _ => store.batch(batch.clone()),
                };
                unless_closed(answer, |answer| {
                    Did::Write(batch.clone(), answer.map(|receipts| receipts.iter().map(plain).collect()))
                })
            })
        };
        let is_open = match script.choice.pick(10) {
            0 => write(vec![script.keyed()]),
            1..=3 => {
                let batch = (0..2 + script.choice.pick(3)).map(|_| script.mutation()).collect();
                write(batch)
            }
            4 | 5 => {
                let mut version = None;
                let mutation = script.mutation();
                let id = mutation.conversation_id.clone();
                history.call(Who::Store, || {
                    unless_closed(store.summary(&id), |summary| {
                        let summary = summary.unwrap();
                        version = Some(summary.as_ref().map_or(0, |summary| summary.version));
                        Did::Summary(id.clone(), summary)
                    })
                }) && write(vec![mutation.expect(version.unwrap_or(0))])
            }
            _ => write(vec![script.mutation()]),
        };
        if !is_open {
            return;
        }
    }
}

/// Asks one thing, of the store or of a viewer; gives whether it is still open.
fn ask(store: &MessageStore, history: &History, who: Who, choice: &mut SplitMix) -> bool {
    let id = CONVERSATIONS[choice.pick(CONVERSATIONS.len())].to_owned();
    let what = choice.pick(8);
    history.call(who, || match what {
        0 => unless_closed(store.summary(&id), |is| Did::Summary(id.clone(), is.unwrap())),
        1 => unless_closed(store.messages(&id, Messages::last(3)), |is| Did::Last(id.clone(), 3, is)),
        2 => unless_closed(lent(store, &id), |is| Did::Last(id.clone(), 3, is)),
        3 => {
            unless_closed(store.conversations(Order::Activity), |is| Did::List(Order::Activity, is.unwrap()))
        }
        4 => unless_closed(store.conversations(Order::Created), |is| Did::List(Order::Created, is.unwrap())),
        5 => unless_closed(store.stats(), |is| Did::LastSeq(is.unwrap().last_seq)),
        _ => unless_closed(store.conversation(&id), |is| Did::Conversation(id.clone(), is.unwrap())),
    })
}

/// The last three messages of a conversation as they are lent; anew where a compaction has made that impossible.
fn lent(store: &MessageStore, id: &str) -> aral_store::Result<Vec<Message>> {
    loop {
        let mut lent = Vec::new();
        let each = |message: MessageRef<'_>| lent.push(message.to_message());
        match store.for_each_message(id, Messages::last(3), each) {
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            result => return result.map(|()| lent),
        }
    }
}

/// Opens the directory for reading over and over, and asks each viewer a few things.
fn view(home: &Home, sources: &Sources, history: &History, seed: u64, live: &AtomicU64) {
    let mut choice = SplitMix::new(seed ^ 0x5eed);
    let mut viewers = 0;
    while live.load(Ordering::SeqCst) > 0 {
        viewers += 1;
        let who = Who::Viewer(viewers, history.now());
        let options = driver::options(home, settings(seed), sources).read_only();
        let opened = match home {
            Home::Real(dir) => options.open(dir),
            Home::Database(url) | Home::Bucket(url) => options.connect(url),
            Home::Sim(_) | Home::Memory => options.open(DIR),
        };
        let viewer = opened.unwrap();
        assert!(viewer.recovery().damaged.is_empty(), "{:?}", viewer.recovery());
        for _ in 0..6 {
            ask(&viewer, history, who, &mut choice);
        }
    }
}

fn settings(seed: u64) -> Settings {
    Settings {
        sync: if seed % 3 == 2 { SyncPolicy::Os } else { SyncPolicy::Always },
        first_segment_bytes: 8 << 10,
        compacts_on_close: seed % 4 == 3,
    }
}

/// Counts the appenders that are still at work.
struct Leaving<'a>(&'a AtomicU64);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[expect(clippy::print_stdout, reason = "what to set to run a round again is for whoever reads of a failure")]
fn round(home: &Home, seed: u64) {
    println!("CONCURRENT_SEED={seed} CONCURRENT_ROUNDS=1 {:?}", settings(seed));
    let sources = Sources::default();
    let store = driver::open(home, settings(seed), &sources).unwrap();
    let history = History::default();
    let live = AtomicU64::new(APPENDERS);
    let is_live = || live.load(Ordering::SeqCst) > 0;
    thread::scope(|scope| {
        for thread in 0..APPENDERS {
            let (store, history, live) = (store.clone(), &history, &live);
            scope.spawn(move || {
                let _leaving = Leaving(live);
                append(&store, history, seed, thread);
            });
        }
        for reader in 0..READERS {
            let (store, history) = (store.clone(), &history);
            let mut choice = SplitMix::new(seed.wrapping_mul(77).wrapping_add(reader));
            scope.spawn(move || {
                while is_live() && ask(&store, history, Who::Store, &mut choice) {
                    thread::yield_now();
                }
            });
        }
        let compactor = store.clone();
        scope.spawn(move || {
            while is_live() {
                match compactor.compact() {
                    // A database has nothing to compact.
                    Err(error) if [ErrorKind::Closed, ErrorKind::Unsupported].contains(&error.kind()) => {
                        return;
                    }
                    report => drop(report.unwrap()),
                }
                pause(500);
            }
        });
        scope.spawn(|| view(home, &sources, &history, seed, &live));
        if seed % 2 == 1 {
            let (store, history) = (store.clone(), &history);
            scope.spawn(move || {
                let enough = 20 * APPENDERS;
                while is_live() && store.stats().is_ok_and(|stats| stats.last_seq < enough) {
                    thread::yield_now();
                }
                history.call(Who::Store, || {
                    store.close().unwrap();
                    Did::Close
                });
            });
        }
    });
    drop(store);
    let (oracle, answers) = history.judge().unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    assert!(answers > 100, "seed {seed}: {answers} answers");
    let store = driver::open(home, settings(seed), &sources).unwrap();
    check::state(&store, &oracle).unwrap_or_else(|wrong| panic!("seed {seed}, opened again: {wrong}"));
    check::keys(&store, &oracle).unwrap_or_else(|wrong| panic!("seed {seed}, opened again: {wrong}"));
    let verified = store.verify().unwrap();
    assert!(verified.is_sound(), "seed {seed}: {:?}", verified.damaged);
    println!("{answers} answers, {} events", oracle.last_seq);
}

fn rounds(default: u64, home: impl Fn(u64) -> Home) {
    let first = set("CONCURRENT_SEED", 1);
    for seed in first..first + set("CONCURRENT_ROUNDS", default) {
        round(&home(seed), seed);
    }
}

#[test]
fn one_order_explains_what_many_threads_saw_on_a_slow_file_system() {
    rounds(12, |seed| {
        let fs = driver::fresh(simfs::Settings::default());
        dawdle(&fs, seed);
        Home::Sim(fs)
    });
}

#[test]
fn one_order_explains_what_many_threads_saw_on_a_real_file_system() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    rounds(6, |seed| Home::Real(Path::new(dir.path()).join(format!("round{seed}"))));
}

#[test]
fn one_order_explains_what_many_threads_saw_in_a_database() {
    let dir = tempfile::tempdir().unwrap();
    for which in 0..databases::of(dir.path()).len() {
        rounds(6, |seed| databases::of(&dir.path().join(format!("round{seed}"))).swap_remove(which));
    }
}
