//! A store on a PostgreSQL server whose tables somebody altered: `verify` names what it was, and a repair puts it right.
//!
//! The same statements run on SQLite among the unit tests: of two copies of SQLite in one process each lets go of the other's locks.

use aral_store::{ErrorKind, MessageStore, Mutation};

use crate::support::altered::{self, Alteration};
use crate::support::server::{self, Server};

const TABLES: [&str; 7] =
    ["meta", "events", "conversation_rows", "message_rows", "action_rows", "keys", "tombstones"];

/// Every row of every table.
fn dump(server: &Server, schema: &str, but_meta: bool) -> String {
    let tables = TABLES.iter().filter(|table| !but_meta || **table != "meta");
    let selects = tables.map(|table| format!("SELECT '{table} ' || t::text FROM {schema}.aral_{table} t"));
    server.sql(&format!("{} ORDER BY 1", selects.collect::<Vec<_>>().join(" UNION ALL ")))
}

fn alter(server: &Server, schema: &str, sql: &str) {
    server.sql(&format!("SET search_path = {schema}; {}", altered::for_postgres(sql)));
}

#[test]
fn what_the_server_itself_refuses_to_read_is_named() {
    let Some(server) = server::shared() else { return };
    let url = server.url("refused_reads");
    let store = MessageStore::connect(&url).unwrap();
    store.add_message("c1", "x").unwrap();
    alter(server, "refused_reads", "ALTER TABLE aral_message_rows DROP COLUMN exact CASCADE");
    let report = store.verify().unwrap();
    let reasons: Vec<&str> = report.damaged.iter().map(|damaged| damaged.reason.as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("\"exact\" does not exist")), "{reasons:#?}");
    assert_eq!(report.events, 1);
    // The connection goes on to be used.
    assert_eq!(store.refresh().unwrap(), 1);
}

#[test]
fn what_somebody_altered_on_a_server_is_named_and_rebuilt_from_the_events() {
    let Some(server) = server::shared() else { return };
    let url = server.url("altered");
    let store = MessageStore::connect(&url).unwrap();
    for line in altered::STORE.lines() {
        store.batch(Mutation::from_json_line(line.as_bytes()).unwrap()).unwrap();
    }
    alter(server, "altered", "CREATE TABLE saved AS SELECT * FROM aral_events");
    let sound = dump(server, "altered", false);
    for Alteration { said, sql, is_of_events } in altered::all() {
        alter(server, "altered", sql);
        let damaged = store.verify().unwrap().damaged;
        let reasons: Vec<&str> = damaged.iter().map(|damaged| damaged.reason.as_str()).collect();
        assert!(reasons.iter().any(|reason| reason.contains(said)), "{sql}: {reasons:#?}");
        let repaired = MessageStore::options().repair_in_place(&url);
        if is_of_events {
            let error = repaired.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{sql}: {error}");
            if sql.starts_with("DELETE") {
                let error = store.history("c1").unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{sql}: {error}");
            }
            alter(server, "altered", "DELETE FROM aral_events; INSERT INTO aral_events SELECT * FROM saved");
            continue;
        }
        let report = repaired.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!((report.conversations, report.messages, report.actions, report.events), (2, 6, 2, 14));
        // An id of the store's that is lost is replaced, and a mark that is wrong is taken out.
        let loses = ["DELETE FROM aral_meta", "store_id", "group_id"].iter().any(|part| sql.contains(part));
        if sql.contains("group_id") {
            alter(server, "altered", "DELETE FROM aral_events; INSERT INTO aral_events SELECT * FROM saved");
        }
        if !loses {
            assert_eq!(
                dump(server, "altered", true),
                sound.lines().filter(|line| !line.starts_with("meta ")).collect::<Vec<_>>().join("\n"),
                "{sql}"
            );
        }
    }
    let kept = server.sql("SELECT COUNT(*) FROM altered.aral_quarantine WHERE row_json LIKE '%forged%'");
    assert_eq!(kept, "1", "what stood there is kept");
    assert!(store.add_message("c1", "and goes on").is_ok());
    assert_eq!(store.verify().unwrap().damaged, []);
}
