//! Timing: what one hop takes, how long an acknowledgement may take, and the sum of it all.
//!
//! **A hop** is the one-way latency, the wait for the receiver's next turn, uniform up to its longest, and what
//! pacing adds. Round trips are log-normal with median m and sigma s; each way is log-normal with half the mean and,
//! since the variances of both ways add up, sigma^2 = ln(1 + 2 (e^(s^2) - 1)) (Fenton and Wilkinson's moments).
//!
//! **The timeout** is that of TCP (RFC 6298): the smoothed round trip plus four times its mean deviation, at least a
//! floor and at most two seconds. In the long run these are the mean and E|X - mean| of what is measured: round
//! trip and two turns, the delegate's and the sender's own. With g(y) = E max(0, y - L) of the log-normal round trip,
//! E|X - mean| is twice the mean of g(mean - turns). The share of acknowledgements that are late even so is a tail of
//! the same sum. A hop that takes longer than the timeout is overtaken by the next attempt, if that arrives, with
//! probability q: P(X > t) is then smaller by 1 - q P(X <= t - RTO).
//!
//! To another zone each way takes longer by a constant. A member has an estimate of its own for these round trips, so the
//! timeout is longer by both ways, and as many acknowledgements are late.
//!
//! **Pacing.** A member that has just passed on does so again only when the pacing interval P is over, and then all at
//! once. Let it have something to pass on at a rate v, at random moments. After each time it passes on, something comes
//! within P with probability 1 - e^-vP, and it passes on again at its end; else at once when something comes. Of
//! the vP + e^-vP occasions per cycle vP wait, uniformly up to P:
//!
//! ```text
//! P(waits) = vP / (vP + e^-vP)
//! ```
//!
//! (A vacation queue whose server empties the queue.) v is the rate of updates times the share of members that delegate,
//! retransmissions counted too. It holds for updates from everywhere: the tree of one member that tells all the
//! updates is the same for a second, and there v is the rate of the updates itself.
//!
//! **Sums of hops** are convolved on a lattice, since neither log-normal nor uniform values have a sum in closed form.

use super::super::special::{log_normal_cdf, normal_cdf};
use super::BroadcastInputs;
use super::division::{Law, UNITS};

/// What it is longer than the smoothed round trip at least.
const GRANULARITY_S: f64 = 0.002;

/// Longest first timeout.
const TIMEOUT_MAX_S: f64 = 2.0;
/// Points of the lattice.
const CELLS: usize = 1_024;
/// Points of a turn's distribution, where it is averaged over.
const TURN_POINTS: usize = 12;
/// Hops that are rarer than this among all members count as one less.
const RARE: f64 = 1e-6;

/// What a delegation takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    rtt_median_s: f64,
    rtt_sigma: f64,
    way_median_s: f64,
    way_sigma: f64,
    turn_s: f64,
    pacing_s: f64,
    arrives: f64,
    first_timeout_s: f64,
    backoff: u32,
    /// What a round trip takes beyond the log-normal.
    further_s: f64,
}

impl Timing {
    /// Of a broadcast with these inputs, within a zone.
    pub fn of(inputs: &BroadcastInputs) -> Timing {
        Timing::further(inputs, 0.0)
    }

    /// The same to another zone.
    pub fn to_another_zone(inputs: &BroadcastInputs) -> Timing {
        Timing::further(inputs, inputs.zone_rtt_s)
    }

    /// With round trips that take so much longer.
    fn further(inputs: &BroadcastInputs, further_s: f64) -> Timing {
        let BroadcastInputs { rtt_median_s, rtt_sigma, turn_s, .. } = *inputs;
        let way_variance = (2.0 * (rtt_sigma * rtt_sigma).exp_m1()).ln_1p();
        let rtt_mean_s = rtt_median_s * (rtt_sigma * rtt_sigma / 2.0).exp();
        let mut timing = Timing {
            rtt_median_s,
            rtt_sigma,
            way_median_s: rtt_mean_s / 2.0 * (-way_variance / 2.0).exp(),
            way_sigma: way_variance.sqrt(),
            turn_s,
            pacing_s: inputs.pacing_s,
            arrives: 1.0 - inputs.loss,
            first_timeout_s: 0.0,
            backoff: inputs.backoff,
            further_s,
        };
        let mean_s = rtt_mean_s + turn_s;
        let below = |turns_s: f64| shortfall_s(mean_s - turns_s, rtt_median_s, rtt_sigma);
        let deviation_s = 2.0 * timing.over_turns(below);
        let timeout_s = mean_s + further_s + (4.0 * deviation_s).max(GRANULARITY_S);
        timing.first_timeout_s = timeout_s.min(TIMEOUT_MAX_S).max(inputs.timeout_min_s);
        timing
    }

