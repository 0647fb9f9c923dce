//! No id leads out of the store's directory, and none is mistaken for another.

use std::path::{Component, Path};

use serde_json::Value;

use super::{Room, files, message_line};

/// Ids that are dangerous, reserved or confusable as names of files.
fn ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "../x",
        "..",
        ".",
        "/etc/x",
        "a/b",
        "a\\b",
        "nul\0byte",
        "CON",
        "con",
        "aux.txt",
        "Case",
        "case",
        "CASE",
        "trailing.",
        "trailing ",
        " leading",
        "-dash",
        "line\nbreak",
        "tab\t",
        "é",
        "e\u{301}",
        "log",
        "LOCK",
        "message_store",
        "x.json",
        "%2e%2e",
        "~",
        "*",
        "?",
        ":",
        "\u{202e}rtl",
    ]
    .iter()
    .map(|id| (*id).to_owned())
    .collect();
    ids.push("n".repeat(300));
    ids.push("ü".repeat(150));
    ids
}

#[test]
fn no_id_writes_outside_and_every_id_keeps_its_own_messages() {
    let room = Room::new();
    let ids = ids();
    let input: String = ids.iter().map(|id| message_line(id, &format!("of {id}"))).collect();
    assert_eq!(room.run_with(&["append"], input.as_bytes()).json().len(), ids.len());
    let check = || {
        let listed = room.run(&["ls", "--json"]).json();
        let listed: Vec<&str> = listed.iter().map(|summary| summary["id"].as_str().unwrap()).collect();
        assert_eq!(listed, ids);
        for id in ids.iter().filter(|id| !id.contains('\0')) {
            let shown = room.run(&["show", "--json", "--", id]).json().remove(0);
            assert_eq!(
                (&shown["id"], &shown["messages"][0]["content"]),
                (&Value::from(id.as_str()), &format!("of {id}").into())
            );
        }
        let outside: Vec<_> =
            files(room.0.path()).into_iter().filter(|path| !path.starts_with("store")).collect();
        assert!(outside.is_empty(), "{outside:?}");
        assert!(!Path::new("/etc/x.json").exists() && !Path::new("/etc/x").exists());
    };
    check();
    assert_eq!(room.run(&["compact", "--json"]).json()[0]["written"], ids.len());
    check();
    // Every conversation's file stands right in its folder, under a name that is one there.
    let in_folder: Vec<_> =
        files(&room.store()).into_iter().filter(|path| path.starts_with("conversations")).collect();
    assert_eq!(in_folder.len(), ids.len());
    for path in in_folder {
        assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
        assert_eq!(path.components().count(), 2, "{path:?}");
    }
    assert_eq!(room.run(&["verify"]).code, Some(0));
}

#[test]
fn an_id_over_the_limit_is_refused() {
    let room = Room::new();
    let error = room.run_with(&["append"], message_line(&"n".repeat(1025), "x").as_bytes()).fails(1);
    assert!(error.contains("1024"), "{error}");
}
