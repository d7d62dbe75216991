//! What a small change of each setting does to each measure, by the closed forms.

use serde::Serialize;
use swimring::Settings;

use super::{Forms, Knob};
use crate::objective::Measure;

/// One setting, turned down and up.
#[derive(Clone, Debug, Serialize)]
pub struct Turned {
    /// The setting.
    pub knob: Knob,
    /// Its values: a tenth less and more, or one less and more where it is a small number. `None` where that
    /// cannot be.
    pub values: [Option<u64>; 2],
    /// Each measure in the order of [`Measure::ALL`], divided by its value for the settings as they are.
    pub ratios: [Vec<f64>; 2],
}

/// Turns every knob that does something and can be turned both ways.
pub fn sensitivity(settings: &Settings, forms: &Forms) -> Vec<Turned> {
    let knobs = Knob::ALL.iter().filter(|knob| !knob.is_choice() && knob.works_in(settings));
    knobs.map(|knob| turned(*knob, settings, forms)).collect()
}

fn turned(knob: Knob, settings: &Settings, forms: &Forms) -> Turned {
    let value = knob.get(settings);
    let step = ((value as f64 / 10.0).round() as u64).max(1);
    let base = forms.predict(settings);
    let at = |value: Option<u64>| {
        let mut turned = settings.clone();
        knob.set(&mut turned, value?);
        turned.validate().ok()?;
        let measures = forms.predict(&turned);
        let ratio = |measure: &Measure| {
            let (was, is) = (base.get(*measure), measures.get(*measure));
            if was == is { 1.0 } else { is / was }
        };
        Some((value?, Measure::ALL.iter().map(ratio).collect::<Vec<f64>>()))
    };
    let both = [at(value.checked_sub(step)), at(value.checked_add(step))];
    Turned {
        knob,
        values: [0, 1].map(|side: usize| both[side].as_ref().map(|(value, _)| *value)),
        ratios: both.map(|side| side.map(|(_, ratios)| ratios).unwrap_or_default()),
    }
}
