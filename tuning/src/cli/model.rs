//! `swimring-tune model`: how news spreads, round by round, from formulas and from simulations.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use swimring_simulation::experiment::zones_max;
use swimring_tooling::exit::Exit;
use swimring_tooling::output::print;
use swimring_tooling::style::Style;
use swimring_tooling::values;

use super::{Faults, to_standard_output};
use crate::model::rounds::Strategy;
use crate::rumour_model::table::{Basics, Options};
use crate::rumour_model::{files, plot, text};

/// Shown under the flags.
pub const EXAMPLES: &str = "\
Examples:
  swimring-tune model
  swimring-tune model --members 160 --fanout 4 --loss 5%
  swimring-tune model --strategy push --retransmit-limit 8 --loss 20%
  swimring-tune model --members 1000 --zones 3 --zone-rtt-ms 40
  swimring-tune model --members 1000 --plot spread.svg --csv spread.csv

One member of a (key, value, version) store writes; in each round members tell or ask others chosen at
random. Beside the formulas stand simulations of the same, with 95 % intervals, and the formula that
Serf's documentation published. Below, one event on Swimring's own wire as the closed forms have it: told
by gossip, and by delegated broadcast in steps of one to four bits.";

/// Most members: the simulation holds a store for each.
const MEMBERS_MAX: u32 = 100_000;
/// Highest fanout.
const FANOUT_MAX: u32 = 64;
/// Most rounds.
const ROUNDS_MAX: u32 = 1_000;
/// Most runs of a case.
const RUNS_MAX: u32 = 100_000;
/// Most choices of a target in a round, over all runs of a case: some tens of seconds.
const WORK_MAX: u64 = 50_000_000;

/// Longest round trip between two zones beyond that within one.
const ZONE_RTT_MS_MAX: f64 = 20_000.0;

/// Which strategies are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Strategies {
    /// Members that know tell others.
    Push,
    /// All members ask others.
    Pull,
    /// All members tell and ask.
    PushPull,
    /// Each of them.
    #[default]
    All,
}

impl Strategies {
    fn list(self) -> Vec<Strategy> {
        match self {
            Strategies::Push => vec![Strategy::Push],
            Strategies::Pull => vec![Strategy::Pull],
            Strategies::PushPull => vec![Strategy::PushPull],
            Strategies::All => Strategy::ALL.to_vec(),
        }
    }
}

/// The flags of `model`, as typed.
#[derive(Args, Clone, Debug)]
pub struct ModelArguments {
    /// Members of the cluster
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 40, value_parser = values::count::<u32>)]
    pub members: u32,

    /// Members told, or asked, by each member in a round
    #[arg(long, short = 'f', value_name = "COUNT", default_value_t = 4, value_parser = values::count::<u32>)]
    pub fanout: u32,

    /// Who speaks first
    #[arg(long, value_enum, default_value_t)]
    pub strategy: Strategies,

    /// Share of messages lost: 2% or 0.02
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = values::share)]
    pub loss: f64,

    /// On Swimring's own wire: zones of like size that the members are in
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = values::count::<u32>)]
    pub zones: u32,

    /// With --zones: what a round trip to another zone takes longer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0.0, value_parser = values::number, allow_hyphen_values = true)]
    pub zone_rtt_ms: f64,

    /// With push: times that a member tells the news at most [default: no limit]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<u32>)]
    pub retransmit_limit: Option<u32>,

    /// Seed of the simulations
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = values::count::<u64>)]
    pub seed: u64,

    /// Simulations of each case
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = values::count::<u32>)]
    pub runs: u32,

    /// Rounds after which formula and simulation give up
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = values::count::<u32>)]
    pub rounds_max: u32,

    /// Draw it into FILE, as SVG
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub plot: Option<PathBuf>,

    /// Write everything to FILE as JSON; - writes it to standard output instead of the text
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// Write the rounds to FILE as CSV
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub csv: Option<PathBuf>,
}

