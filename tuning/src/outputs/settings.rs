//! Settings as the programs read them: TOML for the engine, Go and JSON for memberlist, JSON for Serf and Consul.

use std::time::Duration;

use serde_json::{Value, json};
use swimring::protocol::settings::{Dissemination, SuspicionMode};
use swimring::protocol::{Setting, SettingValue};
use swimring::{Preset, Settings};

/// Settings in one program's language.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// A short name: `toml`, `consul`, `serf`, `memberlist`, `go`.
    pub name: &'static str,
    /// What it is for.
    pub title: &'static str,
    /// The text, to be copied as it is.
    pub text: String,
}

/// Every block that can express `settings`.
pub fn blocks(settings: &Settings) -> Vec<Block> {
    let mut blocks = vec![Block { name: "toml", title: "Swimring (settings file)", text: toml(settings) }];
    if let Some(text) = consul(settings) {
        blocks.push(Block { name: "consul", title: "Consul agent (gossip_lan)", text });
    }
    if let Some(text) = serf(settings) {
        blocks.push(Block { name: "serf", title: "Serf agent (profile)", text });
    }
    if is_memberlists(settings) {
        blocks.push(Block { name: "go", title: "memberlist (Go)", text: go(settings) });
        blocks.push(Block {
            name: "memberlist",
            title: "memberlist (Config as JSON)",
            text: memberlist(settings),
        });
    }
    blocks
}

/// What differs from the lan preset, as a settings file.
pub fn toml(settings: &Settings) -> String {
    let mut text = String::from("preset = \"lan\"\n");
    for (setting, value) in changed(settings) {
        text.push_str(&toml_line(setting, value));
    }
    text
}

/// A setting's line in a settings file.
pub fn toml_line(setting: &Setting, value: SettingValue) -> String {
    match value {
        SettingValue::Choice(name) => format!("{} = \"{name}\"\n", setting.name),
        value => format!("{} = {value}\n", setting.name),
    }
}

/// The settings that differ from the lan preset, in the order of their names.
pub fn changed(settings: &Settings) -> Vec<(&'static Setting, SettingValue)> {
    let differs =
        |(setting, value): &(&Setting, SettingValue)| setting.presets[Preset::Lan as usize] != *value;
    let mut changed: Vec<_> = settings.values().filter(differs).collect();
    changed.sort_by_key(|(setting, _)| setting.name);
    changed
}

/// Names that Swimring has and memberlist does not: bounds of memory and events, which change nothing that
/// a recommendation is about, and those of delegation and adaptive suspicion, which do nothing where members have neither.
const OWN: [&str; 17] = [
    "event_memory_ms",
    "event_share_percent",
    "events_max",
    "members_max",
    "broadcasts_max",
    "state_bytes_max",
    "state_member_bytes_max",
    "reconnect_interval_ms",
    "reconnect_timeout_ms",
    "dissemination",
    "delegation_bits",
    "delegation_pacing_ms",
    "delegation_timeout_min_ms",
    "suspicion",
    "suspicion_floor_ms",
    "unreachable_floor_ms",
    "false_death_bound",
];

/// What memberlist's `Config` can change.
const MEMBERLIST: [&str; 11] = [
    "probe_interval_ms",
    "probe_timeout_ms",
    "indirect_checks",
    "stream_fallback",
    "suspicion_multiplier",
    "suspicion_max_timeout_multiplier",
    "gossip_interval_ms",
    "gossip_fanout",
    "gossip_to_the_dead_ms",
    "retransmit_multiplier",
    "push_pull_interval_ms",
];

/// What Consul's `gossip_lan` can change.
const CONSUL: [&str; 6] = [
    "gossip_fanout",
    "gossip_interval_ms",
    "probe_interval_ms",
    "probe_timeout_ms",
    "suspicion_multiplier",
    "retransmit_multiplier",
];

/// Whether a program that can change these, gossips, and has Lifeguard's suspicion can be told all of `settings`.
fn only(settings: &Settings, names: &[&str]) -> bool {
    gossips(settings)
        && settings.suspicion.on(false) == SuspicionMode::Lifeguard
        && changed(settings)
            .iter()
            .all(|(setting, _)| names.contains(&setting.name) || OWN.contains(&setting.name))
}

