//! A conversation put together from what is left of it.
//!
//! Owns which of its rows count, and what stands in for one that cannot be read: what the events that are left say of it.

use std::collections::BTreeMap;
use std::path::Path;

use super::columns::{ACTION, MESSAGE, SUMMARY, action_at, head_at, message_at, summary_at};
use super::connection::{Connection, Row, Value};
use super::fold::Fold;
use super::readable::readable;
use super::remains::{Remains, loss};
use super::tables::Rows;
use crate::codec::bytes::to_u64;
use crate::error::Result;
use crate::model::{Conversation, JsonObject, Loss, Seq, Summary, Timestamp};
use crate::rules::Folded;

/// How many events it takes at least to make a conversation, beside those that add to it.
const MAKING: u64 = 4;

/// A conversation of which something may be lost.
pub(super) struct Pieces<'p> {
    pub(super) remains: &'p Remains,
    pub(super) place: &'p Path,
    pub(super) id: &'p str,
    /// The number that its rows have.
    pub(super) number: Seq,
    pub(super) lost: Vec<Loss>,
}

/// The rows of a conversation in one table.
struct Items<'i> {
    table: &'static str,
    columns: &'static str,
    seqs: &'i [Seq],
    /// How many there are as the conversation's own row counts them.
    counted: Option<u64>,
}

