//! The page itself.

use swimring_tooling::environment::Environment;
use swimring_tooling::text::{counted, significant, thousands};

use super::html::{escaped, table};
use super::{charts, palette};
use crate::objective::{Measure, Measures, Objective};
use crate::outputs::{blocks, text};
use crate::search::Knob;
use crate::search::defaults::{Default, uncorrected};
use crate::search::sensitivity::sensitivity;
use crate::validation::{Answer, Judged, Verdict};

const STYLE: &str = include_str!("style.css");
/// The one thing that a page does: copying. Where the browser does not let it, the text is selected.
const SCRIPT: &str = include_str!("copy.js");

/// What a page tells.
#[derive(Clone, Copy, Debug)]
pub struct PageInput<'a> {
    /// What was wanted.
    pub objective: &'a Objective,
    /// What came out.
    pub answer: &'a Answer,
    /// What it is compared with.
    pub compared: &'a [Default],
    /// The command line, to be repeated.
    pub command: &'a str,
    /// By which program, when, and on which machine.
    pub made: &'a Environment,
}

/// The whole page.
///
/// # Errors
/// What the drawing library says.
pub fn page(told: &PageInput<'_>) -> Result<String, String> {
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
         <title>{}</title>\n<style>\n{}{STYLE}</style></head>\n<body><main>\n{body}</main>\n<script>{SCRIPT}</script></body></html>\n",
        escaped(&title),
        palette::style(),
    ))
}

fn section(title: &str, content: &str) -> String {
    format!("<section><h2>{}</h2>\n{content}</section>\n", escaped(title))
}

fn header(told: &PageInput<'_>) -> String {
    let (objective, answer) = (told.objective, told.answer);
    let (class, words) = match answer {
        answer if answer.is_refused() => ("missed", "These limits cannot be met together"),
        answer if answer.is_met() => ("met", "Every limit is met"),
        answer if answer.is_missed() => ("missed", "Not every limit is met"),
        _ => ("unsure", "Not surely: a limit lies within its interval, or was not judged"),
    };
    let mut html = format!(
        "<header><p class=\"kicker\">swimring-tune {} recommend, for {}, {}, seed {}</p><h1>{}</h1>\
         <p class=\"network\">{}; least {}</p><p class=\"verdict {class}\">{words}</p></header>\n",
        escaped(&told.made.version),
        escaped(objective.target.as_str()),
        escaped(&told.made.started_at),
        answer.seed,
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
            let seen = answer.holdout.scaled_estimate(objective.minimise).map(|seen| seen.value);
            let value = seen.unwrap_or_else(|| answer.chosen.predicted.get(objective.minimise));
            let value = objective.minimise.show(value);
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
    let (value, interval) = text::found(judged);
    let basis = match interval.as_str() {
        "formula" => "by the closed form".to_owned(),
        interval if judged.verdict == Verdict::NotSeen => interval.to_owned(),
        interval => format!("95 %: {interval}"),
    };
    format!(
        "<div class=\"card {}\"><p>{}</p><strong>{}</strong><p class=\"note\">{}</p>\
         <p class=\"note\">limit {}: <b>{}</b></p></div>",
        class(judged.verdict),
        escaped(judged.limit.measure.title()),
        escaped(&value),
        escaped(&basis),
        escaped(&judged.limit.measure.show(judged.limit.most)),
        judged.verdict.words()
    )
}

/// Green, red, or neither.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        verdict if verdict.is_met() => "met",
        Verdict::Missed => "missed",
        _ => "unsure",
    }
}

