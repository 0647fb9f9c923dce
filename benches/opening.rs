//! How fast stores open, compact and export, and how much memory an opening takes.
//!
//! Owns the stores that are measured, which it builds once below `target/bench-opening`, and the yardsticks of
//! the same run: the same bytes written, mapped and checksummed without a store. Uses the public side only.
//! `cargo bench --bench opening -- NAME…` runs only the parts named; see the table in `main`.
//! `MESSAGES`, `CONVERSATIONS` and `MANY` say how large the stores are.

#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock and at the real file system")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measures")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]
#![expect(clippy::indexing_slicing, reason = "there are as many times as rounds")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aral_store::{MessageStore, Messages, Mutation, NewMessage, Order, SyncPolicy};

/// How often each opening is repeated; the median and the best are printed.
const ROUNDS: usize = 15;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn home() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("bench-opening")
}

/// A text of 200 bytes that differs from message to message.
fn text(n: usize) -> String {
    let mut text = format!("message {n}: ");
    while text.len() < 200 {
        text.push_str("lorem ipsum dolor sit amet ");
    }
    text.truncate(200);
    text
}

fn id(n: usize) -> String {
    format!("conversation-{n:07}")
}

/// Adds messages in turn to all conversations, a thousand in a batch.
fn fill(store: &MessageStore, messages: usize, conversations: usize) {
    for first in (0..messages).step_by(1000) {
        let add = |n| Mutation::add_message(id(n % conversations), NewMessage::new(text(n)));
        let batch: Vec<_> = (first..messages.min(first + 1000)).map(add).collect();
        drop(store.batch(batch).unwrap());
    }
}

fn open(dir: &Path) -> MessageStore {
    MessageStore::options().sync(SyncPolicy::Os).compact_manually().open(dir).unwrap()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = run();
    (result, start.elapsed())
}

/// What the system says of this process's memory under a name, in KiB.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").trim().parse().unwrap_or_default()
}

/// Runs a step in a process of its own, so that its memory is its own, and prints what it took.
fn in_child(step: &str, dir: &Path) {
    let exe = std::env::current_exe().unwrap();
    let mut times = Vec::new();
    let mut memory = 0;
    for _ in 0..ROUNDS {
        let output = Command::new(&exe).args(["child", step]).arg(dir).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = text.split_whitespace();
        times.push(words.next().unwrap_or_default().parse::<f64>().unwrap());
        memory = words.next().unwrap_or_default().parse::<u64>().unwrap();
    }
    times.sort_by(f64::total_cmp);
    println!("{step:34} {:9.2} ms (best {:.2}), {memory} KiB at most", times[ROUNDS / 2], times[0]);
}

fn child(step: &str, dir: &Path) {
    let last = id(number("CONVERSATIONS", 10_000) - 1);
    let (store, time) = timed(|| match step {
        "open, read only" | "open, a tail" => MessageStore::options().read_only().open(dir).unwrap(),
        "open nothing" => MessageStore::in_memory(),
        _ => open(dir),
    });
    let ((), more) = timed(|| match step {
        "open and its report" => drop(store.recovery()),
        "open and list" => drop(store.conversations(Order::Created).unwrap()),
        "open and read one" => drop(store.messages(&last, Messages::last(10)).unwrap()),
        "open and add one" => drop(store.add_message(&last, "more").unwrap()),
        _ => {}
    });
    println!("{} {}", millis(time + more), memory("VmHWM"));
}

/// How many messages and conversations the store has that is measured.
fn size() -> (usize, usize) {
    (number("MESSAGES", 1_000_000), number("CONVERSATIONS", 10_000))
}

/// The compacted store, built if it is not there.
fn compacted() -> PathBuf {
    compacted_of(size())
}

/// A compacted store, built if it is not there; says then how long that took, and how much memory its index had before.
fn compacted_of((messages, conversations): (usize, usize)) -> PathBuf {
    let dir = home().join(format!("compacted-{messages}-{conversations}"));
    if !dir.exists() {
        let building = dir.with_extension("building");
        fs::remove_dir_all(&building).ok();
        let before = memory("RssAnon");
        let store = open(&building);
        let ((), time) = timed(|| fill(&store, messages, conversations));
        println!("{:34} {:9.0} ms, {} KiB of memory", "fill", millis(time), memory("RssAnon") - before);
        store.sync().unwrap();
        let (report, time) = timed(|| store.compact().unwrap());
        println!("{:34} {:9.0} ms, {} bytes", "compact all, building", millis(time), report.written_bytes);
        store.close().unwrap();
        fs::rename(&building, &dir).unwrap();
    }
    dir
}

