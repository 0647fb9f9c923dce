//! One thread reads from a large store, everything in the page cache.

use std::time::{Duration, Instant};

use super::stock::{self, check};
use super::{Better, Column, Measure, Place, RIVALS, Sample, Target};
use crate::Outcome;
use crate::contenders::OURS;
use crate::figures::{Latencies, Metrics};
use crate::peer::Peer;
use crate::scale::PER_CONVERSATION;
use crate::workload::{Row, Talk, mixed};

const COLUMNS: &[Column] = &[
    Column { metric: "conversation_us", head: "100 messages, µs", better: Better::Less },
    Column { metric: "borrowed_us", head: "the same borrowed, µs", better: Better::Less },
    Column { metric: "last_us", head: "last 10, µs", better: Better::Less },
    Column { metric: "id_us", head: "one by id, µs", better: Better::Less },
    Column { metric: "recent_us", head: "50 most recent, µs", better: Better::Less },
    Column { metric: "scan_per_s", head: "scan, messages/s", better: Better::More },
];

const fn within(text: &'static str, metric: &'static str, bound: f64) -> Target {
    Target { text, metric, better: Better::Less, against: &[], bound }
}

const fn ahead(text: &'static str, metric: &'static str) -> Target {
    Target { text, metric, better: Better::Less, against: RIVALS, bound: 1.0 }
}

const CONVERSATION: Target = ahead("100 messages: ahead of every peer", "conversation_us");
const BORROWED: Target = ahead("borrowed: ahead of every peer", "borrowed_us");
const LAST: Target = ahead("last 10: ahead of every peer", "last_us");
const ID: Target = ahead("one by id: ahead of every peer", "id_us");
const RECENT: Target = ahead("50 most recent conversations: ahead of every peer", "recent_us");

const SCAN: Target = Target {
    text: "scan: ahead of every peer",
    metric: "scan_per_s",
    better: Better::More,
    against: RIVALS,
    bound: 1.0,
};

pub(super) const LOG: Measure = Measure {
    name: "reads",
    title: "Reading from the log",
    about: "A million messages in 10,000 conversations, appended in turns: a conversation's messages lie scattered over the log, and \
        side by side in a B-tree. p50 of calls for conversations at random. Messages are owned when they are given out, save for the \
        borrowed ones. An empty cell is a question that a contender cannot answer. The limit is the raw file in a memory map, with every \
        record's offset in memory.",
    contenders: &["raw-map", "sqlite-full", "redb", "fjall", "lmdb", "raft-engine", "jsonl", "aral-store"],
    limit: Some("raw-map"),
    columns: COLUMNS,
    targets: &[
        within("100 messages, scattered: 40 µs", "conversation_us", 40.0),
        within("last 10: 5 µs", "last_us", 5.0),
        within("one by id: 2 µs", "id_us", 2.0),
        within("50 most recent conversations: 10 µs", "recent_us", 10.0),
        Target {
            text: "scan of all: 3.5 million messages/s",
            metric: "scan_per_s",
            better: Better::More,
            against: &[],
            bound: 3.5e6,
        },
        CONVERSATION,
        BORROWED,
        LAST,
        ID,
        RECENT,
        SCAN,
    ],
    rounds: |scale| scale.pick(3, 1, 1),
    run: |sample| run(sample, stock::LOG),
    place: Place::Own,
};

pub(super) const SIDE: Measure = Measure {
    name: "reads-side",
    title: "Reading from a log that lies side by side",
    about: "The same messages, one conversation appended after another.",
    contenders: &["raw-map", "aral-store"],
    limit: Some("raw-map"),
    columns: COLUMNS,
    targets: &[
        within("100 messages, side by side: 20 µs", "conversation_us", 20.0),
        within("borrowed: 8 µs", "borrowed_us", 8.0),
    ],
    rounds: |scale| scale.pick(3, 1, 1),
    run: |sample| run(sample, stock::SIDE),
    place: Place::Own,
};

pub(super) const SNAPSHOT: Measure = Measure {
    name: "reads-snapshot",
    title: "Reading from the snapshot",
    about: "The same after a compaction: this store reads its JSON files, each of which was read once before. The others are as above.",
    contenders: &["sqlite-full", "redb", "fjall", "lmdb", "aral-store"],
    limit: None,
    columns: COLUMNS,
    targets: &[CONVERSATION, BORROWED, LAST, ID, RECENT, SCAN],
    rounds: |scale| scale.pick(3, 1, 1),
    run: |sample| run(sample, if sample.contender == OURS { stock::COMPACTED } else { stock::LOG }),
    place: Place::Own,
};

