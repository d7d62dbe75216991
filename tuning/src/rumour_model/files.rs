//! The basics for programs: JSON with everything, CSV with a line for each strategy and round.

use std::path::Path;

use serde::Serialize;
use swimring_tooling::output;

use super::table::Basics;

/// A line of the CSV.
#[derive(Serialize)]
struct Line {
    strategy: &'static str,
    round: usize,
    informed_formula: f64,
    informed_simulated: f64,
    informed_interval: f64,
    informed_serf: Option<f64>,
    messages_formula: f64,
    messages_simulated: f64,
    messages_interval: f64,
}

/// Writes the JSON. The error is one line that names the flag.
pub fn write_json(basics: &Basics, path: &Path) -> Result<(), String> {
    output::write_json("--json", path, basics)
}

/// Writes the CSV. The error is one line that names the flag.
pub fn write_csv(basics: &Basics, path: &Path) -> Result<(), String> {
    output::write_csv("--csv", path, lines(basics))
}

fn lines(basics: &Basics) -> impl Iterator<Item = Line> {
    basics.convergence.iter().flat_map(|convergence| {
        convergence.formula.iter().enumerate().map(|(round, state)| {
            let simulated = &convergence.simulated;
            // A run that is over stays as it ended.
            let at = round.min(simulated.informed.len() - 1);
            Line {
                strategy: convergence.strategy.as_str(),
                round,
                informed_formula: state.informed,
                informed_simulated: simulated.informed[at].mean,
                informed_interval: simulated.informed[at].interval,
                informed_serf: basics.serf_informed.get(round).copied(),
                messages_formula: state.messages,
                messages_simulated: simulated.messages[at].mean,
                messages_interval: simulated.messages[at].interval,
            }
        })
    })
}
