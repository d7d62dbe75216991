//! What settings are judged by: each measure with its name, its unit and how it is written.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use swimring_tooling::text::significant;

/// Something that settings achieve or cost. Less is better, of all of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Time from a crash to the first live member that holds it dead: half of the crashes, seconds.
    DetectP50,
    /// The same of 99 % of the crashes.
    DetectP99,
    /// Time from a crash until all live members hold it dead, 99 % of the crashes, seconds.
    DetectAllP99,
    /// Time from a user event to its delivery, 99 % of the deliveries, milliseconds.
    SpreadP99,
    /// Payload of the datagrams that a member sends, bytes per second.
    Bytes,
    /// CPU time of a member, microseconds per second.
    Cpu,
    /// Members wrongly held dead by someone, per day in the whole cluster.
    FalseDeaths,
}

impl Measure {
    /// All of them, as they are listed.
    pub const ALL: [Measure; 7] = [
        Measure::DetectP50,
        Measure::DetectP99,
        Measure::DetectAllP99,
        Measure::SpreadP99,
        Measure::Bytes,
        Measure::Cpu,
        Measure::FalseDeaths,
    ];

    /// The flag of the limit on it, which is also what people know it by.
    pub const fn name(self) -> &'static str {
        match self {
            Measure::DetectP50 => "detect-p50",
            Measure::DetectP99 => "detect-p99",
            Measure::DetectAllP99 => "detect-all-p99",
            Measure::SpreadP99 => "spread-p99",
            Measure::Bytes => "max-bytes-per-second",
            Measure::Cpu => "max-cpu-us",
            Measure::FalseDeaths => "false-deaths-per-day",
        }
    }

    /// Its name for `--minimise`.
    pub const fn short(self) -> &'static str {
        match self {
            Measure::Bytes => "bytes",
            Measure::Cpu => "cpu",
            Measure::FalseDeaths => "false-deaths",
            other => other.name(),
        }
    }

    /// What it is, in a few words. Its unit comes with the value.
    pub const fn title(self) -> &'static str {
        match self {
            Measure::DetectP50 => "detection p50",
            Measure::DetectP99 => "detection p99",
            Measure::DetectAllP99 => "detection by all, p99",
            Measure::SpreadP99 => "event spread p99",
            Measure::Bytes => "traffic of a member",
            Measure::Cpu => "CPU time of a member",
            Measure::FalseDeaths => "false deaths",
        }
    }

    /// Whether it says what settings cost, rather than how fast they are.
    pub const fn is_cost(self) -> bool {
        matches!(self, Measure::Bytes | Measure::Cpu | Measure::FalseDeaths)
    }

    /// A value of it, with its unit.
    pub fn show(self, value: f64) -> String {
        if !value.is_finite() {
            return "never".to_owned();
        }
        match self {
            Measure::DetectP50 | Measure::DetectP99 | Measure::DetectAllP99 => {
                format!("{} s", significant(value))
            }
            Measure::SpreadP99 => format!("{} ms", significant(value)),
            Measure::Bytes => format!("{} B/s", significant(value)),
            Measure::Cpu => format!("{} us/s", significant(value)),
            Measure::FalseDeaths => format!("{}/day", rare(value)),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rate that may be far below anything that happens.
fn rare(value: f64) -> String {
    if value < 1e-9 { "< 1e-9".to_owned() } else { significant(value) }
}

/// A value for every measure, and what else is told beside them.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measures {
    /// [`Measure::DetectP50`], seconds.
    pub detect_p50_s: f64,
    /// [`Measure::DetectP99`], seconds.
    pub detect_p99_s: f64,
    /// [`Measure::DetectAllP99`], seconds.
    pub detect_all_p99_s: f64,
    /// Half of the deliveries of a user event, milliseconds.
    pub spread_p50_ms: f64,
    /// [`Measure::SpreadP99`], milliseconds.
    pub spread_p99_ms: f64,
    /// [`Measure::Bytes`].
    pub bytes_per_member_second: f64,
    /// Datagrams that a member sends per second.
    pub datagrams_per_member_second: f64,
    /// [`Measure::Cpu`].
    pub cpu_us_per_member_second: f64,
    /// [`Measure::FalseDeaths`].
    pub false_deaths_per_day: f64,
}

impl Measures {
    /// The value of `measure`.
    pub fn get(&self, measure: Measure) -> f64 {
        match measure {
            Measure::DetectP50 => self.detect_p50_s,
            Measure::DetectP99 => self.detect_p99_s,
            Measure::DetectAllP99 => self.detect_all_p99_s,
            Measure::SpreadP99 => self.spread_p99_ms,
            Measure::Bytes => self.bytes_per_member_second,
            Measure::Cpu => self.cpu_us_per_member_second,
            Measure::FalseDeaths => self.false_deaths_per_day,
        }
    }

    /// The place of `measure`'s value.
    pub fn get_mut(&mut self, measure: Measure) -> &mut f64 {
        match measure {
            Measure::DetectP50 => &mut self.detect_p50_s,
            Measure::DetectP99 => &mut self.detect_p99_s,
            Measure::DetectAllP99 => &mut self.detect_all_p99_s,
            Measure::SpreadP99 => &mut self.spread_p99_ms,
            Measure::Bytes => &mut self.bytes_per_member_second,
            Measure::Cpu => &mut self.cpu_us_per_member_second,
            Measure::FalseDeaths => &mut self.false_deaths_per_day,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_has_a_value_of_its_own() {
        let mut measures = Measures {
            detect_p50_s: 0.0,
            detect_p99_s: 0.0,
            detect_all_p99_s: 0.0,
            spread_p50_ms: 0.0,
            spread_p99_ms: 0.0,
            bytes_per_member_second: 0.0,
            datagrams_per_member_second: 0.0,
            cpu_us_per_member_second: 0.0,
            false_deaths_per_day: 0.0,
        };
        for (index, measure) in Measure::ALL.into_iter().enumerate() {
            *measures.get_mut(measure) = index as f64 + 1.0;
        }
        for (index, measure) in Measure::ALL.into_iter().enumerate() {
            assert_eq!(measures.get(measure), index as f64 + 1.0, "{measure}");
        }
    }

    #[test]
    fn values_are_shown_with_their_units() {
        assert_eq!(Measure::DetectP99.show(4.214), "4.21 s");
        assert_eq!(Measure::SpreadP99.show(812.4), "812 ms");
        assert_eq!(Measure::Bytes.show(3100.2), "3,100 B/s");
        assert_eq!(Measure::FalseDeaths.show(0.0), "< 1e-9/day");
        assert_eq!(Measure::DetectP50.show(f64::INFINITY), "never");
    }
}
