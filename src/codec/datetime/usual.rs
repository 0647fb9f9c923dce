//! The short way through the form in which a time is printed.
//!
//! Owns a second way to read that one form: naive or with the offset `+00:00`, with six digits of fraction or none.
//! Whatever differs from it is left to the way that reads every form; the tests hold the two against each other.

use super::MICROS;
use crate::model::{Timestamp, Zone};

/// The first of January 1970, counted in days from the first of March of the year 0.
const EPOCH_DAY: i64 = 719_468;

/// The time, if the text is what it is printed as.
pub(crate) fn read_as_printed(text: &str) -> Option<Timestamp> {
    // No fraction is printed where it is zero.
    read(text.as_bytes())
        .filter(|time| text.as_bytes().get(19) != Some(&b'.') || time.wall_micros() % MICROS != 0)
}

pub(super) fn read(text: &[u8]) -> Option<Timestamp> {
    let (whole, rest) = text.split_first_chunk::<19>()?;
    if [whole[4], whole[7], whole[10], whole[13], whole[16]] != *b"--T::" {
        return None;
    }
    let year = pair(whole[0], whole[1])? * 100 + pair(whole[2], whole[3])?;
    let (month, day) = (pair(whole[5], whole[6])?, pair(whole[8], whole[9])?);
    let (hour, minute) = (pair(whole[11], whole[12])?, pair(whole[14], whole[15])?);
    let second = pair(whole[17], whole[18])?;
    let (fraction, zone) = match rest.split_first_chunk::<7>() {
        Some((part, zone)) if part[0] == b'.' => {
            let [high, middle, low] =
                [pair(part[1], part[2])?, pair(part[3], part[4])?, pair(part[5], part[6])?];
            (high * 10_000 + middle * 100 + low, zone)
        }
        _ => (0, rest),
    };
    let zone = match zone {
        b"" => Zone::Naive,
        b"+00:00" => Zone::Offset(0),
        _ => return None,
    };
    let is_day = (1..=28).contains(&day) || is_late_day(year, month, day);
    if year == 0 || !(1..=12).contains(&month) || !is_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = ((days_from_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Timestamp::from_wall_micros(seconds * MICROS + fraction, zone)
}

/// Counted in years that begin in March, so that a leap day is the last of one.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - EPOCH_DAY
}

/// Whether a month has this day, which is the 29th or later.
fn is_late_day(year: i64, month: i64, day: i64) -> bool {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (29..=last).contains(&day)
}

/// The number of two digits.
fn pair(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
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
