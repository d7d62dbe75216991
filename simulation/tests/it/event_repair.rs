//! The claims of the repair of user events (`docs/PROTOCOL.md` 9.6), one test each.

use std::time::Duration;

use swimring::protocol::settings::Dissemination;
use swimring::protocol::{Settings, Time};
use swimring_codec::native::{HEADER_LEN, Message};
use swimring_simulation::{Direction, Faults, Simulation, What};

use crate::paper_support::*;

/// From when a difference can be seen until it is mended: events enter the roots at 2 s, and differ for 0.3 s.
const MENDED: Duration = Duration::from_secs(8);

fn ways() -> [Settings; 2] {
    [Dissemination::Delegated, Dissemination::Gossip].map(|way| Settings { dissemination: way, ..plain() })
}

/// Whoever delivered the event `sequence`, with when, sorted by member.
fn heard(simulation: &Simulation, sequence: u32) -> Vec<(usize, Time)> {
    let entries = simulation.log().entries().iter();
    let heard = entries.filter(|entry| entry.what == What::UserEvent(sequence));
    let mut heard: Vec<_> = heard.map(|entry| (entry.observer, entry.at)).collect();
    heard.sort_unstable();
    heard
}

/// Nobody asks anyone any more, and no root differs.
#[track_caller]
fn is_quiet(simulation: &mut Simulation) {
    let before = simulation.counters();
    run(simulation, seconds(10));
    let since = simulation.counters().since(&before);
    assert_eq!((since.event_questions_sent, since.event_ids_sent, since.events_resent), (0, 0, 0));
}

/// What a member that tells nothing leaves out reaches everybody, once, a few seconds later.
#[test]
fn what_a_liar_leaves_out_is_repaired() {
    for seed in 1..=4 {
        let mut simulation = warm(seed, 64, &Settings { dissemination: Dissemination::Delegated, ..plain() });
        simulation.silence(5);
        let mut sent = Vec::new();
        for nth in 0..20 {
            sent.push(simulation.send_event(6 + nth, "news", &[nth as u8]).expect("room"));
            run(&mut simulation, millis(500));
        }
        run(&mut simulation, MENDED);
        for sequence in sent {
            assert_eq!(heard(&simulation, sequence).len(), 63);
        }
        let counters = simulation.counters();
        assert!(counters.events_repaired > 20, "{}", counters.events_repaired);
        assert_eq!(counters.event_repairs_shed, 0);
    }
}

/// An event that only its sender has gets to everyone, though everyone else agrees that there is none.
#[test]
fn what_one_member_alone_knows_is_found_out() {
    for settings in ways() {
        let mut simulation = warm(5, 32, &settings);
        simulation.partition(&[3], Direction::Both, seconds(3), NEVER);
        let sequence = simulation.send_event(3, "news", b"").expect("room");
        run(&mut simulation, seconds(3));
        assert!(heard(&simulation, sequence).is_empty());
        run(&mut simulation, seconds(15));
        assert_eq!(heard(&simulation, sequence).len(), 31, "{:?}", settings.dissemination);
        let known: u64 = simulation.counters().events_repaired;
        assert!(known >= 1);
    }
}

/// After a partition each side hears what the other was told in the last half minute, and nothing older.
#[test]
fn the_last_half_minute_is_brought_after_a_partition() {
    for settings in ways() {
        let mut simulation = warm(6, 30, &settings);
        let third: Vec<usize> = (0..10).collect();
        simulation.partition(&third, Direction::Both, seconds(60), NEVER);
        let mut told = Vec::new();
        for nth in 0..60 {
            let teller = nth % 30;
            told.push((teller, simulation.send_event(teller, "news", &[nth as u8]).expect("room")));
            run(&mut simulation, seconds(1));
        }
        // To find each other again takes some time, within which events grow too old.
        run(&mut simulation, seconds(40));
        let all = |nth: usize| heard(&simulation, told[nth].1).len() == 29;
        assert!(!(0..25).any(all), "{:?}: too old", settings.dissemination);
        assert!((50..60).all(all), "{:?}: young enough", settings.dissemination);
        is_quiet(&mut simulation);
    }
}

/// With a third of all datagrams lost, and everything repaired, everybody has everything once.
#[test]
fn loss_leaves_nothing_out() {
    for settings in ways() {
        let mut simulation = warm(7, 40, &settings);
        simulation.set_faults(Faults { loss: 0.3, ..Faults::NONE });
        let mut sent = Vec::new();
        for nth in 0..40 {
            sent.push(simulation.send_event(nth, "news", &[nth as u8]).expect("room"));
            run(&mut simulation, millis(250));
        }
        run(&mut simulation, seconds(18));
        for sequence in &sent {
            assert_eq!(heard(&simulation, *sequence).len(), 39, "{:?}", settings.dissemination);
        }
        simulation.calm();
        run(&mut simulation, seconds(30));
        is_quiet(&mut simulation);
    }
}

