//! Where in a database what is: the paths of documents.
//!
//! Owns the names of collections, and the way from an object's name to a document's id and back. Asks nothing.

use super::target::FirestoreUrl;

/// The collection with a document's path for each store.
const STORES: &str = "aral_stores";
/// Of a store, the collection of its objects.
pub(super) const OBJECTS: &str = "aral_objects";
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

    /// The name of the object in a document.
    pub(super) fn object_in(&self, document: &str) -> Option<String> {
        let id = document.strip_prefix(&self.store)?.strip_prefix('/')?.strip_prefix(OBJECTS)?;
        decoded(id.strip_prefix('/')?)
    }

    /// From which document on objects are whose names begin with `prefix` and come behind `behind`, and before which; there may be
    /// others among them.
    pub(super) fn range(&self, prefix: &str, behind: &str) -> (String, Option<String>) {
        // What is encoded sorts before what it stands for. Up to the first character between the two, ids sort as names do.
        let keeps_order = |c: char| !('%'..='/').contains(&c);
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

/// A name without a slash.
fn encoded(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

/// The name that was encoded so.
fn decoded(id: &str) -> Option<String> {
    let name = id.replace("%2F", "/").replace("%25", "%");
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
            "projects/p/databases/(default)/documents/aral_stores/a~b/aral_objects/log%2F1.seg"
        );
        for name in
            [".aral-store", "log/0-1.seg", "a%2Fb", "a/b", "%", "%25", "a b", "\u{1f600}/\u{0}", "___"]
        {
            let document = layout.object(name).unwrap();
            assert_eq!(layout.object_in(&document).as_deref(), Some(name));
        }
        for none in ["", ".", "..", "____", "__x__", &"x".repeat(1501), &"/".repeat(501)] {
            assert_eq!(layout.object(none), None, "{none}");
        }
        assert_eq!(layout.object_in(&layout.part("u", 1)), None);
    }

    #[test]
    fn a_range_of_documents_has_every_name_that_is_meant() {
        let layout = layout();
        let names = [
            "a",
            "a%",
            "a&",
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
        assert!(from.ends_with("/log%2F1") && until.unwrap().ends_with("/log%2G"));
    }
}
