//! The settings of those who choose none, to compare with: the presets.

use swimring::protocol::settings::Dissemination;
use swimring::{Preset, Settings};
use swimring_simulation::experiment::WireSizes;

use super::{Candidate, Corrections, Forms};

/// A well-known set of settings and what the forms say of it.
#[derive(Clone, Debug)]
pub struct Default {
    /// What it is called; `memberlist` for its defaults.
    pub name: &'static str,
    /// Wire format that messages are sized by.
    pub wire: WireSizes,
    /// The settings and their prediction.
    pub candidate: Candidate,
}

/// `candidate` as the forms see it without any correction: what it is compared with is predicted so too.
pub fn uncorrected(candidate: &Candidate, forms: &Forms) -> Candidate {
    let predicted = forms.corrected(Corrections::none()).predict(&candidate.settings);
    Candidate { settings: candidate.settings.clone(), predicted }
}

/// The lan and wan presets on Swimring's wire, and memberlist's defaults, which are the lan preset on its own.
pub fn defaults(forms: &Forms) -> Vec<Default> {
    [
        ("lan preset", Preset::Lan, WireSizes::Native),
        ("wan preset", Preset::Wan, WireSizes::Native),
        ("memberlist", Preset::Lan, WireSizes::Memberlist),
    ]
    .into_iter()
    .map(|(name, preset, wire)| {
        // What simulations of the recommended settings corrected need not hold for others.
        let forms = forms.with_wire(wire).corrected(Corrections::none());
        let mut settings = forms.finished(Settings::preset(preset));
        if wire != WireSizes::Native {
            // What its members do whatever is said.
            settings.dissemination = Dissemination::Gossip;
        }
        let predicted = forms.predict(&settings);
        Default { name, wire, candidate: Candidate { settings, predicted } }
    })
    .collect()
}