/// Whether members gossip, which is all that memberlist, Serf and Consul can.
fn gossips(settings: &Settings) -> bool {
    settings.dissemination == Dissemination::Gossip
}

fn is_memberlists(settings: &Settings) -> bool {
    only(settings, &MEMBERLIST)
}

/// A configuration file of the Consul agent, if it can express `settings`.
pub fn consul(settings: &Settings) -> Option<String> {
    only(settings, &CONSUL).then(|| {
        pretty(&json!({ "gossip_lan": {
            "gossip_nodes": settings.gossip_fanout,
            "gossip_interval": go_duration(settings.gossip_interval),
            "probe_interval": go_duration(settings.probe_interval),
            "probe_timeout": go_duration(settings.probe_timeout),
            "suspicion_mult": settings.suspicion_multiplier,
            "retransmit_mult": settings.retransmit_multiplier,
        } }))
    })
}

/// A configuration file of the Serf agent, if a profile of its is `settings`.
pub fn serf(settings: &Settings) -> Option<String> {
    let presets = [Preset::Lan, Preset::Wan, Preset::Local];
    let same = |preset: &Preset| {
        let preset = Settings::preset(*preset);
        gossips(settings) && MEMBERLIST.iter().all(|name| preset.get(name) == settings.get(name))
    };
    let profile = presets.iter().find(|preset| same(preset))?;
    Some(pretty(&json!({ "profile": profile.as_str() })))
}

/// memberlist's `Config` as `encoding/json` reads it into `DefaultLANConfig()`: durations in nanoseconds.
pub fn memberlist(settings: &Settings) -> String {
    let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    pretty(&json!({
        "ProbeInterval": nanoseconds(settings.probe_interval),
        "ProbeTimeout": nanoseconds(settings.probe_timeout),
        "IndirectChecks": settings.indirect_checks,
        "DisableTcpPings": !settings.stream_fallback,
        "SuspicionMult": settings.suspicion_multiplier,
        "SuspicionMaxTimeoutMult": settings.suspicion_max_timeout_multiplier,
        "GossipInterval": nanoseconds(settings.gossip_interval),
        "GossipNodes": settings.gossip_fanout,
        "GossipToTheDeadTime": nanoseconds(settings.gossip_to_the_dead),
        "RetransmitMult": settings.retransmit_multiplier,
        "PushPullInterval": nanoseconds(settings.push_pull_interval),
    }))
}

/// A Go file with a function that returns memberlist's `Config`, as gofmt would leave it.
pub fn go(settings: &Settings) -> String {
    let fields = [
        ("ProbeInterval", go_expression(settings.probe_interval)),
        ("ProbeTimeout", go_expression(settings.probe_timeout)),
        ("IndirectChecks", settings.indirect_checks.to_string()),
        ("DisableTcpPings", (!settings.stream_fallback).to_string()),
        ("SuspicionMult", settings.suspicion_multiplier.to_string()),
        ("SuspicionMaxTimeoutMult", settings.suspicion_max_timeout_multiplier.to_string()),
        ("GossipInterval", go_expression(settings.gossip_interval)),
        ("GossipNodes", settings.gossip_fanout.to_string()),
        ("GossipToTheDeadTime", go_expression(settings.gossip_to_the_dead)),
        ("RetransmitMult", settings.retransmit_multiplier.to_string()),
        ("PushPullInterval", go_expression(settings.push_pull_interval)),
    ];
    let mut text = String::from(
        "package tuned\n\nimport (\n\t\"time\"\n\n\t\"github.com/hashicorp/memberlist\"\n)\n\n\
         // Config returns memberlist's LAN defaults with the recommended changes.\n\
         func Config() *memberlist.Config {\n\tconfig := memberlist.DefaultLANConfig()\n",
    );
    for (name, value) in fields {
        text.push_str(&format!("\tconfig.{name} = {value}\n"));
    }
    text.push_str("\treturn config\n}\n");
    text
}

fn go_expression(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "0".to_owned(),
        millis if millis % 1000 == 0 => format!("{} * time.Second", millis / 1000),
        millis => format!("{millis} * time.Millisecond"),
    }
}

/// As Go's `time.ParseDuration` reads it.
fn go_duration(duration: Duration) -> String {
    match duration.as_millis() {
        millis if millis % 1000 == 0 => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
