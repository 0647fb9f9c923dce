//! The command that hands events on, one batch after the other, and remembers which are done with.
//!
//! Owns the order: an event is acknowledged once it is printed, or once the command that is given it has succeeded, and never
//! before. What fails ends the consuming, with the cursor before it.

use std::io::{ErrorKind as IoKind, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use aral_store::{Begin, Change, Consumer, Error, ErrorKind, Event, MessageStore, Seq};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::exit::{Exit, Failure};
use crate::ids;
use crate::log;
use crate::log_line::room_for;
use crate::output::{self, Form, Out, note};
use crate::place;
use crate::signals::{self, Stop};

/// How long it waits before it sees whether it is to end.
const PAUSE: Duration = Duration::from_millis(200);

/// How many events are printed before they are acknowledged, if nobody says.
const PRINTED_AT_ONCE: usize = 100;

#[derive(Args, Debug)]
pub(crate) struct ConsumeArgs {
    /// The consumer: up to 64 small letters, digits, - and _
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Give the events to this command of the shell, as lines of JSON on its standard input; those that it succeeds with are acknowledged
    #[arg(long, value_name = "CMD")]
    pub(crate) exec: Option<String>,
    /// Only the events of this conversation, by its id or a beginning of it; may be given more than once
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Vec<String>,
    /// Only events of this kind, such as `add_message`; may be given more than once
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(Change::TYPE_NAMES), hide_possible_values = true)]
    pub(crate) kind: Vec<String>,
    /// Where a consumer begins that is new: start for the oldest event that there is, now, or an event's number
    #[arg(long, value_name = "start|now|SEQ", value_parser = begin)]
    pub(crate) from: Option<Begin>,
    /// End once there is nothing more, which it does anyway
    #[arg(long, conflicts_with = "follow")]
    pub(crate) once: bool,
    /// Go on with what is appended, until stopped
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many events are given to CMD and acknowledged at once [default: 1, and 100 without --exec]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max: Option<u32>,
}

/// Reads where a consumer begins.
pub(crate) fn begin(text: &str) -> Result<Begin, String> {
    match (text, text.parse::<Seq>()) {
        ("start", _) => Ok(Begin::Start),
        ("now", _) => Ok(Begin::Now),
        (_, Ok(seq)) if seq > 0 => Ok(Begin::At(seq)),
        _ => Err("give start, now, or the number of an event".to_owned()),
    }
}

pub(crate) fn run(dir: &Path, form: Form, args: &ConsumeArgs) -> Result<Exit, Failure> {
    if args.exec.is_none() && output::is_nowhere() {
        let text = "standard output is closed, so that nobody would read the events that are acknowledged; give it somewhere to \
                    go, or a command by --exec; `aral-store consumers --reset` moves a consumer that is to skip them";
        return Err(Failure::Usage(text.to_owned()));
    }
    let store = place::for_consuming(dir)?;
    let stop = signals::on_stop(|_| {})?;
    let is_there = store.consumers()?.iter().any(|status| status.name == args.name);
    let conversations: Vec<String> =
        args.conversation.iter().map(|given| conversation(&store, given)).collect::<Result<_, _>>()?;
    let begin = args.from.unwrap_or_default();
    let consumer = store.consumer_from(&args.name, begin)?;
    let before = consumer.acknowledged();
    if !is_there && begin == Begin::Start && before > 0 {
        note(&format!(
            "consumer {:?} is new and begins with event {}: those before it are not in the log any more",
            args.name,
            before + 1
        ));
    }
    if is_there && args.from.is_some() {
        note(&format!(
            "consumer {:?} goes on behind event {}: --from is for a new one; `aral-store consumers --reset` moves it",
            args.name,
            consumer.acknowledged()
        ));
    }
    let mut consumer = consumer.conversations(conversations.iter()).kinds(args.kind.iter())?;
    let at_once = match (args.max, &args.exec) {
        (Some(most), _) => usize::try_from(most).unwrap_or(usize::MAX),
        (None, Some(_)) => 1,
        (None, None) => PRINTED_AT_ONCE,
    };
    loop {
        if let Some(signal) = stop.signal() {
            return Err(Failure::Stopped(signal));
        }
        let batch = consumer.next_batch(at_once)?;
        let Some((last, _)) = batch.last() else {
            if !args.follow {
                return Ok(place::verdict(&store));
            }
            wait(&mut consumer, &stop, args.exec.is_none())?;
            continue;
        };
        match &args.exec {
            Some(command) => exec(command, &args.name, &batch, &stop)?,
            None => {
                print(form, &batch)?;
                // A pipe takes what nobody will read any more.
                if !output::is_read_after(Duration::ZERO) {
                    return Err(Failure::Unread);
                }
            }
        }
        consumer.acknowledge(*last)?;
    }
}

