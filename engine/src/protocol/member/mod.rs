//! A member of the cluster: the whole protocol as a plain value.
//!
//! Each concern lies in a room below and owns its state; here they are put together. This file has the timers, `commands` what an
//! application asks for, `admission` who may come into the view, `frames` and `streams` what arrives, `merge` which of two beliefs wins, `clash` the same in one incarnation, `records` for whole
//! views, `repaired` for what differs of one, `detection` what probes and suspicions find. `compaction` keeps the views of many members small.
//!
//! # How to drive it
//!
//! A [`Member`] has no clock, socket or thread. Its methods fall into four families:
//! - *inputs*, to be called when something happens: [`Member::handle_frame`],
//!   [`Member::handle_stream`], [`Member::handle_stream_closed`], and [`Member::handle_timeout`] once
//!   `now` has reached [`Member::next_timeout`]; a driver that was behind in reading may call [`Member::handle_read`];
//! - *commands*: [`Member::join`], [`Member::leave`], [`Member::update_metadata`],
//!   [`Member::send_event`];
//! - *outputs*, written to the [`Outbox`] that every input and command is given: frames first, straight
//!   into the driver's send buffers; then `streams` to open; then `events`. After each call the driver
//!   drains both vectors, in this order, before the next call on any member of the same [`SharedState`], and
//!   asks for [`Member::next_timeout`] again;
//! - *getters*, which change nothing.
//!
//! `now` must never go backwards. Calling `handle_timeout` early or late is harmless; late is what the
//! member cannot know about itself, which is what [`SharedState::set_overload`] is for. The same seed and
//! the same inputs give the same bytes out.

mod admission;
mod candidates;
mod clash;
mod commands;
mod compaction;
mod detection;
mod direct;
mod frames;
mod identity_check;
mod key_values;
mod merge;
mod past_life;
mod records;
mod repaired;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring_codec::identity::{METADATA_MAX, NAME_MAX, ZONE_MAX};
use swimring_codec::native::{IDENTITY_METADATA_MAX, IdentityKey, Introduction, PublicKey};
use swimring_codec::{AddressFault, Incarnation, MemberId, State, canonical};
use thiserror::Error;

use crate::protocol::detection::neighbours::Neighbours;
use crate::protocol::detection::probe::Probe;
use crate::protocol::detection::reachability::Reachability;
use crate::protocol::detection::refutation::Refutations;
use crate::protocol::detection::relay::Relays;
use crate::protocol::detection::return_probes::ReturnProbes;
use crate::protocol::detection::suspicion::Suspicions;
use crate::protocol::dissemination::gossip::Gossip;
use crate::protocol::dissemination::spread_estimate::SpreadEstimate;
use crate::protocol::key_values::KeyValues;
use crate::protocol::member::admission::Admission;
use crate::protocol::member::past_life::PastLife;
use crate::protocol::outbox::Outbox;
use crate::protocol::pools::broadcasts::Queue;
use crate::protocol::pools::delegations::Delegations;
use crate::protocol::pools::events::EventStore;
use crate::protocol::pools::unheard::UnheardList;
use crate::protocol::repair::events::EventRepair;
use crate::protocol::repair::push_pull::AntiEntropy;
use crate::protocol::repair::reconnect::Reconnect;
use crate::protocol::repair::views::ViewRepair;
use crate::protocol::serf::Serf;
use crate::protocol::settings::Settings;
use crate::protocol::state::local_health::LocalHealth;
use crate::protocol::state::{Context, Core, SharedState, Status, chosen_probe_interval};
use crate::protocol::time::Time;
use crate::protocol::view::departed::Departed;
use crate::protocol::view::directory::Full;
use crate::protocol::view::entry::Entry;
use crate::protocol::view::table::Table;
use crate::protocol::view::zones::ZONES_MAX;
use crate::protocol::wire::Update;

pub use admission::{AdmissionRules, CANDIDATES_MAX, NotAdmittedReason, VERDICTS_MAX};
pub use candidates::CandidateRef;
pub use commands::{MemberRef, View, check_event};
pub use compaction::{COMPACTION_MEMBERS_MAX, Compaction, Crew};
pub use streams::{StreamNext, StreamOutcome};

