//! The command line.
//!
//! Owns the flags and what they say when they are wrong.

use std::path::PathBuf;

use crate::Outcome;
use crate::measures::{self, Measure};
use crate::scale::Scale;

const USAGE: &str = "\
usage: aral-store-peers [--databases] [--quick | --smoke] [--only MEASURE[,MEASURE]] [--contenders A[,B]] [--dir DIR]
       aral-store-peers --render
       aral-store-peers --list

Without --quick, --smoke, --only and --contenders it measures everything, and writes results.json and docs/performance.md.
--databases measures stores in databases instead of directories, and writes databases.json and its part of the document.
--render writes the document anew from the figures that were written.";

/// What a run is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Subject {
    /// Stores in directories, beside other stores and logs.
    Directories,
    /// Stores in databases, beside the bare databases.
    Databases,
}

impl Subject {
    pub(crate) fn measures(self) -> &'static [Measure] {
        match self {
            Self::Directories => measures::ALL,
            Self::Databases => measures::DATABASES,
        }
    }

    /// The file of the figures.
    pub(crate) fn results(self) -> &'static str {
        match self {
            Self::Directories => "results.json",
            Self::Databases => "databases.json",
        }
    }
}

/// What a run is asked for.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) subject: Subject,
    pub(crate) scale: Scale,
    pub(crate) renders: bool,
    only: Vec<String>,
    pub(crate) contenders: Vec<String>,
    /// Where directories for the run are made.
    pub(crate) dir: PathBuf,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let beside = std::env::current_exe()?.parent().ok_or("no directory")?.join("peers-data");
        let mut args = Self {
            subject: Subject::Directories,
            scale: Scale::Full,
            renders: false,
            only: Vec::new(),
            contenders: Vec::new(),
            dir: beside,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value\n{USAGE}"));
            let list = |text: String| text.split(',').map(str::to_owned).collect();
            match word.as_str() {
                "--databases" => args.subject = Subject::Databases,
                "--quick" => args.scale = Scale::Quick,
                "--smoke" => args.scale = Scale::Smoke,
                "--render" => args.renders = true,
                "--only" => args.only = list(value()?),
                "--contenders" => args.contenders = list(value()?),
                "--dir" => args.dir = PathBuf::from(value()?),
                "--list" => return Err(listed().into()),
                _ => return Err(USAGE.into()),
            }
        }
        if let Some(unknown) = args.only.iter().find(|name| measures::named(name).is_none()) {
            return Err(format!("there is no measure called {unknown:?}\n{}", listed()).into());
        }
        Ok(args)
    }

    pub(crate) fn wants(&self, measure: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == measure)
    }

    /// Whether the figures are those of the document.
    pub(crate) fn is_complete(&self) -> bool {
        self.scale == Scale::Full && self.only.is_empty() && self.contenders.is_empty()
    }
}

/// The measures and who takes part.
fn listed() -> String {
    let line = |measure: &Measure| format!("{:18} {}", measure.name, measure.contenders.join(" "));
    measures::ALL.iter().chain(measures::DATABASES).map(line).collect::<Vec<_>>().join("\n")
}
