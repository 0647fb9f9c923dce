//! File names for conversations.
//!
//! Owns which ids are safe as file names everywhere, and the names of all others. Knows no directory: it is
//! told which names are taken.

use std::collections::HashSet;
use std::fmt::Write as _;

/// What a conversation's file name ends in.
pub(crate) const ENDING: &str = ".json";

/// The most characters of an id that is its own file name.
const MAX_CHARS: usize = 120;
/// The most bytes of a name, so that name and ending fit where names have 255 bytes.
const MAX_BYTES: usize = 240;
/// With what every name that is not an id begins; no safe id does.
const ESCAPE: char = '%';

/// Names that Windows keeps for devices, whatever their ending.
const DEVICES: [&str; 7] = ["con", "prn", "aux", "nul", "clock$", "conin$", "conout$"];

/// Whether an id can be a file's name on every system.
fn is_safe(id: &str) -> bool {
    let mut chars = id.chars();
    let first_is_safe = chars.next().is_some_and(|c| is_safe_char(c) && c != '.' && c != ' ');
    let is_short = id.chars().count() <= MAX_CHARS && id.len() <= MAX_BYTES;
    first_is_safe && chars.all(is_safe_char) && is_short && !id.ends_with(['.', ' ']) && !is_device(id)
}

fn is_safe_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._@ ,;=~+-".contains(c) || (!c.is_ascii() && c.is_alphabetic())
}

fn is_device(id: &str) -> bool {
    let stem = id.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = ["com", "lpt"].iter().any(|port| {
        let number = stem.strip_prefix(port).unwrap_or_default();
        number.chars().count() == 1 && number.chars().all(char::is_numeric)
    });
    numbered || DEVICES.contains(&&*stem)
}

/// By which names are compared: two that differ in case only are one on many file systems.
pub(crate) fn fold(file_name: &str) -> String {
    file_name.to_lowercase()
}

/// The stem of a file's name, which `message_store.json` lists.
pub(crate) fn stem(file_name: &str) -> &str {
    file_name.strip_suffix(ENDING).unwrap_or(file_name)
}

/// A file name for a conversation that has none, folded like none of the taken ones.
pub(crate) fn choose(id: &str, taken: &HashSet<String>) -> String {
    let is_free = |name: &String| !taken.contains(&fold(name));
    let own = is_safe(id).then(|| format!("{id}{ENDING}")).filter(is_free);
    let mut numbered = (2_u64..).map(|n| format!("{}%~{n}{ENDING}", escape(id)));
    own.or_else(|| Some(format!("{}{ENDING}", escape(id))).filter(is_free))
        .or_else(|| numbered.find(is_free))
        .unwrap_or_default()
}

/// The id with everything but lower-case letters, digits, `_` and `-` as `%xx`; a long one is cut and ends
/// in a checksum of the whole.
fn escape(id: &str) -> String {
    let mut name = String::from(ESCAPE);
    for byte in id.bytes() {
        if name.len() + 3 > 100 {
            let forward = crc32fast::hash(id.as_bytes());
            let salted = crc32fast::hash(format!("{id}\0{}", id.len()).as_bytes());
            // Writing to a string cannot fail.
            write!(name, "%~{forward:08x}{salted:08x}").unwrap_or_default();
            break;
        }
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            _ => write!(name, "%{byte:02x}").unwrap_or_default(),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_safe_everywhere_is_its_own_name() {
        let longest = "x".repeat(120);
        for id in [
            "c1",
            "conv 1",
            "conv.2",
            "会话",
            "user@example.com",
            "2024-01-01",
            "~tilde",
            "a,b;c=d",
            &longest,
        ] {
            assert_eq!(choose(id, &HashSet::new()), format!("{id}.json"));
        }
    }

    #[test]
    fn every_other_id_gets_a_name_that_stays_in_its_directory() {
        let long = "x".repeat(300);
        let ids = [
            "../x",
            "/etc/x",
            "a/b",
            "a\\b",
            "",
            ".",
            "..",
            ".hidden",
            "nul",
            "CON",
            "com1.txt",
            "a\0b",
            "dot.",
            "space ",
            " space",
            "a:b",
            "a*b",
            "%41",
            "e\u{301}",
            "\u{202e}x",
            "x\ny",
            "😀",
            &long,
        ];
        let mut taken = HashSet::new();
        for id in ids {
            let name = choose(id, &taken);
            assert!(name.starts_with('%') && name.ends_with(".json") && name.len() <= 200, "{id:?}: {name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_graphic() && !b"/\\:*?\"<>|".contains(&b)),
                "{id:?}: {name}"
            );
            assert!(taken.insert(fold(&name)), "{id:?}: {name} is taken");
        }
    }

    #[test]
    fn ids_that_differ_in_case_only_get_names_that_differ_in_more() {
        let mut taken = HashSet::new();
        for id in ["Abc", "abc", "ABC", "aBC"] {
            let name = choose(id, &taken);
            assert!(taken.insert(fold(&name)), "{name}");
        }
        assert!(taken.contains("abc.json"));
    }

    #[test]
    fn a_name_that_is_taken_by_chance_is_numbered() {
        let taken = HashSet::from(["%%2f.json".to_owned()]);
        assert_eq!(choose("/", &taken), "%%2f%~2.json");
    }
}
