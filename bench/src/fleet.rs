//! Members with complete views, as a finished join would have left them.

use std::net::SocketAddr;
use std::sync::Arc;

use swimring::protocol::settings::Dissemination;
use swimring::protocol::{
    Event, Member, MemberConfig, Outbox, Preset, Settings, SharedState, StreamOpen, Time, View,
};
use swimring_codec::native::{FRAME_MAX, Frame, FrameHeader, FrameWriter, Introduction, Message};
use swimring_codec::{Incarnation, MemberId, State};

use crate::Sink;

/// The incarnation of every member.
pub const INCARNATION: Incarnation = Incarnation::new(1_700_000_000);

/// The cluster of every member and frame.
pub const CLUSTER: u32 = 7;

const METADATA: &[u8] = b"zone=eu-1;version=12";

/// The name of member `number`.
pub fn name_of(number: usize) -> String {
    format!("web-{number:05}.eu-1.example")
}

/// The id of member `number`.
pub fn id_of(number: usize) -> MemberId {
    MemberId::of_name(&name_of(number))
}

/// Address of member `number`.
pub fn address_of(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 7946 + (number >> 16) as u16))
}

/// The introduction of member `number`.
pub(crate) fn introduction(number: usize, name: &str) -> Introduction<'_> {
    Introduction {
        subject: MemberId::of_name(name),
        incarnation: INCARNATION,
        state: State::Alive,
        address: address_of(number),
        name,
        metadata: METADATA,
        zone: "",
    }
}

/// The settings of every member: a LAN's, with gossip, whose queue and rounds are what most benches measure.
pub fn settings() -> Settings {
    Settings { dissemination: Dissemination::Gossip, ..Settings::preset(Preset::Lan) }
}

/// Some members, and what they share.
#[derive(Debug)]
pub struct Fleet {
    /// Members `0..`, all here.
    pub members: Vec<Member>,
    /// What is around them.
    pub scenery: Scenery,
}

/// What a member is given with every call.
#[derive(Debug)]
pub struct Scenery {
    /// The shared storage.
    pub commons: SharedState,
    /// Takes frames.
    pub sink: Sink,
    /// Streams asked for.
    pub streams: Vec<StreamOpen>,
    /// What happened.
    pub events: Vec<Event>,
    /// The time: moves only where a bench moves it.
    pub now: Time,
    gossip_budget: u32,
}

impl Fleet {
    /// `members` members in one process, each with a view of `known` members: themselves, and others
    /// that live elsewhere.
    pub fn new(members: usize, known: usize) -> Fleet {
        Fleet::with(members, known, settings())
    }

    /// The same with other settings than those of [`settings`].
    pub fn with(members: usize, known: usize, settings: Settings) -> Fleet {
        assert!(members <= known, "every member knows itself and its neighbours");
        let now = Time::from_micros(1_000_000);
        let settings = Arc::new(settings);
        let mut commons = SharedState::new(1);
        commons.reserve(members, known, 64);
        let mut fleet: Vec<Member> =
            (0..members).map(|number| member(number, &settings, &mut commons, now)).collect();
        let mut view = View::of(&fleet, &mut commons);
        for number in members..known {
            let name = name_of(number);
            view.add(&introduction(number, &name), &settings, &mut commons).expect("room for everyone");
        }
        for member in &mut fleet {
            member.load(&view, &mut commons);
        }
        view.release(&mut commons);
        let scenery = Scenery {
            commons,
            sink: Sink::default(),
            streams: Vec::new(),
            events: Vec::new(),
            now,
            gossip_budget: u32::MAX,
        };
        Fleet { members: fleet, scenery }
    }

    /// Has the member at `number` handle a datagram as a driver would: decode, handle, drain, and ask for
    /// the next timer.
    #[inline]
    pub fn handle(&mut self, number: usize, datagram: &[u8], from: SocketAddr) -> Time {
        let frame = Frame::decode(datagram).expect("a frame");
        let member = &mut self.members[number];
        self.scenery.call(|now, commons, out| member.handle_frame(now, from, &frame, commons, out));
        self.scenery.streams.clear();
        self.scenery.events.clear();
        self.members[number].next_timeout()
    }

    /// Has the member at `number` do what is due.
    #[inline]
    pub fn timeout(&mut self, number: usize) -> Time {
        let member = &mut self.members[number];
        self.scenery.call(|now, commons, out| member.handle_timeout(now, commons, out));
        self.scenery.streams.clear();
        self.scenery.events.clear();
        self.members[number].next_timeout()
    }

    /// Has the member at `number` do what is due, and answers the ping if it sends one.
    #[inline]
    pub fn probe(&mut self, number: usize) -> Time {
        let sent = self.scenery.sink.frames;
        let due = self.timeout(number);
        if self.scenery.sink.frames == sent {
            return due;
        }
        let ping = Frame::decode(self.scenery.sink.last()).expect("a frame");
        let Some(Ok(Message::Ping { sequence, event_root })) = ping.messages().last() else { return due };
        let header = FrameHeader {
            source: ping.header.destination,
            destination: ping.header.source,
            quiet: true,
            ..ping.header
        };
        let mut ack = [0; FRAME_MAX];
        let mut writer = FrameWriter::new(header, &mut ack).expect("room for a header");
        writer.push(&Message::Ack { sequence, event_root });
        let used = writer.len();
        let used = writer.finish_padded(used);
        self.handle(number, &ack[..used], address_of(0))
    }
}

impl Scenery {
    /// Calls a member.
    #[inline]
    pub fn call<R>(&mut self, call: impl FnOnce(Time, &mut SharedState, &mut Outbox<'_>) -> R) -> R {
        let mut out = Outbox {
            frames: &mut self.sink,
            streams: &mut self.streams,
            events: &mut self.events,
            gossip_budget: &mut self.gossip_budget,
        };
        call(self.now, &mut self.commons, &mut out)
    }
}

fn member(number: usize, settings: &Arc<Settings>, commons: &mut SharedState, now: Time) -> Member {
    let config = MemberConfig {
        name: name_of(number),
        address: address_of(number),
        metadata: METADATA.to_vec(),
        zone: String::new(),
        cluster: CLUSTER,
        incarnation: INCARNATION,
        seed: number as u64,
        settings: Arc::clone(settings),
    };
    Member::new(config, commons, now).expect("a valid member")
}
