//! A member of the cluster: the whole protocol as a plain value.
//!
//! Each concern lies in a room below and owns its state; here they are put together. This file has the timers, `join` how a
//! member comes in, `commands` what else an application asks for, `error` why that is refused, `admission` who may come into the view,
//! `frames` and `streams` what arrives, `merge` which of two beliefs wins, `clash` the same in one incarnation, `plausibility` what is not
//! believed at all, `records` for whole views, `repaired` for what differs of one, `detection` what probes and suspicions find. `compaction` keeps the views of many members small.
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
mod error;
mod frames;
mod identity_check;
mod join;
mod key_values;
mod merge;
mod past_life;
mod plausibility;
mod records;
mod repaired;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring_codec::native::{IdentityKey, Introduction};
use swimring_codec::{Incarnation, MemberId, State};

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
use crate::protocol::member::error::{check_address, check_metadata, signed_metadata};
use crate::protocol::member::past_life::PastLife;
use crate::protocol::outbox::Outbox;
use crate::protocol::repair::events::EventRepair;
use crate::protocol::repair::push_pull::AntiEntropy;
use crate::protocol::repair::reconnect::Reconnect;
use crate::protocol::repair::views::ViewRepair;
use crate::protocol::serf::Serf;
use crate::protocol::settings::Settings;
use crate::protocol::shared_lists::broadcasts::Queue;
use crate::protocol::shared_lists::delegations::Delegations;
use crate::protocol::shared_lists::events::EventStore;
use crate::protocol::shared_lists::unheard::UnheardList;
use crate::protocol::state::local_health::LocalHealth;
use crate::protocol::state::{Context, Core, Seldom, SharedState, Status, chosen_probe_interval};
use crate::protocol::time::Time;
use crate::protocol::view::departed::Departed;
use crate::protocol::view::entry::Entry;
use crate::protocol::view::table::Table;
use crate::protocol::wire::Update;

pub use admission::{AdmissionRules, CANDIDATES_MAX, NotAdmittedReason, VERDICTS_MAX};
pub use candidates::CandidateRef;
pub use commands::{MemberRef, View, check_event};
pub use compaction::{COMPACTION_MEMBERS_MAX, Compaction, Crew};
pub use error::MemberError;
pub(crate) use error::{check_name, check_zone};
pub use streams::{StreamNext, StreamOutcome};

/// Who a member is.
#[derive(Clone, Debug)]
pub struct MemberConfig {
    /// Its name, unique in the cluster: 1 to [`NAME_MAX`](swimring_codec::identity::NAME_MAX) bytes.
    pub name: String,
    /// Where others reach it, datagrams and streams alike.
    pub address: SocketAddr,
    /// Up to [`METADATA_MAX`](swimring_codec::identity::METADATA_MAX) bytes that every member gets to see.
    pub metadata: Vec<u8>,
    /// The zone that it is in, up to [`ZONE_MAX`](swimring_codec::identity::ZONE_MAX) bytes: of what is told to everyone one copy goes to each zone
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
                rushes: false,
                seldom: Box::new(Seldom {
                    joined_alone: false,
                    joined_through: MemberId::NONE,
                    joined_at: Time::ZERO,
                    serf: Serf::new(),
                    newcomers: None,
                }),
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
        self.admission_timeout(cx);
        self.past_timeout(cx);
        // Last, as a view that has changed makes roots of shared state due.
        self.key_values_timeout(cx);
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
        let telling = self.gossip.due().min(self.core.delegations.due()).min(self.core.newcomers_due());
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
#[path = "overload_test.rs"]
mod overload_tests;
#[cfg(test)]
#[path = "past_life_test.rs"]
mod past_life_tests;
#[cfg(test)]
#[path = "probe_test.rs"]
mod probe_tests;
#[cfg(test)]
#[path = "refutation_test.rs"]
mod refutation_tests;
