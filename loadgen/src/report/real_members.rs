//! What the real members of a pool look like from outside: the part of a report that only `attach` has.

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};

use swimring_tooling::columns::{NO_BREAK, wrapped};
use swimring_tooling::table::Table;
use swimring_tooling::text::{ABSENT, counted, microseconds, thousands};

/// Real members that the text lists; the JSON report has all that were kept apart.
const LISTED_MAX: usize = 12;
/// Characters of a name that the text shows at least, its indentation included.
const NAME_LEAST: usize = 18;

/// The real members of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RealMembers {
    /// Real members that were met.
    pub count: u64,
    /// Members that are not among `members`, because there are more than can be kept apart.
    pub untracked: u64,
    /// The longest time in which no message of any of them arrived, from the start of the measured time to the end
    /// of settling, seconds.
    pub silence_s: f64,
    /// When all of them were held to be dead by half of ours or more, if ever: seconds from the start of the measured
    /// time.
    pub all_dead_at_s: Option<f64>,
    /// Packets of strangers, real members not among them, that could not be opened.
    pub unopened_of_others: u64,
    /// The `invalid_reasons` that say that they and ours were cut off from each other.
    pub cut_off: Vec<String>,
    /// All of them together.
    pub total: RealMember,
    /// The members, in order of name.
    pub members: Vec<RealMember>,
}

/// One real member, or all together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RealMember {
    /// Its name; empty for all together.
    pub name: String,
    /// Its address; empty for all together.
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
    /// Members of ours that did, and when.
    pub suspected_of: Doubted,
    /// Times that a member of ours took it for dead.
    pub failed: u64,
    /// Members of ours that did, and when.
    pub failed_of: Doubted,
    /// Members of ours, of those that are there all the time, that held it to be dead when settling ended; of all
    /// together the sum.
    pub held_dead: u64,
    /// Packets of it that could not be opened: another key or label, damage.
    pub unopened: u64,
}

/// How many members of ours doubted a real member, and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Doubted {
    /// Members of ours, each counted once.
    pub by: u64,
    /// When the first of them began to, seconds from the start of the measured time.
    pub from_s: Option<f64>,
    /// When the last of them did.
    pub until_s: Option<f64>,
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

/// Six significant digits, as every fraction in a report.
pub fn rounded(number: f64) -> f64 {
    super::summary::rounded(number)
}

