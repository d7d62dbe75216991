//! What the members of one worker have in common: the directory, the event store, and the pools their
//! short lists come from.
//!
//! Sharing is a matter of memory only. What a member believes is in its own table, and two members that
//! share a [`SharedState`] influence each other through frames alone, but for one thing: they agree when a user event was first told, by which event roots go.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::behaviour::Behaviour;
use crate::protocol::counters::Counters;
use crate::protocol::event::EventIndex;
use crate::protocol::shared_lists::broadcasts::BroadcastPool;
use crate::protocol::shared_lists::delegation::News;
use crate::protocol::shared_lists::delegations::{DelegationPool, HOLD_FROM, UPDATES_MAX};
use crate::protocol::shared_lists::event_talk::EventTalk;
use crate::protocol::shared_lists::events::EventStore;
use crate::protocol::shared_lists::inbox::Inbox;
use crate::protocol::shared_lists::relays::RelayPool;
use crate::protocol::shared_lists::state_entries::StateEntries;
use crate::protocol::shared_lists::suspicions::SuspicionPool;
use crate::protocol::shared_lists::unheard::UnheardPool;
use crate::protocol::shared_lists::view_talk::ViewTalk;
use crate::protocol::time::Time;
use crate::protocol::view::departed::DepartedPool;
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::entry::Entry;
use crate::protocol::view::shared_view::SharedViews;
use crate::protocol::view::statements::{AdmittedKeys, Statements};
use crate::protocol::wire::typed::TypedFrames;
use crate::protocol::wire::{CheckedWire, Wire};
use swimring_codec::MemberId;
use swimring_codec::memberlist::Codec;
use swimring_codec::native::{Sealer, UserEvent};

/// The shared storage of the members of one worker. An embedded member has one of its own.
#[derive(Debug)]
pub struct SharedState {
    pub(in crate::protocol) wire: Wire,
    pub(in crate::protocol) directory: Directory,
    pub(in crate::protocol) bases: SharedViews,
    pub(in crate::protocol) events: EventStore,
    pub(in crate::protocol) event_talk: EventTalk,
    /// Nothing while it is in use.
    pub(in crate::protocol) view_talk: Option<Box<ViewTalk>>,
    /// Events of a frame that are taken in which tell of shared state.
    pub(in crate::protocol) state_told: Vec<EventIndex>,
    /// What members hold of shared state.
    pub(in crate::protocol) state_entries: StateEntries,
    pub(in crate::protocol) broadcasts: BroadcastPool,
    pub(in crate::protocol) delegations: DelegationPool,
    /// While a frame is taken in: what of it the member is asked to tell.
    pub(in crate::protocol) asked_news: Vec<News>,
    /// While a view is merged: those of it who are new.
    pub(in crate::protocol) new_members: Vec<(MemberIndex, Entry)>,
    pub(in crate::protocol) unheard: UnheardPool,
    pub(in crate::protocol) suspicions: SuspicionPool,
    pub(in crate::protocol) departed: DepartedPool,
    pub(in crate::protocol) relays: RelayPool,
    pub(in crate::protocol) inbox: Inbox,
    /// Everything the members count.
    pub counters: Counters,
    /// Added to every member's local health score while the driver runs late. See
    /// [`SharedState::set_overload`].
    pub(in crate::protocol) overload: u8,
    /// When something that was sent to these members may last have been lost or left unread by the driver;
    /// [`Time::ZERO`] if never. See [`SharedState::set_doubt`].
    pub(in crate::protocol) doubt: Time,
    /// Time that the driver has lost in all, in microseconds. See [`SharedState::lose`].
    lost_us: u64,
    /// Everything that had arrived by then has been read; [`Time::NEVER`] while nothing lies unread. See
    /// [`SharedState::set_read_until`].
    read_until: Time,
    /// For how long what arrives lies unread, here or at the members that ours talk to most. See [`SharedState::set_unread`].
    pub(in crate::protocol) unread: Duration,
    /// Whose protocol the members follow.
    pub(in crate::protocol) behaviour: Behaviour,
    members: u32,
    /// Timers are staggered by whole grains.
    timer_grain: Duration,
}

