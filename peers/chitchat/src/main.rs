//! Shared state of Swimring beside chitchat's: how soon a change is everywhere, and what that costs, with members of one library
//! after the other in the same network namespace, which loses datagrams.
//!
//! Both get the same: every member sets its keys, all rest, and then single keys are changed at a fixed pace, each once. What each
//! member sees is told by its own watcher, and nothing is looked for. Both have their watchers on one tokio runtime, on which
//! chitchat's members run as well; Swimring's members have threads of their own, as they would in a process of their own.
#![allow(clippy::disallowed_methods, reason = "members that are measured take real time")]

mod arrivals;
mod checks;
mod crowd;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use swimring_peers::namespace::NetworkNamespace;
use tokio::time::{MissedTickBehavior, interval, sleep};

use arrivals::{Arrivals, quantile};
use checks::Checks;
use crowd::{Crowd, Fault, Kind, Library};
use usage::{Rate, Usage};

/// How long members may take to know each other, and to have all keys. chitchat at an interval of a second takes some.
const PATIENCE: Duration = Duration::from_secs(60);
/// Until Swimring's members compare what they have at the pace of rest.
const SETTLE: Duration = Duration::from_secs(11);

/// Shared state of Swimring beside chitchat's, over UDP that loses datagrams. Needs root, iproute2 and nftables.
#[derive(Debug, Parser)]
struct Options {
    /// Members of each library.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    members: u16,
    /// Keys that each member has.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    keys: u16,
    /// Changes of single keys, each of another; at most members times keys.
    #[arg(long, default_value_t = 300)]
    changes: usize,
    /// Milliseconds from one change to the next.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    every_ms: u64,
    /// Seconds at rest that are measured.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..))]
    rest_s: u64,
    /// Percent of all datagrams that are lost.
    #[arg(long, default_value_t = 1.0)]
    loss_percent: f64,
    /// What Swimring's members have, and whose keys are changed; several give several runs.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Plain])]
    swimring: Vec<Kind>,
    /// Milliseconds between two rounds of chitchat's gossip; several give several runs, and 0 none.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100])]
    chitchat_ms: Vec<u64>,
    /// File to write the results to.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What one library gave.
#[derive(Debug, Serialize)]
struct Outcome {
    library: String,
    /// From the first key to the last arrival of the last.
    all_keys_ms: f64,
    changes: usize,
    everywhere: usize,
    /// Each change's time to be everywhere, in order of length.
    spread_ms: Vec<f64>,
    rest: Rate,
    changing: Rate,
    /// Signatures that were checked for each change, by all members together; and by each member in a second at rest.
    checked_per_change: f64,
    checked_at_rest: f64,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("swimring-chitchat: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Fault> {
    let keys = usize::from(options.members) * usize::from(options.keys);
    if options.changes == 0 || options.changes > keys {
        return Err(format!("--changes has to be between 1 and members times keys, {keys}").into());
    }
    let namespace = NetworkNamespace::create()?;
    namespace.lose_datagrams(options.loss_percent / 100.0)?;
    let checks = Checks::begin()?;
    let swimring = options.swimring.iter().map(|kind| Library::Swimring(*kind));
    let chitchat = options.chitchat_ms.iter().filter(|ms| **ms > 0);
    let chitchat = chitchat.map(|ms| Library::Chitchat(Duration::from_millis(*ms)));
    let mut outcomes = Vec::new();
    println!(
        "{} members, {} keys each, {} changes, one each {} ms, {} % of datagrams lost; bytes with IP and UDP headers",
        options.members, options.keys, options.changes, options.every_ms, options.loss_percent
    );
    println!(
        "| | everywhere | p50 | p99 | max | at rest: bytes, packets, processor us a member-second | while changing | signatures checked a change |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for library in swimring.chain(chitchat) {
        let outcome = namespace.run(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(measure(library, options, &checks))
        })??;
        println!("{}", row(&outcome));
        outcomes.push(outcome);
    }
    let (seen, lost) = namespace.datagrams_seen_and_lost()?;
    println!(
        "{seen} datagrams came in, {lost} of them were lost: {:.2} %",
        lost as f64 / seen as f64 * 100.0
    );
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string(&outcomes)?)?;
    }
    Ok(())
}

