//! Where times and ids come from.
//!
//! Owns the only calls of the system's clock and random source. Tests put their own in their place.

use std::fmt;

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Microseconds from the Unix epoch.
    fn now_micros(&self) -> i64;

    /// Microseconds from any moment on that go on as time does, whatever is done to the clock meanwhile.
    fn elapsed_micros(&self) -> i64 {
        elapsed_micros()
    }
}

/// Makes ids up.
pub trait IdSource: Send + Sync + fmt::Debug {
    /// An id that no other conversation, message or action has.
    fn new_id(&self) -> String;
}

/// Which UUIDs the store makes up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum IdVersion {
    /// Random ones, as the original's.
    #[default]
    V4,
    /// Ones that sort by time.
    V7,
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now_micros(&self) -> i64 {
        now_micros()
    }
}

impl IdSource for IdVersion {
    #[expect(clippy::disallowed_methods, reason = "this module is the way to the random source")]
    fn new_id(&self) -> String {
        let id = match self {
            Self::V4 => uuid::Uuid::new_v4(),
            Self::V7 => uuid::Uuid::now_v7(),
        };
        id.as_hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
    }
}

/// Microseconds from the Unix epoch by the system's clock; 0 for a clock set before it.
#[expect(clippy::disallowed_methods, reason = "this module is the way to the clock")]
pub(crate) fn now_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or_default()
}

/// Microseconds since this was first asked for, by a clock that nobody can set.
#[expect(clippy::disallowed_methods, reason = "this module is the way to the clock")]
fn elapsed_micros() -> i64 {
    static BEGINNING: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let since = BEGINNING.get_or_init(std::time::Instant::now).elapsed();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Sixteen random bytes.
#[expect(clippy::disallowed_methods, reason = "this module is the way to the random source")]
pub(crate) fn random_id() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

/// A random number other than 0.
pub(crate) fn random_salt() -> u32 {
    let [a, b, c, d, ..] = random_id();
    u32::from_le_bytes([a, b, c, d]).max(1)
}

/// Random bytes that keys and nonces are made of: straight from the system, since what a process keeps for itself to
/// draw from is the same in one that was forked off.
///
/// # Errors
///
/// Those of the system.
#[cfg(feature = "encryption")]
pub(crate) fn random_bytes<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}
