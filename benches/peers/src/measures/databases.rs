//! Stores in databases beside what a program does that speaks to the database itself.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use super::{Better, Column, Measure, Place, Sample, Target, append, threads};
use crate::Outcome;
use crate::contenders::{Home, is_limit};
use crate::figures::{Latencies, Metrics};
use crate::peer::{Peer, Syncs};
use crate::server::Server;
use crate::workload::{Digest, Row, Talk, mixed};

const SQLITE: &[&str] = &["sqlite-full", "aral-store"];
const POSTGRES: &[&str] = &["inserts", "aral-store"];
const SQLITE_ROWS: &[&str] = &["sqlite-full", "raw-rows", "aral-store"];
const POSTGRES_ROWS: &[&str] = &["inserts", "raw-rows", "aral-store"];
const POSTGRES_GROUPS: &[&str] = &["inserts", "raw-rows", "raw-copy", "raw-copy-2", "aral-store"];

const LATENCIES: &[Column] = &[
    Column { metric: "p50_us", head: "p50, µs", better: Better::Less },
    Column { metric: "p99_us", head: "p99, µs", better: Better::Less },
    Column { metric: "per_s", head: "messages/s", better: Better::More },
];

const RATES: &[Column] = &[
    Column { metric: "per_s", head: "messages/s", better: Better::More },
    Column { metric: "p50_us", head: "p50, µs", better: Better::Less },
    Column { metric: "p99_us", head: "p99, µs", better: Better::Less },
];

const READS: &[Column] = &[
    Column { metric: "last_us", head: "last 10, µs", better: Better::Less },
    Column { metric: "id_us", head: "one by id, µs", better: Better::Less },
];

/// At most so many times the latency of the other, or at least so many times its rate.
const fn target(
    text: &'static str,
    metric: &'static str,
    better: Better,
    against: &'static [&'static str],
    bound: f64,
) -> Target {
    Target { text, metric, better, against, bound }
}

pub(super) const SQLITE_ONE: Measure = Measure {
    name: "sqlite-append",
    title: "In SQLite: durable appends, one thread",
    about: "One message of 200 bytes a call, to ten conversations in turns. Beside it a program with prepared statements, one transaction for each message, a \
        WAL and `synchronous = FULL`, as this store has them. `raw-rows` writes the rows of this store's \
        tables, one transaction for each message, and does nothing else.",
    contenders: SQLITE_ROWS,
    limit: Some("sqlite-full"),
    columns: LATENCIES,
    targets: &[target(
        "p50 at most 1.15 × that of one transaction a message",
        "p50_us",
        Better::Less,
        &["sqlite-full"],
        1.15,
    )],
    rounds: |scale| scale.pick(5, 3, 1),
    run: |sample| at(sample, Home::Sqlite, |sample| append::timed(sample, Syncs::Each)),
    place: Place::Own,
};

pub(super) const SQLITE_EIGHT: Measure = Measure {
    name: "sqlite-threads-8",
    title: "In SQLite: durable appends, 8 threads",
    about: "As above, from 8 threads at once, each to a conversation of its own. `raw-rows` is one thread that writes the rows of eight messages in \
        each transaction, and does nothing else; its times are those of a transaction.",
    contenders: SQLITE_ROWS,
    limit: Some("sqlite-full"),
    columns: RATES,
    targets: &[target("5 × one transaction a message", "per_s", Better::More, &["sqlite-full"], 5.0)],
    rounds: |scale| scale.pick(5, 3, 1),
    run: |sample| at(sample, Home::Sqlite, |sample| crowd(sample, 8)),
    place: Place::Own,
};

