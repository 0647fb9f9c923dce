//! Colours, and times as a person says them.
//!
//! Owns which part of what is printed looks how. Whether there are colours at all is decided as every
//! program decides it: `--color`, `NO_COLOR` and its like, and whether standard output is a terminal.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use anstyle::{AnsiColor, Style};
use aral_store::{Timestamp, Zone};

/// The heads of tables and transcripts.
pub(crate) const HEAD: Style = Style::new().bold();
/// Who speaks in a transcript, and what happens in a log.
pub(crate) const WHO: Style = AnsiColor::Cyan.on_default().bold();
/// What was searched for.
pub(crate) const FOUND: Style = AnsiColor::Yellow.on_default().bold();
/// What identifies and dates something, and is seldom what is looked for.
pub(crate) const ASIDE: Style = Style::new().dimmed();

/// The text in a style, if there are colours.
pub(crate) fn painted(style: Style, text: &str) -> String {
    if anstream::AutoStream::choice(&io::stdout()) == anstream::ColorChoice::Never || text.is_empty() {
        return text.to_owned();
    }
    format!("{style}{text}{style:#}")
}

/// What clap calls the choice, as the streams call it.
pub(crate) fn choose(choice: clap::ColorChoice) {
    let choice = match choice {
        clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
        clap::ColorChoice::Always => anstream::ColorChoice::Always,
        clap::ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Now, in microseconds from the Unix epoch.
pub(crate) fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a person wants to know how long ago something was")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// How long ago it was, if that says more than the date; `None` for what is not past, lies a month back, or
/// does not say how it relates to now.
pub(crate) fn ago(time: &Timestamp, now: i64) -> Option<String> {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    if time.zone() == Zone::Naive {
        return None;
    }
    let seconds = now.checked_sub(time.approximate_unix_micros())? / 1_000_000;
    let (number, unit) = match seconds {
        ..0 => return None,
        0..MINUTE => return Some("just now".to_owned()),
        MINUTE..HOUR => (seconds / MINUTE, "minute"),
        HOUR..DAY => (seconds / HOUR, "hour"),
        _ if seconds < 30 * DAY => (seconds / DAY, "day"),
        _ => return None,
    };
    Some(format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_a_person_tells_them() {
        let now = 1_800_000_000_000_000;
        for (seconds, said) in [
            (0, Some("just now")),
            (59, Some("just now")),
            (60, Some("1 minute ago")),
            (3_599, Some("59 minutes ago")),
            (3_600, Some("1 hour ago")),
            (86_400 * 2, Some("2 days ago")),
            (86_400 * 30, None),
            (-1, None),
        ] {
            let time = Timestamp::from_unix_micros(now - seconds * 1_000_000).unwrap();
            assert_eq!(ago(&time, now).as_deref(), said, "{seconds}");
        }
        assert_eq!(ago(&"2025-03-13T15:11:33".parse().unwrap(), now), None);
    }
}
