//! Signals.
//!
//! Owns those that matter: the one that a full quota sends, which must not end the process; the one by which a process
//! ends itself that cannot get memory, which must end it like any error; and those that ask for an end, which let the
//! mutation in hand be finished first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::exit::Failure;

/// Whether the program has been asked to end, and by which signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    is_wanted: Arc<AtomicBool>,
    by: Arc<AtomicU8>,
}

impl Stop {
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::SeqCst)
    }

    /// The signal that asked for an end, if one did and has been heard.
    pub(crate) fn signal(&self) -> Option<u8> {
        Some(self.by.load(Ordering::SeqCst)).filter(|signal| self.is_wanted() && *signal != 0)
    }

    /// One that has been caught, and not been named yet.
    #[cfg(test)]
    pub(crate) fn caught() -> Self {
        let stop = Self::default();
        stop.is_wanted.store(true, Ordering::SeqCst);
        stop
    }

    #[cfg(test)]
    pub(crate) fn name(&self, signal: u8) {
        self.by.store(signal, Ordering::SeqCst);
    }
}

#[cfg(unix)]
mod unix {
    use signal_hook::consts::{SIGABRT, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;

    use super::{Arc, AtomicBool, Failure, Ordering, Stop};

    fn failed(error: std::io::Error) -> Failure {
        Failure::file("listen for signals", std::path::Path::new("this process"), error)
    }

    /// Makes a write beyond the limit of file sizes an error instead of a death.
    pub(crate) fn survive_file_size_limit() -> Result<(), Failure> {
        // Any handler will do; nobody looks at the flag.
        flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop).map_err(failed)
    }

    /// Gives the end that comes of memory that cannot be had the code of an error. Where much is asked for, the store
    /// says so itself; this is for what is asked for in small pieces, where the standard library says how much, on
    /// standard error, and ends the process.
    pub(crate) fn end_without_memory_as_an_error() -> Result<(), Failure> {
        let is_wanted = Arc::new(AtomicBool::new(true));
        let code = i32::from(crate::exit::Exit::Error.code());
        flag::register_conditional_shutdown(SIGABRT, code, is_wanted).map(drop).map_err(failed)
    }

    /// Calls back when an end is asked for. A second asking ends the process at once, so that whoever sees
    /// no end to the mutation in hand is not left without a way.
    pub(crate) fn on_stop(call: impl Fn(u8) + Send + 'static) -> Result<Stop, Failure> {
        let stop = Stop::default();
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::clone(&stop.is_wanted)).map_err(failed)?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let asked = stop.clone();
        let listen = move || {
            for signal in signals.forever() {
                let signal = u8::try_from(signal).unwrap_or(u8::MAX);
                asked.by.store(signal, Ordering::SeqCst);
                asked.is_wanted.store(true, Ordering::SeqCst);
                call(signal);
            }
        };
        // A signal must be heard while a read or a sync waits.
        std::thread::Builder::new().spawn(listen).map(drop).map_err(failed)?;
        Ok(stop)
    }
}

#[cfg(unix)]
pub(crate) use unix::{end_without_memory_as_an_error, on_stop, survive_file_size_limit};

#[cfg(not(unix))]
pub(crate) fn survive_file_size_limit() -> Result<(), Failure> {
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn end_without_memory_as_an_error() -> Result<(), Failure> {
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn on_stop(_: impl Fn(u8) + Send + 'static) -> Result<Stop, Failure> {
    Ok(Stop::default())
}
