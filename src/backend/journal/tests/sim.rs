//! A bucket in memory, and clients whose requests go wrong.
//!
//! Owns what a bucket promises, no more than a real one: one name after the other, each write whole or not at all, and lists that may
//! lag. Two equal contents have the same version, as in S3. A request can be lost before or after it took effect, arrive late, arrive
//! twice, be refused for the moment, or find another one under way. All of it follows from a seed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::backend::journal::objects::{Answer, Found, Objects, Trouble, Version, Written};
use crate::backend::locked::locked;
use crate::error::{Error, ErrorKind};

use super::turns::Turns;

/// A source of numbers that follows from a seed.
#[derive(Clone, Debug)]
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678)
    }

    pub(super) fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap() % below.max(1)
    }
}

/// A write with its condition.
#[derive(Clone, Debug)]
enum Write {
    Create(String, Vec<u8>),
    Replace(String, Vec<u8>, Version),
    Delete(String),
}

/// What is in a bucket, and what is on its way to it.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) objects: BTreeMap<String, Vec<u8>>,
    late: Vec<Write>,
    /// The names that a late list shows.
    listed: Vec<String>,
    pub(super) requests: BTreeMap<&'static str, usize>,
    /// How many bytes of objects were sent to it, and received from it.
    pub(super) bytes: (usize, usize),
    /// Whether conditions count.
    pub(super) ignores_conditions: bool,
}

fn version_of(bytes: &[u8]) -> Version {
    Version(format!("{:08x}-{}", crc32fast::hash(bytes), bytes.len()))
}

impl Bucket {
    /// One with these in it.
    pub(super) fn of(objects: BTreeMap<String, Vec<u8>>) -> Self {
        Self { objects, ..Self::default() }
    }

    fn carry_out(&mut self, write: &Write) -> Written {
        match write {
            Write::Create(name, bytes) => {
                if self.objects.contains_key(name) && !self.ignores_conditions {
                    return Written::Refused;
                }
                self.objects.insert(name.clone(), bytes.clone());
            }
            Write::Replace(name, bytes, read) => {
                let is_so = self.objects.get(name).is_some_and(|there| version_of(there) == *read);
                if !is_so && !self.ignores_conditions {
                    return Written::Refused;
                }
                self.objects.insert(name.clone(), bytes.clone());
            }
            Write::Delete(name) => drop(self.objects.remove(name)),
        }
        Written::Done
    }

    /// Lets everything arrive that is on its way.
    pub(super) fn arrive(&mut self) {
        for write in std::mem::take(&mut self.late) {
            self.carry_out(&write);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.requests.values().sum()
    }
}

/// A bucket that several clients share.
pub(super) type Shared = Arc<Mutex<Bucket>>;

/// How often a client's requests go wrong: so many in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) per_mille: usize,
}

/// One process's way to a bucket.
#[derive(Debug)]
pub(super) struct Client {
    bucket: Shared,
    numbers: Mutex<Numbers>,
    faults: Faults,
    turns: Option<(Arc<Turns>, usize)>,
    most_tries: u32,
    interruption: Mutex<Option<Interruption>>,
    loses_a_create: AtomicBool,
    may_write: bool,
    may_read: AtomicBool,
    /// How long a write takes.
    delay: Duration,
    place: PathBuf,
}

/// What happens before the first request of a kind for a name with this in it.
pub(super) struct Interruption {
    pub(super) verb: &'static str,
    pub(super) part: &'static str,
    pub(super) act: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Interruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "before {} {}", self.verb, self.part)
    }
}

/// What goes wrong with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    LostBefore,
    LostAfter,
    Late,
    Twice,
    Busy,
    Conflict,
}

const FAULTS: [Fault; 6] =
    [Fault::LostBefore, Fault::LostAfter, Fault::Late, Fault::Twice, Fault::Busy, Fault::Conflict];

fn error(what: &str) -> Error {
    Error::new(ErrorKind::Io, what)
}

