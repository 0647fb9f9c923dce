//! The command that lists the consumers of a store, moves one and removes one.
//!
//! Owns the fields in which they are printed, and the words for what one has missed.

use std::path::Path;

use aral_store::{Begin, ConsumerStatus};
use clap::Args;
use serde_json::Value;

use crate::consume::begin;
use crate::exit::{Exit, Failure};
use crate::output::{self, Form, Out, note, one_line};
use crate::place;

#[derive(Args, Debug)]
pub(crate) struct ConsumersArgs {
    /// Remove this consumer; what is kept for it alone goes with the next compaction
    #[arg(long, value_name = "NAME", conflicts_with = "reset")]
    pub(crate) remove: Option<String>,
    /// Have this consumer go on elsewhere, wherever it was; a new one begins if there is none
    #[arg(long, value_name = "NAME", requires = "from")]
    pub(crate) reset: Option<String>,
    /// Where that is: start for the oldest event that there is, now, or an event's number
    #[arg(long, value_name = "start|now|SEQ", value_parser = begin, requires = "reset")]
    pub(crate) from: Option<Begin>,
}

pub(crate) fn run(dir: &Path, form: Form, args: &ConsumersArgs) -> Result<Exit, Failure> {
    if let Some(name) = &args.remove {
        place::for_consuming(dir)?.remove_consumer(name)?;
        return Ok(Exit::Done);
    }
    if let (Some(name), Some(from)) = (&args.reset, args.from) {
        let acknowledged = place::for_consuming(dir)?.reset_consumer(name, from)?;
        let text = match form {
            Form::Json => serde_json::json!({"name": name, "acknowledged": acknowledged}).to_string(),
            Form::Plain | Form::Table => format!("{name} goes on with event {}", acknowledged + 1),
        };
        output::print(&text).map_err(|failure| failure.after(|| format!("consumer {name} was moved")))?;
        return Ok(Exit::Done);
    }
    let store = place::for_reading(dir)?;
    let consumers = store.consumers()?;
    let mut out = Out::new();
    match form {
        Form::Table => {
            let rows: Vec<_> = consumers.iter().map(row).collect();
            for line in output::table(&["NAME", "ACKNOWLEDGED", "LAG", "READ BY"], &rows) {
                out.line(&line)?;
            }
        }
        Form::Plain => {
            for status in &consumers {
                out.line(&row(status).join("\t"))?;
            }
        }
        Form::Json => {
            for status in &consumers {
                out.line(&as_json(status).to_string())?;
            }
        }
    }
    out.finish()?;
    let damaged = tell(&consumers);
    Ok(place::verdict(&store).graver(damaged))
}

fn row(status: &ConsumerStatus) -> Vec<String> {
    let number = |number: u64| if status.error.is_some() { "?".to_owned() } else { number.to_string() };
    let holder = status.holder.as_deref().map_or_else(|| "-".to_owned(), one_line);
    vec![status.name.clone(), number(status.acknowledged), number(status.lag), holder]
}

/// A consumer as an object.
pub(crate) fn as_json(status: &ConsumerStatus) -> Value {
    let number = |number: u64| if status.error.is_some() { Value::Null } else { number.into() };
    serde_json::json!({
        "name": status.name,
        "acknowledged": number(status.acknowledged),
        "lag": number(status.lag),
        "missed": status.missed.map(|(first, last)| vec![first, last]),
        "holder": status.holder,
        "error": status.error,
    })
}

/// A consumer in a few words.
pub(crate) fn in_words(status: &ConsumerStatus) -> String {
    if status.error.is_some() {
        let what = if is_ahead(status) { "ahead of the log" } else { "damaged" };
        return format!("{} {what}", status.name);
    }
    format!("{} {} behind", status.name, status.lag)
}

/// Whether what is wrong is where the cursor is: one that cannot be read is nowhere.
fn is_ahead(status: &ConsumerStatus) -> bool {
    status.error.is_some() && status.acknowledged > 0
}

/// Says what consumers have missed, and which cursors cannot be read.
pub(crate) fn tell(consumers: &[ConsumerStatus]) -> Exit {
    let mut exit = Exit::Done;
    for status in consumers {
        if let Some(error) = &status.error {
            note(&format!("consumer {:?}: {error}", status.name));
            exit = exit.graver(if is_ahead(status) { Exit::Conflict } else { Exit::Corrupt });
        }
        if let Some((first, last)) = status.missed {
            note(&format!(
                "consumer {:?} has missed events {first} to {last}, which are gone; `aral-store consumers --reset {} --from {}` \
                 has it go on behind them",
                status.name,
                status.name,
                last + 1
            ));
            exit = exit.graver(Exit::Error);
        }
    }
    exit
}
