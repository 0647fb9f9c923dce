//! Reading points in time as Python 3.12's `datetime.fromisoformat` does, and epochs as pydantic does.
//!
//! Owns both grammars, their oddities included: whatever the original opened must open here, with the same
//! time. One thing is better here: an offset of less than a second, which Python prints but reads as zero, is
//! kept. Printing is the model's. Knows no clock.

use std::str::FromStr;

use jiff::civil::{Date, ISOWeekDate, Weekday};

use crate::error::{Error, Result};
use crate::model::{Text, Timestamp, Zone};

mod fast_path;

pub(crate) use fast_path::{read_as_printed, read_longest};

const MICROS: i64 = 1_000_000;

/// Epochs beyond this, either way, count milliseconds.
const MILLISECONDS_FROM: i64 = 20_000_000_000;

impl FromStr for Timestamp {
    type Err = Error;

    /// Reads every form that Python 3.12's `datetime.fromisoformat` accepts.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for any other text.
    ///
    /// ```
    /// use aral_store::Timestamp;
    /// for text in ["2025-03-13 15:11", "20250313T1511Z", "2025-W11-4T15:11:00.5+05:30"] {
    ///     text.parse::<Timestamp>()?;
    /// }
    /// assert!("yesterday".parse::<Timestamp>().is_err());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::invalid(format!("not a point in time in ISO 8601: {text:.60?}"));
        iso(text.as_bytes()).ok_or_else(refuse)
    }
}

/// The time that a string of a file means. Python takes a lone surrogate for the separator of date and time.
pub(crate) fn timestamp_from_text(text: &Text) -> Option<Timestamp> {
    if let Some(text) = text.as_str() {
        return iso(text.as_bytes());
    }
    let is_surrogate = |point: &u32| (0xd800..0xe000).contains(point);
    let points: Vec<u32> = text.code_points().collect();
    let place = [7, 8, 10].into_iter().find(|place| points.get(*place).is_some_and(is_surrogate))?;
    let replaced = points
        .iter()
        .enumerate()
        .map(|(at, point)| if at == place { Some('T') } else { char::from_u32(*point) });
    iso(replaced.collect::<Option<String>>()?.as_bytes())
}

/// The time that an integer of a file means, given as its digits.
pub(crate) fn timestamp_from_epoch_int(digits: &str) -> Option<Timestamp> {
    let count: i64 = digits.parse().ok()?;
    from_epoch(count, 0)
}

/// The time that a float of a file means.
pub(crate) fn timestamp_from_epoch_float(count: f64) -> Option<Timestamp> {
    // The text of a float without fraction is the shortest way to its integer; out of range it fails.
    let whole = |value: f64| format!("{value:.0}").parse::<i64>().ok();
    // What pydantic does: the floor, and on it the fraction without its sign.
    let in_milliseconds = count.abs() > 2e10;
    let scale = if in_milliseconds { 1e3 } else { 1e6 };
    from_epoch(whole(count.floor())?, whole((count.fract().abs() * scale).round())?)
}

fn from_epoch(count: i64, micros: i64) -> Option<Timestamp> {
    let unit = if count.checked_abs()? > MILLISECONDS_FROM { 1000 } else { MICROS };
    Timestamp::from_unix_micros(count.checked_mul(unit)?.checked_add(micros)?)
}

/// The byte there; past the end the NUL that Python's own reader finds there.
fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The number of exactly so many digits.
fn digits(text: &[u8], at: usize, count: usize) -> Option<i64> {
    let digits = text.get(at..at.checked_add(count)?)?;
    digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit.wrapping_sub(b'0')))
    })
}

fn iso(text: &[u8]) -> Option<Timestamp> {
    fast_path::read(text).or_else(|| any_iso(text))
}

/// Every form.
fn any_iso(text: &[u8]) -> Option<Timestamp> {
    let length = text.len();
    // Shorter than any date. Python counts characters here; text that is longer in bytes fails below.
    if length < 7 {
        return None;
    }
    let separator = separator_place(text)?;
    let days = days_from_epoch(date(text, separator)?);
    if length <= separator {
        return Timestamp::from_wall_micros(days * 86_400 * MICROS, Zone::Naive);
    }
    // Any one character separates date and time.
    let width = match byte(text, separator) {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    };
    let (of_day, zone) = time(text.get(separator + width..)?)?;
    Timestamp::from_wall_micros(days * 86_400 * MICROS + of_day, zone)
}

