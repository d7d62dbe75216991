//! The three ways to suspect that are compared. All delegate what they tell, unless they are to gossip.

use clap::ValueEnum;
use swimring::protocol::settings::Dissemination;
use swimring::protocol::{Preset, Settings, SuspicionMode};

/// A way to suspect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, ValueEnum)]
pub enum Contender {
    /// SWIM as in its paper: no local health, and one fixed timeout, which is Lifeguard's shortest. The buddy
    /// system stays: it cannot be switched off, and is to SWIM's favour.
    Swim,
    /// Lifeguard at memberlist's constants.
    Lifeguard,
    /// Adaptive suspicion, at its defaults.
    Adaptive,
}

impl Contender {
    pub const ALL: [Contender; 3] = [Contender::Swim, Contender::Lifeguard, Contender::Adaptive];

    pub fn name(self) -> &'static str {
        match self {
            Contender::Swim => "swim",
            Contender::Lifeguard => "lifeguard",
            Contender::Adaptive => "adaptive",
        }
    }

    /// The settings of every member: the LAN preset, and what makes the difference.
    pub fn settings(self, dissemination: Dissemination) -> Settings {
        let suspicion = SuspicionMode::Lifeguard;
        let lan = Settings { suspicion, dissemination, ..Settings::preset(Preset::Lan) };
        match self {
            Contender::Swim => Settings { local_health_max: 0, suspicion_max_timeout_multiplier: 1, ..lan },
            Contender::Lifeguard => lan,
            Contender::Adaptive => Settings { suspicion: SuspicionMode::Adaptive, ..lan },
        }
    }
}
