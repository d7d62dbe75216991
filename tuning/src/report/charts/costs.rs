//! What detection costs: bytes against the time that detection takes.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::labels::places;
use super::super::palette::{CLOUD, FORMULA, GRID, INK, MUTED, SIMULATED};
use super::{Area, Chart, DrawError, MARGIN, X_LABELS, dashed, drawn, label, tick};
use crate::objective::Measure;
use crate::outputs::view::View;
use crate::search::Candidate;
use crate::search::defaults::Default;
use crate::statistics::Estimate;

const SIZE: (u32, u32) = (1000, 460);
const Y_LABELS: i32 = 70;
/// Points of the cloud at most: each is a few dozen bytes of the page.
const CLOUD_MAX: usize = 600;

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

/// What was simulated, within the chart.
struct Seen {
    /// The dot.
    at: (f64, f64),
    /// Both ends of its interval.
    ends: [(f64, f64); 2],
}

impl Costs {
    fn of(view: &View<'_>) -> Costs {
        let (objective, answer) = (view.objective, view.answer);
        let (x, y) = (Measure::Bytes, Measure::DetectP99);
        let corrected = |measure| answer.forms.corrections().of(measure);
        let at = |candidate: &Candidate| {
            (candidate.predicted.get(x) / corrected(x), candidate.predicted.get(y) / corrected(y))
        };
        let by_form = at(&answer.chosen);
        let own =
            |default: &Default| (default.candidate.predicted.get(x), default.candidate.predicted.get(y));
        let defaults: Vec<(f64, f64)> = view.compared.iter().map(own).collect();
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
        Costs {
            cloud: cloud.into_iter().step_by(step).collect(),
            front: view.front.iter().map(|candidate| at(candidate)).filter(inside).collect(),
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

    /// Draws everything but the names.
    fn plot<X: Ranged<ValueType = f64>, Y: Ranged<ValueType = f64>>(
        &self,
        chart: &mut Chart<'_, '_, X, Y>,
    ) -> Result<(), DrawError> {
        chart.draw_series(self.cloud.iter().map(|point| Circle::new(*point, 2, CLOUD.stand_in.filled())))?;
        chart.draw_series(LineSeries::new(self.front.iter().copied(), FORMULA.stand_in.stroke_width(2)))?;
        if let Some(most) = self.limits.0 {
            chart.draw_series(dashes((most, self.y.0), (most, self.y.1)))?;
        }
        if let Some(most) = self.limits.1 {
            chart.draw_series(dashes((self.x.0, most), (self.x.1, most)))?;
        }
        for point in &self.defaults {
            chart.draw_series([Circle::new(*point, 5, MUTED.stand_in.filled())])?;
        }
        chart.draw_series([Circle::new(self.by_form, 7, FORMULA.stand_in.stroke_width(2))])?;
        if let Some(Seen { at, ends }) = self.seen() {
            chart.draw_series([PathElement::new(ends, SIMULATED.stand_in.stroke_width(3))])?;
            chart.draw_series([Circle::new(at, 7, SIMULATED.stand_in.filled())])?;
        }
        Ok(())
    }

    /// What was simulated, if anything was.
    fn seen(&self) -> Option<Seen> {
        let (bytes, seconds) = self.simulated?;
        let at = (bytes.value, seconds.value.min(self.y.1));
        let beyond = |end: Option<f64>| end.filter(|end| end.is_finite()).unwrap_or(self.y.1);
        Some(Seen { at, ends: [(at.0, seconds.low.unwrap_or(self.y.0)), (at.0, beyond(seconds.high))] })
    }

    /// Names the dots: the recommendation and the defaults, where nothing else is.
    fn name(&self, area: &Area<'_>, compared: &[Default]) -> Result<(), DrawError> {
        let seen = self.seen();
        let own = seen.as_ref().map_or(self.by_form, |seen| seen.at);
        let mut dots = vec![(self.pixel(own), "recommended")];
        let defaults = compared.iter().zip(&self.defaults);
        dots.extend(defaults.map(|(default, point)| (self.pixel(*point), default.name)));
        let ends = seen.map(|seen| [self.by_form, seen.ends[0], seen.ends[1]]);
        let busy: Vec<(i32, i32)> = ends.into_iter().flatten().map(|point| self.pixel(point)).collect();
        for ((at, name), number) in places(&dots, &busy, inner()).into_iter().zip(&dots).zip(0..) {
            let style = label(INK, if number == 0 { 16 } else { 15 }).pos(Pos::new(HPos::Left, VPos::Top));
            area.draw_text(name.1, &style, at)?;
        }
        Ok(())
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
pub fn pareto_chart(view: &View<'_>) -> Result<String, String> {
    let costs = Costs::of(view);
    let axis = |(low, high): (f64, f64)| (low..high).log_scale().with_key_points(ticks(low, high));
    drawn(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .x_label_area_size(X_LABELS)
            .y_label_area_size(Y_LABELS)
            .build_cartesian_2d(axis(costs.x), axis(costs.y))?;
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
        costs.plot(&mut chart)?;
        costs.name(area, view.compared)
    })
}

/// 1, 2 and 5 of every power of ten within the range.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let powers = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
    let of_power = |power: i32| [1.0, 2.0, 5.0].map(|digit| digit * 10.0_f64.powi(power));
    powers.flat_map(of_power).filter(|value| (low..=high).contains(value)).collect()
}

/// A dashed line between two points that share a coordinate, on logarithmic axes.
fn dashes(from: (f64, f64), to: (f64, f64)) -> Vec<PathElement<(f64, f64)>> {
    dashed(|share| (from.0 * (to.0 / from.0).powf(share), from.1 * (to.1 / from.1).powf(share)))
}
