//! Looking at the JSON files of a store without the store.
//!
//! Owns the independent reading of the layout: an index that lists every conversation in order, one file for
//! each, and nothing else that ends in `.json`. Reads interchange JSON only; what only Python can read is
//! compared by way of the store.

use std::path::Path;

use aral_store::vfs::{FileKind, OpenMode, Vfs, read_all};
use serde_json::Value;

use super::check::{Checked, same};
use super::oracle::Oracle;
use super::simfs::SimFs;

const MOST_BYTES: u64 = 64 << 20;

fn read(fs: &dyn Vfs, path: &Path) -> Checked<Vec<u8>> {
    let bytes = fs.open(path, OpenMode::Read).and_then(|file| read_all(&*file, MOST_BYTES));
    bytes.map_err(|error| format!("{}: {error}", path.display()))
}

/// What a file holds; `None` if it is whole and yet not interchange JSON.
fn parse(fs: &dyn Vfs, path: &Path) -> Checked<Option<Value>> {
    let bytes = read(fs, path)?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{}: not UTF-8", path.display()))?;
    match serde_json::from_str(&text) {
        Ok(value) => Ok(Some(value)),
        Err(_) if text.ends_with('}') && is_pythonic(&text) => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Whether a text may hold what Python writes and other parsers refuse.
fn is_pythonic(text: &str) -> bool {
    ["NaN", "Infinity", "\\ud"].iter().any(|mark| text.contains(mark))
}

fn names(fs: &dyn Vfs, dir: &Path) -> Checked<Vec<String>> {
    match fs.read_dir(dir) {
        Ok(entries) => {
            let files = entries.into_iter().filter(|entry| entry.kind == FileKind::File);
            let mut names: Vec<String> = files.map(|entry| entry.name).collect();
            names.sort();
            Ok(names)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("{}: {error}", dir.display())),
    }
}

/// What is in every conversation's file of a store that is not encrypted, and what the tests say most.
const PLAIN: [&str; 8] = [
    "conversation_ids",
    "created_at",
    "messages",
    "metadata",
    "in a batch",
    "long long",
    "message 1",
    "PLAIN-7f3a",
];

/// Nothing that is kept stands anywhere as it is: neither in a file nor in a name.
pub(crate) fn nothing_plain(fs: &SimFs) -> Checked {
    for (path, _) in fs.files() {
        let bytes = fs.read(&path).unwrap_or_default();
        let name = path.to_string_lossy().into_owned();
        for text in PLAIN {
            let is_in = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            if is_in(&bytes) || is_in(name.as_bytes()) {
                return Err(format!("{text:?} is plain in {name}"));
            }
        }
    }
    Ok(())
}

/// Every JSON file is whole, whatever it says; of an encrypted store none says anything.
pub(crate) fn whole(fs: &SimFs, dir: &Path) -> Checked {
    if fs.is_sealed() {
        return nothing_plain(fs);
    }
    for folder in [dir.to_owned(), dir.join("conversations")] {
        for name in names(fs, &folder)? {
            if Path::new(&name).extension().is_some_and(|extension| extension == "json") {
                parse(fs, &folder.join(name))?;
            }
        }
    }
    Ok(())
}

/// The files say what the oracle says, right after a compaction.
pub(crate) fn snapshot(fs: &dyn Vfs, dir: &Path, oracle: &Oracle) -> Checked {
    snapshot_beside(fs, dir, oracle, None)
}

/// The same of all files but that of one conversation.
pub(crate) fn snapshot_beside(fs: &dyn Vfs, dir: &Path, oracle: &Oracle, but: Option<&str>) -> Checked {
    let folder = dir.join("conversations");
    let names = names(fs, &folder)?;
    let index = parse(fs, &dir.join("message_store.json"))?.ok_or("the index is not interchange JSON")?;
    let listed = index["conversation_ids"].as_array().ok_or("the index has no list")?;
    let mut listed_names: Vec<String> =
        listed.iter().map(|stem| format!("{}.json", stem.as_str().unwrap_or_default())).collect();
    same("the count of conversations in the index", &listed.len(), &oracle.conversations.len())?;
    for (name, known) in listed_names.iter().zip(&oracle.conversations) {
        if but == Some(known.conversation.id.as_str()) {
            continue;
        }
        // A name that the index lists is the conversation's own id unless that is not safe as one.
        let Some(value) = parse(fs, &folder.join(name))? else { continue };
        same("the id in a file", &value["id"].as_str(), &Some(known.conversation.id.as_str()))?;
        conversation(&value, oracle, &known.conversation.id).map_err(|wrong| format!("{name:?}: {wrong}"))?;
    }
    listed_names.sort();
    same("the files and the index", &names, &listed_names)
}

fn conversation(value: &Value, oracle: &Oracle, id: &str) -> Checked {
    let known = oracle.find(id).ok_or("a file of a conversation that does not exist")?;
    let ought = &known.conversation;
    same("the title", &value["title"].as_str(), &ought.title.as_str())?;
    same("the time", &value["created_at"].as_str(), &Some(ought.created_at.to_string().as_str()))?;
    let texts = |list: &str, field: &str| -> Vec<Option<String>> {
        let items = value[list].as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().map(|item| item[field].as_str().map(str::to_owned)).collect()
    };
    let owned = |text: &aral_store::Text| text.as_str().map(str::to_owned);
    let messages = &ought.messages;
    same("ids", &texts("messages", "id"), &messages.iter().map(|m| owned(&m.id)).collect())?;
    same("texts", &texts("messages", "content"), &messages.iter().map(|m| owned(&m.content)).collect())?;
    same("roles", &texts("messages", "role"), &messages.iter().map(|m| owned(&m.role)).collect())?;
    let actions = &ought.actions;
    same("actions", &texts("actions", "id"), &actions.iter().map(|a| owned(&a.id)).collect())?;
    let types = actions.iter().map(|a| owned(&a.action_type)).collect();
    same("types", &texts("actions", "action_type"), &types)
}
