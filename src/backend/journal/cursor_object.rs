//! The cursors of consumers, as objects: their bytes, and which there are.
//!
//! Owns what there is beside the cursor that a directory keeps: until when somebody has it, who that is, and how often it was
//! written, so that no two contents are the same. Specified in docs/journal.md. Changes nothing.

use std::collections::BTreeSet;

use super::names;
use super::objects::{Found, Objects};
use super::tries;
use crate::codec::cursor::{CursorFile, decode_cursor, encode_cursor};
use crate::codec::segment::{StoreId, hex_of};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Seq;

/// What the object says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct CursorObject {
    pub(super) file: CursorFile,
    /// The consumer was removed. The object stays: a request to remove it could arrive at any later time.
    pub(super) is_removed: bool,
    /// How often it was written before.
    pub(super) turn: u64,
    /// Until when, in microseconds since 1970, it is somebody's.
    pub(super) held_until: i64,
    /// Whose, for people.
    pub(super) by: String,
}

/// The object's text.
pub(super) fn encode(object: &CursorObject) -> Vec<u8> {
    let CursorObject { file, is_removed, turn, held_until, by } = object;
    let is_there = if *is_removed { "removed" } else { "there" };
    let cursor = encode_cursor(file);
    let text = format!("{cursor}consumer {is_there}\nturn {turn}\nheld {held_until} {by}\n");
    let crc = crc32fast::hash(text.as_bytes());
    format!("{text}crc {crc:08x}\n").into_bytes()
}

/// What a text says; `None` if it is not what was written.
pub(super) fn decode(bytes: &[u8]) -> Option<CursorObject> {
    let text = std::str::from_utf8(bytes).ok()?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (cursor, rest) = lines.split_at_checked(6)?;
    let mut fields = rest.iter().map(|line| line.trim_end_matches('\n'));
    let mut field = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix(' ');
    let is_removed = field("consumer")? == "removed";
    let turn = field("turn")?.parse().ok()?;
    let (held_until, by) = field("held")?.split_once(' ')?;
    let object = CursorObject {
        file: decode_cursor(cursor.concat().as_bytes())?,
        is_removed,
        turn,
        held_until: held_until.parse().ok()?,
        by: by.to_owned(),
    };
    // What encodes to the same bytes has the right checksum, and nothing else in it.
    (encode(&object) == bytes).then_some(object)
}

/// The name of a consumer's object.
pub(super) fn name_of(consumer: &str) -> String {
    format!("{}{consumer}", names::CONSUMERS)
}

/// What an object says.
///
/// # Errors
///
/// `Corrupt` if nobody can read it.
pub(super) fn read(objects: &dyn Objects, name: &str, found: &Found) -> Result<CursorObject> {
    let damaged = || {
        let reason = "the cursor is damaged, so that nobody knows what its consumer has acknowledged; say where it is to \
                      go on with `aral-store consumers --reset NAME --from start|now|SEQ`";
        Error::new(ErrorKind::Corrupt, reason).at(&objects.place().join(name), None)
    };
    decode(&found.bytes).ok_or_else(damaged)
}

/// Those of these consumers that are there, and what the object of each says.
pub(super) fn all(
    objects: &dyn Objects,
    names: &BTreeSet<String>,
) -> Result<Vec<(String, Result<CursorObject>)>> {
    let mut all = Vec::new();
    for consumer in names {
        let name = name_of(consumer);
        let Some(found) = tries::get(objects, &name)? else { continue };
        let said = read(objects, &name, &found);
        if !said.as_ref().is_ok_and(|object| object.is_removed) {
            all.push((consumer.clone(), said));
        }
    }
    Ok(all)
}

/// The lowest of the cursors into a store's events; `None` if there are no consumers. One that cannot be read may be anywhere.
pub(super) fn lowest_cursor(
    objects: &dyn Objects,
    names: &BTreeSet<String>,
    store_id: &StoreId,
) -> Result<Option<Seq>> {
    let all = all(objects, names)?.into_iter().filter_map(|(_, said)| match said {
        // Of another store, whose events are not here.
        Ok(object) if object.file.store != hex_of(store_id) => None,
        Ok(object) => Some(object.file.cursor.acknowledged),
        Err(_) => Some(0),
    });
    Ok(all.min())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConsumerCursor;

    #[test]
    fn it_is_read_back_and_no_flipped_bit_passes_for_another() {
        let file = CursorFile::new(&[7; 16], &[9; 16], ConsumerCursor::new(300, Some((4, 0x00c0_ffee))));
        for (is_removed, by) in [(false, "process 12"), (true, "")] {
            let object =
                CursorObject { file: file.clone(), is_removed, turn: 3, held_until: -5, by: by.to_owned() };
            let bytes = encode(&object);
            assert_eq!(decode(&bytes), Some(object));
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode(&flipped), None, "bit {bit}");
            }
        }
    }
}
