//! The part of a text that is shown.
//!
//! Owns which part that is: the one with the most different hits, and a little around it.

use std::ops::Range;

use crate::model::Snippet;

/// How many characters are shown at most, but for a hit that is longer.
const WIDTH: usize = 160;

/// How many of them stand before the first hit.
const BEFORE: usize = 40;

/// How far a cut may move to fall between words.
const TO_A_BLANK: usize = 20;

/// Where a phrase of a query occurs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Hit {
    pub(super) which: usize,
    pub(super) range: Range<usize>,
}

/// The part of a text with the most phrases in it. The hits are in order.
pub(super) fn snippet(text: &str, hits: &[Hit]) -> Snippet {
    let first = best(text, hits);
    let begin = cut_before(text, first.start);
    let end = cut_behind(text, begin, first.end);
    let mut shown: Vec<Range<usize>> = Vec::new();
    for hit in hits.iter().map(|hit| &hit.range).filter(|range| begin <= range.start && range.end <= end) {
        match shown.last_mut() {
            Some(last) if hit.start < last.end => last.end = last.end.max(hit.end),
            Some(_) | None => shown.push(hit.clone()),
        }
    }
    Snippet {
        text: text.get(begin..end).unwrap_or_default().to_owned(),
        hits: shown.into_iter().map(|range| range.start - begin..range.end - begin).collect(),
        is_cut_before: begin > 0,
        is_cut_behind: end < text.len(),
    }
}

/// The hit from which on the most phrases occur close by; the first of several.
fn best(text: &str, hits: &[Hit]) -> Range<usize> {
    let close = |begin: &Hit| {
        let end = advance(text, begin.range.start, WIDTH - BEFORE);
        let mut seen: Vec<usize> = Vec::new();
        for hit in hits.iter().filter(|hit| hit.range.start >= begin.range.start && hit.range.end <= end) {
            if !seen.contains(&hit.which) {
                seen.push(hit.which);
            }
        }
        seen.len()
    };
    let mut chosen = (0, 0..0);
    for hit in hits {
        let count = close(hit);
        if count > chosen.0 || chosen.1.is_empty() {
            chosen = (count, hit.range.clone());
        }
    }
    chosen.1
}

/// The place so many characters behind another one, or the end.
fn advance(text: &str, from: usize, count: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.char_indices().nth(count).map_or(text.len(), |(at, _)| from + at)
}

/// Where to begin: before the hit, between words if that is near.
fn cut_before(text: &str, hit: usize) -> usize {
    let before = text.get(..hit).unwrap_or_default();
    let mut starts = before.char_indices().rev();
    let Some((from, _)) = starts.nth(BEFORE - 1).filter(|(at, _)| *at > 0) else { return 0 };
    let near = before.get(from..).unwrap_or_default();
    let blank = near.char_indices().take(TO_A_BLANK).find(|(_, c)| c.is_whitespace());
    blank.map_or(from, |(at, c)| from + at + c.len_utf8())
}

/// Where to end: behind the hit, between words if that is near.
fn cut_behind(text: &str, begin: usize, hit_end: usize) -> usize {
    let end = advance(text, begin, WIDTH).max(hit_end);
    if end == text.len() {
        return end;
    }
    let shown = text.get(hit_end..end).unwrap_or_default();
    let blank = shown.char_indices().rev().take(TO_A_BLANK).find(|(_, c)| c.is_whitespace());
    blank.map_or(end, |(at, _)| hit_end + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, words: &[&str]) -> Snippet {
        let mut hits: Vec<Hit> = Vec::new();
        for (which, word) in words.iter().enumerate() {
            hits.extend(text.match_indices(word).map(|(at, word)| Hit { which, range: at..at + word.len() }));
        }
        hits.sort_by_key(|hit| hit.range.start);
        snippet(text, &hits)
    }

    fn bounds(shown: &Snippet) -> Vec<(usize, usize)> {
        shown.hits.iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn a_short_text_is_shown_whole() {
        let shown = of("one two three", &["two"]);
        assert_eq!((shown.text.as_str(), bounds(&shown)), ("one two three", vec![(4, 7)]));
        assert!(!shown.is_cut_before && !shown.is_cut_behind);
    }

    #[test]
    fn of_a_long_text_the_part_with_the_most_phrases_is_shown() {
        let text = format!("rain {} rain and snow {}", "dry ".repeat(500), "dry ".repeat(500));
        let shown = of(&text, &["rain", "snow"]);
        assert!(shown.is_cut_before && shown.is_cut_behind);
        assert!(shown.text.starts_with("dry ") && shown.text.ends_with("dry"), "{:?}", shown.text);
        assert!(shown.text.chars().count() <= WIDTH);
        let hits: Vec<&str> = shown.hits.iter().map(|range| shown.text.get(range.clone()).unwrap()).collect();
        assert_eq!(hits, ["rain", "snow"]);
    }

    #[test]
    fn cuts_fall_between_characters_and_hits_apart() {
        let text = "é".repeat(1000) + "x" + &"漢".repeat(1000);
        let shown = of(&text, &["x"]);
        assert_eq!(shown.text.get(shown.hits[0].clone()), Some("x"));
        assert_eq!(bounds(&of("aaaa", &["aa", "aaa"])), [(0, 4)]);
        let long = "y".repeat(5000);
        assert_eq!(bounds(&of(&long, &[&long])), [(0, 5000)]);
    }
}
