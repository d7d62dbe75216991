//! The charts: what detection costs, and how long detection and spread take by formula and in simulations.
//!
//! Everything by a closed form is drawn uncorrected, and everything that was simulated with its interval: the two
//! are never mixed in one curve or one dot.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use swimring_tooling::text::significant;

use super::labels::places;
use super::palette::{CLOUD, Colour, FORMULA, GRID, INK, LIMIT, MUTED, SIMULATED};
use crate::objective::{Measure, Objective};
use crate::search::curves::{self, Curve};
use crate::search::defaults::Default;
use crate::search::{Candidate, pareto};
use crate::statistics::Estimate;
use crate::validation::Answer;

const SIZE: (u32, u32) = (1000, 460);
const HALF: (u32, u32) = (540, 360);
const MARGIN: i32 = 14;
const X_LABELS: i32 = 50;
const Y_LABELS: i32 = 70;
const FONT: &str = "sans-serif";
/// Points of the cloud at most: each is a few dozen bytes of the page.
const CLOUD_MAX: usize = 600;
/// The part of the crashes that is the tail.
const TAIL_FROM: f64 = 0.9;

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

/// What the chart of costs shows, in its axes' units.
struct Costs {
    cloud: Vec<(f64, f64)>,
    front: Vec<(f64, f64)>,
    defaults: Vec<(f64, f64)>,
    by_form: (f64, f64),
    simulated: Option<(Estimate, Estimate)>,
    limits: (Option<f64>, Option<f64>),
    x: (f64, f64),
    y: (f64, f64),
}

impl Costs {
    fn of(objective: &Objective, answer: &Answer, compared: &[Default]) -> Costs {
        let (x, y) = (Measure::Bytes, Measure::DetectP99);
        let corrected = |measure| answer.forms.corrections().of(measure);
        let at = |candidate: &Candidate| {
            (candidate.predicted.get(x) / corrected(x), candidate.predicted.get(y) / corrected(y))
        };
        let by_form = at(&answer.chosen);
        let own =
            |default: &Default| (default.candidate.predicted.get(x), default.candidate.predicted.get(y));
        let defaults: Vec<(f64, f64)> = compared.iter().map(own).collect();
        let simulated = answer.holdout.scaled_estimate(x).zip(answer.holdout.scaled_estimate(y));
        let limit = |measure| objective.limit(measure).map(|limit| limit.most);
        // Around what is compared: the cloud reaches decades further than anybody looks.
        let around = |of: fn(&(f64, f64)) -> f64, limit: Option<f64>, seen: Option<Estimate>| {
            let ends = seen.into_iter().flat_map(|seen| [Some(seen.value), seen.low, seen.high]).flatten();
            let values: Vec<f64> =
                defaults.iter().chain([&by_form]).map(of).chain(limit).chain(ends).collect();
            let finite = || values.iter().copied().filter(|value| value.is_finite() && *value > 0.0);
            (finite().fold(f64::INFINITY, f64::min) / 2.5, finite().fold(0.0, f64::max) * 1.9)
        };
        let x_range = around(|point| point.0, limit(x), simulated.map(|seen| seen.0));
        let y_range = around(|point| point.1, limit(y), simulated.map(|seen| seen.1));
        let inside = |(bytes, seconds): &(f64, f64)| {
            (x_range.0..=x_range.1).contains(bytes) && (y_range.0..=y_range.1).contains(seconds)
        };
        let relaxed = objective.without(x).without(y);
        let fit = answer.found.all.iter().filter(|candidate| candidate.meets(&relaxed));
        let cloud: Vec<(f64, f64)> = fit.map(at).filter(inside).collect();
        let step = cloud.len().div_ceil(CLOUD_MAX).max(1);
        let front = pareto::front(&answer.found.all, objective, x, y);
        Costs {
            cloud: cloud.into_iter().step_by(step).collect(),
            front: front.iter().map(|candidate| at(candidate)).filter(inside).collect(),
            limits: (limit(x), limit(y)),
            defaults,
            by_form,
            simulated,
            x: x_range,
            y: y_range,
        }
    }

    /// A point in pixels, as the chart below is laid out.
    fn pixel(&self, (bytes, seconds): (f64, f64)) -> (i32, i32) {
        let (left, top, right, bottom) = inner();
        let share = |value: f64, range: (f64, f64)| (value / range.0).ln() / (range.1 / range.0).ln();
        let x = f64::from(left) + share(bytes, self.x) * f64::from(right - left);
        (x as i32, (f64::from(bottom) - share(seconds, self.y) * f64::from(bottom - top)) as i32)
    }
}

/// The area within the axes of the chart of costs.
fn inner() -> (i32, i32, i32, i32) {
    (MARGIN + Y_LABELS, MARGIN, SIZE.0 as i32 - MARGIN, SIZE.1 as i32 - MARGIN - X_LABELS)
}

