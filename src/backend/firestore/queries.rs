//! Documents to query, beside the journal.
//!
//! Owns the writing of them: each commit has the mark in it, on the condition that it is as it was read, so that of several writers one at a
//! time writes, and what comes late is refused as a whole.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::json::are_same;
use super::shapes;
use super::store::{Database, Range};
use super::values::{self, Condition, Document, delete, update, write};
use crate::backend::journal::objects::{Answer, Version};
use crate::backend::journal::projection::{Changed, Mark, Projection};
use crate::codec::bytes::{to_u64, to_usize};
use crate::codec::segment::StoreId;
use crate::model::Seq;

/// How many writes, and how many bytes of JSON, are in one commit.
const COMMIT: (usize, usize) = (400, 5 << 20);
/// How many documents one request reads whole.
const AT_ONCE: usize = 50;
/// How many ids one request lists.
const IDS_AT_ONCE: usize = 300;

const MESSAGES: &str = "aral_messages";
const ACTIONS: &str = "aral_actions";

/// Documents to query in a database.
#[derive(Debug)]
pub(super) struct Queries {
    pub(super) database: Arc<Database>,
}

/// The path of an item.
fn item(conversation: &str, collection: &str, place: u64) -> String {
    format!("{conversation}/{collection}/{place:012}")
}

impl Queries {
    fn mark_path(&self) -> String {
        format!("{}/aral_mark/documents", self.database.layout.store)
    }

    /// The write of the mark, on the condition that it is as it was.
    fn write_mark(&self, read: Option<&Mark>, store_id: StoreId, seq: Seq) -> Value {
        let (written_at, turn) = read.map_or(("", 0), |mark| taken_apart(&mark.version));
        let condition = if read.is_some() { Condition::WrittenAt(written_at) } else { Condition::Absent };
        let mut fields = Map::new();
        fields.insert("store".to_owned(), values::bytes(&store_id));
        fields.insert("seq".to_owned(), values::number(to_usize(seq)));
        // What is as it was is not written at another time.
        fields.insert("turn".to_owned(), values::number(turn + 1));
        update(&self.mark_path(), fields, condition)
    }

    /// Writes with the mark; `None` if it is not as it was.
    fn commit(
        &self,
        read: Option<&Mark>,
        store_id: StoreId,
        seq: Seq,
        writes: &[Value],
    ) -> Answer<Option<Mark>> {
        let mut all = vec![self.write_mark(read, store_id, seq)];
        all.extend_from_slice(writes);
        let turn = read.map_or(0, |mark| taken_apart(&mark.version).1) + 1;
        let Some(times) = self.database.commit_if(&all, &self.mark_path())? else { return Ok(None) };
        let time = times.first().cloned().unwrap_or_default();
        Ok(Some(Mark { store_id, seq, version: Version(format!("{time} {turn}")) }))
    }

    /// The paths of what stands in a conversation from a place on.
    fn behind(&self, conversation: &str, collection: &str, place: u64) -> Answer<Vec<String>> {
        let from = item(conversation, collection, place);
        let range = Range { parent: conversation, collection, from: Some(&from), until: None, behind: false };
        let found = self.database.query(&range, Some(&["__name__"]), IDS_AT_ONCE, usize::MAX)?;
        Ok(found.iter().filter_map(|document| Document(document).name().map(str::to_owned)).collect())
    }

    /// What a change writes, in this order: what is to be there before it is counted, and what goes before the conversation does.
    fn writes(&self, changed: &Changed) -> Answer<Vec<Value>> {
        let path = self.database.layout.conversation(&changed.id);
        let mut writes = Vec::new();
        if let Some(head) = &changed.head {
            writes.push(write(&path, shapes::conversation(head)));
        }
        for (place, message) in &changed.messages {
            let fields = shapes::message(&changed.id, *place, message);
            writes.push(write(&item(&path, MESSAGES, *place), fields));
        }
        for (place, action) in &changed.actions {
            let fields = shapes::action(&changed.id, *place, action);
            writes.push(write(&item(&path, ACTIONS, *place), fields));
        }
        if changed.is_cut {
            let counts =
                changed.head.as_ref().map_or((0, 0), |head| (head.summary.messages, head.summary.actions));
            for (collection, count) in [(MESSAGES, counts.0), (ACTIONS, counts.1)] {
                writes.extend(self.behind(&path, collection, count)?.iter().map(|path| delete(path, None)));
            }
        }
        if changed.head.is_none() {
            writes.push(delete(&path, None));
        }
        Ok(writes)
    }

    /// Every document of a conversation's collection, whole.
    fn all(&self, conversation: &str, collection: &str) -> Answer<Vec<Value>> {
        let from = item(conversation, collection, 0);
        let range = Range { parent: conversation, collection, from: Some(&from), until: None, behind: false };
        self.database.query(&range, None, AT_ONCE, usize::MAX)
    }
}

