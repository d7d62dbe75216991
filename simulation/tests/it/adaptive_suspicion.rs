//! Adaptive suspicion: fast where a witness is sure, and slow wherever it cannot be.

use std::time::Duration;

use crate::paper_support::{count, first, messages, millis, run, seconds, warm};
use swimring::protocol::settings::Dissemination;
use swimring::protocol::{MemberlistOptions, Settings, SuspicionMode, WireOptions};
use swimring_codec::State;
use swimring_codec::native::Message;
use swimring_simulation::{Direction, Simulation, SimulationOptions, Slowness, What};

const VICTIM: usize = 3;

fn adaptive() -> Settings {
    Settings { suspicion: SuspicionMode::Adaptive, ..Settings::default() }
}

fn lifeguard() -> Settings {
    Settings { suspicion: SuspicionMode::Lifeguard, ..Settings::default() }
}

fn delegated() -> Settings {
    Settings { dissemination: Dissemination::Delegated, ..adaptive() }
}

/// From the crash of a member to its first declaration.
fn detection(simulation: &mut Simulation) -> Duration {
    let crashed = simulation.now();
    simulation.crash(VICTIM);
    declared_since(simulation, crashed)
}

/// From `since` to the victim's first declaration within half a minute.
fn declared_since(simulation: &mut Simulation, since: swimring::protocol::Time) -> Duration {
    run(simulation, seconds(30));
    first(simulation, What::Failed, VICTIM, since).expect("declared").since(since)
}

#[test]
fn by_default_suspicion_is_adaptive_on_the_native_wire_only() {
    let took = |wire: WireOptions| {
        let mut simulation = Simulation::new(SimulationOptions { wire, ..SimulationOptions::new(3, 40) });
        simulation.start_warm();
        run(&mut simulation, seconds(5));
        (detection(&mut simulation), simulation.counters().probes_returned)
    };
    let (native, returned) = took(WireOptions::Native);
    assert!(native < seconds(6) && returned > 0, "{native:?}");
    let (upstream, returned) = took(WireOptions::Memberlist(MemberlistOptions::default()));
    assert!(upstream > seconds(6) && returned == 0, "{upstream:?}");
}

/// The member stands still for `length`, in the way of `slowness`.
fn stand_still(simulation: &mut Simulation, slowness: Slowness, length: Duration) {
    // A stall lasts half of this or more.
    simulation.starve(VICTIM, slowness, length, length * 2);
}

/// The claim that the short window rests on: until a second has gone by both are silent, and what tells them apart is
/// who answers for them.
#[test]
fn members_that_stand_still_have_lifeguards_time_and_crashed_ones_the_window() {
    let (shortest, _) = delegated().suspicion_timeouts(60);
    for seed in 0..12 {
        let slowness = [Slowness::Everything, Slowness::TimersFirst, Slowness::Reading][seed as usize % 3];
        let mut simulation = warm(seed, 60, &delegated());
        stand_still(&mut simulation, slowness, seconds(6));
        run(&mut simulation, seconds(20));
        let counters = simulation.counters();
        assert!(counters.probes_silent > 0 && counters.suspicions_refuted > 0, "seed {seed}: {counters:?}");
        assert_eq!(
            (count(&simulation, What::Failed, |_| true), counters.probes_refused),
            (0, 0),
            "seed {seed}"
        );

        let stopped = simulation.now();
        stand_still(&mut simulation, slowness, seconds(30));
        let hung = declared_since(&mut simulation, stopped);
        assert!(hung > shortest, "seed {seed}: {hung:?}");

        let mut simulation = warm(seed, 60, &delegated());
        let crashed = detection(&mut simulation);
        // Two intervals until the return of its last ping, another until that has failed, and the window.
        assert!(crashed > millis(1700) && crashed < millis(4300), "seed {seed}: {crashed:?}");
        assert!(simulation.counters().probes_refused > 0);
    }
}

