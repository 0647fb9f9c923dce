//! Backups of a directory that are kept in a bucket: killed, on a network that fails, two at once, and copied down.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::sim::{Bucket, Client, Faults, Shared};
use super::world::message;
use crate::backend::Backend;
use crate::backend::directory::{self, MANIFEST, Replica};
use crate::backend::journal::Engine;
use crate::backend::journal::files::ObjectFiles;
use crate::backend::journal::objects::{Answer, Found, Objects, Trouble, Version, Written};
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{BackupReport, Conversation, Moment, Mutation, Operation, Order, Seq};
use crate::vfs::OsVfs;

fn bucket() -> Shared {
    Arc::new(Mutex::new(Bucket::default()))
}

fn settings() -> Settings {
    Settings { compact_above: None, first_segment_bytes: 8 << 10, ..Settings::default() }
}

fn all(store: &dyn Backend) -> Vec<Conversation> {
    let list = store.conversations(Order::Created, None).unwrap();
    list.iter().map(|summary| store.conversation(&summary.id).unwrap().unwrap()).collect()
}

fn at(objects: Arc<dyn Objects>) -> (PathBuf, Settings) {
    let files = Arc::new(ObjectFiles::new(objects, Arc::new(OsVfs)));
    (files.root().to_owned(), Settings { vfs: files, ..settings() })
}

fn replica(dir: &Path, objects: Arc<dyn Objects>) -> Result<Replica> {
    let (root, settings) = at(objects);
    Replica::open(dir, &root, settings, None)
}

fn backup(dir: &Path, objects: Arc<dyn Objects>) -> Result<BackupReport> {
    replica(dir, objects)?.pass()
}

/// What a backup holds, in a store of its own.
fn restored(bucket: &Shared, moment: Moment) -> Result<(Vec<Conversation>, Seq)> {
    let home = tempfile::tempdir().unwrap();
    let (root, settings) = at(Arc::new(Client::sound(bucket)));
    let report = directory::restore(&root, &home.path().join("new"), moment, settings)?;
    let store = directory::open(&home.path().join("new"), self::settings())?;
    assert_eq!(store.recovery().damaged, Vec::new());
    Ok((all(&*store), report.last_seq))
}

/// A store, and every state that it has been in.
struct Scene {
    _home: tempfile::TempDir,
    dir: PathBuf,
    store: Arc<dyn Backend>,
    states: Vec<(Seq, Vec<Conversation>)>,
}

impl Scene {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data");
        let store = directory::open(&dir, settings()).unwrap();
        Self { _home: home, dir, store, states: vec![(0, Vec::new())] }
    }

    fn run(&mut self, mutation: Mutation) {
        drop(self.store.append(vec![mutation]).unwrap());
        self.states.push((self.store.stats().unwrap().last_seq, all(&*self.store)));
    }

    /// The n-th part of a program that appends, removes and compacts.
    fn part(&mut self, n: usize) {
        self.run(message("a", &format!("{n}")));
        self.run(Mutation::add_message(format!("c{n}"), "long ".repeat(500)));
        if n % 2 == 1 {
            drop(self.store.compact().unwrap());
        }
        if n == 2 {
            self.run(Mutation::new("c1", Operation::RemoveConversation));
        }
        self.run(Mutation::add_message("b", "long ".repeat(900)));
    }

    fn last_seq(&self) -> Seq {
        self.states.last().unwrap().0
    }

    /// Holds that the newest state of a backup is one that the store has been in, and no older than this.
    fn judge(&self, bucket: &Shared, least: Seq, told: &str) {
        let found = match restored(bucket, Moment::Newest) {
            Err(error) if least == 0 => {
                assert!(
                    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput),
                    "{told}: {error}"
                );
                return;
            }
            found => found.unwrap_or_else(|error| panic!("{told}: {error}")),
        };
        assert!(found.1 >= least, "{told}: {} and not {least}", found.1);
        let ought = self.states.iter().find(|state| state.0 == found.1);
        assert!(ought.is_some_and(|ought| ought.1 == found.0), "{told}: event {}", found.1);
    }
}

