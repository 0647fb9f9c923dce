//! Finding the next byte of a string that needs care, many bytes at a time.
//!
//! Owns the bit arithmetic. A run of plain bytes can then be copied in one piece, which is what makes the
//! reader and the writers fast.

/// One in every byte of a word.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of every byte of a word.
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many bytes are looked at together before they are looked at in words. What is done to a block is the same
/// for each of its bytes, and ends in one answer, which a compiler turns into a few instructions.
const BLOCK: usize = 32;

/// How many leading bytes stand for themselves in a JSON string: no quote, backslash or control character.
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    let start = whole_blocks(bytes, plain_mark);
    start + prefix(bytes.get(start..).unwrap_or_default(), plain_marks)
}

/// The same for whoever reads, and gives up at a control character. To find the quote or backslash first is
/// faster, but looks at all that stands before it: a writer, which goes on behind a control character, would look at
/// the same text again and again.
#[inline]
pub(crate) fn string_run(bytes: &[u8]) -> usize {
    run_before_quote(bytes, |byte| !byte, !b' ', plain_prefix)
}

/// The same in a string of printable ASCII.
#[inline]
pub(crate) fn ascii_run(bytes: &[u8]) -> usize {
    run_before_quote(bytes, |byte| byte.wrapping_sub(b' '), b'~' - b' ', ascii_prefix)
}

/// How many bytes stand before the first quote or backslash, if none of them measures too much; else how many this
/// finds among them.
#[inline]
fn run_before_quote(
    bytes: &[u8],
    measure: impl Fn(u8) -> u8,
    limit: u8,
    prefix: impl Fn(&[u8]) -> usize,
) -> usize {
    let end = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
    let run = bytes.get(..end).unwrap_or_default();
    // The last block may lie over the one before: to look at a byte twice takes less than to look at it alone.
    let Some(last) = run.last_chunk::<BLOCK>() else { return prefix(run) };
    let (blocks, _) = run.as_chunks::<BLOCK>();
    let most = blocks.iter().fold(last.map(&measure), |mut most, block| {
        most.iter_mut().zip(block).for_each(|(most, byte)| *most = (*most).max(measure(*byte)));
        most
    });
    if most.iter().fold(0, |most, measured| (*measured).max(most)) <= limit { end } else { prefix(run) }
}

/// The same in a string of printable ASCII that is short most of the time.
#[inline]
pub(crate) fn short_ascii_run(bytes: &[u8]) -> usize {
    prefix(bytes, ascii_marks)
}

/// How many leading bytes stand for themselves in a JSON string of printable ASCII.
pub(super) fn ascii_prefix(bytes: &[u8]) -> usize {
    let start = whole_blocks(bytes, |byte| plain_mark(byte) | u8::from(byte >= 0x7f));
    start + short_ascii_run(bytes.get(start..).unwrap_or_default())
}

/// One for a byte that needs care and zero for another, without a branch: a compiler can only work on many
/// bytes at once where each takes the same way.
fn plain_mark(byte: u8) -> u8 {
    u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\')
}

/// How many leading bytes lie in blocks that have no mark.
#[inline]
fn whole_blocks(bytes: &[u8], mark: impl Fn(u8) -> u8) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let has_none = |block: &&[u8; BLOCK]| block.iter().fold(0, |marks, byte| marks | mark(*byte)) == 0;
    blocks.iter().take_while(has_none).count() * BLOCK
}

fn plain_marks(word: u64) -> u64 {
    below_space(word) | equal(word, b'"') | equal(word, b'\\')
}

fn ascii_marks(word: u64) -> u64 {
    plain_marks(word) | equal(word, 0x7f) | word & HIGHS
}

/// Marks the top bit of bytes below 0x20. A borrow can mark a byte wrongly, but only above a rightly marked
/// one, so the lowest mark is always true.
fn below_space(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & HIGHS
}

/// Marks the top bit of bytes that are this one, with the same reservation.
fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * u64::from(byte));
    difference.wrapping_sub(ONES) & !difference & HIGHS
}

fn prefix(bytes: &[u8], marks: impl Fn(u64) -> u64) -> usize {
    // The first byte in memory must be the lowest of the word for the lowest mark to be the first.
    let lowest = |word: &[u8; 8]| match marks(u64::from_le_bytes(*word)) {
        0 => None,
        found => usize::try_from(found.trailing_zeros() / 8).ok(),
    };
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        if let Some(within) = lowest(word) {
            return index * 8 + within;
        }
    }
    // A quote is marked by every caller, so padding with quotes ends the last word where the bytes end.
    let mut last = [b'"'; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    words.len() * 8 + lowest(&last).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_judged_as_one_by_one() {
        for byte in 0..=255_u8 {
            let is_plain = byte >= 0x20 && byte != b'"' && byte != b'\\';
            let is_ascii = is_plain && byte < 0x7f;
            for length in [1, 2, 7, 8, 9, 16, 19, 31, 32, 33, 63, 64, 65, 71] {
                for place in 0..length {
                    let mut bytes = vec![b'!'; length];
                    bytes[place] = byte;
                    assert_eq!(plain_prefix(&bytes), if is_plain { length } else { place });
                    assert_eq!(string_run(&bytes), plain_prefix(&bytes));
                    for found in [ascii_prefix(&bytes), ascii_run(&bytes), short_ascii_run(&bytes)] {
                        assert_eq!(found, if is_ascii { length } else { place });
                    }
                }
            }
        }
        assert_eq!(plain_prefix(b""), 0);
    }

    #[test]
    fn neighbours_do_not_disturb_the_first_mark() {
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                let bytes = [b'a', first, second, b'b'];
                let slow = bytes.iter().take_while(|b| **b >= 0x20 && **b != b'"' && **b != b'\\').count();
                assert_eq!(plain_prefix(&bytes), slow, "{bytes:?}");
                assert_eq!(string_run(&bytes), slow, "{bytes:?}");
            }
        }
    }
}
