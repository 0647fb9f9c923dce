//! Two faults in one run: the second may hit what the store does about the first, or the opening after it.

use super::{attempt, run};
use crate::support::driver;
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::simfs::errno::EINTR;
use crate::support::simfs::{self, Choose, SplitMix};
use crate::support::suspects::{Suspects, faults};

/// How many pairs a plain run tries.
const PAIRS: u64 = 1500;

/// Any fault of any call that the workload makes.
fn any_rule(counts: &[(Call, u64)], choice: &mut SplitMix) -> Rule {
    let (call, count) = counts[choice.pick(counts.len())];
    let of_call = faults(call);
    let fault = of_call[choice.pick(of_call.len())];
    let nth = 1 + u64::try_from(choice.pick(usize::try_from(count).unwrap())).unwrap();
    let rule = Rule::new(call, nth, fault);
    // An interruption that never ends is not one that a program can outlive.
    if choice.pick(4) == 0 && fault != Fault::Errno(EINTR) { rule.for_ever() } else { rule }
}

#[test]
fn every_pair_of_failures_is_outlived() {
    let sound = FaultFs::over_sim(&driver::fresh(simfs::Settings::default()), Vec::new());
    run(&sound, &mut Suspects::new()).unwrap();
    let counts: Vec<_> = Call::ALL.into_iter().map(|call| (call, sound.count(call))).collect();
    let counts: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    let mut failures = Vec::new();
    let mut both = 0;
    for seed in 0..PAIRS {
        let choice = &mut SplitMix::new(seed);
        let rules = vec![any_rule(&counts, choice), any_rule(&counts, choice)];
        match attempt(rules.clone()) {
            Ok(attempt) => both += usize::from(attempt.fired.iter().all(|count| *count > 0)),
            Err(wrong) => failures.push(format!("{rules:?}: {wrong}")),
        }
    }
    println!("{PAIRS} pairs of faults, {both} of which both took place");
    let shown = failures.iter().take(12).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {PAIRS}\n{shown}", failures.len());
    assert!(both > 300, "{both} pairs took place");
}
