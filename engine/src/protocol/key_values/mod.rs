//! Shared state: each member owns a map of keys to values that all others have a copy of, and there is one map more that
//! all may write.
//!
//! A change that is small is told, in a user event whose name no application can give: so it is delegated, acknowledged and
//! repaired like one, and is everywhere in a few steps. Of a large one only the version is told, and it is fetched on a stream
//! from whoever told of it. What is missed all the same shows in the roots that members send each other now and
//! then, and is mended by an exchange on a stream: digests there, what is newer back, and the other way round. Who joins
//! gets everything before the view.
//!
//! | file | what is there |
//! |---|---|
//! | `map` | one member's map: versions, deletions, what a copy lacks |
//! | `cluster_keys` | the keys of the cluster: the last to write wins |
//! | `store` | all of them within their bounds; what others say is taken in |
//! | `telling` | what changed here is told |
//! | `fetching` | what is known to have come further is asked for |
//! | `exchange` | when to compare, with whom, and what is asked for and answered |
//! | `signed` | where members have identities: maps that their owners have signed, whole or not at all |
//! | `signed_keys` | the same of keys of the cluster: each as its writer has signed it |
//! | `saved` | what outlives the process: given out, and taken back in by the next life |
//!
//! A member that neither uses it nor hears of it has none of this.

mod cluster_keys;
mod exchange;
mod fetching;
mod map;
mod saved;
mod signed;
mod signed_keys;
mod store;
mod telling;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use swimring_codec::native::{KeySection, KeySections};
use swimring_codec::{MemberId, State};

use self::exchange::Exchange;
use self::fetching::Wanted;
use self::signed_keys::vouched;
use self::store::{Limits, Store, Taken};
use self::telling::Telling;
use crate::protocol::event::Event;
use crate::protocol::outbox::{StreamOpen, StreamPurpose};
use crate::protocol::settings::Settings;
use crate::protocol::state::{Context, Core, SharedState};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;

pub use self::saved::{SavedClusterKey, SavedKey, SavedMark, SavedState};
pub use self::store::{StateChange, StateError, StateValue};

/// Maps of those that are not in the view are kept for so long: who joins has maps before it has the view.
const ABSENT_KEPT: Duration = Duration::from_secs(60);

/// Changes for which memory is kept.
const CHANGES_KEPT: usize = 64;

/// See the module.
#[derive(Debug)]
pub(in crate::protocol) struct KeyValues {
    store: Store,
    /// The life of this member's own map, once there is one.
    epoch: u64,
    telling: Telling,
    exchange: Exchange,
    /// Owners of maps that are not in the view, and since when.
    absent: BTreeMap<MemberId, Time>,
    /// The driver has been told of the changes.
    announced: bool,
}

impl KeyValues {
    /// Nothing yet. `epoch` is where the life of a map of our own begins; `signs` is whether members have identities.
    pub(in crate::protocol) fn new(settings: &Settings, signs: bool, epoch: u64, now: Time) -> KeyValues {
        KeyValues {
            store: Store::new(Limits::of(settings), signs),
            epoch,
            telling: Telling::new(now),
            exchange: Exchange::new(now),
            absent: BTreeMap::new(),
            announced: false,
        }
    }

    /// Changes a key of our own map, or, as that of [`MemberId::NONE`], of the cluster; deletes it if there is no new
    /// value. Gives its version; nothing if there was nothing to delete.
    pub(in crate::protocol) fn change(
        &mut self,
        (core, shared): (&Core, &mut SharedState),
        owner: MemberId,
        key: &str,
        new: Option<Bytes>,
        now: Time,
    ) -> Result<Option<u64>, StateError> {
        self.forget_announced();
        let changed = if owner.is_none() {
            self.store.change_cluster(core.id, self.epoch, key, new)?
        } else {
            self.store.change_own(core.id, self.epoch, key, new)?
        };
        if changed.is_some() {
            if owner.is_none() {
                self.sign_key(core, shared, key);
                self.telling.note_cluster_key(Arc::from(key));
            }
            self.telling.wake(now);
            self.exchange.note_change(now);
        }
        Ok(changed)
    }

