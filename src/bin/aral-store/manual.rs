//! The commands that print what is known of the program itself: completions and pages of the manual.
//!
//! Owns nothing but the way out: all of it is made from the definitions of the arguments, so that it cannot
//! disagree with them.

use std::io::{self, Write};
use std::path::Path;

use aral_store::{Error, ErrorKind, location};
use clap::{Command, CommandFactory};

use crate::args::{CompletionsArgs, ManArgs};
use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::output;

const NAME: &str = "aral-store";

pub(crate) fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    // In memory first: the generator ends the program where a write fails.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut text);
    print(&text)
}

pub(crate) fn man(args: &ManArgs) -> Result<Exit, Failure> {
    let pages = pages();
    if let Some(dir) = &args.output {
        return write_all(&pages, dir);
    }
    let wanted = match &args.command {
        Some(command) => format!("{NAME}-{command}"),
        None => NAME.to_owned(),
    };
    match pages.iter().find(|page| page.name == wanted) {
        Some(page) => print(&page.text()?),
        None => {
            let text = format!(
                "there is no command {:?}; see aral-store --help",
                args.command.as_deref().unwrap_or_default()
            );
            Err(Failure::Store(Error::new(ErrorKind::NotFound, text)))
        }
    }
}

/// One page of the manual.
struct Page {
    name: String,
    command: Command,
}

impl Page {
    fn text(&self) -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        let man = clap_mangen::Man::new(self.command.clone())
            .title(self.name.to_uppercase())
            .source(concat!("aral-store ", env!("CARGO_PKG_VERSION")));
        man.render(&mut text).map_err(output::unwritten)?;
        Ok(text)
    }
}

/// The program's page and one for each command.
fn pages() -> Vec<Page> {
    let mut program = Cli::command();
    // Carries the options of the program into the commands.
    program.build();
    let commands = program.get_subcommands().filter(|command| command.get_name() != "help");
    let pages = commands.map(|command| {
        let name = format!("{NAME}-{}", command.get_name());
        Page { command: command.clone(), name }
    });
    let pages: Vec<Page> = pages.collect();
    [Page { name: NAME.to_owned(), command: program }].into_iter().chain(pages).collect()
}

/// Writes a file for each page. The pages of an older version are replaced; nothing else has such names.
fn write_all(pages: &[Page], dir: &Path) -> Result<Exit, Failure> {
    location::check_directory(dir)?;
    #[expect(clippy::disallowed_methods, reason = "the manual is no part of the store")]
    std::fs::create_dir_all(dir).map_err(|error| Failure::file("create", dir, error))?;
    for page in pages {
        let path = dir.join(format!("{}.1", page.name));
        let text = page.text()?;
        #[expect(clippy::disallowed_methods, reason = "the manual is no part of the store")]
        std::fs::write(&path, text).map_err(|error| Failure::file("write", &path, error))?;
    }
    output::note(&format!(
        "wrote {} to {}",
        output::count(output::to_u64(pages.len()), "page"),
        dir.display()
    ));
    Ok(Exit::Done)
}

fn print(text: &[u8]) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).map_err(output::unwritten)?;
    Ok(Exit::Done)
}
