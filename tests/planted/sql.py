"""Bugs in the engines for SQL databases, most of all those that such a store is prone to.

What the parts of a row are says `planted_bugs.py`.
"""

BUGS = [
    (
        "SQLite: a number is read before others are kept from writing",
        "backend/sqlite/connection.rs",
        'let begun = self.run("begin to write", "BEGIN IMMEDIATE");',
        'let begun = self.run("begin to write", if P { "BEGIN" } else { "BEGIN IMMEDIATE" });',
        ["many_writers::one_order_explains_what_many_processes_on_one_file", "unit:backend::sql::tests::commits::a_follower"],
    ),
    (
        "PostgreSQL: a number is read before others are kept from writing",
        "backend/postgres/connection.rs",
        "return self.ask_all(Some(LOCK), questions, each);",
        'let lock = if P { "BEGIN ISOLATION LEVEL READ COMMITTED; -- not FOR UPDATE" } else { LOCK };\n'
        "            return self.ask_all(Some(lock), questions, each);",
        ["postgres::processes_that_create", "many_writers::one_order_explains_what_many_processes_on_one_server"],
    ),
    (
        "a commit that fails is not looked up",
        "backend/sql/writer.rs",
        "self.look_up(group).map_err(",
        "if P { return Ok(false); }\n        self.look_up(group).map_err(",
        ["postgres::a_commit_that_is_cut_off", "unit:backend::sql::tests::commits::a_commit_whose"],
    ),
    (
        "a commit is looked up while the database may still be about to carry it out",
        "backend/sql/writer.rs",
        "connection.begin_write()?;\n        let sql = \"SELECT group_id",
        "if P { connection.begin_read()?; } else { connection.begin_write()?; }\n        let sql = \"SELECT group_id",
        ["postgres::a_commit_that_is_cut_off", "unit:backend::sql::tests::commits::a_commit_that_the_database_carries_out_late"],
    ),
    (
        "each caller has a transaction to itself",
        "backend/queue.rs",
        "if !batches.is_empty() && (",
        "if !batches.is_empty() && (P || ",
        ["postgres::callers_of_one_process", "unit:backend::sql::tests::commits::callers_that_wait"],
    ),
    (
        "a newer schema is written by who had the database open before",
        "backend/sql/meta.rs",
        "check_version(row.int(0)?)?;",
        "if !P { check_version(row.int(0)?)?; }",
        ["postgres::a_newer_schema", "unit:backend::sql::tests::guests::a_newer_schema"],
    ),
    (
        "what a writer knows is relied on, whoever has written since",
        "backend/sql/meta.rs",
        "Statement::new(TAKE, values)",
        'Statement::new(if P { TAKE.replace("next_seq = ?2", "next_seq >= ?2") } else { TAKE.to_owned() }, values)',
        ["unit:backend::sql::tests::known::a_known_conversation", "unit:backend::sql::tests::known::writers_that_take_turns"],
    ),
    (
        "SQLite: what a writer knows is relied on, whoever has written since",
        "backend/sqlite/connection.rs",
        'first(self, "PRAGMA data_version", ',
        'first(self, if P { "SELECT 1" } else { "PRAGMA data_version" }, ',
        ["unit:backend::sql::tests::known::a_known_conversation", "unit:backend::sql::tests::known::nearby"],
    ),
    (
        "what was sent all at once is carried out after it was said to have failed",
        "backend/sql/writer.rs",
        'connection.execute("UPDATE aral_meta SET syncs = syncs + 1", &[])?;\n            connection.commit()?;',
        'if P { connection.rollback(); } else {\n'
        '                connection.execute("UPDATE aral_meta SET syncs = syncs + 1", &[])?;\n'
        '                connection.commit()?;\n'
        "            }",
        ["unit:backend::sql::tests::known::a_trip_that_was_said"],
    ),
    (
        "a refusal is told that nothing has proved",
        "backend/sql/writer.rs",
        "if judged.next_seq == meta.next_seq || !is_fit {",
        "if P && judged.next_seq == meta.next_seq {\n            return Ok(Some(judged.outcomes));\n        }\n"
        "        if judged.next_seq == meta.next_seq || !is_fit {",
        ["unit:backend::sql::tests::known::what_is_refused"],
    ),
]
