//! What an index holds of a text, and what it is asked for.
//!
//! Owns the terms: each word once, shortened if it is very long; and of a script without spaces also each two characters that stand next
//! to each other, so that an index proposes few texts for a word of several. A text that a query matches always has the terms of the query.

use std::collections::{BTreeMap, BTreeSet};

#[cfg(feature = "sqlite")]
use super::query::Phrase;
use super::query::Query;
use super::tokens::{Token, tokens};

/// How many characters of a word an index holds. What is longer is told apart on the text.
const LONGEST: usize = 40;

/// How many bytes of terms a text may have; one that has more is proposed for every query. Databases have limits: PostgreSQL's is a MiB.
const MOST_BYTES: usize = 600_000;

/// How many terms an index is asked for at most. Fewer only propose more.
const MOST_TERMS: usize = 12;

/// The term that stands for all of them. No word can be it.
pub(crate) const EVERYTHING: &str = "¶";

/// A term that a text must have, or that one of its terms must begin with.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Proposal {
    pub(crate) term: String,
    pub(crate) is_prefix: bool,
}

fn cut(word: &str) -> &str {
    let end = word.char_indices().nth(LONGEST).map_or(word.len(), |(at, _)| at);
    word.get(..end).unwrap_or(word)
}

fn pair_of(one: &Token, other: &Token) -> String {
    format!("{}{}", cut(&one.text), cut(&other.text))
}

/// The terms of a text, and how often they occur in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Counted {
    /// The terms; [`EVERYTHING`] alone if there are too many.
    pub(crate) terms: BTreeMap<String, u64>,
    /// How many words there are; 0 if there are too many terms to have gone over all of them.
    pub(crate) words: u64,
}

/// The terms of a text; [`EVERYTHING`] alone if there are too many.
pub(crate) fn terms(text: &str) -> BTreeSet<String> {
    counted(text).terms.into_keys().collect()
}

/// The same, counted.
pub(crate) fn counted(text: &str) -> Counted {
    let (mut found, mut bytes, mut words) = (BTreeMap::new(), 0, 0);
    let mut add = |term: String| {
        let length = term.len();
        let count: &mut u64 = found.entry(term).or_default();
        if *count == 0 {
            bytes += length;
        }
        *count += 1;
        bytes <= MOST_BYTES
    };
    let mut before: Option<Token> = None;
    for token in tokens(text) {
        words += 1;
        let pair = before.filter(|before| before.is_single && token.is_single);
        let fits =
            pair.is_none_or(|before| add(pair_of(&before, &token))) && add(cut(&token.text).to_owned());
        if !fits {
            return Counted { terms: BTreeMap::from([(EVERYTHING.to_owned(), 1)]), words: 0 };
        }
        before = Some(token);
    }
    Counted { terms: found, words }
}

impl Query {
    /// What an index is asked for: a text that matches has all of these.
    pub(crate) fn proposals(&self) -> Vec<Proposal> {
        let all: BTreeSet<Proposal> =
            self.phrases.iter().flat_map(|phrase| proposals(&phrase.words, phrase.is_prefix)).collect();
        let mut chosen: Vec<Proposal> = all.into_iter().collect();
        // Long terms are rare ones.
        chosen.sort_by_key(|proposal| (proposal.is_prefix, std::cmp::Reverse(proposal.term.len())));
        chosen.truncate(MOST_TERMS);
        chosen
    }
}

/// What all terms begin with of the words that a phrase of one beginning means; `None` if it is another phrase, or terms are too short for it.
#[cfg(feature = "sqlite")]
pub(super) fn beginning(phrase: &Phrase) -> Option<String> {
    match &*phrase.words {
        [word] if phrase.is_prefix && cut(&word.text).len() == word.text.len() => Some(word.text.clone()),
        _ => None,
    }
}

/// The terms of a phrase that occur in a text at least as often as it does. The last word is none of them if it may be the beginning of others.
#[cfg(feature = "sqlite")]
pub(super) fn as_often(phrase: &Phrase) -> impl Iterator<Item = String> + '_ {
    let whole = phrase.words.len() - usize::from(phrase.is_prefix);
    proposals(phrase.words.get(..whole).unwrap_or_default(), false).map(|proposal| proposal.term)
}

/// The terms of words that stand next to each other, the last of which may be the beginning of one.
fn proposals(words: &[Token], is_prefix: bool) -> impl Iterator<Item = Proposal> + '_ {
    let last = words.len().saturating_sub(1);
    // A word that is shortened has the same beginning as every longer one. A character may have marks behind it.
    let begins =
        move |at: usize, word: &Token| is_prefix && at == last && cut(&word.text).len() == word.text.len();
    let pairs = words.windows(2).enumerate().filter_map(move |(at, pair)| match pair {
        [one, other] if one.is_single && other.is_single => {
            Some(Proposal { term: pair_of(one, other), is_prefix: begins(at + 1, other) })
        }
        _ => None,
    });
    let singles = words
        .iter()
        .enumerate()
        .map(move |(at, word)| Proposal { term: cut(&word.text).to_owned(), is_prefix: begins(at, word) });
    pairs.chain(singles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_words_once_and_the_pairs_of_scripts_without_spaces() {
        let of = |text: &str| terms(text).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(of("One two ONE"), "one two");
        assert_eq!(of("東京都"), "京 京都 東 東京 都");
        assert_eq!(of("東a京"), "a 京 東");
        assert_eq!(of(&"x".repeat(5000)), "x".repeat(LONGEST));
        assert_eq!(of("!?"), "");
    }

    #[test]
    fn a_text_of_too_many_words_is_proposed_for_all() {
        let long = (0..200_000).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(terms(&long), BTreeSet::from([EVERYTHING.to_owned()]));
        // However long, if its words are few.
        assert_eq!(terms(&"again and ".repeat(200_000)).len(), 2);
    }

    #[test]
    fn an_index_is_asked_for_few_terms_of_a_long_query() {
        let long = (0..1000).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(Query::parse(&long).unwrap().proposals().len(), MOST_TERMS);
        let proposed = Query::parse("東京* be*").unwrap().proposals();
        let terms: Vec<_> = proposed.iter().map(|one| (one.term.as_str(), one.is_prefix)).collect();
        assert_eq!(terms, [("東", false), ("東京", true), ("京", true), ("be", true)]);
    }
}
