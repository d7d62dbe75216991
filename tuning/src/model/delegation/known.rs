//! Broadcasts that were solved before: a search asks for the same ones thousands of times.
//!
//! The division knows nothing of pacing, and pacing nothing of how often updates come but the share of them that it
//! delays. That share is rounded here, so that settings which differ in what nobody can feel share one solution.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Broadcast, BroadcastInputs, Divided};

/// Steps of the share of delegations that pacing delays.
const PACED_STEPS: f64 = 500.0;
/// So many broadcasts are remembered at most.
const KNOWN_MAX: usize = 4_096;

/// Inputs, bit by bit.
type Key = [u64; 11];

/// Solutions by their inputs.
#[derive(Debug, Default)]
pub struct Known(Mutex<Solutions>);

#[derive(Debug, Default)]
struct Solutions {
    divided: HashMap<Key, Arc<Divided>>,
    broadcasts: HashMap<(Key, [u64; 2]), Arc<Broadcast>>,
}

impl Known {
    /// The broadcast of these inputs, which pass [`BroadcastInputs::check`], its paced share rounded to a five hundredth.
    pub fn broadcast(&self, inputs: &BroadcastInputs) -> Arc<Broadcast> {
        let mut solutions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if solutions.broadcasts.len() >= KNOWN_MAX {
            *solutions = Solutions::default();
        }
        let key = key(inputs);
        let divided = solutions.divided.entry(key).or_insert_with(|| Arc::new(Divided::of(inputs)));
        let divided = Arc::clone(divided);
        let paced = (divided.paced(inputs) * PACED_STEPS).round() / PACED_STEPS;
        let pacing_s = if paced > 0.0 { inputs.pacing_s } else { 0.0 };
        let asked = (key, [pacing_s.to_bits(), paced.to_bits()]);
        let solve = || Arc::new(divided.broadcast(pacing_s, paced));
        Arc::clone(solutions.broadcasts.entry(asked).or_insert_with(solve))
    }
}

/// All but pacing and rate.
fn key(inputs: &BroadcastInputs) -> Key {
    let BroadcastInputs {
        members,
        step_bits,
        loss,
        dead,
        rtt_median_s,
        rtt_sigma,
        zones,
        zone_rtt_s,
        turn_s,
        timeout_min_s,
        backoff,
        pacing_s: _,
        updates_per_s: _,
    } = *inputs;
    let real = [loss, dead, rtt_median_s, rtt_sigma, turn_s, timeout_min_s, zone_rtt_s].map(f64::to_bits);
    let [a, b, c, d, e, f, g] = real;
    [members.into(), step_bits.into(), backoff.into(), zones.into(), a, b, c, d, e, f, g]
}

#[cfg(test)]
mod tests {
    use super::super::super::Environment;
    use super::*;
    use swimring::protocol::Settings;

    #[test]
    fn what_is_known_is_what_is_solved_anew() {
        let known = Known::default();
        let environment = Environment { members: 500, loss: 0.02, ..Environment::default() };
        let inputs = BroadcastInputs::of(&Settings::default(), &environment);
        for updates_per_s in [0.0, 1.0, 40.0] {
            for step_bits in [1, 3] {
                let inputs = BroadcastInputs { updates_per_s, step_bits, ..inputs };
                let (once, again) = (known.broadcast(&inputs), known.broadcast(&inputs));
                assert!(Arc::ptr_eq(&once, &again));
                let anew = Broadcast::of(&inputs);
                assert_eq!((once.copies, once.missed), (anew.copies, anew.missed));
                assert!((once.paced - anew.paced).abs() <= 0.001 + 1e-9, "{once:?}");
                let (once, anew) = (once.delay_s(0.9).unwrap(), anew.delay_s(0.9).unwrap());
                assert!((once / anew - 1.0).abs() < 0.05, "{updates_per_s}: {once} {anew}");
            }
        }
    }

    #[test]
    fn a_rate_that_nobody_feels_is_solved_once() {
        let known = Known::default();
        let inputs = BroadcastInputs::of(&Settings::default(), &Environment::default());
        let at = |updates_per_s| known.broadcast(&BroadcastInputs { updates_per_s, ..inputs });
        assert!(Arc::ptr_eq(&at(0.0), &at(0.001)));
        assert!(!Arc::ptr_eq(&at(0.0), &at(100.0)));
    }
}
