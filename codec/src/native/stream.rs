//! Stream messages: what goes over TCP.
//!
//! An exchange is a short conversation of length-prefixed messages. It opens with the sender's state
//! root (`Join` or `Sync`) and ends there when the other side's is the same (`Agreed`); otherwise
//! (`Differs`) both sides send their records (`State`, in as many messages as it takes, the last one
//! marked). A fallback probe is `Ping` and `Ack`, or `Absent` from a host where the member does not live.
//! Direct messages have streams of their own, each answered. A stream has no
//! padding: every byte is accounted for.

use std::iter::FusedIterator;

use zerocopy::little_endian::U32;

use super::direct::{self, DirectOutcome, DirectTurn};
use super::frame::{FrameHeader, HEADER_LEN};
use super::layout::{StateHeader, kind};
use super::parts::{reserved, take};
use super::signed::{self, Signature};
use super::{DecodeError, INTRODUCTION_HEADER_LEN, Introduction, KeyDigests, KeySections};

/// Bytes of the length in front of each stream message (little-endian, counting what follows it).
pub const STREAM_PREFIX_LEN: usize = 4;
/// Largest stream message in bytes, without its length prefix.
pub const STREAM_MESSAGE_MAX: usize = 1 << 20;

/// The length of the stream message that the length prefix `prefix` announces, in bytes, to be checked
/// before any buffer is made that large.
///
/// # Errors
/// `Truncated` if no message is that short, `TooLong` if it exceeds [`STREAM_MESSAGE_MAX`].
#[inline]
pub fn stream_message_len(prefix: [u8; STREAM_PREFIX_LEN]) -> Result<usize, DecodeError> {
    match u32::from_le_bytes(prefix) as usize {
        length if length < HEADER_LEN => Err(DecodeError::Truncated),
        length if length > STREAM_MESSAGE_MAX => Err(DecodeError::TooLong),
        length => Ok(length),
    }
}

/// Kind of a stream message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum StreamKind {
    /// Opens a join: the sender wants to become a member.
    Join = 1,
    /// Opens an anti-entropy push/pull.
    Sync = 2,
    /// Answers an opening: the roots agree, nothing more to say.
    Agreed = 3,
    /// Answers an opening: the roots differ, send your records.
    Differs = 4,
    /// Records; more may follow.
    State = 5,
    /// Fallback probe.
    Ping = 6,
    /// The answer to a fallback probe.
    Ack = 7,
    /// Answers a fallback probe: the member that it is for, which the header names as the source, does not live here.
    Absent = 8,
    /// How far the sender's copies of shared state have come, and what is wanted of it.
    KeyDigests = 24,
    /// Sections of shared state.
    KeyValues = 25,
    /// A direct message of the application's.
    Direct = 40,
    /// What became of a direct message.
    DirectAck = 41,
}

impl StreamKind {
    pub(super) const fn from_u8(value: u8) -> Option<StreamKind> {
        match value {
            1 => Some(StreamKind::Join),
            2 => Some(StreamKind::Sync),
            3 => Some(StreamKind::Agreed),
            4 => Some(StreamKind::Differs),
            5 => Some(StreamKind::State),
            6 => Some(StreamKind::Ping),
            7 => Some(StreamKind::Ack),
            8 => Some(StreamKind::Absent),
            24 => Some(StreamKind::KeyDigests),
            25 => Some(StreamKind::KeyValues),
            40 => Some(StreamKind::Direct),
            41 => Some(StreamKind::DirectAck),
            _ => None,
        }
    }
}

/// A received stream message, borrowed from the bytes it came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamMessage<'a> {
    /// Sender, destination, root.
    pub header: FrameHeader,
    /// Its body.
    pub body: StreamBody<'a>,
}

