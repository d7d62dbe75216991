//! What one member believes of another, in one word of eight bytes: an incarnation, a state, the version of the identity
//! and two marks.

use swimring_codec::{Incarnation, State};

use crate::protocol::view::directory::Version;

/// What a table holds about one member.
///
/// Bits 0..3 state, 3..7 identity version, 7 a broadcast is queued, 8 not yet told on, 16..64 incarnation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Entry(pub(super) u64);

const STATE_MASK: u64 = 0b111;
const VERSION_SHIFT: u32 = 3;
const VERSION_MASK: u64 = 0b1111 << VERSION_SHIFT;
pub(super) const QUEUED: u64 = 1 << 7;
pub(super) const UNTOLD: u64 = 1 << 8;
const INCARNATION_SHIFT: u32 = 16;

/// [`State`], and two for members that are not part of the view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum EntryState {
    /// Nothing is known.
    Unknown,
    /// Part of the view.
    Known(State),
    /// Was dead and is no longer part of the view; its address is kept to find it again.
    Remembered,
}

const REMEMBERED: u64 = 5;

impl Entry {
    pub(in crate::protocol) const UNKNOWN: Entry = Entry(0);

    pub(in crate::protocol) fn new(state: State, incarnation: Incarnation, version: Version) -> Entry {
        Entry(state as u64 | u64::from(version) << VERSION_SHIFT | incarnation.get() << INCARNATION_SHIFT)
    }

    #[inline]
    pub(in crate::protocol) fn standing(self) -> EntryState {
        match self.0 & STATE_MASK {
            0 => EntryState::Unknown,
            REMEMBERED => EntryState::Remembered,
            state => match State::from_u8(state as u8) {
                Some(state) => EntryState::Known(state),
                None => EntryState::Unknown,
            },
        }
    }

    #[inline]
    pub(in crate::protocol) fn state(self) -> Option<State> {
        match self.standing() {
            EntryState::Known(state) => Some(state),
            _ => None,
        }
    }

    #[inline]
    pub(in crate::protocol) fn is_unknown(self) -> bool {
        self.0 & STATE_MASK == 0
    }

    /// Alive or suspect.
    #[inline]
    pub(in crate::protocol) fn is_live(self) -> bool {
        matches!(self.0 & STATE_MASK, 1 | 2)
    }

    #[inline]
    pub(in crate::protocol) fn is_alive(self) -> bool {
        self.0 & STATE_MASK == State::Alive as u64
    }

    #[inline]
    pub(in crate::protocol) fn incarnation(self) -> Incarnation {
        Incarnation::new(self.0 >> INCARNATION_SHIFT)
    }

    #[inline]
    pub(in crate::protocol) fn version(self) -> Version {
        ((self.0 & VERSION_MASK) >> VERSION_SHIFT) as Version
    }

    #[inline]
    pub(in crate::protocol) fn is_suspect(self) -> bool {
        self.0 & STATE_MASK == State::Suspect as u64
    }

    /// The entry without the marks of [`Entry::is_queued`] and [`Entry::is_untold`].
    #[inline]
    pub(in crate::protocol) fn unmarked(self) -> Entry {
        Entry(self.0 & !(QUEUED | UNTOLD))
    }

    #[cfg(test)]
    pub(in crate::protocol) fn queued(self) -> Entry {
        Entry(self.0 | QUEUED)
    }

    /// Whether the member's queue holds a broadcast about this one.
    pub(in crate::protocol) fn is_queued(self) -> bool {
        self.0 & QUEUED != 0
    }

    /// Whether this was learned in another way than by a delegation, and nobody has been told on account of one.
    pub(in crate::protocol) fn is_untold(self) -> bool {
        self.0 & UNTOLD != 0
    }

    pub(in crate::protocol) fn with_state(self, state: State) -> Entry {
        Entry(self.0 & !STATE_MASK | state as u64)
    }

    pub(in crate::protocol) fn remembered(self) -> Entry {
        Entry(self.0 & !STATE_MASK | REMEMBERED)
    }

    pub(in crate::protocol) fn with_incarnation(self, incarnation: Incarnation) -> Entry {
        let low = self.0 & ((1 << INCARNATION_SHIFT) - 1);
        Entry(low | incarnation.get() << INCARNATION_SHIFT)
    }

    pub(in crate::protocol) fn with_version(self, version: Version) -> Entry {
        Entry(self.0 & !VERSION_MASK | u64::from(version) << VERSION_SHIFT)
    }
}