/// Writes the conversations' files of a store to a fresh directory the plain way, and says how long it took.
fn write_plainly(from: &Path, syncs: bool) -> Duration {
    let to = home().join("plain");
    fs::remove_dir_all(&to).ok();
    fs::create_dir_all(&to).unwrap();
    let files: Vec<_> =
        fs::read_dir(from.join("conversations")).unwrap().map(|entry| entry.unwrap()).collect();
    let read = |entry: &fs::DirEntry| (entry.file_name(), fs::read(entry.path()).unwrap());
    let files: Vec<_> = files.iter().map(read).collect();
    let ((), time) = timed(|| {
        for (name, bytes) in &files {
            let mut file = fs::File::create(to.join(name)).unwrap();
            file.write_all(bytes).unwrap();
            if syncs {
                file.sync_data().unwrap();
            }
        }
        fs::File::open(&to).unwrap().sync_all().unwrap();
    });
    fs::remove_dir_all(&to).ok();
    time
}

fn opening() {
    let dir = compacted();
    open(&dir).close().unwrap();
    let steps = [
        "open nothing",
        "open",
        "open, read only",
        "open and its report",
        "open and list",
        "open and read one",
        "open and add one",
    ];
    for step in steps {
        in_child(step, &dir);
    }
    open(&dir).compact().unwrap();
}

/// A store whose writer was killed with 64 MiB in the newest segment.
fn tail() {
    let dir = home().join("tail");
    if !dir.exists() {
        let exe = std::env::current_exe().unwrap();
        fs::remove_dir_all(dir.with_extension("building")).ok();
        let building = dir.with_extension("building");
        Command::new(exe).args(["child-killed", ""]).arg(&building).output().unwrap();
        fs::rename(&building, &dir).unwrap();
    }
    let mut bytes = 0;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let ((), time) = timed(|| {
            bytes = 0;
            for entry in fs::read_dir(dir.join("log")).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|ending| ending == "seg") {
                    let content = fs::read(&path).unwrap();
                    bytes += content.len();
                    std::hint::black_box(crc32fast::hash(&content));
                }
            }
        });
        times.push(millis(time));
    }
    times.sort_by(f64::total_cmp);
    println!("{:34} {:9.2} ms (best {:.2}), {bytes} bytes", "read and checksum", times[ROUNDS / 2], times[0]);
    in_child("open, a tail", &dir);
    in_child("open for writing, a tail", &dir);
}

fn leave_a_tail(dir: &Path) {
    let options =
        MessageStore::options().compact_manually().segment_bytes(1 << 30).first_segment_bytes(72 << 20);
    let store = options.sync(SyncPolicy::Os).open(dir).unwrap();
    let mut n = 0;
    while store.stats().unwrap().last_seq < 230_000 {
        // One message a record, as an agent writes them.
        for _ in 0..1000 {
            drop(store.add_message(&id(n % 1000), text(n).as_str()).unwrap());
            n += 1;
        }
        store.sync().unwrap();
    }
    std::process::abort();
}

fn writing() {
    let dir = compacted();
    for _ in 0..2 {
        println!("{:34} {:9.0} ms", "plain files, each synced", millis(write_plainly(&dir, true)));
        println!("{:34} {:9.0} ms", "plain files, not synced", millis(write_plainly(&dir, false)));
        let to = home().join("exported");
        fs::remove_dir_all(&to).ok();
        let store = open(&dir);
        let (report, time) = timed(|| store.export_aral(&to, None).unwrap());
        println!("{:34} {:9.0} ms, {} bytes", "export", millis(time), report.bytes);
        fs::remove_dir_all(&to).ok();
        store.close().unwrap();
        // Every conversation changes, so that every file is written anew.
        let scratch = home().join("rewritten");
        fs::remove_dir_all(&scratch).ok();
        let store = open(&scratch);
        fill(&store, number("MESSAGES", 1_000_000), number("CONVERSATIONS", 10_000));
        store.sync().unwrap();
        let (report, time) = timed(|| store.compact().unwrap());
        println!("{:34} {:9.0} ms, {} bytes", "compact all", millis(time), report.written_bytes);
        for dirty in [1, 10, 100] {
            fill(&store, dirty, dirty);
            let (report, time) = timed(|| store.compact().unwrap());
            println!("{:34} {:9.2} ms, {} files", "compact a few", millis(time), report.written);
        }
        store.close().unwrap();
        fs::remove_dir_all(&scratch).ok();
    }
}