    /// The same with another pacing interval, which no timeout depends on.
    #[must_use]
    pub fn paced_by(self, pacing_s: f64) -> Timing {
        Timing { pacing_s, ..self }
    }

    /// The timeout of an attempt, counted from 0, in seconds.
    pub fn timeout_s(&self, attempt: u32) -> f64 {
        self.first_timeout_s * f64::from(self.backoff.pow(attempt))
    }

    /// The share of acknowledgements that take longer.
    pub fn ack_late(&self, timeout_s: f64) -> f64 {
        let within_s = timeout_s - self.further_s;
        1.0 - self.over_turns(|turns_s| log_normal_cdf(within_s - turns_s, self.rtt_median_s, self.rtt_sigma))
    }

    /// The mean over the sum of two turns.
    fn over_turns(&self, value: impl Fn(f64) -> f64) -> f64 {
        if self.turn_s <= 0.0 {
            return value(0.0);
        }
        let point = |index: usize| (index as f64 + 0.5) / TURN_POINTS as f64;
        let pairs = (0..TURN_POINTS).flat_map(|one| (0..TURN_POINTS).map(move |two| point(one) + point(two)));
        pairs.map(|turns| value(self.turn_s * turns)).sum::<f64>() / (TURN_POINTS * TURN_POINTS) as f64
    }

    /// Mean and standard deviation of a hop, of which a share is `paced`.
    fn hop_moments_s(&self, paced: f64) -> (f64, f64) {
        let squared = self.way_sigma * self.way_sigma;
        let way_s = self.way_median_s * (squared / 2.0).exp();
        let mean_s = way_s + self.turn_s / 2.0 + paced * self.pacing_s / 2.0;
        let variance = way_s * way_s * squared.exp_m1()
            + self.turn_s * self.turn_s / 12.0
            + paced * self.pacing_s * self.pacing_s * (1.0 / 3.0 - paced / 4.0);
        (mean_s, variance.sqrt())
    }
}

/// The share of occasions to pass on that wait for the pacing interval to end, of a member that has them at the rate
/// `per_s`.
pub fn paced(pacing_s: f64, per_s: f64) -> f64 {
    let occasions = per_s * pacing_s;
    if occasions <= 0.0 { 0.0 } else { occasions / (occasions + (-occasions).exp()) }
}

/// `E max(0, bound - L)` of a log-normal L.
fn shortfall_s(bound_s: f64, median_s: f64, sigma: f64) -> f64 {
    if bound_s <= 0.0 {
        return 0.0;
    }
    if sigma <= 0.0 {
        return (bound_s - median_s).max(0.0);
    }
    let z = (bound_s / median_s).ln() / sigma;
    let mean_s = median_s * (sigma * sigma / 2.0).exp();
    (bound_s * normal_cdf(z) - mean_s * normal_cdf(z - sigma)).max(0.0)
}

/// When members are told: hops and timeouts, in seconds.
#[derive(Clone, Debug)]
pub struct Hops {
    cell_s: f64,
    timeout_s: f64,
    /// For each number of timeouts, the probability of it and of hops that take no longer than each cell.
    told: Vec<Vec<f64>>,
}

impl Hops {
    /// With this law of hops and timeouts, of which hops a share is `paced`.
    pub fn of(timing: &Timing, paced: f64, law: &Law) -> Hops {
        let mut by_hops = law.by_hops().to_vec();
        while by_hops.len() > 2 && by_hops.last().is_some_and(|last| last.iter().sum::<f64>() < RARE) {
            let rare = by_hops.pop().unwrap_or([0.0; UNITS]);
            if let Some(last) = by_hops.last_mut() {
                last.iter_mut().zip(rare).for_each(|(to, from)| *to += from);
            }
        }
        let most = by_hops.len().saturating_sub(1).max(1) as f64;
        let (mean_s, deviation_s) = timing.hop_moments_s(paced);
        let cell_s = (most * mean_s + 8.0 * most.sqrt() * deviation_s) / (CELLS - 2) as f64;
        let hop = hop(timing, paced, cell_s);
        let units =
            (1..=UNITS).rev().find(|units| by_hops.iter().any(|row| row[units - 1] > 0.0)).unwrap_or(1);
        let mut told = vec![vec![0.0; CELLS]; units];
        let mut sum = vec![0.0; CELLS];
        sum[0] = 1.0;
        for chances in &by_hops {
            for (told, chance) in told.iter_mut().zip(chances).filter(|(_, chance)| **chance > 0.0) {
                told.iter_mut().zip(&sum).for_each(|(told, part)| *told += chance * part);
            }
            sum = convolved(&sum, &hop);
        }
        for told in &mut told {
            let mut total = 0.0;
            for cell in told {
                total += *cell;
                *cell = total;
            }
        }
        Hops { cell_s, timeout_s: timing.timeout_s(0), told }
    }

