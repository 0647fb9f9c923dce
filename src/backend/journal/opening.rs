//! Finding the store in a bucket.
//!
//! Owns the order of the questions: the marker, the checkpoint that it names, the one behind that. Makes a new store where there
//! is none, which two processes may do at once. Knows nothing of the log.

use std::sync::Arc;

use super::names;
use super::objects::{Found, Objects, Version, Written};
use super::state::State;
use super::tries::{self, Made};
use crate::clock::random_id;
use crate::codec::checkpoint::{BadCheckpoint, Checkpoint};
use crate::codec::marker::Marker;
use crate::codec::segment::StoreId;
use crate::error::{Error, ErrorKind, Result};

/// How often the marker is read anew when the checkpoint that it names is gone already.
const CHASES: u32 = 100;

/// What was found of a store.
#[derive(Debug)]
pub(super) struct Store {
    /// As of the newest checkpoint.
    pub(super) state: State,
    /// The marker as it is there, and the checkpoint's version.
    seen: Option<(Found, Version)>,
}

impl Store {
    fn unseen(state: State) -> Self {
        Self { state, seen: None }
    }
}

/// Finds the newest checkpoint; `None` if there is no store.
pub(super) fn find(objects: &dyn Objects) -> Result<Option<Store>> {
    let mut before = None;
    for _ in 0..CHASES {
        let Some(there) = tries::get(objects, names::MARKER)? else { return unmarked(objects) };
        let marker = decoded(objects, &there)?;
        let epoch = marker.checkpoint_epoch;
        let Some((named, version)) = versioned_checkpoint(objects, epoch, marker.store_id)? else {
            // Order: read the marker again. A compaction raises it before the old checkpoint goes.
            if before == Some(marker) {
                return marked(objects, &marker).map(Some);
            }
            before = Some(marker);
            continue;
        };
        // A compaction that has been committed and is being published, or was cut behind its commit.
        let newer = read_checkpoint(objects, epoch + 1, marker.store_id)?;
        let state = State::new(newer.unwrap_or(named), epoch);
        return Ok(Some(Store { state, seen: Some((there, version)) }));
    }
    Err(Error::new(ErrorKind::Conflict, "compactions follow each other faster than they can be read")
        .at(objects.place(), None))
}

/// The store's mark; `None` if there is none.
pub(super) fn read_marker(objects: &dyn Objects) -> Result<Option<Marker>> {
    let found = tries::get(objects, names::MARKER)?;
    found.map(|found| decoded(objects, &found)).transpose()
}

fn decoded(objects: &dyn Objects, found: &Found) -> Result<Marker> {
    let damaged = || {
        let reason = "the object .aral-store is not what a store wrote; put it back, or remove it if the copy of a closed \
                      directory lies here";
        Error::new(ErrorKind::Corrupt, reason).at(objects.place(), None)
    };
    Marker::decode(&found.bytes).ok_or_else(damaged)
}

/// The newest checkpoint of a store whose marker names one that is not there: a directory's marker is older than its log.
fn marked(objects: &dyn Objects, marker: &Marker) -> Result<Store> {
    let newest = newest_checkpoint(objects)?.filter(|checkpoint| {
        let head = checkpoint.head();
        head.store_id == marker.store_id && head.epoch >= marker.checkpoint_epoch
    });
    match newest {
        Some(checkpoint) => {
            let epoch = checkpoint.head().epoch;
            Ok(Store::unseen(State::new(checkpoint, epoch)))
        }
        // Whoever made the marker may not have got further.
        None if marker.checkpoint_epoch == 0 => {
            Ok(Store::unseen(State::new(Checkpoint::empty(marker.store_id), 0)))
        }
        None => {
            let reason = format!(
                "checkpoint {} is missing: .aral-store names it; put it back",
                marker.checkpoint_epoch
            );
            Err(Error::new(ErrorKind::Corrupt, reason).at(objects.place(), None))
        }
    }
}

/// The store of a directory that was closed with everything in its files, and copied here.
fn unmarked(objects: &dyn Objects) -> Result<Option<Store>> {
    if let Some(checkpoint) = newest_checkpoint(objects)? {
        let epoch = checkpoint.head().epoch;
        return Ok(Some(Store::unseen(State::new(checkpoint, epoch))));
    }
    if tries::get(objects, names::BACKUP)?.is_some() {
        let reason = "a backup lies here, which is no store: `aral-store restore` makes one of it; name another prefix";
        return Err(Error::invalid(reason).at(objects.place(), None));
    }
    let is_listed = tries::get(objects, names::INDEX)?.is_some();
    for prefix in ["conversations/", names::LOG] {
        if is_listed || !tries::list(objects, prefix)?.is_empty() {
            let reason = "there are files of a store here, and neither .aral-store nor a checkpoint: no store, or a part of one; a directory that this \
                 software has not opened yet is opened as a directory first, closed, and copied then";
            return Err(Error::invalid(reason).at(objects.place(), None));
        }
    }
    Ok(None)
}

fn newest_checkpoint(objects: &dyn Objects) -> Result<Option<Checkpoint>> {
    let epochs = tries::list(objects, names::CHECKPOINTS)?;
    let Some(epoch) = epochs.iter().filter_map(|name| names::epoch_in(name)).max() else { return Ok(None) };
    let Some(found) = tries::get(objects, &names::checkpoint(epoch))? else { return Ok(None) };
    checked(objects, epoch, found.bytes).map(Some)
}

