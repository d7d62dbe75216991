//! What the real members of a pool look like from outside: the part of a report that only `attach` has.

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};

use super::table::Table;
use crate::text::{ABSENT, microseconds, thousands};

/// Real members that the text lists; the JSON report has all that were kept apart.
const LISTED_MAX: usize = 12;
/// Characters of a name that the text shows.
const NAME_MAX: usize = 16;

/// The real members of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RealMembers {
    /// Real members that were met.
    pub count: u64,
    /// Of these, how many are not among `members`, because there are more than can be kept apart.
    pub untracked: u64,
    /// All of them together.
    pub total: RealMember,
    /// Each of them, in order of name.
    pub members: Vec<RealMember>,
}

/// One real member, or all together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RealMember {
    /// Its name; empty for all together.
    pub name: String,
    /// Where it lives; empty for all together.
    pub address: String,
    /// Probes of ours that it answered directly.
    pub acks: u64,
    /// Their round trips, from the intended time, microseconds.
    pub ack_rtt_us: Spread,
    /// Probes of ours that it did not answer directly in time.
    pub lost_acks: u64,
    /// From a kill until it first passed a suspicion of the victim on, seconds.
    pub suspect_s: Spread,
    /// From a kill until it first passed on that the victim is dead, seconds.
    pub dead_s: Spread,
    /// From a user event until it first passed it on, milliseconds.
    pub event_ms: Spread,
    /// Suspicions that it raised against live members of ours.
    pub suspicions_raised: u64,
    /// Live members of ours that it declared dead.
    pub deaths_declared: u64,
    /// Times that a member of ours suspected it.
    pub suspected: u64,
    /// Times that a member of ours took it for dead.
    pub failed: u64,
}

/// A distribution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Values in it.
    pub count: u64,
    /// Median.
    pub p50: Option<f64>,
    /// 99 % were at most this.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

impl Spread {
    /// Of a histogram of microseconds, in units of `unit_us`.
    pub fn of<C: Counter>(histogram: &Histogram<C>, unit_us: f64) -> Spread {
        let at = |quantile| {
            let us = histogram.value_at_quantile(quantile).min(histogram.max());
            (!histogram.is_empty()).then(|| super::summary::rounded(us as f64 / unit_us))
        };
        Spread { count: histogram.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

impl RealMembers {
    /// The table for people: those that answered least and slowest, and all together.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut table = Table::new(NAME_MAX + 2, 0);
        table.row([
            "Real members",
            "acks",
            "lost",
            "ack p50",
            "ack p99",
            "suspects",
            "dead",
            "event",
            "accused us",
        ]);
        let mut worst: Vec<&RealMember> = self.members.iter().collect();
        worst.sort_by(|a, b| {
            let slowest = |member: &RealMember| member.ack_rtt_us.p99.unwrap_or(0.0);
            b.lost_acks.cmp(&a.lost_acks).then(slowest(b).total_cmp(&slowest(a)))
        });
        for member in worst.iter().take(LISTED_MAX) {
            table.row(member.cells(&member.name));
        }
        table.row(self.total.cells(&format!("all {}", thousands(self.count))));
        let mut lines = table.lines();
        if self.members.len() > LISTED_MAX {
            lines.push(format!("  ({LISTED_MAX} are listed: those with the most lost and the slowest acks)"));
        }
        let taken = self.total.suspected + self.total.failed;
        if taken > 0 {
            let (suspected, failed) = (thousands(self.total.suspected), thousands(self.total.failed));
            lines.push(format!(
                "  ours suspected one of them {suspected} times, and took one for dead {failed} times"
            ));
        }
        lines
    }
}

impl RealMember {
    fn cells(&self, name: &str) -> [String; 9] {
        let at = |value: Option<f64>, us: f64| {
            value.map_or_else(|| ABSENT.to_owned(), |value| microseconds(value * us))
        };
        let name: String = name.chars().take(NAME_MAX).collect();
        [
            format!("  {name}"),
            thousands(self.acks),
            thousands(self.lost_acks),
            at(self.ack_rtt_us.p50, 1.0),
            at(self.ack_rtt_us.p99, 1.0),
            at(self.suspect_s.p50, 1e6),
            at(self.dead_s.p50, 1e6),
            at(self.event_ms.p50, 1e3),
            thousands(self.suspicions_raised + self.deaths_declared),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurements::histogram_us;

    #[test]
    fn the_text_lists_the_worst_and_fits_the_page() {
        let member = |number: u64| RealMember {
            name: format!("consul-server-in-rack-number-{number}"),
            acks: 1_000_000,
            lost_acks: number,
            ack_rtt_us: Spread { count: 1, p50: Some(1234.0), p99: Some(98_765.0), max: None },
            dead_s: Spread { count: 1, p50: Some(12.9), p99: None, max: None },
            ..RealMember::default()
        };
        let members: Vec<_> = (0..20).map(member).collect();
        let all = RealMembers { count: 20, untracked: 0, total: member(190), members };
        let lines = all.lines();
        assert!(lines.iter().all(|line| line.len() <= 100), "{lines:#?}");
        assert!(
            lines[1].starts_with("  consul-server-in-rack-nu") && lines[1].contains("  19  "),
            "{}",
            lines[1]
        );
        assert!(lines[13].starts_with("  all 20") && lines[14].contains("12 are listed"), "{lines:#?}");
        assert!(lines[1].contains("1.23 ms") && lines[1].contains("12.9 s"), "{}", lines[1]);
    }

    #[test]
    fn a_distribution_is_told_in_its_unit_and_nothing_of_nothing() {
        let mut histogram = histogram_us();
        assert_eq!(Spread::of(&histogram, 1e6), Spread::default());
        histogram.record(2_000_000).unwrap();
        let spread = Spread::of(&histogram, 1e6);
        assert_eq!((spread.count, spread.p50.map(f64::round)), (1, Some(2.0)));
    }
}
