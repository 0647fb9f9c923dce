//! Values on their way to a server and back.
//!
//! Owns how a value becomes a parameter of the type that the server has said, and how a column of an answer is read.

use std::error::Error as StdError;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

use super::rows::Count;
use crate::backend::sql::connection::{Row, Statement, Value};
use crate::error::{Error, ErrorKind, Result};

/// A value on its way to the server, which has said the type.
#[derive(Debug)]
pub(super) struct Parameter<'v>(pub(super) &'v Value<'v>);

type Encoded = std::result::Result<IsNull, Box<dyn StdError + Sync + Send>>;

impl ToSql for Parameter<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Encoded {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(number) => number.to_sql_checked(kind, out),
            Value::Text(text) => text.as_ref().to_sql_checked(kind, out),
            Value::Bytes(bytes) | Value::Broken(bytes) => bytes.as_ref().to_sql_checked(kind, out),
            Value::Real(bits) => f64::from_bits(*bits).to_sql_checked(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut BytesMut) -> Encoded {
        self.to_sql(kind, out)
    }
}

/// A parameter of a statement for one row, or for several.
#[derive(Debug)]
pub(super) enum Argument<'v> {
    One(Parameter<'v>),
    Column(Vec<Parameter<'v>>),
}

impl ToSql for Argument<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Encoded {
        match self {
            Self::One(value) => value.to_sql(kind, out),
            Self::Column(values) => values.to_sql_checked(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut BytesMut) -> Encoded {
        self.to_sql(kind, out)
    }
}

/// The arguments of rows that are sent as one statement.
pub(super) fn arguments<'s>(rows: &'s [Statement<'_>]) -> Vec<Argument<'s>> {
    if let [row] = rows { of_one(row).collect() } else { columns(rows).collect() }
}

pub(super) fn of_one<'s>(row: &'s Statement<'_>) -> impl Iterator<Item = Argument<'s>> {
    row.values.iter().map(|value| Argument::One(Parameter(value)))
}

/// The arguments of a part of a statement that has been prepared for so many rows.
pub(super) fn of<'s>(rows: &'s [Statement<'_>], count: Count) -> Vec<Argument<'s>> {
    if count == Count::One { arguments(rows) } else { columns(rows).collect() }
}

fn columns<'s>(rows: &'s [Statement<'_>]) -> impl Iterator<Item = Argument<'s>> {
    let width = rows.first().map_or(0, |row| row.values.len());
    let column = |at| rows.iter().filter_map(move |row| row.values.get(at)).map(Parameter).collect();
    (0..width).map(move |at| Argument::Column(column(at)))
}

/// Whether a column is NULL, whatever its type.
struct IsPresent(bool);

impl FromSql<'_> for IsPresent {
    fn from_sql(_: &Type, _: &[u8]) -> std::result::Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(true))
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(false))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What a column holds as it was sent, whatever its type.
struct AsSent<'r>(&'r [u8]);

impl<'r> FromSql<'r> for AsSent<'r> {
    fn from_sql(_: &Type, sent: &'r [u8]) -> std::result::Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(sent))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A row that has come.
pub(super) struct PostgresRow<'r>(pub(super) &'r tokio_postgres::Row);

impl PostgresRow<'_> {
    fn value<'r, T: FromSql<'r>>(&'r self, at: usize) -> Result<T> {
        self.0.try_get(at).map_err(|error| Error::new(ErrorKind::Corrupt, format!("column {at}: {error}")))
    }
}

impl Row for PostgresRow<'_> {
    fn is_null(&self, at: usize) -> Result<bool> {
        self.value::<IsPresent>(at).map(|present| !present.0)
    }

    fn int(&self, at: usize) -> Result<i64> {
        self.value(at)
    }

    fn text(&self, at: usize) -> Result<&str> {
        self.value(at)
    }

    fn bytes(&self, at: usize) -> Result<&[u8]> {
        self.value(at)
    }

    fn any(&self, at: usize) -> Result<Value<'static>> {
        if self.is_null(at)? {
            return Ok(Value::Null);
        }
        if let Ok(number) = self.int(at) {
            return Ok(Value::Int(number));
        }
        if let Ok(text) = self.text(at) {
            return Ok(Value::text(text.to_owned()));
        }
        self.value::<AsSent<'_>>(at).map(|sent| Value::bytes(sent.0.to_vec()))
    }
}
