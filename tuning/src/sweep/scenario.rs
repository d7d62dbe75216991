//! One simulated cluster, every property of it set by name.
//!
//! Flags, the scenario file, and sweeps all set things by name through [`Scenario::set`], so all of them know
//! the same names and refuse the same values in the same words.

use std::time::Duration;

use serde_json::{Value, json};
use swimring::protocol::settings::Dissemination;
use swimring::protocol::{Behaviour, SETTINGS};
use swimring::settings_file::hint;
use swimring::{Preset, Settings};
use swimring_loadgen::cli::protocol;
use swimring_simulation::experiment::{Impairment, TrialOptions, Wakes, WireSizes};
use swimring_tooling::values;

use super::impaired;
use crate::objective::{Network, network};

/// Members that crash unless it is said, where the cluster is large enough.
const CRASHES_DEFAULT: u32 = 10;

/// A cluster to simulate.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Members.
    pub members: u32,
    /// The settings of every member.
    pub settings: Settings,
    /// Loss and latency.
    pub network: Network,
    /// Further impairments of some members.
    pub impaired: Vec<Impairment>,
    /// Wire format that messages are sized by.
    pub wire: WireSizes,
    /// Protocol that the members follow.
    pub behaviour: Behaviour,
    /// Members that crash in the first two thirds. Nothing: as many as [`Scenario::crashes`] has it.
    pub crashes: Option<u32>,
    /// User events, per second in the whole cluster.
    pub events_per_second: f64,
    /// Payload of an event.
    pub event_bytes: u16,
    /// Before the measured time.
    pub warm_up: Duration,
    /// The measured time.
    pub duration: Duration,
    /// Times at which members may act.
    pub wakes: Wakes,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            members: 1000,
            settings: Settings::default(),
            network: Network { rtt_ms: 1.0, ..Network::default() },
            impaired: Vec::new(),
            wire: WireSizes::Native,
            behaviour: Behaviour::swimring(),
            crashes: None,
            events_per_second: 1.0,
            event_bytes: 32,
            warm_up: Duration::from_secs(5),
            duration: Duration::from_secs(60),
            wakes: Wakes::Exact,
        }
    }
}

impl Scenario {
    /// The names that are no protocol settings.
    pub const NAMES: [&'static str; 18] = [
        "members",
        "preset",
        "loss",
        "rtt_ms",
        "rtt_sigma",
        "zones",
        "zone_rtt_ms",
        "regions",
        "slow_share",
        "impaired",
        "wire",
        "behaviour",
        "crashes",
        "events",
        "event_bytes",
        "warm_up",
        "duration",
        "wakes",
    ];

