//! The protocol settings that a run may override, one flag and one line of the settings file each.
//!
//! Every field is optional: what is not given keeps the preset's value. The same names serve as flags
//! (with dashes), as keys of the file given with `--config`, and in the report's `settings`.

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::values;

/// The settings' heading in the help; each line ends with the presets' values.
pub(super) const HEADING: &str = "Protocol settings [lan / wan / local]";

/// Overrides of the preset's protocol settings. `None` keeps the preset's value.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[command(next_help_heading = HEADING)]
pub struct ProtocolSettings {
    /// Time between two probes of one member, in ms [1000 / 5000 / 1000]
    #[arg(long, value_name = "MS", value_parser = values::millis)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_interval_ms: Option<u64>,

    /// Time to wait for an ack before asking others to probe, in ms [500 / 3000 / 200]
    #[arg(long, value_name = "MS", value_parser = values::millis)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_timeout_ms: Option<u64>,

    /// Members asked to probe indirectly [3 / 3 / 1]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indirect_checks: Option<u64>,

    /// Highest local health score; it scales the probe's interval and timeout [8 / 8 / 8]
    #[arg(long, value_name = "SCORE", value_parser = values::count::<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_health_max: Option<u64>,

    /// Suspicion timeout in probe intervals x log10(members) [4 / 6 / 3]
    #[arg(long, value_name = "FACTOR", value_parser = values::count::<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspicion_multiplier: Option<u64>,

    /// Longest suspicion timeout as a multiple of the shortest [6 / 6 / 6]
    #[arg(long, value_name = "FACTOR", value_parser = values::count::<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspicion_max_timeout_multiplier: Option<u64>,

    /// How long a suspect has to refute: a constant, or from the measured spread [lifeguard x 3]
    #[arg(long, value_name = "MODE", value_parser = clap::builder::PossibleValuesParser::new(["lifeguard", "adaptive"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspicion: Option<String>,

    /// Shortest window of adaptive suspicion, in ms [2000 / 10000 / 2000]
    #[arg(long, value_name = "MS", value_parser = values::millis)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspicion_floor_ms: Option<u64>,

    /// Chance that a suspect which lives cannot answer in an adaptive window [1e-6 x 3]
    #[arg(long, value_name = "CHANCE", value_parser = values::number)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_death_bound: Option<f64>,

    /// Time between two gossip ticks, in ms [200 / 500 / 100]
    #[arg(long, value_name = "MS", value_parser = values::millis)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gossip_interval_ms: Option<u64>,

    /// Members gossiped to in one tick [3 / 4 / 3]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gossip_fanout: Option<u64>,

    /// How long the dead are still gossiped to, in ms [30000 / 60000 / 15000]
    #[arg(long, value_name = "MS", value_parser = values::millis)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gossip_to_the_dead_ms: Option<u64>,

    /// Retransmissions of an update in log10(members) [4 / 4 / 2]
    #[arg(long, value_name = "FACTOR", value_parser = values::count::<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmit_multiplier: Option<u64>,

    /// Time between two push/pull exchanges, in ms; 0 turns them off [30000 / 60000 / 15000]
    #[arg(long, value_name = "MS", value_parser = values::millis)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_pull_interval_ms: Option<u64>,

    /// Time allowed for one stream exchange, in ms [10000 / 30000 / 1000]
    #[arg(long, value_name = "MS", value_parser = values::millis)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_timeout_ms: Option<u64>,

    /// Whether a failed probe is also tried over a stream [true / true / true]
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_fallback: Option<bool>,

    /// Longest datagram, in bytes; lower it to what a path takes that does not say so [1400 x 3]
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_bytes_max: Option<u64>,
}

