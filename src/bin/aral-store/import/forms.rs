//! Which form an input has.
//!
//! Owns the telling of forms by how an input begins: those that are read, those that other tools write and that this
//! version cannot read, which are named, and what is none of them. Looks at the beginning alone.

use aral_store::Error;

use crate::chat::json::{Raw, string};
use crate::exit::Failure;
use crate::lines::{NumberedLine, Source};
use crate::output::to_u64;
use crate::transcripts::Tool;
use crate::transcripts::database::MAGIC;
use crate::transcripts::documents::{self, aider};

/// How much of a file is looked at.
pub(super) const LOOKED_AT: u64 = 64 << 10;

/// The forms that are read, in words.
pub(crate) const READ: &str = "lines of `aral-store export --to jsonl`; chat messages, as a list, as {\"messages\":[…]}, as a \
                               list of those, or one of either a line; the file of a single conversation; sessions of Claude Code, \
                               Codex and Gemini CLI; databases of opencode, llm, the OpenAI Agents SDK, LangGraph, Google \
                               ADK and Chainlit; documents of the AI SDK, Pydantic AI, LlamaIndex, the Agent Framework, AutoGen, \
                               Haystack, Chainlit, ChatGPT, claude.ai and Open WebUI, also in a ZIP archive; chat histories of aider; \
                               and directories";

/// What the command's help says of them.
pub(crate) const HELP: &str = "\
Reads lines of export --to jsonl; chat messages, as a list, as {\"messages\":[…]}, as a list of those, or one of
either a line; the file of a single conversation; sessions of Claude Code, Codex and Gemini CLI; databases of
opencode, llm, the OpenAI Agents SDK, LangGraph, Google ADK and Chainlit; documents of the AI SDK, Pydantic AI,
LlamaIndex, the Agent Framework, AutoGen, Haystack, Chainlit, ChatGPT, claude.ai and Open WebUI, also in a
ZIP archive; chat histories of aider; and directories. Names what others write, which it cannot read.

Example: aral-store import ./old-data
         aral-store import --from claude-code
         aral-store import --dry-run chats.json
         ssh host aral-store export --to jsonl | aral-store import -";

/// A form that is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Lines of an export.
    Lines,
    /// Lists of chat messages, and objects that have one; so has the file of a single conversation, which may be too long
    /// to show at its beginning what it is.
    Chats,
    /// One chat message a line.
    BareLines,
    /// The transcript of a session, as one of these tools writes it.
    Transcript(Tool),
    /// A document of this tool, with one conversation or many.
    Document(Tool),
    /// An SQLite database; whose it is shows in its tables.
    Database,
    /// A ZIP archive, which may have documents in it.
    Archive,
}

/// How a ZIP archive begins, and one of nothing.
const ARCHIVE: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Whether it is a file that begins as a ZIP archive. What is in one has no lines, so that nothing else is to be looked at before.
pub(super) fn is_archive(source: &Source) -> Result<bool, Failure> {
    Ok(source.head(4)?.is_some_and(|head| ARCHIVE.contains(&head.as_slice())))
}

/// The tool whose document begins like this, if it is one; `is_whole` if nothing follows.
pub(super) fn document(head: &[u8], is_whole: bool) -> Option<Tool> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    match of(head, false, is_whole) {
        Ok(Kind::Document(tool)) => Some(tool),
        Ok(_) | Err(_) => None,
    }
}

/// The form of an input that begins with this line; an error names what it seems to be.
pub(super) fn told(source: &Source, first: Option<&NumberedLine>) -> Result<Kind, Failure> {
    let Some(first) = first else { return Ok(Kind::Lines) };
    // Of what is piped in nothing but the first line has been read.
    let found = source.head(LOOKED_AT)?;
    let is_whole = found.as_ref().is_some_and(|head| to_u64(head.len()) < LOOKED_AT);
    let head = found.unwrap_or_else(|| first.bytes.clone());
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).trim_ascii_start();
    let is_line = serde_json::from_slice::<serde::de::IgnoredAny>(&first.bytes).is_ok();
    of(head, is_line, is_whole).map_err(|what| {
        let what = what.map_or_else(
            || "it has no form that is known".to_owned(),
            |what| format!("it looks like {what}, which this version cannot read"),
        );
        let text =
            format!("not imported: {what}; what can be read is {READ}; --from says which of them it is");
        Failure::Input(Error::invalid(text).at(source.path(), None))
    })
}

