//! How long crashes go unnoticed and events travel: shares by time, by formula and in simulations.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::palette::{FORMULA, GRID, INK, MUTED, SIMULATED};
use super::{Chart, DrawError, MARGIN, X_LABELS, dashed, drawn, label, tick};
use crate::objective::{Measure, Objective};
use crate::search::curves::{self, Curve};
use crate::statistics::Estimate;
use crate::validation::Answer;

const SIZE: (u32, u32) = (540, 360);
const Y_LABELS: i32 = 62;
/// The part of the crashes that is the tail.
const TAIL_FROM: f64 = 0.9;

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
    let chart = drawn(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .x_label_area_size(X_LABELS)
            .y_label_area_size(Y_LABELS)
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
        times.plot(&mut chart, (left, right))
    });
    chart.map(Some)
}

impl Times<'_> {
    /// The range of times that is shown: the limit, the interval, and all between.
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

    /// Draws the limit, the curves, and the interval that decides.
    fn plot<X: Ranged<ValueType = f64>, Y: Ranged<ValueType = f64>>(
        &self,
        chart: &mut Chart<'_, '_, X, Y>,
        (left, right): (f64, f64),
    ) -> Result<(), DrawError> {
        let within = |curve: &Curve| -> Curve {
            curve.iter().copied().filter(|point| point.0 <= right && point.1 >= self.from).collect()
        };
        if let Some((Some(most), ..)) = self.decides {
            chart.draw_series(dashed(|share| (most, self.from + share * (1.0 - self.from))))?;
        }
        chart.draw_series(LineSeries::new(within(&self.simulated), SIMULATED.stand_in.stroke_width(3)))?;
        chart.draw_series(LineSeries::new(within(&self.formula), FORMULA.stand_in.stroke_width(2)))?;
        let Some((_, seen, share)) = self.decides.filter(|decides| decides.1.value <= right) else {
            return Ok(());
        };
        let end = |end: Option<f64>, open: f64| end.filter(|end| end.is_finite()).unwrap_or(open);
        let bar = [(end(seen.low, left), share), (end(seen.high, right), share)];
        chart.draw_series([PathElement::new(bar, SIMULATED.stand_in.stroke_width(4))])?;
        chart.draw_series([Circle::new((seen.value, share), 6, SIMULATED.stand_in.filled())])?;
        if self.from > 0.0 {
            let style = label(INK, 15).pos(Pos::new(HPos::Left, VPos::Bottom));
            let name = EmptyElement::at((left, share)) + Text::new("99 %", (4, -3), style);
            chart.draw_series([name])?;
        }
        Ok(())
    }
}
