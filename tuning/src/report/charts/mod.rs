//! The charts: what detection costs (`costs`), and how long detection and spread take by formula and in simulations
//! (`times`).
//!
//! Everything by a closed form is drawn uncorrected, and everything that was simulated with its interval: the two
//! are never mixed in one curve or one dot.

mod costs;
mod times;

use plotters::coord::Shift;
use plotters::prelude::*;
use swimring_tooling::text::significant;

pub use costs::pareto_chart;
pub use times::{detection_chart, spread_chart, tail_chart};

use super::palette::{Colour, LIMIT};

const MARGIN: i32 = 14;
const X_LABELS: i32 = 50;
const FONT: &str = "sans-serif";

type DrawError = Box<dyn std::error::Error>;
type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;
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

/// A tick's value without needless zeros.
fn tick(value: f64) -> String {
    let text = significant(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A dashed line along `at`, from 0 to 1.
fn dashed(at: impl Fn(f64) -> (f64, f64)) -> Vec<PathElement<(f64, f64)>> {
    const COUNT: usize = 48;
    let dash = |index: usize| {
        let ends = [index as f64 / COUNT as f64, (index as f64 + 0.5) / COUNT as f64];
        PathElement::new(ends.map(&at).to_vec(), LIMIT.stand_in.stroke_width(2))
    };
    (0..COUNT).map(dash).collect()
}