/// Nobody refuses a connection to a host that is down, or cut off: these cannot be told apart, and have the longer floor.
#[test]
fn members_whose_hosts_do_not_answer_have_the_longer_floor() {
    for seed in 0..8 {
        let mut simulation = warm(seed, 60, &delegated());
        let crashed = simulation.now();
        simulation.crash_host(VICTIM);
        let took = declared_since(&mut simulation, crashed);
        assert!(took > millis(4900) && took < seconds(9), "seed {seed}: {took:?}");
        assert_eq!(simulation.counters().probes_refused, 0);

        let mut simulation = warm(seed, 60, &delegated());
        simulation.partition(&[VICTIM], Direction::Both, millis(4500), Duration::ZERO);
        run(&mut simulation, seconds(20));
        assert_eq!(count(&simulation, What::Failed, |_| true), 0, "seed {seed}: back in time");
    }
}

#[test]
fn crashes_are_declared_sooner_than_by_lifeguard() {
    let mut took: Vec<Duration> = (0..20).map(|seed| detection(&mut warm(seed, 60, &adaptive()))).collect();
    took.sort();
    assert!(took[10] < seconds(4) && took[19] < seconds(6), "{took:?}");
    let lifeguard = detection(&mut warm(1, 60, &lifeguard()));
    assert!(lifeguard > seconds(7), "{lifeguard:?}");
    // The floor, and the probe that failed before.
    assert!(took[0] > millis(1700), "{took:?}");
}

#[test]
fn members_send_as_many_probes_as_with_lifeguard() {
    let probes = |settings: &Settings| {
        let mut simulation = warm(5, 60, settings);
        let before = simulation.counters();
        run(&mut simulation, seconds(60));
        simulation.counters().since(&before)
    };
    let (ours, theirs) = (probes(&adaptive()), probes(&lifeguard()));
    let share = ours.probes_sent as f64 / theirs.probes_sent as f64;
    assert!((0.85..1.05).contains(&share), "{share}");
    let returned = ours.probes_returned as f64 / ours.probes_sent as f64;
    assert!((0.4..0.55).contains(&returned), "a return for each probe by choice: {returned}");
    assert_eq!((theirs.probes_returned, ours.suspicions_started), (0, 0));
}

/// Nobody waits for chance: whoever was pinged last by a member sees after it.
#[test]
fn the_first_probe_after_a_crash_comes_in_time() {
    for seed in 0..30 {
        let mut simulation = warm(seed, 40, &adaptive());
        let crashed = simulation.now();
        simulation.crash(VICTIM);
        run(&mut simulation, seconds(4));
        let suspected = first(&simulation, What::Suspected, VICTIM, crashed);
        // Two intervals until the return, another until it has failed, and a return may have to queue.
        let suspected = suspected.expect("suspected").since(crashed);
        assert!(suspected < millis(3500), "seed {seed}: {suspected:?}");
    }
}

/// A member that gets nothing out accuses everyone, and nobody can confirm it: not even relays, which are
/// not reached. It hears the others all the while.
#[test]
fn an_unconfirmed_accuser_declares_nobody_soon() {
    let mut simulation = warm(7, 40, &adaptive());
    let before = simulation.counters();
    simulation.partition(&[0], Direction::Outbound, seconds(25), Duration::ZERO);
    run(&mut simulation, seconds(25));
    let during = simulation.counters().since(&before);
    assert!(during.suspicions_witnessed > 0, "{during:?}");
    let others = |subject: usize| subject != 0;
    assert_eq!(count(&simulation, What::Failed, others), 0);
    run(&mut simulation, seconds(60));
    assert_eq!(count(&simulation, What::Failed, others), 0, "its appeals get through again");
}

/// A member whose receive path is blocked: all that could refute lies unread, for longer than Lifeguard's
/// longest timeout, or for half of it, and again. In between the oldest of it is read, and the rest is lost.
#[test]
fn whoever_does_not_listen_does_not_declare() {
    let failed_by_the_slow = |seed: u64, settings: &Settings| {
        let mut simulation = warm(seed, 40, settings);
        simulation.starve(0, Slowness::Reading, seconds(70), seconds(70));
        run(&mut simulation, seconds(68));
        let entries = simulation.log().entries().iter();
        entries.filter(|entry| entry.what == What::Failed && entry.observer == 0).count()
    };
    for seed in 11..19 {
        assert_eq!(failed_by_the_slow(seed, &adaptive()), 0, "seed {seed}");
    }
    assert!(failed_by_the_slow(11, &lifeguard()) > 0, "or the test shows nothing");
}