/// Datagrams that come up to seven seconds late make members differ about an event's age, and not for ever.
#[test]
fn roots_agree_in_the_end_however_late_events_came() {
    for settings in ways() {
        let mut simulation = warm(8, 24, &settings);
        let faults = Faults { duplication: 0.2, late: 0.4, late_max: seconds(7), ..Faults::NONE };
        simulation.set_faults(faults);
        for nth in 0..40 {
            simulation.send_event(nth % 24, "news", &[nth as u8]).expect("room");
            run(&mut simulation, millis(300));
        }
        simulation.calm();
        // Ages differ by seven seconds where events leave at thirty.
        run(&mut simulation, seconds(50));
        let counters = simulation.counters();
        assert_eq!(counters.events_delivered, 40 * 23, "{:?}", settings.dissemination);
        is_quiet(&mut simulation);
    }
}

/// Who joins is not told what happened before, and asks nobody for it again.
#[test]
fn events_from_before_a_join_are_not_delivered() {
    for settings in ways() {
        let mut simulation = warm(9, 12, &settings);
        simulation.crash(11);
        let mut sent = Vec::new();
        for nth in 0..10 {
            sent.push(simulation.send_event(nth, "news", &[nth as u8]).expect("room"));
            run(&mut simulation, millis(300));
        }
        // Nobody tries to tell it any more.
        run(&mut simulation, seconds(5));
        simulation.restart(11, Default::default());
        simulation.join(11);
        run(&mut simulation, seconds(15));
        assert!(simulation.has_joined(11));
        for sequence in sent {
            assert!(heard(&simulation, sequence).iter().all(|(observer, _)| *observer != 11));
        }
        let counters = simulation.counters();
        assert_eq!(counters.events_before_join, 10, "{:?}", settings.dissemination);
        // With gossip some learned of an event a second later than others, and let it leave a second later.
        run(&mut simulation, seconds(15));
        is_quiet(&mut simulation);
        let sequence = simulation.send_event(0, "news", b"").expect("room");
        run(&mut simulation, seconds(3));
        assert!(heard(&simulation, sequence).iter().any(|(observer, _)| *observer == 11));
    }
}

/// While everybody hears everything nobody asks, however many events there are, and pings and acks are as long as ever.
#[test]
fn nobody_asks_while_nothing_is_missing() {
    let settings = Settings { dissemination: Dissemination::Delegated, ..plain() };
    let mut simulation = warm(10, 50, &settings);
    for nth in 0..400 {
        simulation.send_event(nth % 50, "news", &nth.to_le_bytes()).expect("room");
        run(&mut simulation, millis(100));
    }
    let counters = simulation.counters();
    assert_eq!((counters.event_questions_sent, counters.events_delivered), (0, 400 * 49));
    simulation.tap();
    run(&mut simulation, seconds(3));
    let mut roots = 0;
    for frame in simulation.tapped() {
        match messages(frame).as_slice() {
            [Message::Ping { event_root, .. } | Message::Ack { event_root, .. }] => {
                assert_eq!(frame.bytes.len(), HEADER_LEN + 8);
                roots += usize::from(*event_root != 0);
            }
            _ => continue,
        }
    }
    assert!(roots > 100, "{roots}");
}

/// However much is missing, a member sends a bounded number of frames for it in a second.
#[test]
fn repair_is_bounded_in_each_second() {
    let settings = Settings { dissemination: Dissemination::Delegated, ..plain() };
    let mut simulation = warm(11, 3, &settings);
    simulation.partition(&[0], Direction::Both, seconds(6), NEVER);
    for nth in 0..600_u32 {
        let payload = [nth as u8; 400];
        let teller = 1 + nth as usize % 2;
        simulation.send_event(teller, &format!("news-{nth}"), &payload).expect("room");
        run(&mut simulation, millis(8));
    }
    simulation.tap();
    run(&mut simulation, seconds(20));
    let mut by_second = std::collections::BTreeMap::new();
    for frame in simulation.tapped() {
        let of_repair = messages(frame).iter().any(|message| {
            let known = matches!(message, Message::EventKnown { .. } | Message::EventSum(_));
            known || matches!(message, Message::EventWanted { .. } | Message::EventAge { .. })
        });
        let second = frame.at.as_micros() / 1_000_000;
        *by_second.entry((frame.from, second)).or_insert(0) += u32::from(of_repair);
    }
    let most = by_second.values().copied().max().unwrap_or(0);
    assert!((40..=128).contains(&most), "{most}");
    assert_eq!(simulation.counters().events_delivered, 600 * 2);
    assert!(simulation.counters().event_repairs_shed > 0);
}
