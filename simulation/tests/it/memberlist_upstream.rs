//! Where memberlist itself goes wrong, or differently: each test names the issue and what is done here.

use crate::memberlist_support::*;
use crate::paper_support::converges;
use crate::paper_support::{count, incarnation, millis, plain, run, seconds, state};
use swimring::protocol::{MemberError, MemberlistOptions, Settings, WireOptions};
use swimring::{Cluster, JoinError};
use swimring_codec::State;
use swimring_codec::memberlist::{Message, Source, Versions};
use swimring_codec::native::EVENT_MAX;
use swimring_simulation::{Direction, Restart, Simulation, SimulationOptions, What};

fn current(simulation: &Simulation, observer: usize, subject: usize) -> u32 {
    incarnation(simulation, observer, subject).get().try_into().expect("32 bits")
}

/// hashicorp/memberlist#358, #359: one suspect, dead or leave at the highest incarnation evicts a member for
/// good. Here it is refused by those who know better, and refuted by whom it is about.
#[test]
fn the_highest_incarnation_evicts_nobody() {
    for forged in [u32::MAX, u32::MAX - 1, 1 << 31, 1 << 16, 3_000, 2_000, 1_064, 1_001] {
        for heard_by in [&[0][..], &[3], &[0, 1, 2, 4, 5, 6, 7], &[0, 1, 2, 3, 4, 5, 6, 7]] {
            let mut simulation = pool(1, 8, &Settings::default());
            let (subject, accuser) = (name(3), name(1));
            let messages = [
                Message::Suspect { incarnation: forged, node: &subject, from: &accuser },
                Message::Dead { incarnation: forged, node: &subject, from: &accuser },
                Message::Dead { incarnation: forged, node: &subject, from: &subject },
            ];
            for message in messages {
                heard_by.iter().for_each(|node| forge(&mut simulation, 1, *node, &[message]));
                run(&mut simulation, seconds(1));
            }
            converges(&mut simulation);
            assert!(current(&simulation, 3, 3) < 1_000 + 10 * 1_024, "{}", current(&simulation, 3, 3));
        }
    }
}

/// The same: upstream's incarnation wraps to zero, below everything that was ever said of the member.
#[test]
fn an_incarnation_never_wraps() {
    let mut simulation = pool(2, 4, &plain());
    simulation.crash(3);
    let (subject, accuser, at) = (name(3), name(1), simulation.address(3));
    // Step by step, while nobody contradicts. Who comes back is told its past, and outranks it.
    for step in 1..=32_u64 {
        let incarnation = (step << 27).min(u64::from(u32::MAX) - 2) as u32;
        for node in 0..3 {
            forge(&mut simulation, 1, node, &[Message::Alive(alive(&subject, incarnation, at))]);
        }
    }
    simulation.restart(3, Restart { incarnation_step: 0, moved: false });
    run(&mut simulation, seconds(5));
    assert_eq!(current(&simulation, 3, 3), u32::MAX - 1);
    for _ in 0..20 {
        let incarnation = current(&simulation, 3, 3);
        forge(&mut simulation, 1, 3, &[Message::Suspect { incarnation, node: &subject, from: &accuser }]);
        assert!(current(&simulation, 3, 3) >= incarnation);
        run(&mut simulation, millis(300));
    }
    assert_eq!(current(&simulation, 3, 3), u32::MAX);
}

/// The type byte and msgpack of an alive of "stranger", with `versions` as the bytes of its Vsn.
fn alive_with_versions(versions: &[u8]) -> Vec<u8> {
    let stranger = alive("stranger", 5, "10.0.9.9:7946".parse().expect("an address"));
    let mut bytes = packet(&[Message::Alive(stranger)]);
    // Vsn is the last field: its length byte and six bytes.
    bytes.truncate(bytes.len() - 7);
    bytes.push(0xa0 | versions.len() as u8);
    bytes.extend_from_slice(versions);
    bytes
}