#[expect(clippy::disallowed_methods, reason = "a network takes real time")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

impl Client {
    /// A client whose requests all go well.
    pub(super) fn sound(bucket: &Shared) -> Self {
        Self {
            bucket: Arc::clone(bucket),
            numbers: Mutex::new(Numbers::new(0)),
            faults: Faults::default(),
            turns: None,
            most_tries: 8,
            interruption: Mutex::default(),
            loses_a_create: AtomicBool::new(false),
            may_write: true,
            may_read: AtomicBool::new(true),
            delay: Duration::ZERO,
            place: PathBuf::from("sim://bucket"),
        }
    }

    pub(super) fn faulty(
        bucket: &Shared,
        seed: u64,
        faults: Faults,
        turns: Option<(Arc<Turns>, usize)>,
    ) -> Self {
        let mut numbers = Numbers::new(seed);
        // Some are impatient.
        let most_tries = [1, 2, 8][numbers.next(3)];
        Self { numbers: Mutex::new(numbers), faults, turns, most_tries, ..Self::sound(bucket) }
    }

    /// One with the right to read alone.
    pub(super) fn reading(bucket: &Shared) -> Self {
        Self { may_write: false, ..Self::sound(bucket) }
    }

    /// One at the other end of a network.
    pub(super) fn slow(bucket: &Shared, delay: Duration) -> Self {
        Self { delay, ..Self::sound(bucket) }
    }

    /// One that goes on asking for as long as it takes.
    pub(super) fn patient(bucket: &Shared, seed: u64, faults: Faults) -> Self {
        Self { numbers: Mutex::new(Numbers::new(seed)), faults, most_tries: 1000, ..Self::sound(bucket) }
    }

    /// One of which a request is carried out after something else has happened.
    pub(super) fn interrupted(bucket: &Shared, interruption: Interruption) -> Self {
        Self { interruption: Mutex::new(Some(interruption)), ..Self::sound(bucket) }
    }

    /// Lets the next object be made, and nobody hear of it.
    pub(super) fn lose_the_next_create(&self) {
        self.loses_a_create.store(true, Ordering::SeqCst);
    }

    /// Takes the right to read away.
    pub(super) fn forbid_reading(&self) {
        self.may_read.store(false, Ordering::SeqCst);
    }

    /// Lets something happen before the next request of a kind.
    pub(super) fn interrupt_by(&self, next: Interruption) {
        *locked(&self.interruption) = Some(next);
    }

    fn interrupt(&self, verb: &str, name: &str) {
        let mut waiting = locked(&self.interruption);
        let is_due = waiting.as_ref().is_some_and(|next| next.verb == verb && name.contains(next.part));
        let due = if is_due { waiting.take() } else { None };
        drop(waiting);
        if let Some(due) = due {
            (due.act)();
        }
    }

    fn fault(&self) -> Option<Fault> {
        let mut numbers = locked(&self.numbers);
        let is_wrong = numbers.next(1000) < self.faults.per_mille;
        is_wrong.then(|| FAULTS[numbers.next(FAULTS.len())])
    }

    /// Waits for its turn, and lets some of what is late arrive.
    fn begin(&self, verb: &'static str, is_write: bool) {
        if let Some((turns, own)) = &self.turns {
            turns.take(*own, is_write);
        }
        let mut bucket = locked(&self.bucket);
        *bucket.requests.entry(verb).or_default() += 1;
        if self.faults.per_mille > 0 && !bucket.late.is_empty() {
            let mut numbers = locked(&self.numbers);
            if numbers.next(3) == 0 {
                let at = numbers.next(bucket.late.len());
                let write = bucket.late.swap_remove(at);
                bucket.carry_out(&write);
            }
        }
        let is_listed_anew = locked(&self.numbers).next(4) == 0;
        if is_listed_anew || self.faults.per_mille == 0 {
            bucket.listed = bucket.objects.keys().cloned().collect();
        }
    }

