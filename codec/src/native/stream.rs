//! Stream messages: what goes over TCP.
//!
//! An exchange is a short conversation of length-prefixed messages. A push/pull opens with the two
//! state roots (`Hello`, answered by `Verdict`) and ends there when they agree; otherwise both sides send
//! their records (`State`, in as many messages as it takes, the last one marked). A fallback probe is
//! `Ping` and `Ack`.

use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

use super::frame::FrameHeader;
use super::layout::{Probe, StateHeader};
use super::message::take;
use super::{DecodeError, HEADER_LEN, Introduction};

/// Bytes of the length in front of each stream message (little-endian, counting what follows it).
pub const STREAM_PREFIX_LEN: usize = 4;
/// Largest stream message in bytes, without its length prefix.
pub const STREAM_MESSAGE_MAX: usize = 1 << 20;

/// What a stream message is.
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
}

impl StreamKind {
    const fn from_u8(value: u8) -> Option<StreamKind> {
        match value {
            1 => Some(StreamKind::Join),
            2 => Some(StreamKind::Sync),
            3 => Some(StreamKind::Agreed),
            4 => Some(StreamKind::Differs),
            5 => Some(StreamKind::State),
            6 => Some(StreamKind::Ping),
            7 => Some(StreamKind::Ack),
            _ => None,
        }
    }
}

/// A received stream message, borrowed from the bytes it came in.
#[derive(Clone, Copy, Debug)]
pub struct StreamMessage<'a> {
    /// Sender, destination, root.
    pub header: FrameHeader,
    /// What it says.
    pub body: StreamBody<'a>,
}

/// What a stream message says.
#[derive(Clone, Copy, Debug)]
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
        let (header, kind, rest) = FrameHeader::read(bytes)?;
        let kind = StreamKind::from_u8(kind).ok_or(DecodeError::Kind(kind))?;
        let body = match kind {
            StreamKind::Join => StreamBody::Join,
            StreamKind::Sync => StreamBody::Sync,
            StreamKind::Agreed => StreamBody::Agreed,
            StreamKind::Differs => StreamBody::Differs,
            StreamKind::State => {
                let (state, records) = take::<StateHeader>(rest)?;
                StreamBody::State(StateRecords {
                    left: state.count.get(),
                    more: state.more != 0,
                    rest: records,
                })
            }
            StreamKind::Ping => StreamBody::Ping { sequence: take::<Probe>(rest)?.0.sequence.get() },
            StreamKind::Ack => StreamBody::Ack { sequence: take::<Probe>(rest)?.0.sequence.get() },
        };
        Ok(StreamMessage { header, body })
    }
}

/// The records of a `State` message.
#[derive(Clone, Copy, Debug)]
pub struct StateRecords<'a> {
    left: u32,
    /// Whether another `State` message follows.
    pub more: bool,
    rest: &'a [u8],
}

impl<'a> Iterator for StateRecords<'a> {
    type Item = Result<Introduction<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        match Introduction::decode(self.rest) {
            Ok((record, rest)) => {
                self.rest = rest;
                Some(Ok(record))
            }
            Err(error) => {
                self.left = 0;
                Some(Err(error))
            }
        }
    }
}

/// Writes stream messages, each with its length prefix, to the end of a reused buffer.
#[derive(Debug)]
pub struct StreamWriter<'a> {
    header: FrameHeader,
    out: &'a mut Vec<u8>,
    /// Where the `State` message being filled starts, and its records.
    state: Option<(usize, u32)>,
}

impl<'a> StreamWriter<'a> {
    /// A writer whose messages carry `header`.
    pub fn new(header: FrameHeader, out: &'a mut Vec<u8>) -> StreamWriter<'a> {
        StreamWriter { header, out, state: None }
    }

    /// Writes a message that has no body: any kind but `State`, `Ping` and `Ack`.
    pub fn plain(&mut self, kind: StreamKind) {
        let start = self.open(kind);
        self.close(start);
    }

    /// Writes a fallback probe or its answer.
    pub fn probe(&mut self, kind: StreamKind, sequence: u32) {
        let start = self.open(kind);
        let probe = Probe { kind: kind as u8, reserved: [0; 3], sequence: U32::new(sequence) };
        self.out.extend_from_slice(probe.as_bytes());
        self.close(start);
    }

    /// Appends a record, opening a `State` message where one is needed. False if the record breaks a
    /// limit of the format.
    pub fn record(&mut self, record: &Introduction<'_>) -> bool {
        let length = Introduction::encoded_len(record.name.len(), record.metadata.len());
        if let Some((start, _)) = self.state
            && self.out.len() - start - STREAM_PREFIX_LEN + length > STREAM_MESSAGE_MAX
        {
            self.close_state(true);
        }
        let (start, count) = match self.state {
            Some(open) => open,
            None => (self.open_state(), 0),
        };
        let at = self.out.len();
        self.out.resize(at + length, 0);
        if record.encode(&mut self.out[at..]).is_none() {
            self.out.truncate(at);
            self.state = Some((start, count));
            return false;
        }
        self.state = Some((start, count + 1));
        true
    }

    /// Ends the records: marks the last `State` message, writing an empty one if there was none.
    pub fn finish_state(&mut self) {
        if self.state.is_none() {
            let start = self.open_state();
            self.state = Some((start, 0));
        }
        self.close_state(false);
    }

    fn open_state(&mut self) -> usize {
        let start = self.open(StreamKind::State);
        self.out.extend_from_slice(&[0; size_of::<StateHeader>()]);
        start
    }

    fn close_state(&mut self, more: bool) {
        let Some((start, count)) = self.state.take() else { return };
        let header = StateHeader { count: U32::new(count), more: u8::from(more), reserved: [0; 3] };
        let at = start + STREAM_PREFIX_LEN + HEADER_LEN;
        self.out[at..at + size_of::<StateHeader>()].copy_from_slice(header.as_bytes());
        self.close(start);
    }

    fn open(&mut self, kind: StreamKind) -> usize {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; STREAM_PREFIX_LEN + HEADER_LEN]);
        let _ = self.header.write(kind as u8, &mut self.out[start + STREAM_PREFIX_LEN..]);
        start
    }

    fn close(&mut self, start: usize) {
        let length = (self.out.len() - start - STREAM_PREFIX_LEN) as u32;
        self.out[start..start + STREAM_PREFIX_LEN].copy_from_slice(&length.to_le_bytes());
    }
}
