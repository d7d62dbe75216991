//! The network that settings are for: size, loss, round trips, slow members.
//!
//! Round trips are log-normal, or come from a map of regions. The closed forms know one log-normal: of a map
//! they get the one with the same median and spread over all pairs of members.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use swimring::settings_file::read_bounded;
use swimring_simulation::Slowness;
use swimring_simulation::experiment::{
    Affected, Cycle, Impairment, ImpairmentKind, Latency, RegionMap, zones_max,
};

/// The longest file of regions read.
const FILE_MAX_BYTES: u64 = 1 << 20;
/// How long a slow member does nothing, and how long it then runs: in the middle of Lifeguard's experiments.
const SLOW_CYCLE: Cycle = Cycle { on_for: Duration::from_secs(2), off_for: Duration::from_secs(2) };

/// A network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Share of the datagrams that are lost, 0 to 0.95.
    pub loss: f64,
    /// Median round trip, milliseconds.
    pub rtt_ms: f64,
    /// Standard deviation of its natural logarithm.
    pub rtt_sigma: f64,
    /// Zones that the members are in, and tell each other; 1 for none.
    pub zones: u32,
    /// What a round trip to another zone takes longer than one within, milliseconds.
    pub zone_rtt_ms: f64,
    /// Regions, where the latencies come from a map.
    pub regions: Option<Arc<RegionMap>>,
    /// Share of the members that are slow: again and again they do nothing for 2 s and then run for 2 s.
    pub slow_share: f64,
}

/// One data centre that loses nothing: what is meant where nothing is said.
impl Default for Network {
    fn default() -> Network {
        Network {
            loss: 0.0,
            rtt_ms: 0.5,
            rtt_sigma: 0.3,
            zones: 1,
            zone_rtt_ms: 0.0,
            regions: None,
            slow_share: 0.0,
        }
    }
}

impl Network {
    /// The latency of one way.
    pub fn latency(&self) -> Latency {
        match &self.regions {
            Some(map) => Latency::Regions(Arc::clone(map)),
            None => {
                let median = Duration::from_nanos((self.rtt_ms * 1e6 / 2.0).round() as u64);
                // A round trip is the sum of two ways. The logarithm of a sum of two varies less than that
                // of each, by nearly the square root of two while the variation is small.
                let sigma = self.rtt_sigma * std::f64::consts::SQRT_2;
                if sigma == 0.0 { Latency::Fixed(median) } else { Latency::LogNormal { median, sigma } }
            }
        }
    }

    /// What a way to another zone takes longer than one within.
    pub fn zone_delay(&self) -> Duration {
        Duration::from_nanos((self.zone_rtt_ms * 1e6 / 2.0).round() as u64)
    }

    /// The zones of a cluster of `members`: two members in each at least.
    pub fn zones_among(&self, members: u32) -> u32 {
        self.zones.min(zones_max(members))
    }

    /// The impairments that make the slow members slow.
    pub fn impaired(&self, members: u32) -> Vec<Impairment> {
        let slow = Affected::Share(self.slow_share);
        if slow.of(members) == 0 {
            return Vec::new();
        }
        let kind = ImpairmentKind::Slow(Slowness::Everything);
        vec![Impairment { members: slow, kind, cycle: Some(SLOW_CYCLE) }]
    }

    /// Median and standard deviation of the logarithm of the round trips over all pairs, in milliseconds; where there are
    /// zones, over those within one.
    pub fn round_trip(&self) -> (f64, f64) {
        match &self.regions {
            None => (self.rtt_ms, self.rtt_sigma),
            Some(map) => over_all_pairs(map),
        }
    }
}

/// The log-normal that has the mean and the variance of the logarithm of a map's round trips.
fn over_all_pairs(map: &RegionMap) -> (f64, f64) {
    let total: f64 = map.weights.iter().sum();
    let (mut mean, mut square) = (0.0, 0.0);
    for (from, row) in map.one_way_ms.iter().enumerate() {
        for (to, there) in row.iter().enumerate() {
            let share = map.weights[from] * map.weights[to] / (total * total);
            let logarithm = (there + map.one_way_ms[to][from]).ln();
            mean += share * logarithm;
            square += share * logarithm * logarithm;
        }
    }
    let between = (square - mean * mean).max(0.0);
    (mean.exp(), (between + map.sigma * map.sigma / 2.0).sqrt())
}

/// Reads a map of regions: the shipped one, `builtin`, or a file's. The error is one line without a flag.
pub fn regions(named: &str) -> Result<Arc<RegionMap>, String> {
    if named == "builtin" {
        return Ok(RegionMap::builtin());
    }
    let fault = |reason: String| format!("{named}: {reason} (or say builtin)");
    let path = Path::new(named);
    let text = read_bounded(path, FILE_MAX_BYTES, "map of regions").map_err(fault)?;
    RegionMap::parse(&text).map(Arc::new).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_region_is_a_log_normal() {
        let map = RegionMap::parse(
            "source = 'none'\nsigma = 0.2\nregions = ['a']\nweights = [1]\nround_trip_ms = [[10]]",
        );
        let network = Network { regions: Some(Arc::new(map.unwrap())), ..Network::default() };
        let (median, sigma) = network.round_trip();
        assert!((median - 10.0).abs() < 1e-9 && (sigma - 0.2 / 2.0_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn a_missing_map_is_named() {
        let fault = regions("/nonexistent/map.toml").unwrap_err();
        assert!(fault.starts_with("/nonexistent/map.toml: ") && !fault.contains('\n'), "{fault}");
        assert!(regions("builtin").is_ok());
    }
}
