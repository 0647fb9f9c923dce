//! Times as Python 3.12 and pydantic read them.

use super::*;
use crate::codec::json::{Reader, Value};

fn show(text: &str) -> Option<String> {
    text.parse::<Timestamp>().ok().map(|time| time.to_string())
}

#[test]
fn every_golden_row_is_read_as_python_reads_it() {
    let golden = include_str!("../../../tests/golden/python/fromisoformat312.tsv");
    let mut rows = 0;
    for line in golden.lines() {
        let [input, verdict, output] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let Ok(Value::Str(text)) = Reader::new(input.as_bytes()).unwrap().value(0) else { panic!("{line}") };
        let time = timestamp_from_text(&text).map(|time| time.to_string());
        assert_eq!(time.as_deref(), (verdict == "ok").then_some(output), "{input}");
        rows += 1;
    }
    assert_eq!(rows, 49);
}

#[test]
fn the_oddities_of_the_reader_are_those_of_python() {
    for (text, time) in [
        ("2025-03-13T15:11:33:123456", "2025-03-13T15:11:33.123456"),
        ("2025-03-13T15.5", "2025-03-13T15:00:00.500000"),
        ("2025-03-13T151133123", "2025-03-13T15:11:33.123000"),
        ("2025-03-13T1511331Z", "2025-03-13T15:11:33+00:00"),
        ("2025-03-13T15:11:33X+00:00", "2025-03-13T15:11:33+00:00"),
        ("2025-03-13T15:-05:00", "2025-03-13T15:00:00-05:00"),
        ("2025-03-13T15\0", "2025-03-13T15:00:00"),
        ("2025-03-13T15:11:33.123456ab+01:00", "2025-03-13T15:11:33.123456+01:00"),
        ("2025-03-13T15:11:33+05:99", "2025-03-13T15:11:33+06:39"),
        ("2025-03-13😀15", "2025-03-13T15:00:00"),
        ("2025-W11-15", "2025-03-10T15:00:00"),
        ("2025W11", "2025-03-10T00:00:00"),
        ("2025-W11", "2025-03-10T00:00:00"),
        ("2025-W11T10", "2025-03-10T10:00:00"),
        ("2025W114", "2025-03-13T00:00:00"),
        ("2025W11T10", "2025-03-10T10:00:00"),
        ("2025W114T10", "2025-03-13T10:00:00"),
        ("2025W11510", "2025-03-10T10:00:00"),
        ("2025W114510", "2025-03-13T10:00:00"),
        ("2025W1151010", "2025-03-10T10:10:00"),
        ("0001-W01-1", "0001-01-01T00:00:00"),
        ("2020-W53-1", "2020-12-28T00:00:00"),
        ("2025-03-13T15:11:33-00:00:00.000001", "2025-03-13T15:11:33-00:00:00.000001"),
    ] {
        assert_eq!(show(text).as_deref(), Some(time), "{text:?}");
    }
    for text in ["2025-03-13é", "2025-03-13T1511331", "9999-W52-7", "2021-W53-1", "2025-03-13TZ", "\u{1}"] {
        assert_eq!(show(text), None, "{text:?}");
    }
    for text in ["2025-03", "2025-W1", "2025-W11-", "2025-W11x4", "2025W11-4", "2025-03-13T15:11+05:30x"] {
        assert_eq!(show(text), None, "{text:?}");
    }
}

#[test]
fn a_lone_surrogate_separates_and_does_nothing_else() {
    let text = |bytes: &[&[u8]]| Text::from_wtf8(bytes.concat()).unwrap();
    let apart = text(&[b"2025-03-13", b"\xed\xa0\x80", b"15"]);
    assert_eq!(timestamp_from_text(&apart).unwrap().to_string(), "2025-03-13T15:00:00");
    assert_eq!(timestamp_from_text(&text(&[b"2025-03-13T15", b"\xed\xa0\x80"])), None);
    assert_eq!(timestamp_from_text(&text(&[b"2025-03-13", b"\xed\xa0\x80", b"15\xed\xa0\x80"])), None);
}

#[test]
fn epochs_are_seconds_or_milliseconds_as_pydantic_decides() {
    for (digits, time) in [
        ("0", Some("1970-01-01T00:00:00+00:00")),
        ("20000000000", Some("2603-10-11T11:33:20+00:00")),
        ("20000000001", Some("1970-08-20T11:33:20.001000+00:00")),
        ("-20000000999", Some("1969-05-14T12:26:39.001000+00:00")),
        ("253402300799999", Some("9999-12-31T23:59:59.999000+00:00")),
        ("253402300800000", None),
        ("-62135596800000", Some("0001-01-01T00:00:00+00:00")),
        ("-62135596800001", None),
        ("-9223372036854775808", None),
        ("1000000000000000000000000000000", None),
    ] {
        assert_eq!(timestamp_from_epoch_int(digits).map(|t| t.to_string()).as_deref(), time, "{digits}");
    }
    for (count, time) in [
        (1_741_878_693.447_327_4, Some("2025-03-13T15:11:33.447327+00:00")),
        (-0.25, Some("1969-12-31T23:59:59.250000+00:00")),
        (1_741_878_693_123.5, Some("2025-03-13T15:11:33.123500+00:00")),
        (-1_741_878_693_123.5, Some("1914-10-21T08:48:26.876500+00:00")),
        (0.999_999_999, Some("1970-01-01T00:00:01+00:00")),
        (1.5e-6, Some("1970-01-01T00:00:00.000002+00:00")),
        (1e300, None),
        (f64::NAN, None),
        (f64::INFINITY, None),
    ] {
        assert_eq!(timestamp_from_epoch_float(count).map(|t| t.to_string()).as_deref(), time, "{count}");
    }
}
