//! The page itself.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use swimring_tooling::environment::Environment;
use swimring_tooling::html::{Cell, table};
use swimring_tooling::text::{counted, significant, thousands};

use super::{charts, palette};
use crate::objective::Measure;
use crate::outputs::view::{LimitRow, View};
use crate::outputs::{blocks, text};
use crate::search::sensitivity::{Turned, sensitivity};
use crate::validation::Verdict;

const STYLE: &str = include_str!("style.css");
/// The one thing that a page does: copying. Where the browser does not let it, the text is selected.
const SCRIPT: &str = include_str!("copy.js");

/// What a page is made from.
#[derive(Clone, Copy, Debug)]
pub struct PageInput<'a> {
    /// The answer.
    pub view: &'a View<'a>,
    /// The command line, to be repeated.
    pub command: &'a str,
    /// Program, time and machine of its making.
    pub made: &'a Environment,
}

/// The whole page.
///
/// # Errors
/// What the drawing library says.
pub fn page(input: &PageInput<'_>) -> Result<String, String> {
    let view = input.view;
    let title = format!("Recommended settings for {}", counted(view.objective.members.into(), "member"));
    let (costs, times) = (costs(view)?, times(view)?);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(palette::style())) (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (header(input))
                    @if view.answer.is_refused() { (section("What is in the way", &refusal(view))) }
                    (section("Settings", &html! { (settings(view)) (limits(view)) }))
                    (section("What detection costs", &costs))
                    @if let Some(times) = times { (section("How long it takes", &times)) }
                    (section("Beside the defaults", &comparison(view)))
                    (section("What a small change does", &changes(view)))
                    (section("To copy", &copies(view)))
                    (section("How this was found", &method(input)))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(page.into_string())
}

fn section(title: &str, content: &Markup) -> Markup {
    html! { section { h2 { (title) } (content) } }
}

fn header(input: &PageInput<'_>) -> Markup {
    let (objective, answer) = (input.view.objective, input.view.answer);
    let (class, words) = match answer {
        answer if answer.is_refused() => ("missed", "These limits cannot be met together"),
        answer if answer.is_met() => ("met", "Every limit is met"),
        answer if answer.is_missed() => ("missed", "Not every limit is met"),
        _ => ("unsure", "Not surely: a limit lies within its interval, or was not judged"),
    };
    html! {
        header {
            p class="kicker" {
                "swimring-tune " (input.made.version) " recommend, for " (objective.target.as_str()) ", "
                (input.made.started_at) ", seed " (answer.seed)
            }
            h1 { (counted(objective.members.into(), "member")) }
            p class="network" { (objective.describe_network()) "; least " (objective.minimise.title()) }
            p class={ "verdict " (class) } { (words) }
        }
        @if !answer.is_refused() {
            div class="cards" {
                @for limit in &input.view.limits { (card(limit)) }
                @if objective.limit(objective.minimise).is_none() { (minimised(input.view)) }
            }
        }
    }
}

fn card(limit: &LimitRow) -> Markup {
    let basis = match limit.interval.as_str() {
        "formula" => "by the closed form".to_owned(),
        interval if limit.verdict == Verdict::NotSeen => interval.to_owned(),
        interval => format!("95 %: {interval}"),
    };
    html! {
        div class={ "card " (class(limit.verdict)) } {
            p { (limit.title) }
            strong { (limit.found) }
            p class="note" { (basis) }
            p class="note" { "limit " (limit.most) ": " b { (limit.verdict.words()) } }
        }
    }
}

/// The card of what was made as small as the limits allow.
fn minimised(view: &View<'_>) -> Markup {
    let measure = view.objective.minimise;
    let seen = view.answer.holdout.scaled_estimate(measure).map(|seen| seen.value);
    let value = seen.unwrap_or_else(|| view.answer.chosen.predicted.get(measure));
    html! {
        div class="card" {
            p { (measure.title()) }
            strong { (measure.show(value)) }
            p class="note" { "made as small as the limits allow" }
        }
    }
}

/// Green, red, or neither.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        verdict if verdict.is_met() => "met",
        Verdict::Missed => "missed",
        _ => "unsure",
    }
}