/// When a mark was written, and how often before.
fn taken_apart(version: &Version) -> (&str, usize) {
    let (time, turn) = version.0.split_once(' ').unwrap_or((&version.0, ""));
    (time, turn.parse().unwrap_or_default())
}

fn fields(document: &Value) -> Map<String, Value> {
    document.get("fields").and_then(Value::as_object).cloned().unwrap_or_default()
}

impl Projection for Queries {
    fn mark(&self) -> Answer<Option<Mark>> {
        let Some(found) = self.database.read_one(&self.mark_path())? else { return Ok(None) };
        let document = Document(&found);
        let number = |name: &str| document.number(name);
        let store_id = document.bytes("store").and_then(|bytes| StoreId::try_from(bytes).ok());
        let time = document.written_at().unwrap_or_default();
        let turn = number("turn").unwrap_or_default();
        // One that was altered is nobody's: the documents are removed and made anew, as those of another store would be.
        let (store_id, seq) = store_id.zip(number("seq")).unwrap_or_default();
        Ok(Some(Mark { store_id, seq: to_u64(seq), version: Version(format!("{time} {turn}")) }))
    }

    fn set_mark(&self, read: Option<&Mark>, store_id: StoreId, seq: Seq) -> Answer<Option<Mark>> {
        self.commit(read, store_id, seq, &[])
    }

    fn put(&self, mark: &Mark, changes: &[Changed]) -> Answer<Option<Mark>> {
        let mut mark = mark.clone();
        let (mut writes, mut size) = (Vec::new(), 0);
        for changed in changes {
            for next in self.writes(changed)? {
                let more = next.to_string().len();
                if writes.len() >= COMMIT.0 || !writes.is_empty() && size + more > COMMIT.1 {
                    let Some(moved) = self.commit(Some(&mark), mark.store_id, mark.seq, &writes)? else {
                        return Ok(None);
                    };
                    (mark, size) = (moved, 0);
                    writes.clear();
                }
                size += more;
                writes.push(next);
            }
        }
        if writes.is_empty() {
            return Ok(Some(mark));
        }
        self.commit(Some(&mark), mark.store_id, mark.seq, &writes)
    }

    fn ids(&self, behind: Option<&str>) -> Answer<Vec<String>> {
        let layout = &self.database.layout;
        let from = behind.map(|id| layout.conversation(id));
        let collection = super::layout::CONVERSATIONS;
        let range =
            Range { parent: &layout.store, collection, from: from.as_deref(), until: None, behind: true };
        let found = self.database.query(&range, Some(&["id"]), IDS_AT_ONCE, IDS_AT_ONCE)?;
        Ok(found.iter().filter_map(|document| Document(document).text("id").map(str::to_owned)).collect())
    }

    fn differences(&self, whole: &Changed) -> Answer<Vec<String>> {
        let path = self.database.layout.conversation(&whole.id);
        let mut found = Vec::new();
        let there = self.database.read_one(&path)?;
        let is_same = match (&there, &whole.head) {
            (Some(there), Some(head)) => are_same(&shapes::conversation(head), &fields(there)),
            (there, head) => there.is_none() && head.is_none(),
        };
        if !is_same {
            found.push("its document is another one".to_owned());
        }
        let messages =
            whole.messages.iter().map(|(place, message)| shapes::message(&whole.id, *place, message));
        let actions = whole.actions.iter().map(|(place, action)| shapes::action(&whole.id, *place, action));
        for (collection, expected) in [(MESSAGES, messages.collect::<Vec<_>>()), (ACTIONS, actions.collect())]
        {
            let there = self.all(&path, collection)?;
            let mut places = 0..to_u64(expected.len());
            let is_same = |(expected, there): (&Map<String, Value>, &Value)| {
                let at = places.next().map(|place| item(&path, collection, place));
                Document(there).name() == at.as_deref() && are_same(expected, &fields(there))
            };
            if there.len() != expected.len() || !expected.iter().zip(&there).all(is_same) {
                found.push(format!("what {collection} has of it is something else"));
            }
        }
        Ok(found)
    }

    fn forget(&self, id: &str) -> Answer<()> {
        let path = self.database.layout.conversation(id);
        let mut paths = self.behind(&path, MESSAGES, 0)?;
        paths.extend(self.behind(&path, ACTIONS, 0)?);
        // Order: the conversation last. Whoever looks for what is left finds it by that.
        paths.push(path);
        for part in paths.chunks(COMMIT.0) {
            let writes: Vec<Value> = part.iter().map(|path| delete(path, None)).collect();
            self.database.commit(&writes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_part_of_a_name_that_sorts_by_it() {
        assert!(item("c", MESSAGES, 9) < item("c", MESSAGES, 10));
        assert_eq!(taken_apart(&Version("2026-01-02T03:04:05Z 7".to_owned())), ("2026-01-02T03:04:05Z", 7));
        assert_eq!(fields(&Value::Null), Map::new());
    }
}
