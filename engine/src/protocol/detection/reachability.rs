//! Whether others reach us at the address that we announce.
//!
//! A wrong `advertise`, or a firewall that lets only answers in, shows as a quarrel without end: others ping us in
//! vain and suspect us, we hear of it and refute, they suspect us again. From here it is plain what is wrong: our
//! own pings are answered, and nobody's ping ever arrives, although in a cluster one is due in each interval.

use std::time::Duration;

use crate::protocol::event::Event;
use crate::protocol::settings::Settings;
use crate::protocol::state::{Context, Core};
use crate::protocol::time::Time;

/// Probe intervals without a ping that are no chance: one comes per interval on average, so so many fail to in
/// three cases of ten million.
const INTERVALS: u32 = 15;

/// Answers to our own pings, and accusations, in that time. One of either may be a leftover.
const ANSWERS: u8 = 3;
const ACCUSATIONS: u8 = 3;

/// How often it is said while it lasts.
const SAID_EVERY: Duration = Duration::from_secs(600);

/// What speaks for it.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Reachability {
    /// Since when nobody has pinged us.
    unpinged_since: Time,
    answers: u8,
    accusations: u8,
    said: Time,
}

impl Reachability {
    pub(in crate::protocol) fn new(now: Time) -> Reachability {
        Reachability { unpinged_since: now, answers: 0, accusations: 0, said: Time::NEVER }
    }

    /// Somebody's ping has come.
    #[inline]
    pub(in crate::protocol) fn pinged(&mut self, now: Time) {
        *self = Reachability { said: self.said, ..Reachability::new(now) };
    }

    /// A ping of ours was answered, in whatever way.
    #[inline]
    pub(in crate::protocol) fn answered(&mut self) {
        self.answers = self.answers.saturating_add(1);
    }

    /// We were accused. Says so, or what seems to be the matter.
    pub(in crate::protocol) fn accused(&mut self, core: &Core, cx: &mut Context<'_, '_>) {
        self.note_accusation();
        if !self.is_unreachable(cx.now, &core.settings) {
            return cx.emit(Event::Accused);
        }
        cx.shared.counters.accused_unreachable += 1;
        if self.said == Time::NEVER || cx.now.since(self.said) >= SAID_EVERY {
            self.said = cx.now;
            let address = core.identity(core.index, cx.shared).address();
            cx.emit(Event::Unreachable { address });
        }
    }

    fn note_accusation(&mut self) {
        self.accusations = self.accusations.saturating_add(1);
    }

    /// Whether others cannot reach us.
    fn is_unreachable(&self, now: Time, settings: &Settings) -> bool {
        let long = now.since(self.unpinged_since) >= settings.probe_interval * INTERVALS;
        long && self.answers >= ANSWERS && self.accusations >= ACCUSATIONS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn it_takes_answers_accusations_and_silence() {
        let settings = Settings::default();
        let evidence = |answers: u8, accusations: u8| {
            let mut reachability = Reachability::new(at(100));
            (0..answers).for_each(|_| reachability.answered());
            (0..accusations).for_each(|_| reachability.note_accusation());
            reachability
        };
        let judged = |evidence: Reachability, now| evidence.is_unreachable(at(now), &settings);
        assert!(judged(evidence(3, 3), 115));
        assert!(!judged(evidence(3, 3), 114), "pings may come by chance as late");
        assert!(!judged(evidence(2, 9), 200), "then nothing gets through in either direction");
        assert!(!judged(evidence(9, 2), 200), "nobody minds");
        let mut pinged = evidence(9, 9);
        pinged.pinged(at(150));
        assert!(!judged(pinged, 1000), "somebody reaches us");
        assert!(size_of::<Reachability>() <= 24);
    }
}
