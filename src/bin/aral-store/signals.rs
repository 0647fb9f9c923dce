//! Signals.
//!
//! Owns the two that matter: the one that a full quota sends, which must not end the process, and those
//! that ask for an end, which let the mutation in hand be finished first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::Failure;

/// Whether the program has been asked to end, and by which signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(unix)]
mod unix {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
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

    /// Calls back when an end is asked for. A second asking ends the process at once, so that whoever sees
    /// no end to the mutation in hand is not left without a way.
    pub(crate) fn on_stop(call: impl Fn(u8) + Send + 'static) -> Result<Stop, Failure> {
        let stop = Stop::default();
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::clone(&stop.0)).map_err(failed)?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let asked = stop.clone();
        let listen = move || {
            for signal in signals.forever() {
                asked.0.store(true, Ordering::SeqCst);
                call(u8::try_from(signal).unwrap_or(u8::MAX));
            }
        };
        #[expect(clippy::disallowed_methods, reason = "a signal must be heard while a read or a sync waits")]
        drop(std::thread::spawn(listen));
        Ok(stop)
    }
}

#[cfg(unix)]
pub(crate) use unix::{on_stop, survive_file_size_limit};

#[cfg(not(unix))]
pub(crate) fn survive_file_size_limit() -> Result<(), Failure> {
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn on_stop(_: impl Fn(u8) + Send + 'static) -> Result<Stop, Failure> {
    Ok(Stop::default())
}
