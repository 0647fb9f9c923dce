//! The index for searching in PostgreSQL: a `tsvector` for each message, with a GIN index.
//!
//! Owns how terms are written for it. They are given as they are, so that no configuration of a language changes them, and without places,
//! whose number would be limited.

use std::collections::BTreeSet;

use crate::backend::sql::connection::SearchDialect;
use crate::search::{EVERYTHING, Proposal};

pub(super) const SEARCH: SearchDialect = SearchDialect {
    create: &[
        "CREATE TABLE aral_search_index (seq BIGINT PRIMARY KEY, terms TSVECTOR NOT NULL)",
        "CREATE INDEX aral_search_index_by_term ON aral_search_index USING GIN (terms)",
    ],
    clear: "DELETE FROM aral_search_index",
    index: "INSERT INTO aral_search_index (seq, terms) VALUES (?1, CAST(CAST(?2 AS TEXT) AS TSVECTOR)) \
            ON CONFLICT (seq) DO UPDATE SET terms = EXCLUDED.terms",
    remove: "DELETE FROM aral_search_index WHERE seq = ?1",
    proposed: "SELECT seq FROM aral_search_index WHERE terms @@ CAST(CAST({asked} AS TEXT) AS TSQUERY)",
    all: "SELECT seq, unnest(tsvector_to_array(terms)) FROM aral_search_index",
    document,
    query,
};

/// A term in quotes.
fn quoted(term: &str) -> String {
    format!("'{}'", term.replace('\\', "\\\\").replace('\'', "''"))
}

fn document(terms: &BTreeSet<String>) -> String {
    terms.iter().map(|term| quoted(term)).collect::<Vec<_>>().join(" ")
}

fn query(proposals: &[Proposal]) -> String {
    let term = |proposal: &Proposal| {
        let star = if proposal.is_prefix { ":*" } else { "" };
        quoted(&proposal.term) + star
    };
    let all: Vec<String> = proposals.iter().map(term).collect();
    format!("({}) | {}", all.join(" & "), quoted(EVERYTHING))
}
