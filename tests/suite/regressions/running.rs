//! A store that goes on through full disks.

use std::time::Duration;

use aral_store::{ErrorKind, SyncPolicy};

use super::{add, added, eventually, files_with, fresh, on, on_shared, open, pause, texts};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::hooks::Hooked;
use crate::support::simfs::errno::{EIO, ENOSPC};

/// The thread of the interval policy ended when the group that it had joined failed, for want of space say,
/// and nothing was synced any more. It goes on now until the log has ended. And it synced an idle store over
/// and over; now it syncs only what is not durable.
#[test]
fn the_interval_outlives_a_group_that_failed() {
    let sim = fresh();
    let full = Rule::new(Call::Allocate, 1, Fault::Errno(ENOSPC)).for_ever();
    let faults = FaultFs::over_sim(&sim, vec![full]);
    let hooked = Hooked::over(faults.clone());
    let store = open(on_shared(&hooked).sync(SyncPolicy::Interval(Duration::from_millis(1))));
    for _ in 0..3 {
        // Long enough for the thread to join the group.
        hooked.before(Call::Create, ".seg", || pause(15));
        assert_eq!(store.add_message("c1", "lost").unwrap_err().kind(), ErrorKind::NoSpace);
        assert!(hooked.has_begun());
    }
    faults.replan(Vec::new());
    drop(store.add_message("c1", "m0").unwrap());
    for n in 1..4 {
        let before = faults.count(Call::Sync);
        drop(store.add_message("c1", format!("m{n}")).unwrap());
        eventually("synced", || faults.count(Call::Sync) > before);
    }
    pause(20);
    let before = faults.count(Call::Sync);
    pause(40);
    assert_eq!(faults.count(Call::Sync), before, "the store is idle");
    assert_eq!(texts(&store, "c1"), added(0..4));
}

/// On a disk with room for a message, and not for a whole segment, nothing could be appended. A segment that
/// is just long enough is made then.
#[test]
fn a_short_segment_is_made_on_a_disk_that_is_nearly_full() {
    let sim = fresh();
    let store = open(on(sim.clone()));
    sim.set_quota(Some(sim.used() + (32 << 10)));
    add(&store, "c1", 0..3);
    assert_eq!(files_with(&sim, ".seg").len(), 1);
    let error = store.add_message("c1", "x".repeat(100 << 10)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    let survivor = sim.kill();
    let store = open(on(survivor.clone()));
    assert_eq!(texts(&store, "c1"), added(0..3));
    survivor.set_quota(None);
    add(&store, "c1", 3..5);
    store.compact().unwrap();
    store.close().unwrap();
    assert_eq!(texts(&open(on(survivor)), "c1"), added(0..5));
}

/// The second member of a group whose write was said to have failed, and had reached the cache all the same,
/// would follow on what was written in the first one's place, and come back from the dead at the next opening.
/// So nothing is written in that segment any more.
#[test]
fn the_rest_of_a_failed_group_is_not_taken_for_what_follows() {
    let mut shared_a_group = 0;
    for round in 0..100 {
        if round >= 10 && shared_a_group > 0 {
            break;
        }
        let sim = fresh();
        // The header of the segment with the first message, and the group behind it.
        let rule = Rule::new(Call::Write, 2, Fault::DoneButErrno(EIO)).on(".seg");
        let faults = FaultFs::over_sim(&sim, vec![rule]);
        let hooked = Hooked::over(faults.clone());
        let store = open(on_shared(&hooked));
        // Long enough for two more to gather behind the first.
        hooked.before(Call::Create, ".seg", || pause(30));
        let errors: Vec<Option<String>> = std::thread::scope(|scope| {
            let first = scope.spawn(|| store.add_message("c1", "m0").unwrap());
            eventually("begun", || hooked.has_begun());
            let more = ["ghost 1", "ghost 2"].map(|text| {
                let store = &store;
                scope.spawn(move || store.add_message("c1", text).err().map(|error| error.to_string()))
            });
            drop(first.join().unwrap());
            more.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        // On a busy machine one may come when all is over, and is written.
        let Some(errors) = errors.into_iter().collect::<Option<Vec<_>>>() else { continue };
        shared_a_group += u32::from(!errors.iter().any(|error| error.contains("because the write before")));
        drop(store.add_message("c1", "m1 ....").unwrap());
        let survivor = sim.kill();
        drop(store);
        assert_eq!(texts(&open(on(survivor)), "c1"), ["m0", "m1 ...."]);
    }
    assert!(shared_a_group > 0, "the two never met");
}
