//! The steady state of members that speak memberlist's format allocates nothing: packets of all kinds, plain,
//! encrypted, compressed and Serf's, handled and sent, and push/pulls of whole views.
//!
//! `allocation_counter` replaces the global allocator of this test binary by one that counts, per thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring::protocol::{
    Counters, Event, FrameSink, Member, MemberConfig, MemberlistOptions, Outbox, Settings, SharedState,
    StreamOpen, StreamPurpose, Time, View, WireOptions,
};
use swimring_codec::Incarnation;
use swimring_codec::memberlist::{Codec, Message};

const MEMBERS: usize = 12;

const NAMES: [&str; MEMBERS] = [
    "member-0",
    "member-1",
    "member-2",
    "member-3",
    "member-4",
    "member-5",
    "member-6",
    "member-7",
    "member-8",
    "member-9",
    "member-10",
    "member-11",
];

/// Most packets under way, and the longest of them.
const PACKETS: usize = 4_096;
const PACKET: usize = 1_400;

/// A network without delay: what was sent and has not been received, in memory that is there.
struct Network {
    bytes: Box<[[u8; PACKET]]>,
    /// From whom, to whom, and how long.
    sent: Vec<(usize, SocketAddr, usize)>,
    from: usize,
}

impl FrameSink for Network {
    fn reserve(&mut self, to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        let at = self.sent.len();
        assert!(at < PACKETS, "the network is full");
        self.sent.push((self.from, to, len));
        Some(&mut self.bytes[at][..len])
    }
}

struct Pool {
    members: Vec<Member>,
    commons: SharedState,
    codec: Codec,
    network: [Network; 2],
    streams: Vec<(usize, StreamOpen)>,
    opened: Vec<StreamOpen>,
    events: Vec<Event>,
    /// What a stream carries each way.
    turns: [Vec<u8>; 2],
    now: Time,
}

fn address(member: usize) -> SocketAddr {
    ([10, 0, 0, member as u8], 7946).into()
}

fn network() -> Network {
    Network {
        bytes: vec![[0; PACKET]; PACKETS].into_boxed_slice(),
        sent: Vec::with_capacity(PACKETS),
        from: 0,
    }
}

impl Pool {
    fn new(options: &MemberlistOptions) -> Pool {
        // Push/pulls often enough that many are looked at.
        let settings =
            Arc::new(Settings { push_pull_interval: Duration::from_secs(5), ..Settings::default() });
        let wire = WireOptions::Memberlist(options.clone());
        let mut commons = SharedState::speaking(&wire.check().unwrap(), 1, [1; 32]);
        commons.reserve(MEMBERS, MEMBERS, 1_024);
        let mut members: Vec<Member> = (0..MEMBERS)
            .map(|number| {
                let config = MemberConfig {
                    name: NAMES[number].to_owned(),
                    address: address(number),
                    metadata: vec![7; 40],
                    zone: String::new(),
                    cluster: 0,
                    // Of a width that it keeps.
                    incarnation: Incarnation::new(100_000),
                    seed: number as u64,
                    settings: Arc::clone(&settings),
                };
                Member::new(config, &mut commons, Time::ZERO).unwrap()
            })
            .collect();
        let view = View::of(&members, &mut commons);
        members.iter_mut().for_each(|member| member.load(&view, &mut commons));
        view.release(&mut commons);
        Pool {
            members,
            commons,
            codec: Codec::new(&options.codec(), [2; 32]).unwrap(),
            network: [network(), network()],
            streams: Vec::with_capacity(1_024),
            opened: Vec::with_capacity(1_024),
            events: Vec::with_capacity(65_536),
            turns: [Vec::with_capacity(64 << 10), Vec::with_capacity(64 << 10)],
            now: Time::ZERO,
        }
    }

