//! Tokens and costs, added up.
//!
//! Owns the names under which metadata keep them: those of the imports of this store, and those that providers use.

use aral_store::{JsonObject, MessageRef};

use crate::chat::json::{Members, Raw};
use crate::output::to_u64;

/// What the messages and actions of a conversation say that they took.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Sums {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    cost: f64,
    /// How many of them say anything.
    pub(super) said: u64,
}

/// Objects that hold numbers of tokens.
const USAGES: [&str; 3] = ["usage", "usage_metadata", "token_usage"];

const INPUT: [&str; 2] = ["input_tokens", "prompt_tokens"];
const OUTPUT: [&str; 2] = ["output_tokens", "completion_tokens"];
const CACHE_READ: [&str; 2] = ["cache_read_tokens", "cache_read_input_tokens"];
const CACHE_WRITE: [&str; 2] = ["cache_write_tokens", "cache_creation_input_tokens"];
const COST: [&str; 3] = ["cost_usd", "total_cost_usd", "cost"];

impl Sums {
    pub(super) fn message(&mut self, message: &MessageRef<'_>) {
        self.add(message.metadata);
    }

    pub(super) fn metadata(&mut self, metadata: &JsonObject) {
        self.add(metadata.as_json());
    }

    fn add(&mut self, metadata: &str) {
        if !["usage", "cost"].iter().any(|word| metadata.contains(word)) {
            return;
        }
        let Ok(members) = Members::read(metadata) else { return };
        let usage =
            USAGES.iter().find_map(|name| members.get(name).and_then(|raw| Members::read(raw.get()).ok()));
        let mut has_said = false;
        if let Some(usage) = &usage {
            for (names, sum) in [
                (&INPUT, &mut self.input),
                (&OUTPUT, &mut self.output),
                (&CACHE_READ, &mut self.cache_read),
                (&CACHE_WRITE, &mut self.cache_write),
            ] {
                if let Some(number) = names.iter().find_map(|name| number::<u64>(usage.get(name))) {
                    *sum = sum.saturating_add(number);
                    has_said = true;
                }
            }
        }
        let cost = |members: &Members<'_>| COST.iter().find_map(|name| number::<f64>(members.get(name)));
        if let Some(cost) = cost(&members).or_else(|| cost(usage.as_ref()?)).filter(|cost| cost.is_finite()) {
            self.cost += cost;
            has_said = true;
        }
        self.said += u64::from(has_said);
    }

    /// The sums in words; nothing where nothing is said.
    pub(super) fn words(&self) -> Option<String> {
        if self.said == 0 {
            return None;
        }
        let mut words = Vec::new();
        for (number, what) in [
            (self.input, "tokens in"),
            (self.output, "tokens out"),
            (self.cache_read, "read from cache"),
            (self.cache_write, "written to cache"),
        ] {
            if number > 0 {
                words.push(format!("{} {what}", grouped(number)));
            }
        }
        if self.cost > 0.0 {
            words.push(format!("cost {:.4}", self.cost));
        }
        (!words.is_empty()).then(|| words.join(" · "))
    }
}

fn number<T: std::str::FromStr>(raw: Option<Raw<'_>>) -> Option<T> {
    raw?.get().parse().ok()
}

/// A number with its digits in threes.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in (0_u64..).zip(digits.chars()) {
        if at > 0 && (to_u64(digits.len()) - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_added_up_under_all_of_its_names() {
        let mut sums = Sums::default();
        for metadata in [
            r#"{"usage":{"input_tokens":1200,"output_tokens":3,"cache_read_tokens":7}}"#,
            r#"{"usage":{"prompt_tokens":1,"completion_tokens":2},"cost_usd":0.25}"#,
            r#"{"usage_metadata":{"input_tokens":5,"output_tokens":"x"}}"#,
            r#"{"usage":{"cost":0.5}}"#,
            r#"{"usage":7}"#,
            r#"{"usage":{"input_tokens":-1}}"#,
            r#"{"note":"no usage"}"#,
            "{}",
        ] {
            sums.add(metadata);
        }
        let words = "1,206 tokens in · 5 tokens out · 7 read from cache · cost 0.7500";
        assert_eq!((sums.words().as_deref(), sums.said), (Some(words), 4));
        assert_eq!(Sums::default().words(), None);
        assert_eq!(
            (grouped(0), grouped(999), grouped(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
    }
}
