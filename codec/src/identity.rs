//! What every wire format names: a member, its incarnation, and what is believed of it.
//!
//! A member is known by its name. On the native wire the name is sent once, when the member is
//! introduced; afterwards 64 bits of its hash stand for it. An incarnation orders everything that is
//! said about a member: only the member itself raises it, so a higher one always knows better.

use xxhash_rust::xxh3::xxh3_64;

/// Longest member name in bytes. Names are UTF-8 and not empty.
pub const NAME_MAX: usize = 128;

/// Longest metadata in bytes, as in memberlist (`MetaMaxSize`).
pub const METADATA_MAX: usize = 512;

/// A member as the native format names it: XXH3-64 (seed 0) of the member's name.
///
/// The same name gives the same id on every host and after every restart. Zero is never a member: it
/// stands for "whoever owns this address" as the destination of a frame, and for "nobody in
/// particular" as the accuser of a suspicion.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct MemberId(pub u64);

impl MemberId {
    /// Nobody in particular.
    pub const NONE: MemberId = MemberId(0);

    /// The id of the member called `name`.
    pub fn of_name(name: &str) -> MemberId {
        let hash = xxh3_64(name.as_bytes());
        // Zero is taken; the one name in 2^64 that hashes to it gets its neighbour.
        MemberId(if hash == 0 { 1 } else { hash })
    }

    /// Whether this is [`MemberId::NONE`].
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// How often a member has restated itself, 48 bits on the native wire.
///
/// A member starts from a number that grows with wall time (seconds), so that a restart outranks its
/// own past, and raises it to refute an accusation or to publish new metadata. It saturates at
/// [`Incarnation::MAX`] instead of overflowing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Incarnation(u64);

impl Incarnation {
    /// The largest incarnation: 2^48 - 1.
    pub const MAX: Incarnation = Incarnation((1 << 48) - 1);
    /// The incarnation of a member of which nothing is known.
    pub const ZERO: Incarnation = Incarnation(0);

    /// `value`, or [`Incarnation::MAX`] if it is larger.
    pub const fn new(value: u64) -> Incarnation {
        if value > Self::MAX.0 { Self::MAX } else { Incarnation(value) }
    }

    /// The number itself, at most 2^48 - 1.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next incarnation, or this one at the maximum.
    pub const fn next(self) -> Incarnation {
        Incarnation::new(self.0 + 1)
    }
}

/// What is believed of a member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum State {
    /// Answers, as far as is known.
    Alive = 1,
    /// Did not answer; has until its suspicion timeout to refute.
    Suspect = 2,
    /// Declared failed.
    Dead = 3,
    /// Said goodbye.
    Left = 4,
}

impl State {
    /// The state whose number is `value`.
    pub const fn from_u8(value: u8) -> Option<State> {
        match value {
            1 => Some(State::Alive),
            2 => Some(State::Suspect),
            3 => Some(State::Dead),
            4 => Some(State::Left),
            _ => None,
        }
    }

    /// Alive or suspect: a member that is still part of the cluster.
    pub const fn is_live(self) -> bool {
        matches!(self, State::Alive | State::Suspect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incarnation_saturates() {
        assert_eq!(Incarnation::MAX.next(), Incarnation::MAX);
        assert_eq!(Incarnation::new(u64::MAX), Incarnation::MAX);
        assert_eq!(Incarnation::new(7).next().get(), 8);
    }

    #[test]
    fn id_is_the_published_hash() {
        // XXH3-64 test values: other implementations must arrive at the same ids.
        assert_eq!(MemberId::of_name("").0, 0x2d06_8005_38d3_94c2);
        assert_ne!(MemberId::of_name("a"), MemberId::of_name("b"));
    }
}
