//! The answer for people: the settings, the evidence, what they cost, and what they are compared with.

use swimring::protocol::settings::{Dissemination, SuspicionMode};
use swimring_tooling::columns::wrapped;
use swimring_tooling::table::Table;
use swimring_tooling::text::{counted, significant};

use super::settings::blocks;
use super::view::View;
use crate::objective::{Limit, Measure, Objective};
use crate::search::Knob;
use crate::validation::{Answer, Verdict};

/// Points of the front in the text; the report and the JSON file have more.
const FRONT_LINES: usize = 8;

/// All lines, none longer than `columns` but those that are to be copied.
pub fn lines(view: &View<'_>, columns: usize) -> Vec<String> {
    let (objective, answer) = (view.objective, view.answer);
    let mut lines = heading(objective, answer, columns);
    if answer.is_refused() {
        lines.extend(refusal(objective, answer).iter().flat_map(|line| paragraph(line, columns)));
        lines.push(String::new());
        lines.push("The settings that come closest:".to_owned());
        lines.extend(settings_lines(view, columns));
        return lines;
    }
    let target = objective.target.as_str();
    lines.push(format!("Settings for {target}{}:", verdict_words(answer)));
    lines.extend(settings_lines(view, columns));
    lines.push(String::new());
    lines.extend(evidence(view, columns));
    lines.push(String::new());
    lines.extend(comparison(view, columns));
    lines.push(String::new());
    lines.extend(front(view, columns));
    for block in blocks(&answer.chosen.settings).iter().filter(|block| shown(block.name, objective)) {
        lines.push(String::new());
        lines.push(format!("{}:", block.title));
        lines.extend(block.text.lines().map(|line| format!("  {}", line.replace('\t', "    "))));
    }
    lines
}

/// What is to be said of settings that are not surely what was wanted.
fn verdict_words(answer: &Answer) -> &'static str {
    match answer {
        answer if answer.is_met() => "",
        answer if answer.is_missed() => ", which do not meet it",
        _ => ", which may not meet it",
    }
}

