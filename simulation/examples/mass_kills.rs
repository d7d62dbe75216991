//! A large part of a cluster dies at one moment: who notices, when, and what that costs each of the others.
//!
//! `cargo run --release -p swimring-simulation --example mass_kills -- 1000 300 adaptive delegated 0.01` kills 300 of 1,000
//! members at once, with adaptive suspicion (or `lifeguard`), delegated broadcast (or `gossip`) and 1 % loss. A number after
//! that is the seed, 1 unless it is given.

use std::error::Error;
use std::time::Duration;

use swimring::Settings;
use swimring_simulation::experiment::{CrashOutcome, TrialOptions, run};

/// A time of `crashes`: half of them, 99 of 100, and all had it by then; `never` where one has none.
fn times(crashes: &[CrashOutcome], time: impl Fn(&CrashOutcome) -> Option<f64>) -> String {
    let mut times: Vec<f64> = crashes.iter().map(|crash| time(crash).unwrap_or(f64::INFINITY)).collect();
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| match times.get(((times.len() as f64 * share).ceil() as usize).max(1) - 1) {
        Some(time) if time.is_finite() => format!("{time:.2} s"),
        _ => "never".to_owned(),
    };
    format!("half by {}, 99 % by {}, all by {}", at(0.5), at(0.99), at(1.0))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |otherwise: &str| arguments.next().unwrap_or(otherwise.to_owned());
    let (members, crashes) = (next("1000").parse()?, next("300").parse()?);
    let settings = Settings {
        suspicion: next("adaptive").parse()?,
        dissemination: next("delegated").parse()?,
        ..Settings::default()
    };
    let (loss, seed) = (next("0.01").parse()?, next("1").parse()?);
    let outcome = run(&TrialOptions {
        members,
        crashes,
        crashes_within: Some(Duration::ZERO),
        loss,
        seed,
        settings,
        ..TrialOptions::default()
    })?;
    let (kills, counters) = (&outcome.crashes, &outcome.counters);
    println!("{crashes} of {members} members killed at once, loss {loss}, seed {seed}");
    let everywhere = kills.iter().filter(|crash| crash.all_s.is_some()).count();
    println!("declared by every live member: {everywhere}");
    println!("first suspicion: {}", times(kills, |crash| crash.first_suspected_s));
    println!("first declaration: {}", times(kills, |crash| crash.first_s));
    println!("known to all: {}", times(kills, |crash| crash.all_s));
    println!("false suspicions {}, false deaths {}", outcome.false_suspicions, outcome.false_deaths);
    println!("datagrams of one member in one second: {} at most", outcome.datagrams_of_a_second_max);
    println!("datagrams: {:.2} per member-second", outcome.datagrams_per_member_second());
    println!("datagrams: {:.1} B per member-second", outcome.bytes_per_member_second());
    println!("streams: {:.1} B per member-second", outcome.stream_bytes_per_member_second());
    println!("push/pulls started: {}", counters.push_pulls_started);
    println!(
        "delegations: {} copies, {} sent again, {} given up, {} dropped, {} shed",
        counters.delegations_sent,
        counters.delegations_retried,
        counters.delegations_given_up,
        counters.delegations_dropped,
        counters.delegations_shed
    );
    println!(
        "frames with delegations: {}, {:.1} copies in each, spaced {} times",
        counters.delegation_frames_sent,
        counters.delegations_sent as f64 / counters.delegation_frames_sent.max(1) as f64,
        counters.delegations_spaced
    );
    println!("{:.1} simulated seconds in {:.1} s", outcome.simulated_s, outcome.wall.as_secs_f64());
    Ok(())
}
