//! What goes wrong on the way to a database and back.
//!
//! Owns the kinds, and which request meets which: so many of a thousand, drawn, or the next ones by name.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::status::Refused;
use crate::support::simfs::SplitMix;

/// What goes wrong with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The connection ends before it is carried out.
    LostBefore,
    /// It is carried out, and the connection ends before the answer.
    LostAfter,
    /// It is carried out twice, as by something between that sends it again, and the second answer comes.
    Twice,
    /// An answer of this kind, before it is carried out, or behind.
    Answered(Said, bool),
}

/// The transient errors, by the page on the codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// "The request conflicted with another request."
    Aborted,
    /// "The project exceeded either its quota or the region's capacity."
    Exhausted,
    /// "The server returned an error."
    Unavailable,
    /// "The server handling the request exceeded a deadline", after which it may have been carried out.
    TooLate,
    /// "The server returned an error. Do not retry this request more than once."
    Internal,
    /// What something between the two says in HTML.
    Gateway,
}

impl Said {
    pub(crate) fn refused(self) -> Refused {
        match self {
            Self::Aborted => {
                Refused::new(409, "ABORTED", "Too much contention on these documents. Please try again.")
            }
            Self::Exhausted => Refused::new(429, "RESOURCE_EXHAUSTED", "Quota exceeded."),
            Self::Unavailable => Refused::new(503, "UNAVAILABLE", "The service is temporarily unavailable."),
            Self::TooLate => Refused::new(504, "DEADLINE_EXCEEDED", "A deadline was exceeded on the server."),
            Self::Internal => Refused::new(500, "INTERNAL", "An internal error occurred."),
            Self::Gateway => Refused::new(502, "", "<html>"),
        }
    }
}

/// All that can take place. A conflict and a quota never hit what was carried out.
pub(crate) const ALL: [Fault; 12] = [
    Fault::LostBefore,
    Fault::LostAfter,
    Fault::Twice,
    Fault::Answered(Said::Aborted, false),
    Fault::Answered(Said::Exhausted, false),
    Fault::Answered(Said::Unavailable, false),
    Fault::Answered(Said::Unavailable, true),
    Fault::Answered(Said::TooLate, false),
    Fault::Answered(Said::TooLate, true),
    Fault::Answered(Said::Internal, false),
    Fault::Answered(Said::Internal, true),
    Fault::Answered(Said::Gateway, true),
];

/// What is done in between.
pub(crate) type Act = Box<dyn FnOnce() + Send>;

/// Which requests go wrong.
pub(crate) struct Faults {
    interruption: Mutex<Option<(&'static str, Act)>>,
    next: Mutex<VecDeque<(&'static str, Fault)>>,
    drawn: Mutex<(SplitMix, u64)>,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self {
            interruption: Mutex::default(),
            next: Mutex::default(),
            drawn: Mutex::new((SplitMix::new(0), 0)),
        }
    }

    /// So many of a thousand requests go wrong.
    pub(crate) fn draw(&self, seed: u64, per_mille: u64) {
        *self.drawn.lock().unwrap() = (SplitMix::new(seed), per_mille);
    }

    /// What happens to the next requests whose paths end so, one after the other.
    pub(crate) fn plan(&self, verb: &'static str, faults: &[Fault]) {
        self.next.lock().unwrap().extend(faults.iter().map(|fault| (verb, *fault)));
    }

    /// Does something before the first request with these words in it is carried out.
    pub(crate) fn interrupt(&self, words: &'static str, act: Act) {
        *self.interruption.lock().unwrap() = Some((words, act));
    }

    /// Does what is to be done before this request.
    pub(crate) fn let_others_come(&self, body: &[u8]) {
        let mut interruption = self.interruption.lock().unwrap();
        let is_meant =
            |(words, _): &mut (&'static str, Act)| memchr::memmem::find(body, words.as_bytes()).is_some();
        let due = interruption.take_if(is_meant);
        drop(interruption);
        if let Some((_, act)) = due {
            act();
        }
    }

    /// What happens to a request.
    pub(crate) fn take(&self, path: &str) -> Option<Fault> {
        let mut next = self.next.lock().unwrap();
        if let Some(at) = next.iter().position(|(verb, _)| path.ends_with(verb)) {
            return next.remove(at).map(|(_, fault)| fault);
        }
        let (rng, per_mille) = &mut *self.drawn.lock().unwrap();
        let is_hit = *per_mille > 0 && rng.next() % 1000 < *per_mille;
        is_hit.then(|| ALL[usize::try_from(rng.next()).unwrap_or_default() % ALL.len()])
    }
}
