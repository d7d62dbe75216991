//! What an application asks of a member: leave, metadata, events; and what it may look at. How it joins is in `join`.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring_codec::memberlist::Versions;
use swimring_codec::native::{EVENT_MAX, IdentityKey, Introduction, PublicKey, UserEvent};
use swimring_codec::{Incarnation, MemberId, State};

use crate::protocol::detection::return_probes::ReturnProbes;
use crate::protocol::event::{EventIndex, StandingSuspicion};
use crate::protocol::member::error::{check_metadata, signed_metadata};
use crate::protocol::member::{Member, MemberError};
use crate::protocol::outbox::Outbox;
use crate::protocol::settings::Settings;
use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::entry::Entry;
use crate::protocol::view::shared_view::SharedView;
use crate::protocol::view::table::Table;
use crate::protocol::wire::is_reserved;

/// A member of a view.
#[derive(Clone, Copy, Debug)]
pub struct MemberRef<'a> {
    /// Its place in the directory.
    pub index: MemberIndex,
    /// Its name.
    pub name: &'a str,
    /// Address that it receives at.
    pub address: SocketAddr,
    /// Its metadata.
    pub metadata: &'a [u8],
    /// The key that it signs with, where members have identities.
    pub public_key: Option<PublicKey>,
    /// The zone that it is in; empty for none.
    pub zone: &'a str,
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
    pub fn of<'a>(members: impl IntoIterator<Item = &'a Member>, shared: &mut SharedState) -> View {
        let mut table = Table::new(&shared.bases);
        for member in members {
            table.set(member.core.index, member.core.table.get(member.core.index), &mut shared.directory);
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
        shared: &mut SharedState,
    ) -> Result<(), MemberError> {
        let versions = shared.wire.rules.versions;
        let interned = shared.directory.intern(introduction, versions, settings.members_max);
        let (index, version) = interned.map_err(MemberError::from)?;
        let entry = Entry::new(introduction.state, introduction.incarnation, version);
        self.table.set(index, entry, &mut shared.directory);
        self.base.take();
        Ok(())
    }

    /// The same for a member with an identity, which signs with `key`. The metadata is its application's.
    ///
    /// # Errors
    /// If the directory is full, or members have no identities.
    pub fn add_signed(
        &mut self,
        introduction: &Introduction<'_>,
        key: &IdentityKey,
        settings: &Settings,
        shared: &mut SharedState,
    ) -> Result<(), MemberError> {
        let metadata = signed_metadata(key.public(), introduction.metadata)?;
        let introduction = &Introduction { metadata: &metadata, ..*introduction };
        let statements = shared.directory.statements.as_ref().ok_or(MemberError::IdentityUnused)?;
        let signature = key.sign_alive(statements.cluster(), introduction);
        self.add(introduction, settings, shared)?;
        if let (Some(index), Some(signature)) = (shared.directory.find(introduction.subject), signature) {
            let entry = self.table.get(index);
            let identity = (index, entry.version());
            shared.directory.keep_signature(identity, introduction.incarnation, State::Alive, signature);
        }
        Ok(())
    }

    /// Has all of `members`, who know nobody else yet, start from this view instead of joining. They share it
    /// as a base: besides one pass over the view, it costs the same for each whatever the view's size.
    pub fn load<'a>(&self, members: impl IntoIterator<Item = &'a mut Member>, shared: &mut SharedState) {
        let members: Vec<&mut Member> = members.into_iter().collect();
        let base = self.base.get_or_init(|| shared.bases.adopt(&self.table, &shared.directory));
        for (index, entry) in self.table.iter() {
            shared.directory.retain_many(index, entry.version(), members.len() as u32);
        }
        for member in members {
            member.core.table.load(&self.table, base, member.core.index, &mut shared.directory);
        }
    }

    /// Gives the directory its references back.
    pub fn release(mut self, shared: &mut SharedState) {
        self.table.clear(&mut shared.directory);
    }
}

impl Member {
    /// Starts from a complete view instead of joining. For a member that knows nobody else yet; many are
    /// better loaded together, with [`View::load`].
    pub fn load(&mut self, view: &View, shared: &mut SharedState) {
        view.load([self], shared);
    }

