//! This store beside its peers and the limits of the machine.
//!
//! Owns the command line. See README.md for the commands and `docs/decisions/0015-benchmarks.md` for the reasons.

mod args;
mod contenders;
mod figures;
mod machine;
mod measures;
mod peer;
mod process;
mod report;
mod results;
mod rounds;
mod scale;
mod server;
mod wire;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use args::{Args, Subject};
use contenders::Home;
use machine::Ticks;
use measures::Sample;
use results::Results;
use rounds::Plan;
use scale::Scale;

/// Any failure: a benchmark that cannot trust its figures stops.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    let done = if words.next_if_eq("sample").is_some() {
        take_sample(words.collect())
    } else {
        Args::parse(words).and_then(|args| run(&args))
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What a process does that was started for one sample.
fn take_sample(words: Vec<String>) -> Outcome<()> {
    let [measure, contender, scale, dir, shared] =
        <[String; 5]>::try_from(words).map_err(|_| "sample MEASURE CONTENDER SCALE DIR SHARED")?;
    let measure = measures::part(&measure).ok_or("no such measure")?;
    let scale = Scale::of(&scale).ok_or("no such scale")?;
    // Where that is allowed: what else the machine does should not be what is measured. It is the same for all contenders.
    // In a database, the server is not given a priority, so neither is who speaks to it.
    if !measures::DATABASES.iter().any(|of_database| of_database.name == measure.name) {
        let _unless_refused = rustix::process::nice(-15);
    }
    let (dir, shared) = (PathBuf::from(dir), PathBuf::from(shared));
    let sample = Sample { contender, dir, shared, scale, home: Home::Directory, port: 0 };
    println!("{}", serde_json::to_string(&(measure.run)(&sample)?)?);
    Ok(())
}

fn run(args: &Args) -> Outcome<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = package.join("../../docs/performance.md");
    if args.renders {
        let kept = |subject: Subject| package.join(subject.results());
        let mut all = [Subject::Directories, Subject::Databases].into_iter().filter(|of| kept(*of).exists());
        return all.try_for_each(|of| report::write(of, &Results::read(&kept(of))?, &document));
    }
    let kept = package.join(args.subject.results());
    let (start, ticks) = (Instant::now(), Ticks::now());
    let dir = rounds::make_place(&args.dir)?;
    let plan = Plan { scale: args.scale, dir: dir.clone(), contenders: args.contenders.clone() };
    let told = take_all(&plan, args).and_then(|mut results| {
        results.minutes = start.elapsed().as_secs_f64() / 60.0;
        let stolen = ticks.and_then(Ticks::stolen_since).unwrap_or_else(|| "unknown".to_owned());
        results.machine.insert("stolen by the host's others".to_owned(), stolen);
        print!("{}", report::text(args.subject, &results));
        if args.is_complete() {
            results.write(&kept)?;
            report::write(args.subject, &results, &document)?;
        }
        Ok(results)
    });
    // Order: the figures first. There are a million files to remove, which takes minutes, and whoever stops that
    // must not lose them.
    rounds::remove_all(&dir)?;
    let results = told?;
    let failures = results.measures.values().map(|taken| taken.failed.len()).sum::<usize>();
    if failures > 0 {
        return Err(format!("{failures} contenders failed in a measure").into());
    }
    Ok(())
}

fn take_all(plan: &Plan, args: &Args) -> Outcome<Results> {
    let mut results = Results {
        scale: plan.scale.name().to_owned(),
        machine: machine::described(&plan.dir)?,
        versions: machine::versions(),
        ..Results::default()
    };
    for measure in args.subject.measures().iter().filter(|measure| args.wants(measure.name)) {
        if let Some(reason) = measures::missing(measure) {
            eprintln!("{}: SKIPPED: {reason}", measure.name);
            continue;
        }
        results.measures.insert(measure.name.to_owned(), plan.take(measure)?);
    }
    Ok(results)
}
