//! Other zones: each is delegated as a whole, once, and told within as the originator's own is.
//!
//! A member of another zone is told when the delegation of its zone has been taken over, at the w-th timeout RTO' of the way
//! there, and then after as many hops and timeouts RTO as its zone's delegate is away from it:
//!
//! ```text
//! P(T <= t) = sum over w of P(taken over at w) P(D + X_1 + ... + X_h <= t - w RTO' - w' RTO)
//! ```
//!
//! D being what a way to another zone takes longer, and the first of the hops X the way there. Whether it was overtaken by
//! the second attempt is judged by RTO as within a zone, which is rare either way.

use std::sync::Arc;

use super::attempts::Attempts;
use super::division::{Costs, Crossing, Law, Zone};
use super::timing::{Hops, Timing};
use super::{BroadcastInputs, attempts};

/// Attempts that are first to arrive more seldom than this are left out.
const RARE: f64 = 1e-7;

/// Members of each zone: of the whole cluster where there is one.
pub fn members_of_each(inputs: &BroadcastInputs) -> u32 {
    let zones = inputs.zones.max(1);
    ((f64::from(inputs.members.max(2)) / f64::from(zones)).round() as u32).max(1)
}

/// The zones that the originator is not in.
#[derive(Clone, Debug)]
pub struct Others {
    zones: f64,
    /// Share of all live members but the originator that are in them.
    share: f64,
    crossing: Crossing,
    attempts: Attempts,
    timeout_s: f64,
    further_s: f64,
}

impl Others {
    /// Those beside `zone`, which is like them.
    pub fn of(inputs: &BroadcastInputs, zone: &Zone) -> Others {
        let timing = Timing::to_another_zone(inputs);
        let attempts = attempts(inputs, &timing);
        let (members, here) = (f64::from(inputs.members.max(2)), f64::from(members_of_each(inputs)));
        Others {
            zones: f64::from(inputs.zones - 1),
            share: ((members - here) / (members - 1.0)).clamp(0.0, 1.0),
            crossing: zone.crossing(&attempts),
            attempts,
            timeout_s: timing.timeout_s(0),
            further_s: inputs.zone_rtt_s / 2.0,
        }
    }

    /// Adds what telling them costs.
    pub fn add_costs(&self, costs: &mut Costs) {
        let own = costs.own + self.zones;
        costs.add(&self.crossing.costs, self.zones);
        costs.own = own;
    }

    /// Copies that cross to each of them.
    pub fn crossed(&self) -> f64 {
        self.crossing.sends
    }

    /// When they are told, where hops take as long as `timing` has it and a share of them is `paced`.
    pub fn told(&self, timing: &Timing, paced: f64) -> OthersTold {
        let totals = self.crossing.laws.each_ref().map(Law::total);
        let mut waves: Vec<Wave> = Vec::new();
        for (attempt, total) in totals.into_iter().enumerate().filter(|(_, total)| *total > RARE) {
            let after_s = self.further_s + self.attempts.units_before(attempt) as f64 * self.timeout_s;
            // Where nobody is dead, what follows is the same whenever it begins.
            let wave = match waves.first() {
                Some(first) if self.attempts.dead <= 0.0 => {
                    Wave { after_s, total, hops: Arc::clone(&first.hops), hops_total: first.hops_total }
                }
                _ => {
                    let hops = Arc::new(Hops::of(timing, paced, &self.crossing.laws[attempt]));
                    Wave { after_s, total, hops, hops_total: total }
                }
            };
            waves.push(wave);
        }
        OthersTold { share: self.share, waves }
    }
}

/// The members of other zones whose zone was taken over at one attempt.
#[derive(Clone, Debug)]
struct Wave {
    after_s: f64,
    /// The share that they are.
    total: f64,
    hops: Arc<Hops>,
    /// The share that `hops` stand for.
    hops_total: f64,
}

/// When the members of other zones are told.
#[derive(Clone, Debug)]
pub struct OthersTold {
    share: f64,
    waves: Vec<Wave>,
}

impl OthersTold {
    /// Of all members, from a value of the originator's own zone and one of the others.
    pub fn mixed(&self, here: f64, there: f64) -> f64 {
        (1.0 - self.share) * here + self.share * there
    }

    /// The share of them that is ever told.
    pub fn total(&self) -> f64 {
        self.waves.iter().map(|wave| wave.total).sum()
    }

    /// The share of them told by then.
    pub fn told_s(&self, time_s: f64) -> f64 {
        let wave = |wave: &Wave| wave.hops.told_s(time_s - wave.after_s) * wave.total / wave.hops_total;
        self.waves.iter().map(wave).sum()
    }

    /// When the last are told.
    pub fn ends_s(&self) -> f64 {
        self.waves.iter().map(|wave| wave.after_s + wave.hops.ends_s()).fold(0.0, f64::max)
    }
}
