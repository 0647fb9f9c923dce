//! A database as the journal sees it: each object a document.
//!
//! Owns the five verbs, and how an object that is larger than a document is kept. Its parts come first, under a name that only this
//! attempt has, and the document that names them last, so that nobody sees half of it.

use std::path::Path;
use std::sync::Arc;

use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::error::{Error as Cause, ErrorKind as CauseKind, WriteFailure};
use mongodb::options::ReturnDocument;

use super::errors::{DUPLICATE, trouble};
use super::link::Link;
use crate::backend::journal::objects::{Answer, Found, Objects, Trouble, Version, Written};
use crate::clock::random_id;
use crate::error::{Error, ErrorKind};

/// How many bytes of an object one document holds at most.
const PART: usize = 8 << 20;

/// How often an object is read anew whose parts were replaced while it was read.
const CHASES: u32 = 10;

/// The collection of objects, and that of the parts of large ones.
const OBJECTS: &str = "objects";
const PARTS: &str = "parts";

/// Objects in a database.
#[derive(Debug)]
pub(super) struct DatabaseObjects {
    link: Arc<Link>,
}

fn not_whole(name: &str) -> Trouble {
    let reason = format!("the object {name:?} is not whole; put back what is missing of it");
    Trouble::Final(Error::new(ErrorKind::Corrupt, reason))
}

/// What no other attempt has.
pub(super) fn token() -> String {
    hex(random_id())
}

/// An id in hexadecimal digits.
pub(super) fn hex(id: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(id))
}

fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

/// What a document says of an object.
struct Head {
    version: String,
    /// How many parts it has; none if all of it is here.
    parts: usize,
    len: usize,
    bytes: Vec<u8>,
}

impl Head {
    fn of(document: &Document) -> Option<Self> {
        Some(Self {
            version: document.get_str("version").ok()?.to_owned(),
            parts: usize::try_from(document.get_i64("parts").ok()?).ok()?,
            len: usize::try_from(document.get_i64("len").ok()?).ok()?,
            bytes: document.get_binary_generic("bytes").cloned().unwrap_or_default(),
        })
    }
}

fn number(n: usize) -> Bson {
    Bson::Int64(i64::try_from(n).unwrap_or(i64::MAX))
}

impl DatabaseObjects {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    fn objects(&self) -> Collection<Document> {
        self.link.collection(OBJECTS)
    }

    /// Writes the parts of a large object, and gives the document that names them.
    fn staged(&self, name: &str, bytes: &[u8]) -> Answer<(Document, String)> {
        let version = token();
        let mut head = doc! { "_id": name, "version": &version, "len": number(bytes.len()) };
        if bytes.len() <= PART {
            head.insert("parts", 0_i64);
            head.insert("bytes", binary(bytes));
            return Ok((head, version));
        }
        let parts = self.link.collection(PARTS);
        for (n, part) in bytes.chunks(PART).enumerate() {
            let part = doc! { "_id": { "of": &version, "n": number(n) }, "bytes": binary(part) };
            match self.link.ask(async { parts.insert_one(part).await })? {
                // Only this attempt has the name, and the driver sends a request twice where connections break.
                Err(cause) if is_duplicate(&cause) => {}
                outcome => drop(outcome.map_err(|cause| trouble(&cause))?),
            }
        }
        head.insert("parts", number(bytes.chunks(PART).len()));
        Ok((head, version))
    }

    /// Removes the parts of an object that is not there any more, or never was. What stays takes up space, and nothing else.
    fn drop_parts(&self, version: &str) {
        let parts = self.link.collection(PARTS);
        let own = of(version);
        self.link.ask(async { parts.delete_many(own).await }).ok();
    }

    fn read(&self, name: &str) -> Answer<Option<Head>> {
        let (objects, link) = (self.objects(), &self.link);
        let found = link.get(async {
            let concern = link.fresh();
            objects.find_one(doc! { "_id": name }).read_concern(concern).max_time(Link::patience()).await
        })?;
        let strange = || {
            let reason = format!("the document {name:?} is not what a store wrote; put it back");
            Trouble::Final(Error::new(ErrorKind::Corrupt, reason))
        };
        found.map(|document| Head::of(&document).ok_or_else(strange)).transpose()
    }

    /// The parts in their order; `None` if they are not all there.
    fn parts(&self, head: &Head) -> Answer<Option<Vec<u8>>> {
        let parts = self.link.collection(PARTS);
        let link = &self.link;
        let found: Vec<Document> = link.get(async {
            let cursor = parts.find(of(&head.version)).sort(doc! { "_id": 1 }).batch_size(1);
            cursor.read_concern(link.confirmed()).await?.try_collect().await
        })?;
        let mut bytes = Vec::with_capacity(head.len.min(1 << 30));
        for part in &found {
            bytes.extend(part.get_binary_generic("bytes").map(Vec::as_slice).unwrap_or_default());
        }
        Ok((found.len() == head.parts && bytes.len() == head.len).then_some(bytes))
    }

