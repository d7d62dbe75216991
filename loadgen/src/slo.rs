//! Objectives: `--slo 'probe_rtt_us.p99<5000'` requires a number of the report, and a miss exits with 99.
//!
//! What was not measured is missed too: an objective holds when it was seen to hold.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::paths;
use swimring::settings_file::hint;

/// How a measurement is compared with its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
}

impl Operator {
    /// All of them, the longer of two with the same start first.
    const ALL: [(&'static str, Operator); 5] = [
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("==", Operator::Equal),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];

    // An objective such as false_deaths==0 compares counts, which a double holds exactly.
    #[allow(clippy::float_cmp)]
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Operator::Less => value < bound,
            Operator::LessOrEqual => value <= bound,
            Operator::Greater => value > bound,
            Operator::GreaterOrEqual => value >= bound,
            Operator::Equal => value == bound,
        }
    }
}

/// One objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    path: String,
    operator: Operator,
    bound: f64,
}

/// How an objective came out, as the report lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SloResult {
    /// The objective, without blanks.
    pub objective: String,
    /// What was measured; `null` where nothing was.
    pub value: Option<f64>,
    /// Whether it holds. What was not measured does not.
    pub met: bool,
}

impl Slo {
    /// Parses `path operator number`. Errors name what is wrong in one line, an unknown path with its
    /// nearest names.
    pub fn parse(text: &str) -> Result<Slo, String> {
        let at = text.find(['<', '>', '=']).ok_or("no comparison: write it like probe_rtt_us.p99<5000")?;
        let (path, rest) = (text[..at].trim(), &text[at..]);
        let (operator, bound) = Operator::ALL
            .iter()
            .find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?.trim())))
            .ok_or("unknown comparison: use <, <=, >, >= or ==")?;
        if !paths::NUMBERS.contains(&path) {
            let hint = hint(path, paths::NUMBERS.iter().copied());
            return Err(format!("no measurement is called '{path}'{hint}"));
        }
        let bound = bound.parse::<f64>().ok().filter(|bound| bound.is_finite());
        let bound = bound.ok_or("the bound must be a plain number; the unit is in the measurement's name")?;
        Ok(Slo { path: path.to_owned(), operator, bound })
    }

    /// The measurement's path in the JSON report.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Judges the objective on a JSON report.
    pub fn judge(&self, report: &Value) -> SloResult {
        let value = paths::number(report, &self.path);
        let met = value.is_some_and(|value| self.operator.holds(value, self.bound));
        SloResult { objective: self.to_string(), value, met }
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Operator::ALL
            .iter()
            .find(|(_, operator)| *operator == self.operator)
            .map_or("", |(sign, _)| sign);
        write!(f, "{}{sign}{}", self.path, self.bound)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(objective: &str, report: &Value) -> bool {
        Slo::parse(objective).unwrap().judge(report).met
    }

    #[test]
    fn every_comparison_is_read_with_and_without_blanks() {
        let report = json!({"probe_rtt_us": {"p99": 100}, "false_deaths": 0});
        for (objective, met) in [
            ("probe_rtt_us.p99<101", true),
            ("probe_rtt_us.p99 < 100", false),
            ("probe_rtt_us.p99<=100", true),
            (" probe_rtt_us.p99 >= 100 ", true),
            ("probe_rtt_us.p99>100", false),
            ("probe_rtt_us.p99>99.5", true),
            ("false_deaths==0", true),
            ("false_deaths == 1", false),
        ] {
            assert_eq!(holds(objective, &report), met, "{objective}");
        }
    }

    #[test]
    fn objectives_print_as_they_are_written() {
        for text in [
            "probe_rtt_us.p99<5000",
            "false_deaths==0",
            "detection_s.all.max<=30",
            "events.delivered_ratio>=0.5",
        ] {
            assert_eq!(Slo::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_was_not_measured_is_missed() {
        let slo = Slo::parse("convergence_s<10").unwrap();
        for report in [json!({"convergence_s": null}), json!({})] {
            assert_eq!(
                slo.judge(&report),
                SloResult { objective: "convergence_s<10".to_owned(), value: None, met: false }
            );
        }
    }

    #[test]
    fn faults_say_what_is_wrong() {
        let fault = |text: &str| Slo::parse(text).unwrap_err();
        assert_eq!(
            fault("false_death==0"),
            "no measurement is called 'false_death'; did you mean false_deaths?"
        );
        assert!(fault("probe_rtt.p99<1").contains("did you mean probe_rtt_us.p99"));
        assert!(fault("false_deaths").starts_with("no comparison"));
        assert!(fault("false_deaths=0").starts_with("unknown comparison"));
        for text in ["false_deaths<", "false_deaths<5ms", "false_deaths<nan", "false_deaths<=="] {
            assert!(fault(text).starts_with("the bound must be a plain number"), "{text}");
        }
        assert!(fault("settings.seed<1").starts_with("no measurement"));
    }
}
