//! Two lives of a member in one incarnation.
//!
//! A member says one thing of itself in each incarnation, so news of it is put in order by incarnations. But a life that begins
//! with its clock set back may come to the incarnation of the one before, and who has missed an introduction may take an alive
//! for one of what it knows, since a tag has eight bits. Then two members hold one incarnation with different addresses, metadata
//! or zones, and if each ignored the introduction of the other, their roots would differ for ever; while those who relay probes
//! know better, nobody would even notice that one of the addresses is empty. So between the two the greater identity hash counts:
//! whoever hears of both settles on the same, in whatever order. Which of them is right only the subject knows. Who finds the two
//! by comparing views accuses it wherever it is held to be, and it states a higher incarnation, which ends the matter for all.

use std::cmp::Ordering;

use swimring_codec::native::Introduction;

use crate::protocol::member::Member;
use crate::protocol::member::merge::TellOn;
use crate::protocol::repair::views::ViewRepair;
use crate::protocol::state::{Context, Core};
use crate::protocol::view::directory::{MemberIndex, UNVERSIONED};
use crate::protocol::view::entry::Entry;
use crate::protocol::view::identity::identity_of;

impl Core {
    /// How the identity in `introduction` compares with that of the live member at `index`, if it is another one in the
    /// same incarnation. Not on memberlist's wire, where the address that was known first is kept.
    #[inline]
    pub(super) fn clash(
        &self,
        cx: &Context<'_, '_>,
        (index, entry): (MemberIndex, Entry),
        introduction: &Introduction<'_>,
    ) -> Option<Ordering> {
        let same = introduction.incarnation == entry.incarnation() && entry.is_live();
        if !same || index == self.index || cx.shared.wire.rules.address_kept.is_some() {
            return None;
        }
        let held = cx.shared.directory.identity(index, entry.version());
        // As it nearly always is, which takes no hash to tell.
        if held.is(introduction, UNVERSIONED) {
            return None;
        }
        Some(identity_of(introduction, UNVERSIONED).cmp(&held.hash())).filter(|order| order.is_ne())
    }

    /// A comparison has brought `introduction`, which has been merged. If another life still outranks it here, the sender is
    /// told of that one.
    pub(super) fn say_greater_life(&self, cx: &mut Context<'_, '_>, introduction: &Introduction<'_>) {
        let held = cx.shared.directory.find(introduction.subject).map(|index| (index, self.table.get(index)));
        if let Some(held) = held
            && self.clash(cx, held, introduction) == Some(Ordering::Less)
        {
            ViewRepair::introduce(cx, held.0);
        }
    }
}

impl Member {
    /// An introduction says no higher incarnation of the member at `index` than is held. Whether it counts nevertheless,
    /// as another life that outranks the one that is held. In any case, if it is another life, the subject is accused.
    pub(super) fn is_greater_life(
        &mut self,
        cx: &mut Context<'_, '_>,
        held: (MemberIndex, Entry),
        introduction: &Introduction<'_>,
        tell_on: TellOn,
    ) -> bool {
        let Some(order) = self.core.clash(cx, held, introduction) else { return false };
        cx.shared.counters.lives_clashed += 1;
        self.accuse_of_clash(cx, held.0, tell_on);
        order.is_gt()
    }

    /// Accuses the member at `index`, of whom an introduction has told another life, which `tell_on` says how we heard of. What
    /// is told is told to all, who would accuse it all at once.
    pub(super) fn accuse_of_clash(&mut self, cx: &mut Context<'_, '_>, index: MemberIndex, tell_on: TellOn) {
        if tell_on != TellOn::Ours {
            self.view_repair.accuse(&self.core, cx, index);
        }
    }
}
