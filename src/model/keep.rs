//! How much of its history a store keeps.

use std::fmt;
use std::time::Duration;

use super::Seq;

/// How much of what compactions cover is kept for looking back; [`DEFAULT`](Self::DEFAULT) where nobody has chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Keep {
    /// Nothing: a compaction drops the events that it covers.
    Nothing,
    /// What was covered by a compaction of that long ago, or later.
    For(Duration),
    /// The newest of it, in so many bytes at most.
    Bytes(u64),
    /// What [`For`](Self::For) keeps, and what [`Bytes`](Self::Bytes) keeps: whichever is more.
    ForOrBytes(Duration, u64),
    /// All of it, for ever.
    Everything,
}

impl Default for Keep {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Keep {
    /// Writes it as [`Keep::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Nothing => f.write_str("nothing"),
            Self::For(span) => in_units(f, whole_seconds(span), &SECONDS),
            Self::Bytes(bytes) => in_units(f, bytes, &BYTES),
            Self::ForOrBytes(span, bytes) => {
                in_units(f, whole_seconds(span), &SECONDS)?;
                f.write_str(",")?;
                in_units(f, bytes, &BYTES)
            }
            Self::Everything => f.write_str("everything"),
        }
    }
}

/// The units of a span, the longest first.
const SECONDS: [(&str, u64); 5] = [("w", 7 * 86_400), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
/// The units of a size, the largest first.
const BYTES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A span in whole seconds, rounded up: what is a little older than asked for is kept.
pub(crate) fn whole_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}

/// Writes a number in the largest unit that divides it; weeks are read, and written as days.
fn in_units(f: &mut fmt::Formatter<'_>, number: u64, units: &[(&str, u64)]) -> fmt::Result {
    let divides = |(name, unit): &&(&str, u64)| *name != "w" && number > 0 && number.is_multiple_of(*unit);
    match units.iter().find(divides) {
        Some((name, unit)) => write!(f, "{}{name}", number / unit),
        None => write!(f, "{number}{}", units.last().map_or("", |(name, _)| name)),
    }
}

/// A number with one of these units.
fn parse_units(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, times) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*times)
}

impl Keep {
    /// What a store keeps that was told nothing: 30 days or 256 MiB, whichever is more.
    pub const DEFAULT: Self = Self::ForOrBytes(Duration::from_secs(30 * 86_400), 256 << 20);

    /// The span that bounds it, if one does.
    pub(crate) const fn span(self) -> Option<Duration> {
        match self {
            Self::For(span) | Self::ForOrBytes(span, _) => Some(span),
            Self::Nothing | Self::Bytes(_) | Self::Everything => None,
        }
    }

    /// The size that bounds it, if one does.
    pub(crate) const fn bytes(self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) | Self::ForOrBytes(_, bytes) => Some(bytes),
            Self::Nothing | Self::For(_) | Self::Everything => None,
        }
    }

    /// Reads `everything`, `nothing`, a span such as `30d`, a size such as `256MiB`, or both, `30d,256MiB`, for whichever is more.
    ///
    /// ```
    /// use aral_store::Keep;
    /// use std::time::Duration;
    /// assert_eq!(Keep::parse("256MiB"), Some(Keep::Bytes(256 << 20)));
    /// let both = Keep::parse("2w,1GiB").unwrap();
    /// assert_eq!(both, Keep::ForOrBytes(Duration::from_secs(14 * 86_400), 1 << 30));
    /// assert_eq!(both.to_string(), "14d,1GiB");
    /// assert_eq!(Keep::parse("some"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let span = |text| parse_units(text, &SECONDS).map(Duration::from_secs);
        let bytes = |text| parse_units(text, &BYTES);
        match (text, text.split_once(',')) {
            ("everything", _) => Some(Self::Everything),
            ("nothing", _) => Some(Self::Nothing),
            (_, Some((first, second))) => Some(Self::ForOrBytes(span(first)?, bytes(second)?)),
            (one, None) => span(one).map(Self::For).or_else(|| bytes(one).map(Self::Bytes)),
        }
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
        let (span, none) = (Duration::from_secs(90), Duration::ZERO);
        let spans = [
            Keep::For(span),
            Keep::Bytes(1 << 20),
            Keep::Bytes(0),
            Keep::ForOrBytes(span, 7),
            Keep::ForOrBytes(none, 1 << 40),
        ];
        for keep in [Keep::Nothing, Keep::Everything].into_iter().chain(spans) {
            assert_eq!(Keep::parse(&keep.to_string()), Some(keep));
        }
        for text in [
            "",
            "5",
            "d",
            "-5d",
            "1y",
            "99999999999999999999d",
            "99999999999999TiB",
            "5 d",
            "all",
            "30d,",
            "1MiB,30d",
            "30d,1MiB,1s",
        ] {
            assert_eq!(Keep::parse(text), None, "{text}");
        }
    }
}
