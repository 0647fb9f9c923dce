//! The command that prints the log.
//!
//! Owns the line of an event as a person reads it, and the waiting for more. What is no longer in the log is
//! said on standard error: nothing is passed over in silence.

use std::path::Path;
use std::time::Duration;

use aral_store::{Change, Event, Follower, Logged, Seq};

use crate::args::LogArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, Form, Out, one_line};
use crate::place;
use crate::style::{self, painted};
use crate::whole::room_to_print;

/// How long a follower waits before it sees whether anybody reads what it prints.
const PAUSE: Duration = Duration::from_millis(200);

/// After how many of these it looks for more without having been told that there is any.
const LOOK: u32 = 25;

/// How many characters of a text a terminal gets.
const SHOWN_CHARS: usize = 60;

pub(crate) fn run(dir: &Path, form: Form, args: &LogArgs) -> Result<Exit, Failure> {
    let store = place::for_reading(dir)?;
    // The number behind the last one is where a reader goes on, and no mistake.
    let end = store.recovery().last_seq;
    if args.from > end.saturating_add(1) {
        let end =
            if end == 0 { "the log is empty".to_owned() } else { format!("the log ends with event {end}") };
        output::note(&format!("{end}, and there is none from {} on", args.from));
    }
    let last = if args.follow { Seq::MAX } else { end };
    let mut printer = Printer { form, from: args.from, last, out: Out::new() };
    let mut follower = store.follow(args.from)?;
    loop {
        let is_done = printer.all(&mut follower)?;
        printer.out.finish()?;
        if is_done || !args.follow {
            return Ok(place::verdict(&store));
        }
        for _ in 0..LOOK {
            if !output::is_read_after(Duration::ZERO) {
                return Err(Failure::Unread);
            }
            if follower.wait(PAUSE) {
                break;
            }
        }
    }
}

struct Printer {
    form: Form,
    from: Seq,
    last: Seq,
    out: Out,
}

impl Printer {
    /// Prints what there is; whether it came to the last event that was asked for.
    fn all(&mut self, follower: &mut Follower) -> Result<bool, Failure> {
        while let Some(logged) = follower.next_logged()? {
            match logged {
                Logged::Batch { seq, events } => {
                    for (seq, event) in (seq..).zip(&events) {
                        if seq > self.last {
                            return Ok(true);
                        }
                        if seq >= self.from {
                            room_to_print(length(&event.change), || format!("event {seq}"))?;
                            self.out.line(&line(self.form, seq, event))?;
                        }
                    }
                }
                Logged::Compacted { first, last } => {
                    // Order: what came before the gap is out before the gap is told.
                    self.out.finish()?;
                    if first <= self.last {
                        gap(first, last.min(self.last));
                    }
                }
                other => {
                    let text = format!("something in the log that this version does not know: {other:.60?}");
                    return Err(Failure::Store(aral_store::Error::invalid(text)));
                }
            }
        }
        Ok(false)
    }
}

fn gap(first: Seq, last: Seq) {
    let which =
        if first == last { format!("event {first} is") } else { format!("events {first} to {last} are") };
    output::note(&format!(
        "{which} no longer in the log: a compaction has put what came of it into the conversations' files; \
         see show or export"
    ));
}

fn line(form: Form, seq: Seq, event: &Event) -> String {
    let word = event.change.type_name();
    let id = one_line(&event.conversation_id);
    let subject = event.change.subject().map(|id| one_line(&id.to_string_lossy())).unwrap_or_default();
    match form {
        Form::Json => event.to_json_line(seq),
        Form::Plain => format!("{seq}\t{id}\t{word}\t{subject}\t{}", detail(&event.change)),
        Form::Table => {
            let parts = [subject, shortened(&detail(&event.change))];
            let rest: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
            let line = format!(
                "{}  {id}  {}",
                painted(style::ASIDE, &format!("{seq:>8}")),
                painted(style::WHO, word)
            );
            if rest.is_empty() { line } else { format!("{line}  {}", rest.join("  ").trim_end()) }
        }
    }
}

/// About how many bytes of a change may be many.
fn length(change: &Change) -> usize {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others hold nothing that is long")]
    match change {
        Change::SetMetadata(metadata) => metadata.as_json().len(),
        Change::AddMessage(message) | Change::EditMessage(message) => {
            message.content.len().saturating_add(message.metadata.as_json().len())
        }
        Change::AddAction(action) | Change::EditAction(action) => {
            action.data.as_json().len().saturating_add(action.metadata.as_json().len())
        }
        _ => 0,
    }
}

/// What the change holds, in a line.
fn detail(change: &Change) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others hold no more than their word and subject")]
    let text = match change {
        Change::Create { title, .. } | Change::Reset { title, .. } | Change::SetTitle(title) => {
            title.to_string_lossy().into_owned()
        }
        Change::SetMetadata(metadata) => metadata.as_json().to_owned(),
        Change::AddMessage(message) => {
            format!("{}: {}", message.role.to_string_lossy(), message.content.to_string_lossy())
        }
        Change::EditMessage(message) => message.content.to_string_lossy().into_owned(),
        Change::SetCreatedAt(time) => time.to_string(),
        Change::SetExtra(extra) => extra.as_json().to_owned(),
        Change::AddAction(action) | Change::EditAction(action) => {
            format!("{}: {}", action.action_type.to_string_lossy(), action.data.as_json())
        }
        _ => String::new(),
    };
    one_line(&text)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_in_every_form() {
        let event = Event::new("c\n1", Change::SetTitle("a\tb".into()));
        style::choose(clap::ColorChoice::Never);
        assert_eq!(line(Form::Plain, 7, &event), "7\tc\\n1\tset_title\t\ta\\tb");
        assert_eq!(line(Form::Table, 7, &event), "       7  c\\n1  set_title  a\\tb");
        assert!(line(Form::Json, 7, &event).starts_with(r#"{"seq":7,"type":"set_title""#));
        assert_eq!(line(Form::Plain, 8, &Event::new("c", Change::Clear)), "8\tc\tclear\t\t");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_and_marked() {
        assert_eq!(shortened(&"é".repeat(60)), "é".repeat(60));
        assert_eq!(shortened(&"é".repeat(61)), "é".repeat(60) + "…");
    }
}
