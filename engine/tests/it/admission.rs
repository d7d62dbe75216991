//! Who may come into the view: by network, by what the application says, on both wires and over real sockets.

#![allow(
    clippy::disallowed_methods,
    reason = "the application's side blocks, and strangers have sockets of their own"
)]

use std::future::poll_fn;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use swimring::protocol::{AdmissionRules, Event, MemberlistOptions, Networks, Settings, WireOptions};
use swimring::worker::{EventContext, Fleet, FleetOptions, Host, JoinFailure, Observer};
use swimring::{
    Candidate, Cluster, ClusterBuilder, ClusterEvent, JoinError, NotAdmittedReason, SeedError, State,
    WireKind,
};
use swimring_codec::native::{self, FRAME_MAX, FrameHeader, FrameWriter, Introduction};
use swimring_codec::{Incarnation, MemberId, memberlist};
use swimring_testing::memberlist::packet;

use crate::cluster_support::*;

fn wires() -> [(WireOptions, WireKind); 2] {
    let memberlist = WireOptions::Memberlist(MemberlistOptions::default());
    [(WireOptions::Native, WireKind::Native), (memberlist, WireKind::Memberlist)]
}

/// A member at an address of its own, all of which are this machine's.
fn at(name: &str, ip: [u8; 4], wire: &WireOptions) -> ClusterBuilder {
    member(name).bind((ip, 0)).wire(wire.clone())
}

fn is_not_admitted(event: &ClusterEvent, name: &str, why: NotAdmittedReason) -> bool {
    matches!(event, ClusterEvent::NotAdmitted { candidate, reason, .. } if &*candidate.name == name && *reason == why)
}

fn seed_error(error: &JoinError) -> SeedError {
    let JoinError::NoneAnswered(report) = error else { panic!("{error}") };
    report.failures().next().expect("one seed").1.clone()
}

#[test]
fn members_in_other_networks_are_kept_out_on_both_wires() {
    for (wire, _) in wires() {
        let inside = ["127.7.1.0/24"];
        let one = at("one", [127, 7, 1, 1], &wire).allowed_networks(inside).start().unwrap();
        let mut events = one.subscribe().unwrap();
        let two = at("two", [127, 7, 1, 2], &wire).allowed_networks(inside).start().unwrap();
        two.join([one.address()]).wait().unwrap();
        until(&mut events, "two is inside", |event| is_joined(event, "two"));
        // Whoever is outside is not even heard.
        let outside = at("outside", [127, 7, 2, 1], &wire).start().unwrap();
        let error = outside.join([one.address()]).wait().unwrap_err();
        assert!(matches!(seed_error(&error), SeedError::Failed(JoinFailure::Closed(_))), "{error}");
        // And is not admitted where we go to it.
        let error = one.join([outside.address()]).wait().unwrap_err();
        assert_eq!(seed_error(&error), SeedError::Failed(JoinFailure::NobodyAdmitted), "{error}");
        assert!(error.to_string().contains("allowed_networks"), "{error}");
        // Nor when one who admits it tells of it.
        let careless = at("careless", [127, 7, 1, 3], &wire).start().unwrap();
        careless.join([outside.address()]).wait().unwrap();
        careless.join([one.address()]).wait().unwrap();
        until(&mut events, "careless is inside", |event| is_joined(event, "careless"));
        assert_eq!(names(&one.members().unwrap()), ["careless", "one", "two"], "{wire:?}");
        assert_eq!(careless.member("outside").unwrap().unwrap().state, State::Alive);
    }
}

#[test]
fn who_is_outside_is_told_of_as_such() {
    let one = at("one", [127, 7, 3, 1], &WireOptions::Native).allowed_networks(["127.7.3.1", "::1"]).start();
    let one = one.unwrap();
    let mut events = one.subscribe().unwrap();
    let outside = at("outside", [127, 7, 4, 1], &WireOptions::Native).start().unwrap();
    one.join([outside.address()]).wait().unwrap_err();
    let wanted = |event: &ClusterEvent| is_not_admitted(event, "outside", NotAdmittedReason::Network);
    let (event, _) = until(&mut events, "it is told", wanted);
    let ClusterEvent::NotAdmitted { candidate, .. } = event else { panic!("{event:?}") };
    assert_eq!((candidate.address, candidate.wire), (outside.address(), WireKind::Native));
}

