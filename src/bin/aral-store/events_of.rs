//! The command that prints what happened to one conversation.
//!
//! Owns the line of an event among those of its conversation: with the version that it left, and when it happened, if it says
//! so. What is no longer kept is told on standard error.

use std::path::Path;

use aral_store::{PastEvent, Version};

use crate::exit::{Exit, Failure};
use crate::log_line::{self, room_for};
use crate::output::{Form, Out, note};
use crate::past;
use crate::place;
use crate::style::{self, painted};

pub(crate) fn run(dir: &Path, form: Form, conversation: &str, from: u64) -> Result<Exit, Failure> {
    let store = place::for_reading(dir)?;
    let history = past::history(&store, conversation)?;
    let versions = history.versions()?;
    if let Some(damage) = &history.damage {
        let (id, from) = (&history.conversation_id, history.whole_from);
        note(&format!(
            "the history of conversation {id:?} is damaged, and whole from event {from} on only: {damage}; \
             `verify` names all that is damaged"
        ));
    } else if let Some(base) = &history.base {
        let id = &history.conversation_id;
        let had = match base.last_seq {
            0 => format!("conversation {id:?} was taken over from files"),
            seq => format!("the events of conversation {id:?} up to {seq} are no longer kept one by one"),
        };
        note(&format!("{had}: before those here it had version {}", base.conversation.version));
    } else if history.whole_from > 0 {
        let (id, seq) = (&history.conversation_id, history.whole_from);
        note(&format!("what happened to a conversation {id:?} up to event {seq} is no longer kept"));
    }
    let mut out = Out::new();
    for (past, version) in history.events.iter().zip(versions).filter(|(past, _)| past.seq >= from) {
        room_for(past.seq, &past.event.change)?;
        out.line(&line(form, past, version))?;
    }
    out.finish()?;
    let damaged = history.damage.map_or(Exit::Done, |_| Exit::Corrupt);
    Ok(place::verdict(&store).graver(damaged))
}

fn line(form: Form, past: &PastEvent, version: Version) -> String {
    let time = past.time().map_or_else(|| "-".to_owned(), |time| time.to_string());
    match form {
        Form::Json => past.event.to_json_line(past.seq),
        Form::Plain => {
            let [word, subject, detail] = log_line::parts(&past.event.change);
            format!("{}\tv{version}\t{time}\t{word}\t{subject}\t{detail}", past.seq)
        }
        Form::Table => {
            let number =
                painted(style::ASIDE, &format!("{:>8}  {:>5}  {time:<32}", past.seq, format!("v{version}")));
            format!("{number}  {}", log_line::shown(&past.event.change))
        }
    }
}
