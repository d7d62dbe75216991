//! The seal of one stream: a life and a count for each direction.
//!
//! TCP delivers in order, so a message has to have the next number, and nothing is remembered but which that is. What opens a
//! stream is new because its life has not been seen and its time is ours; what answers it is new because it is bound to that
//! life, which whoever asks has just drawn.

use super::envelope::EnvelopeKind;
use crate::native::VERSION;
use crate::native::frame::FLAG_SEALED;

/// What a stream's messages are sealed and opened with, beside the keys. Each side keeps one for each sealed stream.
#[derive(Clone, Debug)]
pub struct StreamSeal {
    accepted: bool,
    /// Zero if we say what we say in the clear.
    ours: u64,
    next_ours: Option<u32>,
    /// Nothing as long as nothing sealed has been heard.
    theirs: Option<u64>,
    next_theirs: Option<u32>,
}

impl StreamSeal {
    pub(super) fn opened(ours: u64) -> StreamSeal {
        StreamSeal { accepted: false, ours, next_ours: Some(0), theirs: None, next_theirs: Some(0) }
    }

    pub(super) fn accepted(ours: u64) -> StreamSeal {
        StreamSeal { accepted: true, ..StreamSeal::opened(ours) }
    }

    /// Kind, life and number of the next message that we say.
    pub(super) fn next_of_ours(&mut self) -> Option<(EnvelopeKind, u64, u32)> {
        let sequence = self.next_ours?;
        self.next_ours = sequence.checked_add(1);
        Some((self.kind(self.accepted), self.ours, sequence))
    }

    /// The kind of what they say.
    pub(super) fn kind_of_theirs(&self) -> EnvelopeKind {
        self.kind(!self.accepted)
    }

    fn kind(&self, by_acceptor: bool) -> EnvelopeKind {
        if by_acceptor { EnvelopeKind::OfAcceptor } else { EnvelopeKind::OfOpener }
    }

    /// What a message of `kind` is bound to.
    pub(super) fn bound_to(&self, kind: EnvelopeKind) -> Option<u64> {
        let of_opener = if self.accepted { self.theirs.unwrap_or(0) } else { self.ours };
        (kind == EnvelopeKind::OfAcceptor).then_some(of_opener)
    }

    /// Whether they have not said anything sealed yet, and another has opened it.
    pub(super) fn begins(&self) -> bool {
        self.accepted && self.theirs.is_none()
    }

    /// Whether anything sealed has been heard.
    pub(super) fn is_sealed(&self) -> bool {
        self.theirs.is_some()
    }

    /// Whether a message with this life and number is the next that they say.
    pub(super) fn expects(&self, life: u64, sequence: u32) -> bool {
        self.theirs.is_none_or(|theirs| theirs == life) && self.next_theirs == Some(sequence)
    }

    /// Notes that they have said that.
    pub(super) fn note(&mut self, life: u64, sequence: u32) {
        self.theirs = Some(life);
        self.next_theirs = sequence.checked_add(1);
    }
}

/// Stands where envelopes have their [`EnvelopeKind`].
const KIND_NOTICE: u8 = 3;

/// Bytes of a [`Notice`].
pub const NOTICE_LEN: usize = 8;

/// Why a stream was refused, said to whoever opened it. Nobody vouches for it: it explains to an operator why a member does not get
/// in, and nothing else may depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Notice {
    /// What was said is not sealed, and has to be.
    KeyNeeded = 1,
    /// It is sealed under a key that is not known here.
    KeyUnknown = 2,
    /// Its time is not that of the clock here.
    ClockDiffers = 3,
    /// It is sealed, and here is no key.
    NoKeyHere = 4,
}

impl Notice {
    const fn bytes(self) -> [u8; NOTICE_LEN] {
        [VERSION, FLAG_SEALED, 0, KIND_NOTICE, self as u8, 0, 0, 0]
    }

    /// Appends it to `out` as a stream message behind its length.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(NOTICE_LEN as u32).to_le_bytes());
        out.extend_from_slice(&self.bytes());
    }

    /// The notice that the stream message `bytes` is; nothing if it is something else.
    pub fn read(bytes: &[u8]) -> Option<Notice> {
        [Notice::KeyNeeded, Notice::KeyUnknown, Notice::ClockDiffers, Notice::NoKeyHere]
            .into_iter()
            .find(|notice| notice.bytes() == *bytes)
    }
}
