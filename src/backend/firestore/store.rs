//! A database as the journal sees it: a place with objects.
//!
//! Owns the five verbs, as requests, and the order in which the documents of a large object are written, read and removed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::client::Client;
use super::documents::{self, Head, Upload};
use super::errors::{CONDITIONS, EXISTS, Failure, NOT_FOUND, garbled};
use super::layout::{Layout, OBJECTS};
use super::values::{Condition, Document, delete};
use crate::backend::journal::objects::{Answer, Found, Objects, Trouble, Version, Written};
use crate::backend::pauses;
use crate::codec::bytes::to_u64;
use crate::error::{Error, ErrorKind};

/// How many parts one request reads.
const PARTS_AT_ONCE: usize = 8;

/// How many names one request lists.
const NAMES_AT_ONCE: usize = 1_000;

/// How often an object is read anew that was replaced while it was read.
const CHASES: u32 = 20;

/// A database.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) client: Client,
    pub(super) layout: Layout,
    pub(super) place: PathBuf,
}

impl Database {
    fn path(&self, name: &str) -> Answer<String> {
        let unusable = || Error::invalid(format!("no document can have the name {name:?}"));
        self.layout.object(name).ok_or_else(|| Trouble::Final(unusable()))
    }

    /// Carries writes out, all of them or none.
    pub(super) fn commit(&self, writes: &[Value]) -> Result<Vec<String>, Failure> {
        let path = format!("{}/documents:commit", self.layout.database);
        let answer = self.client.send(&path, &json!({ "writes": writes }))?;
        let results = answer.get("writeResults").and_then(Value::as_array);
        let results = results.filter(|results| results.len() == writes.len());
        let results = results.ok_or_else(|| garbled("a commit without its results"))?;
        let time =
            |result: &Value| result.get("updateTime").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(results.iter().map(time).collect())
    }

    /// The same of writes with a condition on a document, when each was carried out; `None` if it did not hold.
    pub(super) fn commit_if(&self, writes: &[Value], path: &str) -> Answer<Option<Vec<String>>> {
        match self.commit(writes) {
            Ok(times) => Ok(Some(times)),
            Err(failure) if self.is_refused(&failure, path) => Ok(None),
            Err(failure) => Err(failure.trouble),
        }
    }

    /// Whether a condition on a document did not hold, so that nothing was written.
    fn is_refused(&self, failure: &Failure, path: &str) -> bool {
        CONDITIONS.contains(&failure.code.as_str()) && !is_of_datastore(failure)
            // The document is gone, or the database: a look at the one tells of the other.
            || failure.code == NOT_FOUND && self.read_one(path).is_ok()
    }

    /// Reads a document; `None` if it is not there.
    pub(super) fn read_one(&self, path: &str) -> Answer<Option<Value>> {
        Ok(self.read(&[path.to_owned()])?.into_iter().next().flatten())
    }

    /// The documents of a range in the order of their names, with these fields or all: so many in one request, and so many altogether.
    pub(super) fn query(
        &self,
        range: &Range<'_>,
        fields: Option<&[&str]>,
        at_once: usize,
        most: usize,
    ) -> Answer<Vec<Value>> {
        let bound = |op: &str, path: &str| {
            let field = json!({ "fieldPath": "__name__" });
            json!({ "fieldFilter": { "field": field, "op": op, "value": { "referenceValue": path } } })
        };
        let mut found: Vec<Value> = Vec::new();
        let (mut from, mut is_behind) = (range.from.map(str::to_owned), range.behind);
        loop {
            let op = if is_behind { "GREATER_THAN" } else { "GREATER_THAN_OR_EQUAL" };
            let mut filters: Vec<Value> = from.iter().map(|from| bound(op, from)).collect();
            filters.extend(range.until.map(|until| bound("LESS_THAN", until)));
            let mut query = json!({
                "from": [{ "collectionId": range.collection }],
                "orderBy": [{ "field": { "fieldPath": "__name__" }, "direction": "ASCENDING" }],
                "limit": at_once,
            });
            if let Some(query) = query.as_object_mut() {
                if !filters.is_empty() {
                    let all = json!({ "compositeFilter": { "op": "AND", "filters": filters } });
                    query.insert("where".to_owned(), all);
                }
                if let Some(fields) = fields {
                    let fields: Vec<Value> =
                        fields.iter().map(|field| json!({ "fieldPath": field })).collect();
                    query.insert("select".to_owned(), json!({ "fields": fields }));
                }
            }
            let answer = self
                .client
                .send(&format!("{}:runQuery", range.parent), &json!({ "structuredQuery": query }))?;
            let answers = answer.as_array().ok_or_else(|| garbled("a list that is none"))?;
            // What came before it is no whole list.
            if answers.iter().any(|answer| answer.get("error").is_some()) {
                return Err(Trouble::from(garbled("a list that ends with an error")));
            }
            let before = found.len();
            found.extend(answers.iter().filter_map(|answer| answer.get("document")).cloned());
            let last = found.last().and_then(|document| Document(document).name());
            match last {
                Some(last) if found.len() - before >= at_once && found.len() < most => {
                    (from, is_behind) = (Some(last.to_owned()), true);
                }
                Some(_) | None => return Ok(found),
            }
        }
    }