    /// The share told by then.
    pub fn told_s(&self, time_s: f64) -> f64 {
        let unit = |(unit, told): (usize, &Vec<f64>)| {
            // A cell reaches half its width to both sides.
            let place = (time_s - unit as f64 * self.timeout_s) / self.cell_s + 0.5;
            if place <= 0.0 {
                return 0.0;
            }
            let cell = place as usize;
            let before = if cell == 0 { 0.0 } else { told[(cell - 1).min(CELLS - 1)] };
            let after = told[cell.min(CELLS - 1)];
            before + (after - before) * (place - cell as f64)
        };
        self.told.iter().enumerate().map(unit).sum()
    }

    /// When the last are told.
    pub fn ends_s(&self) -> f64 {
        (CELLS as f64 + 1.0) * self.cell_s + self.told.len() as f64 * self.timeout_s
    }
}

/// One hop on the lattice.
fn hop(timing: &Timing, paced: f64, cell_s: f64) -> Vec<f64> {
    let uniform = |time_s: f64, longest_s: f64| {
        if longest_s <= 0.0 {
            f64::from(u8::from(time_s >= 0.0))
        } else {
            (time_s / longest_s).clamp(0.0, 1.0)
        }
    };
    let way = cells(cell_s, |time_s| log_normal_cdf(time_s, timing.way_median_s, timing.way_sigma));
    let turn = cells(cell_s, |time_s| uniform(time_s, timing.turn_s));
    let mut hop = hastened(&convolved(&way, &turn), timing, cell_s);
    if paced > 0.0 {
        let at_once = |time_s: f64| f64::from(u8::from(time_s >= 0.0));
        let waits = |time_s: f64| (1.0 - paced) * at_once(time_s) + paced * uniform(time_s, timing.pacing_s);
        hop = convolved(&hop, &cells(cell_s, waits));
    }
    hop
}

/// A way with its second attempt behind it: whichever comes first.
fn hastened(way: &[f64], timing: &Timing, cell_s: f64) -> Vec<f64> {
    let behind = (timing.timeout_s(0) / cell_s).ceil() as usize;
    let (mut arrived, mut second, mut before) = (0.0, 0.0, 1.0);
    let mut hastened = Vec::with_capacity(CELLS);
    for (cell, chance) in way.iter().enumerate() {
        arrived += chance;
        second += cell.checked_sub(behind).map_or(0.0, |cell| way[cell]);
        let late = (1.0_f64 - arrived).max(0.0) * (1.0 - timing.arrives * second);
        hastened.push(before - late);
        before = late;
    }
    hastened[CELLS - 1] += before;
    hastened
}

/// A distribution's probabilities in the cells of the lattice, each around a multiple of its width; what lies
/// beyond is in the last.
fn cells(cell_s: f64, cdf: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut before = 0.0;
    let mut cells: Vec<f64> = (0..CELLS)
        .map(|cell| {
            let until = cdf((cell as f64 + 0.5) * cell_s);
            let part = until - before;
            before = until;
            part
        })
        .collect();
    cells[CELLS - 1] += 1.0 - before;
    cells
}

/// The sum of two: what goes beyond the last cell stays in it.
fn convolved(one: &[f64], two: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; CELLS];
    let mut beyond = 0.0;
    for (shift, weight) in two.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        let (inside, outside) = one.split_at(CELLS - shift);
        sum[shift..].iter_mut().zip(inside).for_each(|(to, from)| *to += weight * from);
        beyond += weight * outside.iter().sum::<f64>();
    }
    sum[CELLS - 1] += beyond;
    sum
}