/// How much to set aside per member so that a fleet's steady state does not allocate: a few concurrent
/// failures and events for everyone.
const RESERVED_EACH: usize = 24;

/// Differences of a member's view from the base for which memory is set aside: a few times as many as there
/// are on average when a new base is made.
const DIFFERENCES_EACH: usize = 32;

/// Delegations that are under way at once, on average: a broadcast has one for each member.
const DELEGATIONS_EACH: usize = 8;

/// And so many more, since a few members that are gone unnoticed keep more of them under way, however few members tell.
const DELEGATIONS_LEAST: usize = 1_024;

/// Members that one member has not heard lately, on average: a few concurrent failures.
const UNHEARD_EACH: usize = 4;

/// Indirect probes that are under way at once, on average: far more than any loss rate causes.
const RELAYS_EACH: usize = 4;

impl SharedState {
    /// Empty storage for members that speak the native format. `seed` keys the hash tables.
    pub fn new(seed: u64) -> SharedState {
        SharedState::with(Wire::native(), seed)
    }

    /// Empty storage for members that speak `wire`. `seed` keys the hash tables, `secret` draws what encryption
    /// needs.
    pub fn speaking(wire: &CheckedWire, seed: u64, secret: [u8; 32]) -> SharedState {
        SharedState::with(Wire::new(wire, secret), seed)
    }

    fn with(wire: Wire, seed: u64) -> SharedState {
        let event_bytes_max = wire.event_bytes_max();
        let compared = wire.rules.carries_roots;
        let mut rng = fastrand::Rng::with_seed(seed);
        SharedState {
            wire,
            directory: Directory::new(rng.u64(..)),
            bases: SharedViews::new(),
            events: EventStore::new(rng.u64(..), event_bytes_max, compared),
            event_talk: EventTalk::new(),
            view_talk: compared.then(|| Box::new(ViewTalk::new())),
            state_told: Vec::new(),
            broadcasts: BroadcastPool::new(rng.u64(..)),
            delegations: DelegationPool::new(rng.u64(..)),
            asked_news: Vec::with_capacity(UPDATES_MAX),
            new_members: Vec::new(),
            suspicions: SuspicionPool::new(rng.u64(..)),
            departed: DepartedPool::new(rng.u64(..)),
            unheard: UnheardPool::new(rng.u64(..)),
            relays: RelayPool::new(),
            state_entries: StateEntries::new(rng.u64(..)),
            inbox: Inbox::default(),
            counters: Counters::default(),
            overload: 0,
            doubt: Time::ZERO,
            lost_us: 0,
            read_until: Time::NEVER,
            unread: Duration::ZERO,
            behaviour: Behaviour::swimring(),
            members: 0,
            timer_grain: Duration::from_micros(1),
        }
    }

    /// Has members from now on sign what they say of themselves, and believe of others only what these have signed: to be called
    /// before there are any, which then need a key each ([`Member::with_key`](crate::protocol::Member::with_key)). `cluster` is the number
    /// that is in their headers. On memberlist's wire it has no effect.
    pub fn use_identities(&mut self, cluster: u32, admitted: Arc<AdmittedKeys>) {
        if self.wire.rules.delegates {
            self.directory.statements = Some(Box::new(Statements::new(cluster, admitted)));
        }
    }

    /// Whether members sign what they say of themselves.
    #[inline]
    pub fn has_identities(&self) -> bool {
        self.directory.signs()
    }

    /// Whether a signature is right, as `verifies` finds, which is given the number of the cluster. Counts what comes of it, and does
    /// not look when too many have been wrong in this second.
    pub(in crate::protocol) fn judge_signature(
        &mut self,
        now: Time,
        verifies: impl FnOnce(&Directory, u32) -> bool,
    ) -> bool {
        let Some(statements) = &mut self.directory.statements else { return false };
        if statements.has_enough(now) {
            self.counters.identities_shed += 1;
            return false;
        }
        let cluster = statements.cluster();
        if verifies(&self.directory, cluster) {
            self.counters.identities_verified += 1;
            return true;
        }
        self.counters.identities_forged += 1;
        if let Some(statements) = &mut self.directory.statements {
            statements.note_wrong();
        }
        false
    }

