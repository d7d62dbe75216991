//! Shared state, put together: what an application asks for and may look at, what arrives about it, and when.
//!
//! It is made when it is first used, or heard of, so that a member of a cluster that shares nothing pays nothing.

use std::sync::Arc;

use bytes::Bytes;
use swimring_codec::MemberId;
use swimring_codec::native::{KeyDigests, KeyRoots, KeySections};

use crate::protocol::key_values::{
    KeyValues, SavedClusterKey, SavedKey, SavedMark, SavedState, StateChange, StateError, StateValue,
};
use crate::protocol::member::{Member, StreamNext};
use crate::protocol::outbox::{Outbox, StreamPurpose};
use crate::protocol::state::{Context, Core, SharedState};
use crate::protocol::time::Time;
use crate::protocol::wire::Sender;

impl Member {
    /// Sets a key of this member's own map, or of the cluster's keys where the owner is [`MemberId::NONE`]; deletes it if
    /// there is no value. Gives its new version; nothing if a key was to be deleted that has no value.
    ///
    /// # Errors
    /// [`StateError`] if a bound is reached, or there is no shared state here.
    pub fn change_state(
        &mut self,
        now: Time,
        owner: MemberId,
        key: &str,
        value: Option<Bytes>,
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) -> Result<Option<u64>, StateError> {
        let cx = &mut Context::new(now, shared, out);
        if !cx.shared.wire.rules.shares_state {
            return Err(StateError::Wire);
        }
        let (key_values, core) = self.wanted(cx).ok_or(StateError::Off)?;
        let changed = key_values.change((core, cx.shared), owner, key, value, now)?;
        self.begin_telling(cx);
        Ok(changed)
    }

    /// The value of `key` in the map of `owner`; of the cluster's keys where that is [`MemberId::NONE`].
    pub fn state_value(&self, owner: MemberId, key: &str) -> Option<StateValue> {
        self.apart.key_values.as_ref()?.get(owner, key)
    }

    /// The keys of the map of `owner` that begin with `prefix`, in order; of the cluster's keys where that is
    /// [`MemberId::NONE`].
    pub fn state_entries(&self, owner: MemberId, prefix: &str) -> Vec<(Arc<str>, StateValue)> {
        self.apart.key_values.as_ref().map_or_else(Vec::new, |key_values| key_values.list(owner, prefix))
    }

    /// The members whose maps are held here, in the order of their ids.
    pub fn state_owners(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.apart.key_values.iter().flat_map(|key_values| key_values.owners())
    }

    /// Bytes of all keys and values of shared state that are held here.
    pub fn state_bytes(&self) -> usize {
        self.apart.key_values.as_ref().map_or(0, |key_values| key_values.bytes())
    }

    /// What has changed of shared state with the last input or command, in order; after
    /// [`Event::StateChanged`](crate::protocol::Event::StateChanged).
    pub fn state_changes(&self) -> &[StateChange] {
        self.apart.key_values.as_ref().map_or(&[], |key_values| key_values.changes())
    }

    /// Goes on with what an earlier life of this member has saved. To be called before anything else.
    ///
    /// # Errors
    /// [`StateError`] if there is no shared state here, or it is more than there may be.
    pub fn restore_state(
        &mut self,
        now: Time,
        saved: SavedState,
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) -> Result<(), StateError> {
        let cx = &mut Context::new(now, shared, out);
        if !cx.shared.wire.rules.shares_state {
            return Err(StateError::Wire);
        }
        let (key_values, core) = self.wanted(cx).ok_or(StateError::Off)?;
        key_values.restore(core.id, saved)?;
        key_values.sign_saved(core, cx.shared);
        Ok(())
    }

    /// How far this member's own map and the cluster's keys have come; nothing if it has neither.
    pub fn state_mark(&self) -> Option<SavedMark> {
        self.apart.key_values.as_ref().map(|key_values| key_values.mark(self.core.id))
    }

    /// At most `most` keys of this member's own map that have changed after the version `since`, in the order of their
    /// changes, deletions among them.
    pub fn state_saved(&self, since: u64, most: usize) -> Vec<SavedKey> {
        let key_values = self.apart.key_values.as_ref();
        key_values.map_or_else(Vec::new, |key_values| key_values.saved(self.core.id, since, most))
    }

    /// A key of the cluster, or its deletion, if it is known.
    pub fn cluster_key_saved(&self, key: &str) -> Option<SavedClusterKey> {
        self.apart.key_values.as_ref()?.saved_cluster_key(key)
    }

    /// All keys of the cluster that are known here, deletions among them.
    pub fn cluster_keys_saved(&self) -> Vec<SavedClusterKey> {
        self.apart.key_values.as_ref().map_or_else(Vec::new, |key_values| key_values.saved_cluster_keys())
    }

    /// Takes in the changes that the events of a frame tell of.
    #[inline]
    pub(super) fn take_told_state(&mut self, cx: &mut Context<'_, '_>, sender: &Sender) {
        if !cx.shared.state_told.is_empty() {
            self.take_all_told(cx, sender);
        }
    }