fn refusal(told: &PageInput<'_>) -> String {
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

fn settings(told: &PageInput<'_>) -> String {
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

fn limits(told: &PageInput<'_>) -> String {
    let answer = told.answer;
    let heading = ["limit", "at most", "found", "95 % interval", "verdict", "closed form, corrected"]
        .map(str::to_owned);
    let row = |judged: &Judged| {
        let measure = judged.limit.measure;
        let (found, interval) = text::found(judged);
        vec![
            escaped(measure.title()),
            escaped(&measure.show(judged.limit.most)),
            escaped(&found),
            escaped(&interval),
            format!("<td class=\"{}\">{}</td>", class(judged.verdict), judged.verdict.words()),
            escaped(&measure.show(judged.predicted)),
        ]
    };
    let mut html = table(&heading, &answer.judged.iter().map(row).collect::<Vec<_>>());
    let said = text::simulated(told.objective, answer);
    for line in said.iter().chain(&text::rare_lines(answer)) {
        html.push_str(&format!("<p class=\"note\">{}</p>", escaped(line)));
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

fn pareto(told: &PageInput<'_>) -> Result<String, String> {
    let chart = charts::pareto_chart(told.objective, told.answer, told.compared)?;
    Ok(format!(
        "<p>Each small dot is one set of settings that meets the other limits, by the closed forms alone, uncorrected, \
         and so are the defaults. On the line nothing is both cheaper and faster. The filled dot is what was simulated \
         of the recommended settings, with its 95 % interval; the ring is where the closed form puts them.</p>\
         {}<figure class=\"costs\">{chart}</figure>\n",
        legend(&[
            ("simulated", "recommended, simulated"),
            ("formula", "recommended and the best there is, closed form"),
            ("cloud", "looked at"),
            ("limit", "limits"),
            ("muted", "defaults"),
        ])
    ))
}

fn curves(told: &PageInput<'_>) -> Result<String, String> {
    let charts = [
        ("Detection", charts::detection_chart(told.objective, told.answer)?),
        (
            "Detection, the slowest tenth: here the 99 % are decided",
            charts::tail_chart(told.objective, told.answer)?,
        ),
        ("Spread of a user event", charts::spread_chart(told.objective, told.answer)?),
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
    let legend = legend(&[
        ("simulated", "simulated, with the 95 % interval of the 99th percentile"),
        ("formula", "closed form, uncorrected"),
        ("limit", "limit"),
    ]);
    Ok(section("How long it takes", &format!("{legend}<div class=\"pair\">{figures}</div>\n")))
}

fn comparison(told: &PageInput<'_>) -> String {
    let own = uncorrected(&told.answer.chosen, &told.answer.forms).predicted;
    let heading = ["by the closed forms alone", "recommended"].map(str::to_owned).into_iter();
    let heading: Vec<String> =
        heading.chain(told.compared.iter().map(|default| escaped(default.name))).collect();
    let row = |measure: &Measure| {
        let value = |measures: &Measures| escaped(&measure.show(measures.get(*measure)));
        let mut row = vec![escaped(measure.title()), format!("<td class=\"own\">{}</td>", value(&own))];
        row.extend(told.compared.iter().map(|default| value(&default.candidate.predicted)));
        row
    };
    format!(
        "<p>All columns alike by the closed forms, without the corrections that the simulations brought, so that they \
         can be compared; memberlist is its defaults with its message sizes.</p>{}",
        table(&heading, &Measure::ALL.iter().map(row).collect::<Vec<_>>())
    )
}

fn changes(told: &PageInput<'_>) -> String {
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
         by the closed forms. The stronger the colour, the stronger the effect: blue lowers a measure, orange \
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
        let colour = if effect < 0.0 { "formula" } else { "simulated" };
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

fn copies(told: &PageInput<'_>) -> String {
    let blocks = blocks(&told.answer.chosen.settings);
    let html = |block: &crate::outputs::Block| {
        format!("<div><h3>{}</h3>{}</div>", escaped(block.title), copied(&block.text))
    };
    format!("<div class=\"blocks\">{}</div>\n", blocks.iter().map(html).collect::<String>())
}

fn method(told: &PageInput<'_>) -> String {
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
    html.push_str(&format!("</p><p>To repeat it:</p>{}\n", copied(told.command)));
    let made = told.made;
    html.push_str(&format!(
        "<p class=\"note\">swimring-tune {} ({}), {}, seed {}, {:.0} core seconds of simulations; {}, {}, {}.</p>\n",
        escaped(&made.version),
        escaped(&made.commit),
        escaped(&made.started_at),
        answer.seed,
        answer.core_s,
        escaped(&made.cpu),
        escaped(&counted(made.cores.into(), "core")),
        escaped(&made.kernel),
    ));
    html
}

/// A text with a button that copies it.
fn copied(text: &str) -> String {
    format!(
        "<div class=\"copied\"><button type=\"button\" onclick=\"copy(this)\">Copy</button><pre>{}</pre></div>",
        escaped(text)
    )
}
