//! An objective as it is typed: flags, or a TOML file whose keys are the flags with underscores.
//!
//! A file's values go through the same parsers as the flags', so both are refused in the same words. Flags win.

use std::path::Path;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, Parser};
use swimring::ClusterOptions;
use swimring::settings_file::value::kind;
use swimring::settings_file::{hint, read_bounded, toml_fault};
use swimring_tooling::refusal::one_line;
use swimring_tooling::values::{self, Rate};

use super::{Measure, Target};

/// The longest objective file read.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// The flags of an objective. `None` is what was not given.
#[derive(Args, Clone, Debug, Default)]
pub struct ObjectiveArguments {
    /// Members of the cluster, 2 to 1,000,000
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = values::count::<u32>, help_heading = "Network")]
    pub members: Option<u32>,

    /// Share of all datagrams that are lost: 1% or 0.01 [default: 0%]
    #[arg(long, value_name = "SHARE", value_parser = values::share, help_heading = "Network")]
    pub loss: Option<f64>,

    /// Median round trip between two members in milliseconds [default: 0.5]
    #[arg(long, value_name = "MS", value_parser = values::number, allow_hyphen_values = true, help_heading = "Network")]
    pub rtt_ms: Option<f64>,

    /// How the round trips vary: standard deviation of their logarithm [default: 0.3]
    #[arg(long, value_name = "SIGMA", value_parser = values::number, allow_hyphen_values = true, help_heading = "Network")]
    pub rtt_sigma: Option<f64>,

    /// Zones of like size that the members are in, and tell each other: 1 for none, up to 255 [default: 1]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<u32>, help_heading = "Network")]
    pub zones: Option<u32>,

    /// With --zones: what a round trip to another zone takes longer, in milliseconds [default: 0]
    #[arg(long, value_name = "MS", value_parser = values::number, allow_hyphen_values = true, help_heading = "Network")]
    pub zone_rtt_ms: Option<f64>,

    /// Round trips from a map of regions instead: builtin, or a TOML file
    #[arg(long, value_name = "MAP", help_heading = "Network")]
    pub regions: Option<String>,

    /// Share of members that stop for 2 s again and again [default: 0%]
    #[arg(long, value_name = "SHARE", value_parser = values::share, help_heading = "Network")]
    pub slow_share: Option<f64>,

    /// User events in the whole cluster: 1/s, 10/m [default: 0]
    #[arg(long, value_name = "RATE", value_parser = values::rate, help_heading = "Network")]
    pub events: Option<Rate>,

    /// Crashes in the whole cluster, which make news too: 2/h, 1/m [default: 10/h, at most
    /// one for ten members]
    #[arg(long, value_name = "RATE", value_parser = values::rate, help_heading = "Network")]
    pub failures: Option<Rate>,

    /// Half of the crashes are noticed by someone within this time
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = "Limits")]
    pub detect_p50: Option<Duration>,

    /// 99 % of the crashes are noticed by someone within this time
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = "Limits")]
    pub detect_p99: Option<Duration>,

    /// 99 % of the crashes are known to all within this time
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = "Limits")]
    pub detect_all_p99: Option<Duration>,

    /// 99 % of the deliveries of a user event take at most this
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = "Limits")]
    pub spread_p99: Option<Duration>,

    /// Most bytes that a member sends per second, without IP and UDP headers
    #[arg(long, value_name = "BYTES", value_parser = values::number, allow_hyphen_values = true, help_heading = "Limits")]
    pub max_bytes_per_second: Option<f64>,

    /// Most CPU time of a member, microseconds per second
    #[arg(long, value_name = "US", value_parser = values::number, allow_hyphen_values = true, help_heading = "Limits")]
    pub max_cpu_us: Option<f64>,

    /// Most cores for all members together, where they share a machine
    #[arg(long, value_name = "CORES", value_parser = values::number, allow_hyphen_values = true, help_heading = "Limits")]
    pub max_cores: Option<f64>,

    /// Most members wrongly held dead per day in the whole cluster [default: 0.1]
    #[arg(long, value_name = "COUNT", value_parser = values::number, allow_hyphen_values = true, help_heading = "Limits")]
    pub false_deaths_per_day: Option<f64>,

    /// What to make as small as the limits allow [default: bytes]
    #[arg(long, value_name = "MEASURE", value_parser = measure(), help_heading = "Search")]
    pub minimise: Option<Measure>,

    /// Whose settings: all of swimring's, memberlist's Config, Serf's profiles or Consul's gossip_lan
    /// [default: swimring]
    #[arg(long = "for", value_name = "PROGRAM", value_enum, help_heading = "Search")]
    pub target: Option<Target>,
}

