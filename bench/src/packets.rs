//! One member that speaks memberlist's format, and what it is fed.
//!
//! The member and the datagrams are those of the Go program's `bench`: the same names, addresses, metadata and
//! wrapping, members drawn at random, and as many distinct datagrams, so that both have the same work and the
//! same of it in cache.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use swimring::protocol::{
    Event, Member, MemberConfig, MemberlistOptions, Outbox, SharedState, StreamOpen, StreamPurpose, Time,
    View, WireOptions,
};
use swimring_codec::memberlist::{
    Alive, Codec, CompoundWriter, Message, PushPullWriter, Record, StreamScanner, Versions,
};
use swimring_codec::native::{FRAME_MAX, Introduction};
use swimring_codec::{Incarnation, MemberId, State};

use crate::{Sink, UPDATES, settings};

/// How messages are wrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A checksum, in datagrams.
    Plain,
    /// LZW, and a checksum in datagrams.
    Compressed,
    /// A checksum in datagrams, and AES-128.
    Encrypted,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 3] = [Form::Plain, Form::Compressed, Form::Encrypted];

    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Form::Plain => "plain",
            Form::Compressed => "compressed",
            Form::Encrypted => "encrypted",
        }
    }

    /// How a member is set up that sends this form.
    fn options(self) -> MemberlistOptions {
        MemberlistOptions {
            enable_compression: self == Form::Compressed,
            secret_keys: if self == Form::Encrypted { vec![KEY[..].into()] } else { Vec::new() },
            ..MemberlistOptions::default()
        }
    }
}

const KEY: &[u8; 16] = b"0123456789abcdef";
const METADATA: &[u8] = &[b'm'; 16];
const PORT: u16 = 7946;
/// Distinct datagrams that are fed in turn.
const DATAGRAMS: usize = 2_000;
/// The incarnation of every member.
const INCARNATION: u32 = 1;
/// Largest packet: memberlist's `UDPBufferSize`.
const PACKET_BYTES_MAX: usize = 1_400;
/// Where what is fed comes from.
const FEEDER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 255, 255, 2)), PORT);

fn name_of(number: usize) -> String {
    format!("member-{number:05}")
}

fn address_of(number: usize) -> SocketAddr {
    SocketAddr::from(([10, (number >> 16) as u8, (number >> 8) as u8, number as u8], PORT))
}

/// A member with a complete view of a cluster that speaks memberlist's format.
#[derive(Debug)]
pub struct PacketMember {
    member: Member,
    commons: SharedState,
    codec: Codec,
    sink: Sink,
    streams: Vec<StreamOpen>,
    events: Vec<Event>,
    now: Time,
    reply: Vec<u8>,
    known: usize,
    /// The incarnation of the last news.
    news: u32,
}

impl PacketMember {
    /// A member that knows `known` others, and sends and receives messages in this form.
    pub fn new(form: Form, known: usize) -> PacketMember {
        let options = form.options();
        let codec = Codec::new(&options.codec(), [1; 32]).expect("valid options");
        let now = Time::from_micros(1_000_000);
        let wire = WireOptions::Memberlist(options).check().expect("valid options");
        let mut commons = SharedState::speaking(&wire, 1, [2; 32]);
        commons.reserve(1, known + 1, 64);
        let mut settings = settings();
        settings.frame_bytes_max = PACKET_BYTES_MAX;
        // Nobody would answer.
        settings.probe_interval = Duration::from_secs(1 << 32);
        settings.push_pull_interval = Duration::ZERO;
        let settings = Arc::new(settings);
        let config = MemberConfig {
            name: "self".to_owned(),
            address: SocketAddr::from(([10, 255, 255, 1], PORT)),
            metadata: Vec::new(),
            zone: String::new(),
            cluster: 0,
            incarnation: Incarnation::new(INCARNATION.into()),
            seed: 1,
            settings: Arc::clone(&settings),
        };
        let mut member = Member::new(config, &mut commons, now).expect("a valid member");
        let mut view = View::of([&member], &mut commons);
        for number in 0..known {
            let introduction = Introduction {
                subject: MemberId::of_name(&name_of(number)),
                incarnation: Incarnation::new(INCARNATION.into()),
                state: State::Alive,
                address: address_of(number),
                name: &name_of(number),
                metadata: METADATA,
                zone: "",
            };
            view.add(&introduction, &settings, &mut commons).expect("room for everyone");
        }
        member.load(&view, &mut commons);
        view.release(&mut commons);
        let sink = Sink::default();
        let (streams, events, reply) = (Vec::new(), Vec::new(), Vec::new());
        PacketMember { member, commons, codec, sink, streams, events, now, reply, known, news: INCARNATION }
    }

