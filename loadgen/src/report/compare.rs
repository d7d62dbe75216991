//! Several saved results next to each other: a table for people, lines for spreadsheets.

use std::collections::BTreeSet;

use serde_json::Value;
use swimring_tooling::style::Style;
use swimring_tooling::table::Table;
use swimring_tooling::text::{ABSENT, bytes, microseconds, percent, significant, thousands};

use super::real_members::{RealMember, RealMembers, worst_first};
use super::{Report, paths};

/// What the numbers of a path are.
#[derive(Clone, Copy)]
enum Unit {
    Count,
    Number,
    Share,
    Bytes,
    Microseconds,
    Milliseconds,
    Seconds,
}

/// The measurements worth comparing, in order, with the words the single report uses.
const ROWS: [(&str, &str, Unit); 41] = [
    ("CPU cores", "cpu.cores", Unit::Number),
    ("CPU us per member-second", "cpu.us_per_member_second", Unit::Number),
    ("memory", "memory.rss_bytes", Unit::Bytes),
    ("bytes per known member", "memory.bytes_per_pair", Unit::Number),
    ("datagrams per second", "datagrams.per_second", Unit::Number),
    ("datagrams per system call", "datagrams.per_system_call", Unit::Number),
    ("bytes per member-second", "datagrams.bytes_per_member_second", Unit::Number),
    ("datagrams dropped", "datagrams.dropped", Unit::Count),
    ("heap allocations", "allocations.steady_state", Unit::Count),
    ("probe round trip p50", "probe_rtt_us.p50", Unit::Microseconds),
    ("probe round trip p99", "probe_rtt_us.p99", Unit::Microseconds),
    ("probe round trip max", "probe_rtt_us.max", Unit::Microseconds),
    ("within a zone p50", "zone_rtt_us.within.p50", Unit::Microseconds),
    ("within a zone p99", "zone_rtt_us.within.p99", Unit::Microseconds),
    ("to another zone p50", "zone_rtt_us.between.p50", Unit::Microseconds),
    ("to another zone p99", "zone_rtt_us.between.p99", Unit::Microseconds),
    ("timers late by p99", "schedule_lag_us.p99", Unit::Microseconds),
    ("kills", "kills.count", Unit::Count),
    ("kills detected", "kills.detected", Unit::Count),
    ("kill until one knows p50", "detection_s.first.p50", Unit::Seconds),
    ("kill until all know p50", "detection_s.all.p50", Unit::Seconds),
    ("kill until all know max", "detection_s.all.max", Unit::Seconds),
    ("false suspicions", "false_suspicions", Unit::Count),
    ("false deaths", "false_deaths", Unit::Count),
    ("events delivered", "events.delivered_ratio", Unit::Share),
    ("event copies per member", "events.copies_per_member", Unit::Number),
    ("event copies crossed per zone", "events.crossed_per_zone", Unit::Number),
    ("event CPU us per member", "events.cpu_us_per_event_per_member", Unit::Number),
    ("event to delivery p50", "events.spread_ms.p50", Unit::Milliseconds),
    ("event to delivery p99", "events.spread_ms.p99", Unit::Milliseconds),
    ("event to delivery max", "events.spread_ms.max", Unit::Milliseconds),
    ("delegated copies", "delegations.copies.count", Unit::Count),
    ("copies per second", "delegations.copies.per_second", Unit::Number),
    ("acknowledgements", "delegations.acknowledgements.count", Unit::Count),
    ("acks per second", "delegations.acknowledgements.per_second", Unit::Number),
    ("retransmissions", "delegations.retransmissions.count", Unit::Count),
    ("retransmitted per second", "delegations.retransmissions.per_second", Unit::Number),
    ("delegations given up", "delegations.given_up.count", Unit::Count),
    ("delegations shed", "delegations.shed.count", Unit::Count),
    ("copies crossed to zones", "delegations.crossed.count", Unit::Count),
    ("convergence", "convergence_s", Unit::Seconds),
];

