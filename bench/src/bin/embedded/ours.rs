//! A member as a service embeds it, without its sockets: it is given the bytes that would arrive, and what it sends is
//! answered as others would.
//!
//! It learns of the others by joining, from the table that a seed sends. Updates and events come delegated, as nearly all
//! do, to a member that has nobody to tell them on to, as nearly all are.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring::protocol::{
    Event, FrameSink, Member, MemberConfig, Outbox, Preset, Settings, SharedState, StreamOpen, StreamPurpose,
    Time, View,
};
use swimring_codec::native::{
    FRAME_MAX, Frame, FrameHeader, FrameWriter, Introduction, Message, StreamMessage, UserEvent,
    stream_message_len,
};
use swimring_codec::{Incarnation, MemberId, State, identity_hash, identity_tag};
use swimring_loadgen::allocations::held_by_this_thread;
use swimring_tooling::cpu::{of_this_thread, resident_bytes};

use crate::case::{Cost, UPDATES, address_of, name_of, shuffled};

const CLUSTER: u32 = 7;
/// The incarnation that every member starts with.
const FIRST: u64 = 1_700_000_000;
/// Seconds until all that a join leaves to do is done.
const SETTLING_S: u64 = 60;
/// Seconds in which nothing happens.
const IDLE_S: u64 = 600;
/// User events that are told: fewer than are remembered at a time, so that all are new.
const EVENTS: u32 = 4_000;
/// Leading bits that nobody shares with the member that is measured: it is asked to tell nobody on.
const PREFIX_BITS: u8 = 48;

/// What a member sends: kept until it is answered.
#[derive(Debug, Default)]
struct Sent {
    frames: Vec<(SocketAddr, Vec<u8>)>,
    used: usize,
}

impl FrameSink for Sent {
    fn reserve(&mut self, to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        if self.used == self.frames.len() {
            self.frames.push((to, Vec::with_capacity(FRAME_MAX)));
        }
        let frame = &mut self.frames[self.used];
        self.used += 1;
        frame.0 = to;
        frame.1.resize(len, 0);
        Some(&mut frame.1)
    }
}

/// A member and what is around it.
struct Embedded {
    member: Member,
    shared: SharedState,
    sent: Sent,
    streams: Vec<StreamOpen>,
    events: Vec<Event>,
    now: Time,
}

impl Embedded {
    fn new(name: String, address: SocketAddr, known: usize) -> Result<Embedded, Box<dyn Error>> {
        let settings = Settings { members_max: known as u32 + 16, ..Settings::preset(Preset::Lan) };
        let mut shared = SharedState::new(1);
        let config = MemberConfig {
            name,
            address,
            metadata: Vec::new(),
            zone: String::new(),
            cluster: CLUSTER,
            incarnation: Incarnation::new(FIRST),
            seed: 1,
            settings: Arc::new(settings),
        };
        let now = Time::from_micros(1_000_000);
        let member = Member::new(config, &mut shared, now)?;
        let sent = Sent::default();
        Ok(Embedded { member, shared, sent, streams: Vec::new(), events: Vec::new(), now })
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut Member, Time, &mut SharedState, &mut Outbox<'_>) -> R) -> R {
        let mut gossip_budget = u32::MAX;
        let mut out = Outbox {
            frames: &mut self.sent,
            streams: &mut self.streams,
            events: &mut self.events,
            gossip_budget: &mut gossip_budget,
        };
        call(&mut self.member, self.now, &mut self.shared, &mut out)
    }

    fn handle(&mut self, from: SocketAddr, datagram: &[u8]) {
        let frame = Frame::decode(datagram).expect("a frame");
        self.call(|member, now, shared, out| member.handle_frame(now, from, &frame, shared, out));
    }

    /// Answers what was sent, and forgets what happened.
    fn attend(&mut self) {
        let mut sent = std::mem::take(&mut self.sent);
        for (to, bytes) in &sent.frames[..sent.used] {
            if let Some(answer) = self.answer(bytes) {
                self.handle(*to, &answer);
            }
        }
        sent.used = 0;
        self.sent = sent;
        let streams = std::mem::take(&mut self.streams);
        for stream in streams {
            self.call(|member, now, _, out| member.handle_stream_closed(now, stream.purpose, out));
        }
        self.events.clear();
    }

