//! The page itself.

use swimring_loadgen::text::{counted, significant, thousands};

use super::html::{escaped, table};
use super::{charts, palette};
use crate::confirm::{Answer, Judged, Verdict};
use crate::objective::{Measure, Measures, Objective};
use crate::outputs::{blocks, text};
use crate::search::Knob;
use crate::search::defaults::Default;
use crate::search::sensitivity::sensitivity;

const STYLE: &str = include_str!("style.css");

/// What a page tells.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// What was wanted.
    pub objective: &'a Objective,
    /// What came out.
    pub answer: &'a Answer,
    /// What it is compared with.
    pub compared: &'a [Default],
    /// The command line, to be repeated.
    pub command: &'a str,
}

/// The whole page.
///
/// # Errors
/// What the drawing library says.
pub fn page(told: &Told<'_>) -> Result<String, String> {
    let mut body = header(told);
    if told.answer.is_refused() {
        body.push_str(&refusal(told));
    }
    body.push_str(&section("Settings", &format!("{}{}", settings(told), limits(told))));
    body.push_str(&section("What detection costs", &pareto(told)?));
    body.push_str(&curves(told)?);
    body.push_str(&section("Beside the defaults", &comparison(told)));
    body.push_str(&section("What a small change does", &changes(told)));
    body.push_str(&section("To copy", &copies(told)));
    body.push_str(&section("How this was found", &method(told)));
    let title = format!("Recommended settings for {}", counted(told.objective.members.into(), "member"));
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <title>{}</title>\n<style>\n{}{STYLE}</style></head>\n<body><main>\n{body}</main></body></html>\n",
        escaped(&title),
        palette::style(),
    ))
}

fn section(title: &str, content: &str) -> String {
    format!("<section><h2>{}</h2>\n{content}</section>\n", escaped(title))
}

fn header(told: &Told<'_>) -> String {
    let (objective, answer) = (told.objective, told.answer);
    let (class, words) = match answer {
        answer if answer.is_refused() => ("missed", "These limits cannot be met together"),
        answer if answer.is_met() => ("met", "Every limit is met"),
        _ => ("missed", "Not every limit is met"),
    };
    let mut html = format!(
        "<header><p class=\"kicker\">swimring-tune recommend, for {}</p><h1>{}</h1>\
         <p class=\"network\">{}; least {}</p><p class=\"verdict {class}\">{words}</p></header>\n",
        escaped(objective.target.as_str()),
        escaped(&counted(objective.members.into(), "member")),
        escaped(&objective.describe_network()),
        escaped(objective.minimise.title()),
    );
    if !answer.is_refused() {
        html.push_str("<div class=\"cards\">");
        for judged in &answer.judged {
            html.push_str(&card(judged));
        }
        if objective.limit(objective.minimise).is_none() {
            let value = objective.minimise.show(answer.chosen.predicted.get(objective.minimise));
            html.push_str(&format!(
                "<div class=\"card\"><p>{}</p><strong>{}</strong><p class=\"note\">made as small as the limits allow</p></div>",
                escaped(objective.minimise.title()),
                escaped(&value)
            ));
        }
        html.push_str("</div>\n");
    }
    html
}

fn card(judged: &Judged) -> String {
    let measure = judged.limit.measure;
    let value = judged.seen.map_or(judged.predicted, |seen| seen.value);
    let class = match judged.verdict {
        Verdict::NotSeen => "",
        verdict if verdict.is_met() => "met",
        _ => "missed",
    };
    format!(
        "<div class=\"card {class}\"><p>{}</p><strong>{}</strong><p class=\"note\">limit {}: {}</p></div>",
        escaped(measure.title()),
        escaped(&measure.show(value)),
        escaped(&measure.show(judged.limit.most)),
        judged.verdict.words()
    )
}

fn refusal(told: &Told<'_>) -> String {
    let lines = text::refusal(told.objective, told.answer);
    let items: String = lines
        .iter()
        .map(|line| match line.strip_prefix("  ") {
            Some(item) => format!("<li>{}</li>", escaped(item)),
            None => format!("</ul><p>{}</p><ul>", escaped(line)),
        })
        .collect();
    let list = format!("<ul>{items}</ul>").replace("<ul></ul>", "");
    section("What is in the way", &list)
}