/// Numbers of real members that are compared: of all together, and of those that one has to look at.
const REAL_ROWS: [(&str, &str, Unit); 9] = [
    ("acks", "acks", Unit::Count),
    ("lost acks", "lost_acks", Unit::Count),
    ("ack p50", "ack_rtt_us.p50", Unit::Microseconds),
    ("ack p99", "ack_rtt_us.p99", Unit::Microseconds),
    ("suspected by", "suspected_of.by", Unit::Count),
    ("taken for dead by", "failed_of.by", Unit::Count),
    ("suspicions raised", "suspicions_raised", Unit::Count),
    ("deaths declared", "deaths_declared", Unit::Count),
    ("kill until it knows p50", "dead_s.p50", Unit::Seconds),
];
/// Real members that are compared one by one: the worst of each report, no more in all.
const REAL_MEMBERS_MAX: usize = 6;

/// A table of several reports: a row for each label, and of two the difference.
struct Rows {
    table: Table,
    with_change: bool,
}

impl Rows {
    fn cells(&mut self, label: &str, cells: impl IntoIterator<Item = String>) {
        self.table.row([label.to_owned()].into_iter().chain(cells));
    }

    /// Numbers in their unit; no row where nobody has one.
    fn numbers(&mut self, label: &str, numbers: &[Option<f64>], unit: Unit) {
        if numbers.iter().any(Option::is_some) {
            let change = self.with_change.then(|| relative(numbers[0], numbers[1]));
            self.cells(label, numbers.iter().map(|number| unit.show(*number)).chain(change));
        }
    }

    /// A real member, or all together, of each report.
    fn members<'a>(&mut self, members: impl Iterator<Item = Option<&'a RealMember>>) {
        let values: Vec<Value> = members
            .map(|member| {
                member.map_or(Value::Null, |member| serde_json::to_value(member).unwrap_or_default())
            })
            .collect();
        for (label, path, unit) in REAL_ROWS {
            let numbers: Vec<Option<f64>> = values.iter().map(|value| paths::number(value, path)).collect();
            // What happened nowhere says nothing of a member.
            if numbers.iter().flatten().any(|number| *number != 0.0) {
                self.numbers(&format!("  {label}"), &numbers, unit);
            }
        }
    }

    fn blank(&mut self) {
        self.table.row([""]);
    }
}

/// Renders several reports, each under its name. Of two, the second's difference from the first is shown.
pub fn comparison(reports: &[(String, Report)], style: Style) -> String {
    let values: Vec<Value> = reports.iter().map(|(_, report)| report.to_value()).collect();
    let mut rows = Rows { table: Table::new(0, 0), with_change: reports.len() == 2 };
    let change = rows.with_change.then(|| "change".to_owned());
    rows.cells("", reports.iter().map(|(name, _)| name.clone()).chain(change));
    for (label, cells) in identity(reports, &values) {
        rows.cells(&label, cells);
    }
    rows.blank();
    for (label, path, unit) in ROWS {
        let numbers: Vec<Option<f64>> = values.iter().map(|value| paths::number(value, path)).collect();
        rows.numbers(label, &numbers, unit);
    }
    compare_real_members(reports, &mut rows);
    let mut lines = rows.table.lines_within(style.columns());
    lines[0] = style.heading(&lines[0]);
    lines.push(String::new());
    lines.join("\n")
}

/// The real members of pools that were attached to: all together, then the worst by name.
fn compare_real_members(reports: &[(String, Report)], rows: &mut Rows) {
    let all: Vec<Option<&RealMembers>> =
        reports.iter().map(|(_, report)| report.real_members.as_ref()).collect();
    if all.iter().all(Option::is_none) {
        return;
    }
    rows.blank();
    let counts: Vec<Option<f64>> = all.iter().map(|real| real.map(|real| real.count as f64)).collect();
    rows.numbers("Real members", &counts, Unit::Count);
    rows.members(all.iter().map(|real| real.map(|real| &real.total)));
    for name in worst_names(&all) {
        rows.cells(&name, []);
        let named = |real: &RealMembers| real.members.iter().position(|member| member.name == name);
        rows.members(all.iter().map(|real| real.and_then(|real| named(real).map(|at| &real.members[at]))));
    }
}

