//! Closed forms: what settings give, computed instead of measured.
//!
//! One file for each question, opening with its derivation and source; [`predict`] puts them together. It
//! takes as long for ten members as for a million, and so little that a search may ask it tens of thousands of times.
//! Each form is compared with a small experiment of its own in its tests, and with the whole protocol in
//! the simulator by [`crate::compare`].
//!
//! What no form here knows: members that are slow, links that differ, partitions, churn beyond single
//! crashes. There the simulator has to be asked.

pub mod adaptive;
pub mod cpu;
pub mod delegation;
pub mod detection;
pub mod false_positives;
mod prediction;
pub mod reach;
pub mod rounds;
pub mod serf;
pub mod special;
pub mod spread;
mod stream_probe;
pub mod suspicion;
pub mod telling;
pub mod traffic;

pub use prediction::{Prediction, declared_of, predict, predict_known, telling_of};
use serde::{Deserialize, Serialize};
use swimring_simulation::experiment::{WireSizes, zones_max};

/// What the settings have to work in. The default: 100 members, no loss, a fixed round trip of 1 ms,
/// nothing to tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Environment {
    /// Members. At least 2.
    pub members: u32,
    /// Share of packets lost, datagrams and those of streams, each independently. 0 to 0.95.
    pub loss: f64,
    /// Median round trip in milliseconds. Above 0.
    pub rtt_median_ms: f64,
    /// Standard deviation of the round trip's natural logarithm. 0: always the median. 0 to 2.
    pub rtt_sigma: f64,
    /// Zones of like size that members are in, which they tell each other; 1 for none. 1 to 255, at most half of the members.
    pub zones: u32,
    /// What a round trip to another zone takes longer than one within, in milliseconds. 0 to 20,000.
    pub zone_rtt_ms: f64,
    /// Wire format that messages are sized by.
    pub wire: WireSizes,
    /// User events per second in the whole cluster.
    pub events_per_second: f64,
    /// Payload of one.
    pub event_bytes: u16,
    /// Members that crash per hour, in the whole cluster.
    pub failures_per_hour: f64,
    /// Bytes of a member's name, which memberlist's messages carry. 1 to 128. Default 12.
    pub name_bytes: u8,
    /// CPU microseconds for a datagram sent and one received: see [`cpu`]. Default that of a member alone.
    pub cpu_us_per_datagram: f64,
}

impl Default for Environment {
    fn default() -> Environment {
        Environment {
            members: 100,
            loss: 0.0,
            rtt_median_ms: 1.0,
            rtt_sigma: 0.0,
            zones: 1,
            zone_rtt_ms: 0.0,
            wire: WireSizes::Native,
            events_per_second: 0.0,
            event_bytes: 32,
            failures_per_hour: 0.0,
            name_bytes: 12,
            cpu_us_per_datagram: cpu::LONE_US_PER_DATAGRAM,
        }
    }
}

impl Environment {
    /// Checks every field.
    ///
    /// # Errors
    /// One line that names the field and what it has to be.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: f64, lowest: f64, highest: f64| {
            if (lowest..=highest).contains(&value) {
                return Ok(());
            }
            Err(format!("{name} has to be between {lowest} and {highest}, and is {value}"))
        };
        within("members", self.members.into(), 2.0, 10_000_000.0)?;
        within("loss", self.loss, 0.0, 0.95)?;
        within("rtt_median_ms", self.rtt_median_ms, 0.001, 60_000.0)?;
        within("rtt_sigma", self.rtt_sigma, 0.0, 2.0)?;
        within("zones", self.zones.into(), 1.0, zones_max(self.members).into())?;
        within("zone_rtt_ms", self.zone_rtt_ms, 0.0, 20_000.0)?;
        within("events_per_second", self.events_per_second, 0.0, 1e6)?;
        within("event_bytes", self.event_bytes.into(), 0.0, 512.0)?;
        within("failures_per_hour", self.failures_per_hour, 0.0, 1e9)?;
        within("name_bytes", self.name_bytes.into(), 1.0, 128.0)?;
        within("cpu_us_per_datagram", self.cpu_us_per_datagram, 0.0, 1e6)
    }

    /// As a member has it whose every probe is of another zone: most are, and the others are answered sooner.
    #[must_use]
    pub fn to_another_zone(&self) -> Environment {
        if self.zones <= 1 {
            return self.clone();
        }
        let rtt_median_ms = self.rtt_median_ms + self.zone_rtt_ms;
        // What varies is the part within a zone.
        let rtt_sigma = self.rtt_sigma * self.rtt_median_ms / rtt_median_ms;
        Environment { rtt_median_ms, rtt_sigma, zones: 1, zone_rtt_ms: 0.0, ..self.clone() }
    }

    /// The share of the other members that are in other zones.
    pub fn in_other_zones(&self) -> f64 {
        let (members, zones) = (f64::from(self.members.max(2)), f64::from(self.zones.max(1)));
        (members - members / zones) / (members - 1.0)
    }

    /// The same with round trips made of two ways that are log-normal with this one-way median, in
    /// milliseconds, and sigma (their sum by Fenton and Wilkinson's moments).
    pub fn with_one_way(self, median_ms: f64, sigma: f64) -> Environment {
        let mean = 2.0 * median_ms * (sigma * sigma / 2.0).exp();
        let both = (((sigma * sigma).exp() - 1.0) / 2.0).ln_1p();
        Environment { rtt_median_ms: mean * (-both / 2.0).exp(), rtt_sigma: both.sqrt(), ..self }
    }
}
