//! A member of the cluster: the whole protocol as a plain value.
//!
//! This file only orchestrates; each concern has a file of its own, as an `impl Member` beside its state.
//!
//! # How to drive it
//!
//! A [`Member`] has no clock, socket or thread. Its methods fall into four families:
//! - *inputs*, to be called when something happens: [`Member::handle_frame`],
//!   [`Member::handle_stream`], [`Member::handle_stream_closed`], and [`Member::handle_timeout`] once
//!   `now` has reached [`Member::next_timeout`];
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

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring_codec::identity::{METADATA_MAX, NAME_MAX};
use swimring_codec::native::Introduction;
use swimring_codec::{AddressFault, Incarnation, MemberId, State, canonical};
use thiserror::Error;

use crate::protocol::detection::local_health::LocalHealth;
use crate::protocol::detection::probe::Probe;
use crate::protocol::detection::reachability::Reachability;
use crate::protocol::detection::refutation::Refutations;
use crate::protocol::detection::relay::Relays;
use crate::protocol::detection::return_probes::Watch;
use crate::protocol::detection::suspicion::Suspicions;
use crate::protocol::dissemination::gossip::Gossip;
use crate::protocol::dissemination::queue::{Queue, Update};
use crate::protocol::dissemination::spread_estimate::Spread;
use crate::protocol::dissemination::user_events::EventIndex;
use crate::protocol::event::Event;
use crate::protocol::outbox::Outbox;
use crate::protocol::repair::push_pull::AntiEntropy;
use crate::protocol::repair::reconnect::Reconnect;
use crate::protocol::serf::Serf;
use crate::protocol::settings::Settings;
use crate::protocol::shared_state::SharedState;
use crate::protocol::time::Time;
use crate::protocol::view::departed::Departed;
use crate::protocol::view::directory::{Identity, MemberIndex};
use crate::protocol::view::table::{Entry, Table};

/// Who a member is.
#[derive(Clone, Debug)]
pub struct MemberConfig {
    /// Its name, unique in the cluster: 1 to [`NAME_MAX`] bytes.
    pub name: String,
    /// Where others reach it, datagrams and streams alike.
    pub address: SocketAddr,
    /// Up to [`METADATA_MAX`] bytes that every member gets to see.
    pub metadata: Vec<u8>,
    /// Which cluster. Frames of others are dropped.
    pub cluster: u32,
    /// Where its incarnation starts: seconds of wall time, so that a restart outranks its own past. Brought to at
    /// most half of what the wire format can carry: a member at the last incarnation could not refute.
    pub incarnation: Incarnation,
    /// Of its random choices.
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
    /// The member has left.
    #[error("the member has left the cluster")]
    Left,
}

crate::sentence::debug_is_the_sentence!(MemberError);

/// Where a member is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Status {
    Active,
    /// Told to leave, and still telling others.
    Leaving,
    /// Gone: takes no part.
    Left,
}

/// A member. See the module.
#[derive(Debug)]
pub struct Member {
    pub(in crate::protocol) id: MemberId,
    /// Its own place in the directory.
    pub(in crate::protocol) index: MemberIndex,
    /// Its number among the members that share a [`SharedState`].
    pub(in crate::protocol) number: u32,
    pub(in crate::protocol) cluster: u32,
    pub(in crate::protocol) status: Status,
    pub(in crate::protocol) settings: Arc<Settings>,
    pub(in crate::protocol) rng: fastrand::Rng,
    pub(in crate::protocol) table: Table,
    pub(in crate::protocol) probe: Probe,
    pub(in crate::protocol) relays: Relays,
    pub(in crate::protocol) watch: Watch,
    /// When a datagram last arrived.
    pub(in crate::protocol) heard: Time,
    /// When the timers were last looked at.
    pub(in crate::protocol) called: Time,
    pub(in crate::protocol) spread: Spread,
    pub(in crate::protocol) reachability: Reachability,
    pub(in crate::protocol) health: LocalHealth,
    pub(in crate::protocol) suspicions: Suspicions,
    /// When the first suspicion ends.
    pub(in crate::protocol) suspicion_due: Time,
    pub(in crate::protocol) departed: Departed,
    pub(in crate::protocol) queue: Queue,
    pub(in crate::protocol) gossip: Gossip,
    pub(in crate::protocol) anti_entropy: AntiEntropy,
    pub(in crate::protocol) reconnect: Reconnect,
    pub(in crate::protocol) refutations: Refutations,
    pub(in crate::protocol) event_sequence: u32,
    /// Serf's clocks.
    pub(in crate::protocol) serf: Serf,
    /// The event that tells that we mean to leave, before we do.
    pub(in crate::protocol) leave_intent: Option<EventIndex>,
    /// No user event in the queue is older than this; [`Time::NEVER`] while there is none.
    pub(in crate::protocol) events_since: Time,
}