    /// Reads documents; `None` for one that is not there.
    fn read(&self, paths: &[String]) -> Answer<Vec<Option<Value>>> {
        let path = format!("{}/documents:batchGet", self.layout.database);
        let answer = self.client.send(&path, &json!({ "documents": paths }))?;
        // They come in any order.
        let answers = answer.as_array().map_or(&[][..], Vec::as_slice);
        let find = |path: &String| {
            for answer in answers {
                if answer.get("missing").and_then(Value::as_str) == Some(path) {
                    return Ok(None);
                }
                let found = answer.get("found").filter(|found| Document(found).name() == Some(path));
                if let Some(found) = found {
                    return Ok(Some(found.clone()));
                }
            }
            Err(Trouble::from(garbled("a document was asked for, and nothing is said of it")))
        };
        paths.iter().map(find).collect()
    }

    /// What an object's document says; `None` if there is none.
    fn head(&self, path: &str) -> Answer<Option<Head>> {
        let found = self.read_one(path)?;
        let altered = || Trouble::Final(self.corrupt(path, "it was altered"));
        found.map(|document| Head::of(Document(&document)).ok_or_else(altered)).transpose()
    }

    fn corrupt(&self, path: &str, what: &str) -> Error {
        let name = self.layout.object_in(path).unwrap_or_default();
        let reason = format!(
            "the document {OBJECTS}/… of {name:?} is not what was written: {what}; restore it from a backup of the database"
        );
        Error::new(ErrorKind::Corrupt, reason)
    }

    /// The bytes of an object behind those in its document; `None` if parts are missing.
    fn rest(&self, head: &Head) -> Answer<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        for paths in documents::parts(&self.layout, &head.upload, head.parts).chunks(PARTS_AT_ONCE) {
            for part in self.read(paths)? {
                let Some(data) = part.and_then(|part| Document(&part).bytes("data")) else { return Ok(None) };
                bytes.extend(data);
            }
        }
        Ok(Some(bytes))
    }

    /// Writes an object on a condition. `replaced` are the paths of parts that go with what it replaces.
    fn put(
        &self,
        path: &str,
        bytes: &[u8],
        condition: Condition<'_>,
        replaced: &[String],
    ) -> Answer<Written> {
        let upload = Upload::of(&self.layout, path, bytes, condition, replaced);
        for writes in &upload.before {
            if let Err(failure) = self.commit(writes) {
                // No other's parts have these names: they are there by the same request, which was carried out twice on its way.
                if failure.code == EXISTS {
                    continue;
                }
                // Nothing refers to the parts yet, so whatever became of them, the object was not written.
                self.clean(&upload.parts);
                return Err(match failure.trouble {
                    Trouble::Open(error) | Trouble::Busy(error) => Trouble::Busy(error),
                    Trouble::Final(error) => Trouble::Final(error),
                });
            }
        }
        let Err(failure) = self.commit(&upload.last) else { return Ok(Written::Done) };
        if !self.is_refused(&failure, path) {
            if !matches!(failure.trouble, Trouble::Open(_)) {
                self.clean(&upload.parts);
            }
            return Err(failure.trouble);
        }
        // Order: look before removing. A request that was carried out twice on its way is refused the second time.
        if !upload.parts.is_empty()
            && self.head(path).is_ok_and(|head| head.is_none_or(|head| head.upload != upload.id))
        {
            self.clean(&upload.parts);
        }
        Ok(Written::Refused)
    }

    /// Removes parts that nothing refers to. What stays because this fails costs its storage and is never read.
    fn clean(&self, parts: &[String]) {
        if !parts.is_empty() {
            let writes: Vec<Value> = parts.iter().map(|part| delete(part, None)).collect();
            self.commit(&writes).ok();
        }
    }
}