    fn write(&self, verb: &'static str, write: Write) -> Answer<Written> {
        self.begin(verb, true);
        if !self.delay.is_zero() {
            wait(self.delay);
        }
        if !self.may_write {
            return Err(Trouble::Final(error("403")));
        }
        let is_lost = verb == "create" && self.loses_a_create.swap(false, Ordering::SeqCst);
        let fault = if is_lost { Some(Fault::LostAfter) } else { self.fault() };
        let mut bucket = locked(&self.bucket);
        if let Write::Create(_, bytes) | Write::Replace(_, bytes, _) = &write {
            bucket.bytes.0 += bytes.len();
        }
        match fault {
            None => Ok(bucket.carry_out(&write)),
            Some(Fault::LostBefore) => Err(Trouble::Open(error("timed out"))),
            Some(Fault::LostAfter) => {
                bucket.carry_out(&write);
                Err(Trouble::Open(error("timed out")))
            }
            Some(Fault::Late) => {
                bucket.late.push(write);
                Err(Trouble::Open(error("timed out")))
            }
            Some(Fault::Twice) => {
                bucket.carry_out(&write);
                Ok(bucket.carry_out(&write))
            }
            Some(Fault::Busy) => Err(Trouble::Busy(error("503"))),
            Some(Fault::Conflict) => Err(Trouble::Open(error("409"))),
        }
    }

    fn read<T>(&self, verb: &'static str, read: impl FnOnce(&mut Bucket) -> T) -> Answer<T> {
        self.begin(verb, false);
        if !self.may_read.load(Ordering::SeqCst) {
            return Err(Trouble::Final(error("403")));
        }
        match self.fault() {
            None | Some(Fault::Twice) => Ok(read(&mut locked(&self.bucket))),
            Some(Fault::Busy | Fault::Conflict) => Err(Trouble::Busy(error("503"))),
            Some(Fault::LostBefore | Fault::LostAfter | Fault::Late) => {
                Err(Trouble::Open(error("timed out")))
            }
        }
    }
}

impl Objects for Client {
    fn create(&self, name: &str, bytes: &[u8]) -> Answer<Written> {
        self.interrupt("create", name);
        self.write("create", Write::Create(name.to_owned(), bytes.to_vec()))
    }

    fn replace(&self, name: &str, bytes: &[u8], read: &Version) -> Answer<Written> {
        self.interrupt("replace", name);
        self.write("replace", Write::Replace(name.to_owned(), bytes.to_vec(), read.clone()))
    }

    fn get(&self, name: &str) -> Answer<Option<Found>> {
        self.interrupt("get", name);
        self.read("get", |bucket| {
            let there = bucket.objects.get(name)?.clone();
            bucket.bytes.1 += there.len();
            Some(Found { version: version_of(&there), bytes: there })
        })
    }

    fn list(&self, prefix: &str, behind: &str) -> Answer<Vec<String>> {
        self.interrupt("list", prefix);
        self.read("list", |bucket| {
            let is_meant = |name: &&String| name.starts_with(prefix) && name.as_str() > behind;
            bucket.listed.iter().filter(is_meant).cloned().collect()
        })
    }

    fn list_sized(&self, prefix: &str) -> Answer<Vec<(String, u64)>> {
        self.interrupt("list", prefix);
        self.read("list", |bucket| {
            let is_meant = |name: &&String| name.starts_with(prefix);
            // How long one was that is gone by now a late list says, too.
            let length = |name: &String| bucket.objects.get(name).map_or(0, Vec::len);
            let sized = |name: &String| (name.clone(), u64::try_from(length(name)).unwrap());
            bucket.listed.iter().filter(is_meant).map(sized).collect()
        })
    }

    fn delete(&self, name: &str) -> Answer<()> {
        self.write("delete", Write::Delete(name.to_owned())).map(drop)
    }

    fn pause(&self, tries: u32) -> bool {
        tries < self.most_tries
    }

    fn place(&self) -> &Path {
        &self.place
    }
}
