//! The claims of the repair of views (`docs/PROTOCOL.md` 9.4), one test each. In every one of them each member has storage of its own,
//! and no stream but the probes' is opened: `push_pulls_started` stays zero.

use swimring::protocol::settings::Dissemination;
use swimring::protocol::{Settings, SuspicionMode};
use swimring_codec::native::{Frame, Introduction, Message};
use swimring_codec::{State, identity_hash};
use swimring_simulation::{Direction, Restart, Simulation};

use crate::paper_support::*;

/// Suspicions last long enough that a short cut ends nobody's life, and nothing is found by the period.
fn settings(dissemination: Dissemination) -> Settings {
    Settings { dissemination, suspicion: SuspicionMode::Lifeguard, ..plain() }
}

fn ways() -> [Settings; 2] {
    [Dissemination::Delegated, Dissemination::Gossip].map(settings)
}

/// How many members have `metadata` for the member `subject`.
fn knowing(simulation: &Simulation, subject: usize, metadata: &[u8]) -> usize {
    let id = simulation.id(subject);
    let index = |node: usize| simulation.commons(node).directory().find(id);
    let knows = |node: usize| {
        let Some(index) = index(node) else { return false };
        simulation.view(node).any(|known| known.index == index && known.metadata == metadata)
    };
    (0..simulation.len()).filter(|node| knows(*node)).count()
}

/// Whether all of them hold all others live, and their roots are the same. One that was cut off may still suspect somebody whom
/// it has not probed since.
fn agree(simulation: &Simulation) -> bool {
    let members = 0..simulation.len();
    let lives = |belief| matches!(belief, Some(State::Alive | State::Suspect));
    let live = |one| members.clone().all(|other| lives(simulation.belief(one, other)));
    let root = |node: usize| simulation.member(node).map(|member| member.root());
    members.clone().all(|one| live(one) && root(one) == root(0))
}

/// Metadata that everyone is told while one is cut off reaches that one within seconds, however much it is.
#[test]
fn who_was_cut_off_is_brought_what_it_has_missed() {
    for settings in ways() {
        for (seed, changes) in [(1, 1), (2, 10), (3, 60)] {
            let mut simulation = warm(seed, 64, &settings);
            simulation.partition(&[3], Direction::Both, seconds(3), NEVER);
            for nth in 0..changes {
                simulation.update_metadata(4 + nth, b"new").expect("room");
            }
            run(&mut simulation, seconds(4));
            let before = simulation.counters();
            run(&mut simulation, seconds(6));
            for nth in 0..changes {
                assert_eq!(knowing(&simulation, 4 + nth, b"new"), 64, "{:?} {nth}", settings.dissemination);
            }
            let counters = simulation.counters();
            assert!(counters.view_sketches_sent > 0, "{:?}", settings.dissemination);
            assert_eq!((counters.push_pulls_started, counters.view_repairs_shed), (0, 0));
            run(&mut simulation, seconds(10));
            let since = simulation.counters().since(&before);
            assert!(agree(&simulation) && since.view_sketches_sent < 200, "{}", since.view_sketches_sent);
        }
    }
}

/// What a member that tells nothing leaves out reaches everybody.
#[test]
fn what_a_liar_leaves_out_is_repaired() {
    for seed in 1..=4 {
        let mut simulation = warm(seed, 64, &settings(Dissemination::Delegated));
        simulation.silence(5);
        for nth in 0..20 {
            simulation.update_metadata(6 + nth, b"new").expect("room");
            run(&mut simulation, millis(500));
        }
        run(&mut simulation, seconds(10));
        for nth in 0..20 {
            assert!(knowing(&simulation, 6 + nth, b"new") >= 63, "seed {seed}: {nth}");
        }
        assert_eq!(simulation.counters().push_pulls_started, 0);
    }
}

/// Both sides of a partition have buried each other. When it heals they become one again, and nobody is believed alive but by
/// outranking what was held of it.
#[test]
fn a_healed_partition_becomes_one_view() {
    for settings in ways() {
        let settings = Settings { reconnect_interval: seconds(2), ..settings };
        let mut simulation = warm(7, 40, &settings);
        let half: Vec<usize> = (0..20).collect();
        simulation.partition(&half, Direction::Both, seconds(90), NEVER);
        run(&mut simulation, seconds(90));
        assert_ne!(simulation.belief(0, 30), Some(State::Alive));
        run(&mut simulation, seconds(60));
        assert!(agree(&simulation), "{:?}", settings.dissemination);
        assert_eq!(simulation.counters().push_pulls_started, 0);
    }
}