fn reading() {
    let dir = compacted();
    let store = open(&dir);
    let conversation = id(7);
    let touched = store.messages(&conversation, Messages::all()).unwrap();
    let message = touched.get(touched.len() / 2).unwrap().id.clone();
    let repeat = |name: &str, run: &dyn Fn()| {
        let ((), time) = timed(|| (0..2000).for_each(|_| run()));
        println!("{name:34} {:9.2} us", millis(time) / 2.0);
    };
    repeat("100 messages", &|| drop(store.messages(&conversation, Messages::all()).unwrap()));
    repeat("the last 10", &|| drop(store.messages(&conversation, Messages::last(10)).unwrap()));
    let one = || Messages::first(1).after(message.clone());
    repeat("1 after an id", &|| drop(store.messages(&conversation, one()).unwrap()));
    for name in ["scan of all, first touch", "scan of all, again"] {
        let (count, time) = timed(|| {
            let conversations = number("CONVERSATIONS", 10_000);
            (0..conversations).map(|n| store.messages(&id(n), Messages::all()).unwrap().len()).sum::<usize>()
        });
        println!(
            "{name:34} {:9.3} million a second",
            f64::from(u32::try_from(count).unwrap()) / time.as_secs_f64() / 1e6
        );
    }
}

/// A store beside one of a hundredth of its size: what one call takes, in turns.
fn large() {
    const CALLS: usize = 2000;
    let of_small = |(messages, conversations): (usize, usize)| (messages / 100, conversations / 100);
    let stores = [size(), of_small(size())].map(|size| (open(&compacted_of(size)), size.1));
    // Far apart, so that what one call has read is not what the next one reads.
    let id_of = |n: usize, conversations: usize| id((n * 7919) % conversations);
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let turns = |name: &str, run: &dyn Fn(&MessageStore, usize, usize)| {
        let mut times = [Vec::new(), Vec::new()];
        for n in 0..CALLS {
            for at in [n % 2, 1 - n % 2] {
                let (store, conversations) = &stores[at];
                times[at].push(millis(timed(|| run(store, *conversations, n)).1) * 1e3);
            }
        }
        let [large, small] = times.each_mut().map(median);
        println!("{name:34} {large:9.2} us, small {small:.2} us, {:.2} x (at most 1.2)", large / small);
    };
    for round in ["first touch", "again"] {
        turns(&format!("the last 10, {round}"), &|store, conversations, n| {
            drop(store.messages(&id_of(n, conversations), Messages::last(10)).unwrap());
        });
    }
    let ids: Vec<Vec<String>> = stores
        .iter()
        .map(|(store, conversations)| {
            let id_of = |n| store.messages(&id_of(n, *conversations), Messages::first(1).from_place(50));
            (0..CALLS).map(|n| id_of(n).unwrap()[0].id.to_string()).collect()
        })
        .collect();
    turns("one by its id", &|store, conversations, n| {
        let at = usize::from(stores[1].1 == conversations);
        let one = Messages::first(1).after(ids[at][n].clone());
        drop(store.messages(&id_of(n, conversations), one).unwrap());
    });
    turns("append, written", &|store, conversations, n| {
        drop(store.add_message(&id_of(n, conversations), text(n)).unwrap());
    });
    for (store, _) in &stores {
        store.compact().unwrap();
    }
    for dirty in [1, 10, 100] {
        let times = stores.each_ref().map(|(store, conversations)| {
            let mut times = Vec::new();
            for round in 0..ROUNDS {
                for n in 0..dirty {
                    drop(store.add_message(&id_of(round * dirty + n, *conversations), text(n)).unwrap());
                }
                times.push(millis(timed(|| store.compact().unwrap()).1));
            }
            median(&mut times)
        });
        println!("{:34} {:9.2} ms, small {:.2} ms", format!("compact {dirty}"), times[0], times[1]);
    }
    for (store, _) in stores {
        store.close().unwrap();
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["child", step, dir] => return child(step, Path::new(dir)),
        ["child-killed", _, dir] => return leave_a_tail(Path::new(dir)),
        _ => {}
    }
    let parts: [(&str, fn()); 5] =
        [("opening", opening), ("tail", tail), ("reading", reading), ("writing", writing), ("large", large)];
    for (name, run) in parts {
        if args.is_empty() || args.iter().any(|arg| arg == name) {
            println!("--- {name}");
            run();
        }
    }
}
