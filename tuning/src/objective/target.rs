//! Whose settings are looked for: what a program can be told limits what can be recommended for it.
//!
//! All of them run the same protocol with the same constants (memberlist's). What differs is which constants
//! its users can change, how large its messages are, and what its members do in some twenty places, which tell
//! when much is lost or members are slow.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use swimring::protocol::Behaviour;
use swimring::protocol::settings::{Dissemination, SuspicionMode};
use swimring::{Preset, Settings};
use swimring_simulation::experiment::WireSizes;

use crate::search::Knob;

/// The program the settings are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This engine, on its own wire: everything.
    #[default]
    Swimring,
    /// Go programs that embed hashicorp/memberlist: the fields of its `Config`.
    Memberlist,
    /// The Serf agent: one of its three profiles.
    Serf,
    /// The Consul agent: the keys of `gossip_lan`.
    Consul,
}

impl Target {
    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Target::Swimring => "swimring",
            Target::Memberlist => "memberlist",
            Target::Serf => "serf",
            Target::Consul => "consul",
        }
    }

    /// The wire format that messages are sized by.
    pub const fn wire(self) -> WireSizes {
        match self {
            Target::Swimring => WireSizes::Native,
            Target::Memberlist | Target::Serf | Target::Consul => WireSizes::Memberlist,
        }
    }

    /// The protocol that is simulated. Serf's agents, and Consul's, look for the dead now and then, as ours do.
    pub const fn behaviour(self) -> Behaviour {
        match self {
            Target::Swimring => Behaviour::swimring(),
            Target::Memberlist => Behaviour::upstream(),
            Target::Serf | Target::Consul => Behaviour { no_reconnects: false, ..Behaviour::upstream() },
        }
    }

    /// What can be turned. Serf's profiles are whole sets and nothing in them can be.
    pub const fn knobs(self) -> &'static [Knob] {
        match self {
            Target::Swimring => &Knob::ALL,
            Target::Memberlist => &Knob::ALL_OF_MEMBERLIST,
            Target::Serf => &[],
            Target::Consul => &[
                Knob::GossipInterval,
                Knob::GossipFanout,
                Knob::ProbeInterval,
                Knob::ProbeTimeout,
                Knob::SuspicionMultiplier,
                Knob::RetransmitMultiplier,
            ],
        }
    }

    /// The settings to start from: what a user of it has who changes nothing, and its other ready-made sets
    /// where it has some.
    pub fn starts(self) -> Vec<Settings> {
        let presets: &[Preset] = match self {
            Target::Swimring | Target::Serf => &[Preset::Lan, Preset::Wan, Preset::Local],
            Target::Memberlist | Target::Consul => &[Preset::Lan],
        };
        let mut starts: Vec<Settings> = presets.iter().map(|preset| Settings::preset(*preset)).collect();
        if self.wire() != WireSizes::Native {
            // What they do whatever is said.
            starts.iter_mut().for_each(|settings| settings.dissemination = Dissemination::Gossip);
        }
        // The defaults' automatic suspicion, by its name.
        let native = self.wire() == WireSizes::Native;
        starts.iter_mut().for_each(|settings| settings.suspicion = settings.suspicion.on(native));
        if self.knobs().contains(&Knob::Suspicion) {
            starts.extend(starts.clone().into_iter().map(|settings| match settings.suspicion {
                SuspicionMode::Lifeguard => Settings { suspicion: SuspicionMode::Adaptive, ..settings },
                _ => Settings { suspicion: SuspicionMode::Lifeguard, ..settings },
            }));
        }
        if self.knobs().contains(&Knob::Dissemination) {
            starts.extend(starts.clone().into_iter().map(|settings| match settings.dissemination {
                Dissemination::Gossip => Settings { dissemination: Dissemination::Delegated, ..settings },
                Dissemination::Delegated => Settings { dissemination: Dissemination::Gossip, ..settings },
            }));
        }
        starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_come_first() {
        for target in Target::value_variants() {
            let first = &target.starts()[0];
            let Settings { dissemination, suspicion, .. } = *first;
            let lan = Settings { dissemination, suspicion, ..Settings::preset(Preset::Lan) };
            assert_eq!(*first, lan, "{}", target.as_str());
            let native = target.wire() == WireSizes::Native;
            let by_default = if native { SuspicionMode::Adaptive } else { SuspicionMode::Lifeguard };
            assert_eq!(suspicion, by_default, "{}", target.as_str());
            assert!(native || first.dissemination == Dissemination::Gossip, "{}", target.as_str());
        }
    }
}
