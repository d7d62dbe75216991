//! Frames that repair something: whom they go to, and how many may leave.

use crate::protocol::state::{Context, Core};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::wire::Sender;

/// How many frames have left in this second, or how often something else was done. The lower eight bits are the number, the
/// others the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameBudget(u32);

impl FrameBudget {
    pub(super) const FULL: FrameBudget = FrameBudget(0);

    /// Whether one more may leave in this second, if that may be `most`; counts it.
    pub(super) fn admits(&mut self, most: u8, now: Time) -> bool {
        let second = (now.as_micros() / 1_000_000) as u32;
        if second << 8 != self.0 & !0xff {
            self.0 = second << 8;
        }
        let may = (self.0 & 0xff) < most.into();
        self.0 += u32::from(may);
        may
    }
}

/// Whoever sent a frame, if it is a live member: it is answered where we know it to be, so that nobody can have others
/// sent what they did not ask for.
pub(super) fn peer(core: &Core, cx: &Context<'_, '_>, origin: &Sender) -> Option<MemberIndex> {
    let index = cx.shared.directory.find(origin.source)?;
    (index != core.index && core.table.get(index).is_live()).then_some(index)
}

/// How many of the parts that are `lengths` long go into `room` bytes, the first in any case, and their bytes.
pub(super) fn fitting(lengths: impl Iterator<Item = usize>, room: usize) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for length in lengths {
        if count > 0 && bytes + length > room {
            break;
        }
        (count, bytes) = (count + 1, bytes + length);
    }
    (count, bytes)
}
