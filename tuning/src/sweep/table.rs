//! The runs of all points as a table for people, a CSV file for spreadsheets, and JSON.

use serde_json::{Value, json};
use swimring_tooling::table::Table;
use swimring_tooling::text::{ABSENT, significant, thousands};

use super::{Point, Summary};
use crate::statistics::Estimate;

/// The version of the names in the JSON document.
pub const SCHEMA: u32 = 1;

/// A number with its interval: `4.21 (3.90..4.60)`; an end that the data does not give is left out.
pub fn with_interval(estimate: Option<Estimate>) -> String {
    let Some(estimate) = estimate else { return ABSENT.to_owned() };
    let shown = |value: f64| if value.is_infinite() { "never".to_owned() } else { significant(value) };
    let end = |end: Option<f64>| end.map_or_else(|| "?".to_owned(), shown);
    match (estimate.low, estimate.high) {
        (None, None) => shown(estimate.value),
        (low, high) => format!("{} ({}..{})", shown(estimate.value), end(low), end(high)),
    }
}

/// The lines of the tables, none longer than `columns`: detection, spread and traffic, delegation where
/// there is some, and what went wrong.
pub fn lines(points: &[(Point, Summary)], columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    // Where nobody delegates there is nothing of it to show.
    let delegates = |(_, summary): &(Point, Summary)| {
        summary.delegated_copies_per_member_second.is_some_and(|copies| copies.value > 0.0)
    };
    let any = points.iter().any(delegates);
    for (index, (names, row)) in PARTS.into_iter().enumerate() {
        if index == DELEGATED && !any {
            continue;
        }
        let mut table = Table::new(0, 0);
        table.row(std::iter::once("").chain(names.iter().copied()));
        for (point, summary) in points {
            let label = if point.0.is_empty() { "all".to_owned() } else { point.label() };
            table.row(std::iter::once(label).chain(row(summary)));
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(table.lines_within(columns));
    }
    lines
}

/// A table: the names of its columns, and a row of it.
type Part = (&'static [&'static str], fn(&Summary) -> Vec<String>);
const DELEGATED: usize = 2;
const PARTS: [Part; 4] = [
    (&["crashes", "first p50 s", "first p99 s", "all p50 s", "all p99 s"], |summary| {
        let detection = [summary.first_p50_s, summary.first_p99_s, summary.all_p50_s, summary.all_p99_s];
        std::iter::once(thousands(summary.crashes as u64)).chain(detection.map(with_interval)).collect()
    }),
    (&["spread p50 ms", "spread p99 ms", "B/s each", "datagrams/s each"], |summary| {
        let (spread, traffic) = (
            [summary.spread_p50_ms, summary.spread_p99_ms],
            [summary.bytes_per_member_second, summary.datagrams_per_member_second],
        );
        spread.into_iter().chain(traffic).map(with_interval).collect()
    }),
    (&["copies/s each", "acks/s each", "sent again/s", "given up/s", "crossing/s"], |summary| {
        let delegated = [
            summary.delegated_copies_per_member_second,
            summary.delegation_acks_per_member_second,
            summary.delegations_retried_per_member_second,
            summary.delegations_given_up_per_member_second,
            summary.delegations_crossed_per_member_second,
        ];
        delegated.map(with_interval).into_iter().collect()
    }),
    (&["runs", "false suspicions", "false deaths", "deaths/day at most"], |summary| {
        let wrong = [summary.false_suspicions, summary.false_deaths].map(with_interval);
        let at_most = significant(summary.false_deaths_per_day.at_most);
        std::iter::once(thousands(summary.runs as u64)).chain(wrong).chain([at_most]).collect()
    }),
];

/// The columns of the CSV file that are estimates: each has its value and both ends.
type Column = (&'static str, fn(&Summary) -> Option<Estimate>);
const COLUMNS: [Column; 19] = [
    ("suspected_p50_s", |summary| summary.suspected_p50_s),
    ("first_p50_s", |summary| summary.first_p50_s),
    ("first_p99_s", |summary| summary.first_p99_s),
    ("all_p50_s", |summary| summary.all_p50_s),
    ("all_p99_s", |summary| summary.all_p99_s),
    ("spread_p50_ms", |summary| summary.spread_p50_ms),
    ("spread_p99_ms", |summary| summary.spread_p99_ms),
    ("bytes_per_member_second", |summary| summary.bytes_per_member_second),
    ("stream_bytes_per_member_second", |summary| summary.stream_bytes_per_member_second),
    ("padded_bytes_per_member_second", |summary| summary.padded_bytes_per_member_second),
    ("datagrams_per_member_second", |summary| summary.datagrams_per_member_second),
    ("delegated_copies_per_member_second", |summary| summary.delegated_copies_per_member_second),
    ("delegation_acks_per_member_second", |summary| summary.delegation_acks_per_member_second),
    ("delegations_retried_per_member_second", |summary| summary.delegations_retried_per_member_second),
    ("delegations_given_up_per_member_second", |summary| summary.delegations_given_up_per_member_second),
    ("delegations_crossed_per_member_second", |summary| summary.delegations_crossed_per_member_second),
    ("false_suspicions", |summary| summary.false_suspicions),
    ("false_deaths", |summary| summary.false_deaths),
    ("false_death_subjects", |summary| summary.false_death_subjects),
];

/// The CSV document: one line per point.
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn csv(points: &[(Point, Summary)]) -> Result<String, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let swept: Vec<&str> = points
        .first()
        .map(|(point, _)| point.0.iter().map(|(name, _)| name.as_str()).collect())
        .unwrap_or_default();
    let mut heading: Vec<String> = swept.iter().map(|name| (*name).to_owned()).collect();
    heading.extend(["runs".to_owned(), "crashes".to_owned()]);
    for (name, _) in COLUMNS {
        heading.extend([name.to_owned(), format!("{name}_low"), format!("{name}_high")]);
    }
    heading.push("false_deaths_per_day_at_most".to_owned());
    let fault = |error: csv::Error| error.to_string();
    writer.write_record(&heading).map_err(fault)?;
    for (point, summary) in points {
        let mut row: Vec<String> = point.0.iter().map(|(_, value)| value.clone()).collect();
        row.extend([summary.runs.to_string(), summary.crashes.to_string()]);
        for (_, of) in COLUMNS {
            let estimate = of(summary);
            let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
            row.push(number(estimate.map(|estimate| estimate.value)));
            row.push(number(estimate.and_then(|estimate| estimate.low)));
            row.push(number(estimate.and_then(|estimate| estimate.high)));
        }
        row.push(summary.false_deaths_per_day.at_most.to_string());
        writer.write_record(&row).map_err(fault)?;
    }
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

/// The JSON document.
pub fn json(scenario: &Value, seeds: &[u64], complete: bool, points: &[(Point, Summary)]) -> Value {
    let points: Vec<Value> = points
        .iter()
        .map(|(point, summary)| {
            let values: serde_json::Map<String, Value> =
                point.0.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
            json!({ "point": values, "summary": summary })
        })
        .collect();
    json!({ "schema": SCHEMA, "complete": complete, "scenario": scenario, "seeds": seeds, "points": points })
}
