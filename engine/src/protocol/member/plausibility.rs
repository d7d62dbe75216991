//! What is not believed of a member, although its incarnation is higher than what is known: too great a leap, or another address.
//!
//! Incarnations rise by one, and from seconds of wall time when a process starts, so one that lies years ahead is forged or
//! broken. Where the format's peers keep to the address that they know of a live member, so do we.

use std::net::SocketAddr;

use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, State, is_same_place};

use crate::protocol::state::{Context, Core};
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::entry::{Entry, EntryState};

/// How far above the known incarnation news may lie. A member raises its own by one at a time and starts
/// from seconds of wall time, so 2^27 covers four years between two starts, while someone who forges
/// incarnations needs two million accepted steps to exhaust the 48 bits, each of which the subject outranks
/// (memberlist needs one message: hashicorp/memberlist#358).
const INCARNATION_STEP_MAX: u64 = 1 << 27;

/// Whether an introduction comes from another address than is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moved {
    /// From the known one, which is given in the form that is known, or it does not matter.
    No { known: Option<SocketAddr> },
    /// From another, which is refused.
    Refused,
    /// From another, which it may have whatever its incarnation.
    Reclaimed,
}

impl Core {
    /// Whether `incarnation` lies further above `entry` than a member could have raised it. Where peers
    /// count from one, a member that counts from wall time may follow one that did not: it is plausible as
    /// far as our own is.
    pub(super) fn implausible(
        &self,
        cx: &mut Context<'_, '_>,
        entry: Entry,
        incarnation: Incarnation,
    ) -> bool {
        let known = if cx.shared.wire.rules.counted_from_one {
            entry.incarnation().max(self.table.get(self.index).incarnation())
        } else {
            entry.incarnation()
        };
        Self::too_far(cx, known, incarnation, INCARNATION_STEP_MAX)
    }

    /// The same for accusations. They quote an incarnation that the accused has stated, so they are hardly
    /// ahead of what is known, unless an alive has passed us by that anti-entropy will bring. Much less than
    /// what the accused rises by in one refutation, so that every accusation that is believed can be refuted.
    pub(super) fn implausible_accusation(
        cx: &mut Context<'_, '_>,
        entry: Entry,
        incarnation: Incarnation,
    ) -> bool {
        let step_max = cx.shared.wire.rules.incarnations.accused;
        Self::too_far(cx, entry.incarnation(), incarnation, step_max)
    }

    fn too_far(
        cx: &mut Context<'_, '_>,
        known: Incarnation,
        incarnation: Incarnation,
        step_max: u64,
    ) -> bool {
        let too_far = incarnation.get() > known.get() + step_max && !cx.shared.behaviour.refutes_everything;
        cx.shared.counters.implausible_incarnation += u64::from(too_far);
        too_far
    }

    /// Whether someone known comes from another address, and may. In the native format a higher incarnation
    /// says it all. memberlist's peers keep to the address that they know of a live member, whatever the
    /// incarnation, and views would part if we did not; a member that left, or has been dead for a while, may come
    /// back elsewhere, even counting anew from one (hashicorp/memberlist#157). An IPv4 address in another form
    /// than is known, which those peers take for another address, is brought to the known one.
    pub(super) fn moved(
        &self,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        entry: Entry,
        introduction: &Introduction<'_>,
    ) -> Moved {
        let Some(reclaim_time) = cx.shared.wire.rules.address_kept else { return Moved::No { known: None } };
        let known = cx.shared.directory.identity(index, entry.version()).address();
        if is_same_place(known, introduction.address) {
            return Moved::No { known: Some(known) };
        }
        let gone = cx.shared.departed.since(&self.departed, index).map(|since| cx.now.since(since));
        let reclaimable = match entry.standing() {
            EntryState::Known(State::Left) | EntryState::Remembered | EntryState::Unknown => true,
            EntryState::Known(State::Dead) => gone.is_some_and(|gone| gone >= reclaim_time),
            EntryState::Known(State::Alive | State::Suspect) => false,
        };
        if !reclaimable {
            cx.shared.counters.address_conflicts += 1;
            return Moved::Refused;
        }
        Moved::Reclaimed
    }
}
