//! `swimring-loadgen report`: saved results, rendered again.

use std::io::Write;
use std::path::Path;

use super::style::Style;
use super::{Report, comparison, csv, render};
use crate::cli::{Format, PROGRAM, ReportArguments};
use crate::exit::Exit;
use swimring::settings_file::read_bounded;

/// The largest result read: a report with thousands of workers stays far below it.
const FILE_MAX_BYTES: u64 = 64 << 20;

/// Reads and prints the results. Every file that cannot be read is named in one line.
pub fn command(arguments: &ReportArguments) -> Exit {
    let mut reports = Vec::new();
    let mut complete = true;
    for path in &arguments.files {
        match read(path) {
            Ok(report) => reports.push((name(path), report)),
            Err(fault) => {
                eprintln!("{PROGRAM}: {}: {fault}", path.display());
                complete = false;
            }
        }
    }
    if !complete {
        return Exit::CouldNotRun;
    }
    let text = match (arguments.format, reports.as_slice()) {
        (Format::Text, [(_, report)]) => render(report, Style::of_standard_output()),
        (Format::Text, several) => comparison(several, Style::of_standard_output()),
        (Format::Csv, reports) => match csv(reports) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{PROGRAM}: {error}");
                return Exit::CouldNotRun;
            }
        },
    };
    // Whoever closed the pipe has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Exit::Done
}

fn read(path: &Path) -> Result<Report, String> {
    Report::from_json(&read_bounded(path, FILE_MAX_BYTES, "report")?)
}

/// A file's name as a column's heading.
fn name(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