/// The form, or what it is instead, if that is known. `is_line` if the first line is a JSON value, `is_whole` if nothing
/// follows what is looked at.
fn of(head: &[u8], is_line: bool, is_whole: bool) -> Result<Kind, Option<&'static str>> {
    if head.starts_with(MAGIC) {
        return Ok(Kind::Database);
    }
    if head.starts_with(aider::BEGIN.as_bytes()) {
        return Ok(Kind::Document(Tool::Aider));
    }
    if ARCHIVE.iter().any(|magic| head.starts_with(magic)) {
        return Ok(Kind::Archive);
    }
    if head.starts_with(b"\x1f\x8b") {
        return Err(Some("a compressed file"));
    }
    let is_list = head.starts_with(b"[");
    if !is_list && !head.starts_with(b"{") {
        return Err(None);
    }
    let members = Beginning::of(head);
    if let Some(tool) = members.tool(is_line).filter(|_| !is_list) {
        return Ok(Kind::Transcript(tool));
    }
    if let Some(tool) = documents::tool(&|name| members.has(name), is_list) {
        return Ok(Kind::Document(tool));
    }
    if let Some(what) = members.known_tool() {
        return Err(Some(what));
    }
    let rest = head.get(1..).unwrap_or_default().trim_ascii();
    let is_open = rest.is_empty() || rest.starts_with(b"]");
    let of_export = ["conversation", "action", "end"];
    let kind = members.kind.as_deref().unwrap_or_default();
    let is_message_line = kind == "message" && members.has("conversation_id");
    match () {
        () if is_list && (is_open || members.is_chat() || members.has("messages")) => Ok(Kind::Chats),
        () if is_list => Err(None),
        () if of_export.contains(&kind) || is_message_line => Ok(Kind::Lines),
        () if members.has("messages") => Ok(Kind::Chats),
        () if members.is_chat() && is_line => Ok(Kind::BareLines),
        // What it is may show further on.
        () if !is_line && !is_whole => Ok(Kind::Chats),
        () => Err(None),
    }
}

/// The members that the first object of an input has, as far as it was looked at.
#[derive(Default)]
struct Beginning {
    names: Vec<String>,
    /// What its `type` is.
    kind: Option<String>,
}

