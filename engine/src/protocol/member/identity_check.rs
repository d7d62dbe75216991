//! Whether a member has said what is said of it, where members have identities (docs/PROTOCOL.md, section 12).
//!
//! This is the one door: what would change what is believed of a member, and what only the member itself may say, comes by here
//! before it is merged. What is vouched for is then kept with its signature, to be passed on. Accusations are nobody's but the
//! accuser's: they are merged unsigned, and never raise an incarnation.

use swimring_codec::native::{Introduction, Signature, split_metadata};
use swimring_codec::{Incarnation, State};

use crate::protocol::member::Member;
use crate::protocol::state::{Context, Core};
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::entry::Entry;

/// What vouches for a claim that may be merged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Voucher {
    /// Nothing has to: members have no identities.
    Needless,
    /// Its subject's signature.
    Signed(Signature),
}

impl Voucher {
    pub(super) const fn signature(self) -> Option<Signature> {
        match self {
            Voucher::Needless => None,
            Voucher::Signed(signature) => Some(signature),
        }
    }
}

impl Core {
    /// What vouches for the introduction of a member that is `held` so, or not known; nothing if it is to be dropped.
    #[inline]
    pub(super) fn voucher_of_introduction(
        &self,
        cx: &mut Context<'_, '_>,
        held: Option<(MemberIndex, Entry)>,
        introduction: &Introduction<'_>,
    ) -> Option<Voucher> {
        if cx.shared.directory.signs() {
            self.check_introduction(cx, held, introduction)
        } else {
            Some(Voucher::Needless)
        }
    }

    /// The same for a member's being alive at a higher `incarnation`, or for its goodbye, by what is held of it.
    #[inline]
    pub(super) fn voucher_of_update(
        &self,
        cx: &mut Context<'_, '_>,
        held: (MemberIndex, Entry),
        incarnation: Incarnation,
        state: State,
    ) -> Option<Voucher> {
        if cx.shared.directory.signs() {
            self.check_update(cx, held, incarnation, state)
        } else {
            Some(Voucher::Needless)
        }
    }

    /// Keeps what vouched for what is about to be held of the member at `index`.
    #[inline]
    pub(super) fn keep_voucher(
        &self,
        cx: &mut Context<'_, '_>,
        identity: (MemberIndex, u8),
        incarnation: Incarnation,
        state: State,
        voucher: Voucher,
    ) {
        if let Voucher::Signed(signature) = voucher {
            cx.shared.directory.keep_signature(identity, incarnation, state, signature);
        }
    }

    /// The incarnation that an accusation at `accused` is about. Where members have identities all that is held has been
    /// signed, and an accusation is not.
    #[inline]
    pub(super) fn accused(&self, cx: &Context<'_, '_>, entry: Entry, accused: Incarnation) -> Incarnation {
        if cx.shared.directory.signs() { accused.min(entry.incarnation()) } else { accused }
    }

    #[cold]
    fn check_introduction(
        &self,
        cx: &mut Context<'_, '_>,
        held: Option<(MemberIndex, Entry)>,
        introduction: &Introduction<'_>,
    ) -> Option<Voucher> {
        let Some((key, _)) = split_metadata(introduction.metadata) else {
            cx.shared.counters.identities_forged += 1;
            return None;
        };
        let belongs = held.and_then(|held| self.public_key(cx.shared, held));
        if belongs.is_some_and(|belongs| belongs != key) {
            cx.shared.counters.identities_key_changed += 1;
            return None;
        }
        let statements = cx.shared.directory.statements.as_ref()?;
        if !statements.admits(&key, introduction.name) {
            cx.shared.counters.identities_not_admitted += 1;
            return None;
        }
        let known = |directory: &Directory, signature: &Signature| {
            directory.has_stated(introduction, introduction.incarnation, signature)
        };
        let claimed = *introduction;
        Core::check(cx, known, |_, cluster, signature| key.verifies_alive(cluster, &claimed, signature))
    }

    #[cold]
    fn check_update(
        &self,
        cx: &mut Context<'_, '_>,
        (index, entry): (MemberIndex, Entry),
        incarnation: Incarnation,
        state: State,
    ) -> Option<Voucher> {
        let identity = (index, entry.version());
        let (key, _) = split_metadata(cx.shared.directory.identity(index, entry.version()).metadata())?;
        let known = |directory: &Directory, signature: &Signature| {
            directory.signature(identity, incarnation, state) == Some(signature)
        };
        Core::check(cx, known, |directory, cluster, signature| match state {
            State::Left => key.verifies_left(cluster, directory.id(index), incarnation, signature),
            _ => {
                let introduction = directory.introduction(identity, incarnation, State::Alive);
                key.verifies_alive(cluster, &introduction, signature)
            }
        })
    }

    /// Whether the claim that is taken in has a signature that is `known` to be right, or `verifies`.
    fn check(
        cx: &mut Context<'_, '_>,
        known: impl FnOnce(&Directory, &Signature) -> bool,
        verifies: impl FnOnce(&Directory, u32, &Signature) -> bool,
    ) -> Option<Voucher> {
        let Some(signature) = cx.signature.take() else {
            cx.shared.counters.identities_unsigned += 1;
            return None;
        };
        let right = known(&cx.shared.directory, &signature)
            || cx
                .shared
                .judge_signature(cx.now, |directory, cluster| verifies(directory, cluster, &signature));
        right.then_some(Voucher::Signed(signature))
    }
}

impl Member {
    /// Whether an introduction of ourselves, or a record of our past, is ours, and not somebody else's who claims our name. Of what is
    /// past nothing follows, so it need not be asked.
    #[inline]
    pub(super) fn is_by_us(&mut self, cx: &mut Context<'_, '_>, introduction: &Introduction<'_>) -> bool {
        let own = self.core.table.get(self.core.index).incarnation();
        !cx.shared.directory.signs() || introduction.incarnation < own || self.check_own(cx, introduction)
    }

    #[cold]
    fn check_own(&mut self, cx: &mut Context<'_, '_>, introduction: &Introduction<'_>) -> bool {
        let held = (self.core.index, self.core.table.get(self.core.index));
        let own = self.core.public_key(cx.shared, held);
        let claimed = split_metadata(introduction.metadata).map(|(key, _)| key);
        let conflicts = claimed.is_some() && claimed != own;
        if conflicts && self.apart.refutations.say_conflict(cx, introduction.address) {
            cx.shared.counters.name_conflicts += 1;
        }
        self.core.check_introduction(cx, Some(held), introduction).is_some()
    }
}