/// Members that look at their clocks before they read what came in time.
#[test]
fn timers_that_come_late_are_a_stall() {
    let mut simulation = warm(13, 40, &adaptive());
    for node in 0..10 {
        simulation.starve(node, Slowness::TimersFirst, seconds(60), seconds(5));
    }
    run(&mut simulation, seconds(90));
    assert!(simulation.counters().stalls > 20, "{}", simulation.counters().stalls);
    assert_eq!(count(&simulation, What::Failed, |subject| subject >= 10), 0);
}

/// A suspect is told by its witness, in one datagram with a ping, a bounded number of times.
#[test]
fn witnesses_tell_the_suspect_directly_and_not_for_ever() {
    let mut simulation = warm(17, 40, &adaptive());
    let before = simulation.counters();
    simulation.tap();
    simulation.crash(VICTIM);
    run(&mut simulation, seconds(20));
    let during = simulation.counters().since(&before);
    let victim = simulation.id(VICTIM);
    let told = simulation.tapped().iter().filter(|frame| {
        let messages = messages(frame);
        let accused = matches!(messages[0], Message::Suspect { subject, .. } if subject == victim);
        frame.to == Some(VICTIM) && accused && matches!(messages.get(1), Some(Message::Ping { .. }))
    });
    let told = told.count() as u64;
    assert!(told >= 4 && during.appeals_sent >= 4 && told >= during.appeals_sent, "{told} {during:?}");
    assert!(during.appeals_sent <= 12 * during.suspicions_witnessed, "{during:?}");
}

/// A falsely accused member answers the accuser itself, long before gossip would have told.
#[test]
fn a_suspect_that_lives_refutes_at_once() {
    let mut simulation = warm(19, 40, &Settings { stream_fallback: false, ..adaptive() });
    simulation.cut(&[0], &(1..40).collect::<Vec<_>>(), Direction::Outbound, millis(1900), Duration::ZERO);
    run(&mut simulation, seconds(10));
    let counters = simulation.counters();
    assert!(counters.suspicions_witnessed > 0, "{counters:?}");
    assert_eq!(count(&simulation, What::Failed, |_| true), 0);
    for subject in 1..40 {
        assert_eq!(simulation.belief(0, subject), Some(State::Alive), "{subject}");
    }
}

/// A member that has missed what became of a suspicion asks for itself, long before the timeout is over.
#[test]
fn whoever_hears_nothing_more_of_a_suspicion_checks_once() {
    // Each update is gossiped once only, so many get lost.
    let sparse = Settings {
        dissemination: Dissemination::Gossip,
        retransmit_multiplier: 1,
        push_pull_interval: Duration::ZERO,
        ..adaptive()
    };
    let (mut checked, mut last) = (0, Duration::ZERO);
    for seed in 0..20 {
        let mut simulation = warm(seed, 60, &sparse);
        let crashed = simulation.now();
        simulation.crash(VICTIM);
        run(&mut simulation, seconds(30));
        let entries = simulation.log().entries().iter();
        let failed = entries.filter(|entry| entry.what == What::Failed && entry.subject == Some(VICTIM));
        let times: Vec<_> = failed.map(|entry| entry.at.since(crashed)).collect();
        assert_eq!(times.len(), 59, "seed {seed}");
        last = last.max(times.into_iter().max().unwrap_or_default());
        checked += simulation.counters().suspicions_checked;
    }
    assert!(checked > 0 && last < seconds(30), "{checked} {last:?}");
}

/// On memberlist's wire all of it is ordinary packets, which the simulation's inspector reads one by one.
#[test]
fn on_memberlists_wire_everything_is_an_ordinary_message() {
    let mut simulation = Simulation::new(SimulationOptions {
        settings: adaptive(),
        wire: WireOptions::Memberlist(MemberlistOptions::default()),
        ..SimulationOptions::new(23, 30)
    });
    simulation.start_warm();
    run(&mut simulation, seconds(5));
    let took = detection(&mut simulation);
    let counters = simulation.counters();
    assert!(took < seconds(8), "{took:?}");
    assert!(counters.appeals_sent > 0 && counters.probes_returned > 0, "{counters:?}");
    assert_eq!((counters.decode_errors, counters.acks_unexpected), (0, 0));
}
