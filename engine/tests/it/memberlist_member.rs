//! One member that speaks memberlist's format, on a clock of the test's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring::swim::{Commons, Event, FrameSink, Member, MemberConfig, Outbox, Settings, StreamOpen, Time};
use swimring::{Incarnation, MemberlistOptions, WireOptions};
use swimring_codec::memberlist::{Alive, Message, Versions};

/// Keeps what was sent.
#[derive(Default)]
struct Sent(Vec<Vec<u8>>);

impl FrameSink for Sent {
    fn reserve(&mut self, _: SocketAddr, len: usize) -> Option<&mut [u8]> {
        self.0.push(vec![0; len]);
        self.0.last_mut().map(Vec::as_mut_slice)
    }
}

/// A member, and what it put out.
struct Driven {
    member: Member,
    commons: Commons,
    sent: Sent,
    streams: Vec<StreamOpen>,
    events: Vec<Event>,
}

impl Driven {
    fn new(settings: Settings) -> Driven {
        let wire =
            WireOptions::Memberlist(MemberlistOptions { packet_crc: false, ..MemberlistOptions::serf() });
        let mut commons = Commons::speaking(&wire, 1, [1; 32]).unwrap();
        let config = MemberConfig {
            name: "one".to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            metadata: Vec::new(),
            cluster: 0,
            incarnation: Incarnation::new(5),
            seed: 1,
            settings: Arc::new(settings),
        };
        let member = Member::new(config, &mut commons, Time::ZERO).unwrap();
        Driven { member, commons, sent: Sent::default(), streams: Vec::new(), events: Vec::new() }
    }

    fn call(&mut self, gossip_budget: u32, call: impl FnOnce(&mut Member, &mut Commons, &mut Outbox<'_>)) {
        let mut gossip_budget = gossip_budget;
        let Driven { member, commons, sent, streams, events } = self;
        let mut out = Outbox { frames: sent, streams, events, gossip_budget: &mut gossip_budget };
        call(member, commons, &mut out);
    }

    /// Whether `needle` was sent in any packet.
    fn said(&self, needle: &[u8]) -> bool {
        self.sent.0.iter().any(|packet| packet.windows(needle.len()).any(|part| part == needle))
    }
}

/// What has waited too long to be told is dropped, since others may have forgotten it and take it for new.
/// A machine that was stopped while a member was leaving has the intent to leave dropped so; the member
/// must leave all the same, and not stay for ever without ever ending its leave.
#[test]
fn an_intent_to_leave_that_grew_stale_does_not_hold_the_goodbye_up() {
    let settings = Settings { probe_interval: Duration::from_secs(60), ..Settings::default() };
    let stale = Time::ZERO + settings.event_memory;
    let mut one = Driven::new(settings);
    let two = Alive {
        incarnation: 1,
        node: "two",
        address: SocketAddr::from(([127, 0, 0, 2], 2)),
        metadata: b"",
        versions: Versions::SERF,
    };
    let from = two.address;
    one.call(9, |member, commons, out| {
        member.handle_packet(Time::ZERO, from, [Ok(Message::Alive(two))].into_iter(), commons, out);
        member.leave(Time::ZERO, commons, out);
    });
    let mut now = stale;
    while !one.events.contains(&Event::LeaveFinished) {
        assert!(now < stale + Duration::from_secs(60), "the leave does not end");
        one.call(9, |member, commons, out| member.handle_timeout(now, commons, out));
        now = now.max(one.member.next_timeout()) + Duration::from_millis(1);
    }
    let mut goodbye = vec![0; 64];
    let dead = Message::Dead { incarnation: 5, node: "one", from: "one" };
    let length = dead.encode(&mut goodbye).unwrap();
    assert!(one.said(&goodbye[..length]), "nothing was said");
}

/// Members of memberlist keep to whoever had a name first. Someone who comes second is heard by nobody, and has
/// to notice it himself, whatever the incarnations.
#[test]
fn whoever_takes_a_name_that_is_taken_is_told() {
    let mut one = Driven::new(Settings::default());
    let owner = Alive {
        incarnation: 1,
        node: "one",
        address: SocketAddr::from(([127, 0, 0, 3], 3)),
        metadata: b"",
        versions: Versions::SERF,
    };
    let told = |one: &mut Driven, owner: Alive<'_>| {
        one.events.clear();
        one.call(9, |member, commons, out| {
            let packet = [Ok(Message::Alive(owner))].into_iter();
            member.handle_packet(Time::ZERO, owner.address, packet, commons, out);
        });
        one.events.contains(&Event::NameConflict { address: owner.address })
    };
    assert!(told(&mut one, owner));
    let ourselves = Alive { address: SocketAddr::from(([127, 0, 0, 1], 1)), ..owner };
    assert!(!told(&mut one, ourselves), "our own past at our own address is nobody else");
}
