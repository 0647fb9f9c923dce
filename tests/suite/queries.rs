//! The queries of docs/sql.md, read from there, against a store that was made through the library.
//!
//! SQLite is asked by a program of its own: of two copies of SQLite in one process each lets go of the other's locks.

#![expect(clippy::disallowed_methods, reason = "programs run, and the document is on the real file system")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use aral_store::{
    JsonObject, MessageStore, Mutation, NewAction, NewConversation, NewMessage, StoreUrl, Timestamp,
};

/// Prints each row of an answer as a line, NULL as nothing.
const ASKS: &str = r#"
import sqlite3, sys
path, sql = sys.argv[1:]
connection = sqlite3.connect("file:" + path + "?mode=ro", uri=True)
for row in connection.execute(sql):
    print("|".join("" if value is None else str(value) for value in row))
"#;

/// Every query with what it must say.
const ANSWERS: [(&str, &[&str]); 11] = [
    ("Last week's conversations in which a tool failed", &["recent|Conversation recent|2"]),
    (
        "Tokens by model and day",
        &["2025-03-13|large|30|2", "2025-03-13|small|5|1", "2025-03-13|||1", "2025-03-14|large|7|1"],
    ),
    ("What each conversation cost", &["weather|6|{unreadable}", "plans|2|0"]),
    ("Tools by name, and how often they fail", &["search|4|75.0", "clock|1|0.0"]),
    ("Messages by day and role", &["2025-03-13|assistant|4", "2025-03-13|user|4", "2025-03-14|assistant|1"]),
    ("The busiest hours of the day", &["09|6", "23|2", "00|1"]),
    (
        "The longest conversations",
        &["weather|Will it Rain?|6", "plans|Plans|3", "recent|Conversation recent|0"],
    ),
    ("Conversations without an answer", &["plans|And then?|2025-03-14T01:30:00+02:00"]),
    ("Conversations by words of their titles", &["weather|Will it Rain?"]),
    ("What changed since an event", &["plans|4|11", "recent|5|16"]),
    ("Messages that were sent twice", &["weather|user|Hello?|2"]),
];

/// A query of the document.
struct Query {
    title: String,
    /// The engine that it is for, if not for all.
    engine: Option<String>,
    sql: String,
}

/// The queries of the document, and what a session begins with.
fn queries() -> (String, Vec<Query>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sql.md");
    let text = fs::read_to_string(path).unwrap();
    let section = text.split("\n## Queries\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let (mut title, mut begins, mut found) = (String::new(), String::new(), Vec::new());
    let mut lines = section.lines();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("### ") {
            heading.clone_into(&mut title);
        }
        if line != "```sql" {
            continue;
        }
        let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let engine = code[0].strip_prefix("-- ").map(str::to_owned);
        let sql = code.join("\n");
        if engine.as_deref() == Some("PostgreSQL, once a session") {
            begins = sql;
        } else {
            found.push(Query { title: title.clone(), engine, sql });
        }
    }
    (begins, found)
}

fn message(role: &str, content: &str, at: &str, metadata: &str) -> NewMessage {
    let message = NewMessage::new(content).role(role).created_at(at.parse().unwrap());
    message.metadata(JsonObject::parse(metadata).unwrap())
}