/// hashicorp/memberlist#368: a Vsn that is too short makes upstream panic, or keep a member of no version.
#[test]
fn short_versions_are_refused_and_counted() {
    let mut simulation = pool(3, 3, &plain());
    let from = simulation.address(1);
    let (before, known) = (simulation.counters().decode_errors, simulation.view(0).count());
    let short: [&[u8]; 5] = [&[], &[1], &[1, 5, 2], &[1, 5, 2, 0, 0], &[0, 0, 0, 0, 0, 0]];
    for (nth, versions) in short.into_iter().enumerate() {
        simulation.deliver(0, from, &alive_with_versions(versions));
        assert_eq!(simulation.counters().decode_errors - before, nth as u64 + 1, "{versions:?}");
    }
    assert_eq!(simulation.view(0).count(), known);
    simulation.deliver(0, from, &alive_with_versions(&Versions::PLAIN.0));
    assert_eq!(simulation.view(0).count(), known + 1);
}

/// In a push/pull as well; and unlike upstream, where one bad record fails everyone's join, the other
/// records are kept.
#[test]
fn a_bad_record_does_not_stop_the_others() {
    let mut simulation = pool(4, 3, &plain());
    let at = |text: &str| text.parse().expect("an address");
    let mut bad = record("bad", 5, at("10.0.9.1:7946"), State::Alive);
    bad.versions = Versions([0; 6]);
    let records = [
        bad,
        record("good", 5, at("10.0.9.2:7946"), State::Alive),
        record("nowhere", 5, at("0.0.0.0:7946"), State::Alive),
        record("portless", 5, at("10.0.9.3:0"), State::Alive),
        record("better", 5, at("10.0.9.4:7946"), State::Alive),
    ];
    let before = simulation.counters().decode_errors;
    push(&mut simulation, 0, &records);
    let strangers: Vec<&str> =
        simulation.view(0).map(|known| known.name).filter(|name| !name.starts_with("member")).collect();
    assert_eq!(strangers, ["good", "better"]);
    assert_eq!(simulation.counters().decode_errors - before, 3);
}

/// Upstream keeps whoever was first heard of at incarnation 0 as dead, for good.
#[test]
fn nobody_is_first_heard_of_at_incarnation_zero() {
    let mut simulation = pool(5, 3, &plain());
    let address = "10.0.9.9:7946".parse().expect("an address");
    let known = simulation.view(0).count();
    forge(&mut simulation, 1, 0, &[Message::Alive(alive("stranger", 0, address))]);
    assert_eq!(simulation.view(0).count(), known);
    forge(&mut simulation, 1, 0, &[Message::Alive(alive("stranger", 1, address))]);
    assert!(simulation.view(0).any(|known| known.name == "stranger" && known.state == State::Alive));
}

/// hashicorp/memberlist#157, hashicorp/consul#3902: whoever failed and comes back with a new address is
/// refused for ever, unless DeadNodeReclaimTime is set, which it is not. Here it is.
#[test]
fn the_dead_come_back_at_another_address_after_a_while() {
    let settings = Settings { gossip_to_the_dead: seconds(300), ..plain() };
    let mut simulation = pool(6, 5, &settings);
    let elsewhere = "10.9.0.4:7946".parse().expect("an address");
    let subject = name(4);
    simulation.crash(4);
    let failed = simulation.now();
    while state(&simulation, 0, 4) != Some(State::Dead) {
        assert!(simulation.now().since(failed) < seconds(120), "never declared dead");
        run(&mut simulation, seconds(1));
    }
    forge(&mut simulation, 1, 0, &[Message::Alive(alive(&subject, 2_000, elsewhere))]);
    assert_eq!(state(&simulation, 0, 4), Some(State::Dead));
    assert_eq!(simulation.counters().address_conflicts, 1);
    run(&mut simulation, MemberlistOptions::default().dead_node_reclaim_time);
    forge(&mut simulation, 1, 0, &[Message::Alive(alive(&subject, 2_000, elsewhere))]);
    assert_eq!(state(&simulation, 0, 4), Some(State::Alive));
    let known = simulation.view(0).find(|known| known.name == subject).expect("known");
    assert_eq!(known.address, elsewhere);
}

