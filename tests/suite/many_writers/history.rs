//! What calls of many processes asked, when, and what they were answered.
//!
//! Owns the record of it: a file for each process, which gets a line before a call and one after it, so that a process that is
//! killed leaves what it knew. The clock is the machine's monotonic one, which all its processes share.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aral_store::{Change, Event, Message};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What a call asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Asked {
    /// Messages with these ids, which nobody else uses, as one batch.
    Add { conversation: String, ids: Vec<String>, key: Option<String>, expect: Option<u64> },
    /// Another text for a message, which no other message gets.
    Edit { conversation: String, id: String, text: String },
    /// That a message goes away. Nobody else uses the key.
    Remove { conversation: String, id: String, key: String },
    /// The last messages.
    Last { conversation: String, count: usize },
    /// The version, and how many messages there are.
    Summary { conversation: String },
}

/// What a call was told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The number and the version of each event.
    Written(Vec<(u64, u64)>),
    /// Ids and texts.
    Messages(Vec<(String, String)>),
    Summary(Option<(u64, u64)>),
    /// Nothing happened, because the version is another one.
    Conflict,
    /// Nothing happened, because there is no such conversation or message.
    NotFound,
    /// Nothing happened, because of something outside, in words.
    Failed(String),
    /// It may have happened or not, in words.
    Open(String),
}

/// A call; one of a process that was killed has no end.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) begun: u64,
    pub(super) ended: Option<u64>,
    pub(super) asked: Asked,
    pub(super) answer: Option<Answer>,
}

/// An event, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Happened {
    pub(super) conversation: String,
    pub(super) what: What,
    pub(super) key: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum What {
    Added { id: String, text: String },
    Edited { id: String, text: String },
    Removed { id: String },
}

/// Events that happened as one, with the number of the first.
pub(super) type Batch = (u64, Vec<Happened>);

/// Microseconds on the clock that all processes of a machine share.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let time = Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap());
    time.as_micros().try_into().unwrap()
}

/// The events of a batch.
pub(super) fn batch((seq, events): (u64, Vec<Event>)) -> Batch {
    let happened = |event: Event| {
        let text = |message: &Message| (message.id.to_string(), message.content.to_string());
        let what = if let Change::AddMessage(message) = &event.change {
            let (id, text) = text(message);
            What::Added { id, text }
        } else if let Change::EditMessage(message) = &event.change {
            let (id, text) = text(message);
            What::Edited { id, text }
        } else if let Change::RemoveMessage(id) = &event.change {
            What::Removed { id: id.to_string() }
        } else {
            panic!("nobody asked for {event:?}")
        };
        Happened { conversation: event.conversation_id, what, key: event.key }
    };
    (seq, events.into_iter().map(happened).collect())
}

impl Asked {
    /// What all calls have in common that ask for the same to happen once; `None` for one that changes nothing.
    pub(super) fn token(&self) -> Option<&str> {
        match self {
            Self::Add { ids, .. } => ids.first().map(String::as_str),
            Self::Edit { text, .. } => Some(text),
            Self::Remove { key, .. } => Some(key),
            Self::Last { .. } | Self::Summary { .. } => None,
        }
    }

    /// Whether asking again does not make it happen twice.
    pub(super) fn has_key(&self) -> bool {
        match self {
            Self::Add { key, .. } => key.is_some(),
            Self::Remove { .. } => true,
            Self::Edit { .. } | Self::Last { .. } | Self::Summary { .. } => false,
        }
    }

    pub(super) fn conversation(&self) -> &str {
        match self {
            Self::Add { conversation, .. }
            | Self::Edit { conversation, .. }
            | Self::Remove { conversation, .. }
            | Self::Last { conversation, .. }
            | Self::Summary { conversation } => conversation,
        }
    }
}

/// A line of a record.
#[derive(Serialize, Deserialize)]
enum Line {
    Begun(u64, u64, Asked),
    Ended(u64, u64, Answer),
}

/// Keeps a record of calls, for whoever looks at it after a kill.
pub(super) struct Recorder {
    file: File,
    count: AtomicU64,
}

impl Recorder {
    #[expect(clippy::disallowed_methods, reason = "the record is outside of the store")]
    pub(super) fn new(path: &Path) -> Self {
        Self { file: File::create(path).unwrap(), count: AtomicU64::new(0) }
    }

    /// A line is one write, so that lines of several threads do not mix.
    fn write(&self, line: &Line) {
        let mut text = serde_json::to_vec(line).unwrap();
        text.push(b'\n');
        (&self.file).write_all(&text).unwrap();
    }

    /// Makes a call.
    pub(super) fn call(&self, asked: &Asked, call: impl FnOnce() -> Answer) -> Answer {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        self.write(&Line::Begun(number, now(), asked.clone()));
        let answer = call();
        self.write(&Line::Ended(number, now(), answer.clone()));
        answer
    }
}

/// The calls of a record. A line that a kill cut short was not written.
#[expect(clippy::disallowed_methods, reason = "the record is outside of the store")]
pub(super) fn read(path: &Path) -> Vec<Call> {
    let mut calls = BTreeMap::new();
    let lines = BufReader::new(File::open(path).unwrap()).split(b'\n');
    for line in lines.map_while(|line| serde_json::from_slice(&line.unwrap()).ok()) {
        match line {
            Line::Begun(number, begun, asked) => {
                calls.insert(number, Call { begun, ended: None, asked, answer: None });
            }
            Line::Ended(number, ended, answer) => {
                let call: &mut Call = calls.get_mut(&number).unwrap();
                (call.ended, call.answer) = (Some(ended), Some(answer));
            }
        }
    }
    calls.into_values().collect()
}
