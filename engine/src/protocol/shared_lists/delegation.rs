//! A delegation, and what stands around one: whom it is to reach, what it tells, in which frame it leaves, and what becomes of
//! it where nobody acknowledges.
//!
//! [`super::delegations`] keeps them.

use swimring_codec::{Incarnation, MemberId};

use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::zones::ZoneIndex;
use crate::protocol::wire::Update;

/// A part of the cluster and who is asked to tell it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Part {
    pub(in crate::protocol) delegate: MemberIndex,
    /// The zone of everyone in the part.
    pub(in crate::protocol) zone: ZoneIndex,
    /// Leading bits that the delegate's id shares with everyone in its part.
    pub(in crate::protocol) prefix_bits: u8,
    /// Our view has far more to tell than what is told: the delegate is to get it before it tells others.
    pub(in crate::protocol) view_first: bool,
}

/// Whom a member is to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Range {
    /// Everyone else: it is ours to tell.
    Everyone,
    /// Everyone else, by way of this part, a whole zone, and others of all other zones.
    Through(Part),
    /// Those of this part alone.
    Only(Part),
    /// Those in `zone` whose ids share the first `prefix_bits` bits of ours.
    Zone { zone: ZoneIndex, prefix_bits: u8 },
    /// Nobody: we know of nobody in the zone.
    Nobody,
}

/// Something to tell: an update about `subject`, or the user event at that place of the store.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct News {
    pub(in crate::protocol) subject: u32,
    pub(in crate::protocol) update: Update,
    pub(in crate::protocol) incarnation: Incarnation,
}

/// One update on its way to one delegate.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Delegation {
    /// Whom it is about; a user event's place in the event store.
    pub(in crate::protocol) subject: u32,
    pub(in crate::protocol) update: Update,
    pub(in crate::protocol) incarnation: Incarnation,
    pub(in crate::protocol) part: Part,
    /// When its teller took it over.
    pub(in crate::protocol) since: Time,
    /// How often it was sent before.
    pub(in crate::protocol) attempt: u8,
}

/// A delegation that waits, in the order in which frames are put together.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Ready {
    pub(in crate::protocol) part: Part,
    /// Its delegate's: looked up once, and not whenever two are compared.
    pub(super) id: MemberId,
    /// Which came first.
    pub(super) nth: u32,
    pub(super) node: u32,
}

/// What is known of a frame that is sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Leaving {
    /// It goes to another zone.
    pub(in crate::protocol) away: bool,
    /// Its delegate has missed none of ours lately.
    pub(in crate::protocol) fresh: bool,
    /// It has no room for what else waits for its delegate.
    pub(in crate::protocol) full: bool,
}

/// What becomes of a delegation that was not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Retry {
    /// To this part's delegate.
    Send(Part),
    /// It is left to repair.
    GiveUp,
    /// There is nobody to tell, or something newer to tell.
    Drop,
}
