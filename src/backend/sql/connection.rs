//! What the engine needs of a database.
//!
//! Owns the traits that an SQL database is reached by, and the values that go in. The statements are written once, with
//! `?1` for a parameter, and mean the same in every dialect; a connection rewrites what its database writes otherwise.
//! Knows no database and no table.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::search::Proposal;

/// What differs from database to database in the text of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    /// The type of a 64-bit integer that is a table's primary key.
    pub(crate) key: &'static str,
    /// The type of bytes.
    pub(crate) blob: &'static str,
    /// How many tables there are with the name `?1`.
    pub(crate) count_tables: &'static str,
    /// The names of the tables and indexes that there are.
    pub(crate) list_names: &'static str,
    pub(crate) search: &'static SearchDialect,
}

/// What differs from database to database in the index for searching.
#[derive(Debug)]
pub(crate) struct SearchDialect {
    /// Makes the index.
    pub(crate) create: &'static [&'static str],
    /// Takes everything out of it.
    pub(crate) clear: &'static str,
    /// Takes the message of the number `?1` in with the terms `?2`, in the place of those that it had.
    pub(crate) index: &'static str,
    /// Takes the message of the number `?1` out.
    pub(crate) remove: &'static str,
    /// A question for the numbers of the messages that answer `{asked}`.
    pub(crate) proposed: &'static str,
    /// A question for everything that is in it: a message's number, and a term.
    pub(crate) all: &'static str,
    /// Terms as the database reads them.
    pub(crate) document: fn(&BTreeSet<String>) -> String,
    /// A question for messages with all of these terms, or with the one for every term.
    pub(crate) query: fn(&[Proposal]) -> String,
}

/// What a connection is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    Read,
    /// To write, each commit as durable as the settings say.
    Write,
    /// To write, each commit being durable when it returns, and all before it.
    WriteDurably,
    /// To change the tables, which takes the longer the more is in them.
    Migrate,
}

/// A value that goes into a statement.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Value<'v> {
    Null,
    Int(i64),
    Text(Cow<'v, str>),
    Bytes(Cow<'v, [u8]>),
    /// The bits of a number with a point. The store writes none; somebody else may have.
    Real(u64),
    /// A text that is not Unicode, of which the same is true.
    Broken(Cow<'v, [u8]>),
}

/// A statement and its values, `?1` being the first of them.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'v> {
    pub(crate) sql: Cow<'static, str>,
    pub(crate) values: Vec<Value<'v>>,
    /// Whether it is one of many rows.
    pub(crate) is_row: bool,
}

/// A row of an answer. Columns are counted from 0.
pub(crate) trait Row {
    fn is_null(&self, at: usize) -> Result<bool>;
    fn int(&self, at: usize) -> Result<i64>;
    fn text(&self, at: usize) -> Result<&str>;
    fn bytes(&self, at: usize) -> Result<&[u8]>;

    /// What a column holds, of whatever type it is.
    fn any(&self, at: usize) -> Result<Value<'static>>;
}

/// What is done with each row; a break ends the query.
pub(crate) type Each<'e> = dyn FnMut(&dyn Row) -> Result<ControlFlow<()>> + 'e;

/// What is done with each row of the answers to several questions; the number is the question's, counted from 0.
pub(crate) type EachOf<'e> = dyn FnMut(usize, &dyn Row) -> Result<()> + 'e;

/// Why a transaction was not seen to take place.
#[derive(Debug)]
pub(crate) enum Unfinished {
    /// Nothing of it happened.
    Refused(Error),
    /// The commit was sent, so that it may have taken place.
    Open(Error),
}

/// What came of a transaction that relied on what was seen before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relied {
    /// It took place.
    Rightly,
    /// The database has changed since, and nothing happened.
    InVain,
}

/// Makes connections to one database.
pub(crate) trait Connector: Send + Sync + fmt::Debug {
    fn dialect(&self) -> Dialect;

    /// Where the database is, for errors and reports; without a password.
    fn place(&self) -> &Path;

