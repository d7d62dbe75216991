//! What simulations showed of some settings.

use serde::Serialize;
use swimring_tooling::quantiles::sorted;

use crate::objective::Measure;
use crate::statistics::Estimate;
use crate::sweep::summary::{DAY_S, RareRate, pooled};
use crate::sweep::{Digest, digest};

/// The finished trials of some settings.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Members of the quiet trials.
    pub members: u32,
    /// Members of the trials with crashes.
    pub crashing_members: u32,
    /// What the forms say of the size that is judged over what they say of the size that was simulated, where the
    /// two differ: an estimate at the small size times this is one at the large size.
    pub scales: Vec<(Measure, f64)>,
    /// With crashes and events.
    pub crashing: Vec<Digest>,
    /// Without crashes.
    pub quiet: Vec<Digest>,
}

/// A point of a distribution: a share and the value it does not exceed.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct CurvePoint {
    /// 0 to 1.
    pub share: f64,
    /// Value in the measure's unit.
    pub value: f64,
}

impl Evidence {
    /// Crashes that were followed.
    pub fn crashes(&self) -> usize {
        self.crashing.iter().map(|digest| digest.first_s.len()).sum()
    }

    /// What was seen of `measure`, with its interval; nothing where it cannot be seen: CPU time is not
    /// simulated, and false deaths are counted by [`Evidence::false_deaths`].
    pub fn estimate(&self, measure: Measure) -> Option<Estimate> {
        let first = || pooled(&self.crashing, |digest| &digest.first_s);
        match measure {
            Measure::DetectP50 => Estimate::quantile(&first(), 0.5),
            Measure::DetectP99 => Estimate::quantile(&first(), 0.99),
            Measure::DetectAllP99 => {
                Estimate::quantile(&pooled(&self.crashing, |digest| &digest.all_s), 0.99)
            }
            Measure::SpreadP99 => {
                Estimate::mean(&self.crashing.iter().filter_map(Digest::spread_p99_ms).collect::<Vec<_>>())
            }
            Measure::Bytes => {
                let bytes = self.quiet.iter().map(|digest| digest.bytes_per_member_second);
                Estimate::mean(&bytes.collect::<Vec<_>>())
            }
            Measure::Cpu | Measure::FalseDeaths => None,
        }
    }

    /// What an estimate of `measure` is multiplied with to be one of the size that is judged.
    pub fn scale(&self, measure: Measure) -> f64 {
        self.scales.iter().find(|(other, _)| *other == measure).map_or(1.0, |(_, scale)| *scale)
    }

    /// The estimate of `measure`, scaled to the size that is judged.
    pub fn scaled_estimate(&self, measure: Measure) -> Option<Estimate> {
        self.estimate(measure).map(|estimate| estimate.scaled(self.scale(measure)))
    }

    /// Members without impairment held dead by someone while alive, over all trials.
    pub fn false_deaths(&self) -> RareRate {
        let all = || self.crashing.iter().chain(&self.quiet);
        let seen = all().map(|digest| digest.false_death_subjects_healthy).sum();
        RareRate::of(seen, all().map(|digest| digest.simulated_s).sum::<f64>() / DAY_S)
    }

    /// Mean of `value` over the quiet trials.
    pub fn quiet_mean(&self, value: impl Fn(&Digest) -> f64) -> Option<f64> {
        Estimate::mean(&self.quiet.iter().map(value).collect::<Vec<_>>()).map(|estimate| estimate.value)
    }

    /// The distribution of the first detections, at most `points` points.
    pub fn detection_curve(&self, points: usize) -> Vec<CurvePoint> {
        curve(&pooled(&self.crashing, |digest| &digest.first_s), points)
    }

    /// The distribution of the deliveries of events, averaged over the trials at each share.
    pub fn spread_curve(&self) -> Vec<CurvePoint> {
        let with: Vec<&Digest> = self.crashing.iter().filter(|digest| !digest.spread_ms.is_empty()).collect();
        if with.is_empty() {
            return Vec::new();
        }
        let mean =
            |index: usize| with.iter().map(|digest| digest.spread_ms[index]).sum::<f64>() / with.len() as f64;
        digest::SPREAD_SHARES
            .iter()
            .enumerate()
            .map(|(index, share)| CurvePoint { share: f64::from(*share) / 1000.0, value: mean(index) })
            .collect()
    }
}

fn curve(values: &[f64], points: usize) -> Vec<CurvePoint> {
    let finite = sorted(values.iter().copied().filter(|value| value.is_finite()));
    let count = values.len();
    let step = (finite.len() / points.max(1)).max(1);
    let at = |(index, value): (usize, &f64)| CurvePoint {
        share: (index + 1) as f64 / count as f64,
        value: *value,
    };
    finite
        .iter()
        .enumerate()
        // All of the tail: it decides.
        .filter(|(index, _)| index % step == 0 || index * 10 >= count * 9 || index + 1 == finite.len())
        .map(at)
        .collect()
}
