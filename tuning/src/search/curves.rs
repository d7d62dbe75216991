//! Whole distributions by the closed forms, to draw beside what was simulated.

use swimring::Settings;

use super::Forms;
use crate::model::detection::FirstSuspicion;
use crate::model::false_positives::Probe;
use crate::model::spread_of;
use crate::model::suspicion::{FirstDeclared, Window};

/// (value, share) pairs: so large a share takes at most so long.
pub type Curve = Vec<(f64, f64)>;

const SHARES: usize = 60;

fn shares() -> [f64; SHARES] {
    std::array::from_fn(|index| (index as f64 + 0.5) / SHARES as f64)
}

/// From a crash to the first member that holds it dead, seconds; uncorrected.
pub fn detection(settings: &Settings, forms: &Forms) -> Curve {
    let environment = forms.environment();
    let probe = Probe::of(settings, environment);
    let members = environment.members.max(2);
    let interval_s = settings.probe_interval.as_secs_f64() * probe.stretch();
    let first = FirstSuspicion { probers: members - 1, interval_s };
    let spread = spread_of(settings, environment);
    let travel_s = spread.delay_s(0.5).unwrap_or(spread.ends_s());
    let declared = FirstDeclared { first: &first, window: Window::of(settings, members), travel_s };
    declared.quantiles_s(shares()).into_iter().zip(shares()).filter(|(value, _)| value.is_finite()).collect()
}

/// From a user event to its delivery, milliseconds; uncorrected.
pub fn spread(settings: &Settings, forms: &Forms) -> Curve {
    let spread = spread_of(settings, forms.environment());
    shares().into_iter().filter_map(|share| Some((spread.delay_s(share)? * 1e3, share))).collect()
}