/// Bytes against detection: everything that was looked at, the front, the defaults, the limits, the choice by the
/// closed form, and what was simulated of it with its interval.
///
/// # Errors
/// What the drawing library says.
pub fn pareto_chart(objective: &Objective, answer: &Answer, compared: &[Default]) -> Result<String, String> {
    let costs = Costs::of(objective, answer, compared);
    drawn(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .x_label_area_size(X_LABELS)
            .y_label_area_size(Y_LABELS)
            .build_cartesian_2d(
                (costs.x.0..costs.x.1).log_scale().with_key_points(ticks(costs.x.0, costs.x.1)),
                (costs.y.0..costs.y.1).log_scale().with_key_points(ticks(costs.y.0, costs.y.1)),
            )?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stand_in)
            .axis_style(MUTED.stand_in)
            .x_desc("bytes that a member sends per second")
            .y_desc("detection p99, seconds")
            .label_style(label(MUTED, 15))
            .axis_desc_style(label(INK, 16))
            .x_labels(8)
            .y_labels(8)
            .x_label_formatter(&|value| tick(*value))
            .y_label_formatter(&|value| tick(*value))
            .draw()?;
        chart.draw_series(costs.cloud.iter().map(|point| Circle::new(*point, 2, CLOUD.stand_in.filled())))?;
        chart.draw_series(LineSeries::new(costs.front.iter().copied(), FORMULA.stand_in.stroke_width(2)))?;
        if let Some(most) = costs.limits.0 {
            chart.draw_series(dashes((most, costs.y.0), (most, costs.y.1)))?;
        }
        if let Some(most) = costs.limits.1 {
            chart.draw_series(dashes((costs.x.0, most), (costs.x.1, most)))?;
        }
        for point in &costs.defaults {
            chart.draw_series([Circle::new(*point, 5, MUTED.stand_in.filled())])?;
        }
        let mut dots: Vec<((i32, i32), &str)> = Vec::new();
        let mut busy = Vec::new();
        chart.draw_series([Circle::new(costs.by_form, 7, FORMULA.stand_in.stroke_width(2))])?;
        match costs.simulated {
            Some((bytes, seconds)) => {
                let at = (bytes.value, seconds.value.min(costs.y.1));
                let beyond = |end: Option<f64>| end.filter(|end| end.is_finite()).unwrap_or(costs.y.1);
                let bar = [(at.0, seconds.low.unwrap_or(costs.y.0)), (at.0, beyond(seconds.high))];
                chart.draw_series([PathElement::new(bar, SIMULATED.stand_in.stroke_width(3))])?;
                chart.draw_series([Circle::new(at, 7, SIMULATED.stand_in.filled())])?;
                dots.push((costs.pixel(at), "recommended"));
                busy.extend([costs.pixel(costs.by_form), costs.pixel(bar[0]), costs.pixel(bar[1])]);
            }
            None => dots.push((costs.pixel(costs.by_form), "recommended")),
        }
        dots.extend(
            compared.iter().zip(&costs.defaults).map(|(default, point)| (costs.pixel(*point), default.name)),
        );
        for ((at, name), number) in places(&dots, &busy, inner()).into_iter().zip(&dots).zip(0..) {
            let style = label(INK, if number == 0 { 16 } else { 15 }).pos(Pos::new(HPos::Left, VPos::Top));
            area.draw_text(name.1, &style, at)?;
        }
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
    dashed(|share| (from.0 * (to.0 / from.0).powf(share), from.1 * (to.1 / from.1).powf(share)))
}

fn dashed(at: impl Fn(f64) -> (f64, f64)) -> Vec<PathElement<(f64, f64)>> {
    const COUNT: usize = 48;
    let dash = |index: usize| {
        let ends = [index as f64 / COUNT as f64, (index as f64 + 0.5) / COUNT as f64];
        PathElement::new(ends.map(&at).to_vec(), LIMIT.stand_in.stroke_width(2))
    };
    (0..COUNT).map(dash).collect()
}

/// What a chart of times shows.
struct Times<'a> {
    formula: Curve,
    simulated: Curve,
    /// What decides: the limit on a share, what was simulated of it, and the share.
    decides: Option<(Option<f64>, Estimate, f64)>,
    /// The lowest share that is shown.
    from: f64,
    x: &'a str,
    what: &'a str,
}

/// How long crashes go unnoticed. Nothing where nothing was simulated.
///
/// # Errors
/// What the drawing library says.
pub fn detection_chart(objective: &Objective, answer: &Answer) -> Result<Option<String>, String> {
    cumulative(&detection(objective, answer, 0.0))
}

