//! The summary: per size and kind of trouble, the contenders side by side, and every cell in which one was
//! wrong more often than Lifeguard.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use swimring_tooling::quantiles;

use super::cells::{Cell, Class};
use super::contender::Contender;
use super::results::{Line, seconds};

/// What the trials of one contender in one cell, or one row of cells, come to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sum {
    pub trials: u64,
    pub cells: u64,
    pub member_seconds: f64,
    pub first_declared_s: Vec<f64>,
    pub first_suspected_s: Vec<f64>,
    pub all_s: Vec<f64>,
    pub false_deaths: u64,
    pub false_deaths_healthy_subjects: u64,
    pub false_deaths_at_healthy: u64,
    pub false_death_subjects: u64,
    pub false_death_subjects_healthy: u64,
    pub bytes_per_member_second: f64,
    pub datagrams_per_member_second: f64,
}

impl Sum {
    fn add(&mut self, line: &Line) {
        self.trials += 1;
        self.first_declared_s.extend(seconds(&line.first_declared_s));
        self.first_suspected_s.extend(seconds(&line.first_suspected_s));
        self.all_s.extend(seconds(&line.all_s));
        self.false_deaths += line.false_deaths;
        self.false_deaths_healthy_subjects += line.false_deaths_healthy_subjects;
        self.false_deaths_at_healthy += line.false_deaths_at_healthy;
        self.false_death_subjects += line.false_death_subjects;
        self.false_death_subjects_healthy += line.false_death_subjects_healthy;
        self.bytes_per_member_second += line.bytes_per_member_second;
        self.datagrams_per_member_second += line.datagrams_per_member_second;
    }

    fn bytes(&self) -> f64 {
        self.bytes_per_member_second / self.trials.max(1) as f64
    }
}

/// One cell, all contenders, for the JSON.
#[derive(Clone, Debug, Serialize)]
pub struct CellResult {
    pub cell: String,
    pub members: u32,
    pub contenders: BTreeMap<&'static str, Sum>,
}

/// Sums `lines` by cell; only trials that every one of the contenders has run count.
pub fn by_cell(cells: &[Cell], lines: &[Line]) -> Vec<(Cell, CellResult)> {
    let mut of_cell: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        of_cell.entry(&line.cell).or_default().push(line);
    }
    let result = |cell: &Cell| {
        let name = cell.name();
        let lines = of_cell.get(name.as_str())?;
        let mut contenders = BTreeMap::new();
        for contender in Contender::ALL {
            let mut sum = Sum::default();
            let own = lines.iter().filter(|line| line.contender == contender.name());
            own.for_each(|line| sum.add(line));
            if sum.trials > 0 {
                contenders.insert(contender.name(), sum);
            }
        }
        Some((*cell, CellResult { cell: name, members: cell.members, contenders }))
    };
    cells.iter().filter_map(result).collect()
}

/// The summary in Markdown.
pub fn page(results: &[(Cell, CellResult)]) -> String {
    let mut page = String::new();
    detection(&mut page, results);
    false_deaths(&mut page, results);
    worse(&mut page, results);
    page
}

/// The `share`-quantile of `values`.
fn shown(values: &[f64], share: f64) -> String {
    let value = quantiles::quantile(&quantiles::sorted(values.iter().copied()), share);
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

fn detection(page: &mut String, results: &[(Cell, CellResult)]) {
    page.push_str("## Detection: from a crash to the first declaration\n\n");
    page.push_str("| members | cell | contender | crashes | suspected p50 s | p50 s | p99 s | max s | all p50 s | all p99 s | bytes/member/s |\n");
    page.push_str("|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (cell, result) in
        results.iter().filter(|(cell, _)| matches!(cell.class(), Class::Crash | Class::HostCrash))
    {
        for (contender, sum) in &result.contenders {
            let times = &sum.first_declared_s;
            let _ = writeln!(
                page,
                "| {} | {} | {contender} | {} | {} | {} | {} | {} | {} | {} | {:.0} |",
                cell.members,
                cell.row(),
                times.len(),
                shown(&sum.first_suspected_s, 0.5),
                shown(times, 0.5),
                shown(times, 0.99),
                shown(times, 1.0),
                shown(&sum.all_s, 0.5),
                shown(&sum.all_s, 0.99),
                sum.bytes(),
            );
        }
    }
}

fn false_deaths(page: &mut String, results: &[(Cell, CellResult)]) {
    page.push_str("\n## False deaths\n\n");
    page.push_str("FP: (observer, subject) pairs whose subject has no impairment; FP-: at observers without one; subjects: distinct ones of FP; impaired: pairs whose subject was impaired.\n\n");
    page.push_str("| members | trouble | contender | cells | trials | FP | FP- | subjects | impaired | bytes/member/s |\n");
    page.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    let mut rows: BTreeMap<(u32, String, &str), (u64, Sum)> = BTreeMap::new();
    for (cell, result) in results {
        for (contender, sum) in &result.contenders {
            let row = rows.entry((cell.members, cell.row(), contender)).or_default();
            row.0 += 1;
            row.1.trials += sum.trials;
            row.1.false_deaths += sum.false_deaths;
            row.1.false_deaths_healthy_subjects += sum.false_deaths_healthy_subjects;
            row.1.false_deaths_at_healthy += sum.false_deaths_at_healthy;
            row.1.false_death_subjects_healthy += sum.false_death_subjects_healthy;
            row.1.bytes_per_member_second += sum.bytes_per_member_second;
        }
    }
    for ((members, row, contender), (cells, sum)) in rows {
        let _ = writeln!(
            page,
            "| {members} | {row} | {contender} | {cells} | {} | {} | {} | {} | {} | {:.0} |",
            sum.trials,
            sum.false_deaths_healthy_subjects,
            sum.false_deaths_at_healthy,
            sum.false_death_subjects_healthy,
            sum.false_deaths - sum.false_deaths_healthy_subjects,
            sum.bytes(),
        );
    }
}

/// The cells in which adaptive suspicion was wrong more often than Lifeguard, of members that are impaired too.
fn worse(page: &mut String, results: &[(Cell, CellResult)]) {
    page.push_str("\n## Cells with more false deaths than Lifeguard\n\n");
    let mut compared = 0;
    let mut lines = String::new();
    for (_, result) in results {
        let pair = (result.contenders.get("lifeguard"), result.contenders.get("adaptive"));
        let (Some(lifeguard), Some(adaptive)) = pair else { continue };
        compared += 1;
        let counts =
            |sum: &Sum| (sum.false_deaths_healthy_subjects, sum.false_deaths_at_healthy, sum.false_deaths);
        let (ours, theirs) = (counts(adaptive), counts(lifeguard));
        if ours.0 > theirs.0 || ours.1 > theirs.1 || ours.2 > theirs.2 {
            let subjects = (adaptive.false_death_subjects_healthy, lifeguard.false_death_subjects_healthy);
            let _ = writeln!(
                lines,
                "- {}: FP {} against {}, FP- {} against {}, subjects {} against {}; with impaired subjects {} against {}, subjects {} against {}",
                result.cell,
                ours.0,
                theirs.0,
                ours.1,
                theirs.1,
                subjects.0,
                subjects.1,
                ours.2,
                theirs.2,
                adaptive.false_death_subjects,
                lifeguard.false_death_subjects
            );
        }
    }
    let none = if lines.is_empty() { "None" } else { "These" };
    let _ = writeln!(page, "{none} of {compared} cells.\n\n{lines}");
}
