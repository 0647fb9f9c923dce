//! The command that writes a message while it comes.
//!
//! Owns the way from standard input to the pieces of a reply: characters that are cut in two wait for their other half, a line break at
//! the very end is left out, and what has come is written at the latest after the time that was asked for. A thread reads, so that a
//! signal is heard while nothing comes.

use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use aral_store::{Error, ErrorKind, MessageStore, NewMessage, Reply, Text};
use clap::Args;

use crate::edit::object;
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::output::{self, Form, one_line, to_u64};
use crate::place;
use crate::signals;

#[derive(Args, Debug)]
pub(crate) struct StreamArgs {
    /// The conversation's id, in full
    #[arg(value_name = "CONV")]
    pub(crate) conversation: String,
    /// Who says it
    #[arg(short, long, default_value = "assistant")]
    pub(crate) role: String,
    /// The message's id; a new UUID if not given
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Metadata for the message while it is written, a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
    /// Metadata to put in when it is finished, a JSON object
    #[arg(long, value_name = "JSON", conflicts_with = "abandon")]
    pub(crate) at_end: Option<String>,
    /// Write what has come at most every MS milliseconds; as it comes if not given
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) every: u64,
    /// Go on with this message, which was left partial
    #[arg(long, value_name = "MESSAGE", conflicts_with_all = ["role", "id", "metadata"])]
    pub(crate) resume: Option<String>,
    /// Finish this message, which was left partial, as it is
    #[arg(long, value_name = "MESSAGE", conflicts_with_all = ["role", "id", "metadata", "every", "resume"])]
    pub(crate) finish: Option<String>,
    /// Remove this message, which was left partial
    #[arg(long, value_name = "MESSAGE", conflicts_with_all = ["role", "id", "metadata", "every", "resume", "finish"])]
    pub(crate) abandon: Option<String>,
}

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// How long is waited where nothing waits to be written.
const LONG: Duration = Duration::from_secs(3600);

/// What the main thread waits for.
enum Input {
    Bytes(Vec<u8>),
    Failed(io::Error),
    End,
    Stop(u8),
}

pub(crate) fn run(dir: &Path, form: Form, args: &StreamArgs) -> Result<Exit, Failure> {
    let (metadata, at_end) =
        (object("--metadata", args.metadata.as_deref())?, object("--at-end", args.at_end.as_deref())?);
    if let Some(id) = args.finish.as_ref().or(args.abandon.as_ref()) {
        let store = place::for_change(dir)?;
        let reply = resume(&store, &args.conversation, id)?;
        let receipt = if args.abandon.is_some() { reply.abandon() } else { reply.finish_with(at_end) }?;
        return crate::edit::told(
            store,
            form,
            &receipt,
            crate::edit::Telling::Nothing,
            "do not run it again",
        );
    }
    let (store, reply) = if let Some(id) = &args.resume {
        let store = place::for_change(dir)?;
        let reply = resume(&store, &args.conversation, id)?;
        (store, reply)
    } else {
        let mut message = NewMessage::new("").role(args.role.as_str()).metadata(metadata);
        message.id = args.id.as_ref().map(Text::from);
        let store = place::for_writing(dir)?;
        let reply = store.begin_message(&args.conversation, message).map_err(with_advice)?;
        (store, reply)
    };
    let every = Duration::from_millis(args.every);
    let mut writing = Writing { reply: gathering(reply, every), every, cut: Vec::new(), read: 0, ends: "" };
    announce(&writing.reply, form)?;
    let done = match writing.all(&inputs()?) {
        Ok(None) => writing.reply.finish_with(at_end).map_err(Failure::from).and_then(|receipt| {
            if form == Form::Json {
                output::print(&receipt.to_json_line())?;
            }
            Ok(Exit::Done)
        }),
        Ok(Some(signal)) => {
            left(&mut writing.reply);
            Ok(Exit::Signal(signal))
        }
        Err(failure) => {
            left(&mut writing.reply);
            Err(failure)
        }
    };
    match store.close() {
        Err(error) if done.is_ok() => Err(error.into()),
        Ok(()) | Err(_) => done,
    }
}

fn gathering(reply: Reply, every: Duration) -> Reply {
    if every.is_zero() { reply } else { reply.gather(usize::MAX, every) }
}

fn resume(store: &MessageStore, conversation: &str, id: &str) -> Result<Reply, Failure> {
    if !ids::exists(store, conversation)? {
        return Err(ids::no_conversation(store, conversation));
    }
    Ok(store.resume_message(conversation, id)?)
}