pub(super) fn read_checkpoint(
    objects: &dyn Objects,
    epoch: u64,
    store_id: StoreId,
) -> Result<Option<Checkpoint>> {
    Ok(versioned_checkpoint(objects, epoch, store_id)?.map(|(checkpoint, _)| checkpoint))
}

fn versioned_checkpoint(
    objects: &dyn Objects,
    epoch: u64,
    store_id: StoreId,
) -> Result<Option<(Checkpoint, Version)>> {
    let Some(found) = tries::get(objects, &names::checkpoint(epoch))? else { return Ok(None) };
    let checkpoint = checked(objects, epoch, found.bytes)?;
    if checkpoint.head().store_id == store_id {
        return Ok(Some((checkpoint, found.version)));
    }
    let reason = format!("checkpoint {epoch} belongs to another store than .aral-store");
    Err(Error::new(ErrorKind::Corrupt, reason).at(objects.place(), None))
}

fn checked(objects: &dyn Objects, epoch: u64, bytes: Vec<u8>) -> Result<Checkpoint> {
    let wrong = |kind, reason: String| Err(Error::new(kind, reason).at(objects.place(), None));
    let checkpoint = match Checkpoint::parse(Arc::new(bytes)) {
        Ok(checkpoint) => checkpoint,
        Err(BadCheckpoint::Newer(major)) => {
            let reason = format!("format {major} is newer than this software, which reads formats 1 and 2");
            return wrong(ErrorKind::UnsupportedFormat, reason);
        }
        Err(BadCheckpoint::Damaged(offset, reason)) => {
            return wrong(ErrorKind::Corrupt, format!("checkpoint {epoch}, at byte {offset}: {reason}"));
        }
    };
    if checkpoint.head().epoch != epoch {
        return wrong(ErrorKind::Corrupt, format!("checkpoint {epoch} belongs to another name"));
    }
    if checkpoint.held().segments.is_empty() {
        return Ok(checkpoint);
    }
    let reason = "the checkpoint holds events of files that a directory's compaction could not read; open the directory, put \
                  those right, and copy it again";
    wrong(ErrorKind::Unsupported, reason.to_owned())
}

/// Finds the store, or makes it, where it can be written to, and tells whether it has made it.
///
/// # Errors
///
/// `Unsupported` where conditions are not kept to, on which everything rests.
pub(super) fn find_or_make(objects: &dyn Objects) -> Result<(State, bool)> {
    let mut made = false;
    for _ in 0..CHASES {
        let Some(store) = find(objects)? else {
            made = true;
            let marker = Marker { store_id: random_id(), checkpoint_epoch: 0, last_seq: 0 };
            // Order: the marker first. Whoever makes it says which store it is; what follows is the same whoever makes it.
            make(objects, names::MARKER, marker.encode().as_bytes())?;
            continue;
        };
        let state = &store.state;
        match &store.seen {
            Some((marker, other)) => {
                probe(objects, marker, other)?;
                return Ok((store.state, made));
            }
            // What came with a directory has no marker, or one that is older than its log.
            None if state.checkpoint.head().epoch > 0 => raise(objects, &state.checkpoint)?,
            None => {
                make(objects, &names::checkpoint(0), &empty(state.store_id()))?;
                // The marker of a store that was never compacted may have been removed.
                raise(objects, &state.checkpoint)?;
            }
        }
    }
    let reason = "the objects .aral-store and log/CHECKPOINT-… were removed each time they were made";
    Err(Error::new(ErrorKind::Corrupt, reason).at(objects.place(), None))
}

/// The bytes of the checkpoint before the first.
fn empty(store_id: StoreId) -> Vec<u8> {
    use crate::codec::checkpoint::{CheckpointBuilder, CheckpointHead};
    let head = CheckpointHead { store_id, first_segment: 1, ..CheckpointHead::default() };
    CheckpointBuilder::default().finish(&head)
}

/// Says in the marker that a checkpoint's copies are in place. It is never lowered.
pub(super) fn raise(objects: &dyn Objects, new: &Checkpoint) -> Result<()> {
    let head = new.head();
    let marker = Marker { store_id: head.store_id, checkpoint_epoch: head.epoch, last_seq: head.covered_seq };
    let bytes = marker.encode().into_bytes();
    loop {
        let Some(found) = tries::get(objects, names::MARKER)? else {
            tries::create(objects, names::MARKER, &bytes, &|there| there == bytes)?;
            continue;
        };
        let there = Marker::decode(&found.bytes);
        if there.is_some_and(|there| there.store_id != head.store_id || there.checkpoint_epoch >= head.epoch)
        {
            return Ok(());
        }
        if tries::replace(objects, names::MARKER, &bytes, &found.version)? {
            return Ok(());
        }
    }
}

/// Finds out whether conditions are kept to. Nothing is changed, even where they are not: what is written has the bytes that were
/// there.
fn probe(objects: &dyn Objects, marker: &Found, other: &Version) -> Result<()> {
    let outcomes = [
        tries::until(objects, || objects.create(names::MARKER, &marker.bytes))?,
        tries::until(objects, || objects.replace(names::MARKER, &marker.bytes, other))?,
    ];
    if outcomes == [Written::Refused, Written::Refused] {
        return Ok(());
    }
    let reason = "the server does not keep to conditions (If-None-Match and If-Match): two writers would overwrite each \
                  other's messages; it can only be opened for reading";
    Err(Error::new(ErrorKind::Unsupported, reason).at(objects.place(), None))
}

fn make(objects: &dyn Objects, name: &str, bytes: &[u8]) -> Result<Made> {
    tries::create(objects, name, bytes, &|there| there == bytes)
}
