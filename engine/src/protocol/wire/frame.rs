//! The seam to the formats: what a frame is to hold, and what a format has to do for it.
//!
//! A send is planned, then written. The sender measures what it is sent for ([`Format::part_len`]), chooses
//! as many updates as fit beside it, and has the format say how long the whole is ([`Format::plan`]); that
//! much is reserved in the driver's buffer and filled ([`Format::write`]). The list of what a frame holds is
//! made once, by [`Frame`]. Everything here is generic, so that each format has code of its own and asks
//! nothing message by message.

use std::net::SocketAddr;

use swimring_codec::MemberId;

use super::Wire;
use super::message::{Incoming, Outgoing, Ping, Sender, Subject, Unusable};
use crate::protocol::view::directory::{Directory, Identity, MemberIndex};
use crate::protocol::view::table::Table;

/// The member that speaks, as far as a format has to look up what it writes.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Speaker<'a> {
    pub(in crate::protocol) id: MemberId,
    /// Its own place in the directory.
    pub(in crate::protocol) index: MemberIndex,
    /// Its number among the members that share a worker.
    pub(in crate::protocol) number: u32,
    pub(in crate::protocol) cluster: u32,
    /// It has no updates about members queued.
    pub(in crate::protocol) quiet: bool,
    /// Stands for the user events of late that it knows.
    pub(in crate::protocol) event_root: u32,
    pub(in crate::protocol) table: &'a Table,
    pub(in crate::protocol) directory: &'a Directory,
}

impl<'a> Speaker<'a> {
    /// What the speaker knows of the member at `index`.
    #[inline]
    pub(super) fn identity(&self, index: MemberIndex) -> Identity<'a> {
        self.directory.identity(index, self.table.get(index).version())
    }

    pub(super) fn name(&self, index: MemberIndex) -> &'a str {
        self.directory.name(index)
    }
}

/// One frame to be written.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct Frame<'a, U> {
    pub(in crate::protocol) speaker: &'a Speaker<'a>,
    pub(in crate::protocol) to: SocketAddr,
    /// Whom it is for; [`MemberId::NONE`] for whoever has the address.
    pub(in crate::protocol) destination: MemberId,
    /// Its longest length, if the format asked for it ([`Format::bounds_messages`]) or updates go along.
    pub(in crate::protocol) bytes_max: usize,
    /// What it is sent for.
    pub(in crate::protocol) messages: &'a [Outgoing<'a>],
    /// The updates that go along.
    pub(in crate::protocol) updates: U,
    /// Bytes of all of these, as [`Format::part_len`] has them.
    pub(in crate::protocol) parts_len: usize,
}

impl<'a, U: Iterator<Item = Outgoing<'a>> + Clone> Frame<'a, U> {
    /// Everything that the frame says, in order.
    #[inline]
    pub(super) fn parts(&self) -> impl Iterator<Item = Outgoing<'a>> {
        self.messages.iter().copied().chain(self.updates.clone())
    }

    /// The same, handed to `writer`.
    #[inline(always)]
    pub(super) fn write_parts(&self, writer: &mut impl PartWriter) {
        for said in self.messages {
            writer.write(said);
        }
        for said in self.updates.clone() {
            writer.write(&said);
        }
    }
}

/// A format of frames.
pub(in crate::protocol) trait Format {
    /// Frames stay in memory as values: nothing is reserved with the driver, and `write` gets no bytes.
    const IN_MEMORY: bool = false;

    /// What is decided of a frame before it is written.
    type Plan: Copy;

    /// Bytes of a frame that are not messages, at most.
    fn overhead(&self) -> usize;

    /// The shortest frame that the largest update fits into.
    fn frame_bytes_least(&self) -> usize;

    /// Whether what a frame is sent for may be too long for the shortest frames.
    fn bounds_messages(&self) -> bool;

    /// Bytes that `said` takes in a frame to `destination`.
    fn part_len(&self, speaker: &Speaker<'_>, destination: MemberId, said: &Outgoing<'_>) -> usize;

    /// Decides how much of `frame` is written, and gives its bytes.
    fn plan<'a, U>(&mut self, frame: &Frame<'a, U>) -> (Self::Plan, usize)
    where
        U: Iterator<Item = Outgoing<'a>> + Clone;

    /// Writes `frame` as planned to `buffer`, which has as many bytes as the plan said.
    fn write<'a, U>(&mut self, frame: &Frame<'a, U>, plan: Self::Plan, buffer: &mut [u8])
    where
        U: Iterator<Item = Outgoing<'a>> + Clone;
}

/// Takes the parts of a frame, one after the other. A trait and not a closure, so that it can be inlined wherever a format
/// has one: a message is made and written in one place then.
pub(super) trait PartWriter {
    fn write(&mut self, said: &Outgoing<'_>);
}

/// Takes in the messages of a frame, which name members by `S`. A trait and not a closure, for the same reason as
/// [`PartWriter`]: a message is taken in where its kind is known, and not asked again what it is.
pub(in crate::protocol) trait Receiver<S> {
    /// What a reader works with: the format's own state, the directory, and the frame's sender.
    fn around(&mut self) -> (&mut Wire, &Directory, &mut Sender);

    fn receive(&mut self, message: Incoming<'_, S>);

    /// A ping, of which a frame has one as a rule. It is noted, and answered when reading has returned: so the answer is not
    /// written from within a format.
    fn receive_ping(&mut self, ping: Ping);

    /// The message cannot be used.
    fn refuse(&mut self, unusable: Unusable);
}

/// What reads the messages of one frame that arrived.
pub(in crate::protocol) trait Reader {
    /// What it names members by.
    type Subject: Subject;

    /// Reads the next message and hands it to `receiver`, in the protocol's words. What a message states of its sender
    /// itself is put in the receiver's before. False if there is no next.
    fn next(&mut self, receiver: &mut impl Receiver<Self::Subject>) -> bool;

    /// Nothing more is taken in of the frame.
    fn finish(self, wire: &mut Wire)
    where
        Self: Sized,
    {
        let _ = wire;
    }
}
