//! The basics as a picture: who knows after each round, how the rounds grow with the size, and gossip beside delegation
//! in time.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::table::{Basics, SIZES};
use super::telling::SHOWN_MS;
use crate::model::rounds::Strategy;

const SIZE: (u32, u32) = (1_080, 480);
const FONT: &str = "sans-serif";
const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe7);
const TEXT: RGBColor = RGBColor(0x3f, 0x3f, 0x46);
const SERF: RGBColor = RGBColor(0x9c, 0x9c, 0xa5);

/// Height of what is below.
const TELLING_HEIGHT: u32 = 400;
/// Gossip, then delegation by more and more bits.
const TELLING: [RGBColor; 5] = [
    SERF,
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xd5, 0x5e, 0x00),
];

type DrawError = Box<dyn std::error::Error>;
type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Colours that stay apart for the colour-blind (Okabe and Ito).
const fn colour(strategy: Strategy) -> RGBColor {
    match strategy {
        Strategy::Push => RGBColor(0x00, 0x72, 0xb2),
        Strategy::Pull => RGBColor(0xd5, 0x5e, 0x00),
        Strategy::PushPull => RGBColor(0x00, 0x9e, 0x73),
    }
}

/// Draws the panels into an SVG file. The error is one line that names the flag.
pub fn draw(basics: &Basics, file: &Path) -> Result<(), String> {
    let drawn = || -> Result<(), DrawError> {
        let size = if basics.telling.is_empty() { SIZE } else { (SIZE.0, SIZE.1 + TELLING_HEIGHT) };
        let root = SVGBackend::new(file, size).into_drawing_area();
        root.fill(&WHITE)?;
        let (above, below) = root.split_vertically(SIZE.1);
        if !basics.telling.is_empty() {
            telling(&below, basics)?;
        }
        let (left, right) = above.split_horizontally(SIZE.0 as i32 * 58 / 100);
        convergence(&left, basics)?;
        sizes(&right, basics)?;
        root.present()?;
        Ok(())
    };
    drawn().map_err(|error| format!("--plot {}: {error}", file.display()))
}

fn text(size: i32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&TEXT)
}

/// Members that know, over the rounds: lines by formula, points simulated.
fn convergence(area: &Panel<'_>, basics: &Basics) -> Result<(), DrawError> {
    let members = f64::from(basics.options.members);
    let shown = basics.convergence.iter().map(|one| one.formula.len()).max().unwrap_or(2);
    let last = shown.max(3) as f64 - 1.0;
    let title = format!(
        "Who knows: {} members, fanout {}, loss {}",
        basics.options.members,
        basics.options.fanout,
        swimring_tooling::text::percent(basics.options.loss)
    );
    let mut chart = ChartBuilder::on(area)
        .margin(18)
        .caption(title, text(18))
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last, 0.0..members * 1.05)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .x_labels((shown).min(12))
        .x_desc("round")
        .y_desc("members that know")
        .label_style(text(13))
        .axis_desc_style(text(14))
        .x_label_formatter(&|round| format!("{round:.0}"))
        .y_label_formatter(&|members| format!("{members:.0}"))
        .draw()?;
    let serf = basics.serf_informed.iter().enumerate().map(|(round, known)| (round as f64, *known));
    chart
        .draw_series(DashedLineSeries::new(serf, 6, 4, SERF.stroke_width(2)))?
        .label("Serf's page")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], SERF.stroke_width(2)));
    for one in &basics.convergence {
        let colour = colour(one.strategy);
        let line = one.formula.iter().enumerate().map(|(round, state)| (round as f64, state.informed));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(one.strategy.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        let points = one.simulated.informed.iter().take(shown).enumerate();
        chart.draw_series(points.clone().map(|(round, mean)| {
            let (x, low, high) = (round as f64, mean.mean - mean.interval, mean.mean + mean.interval);
            PathElement::new([(x, low), (x, high)], colour)
        }))?;
        chart.draw_series(
            points.map(|(round, mean)| Circle::new((round as f64, mean.mean), 3, colour.filled())),
        )?;
    }
    // The points of all are explained once.
    chart
        .draw_series(std::iter::empty::<Circle<(f64, f64), i32>>())?
        .label("points: simulated, 95 %")
        .legend(|(x, y)| Circle::new((x + 10, y), 3, TEXT.filled()));
    legend(&mut chart, SeriesLabelPosition::LowerRight)
}