    /// Says one thing. `preset` replaces all protocol settings, so it has to come before them; `impaired` adds.
    ///
    /// # Errors
    /// One line with the name and the mend.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let named = |fault: String| format!("{name}: {fault}");
        match name {
            "members" => self.members = number(name, text)?,
            "preset" => self.settings = Settings::preset(text.parse::<Preset>().map_err(|e| e.to_string())?),
            "loss" => self.network.loss = values::share(text).map_err(named)?,
            "rtt_ms" => self.network.rtt_ms = within(name, text, 0.002, 20_000.0)?,
            "rtt_sigma" => self.network.rtt_sigma = within(name, text, 0.0, 1.4)?,
            "zones" => self.network.zones = number(name, text)?,
            "zone_rtt_ms" => self.network.zone_rtt_ms = within(name, text, 0.0, 20_000.0)?,
            "regions" => self.network.regions = Some(network::regions(text).map_err(named)?),
            "slow_share" => self.network.slow_share = values::share(text).map_err(named)?,
            "impaired" => self.impaired.push(impaired::parse(text).map_err(named)?),
            "wire" => self.wire = wire(text)?,
            "behaviour" => self.behaviour = text.parse::<Behaviour>().map_err(|error| error.to_string())?,
            "crashes" => self.crashes = Some(number(name, text)?),
            "events" => self.events_per_second = values::rate(text).map_err(named)?.per_second,
            "event_bytes" => self.event_bytes = number(name, text)?,
            "warm_up" => self.warm_up = values::duration(text).map_err(named)?,
            "duration" => self.duration = values::duration(text).map_err(named)?,
            "wakes" if text == "exact" => self.wakes = Wakes::Exact,
            "wakes" => self.wakes = Wakes::Every(values::duration(text).map_err(named)?),
            _ => set_protocol(&mut self.settings, name, text)?,
        }
        Ok(())
    }

    /// Members that crash: unless it was said, 10, but at most a tenth of the members, and at least one.
    pub fn crashes(&self) -> u32 {
        self.crashes.unwrap_or_else(|| CRASHES_DEFAULT.min((self.members / 10).max(1)))
    }

    /// The settings as its members follow them: on memberlist's wire they gossip whatever is set.
    pub fn settings_in_force(&self) -> Settings {
        let dissemination = match self.wire {
            WireSizes::Native => self.settings.dissemination,
            WireSizes::Memberlist => Dissemination::Gossip,
        };
        Settings { dissemination, ..self.settings.clone() }
    }

    /// The trial with this `seed`.
    pub fn trial(&self, seed: u64) -> TrialOptions {
        let mut impaired = self.network.impaired(self.members);
        impaired.extend(self.impaired.iter().copied());
        TrialOptions {
            seed,
            settings: self.settings_in_force(),
            wire: self.wire,
            behaviour: self.behaviour,
            warm_up: self.warm_up,
            duration: self.duration,
            latency: self.network.latency(),
            zones: self.network.zones,
            zone_delay: self.network.zone_delay(),
            loss: self.network.loss,
            impaired,
            crashes: self.crashes(),
            events_per_second: self.events_per_second,
            event_bytes: self.event_bytes,
            wakes: self.wakes,
            ..TrialOptions::new(seed, self.members)
        }
    }

    /// Checks all of it together.
    ///
    /// # Errors
    /// One line.
    pub fn validate(&self) -> Result<(), String> {
        let network = &self.network;
        if network.zones > 1 && self.wire == WireSizes::Memberlist {
            return Err(
                "zones: memberlist's wire knows no zones: leave them out, or wire memberlist".to_owned()
            );
        }
        if network.zones > 1 && network.regions.is_some() {
            return Err("zones: regions have places of their own: leave one out".to_owned());
        }
        self.trial(1).validate().map_err(|error| error.to_string())
    }

    /// Everything, by name: what a result was made from.
    pub fn to_value(&self) -> Value {
        let network = &self.network;
        let regions = network.regions.as_ref().map(|map| {
            json!({ "names": map.names, "one_way_ms": map.one_way_ms, "sigma": map.sigma, "weights": map.weights })
        });
        json!({
            "members": self.members,
            "settings": self.settings_in_force(),
            "loss": network.loss,
            "rtt_ms": network.rtt_ms,
            "rtt_sigma": network.rtt_sigma,
            "zones": network.zones,
            "zone_rtt_ms": network.zone_rtt_ms,
            "regions": regions,
            "slow_share": network.slow_share,
            "impaired": self.impaired.iter().map(impaired::typed).collect::<Vec<_>>(),
            "wire": self.wire,
            "behaviour": self.behaviour.to_string(),
            "crashes": self.crashes(),
            "events_per_second": self.events_per_second,
            "event_bytes": self.event_bytes,
            "warm_up_s": self.warm_up.as_secs_f64(),
            "duration_s": self.duration.as_secs_f64(),
            "wakes": match self.wakes {
                Wakes::Exact => "exact".to_owned(),
                Wakes::Every(grain) => format!("{}us", grain.as_micros()),
            },
        })
    }
}

/// Changes one protocol setting by the name it has in files.
fn set_protocol(settings: &mut Settings, name: &str, text: &str) -> Result<(), String> {
    let Ok(setting) = Settings::named(name) else {
        let known = SETTINGS.iter().map(|setting| setting.name).chain(Scenario::NAMES);
        return Err(format!("unknown setting {name}{}", hint(name, known)));
    };
    // It was typed, not written into a file: what it is can be seen.
    let told = |fault: String| format!("{name}: {text}: {fault}");
    let value = protocol::parse(setting, text).map_err(told)?;
    settings.set_value(setting, value).map_err(|error| told(error.required()))
}

fn number<T: TryFrom<u64>>(name: &str, text: &str) -> Result<T, String> {
    values::count(text).map_err(|fault| format!("{name}: {text}: {fault}"))
}

fn within(name: &str, text: &str, lowest: f64, highest: f64) -> Result<f64, String> {
    let value: f64 = text.trim().parse().map_err(|_| format!("{name}: {text} is not a number"))?;
    if (lowest..=highest).contains(&value) {
        return Ok(value);
    }
    Err(format!("{name}: has to be between {lowest} and {highest}, and is {text}"))
}

fn wire(text: &str) -> Result<WireSizes, String> {
    let named = |wire: &WireSizes| wire.as_str() == text;
    let found = WireSizes::ALL.into_iter().find(named);
    found.ok_or_else(|| format!("wire: {text} is neither native nor memberlist"))
}
