//! Objects as documents: how a large one is taken apart, and put together again.
//!
//! Owns what is in a document. What does not fit into an object's own document is in parts, whose names no other object's have; the
//! document says how many there are, so that whoever sees it sees all or finds out that something is missing. Sends nothing.

use serde_json::{Map, Value};

use super::layout::{Layout, hexadecimal};
use super::values::{self, Condition, Document, delete, update};
use crate::backend::journal::objects::Version;
use crate::clock::random_id;

/// How many bytes of an object one document holds: the limit of 1 MiB is for its name, its fields' names and 32 bytes as well.
pub(super) const DOCUMENT_BYTES: usize = 960 << 10;

/// How many bytes one request writes at most: the limit of 10 MiB is for what they are in JSON, and a request should take seconds.
const COMMIT_BYTES: usize = 4 << 20;

/// What an object is, beside its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) first: Vec<u8>,
    /// How many bytes there are altogether.
    pub(super) size: usize,
    pub(super) parts: usize,
    /// With what the names of the parts begin.
    pub(super) upload: String,
    pub(super) written_at: String,
}

impl Head {
    /// What a document says; `None` if it is none of an object.
    pub(super) fn of(document: Document<'_>) -> Option<Self> {
        let parts = document.number("parts")?;
        let upload = document.text("upload").unwrap_or_default().to_owned();
        let is_whole = (parts == 0) == upload.is_empty();
        let head = Self {
            first: document.bytes("data")?,
            size: document.number("size")?,
            parts,
            upload,
            written_at: document.written_at()?.to_owned(),
        };
        (is_whole && head.parts <= head.size).then_some(head)
    }

    /// What tells it from the object that replaces it, and which parts go with it.
    pub(super) fn version(&self) -> Version {
        Version(format!("{} {} {}", self.written_at, self.parts, self.upload))
    }
}

/// The paths of an object's parts.
pub(super) fn parts(layout: &Layout, upload: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| layout.part(upload, number)).collect()
}

/// What a version says: when the document was written, and its parts.
pub(super) fn of_version<'v>(layout: &Layout, version: &'v Version) -> Option<(&'v str, Vec<String>)> {
    let mut words = version.0.split(' ');
    let (time, count, upload) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    Some((time, parts(layout, upload, count)))
}

/// An object that is to be written.
pub(super) struct Upload {
    /// What names its parts; empty if there are none.
    pub(super) id: String,
    /// The paths of its parts.
    pub(super) parts: Vec<String>,
    /// Requests that have to be carried out before the last one, each by itself.
    pub(super) before: Vec<Vec<Value>>,
    /// The one that makes the object: what is in it takes place as one.
    pub(super) last: Vec<Value>,
}

impl Upload {
    /// How bytes are written under a path on a condition, `replaced` being the paths of parts that go.
    pub(super) fn of(
        layout: &Layout,
        path: &str,
        bytes: &[u8],
        condition: Condition<'_>,
        replaced: &[String],
    ) -> Self {
        let (first, rest) = bytes.split_at(bytes.len().min(DOCUMENT_BYTES));
        let chunks: Vec<&[u8]> = rest.chunks(DOCUMENT_BYTES).collect();
        let id = if chunks.is_empty() { String::new() } else { hexadecimal(&random_id()) };
        let parts = parts(layout, &id, chunks.len());
        let (mut before, mut last, mut size) = (Vec::new(), Vec::new(), first.len());
        for (part, chunk) in parts.iter().zip(&chunks) {
            if size + chunk.len() > COMMIT_BYTES {
                before.push(std::mem::take(&mut last));
                // The document of the object goes with the last of them.
                size = first.len();
            }
            size += chunk.len();
            last.push(update(part, fields([("data", values::bytes(chunk))]), Condition::Absent));
        }
        let mut head = fields([
            ("data", values::bytes(first)),
            ("size", values::number(bytes.len())),
            ("parts", values::number(chunks.len())),
        ]);
        if !id.is_empty() {
            head.insert("upload".to_owned(), values::text(&id));
        }
        last.push(update(path, head, condition));
        last.extend(replaced.iter().map(|part| delete(part, None)));
        Self { id, parts, before, last }
    }
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::target::FirestoreUrl;
    use super::*;

    fn layout() -> Layout {
        Layout::of(&FirestoreUrl::of(b"//p/(default)/a").unwrap())
    }

    #[test]
    fn an_object_is_in_as_few_documents_and_requests_as_the_limits_allow() {
        let layout = layout();
        let path = layout.object("x").unwrap();
        for (size, parts, requests) in [
            (0, 0, 1),
            (DOCUMENT_BYTES, 0, 1),
            (DOCUMENT_BYTES + 1, 1, 1),
            (4 * DOCUMENT_BYTES, 3, 1),
            (5 * DOCUMENT_BYTES, 4, 2),
            (64 << 20, 68, 23),
        ] {
            let bytes: Vec<u8> = (0_u8..251).cycle().take(size).collect();
            let upload = Upload::of(&layout, &path, &bytes, Condition::Absent, &[]);
            assert_eq!((upload.parts.len(), upload.before.len() + 1), (parts, requests), "{size}");
            let all: Vec<&Value> = upload.before.iter().flatten().chain(&upload.last).collect();
            for request in upload.before.iter().chain([&upload.last]) {
                assert!(json!({ "writes": request }).to_string().len() < 10 << 20);
            }
            let data = |write: &&Value| Document(&write["update"]).bytes("data").unwrap();
            let (head, parts) = all.split_last().unwrap();
            let whole: Vec<u8> = data(head).into_iter().chain(parts.iter().flat_map(data)).collect();
            assert!(whole == bytes, "{size}");
        }
    }

    #[test]
    fn a_document_that_is_none_of_an_object_is_told_apart() {
        let document = |fields: Value| json!({ "name": "n", "updateTime": "t", "fields": fields });
        let (data, one) = (values::bytes(b"x"), values::number(1));
        let good = document(json!({ "data": data, "size": one, "parts": values::number(0) }));
        let head = Head::of(Document(&good)).unwrap();
        assert_eq!((head.first, head.size, head.parts), (b"x".to_vec(), 1, 0));
        for bad in [
            json!({}),
            json!({ "data": data, "size": one }),
            json!({ "data": data, "size": one, "parts": one }),
            json!({ "data": data, "size": one, "parts": values::number(0), "upload": values::text("u") }),
            json!({ "data": data, "size": values::text("1"), "parts": values::number(0) }),
            json!({ "data": { "bytesValue": "?" }, "size": one, "parts": values::number(0) }),
            json!({ "data": data, "size": one, "parts": values::number(7), "upload": values::text("u") }),
        ] {
            assert_eq!(Head::of(Document(&document(bad.clone()))), None, "{bad}");
        }
    }
}