/// Rounds until all know, over the size.
fn sizes(area: &Panel<'_>, basics: &Basics) -> Result<(), DrawError> {
    let formula = |row: &super::table::FanoutRow| row.formula.map_or(0.0, |(rounds, _)| rounds);
    let highest = basics.fanout.iter().fold(4.0_f64, |highest, row| {
        highest.max(f64::from(row.serf_rounds)).max(row.rounds.mean).max(formula(row))
    });
    let mut chart = ChartBuilder::on(area)
        .margin(18)
        .caption(format!("Rounds until all know, fanout {}", basics.options.fanout), text(18))
        .x_label_area_size(46)
        .y_label_area_size(48)
        .build_cartesian_2d(
            (16.0..200.0_f64).log_scale().with_key_points(SIZES.map(f64::from).into()),
            0.0..highest * 1.35,
        )?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .x_desc("members")
        .y_desc("rounds")
        .label_style(text(13))
        .axis_desc_style(text(14))
        .x_label_formatter(&|members| format!("{members:.0}"))
        .y_label_formatter(&|rounds| format!("{rounds:.0}"))
        .draw()?;
    let serf = basics.fanout.iter().map(|row| (f64::from(row.members), f64::from(row.serf_rounds)));
    chart
        .draw_series(DashedLineSeries::new(serf, 6, 4, SERF.stroke_width(2)))?
        .label("Serf's page (99.99 %)")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], SERF.stroke_width(2)));
    for strategy in &basics.options.strategies {
        let colour = colour(*strategy);
        let rows = || basics.fanout.iter().filter(|row| row.strategy == *strategy);
        let line =
            rows().filter(|row| row.formula.is_some()).map(|row| (f64::from(row.members), formula(row)));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(strategy.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        chart.draw_series(
            rows()
                .filter(|row| row.complete > 0)
                .map(|row| Circle::new((f64::from(row.members), row.rounds.mean), 4, colour.filled())),
        )?;
    }
    legend(&mut chart, SeriesLabelPosition::UpperLeft)
}

/// Who was told in time, by gossip and by delegation.
fn telling(area: &Panel<'_>, basics: &Basics) -> Result<(), DrawError> {
    let (first, last) = SHOWN_MS;
    let mut chart = ChartBuilder::on(area)
        .margin(18)
        .caption("One event on Swimring's wire, by the closed forms", text(18))
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d((first..last).log_scale(), 0.0..1.05)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .x_desc("milliseconds")
        .y_desc("share of members told")
        .label_style(text(13))
        .axis_desc_style(text(14))
        .x_label_formatter(&|time_ms| format!("{time_ms}"))
        .y_label_formatter(&|share| format!("{share:.1}"))
        .draw()?;
    for (told, colour) in basics.telling.iter().zip(TELLING) {
        chart
            .draw_series(LineSeries::new(told.told.iter().copied(), colour.stroke_width(2)))?
            .label(told.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    legend(&mut chart, SeriesLabelPosition::LowerRight)
}

fn legend<'a, 'b: 'a, X: Ranged, Y: Ranged>(
    chart: &mut ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>,
    position: SeriesLabelPosition,
) -> Result<(), DrawError> {
    chart
        .configure_series_labels()
        .position(position)
        .margin(12)
        .background_style(WHITE.mix(0.9))
        .border_style(GRID)
        .label_font(text(13))
        .draw()?;
    Ok(())
}
