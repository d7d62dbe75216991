//! What is wanted: a network, limits, and the one measure to make as small as the limits allow.
//!
//! [`ObjectiveArguments`] is what was typed, as flags or in a TOML file with the same names;
//! [`ObjectiveArguments::check`] makes an [`Objective`] of it that every later part may trust, or one line
//! per fault.

mod arguments;
mod check;
pub mod measure;
pub mod measured;
pub mod network;
pub mod target;

use serde::{Deserialize, Serialize};

pub use arguments::ObjectiveArguments;
pub use measure::{Measure, Measures};
pub use network::Network;
pub use target::Target;

/// False deaths per day in the whole cluster that are tolerated without a limit of the user's: detection is easily
/// fast if members may be declared dead wrongly.
pub const FALSE_DEATHS_DEFAULT: f64 = 0.1;

/// A limit: the most that a measure may be.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Limit {
    /// What is limited.
    pub measure: Measure,
    /// The limit, in the measure's unit.
    pub most: f64,
    /// Whether nobody asked for it: [`FALSE_DEATHS_DEFAULT`].
    pub default: bool,
}

impl Limit {
    /// By how much `value` is beyond the limit, as the logarithm of the ratio; negative within it.
    pub fn excess(&self, value: f64) -> f64 {
        if value <= 0.0 {
            return -30.0;
        }
        if !value.is_finite() {
            return 30.0;
        }
        (value / self.most).ln()
    }

    /// The flag and its value, as they could be typed.
    pub fn typed(&self) -> String {
        let value = match self.measure {
            Measure::DetectP50 | Measure::DetectP99 | Measure::DetectAllP99 => format!("{}s", self.most),
            Measure::SpreadP99 => format!("{}ms", self.most),
            _ => format!("{}", self.most),
        };
        format!("{} {value}", self.measure.name())
    }
}

/// A checked objective.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Members of the cluster.
    pub members: u32,
    /// What lies between them.
    pub network: Network,
    /// User events in the whole cluster, per second.
    pub events_per_second: f64,
    /// Members that crash in the whole cluster, per hour.
    pub failures_per_hour: f64,
    /// The limits, at most one for each measure, in the order of [`Measure::ALL`].
    pub limits: Vec<Limit>,
    /// What is made as small as the limits allow.
    pub minimise: Measure,
    /// Program whose settings are looked for.
    pub target: Target,
}

impl Objective {
    /// The limit on `measure`.
    pub fn limit(&self, measure: Measure) -> Option<&Limit> {
        self.limits.iter().find(|limit| limit.measure == measure)
    }

    /// The same objective without the limit on `measure`.
    pub fn without(&self, measure: Measure) -> Objective {
        let mut relaxed = self.clone();
        relaxed.limits.retain(|limit| limit.measure != measure);
        relaxed
    }

    /// In a line: `20,000 members, 1 % loss, round trip 0.5 ms`.
    pub fn describe_network(&self) -> String {
        use swimring_tooling::text::{counted, percent, significant};
        let network = &self.network;
        let mut parts =
            vec![counted(self.members.into(), "member"), format!("{} loss", percent(network.loss))];
        match &network.regions {
            Some(map) => parts.push(format!("{} regions", map.names.len())),
            None => parts.push(format!(
                "round trip {} ms (sigma {})",
                significant(network.rtt_ms),
                network.rtt_sigma
            )),
        }
        if network.zones > 1 {
            let further = significant(network.zone_rtt_ms);
            parts.push(format!("{} zones, {further} ms more from one to another", network.zones));
        }
        if network.slow_share > 0.0 {
            parts.push(format!("{} slow members", percent(network.slow_share)));
        }
        if self.events_per_second > 0.0 {
            parts.push(format!("{} events/s", significant(self.events_per_second)));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests;
