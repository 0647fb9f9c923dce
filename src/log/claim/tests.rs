//! What the time of the lock's file proves, and what it does not.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    /// The file's time is as coarse as any file system's. Looks take place at any times, and take time themselves
    /// between the clock, the reading and the file's time; at some moment somebody else replaces the claim.
    #[test]
    fn a_change_is_never_taken_for_none(
        pauses in vec(prop_oneof![0_i64..30_000, 0_i64..400_000], 6..60),
        taken in 0_i64..2_000_000,
        resolution in prop::sample::select(vec![20_000_i64, 2_000_000]),
        overtaken_after in 0_usize..60,
    ) {
        let time = |at: i64| i128::from(at / resolution * resolution) * 1000;
        let (mut last, mut at, mut changed, mut is_own) = (LastChange::default(), taken, taken, true);
        let mut steps = pauses.iter().enumerate();
        let mut pass = || {
            let (step, pause) = steps.next()?;
            at += pause;
            if step == overtaken_after {
                (changed, is_own) = (at, false);
            }
            Some((at, changed, is_own))
        };
        while let Some((now, seen, was_own)) = pass() {
            if last.proves(time(seen)) {
                prop_assert!(was_own, "at {now}");
                continue;
            }
            let Some((_, _, reads_own)) = pass() else { break };
            if !reads_own {
                break;
            }
            let Some((_, seen, _)) = pass() else { break };
            last.note(time(seen), now);
        }
    }
}

/// A lock whose file has the same time whatever happens to it, as for changes in one tick.
#[derive(Debug)]
struct Coarse(i128);

impl Lock for Coarse {
    fn changed_nanos(&self) -> io::Result<Option<i128>> {
        Ok(Some(self.0))
    }
}

#[test]
fn whoever_comes_while_a_look_is_under_way_is_found_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("LOCK");
    let file = vfs::OsVfs.open(&path, OpenMode::CreateNew).unwrap();
    let bytes = encode_claim([1; 16]);
    vfs::write_all_at(&*file, &bytes, 0).unwrap();
    let (calls, other) = (std::sync::atomic::AtomicI64::new(0), Arc::clone(&file));
    // When the time is asked for the second time, somebody else comes, and much time passes.
    let now = move || {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        if call == 1 {
            vfs::write_all_at(&*other, &encode_claim([2; 16]), 0).unwrap();
        }
        call * 60_000_000
    };
    let held = Held { lock: Box::new(Coarse(7)), last: LastChange::default() };
    let (lock, is_lost) = (Mutex::new(Some(held)), AtomicBool::new(false));
    let claim = Claim { path, file, bytes, lock, is_lost, now: Arc::new(now) };
    let looks: Vec<bool> = (0..4).map(|_| claim.check().is_ok()).collect();
    assert_eq!(looks[2..], [false, false], "{looks:?}");
}

#[test]
fn a_file_that_stays_as_it_is_need_not_be_read_for_ever() {
    let mut last = LastChange::default();
    for (now, proves) in [(0, false), (99_999, false), (100_000, true)] {
        last.note(7, now);
        assert_eq!(last.proves(7), proves, "{now}");
    }
    assert!(!last.proves(8));
    let mut never_moves = LastChange::default();
    (0..9).for_each(|look| never_moves.note(0, look * 10_000_000));
    assert!(!never_moves.proves(0));
    last.note(8, 100_001);
    assert!(!last.proves(7) && !last.proves(8));
    for (now, proves) in [(0, false), (2_999_999, false), (3_000_000, true)] {
        last.note(5_000_000_000, now);
        assert_eq!(last.proves(5_000_000_000), proves, "{now}");
    }
}
