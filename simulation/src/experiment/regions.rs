//! Regions: a latency for every pair of places, from a file of measured round trips.

use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use swimring::settings_file::toml_fault;

/// Most regions of a map.
pub const REGIONS_MAX: usize = 256;
/// Longest median one-way latency, in milliseconds.
const MEDIAN_MAX_MS: f64 = 10_000.0;
const SIGMA_MAX: f64 = 2.0;

/// Regions, the median one-way latency between each two, and how it varies.
#[derive(Clone, PartialEq, Debug)]
pub struct RegionMap {
    /// Names of the regions.
    pub names: Vec<String>,
    /// Median one-way latency in milliseconds, from the first to the second index. Within a region too.
    pub one_way_ms: Vec<Vec<f64>>,
    /// Standard deviation of the latency's natural logarithm. 0 to 2.
    pub sigma: f64,
    /// Members of each region, relative to the others.
    pub weights: Vec<f64>,
    /// Source of the numbers.
    pub source: String,
}

/// The file: round trips, which is what is measured.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: String,
    sigma: f64,
    regions: Vec<String>,
    #[serde(default)]
    weights: Vec<f64>,
    round_trip_ms: Vec<Vec<f64>>,
}

impl RegionMap {
    /// Reads a map from TOML: `source`, `sigma`, `regions` (names), `weights` (optional) and `round_trip_ms`,
    /// a row for each region. A one-way latency is half the round trip.
    ///
    /// # Errors
    /// One line that says what cannot be used.
    pub fn parse(text: &str) -> Result<RegionMap, String> {
        let file: File = toml::from_str(text).map_err(|error| toml_fault(text, &error))?;
        let halved = |row: &Vec<f64>| row.iter().map(|round_trip| round_trip / 2.0).collect();
        let regions = file.regions.len();
        let map = RegionMap {
            names: file.regions,
            one_way_ms: file.round_trip_ms.iter().map(halved).collect(),
            sigma: file.sigma,
            weights: if file.weights.is_empty() { vec![1.0; regions] } else { file.weights },
            source: file.source,
        };
        map.validate()?;
        Ok(map)
    }

    /// The map that is shipped: see its [`RegionMap::source`].
    pub fn builtin() -> Arc<RegionMap> {
        static BUILTIN: OnceLock<Arc<RegionMap>> = OnceLock::new();
        let map = BUILTIN.get_or_init(|| {
            let map = RegionMap::parse(include_str!("regions.toml"));
            // A test reads it.
            Arc::new(map.unwrap_or_else(|error| panic!("the shipped map of regions: {error}")))
        });
        Arc::clone(map)
    }

    /// Checks that it is complete and within its bounds.
    ///
    /// # Errors
    /// One line that says what cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        let regions = self.names.len();
        if !(1..=REGIONS_MAX).contains(&regions) {
            return Err(format!("map has to have 1 to {REGIONS_MAX} regions, and has {regions}"));
        }
        let complete =
            self.one_way_ms.len() == regions && self.one_way_ms.iter().all(|row| row.len() == regions);
        if !complete {
            return Err(format!("map of {regions} regions has to have as many rows of as many round trips"));
        }
        let usable = |ms: &f64| (0.001..=MEDIAN_MAX_MS).contains(ms);
        if let Some(bad) = self.one_way_ms.iter().flatten().find(|ms| !usable(ms)) {
            return Err(format!("one-way milliseconds have to be between 0.001 and {MEDIAN_MAX_MS}: {bad}"));
        }
        if !(0.0..=SIGMA_MAX).contains(&self.sigma) {
            return Err(format!("sigma has to be between 0 and {SIGMA_MAX}, and is {}", self.sigma));
        }
        let weighty = self.weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
        if self.weights.len() != regions || !weighty || self.weights.iter().sum::<f64>() <= 0.0 {
            return Err(format!("weights have to be {regions} numbers, none negative and not all zero"));
        }
        Ok(())
    }

    pub(super) fn median_us(&self, from: usize, to: usize) -> f64 {
        self.one_way_ms[from][to] * 1e3
    }

    pub(super) fn sigma(&self) -> f64 {
        self.sigma
    }

    /// The region of each of `members` members: always the region that is furthest behind its share, so any
    /// first few are dealt by weight too.
    pub(super) fn deal(&self, members: usize) -> Vec<u16> {
        let total: f64 = self.weights.iter().sum();
        let mut credit = vec![0.0; self.weights.len()];
        (0..members)
            .map(|_| {
                let mut best = 0;
                for region in 0..credit.len() {
                    credit[region] += self.weights[region] / total;
                    if credit[region] > credit[best] {
                        best = region;
                    }
                }
                credit[best] -= 1.0;
                best as u16
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_map_can_be_read_and_names_its_source() {
        let map = RegionMap::builtin();
        assert!(map.names.len() >= 6 && !map.source.is_empty());
    }

    #[test]
    fn members_are_dealt_by_weight() {
        let text = "source = 'none'\nsigma = 0.1\nregions = ['a', 'b']\nweights = [3, 1]\nround_trip_ms = [[1, 80], [80, 1]]";
        let map = RegionMap::parse(text).unwrap();
        assert_eq!(map.one_way_ms[0][1], 40.0);
        let dealt = map.deal(100);
        assert_eq!(dealt.iter().filter(|region| **region == 0).count(), 75);
        assert_eq!(dealt[..8].iter().filter(|region| **region == 1).count(), 2);
    }

    #[test]
    fn incomplete_maps_are_refused_in_one_line() {
        for (text, part) in [
            ("source = ''\nsigma = 0.1\nregions = []\nround_trip_ms = []", "1 to 256 regions"),
            ("source = ''\nsigma = 0.1\nregions = ['a', 'b']\nround_trip_ms = [[1, 2]]", "as many rows"),
            ("source = ''\nsigma = 0.1\nregions = ['a']\nround_trip_ms = [[-1]]", "one-way milliseconds"),
            ("source = ''\nsigma = nan\nregions = ['a']\nround_trip_ms = [[1]]", "sigma"),
            ("source = ''\nsigma = 0\nregions = ['a']\nweights = [0]\nround_trip_ms = [[1]]", "weights"),
            ("regions = 3", "invalid type"),
        ] {
            let error = RegionMap::parse(text).unwrap_err();
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
    }
}

#[cfg(test)]
mod word_tests {
    use super::RegionMap;

    #[test]
    fn types_are_told_in_words() {
        let with = |sigma: &str, regions: &str, round_trips: &str| {
            let text = format!(
                "source = 'none'\nsigma = {sigma}\nregions = {regions}\nround_trip_ms = {round_trips}"
            );
            RegionMap::parse(&text).unwrap_err()
        };
        for (told, expected) in [
            (with("'wide'", "['a']", "[[1]]"), "line 2: invalid type: string \"wide\", expected a number"),
            (with("true", "['a']", "[[1]]"), "line 2: invalid type: `true`, expected a number"),
            (with("0.1", "7", "[[1]]"), "line 3: invalid type: integer `7`, expected a list"),
            (with("0.1", "[1.5]", "[[1]]"), "line 3: invalid type: the number `1.5`, expected text"),
            (with("0.1", "['a']", "[1]"), "line 4: invalid type: integer `1`, expected a list"),
        ] {
            assert_eq!(told, expected);
        }
    }
}
