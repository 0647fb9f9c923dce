//! One thread appends without syncs: a kill of the process loses nothing, a power cut may.

use super::{Better, Column, Measure, Place, Target, append};
use crate::peer::Syncs;

pub(super) const MEASURE: Measure = Measure {
    name: "buffered",
    title: "Appends without syncs, one thread",
    about: "`SyncPolicy::Os`: handed to the operating system when the call returns, synced by nobody. SQLite with `NORMAL`, redb \
        with `Durability::None` (which keeps them in memory), fjall with `Buffer`, LMDB with `NOSYNC`. okaywal syncs every \
        entry and takes no part.",
    contenders: &[
        "raw-write",
        "sqlite-normal",
        "redb",
        "fjall",
        "lmdb",
        "raft-engine",
        "salamander-db",
        "jsonl",
        "aral-store",
    ],
    limit: Some("raw-write"),
    columns: &[
        Column { metric: "per_s", head: "messages/s", better: Better::More },
        Column { metric: "p50_us", head: "p50, µs", better: Better::Less },
        Column { metric: "p99_us", head: "p99, µs", better: Better::Less },
    ],
    targets: &[
        Target {
            text: "at least 0.8 of one bare write a record",
            metric: "per_s",
            better: Better::More,
            against: &["raw-write"],
            bound: 0.8,
        },
        Target {
            text: "5 × the best of SQLite, redb, LMDB and fjall",
            metric: "per_s",
            better: Better::More,
            against: &["sqlite-normal", "redb", "lmdb", "fjall"],
            bound: 5.0,
        },
    ],
    rounds: |scale| scale.pick(3, 2, 1),
    run: |sample| append::timed(sample, Syncs::Never),
    place: Place::Own,
};