pub(super) const SQLITE_READS: Measure = Measure {
    name: "sqlite-reads",
    title: "In SQLite: reading",
    about: "Conversations of 100 messages; medians of single calls. Beside it prepared statements for the same.",
    contenders: SQLITE,
    limit: Some("sqlite-full"),
    columns: READS,
    targets: &[
        target("last 10: at most 1.2 × a prepared statement", "last_us", Better::Less, &["sqlite-full"], 1.2),
        target("one by id: at most 1.2 × a prepared statement", "id_us", Better::Less, &["sqlite-full"], 1.2),
    ],
    rounds: |scale| scale.pick(5, 3, 1),
    run: |sample| at(sample, Home::Sqlite, reads),
    place: Place::Own,
};

pub(super) const POSTGRES_ONE: Measure = Measure {
    name: "postgres-append",
    title: "In PostgreSQL: durable appends, one thread",
    about: "Over loopback, to a server with `fsync` on that each sample has to itself. Beside it one prepared `INSERT` a message, a transaction by itself. \
        `raw-rows` writes the rows of this store's tables by one prepared statement, and does nothing else.",
    contenders: POSTGRES_ROWS,
    limit: Some("inserts"),
    columns: LATENCIES,
    targets: &[target("p50 at most 1.3 × that of one INSERT", "p50_us", Better::Less, &["inserts"], 1.3)],
    rounds: |scale| scale.pick(5, 3, 1),
    run: |sample| at(sample, Home::Postgres, |sample| append::timed(sample, Syncs::Each)),
    place: Place::Own,
};

pub(super) const POSTGRES_SIXTY_FOUR: Measure = Measure {
    name: "postgres-threads-64",
    title: "In PostgreSQL: durable appends, 64 threads",
    about: "As above, from 64 threads at once, each to a conversation of its own. The inserts have a pool of 16 connections. \
        `raw-rows` is one thread that writes the rows of 64 messages by one statement, and does nothing else. `raw-copy` sends events and messages by a binary `COPY` each, \
        64 in a transaction; `raw-copy-2` does so on two connections that number their rows apart and wait for nothing of each other. Their times are those of a transaction.",
    contenders: POSTGRES_GROUPS,
    limit: Some("inserts"),
    columns: RATES,
    targets: &[target(
        "8 × one INSERT a message on 16 connections",
        "per_s",
        Better::More,
        &["inserts"],
        8.0,
    )],
    rounds: |scale| scale.pick(5, 3, 1),
    run: |sample| at(sample, Home::Postgres, |sample| crowd(sample, 64)),
    place: Place::Own,
};

pub(super) const POSTGRES_READS: Measure = Measure {
    name: "postgres-reads",
    title: "In PostgreSQL: reading",
    about: "As in SQLite, over loopback.",
    contenders: POSTGRES,
    limit: Some("inserts"),
    columns: READS,
    targets: &[
        target("last 10: at most 1.2 × a prepared statement", "last_us", Better::Less, &["inserts"], 1.2),
        target("one by id: at most 1.2 × a prepared statement", "id_us", Better::Less, &["inserts"], 1.2),
    ],
    rounds: |scale| scale.pick(5, 3, 1),
    run: |sample| at(sample, Home::Postgres, reads),
    place: Place::Own,
};

/// Takes a sample in a database, on a server of its own if it takes one.
fn at(sample: &Sample, home: Home, run: impl FnOnce(&Sample) -> Outcome<Metrics>) -> Outcome<Metrics> {
    let server = if home == Home::Postgres { Some(Server::start(&sample.dir)?) } else { None };
    let port = server.as_ref().map_or(0, |server| server.port);
    run(&sample.at_home(home, port))
}

/// So many threads at once; of a limit, as many messages at once.
fn crowd(sample: &Sample, threads: u32) -> Outcome<Metrics> {
    let connections = if sample.contender == "raw-copy-2" { 2 } else { 1 };
    if is_limit(&sample.contender) {
        groups(sample, threads, connections)
    } else {
        threads::run(sample, threads)
    }
}