/// Documents of a collection by their names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range<'r> {
    /// The document that the collection is of.
    pub(super) parent: &'r str,
    pub(super) collection: &'r str,
    /// The path from which on they are, if it is not the first.
    pub(super) from: Option<&'r str>,
    /// The path before which they are.
    pub(super) until: Option<&'r str>,
    /// Whether the one at this path is not among them.
    pub(super) behind: bool,
}

fn is_of_datastore(failure: &Failure) -> bool {
    matches!(&failure.trouble, Trouble::Final(error) if error.message().contains("Datastore mode"))
}

impl Database {
    /// The names of objects, with one field of each, and how many bytes they have if that is it.
    fn listed(&self, prefix: &str, behind: &str, field: &str) -> Answer<Vec<(String, u64)>> {
        let (from, until) = self.layout.range(prefix, behind);
        let range = Range {
            parent: &self.layout.store,
            collection: OBJECTS,
            from: Some(&from),
            until: until.as_deref(),
            behind: false,
        };
        let found = self.query(&range, Some(&[field]), NAMES_AT_ONCE, usize::MAX)?;
        let sized = found.iter().map(Document).filter_map(|document| {
            let name = self.layout.object_in(document.name()?)?;
            Some((name, document.number("size").map_or(0, to_u64)))
        });
        let mut names: Vec<(String, u64)> = sized.collect();
        names.retain(|(name, _)| name.starts_with(prefix) && name.as_str() > behind);
        names.sort_unstable();
        Ok(names)
    }
}

impl Objects for Database {
    fn create(&self, name: &str, bytes: &[u8]) -> Answer<Written> {
        self.put(&self.path(name)?, bytes, Condition::Absent, &[])
    }

    fn replace(&self, name: &str, bytes: &[u8], read: &Version) -> Answer<Written> {
        let unread = || Trouble::Final(Error::new(ErrorKind::Failed, "a version is of another engine"));
        let (time, parts) = documents::of_version(&self.layout, read).ok_or_else(unread)?;
        self.put(&self.path(name)?, bytes, Condition::WrittenAt(time), &parts)
    }

    fn get(&self, name: &str) -> Answer<Option<Found>> {
        let path = self.path(name)?;
        let mut before = None;
        for _ in 0..CHASES {
            let Some(mut head) = self.head(&path)? else { return Ok(None) };
            if before.as_ref() == Some(&head) {
                return Err(Trouble::Final(self.corrupt(&path, "a part of it is missing")));
            }
            let rest = if head.parts == 0 { Some(Vec::new()) } else { self.rest(&head)? };
            let Some(rest) = rest else {
                // Whoever replaced or removed it meanwhile removed its parts.
                before = Some(head);
                continue;
            };
            let version = head.version();
            let mut bytes = std::mem::take(&mut head.first);
            bytes.extend(rest);
            if bytes.len() != head.size {
                return Err(Trouble::Final(self.corrupt(&path, "its parts do not have its length")));
            }
            return Ok(Some(Found { bytes, version }));
        }
        Err(Trouble::Busy(Error::new(ErrorKind::Io, "the object is replaced faster than it can be read")))
    }

    fn list(&self, prefix: &str, behind: &str) -> Answer<Vec<String>> {
        Ok(self.listed(prefix, behind, "__name__")?.into_iter().map(|(name, _)| name).collect())
    }

    fn list_sized(&self, prefix: &str) -> Answer<Vec<(String, u64)>> {
        self.listed(prefix, "", "size")
    }

    fn delete(&self, name: &str) -> Answer<()> {
        let path = self.path(name)?;
        for _ in 0..CHASES {
            let Some(head) = self.head(&path)? else { return Ok(()) };
            let mut writes = vec![delete(&path, Some(Condition::WrittenAt(&head.written_at)))];
            let parts = documents::parts(&self.layout, &head.upload, head.parts);
            writes.extend(parts.iter().map(|part| delete(part, None)));
            match self.commit(&writes) {
                Ok(_) => return Ok(()),
                // It was replaced or removed meanwhile.
                Err(failure) if failure.code == NOT_FOUND || CONDITIONS.contains(&failure.code.as_str()) => {}
                Err(failure) => return Err(failure.trouble),
            }
        }
        Err(Trouble::Busy(Error::new(ErrorKind::Io, "the object is replaced faster than it can be removed")))
    }

    fn pause(&self, tries: u32) -> bool {
        pauses::pause(tries)
    }

    fn place(&self) -> &Path {
        &self.place
    }
}