/// A process that is killed at one of its requests, before or after that one takes effect.
#[derive(Debug)]
pub(super) struct Killed {
    inner: Client,
    left: AtomicUsize,
    is_after: bool,
}

impl Killed {
    /// One that is killed at this request.
    pub(super) fn new(inner: Client, at: usize, is_after: bool) -> Self {
        Self { inner, left: AtomicUsize::new(at), is_after }
    }

    /// Whether it lives.
    pub(super) fn lives(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }

    fn at<T>(&self, request: impl FnOnce(&Client) -> Answer<T>) -> Answer<T> {
        let left = self.left.load(Ordering::SeqCst);
        self.left.store(left.saturating_sub(1), Ordering::SeqCst);
        let answer = (left > 1 || left == 1 && self.is_after).then(|| request(&self.inner));
        let dead = || Err(Trouble::Final(Error::new(ErrorKind::Failed, "killed")));
        if left > 1 { answer.unwrap_or_else(dead) } else { dead() }
    }
}

impl Objects for Killed {
    fn create(&self, name: &str, bytes: &[u8]) -> Answer<Written> {
        self.at(|inner| inner.create(name, bytes))
    }

    fn replace(&self, name: &str, bytes: &[u8], read: &Version) -> Answer<Written> {
        self.at(|inner| inner.replace(name, bytes, read))
    }

    fn get(&self, name: &str) -> Answer<Option<Found>> {
        self.at(|inner| inner.get(name))
    }

    fn list(&self, prefix: &str, behind: &str) -> Answer<Vec<String>> {
        self.at(|inner| inner.list(prefix, behind))
    }

    fn list_sized(&self, prefix: &str) -> Answer<Vec<(String, u64)>> {
        self.at(|inner| inner.list_sized(prefix))
    }

    fn delete(&self, name: &str) -> Answer<()> {
        self.at(|inner| inner.delete(name))
    }

    fn pause(&self, _tries: u32) -> bool {
        false
    }

    fn place(&self) -> &Path {
        self.inner.place()
    }
}

#[test]
fn no_other_backup_is_begun_in_a_bucket_that_was_emptied() {
    let (mut scene, bucket) = (Scene::new(), bucket());
    let client = || Arc::new(Client::sound(&bucket));
    let mut own = replica(&scene.dir, client()).unwrap();
    scene.run(message("a", "one"));
    own.pass().unwrap();
    let store_id = own.state_of().unwrap();
    let (root, settings) = at(client());
    directory::must_still_be_there(&*settings.vfs, &root, store_id).unwrap();
    for name in client().list("", "").unwrap() {
        client().delete(&name).unwrap();
    }
    scene.run(message("a", "two"));
    assert_eq!(own.pass().unwrap_err().kind(), ErrorKind::NotFound);
    let error = directory::must_still_be_there(&*settings.vfs, &root, store_id).unwrap_err();
    assert!(error.to_string().contains("the backup is not there any more"), "{error}");
}

