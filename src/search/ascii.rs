//! Finding phrases in a text of ASCII.
//!
//! Owns a faster way to what [`hits`](super::matching) finds in such a text, which most are: there a word is a run of letters and digits, so
//! the longest word of a phrase is looked for as bytes, and its neighbours only where it stands.

use std::ops::Range;

use memchr::memmem::Finder;

use super::query::Phrase;

/// How many bytes a text may have that is copied to have small letters alone. Beyond that, memory would grow with it.
const LONGEST: usize = 256 << 10;

/// A text that this can be done with, in small letters.
pub(super) struct Lower(Vec<u8>);

/// What is looked for: a phrase's longest word.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    /// Which of its words that is.
    at: usize,
    finder: Finder<'static>,
}

fn is_of_word(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_alphanumeric)
}

impl Needle {
    pub(super) fn of(phrase: &Phrase) -> Self {
        let longest = phrase.words.iter().enumerate().max_by_key(|(_, word)| word.text.len());
        let (at, word) = longest.map_or((0, ""), |(at, word)| (at, word.text.as_str()));
        Self { at, finder: Finder::new(word).into_owned() }
    }
}

impl Lower {
    /// The text, if it is one of ASCII that is not too long.
    pub(super) fn of(text: &str) -> Option<Self> {
        (text.len() <= LONGEST && text.is_ascii()).then(|| Self(text.as_bytes().to_ascii_lowercase()))
    }

    /// How many words it has.
    pub(super) fn words(&self) -> u64 {
        let begins = |pair: &&[u8]| matches!(pair, [one, next] if !one.is_ascii_alphanumeric() && next.is_ascii_alphanumeric());
        let count = self.0.windows(2).filter(begins).count() + usize::from(is_of_word(&self.0, 0));
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Where a phrase stands, from the first place on.
    pub(super) fn places<'l>(
        &'l self,
        phrase: &'l Phrase,
        needle: &'l Needle,
    ) -> impl Iterator<Item = Range<usize>> + 'l {
        // One that overlaps another begins within a word, where no word begins.
        needle.finder.find_iter(&self.0).filter_map(|at| self.stands(phrase, needle.at, at))
    }

    /// Where the phrase stands whose word of this number begins here; `None` if it does not.
    fn stands(&self, phrase: &Phrase, number: usize, at: usize) -> Option<Range<usize>> {
        let (before, others) = phrase.words.split_at_checked(number)?;
        let mut begin = at;
        if begin > 0 && is_of_word(&self.0, begin - 1) {
            return None;
        }
        for word in before.iter().rev() {
            let gap = self.0.get(..begin)?.iter().rposition(u8::is_ascii_alphanumeric)?;
            let rest = self.0.get(..=gap)?.strip_suffix(word.text.as_bytes())?;
            if rest.last().is_some_and(u8::is_ascii_alphanumeric) {
                return None;
            }
            begin = rest.len();
        }
        let mut end = at;
        for (which, word) in others.iter().enumerate() {
            if which > 0 {
                end += self.0.get(end..)?.iter().position(u8::is_ascii_alphanumeric)?;
            }
            if !self.0.get(end..)?.starts_with(word.text.as_bytes()) {
                return None;
            }
            end += word.text.len();
            if !is_of_word(&self.0, end) {
                continue;
            }
            if !phrase.is_prefix || which + 1 < others.len() {
                return None;
            }
            let rest = self.0.get(end..)?;
            end += rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
        }
        Some(begin..end)
    }
}