/// How many conversations calls are spread over: more than fit into a processor's caches.
const SPREAD: u32 = 2000;

fn run(sample: &Sample, stock: &str) -> Outcome<Metrics> {
    let peer = sample.open_stock(stock)?;
    let all = sample.scale.conversations();
    let talks: Vec<Talk> = (0..all.min(SPREAD))
        .map(|at| Talk::new(u32::try_from(mixed(u64::from(at)) % u64::from(all)).unwrap_or_default()))
        .collect();
    checked(peer.as_ref(), &talks)?;
    let per = sample.scale.time() / 4;
    let mut metrics = Metrics::new();
    let mut put = |name: &str, p50: Option<f64>| {
        if let Some(p50) = p50 {
            metrics.insert(name.into(), p50);
        }
    };
    put("conversation_us", p50(per, &talks, |talk| Ok(peer.conversation(talk)?.is_some()))?);
    put("last_us", p50(per, &talks, |talk| Ok(peer.last(talk, 10)?.is_some()))?);
    let mut bytes = 0;
    put(
        "borrowed_us",
        p50(per, &talks, |talk| Ok(peer.borrowed(talk, &mut |text| bytes += text.len())?.is_some()))?,
    );
    let wanted: Vec<Row> =
        talks.iter().map(|talk| Row::new(talk.number, talk.number % PER_CONVERSATION)).collect();
    put("id_us", p50(per, &wanted, |row| Ok(peer.by_id(&row.talk, &row.id)?.is_some()))?);
    put("recent_us", p50(per, &talks, |_| Ok(peer.recent(50)?.is_some()))?);
    // Once before it counts: what is not among the conversations of above has not been touched yet.
    peer.scan(&mut |text| bytes += text.len())?;
    let start = Instant::now();
    if let Some(count) = peer.scan(&mut |text| bytes += text.len())? {
        let elapsed = start.elapsed();
        if count != u64::from(all * PER_CONVERSATION) {
            return Err(format!("the scan found {count} messages").into());
        }
        metrics.insert("scan_per_s".into(), count as f64 / elapsed.as_secs_f64());
    }
    std::hint::black_box(bytes);
    Ok(metrics)
}

/// Reads everything once that is timed later, and holds some of it against what was written.
fn checked(peer: &dyn Peer, talks: &[Talk]) -> Outcome<()> {
    for (at, talk) in talks.iter().enumerate() {
        let found = peer.conversation(talk)?.ok_or("conversations cannot be read")?;
        if at % 100 != 0 {
            continue;
        }
        check(found.as_ref(), talk, 0, PER_CONVERSATION)?;
        if let Some(last) = peer.last(talk, 10)? {
            check(last.as_ref(), talk, PER_CONVERSATION - 10, 10)?;
        }
        let row = Row::new(talk.number, 42);
        if let Some(one) = peer.by_id(talk, &row.id)? {
            check(one.as_ref(), talk, row.seq, 1)?;
        }
        let mut seen = 0;
        if peer
            .borrowed(talk, &mut |text| {
                seen += usize::from(text == Row::new(talk.number, seen_as(seen)).content);
            })?
            .is_some()
            && seen != usize::try_from(PER_CONVERSATION)?
        {
            return Err("what was borrowed is something else".into());
        }
    }
    if let Some(recent) = peer.recent(50)? {
        let last = talks.len().min(20);
        if recent.count() < last || recent.text(0).is_none() {
            return Err("there are no recent conversations".into());
        }
    }
    Ok(())
}

fn seen_as(seen: usize) -> u32 {
    u32::try_from(seen).unwrap_or_default()
}

/// The median time of a call; `None` if the first says that there is no such thing.
fn p50<T>(time: Duration, items: &[T], mut call: impl FnMut(&T) -> Outcome<bool>) -> Outcome<Option<f64>> {
    let mut latencies = Latencies::default();
    for item in items.iter().cycle() {
        let start = Instant::now();
        let is_answered = call(item)?;
        latencies.add(start.elapsed());
        if !is_answered {
            return Ok(None);
        }
        if latencies.total() >= time || latencies.count() >= 20_000 {
            break;
        }
    }
    Ok(Some(latencies.percentile(0.5)))
}