#[test]
fn a_backup_in_a_bucket_gives_back_each_state_that_it_keeps_and_is_the_same_as_in_a_directory() {
    let (mut scene, bucket) = (Scene::new(), bucket());
    let beside = tempfile::tempdir().unwrap();
    let to = beside.path().join("backup");
    let mut own = replica(&scene.dir, Arc::new(Client::sound(&bucket))).unwrap();
    let mut other = Replica::open(&scene.dir, &to, settings(), None).unwrap();
    for n in 0..4 {
        scene.part(n);
        let (report, same) = (own.pass().unwrap(), other.pass().unwrap());
        assert_eq!((report.last_seq, report.files, report.bytes), (same.last_seq, same.files, same.bytes));
        assert_eq!(report.last_seq, scene.last_seq());
    }
    let mut report = BackupReport::default();
    own.tell_kept(&mut report).unwrap();
    for (seq, ought) in &scene.states {
        match restored(&bucket, Moment::Seq(*seq)) {
            Ok((found, last)) => assert_eq!((last, &found), (*seq, ought)),
            Err(error) => {
                let is_kept = report.kept.iter().any(|(first, last)| (first..=last).contains(&seq));
                assert!(error.kind() == ErrorKind::NotFound && !is_kept, "{error}: {report:?}");
            }
        }
    }
    // The manifest and the moments have times in them.
    let mut files = std::collections::BTreeMap::new();
    super::copies::files(&to, "", &mut files);
    let is_compared = |name: &&String| !["LOCK", MANIFEST, "moments"].contains(&name.as_str());
    let there = locked(&bucket).objects.clone();
    assert_eq!(
        files.iter().filter(|(name, _)| is_compared(name)).collect::<Vec<_>>(),
        there.iter().filter(|(name, _)| is_compared(name)).collect::<Vec<_>>()
    );
    // And so it comes back when it was copied down.
    let down = beside.path().join("down");
    super::copies::down(&bucket, &down);
    drop(directory::restore(&down, &beside.path().join("new"), Moment::Newest, settings()).unwrap());
    assert_eq!(all(&*directory::open(&beside.path().join("new"), settings()).unwrap()), all(&*scene.store));
}

