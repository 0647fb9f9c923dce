//! How much of a store is read, and how much of it is held in memory, to answer for a small part.

#![expect(clippy::disallowed_methods, reason = "what the store wrote is looked at on the real file system")]

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aral_store::vfs::{DirEntry, Lock, Mapping, Metadata, OpenMode, OsVfs, Vfs, VfsFile};
use aral_store::{MessageStore, Messages, Options, SyncPolicy};

/// The operating system's files, with what is read of them counted and no maps.
#[derive(Debug, Default)]
struct Counted {
    bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountedFile {
    inner: Arc<dyn VfsFile>,
    bytes: Arc<AtomicU64>,
}

impl Counted {
    /// How many bytes were read since this was asked for last.
    fn taken(&self) -> u64 {
        self.bytes.swap(0, Ordering::SeqCst)
    }
}

impl Vfs for Counted {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let inner = OsVfs.open(path, how)?;
        Ok(Arc::new(CountedFile { inner, bytes: Arc::clone(&self.bytes) }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsVfs.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsVfs.remove_file(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsVfs.create_dir(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        OsVfs.remove_dir(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        OsVfs.read_dir(path)
    }
    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        OsVfs.metadata(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsVfs.sync_dir(path)
    }
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        OsVfs.try_lock(path)
    }
    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        OsVfs.canonical(path)
    }
}

impl VfsFile for CountedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.inner.read_at(buffer, offset)?;
        self.bytes.fetch_add(u64::try_from(count).unwrap(), Ordering::SeqCst);
        Ok(count)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.inner.write_at(bytes, offset)
    }
    fn allocate(&self, length: u64) -> io::Result<()> {
        self.inner.allocate(length)
    }
    fn ready(&self, range: Range<u64>) -> io::Result<()> {
        self.inner.ready(range)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.inner.set_len(length)
    }
    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }
    fn metadata(&self) -> io::Result<Metadata> {
        self.inner.metadata()
    }
    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        Ok(None)
    }
}

const MIB: u64 = 1 << 20;

/// A conversation of so many messages of a mebibyte, of which none has escapes.
fn filled(dir: &Path, count: usize) {
    let options = MessageStore::options().sync(SyncPolicy::Os).compact_manually();
    let store = options.open(dir).unwrap();
    for at in 0..count {
        store.add_message("h", format!("{}{at}", " ".repeat(1 << 20))).unwrap();
    }
    store.close().unwrap();
}

fn counted(dir: &Path, options: Options) -> (Arc<Counted>, MessageStore) {
    let vfs = Arc::new(Counted::default());
    let store = options.compact_manually().vfs(Arc::<Counted>::clone(&vfs)).open(dir).unwrap();
    (vfs, store)
}

/// Holds that the last message, and the conversation without any, are read alone.
fn hold(vfs: &Counted, store: &MessageStore) {
    vfs.taken();
    let last = store.messages("h", Messages::last(1)).unwrap();
    assert_eq!(last[0].content.to_string_lossy().trim_start(), "9");
    let read = vfs.taken();
    assert!((MIB..MIB + 65_536).contains(&read), "{read} bytes for the last message");
    let head = store.conversation_without_messages("h").unwrap().unwrap();
    assert_eq!((head.messages.len(), head.version), (0, 10));
    assert_eq!(vfs.taken(), 0, "for what is in no message");
}

#[test]
fn the_last_message_is_read_alone() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), 10);
    for options in [MessageStore::options(), MessageStore::options().read_only()] {
        let (vfs, store) = counted(home.path(), options);
        hold(&vfs, &store);
    }
    MessageStore::open(home.path()).unwrap().compact().unwrap();
    for options in [MessageStore::options(), MessageStore::options().read_only()] {
        let (vfs, store) = counted(home.path(), options);
        vfs.taken();
        store.conversation_without_messages("h").unwrap();
        let file = std::fs::metadata(home.path().join("conversations/h.json")).unwrap().len();
        assert!(vfs.taken() <= file, "the first touch reads the file once");
        hold(&vfs, &store);
    }
}

/// A conversation's file was read as a whole, and all of it was in memory at once.
#[test]
fn a_long_file_is_touched_and_exported_in_the_memory_of_its_largest_message() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("store");
    filled(&dir, 30);
    MessageStore::open(&dir).unwrap().compact().unwrap();
    let held = allocation_counter::measure(|| {
        let store = MessageStore::options().read_only().open(&dir).unwrap();
        assert_eq!(store.messages("h", Messages::last(1)).unwrap().len(), 1);
        store.export_aral(home.path().join("copy"), None).unwrap();
    });
    assert!(held.bytes_max > MIB, "nothing was counted");
    assert!(held.bytes_max < 8 * MIB, "{} bytes at once", held.bytes_max);
    let copy = std::fs::read(home.path().join("copy/conversations/h.json")).unwrap();
    assert!(copy == std::fs::read(dir.join("conversations/h.json")).unwrap());
}

