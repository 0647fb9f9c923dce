//! The transcripts that coding agents keep: a file of JSON lines for each session.
//!
//! Owns what the lines of all of them become, and where the files are. Every line is kept as it is, so that an export
//! gives the file back.

pub(crate) mod entry;

mod claude_code;

mod codex;

mod gemini_cli;

pub(crate) mod places;

pub(crate) mod source;

use clap::ValueEnum;

use entry::Reader;

/// A tool whose transcripts are read.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tool {
    /// Claude Code: ~/.claude/projects
    ClaudeCode,
    /// Codex: ~/.codex/sessions
    Codex,
    /// Gemini CLI: ~/.gemini/tmp
    GeminiCli,
}

impl Tool {
    pub(crate) const ALL: [Self; 3] = [Self::ClaudeCode, Self::Codex, Self::GeminiCli];

    /// Its name in ids, metadata and options.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::GeminiCli => "gemini-cli",
        }
    }

    /// Its name as its makers write it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::Codex => "Codex",
            Self::GeminiCli => "Gemini CLI",
        }
    }

    /// What understands the lines of one of its files.
    pub(crate) fn reader(self) -> Box<dyn Reader> {
        match self {
            Self::ClaudeCode => Box::<claude_code::Session>::default(),
            Self::Codex => Box::<codex::Rollout>::default(),
            Self::GeminiCli => Box::<gemini_cli::Session>::default(),
        }
    }
}