    /// The names of objects, and how many bytes each has.
    fn listed(&self, prefix: &str, behind: &str) -> Answer<Vec<(String, u64)>> {
        let (objects, link) = (self.objects(), &self.link);
        let mut range = doc! { "$gte": prefix, "$gt": behind };
        if let Some(end) = end_of(prefix) {
            range.insert("$lt", end);
        }
        let found: Vec<Document> = link.get(async {
            let named = objects.find(doc! { "_id": range }).projection(doc! { "_id": 1, "len": 1 });
            let cursor = named.sort(doc! { "_id": 1 });
            cursor.read_concern(link.confirmed()).await?.try_collect().await
        })?;
        let sized = |document: &Document| {
            let len = document.get_i64("len").ok().and_then(|len| u64::try_from(len).ok());
            Some((document.get_str("_id").ok()?.to_owned(), len.unwrap_or_default()))
        };
        Ok(found.iter().filter_map(sized).collect())
    }
}

/// The parts of an attempt.
fn of(version: &str) -> Document {
    doc! { "_id": { "$gte": { "of": version, "n": 0_i64 }, "$lte": { "of": version, "n": i64::MAX } } }
}

pub(super) fn is_duplicate(cause: &Cause) -> bool {
    match &*cause.kind {
        CauseKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE,
        CauseKind::Command(error) => error.code == DUPLICATE,
        CauseKind::Io(_) | _ => false,
    }
}

/// Where names end that begin with this.
fn end_of(prefix: &str) -> Option<String> {
    let mut bytes = prefix.as_bytes().to_vec();
    let last = bytes.last_mut()?;
    *last = last.checked_add(1)?;
    String::from_utf8(bytes).ok()
}

impl Objects for DatabaseObjects {
    fn create(&self, name: &str, bytes: &[u8]) -> Answer<Written> {
        let (head, version) = self.staged(name, bytes)?;
        let objects = self.objects();
        match self.link.ask(async { objects.insert_one(head).await })? {
            Ok(_) => Ok(Written::Done),
            Err(cause) if is_duplicate(&cause) => {
                if bytes.len() > PART {
                    self.drop_parts(&version);
                }
                Ok(Written::Refused)
            }
            Err(cause) => Err(trouble(&cause)),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8], read: &Version) -> Answer<Written> {
        let (head, version) = self.staged(name, bytes)?;
        let objects = self.objects();
        let before = self.link.get(async {
            let same = doc! { "_id": name, "version": &read.0 };
            let replaced = objects.find_one_and_replace(same, head).projection(doc! { "parts": 1 });
            replaced.return_document(ReturnDocument::Before).await
        })?;
        let Some(before) = before else {
            if bytes.len() > PART {
                self.drop_parts(&version);
            }
            return Ok(Written::Refused);
        };
        if before.get_i64("parts").unwrap_or_default() > 0 {
            self.drop_parts(&read.0);
        }
        Ok(Written::Done)
    }

    fn get(&self, name: &str) -> Answer<Option<Found>> {
        for _ in 0..CHASES {
            let Some(head) = self.read(name)? else { return Ok(None) };
            let version = Version(head.version.clone());
            if head.parts == 0 {
                if head.bytes.len() != head.len {
                    return Err(not_whole(name));
                }
                return Ok(Some(Found { bytes: head.bytes, version }));
            }
            if let Some(bytes) = self.parts(&head)? {
                return Ok(Some(Found { bytes, version }));
            }
            // It was replaced while it was read, unless its document is still the same.
            if self.read(name)?.is_some_and(|now| now.version == head.version) && self.parts(&head)?.is_none()
            {
                return Err(not_whole(name));
            }
        }
        let reason = format!("the object {name:?} is replaced faster than it can be read");
        Err(Trouble::Busy(Error::new(ErrorKind::Io, reason)))
    }

    fn list(&self, prefix: &str, behind: &str) -> Answer<Vec<String>> {
        Ok(self.listed(prefix, behind)?.into_iter().map(|(name, _)| name).collect())
    }

    fn list_sized(&self, prefix: &str) -> Answer<Vec<(String, u64)>> {
        self.listed(prefix, "")
    }

    fn delete(&self, name: &str) -> Answer<()> {
        let objects = self.objects();
        let before = self.link.get(async {
            objects
                .find_one_and_delete(doc! { "_id": name })
                .projection(doc! { "parts": 1, "version": 1 })
                .await
        })?;
        if let Some(before) = before
            && before.get_i64("parts").unwrap_or_default() > 0
        {
            self.drop_parts(before.get_str("version").unwrap_or_default());
        }
        Ok(())
    }

    fn pause(&self, tries: u32) -> bool {
        self.link.pause(tries)
    }

    fn place(&self) -> &Path {
        self.link.place()
    }
}
