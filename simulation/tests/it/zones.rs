//! Zones (`docs/PROTOCOL.md`, 9.3): one copy of what is told crosses to each, and everyone hears.

use std::collections::BTreeMap;
use std::time::Duration;

use swimring::protocol::Settings;
use swimring::protocol::settings::Dissemination;
use swimring_codec::native::Message;
use swimring_codec::zone_tag;
use swimring_simulation::{Faults, Restart, Simulation, SimulationOptions, What};

use crate::paper_support::*;

/// `members` in three zones that are `apart` from each other, with nothing that mends what a broadcast misses.
fn zoned(seed: u64, members: usize, apart: Duration) -> Simulation {
    let settings = Settings { dissemination: Dissemination::Delegated, ..plain() };
    let mut simulation = Simulation::new(SimulationOptions {
        settings,
        zones: 3,
        zone_delay: apart,
        checked: members <= 16,
        ..SimulationOptions::new(seed, members)
    });
    simulation.start_warm();
    run(&mut simulation, seconds(3));
    simulation
}

/// Copies of the tapped user events that came to each zone from another.
fn crossings(simulation: &Simulation) -> BTreeMap<&str, usize> {
    let mut crossed = BTreeMap::new();
    for frame in simulation.tapped() {
        let Some(to) = frame.to.map(|to| simulation.zone(to)) else { continue };
        if simulation.zone(frame.from) != to {
            let copies = messages(frame).iter().filter(|said| matches!(said, Message::UserEvent(_))).count();
            *crossed.entry(to).or_insert(0) += copies;
        }
    }
    crossed
}

/// Those of a rush are told of to all zones by views, and who joins hands itself over once.
#[test]
fn a_rush_is_told_to_all_zones() {
    for seed in 11..=13 {
        let members = 150;
        let settings = Settings { dissemination: Dissemination::Delegated, ..Settings::default() };
        let mut simulation = Simulation::new(SimulationOptions {
            settings,
            zones: 3,
            zone_delay: millis(5),
            checked: false,
            ..SimulationOptions::new(seed, members)
        });
        simulation.start_cold();
        let complete = |simulation: &Simulation| {
            let live = |node| simulation.member(node).is_some_and(|member| member.live() == members);
            (0..members).all(live)
        };
        run_until(&mut simulation, millis(5), seconds(2), complete);
        let counters = simulation.counters();
        assert_eq!(counters.views_unfetched, 0, "seed {seed}");
        assert!(counters.delegations_sent < 20 * members as u64, "{} copies", counters.delegations_sent);
    }
}

/// Without loss one copy crosses to each other zone, and each member gets one.
#[test]
fn one_copy_crosses_to_each_zone() {
    for (seed, members) in [(1, 3), (2, 5), (3, 40), (4, 600)] {
        let mut simulation = zoned(seed, members, millis(1));
        for teller in 0..3 {
            simulation.tap();
            let before = simulation.counters();
            let sequence = simulation.send_event(teller, "news", b"").expect("room");
            run(&mut simulation, seconds(2));
            assert_eq!(simulation.log().count(What::UserEvent(sequence)), members - 1, "{members} members");
            let mut expected = BTreeMap::from([("", 1), ("zone-1", 1), ("zone-2", 1)]);
            *expected.get_mut(simulation.zone(teller)).expect("a zone") = 0;
            let mut crossed = crossings(&simulation);
            crossed.entry(simulation.zone(teller)).or_insert(0);
            assert_eq!(crossed, expected, "{members} members");
            let counted = simulation.counters().since(&before);
            assert_eq!((counted.delegations_crossed, counted.delegations_sent), (2, members as u64 - 1));
        }
    }
}

/// Zones that are 40 ms apart there and back: what is usual within a zone is not taken for the time that an answer from
/// another takes, so nothing is sent twice once a round trip was measured.
#[test]
fn a_distant_zone_is_not_told_twice() {
    let mut simulation = zoned(5, 90, millis(20));
    for round in 0..4 {
        let before = simulation.counters();
        for teller in 0..90 {
            simulation.send_event(teller, "news", &[round, teller as u8]).expect("room");
            run(&mut simulation, millis(100));
        }
        let counted = simulation.counters().since(&before);
        assert_eq!(counted.events_delivered, 90 * 89);
        if round > 0 {
            assert_eq!((counted.delegations_retried, counted.delegations_crossed), (0, 90 * 2));
        }
    }
}

