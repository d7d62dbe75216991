//! What a member tells its driver.

use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::MemberId;

use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;

/// Where a user event lies in the store of a [`super::SharedState`].
pub type EventIndex = u32;

/// How a suspicion went: what an operator needs to explain why a member flapped or was declared dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SuspicionSummary {
    /// Who accused first; [`MemberId::NONE`] if that came in a push/pull, which names nobody.
    pub accuser: MemberId,
    /// From the accusation to the end.
    pub lasted: Duration,
    /// Others who accused independently.
    pub confirmations: u8,
}

/// A suspicion that goes on, as far as its holder knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandingSuspicion {
    /// Who accused first; [`MemberId::NONE`] if that came in a push/pull, which names nobody.
    pub accuser: MemberId,
    /// The low halves of the ids of those who accused independently, at most seven.
    pub confirmed_by: Vec<u32>,
    /// When it began.
    pub since: Time,
    /// When the member is declared dead, if nothing more is heard. A witness may do so earlier.
    pub ends: Time,
}

/// Something that happened at a member. Indexes are resolved through the member's
/// [`super::SharedState`] before it is next called.
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
    /// A member that we held live has begun a new life: its process has started anew. Comes in place of
    /// [`Event::Updated`]; one that we held dead or gone is [`Event::Joined`] again.
    Restarted {
        /// Who.
        subject: MemberIndex,
    },
    /// A member is suspected.
    Suspected {
        /// Who.
        subject: MemberIndex,
        /// By whom: our own id if it did not answer us, [`MemberId::NONE`] if it came in a push/pull.
        accuser: MemberId,
    },
    /// A suspected member turned out to be alive.
    Refuted {
        /// Who.
        subject: MemberIndex,
        /// How it was suspected.
        suspicion: SuspicionSummary,
    },
    /// A member was declared dead.
    Failed {
        /// Who.
        subject: MemberIndex,
        /// How we suspected it; nothing if we did not.
        suspicion: Option<SuspicionSummary>,
        /// Whether our own suspicion ran out; if not, someone else's did and we were told.
        declared: bool,
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
    /// A direct message arrived in a datagram, from a live member.
    Direct {
        /// Where it is: see [`SharedState::direct_message`](super::SharedState::direct_message). Valid until a member is
        /// next called.
        at: u32,
    },
    /// A user event of our own has been told, as far as that is up to us: every part of the cluster that we delegated
    /// it to has acknowledged it or been given up; with gossip we have sent it as often as any. If nobody else is there,
    /// before [`Member::send_event`](super::Member::send_event) returns.
    EventTold {
        /// What [`Member::send_event`](super::Member::send_event) gave.
        sequence: u32,
        /// Parts of the cluster in which nobody acknowledged it. With gossip 1 if it was not sent as often as any.
        given_up: u32,
    },
    /// A probe was answered directly, `rtt` after its intended time.
    ProbeAcked {
        /// By whom.
        subject: MemberIndex,
        /// From the time the probe was scheduled for, so that the driver's own delay shows.
        rtt: Duration,
    },
    /// A probe was not answered directly in time: others are asked. If the ack comes all the same,
    /// [`Event::ProbeAcked`] follows.
    ProbeUnanswered {
        /// By whom.
        subject: MemberIndex,
    },
    /// We were accused and refuted.
    Accused,
    /// The same, and our own pings are answered while nobody's ever arrive: others cannot reach us where we say.
    /// Comes in place of [`Event::Accused`] while that is so, once in ten minutes.
    Unreachable {
        /// The address that we announce.
        address: SocketAddr,
    },
    /// Someone else claims our name, or did before we started at another address.
    NameConflict {
        /// From where.
        address: SocketAddr,
    },
    /// A join ended.
    JoinFinished {
        /// From [`super::Member::join`].
        token: u32,
        /// Whether the seed answered with its view.
        joined: bool,
    },
    /// Whether a member that is not known is admitted has to be asked of the application;
    /// [`Member::candidate`](super::Member::candidate) says who it is.
    CandidateAsked {
        /// Who.
        subject: MemberId,
    },
    /// A member that is not known was refused. At most 16 of these are told in a second.
    NotAdmitted {
        /// Where it is: see [`Member::not_admitted`](super::Member::not_admitted). Valid until the member is next called.
        at: u32,
    },
    /// The members that a join brought are all refused. Comes before [`Event::JoinFinished`], which then says that it failed.
    NobodyAdmitted {
        /// From [`super::Member::join`].
        token: u32,
    },
    /// Shared state has changed, here or elsewhere; [`Member::state_changes`](super::Member::state_changes) says how.
    StateChanged,
    /// Everyone who could be told has been told that we leave.
    LeaveFinished,
}
