//! What an application is told: members and what happens to them, as owned values.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use swimring_codec::native::PublicKey;
use swimring_codec::{Incarnation, State};

use super::admission::Candidate;
use super::message::{DirectMessage, Question};
use crate::protocol::NotAdmittedReason;

/// A member as this one sees it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MemberInfo {
    /// Its name, unique in the cluster.
    pub name: Arc<str>,
    /// Address at which it receives, datagrams and streams alike.
    pub address: SocketAddr,
    /// Metadata that it publishes, up to 512 bytes.
    pub metadata: Bytes,
    /// Zone that it is in; empty for none.
    pub zone: Arc<str>,
    /// The public half of its key, where members have identities ([`crate::identity`]).
    pub public_key: Option<PublicKey>,
    /// State that it is believed to be in.
    pub state: State,
    /// Version of what is said about it: higher is newer.
    pub incarnation: Incarnation,
}

/// Who suspected a member first.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Accuser {
    /// This member: it probed, and nobody answered.
    Local,
    /// The member of this name.
    Member(Arc<str>),
    /// Another: it came in a push/pull, or from a member that is not known here.
    Unknown,
}

impl fmt::Display for Accuser {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Accuser::Local => "this member, whose probes were not answered",
            Accuser::Member(name) => name,
            Accuser::Unknown => "a member whose name did not come with it",
        })
    }
}

/// The course of a suspicion, which explains its outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Suspicion {
    /// The first to suspect it.
    pub accuser: Accuser,
    /// From the suspicion to its end, at this member.
    pub lasted: Duration,
    /// Others who suspected independently: each shortens the time there is to refute.
    pub confirmations: u8,
}

/// A user event: what [`Cluster::send_event`](super::Cluster::send_event) sent from another member.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct UserEvent {
    /// Its name.
    pub name: Arc<str>,
    /// Its payload.
    pub payload: Bytes,
    /// Who sent it, where that is known: an event may arrive before its origin's introduction.
    pub origin: Option<Arc<str>>,
}

/// Something that happened in the cluster, as seen by this member.
///
/// A member that joins is `Joined`. One that does not answer is `Suspected`, and then either
/// `Recovered` or `Failed`. One that says goodbye has `Left`. After a while the failed and the left are
/// `Reaped`; until then [`Cluster::member`](super::Cluster::member) still knows them. A member that comes
/// back is `Joined` again; one that was not missed meanwhile is `Restarted`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// A member is new, or back after it had failed or left.
    Joined(MemberInfo),
    /// A member changed its metadata or address; this member itself when it was told to.
    Updated(MemberInfo),
    /// A member that counted as live has started anew: another process, or the same program again, speaks under its name.
    /// Comes in place of `Updated`. It is told by its address, or by its incarnation, which begins at what the clock
    /// shows: not if it began less than 4 s after the life before, or if the clocks of the two machines are more than
    /// 30 s apart. A member that had failed or left is `Joined` again.
    Restarted(MemberInfo),
    /// A member is suspected. It still counts as live.
    Suspected {
        /// The suspect.
        member: MemberInfo,
        /// The first to suspect it.
        accuser: Accuser,
    },
    /// A suspected member turned out to be alive.
    Recovered {
        /// The member.
        member: MemberInfo,
        /// The suspicion that it refuted.
        suspicion: Suspicion,
    },
    /// A member was declared dead.
    Failed {
        /// The member.
        member: MemberInfo,
        /// The suspicion of it at this member; nothing if the news of its failure came first.
        suspicion: Option<Suspicion>,
        /// Whether this member's own suspicion ran out. If not, another's did and the news came here.
        declared_here: bool,
    },
    /// A member said goodbye.
    Left(MemberInfo),
    /// A member that had failed or left is no longer part of the view.
    Reaped {
        /// Its name.
        name: Arc<str>,
    },
    /// A user event arrived from another member.
    User(UserEvent),
    /// A message came that another member sent to this one alone.
    Message(DirectMessage),
    /// Another member asks this one something: [`Question::reply`].
    Question(Question),
    /// A member that is not in the view was refused: it stays out of it. Once for each, and again when it was asked about
    /// again; at most 16 of these in a second.
    NotAdmitted {
        /// Who.
        candidate: Candidate,
        /// Why.
        reason: NotAdmittedReason,
    },
    /// Others suspected this member, and it refuted. Often means that this machine is overloaded.
    Accused,
    /// Others suspect this member again and again, and cannot reach it at `address`: its own pings are answered,
    /// and nobody's arrive. Check `advertise`, and what may be in the way there. Comes in place of
    /// [`ClusterEvent::Accused`] while that is so, once in ten minutes.
    Unreachable {
        /// The address that this member announces.
        address: SocketAddr,
    },
    /// Another process says that it is this member. Once, right after a restart at another address, it is
    /// this member's own past; if it comes again, two processes were given the same name.
    NameConflict {
        /// Address that the other one announces.
        address: SocketAddr,
    },
    /// This subscriber was too slow: as many events as this, older than the next one, are lost to it.
    /// [`Cluster::members`](super::Cluster::members) brings it up to date.
    Lagged(u64),
}

impl ClusterEvent {
    /// The member it is about, where it is about one that is part of the view.
    pub fn member(&self) -> Option<&MemberInfo> {
        match self {
            ClusterEvent::Joined(member)
            | ClusterEvent::Updated(member)
            | ClusterEvent::Restarted(member)
            | ClusterEvent::Left(member)
            | ClusterEvent::Suspected { member, .. }
            | ClusterEvent::Recovered { member, .. }
            | ClusterEvent::Failed { member, .. } => Some(member),
            ClusterEvent::Reaped { .. }
            | ClusterEvent::User(_)
            | ClusterEvent::Message(_)
            | ClusterEvent::Question(_)
            | ClusterEvent::NotAdmitted { .. }
            | ClusterEvent::Accused
            | ClusterEvent::Unreachable { .. }
            | ClusterEvent::NameConflict { .. }
            | ClusterEvent::Lagged(_) => None,
        }
    }
}