/// Who a member is.
#[derive(Clone, Debug)]
pub struct MemberConfig {
    /// Its name, unique in the cluster: 1 to [`NAME_MAX`] bytes.
    pub name: String,
    /// Where others reach it, datagrams and streams alike.
    pub address: SocketAddr,
    /// Up to [`METADATA_MAX`] bytes that every member gets to see.
    pub metadata: Vec<u8>,
    /// The zone that it is in, up to [`ZONE_MAX`] bytes: of what is told to everyone one copy goes to each zone
    /// (delegated broadcast on the native wire; elsewhere it has no effect). Empty for none.
    pub zone: String,
    /// Number of its cluster. Frames of others are dropped.
    pub cluster: u32,
    /// Where its incarnation starts: seconds of wall time, so that a restart outranks its own past. Brought to at
    /// most half of what the wire format can carry: a member at the last incarnation could not refute.
    pub incarnation: Incarnation,
    /// Seed for all its random choices.
    pub seed: u64,
    /// The protocol's constants.
    pub settings: Arc<Settings>,
}

/// Why a member or a command was refused.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The name is empty.
    #[error("the name is empty: give the member a name")]
    NameEmpty,
    /// Nobody could read the name, or tell it from another that looks like it.
    #[error("the name has only blanks: give the member a name that can be read")]
    NameBlank,
    /// The name would break the lines of every log and list that it is in.
    #[error("the name has a character like a newline in it ({0:?}): leave it out")]
    NameControl(char),
    /// The name is too long.
    #[error("the name has {0} bytes: use at most {NAME_MAX}")]
    NameTooLong(usize),
    /// The metadata is too large.
    #[error("the metadata has {0} bytes: use at most {METADATA_MAX}")]
    MetadataTooLarge(usize),
    /// The metadata is too large beside a key and a signature.
    #[error("the metadata has {0} bytes: use at most {IDENTITY_METADATA_MAX} where members have identities")]
    SignedMetadataTooLarge(usize),
    /// The members of the cluster have identities, and this one was given none.
    #[error("the members of this cluster have identities: give this one a key, too")]
    NoIdentity,
    /// The member was given a key where nobody looks at it.
    #[error("the members of this cluster have no identities: leave the key out")]
    IdentityUnused,
    /// The member would not be admitted by itself.
    #[error("the list of admitted keys does not have the member's own, or has it for another name: add it")]
    NotAdmitted,
    /// The zone's name is too long.
    #[error("the zone has {0} bytes: use at most {ZONE_MAX}")]
    ZoneTooLong(usize),
    /// Nobody could read the zone's name.
    #[error("the zone has only blanks: give it a name that can be read, or leave it out")]
    ZoneBlank,
    /// The zone's name would break the lines of every list that it is in.
    #[error("the zone has a character like a newline in it ({0:?}): leave it out")]
    ZoneControl(char),
    /// The members of the cluster are in too many zones.
    #[error("the cluster has too many zones: use at most {max}", max = ZONES_MAX - 1)]
    TooManyZones,
    /// Another member of the same storage has this name.
    #[error("another member has the same name: names have to be unique in a cluster")]
    NameTaken,
    /// Another member of the same worker has this address.
    #[error("another member has the address {0}: give each its own")]
    AddressTaken(SocketAddr),
    /// The table is full.
    #[error("the member table is full: raise members_max")]
    TableFull,
    /// The event is too large to fit a frame beside other news.
    #[error("the event has {0} bytes, name and payload together: use at most {max}", max = swimring_codec::native::EVENT_MAX)]
    EventTooLarge(usize),
    /// The event's name is one that the protocol keeps for itself.
    #[error("the event's name begins with a zero byte, as none of an application may: leave it out")]
    EventNameReserved,
    /// The event's name is too long.
    #[error("the event's name has {0} bytes: use at most 255")]
    EventNameTooLong(usize),
    /// Too many events are under way.
    #[error(
        "too many user events are under way: send them more slowly or raise events_max and broadcasts_max"
    )]
    TooManyEvents,
    /// The metadata changed faster than the changes could spread.
    #[error("too many versions of the metadata are about: change it more slowly")]
    TooManyVersions,
    /// Nobody can be sent to the address.
    #[error("{0} is no address that others can reach: {1}; give the member one of its machine's, and a port")]
    Address(SocketAddr, AddressFault),
    /// The direct message does not fit a datagram.
    #[error("the message has {bytes} bytes and a datagram on this way takes {fits}: send it over a stream")]
    MessageTooLarge {
        /// Its length.
        bytes: usize,
        /// The length that would do.
        fits: usize,
    },
    /// The direct message does not fit a stream.
    #[error("the message has {0} bytes: use at most {max}", max = swimring_codec::native::DIRECT_STREAM_MAX)]
    MessageTooLong(usize),
    /// A direct message to a member that is not known to be live, or to oneself.
    #[error("no other live member has this name: look at the members first")]
    NotLive,
    /// The wire format does not carry this.
    #[error("members of this wire format do not send each other such messages: use user events")]
    NoDirectMessages,
    /// The member has left.
    #[error("the member has left the cluster")]
    Left,
}

