//! The command that prints the log.
//!
//! Owns the line of an event as a person reads it, and the waiting for more. What is no longer in the log is
//! said on standard error: nothing is passed over in silence.

use std::path::Path;
use std::time::Duration;

use aral_store::{Event, Follower, Logged, Seq};

use crate::args::LogArgs;
use crate::events_of;
use crate::exit::{Exit, Failure};
use crate::log_line::{self, room_for};
use crate::output::{self, Form, Out, one_line};
use crate::place;
use crate::style::{self, painted};

/// How long a follower waits before it sees whether anybody reads what it prints.
const PAUSE: Duration = Duration::from_millis(200);

/// After how many of these it looks for more without having been told that there is any.
const LOOK: u32 = 25;

pub(crate) fn run(dir: &Path, form: Form, args: &LogArgs) -> Result<Exit, Failure> {
    if let Some(conversation) = &args.conversation {
        return events_of::run(dir, form, conversation, args.from);
    }
    let store = place::for_reading(dir)?;
    // The number behind the last one is where a reader goes on, and no mistake.
    let end = store.recovery().last_seq;
    if args.from > end.saturating_add(1) {
        let end =
            if end == 0 { "the log is empty".to_owned() } else { format!("the log ends with event {end}") };
        output::note(&format!("{end}, and there is none from {} on", args.from));
    }
    let last = if args.follow { Seq::MAX } else { end };
    let kept_from = store.kept_history().map_or(Seq::MAX, |kept| kept.from);
    let mut printer = Printer { form, from: args.from, last, kept_from, out: Out::new() };
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
    /// From which event on `log CONV` has what is no longer in the log.
    kept_from: Seq,
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
                            room_for(seq, &event.change)?;
                            self.out.line(&line(self.form, seq, event))?;
                        }
                    }
                }
                Logged::Compacted { first, last } => {
                    // Order: what came before the gap is out before the gap is told.
                    self.out.finish()?;
                    if first <= self.last {
                        gap(first, last.min(self.last), self.kept_from);
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

fn gap(first: Seq, last: Seq, kept_from: Seq) {
    let which =
        if first == last { format!("event {first} is") } else { format!("events {first} to {last} are") };
    let kept = match kept_from.max(first) {
        from if from > last => String::new(),
        from if from == last => format!(", and log CONV for event {last}, conversation by conversation"),
        from => format!(", and log CONV for events {from} to {last}, conversation by conversation"),
    };
    output::note(&format!(
        "{which} no longer in the log: a compaction has put what came of it into the conversations' files; \
         see show or export{kept}"
    ));
}

/// An event as a line.
pub(crate) fn line(form: Form, seq: Seq, event: &Event) -> String {
    let id = one_line(&event.conversation_id);
    match form {
        Form::Json => event.to_json_line(seq),
        Form::Plain => {
            let [word, subject, detail] = log_line::parts(&event.change);
            format!("{seq}\t{id}\t{word}\t{subject}\t{detail}")
        }
        Form::Table => {
            let number = painted(style::ASIDE, &format!("{seq:>8}"));
            format!("{number}  {id}  {}", log_line::shown(&event.change))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aral_store::Change;

    #[test]
    fn an_event_is_one_line_in_every_form() {
        let event = Event::new("c\n1", Change::SetTitle("a\tb".into()));
        style::choose(clap::ColorChoice::Never);
        assert_eq!(line(Form::Plain, 7, &event), "7\tc\\n1\tset_title\t\ta\\tb");
        assert_eq!(line(Form::Table, 7, &event), "       7  c\\n1  set_title  a\\tb");
        assert!(line(Form::Json, 7, &event).starts_with(r#"{"seq":7,"type":"set_title""#));
        assert_eq!(line(Form::Plain, 8, &Event::new("c", Change::Clear)), "8\tc\tclear\t\t");
    }
}
