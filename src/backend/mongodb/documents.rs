//! Documents that people query, in collections of their own.
//!
//! Owns the collections, their indexes and the mark. No transaction is needed: each document is written by itself and says as of which event
//! it is, and the mark comes behind them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::TryStreamExt;
use mongodb::IndexModel;
use mongodb::bson::{Bson, Document, doc};

use super::errors::trouble;
use super::link::Link;
use super::objects::{hex, is_duplicate, token};
use super::shapes;
use super::updates;
use crate::backend::journal::objects::{Answer, Version};
use crate::backend::journal::projection::{Changed, Mark, Projection};
use crate::codec::segment::StoreId;
use crate::model::Seq;

pub(super) const CONVERSATIONS: &str = "conversations";
const MESSAGES: &str = "messages";
const ACTIONS: &str = "actions";
const MARK: &str = "mark";

/// The one document in the collection of the mark.
const ONE: &str = "documents";

/// How many ids are given at once.
const IDS: i64 = 1000;

/// Documents in a database.
#[derive(Debug)]
pub(super) struct Documents {
    link: Arc<Link>,
    has_indexes: AtomicBool,
}

fn int(n: u64) -> Bson {
    Bson::Int64(i64::try_from(n).unwrap_or(i64::MAX))
}

fn store_id(text: &str) -> Option<StoreId> {
    let id = u128::from_str_radix(text, 16).ok()?.to_be_bytes();
    (hex(id) == text).then_some(id)
}

fn mark_of(document: &Document) -> Option<Mark> {
    Some(Mark {
        store_id: store_id(document.get_str("store_id").ok()?)?,
        seq: Seq::try_from(document.get_i64("seq").ok()?).ok()?,
        version: Version(document.get_str("version").ok()?.to_owned()),
    })
}

impl Documents {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, has_indexes: AtomicBool::new(false) }
    }

    /// Makes the indexes, where they are not there yet.
    fn prepare(&self) -> Answer<()> {
        if self.has_indexes.load(Ordering::SeqCst) {
            return Ok(());
        }
        let all = [
            (CONVERSATIONS, vec![doc! { "last_seq": -1 }, doc! { "created_date": 1 }]),
            (
                MESSAGES,
                vec![doc! { "conversation_id": 1, "place": 1 }, doc! { "created_date": 1 }, doc! { "id": 1 }],
            ),
            (
                ACTIONS,
                vec![
                    doc! { "conversation_id": 1, "place": 1 },
                    doc! { "action_type": 1, "created_date": 1 },
                    doc! { "id": 1 },
                ],
            ),
        ];
        for (name, indexes) in all {
            let collection = self.link.collection(name);
            let models = indexes.into_iter().map(|keys| IndexModel::builder().keys(keys).build());
            self.link.get(async { collection.create_indexes(models).await })?;
        }
        self.has_indexes.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// The next ids of one collection.
    fn ids_in(&self, name: &str, behind: Option<&str>) -> Answer<Vec<String>> {
        let collection = self.link.collection(name);
        let range = |behind: Option<&str>| match behind {
            Some(behind) => doc! { "$gt": behind },
            None => doc! { "$gte": "" },
        };
        let link = &self.link;
        let found: Vec<Document> = link.get(async {
            if name == CONVERSATIONS {
                let cursor = collection.find(doc! { "_id": range(behind) }).projection(doc! { "_id": 1 });
                return cursor
                    .sort(doc! { "_id": 1 })
                    .limit(IDS)
                    .read_concern(link.confirmed())
                    .await?
                    .try_collect()
                    .await;
            }
            let stages = vec![
                doc! { "$match": { "conversation_id": range(behind) } },
                doc! { "$group": { "_id": "$conversation_id" } },
                doc! { "$sort": { "_id": 1 } },
                doc! { "$limit": IDS },
            ];
            collection.aggregate(stages).read_concern(link.confirmed()).await?.try_collect().await
        })?;
        Ok(found.iter().filter_map(|document| document.get_str("_id").ok()).map(str::to_owned).collect())
    }

    /// What there is of a conversation's messages or actions, in their order.
    fn items(&self, name: &str, id: &str) -> Answer<Vec<Document>> {
        let collection = self.link.collection(name);
        let link = &self.link;
        link.get(async {
            let cursor = collection.find(doc! { "conversation_id": id }).sort(doc! { "place": 1 });
            cursor.read_concern(link.confirmed()).await?.try_collect().await
        })
    }
}

/// The bytes of a document but for the event that it is as of.
fn content(document: &Document) -> Vec<u8> {
    let mut document = document.clone();
    document.remove("as_of");
    document.to_vec().unwrap_or_default()
}

fn name_of(document: &Document) -> String {
    document
        .get_i64("place")
        .map_or_else(|_| "one without a place".to_owned(), |place| format!("the one at place {place}"))
}

/// In what documents differ from those that ought to be.
fn differing(name: &str, are: &[Document], ought: &[Document], differences: &mut Vec<String>) {
    for (is, ought) in are.iter().zip(ought) {
        if content(is) != content(ought) {
            let field = ought.keys().find(|field| *field != "as_of" && is.get(*field) != ought.get(*field));
            let field = field.map_or_else(|| "a field".to_owned(), |field| format!("its {field}"));
            differences.push(format!(
                "of its {name} in the documents {}: {field} is not what the events led to",
                name_of(is)
            ));
        }
    }
    if are.len() != ought.len() {
        differences.push(format!(
            "there are {} {name} of it in the documents, and it has {}",
            are.len(),
            ought.len()
        ));
    }
}