/// Names of the worst real members, in turn of each report, each once.
fn worst_names(all: &[Option<&RealMembers>]) -> Vec<String> {
    let worst: Vec<Vec<&RealMember>> =
        all.iter().map(|real| real.map_or(Vec::new(), |real| worst_first(&real.members))).collect();
    let longest = worst.iter().map(Vec::len).max().unwrap_or(0);
    let mut names: Vec<String> = Vec::new();
    for member in (0..longest).flat_map(|place| worst.iter().filter_map(move |worst| worst.get(place))) {
        if names.len() < REAL_MEMBERS_MAX && !names.contains(&member.name) {
            names.push(member.name.clone());
        }
    }
    names
}

/// What made each result, and every setting in which they differ: numbers are only comparable where these
/// agree.
fn identity(reports: &[(String, Report)], values: &[Value]) -> Vec<(String, Vec<String>)> {
    let each = |cell: &dyn Fn(&Report) -> String| reports.iter().map(|(_, report)| cell(report)).collect();
    let mut rows: Vec<(String, Vec<String>)> = vec![
        ("commit".to_owned(), each(&|report| report.environment.commit.clone())),
        ("machine".to_owned(), each(&|report| report.environment.cpu.clone())),
        ("kernel".to_owned(), each(&|report| report.environment.kernel.clone())),
        ("driver used".to_owned(), each(&|report| report.driver.clone())),
        ("members".to_owned(), each(&|report| thousands(report.members))),
        ("measured".to_owned(), each(&|report| format!("{} s", significant(report.duration_s)))),
        ("valid".to_owned(), each(&|report| if report.valid { "yes" } else { "NO" }.to_owned())),
    ];
    let names: BTreeSet<&String> = reports.iter().flat_map(|(_, report)| report.settings.keys()).collect();
    for name in names.into_iter().filter(|name| !["members", "duration_s"].contains(&name.as_str())) {
        let settings: Vec<&Value> =
            values.iter().map(|value| value["settings"].get(name).unwrap_or(&Value::Null)).collect();
        if settings.iter().any(|setting| *setting != settings[0]) {
            let shown = settings.iter().map(|setting| match setting {
                Value::Null => ABSENT.to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            rows.push((name.clone(), shown.collect()));
        }
    }
    rows
}

impl Unit {
    fn show(self, number: Option<f64>) -> String {
        let Some(number) = number else { return ABSENT.to_owned() };
        match self {
            Unit::Count => thousands(number as u64),
            Unit::Number => significant(number),
            Unit::Share => percent(number),
            Unit::Bytes => bytes(number as u64),
            Unit::Microseconds => microseconds(number),
            Unit::Milliseconds => microseconds(number * 1e3),
            Unit::Seconds => microseconds(number * 1e6),
        }
    }
}

/// How the second differs from the first, in percent of the first.
fn relative(first: Option<f64>, second: Option<f64>) -> String {
    match (first, second) {
        (Some(first), Some(second)) if first == second => "=".to_owned(),
        (Some(first), Some(second)) if first != 0.0 => {
            let change = (second - first) / first * 100.0;
            format!("{}{} %", if change > 0.0 { "+" } else { "" }, significant(change))
        }
        _ => ABSENT.to_owned(),
    }
}

/// One line per report under a heading: its name, what made it, and every number by its path. What was not
/// measured is empty.
pub fn csv(reports: &[(String, Report)]) -> Result<String, csv::Error> {
    const IDENTITY: [&str; 10] =
        ["file", "valid", "version", "commit", "started_at", "kernel", "cpu", "cores", "wire", "driver"];
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(IDENTITY.iter().chain(paths::NUMBERS.iter()))?;
    for (name, report) in reports {
        let environment = &report.environment;
        let identity = [
            name.clone(),
            report.valid.to_string(),
            environment.version.clone(),
            environment.commit.clone(),
            environment.started_at.clone(),
            environment.kernel.clone(),
            environment.cpu.clone(),
            environment.cores.to_string(),
            report.wire.clone(),
            report.driver.clone(),
        ];
        let value = report.to_value();
        // As JSON writes them: a seed is a whole number that a double might not hold.
        let numbers = paths::NUMBERS.iter().map(|path| {
            let leaf = path.split('.').try_fold(&value, |value, name| value.get(name));
            leaf.filter(|leaf| leaf.is_number()).map_or(String::new(), Value::to_string)
        });
        writer.write_record(identity.into_iter().chain(numbers))?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
