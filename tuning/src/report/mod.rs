//! The answer as one HTML page: charts, tables and settings to copy, with nothing outside the file.
//!
//! Charts are SVG by a library, inside the page. They are drawn with stand-in colours, which the page's style
//! maps to colours for a light or a dark screen (`palette`).

mod charts;
mod labels;
mod page;
mod palette;

pub use charts::{detection_chart, pareto_chart, spread_chart, tail_chart};
pub use page::{PageInput, page};
pub use palette::standalone;

#[cfg(test)]
mod tests;
