//! Words.
//!
//! Owns where a word begins and ends, and which words are the same. A word is a run of letters and digits with their marks. A character of a
//! script that puts no spaces between words is a word by itself.

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The version of the rules here. One that is counted up makes every index anew.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
const RULES: i64 = 1;

/// Which rules and tables of characters decide what a word is; greater ones are newer.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn tokenizer() -> i64 {
    let (own, crates) = (char::UNICODE_VERSION.0, unicode_normalization::UNICODE_VERSION.0);
    RULES * 1_000_000 + i64::from(own) * 1000 + i64::from(crates)
}

/// A word of a text, as it is compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Where it stands, in bytes.
    pub(crate) range: Range<usize>,
    /// Whether it is a character of a script without spaces.
    pub(crate) is_single: bool,
}

/// The words of a text, in order.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = Token> + '_ {
    places(text).map(|place| {
        let mut text = place.word.into_owned();
        // Those of ASCII are as they stand, and of the others none is in capitals any more.
        text.make_ascii_lowercase();
        Token { text, range: place.range, is_single: place.is_single }
    })
}

/// A word of a text where it stands.
#[derive(Clone, Debug)]
pub(super) struct Place<'t> {
    /// The word as it is compared, but for capitals if it is of ASCII: there is a word in every few bytes, and each copy costs.
    word: Cow<'t, str>,
    pub(super) range: Range<usize>,
    is_single: bool,
}

impl Place<'_> {
    pub(super) fn is(&self, token: &Token) -> bool {
        self.word.eq_ignore_ascii_case(&token.text)
    }

    pub(super) fn begins_with(&self, token: &Token) -> bool {
        let begin = self.word.as_bytes().get(..token.text.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(token.text.as_bytes()))
    }
}

/// The same words, of which none is copied that need not be.
pub(super) fn places(text: &str) -> Places<'_> {
    Places { text, at: 0 }
}

#[derive(Clone, Debug)]
pub(super) struct Places<'t> {
    text: &'t str,
    at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Single,
    Other,
}

/// Scripts without spaces between words, as ranges of their characters.
const SINGLE: [(u32, u32); 15] = [
    // Thai and Lao.
    (0x0e00, 0x0eff),
    // Myanmar.
    (0x1000, 0x109f),
    // Khmer.
    (0x1780, 0x17ff),
    // Tai Le, New Tai Lue, and the symbols of Khmer.
    (0x1950, 0x19ff),
    // Tai Tham.
    (0x1a20, 0x1aaf),
    // Radicals of Chinese characters.
    (0x2e80, 0x2fdf),
    (0x3005, 0x3007),
    // Hiragana, Katakana, Bopomofo.
    (0x3040, 0x312f),
    (0x31a0, 0x31ff),
    // Chinese characters.
    (0x3400, 0x4dbf),
    (0x4e00, 0x9fff),
    (0xf900, 0xfaff),
    // Katakana of half the width.
    (0xff66, 0xff9f),
    (0x1b000, 0x1b16f),
    (0x20000, 0x3ffff),
];

fn class(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() { Class::Word } else { Class::Other };
    }
    if !c.is_alphanumeric() {
        return Class::Other;
    }
    let c = u32::from(c);
    let is_single = SINGLE.iter().any(|(first, last)| (*first..=*last).contains(&c));
    if is_single { Class::Single } else { Class::Word }
}

fn is_mark(c: char) -> bool {
    !c.is_ascii() && is_combining_mark(c)
}

/// A word as it is compared: one way of writing each character, and small letters.
fn folded(word: &str) -> String {
    let composed =
        word.nfkc().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric() || is_combining_mark(*c));
    // The two small forms of a sigma are one letter.
    composed.map(|c| if c == 'ς' { 'σ' } else { c }).nfc().collect()
}

impl Places<'_> {
    /// Goes past the ASCII characters of which this holds.
    fn skip(&mut self, holds: impl Fn(u8) -> bool) {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at)
            && byte.is_ascii()
            && holds(*byte)
        {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    /// Goes to the end of a word that has begun here.
    fn end(&mut self, class_of_first: Class) {
        loop {
            if class_of_first == Class::Word {
                self.skip(|byte| byte.is_ascii_alphanumeric());
            }
            // What ends a word is mostly one of these, and no character need be put together for it.
            if self.text.as_bytes().get(self.at).is_none_or(u8::is_ascii) {
                return;
            }
            match self.peek() {
                Some(c) if is_mark(c) || class_of_first == Class::Word && class(c) == Class::Word => {
                    self.at += c.len_utf8();
                }
                Some(_) | None => return,
            }
        }
    }
}

impl<'t> Iterator for Places<'t> {
    type Item = Place<'t>;

    fn next(&mut self) -> Option<Place<'t>> {
        loop {
            self.skip(|byte| !byte.is_ascii_alphanumeric());
            let begin = self.at;
            self.skip(|byte| byte.is_ascii_alphanumeric());
            let class = if self.at > begin {
                Class::Word
            } else {
                let c = self.peek()?;
                self.at += c.len_utf8();
                class(c)
            };
            if class == Class::Other {
                continue;
            }
            self.end(class);
            let (range, is_single) = (begin..self.at, class == Class::Single);
            let word = self.text.get(range.clone()).unwrap_or_default();
            let word = if word.is_ascii() { Cow::Borrowed(word) } else { Cow::Owned(folded(word)) };
            if !word.is_empty() {
                return Some(Place { word, range, is_single });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).map(|token| token.text).collect()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_every_language() {
        for (text, expected) in [
            ("Hello, World!", vec!["hello", "world"]),
            ("don't example.com 3.14", vec!["don", "t", "example", "com", "3", "14"]),
            ("", vec![]),
            ("...\0\u{fffd}…", vec![]),
            ("東京都の天気", vec!["東", "京", "都", "の", "天", "気"]),
            ("GPT4と話す", vec!["gpt4", "と", "話", "す"]),
            ("서울에서 만나요", vec!["서울에서", "만나요"]),
            ("Ünïcode ÜNÏCODE", vec!["ünïcode", "ünïcode"]),
            ("ΟΔΟΣ οδος οδοσ", vec!["οδοσ", "οδοσ", "οδοσ"]),
            ("e\u{301}te\u{301} été", vec!["été", "été"]),
            ("Ｆｕｌｌ ﬁne", vec!["full", "fine"]),
            ("हिन्दी", vec!["हिन्दी"]),
            ("a👩‍👩‍👧b", vec!["a", "b"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
        // Marks stay with the character before them.
        assert_eq!(words("น้ำ").len(), 2);
    }

    #[test]
    fn a_word_knows_where_it_stands() {
        let text = "Zwölf 東京!";
        let parts: Vec<&str> = tokens(text).map(|token| text.get(token.range).unwrap()).collect();
        assert_eq!(parts, ["Zwölf", "東", "京"]);
    }

    #[test]
    fn what_is_folded_once_is_folded() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            for token in tokens(c.encode_utf8(&mut [0; 4])) {
                let again = words(&token.text).concat();
                assert!(folded(&token.text) == token.text || again == folded(&token.text), "{c:?}");
                assert!(!token.text.contains(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()), "{c:?}");
            }
        }
    }
}
