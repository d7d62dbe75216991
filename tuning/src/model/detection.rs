//! First detection: how long until somebody suspects a member that has crashed.
//!
//! **SWIM's expectation** (Das, Gupta and Motivala 2002, section 3.2; Gupta, Chandra and Goldszmidt 2001).
//! In a round each of n members pings one of the others at random. A given member is missed by one prober
//! with probability 1 - 1/n, by all n - 1 with (1 - 1/n)^(n-1), so the rounds until the first ping are
//! geometric with mean 1 / (1 - (1 - 1/n)^(n-1)), which tends to e / (e - 1) = 1.58. With a share q_f of the
//! probers working, 1 / (1 - e^-q_f).
//!
//! **What the engine does** differs in two ways. A prober goes through a random order of all others and draws
//! a new one after each round (SWIM section 4.3), so it pings a given member once in every N = n - 1
//! intervals, at most 2N - 1 apart; and the probers' intervals are staggered. At the crash a prober is
//! somewhere in its order. With M of N turns left, the member is among them with probability M/N, each
//! equally likely, else it has one of the N turns of the next order. Averaged over M = 1..N, the probability
//! that at least k probes of others come first is
//!
//! ```text
//! S(k) = sum over M of [ max(0, M - k)/N + (1 - M/N) * (1 if k <= M else (N - k + M)/N) ] / N
//! ```
//!
//! which has the closed form of [`one_prober`]; between whole numbers it is straight, since the prober's
//! stagger is uniform. The N probers are independent: the first probe begins after x intervals or more with
//! probability S(x)^N, close to e^-x. That probe fails when its interval ends, one interval later: then the
//! member is first suspected.

/// SWIM's expected number of protocol periods until the first detection in a group of `members`.
pub fn swim_expected_periods(members: u32) -> f64 {
    let n = f64::from(members.max(2));
    1.0 / (1.0 - ((n - 1.0) * (-1.0 / n).ln_1p()).exp())
}

/// The limit of [`swim_expected_periods`] in large groups of which a share of `working` members probes.
pub fn swim_expected_periods_partial(working: f64) -> f64 {
    1.0 / (1.0 - (-working).exp())
}

/// Probe intervals that a single prober takes at most between two probes of one member, in a group of
/// `members`: first in one order, last in the next.
pub fn worst_case_periods(members: u32) -> u32 {
    2 * members.saturating_sub(1).max(1) - 1
}

/// The probability that one prober with `others` members to probe begins its next probe of a given one after
/// more than `intervals` probe intervals.
pub fn one_prober(others: u32, intervals: f64) -> f64 {
    if intervals <= 0.0 {
        return 1.0;
    }
    let whole = intervals.floor();
    let (here, next) = (at_least(others, whole), at_least(others, whole + 1.0));
    here + (next - here) * (intervals - whole)
}

/// The probability that a prober probes at least `k` others first; `k` is a whole number.
fn at_least(others: u32, k: f64) -> f64 {
    let n = f64::from(others.max(1));
    if k <= 0.0 {
        return 1.0;
    }
    if k >= 2.0 * n {
        return 0.0;
    }
    // Sums of 1..=m, and of their squares.
    let sum = |m: f64| m * (m + 1.0) / 2.0;
    if k <= n {
        // This order: sum over M > k of (M - k).
        let this = sum(n - k) / n;
        // The next: M >= k counts whole, M < k in part: (1 - M/n) * (n - k + M)/n.
        let late = ((n - k + 1.0) * n - (sum(n) - sum(k - 1.0))) / n;
        return (this + late + next_order(k, 1.0, k - 1.0, n)) / n;
    }
    next_order(k, k - n, n, n) / n
}

/// The sum over M from `from` to `to` of (1 - M/n) (n - k + M)/n.
fn next_order(k: f64, from: f64, to: f64, n: f64) -> f64 {
    if to < from {
        return 0.0;
    }
    let sum = |m: f64| m * (m + 1.0) / 2.0;
    let squares = |m: f64| m * (m + 1.0) * (2.0 * m + 1.0) / 6.0;
    let count = to - from + 1.0;
    let first = sum(to) - sum(from - 1.0);
    let second = squares(to) - squares(from - 1.0);
    // (n - M)(n - k + M) = n(n - k) + kM - M^2
    (n * (n - k) * count + k * first - second) / (n * n)
}

/// The time from a crash until the first suspicion, in a cluster where every live member probes.
#[derive(Clone, Copy, Debug)]
pub struct FirstSuspicion {
    /// Live members that probe.
    pub probers: u32,
    /// Time between two probes of one member, in seconds, stretched by local health as it is on average.
    pub interval_s: f64,
}

impl FirstSuspicion {
    /// The probability that nobody has begun to probe the crashed member after `time_s`.
    pub fn unprobed_s(&self, time_s: f64) -> f64 {
        let one = one_prober(self.probers, time_s / self.interval_s);
        if one <= 0.0 { 0.0 } else { (f64::from(self.probers.max(1)) * one.ln()).exp() }
    }

