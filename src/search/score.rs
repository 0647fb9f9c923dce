//! How well a text answers a query.
//!
//! Owns the number that the best hits are ordered by. It is of the text and the query alone: what else is in a store does not change it, nor
//! how far an index has come, so that it is the same wherever the text is kept. It is computed in whole numbers, which are the same everywhere, too.

/// What BM25 gives for a phrase that occurs without end: its `k1`, 1.2, and one more, in millionths.
pub(super) const MOST: u64 = 2_200_000;

/// How well a text of so many words answers a query whose phrases occur so often in it, in millionths.
///
/// That is BM25 with `k1` 1.2 and `b` 0.75, and with 100 words for an average text. Each phrase weighs the same: all hits have all of them.
pub(super) fn score(counts: &[u64], words: u64) -> u64 {
    // k1 · (1 - b + b · words / 100), in thousandths.
    let length = words.saturating_mul(9).saturating_add(300);
    let of = |count: &u64| {
        let thousandths = count.saturating_mul(1000);
        thousandths.saturating_mul(MOST) / thousandths.saturating_add(length)
    };
    counts.iter().map(of).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_scores_by_how_often_and_among_how_few_words() {
        // One time in an average text.
        assert_eq!(score(&[1], 100), 1_000_000);
        assert!(score(&[2], 100) > score(&[1], 100) && score(&[1], 99) > score(&[1], 100));
        assert_eq!(score(&[1, 1], 100), 2_000_000);
        // More often and more evenly is better; nothing overflows.
        assert!(score(&[2, 2], 100) > score(&[3, 1], 100));
        assert!(score(&[u64::MAX], u64::MAX) <= MOST && score(&[1_000_000_000], 1_000_000_000) <= MOST);
    }
}
