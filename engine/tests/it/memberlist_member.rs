//! One member that speaks memberlist's format, on a clock of the test's own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use swimring::protocol::{
    Event, FrameSink, Member, MemberConfig, Outbox, Settings, SharedState, StreamOpen, Time,
};
use swimring::{Incarnation, MemberlistOptions, WireOptions};
use swimring_codec::memberlist::{Alive, Message, Source, Versions};

/// Keeps what was sent, and where to.
#[derive(Default)]
struct Sent(Vec<Vec<u8>>, Vec<SocketAddr>);

impl FrameSink for Sent {
    fn reserve(&mut self, to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        self.1.push(to);
        self.0.push(vec![0; len]);
        self.0.last_mut().map(Vec::as_mut_slice)
    }
}

/// A member, and what it put out.
struct Driven {
    member: Member,
    commons: SharedState,
    sent: Sent,
    streams: Vec<StreamOpen>,
    events: Vec<Event>,
}

impl Driven {
    fn new(settings: Settings) -> Driven {
        Driven::at(SocketAddr::from(([127, 0, 0, 1], 1)), settings)
    }

    fn at(address: SocketAddr, settings: Settings) -> Driven {
        let wire =
            WireOptions::Memberlist(MemberlistOptions { packet_crc: false, ..MemberlistOptions::serf() });
        let mut commons = SharedState::speaking(&wire.check().unwrap(), 1, [1; 32]);
        let config = MemberConfig {
            name: "one".to_owned(),
            address,
            metadata: Vec::new(),
            zone: String::new(),
            cluster: 0,
            incarnation: Incarnation::new(5),
            seed: 1,
            settings: Arc::new(settings),
        };
        let member = Member::new(config, &mut commons, Time::ZERO).unwrap();
        Driven { member, commons, sent: Sent::default(), streams: Vec::new(), events: Vec::new() }
    }

    fn call(
        &mut self,
        gossip_budget: u32,
        call: impl FnOnce(&mut Member, &mut SharedState, &mut Outbox<'_>),
    ) {
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

/// Members of memberlist keep to the one that had a name first. One that comes second is heard by nobody, and
/// has to notice it itself, whatever the incarnations.
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

fn hear(one: &mut Driven, from: SocketAddr, message: Message<'_>) {
    one.call(9, |member, commons, out| {
        member.handle_packet(Time::ZERO, from, [Ok(message)].into_iter(), commons, out);
    });
}

fn mapped(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(127, 0, 0, last).to_ipv6_mapped(), port))
}

/// al8n/memberlist#170: a member at an IPv4-mapped address took what others said of it for another's.
#[test]
fn an_ipv4_mapped_address_is_the_ipv4_address() {
    let mut one = Driven::at(mapped(1, 1), Settings::default());
    let plain = SocketAddr::from(([127, 0, 0, 1], 1));
    let echo = |address, incarnation| {
        Message::Alive(Alive { incarnation, node: "one", address, metadata: b"", versions: Versions::SERF })
    };
    for address in [plain, mapped(1, 1)] {
        // Our own past, and what we say now.
        for incarnation in [1, 5] {
            hear(&mut one, plain, echo(address, incarnation));
        }
    }
    assert_eq!((one.commons.counters.refutations, one.commons.counters.name_conflicts), (0, 0));
    assert_eq!(one.events, []);
    let at = one.member.members(&one.commons).map(|known| known.address).collect::<Vec<_>>();
    assert_eq!(at, [plain]);
}

/// To memberlist's peers the two forms of an IPv4 address are different addresses: whoever is known in one is
/// not told of in the other, or they would refuse it.
#[test]
fn a_known_address_keeps_its_form_on_memberlist_s_wire() {
    let forms =
        [(mapped(2, 2), &b"\xa4Addr\xb0"[..]), (SocketAddr::from(([127, 0, 0, 2], 2)), b"\xa4Addr\xa4")];
    for (known, other) in [(forms[0], forms[1]), (forms[1], forms[0])] {
        let mut one = Driven::new(Settings::default());
        let alive = |incarnation, address, metadata| {
            Message::Alive(Alive { incarnation, node: "two", address, metadata, versions: Versions::SERF })
        };
        hear(&mut one, known.0, alive(1, known.0, b"old"));
        hear(&mut one, other.0, alive(2, other.0, b"new"));
        assert_eq!(one.commons.counters.address_conflicts, 0);
        one.sent.0.clear();
        let mut now = Time::ZERO;
        while one.sent.0.is_empty() {
            now = now.max(one.member.next_timeout());
            one.call(9, |member, commons, out| member.handle_timeout(now, commons, out));
        }
        assert!(one.said(b"new") && one.said(known.1), "{:?}", one.sent.0);
    }
}

/// One forged packet must not have a member send to many, or to nobody.
#[test]
fn nothing_goes_to_addresses_of_many() {
    let real = SocketAddr::from(([127, 0, 0, 9], 9));
    for unusable in ["239.1.2.3:7", "255.255.255.255:7", "[ff02::1]:7", "[::ffff:224.0.0.1]:7", "0.0.0.0:7"] {
        let unusable: SocketAddr = unusable.parse().unwrap();
        let mut one = Driven::new(Settings::default());
        let source = Some(Source { address: unusable, name: "" });
        hear(&mut one, real, Message::Ping { sequence: 1, node: "one", source });
        assert_eq!(one.sent.1, [real], "the answer goes to whoever asked");
        let ask =
            Message::IndirectPing { sequence: 2, target: unusable, node: "nobody", nack: true, source: None };
        hear(&mut one, real, ask);
        let news = Alive {
            incarnation: 1,
            node: "many",
            address: unusable,
            metadata: b"",
            versions: Versions::SERF,
        };
        hear(&mut one, real, Message::Alive(news));
        let mut now = Time::ZERO;
        for _ in 0..20 {
            now = now.max(one.member.next_timeout());
            one.call(9, |member, commons, out| member.handle_timeout(now, commons, out));
        }
        assert!(!one.sent.1.contains(&unusable), "{unusable}");
        assert_eq!(one.member.members(&one.commons).count(), 1);
    }
}
