//! The conversations that tools of others keep: files of JSON lines, databases and documents.
//!
//! Owns what all of them become, and where the files are. Every line, row and part is kept as it is, so that an export
//! gives it back.

pub(crate) mod entry;

mod claude_code;

mod codex;

mod gemini_cli;

mod responses;

mod msgpack;

mod chainlit;

mod agent_messages;

pub(crate) mod documents;

pub(crate) mod tool;

pub(crate) mod record;

pub(crate) mod database;

pub(crate) mod databases;

pub(crate) mod places;

pub(crate) mod source;

use entry::Reader;
pub(crate) use tool::{Kept, Tool};

/// What understands the lines of one file of a tool that keeps such files.
pub(crate) fn reader(tool: Tool) -> Option<Box<dyn Reader>> {
    match () {
        () if tool == Tool::ClaudeCode => Some(Box::<claude_code::Session>::default()),
        () if tool == Tool::Codex => Some(Box::<codex::Rollout>::default()),
        () if tool == Tool::GeminiCli => Some(Box::<gemini_cli::Session>::default()),
        () if tool == Tool::AgentFramework => Some(Box::<agent_messages::History>::default()),
        () => None,
    }
}
