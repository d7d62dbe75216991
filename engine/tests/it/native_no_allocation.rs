//! The steady state of native members allocates nothing, whether they delegate or gossip: user events, members that stop
//! and are suspected, declared dead, found again and refute, with packets lost so that delegations are sent
//! again. Members in zones as well, and members that encrypt.
//!
//! `allocation_counter` replaces the global allocator of this test binary by one that counts, per thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring::protocol::settings::Dissemination;
use swimring::protocol::{
    Compaction, Counters, Crew, EncryptionOptions, Event, FrameSink, Member, MemberConfig, Outbox, Settings,
    SharedState, StreamOpen, Time, View, WireOptions,
};
use swimring_codec::native::{
    FRAME_MAX, Frame, FrameHeader, FrameWriter, Message, Opener, STREAM_PREFIX_LEN, StreamMessage,
    stream_message_len,
};
use swimring_codec::{Incarnation, MemberId};

const MEMBERS: usize = 40;

/// Most frames under way.
const FRAMES: usize = 16_384;

/// Members of one worker, and a network that takes one step and loses some of what it carries.
struct Network {
    bytes: Box<[[u8; FRAME_MAX]]>,
    /// From whom, to whom, and how long.
    sent: Vec<(usize, SocketAddr, usize)>,
    from: usize,
}

impl Network {
    fn new() -> Network {
        let bytes = vec![[0; FRAME_MAX]; FRAMES].into_boxed_slice();
        Network { bytes, sent: Vec::with_capacity(FRAMES), from: 0 }
    }
}

impl FrameSink for Network {
    fn reserve(&mut self, to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        let at = self.sent.len();
        assert!(at < FRAMES, "the network is full");
        self.sent.push((self.from, to, len));
        Some(&mut self.bytes[at][..len])
    }
}

struct Pool {
    members: Vec<Member>,
    /// Members that neither hear nor do anything.
    stopped: [bool; MEMBERS],
    shared: SharedState,
    network: [Network; 2],
    streams: Vec<(usize, StreamOpen)>,
    opened: Vec<StreamOpen>,
    events: Vec<Event>,
    /// What a stream carries each way.
    turns: [Vec<u8>; 2],
    now: Time,
    loss: f64,
    /// What opens their frames, if they are sealed.
    opener: Option<Opener>,
    dice: fastrand::Rng,
    sweep: Compaction,
    /// Events that their sender was told the end of.
    told: u64,
}

fn address(member: usize) -> SocketAddr {
    ([10, 0, 0, member as u8], 7946).into()
}

fn member_at(address: SocketAddr) -> Option<usize> {
    match address {
        SocketAddr::V4(address) => Some(usize::from(address.ip().octets()[3])),
        SocketAddr::V6(_) => None,
    }
}

/// The members as a worker sweeps them.
struct All<'a>(&'a mut [Member]);

impl Crew for All<'_> {
    fn places(&self) -> usize {
        self.0.len()
    }

    fn member_at(&mut self, place: usize) -> Option<&mut Member> {
        self.0.get_mut(place)
    }
}