    /// What the receiver of `bytes` says to that: it has the same view and events.
    fn answer(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let asked = Frame::decode(bytes).expect("a frame");
        let mut answers = Vec::new();
        for message in asked.messages() {
            match message.expect("a message") {
                Message::Ping { sequence, event_root } => {
                    answers.push(Message::Ack { sequence, event_root });
                }
                Message::Delegation { number, .. } => answers.push(Message::DelegationAck { number }),
                _ => {}
            }
        }
        (!answers.is_empty()).then(|| self.frame(asked.header.destination, &answers))
    }

    /// A frame from `source`, who has the same view.
    fn frame(&self, source: MemberId, messages: &[Message<'_>]) -> Vec<u8> {
        let header = FrameHeader {
            cluster: CLUSTER,
            source,
            destination: self.member.id(),
            root: self.member.root(),
            quiet: true,
        };
        let mut out = [0; FRAME_MAX];
        let mut writer = FrameWriter::new(header, &mut out).expect("room for a header");
        for message in messages {
            assert!(writer.push(message), "the messages fit a frame");
        }
        let used = writer.len();
        let used = writer.finish_padded(used);
        out[..used].to_vec()
    }

    /// So many seconds in which nothing happens, but for probes.
    fn idle(&mut self, seconds: u64) {
        let mut rng = fastrand::Rng::with_seed(9);
        for _ in 0..seconds {
            let end = self.now + Duration::from_secs(1);
            while self.member.next_timeout() <= end {
                self.now = self.now.max(self.member.next_timeout());
                self.call(Member::handle_timeout);
                self.attend();
            }
            self.now = end;
            let from = rng.usize(..self.member.known().max(2) - 1);
            let ping = Message::Ping { sequence: rng.u32(..), event_root: 0 };
            let ping = self.frame(MemberId::of_name(&name_of(from)), &[ping]);
            self.handle(address_of(from), &ping);
            self.sent.used = 0;
        }
    }
}

/// The stream with which a seed that knows `known` members answers a join.
fn table(known: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut seed = Embedded::new(name_of(0), address_of(0), known)?;
    let settings = Settings { members_max: known as u32 + 16, ..Settings::preset(Preset::Lan) };
    let mut view = View::of([&seed.member], &mut seed.shared);
    for number in 1..known {
        let name = name_of(number);
        view.add(&introduction(number, &name), &settings, &mut seed.shared)?;
    }
    seed.member.load(&view, &mut seed.shared);
    view.release(&mut seed.shared);
    let mut stream = Vec::new();
    let purpose = StreamPurpose::Join { token: 1 };
    seed.member.open_stream(purpose, MemberId::NONE, &mut seed.shared, &mut stream);
    Ok(stream)
}

fn introduction(number: usize, name: &str) -> Introduction<'_> {
    Introduction {
        subject: MemberId::of_name(name),
        incarnation: Incarnation::new(FIRST),
        state: State::Alive,
        address: address_of(number),
        name,
        metadata: &[],
        zone: "",
    }
}

pub fn measure(known: usize) -> Result<Cost, Box<dyn Error>> {
    let stream = table(known)?;
    let mut embedded = Embedded::new("self".to_owned(), SocketAddr::from(([10, 255, 0, 1], 7946)), known)?;
    let (held, resident) = (held_by_this_thread(), resident_bytes().unwrap_or(0));
    let began = of_this_thread();
    let heap_bytes_learning = join(&mut embedded, &stream).saturating_sub(held);
    let learned = of_this_thread() - began;
    assert_eq!(embedded.member.known(), known + 1, "all are known");
    embedded.idle(SETTLING_S);
    // What its driver has of it besides.
    (embedded.sent, embedded.streams, embedded.events) = Default::default();
    let heap_bytes = held_by_this_thread() - held;
    let resident = resident_bytes().unwrap_or(0).saturating_sub(resident);
    let began = of_this_thread();
    embedded.idle(IDLE_S);
    let idle = of_this_thread() - began;
    assert_eq!(embedded.member.live(), known + 1, "nobody was suspected");

    let updates = Updates::new(known);
    let alive_ns = updates.tell(&mut embedded, &[Update::Alive(1)]);
    let suspected_ns = updates.tell(&mut embedded, &[Update::Suspect(1), Update::Alive(2)]);
    let died_ns = updates.tell(&mut embedded, &[Update::Dead(2), Update::Alive(3)]);
    assert_eq!(embedded.member.live(), known + 1, "all are back");
    Ok(Cost {
        known,
        heap_bytes,
        heap_bytes_learning: Some(heap_bytes_learning),
        resident_bytes: resident,
        learned_ms: learned.as_secs_f64() * 1e3,
        idle_us: Some(idle.as_secs_f64() * 1e6 / IDLE_S as f64),
        alive_ns,
        suspected_ns: Some(suspected_ns),
        died_ns: Some(died_ns),
        event_ns: Some(events(&mut embedded, known)),
    })
}

