//! Whether a text answers a query, where, and how well.
//!
//! Owns the one pass over the text, with memory for a few words whatever its length, and which hits of a text count. Most texts are short and of
//! ASCII, and go another way, which `ascii.rs` owns.

use std::collections::VecDeque;
use std::ops::Range;

use super::ascii::{Lower, Needle};
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

/// The hits in a text, as they come.
struct Gathered {
    /// How often each phrase occurs.
    counts: Vec<u64>,
    hits: Vec<Hit>,
}

impl Gathered {
    fn of(query: &Query) -> Self {
        Self { counts: query.phrases.iter().map(|_| 0).collect(), hits: Vec::new() }
    }

    /// Adds a hit. They come in the order in which they end.
    fn add(&mut self, which: usize, range: Range<usize>) {
        let Some(count) = self.counts.get_mut(which) else { return };
        *count += 1;
        if *count == 1 || self.hits.len() < MOST_HITS {
            self.hits.push(Hit { which, range });
        }
    }

    /// What was found in a text of so many words, if each phrase was.
    fn found(mut self, words: u64) -> Option<Hits> {
        let is_found = self.counts.iter().all(|count| *count > 0);
        is_found.then(|| {
            self.hits.sort_by_key(|hit| (hit.range.start, hit.range.end));
            Hits { score: score(&self.counts, words), hits: self.hits }
        })
    }
}

/// A search that has been understood.
#[derive(Clone, Debug)]
pub(crate) struct Matcher<'s> {
    pub(crate) search: &'s Search,
    pub(crate) query: Query,
    /// What is looked for of each phrase in a text of ASCII.
    needles: Vec<Needle>,
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
        let needles = query.phrases.iter().map(Needle::of).collect();
        Ok(Self { search, query, needles, longest })
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
        match Lower::of(text) {
            Some(lower) => self.hits_of_ascii(&lower),
            None => self.hits_of_all(text),
        }
    }

    fn hits_of_all(&self, text: &str) -> Option<Hits> {
        let mut gathered = Gathered::of(&self.query);
        let (mut words, mut before) = (0, VecDeque::with_capacity(self.longest));
        for place in places(text) {
            words += 1;
            for (which, phrase) in self.query.phrases.iter().enumerate() {
                if let Some(range) = ends_with(&before, &place, phrase) {
                    gathered.add(which, range);
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
        gathered.found(words)
    }

    fn hits_of_ascii(&self, lower: &Lower) -> Option<Hits> {
        let mut gathered = Gathered::of(&self.query);
        if let ([phrase], [needle]) = (&*self.query.phrases, &*self.needles) {
            lower.places(phrase, needle).for_each(|range| gathered.add(0, range));
            return gathered.found(lower.words());
        }
        let (mut all, mut beyond) = (Vec::new(), Vec::new());
        for (which, (phrase, needle)) in self.query.phrases.iter().zip(&self.needles).enumerate() {
            let (known, mut more) = (all.len(), 0_u64);
            for range in lower.places(phrase, needle) {
                // No others can be among the hits that are told apart, of whatever phrases those are.
                if all.len() - known < MOST_HITS {
                    all.push((range.end, which, range.start));
                } else {
                    more += 1;
                }
            }
            if all.len() == known {
                return None;
            }
            beyond.push(more);
        }
        all.sort_unstable();
        for (end, which, start) in all {
            gathered.add(which, start..end);
        }
        for (count, more) in gathered.counts.iter_mut().zip(beyond) {
            *count += more;
        }
        gathered.found(lower.words())
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
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn a_text_of_ascii_is_answered_as_any_other(
            text in "(a|b|ab|aab|B|Ab|1|, |\\. | |-){0,40}",
            query in "(a|b|ab|aB\\*|1|ä|\"a b\"|\"ab a\"|\"b aab b\"|\"a a\"|a\\*|b-a\\*|a\\.1)( (a|b|ab|\"a a\"|ab\\*|\"1 ab\"|aa\\*)){0,2}",
            times in prop_oneof![1_usize..40, 300_usize..400],
        ) {
            let (search, text) = (Search::new(query), text.repeat(times));
            let matcher = Matcher::new(&search).unwrap();
            let shown = |found: Option<Hits>| found.map(|found| (found.score, found.hits));
            let lower = Lower::of(&text).unwrap();
            prop_assert_eq!(shown(matcher.hits_of_ascii(&lower)), shown(matcher.hits_of_all(&text)));
        }
    }

    #[test]
    fn a_phrase_behind_very_many_hits_is_found() {
        let text = "a ".repeat(10_000) + "the end";
        assert_eq!(finds("a end", &text).unwrap().last().unwrap(), "end");
    }
}