/// A crash that one member has missed: it accuses the dead one, in nobody's name, and buries it in its own time.
#[test]
fn a_death_is_an_accusation() {
    let mut simulation = warm(8, 32, &settings(Dissemination::Delegated));
    simulation.tap();
    simulation.partition(&[3], Direction::Both, seconds(20), NEVER);
    simulation.crash(9);
    run(&mut simulation, seconds(20));
    run(&mut simulation, seconds(40));
    assert!((0..32).filter(|node| *node != 9).all(|node| simulation.belief(node, 9) != Some(State::Alive)));
    let repairs = simulation.tapped().iter().filter_map(|captured| {
        let frame = Frame::decode(&captured.bytes).ok()?;
        let mut messages = frame.messages().flatten();
        matches!(messages.next(), Some(Message::ViewRepair { .. })).then(|| messages.collect::<Vec<_>>())
    });
    let told: Vec<Message<'_>> = repairs.flatten().collect();
    assert!(!told.is_empty());
    assert!(!told.iter().any(|message| matches!(message, Message::Dead { .. })), "nobody is said to be dead");
    let accused = told
        .iter()
        .filter(|message| matches!(message, Message::Suspect { accuser, .. } if accuser.is_none()));
    assert!(accused.count() > 0);
}

/// Another life of a member, that somebody alone has heard of, is in the incarnation that the member comes to: whichever of
/// the two hashes is the greater, all have the same in the end, and what the member says itself.
#[test]
fn two_lives_in_one_incarnation_become_one() {
    for settings in ways() {
        let mut greater = Vec::new();
        for nth in 0..6 {
            let mut simulation = warm(10 + nth, 12, &settings);
            let (address, metadata) = ("10.9.0.3:7946".parse().expect("an address"), [nth as u8]);
            let past = Introduction {
                subject: simulation.id(3),
                incarnation: incarnation(&simulation, 3, 3).next(),
                state: State::Alive,
                address,
                name: "member-0003",
                metadata: &metadata,
                zone: "",
            };
            let stranger = simulation.id(4);
            forge(&mut simulation, stranger, 5, &[Message::Introduction(past)]);
            assert_eq!(knowing(&simulation, 3, &metadata), 1);
            simulation.update_metadata(3, b"new").expect("room");
            run(&mut simulation, seconds(20));
            assert_eq!(knowing(&simulation, 3, b"new"), 12, "{:?} {nth}", settings.dissemination);
            assert!(agree(&simulation) && simulation.counters().lives_clashed > 0);
            // The lesser gives way; the greater, which nobody can tell from the right one, is outranked.
            let own = identity_hash(simulation.address(3), b"new", "");
            let is_greater = identity_hash(address, &metadata, "") > own;
            assert_eq!(incarnation(&simulation, 5, 3) > past.incarnation, is_greater);
            greater.push(is_greater);
        }
        assert!(greater.contains(&true) && greater.contains(&false), "{greater:?}");
    }
}

/// All others have started anew while somebody was cut off, and have never heard of it. It finds them again, and they
/// answer nobody whom they do not know: so it says who it is.
#[test]
fn who_is_unknown_to_those_whom_it_knows_says_who_it_is() {
    for settings in ways() {
        let settings = Settings { reconnect_interval: seconds(2), ..settings };
        let mut simulation = warm(9, 3, &settings);
        simulation.partition(&[1], Direction::Both, seconds(90), NEVER);
        for node in [0, 2] {
            run(&mut simulation, seconds(30));
            simulation.restart(node, Restart::default());
        }
        run(&mut simulation, seconds(29));
        assert_eq!((simulation.belief(0, 1), simulation.belief(2, 1)), (None, None));
        assert_eq!(
            (simulation.belief(0, 2), simulation.belief(2, 0)),
            (Some(State::Alive), Some(State::Alive))
        );
        run(&mut simulation, seconds(21));
        assert!(agree(&simulation), "{:?}", settings.dissemination);
        assert_eq!(simulation.counters().push_pulls_started, 0);
    }
}
