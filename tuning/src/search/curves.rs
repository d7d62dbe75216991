//! Whole distributions by the closed forms, to draw beside what was simulated.

use swimring::Settings;

use super::Forms;
use crate::model::{declared_of, telling_of};

/// (value, share) pairs: so large a share takes at most so long.
pub type Curve = Vec<(f64, f64)>;

const SHARES: usize = 80;
/// Points among these below nine tenths; the others are spent on the tail, which limits are about.
const BODY: usize = 54;

fn shares() -> [f64; SHARES] {
    std::array::from_fn(|index| match index.checked_sub(BODY) {
        None => 0.9 * (index as f64 + 0.5) / BODY as f64,
        Some(index) => 0.9 + 0.0999 * (index as f64 + 0.5) / (SHARES - BODY) as f64,
    })
}

/// From a crash to the first member that holds it dead, seconds; uncorrected.
pub fn detection(settings: &Settings, forms: &Forms) -> Curve {
    let declared_s = declared_of(settings, forms.environment(), shares());
    declared_s.into_iter().zip(shares()).filter(|(value, _)| value.is_finite()).collect()
}

/// From a user event to its delivery, milliseconds; uncorrected.
pub fn spread(settings: &Settings, forms: &Forms) -> Curve {
    let spread = telling_of(settings, forms.environment());
    shares().into_iter().filter_map(|share| Some((spread.delay_s(share)? * 1e3, share))).collect()
}
