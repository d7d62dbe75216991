//! What every concern of a member works on: who it is, what it believes of the others, and what it has to tell.
//!
//! A concern keeps the rest of its state to itself. The rooms above add their verbs to [`Core`]: `dissemination` how to queue
//! an update and send a message, `wire` how a message is written.

use std::sync::Arc;
use std::time::Duration;

use swimring_codec::native::{PublicKey, split_metadata};
use swimring_codec::{MemberId, State, is_same_place};

use crate::protocol::event::EventIndex;
use crate::protocol::serf::Serf;
use crate::protocol::settings::Settings;
use crate::protocol::shared_lists::broadcasts::Queue;
use crate::protocol::shared_lists::delegations::Delegations;
use crate::protocol::shared_lists::newcomers::Newcomers;
use crate::protocol::shared_lists::unheard::UnheardList;
use crate::protocol::state::local_health::LocalHealth;
use crate::protocol::state::{Context, SharedState};
use crate::protocol::time::{Time, millis};
use crate::protocol::view::departed::Departed;
use crate::protocol::view::directory::{Identity, MemberIndex};
use crate::protocol::view::entry::Entry;
use crate::protocol::view::table::Table;
use crate::protocol::view::zones::ZoneIndex;
use crate::protocol::wire::Sender;

/// Time between two probes of a member's own choice. With adaptive suspicion every second probe returns one that was
/// received.
pub(in crate::protocol) fn chosen_probe_interval(settings: &Settings, adaptive: bool) -> Duration {
    settings.probe_interval * if adaptive { 2 } else { 1 }
}

/// Where a member is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Status {
    Active,
    /// Told to leave, and still telling others.
    Leaving,
    /// Gone: takes no part.
    Left,
}

/// The state that all concerns of one member share.
#[derive(Debug)]
pub(in crate::protocol) struct Core {
    pub(in crate::protocol) id: MemberId,
    /// Its own place in the directory.
    pub(in crate::protocol) index: MemberIndex,
    /// The zone that it is in.
    pub(in crate::protocol) zone: ZoneIndex,
    /// Its number among the members that share a [`SharedState`].
    pub(in crate::protocol) number: u32,
    pub(in crate::protocol) cluster: u32,
    pub(in crate::protocol) status: Status,
    pub(in crate::protocol) settings: Arc<Settings>,
    /// Whether suspicion is adaptive, by the settings and the wire.
    pub(in crate::protocol) adaptive: bool,
    /// Source of all random choices.
    pub(in crate::protocol) rng: fastrand::Rng,
    /// What it believes of every member, itself included.
    pub(in crate::protocol) table: Table,
    /// Dead and left members, and since when.
    pub(in crate::protocol) departed: Departed,
    /// When the table's root last changed.
    pub(in crate::protocol) root_changed: Time,
    /// When a datagram last arrived.
    pub(in crate::protocol) heard: Time,
    /// When one arrived after a time without any that is too long for chance, and how long that was.
    pub(in crate::protocol) heard_again: Time,
    pub(in crate::protocol) deaf_ms: u32,
    pub(in crate::protocol) health: LocalHealth,
    /// Updates and user events still to be told.
    pub(in crate::protocol) queue: Queue,
    /// What was taken over to tell, and is not acknowledged yet.
    pub(in crate::protocol) delegations: Delegations,
    /// A join is under way that began without knowing anybody else, and nobody has joined through us: what we are asked to tell
    /// waits for its end, as we could tell nobody.
    pub(in crate::protocol) joining: bool,
    /// Whether there is shared state, not everybody is admitted, or there is something to do about our last life: all of that lies
    /// apart, and who has nothing of it need not look there.
    pub(in crate::protocol) looks_apart: bool,
    /// Sequence number of the last user event of its own.
    pub(in crate::protocol) event_sequence: u32,
    /// Who has not acknowledged a delegation lately.
    pub(in crate::protocol) unheard: UnheardList,
    /// Parts of the cluster that have not been told of our own goodbye.
    pub(in crate::protocol) goodbyes: u32,
    /// When something was first left untold; [`Time::NEVER`] if nothing is.
    pub(in crate::protocol) untold_since: Time,
    /// No user event in the queue is older than this; [`Time::NEVER`] while there is none.
    pub(in crate::protocol) events_since: Time,
    /// The event that tells that we mean to leave, before we do.
    pub(in crate::protocol) leave_intent: Option<EventIndex>,
    /// Whether there is something to do about a rush of joins: that lies apart, in [`Seldom::newcomers`].
    pub(in crate::protocol) rushes: bool,
    /// What is seldom looked at.
    pub(in crate::protocol) seldom: Box<Seldom>,
}

/// What a member hardly ever needs.
#[derive(Debug)]
pub(in crate::protocol) struct Seldom {
    /// Whether the last join began without knowing anybody else.
    pub(in crate::protocol) joined_alone: bool,
    /// Whom it asked, if that was said, or who answered.
    pub(in crate::protocol) joined_through: MemberId,
    /// When that one answered.
    pub(in crate::protocol) joined_at: Time,
    /// Serf's clocks.
    pub(in crate::protocol) serf: Serf,
    /// Who has joined through this member, and what it does in a rush of joins; nothing if nobody has lately.
    pub(in crate::protocol) newcomers: Option<Box<Newcomers>>,
}

