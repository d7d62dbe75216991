//! A frame: one datagram, header and messages.
//!
//! Reading borrows: [`Frame::decode`] checks the header, [`Frame::messages`] walks the messages where
//! they lie. Writing happens in the send buffer: [`FrameWriter`] is given the bytes that will leave and
//! fills them. Bytes after the announced number of messages are padding, which lets frames of one size
//! class leave as one segmented send.

use std::iter::FusedIterator;

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U32, U64};

use super::layout::{Header, kind};
use super::parts::{member, take};
use super::{DELEGATION_LEN, DecodeError, Message, MessageVisitor, PROBE_LEN, VERSION};
use crate::MemberId;

/// Largest frame in bytes: what fits an Ethernet packet beside IP and UDP headers and a tunnel's.
pub const FRAME_MAX: usize = 1400;
/// Bytes of the header in front of every frame and stream message.
pub const HEADER_LEN: usize = size_of::<Header>();

/// Bytes of a frame that acknowledges a delegation and does nothing else: see [`is_delegation_ack`].
pub const DELEGATION_ACK_FRAME_LEN: usize = HEADER_LEN + DELEGATION_LEN;

// A frame is full before its count is: no message is shorter than a probe.
const _: () = assert!((FRAME_MAX - HEADER_LEN) / PROBE_LEN < u8::MAX as usize);

/// The sender has nothing left to disseminate.
const FLAG_QUIET: u8 = 1;
/// What follows is encrypted and authenticated, and lies in an envelope: the decoder of plain frames refuses it.
pub(super) const FLAG_SEALED: u8 = 2;

/// The fields of a frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// Cluster number: frames of another cluster are dropped.
    pub cluster: u32,
    /// The sender.
    pub source: MemberId,
    /// The receiver; [`MemberId::NONE`] for the member at the address that it arrives at.
    pub destination: MemberId,
    /// The sender's state root: a hash over its view of the live members.
    pub root: u64,
    /// The sender has nothing left to disseminate, so that a differing root means a lasting difference.
    pub quiet: bool,
}

/// Whom the frame in `bytes` is for, before anything of it has been checked: to know in advance which member it will need.
/// Nothing if it is too short to say.
#[inline]
pub fn destination(bytes: &[u8]) -> Option<MemberId> {
    take::<Header>(&mut &bytes[..]).ok().map(|header| MemberId(header.destination.get()))
}

/// Whether the frame in `bytes` acknowledges a delegation and does nothing else, before anything of it has been checked: to know
/// in advance that it can wait. Then its first [`DELEGATION_ACK_FRAME_LEN`] bytes are all of it.
#[inline]
pub fn is_delegation_ack(bytes: &[u8]) -> bool {
    bytes.len() >= DELEGATION_ACK_FRAME_LEN
        && bytes[0] == VERSION
        && bytes[2] == 1
        && bytes[HEADER_LEN] == kind::DELEGATION_ACK
}

impl FrameHeader {
    /// Checks the header at the front of `bytes`; gives it, its count or kind, and what follows it.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Result<(FrameHeader, u8, &[u8]), DecodeError> {
        // The version comes first: what another version's header looks like is not known here.
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&other) => return Err(DecodeError::Version(other)),
            None => return Err(DecodeError::Truncated),
        }
        let mut rest = bytes;
        let header = take::<Header>(&mut rest)?;
        if header.flags & FLAG_SEALED != 0 {
            return Err(DecodeError::Sealed);
        }
        if header.flags & !FLAG_QUIET != 0 || header.reserved != 0 {
            return Err(DecodeError::Reserved);
        }
        let fields = FrameHeader {
            cluster: header.cluster.get(),
            source: member(header.source, "source")?,
            destination: MemberId(header.destination.get()),
            root: header.root.get(),
            quiet: header.flags & FLAG_QUIET != 0,
        };
        Ok((fields, header.count_or_kind, rest))
    }

    /// Writes the header to the front of `out`; nothing if it does not fit.
    #[inline]
    pub(super) fn write(&self, count_or_kind: u8, out: &mut [u8]) -> Option<()> {
        let header = Header {
            version: VERSION,
            flags: if self.quiet { FLAG_QUIET } else { 0 },
            count_or_kind,
            reserved: 0,
            cluster: U32::new(self.cluster),
            source: U64::new(self.source.0),
            destination: U64::new(self.destination.0),
            root: U64::new(self.root),
        };
        header.write_to_prefix(out).ok()
    }
}

