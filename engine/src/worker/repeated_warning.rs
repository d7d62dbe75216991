//! Warnings of what may come with every datagram: given at once, and then every ten minutes while it lasts.

use std::time::Duration;

use crate::protocol::Time;

/// How often it is said while it lasts.
const SAID_EVERY: Duration = Duration::from_secs(600);

/// When something was said last.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepeatedWarning {
    said: Time,
}

impl RepeatedWarning {
    pub(super) const fn new() -> RepeatedWarning {
        RepeatedWarning { said: Time::NEVER }
    }

    /// Whether it is to be said at `now`. Then it counts as said.
    pub(super) fn is_due(&mut self, now: Time) -> bool {
        let due = self.said == Time::NEVER || now.since(self.said) >= SAID_EVERY;
        if due {
            self.said = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_every_ten_minutes() {
        let at = |seconds: u64| Time::from_micros(seconds * 1_000_000);
        let mut warning = RepeatedWarning::new();
        let said: Vec<u64> = (5..1_800).step_by(5).filter(|now| warning.is_due(at(*now))).collect();
        assert_eq!(said, [5, 605, 1_205]);
    }
}
