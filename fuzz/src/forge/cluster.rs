//! Members whose traffic is attacked: real ones, on a few workers without sockets, that join over streams, probe, tell events and
//! compare their views. What a worker opens and hands to its members is opened and handed on here in the same order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring::protocol::{
    Counters, EncryptionOptions, Event, FrameSink, Member, MemberConfig, Outbox, Settings, SharedState,
    StreamOpen, StreamPurpose, Time, WireOptions,
};
use swimring_codec::native::{
    FRAME_MAX, Frame, Opener, STREAM_PREFIX_LEN, SealError, Sealer, StreamMessage, StreamSeal,
    stream_message_len,
};
use swimring_codec::{Incarnation, MemberId};
use swimring_testing::sealed;

use super::adversary::Adversary;

/// Workers, each with a life of its own, as processes have.
pub(super) const WORKERS: usize = 3;
const MEMBERS_EACH: usize = 8;
/// How long the members do nothing but what is due.
const STEP: Duration = Duration::from_millis(10);
/// A member tells an event after so many steps.
const EVENT_STEPS: u64 = 4;
/// And another joins once more, so that there are streams with more to say than that views agree.
const REJOIN_STEPS: u64 = 50;

/// What becomes of bytes that reach a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// Nothing reads them.
    Refused(Option<SealError>),
    /// What was sealed, for a member that is elsewhere.
    Unrouted,
    /// A member has handled them.
    Taken,
}

/// A worker: its members, what they share, and what opens and seals for them.
pub(super) struct Worker {
    address: SocketAddr,
    members: Vec<Member>,
    shared: SharedState,
    /// Nothing if its members do not encrypt.
    pub(super) opener: Option<Opener>,
    sealer: Option<Sealer>,
    /// The frame that was opened last; taken out while a member reads it.
    plain: Option<Box<[u8; FRAME_MAX]>>,
    network: Network,
    opened: Vec<StreamOpen>,
    streams: Vec<(usize, StreamOpen)>,
    pub(super) events: u64,
    pub(super) failed: u64,
}

/// Datagrams under way.
#[derive(Default)]
struct Network {
    sent: Vec<(SocketAddr, Vec<u8>)>,
    room: Vec<Vec<u8>>,
}

impl FrameSink for Network {
    fn reserve(&mut self, to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        let mut bytes = self.room.pop().unwrap_or_default();
        bytes.clear();
        bytes.resize(len, 0);
        self.sent.push((to, bytes));
        self.sent.last_mut().map(|(_, bytes)| &mut bytes[..])
    }
}

impl Worker {
    fn new(number: usize, lives: u8, wire: &WireOptions, settings: &Arc<Settings>) -> Worker {
        let wire = wire.check().expect("valid options");
        let secret = |what: u8| [64 * lives + 16 * what + number as u8; 32];
        let mut shared = SharedState::speaking(&wire, number as u64, secret(1));
        let address = address_of(number);
        let member = |nth: usize| {
            let config = MemberConfig {
                name: format!("member-{number}-{nth}"),
                address,
                metadata: vec![7; 20],
                zone: String::new(),
                cluster: 0,
                incarnation: Incarnation::new(1_000),
                seed: (number * MEMBERS_EACH + nth) as u64,
                settings: Arc::clone(settings),
            };
            Member::new(config, &mut shared, Time::ZERO).expect("a valid member")
        };
        let members = (0..MEMBERS_EACH).map(member).collect();
        Worker {
            address,
            members,
            shared,
            opener: wire.encryption().map(|encryption| encryption.opener(secret(2))),
            sealer: wire.encryption().map(|encryption| encryption.stream_sealer(secret(3))),
            plain: None,
            network: Network::default(),
            opened: Vec::new(),
            streams: Vec::new(),
            events: 0,
            failed: 0,
        }
    }

    pub(super) fn counters(&self) -> Counters {
        self.shared.counters
    }

    fn set_time_s(&mut self, time_s: u32) {
        if let Some(opener) = &mut self.opener {
            opener.set_time_s(time_s);
        }
        for sealer in self.sealer.iter_mut().chain(self.shared.sealer_mut()) {
            sealer.set_time_s(time_s);
        }
    }

