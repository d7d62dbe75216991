//! The members of one worker and what they need but the socket: a clock, streams, and what opens packets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swimring_codec::memberlist::{Codec, Keyring};
use swimring_codec::native::IdentityKey;
use swimring_codec::{Incarnation, canonical};

use super::aside::Aside;
use super::clock::Clock;
use super::counters::HostCounters;
use super::held_joins::HeldJoins;
use super::members::{HostedMember, HostedMembers};
use super::messages::Messages;
use super::observer::{EventContext, Observer};
use super::options::FleetOptions;
use super::other_versions::OtherVersions;
use super::sealing::{SealedStreams, Sealing};
use super::streams::Streams;
use super::waiting_streams::WaitingStreams;
use super::waiting_views::WaitingViews;
use super::zone_latency::HeldFrames;
use crate::net::{DriverKind, NetCounters};
use crate::protocol::{
    AdmissionRules, CheckedWire, FrameSink, Member, MemberConfig, MemberError, Outbox, Settings, SharedState,
    StreamPurpose, Time, View,
};
use crate::stream::StreamPort;

/// What happened at a member in one call that room is kept for: more happens only where a whole table is read.
const EVENTS_KEPT: usize = 4_096;

/// Seed of the nonces of encryption.
pub(super) type Secret = [u8; 32];

/// What a host begins with, made on the thread that starts the fleet.
pub(super) struct HostParts {
    address: SocketAddr,
    origin: Instant,
    rng: fastrand::Rng,
    shared: SharedState,
    opener: Option<Box<Codec>>,
    sealing: Option<(Box<Sealing>, SealedStreams)>,
}

