//! Slow members: what one leaves undone, and the order in which it catches up.
//!
//! Both kinds of simulations ask [`Slowness::catching_up`]: a spell ends in the same way in a checked simulation and in an
//! experiment.

/// What a slow member is slow at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Slowness {
    /// Everything. When it gets to run it notices how long it was away and whether something was lost for want
    /// of room, reads what has arrived, and only then looks at the clock, as a good driver does.
    #[default]
    Everything,
    /// Everything, and it looks at the clock first: what came in time seems late.
    TimersFirst,
    /// Only reading: its timers are on time and what it waits for lies unread, as when its receive path is
    /// blocked (Lifeguard, section II).
    Reading,
}

/// A part of what a member does when it gets to run again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// It is told how much time it has lost.
    Stall,
    /// It reads what has waited.
    Read,
    /// It looks at the clock.
    Timers,
}

impl Slowness {
    /// What a member that was slow in this way does when its spell ends, in order.
    pub(crate) const fn catching_up(self) -> &'static [Part] {
        match self {
            Slowness::Everything => &[Part::Stall, Part::Read, Part::Timers],
            Slowness::TimersFirst => &[Part::Timers, Part::Read],
            // Its timers have run on time.
            Slowness::Reading => &[Part::Read],
        }
    }
}
