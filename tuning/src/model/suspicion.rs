//! Suspicion: from the first accusation to the declaration, and how long a refutation takes.
//!
//! **The curve** (Dadgar, Phillips and Currey, *Lifeguard*, 2018, section IV.B; memberlist's `suspicion.go`).
//! With Min = alpha max(1, log10 n) probe intervals, Max = beta Min, and C of K confirmations,
//!
//! ```text
//! T(C) = max(Min, Max - (Max - Min) ln(C + 1) / ln(K + 1))
//! ```
//!
//! **How many confirmations come.** A member that probes the suspect without an answer accuses it independently,
//! and tells. Of m other probers, each has failed within t of the first suspicion with some probability p(t),
//! so the confirmations known to the first accuser are binomial, later by d, what a rumour takes to a given
//! member. The suspicion lasts longer than t exactly if fewer confirmations have come than T needs to be as
//! short as t:
//!
//! ```text
//! P(W > t) = P(Binomial(m, p(t - d)) < C*(t)),    C*(t) = the fewest C with T(C) <= t
//! ```
//!
//! For a crashed member p(t) follows from the probers' orders ([`super::detection::one_prober`]): nearly
//! 1/(n-1) per interval for each, so one confirmation per interval in all. memberlist's K is alpha - 2; two
//! confirmations take two intervals, and Min is at least four: the crashed are declared after Min. For a
//! live member that was accused by bad luck p(t) grows with the chance that a probe fails, and W is nearly Max.
//!
//! **Refutation.** The subject hears of it after D, one member's delay of the suspicion's spread; those
//! that suspect it hear the refutation, at the latest, after the last member's delay L of another spread. It comes
//! in time with probability P(D + L <= W).

use swimring::protocol::Settings;

use super::detection::{FirstSuspicion, one_prober};
use super::special::{fewer_successes, quantile};
use super::telling::Telling;

/// Parts that the distribution of the first suspicion is cut into, and that of the window.
const FIRST_PARTS: usize = 32;
const WINDOW_PARTS: usize = 16;
/// Levels of the probability that the subject has not heard yet.
const LEVELS: [f64; 18] =
    [0.9, 0.8, 0.65, 0.5, 0.35, 0.2, 0.1, 0.05, 0.02, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10, 1e-13];

/// Lifeguard's suspicion timeout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Min, in seconds.
    pub shortest_s: f64,
    /// Max, in seconds.
    pub longest_s: f64,
    /// K: confirmations that bring it to the shortest. 0: it is the shortest from the beginning.
    pub needed: u32,
}

impl Window {
    /// The engine's, which is memberlist's: K is two less than the multiplier, 0 if there are too few members.
    pub fn of(settings: &Settings, members: u32) -> Window {
        let (shortest, longest) = settings.suspicion_timeouts(members as usize);
        let needed = u32::from(settings.suspicion_multiplier.saturating_sub(2));
        Window {
            shortest_s: shortest.as_secs_f64(),
            longest_s: longest.as_secs_f64(),
            needed: if members < needed + 2 { 0 } else { needed },
        }
    }

    /// T after so many confirmations, in seconds.
    pub fn timeout_s(&self, confirmations: u32) -> f64 {
        if self.needed == 0 {
            return self.shortest_s;
        }
        let fraction = (f64::from(confirmations) + 1.0).ln() / (f64::from(self.needed) + 1.0).ln();
        (self.longest_s - (self.longest_s - self.shortest_s) * fraction).max(self.shortest_s)
    }

    /// The fewest confirmations with which it is at most `time_s`. None if it never is.
    pub fn confirmations_for(&self, time_s: f64) -> Option<u32> {
        (0..=self.needed).find(|confirmations| self.timeout_s(*confirmations) <= time_s)
    }

    /// The probability that it lasts longer than `time_s`, where each of `others` has confirmed by then with
    /// probability `chance`.
    pub fn survival(&self, time_s: f64, others: f64, chance: f64) -> f64 {
        match self.confirmations_for(time_s) {
            None => 1.0,
            Some(confirmations) => fewer_successes(confirmations, others, chance),
        }
    }
}

/// From a crash to the first member that declares it.
#[derive(Clone, Copy, Debug)]
pub struct FirstDeclared<'a> {
    /// The first suspicion.
    pub first: &'a FirstSuspicion,
    /// The timeout.
    pub window: Window,
    /// What a confirmation takes to the first accuser, in seconds.
    pub travel_s: f64,
}

