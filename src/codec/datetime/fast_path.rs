//! The short way through the form in which a time is printed.
//!
//! Owns a second way to read that one form: naive or with the offset `+00:00`, with six digits of fraction or none.
//! Whatever differs from it is left to the way that reads every form; the tests hold the two against each other.

use super::MICROS;
use crate::model::{Timestamp, Zone};

/// The first of January 1970, counted in days from the first of March of the year 0.
const EPOCH_DAY: i32 = 719_468;

/// The time, if the text is what it is printed as.
pub(crate) fn read_as_printed(text: &str) -> Option<Timestamp> {
    // No fraction is printed where it is zero.
    read(text.as_bytes())
        .filter(|time| text.as_bytes().get(19) != Some(&b'.') || time.wall_micros() % MICROS != 0)
}

/// The time, if the text has nearly that form: zeros may stand in its fraction.
pub(crate) fn read(text: &[u8]) -> Option<Timestamp> {
    let seconds = seconds(text.first_chunk()?)?;
    let (fraction, zone) = match text.get(19..)? {
        [b'.', _, _, _, _, _, _, zone @ ..] => (fraction(text.first_chunk()?)?, zone),
        zone => (0, zone),
    };
    let zone = match zone {
        b"" => Zone::Naive,
        b"+00:00" => Zone::Offset(0),
        _ => return None,
    };
    Timestamp::from_wall_micros(seconds * MICROS + fraction, zone)
}

/// The same of a text that is as long as most: with a fraction and with an offset.
#[inline]
pub(crate) fn read_longest(text: &[u8; 32]) -> Option<Timestamp> {
    if !text.ends_with(b"+00:00") {
        return None;
    }
    let micros = seconds(text.first_chunk()?)? * MICROS + fraction(text.first_chunk()?)?;
    Timestamp::from_wall_micros(micros, Zone::Offset(0))
}

/// The seconds of a date and a time of day.
#[inline]
fn seconds(text: &[u8; 19]) -> Option<i64> {
    let [century, _, year, _, _, month, ..] = DATE.pairs(text, 0)?;
    let [day, _, _, hour, _, _, minute, _] = DAY.pairs(text, 8)?;
    let [.., second, _] = CLOCK.pairs(text, 11)?;
    let year = i32::from(century) * 100 + i32::from(year);
    let (month, day) = (i32::from(month), i32::from(day));
    let is_day = (1..=28).contains(&day) || is_late_day(year, month, day);
    if year == 0 || !(1..=12).contains(&month) || !is_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let of_day = (i32::from(hour) * 60 + i32::from(minute)) * 60 + i32::from(second);
    Some(i64::from(days_from_epoch(year, month, day)) * 86_400 + i64::from(of_day))
}

/// The microseconds of a fraction behind a time of day.
#[inline]
fn fraction(text: &[u8; 26]) -> Option<i64> {
    let [_, _, high, _, middle, _, low, _] = FRACTION.pairs(text, 18)?;
    Some(i64::from(high) * 10_000 + i64::from(middle) * 100 + i64::from(low))
}

const DATE: Form = Form::like(*b"0000-00-");
const DAY: Form = Form::like(*b"00T00:00");
const CLOCK: Form = Form::like(*b"00:00:00");
const FRACTION: Form = Form::like(*b"0.000000");

/// Eight bytes of a time, which are looked at as one number: its lowest byte is the first in the text.
struct Form {
    /// What stands there, with zeros for digits.
    like: u64,
    /// What added to a byte's difference from that reaches the byte's top bit if it is too large.
    limits: u64,
}

impl Form {
    const fn like(text: [u8; 8]) -> Self {
        let like = u64::from_le_bytes(text);
        let (mut limits, mut shift) = (0x7f7f_7f7f_7f7f_7f7f, 0);
        while shift < u64::BITS {
            // A zero, which stands for any digit.
            if like >> shift & 0xff == 0x30 {
                limits -= 9 << shift;
            }
            shift += 8;
        }
        Self { like, limits }
    }

