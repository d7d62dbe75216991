//! Direct messages: what the application of one member says to that of another.
//!
//! In a frame a direct message is its payload behind its length, sent once. Over a stream it has a place in the order of
//! its sender's messages to this receiver, and may be a question or the reply to one; each is answered with what became
//! of it.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use super::layout::{self, kind};
use super::parts::{reserved, take, take_bytes};
use super::{DecodeError, FRAME_MAX, HEADER_LEN, STREAM_MESSAGE_MAX};

/// Bytes of a direct message in a frame without its payload.
pub const DIRECT_HEADER_LEN: usize = size_of::<layout::Direct>();
/// Largest payload of a direct message in a frame, in bytes: alone it fills one.
pub const DIRECT_MAX: usize = FRAME_MAX - HEADER_LEN - DIRECT_HEADER_LEN;
/// Largest payload of a direct message over a stream, in bytes: 512 KiB.
pub const DIRECT_STREAM_MAX: usize = STREAM_MESSAGE_MAX / 2;

/// What a direct message over a stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DirectRole {
    /// A message.
    Message,
    /// A question: the reply repeats its number. Not 0.
    Question(u64),
    /// The reply to the question with this number. Not 0.
    Reply(u64),
}

/// A direct message over a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectTurn<'a> {
    /// Drawn by the sender when it starts: sequences begin anew with it.
    pub session: u64,
    /// Place among the sender's messages to this receiver, rising.
    pub sequence: u64,
    /// What it is.
    pub role: DirectRole,
    /// What the application says, at most [`DIRECT_STREAM_MAX`] bytes.
    pub payload: &'a [u8],
}

/// What became of a direct message over a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum DirectOutcome {
    /// The application has it, or will find it in its queue.
    Taken = 0,
    /// The application's queue is full.
    Full = 1,
    /// The application listens to nothing.
    Unheard = 2,
    /// The receiver does not know the sender as a live member.
    Stranger = 3,
}

impl DirectOutcome {
    fn from_u8(value: u8) -> Option<DirectOutcome> {
        match value {
            0 => Some(DirectOutcome::Taken),
            1 => Some(DirectOutcome::Full),
            2 => Some(DirectOutcome::Unheard),
            3 => Some(DirectOutcome::Stranger),
            _ => None,
        }
    }
}

impl DirectRole {
    fn parts(self) -> (u8, u64) {
        match self {
            DirectRole::Message => (0, 0),
            DirectRole::Question(number) => (1, number),
            DirectRole::Reply(number) => (2, number),
        }
    }

    fn of(role: u8, number: u64) -> Option<DirectRole> {
        match (role, number) {
            (0, 0) => Some(DirectRole::Message),
            (1, 1..) => Some(DirectRole::Question(number)),
            (2, 1..) => Some(DirectRole::Reply(number)),
            _ => None,
        }
    }
}

impl<'a> DirectTurn<'a> {
    /// Bytes of its message on a stream with its length prefix.
    pub const fn encoded_len(payload_len: usize) -> usize {
        super::STREAM_PREFIX_LEN + HEADER_LEN + size_of::<layout::DirectTurn>() + payload_len
    }

    /// Whether it keeps the rules of the format, so that it can be read back.
    pub fn is_valid(&self) -> bool {
        let (role, number) = self.role.parts();
        self.payload.len() <= DIRECT_STREAM_MAX && DirectRole::of(role, number).is_some()
    }

    /// Takes a direct message off the front of `bytes`.
    pub(super) fn take(bytes: &mut &'a [u8]) -> Result<DirectTurn<'a>, DecodeError> {
        let turn = take::<layout::DirectTurn>(bytes)?;
        reserved(turn.reserved)?;
        let length = turn.length.get() as usize;
        if length > DIRECT_STREAM_MAX {
            return Err(DecodeError::Field("direct length"));
        }
        let payload = take_bytes(bytes, length)?;
        let role = DirectRole::of(turn.role, turn.number.get()).ok_or(DecodeError::Field("direct role"))?;
        Ok(DirectTurn { session: turn.session.get(), sequence: turn.sequence.get(), role, payload })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (role, number) = self.role.parts();
        let turn = layout::DirectTurn {
            session: U64::new(self.session),
            sequence: U64::new(self.sequence),
            number: U64::new(number),
            role,
            reserved: [0; 3],
            length: U32::new(self.payload.len() as u32),
        };
        out.extend_from_slice(turn.as_bytes());
        out.extend_from_slice(self.payload);
    }
}

/// Takes what became of a direct message: its sequence, and the outcome.
pub(super) fn take_ack(bytes: &mut &[u8]) -> Result<(u64, DirectOutcome), DecodeError> {
    let ack = take::<layout::DirectAck>(bytes)?;
    reserved(ack.reserved)?;
    let outcome = DirectOutcome::from_u8(ack.outcome).ok_or(DecodeError::Field("direct outcome"))?;
    Ok((ack.sequence.get(), outcome))
}

pub(super) fn write_ack(sequence: u64, outcome: DirectOutcome, out: &mut Vec<u8>) {
    let ack = layout::DirectAck { sequence: U64::new(sequence), outcome: outcome as u8, reserved: [0; 7] };
    out.extend_from_slice(ack.as_bytes());
}

/// Takes the payload of a direct message off the front of a frame's `bytes`.
#[inline]
pub(super) fn take_payload<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let header = take::<layout::Direct>(bytes)?;
    if header.reserved != 0 || header.reserved_too.get() != 0 {
        return Err(DecodeError::Reserved);
    }
    let length = usize::from(header.length.get());
    if length > DIRECT_MAX {
        return Err(DecodeError::Field("direct length"));
    }
    take_bytes(bytes, length)
}

/// Writes a direct message to `out`, which has exactly its length.
pub(super) fn encode(payload: &[u8], out: &mut [u8]) -> Option<()> {
    if payload.len() > DIRECT_MAX {
        return None;
    }
    let length = U16::new(payload.len() as u16);
    let header = layout::Direct { kind: kind::DIRECT, reserved: 0, length, reserved_too: U32::ZERO };
    header.write_to_prefix(out).ok()?;
    out.get_mut(DIRECT_HEADER_LEN..)?.copy_from_slice(payload);
    Some(())
}