impl HostParts {
    /// Of the worker numbered `worker`, which receives at `address`, in a fleet that began at `origin`.
    pub(super) fn new(
        options: &FleetOptions,
        wire: &CheckedWire,
        worker: usize,
        (address, origin): (SocketAddr, Instant),
        secrets: [Secret; 3],
    ) -> HostParts {
        let seed = options.seed.wrapping_add((worker as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut shared = SharedState::speaking(wire, rng.u64(..), secrets[0]);
        if let Some(identities) = &options.identities {
            shared.use_identities(options.cluster, Arc::clone(&identities.admitted));
        }
        let opener = wire.codec(secrets[1]).map(Box::new);
        let sealing = wire.encryption().map(|encryption| {
            let streams = SealedStreams::new(encryption, secrets[2]);
            (Box::new(Sealing::new(encryption, secrets[1], options.members_expected)), streams)
        });
        HostParts { address, origin, rng, shared, opener, sealing }
    }
}

/// The members of one worker.
pub struct Host<O> {
    /// The observer of what happens.
    pub observer: O,
    pub(super) members: HostedMembers,
    pub(super) streams: Streams,
    /// Codec that opens packets and streams; none in the native format.
    pub(super) opener: Option<Box<Codec>>,
    /// What opens the native format where it is encrypted.
    pub(super) sealing: Option<Box<Sealing>>,
    pub(super) clock: Clock,
    pub(super) counters: HostCounters,
    pub(super) other_versions: OtherVersions,
    /// Joins and views that failed, whose members have not been told.
    pub(super) failed_streams: Vec<(HostedMember, StreamPurpose)>,
    pub(super) stopping: bool,
    pub(super) paused: bool,
    /// Stream events that wait until all datagrams have been read.
    pub(super) waiting_streams: WaitingStreams,
    /// Views that members want, and that wait for others.
    pub(super) waiting_views: WaitingViews,
    /// Joins that are answered together.
    pub(super) held_joins: HeldJoins,
    /// Whether stream events are left for the next turn.
    pub(super) more_streams: bool,
    /// Whether timers that are due are left for the next turn.
    pub(super) more_timers: bool,
    /// Share of datagrams to lose, of 2^32.
    loss: u64,
    /// Acknowledgements that wait while other things lie unread.
    pub(super) aside: Aside,
    /// Frames from other zones, in a fleet whose zones are apart.
    pub(super) held: Option<Box<HeldFrames>>,
    /// Direct messages over streams, once there is one.
    pub(super) messages: Option<Box<Messages>>,
    /// How long a stream of direct messages is used: half of what an exchange may take.
    pub(super) stream_life: Duration,
    pub(super) rng: fastrand::Rng,
    address: SocketAddr,
    pub(super) cluster: u32,
    settings: Arc<Settings>,
    pub(super) admission: AdmissionRules,
    net: NetCounters,
    driver: Option<DriverKind>,
}

impl<O: Observer> Host<O> {
    pub(super) fn new(options: &FleetOptions, parts: HostParts, port: StreamPort, observer: O) -> Host<O> {
        let (sealing, sealed_streams) = parts.sealing.unzip();
        Host {
            observer,
            members: HostedMembers::new(options, parts.address.ip(), parts.shared),
            streams: Streams::new(options, port, sealed_streams),
            opener: parts.opener,
            sealing,
            clock: Clock::new(parts.origin),
            counters: HostCounters::default(),
            other_versions: OtherVersions::new(),
            failed_streams: Vec::new(),
            stopping: false,
            paused: false,
            waiting_streams: WaitingStreams::new(),
            waiting_views: WaitingViews::default(),
            held_joins: HeldJoins::new(),
            more_streams: false,
            more_timers: false,
            loss: (options.receive_loss.clamp(0.0, 1.0) * 4_294_967_296.0) as u64,
            aside: Aside::new(options.members_expected),
            held: options.zone_latency.map(|latency| Box::new(HeldFrames::new(latency))),
            messages: None,
            stream_life: options.stream.exchange_timeout / 2,
            rng: parts.rng,
            address: parts.address,
            cluster: options.cluster,
            settings: Arc::clone(&options.settings),
            admission: options.admission.clone(),
            net: NetCounters::default(),
            driver: None,
        }
    }

    /// Where the members of this worker receive.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The time now, from the fleet's start.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// What the members share.
    pub fn shared(&self) -> &SharedState {
        &self.members.shared
    }

    /// What this worker counted.
    pub fn counters(&self) -> HostCounters {
        let sealed = self.sealing.as_ref().map(|sealing| sealing.counters()).unwrap_or_default();
        HostCounters { sealed, ..self.counters }
    }

    /// What the driver counted, as of the beginning of this turn.
    pub fn net_counters(&self) -> NetCounters {
        self.net
    }

    /// Which driver runs.
    pub fn driver(&self) -> Option<DriverKind> {
        self.driver
    }

    pub(super) fn note_driver(&mut self, kind: DriverKind, counters: NetCounters) {
        self.driver = Some(kind);
        self.net = counters;
    }

    /// How many members were not killed.
    pub fn alive(&self) -> usize {
        self.members.alive()
    }

    /// How many members were added, the killed ones among them.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no member was added.
    pub fn is_empty(&self) -> bool {
        self.members.len() == 0
    }

    /// A member, if it is there and was not killed.
    pub fn member(&self, local: HostedMember) -> Option<&Member> {
        self.members.get(local)
    }

    /// The members that were not killed.
    pub fn members(&self) -> impl Iterator<Item = (HostedMember, &Member)> {
        self.members.iter()
    }

    /// Adds a member without a zone that knows only itself and is reached where this worker receives.
    ///
    /// # Errors
    /// As [`Member::new`].
    pub fn add(
        &mut self,
        name: &str,
        metadata: &[u8],
        incarnation: Incarnation,
    ) -> Result<HostedMember, MemberError> {
        self.add_at(self.address, name, metadata, "", incarnation)
    }

    /// Adds a member of `zone`, empty for none, that others reach at `address`, which leads here: through a translated
    /// address, or because the worker is bound to all of the machine's.
    ///
    /// # Errors
    /// As [`Member::new`].
    pub fn add_at(
        &mut self,
        address: SocketAddr,
        name: &str,
        metadata: &[u8],
        zone: &str,
        incarnation: Incarnation,
    ) -> Result<HostedMember, MemberError> {
        self.add_with_key((address, zone), name, metadata, incarnation, None)
    }

    /// The same with the member's key, where members have identities ([`FleetOptions::identities`]); without one elsewhere.
    ///
    /// # Errors
    /// As [`Member::new`] and [`Member::with_key`].
    pub fn add_with_key(
        &mut self,
        (address, zone): (SocketAddr, &str),
        name: &str,
        metadata: &[u8],
        incarnation: Incarnation,
        key: Option<&IdentityKey>,
    ) -> Result<HostedMember, MemberError> {
        let config = MemberConfig {
            name: name.to_owned(),
            address: canonical(address),
            metadata: metadata.to_vec(),
            zone: zone.to_owned(),
            cluster: self.cluster,
            incarnation,
            seed: self.rng.u64(..),
            settings: Arc::clone(&self.settings),
        };
        let local = self.members.add(config, key, &self.admission, self.clock.now())?;
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
        self.members.load_views(&self.settings, elsewhere)
    }

    /// Calls a member's command and sees to what it put out.
    pub fn command<R>(
        &mut self,
        local: HostedMember,
        frames: &mut dyn FrameSink,
        command: impl FnOnce(&mut Member, Time, &mut SharedState, &mut Outbox<'_>) -> R,
    ) -> Option<R> {
        let now = self.clock.now();
        let (member, shared, mut out) = self.members.reach(local, frames)?;
        let result = command(member, now, shared, &mut out);
        self.settle(local);
        Some(result)
    }

    /// Gives up the join that `local` began with `token`. Without effect once the seed's view is in; if it
    /// is not, neither [`Observer::join_failed`] nor [`Event::JoinFinished`](crate::protocol::Event::JoinFinished)
    /// follows.
    pub fn cancel_join(&mut self, local: HostedMember, token: u32) {
        self.streams.cancel_join(local, token);
        self.members.give_up_join(local);
    }

    /// Makes a member vanish without a word: what arrives for it is dropped from now on.
    pub fn kill(&mut self, local: HostedMember) {
        self.members.kill(local);
    }

    /// Whether there are keys that could be changed: not where the native format is spoken without encryption.
    pub fn encrypts(&self) -> bool {
        self.opener.is_some() || self.sealing.is_some()
    }

    /// Changes the keys that packets and streams are opened and sealed with: all as `change` says, or, if it
    /// fails, none. Without effect where nothing is encrypted.
    ///
    /// # Errors
    /// What `change` gives.
    pub fn change_keys<E>(&mut self, change: impl FnOnce(&mut Keyring) -> Result<(), E>) -> Result<(), E> {
        let (Some(opener), Some(sealer)) = (&mut self.opener, self.members.shared.codec_mut()) else {
            return self.change_sealing_keys(change);
        };
        let mut keys = sealer.keyring().clone();
        change(&mut keys)?;
        *opener.keyring_mut() = keys.clone();
        *sealer.keyring_mut() = keys;
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
        let now = self.clock.now();
        self.members.change_all(now, |member, shared| member.restart_timers(now, shared));
    }

    /// Ends the worker's loop after this turn.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether the datagram that has just arrived is to be lost.
    #[inline]
    pub(super) fn loses_a_datagram(&mut self) -> bool {
        self.loss > 0 && u64::from(self.rng.u32(..)) < self.loss
    }

    /// After a call on a member: tells the observer, opens streams, sets the timer.
    #[inline]
    pub(super) fn settle(&mut self, local: HostedMember) {
        if !self.members.output.events.is_empty() {
            self.tell_observer(local);
        }
        self.members.arm(local, self.clock.now());
        if !self.members.output.streams.is_empty() {
            self.open_streams(local);
        }
    }

    fn tell_observer(&mut self, local: HostedMember) {
        if let Some(member) = self.members.get(local) {
            let context = EventContext { now: self.clock.now(), local, member, shared: &self.members.shared };
            for event in &self.members.output.events {
                self.observer.event(&context, event);
            }
        }
        let events = &mut self.members.output.events;
        events.clear();
        if events.capacity() > EVENTS_KEPT {
            // A member has read a table of many. It keeps what it knows, and not what it said of it.
            events.shrink_to(EVENTS_KEPT);
        }
    }
}

impl<O> std::fmt::Debug for Host<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("address", &self.address).field("members", &self.members.len()).finish()
    }
}
