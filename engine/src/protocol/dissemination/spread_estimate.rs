//! Spread: how long a rumour takes, as a member can see for itself.
//!
//! # What has to be estimated
//!
//! With adaptive suspicion a *witness*, a member that has probed the suspect in vain, waits for a
//! refutation before it declares. The refutation comes on either of two ways, and the window is the longer of
//! what the two take, or, where members delegate and the suspect's host says that it is gone, what the first takes, which
//! keeps the bound by itself:
//! - *Directly.* The witness tells the suspect again and again, and the suspect answers. If a round trip fails with
//!   chance f, then n tries all fail with chance f^n, so a bound p on the false death takes n = ceil(ln p / ln f)
//!   tries, so far apart that an answer has come before the next, and a round trip for the last. f is the share of probes without a direct ack, measured on those that were answered some
//!   other way: the silence of the dead says nothing about the network.
//! - *By delegation*, where members delegate: each of log N / b levels takes half a round trip and at most one pacing
//!   interval, and what gets lost is sent again after a timeout that doubles, so often that all but one member in a
//!   thousand have been reached.
//! - *By gossip*, where they do not. The suspect was told at once, by its witnesses or the first round of gossip, and its
//!   refutation has to reach everyone. Pushing a rumour to b random members per round takes log_(b+1) N
//!   rounds until a typical member has it and ln N / b more until the last has (Pittel, "On spreading a
//!   rumor", 1987). Of the b, a share f may get lost, so b (1 - f) count.
//!
//! The first of these rounds, those of the typical member, are also measured: a member that starts a
//! rumour is, as far as the others' gossip goes, one like any other, so the time until its own rumour
//! first comes back to it is a sample of what a typical member waits. So is the time from hearing of a
//! suspicion to hearing its refutation, which is what a window is for. The estimate goes half way up to a
//! sample that is higher and a sixteenth down to one that is lower, and is never below the formula. How long members
//! that stood still took to refute is in it too: so it is part of every window under gossip, and under delegation of the
//! one for a member that cannot be reached. A host that says that its process is gone is believed sooner.
//!
//! Floors (settings) below and Lifeguard's shortest timeout above bound the windows whatever is measured.
//! The state has the same few bytes for every member, however large the cluster.

use std::time::Duration;

use crate::protocol::settings::Settings;
use crate::protocol::shared_lists::delegations::ATTEMPTS_MAX;
use crate::protocol::shared_lists::suspicion::Window;
use crate::protocol::shared_lists::suspicions::APPEALS_MAX;
use crate::protocol::time::Time;

/// Losses below this are not believed: with a few dozen probes behind an estimate, none lost says no more.
const LOSS_MIN: f32 = 0.02;
/// Losses above this are for Lifeguard's timeout to bear.
const LOSS_MAX: f32 = 0.9;
/// Weights of a probe that had no direct ack and of one that had. Together they put the estimate at twice
/// the true odds.
const MISSED_WEIGHT: f32 = 1.0 / 16.0;
const ANSWERED_WEIGHT: f32 = 1.0 / 32.0;
/// Least time between two appeals: an answer that comes at all has nearly always come by then.
const APPEALS_APART_MIN: Duration = Duration::from_millis(50);
/// Of a delegated broadcast's members, the share that may not have been told in the time that is reckoned with.
const UNTOLD: f32 = 1e-3;

/// What was measured. See the module.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct SpreadEstimate {
    /// What a typical member waits for a rumour, in seconds; zero while nothing was measured.
    typical_s: f32,
    /// Share of probes without a direct ack.
    loss: f32,
    /// Round trip of direct probes, in seconds: goes up at once and down slowly.
    rtt_s: f32,
    /// A rumour of our own that has not come back yet, and since when it is about.
    own: u64,
    own_since: Time,
}

impl SpreadEstimate {
    pub(in crate::protocol) const UNKNOWN: SpreadEstimate =
        SpreadEstimate { typical_s: 0.0, loss: LOSS_MIN, rtt_s: 0.0, own: 0, own_since: Time::NEVER };

    /// A probe was answered by its target after `rtt`; `in_time` says whether before others were asked.
    pub(in crate::protocol) fn answered(&mut self, in_time: bool, rtt: Duration) {
        if !in_time {
            return self.missed();
        }
        self.loss -= self.loss * ANSWERED_WEIGHT;
        let rtt_s = rtt.as_secs_f32();
        self.rtt_s = if rtt_s > self.rtt_s { rtt_s } else { self.rtt_s + (rtt_s - self.rtt_s) / 32.0 };
    }

    /// A probe of a target that lives was not answered directly, or too late.
    pub(in crate::protocol) fn missed(&mut self) {
        self.loss += (1.0 - self.loss) * MISSED_WEIGHT;
    }