#[test]
fn the_application_admits_and_refuses_on_both_wires() {
    for (wire, kind) in wires() {
        let hook = move |candidate: &Candidate| {
            assert_eq!((candidate.wire, &*candidate.zone), (kind, ""));
            candidate.address.ip().is_loopback() && candidate.metadata == "welcome".as_bytes()
        };
        let start = |name: &str, metadata: &str| {
            member(name).wire(wire.clone()).metadata(metadata).admit(hook).start().unwrap()
        };
        let (one, two) = (start("one", "welcome"), start("two", "welcome"));
        let mut events = one.subscribe().unwrap();
        let mut heard_by_two = two.subscribe().unwrap();
        two.join([one.address()]).wait().unwrap();
        // A join is over when those whom it brought are judged.
        assert_eq!(names(&two.members().unwrap()), ["one", "two"], "{wire:?}");
        until(&mut events, "two is admitted", |event| is_joined(event, "two"));
        let stranger = member("stranger").wire(wire.clone()).start().unwrap();
        stranger.join([one.address()]).wait().unwrap();
        until(&mut events, "a refusal", |event| {
            is_not_admitted(event, "stranger", NotAdmittedReason::Refused)
        });
        // The others live on with each other, and hear nothing of it from one.
        one.send_event("still", "here").unwrap();
        let is_here = |event: &ClusterEvent| matches!(event, ClusterEvent::User(event) if event.payload == "here".as_bytes());
        let (_, before) = until(&mut heard_by_two, "an event", is_here);
        assert!(!before.iter().any(|event| is_joined(event, "stranger")), "{before:?}");
        assert_eq!(names(&one.members().unwrap()), ["one", "two"]);
        // And it does not join through one whom it refuses, and who knows nobody else.
        let alone = start("alone", "welcome");
        let lonely = member("lonely").wire(wire.clone()).start().unwrap();
        let error = alone.join([lonely.address()]).wait().unwrap_err();
        assert_eq!(seed_error(&error), SeedError::Failed(JoinFailure::NobodyAdmitted), "{error}");
    }
}

/// A hook that holds candidates called `slow..` until it is let go, and admits everybody.
fn blocking() -> (Sender<()>, impl Fn(&Candidate) -> bool + Send + Sync) {
    let (let_go, held): (Sender<()>, Receiver<()>) = channel();
    let held = Mutex::new(held);
    let hook = move |candidate: &Candidate| {
        if candidate.name.starts_with("slow") {
            // Until the test lets go, or is over.
            let _ = held.lock().unwrap().recv_timeout(PATIENCE);
        }
        true
    };
    (let_go, hook)
}

#[test]
fn silence_admits_or_refuses_as_it_is_set_on_both_wires() {
    for ((wire, _), admits) in wires().into_iter().flat_map(|wire| [(wire.clone(), false), (wire, true)]) {
        let (let_go, hook) = blocking();
        let one = member("one").wire(wire.clone()).admit(hook).tune(|protocol| {
            protocol.admission_timeout = Duration::from_millis(200);
            protocol.admit_on_timeout = admits;
        });
        let one = one.start().unwrap();
        let mut events = one.subscribe().unwrap();
        let slow = member("slow").wire(wire.clone()).start().unwrap();
        slow.join([one.address()]).wait().unwrap();
        until(&mut events, "silence decides", |event| match admits {
            true => is_joined(event, "slow"),
            false => is_not_admitted(event, "slow", NotAdmittedReason::Unanswered),
        });
        assert_eq!(one.len().unwrap(), if admits { 2 } else { 1 }, "{wire:?}");
        // The word comes after all.
        let_go.send(()).unwrap();
        if !admits {
            eventually("slow is admitted when it is next heard of", || {
                // On memberlist's wire nothing tells of it by itself for some time.
                slow.join([one.address()]).wait().unwrap();
                one.len().unwrap() == 2
            });
        }
    }
}