impl Pieces<'_> {
    fn lose(&mut self, reason: String) {
        self.lost.push(loss(self.place, Some(self.id), None, reason));
    }

    /// Puts it together.
    pub(super) fn together(&mut self, connection: &mut dyn Connection) -> Result<Folded> {
        let events = self.remains.outline.events_of(self.id);
        let left = Fold::of_what_is_left(connection, &events)?.conversations.remove(self.id);
        let head = self.head(connection)?;
        let (mut added_messages, mut added_actions) = (BTreeMap::new(), BTreeMap::new());
        let mut said = None;
        if let Some(Rows { folded, messages, actions, .. }) = left {
            let Folded { mut conversation, last_seq, last_activity } = folded;
            added_messages.extend(messages.into_iter().zip(std::mem::take(&mut conversation.messages)));
            added_actions.extend(actions.into_iter().zip(std::mem::take(&mut conversation.actions)));
            said = Some(Folded { conversation, last_seq, last_activity });
        }
        let counted = head.as_ref().map(|(summary, ..)| (summary.messages, summary.actions));
        let remains = self.remains;
        let of = |rows: &'_ std::collections::HashMap<Seq, Vec<Seq>>| rows.get(&self.number).cloned();
        let (seqs, seqs_of_actions) =
            (of(&remains.messages).unwrap_or_default(), of(&remains.actions).unwrap_or_default());
        let rows = Items {
            table: "aral_message_rows",
            columns: MESSAGE,
            seqs: &seqs,
            counted: counted.map(|(messages, _)| messages),
        };
        let messages = self.items(connection, &rows, added_messages, |row| message_at(row, 0))?;
        let rows = Items {
            table: "aral_action_rows",
            columns: ACTION,
            seqs: &seqs_of_actions,
            counted: counted.map(|(_, actions)| actions),
        };
        let actions = self.items(connection, &rows, added_actions, |row| action_at(row, 0))?;
        let newest = messages.keys().chain(actions.keys()).max().copied().unwrap_or(self.number);
        let time = {
            let message = messages.last_key_value().map(|(seq, message)| (*seq, message.created_at));
            let action = actions.last_key_value().map(|(seq, action)| (*seq, action.created_at));
            message.into_iter().chain(action).max_by_key(|(seq, _)| *seq).map(|(_, time)| time)
        };
        let mut folded = match (head, said) {
            (Some((summary, metadata, extra)), _) => as_told(summary, metadata, extra),
            (None, Some(said)) => said,
            (None, None) => {
                let time = time.unwrap_or(Timestamp::EPOCH);
                let conversation = Conversation::new(self.id, time);
                Folded { conversation, last_seq: newest, last_activity: time }
            }
        };
        let conversation = &mut folded.conversation;
        conversation.messages = messages.into_values().collect();
        conversation.actions = actions.into_values().collect();
        let items = to_u64(conversation.messages.len() + conversation.actions.len());
        conversation.version = conversation.version.max(items + MAKING);
        folded.last_seq = folded.last_seq.max(newest);
        Ok(folded)
    }

    /// What its own row says.
    fn head(&mut self, connection: &mut dyn Connection) -> Result<Option<(Summary, JsonObject, JsonObject)>> {
        let sql = format!("SELECT {SUMMARY}, metadata, extra FROM aral_conversation_rows WHERE number = ?1");
        let found = readable(connection, &sql, &[Value::number(self.number)], |row| {
            let (metadata, extra) = head_at(row, 9)?;
            Ok((summary_at(row, 0)?, metadata, extra))
        })?;
        let why = match found {
            Ok(Some((summary, ..))) if summary.id != self.id => "it is another one's".to_owned(),
            Ok(Some(head)) => return Ok(Some(head)),
            Ok(None) => "it is not there, or cannot be read".to_owned(),
            Err(error) => error.message().to_owned(),
        };
        self.lose(format!(
            "aral_conversation_rows, number {}: {why}; its title, times, metadata and version are as far as the events that are left say \
             them",
            self.number
        ));
        Ok(None)
    }

    /// Its messages or actions, by the numbers of their rows.
    fn items<T>(
        &mut self,
        connection: &mut dyn Connection,
        rows: &Items<'_>,
        mut added: BTreeMap<Seq, T>,
        read: fn(&dyn Row) -> Result<T>,
    ) -> Result<BTreeMap<Seq, T>> {
        let Items { table, columns, .. } = rows;
        let alias = columns.get(..1).unwrap_or_default();
        let sql = format!("SELECT {columns} FROM {table} {alias} WHERE {alias}.seq = ?1");
        let (mut found, mut gone) = (BTreeMap::new(), 0);
        for seq in rows.seqs {
            let said = added.remove(seq);
            let why = match readable(connection, &sql, &[Value::number(*seq)], read)? {
                Ok(Some(item)) => {
                    found.insert(*seq, item);
                    continue;
                }
                Ok(None) => "the row is not there any more".to_owned(),
                Err(error) => error.message().to_owned(),
            };
            if let Some(item) = said {
                self.lose(format!("{table}, seq {seq}: {why}; it is as the events that are left say"));
                found.insert(*seq, item);
            } else {
                self.lose(format!("{table}, seq {seq}: {why}"));
                gone += 1;
            }
        }
        // One that an event added and no row has may have been removed by an event that is lost: the count tells.
        let is_short = |found: &BTreeMap<Seq, T>| {
            rows.counted.is_none_or(|counted| to_u64(found.len()).saturating_add(gone) < counted)
        };
        while is_short(&found)
            && let Some((seq, item)) = added.pop_first()
        {
            self.lose(format!(
                "{table}, seq {seq}: the row is missing, or cannot be read; it is as the events that are left say"
            ));
            found.insert(seq, item);
        }
        if is_short(&found)
            && let Some(counted) = rows.counted
        {
            self.lose(format!(
                "{table}: of {counted} rows that the conversation had, {} are not there, or cannot be read",
                counted - to_u64(found.len()) - gone
            ));
        }
        Ok(found)
    }
}

/// A conversation without what is in it, as its own row tells.
fn as_told(summary: Summary, metadata: JsonObject, extra: JsonObject) -> Folded {
    let Summary { id, title, created_at, version, last_activity, last_seq, .. } = summary;
    let fresh = Conversation::new(&id, created_at);
    Folded {
        conversation: Conversation { title, metadata, version, extra, ..fresh },
        last_seq,
        last_activity,
    }
}
