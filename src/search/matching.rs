//! Whether a text answers a query, where, and how well.
//!
//! Owns the one pass over the text, with memory for a few words whatever its length.

use std::collections::VecDeque;
use std::ops::Range;

use super::query::{Phrase, Query};
use super::score::score;
use super::snippet::{Hit, snippet};
use super::tokens::{Place, places};
use super::top::Key;
use crate::error::Result;
use crate::model::{MessageRef, Search, SearchOrder, Snippet, Text, TextRef, TimeMatch};

/// How many hits of a text are told apart to choose the part that is shown.
const MOST_HITS: usize = 256;

/// What is said of a message that is found.
pub(crate) struct Answer {
    pub(crate) score: u64,
    pub(crate) snippet: Snippet,
    /// Whether it surely is of the time that is meant.
    pub(crate) is_sure: bool,
}

/// What is found in a text.
struct Hits {
    score: u64,
    hits: Vec<Hit>,
}

/// A search that has been understood.
#[derive(Clone, Debug)]
pub(crate) struct Matcher<'s> {
    pub(crate) search: &'s Search,
    pub(crate) query: Query,
    longest: usize,
}

impl<'s> Matcher<'s> {
    /// Understands a search.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if its query is empty or malformed.
    pub(crate) fn new(search: &'s Search) -> Result<Self> {
        let query = Query::parse(&search.query)?;
        let longest = query.phrases.iter().map(|phrase| phrase.words.len()).max().unwrap_or_default();
        Ok(Self { search, query, longest })
    }

    /// What is said of a message if it is meant.
    pub(crate) fn find(&self, message: &MessageRef<'_>) -> Option<Answer> {
        if self.search.role.as_ref().is_some_and(|role| message.role != *role) {
            return None;
        }
        let is_sure = match message.created_at.match_between(self.search.since, self.search.until) {
            TimeMatch::Out => return None,
            TimeMatch::InDoubt => false,
            TimeMatch::In => true,
        };
        if !self.query.filters.hold(message) {
            return None;
        }
        let (score, snippet) = self.looked_at(message.content)?;
        Some(Answer { score, snippet, is_sure })
    }

    /// What a hit is ordered by.
    pub(crate) fn key(&self, score: u64, (micros, conversation, place): (i64, u64, u64)) -> Key {
        let score = match self.search.order {
            SearchOrder::Newest => 0,
            SearchOrder::Best => score,
        };
        Key { score, micros, conversation, place }
    }

    fn looked_at(&self, content: TextRef<'_>) -> Option<(u64, Snippet)> {
        let of = |text: &str| {
            let found = self.hits(text)?;
            Some((found.score, snippet(text, &found.hits)))
        };
        match content.as_str() {
            Some(text) => of(text),
            None => of(&Text::to_string_lossy(&content.to_text())),
        }
    }

    #[cfg(test)]
    pub(super) fn score_of(&self, text: &str) -> Option<u64> {
        self.hits(text).map(|hits| hits.score)
    }

    /// Where the phrases occur, in order, the first ones at least; `None` if one does not.
    fn hits(&self, text: &str) -> Option<Hits> {
        let mut counts: Vec<u64> = self.query.phrases.iter().map(|_| 0).collect();
        let (mut words, mut hits, mut before) = (0, Vec::new(), VecDeque::with_capacity(self.longest));
        for place in places(text) {
            words += 1;
            for (which, (phrase, count)) in self.query.phrases.iter().zip(&mut counts).enumerate() {
                let Some(range) = ends_with(&before, &place, phrase) else { continue };
                *count += 1;
                if *count == 1 || hits.len() < MOST_HITS {
                    hits.push(Hit { which, range });
                }
            }
            // Single words need none of those before them.
            if self.longest > 1 {
                if before.len() + 1 == self.longest {
                    before.pop_front();
                }
                before.push_back(place);
            }
        }
        let is_found = counts.iter().all(|count| *count > 0);
        is_found.then(|| {
            hits.sort_by_key(|hit| (hit.range.start, hit.range.end));
            Hits { score: score(&counts, words), hits }
        })
    }
}

/// Where a phrase stands if it ends with a word before which these stand.
fn ends_with(before: &VecDeque<Place<'_>>, word: &Place<'_>, phrase: &Phrase) -> Option<Range<usize>> {
    let (last, others) = phrase.words.split_last()?;
    let is_last = if phrase.is_prefix { word.begins_with(last) } else { word.is(last) };
    // Mostly it is not.
    if !is_last {
        return None;
    }
    let begin = before.len().checked_sub(others.len())?;
    let are = before.iter().skip(begin).zip(others).all(|(is, ought)| is.is(ought));
    let first = before.get(begin).unwrap_or(word);
    are.then_some(first.range.start..word.range.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(query: &str, text: &str) -> Option<Vec<String>> {
        let search = Search::new(query);
        let found = Matcher::new(&search).unwrap().hits(text)?;
        Some(found.hits.into_iter().map(|hit| text.get(hit.range).unwrap().to_owned()).collect())
    }

    #[test]
    fn all_words_must_occur_and_a_phrase_in_one_place() {
        assert_eq!(finds("RAIN the", "The rain, the Rain.").unwrap(), ["The", "rain", "the", "Rain"]);
        assert_eq!(finds("rain snow", "rain"), None);
        assert_eq!(finds("\"b c\"", "a b, C d").unwrap(), ["b, C"]);
        assert_eq!(finds("\"b d\"", "a b c d"), None);
        assert_eq!(finds("rai", "rain"), None);
        assert_eq!(finds("rai*", "it rains").unwrap(), ["rains"]);
        assert_eq!(finds("example.co*", "see EXAMPLE.com/x").unwrap(), ["EXAMPLE.com"]);
        assert_eq!(finds("京都", "東京都").unwrap(), ["京都"]);
        assert_eq!(finds("都京", "東京都"), None);
        assert_eq!(finds("a a*", "a").unwrap(), ["a", "a"]);
        assert_eq!(finds("éte\u{301}", "L'E\u{301}TÉ").unwrap(), ["E\u{301}TÉ"]);
    }

    #[test]
    fn a_phrase_behind_very_many_hits_is_found() {
        let text = "a ".repeat(10_000) + "the end";
        assert_eq!(finds("a end", &text).unwrap().last().unwrap(), "end");
    }
}