    /// Moves the member's view to the newest base that was made of its kind. What can be observed of the
    /// member, and every byte it sends, stays the same. Gives how many entries that took a look at.
    pub fn rebase(&mut self, shared: &mut SharedState) -> usize {
        let (moved, looked) = self.core.table.rebase(&mut shared.bases, &shared.directory);
        shared.counters.views_rebased += u64::from(moved);
        looked
    }

    /// How much the view differs from the base it is held against: everything, if from none.
    pub fn differences(&self) -> usize {
        self.core.table.differences()
    }

    /// Listens again after a time in which nothing was heard: what was due then says nothing about anyone.
    pub(super) fn resume(&mut self, cx: &mut Context<'_, '_>) {
        self.probe.abandon();
        self.return_probes = ReturnProbes::NONE;
        self.relays.clear(&mut cx.shared.relays);
        self.suspicions.restart(cx.now, &mut cx.shared.suspicions);
        self.gossip.disarm();
    }

    /// Says goodbye. [`Event::LeaveFinished`](super::super::Event::LeaveFinished) follows once it has been told as often as any news.
    pub fn leave(&mut self, now: Time, shared: &mut SharedState, out: &mut Outbox<'_>) {
        let cx = &mut Context::new(now, shared, out);
        if self.core.status != Status::Active {
            return;
        }
        self.core.say_goodbye(cx);
        self.begin_telling(cx);
    }

    /// Publishes new metadata.
    ///
    /// # Errors
    /// If it is too large, or too many versions of it are about.
    pub fn update_metadata(
        &mut self,
        now: Time,
        metadata: &[u8],
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) -> Result<(), MemberError> {
        let held;
        let own = self.core.identity(self.core.index, shared);
        let metadata = match shared.directory.split(own.metadata()) {
            (Some(key), _) => {
                held = signed_metadata(key, metadata)?;
                &held
            }
            (None, _) => metadata,
        };
        check_metadata(metadata)?;
        if self.core.status != Status::Active {
            return Err(MemberError::Left);
        }
        let own = self.core.table.get(self.core.index);
        let incarnation = own.incarnation().next();
        let name = shared.directory.name(self.core.index).to_owned();
        let identity = self.core.identity(self.core.index, shared);
        let address = identity.address();
        let zone = shared.directory.zone_name(identity).to_owned();
        let introduction = Introduction {
            subject: self.core.id,
            incarnation,
            state: State::Alive,
            address,
            name: &name,
            metadata,
            zone: &zone,
        };
        let versions = shared.wire.rules.versions;
        let interned = shared.directory.intern(&introduction, versions, self.core.settings.members_max);
        let (_, version) = interned.map_err(MemberError::from)?;
        let cx = &mut Context::new(now, shared, out);
        self.core.set_entry(cx, self.core.index, own.with_incarnation(incarnation).with_version(version));
        self.introduce_self(cx);
        Ok(())
    }

    /// Sends a user event to everyone. Gives its sequence number, with which
    /// [`Event::EventTold`](super::super::Event::EventTold) says that it has been told.
    ///
    /// # Errors
    /// If it is too large for a frame, too many are under way, or members are behind with those that are told already. Nothing is queued then.
    pub fn send_event(
        &mut self,
        now: Time,
        name: &str,
        payload: &[u8],
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) -> Result<u32, MemberError> {
        check_event(name, payload)?;
        if self.core.status != Status::Active {
            return Err(MemberError::Left);
        }
        if self.core.is_full_of_events(shared) {
            return Err(MemberError::TooManyEvents);
        }
        if self.core.delegates(shared) && shared.is_behind_with_events(now) {
            shared.counters.events_refused += 1;
            return Err(MemberError::Overloaded);
        }
        self.core.event_sequence = self.core.event_sequence.wrapping_add(1);
        let event = UserEvent { origin: self.core.id, sequence: self.core.event_sequence, name, payload };
        let at = self.core.store_own_event(&event, now, shared).ok_or(MemberError::TooManyEvents)?;
        shared.events.mark_seen(at, self.core.number);
        let cx = &mut Context::new(now, shared, out);
        self.core.tell_own_event(cx, at, event.sequence);
        self.begin_telling(cx);
        Ok(event.sequence)
    }

    /// The member's own id.
    pub fn id(&self) -> MemberId {
        self.core.id
    }