/// Everything that the events of a database led to was in memory at once.
#[cfg(feature = "sqlite")]
#[test]
fn a_database_is_verified_in_the_memory_of_its_largest_conversation() {
    let home = tempfile::tempdir().unwrap();
    let store = MessageStore::connect(format!("sqlite:{}", home.path().join("store.db").display())).unwrap();
    for conversation in 0..40 {
        for _ in 0..4 {
            store.add_message(&format!("c{conversation}"), "x".repeat(128 << 10)).unwrap();
        }
    }
    let mut report = None;
    let held = allocation_counter::measure(|| report = Some(store.verify().unwrap()));
    let report = report.unwrap();
    assert!(report.is_sound() && report.bytes > 20 * MIB, "{report:?}");
    assert!(held.bytes_max > MIB / 8, "nothing was counted");
    assert!(held.bytes_max < 5 * MIB, "{} bytes at once", held.bytes_max);
}

/// How much of the segments in a directory counts as this process's memory, by the system's own word.
#[cfg(target_os = "linux")]
fn resident_of_segments(dir: &Path) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut is_meant, mut kilobytes) = (false, 0);
    for line in maps.lines() {
        if let Some(rest) = line.strip_prefix("Rss:").filter(|_| is_meant) {
            kilobytes += rest.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        }
        // The line that begins a map begins with its range, and every other one with a word.
        if line.split(' ').next().is_some_and(|first| !first.ends_with(':')) {
            is_meant = line.contains(dir.to_str().unwrap()) && line.ends_with(".seg");
        }
    }
    kilobytes << 10
}

/// Every page of the log that a replay had read counted as memory of the process from then on.
#[test]
#[cfg(target_os = "linux")]
fn a_replay_gives_back_the_pages_that_it_has_read() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), 100);
    for options in [MessageStore::options(), MessageStore::options().read_only()] {
        let store = options.compact_manually().open(home.path()).unwrap();
        assert!(store.stats().unwrap().segments > 3);
        let resident = resident_of_segments(home.path());
        assert!(resident <= 17 * MIB, "{resident} bytes of the log are resident after it was opened");
        // It is looked at where it is read from: what is read counts.
        assert_eq!(store.messages("h", Messages::first(5)).unwrap().len(), 5);
        assert!(resident_of_segments(home.path()) >= resident + 4 * MIB);
    }
}

#[test]
fn a_refresh_reads_what_was_added_and_not_the_log_again() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), 4);
    let writer =
        MessageStore::options().compact_manually().first_segment_bytes(8 << 20).open(home.path()).unwrap();
    writer.add_message("c1", "0").unwrap();
    let (vfs, reader) = counted(home.path(), MessageStore::options().read_only());
    vfs.taken();
    for n in 1..=20 {
        let seq = writer.add_message("c1", n.to_string()).unwrap().seq;
        assert_eq!(reader.refresh().unwrap(), seq);
        let read = vfs.taken();
        assert!((1..65_536).contains(&read), "{read} bytes for one more message");
        assert_eq!(reader.refresh().unwrap(), seq);
        let read = vfs.taken();
        assert!(read < 1_024, "{read} bytes for nothing");
        let texts = reader.messages("c1", Messages::all()).unwrap();
        assert_eq!(texts.len(), n + 1);
        assert_eq!(texts[n].content, n.to_string().as_str());
        vfs.taken();
    }
    // One that is longer than what is read at once, and many together.
    writer.add_message("c1", " ".repeat(1 << 20)).unwrap();
    let many = (0..500).fold(aral_store::Batch::new(), |batch, n| batch.add_message("c2", n.to_string()));
    writer.batch(many).unwrap();
    for n in 0..500 {
        writer.add_message("c3", n.to_string()).unwrap();
    }
    assert_eq!(reader.refresh().unwrap(), 4 + 21 + 1 + 1_000);
    let read = vfs.taken();
    assert!((MIB..2 * MIB).contains(&read), "{read} bytes for a mebibyte and a thousand lines");
    for id in ["h", "c1", "c2", "c3"] {
        assert_eq!(reader.conversation(id).unwrap(), writer.conversation(id).unwrap());
    }
    assert_eq!(reader.recovery().last_seq, 1_026);
    writer.close().unwrap();
    assert_eq!(reader.refresh().unwrap(), 1_026);
}

/// What a segment is made with was copied behind its header, to be written by one call.
#[test]
fn the_first_batch_of_a_segment_takes_no_more_memory_than_the_next() {
    let most = |before: &[&str]| {
        let home = tempfile::tempdir().unwrap();
        let options = MessageStore::options().sync(SyncPolicy::Os).segment_bytes(128 * MIB);
        let store = options.first_segment_bytes(128 * MIB).open(home.path()).unwrap();
        for text in before {
            store.add_message("c", *text).unwrap();
        }
        let text = "x".repeat(32 << 20);
        allocation_counter::measure(|| drop(store.add_message("c", text).unwrap())).bytes_max
    };
    let (first, next) = (most(&[]), most(&["short"]));
    assert!(first < next + MIB, "{first} bytes for the first, {next} for the next");
}
