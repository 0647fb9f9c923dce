//! Is a view what the store made?
//!
//! Owns the comparison. The server keeps no text of a view, and writes it anew in its version's own way. What does not depend on
//! the version is that the plan of a view is that of its statement.

use std::ops::ControlFlow;

use crate::backend::sql::connection::{Connection, Value, all};
use crate::error::Result;

/// Whether a view has the columns and the plan of the statement that makes it; `None` if this user may not read it.
pub(super) fn is_made_by(
    connection: &mut dyn Connection,
    name: &str,
    statement: &str,
) -> Result<Option<bool>> {
    let (columns, may_read) = columns(connection, name)?;
    if columns.is_empty() || !may_read {
        return Ok(if may_read { Some(false) } else { None });
    }
    let Some((_, select)) = statement.split_once(" AS") else { return Ok(Some(false)) };
    let listed = select.split("FROM").next().unwrap_or_default().trim().trim_start_matches("SELECT");
    let ought = listed.split(',').map(|column| {
        let column = column.rsplit_once(" AS ").map_or(column, |(_, name)| name);
        column.rsplit('.').next().unwrap_or(column).trim()
    });
    if !columns.iter().map(String::as_str).eq(ought) {
        return Ok(Some(false));
    }
    let is = plan(connection, &format!("SELECT * FROM {name}"))?;
    // As deep as in a view, because a plan names tables where there is more than one thing to name.
    let ought = plan(connection, &format!("SELECT * FROM ({select}) AS {name}"))?;
    Ok(Some(is == ought))
}

/// The columns of a view, none if there is no such view, and whether this user may read it.
fn columns(connection: &mut dyn Connection, view: &str) -> Result<(Vec<String>, bool)> {
    let sql = "SELECT CAST(a.attname AS TEXT), CAST(CAST(has_table_privilege(c.oid, 'SELECT') AS INT4) AS INT8) \
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
               WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relkind = 'v' \
               AND c.relname = CAST(?1 AS TEXT) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let mut may_read = true;
    let columns = all(connection, sql, &[Value::text(view)], |row| {
        may_read &= row.int(1)? == 1;
        row.text(0).map(str::to_owned)
    })?;
    Ok((columns, may_read))
}

/// What the server would do.
fn plan(connection: &mut dyn Connection, select: &str) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    connection.query(&format!("EXPLAIN (VERBOSE, COSTS OFF) {select}"), &[], &mut |row| {
        lines.push(row.text(0)?.to_owned());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(lines)
}
