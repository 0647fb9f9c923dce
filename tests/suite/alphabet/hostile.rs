//! Kind 46: bytes whose checksums are right and whose lengths ask for all the memory there is.
//!
//! Whatever is opened, at most 64 MiB and four times the input may be allocated at a time. Only documents whose
//! metadata are millions of the smallest values take more, because each value becomes one in memory.

use std::path::{Path, PathBuf};

use aral_store::{ErrorKind, JsonObject, NewMessage, Order, SyncPolicy};

use super::Seen;
use crate::support::driver::{self, DIR, Home};
use crate::support::ops::Settings;
use crate::support::simfs::{self, SimFs};
use crate::support::sources::Sources;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// What may be allocated beside four times the input.
const BASE: u64 = 64 << 20;

/// How many times the input may be allocated for lengths that lie, and for documents of many values.
const LENGTHS: u64 = 4;
const DOCUMENTS: u64 = 64;

/// Where the first frame is, and where its payload.
const FRAME: usize = 4096;
const PAYLOAD: usize = FRAME + 32;

fn crc(parts: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().to_le_bytes()
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    let length = new.len().min(bytes.len().saturating_sub(at));
    bytes[at..at + length].copy_from_slice(&new[..length]);
}

/// A store with a compacted part and a part in the log, and which files those are in.
struct Victim {
    fs: SimFs,
    segment: PathBuf,
    checkpoint: PathBuf,
}

