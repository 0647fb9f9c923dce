//! The statements that a connection keeps prepared.
//!
//! Owns which of them are prepared together: each that is prepared by itself takes a round trip, and who writes for the first time
//! takes them while others wait for him.

use std::collections::BTreeSet;

use tokio_postgres::Statement as Prepared;

use super::calls::together;
use super::connection::PostgresConnection;
use super::rows::{self, Count};
use super::trip::{Answer, Run};
use crate::backend::sql::connection::Statement;
use crate::error::{Error, ErrorKind, Result};

/// How many statements a connection keeps prepared.
const PREPARED: usize = 256;

impl PostgresConnection {
    /// The prepared form of a statement.
    pub(super) fn prepare(&mut self, action: &str, sql: &str) -> Result<Prepared> {
        if let Some(prepared) = self.prepared.get(sql) {
            return Ok(prepared.clone());
        }
        let written = sql.replace('?', "$");
        let answer = self.calls.wait(self.limit, self.client.prepare(&written));
        let prepared = self.settle(action, answer)?;
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        self.prepared.insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }

    /// Prepares what is not prepared yet, all in one round trip.
    pub(super) fn prepare_missing<'t>(
        &mut self,
        action: &str,
        texts: impl Iterator<Item = &'t str>,
    ) -> Result<()> {
        let missing: BTreeSet<&str> = texts.filter(|sql| !self.prepared.contains_key(*sql)).collect();
        if missing.len() < 2 || self.prepared.len() + missing.len() > PREPARED {
            // One is prepared when its turn comes, and so are very many.
            return Ok(());
        }
        let client = &self.client;
        let one = |sql: &&str| {
            let written = sql.replace('?', "$");
            async move { client.prepare(&written).await }
        };
        let answers = self.calls.wait(self.limit, together(missing.iter().map(one).collect()));
        let answers = answers.map(|answers| answers.into_iter().collect::<Answer<Vec<_>>>());
        let prepared = self.settle(action, answers)?;
        self.prepared.extend(missing.into_iter().map(str::to_owned).zip(prepared));
        Ok(())
    }

    pub(super) fn prepare_all(
        &mut self,
        action: &str,
        statements: &[Statement<'_>],
    ) -> Result<Vec<Prepared>> {
        self.prepare_missing(action, statements.iter().map(|statement| &*statement.sql))?;
        statements.iter().map(|statement| self.prepare(action, &statement.sql)).collect()
    }

    /// The same, with rows that follow each other as one.
    pub(super) fn prepare_runs<'s, 'v>(
        &mut self,
        statements: &'s [Statement<'v>],
    ) -> Result<Vec<Run<'s, 'v>>> {
        self.prepare_missing("write", statements.iter().map(|statement| &*statement.sql))?;
        let several: Vec<_> = rows::runs(statements)
            .filter(|rows| rows.len() > 1)
            .filter_map(|rows| rows.first())
            .filter_map(|row| rows::several(&row.sql, self.prepared.get(&*row.sql)?.params()))
            .collect();
        self.prepare_missing("write", several.iter().map(String::as_str))?;
        let one = |rows: &'s [Statement<'v>]| {
            let sql = rows.first().map_or("", |row| &row.sql);
            let prepared = self.prepare("write", sql)?;
            let several = if rows.len() > 1 { rows::several(sql, prepared.params()) } else { None };
            Ok((several.map_or(Ok(prepared), |sql| self.prepare("write", &sql))?, rows))
        };
        rows::runs(statements).map(one).collect()
    }

    /// A statement, and then rows, as one, which answers with whether somebody listens. What they are stands for its text, which is long.
    pub(super) fn prepare_as_one(
        &mut self,
        take: &Statement<'_>,
        runs: &[&[Statement<'_>]],
        count: Count,
    ) -> Result<Prepared> {
        let texts: Vec<&str> = runs.iter().filter_map(|rows| rows.first()).map(|row| &*row.sql).collect();
        let name = format!("{count:?}: {}", texts.join(";"));
        if let Some(prepared) = self.prepared.get(&name) {
            return Ok(prepared.clone());
        }
        self.prepare_missing("write", texts.iter().copied())?;
        let each: Vec<_> = texts.iter().map(|sql| self.prepare("write", sql)).collect::<Result<_>>()?;
        let then: Vec<_> = texts.iter().copied().zip(each.iter().map(Prepared::params)).collect();
        let text = rows::as_one((&take.sql, take.values.len()), &then, count, &self.is_heard);
        let text = text.ok_or_else(|| Error::new(ErrorKind::Failed, "these statements are not one"))?;
        let prepared = self.prepare("write", &text)?;
        self.prepared.insert(name, prepared.clone());
        Ok(prepared)
    }
}
