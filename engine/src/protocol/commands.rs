//! What an application asks of a member: join, leave, metadata, events; and what it may look at.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;

use swimring_codec::memberlist::Versions;
use swimring_codec::native::{EVENT_MAX, Introduction, UserEvent};
use swimring_codec::{Incarnation, MemberId, State};

use crate::protocol::detection::return_probes::Watch;
use crate::protocol::dissemination::queue::Update;
use crate::protocol::dissemination::user_events::EventIndex;
use crate::protocol::event::Event;
use crate::protocol::member::{Context, Member, MemberError, Status, check_metadata};
use crate::protocol::outbox::{Outbox, StreamOpen, StreamPurpose};
use crate::protocol::settings::Settings;
use crate::protocol::shared_state::SharedState;
use crate::protocol::time::Time;
use crate::protocol::view::directory::{Full, MemberIndex};
use crate::protocol::view::shared_view::SharedView;
use crate::protocol::view::table::{Entry, Table};
use crate::protocol::wire::Wire;

/// A member of a view.
#[derive(Clone, Copy, Debug)]
pub struct MemberRef<'a> {
    /// Its place in the directory.
    pub index: MemberIndex,
    /// Its name.
    pub name: &'a str,
    /// Where it receives.
    pub address: SocketAddr,
    /// Its metadata.
    pub metadata: &'a [u8],
    /// What is believed of it.
    pub state: State,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The protocol versions it announced; all zero in the native format.
    pub versions: Versions,
}

/// A complete view to start from, as a finished join would have given it.
#[derive(Debug)]
pub struct View {
    table: Table,
    /// Made of the table when it is first loaded.
    base: OnceCell<Arc<SharedView>>,
}

impl View {
    /// The view in which every member of `members` is alive.
    pub fn of<'a>(members: impl IntoIterator<Item = &'a Member>, commons: &mut SharedState) -> View {
        let mut table = Table::new(&commons.bases);
        for member in members {
            table.set(member.index, member.table.get(member.index), &mut commons.directory);
        }
        View { table, base: OnceCell::new() }
    }

    /// Adds a member that lives elsewhere.
    ///
    /// # Errors
    /// If the directory is full.
    pub fn add(
        &mut self,
        introduction: &Introduction<'_>,
        settings: &Settings,
        commons: &mut SharedState,
    ) -> Result<(), MemberError> {
        let versions = commons.wire.versions();
        let interned = commons.directory.intern(introduction, versions, settings.members_max);
        let (index, version) = interned.map_err(|_| MemberError::TableFull)?;
        let entry = Entry::new(introduction.state, introduction.incarnation, version);
        self.table.set(index, entry, &mut commons.directory);
        self.base.take();
        Ok(())
    }

    /// Has all of `members`, who know nobody else yet, start from this view instead of joining. They share it
    /// as a base: besides one pass over the view, it costs the same for each whatever the view's size.
    pub fn load<'a>(&self, members: impl IntoIterator<Item = &'a mut Member>, commons: &mut SharedState) {
        let members: Vec<&mut Member> = members.into_iter().collect();
        let base = self.base.get_or_init(|| commons.bases.adopt(&self.table));
        for (index, entry) in self.table.iter() {
            commons.directory.retain_many(index, entry.version(), members.len() as u32);
        }
        for member in members {
            member.table.load(&self.table, base, member.index, &mut commons.directory);
        }
    }

    /// Gives the directory its references back.
    pub fn release(mut self, commons: &mut SharedState) {
        self.table.clear(&mut commons.directory);
    }
}

impl Member {
    /// Starts from a complete view instead of joining. For a member that knows nobody else yet; many are
    /// better loaded together, with [`View::load`].
    pub fn load(&mut self, view: &View, commons: &mut SharedState) {
        view.load([self], commons);
    }

    /// Moves the member's view to the newest base that was made of its kind. What can be observed of the
    /// member, and every byte it sends, stays the same. Gives how many entries that took a look at.
    pub fn rebase(&mut self, commons: &mut SharedState) -> usize {
        let (moved, looked) = self.table.rebase(&mut commons.bases);
        commons.counters.views_rebased += u64::from(moved);
        looked
    }

    /// How much the view differs from the base it is held against: everything, if from none.
    pub fn differences(&self) -> usize {
        self.table.differences()
    }

