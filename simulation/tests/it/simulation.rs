//! The campaign: small clusters with random settings and misfortunes, each drawn from a seed.
//!
//! `cargo test` runs some hundred of each wire format: even seeds speak the native one, odd ones memberlist's.
//! `SWIMRING_SEEDS=10000` runs that many, with `SWIMRING_WIRE=memberlist` or `native` of that format only;
//! `SWIMRING_SEED=n` runs the scenario `n`, which is how a failure is replayed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use swimring::protocol::Counters;
use swimring_simulation::{Entry, Outcome, Simulation, Violation, play, run_scenario, scenario};

/// Of either format.
const SEEDS: u64 = 170;
const THREADS: usize = 2;

/// What a seed's run gave; a panic in the protocol is a failure like any other.
fn run(seed: u64) -> Result<Outcome, String> {
    let run = std::panic::catch_unwind(|| run_scenario(seed));
    let told = |violation: Violation| violation.to_string();
    run.unwrap_or_else(|_| {
        panic!("seed {seed} panicked: replay with SWIMRING_SEED={seed} cargo test -p swimring-simulation --test it simulation")
    })
    .map_err(told)
}

fn report(seed: u64, failure: &str) -> String {
    let options = scenario(seed);
    format!(
        "seed {seed}: {failure}\nreplay: SWIMRING_SEED={seed} cargo test -p swimring-simulation --test it \
         random_scenarios\n{options:#?}"
    )
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs the first `count` seeds of a format, even or odd ones, on two threads.
fn campaign(parity: u64, count: u64) -> Vec<Outcome> {
    let next = AtomicU64::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (next, send) = (&next, send.clone());
            scope.spawn(move || {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= count {
                        return;
                    }
                    let seed = nth * 2 + parity;
                    if send.send((seed, run(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut failures = Vec::new();
        let mut outcomes = Vec::new();
        for (done, (seed, outcome)) in receive.into_iter().enumerate() {
            if count > SEEDS && (done + 1).is_multiple_of(500) {
                eprintln!("{} of {count} done", done + 1);
            }
            match outcome {
                Ok(outcome) => outcomes.push(outcome),
                Err(failure) => {
                    eprintln!("seed {seed}: {failure}");
                    failures.push((seed, failure));
                }
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
    let count = number("SWIMRING_SEEDS").unwrap_or(SEEDS);
    let wanted = std::env::var("SWIMRING_WIRE").ok();
    for (parity, wire) in [(0, "native"), (1, "memberlist")] {
        if wanted.as_deref().is_none_or(|wanted| wanted == wire) {
            let outcomes = campaign(parity, count);
            sum_up(wire, &outcomes);
        }
    }
}

fn sum_up(wire: &str, outcomes: &[Outcome]) {
    let mut counters = Counters::default();
    outcomes.iter().for_each(|outcome| counters.add(&outcome.counters));
    let simulated: f64 =
        outcomes.iter().map(|outcome| outcome.simulated.as_secs_f64() * outcome.members as f64).sum();
    let used = |outcome: &Outcome| outcome.converged_after.as_secs_f64() / outcome.bound.as_secs_f64();
    let slowest = outcomes.iter().map(used).fold(0.0, f64::max);
    println!(
        "{wire}: {} runs, {simulated:.0} member-seconds, slowest used {slowest:.2} of its bound",
        outcomes.len()
    );
    println!("{counters:#?}");
    if outcomes.len() as u64 >= SEEDS {
        reached_everything(wire, &counters, outcomes);
    }
}

/// Counters that no scenario is meant to move: bounds far above what small clusters reach, forgeries, and
/// what virtual networks do not refuse. Tests of their own reach them.
const ELSEWHERE: [&str; 57] = [
    // Of `delegated_broadcast`.
    "views_handed_over",
    "views_offered",
    "views_unfetched",
    // Of `view_repair`.
    "lives_clashed",
    // Those of `shared_state`.
    "state_changes_told",
    "state_changes_untold",
    "state_changes_received",
    "state_changes_refused",
    "state_gaps",
    "state_roots_sent",
    "state_exchanges_begun",
    "state_exchanges_answered",
    // Everybody is admitted.
    "candidates_outside",
    "candidates_asked",
    "candidates_admitted",
    "candidates_refused",
    "candidates_unanswered",
    "candidates_answered_late",
    "candidates_repeated",
    "candidates_shed",
    "event_repairs_shed",
    // Of a driver that is behind in reading.
    "events_refused",
    "view_repairs_shed",
    "push_pulls_agreed",
    "push_pulls_declined",
    "delegations_held",
    "delegations_shed",
    "delegations_spaced",
    "accused_unreachable",
    "frames_shed",
    "frames_foreign",
    "decode_errors",
    "relays_shed",
    "suspicions_shed",
    "refutations_deferred",
    "members_shed",
    "implausible_incarnation",
    "versions_shed",
    "zones_shed",
    "name_conflicts",
    "bases_deferred",
    "direct_sent",
    "direct_received",
    "direct_strangers",
    "direct_queued",
    "direct_queue_full",
    "direct_delivered",
    "direct_undelivered",
    "direct_taken",
    "direct_refused",
    "direct_repeated",
    // Members of these scenarios have no identities: `identities` has those.
    "identities_verified",
    "identities_unsigned",
    "identities_forged",
    "identities_key_changed",
    "identities_not_admitted",
    "identities_shed",
];

/// What only memberlist's format has, or large native clusters.
const MEMBERLIST_ONLY: [&str; 8] = [
    "push_pull_records_passed",
    "past_lives_left",
    "push_pulls_started",
    "address_conflicts",
    "conflicts_told",
    "pings_misdirected",
    "user_messages_too_long",
    "user_messages_ignored",
];

/// What takes state roots, or messages that members of a pool of our own do not send.
const NATIVE_ONLY: [&str; 24] = [
    "delegation_frames_sent",
    "event_questions_sent",
    "event_ids_sent",
    "events_wanted",
    "events_resent",
    "events_repaired",
    "events_before_join",
    "delegations_sent",
    "delegations_crossed",
    "delegations_retried",
    "delegations_given_up",
    "delegations_dropped",
    "delegations_acknowledged",
    "delegation_acks_sent",
    "delegation_acks_unexpected",
    "missed_introduction",
    "view_sketches_sent",
    "view_sketches_unread",
    "view_ranges_sent",
    "view_entries_wanted",
    "view_entries_sent",
    "pings_misdirected",
    "user_messages_too_long",
    "user_messages_ignored",
];

/// A campaign in which nothing happened would prove nothing: everything that members count has to have
/// happened, and every kind of fault.
fn reached_everything(wire: &str, counters: &Counters, outcomes: &[Outcome]) {
    let other: &[&str] = if wire == "native" { &MEMBERLIST_ONLY } else { &NATIVE_ONLY };
    let missing: Vec<&str> = counters
        .each()
        .filter(|(name, count)| *count == 0 && !ELSEWHERE.contains(name) && !other.contains(name))
        .map(|at| at.0)
        .collect();
    assert!(missing.is_empty(), "no {wire} scenario reached {missing:?}");
    let total = |what: fn(&Outcome) -> u64| outcomes.iter().map(what).sum::<u64>();
    let faults = [
        ("damaged frames", total(|outcome| outcome.coverage.frames_damaged)),
        ("broken streams", total(|outcome| outcome.coverage.streams_broken)),
        ("failed streams", total(|outcome| outcome.coverage.streams_failed)),
        ("refused streams", total(|outcome| outcome.coverage.streams_refused)),
        ("crashes", total(|outcome| outcome.coverage.crashes)),
        ("crashed hosts", total(|outcome| outcome.coverage.hosts_crashed)),
        ("returns", total(|outcome| outcome.coverage.returns)),
        ("leaves", total(|outcome| outcome.coverage.leaves)),
        ("partitions", total(|outcome| outcome.coverage.partitions)),
        ("starvations", total(|outcome| outcome.coverage.starvations)),
        ("clock jumps", total(|outcome| outcome.coverage.clock_jumps)),
    ];
    for (name, count) in faults {
        assert!(count >= 10, "{wire}, {name}: {count}");
    }
    if wire == "memberlist" {
        let refused = total(|outcome| outcome.coverage.frames_undecodable);
        assert!(refused >= 10, "damaged packets that the format refused: {refused}");
    }
}