/// Where the date ends, judged by its fifth and sixth characters.
fn separator_place(text: &[u8]) -> Option<usize> {
    let length = text.len();
    if length == 7 {
        return Some(7);
    }
    Some(match (byte(text, 4), byte(text, 5)) {
        // A date by week, with a day or without: `YYYY-Www-D` or `YYYY-Www`.
        (b'-', b'W') if length > 8 && byte(text, 8) == b'-' => match length {
            9 => return None,
            // Two digits after the second hyphen are an hour rather than a day and a separating digit.
            _ if length > 10 && byte(text, 10).is_ascii_digit() => 8,
            _ => 10,
        },
        (b'-', b'W') => 8,
        (b'-', _) => 10,
        // `YYYYWww` or `YYYYWwwD`: the digits of a time come in pairs, so an odd one is a day.
        (b'W', _) => {
            let run = text.iter().skip(7).take_while(|b| b.is_ascii_digit()).count();
            match 7 + run {
                end @ 7..=8 => end,
                end if end % 2 == 0 => 7,
                _ => 8,
            }
        }
        _ => 8,
    })
}

fn date(text: &[u8], end: usize) -> Option<Date> {
    let year = i16::try_from(digits(text, 0, 4)?).ok().filter(|year| *year > 0)?;
    let hyphen = usize::from(byte(text, 4) == b'-');
    let mut at = 4 + hyphen;
    let in_form = |at: usize| hyphen == 0 || byte(text, at) == b'-';
    if byte(text, at) == b'W' {
        let week = i8::try_from(digits(text, at + 1, 2)?).ok()?;
        at += 3;
        let mut day = 1;
        // Where a date with hyphens goes on behind its week, it is a hyphen that said so.
        if at < end {
            day = i8::try_from(digits(text, at + hyphen, 1)?).ok()?;
        }
        let day = Weekday::from_monday_one_offset(day).ok()?;
        return Some(ISOWeekDate::new(year, week, day).ok()?.date());
    }
    let month = i8::try_from(digits(text, at, 2)?).ok()?;
    at += 2;
    if !in_form(at) {
        return None;
    }
    let day = i8::try_from(digits(text, at + hyphen, 2)?).ok()?;
    Date::new(year, month, day).ok()
}

fn days_from_epoch(date: Date) -> i64 {
    date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24
}

/// The microseconds of the day, and the zone, of a time of day.
fn time(text: &[u8]) -> Option<(i64, Zone)> {
    let end = text.iter().position(|b| matches!(b, b'+' | b'-' | b'Z')).unwrap_or(text.len());
    let (clock, has_more) = clock(text, 0, end)?;
    let [hours, minutes, seconds] = clock.parts;
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let sign = match text.get(end) {
        None if has_more => return None,
        None => return Some((clock.micros(), Zone::Naive)),
        Some(b'Z') => return (byte(text, end + 1) == 0).then(|| (clock.micros(), Zone::Offset(0))),
        Some(b'-') => -1,
        Some(_) => 1,
    };
    // Minutes and seconds of an offset may be up to 99; only the sum is checked, by the constructor.
    match self::clock(text, end + 1, text.len())? {
        (offset, false) => Some((clock.micros(), Zone::Offset(sign * offset.micros()))),
        _ => None,
    }
}

#[derive(Default)]
struct Clock {
    /// Hours, minutes, seconds.
    parts: [i64; 3],
    /// Microseconds.
    fraction: i64,
}

impl Clock {
    fn micros(&self) -> i64 {
        let [hours, minutes, seconds] = self.parts;
        (hours * 3600 + minutes * 60 + seconds) * MICROS + self.fraction
    }
}

/// Reads `HH[:?MM[:?SS[[.,:]?f…]]]`, and says whether something follows it.
///
/// Python's reader lets one character of any kind stand at the end before an offset, takes a fraction after
/// hours or minutes already, and needs no point before it where there are no colons.
fn clock(text: &[u8], start: usize, end: usize) -> Option<(Clock, bool)> {
    let mut clock = Clock::default();
    let mut at = start;
    let mut has_colons = true;
    for part in &mut clock.parts {
        *part = digits(text, at, 2)?;
        let next = byte(text, at + 2);
        if at == start {
            has_colons = next == b':';
        }
        at += 3;
        if at >= end {
            return Some((clock, next != 0));
        }
        match next {
            b':' if has_colons => {}
            b'.' | b',' => break,
            _ if has_colons => return None,
            _ => at -= 1,
        }
    }
    let count = (end - at).min(6);
    let scale = 10_i64.pow(u32::try_from(6 - count).ok()?);
    clock.fraction = digits(text, at, count)? * scale;
    let further = text.iter().skip(at + count).take_while(|b| b.is_ascii_digit()).count();
    Some((clock, byte(text, at + count + further) != 0))
}

#[cfg(test)]
mod tests;
