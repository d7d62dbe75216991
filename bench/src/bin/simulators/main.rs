//! How fast clusters can be simulated: foca 2.0 and our trials, in one run on one machine.
//!
//! ```text
//! simulators                                 all sizes, five rounds; a table, medians
//! simulators --rounds 9 --json results.json  the same, and every run as JSON
//! simulators one swimring 1000               a single run, as JSON
//! ```
//!
//! Every run is a process of its own, and the sides take turns, so that what disturbs the machine disturbs both.
//! 60 simulated seconds, 1 ms latency, no loss, all members known to all, LAN settings, one crash, one thread.
#![forbid(unsafe_code)]

mod case;
mod ours;
mod peer;

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use case::{Run, Side};
use clap::{Parser, Subcommand};
use swimring_tooling::quantiles;

/// How fast clusters can be simulated: foca 2.0 and Swimring, alternating.
#[derive(Parser)]
#[command(name = "simulators", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<One>,

    /// Runs of each case
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,

    /// Sizes of foca's clusters
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_values_t = [100, 1_000, 3_000])]
    foca: Vec<u32>,

    /// Sizes of our clusters
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_values_t = [100, 1_000, 3_000, 10_000, 100_000])]
    swimring: Vec<u32>,

    /// Writes every run here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum One {
    /// A single run, as JSON
    One {
        /// Simulator to run
        side: Side,
        /// Number of members
        members: u32,
        /// Seed for every random choice
        #[arg(default_value_t = 1)]
        seed: u64,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(One::One { side, members, seed }) => one(side, members, seed),
        None => all(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulators: {error}");
            ExitCode::FAILURE
        }
    }
}

fn one(side: Side, members: u32, seed: u64) -> Result<(), Box<dyn Error>> {
    let run = match side {
        Side::Foca => peer::play(members, seed)?,
        Side::Swimring => ours::play(members, seed)?,
    };
    println!("{}", serde_json::to_string(&run)?);
    Ok(())
}

fn all(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let foca = cli.foca.iter().map(|members| (Side::Foca, *members));
    let ours = cli.swimring.iter().map(|members| (Side::Swimring, *members));
    let mut cases: Vec<(Side, u32)> = foca.chain(ours).collect();
    cases.sort_by_key(|(side, members)| (*members, *side == Side::Swimring));
    let mut runs: Vec<Run> = Vec::new();
    for round in 1..=cli.rounds {
        for (side, members) in &cases {
            eprintln!("round {round} of {}: {}, {members} members", cli.rounds, side.name());
            runs.push(child(*side, *members, round)?);
        }
    }
    print_table(&cases, &runs);
    if let Some(file) = &cli.json {
        std::fs::write(file, serde_json::to_string_pretty(&runs)?)?;
    }
    Ok(())
}

/// Runs one case in a process of its own.
fn child(side: Side, members: u32, seed: u64) -> Result<Run, Box<dyn Error>> {
    let side = match side {
        Side::Foca => "foca",
        Side::Swimring => "swimring",
    };
    let arguments = ["one", side, &members.to_string(), &seed.to_string()];
    let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("{side}, {members} members: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    quantiles::median(&quantiles::sorted(values))
}

fn print_table(cases: &[(Side, u32)], runs: &[Run]) {
    println!(
        "| members | simulator | node-seconds/s | per CPU second | happenings/s | detected, first | all | memory |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|---:|");
    for (side, members) in cases {
        let of = || runs.iter().filter(|run| run.side == *side && run.members == *members);
        let seconds = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} s"));
        let memory = median(of().filter_map(|run| run.memory_bytes.map(|bytes| bytes as f64)));
        println!(
            "| {members} | {} | {:.0} | {:.0} | {:.0} | {} | {} | {} |",
            side.name(),
            median(of().map(Run::node_seconds_per_second)).unwrap_or(0.0),
            median(of().map(Run::node_seconds_per_cpu_second)).unwrap_or(0.0),
            median(of().map(Run::happenings_per_second)).unwrap_or(0.0),
            seconds(median(of().filter_map(|run| run.first_s))),
            seconds(median(of().filter_map(|run| run.all_s))),
            memory.map_or("-".to_owned(), |bytes| format!("{:.0} MB", bytes / 1e6)),
        );
    }
}