impl Projection for Documents {
    fn mark(&self) -> Answer<Option<Mark>> {
        let (collection, link) = (self.link.collection(MARK), &self.link);
        let found = link.get(async {
            collection
                .find_one(doc! { "_id": ONE })
                .read_concern(link.fresh())
                .max_time(Link::patience())
                .await
        })?;
        // What is no mark gives way to one like that of another store.
        let strange = |document: &Document| Mark {
            store_id: StoreId::default(),
            seq: 0,
            version: Version(document.get_str("version").unwrap_or_default().to_owned()),
        };
        Ok(found.map(|document| mark_of(&document).unwrap_or_else(|| strange(&document))))
    }

    fn set_mark(&self, read: Option<&Mark>, store_id: StoreId, seq: Seq) -> Answer<Option<Mark>> {
        self.prepare()?;
        let mark = Mark { store_id, seq, version: Version(token()) };
        let document =
            doc! { "_id": ONE, "store_id": hex(store_id), "seq": int(seq), "version": &mark.version.0 };
        let collection = self.link.collection(MARK);
        let Some(read) = read else {
            return match self.link.ask(async { collection.insert_one(document).await })? {
                Ok(_) => Ok(Some(mark)),
                Err(cause) if is_duplicate(&cause) => Ok(None),
                Err(cause) => Err(trouble(&cause)),
            };
        };
        let version =
            if read.version.0.is_empty() { Bson::Null } else { Bson::String(read.version.0.clone()) };
        let replaced = self
            .link
            .get(async { collection.replace_one(doc! { "_id": ONE, "version": version }, document).await })?;
        Ok((replaced.matched_count > 0).then_some(mark))
    }

    fn put(&self, mark: &Mark, changes: &[Changed]) -> Answer<Option<Mark>> {
        self.prepare()?;
        let (mut messages, mut actions, mut heads) = (Vec::new(), Vec::new(), Vec::new());
        let mut gone = Vec::new();
        let (mut cut_messages, mut cut_actions) = (Vec::new(), Vec::new());
        for changed in changes {
            let (id, as_of) = (&changed.id, changed.as_of);
            let message = |(place, message)| shapes::message(id, place, message, as_of);
            messages.extend(changed.messages.iter().map(|(place, item)| message((*place, item))));
            let action = |(place, action)| shapes::action(id, place, action, as_of);
            actions.extend(changed.actions.iter().map(|(place, item)| action((*place, item))));
            let lens = match &changed.head {
                Some(head) => {
                    heads.push(shapes::conversation(head));
                    (head.summary.messages, head.summary.actions)
                }
                None => {
                    gone.push(doc! { "_id": id, "as_of": { "$lte": int(as_of) } });
                    (0, 0)
                }
            };
            if changed.is_cut {
                let cut = |len| {
                    doc! { "conversation_id": id, "place": { "$gte": int(len) }, "as_of": { "$lte": int(as_of) } }
                };
                cut_messages.push(cut(lens.0));
                cut_actions.push(cut(lens.1));
            }
        }
        updates::put(&self.link, MESSAGES, messages)?;
        updates::put(&self.link, ACTIONS, actions)?;
        updates::delete(&self.link, MESSAGES, cut_messages)?;
        updates::delete(&self.link, ACTIONS, cut_actions)?;
        updates::put(&self.link, CONVERSATIONS, heads)?;
        updates::delete(&self.link, CONVERSATIONS, gone)?;
        Ok(Some(mark.clone()))
    }

    fn ids(&self, behind: Option<&str>) -> Answer<Vec<String>> {
        let mut ids = BTreeSet::new();
        for name in [CONVERSATIONS, MESSAGES, ACTIONS] {
            ids.extend(self.ids_in(name, behind)?);
        }
        Ok(ids.into_iter().take(usize::try_from(IDS).unwrap_or(usize::MAX)).collect())
    }

    fn differences(&self, whole: &Changed) -> Answer<Vec<String>> {
        let (id, as_of) = (&whole.id, whole.as_of);
        let (collection, link) = (self.link.collection(CONVERSATIONS), &self.link);
        let head: Option<Document> =
            link.get(async { collection.find_one(doc! { "_id": id }).read_concern(link.confirmed()).await })?;
        let mut differences = Vec::new();
        match (&head, whole.head.as_ref().map(shapes::conversation)) {
            (Some(is), Some(ought)) if content(is) != content(&ought) => {
                let field =
                    ought.keys().find(|field| *field != "as_of" && is.get(*field) != ought.get(*field));
                let field = field.map_or("a field", String::as_str);
                differences.push(format!("in its document {field} is not what the events led to"));
            }
            (None, Some(_)) => differences.push("it has no document".to_owned()),
            _ => {}
        }
        let messages = whole.messages.iter().map(|(place, item)| shapes::message(id, *place, item, as_of));
        differing(MESSAGES, &self.items(MESSAGES, id)?, &messages.collect::<Vec<_>>(), &mut differences);
        let actions = whole.actions.iter().map(|(place, item)| shapes::action(id, *place, item, as_of));
        differing(ACTIONS, &self.items(ACTIONS, id)?, &actions.collect::<Vec<_>>(), &mut differences);
        Ok(differences)
    }

    fn forget(&self, id: &str) -> Answer<()> {
        for name in [MESSAGES, ACTIONS] {
            updates::delete(&self.link, name, vec![doc! { "conversation_id": id }])?;
        }
        updates::delete(&self.link, CONVERSATIONS, vec![doc! { "_id": id }])
    }
}