fn refusal(view: &View<'_>) -> Markup {
    let lines = text::refusal(view.objective, view.answer);
    let (items, words): (Vec<&String>, Vec<&String>) = lines.iter().partition(|line| line.starts_with("  "));
    html! {
        @for line in words { p { (line) } }
        ul { @for item in items { li { (item.trim_start()) } } }
    }
}

/// A heading with the defaults' names as its last columns.
fn beside_defaults(view: &View<'_>, first: &str) -> Vec<String> {
    [first.to_owned(), "recommended".to_owned()].into_iter().chain(view.names()).collect()
}

fn settings(view: &View<'_>) -> Markup {
    let rows = view.settings.iter().map(|row| {
        let value = Cell::new(&row.value);
        let value = if row.changed_from().is_some() { value.class("changed") } else { value };
        let name = Cell::new(html! { code { (row.name) } });
        [name, value].into_iter().chain(row.defaults.iter().map(Cell::new)).collect()
    });
    table(&beside_defaults(view, "setting"), &rows.collect::<Vec<_>>())
}

fn limits(view: &View<'_>) -> Markup {
    let heading = ["limit", "at most", "found", "95 % interval", "verdict", "closed form, corrected"];
    let rows = view.limits.iter().map(|row| {
        vec![
            Cell::new(row.title),
            Cell::new(&row.most),
            Cell::new(&row.found),
            Cell::new(&row.interval),
            Cell::new(row.verdict.words()).class(class(row.verdict)),
            Cell::new(&row.predicted),
        ]
    });
    let said = text::simulated(view.objective, view.answer);
    html! {
        (table(&heading.map(str::to_owned), &rows.collect::<Vec<_>>()))
        @for line in said.iter().chain(&text::rare_lines(view.answer)) { p class="note" { (line) } }
    }
}

fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        p class="legend" {
            @for (colour, words) in entries {
                span { i style=(format!("background:var(--{colour})")) {} (words) }
            }
        }
    }
}

fn costs(view: &View<'_>) -> Result<Markup, String> {
    let chart = charts::pareto_chart(view)?;
    Ok(html! {
        p {
            "Each small dot is one set of settings that meets the other limits, by the closed forms alone, uncorrected, \
             and so are the defaults. On the line nothing is both cheaper and faster. The filled dot is what was simulated \
             of the recommended settings, with its 95 % interval; the ring is where the closed form puts them."
        }
        (legend(&[
            ("simulated", "recommended, simulated"),
            ("formula", "recommended and the best there is, closed form"),
            ("cloud", "looked at"),
            ("limit", "limits"),
            ("muted", "defaults"),
        ]))
        figure class="costs" { (PreEscaped(chart)) }
    })
}

/// How long detection and spread take; nothing where nothing was simulated.
fn times(view: &View<'_>) -> Result<Option<Markup>, String> {
    let (objective, answer) = (view.objective, view.answer);
    let charts = [
        ("Detection", charts::detection_chart(objective, answer)?),
        ("Detection, the slowest tenth: here the 99 % are decided", charts::tail_chart(objective, answer)?),
        ("Spread of a user event", charts::spread_chart(objective, answer)?),
    ];
    if charts.iter().all(|(_, chart)| chart.is_none()) {
        return Ok(None);
    }
    Ok(Some(html! {
        (legend(&[
            ("simulated", "simulated, with the 95 % interval of the 99th percentile"),
            ("formula", "closed form, uncorrected"),
            ("limit", "limit"),
        ]))
        div class="pair" {
            @for (title, chart) in charts {
                @if let Some(chart) = chart { figure { figcaption { (title) } (PreEscaped(chart)) } }
            }
        }
    }))
}

fn comparison(view: &View<'_>) -> Markup {
    let rows = view.comparison.iter().map(|row| {
        let own = [Cell::new(row.title), Cell::new(&row.own).class("own")];
        own.into_iter().chain(row.others.iter().map(Cell::new)).collect()
    });
    html! {
        p {
            "All columns alike by the closed forms, without the corrections that the simulations brought, so that they \
             can be compared; memberlist is its defaults with its message sizes."
        }
        (table(&beside_defaults(view, "by the closed forms alone"), &rows.collect::<Vec<_>>()))
    }
}

