//! Texts that were several, as one.
//!
//! Owns how long a text is: in units of UTF-16, of which a lone surrogate, a pair of them and every other character
//! have the same number however they are written in JSON.

use aral_store::Text;
use serde_json::Value;

/// How long the text of a JSON string is.
pub(super) fn length(raw: &str) -> usize {
    let mut inside = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default().chars();
    let mut length = 0;
    while let Some(c) = inside.next() {
        if c == '\\' {
            if inside.next() == Some('u') {
                inside.nth(3);
            }
            length += 1;
        } else {
            length += c.len_utf16();
        }
    }
    length
}

/// The pieces of a text that have these lengths, with a line break between every two, as JSON strings; none if it is
/// not made of such pieces.
pub(super) fn pieces(text: &Text, lengths: &[usize]) -> Option<Vec<String>> {
    let mut points = text.code_points();
    let mut pieces = Vec::new();
    for (nth, length) in lengths.iter().enumerate() {
        if nth > 0 && points.next() != Some(u32::from('\n')) {
            return None;
        }
        let (mut piece, mut left) = (Vec::new(), *length);
        while left > 0 {
            let point = points.next()?;
            left = left.checked_sub(if point > 0xffff { 2 } else { 1 })?;
            piece.push(point);
        }
        pieces.push(quoted(piece.into_iter()));
    }
    points.next().is_none().then_some(pieces)
}

/// A JSON string; a lone surrogate in it is escaped, as Python does it.
pub(super) fn string(text: &Text) -> String {
    text.as_str().map_or_else(|| quoted(text.code_points()), |text| Value::from(text).to_string())
}

fn quoted(points: impl Iterator<Item = u32>) -> String {
    let mut out = String::from("\"");
    for point in points {
        match char::from_u32(point) {
            Some(c) => {
                let quoted = Value::from(c.to_string()).to_string();
                out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
            }
            None => out.extend([format!("\\u{point:04x}")]),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_with_a_lone_surrogate_keeps_everything() {
        let text = Text::from_wtf8(b"a\"\n\xed\xa0\x80\xc3\xa9".to_vec()).unwrap();
        assert_eq!(string(&text), r#""a\"\n\ud800é""#);
        assert_eq!(string(&Text::from("a\"\n")), r#""a\"\n""#);
    }

    #[test]
    fn a_text_is_as_long_however_it_is_written() {
        for (raw, long) in
            [(r#""""#, 0), (r#""a\"\n\\é""#, 5), (r#""\ud83d\ude00""#, 2), ("\"😀\"", 2), (r#""\ud83d""#, 1)]
        {
            assert_eq!(length(raw), long, "{raw}");
        }
    }

    #[test]
    fn a_text_falls_into_the_pieces_that_it_was_made_of_and_no_others() {
        let text = Text::from("one\n\n😀\nx");
        let found = pieces(&text, &[3, 0, 2, 1]).unwrap();
        assert_eq!(found, [r#""one""#, r#""""#, "\"😀\"", r#""x""#]);
        for lengths in [&[3, 0, 2][..], &[3, 0, 1, 1], &[3, 0, 2, 2], &[2, 0, 2, 1], &[]] {
            assert_eq!(pieces(&text, lengths), None, "{lengths:?}");
        }
        assert_eq!(pieces(&Text::from(""), &[]).unwrap(), [""; 0]);
    }
}
