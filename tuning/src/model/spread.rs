//! Spread in time: how long a rumour takes to a member, to nearly all, and to the last.
//!
//! What [`super::serf`] leaves out decides the answer, so this is the epidemic of the engine's own rules
//! (`engine/src/protocol/{gossip,broadcasts,sending}.rs`, which follow memberlist's):
//!
//! - a member that has something to tell does so at the points of its own grid of gossip intervals G, to f
//!   distinct random others; the phases of the grids are uniform;
//! - every ping and ack takes the news along, so two more copies leave per probe interval;
//! - after c copies (the retransmit limit) a member falls silent. At a rate of r copies per second it tells
//!   for A = c/r seconds;
//! - a copy is lost with probability l, and takes the one-way latency L otherwise.
//!
//! A member that learnt of it at time t sends, averaged over its phase, r copies per second from t to t + A:
//! the first point of the grid is uniform in the next interval. With N(t) members that know, the origin
//! apart, a member that does not know is told with the hazard
//!
//! ```text
//! h(t) = r (1-l) [ N(t - L) - N(t - L - A) ] / (n - 1)
//! ```
//!
//! and by the origin's own ticks at 0, G, 2G, ... with probability f(1-l)/(n-1) each. Time zero is the origin's
//! first tick, which it waits for uniformly up to G.
//!
//! **Chance at the beginning.** The hazard acts on expected numbers, but the first members to know are few
//! and lucky or not. A branching process that has left its first generations behind is its mean times a random
//! factor W: later times are the same curve, shifted by ln(W)/a, a being its rate of growth, the root of
//! a = r(1-l) e^(-aL). One of the first members, whose ticks come at uniform phases with f copies each, of
//! which a share l is lost, has a factor with mean 1 and variance V = 2 (x/2 coth(x/2) - 1 + l/2) where
//! x = f(1-l) (Athreya and Ney, *Branching Processes*, IV.4, for the equation of the variance). The f(1-l)
//! members told by the first tick together have W close to gamma with mean 1 and shape f(1-l)/(V + l).

use super::special::{gamma_at, quantile};

/// Steps of the curve per gossip interval.
const STEPS_PER_TICK: usize = 16;
/// Steps at most: a curve that is longer gets wider steps.
const STEPS_MAX: usize = 4_000;
/// The curve ends where so few are expected not to know.
const NEGLIGIBLE: f64 = 1e-9;
/// Normal quantiles of the middles of equal shares: six lucks, from the worst to the best.
const LUCKS: [f64; 6] = [-1.382_994, -0.674_490, -0.210_428, 0.210_428, 0.674_490, 1.382_994];
/// The origin's wait for its first tick, in gossip intervals: middles of equal shares.
const WAITS: [f64; 4] = [0.125, 0.375, 0.625, 0.875];

/// What a rumour's spread depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpreadInputs {
    /// Members, the origin among them; at least 2.
    pub members: u32,
    /// Members told at each gossip tick.
    pub fanout: f64,
    /// Time between two ticks, in seconds.
    pub gossip_interval_s: f64,
    /// Copies that leave with pings and acks, per member and second.
    pub piggybacked_per_s: f64,
    /// Copies that a member sends at most.
    pub copies: f64,
    /// Share of datagrams lost.
    pub loss: f64,
    /// One way, in seconds.
    pub latency_s: f64,
}

/// The spread of one rumour.
#[derive(Clone, Debug)]
pub struct Spread {
    step_s: f64,
    others: f64,
    /// Share of the others that do not know, from the origin's first tick on.
    uninformed: Vec<f64>,
    /// Shifts of the curve, all equally likely, in seconds.
    shifts_s: [f64; LUCKS.len() * WAITS.len()],
    telling_ends_s: f64,
}

impl Spread {
    /// Solves the epidemic.
    pub fn of(inputs: &SpreadInputs) -> Spread {
        let (uninformed, step_s) = solve(inputs);
        let telling_ends_s = uninformed.len() as f64 * step_s;
        let shifts_s = shifts(inputs);
        Spread { step_s, others: f64::from(inputs.members.max(2) - 1), uninformed, shifts_s, telling_ends_s }
    }

    /// The share of members that are expected not to know `time_s` after the origin had the news.
    pub fn uninformed_s(&self, time_s: f64) -> f64 {
        let sum: f64 = self.shifts_s.iter().map(|shift_s| self.curve(time_s - shift_s)).sum();
        sum / self.shifts_s.len() as f64
    }

    /// The probability that somebody does not know after `time_s`.
    pub fn somebody_uninformed_s(&self, time_s: f64) -> f64 {
        let one = |shift_s: &f64| -(-self.others * self.curve(time_s - shift_s)).exp_m1();
        self.shifts_s.iter().map(one).sum::<f64>() / self.shifts_s.len() as f64
    }

    /// The time after which a `share` of all deliveries has been made. None if so many never are.
    pub fn delay_s(&self, share: f64) -> Option<f64> {
        self.within(share, |time_s| self.uninformed_s(time_s))
    }

    /// The time after which all know, in a `share` of all rumours. None if in so many some never know.
    pub fn last_s(&self, share: f64) -> Option<f64> {
        self.within(share, |time_s| self.somebody_uninformed_s(time_s))
    }

    /// The share that gossip never reaches.
    pub fn missed(&self) -> f64 {
        self.uninformed.last().copied().unwrap_or(1.0)
    }

    /// When nobody tells any more.
    pub fn ends_s(&self) -> f64 {
        self.telling_ends_s + self.shifts_s.iter().copied().fold(0.0, f64::max)
    }