    fn call<R>(
        &mut self,
        member: usize,
        call: impl FnOnce(&mut Member, &mut SharedState, &mut Outbox<'_>) -> R,
    ) -> R {
        let mut events = Vec::new();
        let mut out = Outbox {
            frames: &mut self.network,
            streams: &mut self.opened,
            events: &mut events,
            gossip_budget: &mut u32::MAX.clone(),
        };
        let result = call(&mut self.members[member], &mut self.shared, &mut out);
        self.streams.extend(self.opened.drain(..).map(|open| (member, open)));
        for event in events {
            self.events += u64::from(matches!(event, Event::UserEvent { .. }));
            self.failed += u64::from(matches!(event, Event::Failed { .. }));
        }
        result
    }

    fn member_of(&self, id: MemberId) -> Option<usize> {
        self.members.iter().position(|member| member.id() == id)
    }

    /// A datagram has come: it is opened, read and handled as a worker does.
    pub(super) fn receive(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) -> Fate {
        let mut plain = self.plain.take().unwrap_or_else(|| Box::new([0; FRAME_MAX]));
        let opened = match &mut self.opener {
            Some(opener) => opener.open_frame(bytes, &mut plain),
            None => Ok(bytes),
        };
        let fate = match opened.map(Frame::decode) {
            Err(error) => Fate::Refused(Some(error)),
            Ok(Err(_)) => Fate::Refused(None),
            Ok(Ok(frame)) => match self.member_of(frame.header.destination) {
                None => Fate::Unrouted,
                Some(member) => {
                    self.call(member, |member, shared, out| {
                        member.handle_frame(now, from, &frame, shared, out);
                    });
                    Fate::Taken
                }
            },
        };
        self.plain = Some(plain);
        fate
    }
}

/// Where a worker's members are.
pub(super) fn address_of(worker: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1 + worker as u8], 7946))
}

/// All workers, and the network between them.
pub(super) struct Cluster {
    pub(super) workers: Vec<Worker>,
    pub(super) now: Time,
    steps: u64,
}

impl Cluster {
    /// Members that speak `wire` and join through the first. Those with other `lives`, 0 to 3, seal with other lives.
    pub(super) fn new(wire: &WireOptions, lives: u8) -> Cluster {
        let settings =
            Arc::new(Settings { push_pull_interval: Duration::from_secs(2), ..Settings::default() });
        let workers = (0..WORKERS).map(|number| Worker::new(number, lives, wire, &settings)).collect();
        let mut cluster = Cluster { workers, now: Time::ZERO, steps: 0 };
        cluster.tell_time();
        for worker in &mut cluster.workers {
            for member in 0..MEMBERS_EACH {
                worker.call(member, |member, shared, out| {
                    member.join(Time::ZERO, address_of(0), MemberId::NONE, 1, shared, out);
                });
            }
        }
        cluster
    }

    /// Members that encrypt with a key of this byte, 0 to 3, and with lives of their own.
    pub(super) fn encrypted(key: u8) -> Cluster {
        Cluster::new(&WireOptions::Encrypted(EncryptionOptions::with_key([key; 32])), key)
    }

    /// What their clocks say.
    pub(super) fn time_s(&self) -> u32 {
        sealed::TIME_S + (self.now.as_micros() / 1_000_000) as u32
    }

    fn tell_time(&mut self) {
        let time_s = self.time_s();
        self.workers.iter_mut().for_each(|worker| worker.set_time_s(time_s));
    }

    /// Lets 10 ms pass, while `adversary` has a look at all that goes from one worker to a member.
    pub(super) fn step(&mut self, adversary: &mut Adversary) {
        self.now = self.now + STEP;
        self.steps += 1;
        if self.steps.is_multiple_of(100) {
            self.tell_time();
        }
        let now = self.now;
        for worker in &mut self.workers {
            for member in 0..MEMBERS_EACH {
                if worker.members[member].next_timeout() <= now {
                    worker.call(member, |member, shared, out| member.handle_timeout(now, shared, out));
                }
            }
        }
        if self.steps.is_multiple_of(EVENT_STEPS) {
            let teller = (self.steps / EVENT_STEPS) as usize;
            let worker = &mut self.workers[teller % WORKERS];
            worker.call(teller / WORKERS % MEMBERS_EACH, |member, shared, out| {
                // Refused where too many are under way, which is none of our concern.
                let _ = member.send_event(now, "deploy", b"v7 of something", shared, out);
            });
        }
        if self.steps.is_multiple_of(REJOIN_STEPS) {
            let nth = (self.steps / REJOIN_STEPS) as usize;
            let seed = address_of((nth + 1) % WORKERS);
            self.workers[nth % WORKERS].call(nth % MEMBERS_EACH, |member, shared, out| {
                member.join(now, seed, MemberId::NONE, 1, shared, out);
            });
        }
        self.deliver(adversary);
        self.exchange(adversary);
    }

