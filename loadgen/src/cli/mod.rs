//! The command line: what is asked for, before it is checked.
//!
//! [`RunArguments`] is what a user typed. [`RunArguments::check`] turns it into [`RunOptions`], which
//! every later part may trust, or into one line per fault that names the flag and the mend. Each command's flags are declared in the
//! file of its name; what `run` and `attach` have in common is declared and checked once, as [`FleetArguments`]. A flag that was not typed may stand in the
//! environment or in a file (`sources`).

mod attach;
mod fleet;
mod output;
pub mod protocol;
mod run_flags;
mod run_options;
pub mod secret;
mod sources;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use swimring_tooling::layers::{layered, switchable};
use swimring_tooling::manual::{CompletionsArguments, ManArguments};
use swimring_tooling::refusal::Refusal;
use swimring_tooling::{columns, values};

pub use attach::{AttachArguments, AttachOptions, PoolKind};
pub use fleet::FleetArguments;
pub use output::OutputArguments;
pub use run_flags::{RunArguments, Start, WireChoice};
pub use run_options::RunOptions;
use sources::CommandLine;
pub use swimring::{DriverChoice, Preset};

/// The program's name in messages.
pub const PROGRAM: &str = "swimring-loadgen";

/// Columns of the widest help: it is text, which is read in short lines.
const HELP_COLUMNS_MAX: usize = 100;

const EXAMPLES: &str = "\
Examples:
  swimring-loadgen                               10,000 members for 30 s
  swimring-loadgen --members 2000 --start cold   how long joining takes
  swimring-loadgen run --duration 60s --kill 20 --loss 2%
  swimring-loadgen run --slo 'false_deaths==0' --slo 'detection_s.all.max<=30'
  swimring-loadgen attach --pool serf --join 127.0.0.1
                                                 members in a real Serf cluster
  swimring-loadgen report a.json b.json          compare two saved results

Without a command, `run` is meant.

Exit status: 0 done; 1 could not run; 2 bad arguments; 98 the run is invalid
because the generator itself was the bottleneck, or cut off from the pool;
99 an objective given with --slo was missed.";

const RUN_EXAMPLES: &str = "\
Examples:
  swimring-loadgen run --members 300 --duration 10s
  swimring-loadgen run --kill 20 --json result.json --hlog result.hlog
  swimring-loadgen run --driver mmsg --loss 2% --slo 'false_deaths==0'
  swimring-loadgen run --preset wan --gossip-fanout 5 --probe-interval-ms 2000

A run starts the members, warms up, measures for --duration with the kills and
events spread over its first two thirds, goes on until every kill and event has
been seen everywhere or no longer can be, and stops. Ctrl-C ends it early with
the report of what was measured; again, a second or more later, it aborts
(130).

Every flag may also stand in the environment (--members as SWIMRING_MEMBERS) and
in the file of --config (members = 300). What is typed wins over the
environment, the environment over the file, and the file over --preset.";

const ATTACH_EXAMPLES: &str = "\
Examples:
  swimring-loadgen attach --pool serf --join 127.0.0.1 -n 500 --events 5/s
  swimring-loadgen attach --pool consul --join 10.0.0.1 --encrypt-file KEY.txt \\
      --first-address 10.20.0.1 --yes
  swimring-loadgen attach --pool memberlist --join 127.0.0.1 --churn 5/s

The members join at --ramp, are measured for --duration with kills, churn and
events in its first two thirds, and leave gracefully, as fast as they joined, on
Ctrl-C too; again, a second or more later, it aborts (130), and the pool will
see them fail. How long it takes in all is said at the start. Names stay in
`serf members` as left for a day; `serf force-leave -prune NAME` removes one.

Flags may stand in the environment and in a file, as for `run`: a key belongs
into SWIMRING_ENCRYPT or --encrypt-file, for everybody here sees what is typed.";

/// Fleets of real Swimring members on one machine, measured.
#[derive(Parser, Debug)]
#[command(name = PROGRAM, version = crate::BUILD.line, about, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Runs a cluster on this machine and measures it
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArguments>),
    /// Puts virtual members into a real memberlist, Serf or Consul pool and measures it
    #[command(after_help = ATTACH_EXAMPLES, mut_args(attach::gentler))]
    Attach(Box<AttachArguments>),
    /// Renders saved results again; several become a comparison
    Report(ReportArguments),
    /// Prints the completions for a shell
    Completions(CompletionsArguments),
    /// Prints the manual page of the program or of a command
    Man(ManArguments),
}

/// The flags of `report`.
#[derive(Args, Clone, Debug)]
pub struct ReportArguments {
    /// Results written by --json
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// How to print them
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How `report` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people: one result in full, several side by side.
    #[default]
    Text,
    /// For spreadsheets: one line per result.
    Csv,
}

/// The whole command line, as it is parsed, completed and documented.
pub fn command() -> clap::Command {
    switchable(Cli::command())
}

/// Parses a command line whose first item is the program, without a look at the environment. Without a command, `run`
/// is meant.
///
/// # Errors
/// [`Refusal`]: what clap refuses, or values of the `--config` file that cannot be used.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Refusal> {
    parse_with(arguments, &|_| None)
}

/// The same, with the environment's variables by name for what was not typed.
///
/// # Errors
/// As [`parse`], and for variables that cannot be used.
pub fn parse_with(
    arguments: impl IntoIterator<Item = OsString>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Cli, Refusal> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let first = arguments.get(1).and_then(|argument| argument.to_str());
    let is_run = first
        .is_none_or(|first| first.starts_with('-') && !["-h", "--help", "-V", "--version"].contains(&first));
    if is_run {
        arguments.insert(1.min(arguments.len()), OsString::from("run"));
    }
    // Help for a file is as wide as every other page; on a terminal clap uses what there is.
    let columns = columns::of_standard_output().min(HELP_COLUMNS_MAX);
    let program = command().term_width(columns);
    let (matches, origins) = layered(&program, &arguments, &CommandLine { variable })?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    match &mut cli.command {
        Command::Run(run) => run.fleet.origins = origins,
        Command::Attach(attach) => attach.fleet.origins = origins,
        Command::Report(_) | Command::Completions(_) | Command::Man(_) => {}
    }
    Ok(cli)
}

#[cfg(test)]
mod tests;
