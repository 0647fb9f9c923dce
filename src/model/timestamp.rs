//! A point in time as Python's `datetime` has it.
//!
//! Owns the value and its one way of being printed, `isoformat()`. Reading the many forms that Python
//! accepts is the codec's. Never used for order: order is by sequence number.

use std::fmt;

use jiff::civil::DateTime;

/// Microseconds in a day.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;
/// How far clocks are behind UTC, and ahead of it.
const HOURS_BEHIND: i64 = DAY_MICROS / 2;
const HOURS_AHEAD: i64 = DAY_MICROS / 24 * 14;

/// A wall-clock time of the years 0001 to 9999 in microseconds, with an offset from UTC or without one.
///
/// What was read naive stays naive; what the store itself makes has the offset `+00:00`.
///
/// ```
/// use aral_store::Timestamp;
/// let time: Timestamp = "2025-03-13T15:11:33.1Z".parse()?;
/// assert_eq!(time.to_string(), "2025-03-13T15:11:33.100000+00:00");
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Timestamp {
    wall: i64,
    zone: Zone,
}

/// How a wall-clock time relates to UTC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Zone {
    /// Not said: the local time of whoever wrote it.
    Naive,
    /// Ahead of UTC by so many microseconds, less than a day either way.
    Offset(i64),
}

impl Timestamp {
    /// The first wall-clock time, 0001-01-01T00:00:00, in microseconds from 1970-01-01T00:00:00.
    pub(crate) const MIN_WALL: i64 = -62_135_596_800_000_000;
    /// The last one, 9999-12-31T23:59:59.999999.
    pub(crate) const MAX_WALL: i64 = 253_402_300_799_999_999;

    /// The Unix epoch, 1970-01-01T00:00:00+00:00.
    pub const EPOCH: Self = Self { wall: 0, zone: Zone::Offset(0) };

    /// A wall-clock time, counted in microseconds from 1970-01-01T00:00:00 on that same clock.
    ///
    /// `None` when it lies outside the years 0001 to 9999 or the offset is not less than a day.
    #[must_use]
    pub fn from_wall_micros(wall: i64, zone: Zone) -> Option<Self> {
        let zone_is_sound = match zone {
            Zone::Naive => true,
            Zone::Offset(micros) => -DAY_MICROS < micros && micros < DAY_MICROS,
        };
        (zone_is_sound && (Self::MIN_WALL..=Self::MAX_WALL).contains(&wall)).then_some(Self { wall, zone })
    }

    /// An instant, counted in microseconds from the Unix epoch, shown with the offset `+00:00`.
    ///
    /// `None` when it lies outside the years 0001 to 9999.
    #[must_use]
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        Self::from_wall_micros(micros, Zone::Offset(0))
    }

    /// The wall-clock time in microseconds from 1970-01-01T00:00:00 on the same clock.
    #[must_use]
    pub fn wall_micros(&self) -> i64 {
        self.wall
    }

    /// How the wall clock relates to UTC.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// Whether this may be a point in time at or after another one.
    ///
    /// A naive time may be of any time zone, from twelve hours behind UTC to fourteen ahead of it. Held against a time with
    /// an offset it is therefore taken wherever it may be meant, rather than left out where it may be. Two naive times are of the same clock.
    /// A naive bound of times with offsets is in UTC.
    ///
    /// ```
    /// use aral_store::Timestamp;
    /// let since: Timestamp = "2025-03-13T15:00:00Z".parse()?;
    /// let of_new_york: Timestamp = "2025-03-13T11:30:00".parse()?;
    /// assert!(of_new_york.may_be_since(since) && of_new_york.is_in_doubt(since));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn may_be_since(&self, bound: Timestamp) -> bool {
        let at_the_latest = if self.is_unsure_beside(bound) { HOURS_BEHIND } else { 0 };
        self.approximate_unix_micros().saturating_add(at_the_latest) >= bound.approximate_unix_micros()
    }

    /// Whether this may be a point in time before another one; see [`may_be_since`](Self::may_be_since).
    #[must_use]
    pub fn may_be_before(&self, bound: Timestamp) -> bool {
        let at_the_earliest = if self.is_unsure_beside(bound) { HOURS_AHEAD } else { 0 };
        self.approximate_unix_micros().saturating_sub(at_the_earliest) < bound.approximate_unix_micros()
    }

    /// Whether nothing says on which side of another time this is.
    #[must_use]
    pub fn is_in_doubt(&self, bound: Timestamp) -> bool {
        self.may_be_since(bound) && self.may_be_before(bound) && self.is_unsure_beside(bound)
    }

    fn is_unsure_beside(&self, bound: Timestamp) -> bool {
        self.zone == Zone::Naive && bound.zone != Zone::Naive
    }

    /// The instant in microseconds from the Unix epoch; a naive time is taken as UTC, so this serves for
    /// showing and for a rough order between conversations, and for nothing that must be exact.
    #[must_use]
    pub fn approximate_unix_micros(&self) -> i64 {
        match self.zone {
            Zone::Naive => self.wall,
            Zone::Offset(micros) => self.wall.saturating_sub(micros),
        }
    }
}