    /// The database's own files, if they can be read from here.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// What may hold what was erased and is not in the power of a client.
    fn out_of_reach(&self) -> &'static [&'static str] {
        &[]
    }

    /// Opens a line on which the database says that something was written; `None` where it does not.
    ///
    /// # Errors
    ///
    /// What the database says.
    fn listen(&self) -> Result<Option<Box<dyn Wake>>> {
        Ok(None)
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no database and none is made; what the database says.
    fn connect(&self, purpose: Purpose) -> Result<Box<dyn Connection>>;

    /// Connects to read what can be read of a damaged database, which is not changed.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect).
    fn connect_to_damaged(&self) -> Result<Box<dyn Connection>> {
        self.connect(Purpose::Read)
    }
}

/// A line on which a database says that something was written.
pub(crate) trait Wake: Send {
    /// Waits for at most so long, and says whether something was written.
    ///
    /// # Errors
    ///
    /// `Io` if the line is lost.
    fn wait(&mut self, limit: Duration) -> Result<bool>;
}

/// A connection to a database, used by one thread at a time.
pub(crate) trait Connection: Send {
    /// Begins a transaction in which no other one writes until it has ended. Waits for others in turn.
    ///
    /// # Errors
    ///
    /// `Locked` if others did not let it begin for as long as the settings say.
    fn begin_write(&mut self) -> Result<()>;