    #[cold]
    fn take_all_told(&mut self, cx: &mut Context<'_, '_>, sender: &Sender) {
        let mut told = std::mem::take(&mut cx.shared.state_told);
        let mut payload = Vec::new();
        for at in told.drain(..) {
            let Some((key_values, core)) = self.wanted(cx) else { continue };
            payload.clear();
            let event = cx.shared.events.get(at).event();
            payload.extend_from_slice(event.payload);
            let origin = event.origin;
            key_values.on_told(core, cx, (origin, sender.source), &payload);
        }
        cx.shared.state_told = told;
    }

    /// The sender of a frame says what its copies sum to.
    #[cold]
    pub(super) fn on_key_roots(&mut self, cx: &mut Context<'_, '_>, sender: &Sender, roots: KeyRoots) {
        if let Some((key_values, core)) = self.wanted(cx) {
            key_values.on_roots(core, cx, sender, roots);
        }
    }

    /// Shared state, which is made now if there is none yet, and whose it is; nothing if there is to be none.
    fn wanted(&mut self, cx: &Context<'_, '_>) -> Option<(&mut KeyValues, &mut Core)> {
        let core = &mut self.core;
        if core.settings.state_bytes_max == 0 || !cx.shared.wire.rules.shares_state {
            return None;
        }
        core.looks_apart = true;
        let made = self.apart.key_values.get_or_insert_with(|| {
            // A restart has a later incarnation; two within its second are told apart by chance, or else by what is
            // heard of the first.
            let incarnation = core.table.get(core.index).incarnation().get();
            let epoch = (incarnation << 16 | core.rng.u64(..1 << 16)).max(1);
            Box::new(KeyValues::new(&core.settings, cx.shared.directory.signs(), epoch, cx.now))
        });
        Some((made, core))
    }

    /// When there is something to do for shared state.
    #[inline]
    pub(super) fn key_values_due(&self) -> Time {
        // Who shares nothing need not look there.
        let key_values = if self.core.looks_apart { self.apart.key_values.as_ref() } else { None };
        key_values.map_or(Time::NEVER, |key_values| key_values.due(&self.core))
    }

    /// Does what is due for shared state.
    #[inline]
    pub(super) fn key_values_timeout(&mut self, cx: &mut Context<'_, '_>) {
        if self.key_values_due() <= cx.now
            && let Some(key_values) = &mut self.apart.key_values
        {
            key_values.timeout(&mut self.core, cx);
        }
    }

    /// We have joined through `source`.
    pub(super) fn state_joined(&mut self, cx: &mut Context<'_, '_>, source: MemberId) {
        if let Some(key_values) = &mut self.apart.key_values {
            key_values.on_joined(&self.core, cx.now, source);
        }
    }

    /// Writes shared state for `joiner`.
    pub(super) fn write_state_for(&mut self, cx: &Context<'_, '_>, joiner: MemberId, reply: &mut Vec<u8>) {
        if let Some(key_values) = &mut self.apart.key_values {
            key_values.write_for_joiner(&self.core, cx, joiner, reply);
        }
    }

    /// Writes what an exchange with `destination` begins with.
    pub(super) fn open_exchange(
        &self,
        shared: &SharedState,
        destination: MemberId,
        all: (bool, bool),
        first: &mut Vec<u8>,
    ) {
        if let Some(key_values) = &self.apart.key_values {
            key_values.write_opening(&self.core, shared, destination, all, first);
        }
    }

    /// `source` has opened an exchange.
    pub(super) fn answer_key_digests(
        &mut self,
        cx: &mut Context<'_, '_>,
        source: MemberId,
        digests: &KeyDigests<'_>,
        reply: &mut Vec<u8>,
    ) -> StreamNext {
        let Some((key_values, core)) = self.wanted(cx) else { return StreamNext::Close };
        key_values.answer(core, cx, source, digests, reply);
        StreamNext::Reply
    }

    /// Sections have come on a stream.
    pub(super) fn on_key_values(
        &mut self,
        cx: &mut Context<'_, '_>,
        purpose: Option<StreamPurpose>,
        source: MemberId,
        sections: KeySections<'_>,
    ) -> StreamNext {
        let taken = self
            .wanted(cx)
            .is_some_and(|(key_values, core)| key_values.take_sections(core, cx, source, sections));
        // Who joins gets its view all the same.
        let joining = matches!(purpose, Some(StreamPurpose::Join { .. }));
        if taken || joining { StreamNext::Wait } else { StreamNext::Close }
    }

    /// The exchange that we opened has been answered.
    pub(super) fn on_key_digests(
        &mut self,
        cx: &mut Context<'_, '_>,
        purpose: StreamPurpose,
        source: MemberId,
        digests: &KeyDigests<'_>,
        reply: &mut Vec<u8>,
    ) -> StreamNext {
        match (purpose, &mut self.apart.key_values) {
            (StreamPurpose::SharedState { .. }, Some(key_values)) => {
                let wanted = key_values.on_answered(&self.core, cx, source, digests, reply);
                if wanted { StreamNext::ReplyAndClose } else { StreamNext::Close }
            }
            (StreamPurpose::Join { .. }, _) => StreamNext::Wait,
            _ => {
                cx.shared.counters.decode_errors += 1;
                StreamNext::Close
            }
        }
    }
}