impl ModelArguments {
    /// Checks the flags.
    ///
    /// # Errors
    /// One line for each that cannot be used.
    pub fn check(&self) -> Result<Options, Vec<String>> {
        let mut faults = Vec::new();
        let mut within = |flag: &str, value: u32, lowest: u32, highest: u32| {
            if !(lowest..=highest).contains(&value) {
                faults.push(format!("--{flag} {value}: has to be between {lowest} and {highest}"));
            }
        };
        within("members", self.members, 2, MEMBERS_MAX);
        within("fanout", self.fanout, 1, FANOUT_MAX);
        within("runs", self.runs, 1, RUNS_MAX);
        within("rounds-max", self.rounds_max, 1, ROUNDS_MAX);
        if let Some(limit) = self.retransmit_limit {
            within("retransmit-limit", limit, 1, 10_000);
        }
        if self.members >= 2 {
            within("zones", self.zones, 1, zones_max(self.members));
        }
        if !(0.0..=ZONE_RTT_MS_MAX).contains(&self.zone_rtt_ms) {
            faults.push(format!(
                "--zone-rtt-ms {}: has to be between 0 and {ZONE_RTT_MS_MAX}",
                self.zone_rtt_ms
            ));
        } else if self.zones <= 1 && self.zone_rtt_ms > 0.0 {
            faults.push("--zone-rtt-ms: there are no zones: add --zones 2 or more".to_owned());
        }
        let work = u64::from(self.members) * u64::from(self.fanout) * u64::from(self.runs);
        if faults.is_empty() && work > WORK_MAX {
            let runs = WORK_MAX / (u64::from(self.members) * u64::from(self.fanout));
            faults.push(format!(
                "--runs {}: too many for {} members and fanout {}: at most {runs}",
                self.runs, self.members, self.fanout
            ));
        }
        if self.retransmit_limit.is_some() && !self.strategy.list().contains(&Strategy::Push) {
            faults.push("--retransmit-limit: only push has one: use --strategy push or all".to_owned());
        }
        faults.extend(self.plot.as_deref().and_then(no_picture));
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Options {
            members: self.members,
            fanout: self.fanout,
            strategies: self.strategy.list(),
            loss: self.loss,
            retransmit_limit: self.retransmit_limit,
            seed: self.seed,
            runs: self.runs,
            rounds_max: self.rounds_max as usize,
            zones: self.zones,
            zone_rtt_ms: self.zone_rtt_ms,
        })
    }
}

/// Why a file cannot be drawn: pictures are SVG, which needs no fonts and no image library.
fn no_picture(file: &Path) -> Option<String> {
    let is_svg = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    let mend = file.with_extension("svg");
    (!is_svg).then(|| format!("--plot {}: only SVG is drawn: name it {}", file.display(), mend.display()))
}

/// Does what was asked.
///
/// # Errors
/// Arguments that cannot be used, and files that cannot be written.
pub fn command(arguments: &ModelArguments) -> Result<Exit, Faults> {
    let options = arguments.check().map_err(Faults::BadArguments)?;
    let files = [("--json", &arguments.json), ("--csv", &arguments.csv)];
    let is_taken = to_standard_output(&files).map_err(Faults::BadArguments)?;
    let basics = Basics::of(&options);
    write_files(arguments, &basics).map_err(Faults::CouldNotRun)?;
    if !is_taken {
        print(&text::render(&basics, Style::of_standard_output())).map_err(Faults::CouldNotRun)?;
    }
    Ok(Exit::Done)
}

fn write_files(arguments: &ModelArguments, basics: &Basics) -> Result<(), String> {
    if let Some(path) = &arguments.json {
        files::write_json(basics, path)?;
    }
    if let Some(path) = &arguments.csv {
        files::write_csv(basics, path)?;
    }
    if let Some(path) = &arguments.plot {
        plot::draw(basics, path)?;
    }
    Ok(())
}
