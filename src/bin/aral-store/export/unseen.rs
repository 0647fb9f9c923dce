//! Characters that a reader does not see, though they change what is seen.
//!
//! Owns which ones these are: controls, the marks that turn the direction of writing, and the invisible letters
//! of the tag block, in which a text can be hidden. Marks that scripts and emoji need are not among them.

/// Whether the character is to be shown by its number.
pub(super) fn is_unseen(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => c.is_control(),
    }
}

/// The text with all of these escaped, line breaks and tabs kept.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unseen(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
