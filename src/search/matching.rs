//! Whether a text answers a query, where, and how well.
//!
//! Owns the one pass over the text, with memory for a few words whatever its length.

use std::collections::VecDeque;
use std::ops::Range;

use super::query::{Phrase, Query};
use super::score::score;
use super::snippet::{Hit, snippet};
use super::tokens::{Token, tokens};
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

    /// Where the phrases occur, in order, the first ones at least; `None` if one does not.
    fn hits(&self, text: &str) -> Option<Hits> {
        let mut counts: Vec<u64> = self.query.phrases.iter().map(|_| 0).collect();
        let (mut words, mut hits, mut last) = (0, Vec::new(), VecDeque::with_capacity(self.longest + 1));
        for token in tokens(text) {
            words += 1;
            if last.len() == self.longest {
                last.pop_front();
            }
            last.push_back(token);
            for (which, (phrase, count)) in self.query.phrases.iter().zip(&mut counts).enumerate() {
                let Some(range) = ends_with(&last, phrase) else { continue };
                *count += 1;
                if *count == 1 || hits.len() < MOST_HITS {
                    hits.push(Hit { which, range });
                }
            }
        }
        hits.sort_by_key(|hit| (hit.range.start, hit.range.end));
        let is_found = counts.iter().all(|count| *count > 0);
        is_found.then(|| Hits { score: score(&counts, words), hits })
    }
}

/// Where a phrase stands if the last words are it.
fn ends_with(last: &VecDeque<Token>, phrase: &Phrase) -> Option<Range<usize>> {
    let begin = last.len().checked_sub(phrase.words.len())?;
    let end = phrase.words.len() - 1;
    let are = |(at, (is, ought)): (usize, (&Token, &Token))| {
        if phrase.is_prefix && at == end { is.text.starts_with(&ought.text) } else { is.text == ought.text }
    };
    let is_there = last.iter().skip(begin).zip(&phrase.words).enumerate().all(are);
    is_there.then(|| Some(last.get(begin)?.range.start..last.back()?.range.end)).flatten()
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