/// Has it join, with the table that `stream` is, and gives the most bytes held meanwhile.
fn join(embedded: &mut Embedded, stream: &[u8]) -> u64 {
    let purpose = Some(StreamPurpose::Join { token: 1 });
    let (mut rest, mut reply, mut most) = (stream, Vec::new(), 0);
    while let Some((prefix, tail)) = rest.split_first_chunk() {
        let (bytes, tail) = tail.split_at(stream_message_len(*prefix).expect("a length"));
        let message = StreamMessage::decode(bytes).expect("a stream message");
        if matches!(message.body, swimring_codec::native::StreamBody::State(_)) {
            embedded.call(|member, now, shared, out| {
                member.handle_stream(now, purpose, &message, &mut reply, shared, out)
            });
            (reply, embedded.events) = Default::default();
        }
        most = most.max(held_by_this_thread());
        rest = tail;
    }
    embedded.attend();
    most
}

/// What is said of a member, at so many incarnations above the first.
#[derive(Clone, Copy)]
enum Update {
    Alive(u64),
    Suspect(u64),
    Dead(u64),
}

/// Updates about everyone, in random order.
struct Updates {
    subjects: Vec<(MemberId, u8)>,
}

impl Updates {
    fn new(known: usize) -> Updates {
        let tag = |number| identity_tag(identity_hash(address_of(number), &[], ""));
        let subject = |number: usize| (MemberId::of_name(&name_of(number)), tag(number));
        Updates { subjects: shuffled(known).into_iter().map(subject).collect() }
    }

    /// Tells all of `kinds` of everyone, a datagram of each kind after the other, and gives nanoseconds for an update.
    fn tell(&self, embedded: &mut Embedded, kinds: &[Update]) -> f64 {
        let mut spent = Duration::ZERO;
        for subjects in self.subjects.chunks(UPDATES) {
            let frames: Vec<_> =
                kinds.iter().map(|kind| embedded.frame(subjects[0].0, &messages(*kind, subjects))).collect();
            let began = of_this_thread();
            for frame in &frames {
                embedded.handle(address_of(0), frame);
            }
            spent += of_this_thread() - began;
            embedded.attend();
        }
        spent.as_secs_f64() * 1e9 / (self.subjects.len() * kinds.len()) as f64
    }
}

fn messages(kind: Update, subjects: &[(MemberId, u8)]) -> Vec<Message<'static>> {
    let incarnation = |above| Incarnation::new(FIRST + above);
    let said = subjects.iter().map(|(subject, tag)| {
        let (subject, tag) = (*subject, *tag);
        match kind {
            Update::Alive(above) => Message::Alive { subject, incarnation: incarnation(above), tag },
            Update::Suspect(above) => {
                Message::Suspect { subject, incarnation: incarnation(above), accuser: MemberId(0x5eed) }
            }
            Update::Dead(above) => Message::Dead { subject, incarnation: incarnation(above) },
        }
    });
    let delegation = Message::Delegation { number: 1, prefix_bits: PREFIX_BITS, zone: 0, view_first: false };
    std::iter::once(delegation).chain(said).collect()
}

/// Tells user events, and gives nanoseconds for each.
fn events(embedded: &mut Embedded, known: usize) -> f64 {
    let mut spent = Duration::ZERO;
    let mut handed_over = 0;
    for sequence in 0..EVENTS {
        let origin = sequence as usize * 7919 % known;
        let origin = MemberId::of_name(&name_of(origin));
        let event = UserEvent { origin, sequence, name: "deploy", payload: &[7; 100] };
        let delegation =
            Message::Delegation { number: 1, prefix_bits: PREFIX_BITS, zone: 0, view_first: false };
        let frame = embedded.frame(origin, &[delegation, Message::UserEvent(event)]);
        let began = of_this_thread();
        embedded.handle(address_of(0), &frame);
        spent += of_this_thread() - began;
        let user_event = |event: &&Event| matches!(event, Event::UserEvent { .. });
        handed_over += embedded.events.iter().filter(user_event).count();
        embedded.attend();
        if sequence % 1_000 == 999 {
            embedded.idle(1);
        }
    }
    assert_eq!(handed_over, EVENTS as usize, "all were handed to the service");
    spent.as_secs_f64() * 1e9 / f64::from(EVENTS)
}
