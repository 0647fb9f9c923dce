//! Rows that go to a server as one statement.
//!
//! Owns which statements of a list are one, and its text: the values of a column go over in one array. A server takes as long for
//! a statement of its own for each row as for several rows.

use std::fmt::Write;

use tokio_postgres::types::Type;

use crate::backend::sql::connection::Statement;

/// How many rows one statement takes at most, so that its arrays stay far from the longest message that there can be.
const MOST: usize = 256;

/// The parts of a list of statements that are sent as one each.
pub(super) fn runs<'s, 'v>(statements: &'s [Statement<'v>]) -> impl Iterator<Item = &'s [Statement<'v>]> {
    let belong = |one: &Statement<'_>, next: &Statement<'_>| one.is_row && next.is_row && one.sql == next.sql;
    statements.chunk_by(belong).flat_map(|run| run.chunks(MOST))
}

/// The text for several rows, made of that for one, whose parameters have these types. `None` if that is neither an insertion of values
/// nor an update under a condition.
pub(super) fn several(sql: &str, types: &[Type]) -> Option<String> {
    from(sql, types, (0, ""))
}

/// How many rows there are for each part of a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Count {
    One,
    /// Any number; their values come in arrays, which take a server longer than those of one.
    Several,
}

/// The text of one statement that carries all of these out: a first one that returns a row, and then what there is for so many rows each, if
/// it has returned one. Each has the types of its parameters. It answers with `said`.
pub(super) fn as_one(
    (first, parameters): (&str, usize),
    then: &[(&str, &[Type])],
    count: Count,
    said: &str,
) -> Option<String> {
    let (mut text, mut before) = (format!("WITH taken AS ({first} RETURNING one)"), parameters);
    for (number, (sql, types)) in then.iter().enumerate() {
        let part = match count {
            Count::One => from_taken(sql, types, before)?,
            Count::Several => from(sql, types, (before, "taken, "))?,
        };
        write!(text, ", rows{number} AS ({part})").ok()?;
        before += types.len();
    }
    Some(format!("{text} SELECT {said} FROM taken"))
}

/// The text for one row, if there is one of `taken`, with so many parameters before its own.
fn from_taken(sql: &str, types: &[Type], before: usize) -> Option<String> {
    let placed = |expression: &str| {
        let mut parts = expression.split('?');
        let mut text = parts.next()?.to_owned();
        for part in parts {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let (number, rest) = part.split_at(digits);
            let number: usize = number.parse().ok()?;
            let kind = types.get(number.checked_sub(1)?)?.name();
            write!(text, "?{}::{kind}{rest}", before + number).ok()?;
        }
        Some(text)
    };
    if let Some((insert, values)) = sql.split_once(" VALUES ") {
        let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
        return Some(format!("{insert} SELECT {} FROM taken", placed(values)?));
    }
    let (update, condition) = sql.split_once(" WHERE ")?;
    Some(format!("{} FROM taken WHERE {}", placed(update)?, placed(condition)?))
}

/// The text for several rows, with so many parameters before its own, and what else they come from.
fn from(sql: &str, types: &[Type], (before, also): (usize, &str)) -> Option<String> {
    let (mut arrays, mut names) = (String::new(), String::new());
    for (number, kind) in (1..).zip(types) {
        let comma = if number == 1 { "" } else { ", " };
        write!(arrays, "{comma}?{}::{}[]", before + number, kind.name()).ok()?;
        write!(names, "{comma}p{number}").ok()?;
    }
    let rows = format!("{also}unnest({arrays}) AS v({names})");
    if let Some((insert, values)) = sql.split_once(" VALUES ") {
        let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
        return Some(format!("{insert} SELECT {} FROM {rows}", of_row(values)));
    }
    let (update, condition) = sql.split_once(" WHERE ")?;
    Some(format!("{} FROM {rows} WHERE {}", of_row(update), of_row(condition)))
}

/// An expression with columns of a row in the place of parameters.
fn of_row(expression: &str) -> String {
    expression.replace('?', "v.p")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_follow_each_other_become_one_statement() {
        let insert = |n: i64| Statement::row("INSERT", [crate::backend::sql::connection::Value::Int(n)]);
        let other = || Statement::new("DELETE", []);
        let all = [insert(1), insert(2), other(), other(), insert(3)];
        let lengths: Vec<usize> = runs(&all).map(<[_]>::len).collect();
        assert_eq!(lengths, [2, 1, 1, 1]);
        let many: Vec<_> = (0..600).map(insert).collect();
        assert_eq!(runs(&many).map(<[_]>::len).sum::<usize>(), 600);
    }

    #[test]
    fn the_text_for_several_rows_takes_arrays() {
        let types = [Type::INT8, Type::TEXT];
        assert_eq!(
            several("INSERT INTO t (a, b) VALUES (?1, ?2)", &types).unwrap(),
            "INSERT INTO t (a, b) SELECT v.p1, v.p2 FROM unnest(?1::int8[], ?2::text[]) AS v(p1, p2)"
        );
        assert_eq!(
            several("UPDATE t SET b = COALESCE(?2, b) WHERE a = ?1", &types).unwrap(),
            "UPDATE t SET b = COALESCE(v.p2, b) FROM unnest(?1::int8[], ?2::text[]) AS v(p1, p2) WHERE a = v.p1"
        );
        assert_eq!(several("DELETE FROM t", &types), None);
        let insert = ("INSERT INTO t (a, b) VALUES (?1, ?2)", &types[..]);
        assert_eq!(
            as_one(("UPDATE m SET n = ?1", 1), &[insert], Count::Several, "one").unwrap(),
            "WITH taken AS (UPDATE m SET n = ?1 RETURNING one), rows0 AS (INSERT INTO t (a, b) SELECT v.p1, v.p2 \
             FROM taken, unnest(?2::int8[], ?3::text[]) AS v(p1, p2)) SELECT one FROM taken"
        );
        let update = ("UPDATE t SET b = COALESCE(?2, b) WHERE a = ?1", &types[..]);
        assert_eq!(
            as_one(("UPDATE m SET n = ?1", 1), &[insert, update], Count::One, "1 = 1").unwrap(),
            "WITH taken AS (UPDATE m SET n = ?1 RETURNING one), \
             rows0 AS (INSERT INTO t (a, b) SELECT ?2::int8, ?3::text FROM taken), \
             rows1 AS (UPDATE t SET b = COALESCE(?5::text, b) FROM taken WHERE a = ?4::int8) SELECT 1 = 1 FROM taken"
        );
    }
}
