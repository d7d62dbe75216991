//! The charts: what detection costs, and how long detection and spread take by formula and in simulations.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use swimring_loadgen::text::significant;

use super::palette::{CHOSEN, CLOUD, Colour, FORMULA, GRID, INK, LIMIT, MUTED, SIMULATED};
use crate::confirm::Answer;
use crate::objective::{Measure, Objective};
use crate::search::curves::{self, Curve};
use crate::search::defaults::Default;
use crate::search::{Candidate, pareto};

const SIZE: (u32, u32) = (1000, 460);
const HALF: (u32, u32) = (540, 360);
const FONT: &str = "sans-serif";
/// Points of the cloud at most: each is a few dozen bytes of the page.
const CLOUD_MAX: usize = 600;

type DrawError = Box<dyn std::error::Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn drawn(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Result<(), DrawError>) -> Result<String, String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&area).map_err(|error| format!("chart: {error}"))?;
        area.present().map_err(|error| format!("chart: {error}"))?;
    }
    Ok(scalable(&svg, size))
}

/// Without a size of its own, so that it is as wide as the page has room for.
fn scalable(svg: &str, (width, height): (u32, u32)) -> String {
    svg.replacen(&format!("width=\"{width}\" height=\"{height}\" "), "", 1)
}

fn label(colour: Colour, size: u32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&colour.stand_in)
}

/// Bytes against detection: everything that was looked at, the front, the defaults, the limits, the choice.
///
/// # Errors
/// What the drawing library says.
pub fn pareto_chart(objective: &Objective, answer: &Answer, compared: &[Default]) -> Result<String, String> {
    let (x, y) = (Measure::Bytes, Measure::DetectP99);
    let front = pareto::front(&answer.found.all, objective, x, y);
    let at = |candidate: &Candidate| (candidate.predicted.get(x), candidate.predicted.get(y));
    let chosen = at(&answer.chosen);
    let known: Vec<(f64, f64)> = compared.iter().map(|default| at(&default.candidate)).collect();
    // Around what is compared: the cloud reaches decades further than anybody looks.
    let around = |of: fn(&(f64, f64)) -> f64, limit: Option<f64>| {
        let values = || known.iter().chain([&chosen]).map(of).chain(limit).filter(|value| value.is_finite());
        (values().fold(f64::INFINITY, f64::min) / 2.5, values().fold(0.0, f64::max) * 2.0)
    };
    let limit = |measure| objective.limit(measure).map(|limit| limit.most);
    let (left, right) = around(|point| point.0, limit(x));
    let (bottom, top) = around(|point| point.1, limit(y));
    let inside =
        |(bytes, seconds): &(f64, f64)| (left..=right).contains(bytes) && (bottom..=top).contains(seconds);
    let relaxed = objective.without(x).without(y);
    let mut cloud: Vec<(f64, f64)> = answer
        .found
        .all
        .iter()
        .filter(|candidate| candidate.meets(&relaxed))
        .map(at)
        .filter(inside)
        .collect();
    let step = cloud.len().div_ceil(CLOUD_MAX).max(1);
    cloud = cloud.into_iter().step_by(step).collect();
    drawn(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .x_label_area_size(50)
            .y_label_area_size(70)
            .build_cartesian_2d(
                (left..right).log_scale().with_key_points(ticks(left, right)),
                (bottom..top).log_scale().with_key_points(ticks(bottom, top)),
            )?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stand_in)
            .axis_style(MUTED.stand_in)
            .x_desc("bytes per member-second")
            .y_desc("detection p99, seconds")
            .label_style(label(MUTED, 15))
            .axis_desc_style(label(INK, 16))
            .x_labels(8)
            .y_labels(8)
            .x_label_formatter(&|value| tick(*value))
            .y_label_formatter(&|value| tick(*value))
            .draw()?;
        chart.draw_series(cloud.iter().map(|point| Circle::new(*point, 2, CLOUD.stand_in.filled())))?;
        let line: Vec<(f64, f64)> = front.iter().map(|candidate| at(candidate)).filter(inside).collect();
        chart.draw_series(LineSeries::new(line, FORMULA.stand_in.stroke_width(2)))?;
        if let Some(most) = limit(x) {
            chart.draw_series(dashes((most, bottom), (most, top)))?;
        }
        if let Some(most) = limit(y) {
            chart.draw_series(dashes((left, most), (right, most)))?;
        }
        for (default, point) in compared.iter().zip(&known) {
            chart.draw_series([Circle::new(*point, 5, MUTED.stand_in.filled())])?;
            let style = label(INK, 15).pos(Pos::new(HPos::Center, VPos::Bottom));
            let offset = if default.wire == crate::model::WireFormat::Memberlist { 24 } else { -9 };
            chart.draw_series([EmptyElement::at(*point) + Text::new(default.name, (0, offset), style)])?;
        }
        chart.draw_series([Circle::new(chosen, 8, CHOSEN.stand_in.filled())])?;
        let style = label(CHOSEN, 16).pos(Pos::new(HPos::Right, VPos::Top));
        chart.draw_series([EmptyElement::at(chosen) + Text::new("recommended", (-11, 5), style)])?;
        Ok(())
    })
}

