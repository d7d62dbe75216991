//! The members of one worker and everything they need but the socket.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;
use swimring_codec::memberlist::{self, Codec, Keyring};
use swimring_codec::{Incarnation, MemberId, canonical};

use super::FleetOptions;
use super::join_error::JoinFailure;
use super::routing::OpenedStreams;
use super::sweeping::Sweeping;
use super::wheel::Wheel;
use crate::protocol::{
    Crew, Event, FrameSink, Member, MemberConfig, MemberError, Outbox, Settings, SharedState, StreamOpen,
    StreamPurpose, Time, View, WireOptions,
};
use crate::stream::StreamPort;

/// What encryption draws its nonces from.
pub(super) type Secret = [u8; 32];

/// A member's number within its worker.
pub type HostedMember = u32;

/// Milliseconds that the wheel sees ahead: longer than most timers run.
const WHEEL_SLOTS: usize = 4096;

/// Bytes of a record in a push/pull: the header and a name of average length; in memberlist's format, which
/// names every field, some metadata as well.
const RECORD_BYTES: usize = 64;
const MEMBERLIST_RECORD_BYTES: usize = 128;
/// Smaller buffers do not count as large ones.
const VIEW_BYTES_LEAST: usize = 64 << 10;
/// Stream buffers set aside for a fleet: small turns under way, and whole views on their way.
const BUFFERS_ASIDE: usize = 128;
pub(super) const VIEWS_ASIDE: usize = 8;

/// Bytes of a whole view, as far as memory is set aside for it.
pub(super) fn view_bytes(options: &FleetOptions) -> usize {
    let record = if options.wire.is_native() { RECORD_BYTES } else { MEMBERLIST_RECORD_BYTES };
    (options.known_expected * record).max(VIEW_BYTES_LEAST)
}

/// Hears what happens to the members of a worker, on the worker's thread: it must be quick and must not
/// block.
pub trait Observer: Send + 'static {
    /// Something happened at a member.
    fn event(&mut self, context: &EventContext<'_>, event: &Event);

    /// A member's timers fired `lag_us` microseconds after the tick they were due at.
    fn timer(&mut self, lag_us: u64) {
        let _ = lag_us;
    }

    /// A packet of memberlist's format brought `message` to a member, before it is handled.
    #[inline]
    fn heard(
        &mut self,
        now: Time,
        member: HostedMember,
        from: SocketAddr,
        message: &memberlist::Message<'_>,
    ) {
        let _ = (now, member, from, message);
    }

    /// A packet for a member could not be opened: another key, another label, damage. Nothing in it is handled.
    fn refused(&mut self, now: Time, from: SocketAddr, reason: memberlist::DecodeError) {
        let _ = (now, from, reason);
    }

    /// A stream to join through ended without a view. [`Event::JoinFinished`] follows.
    fn join_failed(&mut self, member: HostedMember, token: u32, reason: &JoinFailure) {
        let _ = (member, token, reason);
    }
}

/// Where an event happened.
#[derive(Debug)]
pub struct EventContext<'a> {
    /// When.
    pub now: Time,
    /// The member's number within its worker.
    pub local: HostedMember,
    /// The member.
    pub member: &'a Member,
    /// What resolves indexes.
    pub shared: &'a SharedState,
}

/// What a worker counts besides what the protocol and the driver do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounters {
    /// Turns of the loop.
    pub turns: u64,
    /// Times a member's timers fired.
    pub timers_fired: u64,
    /// Datagrams that could not be decoded, by [`swimring_codec::native::DecodeError::index`].
    pub refused: [u64; swimring_codec::native::DecodeError::KINDS],
    /// Packets and streams of memberlist's format that could not be opened, by
    /// [`memberlist::DecodeError::index`].
    pub refused_packets: [u64; memberlist::DecodeError::KINDS],
    /// Datagrams for nobody who lives here.
    pub unrouted: u64,
    /// Datagrams dropped on purpose.
    pub lost: u64,
    /// Streams that could not be opened because too many are open.
    pub streams_shed: u64,
    /// Turns whose timers came more than 100 ms late: gossip is slowed and local health lowered.
    pub turns_late: u64,
    /// Turns that found datagrams lost in a full receive buffer, or that left some unread because more arrive
    /// than can be read: gossip is slowed, and probes that fail meanwhile are repeated before they are believed.
    pub turns_swamped: u64,
    /// Times that members were told that time had been lost.
    pub stalls: u64,
    /// The longest that bringing members' views to a shared base has held up a turn, in microseconds of CPU
    /// time. See [`crate::protocol::Compaction`].
    pub sweep_us_max: u64,
}