crate::sentence::debug_is_the_sentence!(MemberError);

impl From<Full> for MemberError {
    fn from(full: Full) -> MemberError {
        match full {
            Full::Members => MemberError::TableFull,
            Full::Versions => MemberError::TooManyVersions,
            Full::Zones => MemberError::TooManyZones,
        }
    }
}

/// What is seldom asked for: a member is to stay below a kibibyte.
#[derive(Debug)]
struct Apart {
    refutations: Refutations,
    /// Shared state, once there is any.
    key_values: Option<Box<KeyValues>>,
    /// What there is to it if not everybody is admitted.
    admission: Option<Box<Admission>>,
    /// Our last life at another address, while there is something to do about it.
    past: Option<Box<PastLife>>,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Apart>() <= 56);

/// A member. See the module.
#[derive(Debug)]
pub struct Member {
    core: Core,
    probe: Probe,
    relays: Relays,
    return_probes: ReturnProbes,
    neighbours: Neighbours,
    reachability: Reachability,
    suspicions: Suspicions,
    apart: Box<Apart>,
    spread_estimate: SpreadEstimate,
    gossip: Gossip,
    anti_entropy: AntiEntropy,
    reconnect: Reconnect,
    event_repair: EventRepair,
    view_repair: ViewRepair,
    /// When the timers were last looked at.
    called: Time,
    /// Time that the driver had lost when we last took note of it, in microseconds.
    lost_us: u64,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<Member>() <= 1_024);

impl Member {
    /// A member that knows only itself.
    ///
    /// # Errors
    /// A name or metadata that the format cannot carry, or a name that is taken in `shared`.
    pub fn new(config: MemberConfig, shared: &mut SharedState, now: Time) -> Result<Member, MemberError> {
        if shared.has_identities() {
            return Err(MemberError::NoIdentity);
        }
        check_metadata(&config.metadata)?;
        Member::begin(config, None, shared, now)
    }

    /// The same in a cluster whose members have identities ([`SharedState::use_identities`]): it signs what it says of itself with
    /// `key`.
    ///
    /// # Errors
    /// As [`Member::new`]; if members have no identities; if its own list does not admit it.
    pub fn with_key(
        config: MemberConfig,
        key: &IdentityKey,
        shared: &mut SharedState,
        now: Time,
    ) -> Result<Member, MemberError> {
        let Some(statements) = &shared.directory.statements else { return Err(MemberError::IdentityUnused) };
        if !statements.admits(&key.public(), &config.name) {
            return Err(MemberError::NotAdmitted);
        }
        let metadata = signed_metadata(key.public(), &config.metadata)?;
        Member::begin(MemberConfig { metadata, ..config }, Some(key), shared, now)
    }

