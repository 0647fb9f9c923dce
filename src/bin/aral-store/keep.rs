//! The command that says, and chooses, how much of its history a store keeps.
//!
//! Owns the words of the choice. What would drop history needs --yes: nothing brings that back.

use std::path::Path;
use std::time::Duration;

use aral_store::{ErrorKind, Keep, KeptHistory, MessageStore, Timestamp};
use clap::Args;

use crate::exit::{Exit, Failure};
use crate::output::Form;
use crate::place;
use crate::style;
use crate::upkeep::{print_fields, tell_dropped, tell_missing};

#[derive(Args, Debug)]
pub(crate) struct KeepArgs {
    /// everything, nothing, a span such as 30d, a size such as 256MiB, or 30d,256MiB for whichever is more; without it, the choice is printed
    #[arg(value_name = "WHAT", value_parser = what)]
    pub(crate) keep: Option<Keep>,
    /// Drop history that is not to be kept any more
    #[arg(short, long)]
    pub(crate) yes: bool,
}

fn what(text: &str) -> Result<Keep, String> {
    Keep::parse(text)
        .ok_or_else(|| {
            "give everything, nothing, a span such as 30d, a size such as 256MiB, or both, 30d,256MiB, for whichever is more"
                .to_owned()
        })
}

pub(crate) fn run(dir: &Path, form: Form, args: &KeepArgs) -> Result<Exit, Failure> {
    let Some(keep) = args.keep else {
        let store = place::for_reading(dir)?;
        let kept = store.kept_history()?;
        print(form, kept)?;
        return Ok(tell_missing(kept));
    };
    let store = place::for_change(dir)?;
    let from = match store.kept_history() {
        Ok(before) => (before.bytes > 0).then(|| format!("which goes back to event {} now", before.from)),
        Err(error) if error.kind() == ErrorKind::Unsupported => None,
        // Until it is said anew, all is kept.
        Err(error) => Some(format!("of which nobody knows how much was to be kept ({error})")),
    };
    if let Some(from) = from.filter(|_| keep != Keep::Everything && !args.yes) {
        let text = format!("that may drop history for good, {from}; say so with --yes, nothing was changed");
        store.close()?;
        return Err(Failure::Usage(text));
    }
    let kept = store.keep_history(keep)?;
    store.close()?;
    tell_dropped(kept.dropped);
    print(form, kept)?;
    // The choice is made all the same.
    tell_missing(kept);
    Ok(Exit::Done)
}

fn print(form: Form, kept: KeptHistory) -> Result<(), Failure> {
    let fields = vec![
        ("keep", kept.keep.to_string().into()),
        ("from", kept.from.into()),
        ("bytes", kept.bytes.into()),
    ];
    print_fields(form, fields)
}

/// How long something that is removed can be brought back; nothing where no history is kept beyond a compaction, or where
/// all of it always is.
pub(crate) fn how_long(store: &MessageStore) -> Option<String> {
    let until = how_long_in_words(store)?;
    Some(format!(
        "aral-store unremove brings it back {until}; aral-store keep nothing drops the history at once"
    ))
}

/// The same, without how.
fn how_long_in_words(store: &MessageStore) -> Option<String> {
    Some(match store.kept_history() {
        Err(error) if error.kind() == ErrorKind::Unsupported => return None,
        Err(_) => "for as long as nobody says how much history is kept".to_owned(),
        Ok(KeptHistory { keep: Keep::Everything, bytes, .. }) if bytes > 0 => "for ever".to_owned(),
        Ok(KeptHistory { keep: keep @ (Keep::For(span) | Keep::ForOrBytes(span, _)), .. }) => {
            match day_after(span) {
                Some(day) => format!("until {day} at least (history is kept for {keep})"),
                None => "for ever".to_owned(),
            }
        }
        Ok(KeptHistory { keep: keep @ Keep::Bytes(_), .. }) => {
            format!("as long as its history is kept ({keep})")
        }
        _ => return None,
    })
}

/// What is said to whoever is about to remove something, and does not type commands.
pub(crate) fn for_how_long(store: &MessageStore) -> String {
    if let Some(until) = how_long_in_words(store) {
        return format!("It can be brought back {until}.");
    }
    let is_kept = matches!(store.kept_history(), Ok(KeptHistory { keep: Keep::Everything, .. }));
    let words = if is_kept {
        "It can be brought back."
    } else {
        "It cannot be brought back once the store is compacted."
    };
    words.to_owned()
}

/// The day on which a span that begins now ends, in UTC; nothing if no calendar goes that far.
fn day_after(span: Duration) -> Option<String> {
    let micros = style::now().checked_add(i64::try_from(span.as_micros()).ok()?)?;
    let time = Timestamp::from_unix_micros(micros)?.to_string();
    time.split_once('T').map(|(day, _)| day.to_owned())
}
