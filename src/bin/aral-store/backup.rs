//! The commands that keep a store elsewhere as well: backup, replicate, and restore, which brings one back.
//!
//! Owns their arguments, the pace of a replication, and the words and fields in which they say what they have come to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aral_store::{BackupReport, Error, ErrorKind, Moment, Options, StoreUrl};
use clap::Args;
use serde_json::Value;

use crate::database;
use crate::exit::{Exit, Failure};
use crate::key;
use crate::moment;
use crate::output::{self, Form, count, note};
use crate::patience;
use crate::place;
use crate::progress::{Unit, Work};
use crate::signals;
use crate::style;
use crate::upkeep::{json, print_fields};

#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// The backup: a directory, or the URL of a place in a bucket, that is new, empty, or holds an earlier backup of this store
    pub(crate) to: PathBuf,
    /// Remove from the backup what only states older than this need, such as 30d; all are kept if not given
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) keep: Option<Duration>,
}

#[derive(Args, Debug)]
pub(crate) struct ReplicateArgs {
    #[command(flatten)]
    pub(crate) backup: BackupArgs,
    /// How far the backup may fall behind: seconds, or a time such as 500ms or 5m
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = pause)]
    pub(crate) every: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The backup, a directory or a URL
    pub(crate) from: PathBuf,
    /// The new store: a directory that does not exist or is empty
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// Which state: that after an event's number, or of a time, a date, or a span ago such as 2h; the newest if not given
    #[arg(long, value_name = "SEQ|TIME", allow_hyphen_values = true)]
    pub(crate) at: Option<String>,
}

pub(crate) fn backup(dir: &Path, form: Form, args: &BackupArgs) -> Result<Exit, Failure> {
    let options = begin(dir, args)?;
    let report = {
        let _work = Work::begin("backing up", Some(place::bytes_below(dir)), Unit::StoreBytes);
        options.backup(dir, &args.to)?
    };
    tell(&report);
    for file in &report.damaged {
        note(&format!("the backup is complete without it: {}", place::damage(file)));
    }
    let kept = report.kept.iter().map(|(first, last)| format!("{first}-{last}")).collect::<Vec<_>>();
    let mut fields = fields(&report);
    fields.push(("kept", kept.join(" ").into()));
    fields.push(("kept_since", report.kept_since.map(|time| time.to_string()).into()));
    print_fields(form, fields)
        .map_err(|failure| failure.after(|| format!("backed up, to event {}", report.last_seq)))?;
    Ok(place::amiss(&report.damaged))
}

pub(crate) fn replicate(dir: &Path, form: Form, args: &ReplicateArgs) -> Result<Exit, Failure> {
    let stop = signals::on_stop(|_| {})?;
    let mut replica = begin(dir, &args.backup)?.replica(dir, &args.backup.to)?;
    let (mut told, mut trouble) = (None, None::<Trouble>);
    loop {
        let began = style::now();
        match replica.pass() {
            Ok(report) => {
                if trouble.take().is_some() {
                    note("the backup goes on");
                }
                tell(&report);
                if told != Some((report.last_seq, report.epoch)) {
                    told = Some((report.last_seq, report.epoch));
                    print_state(&report, form)?;
                }
            }
            // Who has had it running relies on it: what is away may come back.
            Err(error) if told.is_some() && may_come_back(&error) => {
                let since = trouble.get_or_insert_with(|| Trouble::new(began));
                if let Some(words) = since.words(began, &error.to_string()) {
                    note(&words);
                }
            }
            Err(error) => return Err(error.into()),
        }
        // Looks begin at half the time: what came right behind one is copied before the next one ends, unless
        // copying takes longer than the other half.
        let next = began.saturating_add(i64::try_from(args.every.as_micros() / 2).unwrap_or(i64::MAX));
        loop {
            if let Some(signal) = stop.signal() {
                return Err(Failure::Stopped(signal));
            }
            let left = u64::try_from(next.saturating_sub(style::now())).unwrap_or_default();
            if left == 0 {
                break;
            }
            if !output::is_read_after(Duration::from_micros(left).min(PAUSE)) {
                return Err(Failure::Unread);
            }
        }
    }
}

/// Something that keeps a backup from going on.
struct Trouble {
    /// When it began, in microseconds.
    since: i64,
    /// What was said of it.
    said: String,
    /// When it is said again.
    again: i64,
}

impl Trouble {
    const MINUTE: i64 = 60_000_000;

    fn new(now: i64) -> Self {
        Self { since: now, said: String::new(), again: now }
    }

    /// What is to be said of it now: something else, or the same after one minute, two, four, and then every hour.
    fn words(&mut self, now: i64, text: &str) -> Option<String> {
        if self.said == text && now < self.again {
            return None;
        }
        let lasted = now.saturating_sub(self.since);
        let is_other = std::mem::replace(&mut self.said, text.to_owned()) != text;
        self.again = now.saturating_add(lasted.clamp(Self::MINUTE, 60 * Self::MINUTE));
        let minutes = u64::try_from(lasted / Self::MINUTE).unwrap_or_default();
        Some(if is_other && minutes == 0 {
            format!("nothing is backed up until this is over, and it is tried again: {text}")
        } else {
            format!(
                "nothing has been backed up for {}, and it is tried again: {text}",
                count(minutes, "minute")
            )
        })
    }
}

/// Whether what failed may succeed later without anybody's doing: a store or a backup that is not there for the moment, a disk that is full.
fn may_come_back(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::NotFound | ErrorKind::NoSpace)
}