impl Beginning {
    fn of(head: &[u8]) -> Self {
        let mut found = Self::default();
        let start = head.iter().position(|byte| *byte == b'{').unwrap_or(head.len());
        let (mut depth, mut at) = (0_usize, start);
        let mut is_value = false;
        while let Some(byte) = head.get(at) {
            match byte {
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth <= 1 => break,
                b'}' | b']' => depth -= 1,
                b':' if depth == 1 => is_value = true,
                b',' if depth == 1 => is_value = false,
                b'"' => {
                    let Some(raw) = string_at(head, at) else { break };
                    at += raw.len() - 1;
                    if depth == 1 {
                        found.take(raw, is_value);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        found
    }

    fn take(&mut self, raw: &str, is_value: bool) {
        let Some(raw) = Raw::of(raw) else { return };
        let Some(text) = string(raw) else { return };
        if !is_value {
            self.names.push(text);
        } else if self.names.last().is_some_and(|name| name == "type") {
            self.kind = Some(text);
        }
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Whether it is a chat message, or an item of the Responses API.
    fn is_chat(&self) -> bool {
        let kind = self.kind.as_deref().unwrap_or_default();
        let is_item = ["reasoning", "item_reference", "compaction", "mcp_list_tools"].contains(&kind)
            || ["_call", "_call_output", "_approval_request", "_approval_response"]
                .iter()
                .any(|end| kind.ends_with(end));
        self.has("role") || is_item
    }

    /// The tool whose transcripts have such lines.
    fn tool(&self, is_line: bool) -> Option<Tool> {
        let kind = self.kind.as_deref().unwrap_or_default();
        let claude_code = ["mode", "queue-operation", "file-history-snapshot", "summary", "last-prompt"];
        let is_geminis = self.has("projectHash");
        match () {
            // Older versions wrote one object with all messages.
            () if is_geminis && self.has("sessionId") && is_line && !self.has("messages") => {
                Some(Tool::GeminiCli)
            }
            () if self.has("sessionId") && !is_geminis => Some(Tool::ClaudeCode),
            () if claude_code.contains(&kind) && !self.has("role") => Some(Tool::ClaudeCode),
            () if self.has("role") && self.has("contents") => Some(Tool::AgentFramework),
            () if ["timestamp", "type", "payload"].iter().all(|name| self.has(name)) => Some(Tool::Codex),
            () => None,
        }
    }

    /// The tool that writes such objects, if it is one whose form is not read.
    fn known_tool(&self) -> Option<&'static str> {
        let kind = self.kind.as_deref().unwrap_or_default();
        let has_all = |names: &[&str]| names.iter().all(|name| self.has(name));
        match () {
            () if has_all(&["sessionId", "projectHash"]) => {
                Some("a session of an older version of Gemini CLI")
            }
            () if has_all(&["type", "data"]) && !self.has("role") && !self.has("conversation_id") => {
                Some("a message history of LangChain")
            }
            () if ["add_", "set_", "edit_", "remove_", "create_", "reset_"]
                .iter()
                .any(|begin| kind.starts_with(begin)) =>
            {
                Some("mutations for `aral-store append`")
            }
            () => None,
        }
    }
}

/// The JSON string that begins at a place, with its quotes.
fn string_at(head: &[u8], start: usize) -> Option<&str> {
    let mut at = start + 1;
    loop {
        match head.get(at)? {
            b'\\' => at += 1,
            b'"' => return std::str::from_utf8(head.get(start..=at)?).ok(),
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Result<Kind, Option<&'static str>> {
        of(text.as_bytes(), serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), true)
    }

    #[test]
    fn the_forms_that_are_read_are_told_apart() {
        for (text, ought) in [
            (r#"{"type":"conversation","id":"c","created_at":""}"#, Kind::Lines),
            (r#"{"type":"end","conversations":0}"#, Kind::Lines),
            (r#"{"type":"message","conversation_id":"c","role":"user","content":"x"}"#, Kind::Lines),
            (r#"{"role":"user","content":"x"}"#, Kind::BareLines),
            (r#"{"content":[{"text":"{"}],"role":"user"}"#, Kind::BareLines),
            (r#"{"type":"message","role":"user","content":[]}"#, Kind::BareLines),
            (r#"{"type":"function_call","call_id":"c"}"#, Kind::BareLines),
            (r#"{"id":"x","messages":["#, Kind::Chats),
            (
                r#"{"id":"c","title":"T","created_at":"t","metadata":{},"messages":[],"actions":[]}"#,
                Kind::Chats,
            ),
            ("{\n  \"id\": 7,\n  \"messages\": [", Kind::Chats),
            (r#"[{"role":"user","content":"x"},"#, Kind::Chats),
            (r#"[ {"id":"a","role":"user","parts":[]}]"#, Kind::Document(Tool::AiSdk)),
            (r#"[{"title":"T","create_time":1.5,"mapping":{"a":{}}"#, Kind::Document(Tool::Chatgpt)),
            (r#"[{"uuid":"u","name":"N","chat_messages":["#, Kind::Document(Tool::ClaudeAi)),
            (r#"[{"parts":[],"kind":"request"}]"#, Kind::Document(Tool::PydanticAi)),
            (r#"{"store":{},"class_name":"SimpleChatStore"}"#, Kind::Document(Tool::LlamaIndex)),
            (r#"{"id":"i","createdAt":"t","steps":[]}"#, Kind::Document(Tool::Chainlit)),
            (r#"{"type":"AssistantAgentState","llm_context":{}}"#, Kind::Document(Tool::Autogen)),
            (r#"{"type":"session","session_id":"s","state":{}}"#, Kind::Document(Tool::AgentFramework)),
            (r#"{"type":"message","role":"user","contents":[]}"#, Kind::Transcript(Tool::AgentFramework)),
            ("[]", Kind::Chats),
            ("PK\u{3}\u{4}", Kind::Archive),
            (r#"[{"type":"function_call_output"}"#, Kind::Chats),
            (
                r#"{"parentUuid":null,"sessionId":"s","type":"user","message":{"role":"user"}}"#,
                Kind::Transcript(Tool::ClaudeCode),
            ),
            (r#"{"type":"summary","summary":"S","leafUuid":"l"}"#, Kind::Transcript(Tool::ClaudeCode)),
            (
                r#"{"timestamp":"t","ordinal":0,"type":"session_meta","payload":{}}"#,
                Kind::Transcript(Tool::Codex),
            ),
            (r#"{"sessionId":"s","projectHash":"p","kind":"main"}"#, Kind::Transcript(Tool::GeminiCli)),
        ] {
            assert_eq!(form(text), Ok(ought), "{text}");
        }
    }

    #[test]
    fn what_other_tools_write_is_named_and_what_nobody_writes_is_not() {
        for (text, word) in [
            (r#"{"sessionId":"s","projectHash":"p","messages":[]}"#, "Gemini CLI"),
            (r#"[{"type":"human","data":{"content":"x"}}]"#, "LangChain"),
            (r#"{"type":"add_message","conversation_id":"c","content":"x"}"#, "append"),
        ] {
            assert!(form(text).unwrap_err().is_some_and(|what| what.contains(word)), "{text}");
        }
        assert!(
            of(b"\x1f\x8b\x08", false, true).unwrap_err().is_some_and(|what| what.contains("compressed"))
        );
        for text in [
            "root:x:0:0",
            "{",
            "{}",
            "[1]",
            r#"{"a":1}"#,
            r#"{"type":"mystery"}"#,
            "7",
            r#"{"role"#,
            r#"{"a\"#,
        ] {
            assert_eq!(form(text), Err(None), "{text}");
        }
        assert_eq!(of(b"{", false, false), Ok(Kind::Chats));
        assert_eq!(of(b"nonsense", false, false), Err(None));
    }
}
