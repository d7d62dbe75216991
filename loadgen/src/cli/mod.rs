//! The command line: what is asked for, before it is checked.
//!
//! [`RunArguments`] is what a user typed. [`RunArguments::check`] turns it into [`RunOptions`], which
//! every later part may trust, or into one line per fault that names the flag and the mend.

mod attach;
pub mod manual;
mod options;
mod output;
pub mod protocol;
pub mod secret;
pub mod settings_file;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use swimring_tooling::values::Rate;
use swimring_tooling::{columns, values};

pub use attach::{AttachArguments, AttachOptions, PoolKind};
pub use manual::{CompletionsArguments, ManArguments};
pub use options::RunOptions;
pub use output::OutputArguments;
use protocol::ProtocolSettings;
pub use swimring::Preset;

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
(130).";

const ATTACH_EXAMPLES: &str = "\
Examples:
  swimring-loadgen attach --pool serf --join 127.0.0.1 -n 500 --events 5/s
  swimring-loadgen attach --pool consul --join 10.0.0.1 --encrypt KEY \\
      --first-address 10.20.0.1 --yes
  swimring-loadgen attach --pool memberlist --join 127.0.0.1 --churn 5/s

The members join at --ramp, are measured for --duration with kills, churn and
events in its first two thirds, and leave gracefully, as fast as they joined, on
Ctrl-C too; again, a second or more later, it aborts (130), and the pool will
see them fail. How long it takes in all is said at the start. Names stay in `serf members` as left for a
day; `serf force-leave -prune NAME` removes one.";

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
    #[command(after_help = ATTACH_EXAMPLES)]
    Attach(Box<AttachArguments>),
    /// Renders saved results again; several become a comparison
    Report(ReportArguments),
    /// Prints the completions for a shell
    Completions(CompletionsArguments),
    /// Prints the manual page of the program or of a command
    Man(ManArguments),
}

/// Which datagram driver to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverChoice {
    /// io_uring where the kernel permits it, else mmsg.
    #[default]
    Auto,
    /// io_uring, or fail.
    #[value(name = "io_uring", alias = "io-uring")]
    IoUring,
    /// sendmmsg and recvmmsg.
    Mmsg,
}

/// The wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireChoice {
    /// Swimring's own: members of a worker share an address.
    #[default]
    Native,
    /// hashicorp/memberlist's: each member has an address of its own.
    Memberlist,
}

impl WireChoice {
    /// As it is typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            WireChoice::Native => "native",
            WireChoice::Memberlist => "memberlist",
        }
    }
}

/// How the members start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Every member starts with the complete view a finished join would have given it.
    #[default]
    Warm,
    /// Every member joins through seed members.
    Cold,
}

/// The flags of `run`, as typed.
#[derive(Args, Clone, Debug)]
pub struct RunArguments {
    /// Members to run
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 10_000, value_parser = values::count::<u32>)]
    pub members: u32,

    /// How long to measure: 30s, 5m, 500ms
    #[arg(long, short = 'd', value_name = "TIME", default_value = "30s", value_parser = values::duration)]
    pub duration: Duration,

    /// How long to run before measuring
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    pub warmup: Duration,

    /// Worker threads [default: one per 1,000 members, at most one per core]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<u32>)]
    pub workers: Option<u32>,

    /// Datagram driver
    #[arg(long, value_enum, default_value_t)]
    pub driver: DriverChoice,

    /// Wire format: Swimring's own, or memberlist's, with an address for each member
    #[arg(long, value_enum, default_value_t)]
    pub wire: WireChoice,

    /// With --wire memberlist: the first member's address; the others have the next ones [default: 127.10.0.1]
    #[arg(long, value_name = "ADDRESS", value_parser = values::address_v4)]
    pub first_address: Option<Ipv4Addr>,

    /// How members start: with complete views, or joining through seeds
    #[arg(long, value_enum, default_value_t)]
    pub start: Start,

    /// With --start cold: members that the others join through [default: 1]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<u32>)]
    pub seeds: Option<u32>,

    /// Members killed while measuring [default: 10, but at most a tenth of the members]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<u32>)]
    pub kill: Option<u32>,

    /// User events sent while measuring: 1/s, 10/m, 0 for none
    #[arg(long, value_name = "RATE", default_value = "1/s", value_parser = values::rate)]
    pub events: Rate,

    /// Payload of one user event, 4 to 508 bytes [default: 100]
    #[arg(long, value_name = "BYTES", value_parser = values::count::<u32>)]
    pub event_bytes: Option<u32>,

    /// Share of received datagrams dropped on purpose: 2% or 0.02
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = values::share)]
    pub loss: f64,

    /// Seed of every random choice; the same seed plans the same run
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = values::count::<u64>)]
    pub seed: u64,

    /// With --wire native: address the workers' sockets are bound to [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", value_parser = values::address)]
    pub bind: Option<IpAddr>,

    /// Port of the first worker; the others take the next ones. 0: the kernel chooses
    #[arg(long, value_name = "PORT", default_value_t = 0, value_parser = values::port)]
    pub port: u16,

    /// Send single datagrams: no segmentation offload (GSO), no coalescing (GRO)
    #[arg(long)]
    pub no_segmentation: bool,

    /// Where results go.
    #[command(flatten)]
    pub output: OutputArguments,

    /// Protocol constants to start from [default: lan]
    #[arg(long, value_parser = protocol::preset_parser(), help_heading = protocol::HEADING)]
    pub preset: Option<Preset>,

    /// Read protocol settings from FILE (TOML, the names below with underscores); flags win
    #[arg(long, value_name = "FILE", help_heading = protocol::HEADING)]
    pub config: Option<PathBuf>,

    /// Overrides of single protocol settings.
    #[command(flatten)]
    pub protocol: ProtocolSettings,
}

/// Only to parse the flags of `run` by themselves.
#[derive(Parser)]
struct Bare {
    #[command(flatten)]
    run: RunArguments,
}

impl RunArguments {
    /// `run` without any flag.
    fn bare() -> RunArguments {
        Bare::parse_from([PROGRAM]).run
    }
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

/// Parses a command line whose first item is the program. Without a command, `run` is meant.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let first = arguments.get(1).and_then(|argument| argument.to_str());
    let is_run = first
        .is_none_or(|first| first.starts_with('-') && !["-h", "--help", "-V", "--version"].contains(&first));
    if is_run {
        arguments.insert(1.min(arguments.len()), OsString::from("run"));
    }
    // Help for a file is as wide as every other page; on a terminal clap uses what there is.
    let columns = columns::of_standard_output().min(HELP_COLUMNS_MAX);
    let matches = Cli::command().term_width(columns).try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

#[cfg(test)]
mod tests;