    pub(in crate::protocol) fn get(&self, owner: MemberId, key: &str) -> Option<StateValue> {
        self.store.get(owner, key)
    }

    pub(in crate::protocol) fn list(&self, owner: MemberId, prefix: &str) -> Vec<(Arc<str>, StateValue)> {
        self.store.list(owner, prefix)
    }

    /// Those whose maps are held.
    pub(in crate::protocol) fn owners(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.store.maps.keys().copied()
    }

    /// Bytes of all keys and values.
    pub(in crate::protocol) fn bytes(&self) -> usize {
        self.store.bytes()
    }

    /// What has changed with the last input.
    pub(in crate::protocol) fn changes(&self) -> &[StateChange] {
        &self.store.changes
    }

    /// What a change says that `origin` has told, and `from` has passed on. Of maps a member tells its own alone.
    pub(in crate::protocol) fn on_told(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        (origin, from): (MemberId, MemberId),
        payload: &[u8],
    ) {
        let sections = KeySections::new(payload);
        let mut owners = sections.map(|section| section.map_or(MemberId::NONE, |section| section.span.owner));
        if owners.all(|owner| owner == origin || owner.is_none()) {
            self.take_sections(core, cx, from, sections);
        } else {
            cx.shared.counters.decode_errors += 1;
        }
    }

    /// Takes in what `from` says. False if it breaks a rule of the format.
    pub(in crate::protocol) fn take_sections(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        from: MemberId,
        sections: KeySections<'_>,
    ) -> bool {
        self.forget_announced();
        for section in sections {
            let broken = match section {
                Ok(section) => self.take(core, cx, from, &section).broken,
                Err(_) => true,
            };
            if broken {
                cx.shared.counters.decode_errors += 1;
                return false;
            }
        }
        true
    }

    fn take(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        from: MemberId,
        section: &KeySection<'_>,
    ) -> Taken {
        let span = section.span;
        let taken = if span.owner.is_none() {
            let taken = self.store.take_cluster(section, |entry| vouched(core, cx, entry));
            for (key, version, writer) in self.store.elsewhere.drain(..) {
                self.exchange.fetching.want(core, cx, Wanted::Key { key, version, writer }, from);
            }
            taken
        } else if span.owner == core.id {
            let heard = (span.epoch, span.until);
            let outranked = self.is_past(core.id, heard);
            if outranked && (!self.store.signs || KeyValues::is_own_past(core, cx, section)) {
                self.on_own_past(cx.now, core.id, heard);
            }
            return Taken::default();
        } else if state_of(core, cx.shared, span.owner) == Some(State::Left) {
            return Taken::default();
        } else {
            let taken = match self.store.signs {
                true => self.take_signed(core, cx, from, section),
                false => self.store.take_map(section, &mut cx.shared.state_entries),
            };
            if taken.gap {
                let (owner, epoch, version) = (span.owner, span.epoch, span.until);
                self.exchange.fetching.want(core, cx, Wanted::Map { owner, epoch, version }, from);
            }
            taken
        };
        let counters = &mut cx.shared.counters;
        counters.state_changes_received += taken.news;
        counters.state_changes_refused += taken.refused;
        if taken.news > 0 {
            self.exchange.note_news(cx.now);
        }
        taken
    }

    /// Whether a map of ours of which somebody has this epoch and version is not the one that we have.
    fn is_past(&self, own: MemberId, heard: (u64, u64)) -> bool {
        // One without a version has never been told: whatever its epoch, nobody's copy gives way to it.
        let told = self.store.maps.get(&own).filter(|map| map.version != 0);
        heard > told.map_or((0, 0), |map| (map.epoch, map.version))
    }

