//! The settings that a search turns, each with the values it tries.
//!
//! The values are those a person would write: two to three steps to a doubling, all of them round. Finer
//! steps would move every measure by less than the simulation can tell apart.

use serde::{Deserialize, Serialize};
use swimring::Settings;
use swimring::protocol::settings::{Dissemination, SuspicionMode};
use swimring::protocol::{Setting, SettingKind, SettingValue};
use swimring_tooling::text::thousands;

/// A setting that can be turned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knob {
    /// `gossip_interval_ms`.
    GossipInterval,
    /// `gossip_fanout`.
    GossipFanout,
    /// `probe_interval_ms`.
    ProbeInterval,
    /// `probe_timeout_ms`.
    ProbeTimeout,
    /// `indirect_checks`.
    IndirectChecks,
    /// `suspicion_multiplier`. From 3 on: below, nobody has to confirm a suspicion, and a single member that is slow
    /// itself could have others declared dead. No form knows slow members.
    SuspicionMultiplier,
    /// `suspicion_max_timeout_multiplier`.
    SuspicionMaxMultiplier,
    /// `retransmit_multiplier`. From 2 on: with 1, gossip alone leaves too many out, and what is saved is
    /// spent on repairs.
    RetransmitMultiplier,
    /// `suspicion`: the places of Lifeguard and adaptive among its names. Automatic is one of the two on each wire.
    Suspicion,
    /// `dissemination`: 0 for gossip, 1 for delegated.
    Dissemination,
    /// `delegation_bits`.
    DelegationBits,
    /// `delegation_pacing_ms`. From 5 on: below, a storm is hardly held back.
    DelegationPacing,
    /// `delegation_timeout_min_ms`.
    DelegationTimeoutMin,
}

/// [`Knob::Suspicion`] with Lifeguard's constants.
const LIFEGUARD: u64 = 1;
/// [`Knob::Suspicion`] from the measured spread.
const ADAPTIVE: u64 = 2;

const GOSSIP_INTERVALS_MS: &[u64] = &[
    20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1200, 1500, 2000,
    3000,
];
const PROBE_INTERVALS_MS: &[u64] = &[
    100, 120, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 900, 1000, 1200, 1500, 1800, 2000, 2500,
    3000, 3500, 4000, 5000, 6000, 8000, 10_000, 12_000, 15_000, 20_000, 30_000,
];
const PROBE_TIMEOUTS_MS: &[u64] = &[
    5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1200, 1500,
    2000, 2500, 3000, 4000, 5000, 8000, 10_000,
];

impl Knob {
    /// Everything there is to turn.
    pub const ALL: [Knob; 13] = {
        let [a, b, c, d, e, f, g, h] = Knob::ALL_OF_MEMBERLIST;
        let [i, j, k] = Knob::ALL_OF_DELEGATION;
        [a, b, c, d, e, f, g, h, Knob::Suspicion, Knob::Dissemination, i, j, k]
    };

    /// What does something only where members delegate.
    pub const ALL_OF_DELEGATION: [Knob; 3] =
        [Knob::DelegationBits, Knob::DelegationPacing, Knob::DelegationTimeoutMin];

    /// What memberlist's `Config` has.
    pub const ALL_OF_MEMBERLIST: [Knob; 8] = [
        Knob::GossipInterval,
        Knob::GossipFanout,
        Knob::ProbeInterval,
        Knob::ProbeTimeout,
        Knob::IndirectChecks,
        Knob::SuspicionMultiplier,
        Knob::SuspicionMaxMultiplier,
        Knob::RetransmitMultiplier,
    ];

