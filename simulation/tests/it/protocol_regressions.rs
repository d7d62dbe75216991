//! Traps that other implementations have fallen into, each with where.

use crate::paper_support::*;
use swimring::protocol::{MemberError, MemberlistOptions, Settings, StreamNext, StreamPurpose, WireOptions};
use swimring_codec::native::{
    EVENT_MAX, FrameHeader, Introduction, Message, STREAM_PREFIX_LEN, StreamKind, StreamWriter, UserEvent,
};
use swimring_codec::{Incarnation, MemberId, State};
use swimring_simulation::{Direction, Faults, Simulation, SimulationOptions, What};

/// The records of a push/pull, as a member that opened the stream sends them.
fn push(simulation: &mut Simulation, node: usize, source: MemberId, records: &[Introduction<'_>]) {
    let header =
        FrameHeader { cluster: 0x51A1, source, destination: simulation.id(node), root: 0, quiet: false };
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::new(header, &mut bytes);
    records.iter().for_each(|record| assert!(writer.record(record)));
    writer.finish_state();
    let next = simulation.deliver_stream(node, None, &bytes[STREAM_PREFIX_LEN..]);
    assert_eq!(next, Some(StreamNext::Close));
}

fn settled(simulation: &mut Simulation) {
    run(simulation, seconds(60));
    simulation.converged().expect("everyone alive and agreed");
}

/// hashicorp/memberlist#358: one message with the highest incarnation makes a memberlist member
/// unrefutable for ever. Here the accused refutes whatever anyone believes, and what it states is believed.
#[test]
fn a_forged_incarnation_evicts_nobody() {
    let near = 1_000;
    for forged in [u64::MAX, 1 << 47, 1 << 27, 1 << 24, 1 << 21, 1 << 20, 1 << 17, 1 << 16, 1 << 15, 1] {
        for heard_by in [&[0][..], &[3], &[0, 1, 2, 4, 5, 6, 7], &[0, 1, 2, 3, 4, 5, 6, 7]] {
            let mut simulation = warm(1, 8, &Settings::default());
            let (subject, accuser) = (simulation.id(3), simulation.id(1));
            let incarnation = Incarnation::new(forged.saturating_add(near));
            let messages = [
                Message::Suspect { subject, incarnation, accuser },
                Message::Dead { subject, incarnation },
                Message::Left { subject, incarnation },
            ];
            for message in messages {
                heard_by.iter().for_each(|node| forge(&mut simulation, accuser, *node, &[message]));
                run(&mut simulation, seconds(1));
            }
            settled(&mut simulation);
        }
    }
}

/// The same, again and again and faster than news of it spreads.
#[test]
fn many_forged_accusations_evict_nobody() {
    for above in [1, 1 << 16, 1 << 20, 1 << 40] {
        let mut simulation = warm(2, 8, &Settings::default());
        let (subject, accuser) = (simulation.id(3), simulation.id(1));
        let before = incarnation(&simulation, 3, 3).get();
        for round in 0..2_000 {
            let incarnation = Incarnation::new(incarnation(&simulation, 3, 3).get() + above);
            forge(&mut simulation, accuser, round % 8, &[Message::Suspect { subject, incarnation, accuser }]);
            run(&mut simulation, millis(5));
        }
        let after = incarnation(&simulation, 3, 3).get();
        assert!(after > before, "some were answered");
        // Eight steps a second leave room for half a year of this.
        assert!(after - before <= 100 * ((1 << 20) + 1), "{before} to {after}");
        settled(&mut simulation);
    }
}

/// Kinship KP-05, hashicorp/memberlist too: what a push/pull says of a suspect is nobody's observation and
/// must not shorten the suspicion.
#[test]
fn a_push_pull_record_is_no_confirmation() {
    let settings = plain();
    let mut simulation = warm(3, 20, &settings);
    let (subject, address) = (simulation.id(19), simulation.address(19));
    let incarnation = incarnation(&simulation, 0, 19);
    simulation.crash(19);
    simulation.partition(&[0], Direction::Both, seconds(1000), NEVER);
    simulation.set_overload(0, 8);
    let accuser = simulation.id(1);
    forge(&mut simulation, accuser, 0, &[Message::Suspect { subject, incarnation, accuser }]);
    let started = simulation.now();
    let before = simulation.counters();
    for source in 1..19 {
        let source = simulation.id(source);
        for state in [State::Suspect, State::Dead] {
            let record = Introduction {
                subject,
                incarnation,
                state,
                address,
                name: "member-0019",
                metadata: b"",
                zone: "",
            };
            push(&mut simulation, 0, source, &[record]);
        }
    }
    assert_eq!(simulation.counters().since(&before).suspicions_confirmed, 0);
    let (shortest, _) = settings.suspicion_timeouts(20);
    run(&mut simulation, shortest * 2);
    assert_eq!(state(&simulation, 0, 19), Some(State::Suspect), "since {started:?}");
}

/// A record that calls someone dead is weaker than gossip: it may have come back since.
#[test]
fn a_dead_record_only_raises_suspicion() {
    let mut simulation = warm(4, 8, &plain());
    let (subject, address, source) = (simulation.id(5), simulation.address(5), simulation.id(1));
    let incarnation = incarnation(&simulation, 0, 5);
    let record = Introduction {
        subject,
        incarnation,
        state: State::Dead,
        address,
        name: "member-0005",
        metadata: b"",
        zone: "",
    };
    push(&mut simulation, 0, source, &[record]);
    assert_eq!(state(&simulation, 0, 5), Some(State::Suspect));
    settled(&mut simulation);
    assert_eq!(simulation.log().count(What::Failed), 0);
}

/// Kinship: a suspicion at a higher incarnation is a new one and gets the whole time.
#[test]
fn a_suspicion_at_a_higher_incarnation_starts_anew() {
    let settings = Settings { suspicion_max_timeout_multiplier: 1, ..plain() };
    let members = 40;
    let (timeout, _) = settings.suspicion_timeouts(members);
    let mut simulation = warm(5, members, &settings);
    let suspect = members - 1;
    let (subject, accuser) = (simulation.id(suspect), simulation.id(1));
    let base = incarnation(&simulation, 0, suspect).get();
    simulation.crash(suspect);
    simulation.partition(&[0], Direction::Both, seconds(1000), NEVER);
    simulation.set_overload(0, 8);
    let accuse = |simulation: &mut Simulation, above: u64| {
        let incarnation = Incarnation::new(base + above);
        forge(simulation, accuser, 0, &[Message::Suspect { subject, incarnation, accuser }]);
    };
    accuse(&mut simulation, 0);
    run(&mut simulation, timeout - millis(100));
    accuse(&mut simulation, 1);
    let again = simulation.now();
    run(&mut simulation, timeout * 2);
    let failed = simulation.log().first(0, suspect, What::Failed, again).expect("declared dead in the end");
    assert_eq!(failed.since(again).as_millis(), timeout.as_millis());
}

/// hashicorp/memberlist#299: while members come and go, user events get through as fast as ever.
#[test]
fn churn_does_not_starve_user_events() {
    let members = 100;
    let mut simulation = warm(6, members, &plain());
    let mut told = Vec::new();
    for round in 0..30usize {
        // Far more news than frames can carry.
        for node in 0..members {
            simulation.update_metadata(node, &[round as u8; 200]).expect("room");
        }
        told.push(simulation.send_event(round, "event", &[7; 100]).expect("room"));
        run(&mut simulation, millis(200));
    }
    let waiting = simulation.member(0).expect("up").queued();
    assert!(waiting > 80, "the queues are long: {waiting}");
    run(&mut simulation, seconds(3));
    for sequence in told {
        assert_eq!(simulation.log().count(What::UserEvent(sequence)), members - 1);
    }
}

/// hashicorp/serf#606: a leave that is heard again is not told again.
#[test]
fn a_repeated_leave_is_not_told_for_ever() {
    let mut simulation = warm(7, 10, &plain());
    let (subject, source) = (simulation.id(9), simulation.id(1));
    let incarnation = incarnation(&simulation, 0, 9);
    simulation.leave(9);
    run(&mut simulation, seconds(10));
    let before = simulation.counters();
    for _ in 0..50 {
        for node in 0..9 {
            forge(&mut simulation, source, node, &[Message::Left { subject, incarnation }]);
        }
        run(&mut simulation, millis(100));
    }
    assert_eq!(simulation.counters().since(&before).broadcast_copies_sent, 0);
    assert!((0..9).all(|node| simulation.member(node).expect("up").queued() == 0));
}

/// Kinship KP-02: whoever has left is silent and leaves nothing in its queue.
#[test]
fn nothing_stays_queued_after_leaving() {
    let mut simulation = warm(8, 10, &plain());
    for _ in 0..20 {
        simulation.send_event(4, "event", &[1; 400]).expect("room");
    }
    simulation.leave(4);
    run(&mut simulation, seconds(10));
    let member = simulation.member(4).expect("kept");
    assert!(member.has_left());
    assert_eq!(member.queued(), 0);
}

/// prometheus/alertmanager#1340: what fits no frame is refused when it is queued, not kept for ever.
#[test]
fn oversize_is_refused_when_queued() {
    let mut simulation = warm(9, 4, &plain());
    let refused = simulation.send_event(0, "e", &[0; EVENT_MAX]).expect_err("too large");
    assert_eq!(refused, MemberError::EventTooLarge(EVENT_MAX + 1));
    assert_eq!(simulation.update_metadata(0, &[0; 513]), Err(MemberError::MetadataTooLarge(513)));
    simulation.send_event(0, "e", &[0; EVENT_MAX - 1]).expect("just fits");
    simulation.update_metadata(0, &[0; 512]).expect("just fits");
    run(&mut simulation, seconds(10));
    assert!((0..4).all(|node| simulation.view(node).any(|known| known.metadata.len() == 512)));
}

/// Hostile introductions fill no table beyond its bound, and those who were there first stay.
#[test]
fn full_tables_shed_and_count() {
    let settings = Settings { members_max: 16, events_max: 16, broadcasts_max: 16, ..plain() };
    let mut simulation = warm(10, 8, &settings);
    let source = simulation.id(1);
    for stranger in 0..1000u32 {
        let name = format!("stranger-{stranger}");
        let introduction = Introduction {
            subject: MemberId::of_name(&name),
            incarnation: Incarnation::new(5),
            state: State::Alive,
            address: simulation.address(0),
            name: &name,
            metadata: b"",
            zone: "",
        };
        let origin = introduction.subject;
        let event = UserEvent { origin, sequence: stranger, name: "e", payload: b"" };
        let messages = [Message::Introduction(introduction), Message::UserEvent(event)];
        forge(&mut simulation, source, 0, &messages);
    }
    let member = simulation.member(0).expect("up");
    assert!(member.known() <= 16 && member.queued() <= 32, "{} {}", member.known(), member.queued());
    assert!((0..8).all(|node| state(&simulation, 0, node) == Some(State::Alive)));
    let counters = simulation.counters();
    assert!(counters.members_shed >= 900, "{counters:?}");
    assert!(counters.events_shed >= 900, "{counters:?}");
}

/// A member that missed an introduction does not believe compact news about it. When it suspects that
/// member, the refutation is such news: it has to ask, or it would declare dead who has refuted.
#[test]
fn a_missed_introduction_is_asked_for() {
    let settings = Settings { push_pull_interval: seconds(30), ..plain() };
    let mut simulation = warm(11, 6, &settings);
    // Later than the time after joining in which every difference is mended at once.
    run(&mut simulation, seconds(70));
    simulation.partition(&[0], Direction::Both, seconds(2), NEVER);
    let old = incarnation(&simulation, 0, 5).get();
    simulation.update_metadata(5, b"new").expect("room");
    run(&mut simulation, seconds(2));
    assert_eq!(incarnation(&simulation, 0, 5).get(), old, "it has missed the introduction");
    let (subject, incarnation) = (simulation.id(5), Incarnation::new(old + 1));
    for accuser in 1..4 {
        let accuser = simulation.id(accuser);
        forge(&mut simulation, accuser, 0, &[Message::Suspect { subject, incarnation, accuser }]);
    }
    assert_eq!(state(&simulation, 0, 5), Some(State::Suspect));
    // So much is going on that roots differ all the time and say nothing.
    for _ in 0..100 {
        simulation.send_event(1, "chatter", b"").expect("room");
        run(&mut simulation, millis(100));
    }
    assert!(simulation.counters().missed_introduction > 0);
    assert_eq!(count(&simulation, What::Failed, |node| node == 5), 0);
    let known = simulation.view(0).find(|known| known.name == "member-0005").expect("known");
    assert_eq!(known.metadata, b"new");
}

/// hashicorp/memberlist#291: a join always ends, also when whoever answers talks nonsense.
#[test]
fn a_join_that_is_answered_with_nonsense_fails() {
    for (cluster, kind) in
        [(0x51A1, StreamKind::Agreed), (0x51A1, StreamKind::Join), (7, StreamKind::Differs)]
    {
        let mut simulation = warm(12, 3, &plain());
        let header = FrameHeader {
            cluster,
            source: simulation.id(1),
            destination: simulation.id(0),
            root: 0,
            quiet: false,
        };
        let mut bytes = Vec::new();
        StreamWriter::new(header, &mut bytes).plain(kind);
        let purpose = Some(StreamPurpose::Join { token: 9 });
        let next = simulation.deliver_stream(0, purpose, &bytes[STREAM_PREFIX_LEN..]);
        assert_eq!(next, Some(StreamNext::Close));
        assert_eq!(simulation.log().count(What::JoinFinished(false)), 1, "{kind:?}");
    }
}

/// An event that a stopped process still had in its queue is not delivered everywhere a second time.
#[test]
fn a_stopped_process_does_not_bring_old_events_back() {
    // Six copies, three a second, by each: a rumour is over well before it is forgotten.
    let settings = Settings {
        event_memory: seconds(5),
        gossip_interval: seconds(1),
        retransmit_multiplier: 2,
        ..plain()
    };
    let mut simulation = warm(13, 12, &settings);
    let sequence = simulation.send_event(0, "event", b"once").expect("room");
    run(&mut simulation, millis(1_500));
    for node in 1..4 {
        simulation.starve(node, swimring_simulation::Slowness::TimersFirst, seconds(12), seconds(12));
    }
    // More events, so that the store has to use places again.
    for _ in 0..20 {
        run(&mut simulation, seconds(1));
        simulation.send_event(11, "other", b"").expect("room");
    }
    let delivered = simulation.log().count(What::UserEvent(sequence));
    assert!(delivered <= 11, "{delivered} deliveries to 11 members");
}

/// A member that is only slow by a little does not skip every other probe when probes fail.
#[test]
fn a_little_lateness_does_not_halve_the_probe_rate() {
    let settings = Settings { local_health_max: 0, reconnect_interval: NEVER, ..plain() };
    let mut simulation = warm(14, 40, &settings);
    let others: Vec<usize> = (1..40).collect();
    simulation.cut(&[0], &others, Direction::Inbound, seconds(60), NEVER);
    simulation.starve(0, swimring_simulation::Slowness::TimersFirst, seconds(60), millis(6));
    run(&mut simulation, seconds(2));
    simulation.tap();
    run(&mut simulation, seconds(20));
    let ping = |message: &Message<'_>| matches!(message, Message::Ping { .. });
    let own = simulation.tapped().iter().filter(|frame| frame.from == 0);
    let pings = own.filter(|frame| messages(frame).iter().any(ping)).count();
    assert!(pings >= 19, "{pings} probes in 20 intervals");
}

/// Garbage that looks like traffic of another cluster changes nothing.
#[test]
fn another_cluster_is_another_cluster() {
    let mut simulation = warm(15, 4, &plain());
    simulation.set_faults(Faults::NONE);
    let header = FrameHeader {
        cluster: 1,
        source: simulation.id(1),
        destination: simulation.id(0),
        root: 0,
        quiet: false,
    };
    let mut bytes = [0; 200];
    let mut writer = swimring_codec::native::FrameWriter::new(header, &mut bytes).expect("room");
    let dead = Message::Dead { subject: simulation.id(2), incarnation: incarnation(&simulation, 0, 2) };
    assert!(writer.push(&dead));
    let length = writer.finish();
    let from = simulation.address(1);
    simulation.deliver(0, from, &bytes[..length]);
    assert_eq!(state(&simulation, 0, 2), Some(State::Alive));
    assert_eq!(simulation.counters().frames_foreign, 1);
}

/// A member that leaves while it suspects others, and comes back after those suspicions would have ended,
/// has heard no refutation meanwhile: it begins them anew instead of declaring them dead at once.
#[test]
fn suspicions_begin_anew_when_a_member_comes_back() {
    for wire in [WireOptions::Native, WireOptions::Memberlist(MemberlistOptions::default())] {
        let options =
            SimulationOptions { settings: Settings::default(), wire, ..SimulationOptions::new(16, 8) };
        let mut simulation = Simulation::new(options);
        simulation.start_warm();
        run(&mut simulation, seconds(5));
        // It doubts whoever it probes, and leaves while nobody can tell it otherwise.
        simulation.partition(&[0], Direction::Inbound, seconds(8), NEVER);
        run(&mut simulation, seconds(4));
        assert!(simulation.member(0).expect("up").suspects() > 0);
        simulation.leave(0);
        run(&mut simulation, seconds(300));
        let member = simulation.member(0).expect("kept");
        assert!(member.has_left() && member.suspects() > 0);
        simulation.clear_log();
        simulation.rejoin(0);
        settled(&mut simulation);
        assert_eq!(simulation.log().count(What::Failed), 0);
    }
}