/// 1, 2 and 5 of every power of ten within the range.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let powers = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
    let of_power = |power: i32| [1.0, 2.0, 5.0].map(|digit| digit * 10.0_f64.powi(power));
    powers.flat_map(of_power).filter(|value| (low..=high).contains(value)).collect()
}

/// A tick's value without needless zeros.
fn tick(value: f64) -> String {
    let text = significant(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A dashed line between two points that share a coordinate, on logarithmic axes.
fn dashes(from: (f64, f64), to: (f64, f64)) -> Vec<PathElement<(f64, f64)>> {
    const COUNT: usize = 48;
    let at = |share: f64| (from.0 * (to.0 / from.0).powf(share), from.1 * (to.1 / from.1).powf(share));
    let dash = |index: usize| {
        let ends = [index as f64 / COUNT as f64, (index as f64 + 0.5) / COUNT as f64];
        PathElement::new(ends.map(at).to_vec(), LIMIT.stand_in.stroke_width(2))
    };
    (0..COUNT).map(dash).collect()
}

/// How long crashes go unnoticed. Nothing where nothing was simulated.
///
/// # Errors
/// What the drawing library says.
pub fn detection_chart(answer: &Answer) -> Result<Option<String>, String> {
    let seen = answer.holdout.detection_curve(300);
    let simulated: Curve = seen.iter().map(|point| (point.value, point.share)).collect();
    let formula = curves::detection(&answer.chosen.settings, &answer.forms);
    cumulative(&formula, &simulated, "seconds from a crash to the first member that holds it dead", "crashes")
}

/// How long user events take. Nothing where nothing was simulated.
///
/// # Errors
/// What the drawing library says.
pub fn spread_chart(answer: &Answer) -> Result<Option<String>, String> {
    let seen = answer.holdout.spread_curve();
    let simulated: Curve = seen.iter().map(|point| (point.value, point.share)).collect();
    let formula = curves::spread(&answer.chosen.settings, &answer.forms);
    cumulative(&formula, &simulated, "milliseconds from a user event to a delivery", "deliveries")
}

fn cumulative(formula: &Curve, simulated: &Curve, x: &str, what: &str) -> Result<Option<String>, String> {
    if simulated.is_empty() {
        return Ok(None);
    }
    // The last few of a thousand deliveries take long: the axis ends where the curves have.
    let most = |curve: &Curve| {
        curve.iter().filter(|point| point.1 <= 0.992).map(|point| point.0).fold(0.0, f64::max)
    };
    let right = most(formula).max(most(simulated)).max(1e-6) * 1.12;
    let within = |curve: &Curve| curve.iter().copied().filter(|point| point.0 <= right).collect::<Vec<_>>();
    drawn(HALF, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .x_label_area_size(50)
            .y_label_area_size(62)
            .build_cartesian_2d(0.0..right, 0.0..1.0)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stand_in)
            .axis_style(MUTED.stand_in)
            .x_desc(x)
            .y_desc(format!("share of {what}"))
            .label_style(label(MUTED, 15))
            .axis_desc_style(label(INK, 16))
            .x_labels(7)
            .y_labels(6)
            .x_label_formatter(&|value| tick(*value))
            .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
            .draw()?;
        chart.draw_series(LineSeries::new(within(simulated), SIMULATED.stand_in.stroke_width(3)))?;
        chart.draw_series(LineSeries::new(within(formula), FORMULA.stand_in.stroke_width(2)))?;
        Ok(())
    })
    .map(Some)
}