    /// Delivers what is under way, and what is sent in answer, until nothing is.
    fn deliver(&mut self, adversary: &mut Adversary) {
        while let Some(from) = self.workers.iter().position(|worker| !worker.network.sent.is_empty()) {
            let source = self.workers[from].address;
            let mut sent = std::mem::take(&mut self.workers[from].network.sent);
            for (to, bytes) in sent.drain(..) {
                if let Some(to) = self.workers.iter().position(|worker| worker.address == to) {
                    let (now, time_s) = (self.now, self.time_s());
                    adversary.datagram((now, time_s), source, (to, &mut self.workers[to]), &bytes);
                }
                self.workers[from].network.room.push(bytes);
            }
        }
    }

    /// Carries every stream that was asked for to its end.
    fn exchange(&mut self, adversary: &mut Adversary) {
        while let Some((from, (member, open))) = self
            .workers
            .iter_mut()
            .enumerate()
            .find_map(|(from, worker)| worker.streams.pop().map(|stream| (from, stream)))
        {
            let mut stream = Stream::new(self, from, member, open);
            while stream.turn(self, adversary) {}
            self.deliver(adversary);
        }
    }
}

/// One end of a stream.
struct End {
    worker: usize,
    member: usize,
    /// Why it has opened the stream, if it has.
    purpose: Option<StreamPurpose>,
    /// Nothing if its members do not encrypt.
    seal: Option<StreamSeal>,
}

/// A stream: the end that reads next, and what it is told.
struct Stream {
    reader: End,
    writer: End,
    messages: Vec<Vec<u8>>,
}

impl Stream {
    fn new(cluster: &mut Cluster, from: usize, member: usize, open: StreamOpen) -> Stream {
        let mut said = Vec::new();
        cluster.workers[from].call(member, |member, shared, _| {
            member.open_stream(open.purpose, open.destination, shared, &mut said);
        });
        let to = cluster.workers.iter().position(|worker| worker.address == open.to).expect("a worker");
        let acceptor = cluster.workers[to].member_of(open.destination).unwrap_or(0);
        let seal = cluster.workers[from].sealer.as_mut().map(|sealer| sealer.open_stream(true));
        let mut writer = End { worker: from, member, purpose: Some(open.purpose), seal };
        let messages = writer.seal(&mut cluster.workers[from], &said);
        let seal = cluster.workers[to].sealer.as_mut().map(Sealer::accept_stream);
        let reader = End { worker: to, member: acceptor, purpose: None, seal };
        Stream { reader, writer, messages }
    }

    /// The reader reads, and answers. False once nobody has anything to say.
    fn turn(&mut self, cluster: &mut Cluster, adversary: &mut Adversary) -> bool {
        let now = cluster.now;
        let End { worker, member, purpose, seal } = &mut self.reader;
        let (to, worker, mut reply) = (*worker, &mut cluster.workers[*worker], Vec::new());
        for at in 0..self.messages.len() {
            if let (Some(opener), Some(seal), Some(sealer)) = (&mut worker.opener, &*seal, &mut worker.sealer)
            {
                adversary.message(opener, (to, seal, sealer), &self.messages, at);
            }
            let mut bytes = self.messages[at].clone();
            let opened = match (&mut worker.opener, &mut *seal) {
                (Some(opener), Some(seal)) => opener.open_message(seal, &mut bytes).map(<[u8]>::to_vec),
                _ => Ok(bytes),
            };
            adversary.message_passed(to, &self.messages[at], opened.is_ok());
            let Ok(opened) = opened else { return false };
            let message = StreamMessage::decode(&opened).expect("what a member has written");
            worker.call(*member, |member, shared, out| {
                member.handle_stream(now, *purpose, &message, &mut reply, shared, out);
            });
        }
        self.messages = self.reader.seal(worker, &reply);
        std::mem::swap(&mut self.reader, &mut self.writer);
        !self.messages.is_empty()
    }
}

impl End {
    /// The messages of the turn `plain`, as they travel, without their lengths.
    fn seal(&mut self, worker: &mut Worker, plain: &[u8]) -> Vec<Vec<u8>> {
        let (mut rest, mut messages) = (plain, Vec::new());
        while let Some((prefix, after)) = rest.split_first_chunk::<STREAM_PREFIX_LEN>() {
            let (message, after) = after.split_at(stream_message_len(*prefix).expect("a message"));
            messages.push(match (&mut worker.sealer, &mut self.seal) {
                (Some(sealer), Some(seal)) => sealed::seal_message(sealer, seal, message),
                _ => message.to_vec(),
            });
            rest = after;
        }
        messages
    }
}
