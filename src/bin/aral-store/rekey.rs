//! The command that gives an encrypted store another key.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::exit::{Exit, Failure};
use crate::key;
use crate::output::{self, Form};
use crate::place;

#[derive(Args, Debug)]
pub(crate) struct RekeyArgs {
    /// The file of the key that opens the store from now on
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key_file: PathBuf,
}

/// Gives a store another key.
pub(crate) fn run(dir: &Path, form: Form, args: &RekeyArgs) -> Result<Exit, Failure> {
    place::must_be_there(dir)?;
    let new = key::read(&args.new_key_file)?;
    key::options().rekey(dir, &new)?;
    if form == Form::Json {
        output::print("{\"rekeyed\":true}")?;
    } else {
        output::note(
            "the store opens with the new key alone from now on; copies that were made before still open with the old one",
        );
    }
    Ok(Exit::Done)
}