    /// Somebody has a map of ours, at this epoch and version: if it is not the one that we have, an earlier life has left it, and
    /// ours is to outrank it.
    fn on_own_past(&mut self, now: Time, own: MemberId, heard: (u64, u64)) {
        if !self.is_past(own, heard) {
            return;
        }
        self.store.outrank(own, self.epoch, heard.0);
        self.telling.begin_anew(now);
        self.exchange.note_change(now);
    }

    /// We have joined, through `source`: what we have is news to the others.
    pub(in crate::protocol) fn on_joined(&mut self, core: &Core, now: Time, source: MemberId) {
        if self.store.maps.contains_key(&core.id) {
            self.telling.begin_anew(now);
        }
        self.exchange.begin_soon(now, source);
    }

    /// When there is something to do next.
    #[inline]
    pub(in crate::protocol) fn due(&self, core: &Core) -> Time {
        self.telling.due().min(self.exchange.due(core))
    }

    /// Sends what is due: roots, questions, and streams to be opened.
    pub(in crate::protocol) fn timeout(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        if self.exchange.is_summary_due(core, cx.now) {
            self.forget_announced();
            self.sweep(core, cx);
        }
        self.exchange.timeout(&self.store, core, cx);
    }

    /// Tells what has changed here, if that is due, and the driver what has changed at all. To be called last in every step.
    pub(in crate::protocol) fn begin_telling(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        if self.telling.due() <= cx.now {
            self.sign_own(core, cx.shared);
            self.telling.tell(&self.store, core, cx);
        }
        if !self.store.changes.is_empty() && !std::mem::replace(&mut self.announced, true) {
            cx.emit(Event::StateChanged);
        }
    }

    /// Forgets the changes that the driver has had time to look at.
    fn forget_announced(&mut self) {
        if std::mem::take(&mut self.announced) {
            self.store.changes.clear();
            // Of a join there are as many as all have keys.
            self.store.changes.shrink_to(CHANGES_KEPT);
        }
    }

    /// Forgets the maps of those that have left, or are not in the view for long; and those of the dead where room is short.
    fn sweep(&mut self, core: &Core, cx: &mut Context<'_, '_>) {
        self.store.drop_staged(cx.now);
        let scarce = self.store.bytes() > self.store.limits.all / 2;
        let before = std::mem::take(&mut self.absent);
        let is_absent = |owner: &MemberId| *owner != core.id && state_of(core, cx.shared, *owner).is_none();
        let absent = self.store.maps.keys().copied().filter(is_absent);
        self.absent = absent.map(|owner| (owner, before.get(&owner).copied().unwrap_or(cx.now))).collect();
        let gone = |owner: &MemberId| match state_of(core, cx.shared, *owner) {
            _ if *owner == core.id => false,
            None => self.absent.get(owner).is_some_and(|since| cx.now.since(*since) >= ABSENT_KEPT),
            Some(State::Left) => true,
            Some(State::Dead) => scarce,
            Some(State::Alive | State::Suspect) => false,
        };
        let owners: Vec<MemberId> = self.store.maps.keys().copied().filter(gone).collect();
        for owner in owners {
            self.store.forget(owner);
        }
    }
}

/// What is believed of the member `id`; nothing if it is not in the view.
fn state_of(core: &Core, shared: &SharedState, id: MemberId) -> Option<State> {
    core.table.get(shared.directory.find(id)?).state()
}

/// Whether the member `id` is live.
fn is_live(core: &Core, shared: &SharedState, id: MemberId) -> bool {
    state_of(core, shared, id).is_some_and(State::is_live)
}

/// Opens a stream to `partner`.
fn open(core: &Core, cx: &mut Context<'_, '_>, partner: MemberIndex, purpose: StreamPurpose) {
    cx.shared.counters.state_exchanges_begun += 1;
    cx.out.streams.push(StreamOpen {
        to: core.identity(partner, cx.shared).address(),
        destination: cx.shared.directory.id(partner),
        purpose,
    });
}
