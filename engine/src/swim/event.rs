//! What a member tells its driver.

use std::time::Duration;

use super::directory::MemberIndex;
use super::user_events::EventIndex;

/// Something that happened at a member. Indexes are resolved through the member's
/// [`super::Commons`] before it is next called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A member is new, or back.
    Joined {
        /// Who.
        subject: MemberIndex,
    },
    /// A member changed its address or metadata.
    Updated {
        /// Who.
        subject: MemberIndex,
    },
    /// A member is suspected.
    Suspected {
        /// Who.
        subject: MemberIndex,
    },
    /// A suspected member turned out to be alive.
    Refuted {
        /// Who.
        subject: MemberIndex,
    },
    /// A member was declared dead.
    Failed {
        /// Who.
        subject: MemberIndex,
    },
    /// A member said goodbye.
    Left {
        /// Who.
        subject: MemberIndex,
    },
    /// A dead or left member was reaped: it is no longer part of the view.
    Reaped {
        /// Who. Valid until the member is next called.
        subject: MemberIndex,
    },
    /// A user event arrived.
    UserEvent {
        /// Where it is in the store.
        event: EventIndex,
    },
    /// A probe was answered directly, `rtt` after its intended time.
    ProbeAcked {
        /// From the time the probe was scheduled for, so that the driver's own delay shows.
        rtt: Duration,
    },
    /// We were accused and refuted.
    Accused,
    /// Someone else claims our name.
    NameConflict,
    /// A join ended.
    JoinFinished {
        /// From [`super::Member::join`].
        token: u32,
        /// Whether the seed answered with its view.
        joined: bool,
    },
    /// Everyone who could be told has been told that we leave.
    LeaveFinished,
}
