//! The row that writers lock.
//!
//! Owns what it says, and the statement that takes numbers on the condition that it still says so. Each event moves the next number on,
//! and whoever changes what the tables hold in any other way counts `syncs` up: so as long as the row is the same, so is all the rest.

use super::columns::number_at;
use super::connection::{Row, Statement, Value};
use super::schema::check_version;
use crate::error::Result;
use crate::model::Seq;

/// The row that writers lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Meta {
    schema_version: i64,
    pub(super) next_seq: Seq,
    syncs: i64,
    store_id: String,
}

/// Asks for the row.
pub(super) const META: &str = "SELECT schema_version, next_seq, syncs, store_id FROM aral_meta";

/// Takes the numbers up to one if the row is as expected. If it is not, the next number becomes NULL, which the table refuses, and with it
/// the transaction: a condition would only leave the row alone, and let the statements behind it go on.
const TAKE: &str = "UPDATE aral_meta SET next_seq = CASE WHEN schema_version = ?1 AND next_seq = ?2 AND syncs = ?3 \
     AND store_id = ?4 THEN CAST(?5 AS BIGINT) END WHERE one = 1";

impl Meta {
    /// The row, unless newer software made the tables.
    pub(super) fn at(row: &dyn Row) -> Result<Self> {
        check_version(row.int(0)?)?;
        Ok(Self {
            schema_version: row.int(0)?,
            next_seq: number_at(row, 1)?,
            syncs: row.int(2)?,
            store_id: row.text(3)?.to_owned(),
        })
    }

    /// What takes the numbers up to this one, and fails if the row is another one.
    pub(super) fn take(&self, next_seq: Seq) -> Statement<'static> {
        let values = [
            Value::Int(self.schema_version),
            Value::number(self.next_seq),
            Value::Int(self.syncs),
            Value::text(self.store_id.clone()),
            Value::number(next_seq),
        ];
        Statement::new(TAKE, values)
    }

    /// The row once the numbers up to this one are taken.
    pub(super) fn taken(self, next_seq: Seq) -> Self {
        Self { next_seq, ..self }
    }
}