/// `text` in lines of at most `columns`, all indented as it is.
pub(crate) fn paragraph(text: &str, columns: usize) -> Vec<String> {
    let indent = text.len() - text.trim_start().len();
    let lines = wrapped(text, columns.saturating_sub(indent));
    lines.into_iter().map(|line| format!("{}{line}", " ".repeat(indent))).collect()
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

fn heading(objective: &Objective, answer: &Answer, columns: usize) -> Vec<String> {
    let limits: Vec<String> = objective
        .limits
        .iter()
        .map(|limit| {
            let note = if limit.default { " (default)" } else { "" };
            format!("{} at most {}{note}", limit.measure.title(), limit.measure.show(limit.most))
        })
        .collect();
    let cluster = format!("Cluster: {}", objective.describe_network());
    let wanted = format!("Wanted: {}; least {}", limits.join(", "), objective.minimise.title());
    let mut lines = paragraph(&cluster, columns);
    lines.extend(paragraph(&wanted, columns));
    lines.push(format!("Seed {}", answer.seed));
    lines.push(String::new());
    lines
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

fn settings_lines(view: &View<'_>, columns: usize) -> Vec<String> {
    let mut table = Table::new(36, 8);
    for row in &view.settings {
        let note = row.changed_from().map_or_else(|| "(as lan)".to_owned(), |lan| format!("(lan: {lan})"));
        table.row([format!("  {}", row.name), row.value.clone(), note]);
    }
    table.lines_within(columns)
}

/// How much was simulated, in sentences.
pub fn simulated(objective: &Objective, answer: &Answer) -> Vec<String> {
    let holdout = &answer.holdout;
    let mut said = Vec::new();
    if holdout.crashing.is_empty() && holdout.quiet.is_empty() {
        said.push("Not simulated: by the closed forms alone.".to_owned());
    } else {
        let scaled =
            |members: u32| if members < objective.members { " (scaled by the closed forms)" } else { "" };
        said.push(format!(
            "Judged on {} in {} of {}{}, and on {} of {}{}, with seeds that the search has not used.",
            counted(holdout.crashes() as u64, "crash").replace("crashs", "crashes"),
            counted(holdout.crashing.len() as u64, "trial"),
            counted(holdout.crashing_members.into(), "member"),
            scaled(holdout.crashing_members),
            counted(holdout.quiet.len() as u64, "quiet trial"),
            counted(holdout.members.into(), "member"),
            scaled(holdout.members),
        ));
    }
    if answer.holdouts > 1 {
        said.push(format!(
            "{} did not surely meet every limit when judged; each was judged with seeds of its own.",
            counted(answer.holdouts - 1, "other choice")
        ));
    }
    if answer.margin >= 0.2 {
        said.push(format!(
            "The budget is slack, or other settings came too close: the search kept {:.0} % from every limit.",
            (answer.margin.exp() - 1.0) * 100.0
        ));
    }
    if answer.interrupted {
        said.push("ENDED EARLY by a signal: only what was finished by then is judged.".to_owned());
    }
    if answer.cut {
        said.push(
            "CUT SHORT by --time: another run may come out otherwise. A longer --time makes the answer depend on \
             the seed alone."
                .to_owned(),
        );
    }
    said
}

fn evidence(view: &View<'_>, columns: usize) -> Vec<String> {
    let answer = view.answer;
    let said = simulated(view.objective, answer);
    let mut lines: Vec<String> = said.iter().flat_map(|line| paragraph(line, columns)).collect();
    // The formula is the last column, so that it can be left out: what decides is the interval.
    let mut table = Table::new(0, 0).spare(&[5]);
    table.row(["", "limit", "found", "95 % interval", "verdict", "formula"]);
    for row in &view.limits {
        let title = format!("  {}", row.title);
        table.row([
            title.as_str(),
            &row.most,
            &row.found,
            &row.interval,
            row.verdict.words(),
            &row.predicted,
        ]);
    }
    lines.extend(table.lines_within(columns));
    if answer.judged.iter().any(|judged| judged.verdict == Verdict::NotSurely) {
        let words = "  Not surely: the limit lies within the interval, or the interval has no end yet (?). A larger \
                     --effort narrows it.";
        lines.extend(paragraph(words, columns));
    }
    lines.extend(rare_lines(answer).iter().flat_map(|line| paragraph(line, columns)));
    lines
}

/// What the simulations say of false deaths, and what the form does.
pub fn rare_lines(answer: &Answer) -> Vec<String> {
    let judged = answer.judged.iter().find_map(|judged| Some((judged, judged.rare?)));
    let Some((judged, rare)) = judged.filter(|(_, rare)| rare.days > 0.0) else { return Vec::new() };
    vec![format!(
        "  False deaths: the closed form says {}. The simulations saw {} in {} of the whole cluster, which excludes more than {} (95 %); what happens less often than that, only the form can tell.",
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

fn comparison(view: &View<'_>, columns: usize) -> Vec<String> {
    let mut table = Table::new(0, 0);
    let heading = ["By the closed forms alone".to_owned(), "recommended".to_owned()];
    table.row(heading.into_iter().chain(view.names()));
    for row in &view.comparison {
        let own = [format!("  {}", row.title), row.own.clone()];
        table.row(own.into_iter().chain(row.others.iter().cloned()));
    }
    table.lines_within(columns)
}

fn front(view: &View<'_>, columns: usize) -> Vec<String> {
    let answer = view.answer;
    let mut all = view.front.clone();
    // Around the choice: the front reaches far beyond what anybody wants.
    let own = answer.chosen.predicted.bytes_per_member_second;
    all.retain(|candidate| (own / 6.0..own * 6.0).contains(&candidate.predicted.bytes_per_member_second));
    if all.len() < 2 {
        return Vec::new();
    }
    let count = all.len().min(FRONT_LINES);
    let mut table = Table::new(0, 0);
    table.row(["What detection costs", "B/s", "p99", "probe", "gossip", "tells", "suspicion"]);
    for index in 0..count {
        let candidate = all[index * (all.len() - 1) / (count - 1).max(1)];
        let settings = &candidate.settings;
        // Alike to the table above, which knows no corrections.
        let alone = |measure| candidate.predicted.get(measure) / answer.forms.corrections().of(measure);
        table.row([
            String::new(),
            significant(alone(Measure::Bytes)),
            Measure::DetectP99.show(alone(Measure::DetectP99)),
            format!("{} ms", Knob::ProbeInterval.get(settings)),
            format!("{} ms", Knob::GossipInterval.get(settings)),
            match settings.dissemination {
                Dissemination::Gossip => format!("to {}", settings.gossip_fanout),
                Dissemination::Delegated => counted(settings.delegation_bits.into(), "bit"),
            },
            match settings.suspicion {
                SuspicionMode::Automatic | SuspicionMode::Adaptive => settings.suspicion.as_str().to_owned(),
                SuspicionMode::Lifeguard => {
                    format!(
                        "{} x {}",
                        settings.suspicion_multiplier, settings.suspicion_max_timeout_multiplier
                    )
                }
            },
        ]);
    }
    table.lines_within(columns)
}
