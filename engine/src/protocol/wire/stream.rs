//! The seam to the formats' streams: what is said on one, and what is heard.
//!
//! A stream is opened for one purpose and closed when it is met: a view, whole or after a look at the roots,
//! or a ping that no datagram got through for. What is done about it is the same in every format.

use swimring_codec::MemberId;
use swimring_codec::memberlist::Versions;
use swimring_codec::native::{Introduction, KeyDigests, KeySections, Signature};

/// What a member says on a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum StreamSaid {
    /// Opens: our view, and give us yours, for we join.
    Join,
    /// Opens: our root, or our view in formats without roots, and give us yours.
    Sync,
    /// Opens: that we live, in formats without roots, and give us your view.
    Pull,
    /// Opens: answer me.
    Ping { sequence: u32 },
    /// Our whole view, and what is remembered of `joiner`, if anybody: it has to know its own past to overcome it.
    View { joiner: MemberId },
    /// Few of those of our view, and what is remembered of `joiner`: all of it is told later.
    Few { joiner: MemberId },
    /// Our whole view; something else comes before [`StreamSaid::ViewEnd`]. In formats in which members have identities.
    ViewBegun { joiner: MemberId },
    /// That was our whole view.
    ViewEnd,
    /// Our root is the same.
    Agreed,
    /// Our root is another.
    Differs,
    /// The answer to a ping.
    Ack { sequence: u32 },
}

impl StreamSaid {
    /// Whether it is what a join is answered with, or its end.
    pub(in crate::protocol) fn answers_join(self) -> bool {
        match self {
            StreamSaid::View { joiner } => joiner != MemberId::NONE,
            StreamSaid::Few { .. } | StreamSaid::ViewBegun { .. } | StreamSaid::ViewEnd => true,
            _ => false,
        }
    }
}

/// What a member hears on a stream.
#[derive(Clone, Debug)]
pub(in crate::protocol) enum StreamHeard<'a, R> {
    /// A join, which asks for our view and then says more.
    Join { joiner: MemberId },
    /// A push/pull that begins with the root of `source`.
    Sync { source: MemberId, root: u64 },
    /// Our root is the same.
    Agreed,
    /// Our root is another: a view follows.
    Differs,
    /// A view, or a part of one.
    View(View<'a, R>),
    /// Answer me.
    Ping { source: MemberId, sequence: u32 },
    /// A ping for another member.
    PingMisdirected,
    /// The answer to a ping.
    Ack { sequence: u32 },
    /// The answer of a host where the pinged member does not live.
    Absent,
    /// Something that is no member's to hear.
    Foreign,
    /// A message too long for a packet.
    UserMessage(&'a [u8]),
    /// How far the copies of shared state of `source` have come, and what it wants.
    KeyDigests { source: MemberId, digests: KeyDigests<'a> },
    /// Sections of shared state.
    KeyValues { source: MemberId, sections: KeySections<'a> },
    /// The other side refuses what we want, for this reason.
    Refused(&'a str),
}

/// Records that came on a stream.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct View<'a, R> {
    pub(in crate::protocol) records: R,
    /// Whose they are, [`MemberId::NONE`] if the format does not say, and its root.
    pub(in crate::protocol) source: MemberId,
    pub(in crate::protocol) root: Option<u64>,
    /// Nothing is under way that others are being told of, as far as its member knows.
    pub(in crate::protocol) quiet: bool,
    /// More follow.
    pub(in crate::protocol) more: bool,
    /// Views are exchanged: ours is the answer to it.
    pub(in crate::protocol) exchanged: bool,
    /// Serf's part.
    pub(in crate::protocol) user_state: &'a [u8],
}

/// The records of a view, in order.
pub(in crate::protocol) trait Records<'a>:
    Iterator<Item = Result<Record<'a>, RecordFault>>
{
    /// The bytes of those that have not been read, and how many these are.
    fn left(&self) -> (&[u8], usize);

    /// Passes over the next `count`, which take so many `bytes`.
    fn pass_over(&mut self, count: usize, bytes: usize);
}

/// One record of a view.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Record<'a> {
    pub(in crate::protocol) introduction: Introduction<'a>,
    /// What the member has signed it with.
    pub(in crate::protocol) signature: Option<&'a Signature>,
    /// What the member announced, in formats that say so; such a record has not been checked yet.
    pub(in crate::protocol) versions: Option<Versions>,
}

/// A record that cannot be read.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) enum RecordFault {
    /// The records after it cannot be either.
    Broken,
    /// It cannot be kept, which says nothing about the others.
    Unfit,
}