    /// Makes room for `members` members that know `known` each and remember `events` events, so that
    /// neither a handful of concurrent failures nor a stream of events allocates.
    pub fn reserve(&mut self, members: usize, known: usize, events: usize) {
        self.directory.reserve(known);
        self.bases.reserve(known, DIFFERENCES_EACH);
        self.events.reserve(members, events);
        self.broadcasts.reserve(members, RESERVED_EACH);
        self.delegations.reserve(DELEGATIONS_LEAST + members * DELEGATIONS_EACH);
        self.suspicions.reserve(members * RESERVED_EACH);
        self.unheard.reserve(DELEGATIONS_LEAST + members * UNHEARD_EACH);
        self.departed.reserve(members * RESERVED_EACH);
        self.relays.reserve(members * RELAYS_EACH);
    }

    /// Sets memory aside for `members` that each remember `departed` others, where that is more than [`SharedState::reserve`] does.
    pub fn reserve_departed(&mut self, members: usize, departed: usize) {
        self.departed.reserve(members * departed.max(RESERVED_EACH));
    }

    /// Has members created from now on stagger their timers by whole multiples of `grain`, the driver's
    /// tick: what is due together can then leave together, and no probe waits for the next tick.
    pub fn set_timer_grain(&mut self, grain: Duration) {
        self.timer_grain = grain.max(Duration::from_micros(1));
    }

    /// A random moment of the `interval` after `now`, on the grid of grains.
    pub(in crate::protocol) fn stagger(
        &self,
        now: Time,
        interval: Duration,
        rng: &mut fastrand::Rng,
    ) -> Time {
        let grain = self.timer_grain.as_micros() as u64;
        let grains = (interval.as_micros() as u64 / grain).max(1);
        Time::from_micros((now.as_micros().div_ceil(grain) + rng.u64(..grains)) * grain)
    }

    /// A number for a new member.
    pub(in crate::protocol) fn register(&mut self) -> u32 {
        let member = self.members;
        self.members += 1;
        if self.members > 1 {
            self.state_entries.begin_sharing();
        }
        self.wire.register();
        self.delegations.register();
        self.suspicions.register();
        self.events.grow_members(self.members as usize);
        member
    }

    /// Takes back what a base that nobody uses any more took up: to be called from time to time.
    pub fn retire_base(&mut self) {
        self.bases.retire();
    }

    /// Bases that may be in use.
    pub fn bases(&self) -> usize {
        self.bases.len()
    }

    /// The codec that packets are written with, to change its keys; nothing in the native format.
    pub fn codec_mut(&mut self) -> Option<&mut Codec> {
        self.wire.codec_mut()
    }

    /// What native frames are sealed with, to change its keys and to tell it the time; nothing if they leave plain.
    #[inline]
    pub fn sealer_mut(&mut self) -> Option<&mut Sealer> {
        self.wire.sealer_mut()
    }

    /// Has the members of this storage keep their frames as values from now on. Every member has to be at
    /// [`address_of`](crate::protocol::typed::address_of) its number, and nobody else to take part.
    pub fn use_typed_frames(&mut self) {
        self.wire.use_typed_frames();
    }

    /// The frames under way; nothing unless they are kept as values.
    #[inline]
    pub fn typed_frames(&mut self) -> Option<&mut TypedFrames> {
        self.wire.typed_mut()
    }

