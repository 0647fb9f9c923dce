//! The tables that the events led to, column by column.
//!
//! Owns the rows that a conversation ought to have, and the finding of what is different about those that there are.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::columns::{self, of_action, of_message};
use super::connection::{Connection, Row, Value};
use super::lists::lists;
use crate::codec::bytes::to_u64;
use crate::error::Result;
use crate::model::{Seq, Tombstone};
use crate::rules::{Folded, KeyRecord};

/// A table that the events explain.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Its columns, the one that tells a row from all others at the place `key`.
    pub(super) columns: &'static [&'static str],
    pub(super) key: usize,
    /// The column by which the rows of a conversation are found.
    pub(super) found_by: &'static str,
    /// The place of a conversation's number, or of its id.
    pub(super) whose: Whose,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    Number(usize),
    Id(usize),
}

pub(super) const CONVERSATIONS: Table = Table {
    name: "aral_conversation_rows",
    columns: &[
        "number",
        "id_key",
        "id",
        "title",
        "title_exact",
        "created_at",
        "last_activity",
        "metadata",
        "extra",
        "messages",
        "actions",
        "version",
        "last_seq",
    ],
    key: 0,
    found_by: "number",
    whose: Whose::Id(1),
};

pub(super) const MESSAGES: Table = Table {
    name: "aral_message_rows",
    columns: &[
        "id",
        "role",
        "created_at",
        "content",
        "metadata",
        "extra",
        "exact",
        "created_micros",
        "seq",
        "conversation",
        "place",
    ],
    key: 8,
    found_by: "conversation",
    whose: Whose::Number(9),
};

pub(super) const ACTIONS: Table = Table {
    name: "aral_action_rows",
    columns: &[
        "id",
        "action_type",
        "created_at",
        "data",
        "metadata",
        "extra",
        "exact",
        "created_micros",
        "seq",
        "conversation",
        "place",
    ],
    key: 8,
    found_by: "conversation",
    whose: Whose::Number(9),
};

pub(super) const KEYS: Table = Table {
    name: "aral_keys",
    columns: &["name", "fingerprint", "conversation_id", "id", "seq", "version"],
    key: 0,
    found_by: "name",
    whose: Whose::Id(2),
};

pub(super) const TOMBSTONES: Table = Table {
    name: "aral_tombstones",
    columns: &["seq", "id_key", "id", "removed_at"],
    key: 0,
    found_by: "id_key",
    whose: Whose::Id(1),
};

/// A row's values, in the order of its table's columns.
pub(super) type Values<'v> = Vec<Value<'v>>;

/// The rows that there ought to be, by their keys.
pub(super) type Ought<'v> = HashMap<Value<'v>, Values<'v>>;

/// A row that is not as it ought to be.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) row: Values<'static>,
    /// The columns that are different; none if there ought to be no such row.
    pub(super) columns: Vec<&'static str>,
}

/// What is different about the rows of a table.
#[derive(Debug, Default)]
pub(super) struct Difference<'v> {
    pub(super) wrong: Vec<Wrong>,
    /// Rows that are not there, and ought to be.
    pub(super) missing: Vec<Values<'v>>,
    /// How many rows there are.
    pub(super) found: u64,
}

impl Difference<'_> {
    pub(super) fn is_none(&self) -> bool {
        self.wrong.is_empty() && self.missing.is_empty()
    }
}

impl Table {
    /// The columns, as a statement names them.
    pub(super) fn list(&self) -> String {
        self.columns.join(", ")
    }

