//! The simulator does what the operating system does: the same plain operations, the same answers.
//!
//! Random sequences run on both, and after each operation the answers are compared: counts, bytes, lengths,
//! names, and the numbers of the errors. Only what a sync makes durable is beyond comparison.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aral_store::vfs::{Lock, OpenMode, OsVfs, Vfs, VfsFile, read_all};

use crate::support::simfs::{Choose, SimFs, SplitMix};

const PATHS: [&str; 9] = ["a", "b", "c", "d", "d/a", "d/b", "e", "e/a", "a/b"];

/// One file system with what is open on it.
struct Side {
    fs: Arc<dyn Vfs>,
    root: PathBuf,
    files: Vec<Arc<dyn VfsFile>>,
    locks: Vec<Box<dyn Lock>>,
}

/// The answer to one operation, in a form that both sides can give.
type Answer = Result<String, (io::ErrorKind, Option<i32>)>;

fn answer<T>(result: io::Result<T>, show: impl FnOnce(T) -> String) -> Answer {
    result.map(show).map_err(|error| (error.kind(), error.raw_os_error()))
}

impl Side {
    fn new(fs: Arc<dyn Vfs>, root: PathBuf) -> Self {
        Self { fs, root, files: Vec::new(), locks: Vec::new() }
    }

    fn open(&mut self, path: &Path, how: OpenMode) -> Answer {
        let opened = self.fs.open(path, how);
        answer(opened, |file| {
            let text = format!("{} bytes", file.metadata().unwrap().len);
            self.files.push(file);
            text
        })
    }

    fn lock(&mut self, path: &Path) -> Answer {
        answer(self.fs.try_lock(path), |lock| match lock {
            Some(lock) => {
                self.locks.push(lock);
                "locked".to_owned()
            }
            None => "held".to_owned(),
        })
    }

    fn on_names(&mut self, choice: &mut SplitMix) -> Answer {
        let path = self.root.join(PATHS[choice.pick(PATHS.len())]);
        let other = self.root.join(PATHS[choice.pick(PATHS.len())]);
        let done = |()| "done".to_owned();
        match choice.pick(12) {
            0 => self.open(&path, OpenMode::Read),
            1 => self.open(&path, OpenMode::ReadWrite),
            2 | 3 => self.open(&path, OpenMode::CreateNew),
            4 => answer(self.fs.create_dir(&path), done),
            5 => answer(self.fs.remove_file(&path), done),
            6 => answer(self.fs.remove_dir(&path), done),
            7 | 8 => answer(self.fs.rename(&path, &other), done),
            9 => self.lock(&path),
            10 => {
                drop(self.locks.pop());
                answer(self.fs.metadata(&path), |found| format!("{:?}", found.kind))
            }
            _ => {
                let canonical = answer(self.fs.canonical(&path), |_| "there".to_owned());
                canonical.and_then(|_| answer(self.fs.read_dir(&path), |names| names.len().to_string()))
            }
        }
    }

    fn on_file(&mut self, choice: &mut SplitMix) -> Answer {
        let at = choice.pick(self.files.len());
        let offset = u64::try_from(choice.pick(10_000)).unwrap();
        let count = choice.pick(3_000);
        let what = choice.pick(8);
        let file = &self.files[at];
        match what {
            0..=3 => answer(file.write_at(&vec![u8::try_from(count % 251).unwrap(); count], offset), |n| {
                n.to_string()
            }),
            4 => answer(file.allocate(offset), |()| "done".to_owned()),
            5 => answer(file.set_len(offset), |()| "done".to_owned()),
            6 => answer(file.sync(), |()| "done".to_owned()),
            _ => {
                let mut buffer = vec![0; count];
                answer(file.read_at(&mut buffer, offset), |n| format!("{:?}", &buffer[..n]))
            }
        }
    }

    fn step(&mut self, choice: &mut SplitMix) -> Answer {
        if choice.pick(2) == 0 || self.files.is_empty() {
            self.on_names(choice)
        } else {
            self.on_file(choice)
        }
    }

    /// Everything that can be seen: the names, and the bytes of what is open.
    fn picture(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for path in ["", "d", "e"] {
            let names = self.fs.read_dir(&self.root.join(path));
            let mut names = names.unwrap_or_default();
            names.sort_by(|one, other| one.name.cmp(&other.name));
            seen.push(format!("{path}: {names:?}"));
        }
        for file in &self.files {
            seen.push(format!("{:?}", read_all(&**file, 1 << 20).unwrap()));
        }
        seen
    }
}

#[test]
fn the_simulator_answers_as_the_operating_system_does() {
    let mut failures = 0;
    for seed in 0..60 {
        let dir = tempfile::tempdir().unwrap();
        let mut real = Side::new(Arc::new(OsVfs), dir.path().to_owned());
        let mut simulated = Side::new(Arc::new(SimFs::new()), PathBuf::from("/"));
        let mut choice = SplitMix::new(seed);
        for step in 0..150 {
            let expected = real.step(&mut choice.clone());
            let found = simulated.step(&mut choice);
            assert_eq!(found, expected, "seed {seed}, step {step}");
            failures += u64::from(expected.is_err());
        }
        assert_eq!(simulated.picture(), real.picture(), "seed {seed}");
    }
    assert!(failures > 500, "sequences that never fail compare nothing: {failures} failures");
}

#[test]
fn times_and_numbers_tell_files_apart() {
    let dir = tempfile::tempdir().unwrap();
    let sides: [(Arc<dyn Vfs>, &Path); 2] =
        [(Arc::new(OsVfs), dir.path()), (Arc::new(SimFs::new()), Path::new("/"))];
    for (fs, root) in sides {
        let one = fs.open(&root.join("one"), OpenMode::CreateNew).unwrap();
        let other = fs.open(&root.join("other"), OpenMode::CreateNew).unwrap();
        let before = one.metadata().unwrap();
        assert!(before.file_number != other.metadata().unwrap().file_number);
        fs.rename(&root.join("one"), &root.join("renamed")).unwrap();
        one.write_at(b"x", 0).unwrap();
        let after = fs.metadata(&root.join("renamed")).unwrap();
        assert_eq!((after.file_number, after.len), (before.file_number, 1));
        assert!(after.modified_nanos >= before.modified_nanos);
    }
}
