//! The point in time that a user means.
//!
//! Owns the reading of it: a time as the store prints them, a date, or a span that ends now.

use aral_store::Timestamp;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant};

use crate::exit::Failure;
use crate::output::{count, note};

/// Reads a time, a date or a span before now, given for an option.
pub(crate) fn read(option: &str, text: &str) -> Result<Timestamp, Failure> {
    before(text, Instant::now()).ok_or_else(|| {
        let forms = "2025-03-13T15:11:33Z, 2025-03-13, 7d and 24h are";
        Failure::Usage(format!("{option} {text:?} is no point in time; {forms}"))
    })
}

/// Says that times without an offset were taken for what they may mean, and how often that decided.
pub(crate) fn tell_doubt(number: u64, what: &str) {
    if number > 0 {
        note(&format!(
            "{} here may be of another time than was asked for: stored times without an offset may be of any time zone, and \
             are left out only where none would fit",
            count(number, what)
        ));
    }
}

/// Without an offset a time is in UTC, and a date is its midnight there. A day has 24 hours.
fn before(text: &str, now: Instant) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let span = text.parse::<Span>().ok()?.abs();
    let then = now.to_zoned(TimeZone::UTC).checked_sub(span).ok()?;
    Timestamp::from_unix_micros(then.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_dates_and_spans_are_read_and_nothing_else() {
        let now: Instant = "2025-03-31T12:00:00Z".parse().unwrap();
        for (text, means) in [
            ("2025-03-13T15:11:33.5+02:00", "2025-03-13T15:11:33.500000+02:00"),
            ("2025-03-13T15:11:33Z", "2025-03-13T15:11:33+00:00"),
            ("2025-03-13", "2025-03-13T00:00:00"),
            ("7d", "2025-03-24T12:00:00+00:00"),
            ("24h", "2025-03-30T12:00:00+00:00"),
            ("90 minutes", "2025-03-31T10:30:00+00:00"),
            ("1mo", "2025-02-28T12:00:00+00:00"),
            ("2 weeks ago", "2025-03-17T12:00:00+00:00"),
            ("0s", "2025-03-31T12:00:00+00:00"),
        ] {
            assert_eq!(before(text, now).map(|time| time.to_string()).as_deref(), Some(means), "{text}");
        }
        for text in ["", "yesterday", "7", "d", "2025-02-30", "99999y", "2025-03-13T25:00:00"] {
            assert_eq!(before(text, now), None, "{text}");
        }
    }
}
