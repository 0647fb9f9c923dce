//! What is said of a field that a mutation does not take.
//!
//! Owns which fields each type takes, as names, and the words that lead from a wrong one to the right one. Looked at only
//! once something is wrong.

use crate::codec::fields::Fields;
use crate::codec::json::JsonError;
use crate::model::near_miss;

/// What every mutation takes.
const COMMON: [&str; 5] = ["type", "conversation_id", "key", "expect", "seq"];

/// Each type of mutation with what else it takes.
const TYPES: [(&str, &[&str]); 16] = [
    ("create_conversation", &["title", "metadata", "created_at", "extra"]),
    ("reset_conversation", &["title", "metadata", "created_at", "extra"]),
    ("add_message", &["content", "role", "id", "created_at", "metadata", "extra"]),
    ("add_action", &["action_type", "data", "id", "created_at", "metadata", "extra"]),
    ("set_title", &["title"]),
    ("set_metadata", &["metadata"]),
    ("set_created_at", &["created_at"]),
    ("set_extra", &["extra"]),
    ("edit_message", &["message_id", "content", "role", "created_at", "metadata", "extra"]),
    ("edit_action", &["action_id", "action_type", "data", "created_at", "metadata", "extra"]),
    ("append_text", &["message_id", "offset", "text"]),
    ("finish_message", &["message_id", "length", "metadata"]),
    ("remove_message", &["message_id"]),
    ("remove_action", &["action_id"]),
    ("clear", &[]),
    ("remove_conversation", &[]),
];

/// The error of a type that there is not.
pub(super) fn unknown_type(kind: &str, start: usize) -> JsonError {
    let types = TYPES.map(|(name, _)| name);
    let meant =
        near_miss(kind, &types).map(|name| format!("; perhaps {name:?} is meant")).unwrap_or_default();
    JsonError::new(start, format!("\"type\": {kind:.60?} is not a known one{meant}"))
}

/// The error of the first field that this type does not take, in place of what else is wrong: what is missing may be
/// what it was meant for. That other error, if every field is one that the type takes.
pub(super) fn first_misnamed(fields: &Fields, kind: &str, other: JsonError) -> JsonError {
    let Some((_, takes)) = TYPES.iter().find(|(name, _)| *name == kind) else { return other };
    let is_taken = |key: &str| COMMON.contains(&key) || takes.contains(&key);
    let names = fields.left().map(|(key, offset)| (key.to_string_lossy(), offset));
    let Some((key, offset)) = names.into_iter().find(|(key, _)| !is_taken(key)) else { return other };
    let known: Vec<&str> = takes.iter().chain(&COMMON).copied().collect();
    let rest = match near_miss(&key, &known) {
        Some(meant) => format!("; perhaps {meant:?} is meant"),
        None => {
            let missing = other.reason.ends_with(" is missing").then(|| format!(", and {}", other.reason));
            let has_room = takes.contains(&"metadata") && kind != "set_metadata";
            let room = if has_room { "; what has no field of its own goes into \"metadata\"" } else { "" };
            missing.unwrap_or_default() + room
        }
    };
    JsonError::new(offset, format!("{key:.60?} is not a field of {kind:?}{rest}"))
}

#[cfg(test)]
mod tests {
    use crate::model::Mutation;

    #[test]
    fn a_wrong_field_is_named_with_what_was_perhaps_meant() {
        for (fields, said) in [
            (
                r#""type":"add_message","contnt":"x""#,
                "\"contnt\" is not a field of \"add_message\"; perhaps \"content\" is meant at byte 53",
            ),
            (
                r#""type":"add_message","content":"x","roel":"user""#,
                "\"roel\" is not a field of \"add_message\"; perhaps \"role\" is meant",
            ),
            (
                r#""type":"add_message","content":"x","tokens":5"#,
                "\"tokens\" is not a field of \"add_message\"; what has no field of its own goes into \"metadata\"",
            ),
            (
                r#""type":"add_message","text":"x""#,
                "\"text\" is not a field of \"add_message\", and \"content\" is missing; what",
            ),
            (r#""type":"edit_message","messageId":"m""#, "perhaps \"message_id\" is meant"),
            (r#""type":"add_action","action_type":"t","createdAt":"x""#, "perhaps \"created_at\" is meant"),
            (r#""type":"clear","content":"x""#, "\"content\" is not a field of \"clear\" at byte"),
            (
                r#""type":"set_metadata","value":{}"#,
                "\"value\" is not a field of \"set_metadata\", and \"metadata\" is missing at byte",
            ),
            (
                r#""type":"add_mesage","content":"x""#,
                "\"add_mesage\" is not a known one; perhaps \"add_message\" is meant",
            ),
            (r#""typ":"clear""#, "\"type\" is missing; perhaps \"typ\" is meant for it"),
        ] {
            let line = format!("{{\"conversation_id\":\"c\",{fields}}}");
            let error = Mutation::from_json_line(line.as_bytes()).unwrap_err();
            assert!(error.message().contains(said), "{line}: {error}");
        }
        let line = br#"{"type":"clear","conversationId":"c"}"#;
        let error = Mutation::from_json_line(line).unwrap_err();
        assert!(error.message().contains("perhaps \"conversation_id\" is meant"), "{error}");
    }
}
