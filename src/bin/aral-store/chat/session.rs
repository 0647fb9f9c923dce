//! Items that a session of the agents SDK of `OpenAI` keeps here, as the Python package writes them.
//!
//! Owns how such an item is put together of a message's content and of what its metadata keep of it: the item without
//! its texts, and where they belong. Does not read what earlier versions kept whole.

use aral_store::Message;
use serde_json::Value;

use super::json::Members;

/// Where the metadata keep it.
pub(super) const KEY: &str = "openai_agents";

/// The item, with the text that the message has now; none if the message is none, or not one that can be understood.
pub(super) fn item(message: &Message, members: &Members<'_>) -> Option<String> {
    let kept: Value = serde_json::from_str(members.get(KEY)?.get()).ok()?;
    let content = message.content.as_str()?;
    let mut item = kept.get("data").filter(|data| data.is_object())?.clone();
    if let Some(place) = kept.get("text") {
        *at(&mut item, place.as_array()?)? = content.into();
    } else if let Some(texts) = kept.get("texts") {
        let texts: Vec<Place<'_>> = places(texts)?;
        let copies = kept.get("copies").map_or(Some(Vec::new()), places)?;
        let points: Vec<char> = content.chars().collect();
        let is_as_it_came =
            kept.get("length")?.as_u64() == u64::try_from(points.len()).ok() && joins(&texts, &points);
        if is_as_it_came {
            fill(&mut item, &texts, &copies, &points)?;
        } else {
            replace(&mut item, &texts, &copies, content)?;
        }
    } else {
        let name = item.get("name")?.as_str()?;
        let called = content.strip_prefix(name).and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
        let arguments = called.map_or_else(|| as_arguments(content), str::to_owned);
        item.as_object_mut()?.insert("arguments".to_owned(), arguments.into());
    }
    if item.get("role").is_some_and(Value::is_string) {
        item.as_object_mut()?.insert("role".to_owned(), message.role.as_str()?.into());
    }
    Some(item.to_string())
}

/// A piece of the content, and the way to where it belongs.
struct Place<'p> {
    start: usize,
    end: usize,
    way: &'p [Value],
}

fn places(rows: &Value) -> Option<Vec<Place<'_>>> {
    rows.as_array()?.iter().map(place).collect()
}

fn place(row: &Value) -> Option<Place<'_>> {
    let number = |value: &Value| usize::try_from(value.as_u64()?).ok();
    let [start, end, way @ ..] = row.as_array()?.as_slice() else { return None };
    Some(Place { start: number(start)?, end: number(end)?, way })
}

/// Whether between the texts there are still the line breaks, so that all of the content has its place.
fn joins(texts: &[Place<'_>], points: &[char]) -> bool {
    let ends: Vec<usize> =
        texts.iter().filter(|place| place.start < place.end).map(|place| place.end).collect();
    let between = ends.split_last().map_or(&[][..], |(_, between)| between);
    between.iter().all(|end| points.get(*end) == Some(&'\n'))
}

/// What a way leads to.
fn at<'i>(item: &'i mut Value, way: &[Value]) -> Option<&'i mut Value> {
    way.iter().try_fold(item, |item, step| match step.as_str() {
        Some(name) => item.get_mut(name),
        None => item.get_mut(usize::try_from(step.as_u64()?).ok()?),
    })
}

fn fill(item: &mut Value, texts: &[Place<'_>], copies: &[Place<'_>], points: &[char]) -> Option<()> {
    for Place { start, end, way } in texts.iter().chain(copies) {
        let text: String = points.get(*start..*end)?.iter().collect();
        let is_bytes = way.last().is_some_and(|step| step == "bytes");
        *at(item, way)? = if is_bytes { text.into_bytes().into() } else { text.into() };
    }
    Some(())
}

