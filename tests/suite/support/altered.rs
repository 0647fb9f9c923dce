//! What somebody may have done to a store in a database: the statements of tests/altered.

/// The store, a line for each batch.
pub(crate) const STORE: &str = include_str!("../../altered/store.jsonl");

const TABLES: &str = include_str!("../../altered/tables.txt");
const EVENTS: &str = include_str!("../../altered/events.txt");

/// What is done, and a part of what is said of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alteration {
    pub(crate) said: &'static str,
    pub(crate) sql: &'static str,
    /// Whether events are damaged or missing by it, so that nothing is rebuilt in place.
    pub(crate) is_of_events: bool,
}

/// All of them.
pub(crate) fn all() -> Vec<Alteration> {
    let lines = |text: &'static str| text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let tables = lines(TABLES).map(|line| {
        let (said, sql) = line.split_once(" ~ ").unwrap();
        Alteration { said, sql, is_of_events: false }
    });
    let events = lines(EVENTS).map(|line| {
        let (numbers, rest) = line.split_once(" ~ ").unwrap();
        let (said, sql) = rest.split_once(" ~ ").unwrap();
        Alteration { said, sql, is_of_events: !numbers.trim().is_empty() }
    });
    tables.chain(events).collect()
}

/// A statement with its `{616263}` as PostgreSQL writes bytes.
pub(crate) fn for_postgres(sql: &str) -> String {
    let (mut out, mut rest) = (String::new(), sql);
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        match behind.split_once('}') {
            // Objects of JSON stand in quotes, bytes do not.
            Some((hex, behind))
                if !before.ends_with('\'') && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                out = format!("{out}'\\x{hex}'::bytea");
                rest = behind;
            }
            _ => {
                out.push('{');
                rest = behind;
            }
        }
    }
    out + rest
}