/// The same, as it happens: a host that is given another address when it starts again.
#[test]
fn a_host_with_a_new_address_is_a_member_again() {
    for incarnation_step in [100, 0, -500] {
        let mut simulation = pool(7, 6, &Settings::default());
        simulation.crash(4);
        run(&mut simulation, seconds(2));
        simulation.restart(4, Restart { incarnation_step, moved: true });
        converges(&mut simulation);
    }
}

/// The same, soon: it says goodbye for its last life, as nobody has declared that one dead, and is taken in at its new
/// address before anybody does. Whether its last host refuses connections or is gone.
#[test]
fn a_host_with_a_new_address_is_a_member_again_soon() {
    for (incarnation_step, gone) in [(100, false), (-500, false), (100, true)] {
        let mut simulation = pool(7, 6, &Settings::default());
        if gone {
            simulation.crash_host(4);
        } else {
            simulation.crash(4);
        }
        run(&mut simulation, seconds(1));
        simulation.restart(4, Restart { incarnation_step, moved: true });
        run(&mut simulation, seconds(4));
        let at = simulation.address(4);
        for node in 0..6 {
            let known = simulation.view(node).find(|known| known.name == name(4)).expect("known");
            assert_eq!(
                (known.state, known.address),
                (State::Alive, at),
                "at {node}, {incarnation_step}, {gone}"
            );
        }
        assert_eq!(simulation.counters().past_lives_left, 1);
        converges(&mut simulation);
    }
}

/// hashicorp/memberlist#157: whoever left may come back elsewhere at once, even counting from the beginning.
#[test]
fn who_left_comes_back_elsewhere_at_a_lower_incarnation() {
    let mut simulation = pool(8, 6, &plain());
    simulation.leave(4);
    run(&mut simulation, seconds(5));
    assert!((0..4).all(|node| state(&simulation, node, 4) == Some(State::Left)));
    simulation.restart(4, Restart { incarnation_step: -900, moved: true });
    run(&mut simulation, seconds(5));
    let at = simulation.address(4);
    for node in 0..6 {
        let known = simulation.view(node).find(|known| known.name == name(4)).expect("known");
        assert_eq!((known.state, known.address), (State::Alive, at), "at {node}");
    }
    assert_eq!(simulation.counters().address_conflicts, 0);
}

/// Another address of a live member is a conflict of names: refused, counted, and the first one kept, as
/// upstream does, or views would part.
#[test]
fn a_live_member_keeps_its_address() {
    let mut simulation = pool(9, 5, &plain());
    let (subject, elsewhere) = (name(4), "10.9.0.4:7946".parse().expect("an address"));
    for node in 0..4 {
        forge(&mut simulation, 1, node, &[Message::Alive(alive(&subject, 5_000, elsewhere))]);
        push(&mut simulation, node, &[record(&subject, 5_000, elsewhere, State::Alive)]);
    }
    assert_eq!(simulation.counters().address_conflicts, 8);
    let at = simulation.address(4);
    assert!((0..5).all(|node| simulation.view(node).any(|known| known.address == at)));
    // Who is claimed to be elsewhere is told.
    forge(&mut simulation, 1, 4, &[Message::Alive(alive(&subject, 5_000, elsewhere))]);
    assert_eq!(simulation.log().count(What::NameConflict), 1);
    converges(&mut simulation);
}

/// apple/swift-cluster-membership#6, and memberlist's defaults: nacks leave so late that all of them miss
/// the prober's deadline, and a healthy prober takes itself for ill whenever someone has died.
#[test]
fn nacks_come_in_time() {
    let mut simulation = pool(10, 8, &plain());
    simulation.crash(7);
    let probers = 0..7;
    for _ in 0..600 {
        run(&mut simulation, millis(100));
        let healths: Vec<u8> =
            probers.clone().map(|node| simulation.member(node).expect("up").local_health()).collect();
        assert_eq!(healths, [0; 7]);
    }
    assert!(simulation.counters().nacks_sent > 0, "{:?}", simulation.counters());
    assert!(probers.clone().all(|node| state(&simulation, node, 7).is_none_or(|state| state == State::Dead)));
}