/// Body of a stream message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamBody<'a> {
    /// See [`StreamKind::Join`].
    Join,
    /// See [`StreamKind::Sync`].
    Sync,
    /// See [`StreamKind::Agreed`].
    Agreed,
    /// See [`StreamKind::Differs`].
    Differs,
    /// See [`StreamKind::State`].
    State(StateRecords<'a>),
    /// See [`StreamKind::Ping`].
    Ping {
        /// Echoed in the ack.
        sequence: u32,
    },
    /// See [`StreamKind::Ack`].
    Ack {
        /// From the ping.
        sequence: u32,
    },
    /// See [`StreamKind::Absent`].
    Absent,
    /// See [`StreamKind::KeyDigests`].
    KeyDigests(KeyDigests<'a>),
    /// See [`StreamKind::KeyValues`].
    KeyValues(KeySections<'a>),
    /// See [`StreamKind::Direct`].
    Direct(DirectTurn<'a>),
    /// See [`StreamKind::DirectAck`].
    DirectAck {
        /// From the message.
        sequence: u64,
        /// What became of it.
        outcome: DirectOutcome,
    },
}

impl<'a> StreamMessage<'a> {
    /// Reads the stream message `bytes` (without its length prefix).
    ///
    /// # Errors
    /// [`DecodeError`] for anything malformed; records are checked as they are walked.
    pub fn decode(bytes: &'a [u8]) -> Result<StreamMessage<'a>, DecodeError> {
        if bytes.len() > STREAM_MESSAGE_MAX {
            return Err(DecodeError::TooLong);
        }
        let (header, kind, mut rest) = FrameHeader::read(bytes)?;
        let kind = StreamKind::from_u8(kind).ok_or(DecodeError::Kind(kind))?;
        let body = match kind {
            StreamKind::Join => StreamBody::Join,
            StreamKind::Sync => StreamBody::Sync,
            StreamKind::Agreed => StreamBody::Agreed,
            StreamKind::Differs => StreamBody::Differs,
            StreamKind::Absent => StreamBody::Absent,
            StreamKind::State => StreamBody::State(StateRecords::take(&mut rest)?),
            StreamKind::KeyDigests => StreamBody::KeyDigests(KeyDigests::take(&mut rest)?),
            // Sections are checked as they are walked.
            StreamKind::KeyValues => StreamBody::KeyValues(KeySections::new(std::mem::take(&mut rest))),
            StreamKind::Direct => StreamBody::Direct(DirectTurn::take(&mut rest)?),
            StreamKind::DirectAck => {
                let (sequence, outcome) = direct::take_ack(&mut rest)?;
                StreamBody::DirectAck { sequence, outcome }
            }
            StreamKind::Ping => StreamBody::Ping { sequence: take::<U32>(&mut rest)?.get() },
            StreamKind::Ack => StreamBody::Ack { sequence: take::<U32>(&mut rest)?.get() },
        };
        if rest.is_empty() { Ok(StreamMessage { header, body }) } else { Err(DecodeError::Trailing) }
    }
}

/// The records of a `State` message. Ends after the announced number or the first that cannot be read;
/// bytes after the last record are an error of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateRecords<'a> {
    left: u32,
    /// Whether another `State` message follows.
    pub more: bool,
    rest: &'a [u8],
}

impl<'a> StateRecords<'a> {
    /// Takes all of `bytes`: what follows the records is found when they are walked.
    fn take(bytes: &mut &'a [u8]) -> Result<StateRecords<'a>, DecodeError> {
        let header = take::<StateHeader>(bytes)?;
        let rest = std::mem::take(bytes);
        reserved(header.reserved)?;
        // A record has a name of at least a byte: more than fit are not counted on by anyone.
        let left = header.count.get();
        if left as usize > rest.len() / (INTRODUCTION_HEADER_LEN + 1) {
            return Err(DecodeError::Truncated);
        }
        let more = match header.more {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::Field("more")),
        };
        Ok(StateRecords { left, more, rest })
    }

    fn fail<R>(&mut self, error: DecodeError) -> Option<Result<R, DecodeError>> {
        (self.left, self.rest) = (0, &[]);
        Some(Err(error))
    }

    /// The records, each with the signature in front of it, if there is one.
    pub fn signed(
        self,
    ) -> impl Iterator<Item = Result<(Introduction<'a>, Option<&'a Signature>), DecodeError>> + Clone + use<'a>
    {
        let mut records = self;
        std::iter::from_fn(move || records.next_signed())
    }

    /// What follows, the next record first.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Number of records left.
    pub fn left(&self) -> usize {
        self.left as usize
    }

    /// Passes over `count` records, which take `bytes`: whoever calls it has found there what it wrote itself.
    pub fn pass_over(&mut self, count: usize, bytes: usize) {
        self.left = self.left.saturating_sub(count as u32);
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// The next record, with the signature in front of it.
    #[inline]
    pub fn next_signed(&mut self) -> Option<Result<(Introduction<'a>, Option<&'a Signature>), DecodeError>> {
        if self.left == 0 {
            return if self.rest.is_empty() { None } else { self.fail(DecodeError::Trailing) };
        }
        match take_record(&mut self.rest) {
            Ok(record) => {
                self.left -= 1;
                Some(Ok(record))
            }
            Err(error) => self.fail(error),
        }
    }
}

#[inline]
fn take_record<'a>(bytes: &mut &'a [u8]) -> Result<(Introduction<'a>, Option<&'a Signature>), DecodeError> {
    let signed = bytes.first() == Some(&kind::SIGNATURE);
    let signature = if signed { Some(signed::take(bytes)?) } else { None };
    Ok((Introduction::take(bytes)?, signature))
}

impl<'a> Iterator for StateRecords<'a> {
    type Item = Result<Introduction<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_signed()?.map(|(record, _)| record))
    }

    /// At most the announced number of records and one error; never more than the bytes could hold.
    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.left as usize;
        (usize::from(left != 0 || !self.rest.is_empty()), Some(left + 1))
    }
}

impl FusedIterator for StateRecords<'_> {}
