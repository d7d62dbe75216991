//! `swimring-loadgen report`: saved results, rendered again.

use std::path::Path;

use swimring_tooling::exit::Exit;
use swimring_tooling::output::{print, tell};
use swimring_tooling::style::Style;

use super::{Report, comparison, csv, render};
use crate::cli::{Format, PROGRAM, ReportArguments};
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
                tell(PROGRAM, &format!("{}: {fault}", path.display()));
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
                tell(PROGRAM, &error.to_string());
                return Exit::CouldNotRun;
            }
        },
    };
    match print(&text) {
        Ok(()) => Exit::Done,
        Err(fault) => {
            tell(PROGRAM, &fault);
            Exit::CouldNotRun
        }
    }
}

fn read(path: &Path) -> Result<Report, String> {
    Report::from_json(&read_bounded(path, FILE_MAX_BYTES, "report")?)
}

/// A file's name as a column's heading.
fn name(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