    /// Opens and handles a datagram as a worker does.
    #[inline]
    pub fn handle(&mut self, datagram: &[u8]) -> Time {
        let messages = self.codec.open_packet(datagram).expect("a packet");
        let mut budget = u32::MAX;
        let mut out = Outbox {
            frames: &mut self.sink,
            streams: &mut self.streams,
            events: &mut self.events,
            gossip_budget: &mut budget,
        };
        self.member.handle_packet(self.now, FEEDER, messages, &mut self.commons, &mut out);
        self.streams.clear();
        self.events.clear();
        self.member.next_timeout()
    }

    /// Handles a push/pull that another member has begun: finds where it ends, opens it, writes the answer and
    /// merges. Gives the bytes of the answer.
    pub fn exchange(&mut self, request: &[u8]) -> usize {
        let end = StreamScanner::new(false).scan(request).expect("a stream message").expect("all of it");
        let message = self.codec.open_stream(&request[..end], true).expect("a stream message");
        self.reply.clear();
        let mut budget = u32::MAX;
        let mut out = Outbox {
            frames: &mut self.sink,
            streams: &mut self.streams,
            events: &mut self.events,
            gossip_budget: &mut budget,
        };
        let (now, commons) = (self.now, &mut self.commons);
        self.member.handle_packet_stream(now, None, &message, &mut self.reply, commons, &mut out);
        self.streams.clear();
        self.events.clear();
        self.reply.len()
    }

    /// Writes a push/pull of our own; its bytes.
    pub fn write_view(&mut self) -> usize {
        self.reply.clear();
        self.member.open_stream(StreamPurpose::Sync, MemberId::NONE, &mut self.commons, &mut self.reply);
        self.reply.len()
    }

    /// Sends what gossip is due, at the next timeout. Gives the packets that were sent.
    pub fn gossip(&mut self) -> u64 {
        let before = self.sink.frames;
        self.now = self.member.next_timeout();
        let mut budget = u32::MAX;
        let mut out = Outbox {
            frames: &mut self.sink,
            streams: &mut self.streams,
            events: &mut self.events,
            gossip_budget: &mut budget,
        };
        self.member.handle_timeout(self.now, &mut self.commons, &mut out);
        self.streams.clear();
        self.events.clear();
        self.sink.frames - before
    }

    /// Tells the member [`UPDATES`] news, about the same members each time.
    pub fn inform(&mut self, form: Form) {
        self.news += 1;
        let mut writer = Codec::new(&form.options().codec(), [3; 32]).expect("valid options");
        let numbers: Vec<usize> = (0..UPDATES).collect();
        self.handle(&datagram(&mut writer, &numbers, self.news));
        assert_eq!(self.member.queued(), UPDATES as u32, "all was news, and is told once");
    }

    /// Number of members that are known alive at this incarnation.
    pub fn known_at(&self, incarnation: u32) -> usize {
        let wanted = Some((State::Alive, Incarnation::new(incarnation.into())));
        let state_of = |number| {
            let index = self.commons.directory().find(MemberId::of_name(&name_of(number)))?;
            self.member.state_of(index)
        };
        (0..self.known).filter(|number| state_of(*number) == wanted).count()
    }

    /// Makes sure that the measurement was one: that nothing has changed so far and nothing was refused, and
    /// that the same datagrams at incarnation 2 change all that they are about.
    ///
    /// # Panics
    /// If not.
    pub fn check_datagrams(&mut self, form: Form) {
        self.check_unchanged();
        let mut writer = Codec::new(&form.options().codec(), [3; 32]).expect("valid options");
        let numbers: Vec<usize> = (0..self.known).collect();
        for numbers in numbers.chunks(UPDATES) {
            self.handle(&datagram(&mut writer, numbers, 2));
        }
        self.check_changed();
    }

