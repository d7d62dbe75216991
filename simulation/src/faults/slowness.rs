//! Slow members: what one does not do meanwhile.

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