/// Only to parse these flags by themselves.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Bare {
    #[command(flatten)]
    objective: ObjectiveArguments,
}

fn measure() -> impl TypedValueParser<Value = Measure> {
    let of = |text: String| Measure::ALL.into_iter().find(|measure| measure.short() == text).ok_or(text);
    PossibleValuesParser::new(Measure::ALL.map(Measure::short)).try_map(of)
}

impl ObjectiveArguments {
    /// Reads an objective file. The error is one line that starts with the flag and the file.
    pub fn read(path: &Path) -> Result<ObjectiveArguments, String> {
        let named = |fault: String| format!("--config {}: {fault}", path.display());
        let text = read_bounded(path, FILE_MAX_BYTES, "objective").map_err(named)?;
        ObjectiveArguments::parse(&text).map_err(named)
    }

    /// Reads an objective file's text. The error is one line without the file's name.
    pub fn parse(text: &str) -> Result<ObjectiveArguments, String> {
        let table: toml::Table = toml::from_str(text).map_err(|error| toml_fault(text, &error))?;
        let known: Vec<String> = Bare::command()
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .filter(|long| *long != "help")
            .map(|long| long.replace('-', "_"))
            .collect();
        let of_a_member: Vec<&str> =
            table.keys().map(String::as_str).filter(|key| ClusterOptions::has_key(key)).collect();
        if !of_a_member.is_empty() {
            return Err(format!(
                "a member's settings file, it seems (it has {}): an objective has members and limits, like \
                 detect_p99 = \"5s\"",
                of_a_member.join(", ")
            ));
        }
        let mut flags = Vec::new();
        for (key, value) in table {
            if !known.contains(&key) {
                return Err(format!("unknown key {key}{}", hint(&key, known.iter().map(String::as_str))));
            }
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(number) => number.to_string(),
                other => return Err(format!("{key}: cannot be {}", kind(&other))),
            };
            flags.push(format!("--{}={value}", key.replace('_', "-")));
        }
        Bare::try_parse_from(flags).map(|bare| bare.objective).map_err(|error| one_line::<Bare>(&error))
    }

    /// These, and `fallback`'s where these give nothing.
    #[must_use]
    pub fn or(self, fallback: ObjectiveArguments) -> ObjectiveArguments {
        // A round trip on the command line replaces a file's map of regions, and the other way round.
        let regions = if self.rtt_ms.is_some() { None } else { fallback.regions };
        let rtt_ms = if self.regions.is_some() { None } else { fallback.rtt_ms };
        let rtt_sigma = if self.regions.is_some() { None } else { fallback.rtt_sigma };
        let zones = if self.regions.is_some() { None } else { fallback.zones };
        // Whoever says that there are none is not asked to take back what lay between them.
        let zoneless = self.regions.is_some() || self.zones == Some(1);
        let zone_rtt_ms = if zoneless { None } else { fallback.zone_rtt_ms };
        let max_cores = if self.max_cpu_us.is_some() { None } else { fallback.max_cores };
        let max_cpu_us = if self.max_cores.is_some() { None } else { fallback.max_cpu_us };
        ObjectiveArguments {
            members: self.members.or(fallback.members),
            loss: self.loss.or(fallback.loss),
            rtt_ms: self.rtt_ms.or(rtt_ms),
            rtt_sigma: self.rtt_sigma.or(rtt_sigma),
            zones: self.zones.or(zones),
            zone_rtt_ms: self.zone_rtt_ms.or(zone_rtt_ms),
            regions: self.regions.or(regions),
            slow_share: self.slow_share.or(fallback.slow_share),
            events: self.events.or(fallback.events),
            failures: self.failures.or(fallback.failures),
            detect_p50: self.detect_p50.or(fallback.detect_p50),
            detect_p99: self.detect_p99.or(fallback.detect_p99),
            detect_all_p99: self.detect_all_p99.or(fallback.detect_all_p99),
            spread_p99: self.spread_p99.or(fallback.spread_p99),
            max_bytes_per_second: self.max_bytes_per_second.or(fallback.max_bytes_per_second),
            max_cpu_us: self.max_cpu_us.or(max_cpu_us),
            max_cores: self.max_cores.or(max_cores),
            false_deaths_per_day: self.false_deaths_per_day.or(fallback.false_deaths_per_day),
            minimise: self.minimise.or(fallback.minimise),
            target: self.target.or(fallback.target),
        }
    }
}