impl Spread {
    /// Of a histogram of microseconds, in units of `unit_us`.
    pub fn of<C: Counter>(histogram: &Histogram<C>, unit_us: f64) -> Spread {
        let at = |quantile| {
            let us = histogram.value_at_quantile(quantile).min(histogram.max());
            (!histogram.is_empty()).then(|| rounded(us as f64 / unit_us))
        };
        Spread { count: histogram.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

/// Those that one has to look at first: whom ours doubted, then those that answered least and slowest.
pub(super) fn worst_first(members: &[RealMember]) -> Vec<&RealMember> {
    let mut worst: Vec<&RealMember> = members.iter().collect();
    let badness = |member: &RealMember| {
        (member.failed_of.by, member.failed, member.suspected_of.by, member.suspected, member.lost_acks)
    };
    worst.sort_by(|a, b| {
        let slowest = |member: &RealMember| member.ack_rtt_us.p99.unwrap_or(0.0);
        badness(b).cmp(&badness(a)).then(slowest(b).total_cmp(&slowest(a)))
    });
    worst
}

/// Columns of the table besides the name: heading, and what of a member it shows.
type Column = (&'static str, fn(&RealMember) -> String);

const COLUMNS: [Column; 10] = [
    ("address", |member| member.address.clone()),
    ("acks", |member| thousands(member.acks)),
    ("lost", |member| thousands(member.lost_acks)),
    ("ack p50", |member| at(member.ack_rtt_us.p50, 1.0)),
    ("ack p99", |member| at(member.ack_rtt_us.p99, 1.0)),
    ("ack max", |member| at(member.ack_rtt_us.max, 1.0)),
    ("suspects", |member| at(member.suspect_s.p50, 1e6)),
    ("dead", |member| at(member.dead_s.p50, 1e6)),
    ("event", |member| at(member.event_ms.p50, 1e3)),
    ("accused", |member| thousands(member.suspicions_raised + member.deaths_declared)),
];

/// The columns that are left out first where room is short.
const SPARE: [&str; 3] = ["address", "ack max", "acks"];

fn at(value: Option<f64>, us: f64) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| microseconds(value * us))
}

impl RealMembers {
    /// The part of the page, none of its lines longer than `columns`: the table of the worst and of all together, then
    /// whom ours doubted.
    pub(super) fn lines(&self, columns: usize) -> Vec<String> {
        let worst = worst_first(&self.members);
        let mut lines = self.table(&worst).lines_within(columns);
        let mut say = |text: &str| {
            let mut broken = wrapped(text, columns - 4).into_iter();
            lines.extend(broken.next().map(|line| format!("  {line}")));
            lines.extend(broken.map(|line| format!("    {line}")));
        };
        if self.members.len() > LISTED_MAX {
            say(&format!("({LISTED_MAX} of {} are listed: the worst)", thousands(self.count)));
        }
        let doubted: Vec<_> = worst.iter().filter(|member| member.suspected + member.failed > 0).collect();
        doubted.iter().take(LISTED_MAX).for_each(|member| say(&member.doubts()));
        if doubted.len() > LISTED_MAX {
            let more = (doubted.len() - LISTED_MAX) as u64;
            say(&format!("ours doubted {} more; the JSON report has them all", thousands(more)));
        }
        if self.total.unopened + self.unopened_of_others > 0 {
            let (theirs, strangers) = (self.total.unopened, self.unopened_of_others);
            say(&format!(
                "{} of theirs and {} of strangers could not be opened",
                counted(theirs, "packet"),
                thousands(strangers)
            ));
        }
        lines
    }

    fn table(&self, worst: &[&RealMember]) -> Table {
        let listed: Vec<&RealMember> = worst.iter().take(LISTED_MAX).copied().chain([&self.total]).collect();
        // What nothing was measured of takes no room: without kills and events these are three columns.
        let shown: Vec<&Column> =
            COLUMNS.iter().filter(|(_, cell)| listed.iter().any(|member| cell(member) != ABSENT)).collect();
        let place = |name: &str| shown.iter().position(|(heading, _)| *heading == name).map(|at| at + 1);
        let spare: Vec<usize> = SPARE.iter().filter_map(|name| place(name)).collect();
        let mut table = Table::new(0, 0).spare(&spare).names(NAME_LEAST);
        table.row(["Real members"].into_iter().chain(shown.iter().map(|(heading, _)| *heading)));
        for (number, member) in listed.iter().enumerate() {
            let name = match number + 1 == listed.len() {
                true => format!("  all {}", thousands(self.count)),
                false => format!("  {}", member.name),
            };
            table.row([name].into_iter().chain(shown.iter().map(|(_, cell)| cell(member))));
        }
        table
    }
}

impl RealMember {
    /// A sentence on the members of ours that suspected it or took it for dead: how many, how often and when.
    fn doubts(&self) -> String {
        let RealMember { name, address, .. } = self;
        let span = |doubted: &Doubted| {
            let at = |seconds: Option<f64>| {
                microseconds(seconds.unwrap_or(0.0) * 1e6).replace(' ', &NO_BREAK.to_string())
            };
            match doubted.from_s == doubted.until_s {
                true => format!("at {}", at(doubted.from_s)),
                false => format!("from {} to {}", at(doubted.from_s), at(doubted.until_s)),
            }
        };
        let told = |what: &str, times: u64, doubted: &Doubted| {
            let (by, often) = (counted(doubted.by, "member"), counted(times, "time"));
            format!("{what} by {by} of ours ({often}, {})", span(doubted))
        };
        let mut parts = Vec::new();
        if self.suspected > 0 {
            parts.push(told("suspected", self.suspected, &self.suspected_of));
        }
        if self.failed > 0 {
            parts.push(told("taken for dead", self.failed, &self.failed_of));
        }
        let still = match self.held_dead {
            0 => String::new(),
            still => format!("; held dead by {} at the end", thousands(still)),
        };
        format!("{name} at {address}: {}{still}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use swimring_tooling::columns::width;

    use super::*;
    use crate::measurements::histogram_us;

    fn member(number: u64) -> RealMember {
        RealMember {
            name: format!("consul-server-in-rack-number-{number}"),
            address: format!("10.20.30.{number}:8301"),
            acks: 1_000_000,
            lost_acks: number,
            ack_rtt_us: Spread { count: 1, p50: Some(1234.0), p99: Some(98_765.0), max: Some(100_000.0) },
            suspect_s: Spread { count: 1, p50: Some(3.0), p99: None, max: None },
            dead_s: Spread { count: 1, p50: Some(12.9), p99: None, max: None },
            event_ms: Spread { count: 1, p50: Some(1500.0), p99: None, max: None },
            ..RealMember::default()
        }
    }

    fn twenty() -> RealMembers {
        let members: Vec<_> = (0..20).map(member).collect();
        let total = RealMember { name: String::new(), address: String::new(), ..member(190) };
        RealMembers { count: 20, total, members, ..RealMembers::default() }
    }

    #[test]
    fn the_text_lists_the_worst_and_fits_the_page() {
        for columns in [80, 100, 200] {
            let lines = twenty().lines(columns);
            assert!(lines.iter().all(|line| width(line) <= columns), "{lines:#?}");
            assert!(lines[1].starts_with("  consul-") && lines[1].contains("ber-19  "), "{}", lines[1]);
            assert!(lines[13].starts_with("  all 20") && lines[14].contains("(12 of 20 are"), "{lines:#?}");
            assert!(lines[1].contains("1.23 ms") && lines[1].contains("12.9 s"), "{}", lines[1]);
            assert_eq!(lines[0].contains("address"), columns == 200, "{lines:#?}");
        }
        let idle = RealMember { suspect_s: Spread::default(), event_ms: Spread::default(), ..member(1) };
        let few =
            RealMembers { count: 1, total: idle.clone(), members: vec![idle], ..RealMembers::default() };
        assert!(!few.lines(80)[0].contains("suspects") && few.lines(80)[0].contains("dead"));
    }

    #[test]
    fn whom_ours_doubted_is_named_with_how_many_of_them_and_when() {
        let mut all = twenty();
        let culprit = &mut all.members[4];
        culprit.suspected = 31;
        culprit.suspected_of = Doubted { by: 20, from_s: Some(12.3), until_s: Some(26.0) };
        culprit.failed = 20;
        culprit.failed_of = Doubted { by: 20, from_s: Some(17.0), until_s: Some(17.0) };
        culprit.held_dead = 2;
        all.total.unopened = 7;
        let lines = all.lines(80);
        assert!(lines.iter().all(|line| width(line) <= 80), "{lines:#?}");
        assert!(lines[1].contains("ber-4 "), "the culprit comes first: {lines:#?}");
        let told = lines[15..].iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        assert_eq!(
            told,
            "consul-server-in-rack-number-4 at 10.20.30.4:8301: suspected by 20 members of ours (31 times, from \
             12.3 s to 26.0 s), taken for dead by 20 members of ours (20 times, at 17.0 s); held dead by 2 at the \
             end 7 packets of theirs and 0 of strangers could not be opened"
        );
    }

    #[test]
    fn a_report_of_before_can_be_read() {
        let old = r#"{"count": 1, "untracked": 0, "total": {"name": "", "acks": 3}, "members": []}"#;
        let read: RealMembers = serde_json::from_str(old).unwrap();
        assert_eq!((read.total.acks, read.silence_s, read.all_dead_at_s), (3, 0.0, None));
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
