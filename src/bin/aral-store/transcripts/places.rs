//! Where the tools keep their transcripts.
//!
//! Owns the usual folders and the variables that name others. Links are not followed.

use std::fs;
use std::path::{Path, PathBuf};

use super::Tool;

impl Tool {
    /// The folders that this user's transcripts are in, whether they are there or not.
    pub(crate) fn folders(self) -> Vec<PathBuf> {
        let (variable, usual, below) = match () {
            () if self == Self::ClaudeCode => (Some("CLAUDE_CONFIG_DIR"), ".claude", &["projects"][..]),
            () if self == Self::Codex => {
                (Some("CODEX_HOME"), ".codex", &["sessions", "archived_sessions"][..])
            }
            () if self == Self::GeminiCli => (None, ".gemini", &["tmp"][..]),
            () if self == Self::Opencode => (Some("XDG_DATA_HOME"), ".local/share", &["opencode"][..]),
            () if self == Self::Llm => (Some("LLM_USER_PATH"), ".config/io.datasette.llm", &[""][..]),
            () => return Vec::new(),
        };
        let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = variable.and_then(named).or_else(|| Some(named("HOME")?.join(usual)));
        home.map_or_else(Vec::new, |home| below.iter().map(|name| home.join(name)).collect())
    }

    /// What a file is called below the folder of its tool, wherever that lies.
    pub(crate) fn name_of(self, file: &Path) -> String {
        let folders = match () {
            () if self == Self::ClaudeCode => &["projects"][..],
            () if self == Self::Codex => &["sessions", "archived_sessions"][..],
            () if self == Self::GeminiCli => &["chats"][..],
            // What comes of another one has names of its own.
            () => &[][..],
        };
        let parts: Vec<_> = file.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let start = parts.iter().rposition(|part| folders.contains(&&**part));
        // There is such a folder in that of each project.
        let start = start.map(|at| if self == Self::GeminiCli { at.saturating_sub(1) } else { at + 1 });
        let parts = parts.get(start.unwrap_or(parts.len().saturating_sub(1))..).unwrap_or_default();
        parts.join("/")
    }
}

/// A file that may be a transcript.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// What the names of files of JSON lines end with.
pub(crate) const LINES: &[&str] = &["jsonl"];

/// What the names of databases end with.
pub(crate) const DATABASES: &[&str] = &["db", "sqlite", "sqlite3"];

/// What the names of documents end with.
pub(crate) const DOCUMENTS: &[&str] = &["json", "md"];

/// The files below a folder whose names end so, by name, and the folders that cannot be read.
pub(crate) fn files(folder: &Path, ends: &[&str]) -> (Vec<Found>, Vec<(PathBuf, std::io::Error)>) {
    let (mut found, mut unread, mut folders) = (Vec::new(), Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        #[expect(clippy::disallowed_methods, reason = "what is looked at is no part of a store")]
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                unread.push((folder, error));
                continue;
            }
        };
        for entry in entries {
            let seen = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?, entry.metadata()?)));
            match seen {
                Ok((path, kind, _)) if kind.is_dir() => folders.push(path),
                Ok((path, kind, metadata)) if kind.is_file() => {
                    if path.extension().is_some_and(|name| ends.iter().any(|end| name == *end)) {
                        found.push(Found { path, bytes: metadata.len() });
                    }
                }
                Ok(_) => {}
                Err(error) => unread.push((folder.clone(), error)),
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    (found, unread)
}
