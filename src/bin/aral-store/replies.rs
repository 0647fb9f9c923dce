//! The replies that nobody has finished, in what is told of a store.
//!
//! Owns the words and the fields in which they are printed.

use aral_store::{MessageStore, OpenReply, Summary};
use serde_json::{Map, Value};

use crate::exit::Failure;
use crate::output::{Form, count, one_line, to_u64};

/// What `stats` says of them: how many there are, and which.
pub(crate) fn fields(store: &MessageStore, form: Form) -> Result<Vec<(&'static str, Value)>, Failure> {
    let open = store.open_replies()?;
    let named = match form {
        Form::Json => open.iter().map(as_json).collect::<Vec<_>>().into(),
        Form::Plain | Form::Table => open.iter().map(in_words).collect::<Vec<_>>().join(", ").into(),
    };
    let mut fields: Vec<(&str, Value)> = vec![("open_replies", to_u64(open.len()).into())];
    if !open.is_empty() {
        fields.push(("replies", named));
    }
    Ok(fields)
}

/// How many each of some conversations has.
pub(crate) fn counts(store: &MessageStore, summaries: &[Summary]) -> Result<Vec<u64>, Failure> {
    let count = |summary: &Summary| Ok(to_u64(store.open_replies_in(&summary.id)?.len()));
    summaries.iter().map(count).collect()
}

/// A conversation's line with the number of them.
pub(crate) fn with_count(line: &str, count: Option<u64>) -> String {
    match (count, line.strip_suffix('}')) {
        (Some(count), Some(fields)) => format!("{fields},\"open_replies\":{count}}}"),
        _ => line.to_owned(),
    }
}

fn as_json(reply: &OpenReply) -> Value {
    let fields: [(&str, Value); 4] = [
        ("conversation_id", reply.conversation_id.as_str().into()),
        ("message_id", reply.message_id.to_string_lossy().into()),
        ("begun_at", reply.begun_at.to_string().into()),
        ("bytes", reply.bytes.into()),
    ];
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn in_words(reply: &OpenReply) -> String {
    let name = format!("{}/{}", reply.conversation_id, reply.message_id.to_string_lossy());
    format!("{} begun {}, {}", one_line(&name), reply.begun_at, count(reply.bytes, "byte"))
}
