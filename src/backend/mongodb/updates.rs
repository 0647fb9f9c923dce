//! Writing many documents, of which each is replaced only by a newer one.
//!
//! Owns the condition: a document says as of which event it is. It is looked at and written in one step, so that of two writers the one
//! that knows more wins whoever is the later.

use std::sync::Arc;

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};

use super::errors::{DUPLICATE, of_code};
use super::link::Link;
use crate::backend::journal::objects::{Answer, Trouble};
use crate::error::{Error, ErrorKind};

/// How many documents one request writes, and of how many bytes: a command has the limits of a document.
const AT_ONCE: (usize, usize) = (1000, 8 << 20);

/// How often a document is tried again that is there and gone again at each look.
const CHASES: u32 = 10;

/// Puts documents in the place of older ones, and leaves newer ones.
pub(super) fn put(link: &Arc<Link>, collection: &str, documents: Vec<Document>) -> Answer<()> {
    for part in parts(&documents)? {
        let mut left: Vec<&Document> = part.iter().collect();
        for _ in 0..CHASES {
            if left.is_empty() {
                break;
            }
            let refused = update(link, collection, &left)?;
            left = refused.into_iter().filter_map(|at| left.get(at).copied()).collect();
            if !left.is_empty() {
                left = older(link, collection, left)?;
            }
        }
        if !left.is_empty() {
            let reason = "other processes write the same documents all the time";
            return Err(Trouble::Busy(Error::new(ErrorKind::Io, reason)));
        }
    }
    Ok(())
}

/// Documents by the requests that write them. One alone is within the limits.
fn parts(documents: &[Document]) -> Answer<Vec<&[Document]>> {
    let failed = |error| {
        Trouble::Final(Error::new(ErrorKind::Failed, format!("a document cannot be encoded: {error}")))
    };
    let (mut parts, mut begins, mut bytes) = (Vec::new(), 0, 0);
    for (at, document) in documents.iter().enumerate() {
        let length = mongodb::bson::serialize_to_vec(document).map_err(failed)?.len();
        if at > begins && (at - begins == AT_ONCE.0 || bytes + length > AT_ONCE.1) {
            parts.push(documents.get(begins..at).unwrap_or_default());
            (begins, bytes) = (at, 0);
        }
        bytes += length;
    }
    parts.push(documents.get(begins..).unwrap_or_default());
    Ok(parts)
}

/// Tries it, and gives the places of those that were not written because there is one that is newer, or has come this moment.
fn update(link: &Link, collection: &str, documents: &[&Document]) -> Answer<Vec<usize>> {
    let statement = |document: &&Document| {
        let (id, as_of) = (document.get("_id"), document.get("as_of"));
        let same = doc! { "_id": id.cloned(), "as_of": { "$lt": as_of.cloned() } };
        Bson::Document(doc! { "q": same, "u": (*document).clone(), "upsert": true })
    };
    let statements: Vec<Bson> = documents.iter().map(statement).collect();
    let command =
        doc! { "update": link.target.collection(collection), "updates": statements, "ordered": false };
    let errors = link.write(command)?;
    match errors.iter().find(|(_, code)| *code != DUPLICATE) {
        Some((_, code)) => Err(of_code(*code, "")),
        None => Ok(errors.into_iter().map(|(at, _)| at).collect()),
    }
}

/// Those of which there is none that is as new.
fn older<'d>(link: &Link, collection: &str, documents: Vec<&'d Document>) -> Answer<Vec<&'d Document>> {
    let there = link.collection(collection);
    let ids: Vec<Bson> = documents.iter().filter_map(|document| document.get("_id").cloned()).collect();
    let found: Vec<Document> = link.get(async {
        let cursor = there.find(doc! { "_id": { "$in": ids } }).projection(doc! { "as_of": 1 });
        cursor.await?.try_collect().await
    })?;
    let is_new = |document: &&Document| {
        let same = found.iter().find(|there| there.get("_id") == document.get("_id"));
        let as_of = |document: &Document| document.get_i64("as_of").unwrap_or_default();
        same.is_some_and(|there| as_of(there) >= as_of(document))
    };
    Ok(documents.into_iter().filter(|document| !is_new(document)).collect())
}

/// Removes what fits one of these.
pub(super) fn delete(link: &Link, collection: &str, filters: Vec<Document>) -> Answer<()> {
    for part in filters.chunks(AT_ONCE.0) {
        let statements: Vec<Bson> =
            part.iter().map(|filter| Bson::Document(doc! { "q": filter.clone(), "limit": 0 })).collect();
        let command =
            doc! { "delete": link.target.collection(collection), "deletes": statements, "ordered": false };
        if let Some((_, code)) = link.write(command)?.first() {
            return Err(of_code(*code, ""));
        }
    }
    Ok(())
}