/// A relay pings where it was asked to, whether it knows the target, does not, or knows it elsewhere: else
/// an address that is no longer anyone's would be taken for alive by others' acks.
#[test]
fn a_relay_pings_the_address_that_it_is_given() {
    let mut simulation = pool(11, 4, &plain());
    simulation.tap();
    let nowhere = "10.0.0.77:7946".parse().expect("an address");
    let source = Some(Source { address: simulation.address(1), name: "member-0001" });
    let targets =
        [("stranger", simulation.address(2)), ("", simulation.address(2)), ("member-0003", nowhere)];
    for (sequence, (node, target)) in (500..).zip(targets) {
        let request = Message::IndirectPing { sequence, target, node, nack: true, source };
        forge(&mut simulation, 1, 0, &[request]);
    }
    run(&mut simulation, seconds(1));
    let mut answers = Vec::new();
    sent(&simulation, 0, |tapped, message| match *message {
        Message::Ack { sequence: sequence @ 500.., .. } if sequence < 510 => {
            answers.push((sequence, true, tapped.to));
        }
        Message::Nack { sequence } => answers.push((sequence, false, tapped.to)),
        _ => {}
    });
    answers.sort_unstable();
    // Member 2 is nobody called "stranger"; it answers where no name is asked for; nobody is nowhere.
    assert_eq!(answers, [(500, false, Some(1)), (501, true, Some(1)), (502, false, Some(1))]);
    assert_eq!(simulation.counters().pings_misdirected, 1);
}

/// hashicorp/memberlist#140: after leaving, an instance cannot join again.
#[test]
fn who_left_can_join_again() {
    let mut simulation = pool(12, 6, &Settings::default());
    for _ in 0..3 {
        simulation.leave(4);
        run(&mut simulation, seconds(10));
        assert!(simulation.member(4).expect("kept").has_left());
        simulation.rejoin(4);
        converges(&mut simulation);
    }
}

/// hashicorp/memberlist#222: two halves that have forgotten each other never meet again.
#[test]
fn a_partition_that_outlasts_reaping_heals_by_itself() {
    let mut simulation = pool(13, 12, &Settings::default());
    let half: Vec<usize> = (0..6).collect();
    simulation.partition(&half, Direction::Both, seconds(300), seconds(0));
    run(&mut simulation, seconds(300));
    assert!((0..12).all(|node| simulation.view(node).count() == 6), "each half has reaped the other");
    converges(&mut simulation);
}

/// hashicorp/memberlist#311, #345: after a mass restart members stay at low incarnations that nobody
/// believes.
#[test]
fn a_mass_restart_recovers() {
    for incarnation_step in [1, -500] {
        let mut simulation = pool(14, 20, &Settings::default());
        (2..20).for_each(|node| simulation.crash(node));
        run(&mut simulation, seconds(40));
        (2..20).for_each(|node| simulation.restart(node, Restart { incarnation_step, moved: false }));
        converges(&mut simulation);
    }
}

/// hashicorp/memberlist#299: while members come and go, user events get through as fast as ever.
#[test]
fn churn_does_not_starve_user_events() {
    let members = 60;
    let mut simulation = pool(15, members, &plain());
    let mut told = Vec::new();
    for round in 0..20usize {
        // Far more news than packets can carry.
        for node in 0..members {
            simulation.update_metadata(node, &[round as u8; 200]).expect("room");
        }
        told.push(simulation.send_event(round, "event", &[7; 100]).expect("room"));
        run(&mut simulation, millis(200));
    }
    let waiting = simulation.member(0).expect("up").queued();
    assert!(waiting > 50, "the queues are long: {waiting}");
    run(&mut simulation, seconds(4));
    for sequence in told {
        assert_eq!(simulation.log().count(What::UserEvent(sequence)), members - 1);
    }
}

