//! One event on Swimring's own wire, told by gossip and by delegation: the closed forms side by side, in time.
//!
//! The rounds of the other tables are the textbook's. Here members are those of the LAN preset, one millisecond apart,
//! with an event a second; they gossip, or delegate in steps of one to four bits.

use serde::Serialize;
use swimring::protocol::Settings;
use swimring::protocol::settings::{Dissemination, Preset};

use super::table::Options;
use crate::model::delegation::Known;
use crate::model::{Environment, predict_known, telling_of};

/// Bits of the steps that are shown.
const STEP_BITS: [u8; 4] = [1, 2, 3, 4];
/// Points of a curve, evenly apart on a logarithmic scale.
const POINTS: usize = 72;
/// Its first and last time, in milliseconds.
pub const SHOWN_MS: (f64, f64) = (0.5, 5_000.0);

/// One way to tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// Bits of a step where members delegate; nothing where they gossip.
    pub delegation_bits: Option<u8>,
    /// Time to half of the deliveries, in milliseconds. None of this and the others: repair has to tell so many.
    pub p50_ms: Option<f64>,
    /// Time to 99 % of the deliveries.
    pub p99_ms: Option<f64>,
    /// Time to the last delivery, the median.
    pub last_p50_ms: Option<f64>,
    /// Share of members that are left to repair.
    pub missed_share: f64,
    /// Copies of it that a member sends.
    pub copies: f64,
    /// Copies of it that cross to each zone but the teller's; 0 without zones.
    pub crossed_per_zone: f64,
    /// Acknowledgements of it that a member sends.
    pub acks: f64,
    /// Bytes that a member sends for it, acknowledgements and headers included.
    pub bytes: f64,
    /// Milliseconds, and the share told by then.
    pub told: Vec<(f64, f64)>,
}

impl Told {
    /// What it is called.
    pub fn name(&self) -> String {
        match self.delegation_bits {
            None => "gossip".to_owned(),
            Some(1) => "delegated, 1 bit".to_owned(),
            Some(bits) => format!("delegated, {bits} bits"),
        }
    }
}

/// Gossip first, then delegation by each number of bits; nothing where so much is lost that no form holds.
pub fn side_by_side(options: &Options) -> Vec<Told> {
    let Options { members, loss, zones, zone_rtt_ms, .. } = *options;
    let busy = Environment { events_per_second: 1.0, ..Environment::default() };
    let environment = Environment { members, loss, zones, zone_rtt_ms, ..busy };
    if environment.check().is_err() {
        return Vec::new();
    }
    let bits = STEP_BITS.into_iter().map(Some);
    std::iter::once(None).chain(bits).map(|bits| told(bits, &environment)).collect()
}

fn told(delegation_bits: Option<u8>, environment: &Environment) -> Told {
    let lan = Settings::preset(Preset::Lan);
    let settings = match delegation_bits {
        None => Settings { dissemination: Dissemination::Gossip, ..lan },
        Some(delegation_bits) => Settings { dissemination: Dissemination::Delegated, delegation_bits, ..lan },
    };
    let known = Known::default();
    let said = predict_known(&settings, environment, &known);
    let idle = Environment { events_per_second: 0.0, ..environment.clone() };
    let without = predict_known(&settings, &idle, &known);
    let telling = telling_of(&settings, environment);
    let finite = |value: f64| value.is_finite().then_some(value);
    let (first, last) = SHOWN_MS;
    let at = |point: usize| first * (last / first).powf(point as f64 / (POINTS - 1) as f64);
    Told {
        delegation_bits,
        p50_ms: finite(said.spread_p50_ms),
        p99_ms: finite(said.spread_p99_ms),
        last_p50_ms: finite(said.spread_last_p50_ms),
        missed_share: said.missed_share,
        copies: said.copies_per_update,
        crossed_per_zone: said.crossed_per_zone,
        acks: said.acks_per_update,
        bytes: (said.bytes_per_member_second - without.bytes_per_member_second)
            / environment.events_per_second,
        told: (0..POINTS).map(|point| (at(point), 1.0 - telling.uninformed_s(at(point) / 1e3))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(members: u32, loss: f64) -> Options {
        Options {
            members,
            fanout: 4,
            strategies: Vec::new(),
            loss,
            retransmit_limit: None,
            seed: 1,
            runs: 1,
            rounds_max: 1,
            zones: 1,
            zone_rtt_ms: 0.0,
        }
    }

    #[test]
    fn delegation_is_faster_and_sends_a_fraction_of_the_copies() {
        let all = side_by_side(&among(1_000, 0.01));
        let [gossip, delegated @ ..] = &all[..] else { panic!("{all:?}") };
        assert_eq!((gossip.name(), delegated.len()), ("gossip".to_owned(), 4));
        for told in delegated {
            assert!(told.copies < gossip.copies / 8.0 && told.bytes < gossip.bytes / 4.0, "{told:?}");
            assert!(told.p50_ms < gossip.p50_ms && told.p99_ms < gossip.p99_ms, "{told:?}");
            assert!(told.told.is_sorted_by(|one, next| one.1 <= next.1 + 1e-9), "{told:?}");
        }
        assert!(delegated[2].p50_ms < delegated[0].p50_ms, "larger steps are fewer");
    }

    #[test]
    fn what_no_form_holds_for_is_left_out() {
        assert_eq!(side_by_side(&among(100, 0.99)), []);
    }

    #[test]
    fn with_zones_one_copy_crosses_to_each_and_the_others_wait_for_it() {
        let zoned = side_by_side(&Options { zones: 3, zone_rtt_ms: 40.0, ..among(900, 0.0) });
        let [gossip, delegated @ ..] = &zoned[..] else { panic!("{zoned:?}") };
        assert!(gossip.crossed_per_zone > 1_000.0, "{gossip:?}");
        for (told, flat) in delegated.iter().zip(&side_by_side(&among(900, 0.0))[1..]) {
            assert!((told.crossed_per_zone - 1.0).abs() < 1e-6 && flat.crossed_per_zone == 0.0, "{told:?}");
            assert!((told.copies - flat.copies).abs() < 0.01, "{told:?}");
            // The way there and its hop, and fewer hops within a zone than among all.
            let wait_ms = told.p99_ms.unwrap() - flat.p99_ms.unwrap();
            assert!((15.0..23.0).contains(&wait_ms), "{wait_ms}");
        }
    }
}