    /// The same for push/pulls.
    ///
    /// # Panics
    /// If not.
    pub fn check_exchanges(&mut self, form: Form) {
        self.check_unchanged();
        self.exchange(&push_pull(form, self.known, 2));
        self.check_changed();
    }

    fn check_unchanged(&self) {
        assert_eq!(self.known_at(INCARNATION), self.known, "nothing has changed");
        assert_eq!((self.commons.counters.decode_errors, self.member.queued()), (0, 0), "all was known");
    }

    fn check_changed(&self) {
        assert_eq!(self.known_at(2), self.known, "all was taken in");
        assert_eq!(self.commons.counters.decode_errors, 0, "all was understood");
    }
}

/// Datagrams of [`UPDATES`] alive messages each that change nothing, about members drawn at random.
#[derive(Debug)]
pub struct PacketDeck {
    datagrams: Vec<Vec<u8>>,
    next: usize,
}

impl PacketDeck {
    /// Datagrams for a member that knows `known` others.
    pub fn new(form: Form, known: usize) -> PacketDeck {
        let mut writer = Codec::new(&form.options().codec(), [4; 32]).expect("valid options");
        let mut rng = fastrand::Rng::with_seed(known as u64);
        let mut one = || {
            let numbers: Vec<usize> = (0..UPDATES).map(|_| rng.usize(..known)).collect();
            datagram(&mut writer, &numbers, INCARNATION)
        };
        PacketDeck { datagrams: (0..DATAGRAMS).map(|_| one()).collect(), next: 0 }
    }

    /// The next datagram.
    #[inline]
    pub fn draw(&mut self) -> &[u8] {
        self.next += 1;
        if self.next >= self.datagrams.len() {
            self.next = 0;
        }
        &self.datagrams[self.next]
    }

    /// Bytes of a datagram, on average.
    pub fn bytes(&self) -> usize {
        self.datagrams.iter().map(Vec::len).sum::<usize>() / self.datagrams.len()
    }
}

/// A datagram about the members `numbers`, with a checksum.
fn datagram(writer: &mut Codec, numbers: &[usize], incarnation: u32) -> Vec<u8> {
    let mut plain = [0; FRAME_MAX];
    let mut compound = CompoundWriter::new(&mut plain, numbers.len()).expect("room for the lengths");
    for number in numbers {
        let alive = Alive {
            incarnation,
            node: &name_of(*number),
            address: address_of(*number),
            metadata: METADATA,
            versions: Versions::PLAIN,
        };
        assert!(compound.push(&Message::Alive(alive)), "the messages fit a packet");
    }
    let plain_len = compound.finish();
    let inner = writer.compress(&plain[..plain_len]).unwrap_or(&plain[..plain_len]).to_vec();
    let mut packet = vec![0; writer.sealed_len(inner.len(), true)];
    let at = writer.plain_offset(true);
    packet[at..at + inner.len()].copy_from_slice(&inner);
    writer.seal_packet(&mut packet, inner.len(), true);
    packet
}

/// The push/pull, not to join, of a member that knows all the others.
pub fn push_pull(form: Form, known: usize, incarnation: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = PushPullWriter::new(&mut bytes, false);
    for number in 0..known {
        let record = Record {
            incarnation,
            node: &name_of(number),
            address: address_of(number),
            metadata: METADATA,
            versions: Versions::PLAIN,
            state: State::Alive,
        };
        assert!(writer.record(&record), "a valid record");
    }
    assert!(writer.finish(&[]), "no user state fits");
    let mut codec = Codec::new(&form.options().codec(), [5; 32]).expect("valid options");
    codec.seal_stream(&mut bytes, 0, true);
    bytes
}

/// A push/pull of what such a member knows already.
pub fn known_push_pull(form: Form, known: usize) -> Vec<u8> {
    push_pull(form, known, INCARNATION)
}