    /// The numbers of two digits each, in the place of their first digit; what is in other places means nothing.
    #[inline]
    fn pairs(&self, text: &[u8], at: usize) -> Option<[u8; 8]> {
        let digits = u64::from_le_bytes(*text.get(at..)?.first_chunk()?) ^ self.like;
        // A sum that carries into the next byte has come from one whose own top bit is set.
        let is_such = (digits.wrapping_add(self.limits) | digits) & 0x8080_8080_8080_8080 == 0;
        is_such.then(|| (digits * 10 + (digits >> 8)).to_le_bytes())
    }
}

/// Counted in years that begin in March, so that a leap day is the last of one.
fn days_from_epoch(year: i32, month: i32, day: i32) -> i32 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - EPOCH_DAY
}

/// Whether a month has this day, which is the 29th or later.
fn is_late_day(year: i32, month: i32, day: i32) -> bool {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (29..=last).contains(&day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::any_iso;
    use super::*;

    #[test]
    fn every_day_of_the_calendar_is_the_one_that_the_long_way_finds() {
        let mut found = 0;
        for year in [0, 1, 4, 100, 399, 400, 1582, 1900, 1970, 1972, 2000, 2023, 2024, 2100, 9999] {
            for (month, day) in (0..=13).flat_map(|month| (0..=32).map(move |day| (month, day))) {
                let text = format!("{year:04}-{month:02}-{day:02}T23:59:59.000001");
                let read = read(text.as_bytes());
                assert_eq!(read, any_iso(text.as_bytes()), "{text}");
                found += usize::from(read.is_some());
            }
        }
        // All years but the first, which is none; 4, 400, 1972, 2000 and 2024 are leap years.
        assert_eq!(found, 14 * 365 + 5);
    }

    #[test]
    fn every_byte_at_every_place_is_judged_as_by_the_long_way() {
        for text in ["2026-11-23T07:48:49.123456+00:00", "2026-11-23T07:48:49.123456", "2026-11-23T07:48:49"]
        {
            assert!(read(text.as_bytes()).is_some());
            for (at, byte) in (0..text.len()).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
                let mut struck = text.as_bytes().to_vec();
                struck[at] = byte;
                let read = read(&struck);
                assert!(read.is_none() || read == any_iso(&struck), "{}", struck.escape_ascii());
                if let Ok(whole) = struck.as_slice().try_into() {
                    assert_eq!(read_longest(whole), read);
                }
            }
        }
    }

    #[test]
    fn in_a_form_a_zero_stands_for_any_digit_and_all_else_for_itself() {
        let form = Form::like(*b"00-0T:0.");
        assert_eq!(form.like.to_le_bytes(), *b"00-0T:0.");
        // A byte may be more than the form's by what is left to 127.
        assert_eq!(form.limits.to_le_bytes().map(|limit| 127 - limit), [9, 9, 0, 9, 0, 0, 9, 0]);
    }

    proptest! {
        #[test]
        fn what_the_short_way_reads_the_long_way_reads_too(
            (date, time, places) in ("[0-9]{4}-[01][0-9]-[0-3][0-9]", "[0-2][0-9]:[0-6][0-9]:[0-6][0-9]", 0_usize..4),
            zone in "(|[+]00:00|Z|-00:00|[+]01:00|x)",
            strike in prop::option::of((0_usize..32, any::<u8>())),
        ) {
            let fraction = [".123456", "", ".5", ".000000"][places];
            let mut text = format!("{date}T{time}{fraction}{zone}").into_bytes();
            let length = text.len();
            if let Some((at, byte)) = strike {
                text[at % length] = byte;
            }
            if let Some(time) = read(&text) {
                prop_assert_eq!(any_iso(&text), Some(time));
                let text = std::str::from_utf8(&text).unwrap();
                prop_assert_eq!(read_as_printed(text), Some(time).filter(|time| time.to_string() == text));
            }
        }
    }
}