fn with_advice(error: Error) -> Error {
    if error.kind() != ErrorKind::AlreadyExists {
        return error;
    }
    let advice = "go on with it by --resume if it is partial, or choose another --id";
    Error::new(error.kind(), format!("{}; {advice}", error.message()))
}

/// Prints the id, before anything has come.
fn announce(reply: &Reply, form: Form) -> Result<(), Failure> {
    let id = reply.id().to_string_lossy();
    if form != Form::Json {
        return output::print(&one_line(&id));
    }
    output::print(&serde_json::json!({ "conversation_id": reply.conversation_id(), "id": id }).to_string())
}

/// Says what becomes of a reply that has not come to its end.
fn left(reply: &mut Reply) {
    // Whoever hears of the first error hears of why nothing more was written.
    reply.flush().ok();
    output::note(&format!(
        "message {:?} is left partial, with {}; --resume goes on with it, --finish or --abandon ends it",
        reply.id().to_string_lossy(),
        output::count(reply.written(), "byte")
    ));
}

/// What comes from standard input, and the signals that ask for an end.
fn inputs() -> Result<Receiver<Input>, Failure> {
    // Nothing is queued: who writes waits until it has been written on.
    let (sender, receiver) = sync_channel(0);
    let stop = sender.clone();
    // With nobody waiting any more, the program is about to end as it is.
    signals::on_stop(move |signal| drop(stop.send(Input::Stop(signal))))?;
    let reader = std::thread::Builder::new().spawn(move || read(&sender));
    reader.map_err(|error| Failure::file("read in a thread of its own", stdin(), error))?;
    Ok(receiver)
}

fn stdin() -> &'static Path {
    Path::new("standard input")
}

fn read(sender: &SyncSender<Input>) {
    let mut input = io::stdin();
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = match input.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Input::Failed(error),
            Ok(0) => Input::End,
            Ok(count) => {
                chunk.truncate(count);
                Input::Bytes(chunk)
            }
        };
        let is_last = !matches!(read, Input::Bytes(_));
        if sender.send(read).is_err() || is_last {
            return;
        }
    }
}

/// A reply on its way from standard input.
struct Writing {
    reply: Reply,
    every: Duration,
    /// The beginning of a character.
    cut: Vec<u8>,
    /// How many bytes have become text.
    read: u64,
    /// The line break with which that ends, which is left out if nothing comes behind it.
    ends: &'static str,
}

impl Writing {
    /// Writes all that comes; gives the signal that ended it sooner.
    fn all(&mut self, inputs: &Receiver<Input>) -> Result<Option<u8>, Failure> {
        let wait = if self.every.is_zero() { LONG } else { self.every };
        loop {
            match inputs.recv_timeout(wait) {
                Ok(Input::Bytes(bytes)) => self.bytes(bytes)?,
                Err(RecvTimeoutError::Timeout) => drop(self.reply.flush()?),
                Ok(Input::End) if self.cut.is_empty() => return Ok(None),
                Ok(Input::End) => return Err(self.no_text()),
                Ok(Input::Failed(error)) => return Err(Failure::file("read", stdin(), error)),
                Ok(Input::Stop(signal)) => {
                    self.reply.append(std::mem::take(&mut self.ends))?;
                    self.reply.flush()?;
                    return Ok(Some(signal));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    fn bytes(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        self.cut.extend(bytes);
        let (valid, is_text) = match std::str::from_utf8(&self.cut) {
            Ok(text) => (text.len(), true),
            Err(error) => (error.valid_up_to(), error.error_len().is_none()),
        };
        let rest = self.cut.split_off(valid);
        let text = std::mem::replace(&mut self.cut, rest);
        self.read = self.read.saturating_add(to_u64(text.len()));
        self.text(String::from_utf8(text).unwrap_or_default())?;
        if is_text { Ok(()) } else { Err(self.no_text()) }
    }

    fn text(&mut self, text: String) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        let mut text = format!("{}{text}", self.ends);
        self.ends = ["\r\n", "\n", "\r"].into_iter().find(|end| text.ends_with(end)).unwrap_or_default();
        text.truncate(text.len() - self.ends.len());
        self.reply.append(text)?;
        Ok(())
    }

    fn no_text(&self) -> Failure {
        Failure::Input(Error::invalid("the text is not UTF-8").at(stdin(), Some(self.read)))
    }
}
