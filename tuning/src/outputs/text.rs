//! The answer for people: the settings, the evidence, what they cost, and what they are compared with.

use swimring::Settings;
use swimring::swim::settings::SuspicionMode;
use swimring_loadgen::report::Table;
use swimring_loadgen::text::{ABSENT, counted, significant};

use super::settings::blocks;
use crate::confirm::{Answer, Judged, Verdict};
use crate::objective::{Limit, Measure, Measures, Objective};
use crate::search::{Knob, defaults::Default, pareto};
use crate::statistics::Estimate;

/// Points of the front in the text; the report and the JSON file have more.
const FRONT_LINES: usize = 8;

/// All lines.
pub fn lines(objective: &Objective, answer: &Answer, compared: &[Default]) -> Vec<String> {
    let mut lines = heading(objective);
    if answer.is_refused() {
        lines.extend(refusal(objective, answer));
        lines.push(String::new());
        lines.push("The settings that come closest:".to_owned());
        lines.extend(settings_lines(&answer.chosen.settings, compared));
        return lines;
    }
    let target = objective.target.as_str();
    let verdict = if answer.is_met() { "" } else { ", which do not meet it" };
    lines.push(format!("Settings for {target}{verdict}:"));
    lines.extend(settings_lines(&answer.chosen.settings, compared));
    lines.push(String::new());
    lines.extend(evidence(answer));
    lines.push(String::new());
    lines.extend(comparison(answer, compared));
    lines.push(String::new());
    lines.extend(front(objective, answer));
    for block in blocks(&answer.chosen.settings).iter().filter(|block| shown(block.name, objective)) {
        lines.push(String::new());
        lines.push(format!("{}:", block.title));
        lines.extend(block.text.lines().map(|line| format!("  {}", line.replace('\t', "    "))));
    }
    lines
}

/// Which block the text shows: that of the target. All of them are in the report and the JSON file.
fn shown(block: &str, objective: &Objective) -> bool {
    use crate::objective::Target;
    block
        == match objective.target {
            Target::Swimring => "toml",
            Target::Memberlist => "go",
            Target::Serf => "serf",
            Target::Consul => "consul",
        }
}

fn heading(objective: &Objective) -> Vec<String> {
    let limits: Vec<String> = objective
        .limits
        .iter()
        .map(|limit| {
            let note = if limit.default { " (default)" } else { "" };
            format!("{} at most {}{note}", limit.measure.title(), limit.measure.show(limit.most))
        })
        .collect();
    vec![
        format!("Cluster: {}", objective.describe_network()),
        format!("Wanted: {}; least {}", limits.join(", "), objective.minimise.title()),
        String::new(),
    ]
}

/// Why no settings meet the limits.
pub fn refusal(objective: &Objective, answer: &Answer) -> Vec<String> {
    let basis = if answer.rounds.is_empty() {
        "by the closed forms".to_owned()
    } else {
        format!(
            "by the closed forms, corrected by {}",
            counted(answer.rounds.len() as u64, "simulated candidate")
        )
    };
    let mut lines =
        vec![format!("No settings for {} meet these limits together, {basis}.", objective.target.as_str())];
    if let Some(line) = in_the_way(answer) {
        lines.push(line);
    }
    lines.push("Each limit, if the others stay:".to_owned());
    lines.extend(answer.obstacles.iter().map(|obstacle| format!("  {}", obstacle.line())));
    lines
}

/// `detect-p99 5s needs at least 3,100 B/s; the limit is 2,000 B/s.`
fn in_the_way(answer: &Answer) -> Option<String> {
    let cost = answer.obstacles.iter().find(|obstacle| {
        obstacle.limit.measure.is_cost() && obstacle.needed.is_some() && !obstacle.is_out_of_reach()
    })?;
    let wanted: Vec<String> = answer
        .obstacles
        .iter()
        .map(|obstacle| obstacle.limit)
        .filter(|limit| !limit.measure.is_cost())
        .map(|limit| limit.typed())
        .collect();
    let Limit { measure, most, .. } = cost.limit;
    Some(format!(
        "{} needs at least {}; the limit is {}.",
        wanted.join(" with "),
        measure.show(cost.needed?),
        measure.show(most)
    ))
}

fn settings_lines(settings: &Settings, compared: &[Default]) -> Vec<String> {
    let lan = compared.first().map(|default| &default.candidate.settings);
    let mut table = Table::new(36, 8);
    for knob in Knob::ALL {
        let value = knob.show(settings);
        let default = lan.map(|lan| knob.show(lan));
        let note = match default {
            Some(default) if default != value => format!("(lan: {default})"),
            _ => "(as lan)".to_owned(),
        };
        table.row([format!("  {}", knob.name()), value, note]);
    }
    table.lines()
}