    fn begin(
        config: MemberConfig,
        key: Option<&IdentityKey>,
        shared: &mut SharedState,
        now: Time,
    ) -> Result<Member, MemberError> {
        check_name(&config.name)?;
        check_zone(&config.zone)?;
        let address = check_address(config.address)?;
        let incarnation = config.incarnation.min(shared.wire.rules.incarnations.first_max());
        let introduction = Introduction {
            subject: MemberId::of_name(&config.name),
            incarnation,
            state: State::Alive,
            address,
            name: &config.name,
            metadata: &config.metadata,
            zone: if shared.wire.rules.delegates { &config.zone } else { "" },
        };
        let (index, version) = shared
            .directory
            .intern(&introduction, shared.wire.rules.versions, config.settings.members_max)
            .map_err(MemberError::from)?;
        if let (Some(statements), Some(key)) = (&mut shared.directory.statements, key) {
            statements.lend(index, key.clone());
            shared.directory.sign((index, version), incarnation, State::Alive);
        }
        let mut table = Table::new(&shared.bases);
        table.set(index, Entry::new(State::Alive, incarnation, version), &mut shared.directory);
        let zone = shared.directory.identity(index, version).zone();
        let number = shared.register();
        let mut rng = fastrand::Rng::with_seed(config.seed ^ introduction.subject.0);
        let settings = config.settings;
        let adaptive = shared.wire.rules.adapts(settings.suspicion);
        let chosen_interval = chosen_probe_interval(&settings, adaptive);
        Ok(Member {
            probe: Probe::new(chosen_interval, &mut rng, shared, now),
            relays: Relays::new(),
            return_probes: ReturnProbes::NONE,
            neighbours: Neighbours::new(),
            called: now,
            lost_us: shared.lost_us(),
            spread_estimate: SpreadEstimate::UNKNOWN,
            reachability: Reachability::new(now),
            suspicions: Suspicions::new(number),
            gossip: Gossip::new(&settings, &mut rng, shared),
            anti_entropy: AntiEntropy::new(&settings, &mut rng, shared, now),
            reconnect: Reconnect::new(&settings, &mut rng, shared, now),
            event_repair: EventRepair::new(now),
            view_repair: ViewRepair::new(now),
            apart: Box::new(Apart {
                refutations: Refutations::new(now, incarnation),
                key_values: None,
                admission: None,
                past: None,
            }),
            core: Core {
                event_sequence: rng.u32(..),
                looks_apart: false,
                joined_alone: false,
                id: introduction.subject,
                index,
                zone,
                number,
                cluster: config.cluster,
                status: Status::Active,
                table,
                departed: Departed::new(number),
                root_changed: now,
                heard: now,
                heard_again: Time::ZERO,
                deaf_ms: 0,
                health: LocalHealth::default(),
                queue: Queue::new(number),
                delegations: Delegations::new(number),
                joining: false,
                unheard: UnheardList::EMPTY,
                goodbyes: 0,
                untold_since: Time::NEVER,
                events_since: Time::NEVER,
                leave_intent: None,
                serf: Box::new(Serf::new()),
                rng,
                settings,
                adaptive,
            },
        })
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time, shared: &mut SharedState, out: &mut Outbox<'_>) {
        if self.core.status == Status::Left {
            return;
        }
        self.notice_lost(shared);
        let cx = &mut Context::new(now, shared, out);
        self.notice_lateness(cx);
        self.probe_timeout(cx);
        self.relays.timeout(&mut self.core, cx);
        if self.suspicions.due() <= cx.judged {
            self.suspicion_timeout(cx);
        }
        self.neighbours_timeout(cx);
        self.return_probes_timeout(cx);
        self.gossip.arm(now, &self.core.settings, !self.core.queue.is_empty());
        self.gossip.timeout(&mut self.core, cx);
        self.core.delegation_timeout(cx);
        if self.core.status == Status::Left {
            // What else it had to tell must not keep shared storage busy.
            return self.core.drop_queue(cx);
        }
        if let Some(peer) = self.anti_entropy.timeout(&mut self.core, cx, &self.view_repair) {
            self.view_repair.ask(&mut self.core, cx, peer);
        }
        self.reconnect.timeout(&mut self.core, cx);
        self.key_values_timeout(cx);
        self.admission_timeout(cx);
        self.past_timeout(cx);
        self.begin_telling(cx);
    }