    /// The member's own place in the directory.
    pub fn index(&self) -> MemberIndex {
        self.core.index
    }

    /// The member's own incarnation.
    pub fn incarnation(&self) -> Incarnation {
        self.core.table.get(self.core.index).incarnation()
    }

    /// Members that are alive or suspect, itself among them.
    pub fn live(&self) -> usize {
        self.core.table.live()
    }

    /// Members that are suspect.
    pub fn suspects(&self) -> usize {
        self.suspicions.len() as usize
    }

    /// Which cluster it belongs to.
    pub fn cluster(&self) -> u32 {
        self.core.cluster
    }

    /// Members that are part of the view, the dead and left that have not been reaped among them.
    pub fn known(&self) -> usize {
        self.core.table.known()
    }

    /// The state root: equal for two members that hold the same view of who is live.
    pub fn root(&self) -> u64 {
        self.core.table.root()
    }

    /// The local health score, 0 for healthy.
    pub fn local_health(&self) -> u8 {
        self.core.health.score()
    }

    /// Broadcasts waiting to be sent.
    pub fn queued(&self) -> u32 {
        self.core.queue.len()
    }

    /// Delegations that wait to be sent, or for their acknowledgement.
    pub fn delegated(&self) -> u32 {
        self.core.delegations.len()
    }

    /// Whether the member has left.
    pub fn has_left(&self) -> bool {
        self.core.status == Status::Left
    }

    /// What is believed of the member at `index`; nothing if it is not part of the view.
    pub fn state_of(&self, index: MemberIndex) -> Option<(State, Incarnation)> {
        let entry = self.core.table.get(index);
        entry.state().map(|state| (state, entry.incarnation()))
    }

    /// The suspicion of the member at `index`, if it is suspected.
    pub fn suspicion_of(&self, index: MemberIndex, shared: &SharedState) -> Option<StandingSuspicion> {
        shared.suspicions.standing(self.suspicions.list(), index)
    }

    /// The view, in no particular order.
    pub fn members<'a>(&'a self, shared: &'a SharedState) -> impl Iterator<Item = MemberRef<'a>> + 'a {
        self.core.table.iter().filter_map(|(index, entry)| self.known_member(index, entry, shared))
    }

    /// What the view says of the member at `index`, which is still resolved when it has just departed.
    pub fn member<'a>(&self, index: MemberIndex, shared: &'a SharedState) -> Option<MemberRef<'a>> {
        self.known_member(index, self.core.table.get(index), shared)
    }

    fn known_member<'a>(
        &self,
        index: MemberIndex,
        entry: Entry,
        shared: &'a SharedState,
    ) -> Option<MemberRef<'a>> {
        let state = entry.state()?;
        let identity = shared.directory.identity(index, entry.version());
        let (public_key, metadata) = shared.directory.split(identity.metadata());
        Some(MemberRef {
            index,
            name: shared.directory.name(index),
            address: identity.address(),
            metadata,
            public_key,
            zone: shared.directory.zone_name(identity),
            state,
            incarnation: entry.incarnation(),
            versions: identity.versions(),
        })
    }
}

impl Core {
    /// Puts an event of ours into the store as it will travel.
    fn store_own_event(
        &mut self,
        event: &UserEvent<'_>,
        now: Time,
        shared: &mut SharedState,
    ) -> Option<EventIndex> {
        let ltime = if shared.wire.rules.serf { self.seldom.serf.next_event() } else { 0 };
        let body = shared.wire.event_body(event, ltime)?;
        shared.events.insert(&body, Duration::ZERO, now, &self.settings)
    }
}

/// Checks that an event fits.
///
/// # Errors
/// [`MemberError::EventTooLarge`], [`MemberError::EventNameTooLong`] or [`MemberError::EventNameReserved`].
pub fn check_event(name: &str, payload: &[u8]) -> Result<(), MemberError> {
    if name.len() > u8::MAX.into() {
        return Err(MemberError::EventNameTooLong(name.len()));
    }
    if is_reserved(name) {
        return Err(MemberError::EventNameReserved);
    }
    let length = name.len() + payload.len();
    if length > EVENT_MAX { Err(MemberError::EventTooLarge(length)) } else { Ok(()) }
}
