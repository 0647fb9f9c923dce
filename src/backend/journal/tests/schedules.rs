//! Every schedule of few writers, and very many of more, with requests that go wrong.

use std::sync::{Arc, Mutex};

use super::sim::{Bucket, Client, Faults, Numbers, Shared};
use super::turns::{Schedule, Turns, after};
use super::world::{History, engine};
use crate::backend::Backend;
use crate::backend::journal::Engine;
use crate::backend::locked::locked;
use crate::model::Keep;

/// What a process does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Append(&'static str),
    Read(&'static str),
    /// Reads all that is kept of what it was.
    LookBack(&'static str),
    Compact,
    Keep(Keep),
    /// Reads on as a consumer, and acknowledges all of it.
    Consume,
}

thread_local! {
    /// A store with one message, and an opening of it: what every run begins with.
    static BEGUN: (Shared, Engine) = {
        let bucket: Shared = Arc::new(Mutex::new(Bucket::default()));
        let opened = engine(Client::sound(&bucket));
        History::default().append(&opened, "a", "first");
        (bucket, opened)
    };
}

/// A copy of it, and what has happened so far.
fn begun() -> (Shared, Engine, History) {
    BEGUN.with(|(bucket, opened)| {
        let objects = locked(bucket).objects.clone();
        let bucket: Shared = Arc::new(Mutex::new(Bucket::of(objects)));
        let opened = opened.like(Arc::new(Client::sound(&bucket)));
        (bucket, opened, History::with("a", "first"))
    })
}

/// Ends a process's turns.
struct End<'t>(&'t Turns);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Lets processes do their deeds on one bucket, by a schedule, and checks what came of it. Says what was chosen.
fn run(
    deeds: &[Vec<Deed>],
    schedule: Schedule,
    seed: u64,
    faults: Faults,
    only_writes: bool,
) -> (Vec<(usize, usize)>, u64) {
    let (bucket, opened, history) = begun();
    let turns = Arc::new(Turns::new(deeds.len(), schedule, only_writes));
    // Opened before anything is done, each knows nothing of what the others will do.
    let engines: Vec<Engine> = (0..deeds.len())
        .map(|own| {
            let seed = seed.wrapping_mul(31).wrapping_add(u64::try_from(own).unwrap());
            let client = Client::faulty(&bucket, seed, faults, Some((Arc::clone(&turns), own)));
            opened.like(Arc::new(client))
        })
        .collect();
    std::thread::scope(|scope| {
        for (own, (engine, deeds)) in engines.iter().zip(deeds).enumerate() {
            let (history, turns) = (&history, &turns);
            scope.spawn(move || {
                // Also when one of them fails, or the others would wait for it.
                let _end = End(turns);
                for (n, deed) in deeds.iter().enumerate() {
                    match deed {
                        Deed::Append(conversation) => {
                            history.append(engine, conversation, &format!("{own}-{n}"));
                        }
                        Deed::Read(conversation) => history.read(engine, own, conversation),
                        Deed::LookBack(conversation) => history.look_back(engine, own, conversation),
                        Deed::Consume => history.consume(engine),
                        Deed::Keep(keep) => drop(engine.keep_history(*keep)),
                        // One that fails has done nothing that others could not go on from.
                        Deed::Compact => drop(engine.compact()),
                    }
                }
            });
        }
    });
    let chooses = deeds.iter().flatten().any(|deed| matches!(deed, Deed::Keep(_)));
    history.check(&bucket, !chooses);
    (turns.taken(), history.open())
}

/// How many schedules are drawn in all.
fn in_all() -> u64 {
    std::env::var("BUCKET_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(40_000)
}

/// So many, or fewer where fewer schedules are drawn in all.
pub(super) fn scaled(count: u64) -> u64 {
    count.min(in_all())
}

#[test]
fn in_every_schedule_of_three_writers_with_two_appends_each_all_is_there_once_and_in_order() {
    let writer = || vec![Deed::Append("a"), Deed::Append("a")];
    let (mut next, mut count) = (Some(Vec::new()), 0_u64);
    while let Some(list) = next {
        let (taken, open) =
            run(&[writer(), writer(), writer()], Schedule::Listed(list), 0, Faults::default(), true);
        assert_eq!(open, 0);
        count += 1;
        next = after(&taken).filter(|_| count < in_all());
    }
    assert!(count >= scaled(1000), "{count}");
    println!("{count} schedules");
}

const CHOICES: [Keep; 4] =
    [Keep::Nothing, Keep::Everything, Keep::Bytes(1000), Keep::For(std::time::Duration::ZERO)];

/// Draws deeds and schedules, so many tenths of all.
fn drawn(processes: usize, each: usize, tenths: u64, per_mille: usize) {
    let (count, mut open) = (in_all() * tenths / 10, 0);
    for seed in 0..count {
        let mut numbers = Numbers::new(seed);
        let deeds: Vec<Vec<Deed>> = (0..processes)
            .map(|_| {
                (0..each)
                    .map(|_| match numbers.next(if seed % 4 == 0 { 15 } else { 13 }) {
                        0..5 => Deed::Append("a"),
                        5 => Deed::Append("b"),
                        6..8 => Deed::Read("a"),
                        8 => Deed::LookBack("a"),
                        9..12 => Deed::Compact,
                        12 => Deed::Consume,
                        _ => Deed::Keep(CHOICES[numbers.next(CHOICES.len())]),
                    })
                    .collect()
            })
            .collect();
        let schedule = Schedule::Drawn(numbers.clone());
        let result = std::panic::catch_unwind(|| run(&deeds, schedule, seed, Faults { per_mille }, false));
        open += result.unwrap_or_else(|_| panic!("{processes} processes, seed {seed}: {deeds:?}")).1;
    }
    assert!(per_mille < 200 || count < 100 || open > 0, "nothing ever ended without an answer");
}

#[test]
fn two_processes_on_a_bucket_that_fails() {
    drawn(2, 4, 3, 250);
}

#[test]
fn three_processes_on_a_bucket_that_fails() {
    drawn(3, 3, 3, 200);
}

#[test]
fn three_processes_on_a_bucket_that_does_not_fail() {
    drawn(3, 4, 3, 0);
}

#[test]
fn eight_processes_on_a_bucket_that_fails() {
    drawn(8, 2, 1, 100);
}