/// The civil date and time of a count of microseconds; `None` outside of the calendar.
fn civil(wall: i64) -> Option<DateTime> {
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    epoch.checked_add(jiff::SignedDuration::from_micros(wall)).ok()
}

/// Puts the last digits of a number that is not negative into their place.
fn put(text: &mut [u8], place: std::ops::Range<usize>, mut number: i64) {
    for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

impl fmt::Display for Timestamp {
    /// Writes what Python's `isoformat()` writes: six digits of fraction or none, `+HH:MM` with seconds
    /// and their fraction only where there are any, `+00:00` and never `Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The constructor holds the wall clock to years in which this cannot fail.
        let at = civil(self.wall).ok_or(fmt::Error)?;
        // Digits in their places at once: messages are printed by the hundred thousand.
        let mut text = *b"0000-00-00T00:00:00.000000";
        let parts = [at.month(), at.day(), at.hour(), at.minute(), at.second()].map(i64::from);
        put(&mut text, 0..4, at.year().into());
        for (place, part) in [5, 8, 11, 14, 17].into_iter().zip(parts) {
            put(&mut text, place..place + 2, part);
        }
        let micros = self.wall.rem_euclid(1_000_000);
        put(&mut text, 20..26, micros);
        let length = if micros == 0 { 19 } else { 26 };
        f.write_str(text.get(..length).and_then(|text| std::str::from_utf8(text).ok()).ok_or(fmt::Error)?)?;
        let Zone::Offset(offset) = self.zone else { return Ok(()) };
        if offset == 0 {
            return f.write_str("+00:00");
        }
        let ahead = offset.unsigned_abs();
        let (seconds, fraction) = (ahead / 1_000_000, ahead % 1_000_000);
        let sign = if offset < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)?;
        if seconds % 60 != 0 || fraction != 0 {
            write!(f, ":{:02}", seconds % 60)?;
        }
        if fraction != 0 {
            write!(f, ".{fraction:06}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_the_calendar_print_and_one_past_them_is_refused() {
        let show = |wall, zone| Timestamp::from_wall_micros(wall, zone).map(|t| t.to_string());
        assert_eq!(show(Timestamp::MIN_WALL, Zone::Naive).unwrap(), "0001-01-01T00:00:00");
        assert_eq!(show(Timestamp::MAX_WALL, Zone::Naive).unwrap(), "9999-12-31T23:59:59.999999");
        assert_eq!(show(Timestamp::MIN_WALL - 1, Zone::Naive), None);
        assert_eq!(show(Timestamp::MAX_WALL + 1, Zone::Naive), None);
        assert_eq!(show(0, Zone::Offset(DAY_MICROS)), None);
    }

    #[test]
    fn an_offset_prints_no_more_than_it_has() {
        let show = |offset| Timestamp::from_wall_micros(0, Zone::Offset(offset)).unwrap().to_string();
        assert_eq!(show(0), "1970-01-01T00:00:00+00:00");
        assert_eq!(show(-11_707_000_000), "1970-01-01T00:00:00-03:15:07");
        assert_eq!(show(19_815_000_001), "1970-01-01T00:00:00+05:30:15.000001");
        assert_eq!(show(-1), "1970-01-01T00:00:00-00:00:00.000001");
    }
}
