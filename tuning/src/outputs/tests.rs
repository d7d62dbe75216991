//! Settings written down and read again, and golden texts.

use std::time::Duration;

use swimring::protocol::settings::{Dissemination, SuspicionMode};
use swimring::{ClusterOptions, Preset, Settings};

use super::settings::{self, blocks};
use crate::search::Knob;

fn tuned() -> Settings {
    Settings {
        probe_interval: Duration::from_millis(800),
        probe_timeout: Duration::from_millis(100),
        gossip_interval: Duration::from_secs(1),
        suspicion_multiplier: 2,
        ..Settings::default()
    }
}

#[test]
fn the_engine_reads_back_every_step_of_every_knob() {
    for knob in Knob::ALL {
        for value in knob.ladder() {
            let mut settings = tuned();
            knob.set(&mut settings, *value);
            if settings.validate().is_err() {
                continue;
            }
            let text = settings::toml(&settings);
            let mut options = ClusterOptions::default();
            options.read_toml(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(options.protocol, settings, "{text}");
        }
    }
}

#[test]
fn a_settings_file_has_what_differs_from_lan_and_no_more() {
    let text = settings::toml(&tuned());
    assert_eq!(
        text,
        "preset = \"lan\"\ngossip_interval_ms = 1000\nprobe_interval_ms = 800\nprobe_timeout_ms = 100\n\
         suspicion_multiplier = 2\n"
    );
    assert_eq!(settings::toml(&Settings::default()), "preset = \"lan\"\n");
}

/// The same as members of memberlist's wire have it: they gossip.
fn gossiping(settings: Settings) -> Settings {
    Settings { dissemination: Dissemination::Gossip, ..settings }
}

fn pool() -> Settings {
    gossiping(tuned())
}

#[test]
fn consul_reads_its_six_keys_and_nothing_else_can_be_told_it() {
    let text = settings::consul(&pool()).unwrap();
    let expected = r#"{
  "gossip_lan": {
    "gossip_interval": "1s",
    "gossip_nodes": 3,
    "probe_interval": "800ms",
    "probe_timeout": "100ms",
    "retransmit_mult": 4,
    "suspicion_mult": 2
  }
}
"#;
    assert_eq!(text, expected);
    assert_eq!(settings::consul(&Settings { indirect_checks: 2, ..pool() }), None);
    let names = |settings: &Settings| blocks(settings).iter().map(|block| block.name).collect::<Vec<_>>();
    assert_eq!(names(&pool()), ["toml", "consul", "go", "memberlist"]);
    assert_eq!(names(&Settings { indirect_checks: 2, ..pool() }), ["toml", "go", "memberlist"]);
    assert_eq!(names(&Settings { local_health_max: 3, ..pool() }), ["toml"]);
    let suspicious = |suspicion| Settings { suspicion, ..pool() };
    assert_eq!(names(&suspicious(SuspicionMode::Lifeguard)), names(&pool()));
    assert_eq!(names(&suspicious(SuspicionMode::Adaptive)), ["toml"]);
}

#[test]
fn serf_has_three_profiles_and_no_more() {
    for (preset, profile) in [(Preset::Lan, "lan"), (Preset::Wan, "wan"), (Preset::Local, "local")] {
        let text = settings::serf(&gossiping(Settings::preset(preset))).unwrap();
        assert_eq!(text, format!("{{\n  \"profile\": \"{profile}\"\n}}\n"));
    }
    assert_eq!(settings::serf(&pool()), None);
}

#[test]
fn go_code_is_what_gofmt_leaves() {
    let expected = "package tuned

import (
\t\"time\"

\t\"github.com/hashicorp/memberlist\"
)

// Config returns memberlist's LAN defaults with the recommended changes.
func Config() *memberlist.Config {
\tconfig := memberlist.DefaultLANConfig()
\tconfig.ProbeInterval = 800 * time.Millisecond
\tconfig.ProbeTimeout = 100 * time.Millisecond
\tconfig.IndirectChecks = 3
\tconfig.DisableTcpPings = false
\tconfig.SuspicionMult = 2
\tconfig.SuspicionMaxTimeoutMult = 6
\tconfig.GossipInterval = 1 * time.Second
\tconfig.GossipNodes = 3
\tconfig.GossipToTheDeadTime = 30 * time.Second
\tconfig.RetransmitMult = 4
\tconfig.PushPullInterval = 30 * time.Second
\treturn config
}
";
    assert_eq!(settings::go(&tuned()), expected);
}

#[test]
fn memberlists_durations_are_nanoseconds() {
    let value: serde_json::Value = serde_json::from_str(&settings::memberlist(&tuned())).unwrap();
    assert_eq!(value["ProbeInterval"], 800_000_000_u64);
    assert_eq!((&value["GossipNodes"], &value["DisableTcpPings"]), (&3.into(), &false.into()));
}

#[test]
fn delegation_is_written_for_the_engine_and_for_no_program_that_gossips() {
    let delegated = Settings {
        dissemination: Dissemination::Delegated,
        delegation_bits: 3,
        delegation_pacing: Duration::from_millis(50),
        delegation_timeout_min: Duration::from_millis(40),
        ..Settings::default()
    };
    let text = settings::toml(&delegated);
    for line in ["delegation_bits = 3\n", "delegation_pacing_ms = 50\n", "delegation_timeout_min_ms = 40\n"] {
        assert!(text.contains(line), "{text}");
    }
    let mut options = ClusterOptions::default();
    options.read_toml(&text).unwrap();
    assert_eq!(options.protocol, delegated);
    let names = |settings: &Settings| blocks(settings).iter().map(|block| block.name).collect::<Vec<_>>();
    assert_eq!(names(&delegated), ["toml"]);
    // Where members gossip its settings do nothing, and there is nothing to leave out.
    let gossip = Settings { dissemination: Dissemination::Gossip, ..delegated };
    assert_eq!(names(&gossip), ["toml", "consul", "serf", "go", "memberlist"]);
}
