//! How well a text can answer a query at most, by what an index has of it.
//!
//! Owns what an index has for that: terms that stand for another one that occurs several times, and for how many words a text has one byte. A
//! bound is never too low, and mostly near: by it, most texts need not be looked at to find the best.

use super::query::{Phrase, Query};
use super::score::{MOST, score};
use super::terms::{Counted, as_often, beginning};

/// From how many occurrences on a term has another one beside it that says so. None of these begins as another one does.
const LEVELS: [u64; 5] = [2, 3, 4, 6, 10];

/// What such a term begins with, so that it begins as no word does: whoever asks for all words with a beginning would pay for it too.
const MARK: char = '¶';

/// How many terms of a phrase are asked for.
const OF_A_PHRASE: usize = 2;

/// How many phrases of a query have terms that are asked for. The others are taken to occur as often as there is room for.
const PHRASES: usize = 8;

/// Up to how many words a text has a length of its own.
const EXACT: u64 = 128;

/// The term for another one that occurs at least so many times.
fn marker(term: &str, level: u64) -> String {
    format!("{MARK}{level}{term}")
}

/// What all markers begin with of the terms that have this beginning.
pub(crate) fn beginnings_of_markers(beginning: &str) -> [String; 5] {
    LEVELS.map(|level| marker(beginning, level))
}

/// The terms of a text, and those that say how often they occur.
pub(crate) fn marked(counted: &Counted) -> Vec<String> {
    let mut all = Vec::with_capacity(counted.terms.len());
    for (term, count) in &counted.terms {
        all.push(term.clone());
        all.extend(LEVELS.iter().take_while(|level| *level <= count).map(|level| marker(term, *level)));
    }
    all
}

/// A byte for how many words a text has; 0 if that is not known.
pub(crate) fn length_of(words: u64) -> u8 {
    if words < EXACT {
        return u8::try_from(words).unwrap_or_default();
    }
    // From there on eight steps from one power of two to the next.
    let power = u64::from(words.ilog2()) - 7;
    let step = (words >> (power + 4)) - 8;
    u8::try_from(128 + power * 8 + step).unwrap_or(u8::MAX)
}

/// The fewest and the most words that a byte stands for; `None` if there can be any number of them.
fn words_of(length: u8) -> Option<(u64, u64)> {
    match u64::from(length) {
        0 | 255 => None,
        words if words < EXACT => Some((words, words)),
        length => {
            let fewest = |step: u64| (8 + step % 8) << (step / 8 + 4);
            Some((fewest(length - 128), fewest(length - 127) - 1))
        }
    }
}

/// What an index is asked for to find how often a phrase can occur in a text at most.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Counter {
    /// The markers of a term, one after another, until there is none of which a text has one; see [`times`].
    Term([String; 5]),
    /// All terms that begin with this one, and their [markers](beginnings_of_markers); see [`more_times`].
    Beginning(String),
}

/// How often a term occurs at most in a text that has so many of its markers.
pub(crate) fn times(markers: u8) -> u64 {
    LEVELS.get(usize::from(markers)).map_or(u64::MAX, |level| level - 1)
}

/// How often more a word occurs at most in a text that has this term, or marker.
pub(crate) fn more_times(term: &str) -> u64 {
    let Some(level) = term.strip_prefix(MARK) else { return 1 };
    let next = LEVELS.windows(2).find_map(|pair| match pair {
        [one, next] if level.starts_with(&one.to_string()) => Some(next - one),
        _ => None,
    });
    next.unwrap_or(u64::MAX)
}

/// What bounds the scores for a query.
#[derive(Debug)]
pub(crate) struct Bounds {
    counters: Vec<Counter>,
    /// For each phrase those of them that count at least as often as it occurs.
    phrases: Vec<Vec<usize>>,
}

impl Bounds {
    pub(crate) fn of(query: &Query) -> Self {
        let (mut counters, mut phrases): (Vec<Counter>, _) = (Vec::new(), Vec::new());
        for phrase in &query.phrases {
            let mut own = if phrases.len() < PHRASES { counters_of(phrase) } else { Vec::new() };
            own.truncate(OF_A_PHRASE);
            let place = |counter: Counter| {
                counters.iter().position(|other| *other == counter).unwrap_or_else(|| {
                    counters.push(counter);
                    counters.len() - 1
                })
            };
            phrases.push(own.into_iter().map(place).collect());
        }
        Self { counters, phrases }
    }

