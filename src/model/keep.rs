//! How much of its history a store keeps.

use std::fmt;
use std::time::Duration;

use super::Seq;

/// How much of what compactions cover is kept for looking back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Keep {
    /// Nothing: a compaction drops the events that it covers.
    #[default]
    Nothing,
    /// What was covered by a compaction of that long ago, or later.
    For(Duration),
    /// The newest of it, in so many bytes at most.
    Bytes(u64),
    /// All of it, for ever.
    Everything,
}

impl fmt::Display for Keep {
    /// Writes it as [`Keep::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            // Rounded up: what is a little older than asked for is kept.
            Self::For(span) => write!(f, "{}s", span.as_secs() + u64::from(span.subsec_nanos() > 0)),
            Self::Bytes(bytes) => write!(f, "{bytes}B"),
            Self::Everything => f.write_str("everything"),
        }
    }
}

impl Keep {
    /// Reads `everything`, `nothing`, a span such as `30d`, or a size such as `256MiB`.
    ///
    /// ```
    /// use aral_store::Keep;
    /// assert_eq!(Keep::parse("256MiB"), Some(Keep::Bytes(256 << 20)));
    /// assert_eq!(Keep::parse("30d").map(|keep| keep.to_string()).as_deref(), Some("2592000s"));
    /// assert_eq!(Keep::parse("some"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "everything" => return Some(Self::Everything),
            "nothing" => return Some(Self::Nothing),
            _ => {}
        }
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let seconds = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 7 * 86_400)];
        let bytes = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
        let times = |units: &[(&str, u64)]| {
            let (_, times) = units.iter().find(|(name, _)| *name == unit)?;
            number.checked_mul(*times)
        };
        let span = || times(&seconds).map(|seconds| Self::For(Duration::from_secs(seconds)));
        span().or_else(|| times(&bytes).map(Self::Bytes))
    }
}

/// What a store keeps of its history.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct KeptHistory {
    /// What it was told to keep.
    pub keep: Keep,
    /// Every event from this one on is kept; the one behind the newest if none is.
    pub from: Seq,
    /// How many bytes that takes beside what the store needs anyway.
    pub bytes: u64,
    /// The events that were dropped by the call that gives this, if any.
    pub dropped: Option<(Seq, Seq)>,
    /// The newest events whose history is missing although older ones have theirs, if any: no drop leaves that.
    pub missing: Option<(Seq, Seq)>,
}

impl KeptHistory {
    /// Of a store that keeps every event from this one on.
    #[must_use]
    pub fn from_event(keep: Keep, from: Seq) -> Self {
        Self { keep, from, bytes: 0, dropped: None, missing: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is_read() {
        let spans = [Keep::For(Duration::from_secs(90)), Keep::Bytes(1 << 20), Keep::Bytes(0)];
        for keep in [Keep::Nothing, Keep::Everything].into_iter().chain(spans) {
            assert_eq!(Keep::parse(&keep.to_string()), Some(keep));
        }
        for text in ["", "5", "d", "-5d", "1y", "99999999999999999999d", "99999999999999TiB", "5 d", "all"] {
            assert_eq!(Keep::parse(text), None, "{text}");
        }
    }
}