fn victim() -> Victim {
    let fs = driver::fresh(simfs::Settings::default());
    let store = driver::open(&Home::Sim(fs.clone()), SETTINGS, &Sources::default()).unwrap();
    let data = JsonObject::parse(r#"{"a":[1,2,3]}"#).unwrap();
    drop(store.add_message("c1", NewMessage::new("in the files").metadata(data.clone())).unwrap());
    drop(store.compact().unwrap());
    drop(store.add_message("c2", NewMessage::new("in the log").metadata(data)).unwrap());
    let fs = fs.kill();
    drop(store);
    let find = |part: &str| {
        let mut paths = fs.files().into_iter().map(|(path, _)| path);
        paths.find(|path| path.to_string_lossy().contains(part)).unwrap()
    };
    let (segment, checkpoint) = (find(".seg"), find("CHECKPOINT"));
    Victim { fs, segment, checkpoint }
}

/// Makes the first frame's checksums right for its payload.
fn stamp(bytes: &mut [u8]) {
    let length =
        usize::try_from(u32::from_le_bytes(bytes[FRAME + 4..FRAME + 8].try_into().unwrap())).unwrap();
    if let Some(payload) = bytes.get(PAYLOAD..PAYLOAD + length) {
        let sum = crc(&[payload]);
        put(bytes, FRAME + 8, &sum);
    }
    let place = u64::try_from(FRAME).unwrap().to_le_bytes();
    let sum = crc(&[&bytes[72..76], &bytes[40..48], &place, &bytes[FRAME + 4..FRAME + 32]]);
    put(bytes, FRAME, &sum);
}

/// Makes a checkpoint's checksums right.
fn seal(bytes: &mut [u8]) {
    let sum = crc(&[&bytes[..124]]);
    put(bytes, 124, &sum);
    let end = bytes.len() - 8;
    let sum = crc(&[&bytes[..end]]);
    put(bytes, end, &sum);
}

/// Lengths as they stand in the formats: plain ones of four and eight bytes, and a varint of each size.
fn hostile() -> Vec<Vec<u8>> {
    let varint = |tag: u8, bytes: &[u8]| [&[tag], bytes].concat();
    vec![
        u32::MAX.to_le_bytes().to_vec(),
        (256_u32 << 20).to_le_bytes().to_vec(),
        u64::MAX.to_le_bytes().to_vec(),
        (1_u64 << 40).to_le_bytes().to_vec(),
        varint(252, &u32::MAX.to_le_bytes()),
        varint(252, &(255_u32 << 20).to_le_bytes()),
        varint(253, &u64::MAX.to_le_bytes()),
        varint(253, &(1_u64 << 62).to_le_bytes()),
    ]
}

/// Opens a store and asks it everything; what it says must be typed, and what it allocates bounded.
fn ask(fs: &SimFs, factor: u64, what: &str) {
    let input: u64 = fs.files().iter().map(|(_, length)| length).sum();
    for is_for_reading in [true, false] {
        let copy = fs.snapshot();
        let allocated = allocation_counter::measure(|| {
            let options = driver::options(&Home::Sim(copy.clone()), SETTINGS, &Sources::default());
            let opened = if is_for_reading { options.read_only().open(DIR) } else { options.open(DIR) };
            let answer = opened.and_then(|store| {
                for summary in store.conversations(Order::Created)? {
                    drop(store.conversation(&summary.id));
                }
                drop(store.conversation("c1"));
                store.verify().map(drop)
            });
            if let Err(error) = answer {
                // A forged name of a file may be one that the system refuses.
                let kinds = [ErrorKind::Corrupt, ErrorKind::UnsupportedFormat, ErrorKind::Io];
                assert!(kinds.contains(&error.kind()), "{what}: {error:?}");
            }
        });
        let limit = BASE + factor * input;
        assert!(allocated.bytes_max <= limit, "{what}: {} bytes for {input}", allocated.bytes_max);
    }
}

/// Overwrites a place of a file, makes its checksums right, and asks.
fn ask_with(victim: &Victim, path: &Path, at: usize, new: &[u8], mend: impl Fn(&mut [u8])) {
    let copy = victim.fs.snapshot();
    copy.edit(path, |bytes| {
        put(bytes, at, new);
        mend(bytes);
    });
    ask(&copy, LENGTHS, &format!("{} at {at}: {new:?}", path.display()));
}

fn documents() -> Vec<(&'static str, String)> {
    let many = |one: &str, count: usize| one.repeat(count);
    let conversation = |metadata: &str| {
        format!(
            "{{\"id\":\"c1\",\"title\":\"t\",\"created_at\":\"2025-01-01T00:00:00\",\"metadata\":{{\"a\":{metadata}}},\
             \"messages\":[],\"actions\":[]}}"
        )
    };
    let size = 4 << 20;
    vec![
        ("nested lists", conversation(&many("[", size))),
        ("nested objects", conversation(&many("{\"a\":", size / 5))),
        ("many numbers", conversation(&format!("[{}0]", many("0,", size / 2)))),
        ("many lists", conversation(&format!("[{}0]", many("[],", size / 3)))),
        (
            "many keys",
            conversation(&format!(
                "{{{}\"z\":0}}",
                (0..size / 12).map(|n| format!("\"{n:07}\":0,")).collect::<Vec<_>>().concat()
            )),
        ),
        ("a long number", conversation(&many("7", size))),
        ("a great exponent", conversation("1e999999999")),
        ("many escapes", conversation(&format!("\"{}\"", many("\\u0041", size / 6)))),
        ("an open string", conversation(&format!("\"{}", many("x", size)))),
    ]
}

fn ask_documents(victim: &Victim) -> u64 {
    let mut fired = 0;
    for (what, document) in documents() {
        for name in ["conversations/c1.json", "conversations/new.json", "message_store.json"] {
            let copy = victim.fs.snapshot();
            copy.put(Path::new(DIR).join(name), document.as_bytes());
            ask(&copy, DOCUMENTS, &format!("{what} in {name}"));
            fired += 1;
        }
    }
    fired
}

pub(super) fn lengths() -> Seen {
    let victim = victim();
    ask(&victim.fs, LENGTHS, "a sound store");
    let mut fired = 0;
    let sized = |path: &Path| victim.fs.read(path).unwrap().len();
    for new in hostile() {
        // Every place of the first frame and its payload.
        for at in FRAME + 4..FRAME + 200 {
            ask_with(&victim, &victim.segment, at, &new, stamp);
            fired += 1;
        }
        for at in (8..124).step_by(2) {
            ask_with(&victim, &victim.segment, at, &new, |bytes| {
                let sum = crc(&[&bytes[..124]]);
                put(bytes, 124, &sum);
            });
            ask_with(&victim, &victim.checkpoint, at, &new, seal);
            fired += 2;
        }
        for at in (128..sized(&victim.checkpoint) - 8).step_by(2) {
            ask_with(&victim, &victim.checkpoint, at, &new, seal);
            fired += 1;
        }
        let control = Path::new(DIR).join("log/CONTROL");
        for at in (0..60).step_by(2) {
            for slot in [0, 64] {
                ask_with(&victim, &control, slot + at, &new, |bytes| {
                    let sum = crc(&[&bytes[slot..slot + 60]]);
                    put(bytes, slot + 60, &sum);
                });
                fired += 1;
            }
        }
    }
    fired += ask_documents(&victim);
    Seen { fired, answer: "Corrupt, and never more than 64 MiB and four times the input".to_owned() }
}