impl ProtocolSettings {
    /// Every setting's name, as the settings file and the report spell it.
    pub const NAMES: [&'static str; 17] = [
        "probe_interval_ms",
        "probe_timeout_ms",
        "indirect_checks",
        "local_health_max",
        "suspicion_multiplier",
        "suspicion_max_timeout_multiplier",
        "suspicion",
        "suspicion_floor_ms",
        "false_death_bound",
        "gossip_interval_ms",
        "gossip_fanout",
        "gossip_to_the_dead_ms",
        "retransmit_multiplier",
        "push_pull_interval_ms",
        "stream_timeout_ms",
        "stream_fallback",
        "frame_bytes_max",
    ];

    /// The settings that were given, by name.
    pub fn given(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// These settings, and `fallback`'s where these give nothing.
    pub fn or(self, fallback: ProtocolSettings) -> ProtocolSettings {
        ProtocolSettings {
            probe_interval_ms: self.probe_interval_ms.or(fallback.probe_interval_ms),
            probe_timeout_ms: self.probe_timeout_ms.or(fallback.probe_timeout_ms),
            indirect_checks: self.indirect_checks.or(fallback.indirect_checks),
            local_health_max: self.local_health_max.or(fallback.local_health_max),
            suspicion_multiplier: self.suspicion_multiplier.or(fallback.suspicion_multiplier),
            suspicion_max_timeout_multiplier: self
                .suspicion_max_timeout_multiplier
                .or(fallback.suspicion_max_timeout_multiplier),
            suspicion: self.suspicion.or(fallback.suspicion),
            suspicion_floor_ms: self.suspicion_floor_ms.or(fallback.suspicion_floor_ms),
            false_death_bound: self.false_death_bound.or(fallback.false_death_bound),
            gossip_interval_ms: self.gossip_interval_ms.or(fallback.gossip_interval_ms),
            gossip_fanout: self.gossip_fanout.or(fallback.gossip_fanout),
            gossip_to_the_dead_ms: self.gossip_to_the_dead_ms.or(fallback.gossip_to_the_dead_ms),
            retransmit_multiplier: self.retransmit_multiplier.or(fallback.retransmit_multiplier),
            push_pull_interval_ms: self.push_pull_interval_ms.or(fallback.push_pull_interval_ms),
            stream_timeout_ms: self.stream_timeout_ms.or(fallback.stream_timeout_ms),
            stream_fallback: self.stream_fallback.or(fallback.stream_fallback),
            frame_bytes_max: self.frame_bytes_max.or(fallback.frame_bytes_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_given() -> ProtocolSettings {
        let values = ProtocolSettings::NAMES.iter().enumerate().map(|(index, name)| {
            let value = match *name {
                "stream_fallback" => Value::from(true),
                "suspicion" => Value::from("adaptive"),
                "false_death_bound" => Value::from(0.5),
                _ => Value::from(index + 1),
            };
            ((*name).to_owned(), value)
        });
        serde_json::from_value(Value::Object(values.collect())).unwrap()
    }

    #[test]
    fn the_list_of_names_is_complete() {
        let mut names = ProtocolSettings::NAMES.to_vec();
        names.sort_unstable();
        assert_eq!(all_given().given().keys().map(String::as_str).collect::<Vec<_>>(), names);
    }

    #[test]
    fn only_what_was_given_is_listed() {
        assert!(ProtocolSettings::default().given().is_empty());
        let one = ProtocolSettings { gossip_fanout: Some(5), ..ProtocolSettings::default() };
        assert_eq!(serde_json::to_string(&one.given()).unwrap(), r#"{"gossip_fanout":5}"#);
    }

    #[test]
    fn a_merge_keeps_the_first_and_fills_every_gap() {
        let first = ProtocolSettings { gossip_fanout: Some(99), ..ProtocolSettings::default() };
        let merged = first.or(all_given());
        assert_eq!(merged, ProtocolSettings { gossip_fanout: Some(99), ..all_given() });
        assert_eq!(ProtocolSettings::default().or(all_given()), all_given());
        assert_eq!(all_given().or(ProtocolSettings::default()), all_given());
    }
}
