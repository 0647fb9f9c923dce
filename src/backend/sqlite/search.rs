//! The index for searching in SQLite: a table of FTS5.
//!
//! Owns how terms are written for it. They are in small letters, with no ASCII character in them but letters and digits, so that its plainest
//! tokenizer takes each as it is. It keeps which messages have a term, and neither texts nor places in them.

use std::collections::BTreeSet;

use crate::backend::sql::connection::SearchDialect;
use crate::search::{EVERYTHING, Proposal};

pub(super) const SEARCH: SearchDialect = SearchDialect {
    create: &[
        "CREATE VIRTUAL TABLE aral_search_index USING \
               fts5(terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii')",
        // Takes no room: it shows what is in the other one.
        "CREATE VIRTUAL TABLE aral_search_terms USING fts5vocab('aral_search_index', 'instance')",
    ],
    clear: "INSERT INTO aral_search_index (aral_search_index) VALUES ('delete-all')",
    index: "INSERT OR REPLACE INTO aral_search_index (rowid, terms) VALUES (?1, ?2)",
    remove: "DELETE FROM aral_search_index WHERE rowid = ?1",
    proposed: "SELECT rowid FROM aral_search_index WHERE aral_search_index MATCH {asked}",
    all: "SELECT doc, term FROM aral_search_terms",
    document,
    query,
};

fn document(terms: &BTreeSet<String>) -> String {
    terms.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

pub(in crate::backend) fn query(proposals: &[Proposal]) -> String {
    let term = |proposal: &Proposal| {
        let star = if proposal.is_prefix { "*" } else { "" };
        format!("\"{}\"{star}", proposal.term.replace('"', "\"\""))
    };
    let all: Vec<String> = proposals.iter().map(term).collect();
    format!("({}) OR \"{EVERYTHING}\"", all.join(" AND "))
}
