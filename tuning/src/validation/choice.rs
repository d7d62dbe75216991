//! Which settings are tried: the best by the forms that keep a distance from every limit.
//!
//! Simulations scatter, and a limit is met only if the whole interval is within it. The best settings by the forms
//! lie on a limit, where half of all judgements would come out beyond it. So the search keeps a margin. A large one
//! costs something: it is taken where what is minimised has a limit of its own that is far away, since nobody who
//! allows 2,000 bytes per second is served by 99 that may miss instead of 150 that do not.

use crate::objective::Objective;
use crate::search::{Forms, SearchResult, search};

/// Margins as logarithms of ratios, the largest first: the first that some settings keep is taken.
const MARGINS: [f64; 5] = [0.40, SLACK_MARGIN, MARGIN, 0.05, 0.0];
/// Where nothing else is known: 10 %, about half of the interval of a 99th percentile of 400 crashes.
pub(super) const MARGIN: f64 = 0.10;
/// Where there is slack.
const SLACK_MARGIN: f64 = 0.25;
/// Slack is what leaves at least so large a share of the limit on what is minimised.
const SLACK_SHARE: f64 = 0.5;

/// A search and the margin that its best keeps.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) found: SearchResult,
    pub(super) margin: f64,
}

/// The best settings with a margin of at most `wanted`, or more where the budget is slack.
pub(super) fn choose(objective: &Objective, forms: &Forms, wanted: f64) -> Choice {
    let budget = objective.limit(objective.minimise).filter(|_| objective.minimise.is_cost());
    if let Some(budget) = budget.filter(|_| wanted < SLACK_MARGIN) {
        let found = search(objective, forms, SLACK_MARGIN);
        let spent = found.best.predicted.get(objective.minimise);
        if found.best.keeps(objective, SLACK_MARGIN) && spent <= budget.most * SLACK_SHARE {
            return Choice { found, margin: SLACK_MARGIN };
        }
    }
    let mut last: Option<SearchResult> = None;
    for margin in MARGINS.into_iter().filter(|margin| *margin > 0.0 && *margin <= wanted) {
        // What nothing came near to that was looked at is not worth another search.
        let hopeless =
            |found: &SearchResult| !found.all.iter().any(|candidate| candidate.keeps(objective, margin));
        if last.as_ref().is_some_and(hopeless) {
            continue;
        }
        let found = search(objective, forms, margin);
        if found.best.keeps(objective, margin) {
            return Choice { found, margin };
        }
        last = Some(found);
    }
    Choice { found: search(objective, forms, 0.0), margin: 0.0 }
}

/// The margin above `margin`.
pub(super) fn larger(margin: f64) -> f64 {
    MARGINS.into_iter().rev().find(|larger| *larger > margin).unwrap_or(margin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::{Limit, Measure, Network, Target};

    fn objective(bytes: Option<f64>) -> Objective {
        let limit = |measure, most| Limit { measure, most, default: false };
        let speed = [limit(Measure::DetectP99, 6.0), limit(Measure::FalseDeaths, 0.1)];
        Objective {
            members: 200,
            network: Network::default(),
            events_per_second: 0.0,
            failures_per_hour: 1.0,
            limits: speed.into_iter().chain(bytes.map(|most| limit(Measure::Bytes, most))).collect(),
            minimise: Measure::Bytes,
            target: Target::Consul,
        }
    }

    #[test]
    fn slack_buys_distance_and_nothing_else_does() {
        let choice = |bytes| {
            let objective = objective(bytes);
            choose(&objective, &Forms::of(&objective), MARGIN)
        };
        let free = choice(None);
        assert_eq!(free.margin, MARGIN);
        let cost = free.found.best.predicted.bytes_per_member_second;
        let slack = choice(Some(cost * 10.0));
        assert_eq!(slack.margin, SLACK_MARGIN);
        assert!(slack.found.best.predicted.detect_p99_s <= 6.0 * (-SLACK_MARGIN).exp() + 1e-9);
        let tight = choice(Some(cost * 1.2));
        assert!(tight.margin <= MARGIN && tight.found.best.predicted.bytes_per_member_second <= cost * 1.2);
        // Out of reach: the least that is beyond, without a margin.
        assert_eq!(choice(Some(1.0)).margin, 0.0);
    }

    #[test]
    fn margins_grow_to_the_largest() {
        assert_eq!((larger(0.0), larger(MARGIN), larger(0.40)), (0.05, SLACK_MARGIN, 0.40));
    }
}