/// cortexproject/cortex#4327, hashicorp/memberlist#348, #191: what fits no packet is queued all the same and
/// never leaves. Here it is refused when it is queued, and everything that is sent fits.
#[test]
fn oversize_is_refused_when_queued() {
    let mut simulation = pool(16, 4, &plain());
    let refused = simulation.send_event(0, "e", &[0; EVENT_MAX]).expect_err("too large");
    assert_eq!(refused, MemberError::EventTooLarge(EVENT_MAX + 1));
    assert_eq!(simulation.update_metadata(0, &[0; 513]), Err(MemberError::MetadataTooLarge(513)));
    let sequence = simulation.send_event(0, "e", &[0; EVENT_MAX - 1]).expect("just fits");
    simulation.update_metadata(0, &[0; 512]).expect("just fits");
    run(&mut simulation, seconds(10));
    assert_eq!(simulation.log().count(What::UserEvent(sequence)), 3);
    assert!((0..4).all(|node| simulation.view(node).any(|known| known.metadata.len() == 512)));
    assert_eq!(simulation.member(0).expect("up").queued(), 0);
}

/// hashicorp/memberlist#312: a full sync revives the dead, out of the view of someone who has not heard.
#[test]
fn a_sync_does_not_revive_the_dead() {
    let mut simulation = pool(17, 5, &plain());
    simulation.crash(4);
    run(&mut simulation, seconds(25));
    let (subject, at) = (name(4), simulation.address(4));
    // In the view as dead, and afterwards only remembered.
    for part_of_the_view in [true, false] {
        assert_eq!(state(&simulation, 0, 4), part_of_the_view.then_some(State::Dead));
        for incarnation in [1, 999, 1_000] {
            push(&mut simulation, 0, &[record(&subject, incarnation, at, State::Alive)]);
            push(&mut simulation, 0, &[record(&subject, incarnation, at, State::Suspect)]);
            forge(&mut simulation, 1, 0, &[Message::Alive(alive(&subject, incarnation, at))]);
            assert_eq!(state(&simulation, 0, 4), part_of_the_view.then_some(State::Dead));
        }
        run(&mut simulation, seconds(60));
    }
    // Whoever is alive after all says so above that.
    push(&mut simulation, 0, &[record(&subject, 1_001, at, State::Alive)]);
    assert_eq!(state(&simulation, 0, 4), Some(State::Alive));
}

/// A view that holds someone dead is only a reason to look; as upstream.
#[test]
fn a_dead_record_only_raises_suspicion() {
    let mut simulation = pool(18, 6, &plain());
    let (subject, at) = (name(4), simulation.address(4));
    push(&mut simulation, 0, &[record(&subject, 1_000, at, State::Dead)]);
    assert_eq!(state(&simulation, 0, 4), Some(State::Suspect));
    converges(&mut simulation);
    assert_eq!(simulation.log().count(What::Failed), 0);
}

/// What many views say of a suspect is nobody's observation; upstream takes it for the reader's own, and so
/// for a confirmation.
#[test]
fn a_record_is_no_confirmation() {
    let mut simulation = pool(19, 10, &plain());
    let (subject, at, accuser) = (name(4), simulation.address(4), name(1));
    simulation.partition(&[0], Direction::Both, seconds(1_000), seconds(0));
    let suspect = Message::Suspect { incarnation: 1_000, node: &subject, from: &accuser };
    forge(&mut simulation, 1, 0, &[suspect]);
    let before = simulation.counters().suspicions_confirmed;
    for state in [State::Suspect, State::Dead, State::Suspect, State::Dead] {
        push(&mut simulation, 0, &[record(&subject, 1_000, at, state)]);
    }
    forge(&mut simulation, 1, 0, &[suspect, suspect]);
    assert_eq!(simulation.counters().suspicions_confirmed, before, "nor is the same accuser again");
    let other = name(2);
    forge(&mut simulation, 2, 0, &[Message::Suspect { incarnation: 1_000, node: &subject, from: &other }]);
    assert_eq!(simulation.counters().suspicions_confirmed, before + 1);
}

/// Whoever leaves while it is suspected has left: the suspicion comes to nothing.
#[test]
fn who_leaves_while_suspected_has_left() {
    let mut simulation = pool(20, 6, &plain());
    let (subject, accuser) = (name(4), name(1));
    simulation.crash(4);
    for node in [0, 1, 2, 3, 5] {
        let suspect = Message::Suspect { incarnation: 1_000, node: &subject, from: &accuser };
        let left = Message::Dead { incarnation: 1_000, node: &subject, from: &subject };
        forge(&mut simulation, 1, node, &[suspect]);
        assert_eq!(state(&simulation, node, 4), Some(State::Suspect));
        forge(&mut simulation, 4, node, &[left]);
        assert_eq!(state(&simulation, node, 4), Some(State::Left));
    }
    run(&mut simulation, seconds(20));
    assert_eq!(count(&simulation, What::Failed, |node| node == 4), 0);
}

