//! What a query means.
//!
//! Owns its language: words, phrases in double quotes, beginnings of words with a star behind them, and the filters `role:` and `tool:`.

use super::filters::Filters;
use super::tokens::{Token, tokens};
use crate::error::{Error, Result};

/// Words that must stand next to each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Phrase {
    pub(super) words: Vec<Token>,
    /// Whether the last may be the beginning of a word.
    pub(super) is_prefix: bool,
}

/// A query that has been understood: all its phrases must occur, in a message that is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Query {
    pub(super) phrases: Vec<Phrase>,
    pub(super) filters: Filters,
}

fn malformed(reason: impl AsRef<str>) -> Error {
    let reason = reason.as_ref();
    Error::invalid(format!(
        "{reason}; a query is words, \"phrases in quotes\", beginnings of words with a star, as in begin*, and role:ROLE and tool:NAME"
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
        let mut filters = Filters::default();
        while !rest.is_empty() {
            if let Some((behind, chosen, value)) = filter(rest)? {
                match chosen {
                    Filter::Role => filters.roles.push(value.to_owned()),
                    Filter::Tool => filters.tools.push(value.to_owned()),
                }
                rest = behind.trim_start();
                continue;
            }
            let behind;
            (phrases, behind) = match rest.strip_prefix('"') {
                Some(quoted) => {
                    let Some((inside, behind)) = quoted.split_once('"') else {
                        return Err(malformed("a quote is not closed"));
                    };
                    must_end(inside, behind)?;
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
            return Err(malformed("there is no word to search for"));
        }
        Ok(Self { phrases, filters })
    }
}

/// What a filter is about.
#[derive(Clone, Copy)]
enum Filter {
    Role,
    Tool,
}

/// The filter that a query begins with, and what is behind it. Any other word with a colon in it is a word: `http://x`, `std::fs`.
fn filter(query: &str) -> Result<Option<(&str, Filter, &str)>> {
    let filters = [("role:", Filter::Role), ("tool:", Filter::Tool)];
    let begun =
        filters.into_iter().find_map(|(name, filter)| Some((query.strip_prefix(name)?, name, filter)));
    let Some((rest, name, filter)) = begun else { return Ok(None) };
    let (value, behind) = match rest.strip_prefix('"') {
        Some(quoted) => {
            let Some((inside, behind)) = quoted.split_once('"') else {
                return Err(malformed("a quote is not closed"));
            };
            must_end(inside, behind)?;
            (inside, behind)
        }
        None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
    };
    if value.is_empty() || value.contains(['"', '*']) {
        let reason = format!(
            "no name stands behind {name}, as {value:.40?} is none; what is to be found in texts stands in quotes"
        );
        return Err(malformed(reason));
    }
    Ok(Some((behind, filter, value)))
}

fn must_end(inside: &str, behind: &str) -> Result<()> {
    if behind.chars().next().is_some_and(|c| !c.is_whitespace()) {
        return Err(malformed(format!("no blank follows the phrase {inside:.40?}")));
    }
    Ok(())
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
    fn filters_stand_anywhere_and_no_other_word_with_a_colon_is_one() {
        let query = Query::parse("role:user rain tool:\"read file\" tool:grep").unwrap();
        assert_eq!(query.filters.roles, ["user"]);
        assert_eq!(query.filters.tools, ["read file", "grep"]);
        assert_eq!(shape("role:user rain tool:\"read file\""), [(vec!["rain".to_owned()], false)]);
        let of = |words: &[&str]| (words.iter().map(ToString::to_string).collect::<Vec<_>>(), false);
        for (text, words) in [
            ("http://x", &["http", "x"][..]),
            ("std::fs", &["std", "fs"]),
            ("foo:bar", &["foo", "bar"]),
            ("\"role:user\"", &["role", "user"]),
            ("Role:user", &["role", "user"]),
            ("\"tool: x\"", &["tool", "x"]),
        ] {
            assert_eq!(shape(text), [of(words)]);
            assert_eq!(Query::parse(text).unwrap().filters, Filters::default());
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for query in [
            "role:user",
            "rain role:",
            "role: user",
            "rain tool:\"\"",
            "rain tool:a*",
            "rain role:\"a\"b",
            "rain role:a\"b",
            "rain tool:\"a",
            "",
            " \t",
            "\"",
            "\"open",
            "\"\"",
            "a\"b\"",
            "\"a\"b",
            "*",
            "**",
            "a*b",
            "*a",
            "a**",
            "-",
            "a -",
            "a.*",
            "\0",
        ] {
            assert_eq!(Query::parse(query).unwrap_err().kind(), ErrorKind::InvalidInput, "{query:?}");
        }
    }
}