    /// Identities of all known members.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The user event at `event`.
    pub fn user_event(&self, event: EventIndex) -> UserEvent<'_> {
        self.events.get(event).event()
    }

    /// The direct message at `at`, and who sent it, before a member is next called.
    pub fn direct_message(&self, at: u32) -> Option<(MemberId, &[u8])> {
        self.inbox.get(at)
    }

    /// Whether applications' messages to one member are memberlist's user messages. In a pool of Serf's those are Serf's.
    pub fn has_user_messages(&self) -> bool {
        self.wire.memberlist().is_some() && !self.wire.rules.serf
    }

    /// Appends `payload` as a user message to `out`, all that is said on a stream that we open; nothing in the native format.
    pub fn write_stream_user_message(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if let Some(memberlist) = self.wire.memberlist_mut() {
            memberlist.write_user_message(payload, out);
        }
    }

    /// The name of the member at `index`.
    pub fn name(&self, index: MemberIndex) -> &str {
        self.directory.name(index)
    }

    /// Broadcasts waiting in all queues, and delegations under way.
    pub fn broadcasts_queued(&self) -> usize {
        self.broadcasts.used() + self.delegations.used()
    }

    /// Has all members follow `behaviour`; to be called before there are any. Swimring's own unless said
    /// otherwise.
    pub fn set_behaviour(&mut self, behaviour: Behaviour) {
        self.behaviour = behaviour;
        self.broadcasts.set_longest_first(behaviour.longest_news_first);
    }

    /// Whose protocol the members follow.
    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// Tells the members that the driver runs late: probes wait `level` times longer than their own
    /// local health asks for. Zero when it keeps up again.
    pub fn set_overload(&mut self, level: u8) {
        self.overload = level;
    }

    /// Tells the members that at `at` something others had sent them was lost in a full receive buffer, or lay
    /// unread for too long. Probes that were under way then and fail prove nothing: they are repeated, and
    /// believed when they fail twice more. Nor are
    /// suspicions ended while it is fresh, for at most as long again as they last. [`Time::ZERO`]: never.
    pub fn set_doubt(&mut self, at: Time) {
        self.doubt = at;
    }

    /// Tells all members that the driver lost `by`, as [`Member::handle_stall`](crate::protocol::Member::handle_stall) tells one.
    /// Each takes note when it is next called: there may be a hundred thousand, and to look at all of them would lose
    /// more time.
    pub fn lose(&mut self, by: Duration) {
        self.lost_us += by.as_micros() as u64;
    }

    /// Time that the driver has lost in all, in microseconds.
    #[inline]
    pub(in crate::protocol) fn lost_us(&self) -> u64 {
        self.lost_us
    }

    /// Tells the members that the driver is behind in reading: all that had arrived by `until` has been read, and what came
    /// later may lie unread. What they do by the clock they go on doing in time; what they conclude from silence, a
    /// probe or a delegation that was not answered, a suspicion that was not refuted, waits until what was sent by then
    /// has been read. [`Time::NEVER`]: nothing lies unread.
    pub fn set_read_until(&mut self, until: Time) {
        self.read_until = until;
    }

    /// Tells the members for how long what arrives has lain unread of late, with their own driver or those of others on the
    /// same machine: acknowledgements take that much longer, both ways.
    pub fn set_unread(&mut self, unread: Duration) {
        self.unread = unread;
    }

    /// Whether members are behind with the user events that are told, so that another one would only wait.
    pub(in crate::protocol) fn is_behind_with_events(&mut self, now: Time) -> bool {
        self.unread >= HOLD_FROM && self.events.is_behind(now)
    }

    /// The latest moment until which silence can be judged at `now`.
    #[inline]
    pub(crate) fn judged_until(&self, now: Time) -> Time {
        now.min(self.read_until)
    }

    /// Whether so little lies unread at `now` that members need not hold back what can wait.
    pub fn has_nearly_read(&self, now: Time) -> bool {
        now.since(self.judged_until(now)) < HOLD_FROM
    }

    /// Whether something may have been lost or left unread since `since`.
    #[inline]
    pub(in crate::protocol) fn doubted_since(&self, since: Time) -> bool {
        self.doubt >= since && self.doubt != Time::ZERO
    }
}
