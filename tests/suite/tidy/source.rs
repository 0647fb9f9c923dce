//! Rust source as text: what of it is code, what is comment, what is a string.
//!
//! Owns a lexer just good enough for formatted code. Every blanked character becomes a space, so that lines
//! and columns stay what they were. Knows no rules.

use std::iter::Peekable;
use std::str::Chars;

/// What to leave of the comments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Comments {
    Kept,
    Blanked,
}

/// The text with the insides of its strings and characters blanked, and its comments if so wanted.
pub(super) fn blanked(text: &str, comments: Comments) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('/', Some('/')) => {
                out.push(shown(c, comments));
                while let Some(c) = rest.next_if(|c| *c != '\n') {
                    out.push(shown(c, comments));
                }
            }
            ('/', Some('*')) => {
                out.push(shown(c, comments));
                block_comment(&mut rest, &mut out, comments);
            }
            ('"', _) => {
                out.push('"');
                string(&mut rest, &mut out);
            }
            ('r', Some('"' | '#')) if !is_word(before) || before == 'b' => {
                out.push('r');
                raw_string(&mut rest, &mut out);
            }
            ('\'', Some(_)) => {
                out.push('\'');
                character(&mut rest, &mut out);
            }
            _ => out.push(c),
        }
        before = c;
    }
    out
}

fn shown(c: char, comments: Comments) -> char {
    if comments == Comments::Kept || c == '\n' { c } else { ' ' }
}

fn blank(c: char) -> char {
    if c == '\n' { c } else { ' ' }
}

fn block_comment(rest: &mut Peekable<Chars<'_>>, out: &mut String, comments: Comments) {
    let mut depth = 0_u32;
    let mut before = '/';
    for c in rest.by_ref() {
        out.push(shown(c, comments));
        match (before, c) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
        // A character that ended one mark does not begin the next.
        before = if matches!((before, c), ('/', '*') | ('*', '/')) { ' ' } else { c };
    }
}

fn string(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                out.push('"');
                return;
            }
            '\\' => {
                out.push(' ');
                out.extend(rest.next().map(blank));
            }
            _ => out.push(blank(c)),
        }
    }
}

fn raw_string(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut hashes = 0;
    while rest.next_if_eq(&'#').is_some() {
        out.push('#');
        hashes += 1;
    }
    // Without a quote it was a raw identifier.
    if rest.next_if_eq(&'"').is_none() {
        return;
    }
    out.push('"');
    while let Some(c) = rest.next() {
        out.push(blank(c));
        if c == '"' {
            let mut found = 0;
            while found < hashes && rest.next_if_eq(&'#').is_some() {
                out.push('#');
                found += 1;
            }
            if found == hashes {
                return;
            }
        }
    }
}

/// A character, or the quote of a lifetime, which has no end.
fn character(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut ahead = rest.clone();
    let first = ahead.next();
    if first != Some('\\') && ahead.next() != Some('\'') {
        return;
    }
    if first == Some('\\') {
        out.extend(rest.next().map(blank));
    }
    out.extend(rest.next().map(blank));
    while let Some(c) = rest.next_if(|c| *c != '\'') {
        out.push(blank(c));
    }
    out.extend(rest.next());
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The lines, counted from 1, that have this word as a word of its own.
pub(super) fn lines_with_word(text: &str, word: &str) -> Vec<usize> {
    let has = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + word.len()..]);
            !before.chars().next_back().is_some_and(is_word) && !after.chars().next().is_some_and(is_word)
        })
    };
    (1..).zip(text.lines()).filter(|(_, line)| has(line)).map(|(number, _)| number).collect()
}

#[test]
fn strings_and_comments_are_blanked_and_nothing_else() {
    let text =
        "let a = \"x\\\"y\"; // c\nlet b = 'q'; let c: &'a str = r#\"z\"z\"#; /* d /* e */ f */ g('\\'')";
    let code = "let a = \"    \";     \nlet b = ' '; let c: &'a str = r#\"    #;                   g('  ')";
    let found = blanked(text, Comments::Blanked);
    assert_eq!(found.replace('"', " "), code.replace('"', " "));
    assert_eq!(found.len(), text.len());
    assert!(blanked(text, Comments::Kept).contains("// c") && !blanked(text, Comments::Kept).contains('x'));
    assert_eq!(lines_with_word("one two\ntwo_\n(two)", "two"), [1, 3]);
}