impl FirstDeclared<'_> {
    /// The probability that the suspicion of a crashed member lasts longer than `time_s`. `probed_s`: when
    /// the first probe began, after the crash.
    fn window_survival(&self, probed_s: f64, time_s: f64) -> f64 {
        let interval = self.first.interval_s;
        let others = self.first.probers;
        let until = (probed_s + (time_s - self.travel_s).max(0.0)) / interval;
        let unprobed = one_prober(others, probed_s / interval).max(1e-300);
        let chance = (1.0 - one_prober(others, until) / unprobed).clamp(0.0, 1.0);
        self.window.survival(time_s, f64::from(others.saturating_sub(1)), chance)
    }

    /// The times within which these `shares` of crashes are declared by somebody, in seconds.
    pub fn quantiles_s<const COUNT: usize>(&self, shares: [f64; COUNT]) -> [f64; COUNT] {
        let median_s = self.first.quantile_s(0.5) - self.first.interval_s;
        let window = parts::<WINDOW_PARTS>(|share| {
            quantile(share, self.window.longest_s, |time_s| self.window_survival(median_s, time_s))
        });
        let first = parts::<FIRST_PARTS>(|share| self.first.quantile_s(share));
        let mut sums = [(0.0, 0.0); FIRST_PARTS * WINDOW_PARTS];
        for (index, sum) in sums.iter_mut().enumerate() {
            let ((at, weight), (after, share)) = (first[index / WINDOW_PARTS], window[index % WINDOW_PARTS]);
            *sum = (at + after, weight * share);
        }
        sums.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        shares.map(|share| {
            let mut below = 0.0;
            let found = sums.iter().find(|(_, weight)| {
                below += weight;
                below >= share
            });
            found.unwrap_or(&sums[sums.len() - 1]).0
        })
    }
}

/// A distribution in parts, finer at both ends: where each part is, and its weight.
fn parts<const COUNT: usize>(quantile: impl Fn(f64) -> f64) -> [(f64, f64); COUNT] {
    let edge = |index: usize| {
        let place = index as f64 / COUNT as f64;
        place * place * (3.0 - 2.0 * place)
    };
    std::array::from_fn(|index| {
        let (from, to) = (edge(index), edge(index + 1));
        (quantile(f64::midpoint(from, to)), to - from)
    })
}

/// A suspicion of a live member, and its refutation.
#[derive(Clone, Debug)]
pub struct Refutation<'a> {
    spread: &'a dyn Telling,
    repair_per_s: f64,
    /// Times, and the probability that the subject has not heard of the suspicion by then.
    unaware: [(f64, f64); LEVELS.len()],
}

impl Refutation<'_> {
    /// Suspicions that are told like `spread`. `reminders_per_s`: probes of the subject by those who suspect
    /// it, each of which tells it (Lifeguard's buddy system). `repair_per_s`: how fast a member that gossip
    /// missed learns of a refutation in other ways. `longest_s`: the longest window that will be asked about.
    pub fn of(
        spread: &dyn Telling,
        reminders_per_s: f64,
        repair_per_s: f64,
        longest_s: f64,
    ) -> Refutation<'_> {
        let half_s = spread.ends_s() / 2.0;
        let survival = |time_s: f64| {
            let reminded = (-reminders_per_s * (time_s - half_s).max(0.0)).exp();
            spread.uninformed_s(time_s) * reminded
        };
        let unaware = LEVELS.map(|level| {
            let at_s = quantile(1.0 - level, longest_s, survival);
            (at_s, survival(at_s))
        });
        Refutation { spread, repair_per_s, unaware }
    }

    /// The probability that somebody has not heard of the refutation `time_s` after it was stated.
    fn somebody_unaware(&self, time_s: f64) -> f64 {
        let repaired_s = (time_s - self.spread.ends_s()).max(0.0);
        self.spread.somebody_uninformed_s(time_s) * (-self.repair_per_s * repaired_s).exp()
    }

    /// The probability that a refutation does not come in time for a suspicion that lasts `window_s`: an
    /// upper bound, since who hears of the suspicion later also declares later.
    pub fn too_late(&self, window_s: f64) -> f64 {
        let (mut likely, mut too_late) = (1.0, 0.0);
        for (at_s, unaware) in self.unaware {
            if at_s >= window_s {
                break;
            }
            let rarely = unaware.min(likely);
            too_late += (likely - rarely) * self.somebody_unaware(window_s - at_s);
            likely = rarely;
        }
        (too_late + likely).min(1.0)
    }

    /// The shortest window in which a refutation comes in time with this `probability`, in seconds. None if
    /// even `longest_s` is too short.
    pub fn window_s(&self, probability: f64, longest_s: f64) -> Option<f64> {
        let enough = self.too_late(longest_s) <= 1.0 - probability;
        enough.then(|| quantile(probability, longest_s, |window_s| self.too_late(window_s)))
    }
}

#[cfg(test)]
#[path = "suspicion_tests.rs"]
mod tests;
