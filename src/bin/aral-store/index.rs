//! The command that makes an index for searching.
//!
//! Owns what it prints, and when a search has the index brought up to date.

use std::path::Path;

use aral_store::{Error, ErrorKind, MessageStore};
use clap::Args;

use crate::database;
use crate::exit::{Exit, Failure};
use crate::key;
use crate::output::{Form, note};
use crate::place;
use crate::upkeep::print_fields;

/// How many events are too many for a search to read itself: the index is brought up to date first.
const READ_FIRST: u64 = 1000;

#[derive(Args, Debug)]
pub(crate) struct IndexArgs {
    /// Remove the index instead
    #[arg(long)]
    remove: bool,
}

pub(crate) fn run(dir: &Path, form: Form, args: &IndexArgs) -> Result<Exit, Failure> {
    if database::of(dir)?.is_some() {
        let reason = "an index beside the log is for a store in a directory; SQLite and PostgreSQL have one of their own, which searches bring \
                      up to date";
        return Err(Error::new(ErrorKind::Unsupported, reason).into());
    }
    place::must_be_there(dir)?;
    if args.remove {
        key::options().drop_search_index(dir)?;
        return Ok(Exit::Done);
    }
    let index = key::options().index_search(dir)?;
    print_fields(form, vec![("last_seq", index.last_seq.into()), ("bytes", index.bytes.into())])?;
    Ok(Exit::Done)
}

/// Brings the index of a directory up to date, if there is one and it is far behind. If that cannot be, a search reads more, and says why.
pub(crate) fn catch_up(dir: &Path, store: &MessageStore) {
    let Ok(Some(index)) = key::options().search_index(dir) else { return };
    let behind = store.recovery().last_seq.saturating_sub(index.last_seq);
    if behind >= READ_FIRST
        && let Err(error) = key::options().index_search(dir)
    {
        note(&format!("the index is {behind} events behind, which the search reads itself: {error}"));
    }
}
