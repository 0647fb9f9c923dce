//! What goes out to a server together.
//!
//! Owns the forms of what is on its way: sent as soon as it is looked at, and answered later.

use std::pin::Pin;

use tokio_postgres::{Client, Statement as Prepared};

use super::values::arguments;
use crate::backend::sql::connection::Statement;

/// What the server says.
pub(super) type Answer<T> = Result<T, tokio_postgres::Error>;

/// What is sent as soon as it is looked at, and answered later.
pub(super) type Sent<'s, T> = Pin<Box<dyn Future<Output = Answer<T>> + Send + 's>>;

/// A prepared statement, and the rows that it is carried out for.
pub(super) type Run<'s, 'v> = (Prepared, &'s [Statement<'v>]);

/// Statements on their way.
pub(super) fn writes<'s>(client: &'s Client, runs: &'s [Run<'_, '_>]) -> impl Iterator<Item = Sent<'s, u64>> {
    runs.iter().map(move |(prepared, rows)| -> Sent<'s, u64> {
        Box::pin(async move { client.execute_raw(prepared, arguments(rows)).await })
    })
}

/// A statement without values on its way, which is not prepared.
pub(super) fn simply<'s>(client: &'s Client, sql: &'static str) -> Sent<'s, u64> {
    Box::pin(async move { client.batch_execute(sql).await.map(|()| 0) })
}