/// The conversation that is meant, which may have been removed. What a wrong name leaves out would count as done with.
fn conversation(store: &MessageStore, given: &str) -> Result<String, Failure> {
    if store.removed(given)?.is_some() {
        return Ok(given.to_owned());
    }
    ids::conversation(store, given)
}

fn wait(consumer: &mut Consumer, stop: &Stop, is_printed: bool) -> Result<(), Failure> {
    loop {
        if is_printed && !output::is_read_after(Duration::ZERO) {
            return Err(Failure::Unread);
        }
        if consumer.wait(PAUSE) || stop.is_wanted() {
            return Ok(());
        }
    }
}

fn print(form: Form, batch: &[(Seq, Event)]) -> Result<(), Failure> {
    let mut out = Out::new();
    for (seq, event) in batch {
        room_for(*seq, &event.change)?;
        out.line(&log::line(form, *seq, event))?;
    }
    out.finish()
}

/// Gives a batch to a command, and comes back once it has succeeded with it.
fn exec(command: &str, name: &str, batch: &[(Seq, Event)], stop: &Stop) -> Result<(), Failure> {
    let (Some((first, event)), Some((last, _))) = (batch.first(), batch.last()) else { return Ok(()) };
    let failed = |why: &str| {
        if let Some(signal) = stop.signal() {
            return Failure::Stopped(signal);
        }
        let which = if first == last {
            format!("event {first} ({} in {:?})", event.change.type_name(), event.conversation_id)
        } else {
            format!("events {first} to {last}")
        };
        let text = format!(
            "{which}: the command {why}; nothing from event {first} on is acknowledged, and the next run begins with it"
        );
        Failure::Store(Error::new(ErrorKind::Failed, text))
    };
    // Before it is begun: a command that is given a part of a batch takes that for all of it.
    batch.iter().try_for_each(|(seq, event)| room_for(*seq, &event.change))?;
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::piped()).env("ARAL_STORE_CONSUMER", name);
    shell.env("ARAL_STORE_FIRST_SEQ", first.to_string()).env("ARAL_STORE_LAST_SEQ", last.to_string());
    let mut child = shell.spawn().map_err(|error| failed(&format!("could not be started ({error})")))?;
    let mut written = Ok(());
    // Closed behind the block, by which the command finds the end of its input.
    if let Some(mut input) = child.stdin.take() {
        for (seq, event) in batch {
            let line = event.to_json_line(*seq) + "\n";
            written = written.and_then(|()| input.write_all(line.as_bytes()));
        }
    }
    let status = child.wait().map_err(|error| failed(&format!("could not be waited for ({error})")))?;
    if !status.success() {
        return Err(failed(&how_it_ended(status)));
    }
    match written {
        // A command that does not care for all of its input has succeeded if it says so.
        Err(error) if error.kind() != IoKind::BrokenPipe => {
            Err(failed(&format!("could not be given them ({error})")))
        }
        _ => Ok(()),
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not succeed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_read_and_nothing_else() {
        assert_eq!(begin("start"), Ok(Begin::Start));
        assert_eq!((begin("now"), begin("7")), (Ok(Begin::Now), Ok(Begin::At(7))));
        for text in ["0", "", "-1", "later"] {
            assert!(begin(text).is_err(), "{text}");
        }
    }
}