impl Pool {
    fn new(dissemination: Dissemination, loss: f64, zones: usize, wire: &WireOptions) -> Pool {
        let settings = Arc::new(Settings {
            dissemination,
            // Often enough that many are seen.
            push_pull_interval: Duration::from_secs(5),
            reconnect_interval: Duration::from_secs(3),
            event_memory: Duration::from_secs(15),
            ..Settings::default()
        });
        let wire = wire.check().unwrap();
        let opener = wire.encryption().map(|encryption| encryption.opener([2; 32]));
        let mut shared = SharedState::speaking(&wire, 1, [1; 32]);
        shared.reserve(MEMBERS, MEMBERS, settings.events_max as usize);
        let mut members: Vec<Member> = (0..MEMBERS)
            .map(|number| {
                let config = MemberConfig {
                    name: format!("member-{number}"),
                    address: address(number),
                    metadata: vec![7; 40],
                    zone: ["", "east", "west"][number % zones].to_owned(),
                    cluster: 0,
                    incarnation: Incarnation::new(1_000),
                    seed: number as u64,
                    settings: Arc::clone(&settings),
                };
                Member::new(config, &mut shared, Time::ZERO).unwrap()
            })
            .collect();
        let view = View::of(&members, &mut shared);
        view.load(&mut members, &mut shared);
        view.release(&mut shared);
        Pool {
            members,
            stopped: [false; MEMBERS],
            shared,
            network: [Network::new(), Network::new()],
            streams: Vec::with_capacity(1_024),
            opened: Vec::with_capacity(1_024),
            events: Vec::with_capacity(65_536),
            turns: [Vec::with_capacity(64 << 10), Vec::with_capacity(64 << 10)],
            now: Time::ZERO,
            loss,
            opener,
            dice: fastrand::Rng::with_seed(7),
            sweep: Compaction::default(),
            told: 0,
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
        let result = call(&mut self.members[member], self.now, &mut self.shared, &mut out);
        self.streams.extend(self.opened.drain(..).map(|open| (member, open)));
        let told = |event: &&Event| matches!(event, Event::EventTold { .. });
        self.told += self.events.iter().filter(told).count() as u64;
        self.events.clear();
        result
    }

    /// Delivers what is under way, and what is sent in answer, until nothing is. It takes a millisecond each way.
    fn deliver(&mut self) {
        while !self.network[0].sent.is_empty() {
            self.network.swap(0, 1);
            self.now = self.now + Duration::from_millis(1);
            for at in 0..self.network[1].sent.len() {
                let (from, to, length) = self.network[1].sent[at];
                let Some(to) = member_at(to).filter(|to| !self.stopped[*to]) else { continue };
                if self.dice.f64() < self.loss {
                    continue;
                }
                let Network { bytes, .. } = &mut self.network[1];
                // The call borrows everything else.
                let frame = std::mem::replace(&mut bytes[at], [0; FRAME_MAX]);
                let Some(mut opener) = self.opener.take() else {
                    self.receive(to, from, &frame[..length]);
                    continue;
                };
                let mut plain = [0; FRAME_MAX];
                let opened = opener.open_frame(&frame[..length], &mut plain).expect("it was sealed");
                self.receive(to, from, opened);
                self.opener = Some(opener);
            }
            self.network[1].sent.clear();
        }
    }

    fn receive(&mut self, to: usize, from: usize, bytes: &[u8]) {
        let frame = Frame::decode(bytes).unwrap();
        self.call(to, |member, now, shared, out| {
            member.handle_frame(now, address(from), &frame, shared, out);
        });
    }

    /// Does what every stream that was asked for is for: each message is answered until nothing is.
    fn exchange(&mut self) {
        while let Some((opener, open)) = self.streams.pop() {
            let [mut message, mut reply] = std::mem::take(&mut self.turns);
            self.call(opener, |member, _, shared, _| {
                member.open_stream(open.purpose, open.destination, shared, &mut message);
            });
            let acceptor = member_at(open.to).filter(|to| !self.stopped[*to]);
            let mut ends = acceptor.map(|acceptor| [(acceptor, None), (opener, Some(open.purpose))]);
            if ends.is_none() {
                self.call(opener, |member, now, _, out| member.handle_stream_closed(now, open.purpose, out));
            }
            while let Some([(reader, purpose), _]) = ends.filter(|_| !message.is_empty()) {
                let mut rest = &message[..];
                while let Some((prefix, after)) = rest.split_first_chunk::<STREAM_PREFIX_LEN>() {
                    let (body, after) = after.split_at(stream_message_len(*prefix).unwrap());
                    let body = StreamMessage::decode(body).unwrap();
                    self.call(reader, |member, now, shared, out| {
                        member.handle_stream(now, purpose, &body, &mut reply, shared, out);
                    });
                    rest = after;
                }
                message.clear();
                std::mem::swap(&mut message, &mut reply);
                ends = ends.map(|[reads, writes]| [writes, reads]);
            }
            message.clear();
            self.turns = [message, reply];
        }
    }

    /// Lets `seconds` pass. Every quarter of a second somebody sends an event; each five seconds somebody is
    /// doubted, and refutes; in each minute a tenth stop until they have been declared dead, and then go on.
    fn run(&mut self, seconds: u64) {
        let (began, mut tick) = (self.now, 0_u64);
        while self.now.since(began) < Duration::from_secs(seconds) {
            self.now = self.now + Duration::from_millis(10);
            tick += 1;
            for member in 0..MEMBERS {
                if !self.stopped[member] && self.members[member].next_timeout() <= self.now {
                    self.call(member, Member::handle_timeout);
                }
            }
            if tick.is_multiple_of(25) {
                let teller = tick as usize / 25 % MEMBERS;
                self.call(teller, |member, now, shared, out| {
                    member.send_event(now, "deploy", b"v7 of something", shared, out).unwrap();
                });
            }
            if tick.is_multiple_of(500) {
                self.doubt((tick / 500) as usize % MEMBERS);
            }
            let second = self.now.as_micros() / 1_000_000;
            let stopping = (second % 60 < 40).then_some(second / 60 * 4);
            for (member, stopped) in self.stopped.iter_mut().enumerate() {
                *stopped = stopping
                    .is_some_and(|first| (0..4).any(|nth| (first + nth) as usize % MEMBERS == member));
            }
            self.deliver();
            self.exchange();
            // A round of all members takes four seconds, as in a worker.
            if tick.is_multiple_of(10) {
                self.sweep.step(1, &mut All(&mut self.members), &mut self.shared);
            }
        }
    }

    /// A member is told that `subject` did not answer a third, and tells its part.
    fn doubt(&mut self, subject: usize) {
        let id = |pool: &Pool, member: usize| pool.members[member].id();
        let (observer, accuser) = ((subject + 1) % MEMBERS, (subject + 2) % MEMBERS);
        let incarnation = self.members[subject].incarnation();
        let header = FrameHeader {
            cluster: 0,
            source: id(self, accuser),
            destination: MemberId::NONE,
            root: 0,
            quiet: false,
        };
        let mut bytes = [0; FRAME_MAX];
        let mut writer = FrameWriter::new(header, &mut bytes).unwrap();
        let said = Message::Suspect { subject: id(self, subject), incarnation, accuser: id(self, accuser) };
        assert!(
            writer.push(&Message::Delegation { number: 1, prefix_bits: 0, zone: 0, view_first: false })
                && writer.push(&said)
        );
        let length = writer.finish();
        self.receive(observer, accuser, &bytes[..length]);
    }
}

/// What happened in five minutes, in which nothing was allocated.
fn allocates_nothing(dissemination: Dissemination, loss: f64, zones: usize) -> Counters {
    allocates_nothing_on(&WireOptions::Native, dissemination, loss, zones)
}

fn allocates_nothing_on(
    wire: &WireOptions,
    dissemination: Dissemination,
    loss: f64,
    zones: usize,
) -> Counters {
    let mut pool = Pool::new(dissemination, loss, zones, wire);
    // What is set aside at the start is enough: nothing grows later.
    pool.run(2);
    let before = pool.shared.counters;
    let told_before = pool.told;
    let count = allocation_counter::measure(|| pool.run(300)).count_total;
    let counted = pool.shared.counters.since(&before);
    assert!(counted.probes_acked > 5_000 && counted.events_delivered > 30_000, "{counted:?}");
    assert!(counted.suspicions_started > 500 && counted.suspicions_refuted > 500, "{counted:?}");
    assert!(counted.members_failed > 500 && counted.refutations > 20, "{counted:?}");
    assert_eq!((counted.decode_errors, counted.events_shed), (0, 0));
    let told = pool.told - told_before;
    assert!(told > 1_000, "{told} events were told");
    assert_eq!(count, 0, "allocations in five minutes of {counted:?}");
    counted
}

#[test]
fn delegating_members_allocate_nothing() {
    let counted = allocates_nothing(Dissemination::Delegated, 0.0, 1);
    assert!(counted.delegations_acknowledged > 10_000, "{counted:?}");
}

#[test]
fn encrypted_members_that_lose_packets_allocate_nothing() {
    let wire = WireOptions::Encrypted(EncryptionOptions::with_key([3; 32]));
    let counted = allocates_nothing_on(&wire, Dissemination::Delegated, 0.1, 1);
    assert!(counted.delegations_retried > 5_000, "{counted:?}");
}

#[test]
fn delegating_members_that_lose_packets_allocate_nothing() {
    let counted = allocates_nothing(Dissemination::Delegated, 0.1, 1);
    assert!(counted.delegations_retried > 5_000, "{counted:?}");
}

#[test]
fn delegating_members_in_zones_allocate_nothing() {
    let counted = allocates_nothing(Dissemination::Delegated, 0.1, 3);
    // Two for each event, at the least.
    assert!(counted.delegations_crossed > 2_000, "{counted:?}");
}

#[test]
fn gossiping_members_allocate_nothing() {
    let counted = allocates_nothing(Dissemination::Gossip, 0.1, 1);
    assert_eq!(counted.delegations_sent, 0);
}