fn changes(view: &View<'_>) -> Markup {
    let titles = Measure::ALL.iter().map(|measure| measure.title().to_owned());
    let heading: Vec<String> = std::iter::once("setting: lower, higher".to_owned()).chain(titles).collect();
    let turned = sensitivity(&view.answer.chosen.settings, &view.answer.forms);
    html! {
        p {
            "Each setting a tenth lower and higher (or one, where it is a small number), the others as recommended, \
             by the closed forms. The stronger the colour, the stronger the effect: blue lowers a measure, orange \
             raises it."
        }
        (table(&heading, &turned.iter().map(change_row).collect::<Vec<_>>()))
    }
}

fn change_row(turned: &Turned) -> Vec<Cell> {
    let value = |side: usize| turned.values[side].map_or_else(|| "-".to_owned(), thousands);
    let name = html! { code { (turned.knob.name()) } br; small { (value(0)) " / " (value(1)) } };
    // What turning down does, above what turning up does.
    let cell = |index: usize| {
        let half = |side: usize| change(turned.ratios[side].get(index).copied());
        Cell::new(html! { (half(0)) (half(1)) }).class("change")
    };
    std::iter::once(Cell::new(name)).chain((0..Measure::ALL.len()).map(cell)).collect()
}

/// What turning a setting one way does to a measure, coloured as strongly as its effect.
fn change(ratio: Option<f64>) -> Markup {
    let effect = ratio.map_or(0.0, |ratio| match ratio {
        ratio if ratio.is_infinite() => 1.0,
        ratio if ratio > 0.0 => ratio.ln(),
        _ => -1.0,
    });
    let strength = (effect.abs() / 0.25).min(1.0) * 45.0;
    let words = ratio.map_or_else(|| "\u{2013}".to_owned(), change_words);
    if strength < 1.0 {
        return html! { span class="weak" { (words) } };
    }
    let colour = if effect < 0.0 { "formula" } else { "simulated" };
    let style = format!("background:color-mix(in srgb,var(--{colour}) {strength:.0}%,transparent)");
    html! { span style=(style) { (words) } }
}

/// 1.034 as `+3 %`, 25.8 as 26 times, 0.02 as a fiftieth.
fn change_words(ratio: f64) -> String {
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

fn copies(view: &View<'_>) -> Markup {
    html! {
        div class="blocks" {
            @for block in blocks(&view.answer.chosen.settings) {
                div { h3 { (block.title) } (copied(&block.text)) }
            }
        }
    }
}

fn method(input: &PageInput<'_>) -> Markup {
    let (answer, made) = (input.view.answer, input.made);
    let ratios = |ratios: &[(Measure, f64)]| -> String {
        let shown = ratios.iter().map(|(measure, ratio)| format!("{} {ratio:.2}", measure.title()));
        shown.collect::<Vec<_>>().join(", ")
    };
    html! {
        p {
            (thousands(answer.found.all.len() as u64)) " sets of settings were looked at with closed forms."
            @for (index, round) in answer.rounds.iter().enumerate() {
                " Round " (index + 1) ": the best of them was simulated with "
                (counted(round.evidence.members.into(), "member")) " ("
                (thousands(round.evidence.crashes() as u64)) " crashes); simulated over closed form: "
                (ratios(&round.ratios)) "."
            }
        }
        p { "To repeat it:" }
        (copied(input.command))
        p class="note" {
            "swimring-tune " (made.version) " (" (made.commit) "), " (made.started_at) ", seed " (answer.seed) ", "
            (format!("{:.0}", answer.core_s)) " core seconds of simulations; " (made.cpu) ", "
            (counted(made.cores.into(), "core")) ", " (made.kernel) "."
        }
    }
}

/// A text with a button that copies it.
fn copied(text: &str) -> Markup {
    html! {
        div class="copied" {
            button type="button" onclick="copy(this)" { "Copy" }
            pre { (text) }
        }
    }
}