/// What every step of the protocol is given.
pub(in crate::protocol) struct Context<'a, 'b> {
    pub(in crate::protocol) now: Time,
    pub(in crate::protocol) commons: &'a mut SharedState,
    pub(in crate::protocol) out: &'a mut Outbox<'b>,
}

impl Context<'_, '_> {
    pub(in crate::protocol) fn emit(&mut self, event: Event) {
        self.out.events.push(event);
    }
}

impl Member {
    /// A member that knows only itself.
    ///
    /// # Errors
    /// A name or metadata that the format cannot carry, or a name that is taken in `commons`.
    pub fn new(config: MemberConfig, commons: &mut SharedState, now: Time) -> Result<Member, MemberError> {
        check_name(&config.name)?;
        check_metadata(&config.metadata)?;
        let address = check_address(config.address)?;
        let incarnation = config.incarnation.min(commons.wire.first_incarnation_max());
        let introduction = Introduction {
            subject: MemberId::of_name(&config.name),
            incarnation,
            state: State::Alive,
            address,
            name: &config.name,
            metadata: &config.metadata,
        };
        let (index, version) = commons
            .directory
            .intern(&introduction, commons.wire.versions(), config.settings.members_max)
            .map_err(|_| MemberError::TableFull)?;
        let mut table = Table::new(&commons.bases);
        table.set(index, Entry::new(State::Alive, incarnation, version), &mut commons.directory);
        let number = commons.register();
        let mut rng = fastrand::Rng::with_seed(config.seed ^ introduction.subject.0);
        let settings = config.settings;
        Ok(Member {
            id: introduction.subject,
            index,
            number,
            cluster: config.cluster,
            status: Status::Active,
            table,
            probe: Probe::new(&settings, &mut rng, commons, now),
            relays: Relays::new(),
            watch: Watch::NONE,
            heard: now,
            called: now,
            spread: Spread::UNKNOWN,
            reachability: Reachability::new(now),
            health: LocalHealth::default(),
            suspicions: Suspicions::new(number),
            suspicion_due: Time::NEVER,
            departed: Departed::new(number),
            queue: Queue::new(number),
            gossip: Gossip::new(&settings, &mut rng, commons),
            anti_entropy: AntiEntropy::new(&settings, &mut rng, commons, now),
            reconnect: Reconnect::new(&settings, &mut rng, commons, now),
            refutations: Refutations::NONE,
            event_sequence: rng.u32(..),
            serf: Serf::new(),
            leave_intent: None,
            events_since: Time::NEVER,
            rng,
            settings,
        })
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time, commons: &mut SharedState, out: &mut Outbox<'_>) {
        if self.status == Status::Left {
            return;
        }
        let cx = &mut Context { now, commons, out };
        self.notice_lateness(cx);
        self.probe_timeout(cx);
        self.relay_timeout(cx);
        if self.suspicion_due <= now {
            self.suspicion_timeout(cx);
        }
        self.watch_timeout(cx);
        self.gossip.arm(now, &self.settings, !self.queue.is_empty());
        self.gossip_timeout(cx);
        if self.status == Status::Left {
            // What else it had to tell must not keep shared storage busy.
            return self.drop_queue(cx);
        }
        self.push_pull_timeout(cx);
        self.reconnect_timeout(cx);
        self.gossip.arm(now, &self.settings, !self.queue.is_empty());
    }