fn evidence(answer: &Answer) -> Vec<String> {
    let holdout = &answer.holdout;
    let mut lines = Vec::new();
    if holdout.crashing.is_empty() && holdout.quiet.is_empty() {
        lines.push("Not simulated: by the closed forms alone".to_owned());
    } else {
        lines.push(format!(
            "Judged in simulations of {} with seeds that the search has not used ({} in {}, {}):",
            counted(holdout.members.into(), "member"),
            counted(holdout.crashes() as u64, "crash").replace("crashs", "crashes"),
            counted(holdout.crashing.len() as u64, "trial"),
            counted(holdout.quiet.len() as u64, "quiet trial"),
        ));
    }
    if holdout.crashing_members < holdout.members {
        lines.push(format!(
            "Crashes and events in simulations of {}, scaled by the closed forms: more would take longer than --time.",
            counted(holdout.crashing_members.into(), "member")
        ));
    }
    if answer.holdouts > 1 {
        lines.push(format!(
            "({} before missed a limit when judged; these were chosen after it and judged with seeds of their own)",
            counted(answer.holdouts - 1, "choice")
        ));
    }
    let mut table = Table::new(26, 0);
    table.row(["", "limit", "formula", "simulated", "95 % interval", ""]);
    for judged in &answer.judged {
        let (seen, interval) = seen(judged);
        let measure = judged.limit.measure;
        table.row([
            format!("  {}", measure.title()),
            measure.show(judged.limit.most),
            measure.show(judged.predicted),
            seen,
            interval,
            judged.verdict.words().to_owned(),
        ]);
    }
    lines.extend(table.lines());
    if answer.judged.iter().any(|judged| judged.verdict == Verdict::MetButUnsure) {
        lines.push("  Not surely: the interval reaches beyond the limit, or has no end yet (?). A longer --time narrows it.".to_owned());
    }
    lines.extend(rare_lines(answer));
    lines
}

/// The simulated value of a limit and its interval.
fn seen(judged: &Judged) -> (String, String) {
    let measure = judged.limit.measure;
    match (judged.seen, judged.rare) {
        (Some(estimate), _) => (measure.show(estimate.value), interval(measure, &estimate)),
        (_, Some(rare)) if rare.days > 0.0 => {
            (counted(rare.seen, "death"), format!("at most {}", measure.show(rare.at_most)))
        }
        _ => (ABSENT.to_owned(), ABSENT.to_owned()),
    }
}

/// Both ends of an interval, with the unit once.
pub fn interval(measure: Measure, estimate: &Estimate) -> String {
    let end = |end: Option<f64>| {
        end.map_or_else(
            || "?".to_owned(),
            |end| if end.is_finite() { significant(end) } else { "never".to_owned() },
        )
    };
    let unit = measure.show(1.0);
    let unit = unit.split_once(' ').map_or("", |(_, unit)| unit);
    format!("{} to {} {unit}", end(estimate.low), end(estimate.high))
}

fn rare_lines(answer: &Answer) -> Vec<String> {
    let judged = answer.judged.iter().find_map(|judged| Some((judged, judged.rare?)));
    let Some((judged, rare)) = judged.filter(|(_, rare)| rare.days > 0.0) else { return Vec::new() };
    vec![format!(
        "  False deaths: the closed form says {}. The simulations saw {} in {} of the whole cluster, which\n  excludes more than {} (95 %); what happens less often than that, only the form can tell.",
        judged.limit.measure.show(judged.predicted),
        rare.seen,
        hours(rare.days),
        judged.limit.measure.show(rare.at_most),
    )]
}

fn hours(days: f64) -> String {
    let minutes = days * 1440.0;
    if minutes < 120.0 {
        format!("{} min", significant(minutes))
    } else {
        format!("{} h", significant(minutes / 60.0))
    }
}

fn comparison(answer: &Answer, compared: &[Default]) -> Vec<String> {
    let mut table = Table::new(26, 0);
    let names = compared.iter().map(|default| default.name.to_owned());
    table.row(["By the closed forms".to_owned(), "recommended".to_owned()].into_iter().chain(names));
    for measure in Measure::ALL {
        let value = |measures: &Measures| measure.show(measures.get(measure));
        let others = compared.iter().map(|default| value(&default.candidate.predicted));
        let row = [format!("  {}", measure.title()), value(&answer.chosen.predicted)];
        table.row(row.into_iter().chain(others));
    }
    table.lines()
}

fn front(objective: &Objective, answer: &Answer) -> Vec<String> {
    let mut all = pareto::front(&answer.found.all, objective, Measure::Bytes, Measure::DetectP99);
    // Around the choice: the front reaches far beyond what anybody wants.
    let own = answer.chosen.predicted.bytes_per_member_second;
    all.retain(|candidate| (own / 6.0..own * 6.0).contains(&candidate.predicted.bytes_per_member_second));
    if all.len() < 2 {
        return Vec::new();
    }
    let count = all.len().min(FRONT_LINES);
    let mut table = Table::new(26, 0);
    table.row(["What detection costs", "B/s", "p99", "probe every", "gossip every", "fanout", "suspicion"]);
    for index in 0..count {
        let candidate = all[index * (all.len() - 1) / (count - 1).max(1)];
        let settings = &candidate.settings;
        table.row([
            String::new(),
            significant(candidate.predicted.bytes_per_member_second),
            Measure::DetectP99.show(candidate.predicted.detect_p99_s),
            format!("{} ms", Knob::ProbeInterval.get(settings)),
            format!("{} ms", Knob::GossipInterval.get(settings)),
            settings.gossip_fanout.to_string(),
            match settings.suspicion {
                SuspicionMode::Adaptive => "adaptive".to_owned(),
                SuspicionMode::Lifeguard => {
                    format!(
                        "{} x {}",
                        settings.suspicion_multiplier, settings.suspicion_max_timeout_multiplier
                    )
                }
            },
        ]);
    }
    table.lines()
}