    /// We begin to tell the rumour `own` about ourselves.
    pub(in crate::protocol) fn told(&mut self, own: u64, now: Time) {
        (self.own, self.own_since) = (own, now);
    }

    /// The rumour `own` has come back.
    pub(in crate::protocol) fn echoed(&mut self, own: u64, now: Time) {
        if own == self.own && self.own_since != Time::NEVER {
            self.took(now.since(self.own_since));
            self.own_since = Time::NEVER;
        }
    }

    /// A rumour took so long to get here.
    pub(in crate::protocol) fn took(&mut self, long: Duration) {
        let sample = long.as_secs_f32();
        let weight = if sample > self.typical_s { 0.5 } else { 1.0 / 16.0 };
        self.typical_s += (sample - self.typical_s) * weight;
    }

    fn loss(&self) -> f32 {
        self.loss.clamp(LOSS_MIN, LOSS_MAX)
    }

    /// How often a suspect has to be told so that one which lives answers, but for the bound.
    fn appeals(&self, settings: &Settings) -> u8 {
        let tries = settings.false_death_bound.ln() / f64::from(self.loss()).ln();
        (tries.ceil() as u8).clamp(1, APPEALS_MAX)
    }

    /// How long a delegated broadcast takes to nearly all of `members`.
    fn delegated(&self, settings: &Settings, members: usize) -> f32 {
        let levels = ((members.max(2) as f32).log2() / f32::from(settings.delegation_bits)).ceil();
        let each_s = self.rtt_s.min(60.0) / 2.0 + settings.delegation_pacing.as_secs_f32();
        let timeout_s = settings.delegation_timeout_min.as_secs_f32().max(self.rtt_s.min(2.0));
        let attempts = (UNTOLD.ln() / self.loss().ln()).ceil().clamp(1.0, f32::from(ATTEMPTS_MAX));
        levels * each_s + timeout_s * (attempts.exp2() - 1.0)
    }

    /// How long a rumour takes until the last of `members` has it.
    fn everyone(&self, settings: &Settings, members: usize) -> f32 {
        let interval_s = settings.gossip_interval.as_secs_f32();
        let told = f32::from(settings.gossip_fanout) * (1.0 - self.loss());
        let logarithm = (members.max(2) as f32).ln();
        let typical_s = logarithm / (1.0 + told).ln() * interval_s;
        typical_s.max(self.typical_s) + logarithm / told * interval_s
    }

