//! The tools whose conversations are read.
//!
//! Owns their names, what kind of file each keeps them in, and what the command line says of them.

use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;

/// A tool whose conversations are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tool {
    ClaudeCode,
    Codex,
    GeminiCli,
    Opencode,
    OpenaiAgents,
    Langgraph,
    Llm,
    GoogleAdk,
    Chainlit,
    Aider,
    AiSdk,
    PydanticAi,
    LlamaIndex,
    AgentFramework,
    Autogen,
    Haystack,
    Chatgpt,
    ClaudeAi,
    OpenWebui,
}

/// What a tool keeps conversations in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// A file of JSON lines for each.
    Lines,
    /// An SQLite database for many.
    Database,
    /// A JSON value, for one or many.
    Document,
}

impl Tool {
    pub(crate) const ALL: [Self; 19] = [
        Self::ClaudeCode,
        Self::Codex,
        Self::GeminiCli,
        Self::Opencode,
        Self::OpenaiAgents,
        Self::Langgraph,
        Self::Llm,
        Self::GoogleAdk,
        Self::Chainlit,
        Self::Aider,
        Self::AiSdk,
        Self::PydanticAi,
        Self::LlamaIndex,
        Self::AgentFramework,
        Self::Autogen,
        Self::Haystack,
        Self::Chatgpt,
        Self::ClaudeAi,
        Self::OpenWebui,
    ];

    /// Its name in ids, metadata and options, and as its makers write it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::ClaudeCode => ("claude-code", "Claude Code"),
            Self::Codex => ("codex", "Codex"),
            Self::GeminiCli => ("gemini-cli", "Gemini CLI"),
            Self::Opencode => ("opencode", "opencode"),
            Self::OpenaiAgents => ("openai-agents", "OpenAI Agents SDK"),
            Self::Langgraph => ("langgraph", "LangGraph"),
            Self::Llm => ("llm", "llm"),
            Self::GoogleAdk => ("google-adk", "Google ADK"),
            Self::Chainlit => ("chainlit", "Chainlit"),
            Self::Aider => ("aider", "aider"),
            Self::AiSdk => ("ai-sdk", "Vercel AI SDK"),
            Self::PydanticAi => ("pydantic-ai", "Pydantic AI"),
            Self::LlamaIndex => ("llama-index", "LlamaIndex"),
            Self::AgentFramework => ("agent-framework", "Agent Framework"),
            Self::Autogen => ("autogen", "AutoGen"),
            Self::Haystack => ("haystack", "Haystack"),
            Self::Chatgpt => ("chatgpt", "ChatGPT"),
            Self::ClaudeAi => ("claude-ai", "claude.ai"),
            Self::OpenWebui => ("open-webui", "Open WebUI"),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.names().0
    }

    pub(crate) fn title(self) -> &'static str {
        self.names().1
    }

    pub(crate) fn kept(self) -> Kept {
        match self {
            Self::ClaudeCode | Self::Codex | Self::GeminiCli => Kept::Lines,
            Self::Opencode
            | Self::OpenaiAgents
            | Self::Langgraph
            | Self::Llm
            | Self::GoogleAdk
            | Self::Chainlit => Kept::Database,
            Self::Aider
            | Self::AiSdk
            | Self::PydanticAi
            | Self::LlamaIndex
            | Self::AgentFramework
            | Self::Autogen
            | Self::Haystack
            | Self::Chatgpt
            | Self::ClaudeAi
            | Self::OpenWebui => Kept::Document,
        }
    }

    /// Whether it keeps them at one place for each user, which need not be named.
    pub(crate) fn is_at_home(self) -> bool {
        matches!(self, Self::ClaudeCode | Self::Codex | Self::GeminiCli | Self::Opencode | Self::Llm)
    }

    /// What `import --from` says of it.
    fn import_help(self) -> String {
        let place = match (self.kept(), self.is_at_home()) {
            (Kept::Lines, _) => "a file, a directory, or without PATH those of this user",
            (Kept::Database, true) => "a database, a directory, or without PATH those of this user",
            (Kept::Database, false) => "a database, or a directory",
            (Kept::Document, _) => "a file of JSON, or a directory",
        };
        format!("Sessions of {}: {place}", self.title())
    }

    /// What `export --to` says of it.
    fn export_help(self) -> String {
        match (self.kept(), self) {
            (Kept::Lines, Self::ClaudeCode) => files_help(self, ", such as ~/.claude/projects"),
            (Kept::Lines, Self::Codex) => files_help(self, ", such as ~/.codex/sessions"),
            (Kept::Lines, Self::GeminiCli) => files_help(self, ", such as ~/.gemini/tmp"),
            (Kept::Lines | Kept::Document, _) => files_help(self, ""),
            (Kept::Database, _) => format!(
                "The rows of {} that were imported, a JSON line each: a directory, with a file for each session",
                self.title()
            ),
        }
    }
}

fn files_help(tool: Tool, such_as: &str) -> String {
    format!("The files of {} that were imported, as they were: a directory{such_as}", tool.title())
}

/// What to import from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    Auto,
    Aral,
    Jsonl,
    Openai,
    Tool(Tool),
}

/// What to export to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    Aral,
    Jsonl,
    Html,
    Markdown,
    Openai,
    Tool(Tool),
}

impl Origin {
    /// The tool whose sessions are meant.
    pub(crate) fn tool(self) -> Option<Tool> {
        match self {
            Self::Tool(tool) => Some(tool),
            Self::Auto | Self::Aral | Self::Jsonl | Self::Openai => None,
        }
    }
}

impl Target {
    /// The tool whose files are meant.
    pub(crate) fn tool(self) -> Option<Tool> {
        match self {
            Self::Tool(tool) => Some(tool),
            Self::Aral | Self::Jsonl | Self::Html | Self::Markdown | Self::Openai => None,
        }
    }
}

impl ValueEnum for Origin {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<Origin>> = LazyLock::new(|| {
            let tools = Tool::ALL.into_iter().map(Origin::Tool);
            [Origin::Auto, Origin::Aral, Origin::Jsonl, Origin::Openai].into_iter().chain(tools).collect()
        });
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Auto => ("auto", "aral for a directory, openai for lists of chat messages, else jsonl"),
            Self::Aral => ("aral", "A directory that the Python original or this program wrote"),
            Self::Jsonl => ("jsonl", "Lines as export --to jsonl writes them"),
            Self::Openai => (
                "openai",
                r#"Lists of chat messages: [{"role":…,"content":…}], {"messages":[…]}, a list of those, or one a line"#,
            ),
            Self::Tool(tool) => return Some(PossibleValue::new(tool.name()).help(tool.import_help())),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for Target {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<Target>> = LazyLock::new(|| {
            let tools = Tool::ALL.into_iter().map(Target::Tool);
            [Target::Aral, Target::Jsonl, Target::Html, Target::Markdown, Target::Openai]
                .into_iter()
                .chain(tools)
                .collect()
        });
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Aral => ("aral", "A directory in the layout of the Python original"),
            Self::Jsonl => ("jsonl", "A line for each conversation, message and action"),
            Self::Html => ("html", "A page for the browser: one file, without scripts, that fetches nothing"),
            Self::Markdown => ("markdown", "A transcript"),
            Self::Openai => (
                "openai",
                "A line for each conversation, with its messages as chat completions have them; without actions",
            ),
            Self::Tool(tool) => return Some(PossibleValue::new(tool.name()).help(tool.export_help())),
        };
        Some(PossibleValue::new(name).help(help))
    }
}
