//! Whether a limit is met: what was seen, how sure that is, and which of it is a formula.

use serde::Serialize;

use super::Evidence;
use crate::objective::{Limit, Measure, Measures, Objective};
use crate::statistics::Estimate;
use crate::sweep::summary::RareRate;

/// How a limit came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval is within the limit.
    Met,
    /// The limit lies within the interval: more simulations would tell.
    NotSurely,
    /// By the closed form; simulations of minutes cannot show it.
    MetByForm,
    /// The whole interval is beyond the limit.
    Missed,
    /// Nothing was seen: ended early.
    NotSeen,
}

impl Verdict {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::NotSurely => "not surely",
            Verdict::MetByForm => "met by the form",
            Verdict::Missed => "not met",
            Verdict::NotSeen => "not seen",
        }
    }

    /// Whether it counts as met.
    pub const fn is_met(self) -> bool {
        matches!(self, Verdict::Met | Verdict::MetByForm)
    }
}

/// A limit and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// The limit.
    pub limit: Limit,
    /// What the corrected forms say.
    pub predicted: f64,
    /// What simulations showed, where they can.
    pub seen: Option<Estimate>,
    /// What they showed of false deaths.
    pub rare: Option<RareRate>,
    /// The verdict.
    pub verdict: Verdict,
}

/// Judges every limit of `objective`.
pub fn judge(objective: &Objective, predicted: &Measures, evidence: &Evidence) -> Vec<Judged> {
    objective.limits.iter().map(|limit| judge_one(*limit, predicted.get(limit.measure), evidence)).collect()
}

fn judge_one(limit: Limit, predicted: f64, evidence: &Evidence) -> Judged {
    let by_form = if predicted <= limit.most { Verdict::MetByForm } else { Verdict::Missed };
    match limit.measure {
        Measure::Cpu => Judged { limit, predicted, seen: None, rare: None, verdict: by_form },
        Measure::FalseDeaths => {
            let rare = evidence.false_deaths();
            let verdict = match rare {
                // Seen so often that the limit cannot hold, whatever the form says.
                _ if rare.low > limit.most => Verdict::Missed,
                _ if rare.at_most <= limit.most && rare.days > 0.0 => Verdict::Met,
                // More than the form can be right about, and too few to say how many.
                _ if predicted <= limit.most && predicted < rare.low => Verdict::NotSurely,
                _ => by_form,
            };
            Judged { limit, predicted, seen: None, rare: Some(rare), verdict }
        }
        measure => {
            let seen = evidence.scaled_estimate(measure);
            let verdict = seen.map_or(Verdict::NotSeen, |seen| against(&seen, limit.most));
            Judged { limit, predicted, seen, rare: None, verdict }
        }
    }
}

fn against(seen: &Estimate, most: f64) -> Verdict {
    if seen.high.is_some_and(|high| high <= most) {
        return Verdict::Met;
    }
    if seen.low.is_some_and(|low| low > most) { Verdict::Missed } else { Verdict::NotSurely }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_interval_decides() {
        let seen = |low, high| Estimate { value: 4.0, low, high, count: 100 };
        assert_eq!(against(&seen(Some(3.0), Some(5.0)), 5.0), Verdict::Met);
        assert_eq!(against(&seen(Some(3.0), Some(5.1)), 5.0), Verdict::NotSurely);
        assert_eq!(against(&seen(Some(3.0), None), 5.0), Verdict::NotSurely);
        // The estimate alone is beyond the limit: that may be luck.
        assert_eq!(against(&seen(Some(3.0), Some(5.1)), 3.9), Verdict::NotSurely);
        assert_eq!(against(&seen(Some(4.0), None), 3.9), Verdict::Missed);
        assert_eq!(against(&seen(None, None), 5.0), Verdict::NotSurely);
        assert!(!Verdict::NotSurely.is_met() && !Verdict::NotSeen.is_met());
    }

    #[test]
    fn false_deaths_are_judged_by_the_form_until_they_are_seen() {
        let limit = Limit { measure: Measure::FalseDeaths, most: 0.01, default: false };
        let mut evidence = Evidence::default();
        assert_eq!(judge_one(limit, 0.001, &evidence).verdict, Verdict::MetByForm);
        assert_eq!(judge_one(limit, 0.1, &evidence).verdict, Verdict::Missed);
        let digest = serde_json::json!({
            "measured_s": 60.0, "simulated_s": 60.0, "suspected_s": [], "first_s": [], "all_s": [],
            "delivered": [0, 0], "spread_ms": [], "probe_rtt_p50_us": null, "false_suspicions": 9,
            "false_deaths": 9, "false_death_subjects": 9, "false_death_subjects_healthy": 9,
            "bytes_per_member_second": 1.0, "stream_bytes_per_member_second": 0.0,
            "datagrams_per_member_second": 1.0, "fingerprint": 1, "wall_s": 0.1
        });
        evidence.quiet.push(serde_json::from_value(digest).unwrap());
        assert_eq!(judge_one(limit, 0.001, &evidence).verdict, Verdict::Missed);
    }
}