    /// Asks the member at `seed` for its view and tells it about us. `token` comes back in
    /// [`Event::JoinFinished`]. `destination` is [`MemberId::NONE`] unless several members live there.
    pub fn join(
        &mut self,
        now: Time,
        seed: SocketAddr,
        destination: MemberId,
        token: u32,
        commons: &mut SharedState,
        out: &mut Outbox<'_>,
    ) {
        let cx = &mut Context { now, commons, out };
        if self.status != Status::Active {
            if self.status == Status::Left {
                self.resume(cx);
            }
            // A member that left comes back as its own successor.
            self.status = Status::Active;
            let own = self.table.get(self.index);
            let incarnation = own.incarnation().next();
            self.set_entry(cx, self.index, own.with_state(State::Alive).with_incarnation(incarnation));
        }
        self.introduce_self(cx);
        cx.out.streams.push(StreamOpen { to: seed, destination, purpose: StreamPurpose::Join { token } });
    }

    /// Listens again after a time in which nothing was heard: what was due then says nothing about anyone.
    fn resume(&mut self, cx: &mut Context<'_, '_>) {
        self.probe.abandon();
        self.watch = Watch::NONE;
        self.relays.clear(&mut cx.commons.relays);
        cx.commons.suspicions.restart(&mut self.suspicions, cx.now);
        self.suspicion_due = cx.commons.suspicions.due(&self.suspicions);
        self.gossip.due = Time::NEVER;
    }

    fn introduce_self(&mut self, cx: &mut Context<'_, '_>) {
        let incarnation = self.table.get(self.index).incarnation();
        self.queue_update(cx, self.index, Update::Alive { introduce: true }, incarnation);
        self.gossip.arm(cx.now, &self.settings, true);
    }

    /// Says goodbye. [`Event::LeaveFinished`] follows once it has been told as often as any news.
    pub fn leave(&mut self, now: Time, commons: &mut SharedState, out: &mut Outbox<'_>) {
        let cx = &mut Context { now, commons, out };
        if self.status != Status::Active {
            return;
        }
        self.status = Status::Leaving;
        self.leave_intent = self.tell_leave_intent(cx);
        if self.leave_intent.is_none() || self.table.live() <= 1 {
            self.tell_left(cx);
        }
        self.gossip.arm(now, &self.settings, true);
    }

    /// Tells that we leave.
    fn tell_left(&mut self, cx: &mut Context<'_, '_>) {
        self.leave_intent = None;
        let own = self.table.get(self.index);
        self.set_entry(cx, self.index, own.with_state(State::Left));
        self.queue_update(cx, self.index, Update::Left, own.incarnation());
        if self.table.live() == 0 {
            self.drop_queue(cx);
        }
    }

    /// An event has been told as often as any. If it was that we mean to leave, we do.
    pub(in crate::protocol) fn event_gone(&mut self, cx: &mut Context<'_, '_>, event: EventIndex) {
        if self.status == Status::Leaving && self.leave_intent == Some(event) {
            self.tell_left(cx);
        }
    }

    pub(in crate::protocol) fn finish_leaving(&mut self, cx: &mut Context<'_, '_>) {
        self.status = Status::Left;
        cx.emit(Event::LeaveFinished);
    }

    /// Drops what is queued: there is nobody to tell.
    pub(in crate::protocol) fn drop_queue(&mut self, cx: &mut Context<'_, '_>) {
        let commons = &mut *cx.commons;
        let (table, events) = (&mut self.table, &mut commons.events);
        commons.broadcasts.clear(&mut self.queue, |gone| match gone.news {
            Update::Event => events.release(gone.subject),
            _ => table.set_queued(gone.subject, false),
        });
        if self.status == Status::Leaving {
            self.finish_leaving(cx);
        }
    }

    /// Publishes new metadata.
    ///
    /// # Errors
    /// If it is too large, or too many versions of it are about.
    pub fn update_metadata(
        &mut self,
        now: Time,
        metadata: &[u8],
        commons: &mut SharedState,
        out: &mut Outbox<'_>,
    ) -> Result<(), MemberError> {
        check_metadata(metadata)?;
        if self.status != Status::Active {
            return Err(MemberError::Left);
        }
        let own = self.table.get(self.index);
        let incarnation = own.incarnation().next();
        let name = commons.directory.name(self.index).to_owned();
        let address = self.identity(self.index, commons).address();
        let introduction = Introduction {
            subject: self.id,
            incarnation,
            state: State::Alive,
            address,
            name: &name,
            metadata,
        };
        let versions = commons.wire.versions();
        let interned = commons.directory.intern(&introduction, versions, self.settings.members_max);
        let (_, version) = interned.map_err(|full| match full {
            Full::Members => MemberError::TableFull,
            Full::Versions => MemberError::TooManyVersions,
        })?;
        let cx = &mut Context { now, commons, out };
        self.set_entry(cx, self.index, own.with_incarnation(incarnation).with_version(version));
        self.introduce_self(cx);
        Ok(())
    }