    /// The same, and asks questions in it. Where the database is at the other end of a network, that is one round trip.
    fn begin_write_and_ask(&mut self, questions: &[Statement<'_>], each: &mut EachOf<'_>) -> Result<()> {
        self.begin_write()?;
        self.query_all(questions, each)
    }

    /// Begins a transaction that sees one state of the database.
    fn begin_read(&mut self) -> Result<()>;

    /// Ends a transaction. After an error of one that wrote, it may have taken place or not.
    fn commit(&mut self) -> Result<()>;

    /// Carries statements out and ends the transaction, in one round trip where there is a network.
    ///
    /// # Errors
    ///
    /// `Refused` if a statement failed, and the transaction with it; `Open` as for [`commit`](Self::commit).
    fn commit_with(&mut self, statements: &[Statement<'_>]) -> Result<(), Unfinished> {
        self.execute_all(statements).map_err(Unfinished::Refused)?;
        self.commit().map_err(Unfinished::Open)
    }

    /// Carries statements out in a transaction of their own, in one round trip where there is a network. The first of them changes the
    /// row that writers lock, or is refused by it as that of a row which is not as expected; those behind it are for rows.
    ///
    /// # Errors
    ///
    /// As for [`commit_with`](Self::commit_with).
    fn transact(&mut self, take: &Statement<'_>, then: &[Statement<'_>]) -> Result<Relied, Unfinished> {
        self.begin_write().map_err(Unfinished::Refused)?;
        match self.execute(&take.sql, &take.values) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.rollback();
                return Ok(Relied::InVain);
            }
            taken => drop(taken.map_err(Unfinished::Refused)?),
        }
        self.commit_with(then).map(|()| Relied::Rightly)
    }

    /// Ends a transaction, if there is one, without an effect.
    fn rollback(&mut self);

    /// Carries a statement out and says how many rows it changed.
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64>;

    /// Carries statements out, one after the other.
    fn execute_all(&mut self, statements: &[Statement<'_>]) -> Result<()> {
        for statement in statements {
            self.execute(&statement.sql, &statement.values)?;
        }
        Ok(())
    }

    /// Asks, and lends each row of the answer.
    fn query(&mut self, sql: &str, values: &[Value<'_>], each: &mut Each<'_>) -> Result<()>;

    /// Asks several questions, and lends each row of the answers, those to the first question first.
    fn query_all(&mut self, questions: &[Statement<'_>], each: &mut EachOf<'_>) -> Result<()> {
        questions.iter().enumerate().try_for_each(|(at, question)| {
            self.query(&question.sql, &question.values, &mut |row| each(at, row).map(ControlFlow::Continue))
        })
    }

    /// Tells those who listen that something was written, as each commit does that is seen to take place.
    ///
    /// # Errors
    ///
    /// What the database says.
    fn ring(&mut self) -> Result<()> {
        Ok(())
    }

    /// A number that stays what it is for as long as nobody writes but this connection. It is asked for in the transaction that relies on it.
    /// `None` where the database has none.
    fn others_mark(&mut self) -> Result<Option<i64>> {
        Ok(None)
    }

    /// Whether the database is at the other end of a network, so that round trips are what counts.
    fn is_far(&self) -> bool {
        false
    }

    /// Whether it can be used further.
    fn is_usable(&self) -> bool;

    /// Whether a view is what this statement made; `None` if this user may not see.
    fn has_view(&mut self, name: &str, statement: &str) -> Result<Option<bool>>;

    /// Makes the indexes anew, where what the database finds wrong with itself may be in them alone.
    fn rebuild_indexes(&mut self) -> Result<()> {
        Ok(())
    }

    /// Refuses where [`rewrite_files`](Self::rewrite_files) would leave something as it is.
    ///
    /// # Errors
    ///
    /// `ReadOnly` if somebody else has to do it.
    fn must_rewrite_files(&mut self) -> Result<()> {
        Ok(())
    }

    /// Has the database write its files anew, so that nothing of what was deleted or overwritten is in them, as far as that is in its power.
    ///
    /// # Errors
    ///
    /// `Locked` if others read what was there before for as long as the settings say.
    fn rewrite_files(&mut self) -> Result<()>;

    /// What the database finds wrong with itself.
    fn check_integrity(&mut self) -> Result<Vec<String>>;

    /// How many bytes the database takes.
    fn size(&mut self) -> Result<u64>;
}

impl<'v> Value<'v> {
    pub(crate) fn text(text: impl Into<Cow<'v, str>>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn bytes(bytes: impl Into<Cow<'v, [u8]>>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// A number of the store. None of them is over `MAX_NUMBER`, which fits.
    pub(crate) fn number(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// The same with memory of its own.
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Int(number) => Value::Int(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Self::Real(bits) => Value::Real(bits),
            Self::Broken(bytes) => Value::Broken(Cow::Owned(bytes.into_owned())),
        }
    }
}

impl<'v> Statement<'v> {
    pub(crate) fn new(sql: impl Into<Cow<'static, str>>, values: impl Into<Vec<Value<'v>>>) -> Self {
        Self { sql: sql.into(), values: values.into(), is_row: false }
    }

    /// A statement that inserts or updates a row of its own: those that follow each other with the same text may be carried out
    /// in any order, or as one.
    pub(crate) fn row(sql: impl Into<Cow<'static, str>>, values: impl Into<Vec<Value<'v>>>) -> Self {
        Self { is_row: true, ..Self::new(sql, values) }
    }
}

/// The first row of an answer, made something of.
pub(crate) fn first<T>(
    connection: &mut dyn Connection,
    sql: &str,
    values: &[Value<'_>],
    mut make: impl FnMut(&dyn Row) -> Result<T>,
) -> Result<Option<T>> {
    let mut found = None;
    connection.query(sql, values, &mut |row| {
        found = Some(make(row)?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// Every row of an answer, made something of.
pub(crate) fn all<T>(
    connection: &mut dyn Connection,
    sql: &str,
    values: &[Value<'_>],
    mut make: impl FnMut(&dyn Row) -> Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    connection.query(sql, values, &mut |row| {
        found.push(make(row)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// An error with the database's place, if it is about the database.
pub(crate) fn placed(error: Error, place: &Path) -> Error {
    if error.place().is_none() && is_of_the_database(error.kind()) { error.at(place, None) } else { error }
}

/// Whether an error of this kind is about the database rather than about what was asked.
fn is_of_the_database(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Locked
        | ErrorKind::ReadOnly
        | ErrorKind::UnsupportedFormat
        | ErrorKind::Corrupt
        | ErrorKind::NoSpace
        | ErrorKind::OutOfMemory
        | ErrorKind::Io => true,
        ErrorKind::InvalidInput
        | ErrorKind::Conflict
        | ErrorKind::AlreadyExists
        | ErrorKind::NotFound
        | ErrorKind::Failed
        | ErrorKind::Closed
        | ErrorKind::Key
        | ErrorKind::Missed
        | ErrorKind::Unsupported => false,
    }
}