    fn call<R>(
        &mut self,
        member: usize,
        call: impl FnOnce(&mut Member, Time, &mut SharedState, &mut Outbox<'_>) -> R,
    ) -> R {
        self.network[0].from = member;
        let mut out = Outbox {
            frames: &mut self.network[0],
            streams: &mut self.opened,
            events: &mut self.events,
            gossip_budget: &mut u32::MAX.clone(),
        };
        let result = call(&mut self.members[member], self.now, &mut self.commons, &mut out);
        self.streams.extend(self.opened.drain(..).map(|open| (member, open)));
        self.events.clear();
        result
    }

    /// Delivers all that is under way, and what is sent in answer, until nothing is.
    fn deliver(&mut self) {
        while !self.network[0].sent.is_empty() {
            self.network.swap(0, 1);
            for at in 0..self.network[1].sent.len() {
                let (from, to, len) = self.network[1].sent[at];
                let Some(to) = (0..MEMBERS).find(|member| address(*member) == to) else { continue };
                let Pool { members, commons, codec, network: [network, arrived], .. } = self;
                network.from = to;
                let mut out = Outbox {
                    frames: network,
                    streams: &mut self.opened,
                    events: &mut self.events,
                    gossip_budget: &mut u32::MAX.clone(),
                };
                let messages = codec.open_packet(&arrived.bytes[at][..len]).unwrap();
                members[to].handle_packet(self.now, address(from), messages, commons, &mut out);
                self.events.clear();
            }
            self.network[1].sent.clear();
        }
    }

    /// Does what every stream that was asked for is for.
    fn exchange(&mut self) {
        while let Some((opener, open)) = self.streams.pop() {
            let Some(acceptor) = (0..MEMBERS).find(|member| address(*member) == open.to) else { continue };
            let [mut first, mut reply] = std::mem::take(&mut self.turns);
            self.call(opener, |member, _, commons, _| {
                member.open_stream(open.purpose, open.destination, commons, &mut first);
            });
            self.read(acceptor, None, &first, &mut reply);
            self.read(opener, Some(open.purpose), &reply, &mut Vec::new());
            first.clear();
            reply.clear();
            self.turns = [first, reply];
        }
    }

    fn read(&mut self, member: usize, purpose: Option<StreamPurpose>, bytes: &[u8], reply: &mut Vec<u8>) {
        let Pool { members, commons, codec, network: [network, _], .. } = self;
        network.from = member;
        let mut out = Outbox {
            frames: network,
            streams: &mut self.opened,
            events: &mut self.events,
            gossip_budget: &mut u32::MAX.clone(),
        };
        let message = codec.open_stream(bytes, purpose.is_none()).unwrap();
        members[member].handle_packet_stream(self.now, purpose, &message, reply, commons, &mut out);
        self.events.clear();
    }

    /// Lets `seconds` pass. Events are sent now and then, and someone is doubted, and refutes.
    fn run(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        let mut tick = 0u64;
        while self.now < until {
            self.now = self.now + Duration::from_millis(20);
            tick += 1;
            for member in 0..MEMBERS {
                if self.members[member].next_timeout() <= self.now {
                    self.call(member, Member::handle_timeout);
                }
            }
            if tick.is_multiple_of(25) {
                let teller = tick as usize % MEMBERS;
                self.call(teller, |member, now, commons, out| {
                    member.send_event(now, "deploy", b"v7 of something", commons, out).unwrap();
                });
            }
            if tick.is_multiple_of(200) {
                self.doubt((tick / 200) as usize % MEMBERS);
            }
            self.deliver();
            self.exchange();
        }
    }

    /// A member's probe is lost on the way: it suspects `subject`, and says so.
    fn doubt(&mut self, subject: usize) {
        let observer = (subject + 1) % MEMBERS;
        let incarnation = self.members[subject].incarnation().get() as u32;
        let (node, from) = (NAMES[subject], NAMES[(subject + 2) % MEMBERS]);
        self.call(observer, |member, now, commons, out| {
            let suspect = Message::Suspect { incarnation, node, from };
            member.handle_packet(now, address(3), std::iter::once(Ok(suspect)), commons, out);
        });
    }
}

fn allocates_nothing(options: &MemberlistOptions) {
    let mut pool = Pool::new(options);
    // Everything that is kept for later has been used once, and Serf's clocks have left one byte.
    pool.run(90);
    let before = pool.commons.counters;
    let count = allocation_counter::measure(|| pool.run(120)).count_total;
    let counted = pool.commons.counters.since(&before);
    let Counters { frames_received, probes_acked, push_pull_records, .. } = counted;
    assert!(frames_received > 10_000 && probes_acked > 1_000, "{counted:?}");
    assert!(push_pull_records > 2_000 && counted.events_delivered > 1_000, "{counted:?}");
    assert!(counted.suspicions_refuted > 10 && counted.refutations > 10, "{counted:?}");
    assert_eq!((counted.members_failed, counted.decode_errors), (0, 0));
    assert_eq!(count, 0, "allocations in two minutes of {counted:?}");
}

#[test]
fn plain_members_allocate_nothing() {
    allocates_nothing(&MemberlistOptions::default());
}

#[test]
fn encrypted_members_allocate_nothing() {
    allocates_nothing(&MemberlistOptions {
        label: "shop".to_owned(),
        secret_keys: vec![vec![3; 32].into(), vec![4; 16].into()],
        ..MemberlistOptions::default()
    });
}

#[test]
fn compressing_members_allocate_nothing() {
    allocates_nothing(&MemberlistOptions { enable_compression: true, ..MemberlistOptions::default() });
}

#[test]
fn compressing_and_encrypting_members_of_serf_allocate_nothing() {
    allocates_nothing(&MemberlistOptions {
        secret_keys: vec![vec![3; 32].into()],
        enable_compression: true,
        ..MemberlistOptions::serf()
    });
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 64]))).count_total, 1);
}