    /// What a witness in a cluster of `members` waits, where members delegate or gossip.
    pub(in crate::protocol) fn window(&self, settings: &Settings, members: usize, delegates: bool) -> Window {
        let interval_s = settings.gossip_interval.as_secs_f32();
        let rtt_s = self.rtt_s.min(60.0);
        let appeals = self.appeals(settings);
        let apart = APPEALS_APART_MIN.max(Duration::from_secs_f32(rtt_s)).min(settings.gossip_interval);
        let directly = f32::from(appeals - 1) * apart.as_secs_f32();
        let (gone, unknown) = if delegates {
            (directly, directly.max(self.delegated(settings, members)).max(self.typical_s))
        } else {
            let longer = directly.max(interval_s + self.everyone(settings, members));
            (longer, longer)
        };
        let (shortest, _) = settings.suspicion_timeouts(members);
        let within = |needed_s: f32, floor: Duration| {
            Duration::from_secs_f32(needed_s.min(1e6) + rtt_s).max(floor).min(shortest)
        };
        let length = within(gone, settings.suspicion_floor);
        let unknown_length = within(unknown, settings.unreachable_floor).max(length);
        // With one to spare: the first leaves at once.
        let appeal_every = (length / (u32::from(appeals) + 1)).max(apart);
        let patience = settings.probe_interval * 2;
        Window { length, unknown_length, patience, appeals, appeal_every }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::settings::Preset;

    fn lan() -> Settings {
        Settings { suspicion_floor: Duration::ZERO, ..Settings::preset(Preset::Lan) }
    }

    fn length(spread: &SpreadEstimate, members: usize) -> Duration {
        spread.window(&lan(), members, false).length
    }

    fn delegated_ms(spread: &SpreadEstimate, members: usize) -> [u128; 2] {
        let window = spread.window(&Settings { unreachable_floor: Duration::ZERO, ..lan() }, members, true);
        [window.length, window.unknown_length].map(|length| length.as_millis())
    }

    #[test]
    fn who_is_gone_is_asked_and_who_is_silent_also_waited_for() {
        let mut spread = SpreadEstimate::UNKNOWN;
        // Four appeals, 50 ms apart; two levels of 20 ms and one attempt more, 20 + 40 ms, take less.
        assert_eq!(delegated_ms(&spread, 16), [150, 150]);
        // Seven levels of 20 ms, and 60 ms.
        assert_eq!(delegated_ms(&spread, 10_000), [150, 200]);
        spread.answered(true, Duration::from_millis(40));
        // A round trip more; seven levels of 40 ms, timeouts of 40 and 80 ms, and a round trip.
        assert_eq!(delegated_ms(&spread, 10_000), [189, 439]);
        (0..9).for_each(|_| spread.took(Duration::from_secs(6)));
        let [gone, unknown] = delegated_ms(&spread, 10_000);
        assert!(gone == 189 && unknown > 6_000, "{gone} {unknown}");
        let least = SpreadEstimate::UNKNOWN.window(&lan(), 10_000, true).unknown_length;
        assert_eq!(least, lan().unreachable_floor);
    }

    #[test]
    fn the_window_follows_the_measured_spread() {
        let mut spread = SpreadEstimate::UNKNOWN;
        let formula = length(&spread, 1000);
        // One interval, log_(1 + 3 * 0.98) 1000 of them, ln 1000 / (3 * 0.98) more: 8.4 of 200 ms.
        assert!((1_650..1_720).contains(&formula.as_millis()), "{formula:?}");
        spread.told(7, Time::ZERO);
        spread.echoed(6, Time::from_micros(1_000_000));
        assert_eq!(length(&spread, 1000), formula, "another rumour");
        spread.echoed(7, Time::from_micros(6_000_000));
        let slower = length(&spread, 1000);
        assert!(slower > formula + Duration::from_secs(1), "{slower:?}");
        spread.echoed(7, Time::from_micros(60_000_000));
        assert_eq!(length(&spread, 1000), slower, "a rumour comes back once");
        spread.took(Duration::from_millis(100));
        let little = length(&spread, 1000);
        assert!(little < slower && little > formula + (slower - formula) * 8 / 10, "down slowly: {little:?}");
        (0..200).for_each(|_| spread.took(Duration::from_millis(100)));
        assert_eq!(length(&spread, 1000), formula, "never below the formula");
        (0..9).for_each(|_| spread.took(Duration::from_secs(1000)));
        assert_eq!(length(&spread, 1000), lan().suspicion_timeouts(1000).0, "never above Lifeguard's");
    }

    #[test]
    fn loss_asks_for_more_appeals() {
        let mut spread = SpreadEstimate::UNKNOWN;
        // 0.02^4 = 1.6e-7.
        assert_eq!(spread.window(&lan(), 100, false).appeals, 4);
        let calm = length(&spread, 100);
        (0..300).for_each(|probe| if probe % 2 == 0 { spread.missed() } else { spread.answered(true, calm) });
        let lossy = spread.window(&lan(), 100, true);
        // Half of the probes fail: twice the odds, 2/3, which takes 35 tries.
        assert!((30..40).contains(&lossy.appeals), "{lossy:?}");
        assert!(lossy.length >= APPEALS_APART_MIN * u32::from(lossy.appeals), "{lossy:?}");
    }

    proptest! {
        /// Whatever was measured, the appeals keep the bound at the estimated loss, fit the window, and the
        /// window lies between floor and Lifeguard.
        #[test]
        fn the_bound_holds_whatever_is_measured(
            steps in prop::collection::vec((0u8..4, 0u64..100_000_000), 0..100),
            members in 4usize..200_000,
            exponent in 1.0f64..12.0,
            floor_ms in 0u64..3_000,
            delegates: bool,
        ) {
            let mut spread = SpreadEstimate::UNKNOWN;
            for (step, micros) in steps {
                let time = Duration::from_micros(micros);
                match step {
                    0 => spread.missed(),
                    1 => spread.answered(true, time),
                    2 => spread.answered(false, time),
                    _ => spread.took(time),
                }
            }
            let settings = Settings {
                false_death_bound: 10f64.powf(-exponent),
                suspicion_floor: Duration::from_millis(floor_ms),
                ..Settings::preset(Preset::Lan)
            };
            settings.validate().unwrap();
            let window = spread.window(&settings, members, delegates);
            let (shortest, _) = settings.suspicion_timeouts(members);
            prop_assert!(window.length >= settings.suspicion_floor.min(shortest));
            prop_assert!(window.unknown_length >= window.length && window.unknown_length <= shortest);
            let fails = f64::from(spread.loss()).powi(window.appeals.into());
            prop_assert!(window.appeals == APPEALS_MAX || fails <= settings.false_death_bound * 1.001);
            let covered = window.appeal_every * u32::from(window.appeals);
            prop_assert!(covered <= window.length || window.appeal_every <= settings.gossip_interval);
        }
    }

    #[test]
    fn the_state_is_a_few_bytes() {
        assert!(size_of::<SpreadEstimate>() <= 32);
    }
}
