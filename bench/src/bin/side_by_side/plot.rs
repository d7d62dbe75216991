//! The clusters as a picture: what a member costs, and what an event costs it, over the size of the cluster.

use std::path::Path;

use plotters::prelude::*;

use crate::results::{Cluster, Whose};

const SIZE: (u32, u32) = (1_000, 460);
const FONT: &str = "sans-serif";

/// One series: whose it is, its colour, and its points (members, microseconds).
struct Series {
    whose: Whose,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Draws both panels into an SVG file.
pub fn draw(clusters: &[Cluster], file: &Path) -> Result<(), String> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    root.fill(&WHITE).map_err(|error| fault(&error))?;
    let (left, right) = root.split_horizontally(SIZE.0 as i32 / 2);
    let idle = series(clusters, |cluster| cluster.idle_us_per_member_second);
    let event = series(clusters, |cluster| cluster.us_per_event_per_member);
    panel(&left, "Idle: CPU per member and second", &idle).map_err(|error| fault(&error))?;
    panel(&right, "User event: CPU per event and member", &event).map_err(|error| fault(&error))?;
    root.present().map_err(|error| fault(&error))
}

fn series(clusters: &[Cluster], value: impl Fn(&Cluster) -> Option<f64>) -> Vec<Series> {
    let colours = [
        (Whose::Memberlist, RGBColor(0xc2, 0x41, 0x0c)),
        (Whose::MemberlistPlain, RGBColor(0xb0, 0x8d, 0x57)),
        (Whose::Swimring, RGBColor(0x1d, 0x4e, 0xd8)),
    ];
    let of = |(whose, colour)| {
        let own = clusters.iter().filter(|cluster| cluster.whose == whose);
        let points = own.filter_map(|cluster| Some((cluster.members as f64, value(cluster)?)));
        Series { whose, colour, points: points.filter(|(_, us)| *us > 0.0).collect() }
    };
    colours.into_iter().map(of).filter(|series| !series.points.is_empty()).collect()
}

type DrawError = Box<dyn std::error::Error>;

fn panel(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    all: &[Series],
) -> Result<(), DrawError> {
    let values = || all.iter().flat_map(|series| &series.points).map(|(_, us)| *us);
    let low = 10_f64.powf(values().fold(1.0, f64::min).log10().floor());
    let high = 10_f64.powf(values().fold(10.0, f64::max).log10().ceil());
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .caption(title, (FONT, 18))
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((40.0..12_500.0_f64).log_scale(), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(RGBColor(0xf0, 0xf0, 0xf0))
        .bold_line_style(RGBColor(0xd8, 0xd8, 0xd8))
        .x_desc("members")
        .y_desc("microseconds")
        .label_style((FONT, 13))
        .axis_desc_style((FONT, 14))
        .x_label_formatter(&|members| format!("{members:.0}"))
        .y_label_formatter(&|us| format!("{us}"))
        .draw()?;
    for series in all {
        let (colour, points) = (series.colour, &series.points);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(series.whose.title())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(0xd8, 0xd8, 0xd8))
        .label_font((FONT, 13))
        .draw()?;
    Ok(())
}
