//! Which chapters there are.
//!
//! Owns their names, and which of them lead up to an event without a gap. Does not look into any.

use std::path::{Path, PathBuf};

use super::layout::{self, Layout};
use crate::error::Result;
use crate::log::segment::UNFINISHED;
use crate::model::Seq;
use crate::vfs::{FileKind, Vfs};

/// With what the names of chapters end, behind a dot.
pub(crate) const EXTENSION: &str = "chapter";

/// A chapter's file, by its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Named {
    pub(crate) last: Seq,
    pub(crate) first: Seq,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// A chapter's name.
pub(crate) fn name(first: Seq, last: Seq) -> String {
    format!("{first:016x}-{last:016x}.{EXTENSION}")
}

/// The first and the last event in a chapter of this name; `None` if it is none of a chapter.
pub(crate) fn parse_name(text: &str) -> Option<(Seq, Seq)> {
    let (first, last) = text.strip_suffix(EXTENSION)?.strip_suffix('.')?.split_once('-')?;
    let parsed = (u64::from_str_radix(first, 16).ok()?, u64::from_str_radix(last, 16).ok()?);
    (name(parsed.0, parsed.1) == text && 0 < parsed.0 && parsed.0 <= parsed.1).then_some(parsed)
}

/// The chapters that there are, those that end first before the others.
pub(crate) fn list(vfs: &dyn Vfs, layout: &Layout) -> Result<Vec<Named>> {
    let dir = layout.archive();
    let mut found = Vec::new();
    for entry in layout::list_dir(vfs, &dir)? {
        if let Some((first, last)) = parse_name(&entry.name).filter(|_| entry.kind == FileKind::File) {
            let path = dir.join(&entry.name);
            let bytes = layout::probe(vfs, &path)?.map_or(0, |metadata| metadata.len);
            found.push(Named { last, first, path, bytes });
        }
    }
    found.sort();
    Ok(found)
}

/// Removes what was not finished. Only for whoever keeps others from writing one.
pub(crate) fn remove_unfinished(vfs: &dyn Vfs, layout: &Layout) -> Result<()> {
    let dir = layout.archive();
    for entry in layout::list_dir(vfs, &dir)? {
        if entry.kind == FileKind::File && entry.name.ends_with(UNFINISHED) {
            layout::remove_file(vfs, &dir.join(&entry.name))?;
        }
    }
    Ok(())
}

/// Those of them that lead up to an event without a gap, oldest first. Where none ends with it, the last of them may be one
/// that goes on behind it: to whoever still looks at an older checkpoint, and has the chapters of a newer one.
pub(crate) fn chain(mut all: Vec<Named>, through: Seq) -> Vec<Named> {
    let goes_beyond = |named: &&Named| named.first <= through && through < named.last;
    let is_exact = all.iter().any(|named| named.last == through);
    let beyond = all.iter().filter(goes_beyond).min_by_key(|named| named.first).filter(|_| !is_exact);
    let (mut chain, mut end) = (Vec::new(), beyond.map_or(through, |named| named.last));
    while let Some(named) = all.pop() {
        // Of two that end alike, which a compaction that failed may leave, the longer one has all of the other.
        if named.last == end {
            let longest = all.iter().position(|other| other.last == end && other.first < named.first);
            let named = longest.map_or(named, |at| all.remove(at));
            end = named.first - 1;
            chain.push(named);
        }
    }
    chain.reverse();
    chain
}

/// The newest events that no chapter has although one has older ones. Dropping the oldest leaves no such gap.
pub(crate) fn gap(all: &[Named], through: Seq) -> Option<(Seq, Seq)> {
    let first = chain(all.to_vec(), through).first().map_or(through + 1, |named| named.first);
    let before = all.iter().map(|named| named.last).filter(|last| *last < first).max()?;
    Some((before + 1, first - 1))
}

/// What is said of such a gap.
pub(crate) fn gap_in_words((first, last): (Seq, Seq), archive: &Path) -> String {
    format!(
        "the history of events {first} to {last} is missing in {}, and what it keeps of older ones leads to nothing",
        archive.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_goes_back_to_the_first_gap_and_over_what_a_failed_compaction_left() {
        let named = |(first, last): (u64, u64)| Named {
            last,
            first,
            path: PathBuf::from(name(first, last)),
            bytes: 1,
        };
        let chained = |all: &[(u64, u64)], through| -> Vec<(u64, u64)> {
            let mut all: Vec<Named> = all.iter().map(|pair| named(*pair)).collect();
            all.sort();
            chain(all, through).into_iter().map(|named| (named.first, named.last)).collect()
        };
        assert_eq!(chained(&[(1, 4), (5, 9)], 9), [(1, 4), (5, 9)]);
        assert_eq!(chained(&[(1, 3), (5, 9)], 9), [(5, 9)]);
        assert_eq!(chained(&[(1, 4), (5, 9)], 10), []);
        assert_eq!(chained(&[(1, 4), (5, 9)], 7), [(1, 4), (5, 9)]);
        assert_eq!(chained(&[(1, 4), (5, 7), (5, 9)], 7), [(1, 4), (5, 7)]);
        assert_eq!(chained(&[(1, 4), (1, 9), (5, 7)], 4), [(1, 4)]);
        assert_eq!(chained(&[(1, 4), (5, 7), (5, 9)], 9), [(1, 4), (5, 9)]);
        let missing = |all: &[(u64, u64)], through| {
            gap(&all.iter().map(|pair| named(*pair)).collect::<Vec<_>>(), through)
        };
        assert_eq!(missing(&[(5, 9), (10, 12)], 12), None);
        assert_eq!(missing(&[(1, 3), (5, 9)], 9), Some((4, 4)));
        assert_eq!(missing(&[(1, 3), (4, 9)], 12), Some((10, 12)));
        assert_eq!(missing(&[(1, 4), (5, 7), (5, 9), (10, 11)], 9), None);
        assert_eq!(parse_name(&name(5, 9)), Some((5, 9)));
        assert_eq!(parse_name("5-9.chapter"), None);
    }
}
