//! Local health: a member's doubt in itself (Lifeguard, section IV.A).
//!
//! Most false suspicions come from a detector that is itself slow. Each failed probe, missed nack and
//! accusation against ourselves raises a score from 0 to S; each success lowers it. Probe interval and
//! timeout are multiplied by the score plus one, so an unhealthy member gives others more time.

use std::time::Duration;

/// The local health score. 0 is healthy.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::protocol) struct LocalHealth {
    score: u8,
}

impl LocalHealth {
    pub(in crate::protocol) fn score(self) -> u8 {
        self.score
    }

    pub(in crate::protocol) fn raise(&mut self, by: u8, highest: u8) {
        self.score = self.score.saturating_add(by).min(highest);
    }

    pub(in crate::protocol) fn lower(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    /// `duration`, multiplied by the score plus one, where `overload` is what the driver adds to every
    /// member's score while it runs late.
    pub(in crate::protocol) fn scale(self, duration: Duration, overload: u8, highest: u8) -> Duration {
        duration * (u32::from(self.score.saturating_add(overload).min(highest)) + 1)
    }
}
