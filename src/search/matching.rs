//! Whether a text answers a query, and where.
//!
//! Owns the one pass over the text, with memory for a few words whatever its length.

use std::collections::VecDeque;
use std::ops::Range;

use super::query::{Phrase, Query};
use super::snippet::{Hit, snippet};
use super::tokens::{Token, tokens};
use crate::error::Result;
use crate::model::{MessageRef, Search, Snippet, Text, TextRef, TimeMatch};

/// How many hits of a text are told apart to choose the part that is shown.
const MOST_HITS: usize = 256;

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

    /// What is shown of a message if it is meant, and whether it surely is.
    pub(crate) fn find(&self, message: &MessageRef<'_>) -> Option<(Snippet, bool)> {
        if self.search.role.as_ref().is_some_and(|role| message.role != *role) {
            return None;
        }
        let is_sure = match message.created_at.match_between(self.search.since, self.search.until) {
            TimeMatch::Out => return None,
            TimeMatch::InDoubt => false,
            TimeMatch::In => true,
        };
        Some((self.snippet(message.content)?, is_sure))
    }

    fn snippet(&self, content: TextRef<'_>) -> Option<Snippet> {
        match content.as_str() {
            Some(text) => Some(snippet(text, &self.hits(text)?)),
            None => {
                let text = Text::to_string_lossy(&content.to_text()).into_owned();
                Some(snippet(&text, &self.hits(&text)?))
            }
        }
    }

    /// Where the phrases occur, in order, the first ones at least; `None` if one does not.
    fn hits(&self, text: &str) -> Option<Vec<Hit>> {
        let mut missing: Vec<bool> = self.query.phrases.iter().map(|_| true).collect();
        let (mut left, mut hits, mut last) =
            (missing.len(), Vec::new(), VecDeque::with_capacity(self.longest + 1));
        for token in tokens(text) {
            if last.len() == self.longest {
                last.pop_front();
            }
            last.push_back(token);
            for (which, (phrase, missing)) in self.query.phrases.iter().zip(&mut missing).enumerate() {
                let Some(range) = ends_with(&last, phrase) else { continue };
                if std::mem::take(missing) {
                    left -= 1;
                    hits.push(Hit { which, range });
                } else if hits.len() < MOST_HITS {
                    hits.push(Hit { which, range });
                }
            }
            if left == 0 && hits.len() >= MOST_HITS {
                break;
            }
        }
        hits.sort_by_key(|hit| (hit.range.start, hit.range.end));
        (left == 0).then_some(hits)
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
        let hits = Matcher::new(&search).unwrap().hits(text)?;
        Some(hits.into_iter().map(|hit| text.get(hit.range).unwrap().to_owned()).collect())
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