fn settings(told: &Told<'_>) -> String {
    let heading = ["setting", "recommended"].map(str::to_owned).into_iter();
    let heading: Vec<String> =
        heading.chain(told.compared.iter().map(|default| escaped(default.name))).collect();
    let row = |knob: &Knob| {
        let value = knob.show(&told.answer.chosen.settings);
        let differs = told.compared.first().is_some_and(|lan| knob.show(&lan.candidate.settings) != value);
        let class = if differs { " class=\"changed\"" } else { "" };
        let mut row = vec![format!("<code>{}</code>", knob.name()), format!("<td{class}>{}</td>", value)];
        row.extend(told.compared.iter().map(|default| knob.show(&default.candidate.settings)));
        row
    };
    table(&heading, &Knob::ALL.iter().map(row).collect::<Vec<_>>())
}

fn limits(told: &Told<'_>) -> String {
    let answer = told.answer;
    let heading = ["limit", "at most", "closed form", "simulated", "95 % interval", ""].map(str::to_owned);
    let row = |judged: &Judged| {
        let measure = judged.limit.measure;
        let (seen, interval) = text::found(judged);
        let class = match judged.verdict {
            Verdict::Missed => "missed",
            Verdict::NotSeen => "",
            _ => "met",
        };
        vec![
            escaped(measure.title()),
            escaped(&measure.show(judged.limit.most)),
            escaped(&measure.show(judged.predicted)),
            escaped(&seen),
            escaped(&interval),
            format!("<td class=\"{class}\">{}</td>", judged.verdict.words()),
        ]
    };
    let mut html = table(&heading, &answer.judged.iter().map(row).collect::<Vec<_>>());
    let holdout = &answer.holdout;
    if holdout.crashing_members < holdout.members {
        html.push_str("<p class=\"note\">Detection and spread were measured in smaller clusters, since the real size takes longer than the time that was given, and scaled by the closed forms.</p>");
    }
    if !holdout.crashing.is_empty() {
        html.push_str(&format!(
            "<p class=\"note\">Judged on {} crashes in {} simulated clusters of {}, with seeds that the search has \
             not used. False deaths are too rare to be simulated: the closed form decides, and the simulations \
             only exclude what is above their bound.</p>",
            thousands(holdout.crashes() as u64),
            thousands(holdout.crashing.len() as u64),
            escaped(&counted(holdout.crashing_members.into(), "member")),
        ));
    }
    html
}

fn legend(entries: &[(&str, &str)]) -> String {
    let items: String = entries
        .iter()
        .map(|(colour, words)| {
            format!("<span><i style=\"background:var(--{colour})\"></i>{}</span>", escaped(words))
        })
        .collect();
    format!("<p class=\"legend\">{items}</p>\n")
}

fn pareto(told: &Told<'_>) -> Result<String, String> {
    let chart = charts::pareto_chart(told.objective, told.answer, told.compared)?;
    Ok(format!(
        "<p>Each dot is one set of settings that meets the other limits, by the closed forms. On the line nothing \
         is both cheaper and faster.</p>{}<figure>{chart}</figure>\n",
        legend(&[
            ("chosen", "recommended"),
            ("formula", "the best there is (Pareto front)"),
            ("cloud", "looked at"),
            ("limit", "limits"),
            ("muted", "defaults"),
        ])
    ))
}

fn curves(told: &Told<'_>) -> Result<String, String> {
    let charts = [
        ("Detection", charts::detection_chart(told.answer)?),
        ("Spread of a user event", charts::spread_chart(told.answer)?),
    ];
    let figures: String = charts
        .into_iter()
        .filter_map(|(title, chart)| {
            Some(format!("<figure><figcaption>{title}</figcaption>{}</figure>", chart?))
        })
        .collect();
    if figures.is_empty() {
        return Ok(String::new());
    }
    let legend = legend(&[("simulated", "simulated"), ("formula", "closed form, uncorrected")]);
    Ok(section("How long it takes", &format!("{legend}<div class=\"pair\">{figures}</div>\n")))
}

fn comparison(told: &Told<'_>) -> String {
    let heading = ["by the closed forms", "recommended"].map(str::to_owned).into_iter();
    let heading: Vec<String> =
        heading.chain(told.compared.iter().map(|default| escaped(default.name))).collect();
    let row = |measure: &Measure| {
        let value = |measures: &Measures| escaped(&measure.show(measures.get(*measure)));
        let mut row = vec![
            escaped(measure.title()),
            format!("<td class=\"own\">{}</td>", value(&told.answer.chosen.predicted)),
        ];
        row.extend(told.compared.iter().map(|default| value(&default.candidate.predicted)));
        row
    };
    table(&heading, &Measure::ALL.iter().map(row).collect::<Vec<_>>())
}

