//! `swimring-tune compare`: the closed forms against the simulator.

use std::path::PathBuf;

use clap::Args;
use swimring_simulation::experiment::zones_max;
use swimring_tooling::columns;
use swimring_tooling::environment;
use swimring_tooling::exit::Exit;
use swimring_tooling::output::{self, tell};
use swimring_tooling::text::counted;
use swimring_tooling::values;

use super::{Faults, PROGRAM, to_standard_output};
use crate::compare::grid::{Grid, Row};
use crate::compare::table;

/// Shown under the flags.
pub const EXAMPLES: &str = "\
Examples:
  swimring-tune compare --members 20,100               the small half of the grid, in seconds
  swimring-tune compare --csv grid.csv --markdown grid.md
  swimring-tune compare --members 1000 --loss 0,1%,5% --delegation-bits 1,2,3
  swimring-tune compare --members 1000 --loss 0,1% --delegation-bits 2 --zones 3 --zone-rtt-ms 40

Prints predicted by simulated for each measure, size and loss: the geometric mean over fanouts and
intervals, and the range; what strays by more than a fifth is set in **.";

/// The flags of `compare`, as typed.
#[derive(Args, Clone, Debug)]
pub struct CompareArguments {
    /// Members, several with commas [default: 20,100,1000,10000]
    #[arg(long, short = 'n', value_name = "COUNTS", value_delimiter = ',', value_parser = values::listed::<u32>)]
    pub members: Vec<u32>,

    /// Shares of datagrams lost, several with commas [default: 0,1%,5%,20%]
    #[arg(long, value_name = "SHARES", value_delimiter = ',', value_parser = values::share)]
    pub loss: Vec<f64>,

    /// Gossip fanouts, several with commas [default: 1,3,6]
    #[arg(long, short = 'f', value_name = "COUNTS", value_delimiter = ',', value_parser = values::listed::<u8>)]
    pub fanout: Vec<u8>,

    /// Delegated broadcast in steps of so many bits instead of gossip, several with commas
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = values::listed::<u8>)]
    pub delegation_bits: Vec<u8>,

    /// Zones that members who delegate are in: 1 for none
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = values::count::<u32>)]
    pub zones: u32,

    /// With --zones: what a round trip to another zone takes longer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = values::count::<u32>)]
    pub zone_rtt_ms: u32,

    /// Seed of the simulations
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = values::count::<u64>)]
    pub seed: u64,

    /// Simulations at once [default: one per core]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<u16>)]
    pub threads: Option<u16>,

    /// Write each case and measure to FILE as CSV
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub csv: Option<PathBuf>,

    /// Write the table to FILE as Markdown
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub markdown: Option<PathBuf>,

    /// No progress line
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}

impl CompareArguments {
    /// Checks the flags.
    ///
    /// # Errors
    /// One line for each that cannot be used.
    pub fn check(&self) -> Result<Grid, Vec<String>> {
        let mut grid = Grid::default();
        let mut faults = Vec::new();
        let mut within = |flag: &str, value: f64, lowest: f64, highest: f64| {
            if !(lowest..=highest).contains(&value) {
                faults.push(format!("--{flag} {value}: has to be between {lowest} and {highest}"));
            }
        };
        self.members.iter().for_each(|members| within("members", f64::from(*members), 5.0, 100_000.0));
        self.loss.iter().for_each(|loss| within("loss", *loss, 0.0, 0.9));
        self.fanout.iter().for_each(|fanout| within("fanout", f64::from(*fanout), 1.0, 16.0));
        let bits = self.delegation_bits.iter().copied().map(f64::from);
        bits.for_each(|bits| within("delegation-bits", bits, 1.0, 4.0));
        let sizes = if self.members.is_empty() { &grid.members } else { &self.members };
        let zones_most = sizes.iter().copied().map(zones_max).min().unwrap_or(1);
        within("zones", self.zones.into(), 1.0, zones_most.into());
        within("zone-rtt-ms", self.zone_rtt_ms.into(), 0.0, 10_000.0);
        if let Some(threads) = self.threads {
            within("threads", f64::from(threads), 1.0, 1024.0);
        }
        if !self.delegation_bits.is_empty() && !self.fanout.is_empty() {
            faults
                .push("--fanout: delegated broadcast has none: leave it or --delegation-bits out".to_owned());
        }
        if self.zones > 1 && self.delegation_bits.is_empty() {
            faults.push(format!("--zones {}: gossip knows none: add --delegation-bits", self.zones));
        } else if self.zones <= 1 && self.zone_rtt_ms > 0 {
            faults.push("--zone-rtt-ms: there are no zones: add --zones 2 or more".to_owned());
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        (grid.zones, grid.zone_rtt_ms) = (self.zones, self.zone_rtt_ms);
        if !self.members.is_empty() {
            grid.members.clone_from(&self.members);
        }
        if !self.loss.is_empty() {
            grid.losses.clone_from(&self.loss);
        }
        if !self.fanout.is_empty() {
            grid.fanouts.clone_from(&self.fanout);
        }
        grid.delegation_bits.clone_from(&self.delegation_bits);
        Ok(grid)
    }
}

/// Does what was asked.
///
/// # Errors
/// Arguments that cannot be used, and files that cannot be written.
pub fn command(arguments: &CompareArguments) -> Result<Exit, Faults> {
    let grid = arguments.check().map_err(Faults::BadArguments)?;
    let files = [("--csv", &arguments.csv), ("--markdown", &arguments.markdown)];
    let is_taken = to_standard_output(&files).map_err(Faults::BadArguments)?;
    let threads = arguments.threads.map_or(environment::cores() as usize, usize::from);
    let progress = |row: &Row| {
        if !arguments.quiet {
            let case = &row.0;
            let tells = match case.delegation_bits {
                Some(bits) => format!("delegated, {}", counted(bits.into(), "bit")),
                None => format!("fanout {}", case.fanout),
            };
            let line = format!("{} members, {} loss, {tells}: done", case.members, case.loss);
            tell(PROGRAM, &line);
        }
    };
    let rows = grid
        .run(arguments.seed, threads, &progress)
        .map_err(|error| Faults::CouldNotRun(format!("the simulator: {error}")))?;
    if let Some(path) = &arguments.csv {
        table::write_csv(&rows, path).map_err(Faults::CouldNotRun)?;
    }
    if let Some(path) = &arguments.markdown {
        output::write("--markdown", path, &table::markdown(&rows)).map_err(Faults::CouldNotRun)?;
    }
    if !is_taken {
        let lines = table::lines(&rows, columns::of_standard_output());
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        output::print(&text).map_err(Faults::CouldNotRun)?;
    }
    Ok(Exit::Done)
}
