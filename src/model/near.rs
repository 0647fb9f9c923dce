//! What somebody may have meant who mistyped a word.
//!
//! Owns the measure: the same word in another spelling, or one letter more, less, other, or two exchanged. It is for
//! hints alone; nothing is ever taken for something else.

/// The one of these words that may have been meant; `None` if it is one of them, or near none.
///
/// ```
/// use aral_store::near_miss;
/// assert_eq!(near_miss("asistant", &["user", "assistant"]), Some("assistant"));
/// assert_eq!(near_miss("createdAt", &["created_at"]), Some("created_at"));
/// assert_eq!(near_miss("user", &["user", "users"]), None);
/// assert_eq!(near_miss("critic", &["user", "assistant"]), None);
/// ```
#[must_use]
pub fn near_miss<'w>(given: &str, words: &[&'w str]) -> Option<&'w str> {
    if words.contains(&given) {
        return None;
    }
    let letters = plain(given);
    words.iter().find(|word| is_near(&letters, &plain(word))).copied()
}

/// A word without what only its spelling has.
fn plain(word: &str) -> Vec<char> {
    // No word that anybody means is longer, and the hint costs no more than a look.
    word.chars().filter(|c| !"_- ".contains(*c)).take(64).flat_map(char::to_lowercase).collect()
}

/// Whether one letter makes one word of the other. Words of one or two letters are near too many others.
fn is_near(a: &[char], b: &[char]) -> bool {
    if a == b {
        return true;
    }
    if a.len().min(b.len()) < 3 {
        return false;
    }
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let behind = |word: &[char], by: usize| word.get(same + by..).unwrap_or_default().to_vec();
    let exchanged = |word: &[char]| {
        let mut rest = behind(word, 0);
        if rest.len() > 1 {
            rest.swap(0, 1);
        }
        rest
    };
    behind(a, 1) == behind(b, 1)
        || behind(a, 1) == behind(b, 0)
        || behind(a, 0) == behind(b, 1)
        || exchanged(a) == behind(b, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_is_near_and_two_are_not() {
        for near in ["contnt", "contents", "cintent", "cnotent", "Content", "con-tent", "ontent", "conten"] {
            assert_eq!(near_miss(near, &["role", "content"]), Some("content"), "{near}");
        }
        for far in ["text", "cntnt", "contentss", "", "c", "tokens", "message_id"] {
            assert_eq!(near_miss(far, &["role", "content"]), None, "{far}");
        }
        assert_eq!(near_miss("i", &["id"]), None);
        assert_eq!(near_miss("messageId", &["id", "message_id"]), Some("message_id"));
    }
}