/// How long nobody looks whether a signal came.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) fn restore(form: Form, args: &RestoreArgs) -> Result<Exit, Failure> {
    must_be_a_backups_place(&args.from)?;
    must_be_a_directory(&args.to)?;
    let moment = match args.at.as_deref() {
        None => Moment::Newest,
        Some(text) => match text.parse() {
            Ok(seq) => Moment::Seq(seq),
            Err(_) => Moment::Time(moment::read("--at", text)?),
        },
    };
    let report = {
        let _work = Work::begin("restoring", Some(place::bytes_below(&args.from)), Unit::StoreBytes);
        place::watched(key::options()).restore(&args.from, &args.to, moment)?
    };
    for file in &report.damaged {
        note(&format!("the store is complete without it: {}", place::damage(file)));
    }
    if let Moment::Seq(seq) = moment
        && seq > report.last_seq
    {
        note(&format!(
            "event {seq} is in a batch, which is restored whole or not at all: the store ends with event {}",
            report.last_seq
        ));
    }
    let fields = vec![
        ("last_seq", report.last_seq.into()),
        ("files", report.files.into()),
        ("bytes", report.bytes.into()),
    ];
    print_fields(form, fields)
        .map_err(|failure| failure.after(|| format!("restored, to event {}", report.last_seq)))?;
    Ok(Exit::Done)
}

fn begin(dir: &Path, args: &BackupArgs) -> Result<Options, Failure> {
    must_be_a_directory(dir)?;
    must_be_a_backups_place(&args.to)?;
    place::must_exist(dir)?;
    place::must_hold_a_store(dir)?;
    let options = place::watched(key::options());
    Ok(args.keep.into_iter().fold(options, Options::keep_states))
}

fn must_be_a_directory(name: &Path) -> Result<(), Failure> {
    if database::of(name)?.is_some() {
        return Err(of_directories());
    }
    Ok(())
}

/// Refuses a place that neither is a directory nor can be like one.
fn must_be_a_backups_place(name: &Path) -> Result<(), Failure> {
    match StoreUrl::of(name) {
        #[cfg(feature = "cloud")]
        Ok(StoreUrl::Cloud(_)) => Ok(()),
        #[cfg(feature = "firestore")]
        Ok(StoreUrl::Firestore(_)) => Ok(()),
        #[cfg(feature = "mongodb")]
        Ok(StoreUrl::Mongodb(_)) => Ok(()),
        Ok(StoreUrl::Directory(_)) => Ok(()),
        Ok(_) => Err(of_directories()),
        Err(error) => Err(error.into()),
    }
}

fn of_directories() -> Failure {
    let text = "backups are of stores in directories, to directories or buckets; `aral-store copy FROM TO` copies a store from \
                any engine to any other";
    Failure::Store(Error::new(ErrorKind::InvalidInput, text))
}

/// Says what was amiss with the backup itself.
fn tell(report: &BackupReport) {
    for path in &report.mended {
        note(&format!("this file of the backup was damaged, and was copied anew: {}", path.display()));
    }
    for path in &report.set_aside {
        note(&format!(
            "this was in the backup, and was damaged or is not in the store's history any more: kept in {}",
            path.display()
        ));
    }
}

fn fields(report: &BackupReport) -> Vec<(&'static str, Value)> {
    vec![
        ("last_seq", report.last_seq.into()),
        ("current_to", report.current_to.map(|time| time.to_string()).into()),
        ("covered_seq", report.covered_seq.into()),
        ("epoch", report.epoch.into()),
        ("files", report.files.into()),
        ("bytes", report.bytes.into()),
    ]
}

fn print_state(report: &BackupReport, form: Form) -> Result<(), Failure> {
    if form == Form::Json {
        return output::print(&json(fields(report)));
    }
    let time = report.current_to.map(|time| time.to_string()).unwrap_or_default();
    output::print(&format!("current to event {}, as of {time}", report.last_seq))
}

/// Reads a span: seconds, or a number with a unit.
fn span(text: &str) -> Result<Duration, String> {
    const DAY: u64 = 86_400_000;
    let units =
        [("", 1_000), ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", DAY), ("w", 7 * DAY)];
    let wrong = || "give a number of seconds, or a time such as 500ms, 5m, 2h, 30d or 8w".to_owned();
    patience::in_units(text, &units).ok_or_else(wrong)
}

/// The same of a pause between two looks, which there has to be.
fn pause(text: &str) -> Result<Duration, String> {
    span(text).and_then(|span| if span.is_zero() { Err("give more than 0".to_owned()) } else { Ok(span) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_nothing_is_refused() {
        assert_eq!(pause("1ms"), Ok(Duration::from_millis(1)));
        assert!(pause("0").is_err() && pause("0s").is_err() && pause("x").is_err());
    }

    #[test]
    fn what_lasts_is_said_again_and_what_is_new_at_once() {
        let mut trouble = Trouble::new(0);
        let mut said = Vec::new();
        for second in 0..3_600 {
            let text = if second == 30 { "full" } else { "away" };
            if trouble.words(second * 1_000_000, text).is_some() {
                said.push(second);
            }
        }
        assert_eq!(said, [0, 30, 31, 91, 182, 364, 728, 1_456, 2_912]);
        let words = trouble.words(7_200_000_000, "away").unwrap();
        assert_eq!(words, "nothing has been backed up for 120 minutes, and it is tried again: away");
    }

    #[test]
    fn spans_are_read_and_nothing_else() {
        for (text, seconds) in
            [("5", 5), ("5s", 5), ("2m", 120), ("1h", 3_600), ("30d", 2_592_000), ("1w", 604_800)]
        {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "d", "5 s", "-1", "1y", "99999999999999999999"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