#[test]
fn a_hook_that_blocks_disturbs_nothing_else() {
    let (let_go, hook) = blocking();
    let one =
        member("one").admit(hook).tune(|protocol| protocol.admission_timeout = PATIENCE).start().unwrap();
    let mut events = one.subscribe().unwrap();
    let [two, three] = ["two", "three"].map(|name| joined(name, &one));
    for name in ["two", "three"] {
        eventually(name, || one.member(name).unwrap().is_some());
    }
    let slow = member("slow").start().unwrap();
    slow.join([one.address()]).wait().unwrap();
    // While the application thinks about it, a failure is found and events arrive, and nobody accuses us.
    let begun = Instant::now();
    three.shutdown();
    until(&mut events, "three has failed", |event| is_failed(event, "three"));
    let mut sent = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        two.send_event("count", sent.to_string()).unwrap();
        let payload = sent.to_string();
        let (_, before) = until(
            &mut events,
            "an event",
            |event| matches!(event, ClusterEvent::User(event) if event.payload == payload.as_bytes()),
        );
        let disturbed =
            |event: &&ClusterEvent| matches!(event, ClusterEvent::Accused) || is_failed(event, "two");
        assert_eq!(before.iter().find(disturbed), None);
        sent += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(one.member("slow").unwrap().is_none() && sent > 1);
    let_go.send(()).unwrap();
    until(&mut events, "slow is admitted", |event| is_joined(event, "slow"));
}

#[test]
fn answers_are_awaited_side_by_side() {
    // Each answer comes once both candidates are asked about.
    let asked = Arc::new(Mutex::new((0, Vec::<Waker>::new())));
    let both = {
        let asked = Arc::clone(&asked);
        move |_candidate: Candidate| {
            asked.lock().unwrap().0 += 1;
            let asked = Arc::clone(&asked);
            poll_fn(move |cx| {
                let mut asked = asked.lock().unwrap();
                if asked.0 < 2 {
                    asked.1.push(cx.waker().clone());
                    return Poll::Pending;
                }
                asked.1.drain(..).for_each(Waker::wake);
                Poll::Ready(true)
            })
        }
    };
    let one = member("one").admit_async(both).tune(|protocol| protocol.admission_timeout = PATIENCE);
    let one = one.start().unwrap();
    let mut events = one.subscribe().unwrap();
    let two = joined("two", &one);
    assert_eq!(one.len().unwrap(), 1, "nothing is said of it");
    let three = start("three");
    three.join([one.address()]).wait().unwrap();
    for name in ["two", "three"] {
        eventually(name, || one.member(name).unwrap().is_some());
    }
    until(&mut events, "a member", |event| is_joined(event, "two") || is_joined(event, "three"));
    drop(two);
}

#[test]
fn a_hook_that_panics_has_said_nothing() {
    let hook = |candidate: &Candidate| {
        assert!(&*candidate.name != "bad", "a fault of the application");
        true
    };
    let one =
        member("one").admit(hook).tune(|protocol| protocol.admission_timeout = Duration::from_millis(100));
    let one = one.start().unwrap();
    let mut events = one.subscribe().unwrap();
    let bad = start("bad");
    bad.join([one.address()]).wait().unwrap();
    until(&mut events, "silence", |event| is_not_admitted(event, "bad", NotAdmittedReason::Unanswered));
    let _good = joined("good", &one);
    until(&mut events, "the next is asked about", |event| is_joined(event, "good"));
}

#[test]
fn it_ends_while_the_application_thinks() {
    let (let_go, hook) = blocking();
    let one = member("one").admit(hook).start().unwrap();
    let slow = member("slow").start().unwrap();
    slow.join([one.address()]).wait().unwrap();
    one.shutdown();
    assert!(let_go.send(()).is_ok(), "the application still thinks");
}

#[test]
fn networks_that_are_none_are_named() {
    let start =
        |network: &str| Cluster::builder("one").bind("127.0.0.1:0").allowed_networks([network]).start();
    let error = start("10.0.0.0/40").unwrap_err().to_string();
    assert_eq!(
        error,
        "allowed_networks has an entry that is no network like 10.0.0.0/8 or fd00::/8: `10.0.0.0/40`"
    );
}

/// Admits who it is told to, and is silent about all others.
#[derive(Default)]
struct Silent {
    asked: Vec<MemberId>,
    failed: usize,
}

impl Observer for Silent {
    fn event(&mut self, _: &EventContext<'_>, event: &Event) {
        match *event {
            Event::CandidateAsked { subject } => self.asked.push(subject),
            Event::Failed { .. } | Event::Accused => self.failed += 1,
            _ => {}
        }
    }
}

const STRANGERS: u32 = 100_000;