fn changes(told: &Told<'_>) -> String {
    let heading: Vec<String> = std::iter::once("setting: lower, higher".to_owned())
        .chain(Measure::ALL.iter().map(|measure| escaped(measure.title())))
        .collect();
    let rows: Vec<Vec<String>> = sensitivity(&told.answer.chosen.settings, &told.answer.forms)
        .iter()
        .map(|turned| {
            let value = |side: usize| turned.values[side].map_or_else(|| "-".to_owned(), thousands);
            let name =
                format!("<code>{}</code><br/><small>{} / {}</small>", turned.knob.name(), value(0), value(1));
            let cell = |index: usize| {
                let ratios = [0, 1].map(|side: usize| turned.ratios[side].get(index).copied());
                change_cell(ratios)
            };
            std::iter::once(name).chain((0..Measure::ALL.len()).map(cell)).collect()
        })
        .collect();
    format!(
        "<p>Each setting a tenth lower and higher (or one, where it is a small number), the others as recommended, \
         by the closed forms. The stronger the colour, the stronger the effect: green lowers a measure, red \
         raises it.</p>{}",
        table(&heading, &rows)
    )
}

/// What turning down does, above what turning up does, each as strong as its effect.
fn change_cell(ratios: [Option<f64>; 2]) -> String {
    let half = |ratio: Option<f64>| {
        let effect = ratio.map_or(0.0, |ratio| match ratio {
            ratio if ratio.is_infinite() => 1.0,
            ratio if ratio > 0.0 => ratio.ln(),
            _ => -1.0,
        });
        let strength = (effect.abs() / 0.25).min(1.0) * 45.0;
        let words = ratio.map_or_else(|| "\u{2013}".to_owned(), change);
        if strength < 1.0 {
            return format!("<span class=\"weak\">{words}</span>");
        }
        let colour = if effect < 0.0 { "chosen" } else { "limit" };
        format!(
            "<span style=\"background:color-mix(in srgb,var(--{colour}) {strength:.0}%,transparent)\">{words}</span>"
        )
    };
    format!("<td class=\"change\">{}{}</td>", half(ratios[0]), half(ratios[1]))
}

/// 1.034 as `+3 %`, 25.8 as 26 times, 0.02 as a fiftieth.
fn change(ratio: f64) -> String {
    match ratio {
        ratio if !ratio.is_finite() => "never".to_owned(),
        ratio if ratio >= 3.0 => format!("\u{d7}\u{a0}{}", significant(ratio)),
        ratio if ratio > 0.0 && ratio <= 0.33 => format!("\u{f7}\u{a0}{}", significant(1.0 / ratio)),
        ratio => {
            let percent = (ratio - 1.0) * 100.0;
            if percent.abs() < 0.5 { "0".to_owned() } else { format!("{percent:+.0}\u{a0}%") }
        }
    }
}

fn copies(told: &Told<'_>) -> String {
    let blocks = blocks(&told.answer.chosen.settings);
    let html = |block: &crate::outputs::Block| {
        format!("<div><h3>{}</h3><pre>{}</pre></div>", escaped(block.title), escaped(&block.text))
    };
    format!("<div class=\"blocks\">{}</div>\n", blocks.iter().map(html).collect::<String>())
}

fn method(told: &Told<'_>) -> String {
    let answer = told.answer;
    let mut html = format!(
        "<p>{} sets of settings were looked at with closed forms.",
        thousands(answer.found.all.len() as u64)
    );
    for (index, round) in answer.rounds.iter().enumerate() {
        let ratios: Vec<String> =
            round.ratios.iter().map(|(measure, ratio)| format!("{} {ratio:.2}", measure.title())).collect();
        html.push_str(&format!(
            " Round {}: the best of them was simulated with {} ({}); simulated over closed form: {}.",
            index + 1,
            escaped(&counted(round.evidence.members.into(), "member")),
            escaped(&format!("{} crashes", thousands(round.evidence.crashes() as u64))),
            escaped(&ratios.join(", "))
        ));
    }
    html.push_str(&format!("</p><p>To repeat it:</p><pre>{}</pre>\n", escaped(told.command)));
    html
}
