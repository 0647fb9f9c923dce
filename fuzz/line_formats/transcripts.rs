//! The program's readers of lines.

#[path = "../../src/bin/aral-store/transcripts/entry.rs"]
pub(crate) mod entry;

#[path = "../../src/bin/aral-store/transcripts/claude_code.rs"]
pub(crate) mod claude_code;

#[path = "../../src/bin/aral-store/transcripts/codex.rs"]
pub(crate) mod codex;

#[path = "../../src/bin/aral-store/transcripts/gemini_cli.rs"]
pub(crate) mod gemini_cli;

use entry::Reader;

pub(crate) fn claude_code() -> Box<dyn Reader> {
    Box::<claude_code::Session>::default()
}

pub(crate) fn codex() -> Box<dyn Reader> {
    Box::<codex::Rollout>::default()
}

pub(crate) fn gemini_cli() -> Box<dyn Reader> {
    Box::<gemini_cli::Session>::default()
}
