//! What a query means.
//!
//! Owns its language: words, phrases in double quotes, and beginnings of words with a star behind them.

use super::tokens::{Token, tokens};
use crate::error::{Error, Result};

/// Words that must stand next to each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Phrase {
    pub(super) words: Vec<Token>,
    /// Whether the last may be the beginning of a word.
    pub(super) is_prefix: bool,
}

/// A query that has been understood: all its phrases must occur.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Query {
    pub(super) phrases: Vec<Phrase>,
}

fn malformed(reason: impl AsRef<str>) -> Error {
    let reason = reason.as_ref();
    Error::invalid(format!(
        "{reason}; a query is words, \"phrases in quotes\" and beginnings of words with a star, as in begin*"
    ))
}

impl Query {
    /// Understands a query.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is empty or malformed.
    pub(crate) fn parse(query: &str) -> Result<Self> {
        let (mut phrases, mut rest) = (Vec::new(), query.trim_start());
        while !rest.is_empty() {
            let behind;
            (phrases, behind) = match rest.strip_prefix('"') {
                Some(quoted) => {
                    let Some((inside, behind)) = quoted.split_once('"') else {
                        return Err(malformed("a quote is not closed"));
                    };
                    if behind.chars().next().is_some_and(|c| !c.is_whitespace()) {
                        return Err(malformed(format!("no blank follows the phrase {inside:.40?}")));
                    }
                    (with(phrases, inside, false)?, behind)
                }
                None => {
                    let (word, behind) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
                    (with_word(phrases, word)?, behind)
                }
            };
            rest = behind.trim_start();
        }
        if phrases.is_empty() {
            return Err(malformed("there is nothing to search for"));
        }
        Ok(Self { phrases })
    }
}

fn with_word(phrases: Vec<Phrase>, word: &str) -> Result<Vec<Phrase>> {
    if word.contains('"') {
        return Err(malformed(format!("there is a quote within {word:.40?}")));
    }
    let (text, is_prefix) = word.strip_suffix('*').map_or((word, false), |text| (text, true));
    if text.contains('*') || is_prefix && text.is_empty() {
        return Err(malformed(format!("a star stands only at the end of a word, not as in {word:.40?}")));
    }
    // What follows the last word would stand between it and the star.
    if is_prefix && tokens(text).last().is_none_or(|token| token.range.end != text.len()) {
        return Err(malformed(format!("no letter or digit stands before the star of {word:.40?}")));
    }
    with(phrases, text, is_prefix)
}

/// Adds a phrase.
fn with(mut phrases: Vec<Phrase>, text: &str, is_prefix: bool) -> Result<Vec<Phrase>> {
    let words: Vec<Token> = tokens(text).collect();
    if words.is_empty() {
        return Err(malformed(format!("there is no letter and no digit in {text:.40?}")));
    }
    phrases.push(Phrase { words, is_prefix });
    Ok(phrases)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn shape(query: &str) -> Vec<(Vec<String>, bool)> {
        let phrases = Query::parse(query).unwrap().phrases.into_iter();
        phrases.map(|p| (p.words.into_iter().map(|word| word.text).collect(), p.is_prefix)).collect()
    }

    #[test]
    fn words_phrases_and_beginnings_are_told_apart() {
        let of = |words: &[&str], is_prefix| {
            (words.iter().map(ToString::to_string).collect::<Vec<_>>(), is_prefix)
        };
        assert_eq!(shape(" Rain  umbrella "), [of(&["rain"], false), of(&["umbrella"], false)]);
        assert_eq!(shape("\"will it rain\" tom*"), [of(&["will", "it", "rain"], false), of(&["tom"], true)]);
        assert_eq!(shape("example.com"), [of(&["example", "com"], false)]);
        assert_eq!(shape("東京"), [of(&["東", "京"], false)]);
        assert_eq!(shape("\"a*b - c\""), [of(&["a", "b", "c"], false)]);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for query in [
            "", " \t", "\"", "\"open", "\"\"", "a\"b\"", "\"a\"b", "*", "**", "a*b", "*a", "a**", "-", "a -",
            "a.*", "\0",
        ] {
            assert_eq!(Query::parse(query).unwrap_err().kind(), ErrorKind::InvalidInput, "{query:?}");
        }
    }
}