    fn within(&self, share: f64, survival: impl Fn(f64) -> f64) -> Option<f64> {
        let highest = self.ends_s();
        (survival(highest) <= 1.0 - share).then(|| quantile(share, highest, survival))
    }

    /// The uninformed at a time after the first tick, between two steps along a straight line.
    fn curve(&self, time_s: f64) -> f64 {
        if time_s <= 0.0 {
            return 1.0;
        }
        let place = time_s / self.step_s;
        let step = place as usize;
        match (self.uninformed.get(step), self.uninformed.get(step + 1)) {
            (Some(here), Some(next)) => here + (next - here) * (place - step as f64),
            _ => self.missed(),
        }
    }
}

/// The uninformed share at each step from the origin's first tick, and the step.
fn solve(inputs: &SpreadInputs) -> (Vec<f64>, f64) {
    let others = f64::from(inputs.members.max(2) - 1);
    let fanout = inputs.fanout.min(others);
    let rate = fanout / inputs.gossip_interval_s + inputs.piggybacked_per_s;
    let told_per_s = rate * (1.0 - inputs.loss) / others;
    let tick_chance = (fanout * (1.0 - inputs.loss) / others).min(1.0);
    let tells_for_s = inputs.copies / rate;
    let mut step_s = inputs.gossip_interval_s / STEPS_PER_TICK as f64;
    // Growth, the slow end, and the last to learn it telling to the end.
    let generations = others.ln().max(1.0) + 3.0;
    let longest_s = generations * (inputs.gossip_interval_s + inputs.latency_s) * 3.0 + 2.0 * tells_for_s;
    step_s = step_s.max(longest_s / STEPS_MAX as f64);
    let lag = inputs.latency_s / step_s;
    let telling = tells_for_s / step_s;
    let (tick, ticks) = (inputs.gossip_interval_s / step_s, (inputs.copies / fanout).ceil());
    let mut uninformed = vec![1.0_f64];
    let mut next_tick = 0.0_f64;
    for step in 0..STEPS_MAX {
        let mut share = uninformed[step];
        // The origin's ticks, as they arrive.
        while next_tick < ticks && next_tick * tick + lag <= step as f64 + 1.0 {
            let part = (inputs.copies / fanout - next_tick).min(1.0);
            share *= 1.0 - tick_chance * part;
            next_tick += 1.0;
        }
        let tellers = |uninformed: &[f64], place: f64| {
            let knew = |place: f64| 1.0 - sample(uninformed, place);
            others * (knew(place - lag) - knew(place - lag - telling))
        };
        // Heun's method: the hazard at the step's end is that of the end which its beginning foretells.
        let begin = tellers(&uninformed, step as f64);
        let hazard = told_per_s * step_s;
        uninformed.push(share * (-hazard * begin).exp());
        let end = tellers(&uninformed, step as f64 + 1.0);
        share *= (-hazard * f64::midpoint(begin, end)).exp();
        uninformed[step + 1] = share;
        let over = next_tick >= ticks && end < NEGLIGIBLE && step as f64 > telling + lag;
        if share * others < NEGLIGIBLE || over {
            break;
        }
    }
    (uninformed, step_s)
}

/// The curve at a fractional step: 1 before it begins, its last value after its end.
fn sample(uninformed: &[f64], place: f64) -> f64 {
    if place <= 0.0 {
        return 1.0;
    }
    let step = place as usize;
    match (uninformed.get(step), uninformed.get(step + 1)) {
        (Some(here), Some(next)) => here + (next - here) * (place - step as f64),
        _ => uninformed[uninformed.len() - 1],
    }
}

/// By how much chance shifts the curve: the wait for the first tick, and the first members' luck.
fn shifts(inputs: &SpreadInputs) -> [f64; LUCKS.len() * WAITS.len()] {
    let mut shifts_s = [0.0; LUCKS.len() * WAITS.len()];
    let others = f64::from(inputs.members.max(2) - 1);
    let told = inputs.fanout.min(others) * (1.0 - inputs.loss);
    let growth = growth_per_s(inputs);
    let half = told / 2.0;
    let variance = 2.0 * (half / half.tanh() - 1.0 + inputs.loss / 2.0);
    let shape = (told / (variance + inputs.loss)).clamp(0.5, 50.0);
    // Where the first tick reaches everyone there are no generations to be lucky in.
    let generations = (others / (told + 1.0)).max(1.0).ln();
    for (index, shift_s) in shifts_s.iter_mut().enumerate() {
        let luck = gamma_at(shape, LUCKS[index % LUCKS.len()]).ln();
        let luck = luck.clamp(-3.0, generations.min(3.0));
        let luck = if generations < 1.0 { luck * generations } else { luck };
        *shift_s = WAITS[index / LUCKS.len()] * inputs.gossip_interval_s - luck / growth;
    }
    shifts_s
}

/// The rate at which the members that know multiply at first.
fn growth_per_s(inputs: &SpreadInputs) -> f64 {
    let rate = (inputs.fanout / inputs.gossip_interval_s + inputs.piggybacked_per_s) * (1.0 - inputs.loss);
    let mut growth = rate / (1.0 + rate * inputs.latency_s);
    for _ in 0..20 {
        // Newton's method on a e^(aL) = rate.
        let e = (growth * inputs.latency_s).exp();
        growth -= (growth * e - rate) / (e * (1.0 + growth * inputs.latency_s));
    }
    growth
}

#[cfg(test)]
#[path = "spread_tests.rs"]
mod tests;