    /// The setting's name.
    pub const fn name(self) -> &'static str {
        match self {
            Knob::GossipInterval => "gossip_interval_ms",
            Knob::GossipFanout => "gossip_fanout",
            Knob::ProbeInterval => "probe_interval_ms",
            Knob::ProbeTimeout => "probe_timeout_ms",
            Knob::IndirectChecks => "indirect_checks",
            Knob::SuspicionMultiplier => "suspicion_multiplier",
            Knob::SuspicionMaxMultiplier => "suspicion_max_timeout_multiplier",
            Knob::RetransmitMultiplier => "retransmit_multiplier",
            Knob::Suspicion => "suspicion",
            Knob::Dissemination => "dissemination",
            Knob::DelegationBits => "delegation_bits",
            Knob::DelegationPacing => "delegation_pacing_ms",
            Knob::DelegationTimeoutMin => "delegation_timeout_min_ms",
        }
    }

    /// The values that are tried, upwards.
    pub const fn ladder(self) -> &'static [u64] {
        match self {
            Knob::GossipInterval => GOSSIP_INTERVALS_MS,
            Knob::GossipFanout => &[1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16],
            Knob::ProbeInterval => PROBE_INTERVALS_MS,
            Knob::ProbeTimeout => PROBE_TIMEOUTS_MS,
            Knob::IndirectChecks => &[0, 1, 2, 3, 4, 5, 6, 7, 8],
            Knob::SuspicionMultiplier => &[3, 4, 5, 6, 7, 8, 9],
            Knob::SuspicionMaxMultiplier => &[1, 2, 3, 4, 5, 6, 8, 10],
            Knob::RetransmitMultiplier => &[2, 3, 4, 5, 6, 7, 8, 10, 12],
            Knob::Suspicion => &[LIFEGUARD, ADAPTIVE],
            Knob::Dissemination => &[0, 1],
            Knob::DelegationBits => &[1, 2, 3, 4],
            Knob::DelegationPacing => &[5, 10, 20, 50, 100, 200],
            Knob::DelegationTimeoutMin => &[10, 20, 40, 80, 150],
        }
    }

    /// The setting's declaration.
    pub fn setting(self) -> &'static Setting {
        Settings::named(self.name()).unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// Its value in `settings`; of a choice, the place among the names.
    pub fn get(self, settings: &Settings) -> u64 {
        match (self.setting().kind, settings.get(self.name())) {
            (_, Some(SettingValue::Whole(value))) => value,
            (SettingKind::Choice(names), Some(SettingValue::Choice(chosen))) => {
                names.iter().take_while(|name| **name != chosen).count() as u64
            }
            (kind, _) => unreachable!("{kind:?} is not turned in steps"),
        }
    }

    /// Changes it in `settings`; what is out of range becomes the nearest that is not.
    pub fn set(self, settings: &mut Settings, value: u64) {
        let setting = self.setting();
        let value = match setting.kind {
            SettingKind::Whole { min, max, .. } => SettingValue::Whole(value.clamp(min, max)),
            SettingKind::Choice(names) => {
                SettingValue::Choice(names[usize::try_from(value).unwrap_or(usize::MAX).min(names.len() - 1)])
            }
            kind => unreachable!("{kind:?} is not turned in steps"),
        };
        settings.set_value(setting, value).unwrap_or_else(|error| unreachable!("{error}"));
    }

    /// Its value in `settings` as a person reads it.
    pub fn show(self, settings: &Settings) -> String {
        match self {
            Knob::Suspicion => settings.suspicion.as_str().to_owned(),
            Knob::Dissemination => settings.dissemination.as_str().to_owned(),
            _ => thousands(self.get(settings)),
        }
    }

    /// Whether it is one of a few names, which nothing is between.
    pub fn is_choice(self) -> bool {
        matches!(self.setting().kind, SettingKind::Choice(_))
    }

    /// Whether it does anything in `settings`. Where members delegate, a witness still tells its suspect once per gossip
    /// interval.
    pub fn works_in(self, settings: &Settings) -> bool {
        let delegated = settings.dissemination == Dissemination::Delegated;
        match self {
            Knob::DelegationBits | Knob::DelegationPacing | Knob::DelegationTimeoutMin => delegated,
            Knob::RetransmitMultiplier | Knob::GossipFanout => !delegated,
            Knob::GossipInterval => !delegated || settings.suspicion != SuspicionMode::Lifeguard,
            _ => true,
        }
    }

    /// The step of its ladder that is nearest to `value`.
    pub fn nearest_step(self, value: u64) -> usize {
        let ladder = self.ladder();
        (0..ladder.len()).min_by_key(|index| ladder[*index].abs_diff(value)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_is_got_and_every_step_is_valid() {
        for knob in Knob::ALL {
            assert!(knob.ladder().is_sorted());
            for (step, value) in knob.ladder().iter().enumerate() {
                let mut settings = Settings::default();
                if knob == Knob::ProbeTimeout {
                    Knob::ProbeInterval.set(&mut settings, value + 10);
                }
                if knob == Knob::ProbeInterval {
                    Knob::ProbeTimeout.set(&mut settings, value - 1);
                }
                knob.set(&mut settings, *value);
                assert_eq!((knob.get(&settings), knob.nearest_step(*value)), (*value, step));
                settings.validate().unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }

    #[test]
    fn the_presets_are_on_the_ladders() {
        for preset in [swimring::Preset::Lan, swimring::Preset::Wan, swimring::Preset::Local] {
            let settings = Settings::preset(preset);
            // Automatic suspicion is not on the ladder: a search begins with what it is on the wire.
            for knob in Knob::ALL.into_iter().filter(|knob| *knob != Knob::Suspicion) {
                assert!(knob.ladder().contains(&knob.get(&settings)), "{} of {preset:?}", knob.name());
            }
        }
    }

    #[test]
    fn every_ladder_is_within_its_settings_range() {
        for knob in Knob::ALL {
            let (first, last) = (knob.ladder()[0], knob.ladder()[knob.ladder().len() - 1]);
            match knob.setting().kind {
                SettingKind::Whole { min, max, .. } => {
                    assert!(min <= first && last <= max, "{}", knob.name());
                }
                SettingKind::Choice(names) => {
                    assert_eq!((first, last), (u64::from(knob == Knob::Suspicion), names.len() as u64 - 1));
                }
                kind => panic!("{} is {kind:?}, which no ladder has", knob.name()),
            }
        }
        for (step, mode) in [(LIFEGUARD, SuspicionMode::Lifeguard), (ADAPTIVE, SuspicionMode::Adaptive)] {
            let mut settings = Settings::default();
            Knob::Suspicion.set(&mut settings, step);
            assert_eq!(settings.suspicion, mode);
        }
    }

    #[test]
    fn a_knob_works_where_members_tell_that_way() {
        let gossip = Settings { dissemination: Dissemination::Gossip, ..Settings::default() };
        let delegated = Settings { dissemination: Dissemination::Delegated, ..gossip.clone() };
        let adaptive = Settings { suspicion: SuspicionMode::Adaptive, ..delegated.clone() };
        for knob in Knob::ALL_OF_DELEGATION {
            assert!(!knob.works_in(&gossip) && knob.works_in(&delegated));
        }
        assert!(Knob::GossipInterval.works_in(&gossip) && Knob::GossipInterval.works_in(&adaptive));
        assert!(Knob::GossipFanout.works_in(&gossip) && !Knob::GossipFanout.works_in(&adaptive));
        assert!(Knob::ProbeInterval.works_in(&delegated) && Knob::Dissemination.works_in(&gossip));
        let lifeguard = Settings { suspicion: SuspicionMode::Lifeguard, ..delegated };
        assert!(!Knob::GossipInterval.works_in(&lifeguard));
    }
}