/// Conversations with metadata of every kind, some of which no database takes for JSON.
fn fill(url: &str) {
    let store = MessageStore::connect(url).unwrap();
    let began = |title: &str| NewConversation::new().title(title);
    drop(store.append(Mutation::create_conversation("weather", began("Will it Rain?"))).unwrap());
    let say = |id: &str, role: &str, content: &str, at: &str, metadata: &str| {
        drop(store.add_message(id, message(role, content, at, metadata)).unwrap());
    };
    say("weather", "user", "Hello?", "2025-03-13T09:00:00Z", "{}");
    say("weather", "user", "Hello?", "2025-03-13T09:00:01Z", r#"{"odd":"\u0000 \ud800 NaN"}"#);
    let large = r#"{"model":"large","usage":{"total_tokens":10},"cost":4,"note":"not NaN, \\u0000"}"#;
    say("weather", "assistant", "Yes.", "2025-03-13T09:00:02Z", large);
    let nan = r#"{"model":"large","usage":{"total_tokens":99},"cost":9,"score":NaN}"#;
    say("weather", "assistant", "No.", "2025-03-13T09:00:03Z", nan);
    let more = r#"{"model":"large","usage":{"total_tokens":20},"cost":2}"#;
    say("weather", "assistant", "Perhaps.", "2025-03-13T09:59:59Z", more);
    say(
        "weather",
        "assistant",
        "Surely.",
        "2025-03-13T10:00:00+01:00",
        r#"{"model":"small","usage":{"total_tokens":5}}"#,
    );
    drop(store.append(Mutation::create_conversation("plans", began("Plans"))).unwrap());
    say("plans", "user", "What now?", "2025-03-13T23:59:59.999999Z", "{}");
    say(
        "plans",
        "assistant",
        "This.",
        "2025-03-14T00:00:00Z",
        r#"{"model":"large","usage":{"total_tokens":7},"cost":2}"#,
    );
    say(
        "plans",
        "user",
        "And then?",
        "2025-03-14T01:30:00+02:00",
        r#"{"big":123456789012345678901234567890}"#,
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    let days_ago = |days: i64| i64::try_from(now).unwrap() - days * 86_400_000_000;
    for (name, error, days) in
        [("search", "\"away\"", 1), ("search", "\"full\"", 2), ("search", "\"old\"", 9)]
    {
        let data = JsonObject::parse(&format!(r#"{{"name":"{name}","error":{error}}}"#)).unwrap();
        let at = Timestamp::from_unix_micros(days_ago(days)).unwrap();
        drop(store.add_action("recent", NewAction::new("tool_call", data).created_at(at)).unwrap());
    }
    for data in [r#"{"name":"search","error":null}"#, r#"{"name":"clock"}"#] {
        let data = JsonObject::parse(data).unwrap();
        drop(store.add_action("recent", NewAction::new("tool_call", data)).unwrap());
    }
}

/// What SQLite's answer is, asked by another program; `None` if there is none here.
fn ask_sqlite(path: &Path, sql: &str) -> Option<String> {
    let said = Command::new("python3").args(["-c", ASKS]).arg(path).arg(sql).output();
    let said = match said {
        Ok(said) => said,
        Err(_) => Command::new("sqlite3")
            .args(["-readonly", "-noheader", "-list"])
            .arg(path)
            .arg(sql)
            .output()
            .ok()?,
    };
    assert!(said.status.success(), "{said:?}\n{sql}");
    Some(String::from_utf8(said.stdout).unwrap().trim_end().to_owned())
}

/// Holds that every query for an engine says what it must.
fn hold(engine: &str, ask: impl Fn(&str, &str) -> Option<String>) {
    let (begins, queries) = queries();
    for (title, answer) in ANSWERS {
        let is_meant =
            |query: &&Query| query.title == title && query.engine.as_deref().is_none_or(|of| of == engine);
        let query =
            queries.iter().find(is_meant).unwrap_or_else(|| panic!("{engine} has no query for {title:?}"));
        let Some(said) = ask(&begins, &query.sql) else {
            writeln!(std::io::stderr(), "SKIPPED: no other program that reads SQLite here").ok();
            return;
        };
        // PostgreSQL's `jsonb` does not take a NUL either.
        let unreadable = if engine == "SQLite" { "1" } else { "2" };
        let answer: Vec<String> = answer.iter().map(|row| row.replace("{unreadable}", unreadable)).collect();
        assert_eq!(said.lines().collect::<Vec<_>>(), answer, "{engine}: {title}");
    }
    for query in &queries {
        assert!(ANSWERS.iter().any(|(title, _)| *title == query.title), "nothing holds {:?}", query.title);
    }
}

#[test]
fn the_queries_of_the_document_say_what_they_promise_of_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let url = format!("sqlite:{}", path.display());
    if StoreUrl::of(&url).is_ok() {
        fill(&url);
        hold("SQLite", |_, sql| ask_sqlite(&path, sql));
    }
}

#[cfg(feature = "postgres")]
#[test]
fn the_queries_of_the_document_say_what_they_promise_of_postgresql() {
    let Some(server) = crate::support::server::shared() else { return };
    fill(&server.url("queries"));
    server.sql(
        "CREATE ROLE asker LOGIN; GRANT USAGE ON SCHEMA queries TO asker; \
         GRANT SELECT ON ALL TABLES IN SCHEMA queries TO asker",
    );
    // As somebody who may only read.
    let begins = "SET SESSION AUTHORIZATION asker; SET search_path = queries;";
    hold("PostgreSQL", |function, sql| Some(server.sql(&format!("{begins} {function} {sql}"))));
}