/// With a twentieth of all packets lost everyone hears, and lost copies alone cross again.
#[test]
fn loss_costs_few_more_crossings() {
    let members = 300;
    let mut simulation = zoned(6, members, millis(5));
    simulation.set_faults(Faults { loss: 0.05, ..Faults::NONE });
    let before = simulation.counters();
    let mut crossed = 0;
    for nth in 0..20 {
        simulation.tap();
        let sequence = simulation.send_event(nth * 7, "news", &[nth as u8]).expect("room");
        run(&mut simulation, seconds(8));
        assert_eq!(simulation.log().count(What::UserEvent(sequence)), members - 1, "event {nth}");
        crossed += crossings(&simulation).values().sum::<usize>();
    }
    // Two per event; one in ten is sent again, since it or its acknowledgement was lost.
    assert!((40..=60).contains(&crossed), "{crossed} crossings");
    assert!(simulation.counters().since(&before).delegations_retried > 0);
}

/// A delegate of a zone that died unnoticed is replaced by another of that zone.
#[test]
fn a_zone_whose_delegates_are_dead_is_told_by_another() {
    let members = 60;
    let mut simulation = zoned(7, members, millis(1));
    // Half of the zone 1.
    let dead = |node: usize| node % 6 == 1;
    (0..members).filter(|node| dead(*node)).for_each(|node| simulation.crash(node));
    for nth in 0..10 {
        let sequence = simulation.send_event(nth * 6, "news", &[nth as u8]).expect("room");
        run(&mut simulation, millis(900));
        run(&mut simulation, seconds(4));
        assert_eq!(
            simulation.log().count(What::UserEvent(sequence)),
            members - 1 - members / 6,
            "event {nth}"
        );
    }
}

/// Who asks decides the zone: a member that is asked for another than its own tells that one, its range of ids.
#[test]
fn a_member_serves_the_zone_that_it_is_asked_for() {
    let members = 60;
    let mut simulation = zoned(8, members, millis(1));
    // Member 1 is in zone 1.
    for (nth, zone) in ["", "zone-1", "zone-2", "nowhere"].into_iter().enumerate() {
        let sequence = 1_000 + nth as u32;
        let origin = simulation.id(5);
        let event = swimring_codec::native::UserEvent { origin, sequence, name: "news", payload: b"" };
        let delegation =
            Message::Delegation { number: 1, prefix_bits: 0, zone: zone_tag(zone), view_first: false };
        forge(&mut simulation, origin, 1, &[delegation, Message::UserEvent(event)]);
        run(&mut simulation, seconds(1));
        let heard: Vec<usize> = (simulation.log().entries().iter())
            .filter(|entry| entry.what == What::UserEvent(sequence))
            .map(|entry| entry.observer)
            .collect();
        for node in 0..members {
            let expected = node == 1 || simulation.zone(node) == zone;
            assert_eq!(heard.contains(&node), expected, "{node} of `{zone}`");
        }
    }
}

/// A member that comes back in another zone is told there, and nobody twice, once its introduction has spread.
#[test]
fn a_member_may_change_its_zone() {
    let members = 30;
    let mut simulation = zoned(9, members, millis(1));
    simulation.set_zone(4, 2);
    simulation.restart(4, Restart::default());
    run(&mut simulation, seconds(5));
    assert!((0..members).all(|node| {
        simulation.view(node).any(|known| known.zone == "zone-2" && known.name == "member-0004")
    }));
    let before = simulation.counters();
    simulation.tap();
    let sequence = simulation.send_event(0, "news", b"").expect("room");
    run(&mut simulation, seconds(1));
    assert_eq!(simulation.log().count(What::UserEvent(sequence)), members - 1);
    assert_eq!(simulation.counters().since(&before).delegations_sent, members as u64 - 1);
    assert_eq!(crossings(&simulation).values().sum::<usize>(), 2);
}