/// A member and when the wheel will next call it.
pub(super) struct HostedMemberState {
    pub(super) member: Member,
    /// Whether it takes part: a killed member stays as a number only.
    pub(super) present: bool,
    /// Where it receives and sends from, if it has an address of its own.
    pub(super) source: Option<IpAddr>,
}

impl Crew for Vec<HostedMemberState> {
    fn places(&self) -> usize {
        self.len()
    }

    fn member_at(&mut self, place: usize) -> Option<&mut Member> {
        self.get_mut(place).filter(|resident| resident.present).map(|resident| &mut resident.member)
    }
}

/// The members of one worker.
pub struct Host<O> {
    /// Who hears what happens.
    pub observer: O,
    pub(super) residents: Vec<HostedMemberState>,
    pub(super) local: HashMap<MemberId, HostedMember>,
    /// Members with an address of their own, by it.
    pub(super) at: HashMap<IpAddr, HostedMember>,
    /// Opens packets and streams; nothing in the native format.
    pub(super) codec: Option<Box<Codec>>,
    /// Members have an address each.
    pub(super) own_addresses: bool,
    pub(super) shared: SharedState,
    pub(super) wheel: Wheel,
    pub(super) sweeping: Sweeping,
    pub(super) port: StreamPort,
    pub(super) opened: OpenedStreams,
    pub(super) wanted: Vec<StreamOpen>,
    pub(super) events: Vec<Event>,
    pub(super) counters: HostCounters,
    pub(super) now: Time,
    pub(super) origin: Instant,
    pub(super) rng: fastrand::Rng,
    /// Loss as a share of 2^32.
    pub(super) loss: u64,
    pub(super) gossip_budget: u32,
    pub(super) stopping: bool,
    pub(super) paused: bool,
    pub(super) address: SocketAddr,
    /// Datagrams that may still be handled before the clock is read again.
    pub(super) unread: u32,
    /// Joins that came to nothing, whose members have not been told.
    pub(super) failures: Vec<(HostedMember, StreamPurpose)>,
    /// Where members write their stream replies.
    pub(super) reply: Vec<u8>,
    /// Stream events are left for the next turn.
    pub(super) more_streams: bool,
    /// Timers that are due are left for the next turn.
    pub(super) more_timers: bool,
    options: FleetOptions,
    net: crate::net::NetCounters,
    driver: Option<crate::net::DriverKind>,
}

