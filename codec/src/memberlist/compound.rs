//! Several messages in one packet.
//!
//! A compound is its type byte, the number of parts, the length of each part as a big-endian 16-bit number,
//! then the parts. What a member has to say is known message by message before it is written, so a writer
//! leaves room for the lengths and writes each part where it belongs.

use std::iter::FusedIterator;

use super::{COMPOUND_DEPTH_MAX, DecodeError, Message, PARTS_MAX, kind};

/// Bytes that a compound of `parts` messages takes beyond theirs: one message goes without a compound.
pub const fn compound_overhead(parts: usize) -> usize {
    if parts <= 1 { 0 } else { 2 + 2 * parts }
}

/// The parts of one compound that have not been walked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Parts<'a> {
    /// Their lengths, two bytes each.
    lengths: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The parts of the compound whose type byte is in front of `bytes`.
    #[inline]
    fn read(bytes: &'a [u8]) -> Result<Parts<'a>, DecodeError> {
        let (&count, bytes) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        let (lengths, rest) = bytes.split_at_checked(2 * usize::from(count)).ok_or(DecodeError::Truncated)?;
        Ok(Parts { lengths, rest })
    }

    /// The next part; `Truncated`, once, if the bytes end inside it.
    #[inline]
    fn next(&mut self) -> Option<Result<&'a [u8], DecodeError>> {
        let (&length, lengths) = self.lengths.split_first_chunk::<2>()?;
        match self.rest.split_at_checked(u16::from_be_bytes(length).into()) {
            Some((part, rest)) => {
                *self = Parts { lengths, rest };
                Some(Ok(part))
            }
            None => {
                *self = Parts::default();
                Some(Err(DecodeError::Truncated))
            }
        }
    }
}

/// The messages of a packet, in order. A message that is refused does not stop the others; a compound that
/// ends too early gives the parts that are whole, then one `Truncated`.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    /// The only message, if the packet is no compound.
    single: Option<&'a [u8]>,
    levels: [Parts<'a>; COMPOUND_DEPTH_MAX],
    /// Number of `levels` being walked.
    depth: usize,
}

impl<'a> Messages<'a> {
    /// The messages of `bytes`, a packet without label, encryption, CRC and compression.
    ///
    /// # Errors
    /// `Truncated` if there is nothing, or a compound's list of lengths is cut off.
    #[inline]
    pub(super) fn read(bytes: &'a [u8]) -> Result<Messages<'a>, DecodeError> {
        let (&kind, body) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        let mut messages = Messages { single: None, levels: Default::default(), depth: 0 };
        if kind == kind::COMPOUND {
            messages.levels[0] = Parts::read(body)?;
            messages.depth = 1;
        } else {
            messages.single = Some(bytes);
        }
        Ok(messages)
    }

    /// Reads a part; nothing if it is a compound, which is walked next.
    #[inline]
    fn part(&mut self, part: &'a [u8]) -> Option<Result<Message<'a>, DecodeError>> {
        match part.split_first() {
            Some((&kind::COMPOUND, body)) => {
                let Some(level) = self.levels.get_mut(self.depth) else {
                    return Some(Err(DecodeError::Nested));
                };
                match Parts::read(body) {
                    Ok(parts) => {
                        *level = parts;
                        self.depth += 1;
                        None
                    }
                    Err(error) => Some(Err(error)),
                }
            }
            Some((&kind::COMPRESS, _)) => Some(Err(DecodeError::Nested)),
            _ => Some(Message::decode(part)),
        }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(bytes) = self.single.take() {
            return Some(Message::decode(bytes));
        }
        while self.depth > 0 {
            match self.levels[self.depth - 1].next() {
                Some(Ok(part)) => {
                    if let Some(message) = self.part(part) {
                        return Some(message);
                    }
                }
                Some(Err(error)) => return Some(Err(error)),
                None => self.depth -= 1,
            }
        }
        None
    }
}

impl FusedIterator for Messages<'_> {}

/// Writes the messages of a packet: as a compound if there are several, alone if there is one.
///
/// The number of parts is announced first, since the list of their lengths stands in front of them.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut [u8],
    announced: usize,
    written: usize,
    /// Position of the next part.
    at: usize,
}

impl<'a> CompoundWriter<'a> {
    /// A writer of `parts` messages to the front of `out`. Nothing if there is no room for what goes in
    /// front of them, or they are more than [`PARTS_MAX`].
    #[inline]
    pub fn new(out: &'a mut [u8], parts: usize) -> Option<CompoundWriter<'a>> {
        let at = compound_overhead(parts);
        if parts > PARTS_MAX || at > out.len() {
            return None;
        }
        if parts > 1 {
            out[..2].copy_from_slice(&[kind::COMPOUND, parts as u8]);
        }
        Some(CompoundWriter { out, announced: parts, written: 0, at })
    }

    /// Writes a message. False, and nothing written, if it does not fit, breaks a rule of the format, is
    /// longer than 65,535 bytes, or one more than announced.
    #[inline]
    pub fn push(&mut self, message: &Message<'_>) -> bool {
        let length = message.encode(&mut self.out[self.at..]);
        length.is_some_and(|length| self.took(length))
    }

    /// Writes a message that is already encoded, type byte included; false as for [`CompoundWriter::push`].
    #[inline]
    pub fn push_encoded(&mut self, message: &[u8]) -> bool {
        let Some(room) = self.out.get_mut(self.at..self.at + message.len()) else { return false };
        room.copy_from_slice(message);
        self.took(message.len())
    }

    /// Counts the part that has been written at `self.at`.
    #[inline]
    fn took(&mut self, length: usize) -> bool {
        if self.written == self.announced {
            return false;
        }
        if self.announced > 1 {
            let Ok(length) = u16::try_from(length) else { return false };
            let at = 2 + 2 * self.written;
            self.out[at..at + 2].copy_from_slice(&length.to_be_bytes());
        }
        self.written += 1;
        self.at += length;
        true
    }

    /// Bytes written so far, the list of lengths included.
    pub fn len(&self) -> usize {
        self.at
    }

    /// Whether no message has been written.
    pub fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// Ends the packet and gives its length. If fewer messages were written than announced, they are
    /// moved up to where they belong; none at all give no bytes.
    pub fn finish(self) -> usize {
        if self.written == self.announced {
            return self.at;
        }
        let (start, moved) = (compound_overhead(self.announced), compound_overhead(self.written));
        self.out.copy_within(start..self.at, moved);
        if self.written > 1 {
            self.out[1] = self.written as u8;
        }
        self.at - start + moved
    }
}
