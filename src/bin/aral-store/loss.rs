//! What a repair could not save, in words.

use aral_store::Loss;

pub(crate) fn loss_in_words(loss: &Loss) -> String {
    let events = match (loss.first_seq, loss.last_seq) {
        (None, _) => String::new(),
        (Some(first), None) => format!(" whatever came from event {first} on:"),
        (Some(first), Some(last)) if first == last => format!(" event {first}:"),
        (Some(first), Some(last)) => format!(" events {first} to {last}:"),
    };
    let whose = loss.conversation_id.as_ref().map(|id| format!(" conversation {id:?}:")).unwrap_or_default();
    let offset = loss.offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
    let list = |words: &str, names: &[String]| match names {
        [] => String::new(),
        names => {
            let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
            format!("; {words} {}", names.join(", "))
        }
    };
    let named = list("its damaged bytes name", &loss.named);
    let near = list("the records around it are of", &loss.near);
    format!("lost:{events}{whose} {}, in {}{offset}{named}{near}", loss.reason, loss.path.display())
}
