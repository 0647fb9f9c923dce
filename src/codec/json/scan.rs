//! Finding the next byte of a string that needs care, eight bytes at a time.
//!
//! Owns the bit arithmetic. A run of plain bytes can then be copied in one piece, which is what makes the
//! reader and the writers fast.

/// One in every byte of a word.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of every byte of a word.
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many leading bytes stand for themselves in a JSON string: no quote, backslash or control character.
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    prefix(bytes, plain_marks)
}

/// How many leading bytes stand for themselves in a JSON string of printable ASCII.
pub(super) fn ascii_prefix(bytes: &[u8]) -> usize {
    prefix(bytes, |word| plain_marks(word) | equal(word, 0x7f) | word & HIGHS)
}

fn plain_marks(word: u64) -> u64 {
    below_space(word) | equal(word, b'"') | equal(word, b'\\')
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
            for length in 1..20 {
                for place in 0..length {
                    let mut bytes = vec![b'!'; length];
                    bytes[place] = byte;
                    assert_eq!(plain_prefix(&bytes), if is_plain { length } else { place });
                    assert_eq!(ascii_prefix(&bytes), if is_ascii { length } else { place });
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
            }
        }
    }
}