/// Groups of messages, each of them of so many conversations, one after the other on each connection.
fn groups(sample: &Sample, size: u32, connections: u32) -> Outcome<Metrics> {
    let peer = sample.open(Syncs::Each)?;
    let found: Vec<_> = thread::scope(|scope| {
        let one = |which| {
            let peer = peer.as_ref();
            scope.spawn(move || in_groups(sample, peer, which * size..(which + 1) * size))
        };
        let all: Vec<_> = (0..connections).map(one).collect();
        all.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    drop(peer);
    let (mut latencies, mut digest, mut rate) = (Latencies::default(), Digest::default(), 0.0);
    for one in found {
        let (took, wrote) = one.map_err(|_| "a thread panicked")??;
        rate += took.count() as f64 * f64::from(size) / took.total().as_secs_f64();
        latencies.join(took);
        digest.join(wrote);
    }
    sample.check(Syncs::Each, digest)?;
    let mut metrics = Metrics::new();
    metrics.insert("per_s".into(), rate);
    latencies.report(&mut metrics);
    Ok(metrics)
}

fn in_groups(sample: &Sample, peer: &dyn Peer, talks: Range<u32>) -> Outcome<(Latencies, Digest)> {
    let (mut latencies, mut digest, begun) = (Latencies::default(), Digest::default(), Instant::now());
    for seq in 0_u32.. {
        let rows: Vec<Row> = talks.clone().map(|talk| Row::new(talk, seq)).collect();
        let start = Instant::now();
        peer.append_batch(&rows)?;
        // The first ones make the conversations.
        if seq > 0 {
            latencies.add(start.elapsed());
        }
        rows.iter().for_each(|row| digest.add_row(row));
        if seq > 0 && begun.elapsed() >= sample.scale.time() || digest.count >= append::MOST {
            break;
        }
    }
    Ok((latencies, digest))
}

/// How many messages each conversation has.
const MESSAGES: u32 = 100;

fn reads(sample: &Sample) -> Outcome<Metrics> {
    let peer = sample.open(Syncs::Each)?;
    let talks: Vec<Talk> = (0..sample.scale.pick(200, 100, 5)).map(Talk::new).collect();
    for talk in &talks {
        peer.append_batch(&(0..MESSAGES).map(|seq| Row::new(talk.number, seq)).collect::<Vec<_>>())?;
    }
    for talk in &talks {
        check(peer.as_ref(), talk)?;
    }
    let some = |at: u32| mixed(u64::from(at)) % u64::from(MESSAGES);
    let wanted: Vec<Row> = (0..1000)
        .zip(talks.iter().cycle())
        .map(|(at, talk)| Row::new(talk.number, some(at) as u32))
        .collect();
    let time = sample.scale.time();
    let mut metrics = Metrics::new();
    metrics.insert("last_us".into(), p50(time, &wanted, |row| peer.last(&row.talk, 10).map(drop))?);
    metrics.insert("id_us".into(), p50(time, &wanted, |row| peer.by_id(&row.talk, &row.id).map(drop))?);
    Ok(metrics)
}

/// Holds what is read against what was written.
fn check(peer: &dyn Peer, talk: &Talk) -> Outcome<()> {
    let (last, one) = (peer.last(talk, 10)?, Row::new(talk.number, 42));
    let found = peer.by_id(talk, &one.id)?;
    let (Some(last), Some(found)) = (last, found) else {
        return Err("messages cannot be read".into());
    };
    let first = Row::new(talk.number, MESSAGES - 10);
    if last.count() != 10 || last.text(0) != Some(&first.content) || found.text(0) != Some(&one.content) {
        return Err("what was read is something else".into());
    }
    Ok(())
}

/// The median time of a call.
fn p50(time: Duration, rows: &[Row], mut call: impl FnMut(&Row) -> Outcome<()>) -> Outcome<f64> {
    let mut latencies = Latencies::default();
    for row in rows.iter().cycle() {
        let start = Instant::now();
        call(row)?;
        latencies.add(start.elapsed());
        if latencies.total() >= time {
            break;
        }
    }
    Ok(latencies.percentile(0.5))
}