/// A received frame whose header has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The header.
    pub header: FrameHeader,
    count: u8,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the header of the datagram `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that is not the header of a frame of this version.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Frame<'a>, DecodeError> {
        if bytes.len() > FRAME_MAX {
            return Err(DecodeError::TooLong);
        }
        let (header, count, body) = FrameHeader::read(bytes)?;
        Ok(Frame { header, count, body })
    }

    /// Number of messages that the header announces.
    #[inline]
    pub fn message_count(&self) -> usize {
        usize::from(self.count)
    }

    /// The messages, in order. Ends after the announced number or the first that cannot be read.
    #[inline]
    pub fn messages(&self) -> Messages<'a> {
        Messages { left: self.count, rest: self.body }
    }
}

/// The messages of a frame.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    left: u8,
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// The bytes not read yet: once the messages have ended, the padding.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Shows the next message to `visitor`; nothing if there is none. Faster than the iterator, if the visitor is inlined.
    ///
    /// # Errors
    /// As [`Message::decode`]; nothing follows then.
    #[inline(always)]
    pub fn visit_next(&mut self, visitor: &mut impl MessageVisitor<'a>) -> Option<Result<(), DecodeError>> {
        self.left = self.left.checked_sub(1)?;
        let before = self.rest;
        let read = Message::take(&mut self.rest, visitor);
        if read.is_err() {
            (self.left, self.rest) = (0, before);
        }
        Some(read)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let mut read = None;
        match self.visit_next(&mut read)? {
            Ok(()) => read.map(Ok),
            Err(error) => Some(Err(error)),
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left != 0), Some(usize::from(self.left)))
    }
}

impl FusedIterator for Messages<'_> {}

/// Writes a frame into a send buffer.
#[derive(Debug)]
pub struct FrameWriter<'a> {
    header: FrameHeader,
    out: &'a mut [u8],
    used: usize,
    count: u8,
}

impl<'a> FrameWriter<'a> {
    /// Starts a frame in `out`, of which at most [`FRAME_MAX`] bytes are used. Nothing if not even the
    /// header fits, or if the source is nobody.
    #[inline]
    pub fn new(header: FrameHeader, out: &'a mut [u8]) -> Option<FrameWriter<'a>> {
        if out.len() < HEADER_LEN || header.source.is_none() {
            return None;
        }
        let room = out.len().min(FRAME_MAX);
        Some(FrameWriter { header, out: &mut out[..room], used: HEADER_LEN, count: 0 })
    }

    /// Appends `message`. False, and the frame unchanged, if it does not fit or breaks a rule of the
    /// format (see [`Message::encode`]).
    #[inline(always)]
    pub fn push(&mut self, message: &Message<'_>) -> bool {
        match message.encode(&mut self.out[self.used..]) {
            Some(length) => {
                self.used += length;
                self.count += 1;
                true
            }
            None => false,
        }
    }

    /// Bytes written so far, the header among them.
    #[inline]
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether no message has been written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Completes the header, clears the rest of the buffer (up to [`FRAME_MAX`]) and gives the bytes
    /// used: any number of the cleared ones may leave as padding.
    #[inline]
    pub fn finish(self) -> usize {
        let (used, room) = (self.used, self.out.len());
        self.finish_padded(room);
        used
    }

    /// Completes the header and pads the frame to `length` bytes. Gives the frame's length: `length`, but
    /// not less than was written nor more than the buffer or [`FRAME_MAX`] hold.
    #[inline]
    pub fn finish_padded(self, length: usize) -> usize {
        let end = length.clamp(self.used, self.out.len());
        // The buffer holds a header: `new` has seen to it.
        let _ = self.header.write(self.count, self.out);
        // Most frames fill what was reserved for them.
        if self.used < end {
            self.out[self.used..end].fill(0);
        }
        end
    }
}
