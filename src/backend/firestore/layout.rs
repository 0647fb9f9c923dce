//! Where in a database what is: the paths of documents.
//!
//! Owns the names of collections, and the way from an object's name to a document's id and back. Asks nothing.

use super::target::FirestoreUrl;

/// The collection with a document's path for each store.
const STORES: &str = "aral_stores";
/// Of a store, the collection of its objects.
pub(super) const OBJECTS: &str = "aral_objects";
/// Of a store, the collection of its conversations, for queries.
pub(super) const CONVERSATIONS: &str = "aral_conversations";
/// Of a store, the collection of what did not fit into their documents.
pub(super) const PARTS: &str = "aral_parts";

/// How many bytes a document's id has at most; see docs/firestore.md.
const LONGEST_ID: usize = 1_500;

/// Where a store's documents are.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The database, as requests name it.
    pub(super) database: String,
    /// The path below which the store's collections are. A prefix has no tilde in it.
    pub(super) store: String,
}

impl Layout {
    pub(super) fn of(target: &FirestoreUrl) -> Self {
        let database = format!("projects/{}/databases/{}", target.project, target.database);
        let store = format!("{database}/documents/{STORES}/{}", target.prefix.replace('/', "~"));
        Self { database, store }
    }

    /// The document of an object; `None` if no document can have its name.
    pub(super) fn object(&self, name: &str) -> Option<String> {
        Some(format!("{}/{OBJECTS}/{}", self.store, id(name)?))
    }

    /// The document of a part.
    pub(super) fn part(&self, upload: &str, number: usize) -> String {
        format!("{}/{PARTS}/{upload}-{number:06}", self.store)
    }

    /// The document of a conversation.
    pub(super) fn conversation(&self, id: &str) -> String {
        format!("{}/{CONVERSATIONS}/{}", self.store, any_id(id))
    }

    /// The name of the object in a document.
    pub(super) fn object_in(&self, document: &str) -> Option<String> {
        let id = document.strip_prefix(&self.store)?.strip_prefix('/')?.strip_prefix(OBJECTS)?;
        decoded(id.strip_prefix('/')?)
    }

    /// From which document on objects are whose names begin with `prefix` and come behind `behind`, and before which; there may be
    /// others among them.
    pub(super) fn range(&self, prefix: &str, behind: &str) -> (String, Option<String>) {
        // What is encoded sorts behind what it stands for. Up to the first character that is, ids sort as names do.
        let keeps_order = |c: char| !ENCODED.contains(&c);
        let sorted = match behind.strip_prefix(prefix) {
            Some(rest) => {
                let end = rest.find(|c| !keeps_order(c)).unwrap_or(rest.len());
                behind.get(..prefix.len() + end).unwrap_or(prefix)
            }
            None => prefix,
        };
        let document = |id: &str| format!("{}/{OBJECTS}/{id}", self.store);
        (document(&encoded(sorted)), successor(&encoded(prefix)).map(|end| document(&end)))
    }
}

/// The first text that comes behind all that begin with this; `None` if there is none.
fn successor(text: &str) -> Option<String> {
    let mut chars: Vec<char> = text.chars().collect();
    while let Some(last) = chars.pop() {
        // There are no characters where UTF-16 has its halves.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            _ => u32::from(last).checked_add(1).and_then(char::from_u32),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// The id of the document of an object; `None` if none can be.
fn id(name: &str) -> Option<String> {
    let id = encoded(name);
    let is_reserved =
        matches!(&*id, "" | "." | "..") || id.len() >= 4 && id.starts_with("__") && id.ends_with("__");
    (!is_reserved && id.len() <= LONGEST_ID).then_some(id)
}

/// The id of a document for any text. What an id must not be has its first character encoded; of what is too long there is a checksum, which
/// nobody can make two texts for.
fn any_id(text: &str) -> String {
    if let Some(id) = id(text) {
        return id;
    }
    match text.split_at_checked(1) {
        Some((".", rest)) if text.len() <= 2 => format!("~2E{}", encoded(rest)),
        Some(("_", rest)) if encoded(text).len() + 2 <= LONGEST_ID => format!("~5F{}", encoded(rest)),
        Some(_) | None => {
            let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
            format!("~-{}", hexadecimal(digest.as_ref()))
        }
    }
}

/// Bytes in digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Nothing can go wrong in memory.
        write!(out, "{byte:02x}").ok();
        out
    })
}