    pub(crate) fn counters(&self) -> &[Counter] {
        &self.counters
    }

    /// How well a text can answer at most, for which each counter gives so many times, and whose length is this byte.
    pub(crate) fn bound(&self, times: impl Fn(usize) -> u64, length: u8) -> u64 {
        let Some((fewest, most)) = words_of(length) else {
            return self.phrases.iter().map(|_| MOST).fold(0, u64::saturating_add);
        };
        let count = |of: &Vec<usize>| of.iter().map(|at| times(*at)).min().unwrap_or(most).min(most);
        let counts: Vec<u64> = self.phrases.iter().map(count).collect();
        score(&counts, fewest)
    }
}

fn counters_of(phrase: &Phrase) -> Vec<Counter> {
    if let Some(beginning) = beginning(phrase) {
        return vec![Counter::Beginning(beginning)];
    }
    let mut terms: Vec<String> = as_often(phrase).collect();
    // Long terms are rare ones.
    terms.sort_by_key(|term| std::cmp::Reverse(term.len()));
    terms.into_iter().map(|term| Counter::Term(beginnings_of_markers(&term))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Search;
    use crate::search::Matcher;
    use crate::search::terms::counted;

    #[test]
    fn the_markers_of_a_term_say_together_how_often_it_can_occur() {
        for count in 1..30 {
            let counted = Counted { terms: [("rain".to_owned(), count)].into(), words: 50 };
            let all = marked(&counted);
            let markers = times(u8::try_from(all.len() - 1).unwrap());
            assert_eq!(all.iter().map(|term| more_times(term)).fold(0, u64::saturating_add), markers);
            assert!(markers >= count && (count >= 10 || markers <= count + 3), "{count}: {markers}");
        }
    }

    #[test]
    fn a_byte_stands_for_a_length_that_is_near() {
        for words in (1..5000).chain((5000..7_000_000).step_by(997)) {
            let (fewest, most) = words_of(length_of(words)).unwrap();
            assert!(fewest <= words && words <= most, "{words}: {fewest} to {most}");
            assert!((most - fewest) * 8 <= words, "{words}: {fewest} to {most}");
        }
        assert_eq!((words_of(length_of(0)), words_of(length_of(u64::MAX))), (None, None));
    }

    proptest! {
        #[test]
        fn no_text_answers_better_than_its_bound(
            text in "(a|b|ab|abc|京|京都|都|A|, |\\. ){0,60}",
            query in "(a|b|ab|京都|京|京\\*|\"a b\"|\"京 a\"|a\\*|\"b a\"|\"京都 京都\")( (a|b|ab|京|\"a a\"|ab\\*|\"ab a\"|都)){0,2}",
        ) {
            let search = Search::new(query).order(crate::model::SearchOrder::Best);
            let matcher = Matcher::new(&search).unwrap();
            let counted = counted(&text);
            let all = marked(&counted);
            let bounds = Bounds::of(&matcher.query);
            let counted_by = |counter: &Counter| match counter {
                Counter::Term(markers) => {
                    times(u8::try_from(markers.iter().take_while(|marker| all.contains(*marker)).count()).unwrap())
                }
                Counter::Beginning(beginning) => {
                    let markers = beginnings_of_markers(beginning);
                    let begins = |term: &&String| {
                        term.starts_with(beginning) || markers.iter().any(|marker| term.starts_with(marker))
                    };
                    let begun = all.iter().filter(begins);
                    begun.map(|term| more_times(term)).fold(0, u64::saturating_add)
                }
            };
            let times: Vec<u64> = bounds.counters().iter().map(counted_by).collect();
            let bound = bounds.bound(|at| times[at], length_of(counted.words));
            if let Some(score) = matcher.score_of(&text) {
                prop_assert!(score <= bound, "{score} of at most {bound}");
                prop_assert!(score <= bounds.bound(|at| times[at], 0));
            }
        }
    }
}
