//! What every form of an answer shows, worked out once: text, page, charts and JSON only lay it out.

use swimring_tooling::text::{ABSENT, significant};

use crate::objective::{Measure, Measures, Objective};
use crate::search::defaults::{Default, uncorrected};
use crate::search::{Candidate, Knob, pareto};
use crate::statistics::Estimate;
use crate::validation::{Answer, Judged, Verdict};

/// An answer, and what follows from it.
#[derive(Debug)]
pub struct View<'a> {
    /// What was wanted.
    pub objective: &'a Objective,
    /// What came out.
    pub answer: &'a Answer,
    /// What it is compared with.
    pub compared: &'a [Default],
    /// What the closed forms say of the recommended settings, without the corrections that simulations brought: what
    /// they are compared with is predicted so too.
    pub own: Measures,
    /// The settings that nothing beats in both bytes and detection.
    pub front: Vec<&'a Candidate>,
    /// The recommended settings, each beside the defaults.
    pub settings: Vec<SettingRow>,
    /// The limits, and whether they are met.
    pub limits: Vec<LimitRow>,
    /// Each measure by the closed forms alone, for the recommended settings and for the defaults.
    pub comparison: Vec<ComparisonRow>,
}

/// A setting.
#[derive(Debug)]
pub struct SettingRow {
    /// Its name in files.
    pub name: &'static str,
    /// The recommended value.
    pub value: String,
    /// The values of the defaults, in their order.
    pub defaults: Vec<String>,
}

impl SettingRow {
    /// The value in the lan preset, the first of the defaults, if it is another one.
    pub fn changed_from(&self) -> Option<&str> {
        self.defaults.first().filter(|lan| **lan != self.value).map(String::as_str)
    }
}

/// A limit.
#[derive(Debug)]
pub struct LimitRow {
    /// What is limited.
    pub title: &'static str,
    /// The limit.
    pub most: String,
    /// What decides: what was simulated or, where that cannot tell, the closed form.
    pub found: String,
    /// Its interval, 95 %; `formula` for a closed form.
    pub interval: String,
    /// Whether the limit is met.
    pub verdict: Verdict,
    /// Value by the closed form, corrected.
    pub predicted: String,
}

/// A measure.
#[derive(Debug)]
pub struct ComparisonRow {
    /// What is measured.
    pub title: &'static str,
    /// Of the recommended settings.
    pub own: String,
    /// Of the defaults, in their order.
    pub others: Vec<String>,
}

impl<'a> View<'a> {
    /// Of an answer to `objective`, beside `compared`.
    pub fn of(objective: &'a Objective, answer: &'a Answer, compared: &'a [Default]) -> View<'a> {
        let own = uncorrected(&answer.chosen, &answer.forms).predicted;
        let setting = |knob: &Knob| SettingRow {
            name: knob.name(),
            value: knob.show(&answer.chosen.settings),
            defaults: compared.iter().map(|default| knob.show(&default.candidate.settings)).collect(),
        };
        let measured = |measure: &Measure| {
            let shown = |measures: &Measures| measure.show(measures.get(*measure));
            ComparisonRow {
                title: measure.title(),
                own: shown(&own),
                others: compared.iter().map(|default| shown(&default.candidate.predicted)).collect(),
            }
        };
        View {
            objective,
            answer,
            compared,
            front: pareto::front(&answer.found.all, objective, Measure::Bytes, Measure::DetectP99),
            settings: Knob::ALL.iter().map(setting).collect(),
            limits: answer.judged.iter().map(LimitRow::of).collect(),
            comparison: Measure::ALL.iter().map(measured).collect(),
            own,
        }
    }

    /// What the columns of the defaults are called.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.compared.iter().map(|default| default.name.to_owned())
    }
}

impl LimitRow {
    fn of(judged: &Judged) -> LimitRow {
        let measure = judged.limit.measure;
        let (found, interval) = found(judged);
        LimitRow {
            title: measure.title(),
            most: measure.show(judged.limit.most),
            found,
            interval,
            verdict: judged.verdict,
            predicted: measure.show(judged.predicted),
        }
    }
}

/// What decides a limit, and its interval.
fn found(judged: &Judged) -> (String, String) {
    let measure = judged.limit.measure;
    match (judged.seen, judged.rare) {
        (Some(estimate), _) => (measure.show(estimate.value), interval(&estimate)),
        (None, Some(rare)) if judged.verdict != Verdict::MetByForm && rare.days > 0.0 && rare.seen > 0 => {
            let ends = Estimate { value: rare.per_day, low: Some(rare.low), high: Some(rare.high), count: 1 };
            (measure.show(rare.per_day), interval(&ends))
        }
        _ if judged.verdict == Verdict::NotSeen => (ABSENT.to_owned(), ABSENT.to_owned()),
        _ => (measure.show(judged.predicted), "formula".to_owned()),
    }
}

/// Both ends of an interval; the unit stands at the value.
fn interval(estimate: &Estimate) -> String {
    let end = |end: Option<f64>| {
        end.map_or_else(
            || "?".to_owned(),
            |end| if end.is_finite() { significant(end) } else { "never".to_owned() },
        )
    };
    format!("{} to {}", end(estimate.low), end(estimate.high))
}