impl<O: Observer> Host<O> {
    pub(super) fn new(
        options: &FleetOptions,
        worker: usize,
        address: SocketAddr,
        origin: Instant,
        port: StreamPort,
        secrets: [Secret; 2],
        observer: O,
    ) -> Host<O> {
        let seed = options.seed.wrapping_add((worker as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut rng = fastrand::Rng::with_seed(seed);
        // Options were checked when the fleet started.
        let mut shared = SharedState::speaking(&options.wire, rng.u64(..), secrets[0])
            .unwrap_or_else(|_| SharedState::new(rng.u64(..)));
        shared.set_timer_grain(options.tick);
        let members = options.members_expected;
        let view_bytes = view_bytes(options);
        let mut port = port;
        if members > 0 {
            port.set_aside(BUFFERS_ASIDE, VIEWS_ASIDE, view_bytes);
        }
        if members > 0 {
            shared.reserve(members, options.known_expected, options.settings.events_max as usize);
        }
        let mut wheel = Wheel::new(Time::ZERO, WHEEL_SLOTS);
        wheel.reserve(members as u32);
        Host {
            observer,
            residents: Vec::with_capacity(members),
            local: HashMap::with_capacity(members),
            at: HashMap::with_capacity(if options.own_addresses { members } else { 0 }),
            codec: codec(&options.wire, secrets[1]),
            own_addresses: options.own_addresses,
            shared,
            wheel,
            sweeping: Sweeping::default(),
            port,
            opened: OpenedStreams::new(options.stream.exchanges_max),
            wanted: Vec::with_capacity(64),
            events: Vec::with_capacity(1024),
            counters: HostCounters::default(),
            now: Time::ZERO,
            origin,
            rng,
            loss: (options.receive_loss.clamp(0.0, 1.0) * 4_294_967_296.0) as u64,
            gossip_budget: 0,
            stopping: false,
            paused: false,
            address,
            unread: 0,
            failures: Vec::new(),
            reply: Vec::with_capacity(view_bytes),
            more_streams: false,
            more_timers: false,
            options: options.clone(),
            net: crate::net::NetCounters::default(),
            driver: None,
        }
    }

    /// Where the members of this worker receive.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The time now, from the fleet's start.
    pub fn now(&self) -> Time {
        self.now
    }

    /// What the members have in common.
    pub fn shared(&self) -> &SharedState {
        &self.shared
    }

    /// What this worker counted.
    pub fn counters(&self) -> HostCounters {
        self.counters
    }

    /// What the driver counted, as of the beginning of this turn.
    pub fn net_counters(&self) -> crate::net::NetCounters {
        self.net
    }

    /// Which driver runs.
    pub fn driver(&self) -> Option<crate::net::DriverKind> {
        self.driver
    }

    pub(super) fn note_driver(&mut self, kind: crate::net::DriverKind, counters: crate::net::NetCounters) {
        self.driver = Some(kind);
        self.net = counters;
    }

    /// How many members were not killed.
    pub fn alive(&self) -> usize {
        self.local.len()
    }

    /// How many members were added, the killed ones among them.
    pub fn len(&self) -> usize {
        self.residents.len()
    }

    /// Whether no member was added.
    pub fn is_empty(&self) -> bool {
        self.residents.is_empty()
    }

    /// A member, if it is there and was not killed.
    pub fn member(&self, local: HostedMember) -> Option<&Member> {
        self.residents
            .get(local as usize)
            .filter(|resident| resident.present)
            .map(|resident| &resident.member)
    }

    /// The members that were not killed.
    pub fn members(&self) -> impl Iterator<Item = (HostedMember, &Member)> {
        let present = self.residents.iter().enumerate().filter(|(_, resident)| resident.present);
        present.map(|(local, resident)| (local as HostedMember, &resident.member))
    }

    /// Adds a member that knows only itself and is reached where this worker receives.
    ///
    /// # Errors
    /// As [`Member::new`].
    pub fn add(
        &mut self,
        name: &str,
        metadata: &[u8],
        incarnation: Incarnation,
    ) -> Result<HostedMember, MemberError> {
        self.add_at(self.address, name, metadata, incarnation)
    }

    /// Adds a member that others reach at `address`, which leads here: through a translated address, or
    /// because the worker is bound to all of the machine's.
    ///
    /// # Errors
    /// As [`Member::new`].
    pub fn add_at(
        &mut self,
        address: SocketAddr,
        name: &str,
        metadata: &[u8],
        incarnation: Incarnation,
    ) -> Result<HostedMember, MemberError> {
        let address = canonical(address);
        let config = MemberConfig {
            name: name.to_owned(),
            address,
            metadata: metadata.to_vec(),
            cluster: self.options.cluster,
            incarnation,
            seed: self.rng.u64(..),
            settings: Arc::clone(&self.options.settings),
        };
        let id = MemberId::of_name(name);
        if self.local.contains_key(&id) {
            return Err(MemberError::NameTaken);
        }
        if self.own_addresses && self.at.contains_key(&address.ip()) {
            return Err(MemberError::AddressTaken(address));
        }
        let member = Member::new(config, &mut self.shared, self.now)?;
        let local = self.residents.len() as HostedMember;
        let source = self.own_addresses.then_some(address.ip());
        self.residents.push(HostedMemberState { member, present: true, source });
        self.local.insert(id, local);
        if let Some(source) = source {
            self.at.insert(source, local);
        }
        self.settle(local);
        Ok(local)
    }

    /// Gives every member the same complete view, made of this worker's members and those that `elsewhere`
    /// adds to it, as a finished join would have.
    ///
    /// # Errors
    /// What `elsewhere` gives.
    pub fn load_views(
        &mut self,
        elsewhere: impl FnOnce(&mut View, &Settings, &mut SharedState) -> Result<(), MemberError>,
    ) -> Result<(), MemberError> {
        let present = self.residents.iter().filter(|resident| resident.present);
        let mut view = View::of(present.map(|resident| &resident.member), &mut self.shared);
        let outcome = elsewhere(&mut view, &self.options.settings, &mut self.shared);
        if outcome.is_ok() {
            let present = self.residents.iter_mut().filter(|resident| resident.present);
            view.load(present.map(|resident| &mut resident.member), &mut self.shared);
        }
        view.release(&mut self.shared);
        outcome
    }

    /// Calls a member's command and sees to what it put out.
    pub fn command<R>(
        &mut self,
        local: HostedMember,
        frames: &mut dyn FrameSink,
        command: impl FnOnce(&mut Member, Time, &mut SharedState, &mut Outbox<'_>) -> R,
    ) -> Option<R> {
        let resident = self.residents.get_mut(local as usize).filter(|resident| resident.present)?;
        frames.set_source(resident.source);
        let mut out = Outbox {
            frames,
            streams: &mut self.wanted,
            events: &mut self.events,
            gossip_budget: &mut self.gossip_budget,
        };
        let result = command(&mut resident.member, self.now, &mut self.shared, &mut out);
        self.settle(local);
        Some(result)
    }

    /// Gives up the join that `local` began with `token`. Without effect once the seed's view is in; if it
    /// is not, neither [`Observer::join_failed`] nor [`Event::JoinFinished`] follows.
    pub fn cancel_join(&mut self, local: HostedMember, token: u32) {
        if let Some(exchange) = self.opened.abandon_join(local, token) {
            // A full queue leaves it to the deadline.
            self.port.close(exchange);
        }
    }

    /// Makes a member vanish without a word: what arrives for it is dropped from now on.
    pub fn kill(&mut self, local: HostedMember) {
        let Some(resident) = self.residents.get_mut(local as usize) else { return };
        if resident.present {
            resident.present = false;
            self.local.remove(&resident.member.id());
            if let Some(source) = resident.source {
                self.at.remove(&source);
            }
            resident.member.release(&mut self.shared);
            self.wheel.cancel(local);
        }
    }

    /// Changes the keys that packets and streams are opened and sealed with. `change` is called once for each
    /// of the two. Nothing in the native format.
    ///
    /// # Errors
    /// What `change` gives.
    pub fn change_keys<E>(&mut self, mut change: impl FnMut(&mut Keyring) -> Result<(), E>) -> Result<(), E> {
        if let Some(codec) = &mut self.codec {
            change(codec.keyring_mut())?;
        }
        if let Some(codec) = self.shared.codec_mut() {
            change(codec.keyring_mut())?;
        }
        Ok(())
    }

    /// Keeps timers from firing until [`Host::resume`]: thousands of members take seconds to set up, and
    /// those that are ready would take the others for dead.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Lets timers fire, all members' starting from now.
    pub fn resume(&mut self) {
        self.paused = false;
        for (local, resident) in self.residents.iter_mut().enumerate() {
            if resident.present {
                resident.member.restart_timers(self.now, &self.shared);
                self.wheel.schedule(local as HostedMember, resident.member.next_timeout());
            }
        }
    }

    /// Ends the worker's loop after this turn.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// After a call on a member: tells the observer, opens streams, sets the timer.
    #[inline]
    pub(super) fn settle(&mut self, local: HostedMember) {
        let member = &self.residents[local as usize].member;
        if !self.events.is_empty() {
            let context = EventContext { now: self.now, local, member, shared: &self.shared };
            for event in &self.events {
                self.observer.event(&context, event);
            }
            self.events.clear();
        }
        self.wheel.schedule(local, member.next_timeout());
        if !self.wanted.is_empty() {
            self.open_streams(local);
        }
    }
}

/// What opens packets and streams of the format.
fn codec(wire: &WireOptions, secret: Secret) -> Option<Box<Codec>> {
    match wire {
        WireOptions::Native => None,
        // Options were checked when the fleet started.
        WireOptions::Memberlist(options) => Codec::new(&options.codec(), secret).ok().map(Box::new),
    }
}

impl<O> std::fmt::Debug for Host<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("address", &self.address)
            .field("members", &self.residents.len())
            .finish()
    }
}