/// Puts all of another text where the first one was, and takes away what told of the old ones.
fn replace(item: &mut Value, texts: &[Place<'_>], copies: &[Place<'_>], content: &str) -> Option<()> {
    let (first, others) = texts.split_first()?;
    let (name, holder) = first.way.split_last()?;
    *at(item, first.way)? =
        if name == "arguments" { as_arguments(content) } else { content.to_owned() }.into();
    let mut gone: Vec<&[Value]> = Vec::new();
    for place in others.iter().chain(copies) {
        // A part of a list that was nothing but a text goes; elsewhere the name stays, without a text.
        let part = place.way.iter().rposition(Value::is_u64).and_then(|last| place.way.get(..=last));
        match part.filter(|part| !first.way.starts_with(part)) {
            Some(part) if !gone.contains(&part) => gone.push(part),
            Some(_) => {}
            None => *at(item, place.way)? = "".into(),
        }
    }
    // From behind, so that the places of the others stay.
    gone.sort_by_key(|part| std::cmp::Reverse((part.len(), part.last().and_then(Value::as_u64))));
    for part in gone {
        let (last, list) = part.split_last()?;
        let last = usize::try_from(last.as_u64()?).ok()?;
        let list = at(item, list)?.as_array_mut()?;
        if last < list.len() {
            list.remove(last);
        }
    }
    let holder = at(item, holder)?;
    for name in ["annotations", "logprobs"] {
        if let Some(about) = holder.get_mut(name) {
            *about = Value::Array(Vec::new());
        }
    }
    item.as_object_mut()?.shift_remove("encrypted_content");
    Some(())
}

/// What a tool is called with: models and tools expect a JSON object there, whatever somebody has written.
fn as_arguments(text: &str) -> String {
    let is_object = serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
    if is_object { text.to_owned() } else { serde_json::json!({ "content": text }).to_string() }
}

#[cfg(test)]
mod tests {
    use aral_store::{JsonObject, Timestamp};
    use serde_json::json;

    use super::*;

    fn message(role: &str, content: &str, kept: &Value) -> Message {
        let mut message = Message::new("m", content, role, Timestamp::EPOCH);
        message.metadata = JsonObject::parse(&json!({ KEY: kept }).to_string()).unwrap();
        message
    }

    fn item_of(role: &str, content: &str, kept: &Value) -> Option<Value> {
        let together = super::super::put_together(&message(role, content, kept));
        let item: Value = serde_json::from_str(&together.json).unwrap();
        (!together.lacks_metadata).then_some(item)
    }

    #[test]
    fn items_of_a_session_come_as_they_were_added() {
        let call = json!({"data": {"type": "function_call", "name": "f", "arguments": null, "call_id": "c"}});
        let given = json!({"type": "function_call", "name": "f", "arguments": "{\"a\":1}", "call_id": "c"});
        assert_eq!(item_of("assistant", "f({\"a\":1})", &call), Some(given));
        let output = json!({"data": {"type": "function_call_output", "output": null}, "text": ["output"]});
        let given = json!({"type": "function_call_output", "output": "rain"});
        assert_eq!(item_of("tool", "rain", &output), Some(given));
        let parts = json!({"data": {"role": "assistant", "content": [
            {"text": null, "annotations": [{"quote": null}]}, {"text": null}, {"image": 1}]},
            "texts": [[0, 3, "content", 0, "text"], [4, 5, "content", 1, "text"]], "length": 5,
            "copies": [[0, 3, "content", 0, "annotations", 0, "quote"]]});
        let given = json!({"role": "assistant", "content": [
            {"text": "one", "annotations": [{"quote": "one"}]}, {"text": "😀"}, {"image": 1}]});
        assert_eq!(item_of("assistant", "one\n😀", &parts), Some(given));
        let edited =
            json!({"role": "assistant", "content": [{"text": "[removed]", "annotations": []}, {"image": 1}]});
        assert_eq!(item_of("assistant", "[removed]", &parts), Some(edited));
        let sealed = json!({"data": {"summary": [{"text": null}], "encrypted_content": "x"},
            "texts": [[0, 3, "summary", 0, "text"]], "length": 3});
        assert_eq!(
            item_of("assistant", "new text", &sealed),
            Some(json!({"summary": [{"text": "new text"}]}))
        );
        let edited = json!({"type": "function_call", "name": "f", "arguments": "{\"content\":\"no\"}", "call_id": "c"});
        assert_eq!(item_of("assistant", "no", &call), Some(edited));
    }

    #[test]
    fn what_cannot_be_understood_is_a_message_of_its_role_and_text_and_told() {
        for kept in [
            json!(7),
            json!({}),
            json!({"data": []}),
            json!({"data": {}, "text": ["a"]}),
            json!({"data": {}, "texts": [[0]]}),
        ] {
            assert_eq!(item_of("user", "hi", &kept), None, "{kept}");
            let together = super::super::put_together(&message("user", "hi", &kept));
            assert_eq!(together.json, r#"{"role":"user","content":"hi"}"#);
        }
    }
}
