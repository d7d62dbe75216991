//! User events: what the application says to the whole cluster.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use super::DecodeError;
use super::layout::{EventHeader, kind};
use super::parts::{member, take, take_bytes, text};
use crate::MemberId;

/// Bytes of a user event without its name and payload.
pub const EVENT_HEADER_LEN: usize = size_of::<EventHeader>();
/// Largest user event, name and payload together, in bytes. Two fit a frame beside its updates.
pub const EVENT_MAX: usize = 512;

/// A user event: a name and a payload from one member to all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserEvent<'a> {
    /// The sender.
    pub origin: MemberId,
    /// Told apart by this from the origin's other events.
    pub sequence: u32,
    /// Name, 0 to 255 bytes of UTF-8.
    pub name: &'a str,
    /// Payload; name and payload together at most [`EVENT_MAX`] bytes.
    pub payload: &'a [u8],
}

impl UserEvent<'_> {
    /// Bytes on the wire.
    pub const fn encoded_len(name_len: usize, payload_len: usize) -> usize {
        EVENT_HEADER_LEN + name_len + payload_len
    }
}

impl<'a> UserEvent<'a> {
    /// Takes a user event off the front of `bytes`.
    #[inline(always)]
    pub(super) fn take(bytes: &mut &'a [u8]) -> Result<UserEvent<'a>, DecodeError> {
        let header = take::<EventHeader>(bytes)?;
        let name_len = usize::from(header.name_len);
        let payload_len = usize::from(header.payload_len.get());
        if name_len + payload_len > EVENT_MAX {
            return Err(DecodeError::Field("event length"));
        }
        let name = take_bytes(bytes, name_len)?;
        let payload = take_bytes(bytes, payload_len)?;
        Ok(UserEvent {
            origin: member(header.origin, "event origin")?,
            sequence: header.sequence.get(),
            name: text(name, "event name")?,
            payload,
        })
    }

    /// Writes to `out`, which has exactly the encoded length.
    pub(super) fn encode(&self, out: &mut [u8]) -> Option<()> {
        let too_long = self.name.len() > u8::MAX.into() || self.name.len() + self.payload.len() > EVENT_MAX;
        if too_long || self.origin.is_none() {
            return None;
        }
        let header = EventHeader {
            kind: kind::USER_EVENT,
            name_len: self.name.len() as u8,
            payload_len: U16::new(self.payload.len() as u16),
            sequence: U32::new(self.sequence),
            origin: U64::new(self.origin.0),
        };
        header.write_to_prefix(out).ok()?;
        let (name, payload) = out[EVENT_HEADER_LEN..].split_at_mut(self.name.len());
        name.copy_from_slice(self.name.as_bytes());
        payload.copy_from_slice(self.payload);
        Some(())
    }
}