    /// Starts the timers anew, staggered from `now`: for a member that was set up ahead of time.
    pub fn restart_timers(&mut self, now: Time, commons: &SharedState) {
        let settings = &self.settings;
        self.probe = Probe::new(settings, &mut self.rng, commons, now);
        self.anti_entropy = AntiEntropy::new(settings, &mut self.rng, commons, now);
        self.reconnect = Reconnect::new(settings, &mut self.rng, commons, now);
    }

    /// The driver lost `by`: for so long it took in nothing that others had sent. Probes and suspicions
    /// under way wait that much longer, since acks and refutations may lie unread; it is Lifeguard's
    /// insight, that the slow one is the detector, applied to time that is known to be lost. To be called
    /// before [`Member::handle_timeout`].
    pub fn handle_stall(&mut self, by: Duration, commons: &mut SharedState) {
        commons.counters.stalls += 1;
        if commons.behaviour.stalls_unnoticed {
            return;
        }
        self.probe.extend(by);
        self.relays.extend(by, &mut commons.relays);
        self.suspicions.extend(by);
        self.suspicion_due = commons.suspicions.due(&self.suspicions);
    }

    /// When [`Member::handle_timeout`] next has something to do; [`Time::NEVER`] after leaving.
    #[inline]
    pub fn next_timeout(&self) -> Time {
        if self.status == Status::Left {
            return Time::NEVER;
        }
        let probe = self.probe.due().min(self.relays.due()).min(self.watch.due());
        let slow = self.anti_entropy.due.min(self.reconnect.due());
        probe.min(self.suspicion_due).min(self.gossip.due).min(slow)
    }

    pub(in crate::protocol) fn identity<'a>(
        &self,
        subject: MemberIndex,
        commons: &'a SharedState,
    ) -> &'a Identity {
        commons.directory.identity(subject, self.table.get(subject).version())
    }

    /// Replaces the entry of `subject`, and notes when the root changed.
    pub(in crate::protocol) fn set_entry(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        entry: Entry,
    ) {
        let before = self.table.root();
        self.table.set(subject, entry, &mut cx.commons.directory);
        if self.table.root() != before {
            self.anti_entropy.root_changed(cx.now);
        }
    }

    /// Drops every reference to `subject` and its entry.
    pub(in crate::protocol) fn forget(&mut self, cx: &mut Context<'_, '_>, subject: MemberIndex) {
        if self.table.get(subject).is_queued() {
            cx.commons.broadcasts.remove_update(&mut self.queue, subject);
            self.table.set_queued(subject, false);
        }
        self.end_suspicion(cx, subject);
        cx.commons.departed.remove(&mut self.departed, subject);
        self.set_entry(cx, subject, Entry::UNKNOWN);
    }

    /// Gives back all shared storage: the member vanishes without a word.
    pub fn release(&mut self, commons: &mut SharedState) {
        self.status = Status::Left;
        let (broadcasts, events) = (&mut commons.broadcasts, &mut commons.events);
        broadcasts.clear(&mut self.queue, |gone| {
            if gone.news == Update::Event {
                events.release(gone.subject);
            }
        });
        commons.suspicions.clear(&mut self.suspicions);
        self.relays.clear(&mut commons.relays);
        commons.departed.clear(&mut self.departed);
        self.table.clear(&mut commons.directory);
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

/// The address in its one form. The formats refuse what nobody could be at.
fn check_address(address: SocketAddr) -> Result<SocketAddr, MemberError> {
    match AddressFault::of(address) {
        None => Ok(canonical(address)),
        Some(fault) => Err(MemberError::Address(address, fault)),
    }
}

pub(in crate::protocol) fn check_metadata(metadata: &[u8]) -> Result<(), MemberError> {
    if metadata.len() > METADATA_MAX { Err(MemberError::MetadataTooLarge(metadata.len())) } else { Ok(()) }
}
