//! The engine under faults that no real database gives at the right moment.
//!
//! Owns a connector that stands before another one, counts, and fails where it is told to.

mod altered;

mod commits;

mod erasing;

mod faulty;

mod guests;

mod known;

mod migrations;

mod salvaging;

mod searching;

mod texts;

use std::path::Path;
use std::sync::Arc;

use self::faulty::{Faults, Faulty};
use super::Engine;
use crate::backend::Backend;
use crate::backend::settings::Settings;
use crate::backend::sqlite::SqliteConnector;
use crate::model::{Event, Mutation, Receipt, Seq};

/// An engine on the database in a directory, behind a connector that fails as it is told.
fn open(dir: &Path) -> (Arc<Engine>, Arc<Faults>) {
    let (engine, faults) = try_open(dir, Settings::default());
    (Arc::new(engine.unwrap()), faults)
}

/// The same, with what is to fail said before.
fn try_open_with(dir: &Path, plan: impl FnOnce(&mut Faults)) -> crate::error::Result<Engine> {
    let mut faults = Faults::default();
    plan(&mut faults);
    try_open_on(dir, Settings::default(), Arc::new(faults)).0
}

fn try_open(dir: &Path, settings: Settings) -> (crate::error::Result<Engine>, Arc<Faults>) {
    try_open_on(dir, settings, Arc::new(Faults::default()))
}

fn try_open_on(
    dir: &Path,
    settings: Settings,
    faults: Arc<Faults>,
) -> (crate::error::Result<Engine>, Arc<Faults>) {
    let inner = SqliteConnector::new(&dir.join("store.db"), &settings);
    let connector = Faulty { inner: Arc::new(inner), faults: Arc::clone(&faults) };
    (Engine::open(Arc::new(connector), settings), faults)
}

/// A connection of somebody else's, without any of the store's ways.
fn stranger(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("store.db")).unwrap()
}

fn add(engine: &Engine, content: &str) -> crate::error::Result<Receipt> {
    engine.append_one(Mutation::add_message("c1", content))
}

fn events(engine: &Engine) -> Vec<(Seq, Event)> {
    let batches = engine.events(1).unwrap();
    batches.into_iter().flat_map(|(seq, events)| (seq..).zip(events)).collect()
}

/// Everything that must hold whatever happened: numbers without gaps, and tables that say what the events led to.
fn hold(engine: &Engine) {
    assert!(events(engine).iter().map(|(seq, _)| *seq).eq(1..=engine.stats().unwrap().last_seq));
    assert_eq!(engine.verify().unwrap().damaged, []);
}