/// News about a member replaces what is still queued about it; upstream's own refutation is queued under
/// another name and travels beside what it refutes.
#[test]
fn news_replaces_older_news_of_the_same_member() {
    let mut simulation = pool(21, 6, &plain());
    simulation.tap();
    for round in 0..10u8 {
        simulation.update_metadata(0, &[round; 50]).expect("room");
    }
    let (subject, accuser) = (name(0), name(1));
    forge(&mut simulation, 1, 0, &[Message::Suspect { incarnation: 1_010, node: &subject, from: &accuser }]);
    assert_eq!(simulation.member(0).expect("up").queued(), 1);
    run(&mut simulation, seconds(3));
    let told = |message: &Message<'_>| matches!(message, Message::Alive(alive) if alive.incarnation < 1_011);
    assert_eq!(count_sent(&simulation, 0, told), 0, "only the last is told");
    assert!((0..6).all(|node| current(&simulation, node, 0) == 1_011));
}

/// hashicorp/memberlist#149, #175: a probe timeout above the interval leaves no time for the others, and is
/// accepted.
#[test]
fn a_probe_timeout_beyond_the_interval_is_refused() {
    let settings = Settings { probe_timeout: seconds(2), probe_interval: seconds(1), ..Settings::default() };
    let refused = settings.validate().expect_err("no time is left").to_string();
    assert!(refused.contains("probe_timeout"), "{refused}");
}

/// hashicorp/memberlist#348: packets may come out longer than UDPBufferSize. Here not even those whose
/// messages have grown since they were chosen, as when an accuser's name is learnt later.
#[test]
fn no_packet_exceeds_its_limit() {
    for longer in 0..=68 {
        let mut simulation = pool(22, 16, &plain());
        let accuser = "x".repeat(60 + longer);
        for subject in 1..16 {
            let suspect = Message::Suspect { incarnation: 1_000, node: &name(subject), from: &accuser };
            forge(&mut simulation, 1, 0, &[suspect]);
        }
        let address = "10.0.9.9:7946".parse().expect("an address");
        forge(&mut simulation, 1, 0, &[Message::Alive(alive(&accuser, 5, address))]);
        // Every packet that is sent is looked at.
        run(&mut simulation, seconds(2));
    }
}

/// hashicorp/memberlist#291: a join through seeds that do not answer takes minutes, and nothing ends it.
#[test]
#[allow(clippy::disallowed_methods, reason = "a seed that accepts and is silent")]
fn a_join_can_be_cancelled() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let options = WireOptions::Memberlist(MemberlistOptions::default());
    let member = Cluster::builder("one").bind(([127, 0, 0, 1], 0)).wire(options);
    let member = member.start().expect("a member");
    let join = member.join([silent.local_addr().expect("bound")]);
    let canceller = join.canceller();
    let waiting = std::thread::spawn(move || join.wait());
    let (connection, _) = silent.accept().expect("it dials");
    canceller.cancel();
    assert_eq!(waiting.join().expect("no panic"), Err(JoinError::Cancelled));
    drop(connection);
}

/// memberlist's members that join together miss each other's news until a push/pull, which is minutes apart in
/// a large pool. Ours exchange views soon after joining.
#[test]
fn a_hundred_that_join_at_once_know_each_other_soon() {
    let mut simulation = Simulation::new(SimulationOptions {
        wire: WireOptions::Memberlist(MemberlistOptions::default()),
        shared_commons: true,
        checked: false,
        ..SimulationOptions::new(11, 100)
    });
    simulation.start_cold();
    run(&mut simulation, seconds(40));
    for node in 0..100 {
        assert_eq!(simulation.view(node).count(), 100, "member {node}");
    }
}
