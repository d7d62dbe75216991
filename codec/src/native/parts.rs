//! The checks that every message is read through, and is held to when written.

use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::DecodeError;
use super::layout::{self, Update};
use crate::{Incarnation, MemberId};

/// Takes a fixed layout off the front of `bytes`. What is read is given and what follows it left in `bytes`, here and in all that
/// reads a message: the two in one value would be copied with the message at every step.
#[inline]
pub(super) fn take<'a, T: FromBytes + KnownLayout + Immutable + Unaligned>(
    bytes: &mut &'a [u8],
) -> Result<&'a T, DecodeError> {
    let (layout, rest) = T::ref_from_prefix(bytes).map_err(|_| DecodeError::Truncated)?;
    *bytes = rest;
    Ok(layout)
}

/// Takes `length` bytes off the front of `bytes`.
#[inline]
pub(super) fn take_bytes<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], DecodeError> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(taken)
}

/// The member called `id`, which must be one.
#[inline]
pub(super) fn member(id: U64, what: &'static str) -> Result<MemberId, DecodeError> {
    if id.get() == 0 { Err(DecodeError::Field(what)) } else { Ok(MemberId(id.get())) }
}

/// Bytes that a later version may give a meaning: to this one they are zero or the message is refused,
/// so that every message has one encoding.
#[inline]
pub(super) fn reserved<const N: usize>(bytes: [u8; N]) -> Result<(), DecodeError> {
    if bytes == [0; N] { Ok(()) } else { Err(DecodeError::Reserved) }
}

#[inline]
pub(super) fn text<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, DecodeError> {
    if bytes.is_empty() {
        // As most zones and many names of events are.
        return Ok("");
    }
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Field(what))
}

/// An update about `subject`; nothing if that is nobody.
#[inline]
pub(super) fn update(kind: u8, tag: u8, incarnation: Incarnation, subject: MemberId) -> Option<Update> {
    let incarnation = layout::incarnation_bytes(incarnation);
    (!subject.is_none()).then_some(Update { kind, tag, incarnation, subject: U64::new(subject.0) })
}