    /// Sends a user event to everyone. Gives its sequence number.
    ///
    /// # Errors
    /// If it is too large for a frame, or too many are under way. Nothing is queued then.
    pub fn send_event(
        &mut self,
        now: Time,
        name: &str,
        payload: &[u8],
        commons: &mut SharedState,
        out: &mut Outbox<'_>,
    ) -> Result<u32, MemberError> {
        check_event(name, payload)?;
        if self.status != Status::Active {
            return Err(MemberError::Left);
        }
        if self.queue.is_full_of_events(self.settings.broadcasts_max) {
            return Err(MemberError::TooManyEvents);
        }
        self.event_sequence = self.event_sequence.wrapping_add(1);
        let event = UserEvent { origin: self.id, sequence: self.event_sequence, name, payload };
        let at = self.store_own_event(&event, now, commons).ok_or(MemberError::TooManyEvents)?;
        commons.events.mark_seen(at, self.number);
        let cx = &mut Context { now, commons, out };
        self.tell_event(cx, at);
        self.gossip.arm(now, &self.settings, true);
        Ok(event.sequence)
    }

    /// Puts an event of ours into the store as it will travel.
    fn store_own_event(
        &mut self,
        event: &UserEvent<'_>,
        now: Time,
        commons: &mut SharedState,
    ) -> Option<EventIndex> {
        match &mut commons.wire {
            Wire::Native => commons.events.insert(event, now, &self.settings),
            Wire::Memberlist(wire) => {
                let (key, name, payload) = self.compose_event(wire, event)?;
                commons.events.insert_body(key, wire.body(), (name, payload), now, &self.settings)
            }
        }
    }

    /// The member's own id.
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// The member's own place in the directory.
    pub fn index(&self) -> MemberIndex {
        self.index
    }

    /// The member's own incarnation.
    pub fn incarnation(&self) -> Incarnation {
        self.table.get(self.index).incarnation()
    }

    /// Members that are alive or suspect, itself among them.
    pub fn live(&self) -> usize {
        self.table.live()
    }

    /// Members that are suspect.
    pub fn suspects(&self) -> usize {
        self.suspicions.len() as usize
    }

    /// Which cluster it belongs to.
    pub fn cluster(&self) -> u32 {
        self.cluster
    }

    /// Members that are part of the view, the dead and left that have not been reaped among them.
    pub fn known(&self) -> usize {
        self.table.known()
    }

    /// The state root: equal for two members that hold the same view of who is live.
    pub fn root(&self) -> u64 {
        self.table.root()
    }

    /// The local health score, 0 for healthy.
    pub fn local_health(&self) -> u8 {
        self.health.score()
    }

    /// Broadcasts waiting to be sent.
    pub fn queued(&self) -> u32 {
        self.queue.len()
    }

    /// Whether the member has left.
    pub fn has_left(&self) -> bool {
        self.status == Status::Left
    }

    /// What is believed of the member at `index`; nothing if it is not part of the view.
    pub fn state_of(&self, index: MemberIndex) -> Option<(State, Incarnation)> {
        let entry = self.table.get(index);
        entry.state().map(|state| (state, entry.incarnation()))
    }

    /// The view, in no particular order.
    pub fn members<'a>(&'a self, commons: &'a SharedState) -> impl Iterator<Item = MemberRef<'a>> + 'a {
        self.table.iter().filter_map(|(index, entry)| self.known_member(index, entry, commons))
    }

    /// What the view says of the member at `index`, which is still resolved when it has just departed.
    pub fn member<'a>(&self, index: MemberIndex, commons: &'a SharedState) -> Option<MemberRef<'a>> {
        self.known_member(index, self.table.get(index), commons)
    }

    fn known_member<'a>(
        &self,
        index: MemberIndex,
        entry: Entry,
        commons: &'a SharedState,
    ) -> Option<MemberRef<'a>> {
        let state = entry.state()?;
        let identity = commons.directory.identity(index, entry.version());
        Some(MemberRef {
            index,
            name: commons.directory.name(index),
            address: identity.address(),
            metadata: identity.metadata(),
            state,
            incarnation: entry.incarnation(),
            versions: identity.versions(),
        })
    }
}

/// Checks that an event fits.
///
/// # Errors
/// [`MemberError::EventTooLarge`] or [`MemberError::EventNameTooLong`].
pub fn check_event(name: &str, payload: &[u8]) -> Result<(), MemberError> {
    if name.len() > u8::MAX.into() {
        return Err(MemberError::EventNameTooLong(name.len()));
    }
    let length = name.len() + payload.len();
    if length > EVENT_MAX { Err(MemberError::EventTooLarge(length)) } else { Ok(()) }
}