/// What does not stand in an id as it is: a slash parts ids, and a percent sign would have to be encoded in the address of a request in
/// a way that not everything on the way reads alike.
const ENCODED: [char; 3] = ['~', '%', '/'];

/// A name without these.
fn encoded(name: &str) -> String {
    name.replace('~', "~7E").replace('%', "~25").replace('/', "~2F")
}

/// The name that was encoded so.
fn decoded(id: &str) -> Option<String> {
    let name = id.replace("~2F", "/").replace("~25", "%").replace("~7E", "~");
    (encoded(&name) == id).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::of(&FirestoreUrl::of(b"//p/(default)/a/b").unwrap())
    }

    #[test]
    fn a_name_leads_to_one_document_and_back() {
        let layout = layout();
        assert_eq!(
            layout.object("log/1.seg").unwrap(),
            "projects/p/databases/(default)/documents/aral_stores/a~b/aral_objects/log~2F1.seg"
        );
        for name in [
            ".aral-store",
            "log/0-1.seg",
            "a%2Fb",
            "a/b",
            "%",
            "~",
            "~7E",
            "a~2Fb",
            "a b",
            "\u{1f600}/\u{0}",
            "___",
        ] {
            let document = layout.object(name).unwrap();
            assert_eq!(layout.object_in(&document).as_deref(), Some(name));
        }
        for none in ["", ".", "..", "____", "__x__", &"x".repeat(1501), &"/".repeat(501)] {
            assert_eq!(layout.object(none), None, "{none}");
        }
        assert_eq!(layout.object_in(&layout.part("u", 1)), None);
    }

    #[test]
    fn every_conversation_has_a_document_and_no_two_the_same() {
        let layout = layout();
        let long = "/".repeat(1000);
        let ids = [
            "c",
            "C",
            "c ",
            "a/b",
            "a%2Fb",
            ".",
            "..",
            "~2E",
            "%2E",
            "__x__",
            "~5F_x__",
            "____",
            &long,
            &"/".repeat(999),
        ];
        let documents: std::collections::BTreeSet<String> =
            ids.iter().map(|id| layout.conversation(id)).collect();
        assert_eq!(documents.len(), ids.len());
        assert!(documents.iter().all(|document| document.len() < 1_800));
    }

    #[test]
    fn a_range_of_documents_has_every_name_that_is_meant() {
        let layout = layout();
        let names = [
            "a",
            "a%",
            "a&",
            "a~",
            "a~b",
            "a}",
            "a\u{7f}",
            "a-b",
            "a-b/c",
            "a.",
            "a/",
            "a/b",
            "a/b-c",
            "a/b/c",
            "a0",
            "ab",
            "b",
            "log/0-1",
            "log/1-1",
            "log/1-2",
            "log/2-1",
            "log0",
            "\u{d7ff}",
            "\u{d7ff}a",
            "\u{e000}",
            "\u{10ffff}",
        ];
        for prefix in ["", "a", "a-", "a/", "log/", "log/1-", "\u{d7ff}", "\u{10ffff}"] {
            for behind in names.iter().copied().chain([""]) {
                let (from, until) = layout.range(prefix, behind);
                for name in names.iter().filter(|name| name.starts_with(prefix) && **name > behind) {
                    let document = layout.object(name).unwrap();
                    assert!(document >= from, "{prefix:?} behind {behind:?}: {name:?}");
                    assert!(until.as_ref().is_none_or(|until| document < *until), "{prefix:?}: {name:?}");
                }
            }
        }
        let (from, until) = layout.range("log/", "log/1-1");
        assert!(from.ends_with("/log~2F1-1") && until.unwrap().ends_with("/log~2G"));
    }
}
