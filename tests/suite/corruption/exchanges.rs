//! Whole files in the wrong place: copies under another's name, files of an older copy of the store, files of
//! another store.
//!
//! All files of an older copy together are that store as it was, and nothing in them can say otherwise.

use std::path::{Path, PathBuf};

use super::damage::{Bytes, Damage};
use super::{Rest, Store, store_at_rest, sweep, sweep_all};

/// The other files of the same directory.
fn others(store: &Store, path: &Path) -> Vec<PathBuf> {
    let all = store.fs.files().into_iter().map(|(other, _)| other);
    all.filter(|other| other != path && other.parent() == path.parent()).collect()
}

/// Names in a file's directory that mean something and are nobody's.
fn free_names(store: &Store, path: &Path) -> Vec<PathBuf> {
    let Some(dir) = path.parent() else { return Vec::new() };
    let mut names = vec!["zz.json".to_owned(), "x.tmp".to_owned()];
    for n in [0_u64, 1, 2, 3, 4, 5, 99] {
        names.push(format!("CHECKPOINT-{n:016x}"));
        names.extend([0_u64, 1, 2, 5, 6, 7, 8].map(|seq| format!("{n:016x}-{seq:016x}.seg")));
    }
    let is_free = |name: &PathBuf| store.fs.read(name).is_none();
    names.into_iter().map(|name| dir.join(name)).filter(is_free).collect()
}

#[test]
fn a_file_under_the_name_of_another_is_never_believed() {
    let copies = |store: &Store, path: &Path, _: u64| -> Vec<Damage> {
        let copies = others(store, path)
            .into_iter()
            .flat_map(|other| [Damage::CopyAs(other.clone()), Damage::Exchange(other)]);
        copies.collect()
    };
    sweep_all("files under another's name", &Rest::ALL, &copies);
}

#[test]
fn a_copy_of_a_file_under_a_new_name_is_never_believed() {
    let copies = |store: &Store, path: &Path, _: u64| -> Vec<Damage> {
        free_names(store, path).into_iter().map(Damage::CopyAs).collect()
    };
    sweep_all("files under a new name", &Rest::ALL, &copies);
}

#[test]
fn a_file_of_an_older_copy_is_never_believed() {
    let older = |store: &Store, path: &Path, _: u64| -> Vec<Damage> {
        let older = store.older.read(path).filter(|old| store.fs.read(path).as_ref() != Some(old));
        older
            .map(|old| Damage::Replace(Bytes { whose: "an older copy", bytes: old.into() }))
            .into_iter()
            .collect()
    };
    sweep_all("files of an older copy", &Rest::ALL, &older);
}

#[test]
fn a_file_of_another_store_is_never_believed() {
    for rest in Rest::ALL {
        let stranger = store_at_rest(rest, "another's ");
        let foreign = |_: &Store, path: &Path, _: u64| -> Vec<Damage> {
            let bytes = stranger.fs.read(path);
            bytes
                .map(|bytes| Damage::Replace(Bytes { whose: "another store", bytes: bytes.into() }))
                .into_iter()
                .collect()
        };
        sweep(&store_at_rest(rest, ""), &foreign).finish(&format!("files of another store, {rest:?}"));
    }
}