    /// The driver has read nearly all that has arrived: what was held back while it had not can be told.
    pub fn handle_read(&mut self, now: Time, shared: &mut SharedState, out: &mut Outbox<'_>) {
        if self.core.status != Status::Left {
            self.notice_lost(shared);
            self.begin_telling(&mut Context::new(now, shared, out));
        }
    }

    /// Sees to it that what there is to tell is told: what is delegated leaves now, or when its pace allows; what is
    /// gossiped with the next round. To be called last in every step.
    #[inline]
    fn begin_telling(&mut self, cx: &mut Context<'_, '_>) {
        if self.core.looks_apart
            && let Some(key_values) = &mut self.apart.key_values
        {
            key_values.begin_telling(&mut self.core, cx);
        }
        self.core.pass_on(cx);
        self.gossip.arm(cx.now, &self.core.settings, !self.core.queue.is_empty());
    }

    /// Starts the timers anew, staggered from `now`: for a member that was set up ahead of time.
    pub fn restart_timers(&mut self, now: Time, shared: &SharedState) {
        let chosen_interval = self.core.chosen_probe_interval();
        let settings = &self.core.settings;
        self.probe = Probe::new(chosen_interval, &mut self.core.rng, shared, now);
        self.anti_entropy = AntiEntropy::new(settings, &mut self.core.rng, shared, now);
        self.reconnect = Reconnect::new(settings, &mut self.core.rng, shared, now);
    }

    /// The driver lost `by`: for so long it took in nothing that others had sent. Probes and suspicions
    /// under way wait that much longer, since acks and refutations may lie unread; it is Lifeguard's
    /// insight, that the slow one is the detector, applied to time that is known to be lost. To be called
    /// before [`Member::handle_timeout`].
    pub fn handle_stall(&mut self, by: Duration, shared: &mut SharedState) {
        shared.counters.stalls += 1;
        if shared.behaviour.stalls_unnoticed {
            return;
        }
        self.probe.extend(by);
        self.relays.extend(by, &mut shared.relays);
        self.suspicions.extend(by, &shared.suspicions);
        self.core.delegations.extend(by);
        if by >= self.core.settled() {
            self.anti_entropy.stalled();
            self.view_repair.stalled();
        }
    }

    /// Takes note of what the driver has lost since the last call.
    #[inline]
    fn notice_lost(&mut self, shared: &mut SharedState) {
        let lost_us = shared.lost_us();
        if self.lost_us != lost_us {
            let by = Duration::from_micros(lost_us.saturating_sub(self.lost_us));
            self.lost_us = lost_us;
            self.handle_stall(by, shared);
        }
    }

    /// When [`Member::handle_timeout`] next has something to do; [`Time::NEVER`] after leaving.
    #[inline]
    pub fn next_timeout(&self) -> Time {
        self.next_begun().min(self.next_judged())
    }

    /// When it next has something to begin, whatever lies unread; [`Time::NEVER`] after leaving.
    #[inline]
    pub fn next_begun(&self) -> Time {
        if self.core.status == Status::Left {
            return Time::NEVER;
        }
        let probing = self.probe.next_due().min(self.return_probes.due()).min(self.neighbours.due());
        let slow = self.anti_entropy.due().min(self.reconnect.due());
        let telling = self.gossip.due().min(self.core.delegations.due());
        let seldom = self.key_values_due().min(self.admission_due()).min(self.past_due());
        probing.min(telling).min(slow).min(seldom)
    }

    /// Whether it holds back something to tell that can wait until less lies unread: [`Member::handle_read`] has it told.
    #[inline]
    pub fn holds_back(&self) -> bool {
        self.core.delegations.holds()
    }

    /// When it next has silence to judge, which it cannot before what was sent by then has been read (see
    /// [`SharedState::set_read_until`]); [`Time::NEVER`] after leaving.
    #[inline]
    pub fn next_judged(&self) -> Time {
        if self.core.status == Status::Left {
            return Time::NEVER;
        }
        let probes = self.probe.phase_due().min(self.relays.due());
        probes.min(self.suspicions.due()).min(self.core.delegations.unanswered())
    }

