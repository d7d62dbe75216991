//! What was said of a scenario: by flags, `--set`, and a scenario file, each with where it was said, so that a fault is told there.

use std::path::{Path, PathBuf};

use swimring::ClusterOptions;
use swimring::protocol::settings::SuspicionMode;
use swimring::settings_file::value::kind;
use swimring::settings_file::{read_bounded, toml_fault};
use swimring_simulation::experiment::WireSizes;

use crate::sweep::{Scenario, Sweep};

/// The longest scenario file read.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Flag,
    Set,
    File(PathBuf),
}

/// One thing said about the scenario.
#[derive(Clone, Debug)]
pub(super) struct Saying {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) place: Place,
}

pub(super) type Said = Vec<Saying>;

impl Saying {
    /// A fault of it, with where it was said.
    fn blamed(&self, fault: &str) -> String {
        match &self.place {
            Place::File(path) => format!("--scenario {}: {fault}", path.display()),
            Place::Set => format!("--set {fault}"),
            Place::Flag => match fault.strip_prefix(&self.name).filter(|rest| rest.starts_with([':', ' '])) {
                Some(rest) => format!("--{}{rest}", self.name.replace('_', "-")),
                None => fault.to_owned(),
            },
        }
    }
}

/// The scenario that was said.
pub(super) fn assemble(said: &Said) -> Result<Scenario, String> {
    let mut scenario = Scenario::default();
    // A preset replaces all settings, so it goes first wherever it was said; of several the last wins.
    let preset = said.iter().rev().find(|saying| saying.name == "preset");
    for saying in preset.into_iter().chain(said.iter().filter(|saying| saying.name != "preset")) {
        scenario.set(&saying.name, &saying.value).map_err(|fault| saying.blamed(&fault))?;
    }
    Ok(scenario)
}

/// A fault of the whole, with where that was said which it is about.
pub(super) fn said_by(said: &Said, fault: String) -> String {
    let words: Vec<&str> = fault.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let about = said.iter().rev().find(|saying| words.contains(&saying.name.as_str()));
    match about {
        Some(saying) => saying.blamed(fault.strip_prefix("settings: ").unwrap_or(&fault)),
        None => fault,
    }
}

/// What was said and changes nothing: one line each.
pub(super) fn doubts(said: &Said, sweeps: &[Sweep], scenario: &Scenario) -> Vec<String> {
    let is_swept = |name: &str| sweeps.iter().any(|sweep| sweep.name == name);
    let native = scenario.wire == WireSizes::Native;
    let adaptive = scenario.settings.suspicion.on(native) == SuspicionMode::Adaptive || is_swept("suspicion");
    let events = scenario.events_per_second > 0.0 || is_swept("events");
    let doubt = |saying: &Saying| {
        let why = match saying.name.as_str() {
            "suspicion_floor_ms" | "unreachable_floor_ms" | "false_death_bound" if !adaptive => {
                "with suspicion lifeguard"
            }
            "event_bytes" if !events => "for no events are sent",
            "rtt_ms" | "rtt_sigma" if scenario.network.regions.is_some() => {
                "beside regions, which have round trips of their own"
            }
            "zone_rtt_ms" if scenario.network.zones <= 1 && !is_swept("zones") => "without zones",
            _ => return None,
        };
        Some(saying.blamed(&format!("{}: has no effect {why}", saying.name)))
    };
    said.iter().filter_map(doubt).collect()
}

/// Reads a scenario file: what it says, and its sweeps.
pub(super) fn read_file(path: &Path) -> Result<(Said, Vec<Sweep>), String> {
    let named = |fault: String| format!("--scenario {}: {fault}", path.display());
    let text = read_bounded(path, FILE_MAX_BYTES, "scenario").map_err(named)?;
    let (said, sweeps) = parse_file(&text).map_err(named)?;
    let place = Place::File(path.to_owned());
    let said = said.into_iter().map(|(name, value)| Saying { name, value, place: place.clone() });
    Ok((said.collect(), sweeps))
}

/// What a scenario file says, and its sweeps.
type Parsed = (Vec<(String, String)>, Vec<Sweep>);

fn parse_file(text: &str) -> Result<Parsed, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| toml_fault(text, &error))?;
    let is_of_a_member = |key: &&str| ClusterOptions::has_key(key) && !Scenario::NAMES.contains(key);
    let of_a_member: Vec<&str> = table.keys().map(String::as_str).filter(is_of_a_member).collect();
    if !of_a_member.is_empty() {
        return Err(format!(
            "a member's settings file, it seems: of a member a scenario takes preset and the protocol's settings only; \
             leave out {}",
            of_a_member.join(", ")
        ));
    }
    let (mut said, mut sweeps) = (Vec::new(), Vec::new());
    for (name, value) in table {
        match value {
            toml::Value::Table(swept) if name == "sweep" => {
                for (name, values) in swept {
                    let values = plain_list(&name, &values)?;
                    sweeps.push(Sweep::parse(&format!("{name}={}", values.join(",")))?);
                }
            }
            toml::Value::Array(_) => {
                said.extend(plain_list(&name, &value)?.into_iter().map(|value| (name.clone(), value)));
            }
            value => said.push((name.clone(), plain(&name, &value)?)),
        }
    }
    Ok((said, sweeps))
}

fn plain_list(name: &str, value: &toml::Value) -> Result<Vec<String>, String> {
    // One value is a list of one.
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().map(|value| plain(name, value)).collect()
}

fn plain(name: &str, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(truth) => Ok(truth.to_string()),
        other => Err(format!("{name}: cannot be {}", kind(other))),
    }
}