    /// The probability that nobody suspects it after `time_s`.
    pub fn survival_s(&self, time_s: f64) -> f64 {
        self.unprobed_s(time_s - self.interval_s)
    }

    /// The time within which a `share` of crashes is suspected, in seconds.
    pub fn quantile_s(&self, share: f64) -> f64 {
        self.interval_s + super::special::quantile(share, self.longest_s(), |time_s| self.unprobed_s(time_s))
    }

    /// No probe of the crashed member begins later than this.
    pub fn longest_s(&self) -> f64 {
        2.0 * f64::from(self.probers.max(1)) * self.interval_s
    }

    /// The mean time until the first suspicion, in seconds.
    pub fn mean_s(&self) -> f64 {
        // Simpson's rule over the part that is not negligible.
        let steps = 400;
        let end = self.longest_s().min(40.0 * self.interval_s);
        let width = end / f64::from(steps);
        let value = |step: i32| self.unprobed_s(f64::from(step) * width);
        let inner: f64 = (1..steps).map(|step| value(step) * if step % 2 == 1 { 4.0 } else { 2.0 }).sum();
        self.interval_s + (value(0) + inner + value(steps)) * width / 3.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn swims_expectation_tends_to_e_over_e_minus_one() {
        let limit = std::f64::consts::E / (std::f64::consts::E - 1.0);
        assert!((swim_expected_periods(1_000_000) - limit).abs() < 1e-5);
        assert!((swim_expected_periods_partial(1.0) - limit).abs() < 1e-12);
        assert_eq!(swim_expected_periods(2), 2.0);
        assert!(swim_expected_periods_partial(0.5) > limit);
    }

    /// The sum of the derivation, term by term.
    fn naive_at_least(n: u32, k: u32) -> f64 {
        let terms = (1..=n).map(|left| {
            let this = f64::from(left.saturating_sub(k)) / f64::from(n);
            let next = if k <= left { 1.0 } else { f64::from((n + left).saturating_sub(k)) / f64::from(n) };
            this + (1.0 - f64::from(left) / f64::from(n)) * next
        });
        terms.sum::<f64>() / f64::from(n)
    }

    #[test]
    fn the_closed_form_is_the_sum() {
        for n in [1, 2, 3, 10, 57] {
            for k in 0..=2 * n + 1 {
                let (closed, sum) = (at_least(n, f64::from(k)), naive_at_least(n, k));
                assert!((closed - sum).abs() < 1e-12, "n {n}, k {k}: {closed} and {sum}");
            }
        }
    }

    /// Probers that walk through shuffled orders, and a crash at a random moment.
    fn first_probe_by_experiment(others: u32, rng: &mut fastrand::Rng) -> f64 {
        let mut first = f64::INFINITY;
        for _ in 0..others {
            let mut order: Vec<u32> = (0..others).collect();
            rng.shuffle(&mut order);
            let done = rng.usize(..others as usize);
            let mut wait = rng.f64();
            let place = order[done..].iter().position(|member| *member == 0);
            match place {
                Some(place) => wait += place as f64,
                None => {
                    wait += (others as usize - done) as f64;
                    wait += f64::from(rng.u32(..others));
                }
            }
            first = first.min(wait);
        }
        first
    }

    #[test]
    fn an_experiment_has_the_same_quantiles() {
        let mut rng = fastrand::Rng::with_seed(7);
        for others in [4, 30] {
            let mut waits: Vec<f64> =
                (0..20_000).map(|_| first_probe_by_experiment(others, &mut rng)).collect();
            waits.sort_by(f64::total_cmp);
            let model = FirstSuspicion { probers: others, interval_s: 1.0 };
            for share in [0.5, 0.9, 0.99] {
                let measured = waits[(share * waits.len() as f64) as usize];
                let expected = model.quantile_s(share) - 1.0;
                assert!((measured / expected - 1.0).abs() < 0.05, "{others} {share}: {measured} {expected}");
            }
        }
    }

    #[test]
    fn many_staggered_probers_find_within_one_interval_on_average_and_suspect_one_later() {
        let model = FirstSuspicion { probers: 9_999, interval_s: 1.0 };
        assert!((model.mean_s() - 2.0).abs() < 0.01, "{}", model.mean_s());
        assert!((model.quantile_s(0.5) - 1.693).abs() < 0.01);
        assert!((model.quantile_s(0.99) - 5.605).abs() < 0.02);
    }

    #[test]
    fn a_single_prober_takes_at_most_two_rounds() {
        assert_eq!(worst_case_periods(2), 1);
        assert_eq!(worst_case_periods(101), 199);
        assert_eq!(one_prober(100, 199.0), 0.0);
        assert!(one_prober(100, 198.9) > 0.0);
    }

    proptest! {
        #[test]
        fn waiting_longer_never_makes_an_unprobed_member_likelier(
            others in 1_u32..200_000,
            a in 0.0..1e5_f64,
            b in 0.0..1e5_f64,
        ) {
            let (early, late) = (one_prober(others, a.min(b)), one_prober(others, a.max(b)));
            prop_assert!((0.0..=1.0 + 1e-9).contains(&early));
            prop_assert!(late <= early + 1e-9);
        }
    }
}