    /// Whether timers come so late that something may lie unread: then the time since the last call was lost. That silence
    /// is judged only when the driver has read what was sent by then is not lateness.
    /// Called before anything is done about timers.
    fn notice_lateness(&mut self, cx: &mut Context<'_, '_>) {
        let called = std::mem::replace(&mut self.called, cx.now);
        if !self.core.adaptive {
            return;
        }
        let due = self.probe.phase_due().min(self.suspicions.due()).min(self.relays.due());
        if cx.judged.since(due) > self.core.settings.probe_timeout / 4 {
            let lost = cx.now.since(called.max(self.core.heard));
            self.handle_stall(lost, cx.shared);
        }
    }

    /// Gives back all shared storage: the member vanishes without a word.
    pub fn release(&mut self, shared: &mut SharedState) {
        self.core.status = Status::Left;
        let (broadcasts, events) = (&mut shared.broadcasts, &mut shared.events);
        broadcasts.clear(&mut self.core.queue, |gone| {
            if gone.news == Update::Event {
                events.release(gone.subject);
            }
        });
        self.core.drop_delegations(shared, EventStore::release);
        self.suspicions.clear(&mut shared.suspicions);
        self.relays.clear(&mut shared.relays);
        shared.departed.clear(&mut self.core.departed);
        self.core.table.clear(&mut shared.directory);
    }
}

/// Whether a member may have this name. Those of others are taken as they come.
pub(crate) fn check_name(name: &str) -> Result<(), MemberError> {
    if name.is_empty() {
        return Err(MemberError::NameEmpty);
    }
    if let Some(control) = name.chars().find(|c| c.is_control()) {
        return Err(MemberError::NameControl(control));
    }
    if name.trim().is_empty() {
        return Err(MemberError::NameBlank);
    }
    if name.len() > NAME_MAX { Err(MemberError::NameTooLong(name.len())) } else { Ok(()) }
}

/// Whether a member may be in a zone of this name; the empty one is none.
pub(crate) fn check_zone(zone: &str) -> Result<(), MemberError> {
    if let Some(control) = zone.chars().find(|c| c.is_control()) {
        return Err(MemberError::ZoneControl(control));
    }
    if !zone.is_empty() && zone.trim().is_empty() {
        return Err(MemberError::ZoneBlank);
    }
    if zone.len() > ZONE_MAX { Err(MemberError::ZoneTooLong(zone.len())) } else { Ok(()) }
}

/// The address in its one form. The formats refuse what nobody could be at.
fn check_address(address: SocketAddr) -> Result<SocketAddr, MemberError> {
    match AddressFault::of(address) {
        None => Ok(canonical(address)),
        Some(fault) => Err(MemberError::Address(address, fault)),
    }
}

/// The metadata of a member with this key, whose application's is `metadata`.
fn signed_metadata(key: PublicKey, metadata: &[u8]) -> Result<Vec<u8>, MemberError> {
    if metadata.len() > IDENTITY_METADATA_MAX {
        return Err(MemberError::SignedMetadataTooLarge(metadata.len()));
    }
    Ok([&key.0[..], metadata].concat())
}

fn check_metadata(metadata: &[u8]) -> Result<(), MemberError> {
    if metadata.len() > METADATA_MAX { Err(MemberError::MetadataTooLarge(metadata.len())) } else { Ok(()) }
}

#[cfg(test)]
#[path = "admission_test.rs"]
mod admission_tests;
#[cfg(test)]
#[path = "clash_test.rs"]
mod clash_tests;
#[cfg(test)]
#[path = "join_test.rs"]
mod join_tests;
#[cfg(test)]
#[path = "past_life_test.rs"]
mod past_life_tests;
#[cfg(test)]
#[path = "probe_test.rs"]
mod probe_tests;
#[cfg(test)]
#[path = "refutation_test.rs"]
mod refutation_tests;