#[test]
fn a_backup_that_is_killed_at_any_request_leaves_a_state_of_the_store_and_is_gone_on_with() {
    let (mut scene, bucket) = (Scene::new(), bucket());
    let mut kills = 0;
    for n in 0..4 {
        let least = if n == 0 { 0 } else { scene.last_seq() };
        scene.part(n);
        let before = locked(&bucket).objects.clone();
        for at in 1.. {
            let is_after = at % 2 == 0;
            let left: Shared = Arc::new(Mutex::new(Bucket::of(before.clone())));
            let client = Killed { inner: Client::sound(&left), left: AtomicUsize::new(at), is_after };
            let is_through = backup(&scene.dir, Arc::new(client)).is_ok();
            let told = format!("backup {n}, killed at request {at}");
            scene.judge(&left, if is_through { scene.last_seq() } else { least }, &told);
            let report = backup(&scene.dir, Arc::new(Client::sound(&left)));
            let report = report.unwrap_or_else(|error| panic!("{told}: {error}"));
            assert!(report.set_aside.is_empty() && report.mended.is_empty(), "{told}: {report:?}");
            scene.judge(&left, scene.last_seq(), &told);
            if is_through {
                *locked(&bucket) = Bucket::of(locked(&left).objects.clone());
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 60, "{kills}");
}

#[test]
fn a_backup_over_a_network_that_fails_says_no_more_than_is_there() {
    let mut through = 0;
    for seed in 0..30 {
        let (mut scene, bucket) = (Scene::new(), bucket());
        let mut least = 0;
        for n in 0..4 {
            scene.part(n);
            let faults = Faults { per_mille: [20, 100, 300][seed % 3] };
            let seed = u64::try_from(seed * 10 + n).unwrap();
            let client = Client::faulty(&bucket, seed, faults, None);
            if let Ok(report) = backup(&scene.dir, Arc::new(client)) {
                assert_eq!(report.last_seq, scene.last_seq());
                least = report.last_seq;
                through += 1;
            }
            scene.judge(&bucket, least, &format!("seed {seed}"));
            locked(&bucket).arrive();
            scene.judge(&bucket, least, &format!("seed {seed}, and what was late"));
        }
        let report = backup(&scene.dir, Arc::new(Client::sound(&bucket))).unwrap();
        scene.judge(&bucket, report.last_seq, &format!("seed {seed}, the last one"));
    }
    assert!(through > 24, "{through}");
}

#[test]
fn of_two_backups_at_once_the_one_that_comes_later_stops_and_replaces_nothing() {
    let (mut scene, bucket) = (Scene::new(), bucket());
    scene.part(0);
    let [mut one, mut other] = [0, 1].map(|_| replica(&scene.dir, Arc::new(Client::sound(&bucket))).unwrap());
    drop(one.pass().unwrap());
    scene.part(1);
    let reached = one.pass().unwrap().last_seq;
    let refused = other.pass().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    scene.judge(&bucket, reached, "the first one's");
    scene.part(2);
    assert_eq!(one.pass().unwrap().last_seq, scene.last_seq());
    drop(one);
    scene.part(3);
    assert_eq!(backup(&scene.dir, Arc::new(Client::sound(&bucket))).unwrap().last_seq, scene.last_seq());
    scene.judge(&bucket, scene.last_seq(), "a later one");
}

/// A clock that is behind everything.
#[derive(Debug)]
struct Later;

impl Clock for Later {
    fn now_micros(&self) -> i64 {
        i64::MAX / 2
    }
}

#[test]
fn what_only_older_states_need_is_removed_from_a_bucket_too() {
    let (mut scene, bucket) = (Scene::new(), bucket());
    for n in 0..6 {
        scene.part(n);
        let (root, settings) = at(Arc::new(Client::sound(&bucket)));
        let settings = Settings { clock: Arc::new(Later), ..settings };
        let mut replica = Replica::open(&scene.dir, &root, settings, Some(0)).unwrap();
        drop(replica.pass().unwrap());
        scene.judge(&bucket, scene.last_seq(), &format!("part {n}"));
        let mut report = BackupReport::default();
        replica.tell_kept(&mut report).unwrap();
        assert_eq!(report.kept.len(), 1, "{report:?}");
    }
    let there = locked(&bucket).objects.keys().filter(|name| name.contains("CHECKPOINT-")).count();
    assert_eq!(there, 1, "{:?}", locked(&bucket).objects.keys());
    let error = restored(&bucket, Moment::Seq(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn what_is_no_backup_of_the_store_is_refused_and_nothing_of_it_changes() {
    let mut scene = Scene::new();
    scene.part(0);
    for name in ["log/CHECKPOINT-0000000000000001", "message_store.json", "something"] {
        let bucket = bucket();
        locked(&bucket).objects.insert(name.to_owned(), b"mine".to_vec());
        let before = locked(&bucket).objects.clone();
        let error = backup(&scene.dir, Arc::new(Client::sound(&bucket))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_eq!(locked(&bucket).objects, before);
    }
    let bucket = bucket();
    drop(backup(&scene.dir, Arc::new(Client::sound(&bucket))).unwrap());
    let before = locked(&bucket).objects.clone();
    let error = backup(&Scene::new_with("x").dir, Arc::new(Client::sound(&bucket))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let error = backup(&scene.dir, Arc::new(Client::reading(&bucket))).map(|_| ());
    assert!(error.is_ok() || error.is_err_and(|error| error.message().contains("403")));
    assert_eq!(locked(&bucket).objects, before);
    let opened = Engine::open(Arc::new(Client::sound(&bucket)), settings()).unwrap_err();
    assert!(opened.kind() == ErrorKind::InvalidInput && opened.message().contains("restore"), "{opened}");
    assert_eq!(locked(&bucket).objects, before);
    let files = ObjectFiles::new(Arc::new(Client::sound(&bucket)), Arc::new(OsVfs));
    files.must_keep_conditions(MANIFEST).unwrap();
    locked(&bucket).ignores_conditions = true;
    assert_eq!(files.must_keep_conditions(MANIFEST).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(locked(&bucket).objects, before);
}

impl Scene {
    fn new_with(id: &str) -> Self {
        let mut scene = Self::new();
        scene.run(message(id, "1"));
        scene
    }
}