/// The slowest tenth of the detections: the limit on the 99th percentile is decided there.
///
/// # Errors
/// What the drawing library says.
pub fn tail_chart(objective: &Objective, answer: &Answer) -> Result<Option<String>, String> {
    cumulative(&detection(objective, answer, TAIL_FROM))
}

fn detection(objective: &Objective, answer: &Answer, from: f64) -> Times<'static> {
    let measure = Measure::DetectP99;
    let scale = answer.holdout.scale(measure);
    let seen = answer.holdout.detection_curve(300);
    let limit = objective.limit(measure).map(|limit| limit.most);
    Times {
        formula: curves::detection(&answer.chosen.settings, &answer.forms),
        simulated: seen.iter().map(|point| (point.value * scale, point.share)).collect(),
        decides: answer.holdout.scaled_estimate(measure).map(|seen| (limit, seen, 0.99)),
        from,
        x: "seconds from a crash to the first member that holds it dead",
        what: "crashes",
    }
}

/// How long user events take. Nothing where nothing was simulated.
///
/// # Errors
/// What the drawing library says.
pub fn spread_chart(objective: &Objective, answer: &Answer) -> Result<Option<String>, String> {
    let measure = Measure::SpreadP99;
    let scale = answer.holdout.scale(measure);
    let seen = answer.holdout.spread_curve();
    let limit = objective.limit(measure).map(|limit| limit.most);
    cumulative(&Times {
        formula: curves::spread(&answer.chosen.settings, &answer.forms),
        simulated: seen.iter().map(|point| (point.value * scale, point.share)).collect(),
        decides: answer.holdout.scaled_estimate(measure).map(|seen| (limit, seen, 0.99)),
        from: 0.0,
        x: "milliseconds from a user event to a delivery",
        what: "deliveries",
    })
}

fn cumulative(times: &Times<'_>) -> Result<Option<String>, String> {
    if times.simulated.is_empty() {
        return Ok(None);
    }
    let (left, right) = times.range();
    let within = |curve: &Curve| -> Curve {
        curve.iter().copied().filter(|point| point.0 <= right && point.1 >= times.from).collect()
    };
    let tail = times.from > 0.0;
    drawn(HALF, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .x_label_area_size(X_LABELS)
            .y_label_area_size(62)
            .build_cartesian_2d(left..right, times.from..1.0)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stand_in)
            .axis_style(MUTED.stand_in)
            .x_desc(times.x)
            .y_desc(format!("share of {}", times.what))
            .label_style(label(MUTED, 15))
            .axis_desc_style(label(INK, 16))
            .x_labels(7)
            .y_labels(6)
            .x_label_formatter(&|value| tick(*value))
            .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
            .draw()?;
        if let Some((Some(most), ..)) = times.decides {
            chart.draw_series(dashed(|share| (most, times.from + share * (1.0 - times.from))))?;
        }
        chart.draw_series(LineSeries::new(within(&times.simulated), SIMULATED.stand_in.stroke_width(3)))?;
        chart.draw_series(LineSeries::new(within(&times.formula), FORMULA.stand_in.stroke_width(2)))?;
        if let Some((_, seen, share)) = times.decides.filter(|decides| decides.1.value <= right) {
            let end = |end: Option<f64>, open: f64| end.filter(|end| end.is_finite()).unwrap_or(open);
            let bar = [(end(seen.low, left), share), (end(seen.high, right), share)];
            chart.draw_series([PathElement::new(bar, SIMULATED.stand_in.stroke_width(4))])?;
            chart.draw_series([Circle::new((seen.value, share), 6, SIMULATED.stand_in.filled())])?;
            if tail {
                let style = label(INK, 15).pos(Pos::new(HPos::Left, VPos::Bottom));
                let name = EmptyElement::at((left, share)) + Text::new("99 %", (4, -3), style);
                chart.draw_series([name])?;
            }
        }
        Ok(())
    })
    .map(Some)
}

impl Times<'_> {
    /// From where to where the times are shown: the limit, the interval, and what lies between.
    fn range(&self) -> (f64, f64) {
        // The last few of a thousand take long: the axis ends where the curves have.
        let shown = |curve: &Curve| -> Vec<f64> {
            let share = |point: &&(f64, f64)| (self.from..=0.992).contains(&point.1);
            curve.iter().filter(share).map(|point| point.0).collect()
        };
        let mut values = shown(&self.simulated);
        values.extend(shown(&self.formula));
        if let Some((limit, seen, _)) = &self.decides {
            values.extend(limit.iter().chain(&seen.high).chain(&seen.low).filter(|value| value.is_finite()));
        }
        let most = values.iter().copied().fold(1e-6, f64::max);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min).min(most);
        let room = (most - least) * 0.08;
        if self.from > 0.0 {
            ((least - room).max(0.0), most + room.max(most * 0.01))
        } else {
            (0.0, most * 1.08)
        }
    }
}