/// Members that there are not, as many as one datagram of either wire takes.
fn strangers(wire: &WireOptions, cluster: u32, numbers: std::ops::Range<u32>) -> Vec<u8> {
    let names: Vec<String> = numbers.map(|number| format!("stranger-{number}")).collect();
    let address = SocketAddr::from(([10, 0, 0, 1], 7946));
    if !wire.is_native() {
        let alive = |node| {
            memberlist::Message::Alive(memberlist::Alive {
                incarnation: 1,
                node,
                address,
                metadata: b"",
                versions: memberlist::Versions::PLAIN,
            })
        };
        return packet(&names.iter().map(|name| alive(name)).collect::<Vec<_>>());
    }
    let header = FrameHeader {
        cluster,
        source: MemberId::of_name("nobody"),
        destination: MemberId::of_name("one"),
        root: 0,
        quiet: false,
    };
    let mut bytes = vec![0; FRAME_MAX];
    let mut writer = FrameWriter::new(header, &mut bytes).unwrap();
    for name in &names {
        let introduction = Introduction {
            subject: MemberId::of_name(name),
            incarnation: Incarnation::new(1),
            state: State::Alive,
            address,
            name,
            metadata: b"",
            zone: "",
        };
        assert!(writer.push(&native::Message::Introduction(introduction)));
    }
    let length = writer.finish();
    bytes.truncate(length);
    bytes
}

fn fleet(wire: &WireOptions, name: &str, asks: bool) -> Fleet<Silent> {
    let settings = Settings {
        probe_interval: Duration::from_millis(500),
        probe_timeout: Duration::from_millis(250),
        // All of the flood comes meanwhile.
        admission_timeout: Duration::from_secs(600),
        ..Settings::default()
    };
    let options = FleetOptions {
        settings: Arc::new(settings),
        wire: wire.clone(),
        admission: AdmissionRules { networks: Networks::default(), asks },
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(&options, |_| Silent::default()).unwrap();
    let name = name.to_owned();
    fleet.ask(0, move |host, _| host.add(&name, b"", Incarnation::new(1)).map(drop)).unwrap().unwrap();
    fleet
}

fn look<R: Send + 'static>(
    fleet: &Fleet<Silent>,
    look: impl FnOnce(&mut Host<Silent>) -> R + Send + 'static,
) -> R {
    fleet.ask(0, move |host, _| look(host)).unwrap()
}

#[test]
fn a_flood_of_strangers_stays_in_its_bounds_and_disturbs_nobody() {
    for (wire, _) in wires() {
        let (one, friend) = (fleet(&wire, "one", true), fleet(&wire, "friend", false));
        let seed = one.address(0);
        friend
            .ask(0, move |host, trains| {
                host.command(0, trains, |member, now, state, out| {
                    member.join(now, seed, MemberId::NONE, 1, state, out);
                })
            })
            .unwrap();
        let id = MemberId::of_name("friend");
        eventually("the friend is asked about", || look(&one, move |host| host.observer.asked.contains(&id)));
        one.ask(0, move |host, trains| {
            let known = host.member(0).unwrap().candidate(id).unwrap().identity;
            host.command(0, trains, |member, now, state, out| {
                member.judge_candidate(now, (id, known), true, state, out);
            })
        })
        .unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let counted = || {
            look(&one, |host| {
                let counters = host.shared().counters;
                counters.candidates_asked + counters.candidates_shed
            })
        };
        let each = 15;
        for (round, first) in (0..STRANGERS).step_by(each as usize).enumerate() {
            let bytes = strangers(&wire, 0, first..(first + each).min(STRANGERS));
            socket.send_to(&bytes, seed).unwrap();
            if round % 64 == 0 {
                // What lies unread is not to be more than the receive buffer holds.
                let sent = u64::from(first + each).min(u64::from(STRANGERS));
                eventually("the flood is read", || counted() >= sent);
            }
        }
        eventually("the flood is read", || counted() > u64::from(STRANGERS));
        let (counters, live, directory, asked) = look(&one, |host| {
            let (live, directory) = (host.member(0).unwrap().live(), host.shared().directory().len());
            (host.shared().counters, live, directory, host.observer.asked.len())
        });
        // The friend was asked about as well.
        assert_eq!(counters.candidates_asked, 4_096 + 1, "{wire:?}");
        assert_eq!(counters.candidates_shed, u64::from(STRANGERS) - 4_096);
        assert_eq!((live, directory, asked), (2, 2, 4_097));
        assert_eq!(counters.members_failed, 0);
        let acked = look(&one, |host| host.shared().counters.probes_acked);
        eventually("probes go on", || look(&one, |host| host.shared().counters.probes_acked) > acked + 1);
        assert_eq!(look(&one, |host| host.observer.failed) + look(&friend, |host| host.observer.failed), 0);
        assert_eq!(look(&friend, |host| host.member(0).unwrap().live()), 2);
    }
}