    pub(super) fn key_name(&self) -> &'static str {
        self.columns.get(self.key).copied().unwrap_or_default()
    }

    /// A row's key.
    pub(super) fn key_of<'v>(&self, row: &[Value<'v>]) -> Value<'v> {
        row.get(self.key).cloned().unwrap_or(Value::Null)
    }

    /// Compares the rows that are found by some values with those that there ought to be.
    pub(super) fn compare<'v>(
        &self,
        connection: &mut dyn Connection,
        found_by: &[Value<'_>],
        mut ought: Ought<'v>,
    ) -> Result<Difference<'v>> {
        let mut difference = Difference::default();
        for (names, values) in lists(found_by) {
            let sql =
                format!("SELECT {} FROM {} WHERE {} IN ({names})", self.list(), self.name, self.found_by);
            connection.query(&sql, &values, &mut |row| {
                difference.found += 1;
                let key = row.any(self.key)?;
                let wrong = match ought.remove(&key) {
                    Some(ought) => self.differing(row, &ought),
                    None => Some(Vec::new()),
                };
                if let Some(columns) = wrong {
                    difference.wrong.push(Wrong { row: self.values_at(row)?, columns });
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        difference.missing = ought.into_values().collect();
        difference.missing.sort_by_key(|row| match self.key_of(row) {
            Value::Int(number) => number,
            Value::Null | Value::Text(_) | Value::Bytes(_) | Value::Real(_) | Value::Broken(_) => 0,
        });
        Ok(difference)
    }

    /// The columns in which a row is not as it ought to be, if there are any.
    fn differing(&self, row: &dyn Row, ought: &[Value<'_>]) -> Option<Vec<&'static str>> {
        let named = self.columns.iter().zip(ought).enumerate();
        let columns: Vec<_> =
            named.filter(|(at, (_, ought))| !is(row, *at, ought)).map(|(_, (name, _))| *name).collect();
        if columns.is_empty() { None } else { Some(columns) }
    }

    /// Every value of a row.
    pub(super) fn values_at(&self, row: &dyn Row) -> Result<Values<'static>> {
        (0..self.columns.len()).map(|at| row.any(at)).collect()
    }
}

/// Whether a column holds a value. What is of another type is something else.
fn is(row: &dyn Row, at: usize, ought: &Value<'_>) -> bool {
    match ought {
        Value::Null => row.is_null(at),
        Value::Int(ought) => row.int(at).map(|is| is == *ought),
        Value::Text(ought) => row.text(at).map(|is| is == ought),
        Value::Bytes(ought) => row.bytes(at).map(|is| is == &**ought),
        // No event leads to it.
        Value::Real(_) | Value::Broken(_) => Ok(false),
    }
    .unwrap_or(false)
}

/// A conversation with the numbers of the events that added what is in it.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) number: Seq,
    pub(super) folded: Folded,
    pub(super) messages: Vec<Seq>,
    pub(super) actions: Vec<Seq>,
}

impl Rows {
    /// The row of the conversation.
    pub(super) fn conversation(&self) -> Values<'_> {
        let (conversation, folded) = (&self.folded.conversation, &self.folded);
        vec![
            Value::number(self.number),
            Value::bytes(conversation.id.as_bytes()),
            Value::Text(columns::shown_str(&conversation.id)),
            Value::Text(columns::shown(&conversation.title)),
            columns::title_exact(&conversation.title),
            columns::time(conversation.created_at),
            columns::time(folded.last_activity),
            Value::text(conversation.metadata.as_json()),
            columns::extra(&conversation.extra),
            Value::number(to_u64(conversation.messages.len())),
            Value::number(to_u64(conversation.actions.len())),
            Value::number(conversation.version),
            Value::number(folded.last_seq),
        ]
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = Values<'_>> {
        let messages = self.folded.conversation.messages.iter().map(of_message);
        with_numbers(messages, &self.messages, self.number)
    }

    pub(super) fn actions(&self) -> impl Iterator<Item = Values<'_>> {
        let actions = self.folded.conversation.actions.iter().map(of_action);
        with_numbers(actions, &self.actions, self.number)
    }
}

/// Items' columns with the numbers of their events, of their conversation and of their places behind them.
fn with_numbers<'v>(
    items: impl Iterator<Item = [Value<'v>; 8]>,
    seqs: &'v [Seq],
    number: Seq,
) -> impl Iterator<Item = Values<'v>> {
    items.zip(seqs).zip(0..).map(move |((item, seq), place)| {
        item.into_iter().chain([*seq, number, place].map(Value::number)).collect()
    })
}

/// The row of a key.
pub(super) fn key_row<'v>(name: &'v str, record: &'v KeyRecord) -> Values<'v> {
    vec![
        Value::bytes(name.as_bytes()),
        Value::Int(record.fingerprint.into()),
        Value::bytes(record.conversation_id.as_bytes()),
        Value::bytes(&*record.id),
        Value::number(record.seq),
        Value::number(record.version),
    ]
}

/// The row of a conversation that was removed.
pub(super) fn tombstone_row(tombstone: &Tombstone) -> Values<'_> {
    vec![
        Value::number(tombstone.seq),
        Value::bytes(tombstone.id.as_bytes()),
        Value::Text(columns::shown_str(&tombstone.id)),
        tombstone.removed_at.map_or(Value::Null, columns::time),
    ]
}
