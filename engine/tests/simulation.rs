//! The campaign: small clusters with random settings and misfortunes, each drawn from a seed.
//!
//! `cargo test` runs 100 of them. `SWIMRING_SEEDS=10000` runs that many, `SWIMRING_SEED=n` only the
//! scenario `n`, which is how a failure is replayed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use swimring::sim::{Entry, Outcome, Simulation, Violation, play, run_scenario, scenario};
use swimring::swim::Counters;

const SEEDS: u64 = 100;
const THREADS: usize = 2;

/// What a seed's run gave; a panic in the protocol is a failure like any other.
fn run(seed: u64) -> Result<Outcome, String> {
    let run = std::panic::catch_unwind(|| run_scenario(seed));
    let told = |violation: Violation| violation.to_string();
    run.unwrap_or_else(|_| {
        panic!("seed {seed} panicked: replay with SWIMRING_SEED={seed} cargo test --test simulation")
    })
    .map_err(told)
}

fn report(seed: u64, failure: &str) -> String {
    let options = scenario(seed);
    format!(
        "seed {seed}: {failure}\nreplay: SWIMRING_SEED={seed} cargo test -p swimring --test simulation \
         random_scenarios\n{options:#?}"
    )
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs the seeds from `first` on, on two threads, until one fails.
fn campaign(first: u64, count: u64) -> Vec<Outcome> {
    let next = AtomicU64::new(first);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (next, send) = (&next, send.clone());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    if send.send((seed, run(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut failures = Vec::new();
        let mut outcomes = Vec::new();
        for (seed, outcome) in receive {
            match outcome {
                Ok(outcome) => outcomes.push(outcome),
                Err(failure) => failures.push((seed, failure)),
            }
        }
        failures.sort();
        let lines: Vec<String> =
            failures.iter().map(|(seed, failure)| format!("  seed {seed}: {failure}")).collect();
        if let Some((seed, failure)) = failures.first() {
            panic!(
                "{}\n{} of {count} seeds fail:\n{}",
                report(*seed, failure),
                failures.len(),
                lines.join("\n")
            );
        }
        outcomes
    })
}

/// Runs one scenario, and says how it went before it failed.
fn replay(seed: u64) {
    let mut simulation = Simulation::new(scenario(seed));
    match play(&mut simulation) {
        Ok(outcome) => println!("{outcome:#?}"),
        Err(violation) => {
            for Entry { at, observer, subject, what } in simulation.log().entries() {
                println!("{:11.6} {observer:3} {subject:?} {what:?}", at.as_micros() as f64 / 1e6);
            }
            for node in 0..simulation.len() {
                let Some(member) = simulation.member(node) else { continue };
                let (now, next) = (simulation.now(), member.next_timeout());
                let (queued, health) = (member.queued(), member.local_health());
                println!("member {node} at {now:?}: next {next:?}, {queued} queued, health {health}");
                simulation.view(node).for_each(|known| println!("    {known:?}"));
            }
            panic!("{}", report(seed, &violation.to_string()));
        }
    }
}

#[test]
fn random_scenarios() {
    if let Some(seed) = number("SWIMRING_SEED") {
        return replay(seed);
    }
    let outcomes = campaign(0, number("SWIMRING_SEEDS").unwrap_or(SEEDS));
    let mut counters = Counters::default();
    outcomes.iter().for_each(|outcome| counters.add(&outcome.counters));
    let simulated: f64 =
        outcomes.iter().map(|outcome| outcome.simulated.as_secs_f64() * outcome.members as f64).sum();
    let used = |outcome: &Outcome| outcome.converged_after.as_secs_f64() / outcome.bound.as_secs_f64();
    let slowest = outcomes.iter().map(used).fold(0.0, f64::max);
    println!(
        "{} runs, {simulated:.0} member-seconds, slowest used {slowest:.2} of its bound",
        outcomes.len()
    );
    println!("{counters:#?}");
}