/// Everything that is done with the members of one library.
async fn measure(library: Library, options: &Options, checks: &Checks) -> Result<Outcome, Fault> {
    let (members, keys) = (usize::from(options.members), usize::from(options.keys));
    let initial = members * keys;
    let arrivals = Arc::new(Arrivals::new(initial + options.changes, members - 1));
    let crowd = Crowd::start(library, members, &arrivals).await?;
    let end = Instant::now() + PATIENCE;
    while !crowd.is_complete().await? {
        if Instant::now() > end {
            return Err(
                format!("{}: not everybody knows everybody after {PATIENCE:?}", library.name()).into()
            );
        }
        sleep(Duration::from_millis(100)).await;
    }
    let start = Instant::now();
    for number in 0..initial {
        set(&crowd, &arrivals, number, number).await?;
    }
    wait_until_complete(library, &arrivals, 0..initial).await?;
    let all_keys_ms = start.elapsed().as_secs_f64() * 1e3;

    sleep(SETTLE).await;
    let (before, checked) = (Usage::now()?, checks.sum());
    sleep(Duration::from_secs(options.rest_s)).await;
    let rest = Usage::now()?.since(&before, members);
    let checked_at_rest = (checks.sum() - checked) as f64 / options.rest_s as f64 / members as f64;

    let (before, checked) = (Usage::now()?, checks.sum());
    let mut pace = interval(Duration::from_millis(options.every_ms));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for change in 0..options.changes {
        pace.tick().await;
        set(&crowd, &arrivals, initial + change, change).await?;
    }
    let changing = Usage::now()?.since(&before, members);
    let changed = initial..initial + options.changes;
    wait_until_complete(library, &arrivals, changed.clone()).await?;
    let spread = arrivals.spread(changed.clone());
    // What is counted is published once a second.
    sleep(Duration::from_secs(2)).await;
    let checked_per_change = (checks.sum() - checked) as f64 / options.changes as f64;
    crowd.stop().await;
    Ok(Outcome {
        library: library.name(),
        all_keys_ms,
        changes: options.changes,
        everywhere: arrivals.complete(changed),
        spread_ms: spread.iter().map(|spread| spread.as_secs_f64() * 1e3).collect(),
        rest,
        changing,
        checked_per_change,
        checked_at_rest,
    })
}

/// Makes change `number`: of key `nth`, counted through all members, so that neighbours are of different ones.
async fn set(crowd: &Crowd, arrivals: &Arrivals, number: usize, nth: usize) -> Result<(), Fault> {
    let (member, key) = (nth % crowd.members(), nth / crowd.members());
    arrivals.made(number);
    crowd.set(member, key, &Arrivals::value(number)).await
}

/// Waits until the changes `numbers` are everywhere; what is not after a while is told by the result.
async fn wait_until_complete(
    library: Library,
    arrivals: &Arrivals,
    numbers: std::ops::Range<usize>,
) -> Result<(), Fault> {
    let end = Instant::now() + PATIENCE;
    while arrivals.complete(numbers.clone()) < numbers.len() {
        if Instant::now() > end {
            let (complete, all) = (arrivals.complete(numbers.clone()), numbers.len());
            eprintln!("{}: {complete} of {all} changes are everywhere after {PATIENCE:?}", library.name());
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A row of the table.
fn row(outcome: &Outcome) -> String {
    let spread: Vec<Duration> =
        outcome.spread_ms.iter().map(|ms| Duration::from_secs_f64(ms / 1e3)).collect();
    let at = |share| format!("{:.0} ms", quantile(&spread, share).as_secs_f64() * 1e3);
    let rate = |rate: &Rate| format!("{:.0}, {:.1}, {:.0}", rate.bytes, rate.packets, rate.processor_us);
    format!(
        "| {} | {} of {} | {} | {} | {} | {} | {} | {:.1} |",
        outcome.library,
        outcome.everywhere,
        outcome.changes,
        at(0.5),
        at(0.99),
        at(1.0),
        rate(&outcome.rest),
        rate(&outcome.changing),
        outcome.checked_per_change
    )
}