impl Core {
    /// Some other member that is alive.
    pub(in crate::protocol) fn anybody(&mut self) -> Option<MemberIndex> {
        let own = self.index;
        self.table.choose(&mut self.rng, |index, entry| entry.is_alive() && index != own)
    }

    /// Time between two probes of our own choice.
    pub(in crate::protocol) fn chosen_probe_interval(&self) -> Duration {
        chosen_probe_interval(&self.settings, self.adaptive)
    }

    #[inline]
    pub(in crate::protocol) fn identity<'a>(
        &self,
        subject: MemberIndex,
        shared: &'a SharedState,
    ) -> Identity<'a> {
        shared.directory.identity(subject, self.table.get(subject).version())
    }

    /// The key that the name of a member belongs to because it is held so, or remembered, where members have identities.
    pub(in crate::protocol) fn public_key(
        &self,
        shared: &SharedState,
        (index, entry): (MemberIndex, Entry),
    ) -> Option<PublicKey> {
        if entry.is_unknown() {
            return None;
        }
        split_metadata(shared.directory.identity(index, entry.version()).metadata()).map(|(key, _)| key)
    }

    /// Whether nothing that changes views is on its way from here: nothing is queued, and what is delegated was begun
    /// long ago. All that changes views changes our own root first, and a broadcast is over long before
    /// [`Core::settled`]: what is under way even then is for members that do not answer, and nobody is to wait for them.
    #[inline]
    pub(in crate::protocol) fn is_quiet(&self, now: Time) -> bool {
        self.queue.is_quiet()
            && !self.lacks_view()
            && (self.delegations.is_empty() || now.since(self.root_changed) >= self.settled())
    }

    /// What there is to do about a rush of joins.
    #[inline]
    pub(in crate::protocol) fn newcomers(&self) -> Option<&Newcomers> {
        if self.rushes { self.seldom.newcomers.as_deref() } else { None }
    }

    /// Whether we do not know most of those whom we are asked to tell: a view of them is on its way, or about to be.
    #[inline]
    pub(in crate::protocol) fn lacks_view(&self) -> bool {
        self.rushes && self.lacks_view_in_rush()
    }

    /// Apart, so that what asks for it with each frame stays small.
    #[cold]
    #[inline(never)]
    fn lacks_view_in_rush(&self) -> bool {
        self.newcomers().is_some_and(|newcomers| newcomers.fetch.is_some() || self.is_untold(newcomers))
    }

    /// Whether we are about to be told of those who joined in the same rush.
    pub(in crate::protocol) fn is_untold(&self, newcomers: &Newcomers) -> bool {
        newcomers.untold().is_some_and(|through| self.table.get(through).is_alive())
    }

    /// How long a root stays the same before a difference to it is not taken for news on its way.
    pub(in crate::protocol) fn settled(&self) -> Duration {
        self.settings.gossip_interval * 4
    }

    /// Nobody is silent for so long by chance where many members ping each other: then it is we who do not hear.
    #[inline]
    pub(in crate::protocol) fn deaf_after(&self) -> Duration {
        self.settings.probe_interval * 2
    }

    /// A datagram has arrived at `now`.
    #[inline]
    pub(in crate::protocol) fn hear(&mut self, now: Time) {
        // Half of the silence beside one interval: every frame comes by here, and twice a `Duration` is checked for overflow.
        let half = Duration::from_micros(now.micros_since(self.heard) / 2);
        if half > self.settings.probe_interval {
            self.heard_again = now;
            self.deaf_ms = millis(half * 2);
        }
        self.heard = now;
    }

    /// Replaces the entry of `subject`, and notes when the root changed.
    pub(in crate::protocol) fn set_entry(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        entry: Entry,
    ) {
        if subject == self.index && cx.shared.directory.signs() {
            let state = entry.state().unwrap_or(State::Alive);
            cx.shared.directory.sign((subject, entry.version()), entry.incarnation(), state);
        }
        let before = self.table.root();
        self.table.set(subject, entry, &mut cx.shared.directory);
        if self.table.root() != before {
            self.root_changed = cx.now;
        }
    }

    /// Drops every reference to `subject`, which departed, and its entry.
    pub(in crate::protocol) fn forget(&mut self, cx: &mut Context<'_, '_>, subject: MemberIndex) {
        if self.table.get(subject).is_queued() {
            cx.shared.broadcasts.remove_update(&mut self.queue, subject);
            self.table.set_queued(subject, false);
        }
        cx.shared.departed.remove(&mut self.departed, subject);
        self.set_entry(cx, subject, Entry::UNKNOWN);
    }

    /// Whether a message came from the member at `index` itself: by its id where the format names the
    /// sender, else by its address.
    #[inline]
    pub(in crate::protocol) fn is_from(
        &self,
        cx: &Context<'_, '_>,
        origin: &Sender,
        index: MemberIndex,
    ) -> bool {
        if !origin.source.is_none() {
            return origin.source == cx.shared.directory.id(index);
        }
        self.is_at(cx, origin, index)
    }

    /// Whether a message came from where the member at `index` receives: asked where the format names no sender.
    #[cold]
    fn is_at(&self, cx: &Context<'_, '_>, origin: &Sender, index: MemberIndex) -> bool {
        is_same_place(origin.address, self.identity(index, cx.shared).address())
    }

    /// The highest local health score.
    pub(in crate::protocol) fn health_max(&self, cx: &Context<'_, '_>) -> u8 {
        let lower = u8::from(cx.shared.behaviour.lower_health_max);
        self.settings.local_health_max.saturating_sub(lower)
    }
}
